"""Viewpoint angles in radians: azimuth, elevation, theta, those of `catpose.geometry.viewpoint`.

The frame is that of learning, in which the targets are: a run gives `make` its own. In another one
the angles are still three Euler angles of every rotation, but no longer those of the viewpoint.

Two traps, both as published. Angles know no wrap-around: the mean squared error of azimuths of
179 and -179 degrees is that of 358 degrees, and their weighted sum is 0. And at elevation +-90
degrees azimuth and theta are one angle, which the target writes as azimuth with theta = 0.
In "upright" and "camera" the cut of the azimuth, +-180 degrees, is the view from behind.

Reference: Wang, Li, Jia and Liang, Viewpoint estimation for objects with convolutional neural
network trained on synthetic images, 2016 ([20] of the paper).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose import losses
from catpose.geometry import so3, viewpoint
from catpose.poses import base

# Largest azimuth, elevation and theta. The angles of "paper" are those of another half of the
# same circles, see `viewpoint`.
_LARGEST = {
    "camera": (np.pi, np.pi / 2, np.pi),
    "upright": (np.pi, np.pi / 2, np.pi),
    "paper": (np.pi, np.pi, np.pi / 2),
}


def activate(raw: Float[Array, "*batch 3"], *, frame: str) -> Float[Array, "*batch 3"]:
    """tanh of each component, scaled to the range of its angle.

    Args:
      raw: outputs of the last linear layer.
      frame: "camera", "upright" or "paper".

    Returns:
      Azimuth in (-pi, pi), elevation in (-pi/2, pi/2) and theta in (-pi, pi), radians; for
      "paper" elevation in (-pi, pi) and theta in (-pi/2, pi/2).
    """
    (raw,) = so3.at_least_float32(raw)
    largest = np.array(_LARGEST[frame], raw.dtype)
    return jnp.broadcast_to(largest, raw.shape) * jnp.tanh(raw)


def to_rotation(angles: Float[Array, "*batch 3"], *, frame: str) -> Float[Array, "*batch 3 3"]:
    """Rotation of the viewpoint.

    Args:
      angles: azimuth, elevation and theta in radians, any values.
      frame: "camera", "upright" or "paper".

    Returns:
      Rotation matrices in that frame.
    """
    return viewpoint.rotation_from_angles(angles[..., 0], angles[..., 1], angles[..., 2], frame)


def from_rotation(rotation: Float[Array, "*batch 3 3"], *, frame: str) -> Float[Array, "*batch 3"]:
    """Angles of a rotation, what a network has to learn.

    Args:
      rotation: rotation matrices.
      frame: the frame they are in, "camera", "upright" or "paper".

    Returns:
      Azimuth, elevation and theta in radians, in the ranges of `activate` with their ends, a
      constant to differentiation.
    """
    angles = viewpoint.angles_from_rotation(jax.lax.stop_gradient(rotation), frame)
    azimuth = jnp.where(angles[0] > jnp.pi, angles[0] - 2 * jnp.pi, angles[0])
    return jnp.stack([azimuth, *angles[1:]], axis=-1)


def mse(
    angles: Float[Array, "*batch 3"], target_rotation: Float[Array, "*batch 3 3"], *, frame: str
) -> Float[Array, "*batch"]:
    """Mean squared difference of the three angles, blind to wrap-around.

    Args:
      angles: predicted azimuth, elevation and theta in radians.
      target_rotation: true rotation matrices in the frame.
      frame: "camera", "upright" or "paper".

    Returns:
      The mean over the three angles, in squared radians.
    """
    (angles,) = so3.at_least_float32(angles)
    return jnp.mean((angles - from_rotation(target_rotation, frame=frame)) ** 2, axis=-1)


def make(*, frame: str = "upright") -> base.Pose:
    """The representation whose rotations are in the given frame of learning.

    Args:
      frame: "camera", "upright" or "paper".

    Returns:
      The representation.
    """
    decode = functools.partial(to_rotation, frame=frame)
    return base.Pose(
        name="euler",
        num_outputs=3,
        activate=functools.partial(activate, frame=frame),
        to_rotation=decode,
        losses={
            "mse": functools.partial(mse, frame=frame),
            "geodesic": base.decoded(decode, losses.geodesic),
        },
        fuse=base.weighted_sum,
        make=make,
    )


EULER = make()
