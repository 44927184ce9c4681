"""The most probable rotations of a density, found among candidates."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose.geometry import so3

APART = np.radians(15.0)  # two modes of one density are at least so far from each other


def distinct(
    rotation: Float[Array, "*batch n 3 3"], log_density: Float[Array, "*batch n"], k: int
) -> tuple[Float[Array, "*batch k 3 3"], Float[Array, "*batch k"]]:
    """The best candidate, the best of those that are not near it, and so on.

    Args:
      rotation: candidates, rotation matrices.
      log_density: of each; -inf for one that does not count.
      k: how many are wanted.

    Returns:
      k rotation matrices, the most probable first, and their log-densities. Where fewer than k
      candidates are 15 degrees apart the rest repeat the first with log-density -inf.
    """

    def take(array, best):
        extra = array.ndim - best.ndim
        index = best[(..., *[None] * extra)]
        return jnp.take_along_axis(array, index, axis=best.ndim)

    left, found = log_density, []
    for _ in range(k):
        best = jnp.argmax(left, axis=-1)
        chosen = take(rotation, best)
        found.append((chosen[..., 0, :, :], take(left, best)[..., 0]))
        near = so3.geodesic_distance(rotation, chosen) < APART
        left = jnp.where(near, -jnp.inf, left)
    rotations = jnp.stack([each for each, _ in found], axis=-3)
    log_densities = jnp.stack([each for _, each in found], axis=-1)
    first = jnp.broadcast_to(rotations[..., :1, :, :], rotations.shape)
    missing = jnp.isneginf(log_densities)[..., None, None]
    return jnp.where(missing, first, rotations), log_densities
