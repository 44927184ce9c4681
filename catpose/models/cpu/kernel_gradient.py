"""The gradient with respect to a convolution's kernel, as matrix products, for programs on a CPU.

One product over all positions for each tap, an element of the kernel: of the inputs under it,
transposed, with the gradient. (Measured on jax 0.10.2, two cores, batch 8.)

Large maps of 64 channels and more share one transposed gradient, and of few outputs are multiplied
block by block: 28 instead of 45 ms for 3x3 x 64 x 64 on 56 x 56 positions.

Of deep maps of bfloat16 (products.py) either factor is transposed once, in memory: XLA would do it,
slowly, within each product. (In float32 that does not help.)
"""

import math
from collections.abc import Sequence

from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from catpose.models.cpu import products

_BLOCK = {64: 512, 128: 2048}  # positions of a block, by outputs; of other numbers all positions


def of_taps(
    taps: Sequence[Float[Array, "batch height width inputs"]],
    gradient: Float[Array, "batch height width outputs"],
) -> Float[Array, "taps inputs outputs"]:
    """The gradient with respect to a kernel, given as one matrix for each of its taps.

    Args:
      taps: the inputs under each element of the kernel, or under each group of elements side by
        side as channels, at each position of the result.
      gradient: with respect to the result, of the same type.

    Returns:
      The gradients of the taps' matrices, in that type, summed in float32 at least.
    """
    if not products.is_deep_bfloat16(gradient, *taps):
        if _are_large(taps, gradient):
            return _in_blocks(taps, gradient)
        gradient = _rows(gradient)
        return jnp.stack([products.dot(_rows(tap).T, gradient) for tap in taps])
    if len(taps) == 1 and taps[0].shape[-1] < gradient.shape[-1]:
        return products.dot(_columns(taps[0]), _rows(gradient))[None]
    columns = _columns(gradient)
    return jnp.stack([products.dot(columns, _rows(tap)) for tap in taps]).swapaxes(1, 2)


def _are_large(taps, gradient):
    """Whether one transposition pays for the products of all taps with it."""
    positions = math.prod(gradient.shape[:3])
    channels = min(taps[0].shape[-1], gradient.shape[-1])
    return len(taps) > 1 and positions >= 1024 and channels >= 64


def _in_blocks(taps, gradient):
    """`of_taps`, as products of blocks of positions that a core's own cache holds."""
    outputs, sums = gradient.shape[-1], jnp.promote_types(gradient.dtype, jnp.float32)
    count = _num_blocks(math.prod(gradient.shape[:3]), _BLOCK.get(outputs, math.inf))
    columns, *blocks = [x.reshape(count, -1, x.shape[-1]) for x in (gradient, *taps)]
    columns = lax.optimization_barrier(columns.swapaxes(1, 2))
    parts = [products.on_cpu("top,tpi->toi", columns, block, sums).sum(0) for block in blocks]
    return jnp.stack(parts).swapaxes(1, 2).astype(gradient.dtype)


def _num_blocks(positions, least):
    """The most equal blocks of so many positions at least, 1 or more."""
    most = max(1, int(positions // least))
    return max(count for count in range(1, most + 1) if positions % count == 0)


def _rows(x):
    """Positions by channels. (XLA would transpose a map, slowly, to contract its positions.)"""
    return x.reshape(-1, x.shape[-1])


def _columns(x):
    """Channels by positions, in memory too.

    XLA takes the transpose of a matrix into the product, and makes it there, slowly, of whichever
    factor comes first, again for each product. Of a map with rows it does not.
    """
    return x.reshape(-1, *x.shape[2:]).transpose(2, 0, 1).reshape(x.shape[-1], -1)
