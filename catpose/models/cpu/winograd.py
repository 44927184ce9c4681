"""3x3 convolutions at stride 1 with 16 products instead of 36, for programs on a CPU.

Winograd's minimal filtering F(2x2, 3x3): four outputs that are neighbors look at a tile of 4 x 4
inputs. With d the tile and k the kernel they are A' [(G k G') * (B' d B)] A, where ' transposes and
* multiplies element by element, summed over the inputs' channels: for all tiles together 16 matrix
products. The matrices hold 0, 1, -1 and 1/2, and the rounding is about that of the plain sum.

A set of tiles is a list of four arrays, one for each column of the tile, of (four rows, tiles,
channels).

Reference: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016, section 4.1.
"""

from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

Padding = tuple[tuple[int, int], tuple[int, int]]


def conv(
    padding: Padding,
    x: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "3 3 inputs outputs"],
) -> Float[Array, "batch new_height new_width outputs"]:
    """Cross-correlate images with a 3x3 kernel at stride 1.

    Args:
      padding: ((top, bottom), (left, right)), rows and columns of zeros, not negative.
      x: feature maps, padded at least 3 x 3.
      kernel: weights, of the same type.

    Returns:
      The responses, in the type of x.
    """
    return _convolve("tpi,tio->tpo", padding, x, kernel)


def image_gradient(
    around: Padding,
    gradient: Float[Array, "batch new_height new_width outputs"],
    kernel: Float[Array, "3 3 inputs outputs"],
) -> Float[Array, "batch height width inputs"]:
    """The gradient with respect to the images of `conv`.

    Args:
      around: rows and columns of zeros around the gradient: 2 less the padding of the convolution.
      gradient: with respect to its result.
      kernel: its kernel.
    """
    # Channels are contracted as they lie: XLA takes up to five times as long to transpose them.
    return _convolve("tpo,tio->tpi", around, gradient, kernel[::-1, ::-1])


def kernel_gradient(
    padding: Padding,
    x: Float[Array, "batch height width inputs"],
    gradient: Float[Array, "batch new_height new_width outputs"],
) -> Float[Array, "3 3 inputs outputs"]:
    """The gradient with respect to the kernel of `conv`.

    Args:
      padding: of the convolution.
      x: its images.
      gradient: with respect to its result.
    """
    pairs = zip(_tiles(padding, x), _gradient_tiles(gradient), strict=True)
    columns = _kernel_gradients([jnp.einsum("tpi,tpo->tio", *pair) for pair in pairs])
    return jnp.stack(_kernel_gradients(jnp.stack(columns, axis=1)))


def _convolve(equation, padding, x, kernel):
    height, width = _output_size(padding, x)
    kernels = [jnp.stack(_weights(column)) for column in _weights(kernel.swapaxes(0, 1))]  # G k G'
    pairs = zip(_tiles(padding, x), kernels, strict=True)
    columns = _outputs([jnp.einsum(equation, *pair) for pair in pairs])
    shape = (len(x), _half(height), _half(width), columns[0].shape[-1])
    columns = [[row.reshape(shape) for row in _outputs(column)] for column in columns]
    y = jnp.stack([jnp.stack(rows, axis=2) for rows in columns], axis=4)
    return y.reshape(len(x), 2 * shape[1], 2 * shape[2], shape[3])[:, :height, :width]


def _output_size(padding, x):
    return [size + sum(sides) - 2 for size, sides in zip(x.shape[1:3], padding, strict=True)]


def _half(size):
    return -(-size // 2)


def _tiles(padding, x):
    """B' d B of all tiles."""
    height, width = _output_size(padding, x)
    (top, bottom), (left, right) = padding
    # Even sizes: what the tiles at the end cover beyond the outputs.
    x = jnp.pad(x, ((0, 0), (top, bottom + height % 2), (left, right + width % 2), (0, 0)))
    rows = _inputs([x[:, i : i + 2 * _half(height) : 2] for i in range(4)])
    # Written once: XLA would compute it again for each column.
    rows = lax.optimization_barrier(jnp.stack(rows))
    columns = _inputs([rows[:, :, :, j : j + 2 * _half(width) : 2] for j in range(4)])
    return [column.reshape(4, -1, x.shape[-1]) for column in columns]


def _gradient_tiles(gradient):
    """A g A' of all tiles, where g is the gradient of a tile's outputs."""
    odd = [(0, size % 2) for size in gradient.shape[1:3]]
    gradient = jnp.pad(gradient, ((0, 0), *odd, (0, 0)))
    rows = jnp.stack(_output_gradients([gradient[:, i::2] for i in range(2)]))
    columns = _output_gradients([rows[:, :, :, j::2] for j in range(2)])
    return [column.reshape(4, -1, gradient.shape[-1]) for column in columns]


# The matrices, applied to a sequence of arrays.


def _inputs(d):
    """B' d."""
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _weights(k):
    """G k."""
    ends, middle = 0.5 * (k[0] + k[2]), 0.5 * k[1]
    return [k[0], ends + middle, ends - middle, k[2]]


def _outputs(m):
    """A' m."""
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def _output_gradients(g):
    """A g."""
    return [g[0], g[0] + g[1], g[0] - g[1], -g[1]]


def _kernel_gradients(m):
    """G' m."""
    ends = 0.5 * (m[1] + m[2])
    return [m[0] + ends, 0.5 * (m[1] - m[2]), ends + m[3]]
