"""Per-example losses: arrays in, one number per example out, never reduced.

The train step weights and sums them, so that padded and rendered batch rows can have weight 0 and
several devices agree with one. All are computed in at least float32.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from catpose.geometry import so3


def cross_entropy(
    logits: Float[Array, "batch categories"], category: Int[Array, " batch"]
) -> Float[Array, " batch"]:
    """Categorical cross-entropy, in nats.

    Args:
      logits: unnormalized log-probabilities of the categories.
      category: true category, in [0, categories).

    Returns:
      Minus the log-probability of the true category, at least 0.

    Reference: section 3.2 of the paper.
    """
    (logits,) = so3.at_least_float32(logits)
    log_probabilities = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.take_along_axis(log_probabilities, category[:, None], axis=-1)[:, 0]


def geodesic(
    rotation: Float[Array, "*batch 3 3"], target_rotation: Float[Array, "*batch 3 3"]
) -> Float[Array, "*batch"]:
    """Geodesic distance of two rotations, |log(R R*')|_F / sqrt(2).

    Args:
      rotation: predicted rotation matrices.
      target_rotation: true rotation matrices in the same frame.

    Returns:
      Angles in radians in [0, pi]; the gradient is finite everywhere, 0 at 0 and at pi.

    Reference: equation (3) of the paper.
    """
    return so3.geodesic_distance(rotation, target_rotation)


def axis_angle_mse(
    omega: Float[Array, "*batch 3"], target_rotation: Float[Array, "*batch 3 3"]
) -> Float[Array, "*batch"]:
    """Mean squared difference of axis-angle vectors.

    It has no vanishing or jumping gradient far from the target, which makes it a good loss to
    begin with, before the geodesic one. But it does not know that omega and omega minus a full
    turn are the same.

    Args:
      omega: predicted axis-angle vectors in radians.
      target_rotation: true rotation matrices; their logarithm, of norm at most pi, is the target.

    Returns:
      The mean over the three components, in squared radians.
    """
    (omega,) = so3.at_least_float32(omega)
    return jnp.mean((omega - so3.log(target_rotation)) ** 2, axis=-1)


def joint(
    pose_loss: Float[Array, "*batch"],
    category_loss: Float[Array, "*batch"],
    *,
    category_weight: float,
) -> Float[Array, "*batch"]:
    """The joint loss, pose + lambda * category.

    Args:
      pose_loss: loss of the pose per example, such as `geodesic`.
      category_loss: loss of the category per example, such as `cross_entropy`.
      category_weight: lambda, 0.1 in the paper.

    Returns:
      The weighted sum per example.

    Reference: section 3.2 and Table 12 of the paper.
    """
    return pose_loss + category_weight * category_loss


# By a phase's `category_loss`: (logits (B, K), true category (B,)) -> one loss per example (B,).
CATEGORY_LOSSES = {"cross_entropy": cross_entropy}
# By a name in a phase's `auxiliary_losses`: (catpose.models.architectures.Outputs,
# catpose.data.batch.Batch) -> one loss per example (B,), added to the joint loss.
AUXILIARY_LOSSES: dict[str, Callable[[Any, Any], Float[Array, " batch"]]] = {}
