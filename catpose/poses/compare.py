"""Losses that compare the rotations which the outputs decode to."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from catpose.poses import base


def decoded(
    to_rotation: Callable[[base.Outputs], base.Rotation],
    loss_fn: Callable[[base.Rotation, base.Rotation], base.PerExample],
) -> Callable[[base.Outputs, base.Rotation], base.PerExample]:
    """Turns a loss of two rotations into a loss of outputs.

    Args:
      to_rotation: outputs -> rotation matrices.
      loss_fn: predicted and true rotation matrices -> one loss per example.

    Returns:
      The function of outputs and true rotation matrices that `Pose.losses` holds.
    """

    def of_outputs(outputs, target_rotation):
        return loss_fn(to_rotation(outputs), target_rotation)

    return of_outputs


def chordal(
    rotation: Float[Array, "*batch 3 3"], target_rotation: Float[Array, "*batch 3 3"]
) -> Float[Array, "*batch"]:
    """Squared Frobenius norm of the difference of two matrices.

    Of rotations at a geodesic distance d it is 8 sin(d/2)^2: smooth everywhere, with a gradient
    that vanishes at the target, where the geodesic distance has a kink, and at pi.

    Args:
      rotation: predicted rotation matrices, or any 3x3 matrices.
      target_rotation: true rotation matrices in the same frame.

    Returns:
      The sum over the nine entries, in [0, 8] for rotations.
    """
    dtype = jnp.promote_types(jnp.result_type(rotation, target_rotation), jnp.float32)
    difference = rotation.astype(dtype) - target_rotation.astype(dtype)
    return jnp.sum(difference**2, axis=(-2, -1))
