"""Unit quaternions (w, x, y, z); q and -q are the same rotation.

The sphere has no boundary, so unlike axis-angle vectors quaternions may be averaged across the
angle pi, as long as all are taken with signs that put them into one hemisphere.

Reference: Mahendran, Ali and Vidal, 3D Pose Regression using Convolutional Neural Networks, 2017.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose import losses
from catpose.geometry import so3
from catpose.poses import base

IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


def _unit(quaternion):
    identity = jnp.broadcast_to(IDENTITY.astype(quaternion.dtype), quaternion.shape)
    return base.unit(quaternion, identity)


def _with_sign_of(quaternion, reference):
    """q or -q, whichever is nearer to the reference."""
    opposite = jnp.sum(quaternion * reference, axis=-1, keepdims=True) < 0
    return jnp.where(opposite, -quaternion, quaternion)


def activate(raw: Float[Array, "*batch 4"]) -> Float[Array, "*batch 4"]:
    """The unit quaternion along raw + (1, 0, 0, 0), see `base.offset`.

    Args:
      raw: outputs of the last linear layer.

    Returns:
      Quaternions (w, x, y, z) of length 1; the identity, with gradient 0, where there is no
      direction.
    """
    return _unit(base.offset(IDENTITY)(raw))


def to_rotation(quaternion_wxyz: Float[Array, "*batch 4"]) -> Float[Array, "*batch 3 3"]:
    """Rotation of a quaternion of any length.

    Args:
      quaternion_wxyz: quaternions (w, x, y, z).

    Returns:
      Rotation matrices; the identity for the zero quaternion.
    """
    return so3.rotation_from_quaternion(_unit(quaternion_wxyz))


def mse(
    quaternion_wxyz: Float[Array, "*batch 4"], target_rotation: Float[Array, "*batch 3 3"]
) -> Float[Array, "*batch"]:
    """Mean squared difference to the nearer of the target's two unit quaternions.

    At a geodesic distance d it is (1 - cos(d/2)) / 2. At d = pi, where the two are equally near,
    it has a ridge and the gradient is that of one side.

    Args:
      quaternion_wxyz: predicted quaternions, of any length: it does not count.
      target_rotation: true rotation matrices in the same frame.

    Returns:
      The mean over the four components, in [0, 1/2].
    """
    predicted = _unit(quaternion_wxyz)
    target = _with_sign_of(so3.quaternion_from_rotation(target_rotation), predicted)
    return jnp.mean((predicted - target) ** 2, axis=-1)


def fuse(
    outputs: Float[Array, "batch networks 4"], weights: Float[Array, "batch networks"]
) -> Float[Array, "batch 4"]:
    """Weighted sum of the quaternions after each has taken the sign nearer to the heaviest's.

    The direction of the sum is the mean rotation to second order in the spread, also across the
    angle pi. It changes abruptly where a network's rotation is at pi from the heaviest's. The sum
    is at least the largest weight long; it is not brought to length 1, because nothing here minds
    the length, and so one-hot weights give exactly the quaternion of the selected network.

    Args:
      outputs: quaternions (w, x, y, z) of length 1.
      weights: weight of each network, summing to 1 over the networks.

    Returns:
      Quaternions (w, x, y, z), at most 1 long.

    Reference: equations (1) and (2) of the paper; Gramkow, On averaging rotations, 2001.
    """
    heaviest = jnp.argmax(weights, axis=1)[:, None, None]
    return base.weighted_sum(
        _with_sign_of(outputs, jnp.take_along_axis(outputs, heaviest, axis=1)), weights
    )


QUATERNION = base.Pose(
    name="quaternion",
    num_outputs=4,
    activate=activate,
    to_rotation=to_rotation,
    losses={"geodesic": base.decoded(to_rotation, losses.geodesic), "mse": mse},
    fuse=fuse,
)
