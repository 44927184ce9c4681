"""Six numbers: two vectors that the Gram-Schmidt process turns into the first two columns.

Unlike three or four numbers they cover the rotations continuously, without a cut.

Reference: Zhou, Barnes, Lu, Yang and Li, On the Continuity of Rotation Representations in Neural
Networks, 2019.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose import losses
from catpose.geometry import so3
from catpose.poses import base

IDENTITY = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])


def _without(vector, direction):
    """The part of a vector that is orthogonal to a unit vector."""
    return vector - jnp.sum(vector * direction, axis=-1, keepdims=True) * direction


@jax.jit
def to_rotation(outputs: Float[Array, "*batch 6"]) -> Float[Array, "*batch 3 3"]:
    """Gram-Schmidt: the first vector's direction, then the second's without the first.

    Args:
      outputs: two vectors, one after the other.

    Returns:
      Rotation matrices, orthogonal to rounding however near the vectors are to parallel. Where a
      vector vanishes or the two are parallel one of the possible rotations, with gradient 0 along
      what is undetermined.

    Reference: Zhou et al. 2019.
    """
    (outputs,) = so3.at_least_float32(outputs)
    x_axis = jnp.broadcast_to(IDENTITY[:3].astype(outputs.dtype), (*outputs.shape[:-1], 3))
    first = base.unit(outputs[..., :3], x_axis)
    farthest = jax.nn.one_hot(jnp.argmin(jnp.abs(first), axis=-1), 3, dtype=outputs.dtype)
    orthogonal = base.unit(jnp.cross(first, farthest), farthest)
    second = base.unit(outputs[..., 3:], orthogonal)
    # What is left of nearly parallel vectors is rounding noise; less of it, a second pass removes.
    noise = 8 * float(jnp.finfo(outputs.dtype).eps)
    second = base.unit(_without(second, first), orthogonal, shortest=noise)
    second = base.unit(_without(second, first), orthogonal)
    return jnp.stack([first, second, jnp.cross(first, second)], axis=-1)


SIXD = base.Pose(
    name="sixd",
    num_outputs=6,
    activate=base.offset(IDENTITY),
    to_rotation=to_rotation,
    losses={
        "geodesic": base.decoded(to_rotation, losses.geodesic),
        "chordal": base.decoded(to_rotation, base.chordal),
    },
    fuse=base.weighted_sum,
)
