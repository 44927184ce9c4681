"""Fusion on the rotation group itself, whatever the outputs of the networks are.

The weighted sum of axis-angle vectors (equation (1) of the paper) fails across their cut at the
angle pi; the mean that is defined by distances on the group has no cut.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from catpose import losses
from catpose.geometry import so3
from catpose.poses import base, svd
from catpose.poses.base import Pose

_NUM_STEPS = 12


@jax.jit
def karcher(
    rotations: Float[Array, "batch networks 3 3"], weights: Float[Array, "batch networks"]
) -> Float[Array, "batch 3 3"]:
    """Weighted Karcher mean: the R where sum_k w_k log(R' R_k) = 0.

    Gradient descent with step 1 from the heaviest rotation, a fixed number of times. For two
    rotations one step is exact. The error shrinks at least by 1 - (a/2) cot(a/2) per step, a the
    largest angle to the mean: by 0.21 at 90 degrees, by 0.7 at 150. Rotations farther apart can
    have several means, of which one near the heaviest rotation is found.

    Args:
      rotations: rotation matrices in one frame.
      weights: weight of each, at least 0, summing to 1 over the networks.

    Returns:
      Rotation matrices; the gradient is that of the iteration.

    Reference: Karcher, Riemannian center of mass and mollifier smoothing, 1977; Manton, A globally
    convergent numerical algorithm for computing the center of mass on compact Lie groups, 2004.
    """
    rotations, weights = so3.at_least_float32(rotations, weights[..., None])
    heaviest = jnp.argmax(weights, axis=1)[..., None, None]
    guess = jnp.take_along_axis(rotations, heaviest, axis=1)[:, 0]

    def descend(_, mean):
        relative = so3.multiply(jnp.swapaxes(mean, -1, -2)[:, None], rotations)
        return so3.multiply(mean, so3.exp(jnp.sum(weights * so3.log(relative), axis=1)))

    return jax.lax.fori_loop(0, _NUM_STEPS, descend, guess)


def on_the_group(pose: Pose) -> Pose:
    """The same networks, fused by `karcher` instead of in the representation's own space.

    Each network then puts out a rotation, nine numbers row by row, and the loss is the geodesic
    one: the losses of the representation are not defined for a mean of rotations.

    Args:
      pose: any representation; as many numbers as before come out of its networks.
    """

    def flat(rotation):
        return rotation.reshape(*rotation.shape[:-2], 9)

    return pose._replace(
        activate=lambda raw: flat(pose.to_rotation(pose.activate(raw))),
        to_rotation=svd.as_matrix,
        losses={"geodesic": base.decoded(svd.as_matrix, losses.geodesic)},
        fuse=lambda outputs, weights: flat(karcher(svd.as_matrix(outputs), weights)),
        choose=None,
    )
