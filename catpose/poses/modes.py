"""The most probable rotations of a density, found among candidates."""

import jax
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
    count = min(k, log_density.shape[-1])

    def take(array, best):
        index = best[(..., *[None] * (array.ndim - best.ndim))]
        return jnp.take_along_axis(array, index, axis=best.ndim)

    def find(left, _):
        best = jnp.argmax(left, axis=-1)
        chosen = take(rotation, best)
        near = so3.geodesic_distance(rotation, chosen) < APART
        return jnp.where(near, -jnp.inf, left), (chosen[..., 0, :, :], take(left, best)[..., 0])

    def filled(array):
        rest = [(0, k - count), *[(0, 0)] * (array.ndim - 1)]
        return jnp.pad(array, rest, constant_values=-jnp.inf)

    _, best = jax.lax.scan(find, log_density, length=count)
    rotations, log_densities = map(filled, best)
    missing = jnp.isneginf(log_densities)[..., None, None]
    rotations = jnp.where(missing, rotations[:1], rotations)
    return jnp.moveaxis(rotations, 0, -3), jnp.moveaxis(log_densities, 0, -1)


def uphill(
    gradient: Float[Array, "*batch 3"], hessian: Float[Array, "*batch 3 3"]
) -> Float[Array, "*batch 3"]:
    """Newton's step to a maximum; damped where a row says that it may not be concave.

    In closed form: a program with many small decompositions of LAPACK's has been seen to wait
    forever on a CPU.

    Args:
      gradient: of a function of an axis-angle vector at 0.
      hessian: its second derivatives.

    Returns:
      Axis-angle vectors in radians.
    """
    diagonal = jnp.diagonal(hessian, axis1=-2, axis2=-1)
    others = jnp.sum(jnp.abs(hessian), axis=-1) - jnp.abs(diagonal)
    damping = jnp.maximum(jnp.max(diagonal + others, axis=-1) + 1e-3, 0)  # Gershgorin's bound
    eye = jnp.broadcast_to(jnp.eye(3, dtype=hessian.dtype), hessian.shape)
    matrix = damping[..., None, None] * eye - hessian
    a, b, c = (matrix[..., i, :] for i in range(3))
    inverse = [jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)]
    determinant = jnp.sum(a * inverse[0], axis=-1, keepdims=True)
    solved = sum(row * gradient[..., i, None] for i, row in enumerate(inverse))
    return solved / jnp.maximum(determinant, 1e-12)
