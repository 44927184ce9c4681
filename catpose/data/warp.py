"""Where each pixel of a crop is taken from, and taking it there: one resampling per image."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Num


def grid(resolution: int, share: float = 1.0) -> Float[Array, "S"]:
    """Centres of a crop's pixels along one axis, in shares of the box's side from its centre.

    Args:
      resolution: S, number of pixels.
      share: side of the crop over the side of the box.
    """
    return ((jnp.arange(resolution, dtype=jnp.float32) + 0.5) / resolution - 0.5) * share


def through(
    homography: Float[Array, "B 3 3"], x: Float[Array, "B S T"], y: Float[Array, "B S T"]
) -> tuple[Float[Array, "B S T"], Float[Array, "B S T"]]:
    """Where homographies take the places (x, y) of a grid."""
    h = homography[:, :, :, None, None]
    across, down, scale = (h[:, i, 0] * x + h[:, i, 1] * y + h[:, i, 2] for i in range(3))
    return across / scale, down / scale


def bilinear(
    image: Num[Array, "B H W 3"], column: Float[Array, "B S T"], row: Float[Array, "B S T"]
) -> Float[Array, "B S T 3"]:
    """Values of images between their pixels; beyond their edges the edge repeats.

    Args:
      image: any numbers.
      column: across, 0 at the centre of the first pixel.
      row: down, 0 at the centre of the first pixel.
    """
    batch, height, width, _ = image.shape
    shape = (*column.shape, 3)
    column, row = jnp.clip(column, 0, width - 1), jnp.clip(row, 0, height - 1)
    left, top = jnp.floor(column).astype(jnp.int32), jnp.floor(row).astype(jnp.int32)
    right, bottom = jnp.minimum(left + 1, width - 1), jnp.minimum(top + 1, height - 1)
    u, v = (column - left)[..., None], (row - top)[..., None]
    flat = image.reshape(batch, height * width, 3)

    def at(row: Array, column: Array) -> Array:
        index = (row * width + column).reshape(batch, -1, 1)
        return jnp.take_along_axis(flat, index, axis=1).reshape(shape).astype(jnp.float32)

    above = (1 - u) * at(top, left) + u * at(top, right)
    below = (1 - u) * at(bottom, left) + u * at(bottom, right)
    return (1 - v) * above + v * below
