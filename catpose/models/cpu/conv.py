"""Two-dimensional convolution, without the cases that XLA makes slow on CPU.

Images are NHWC and kernels HWIO. On accelerators a convolution is `lax.conv_general_dilated`. XLA's
CPU convolutions have eight weak spots, which this module avoids. (Measured on jax 0.10.2, two
cores, batch 32 unless said otherwise.) Seven become matrix products.

1x1 kernels: the gradient with respect to the kernel takes 38 ms where one product over all
positions takes 7 ms (16 x 16 positions, 64 to 256 channels).

Maps with fewer positions than the kernel has taps, as in the last stage of a ResNet at 64 pixels:
XLA falls back to plain loops, 1010 ms for 3x3 x 512 x 512 on 2 x 2 positions. As a product over the
image patches (im2col) it takes 9 ms. Patches everywhere would cost two to four times XLA's time on
the larger maps.

Kernels at stride 2: the images' gradient, put together from that of patches, takes 13 ms instead
of 20 for 3x3 x 512 x 512 on 14 x 14 positions (batch 8), and less than XLA's at any number of
channels; from 256 on (in float32, to 9 taps) patches are as fast or faster in all directions.

Images of three channels: 3x3 kernels to 24 channels take 26 ms at 64 pixels, as patches 4 ms (to 16
channels both take 5 ms).

The gradient with respect to a larger kernel, on all other maps: as products of its own
(kernel_gradient.py) the quickstart's step takes 0.9 of the time; ResNet-50's is the same. Its thin
images take one for each row of the kernel, whose columns lie side by side as channels: 50 ms for
the stem at 224 pixels (batch 8), by elements 109 ms.

Narrow maps of few channels, with kernels that keep the size: XLA divides width and outputs among
the cores, neither images nor rows, and 3x3 x 64 x 64 on 56 x 56 positions take as long as on twice
the width. With images side by side in one wide map, ResNet-50's inference takes 0.95 of the time,
its step 0.94.

Kernels of 3x3 at stride 1, of 64 channels and more: Winograd's tiles (winograd.py) take less than
half the products. For 3x3 x 256 x 256 on 14 x 14 positions (batch 8): 7 instead of 11 ms
forwards, 8 of 13 for the images' gradient and 8 of 12 for the kernel's. With few
positions the kernel's tiles cost more than they save; and of 64 channels, which XLA multiplies
slowly, the blocks of kernel_gradient.py are faster.

Deep maps of bfloat16, of 128 channels and more: XLA's convolutions do not use the processor's
bfloat16 instructions, its products do (see products.py). One for each element of the kernel,
forwards and backwards, take 5.3 ms for 3x3 x 256 x 256 on 14 x 14 positions (batch 8), where
float32 takes 9.8; ResNet-50's step takes 0.65 of the time. (In float32 they do not help.)

The branch is chosen when the program is lowered for a platform, so an exported function can hold
both.
"""

import functools
import math

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from catpose.models.cpu import kernel_gradient, products, winograd

Padding = winograd.Padding
NO_PADDING: Padding = ((0, 0), (0, 0))
DIMENSIONS = ("NHWC", "HWIO", "NHWC")
_STRIDED = 256  # channels from which patches at a stride pay in all directions
_MANY = 384  # positions that pay for transforming a kernel
_WIDE = 8192  # columns times outputs that give two cores their work


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def conv(
    stride: int,
    padding: Padding,
    x: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "rows columns inputs outputs"],
) -> Float[Array, "batch new_height new_width outputs"]:
    """`catpose.models.ops.conv`, in the formulation that is fastest on the program's platform."""
    default = functools.partial(plain, stride, padding)
    if _is_slow(stride, x, kernel):
        on_cpu = functools.partial(_product, stride, padding)
    elif products.is_deep_bfloat16(x):
        on_cpu = functools.partial(_tap_products, stride, padding)
    elif _is_worth_tiles(stride, x, kernel):
        on_cpu = functools.partial(winograd.conv, padding)
    elif _num_side_by_side(stride, padding, x, kernel) > 1:
        on_cpu = functools.partial(_slide, padding)
    else:
        return default(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=on_cpu, default=default)


def _forward(stride, padding, x, kernel):
    return conv(stride, padding, x, kernel), (x, kernel)


def _backward(stride, padding, residuals, gradient):
    x, kernel = residuals
    default = functools.partial(_plain_gradients, stride, padding)
    product = _product_gradients if _is_slow(stride, gradient, kernel) else _sliding_gradients
    product = functools.partial(product, stride, padding)
    return lax.platform_dependent(x, kernel, gradient, cpu=product, default=default)


conv.defvjp(_forward, _backward)


def _is_slow(stride, x, kernel):
    """Whether XLA on CPU is slow at sliding this kernel over this map."""
    rows, columns, inputs, outputs = kernel.shape
    num_taps = rows * columns
    strided = stride > 1 and min(inputs, outputs) >= _STRIDED and x.dtype != jnp.bfloat16
    few = (_is_thin(kernel) or strided) and num_taps <= 9
    return num_taps == 1 or few or math.prod(x.shape[1:3]) < num_taps


def _is_thin(kernel):
    """Whether it looks at images, or at maps of no more channels."""
    return kernel.shape[2] <= 4


def _is_worth_tiles(stride, x, kernel):
    """Whether Winograd's tiles save more than it costs to make them and to transform the kernel."""
    count, height, width, _ = x.shape
    many = count * height * width >= _MANY and min(height, width) >= 3
    wide = min(kernel.shape[2:]) >= 64 and jnp.finfo(x.dtype).bits >= 32
    return stride == 1 and kernel.shape[:2] == (3, 3) and many and wide


def plain(
    stride: int,
    padding: Padding,
    x: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "rows columns inputs outputs"],
) -> Float[Array, "batch new_height new_width outputs"]:
    """XLA's own convolution."""
    strides = (stride, stride)
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=DIMENSIONS)


def _num_side_by_side(stride, padding, x, kernel):
    """How many images make a map wide enough for XLA on CPU; 1 where it is, or none would help.

    Each device has whole maps, so that nothing is exchanged.
    """
    count, _, width, _ = x.shape
    _, columns, _, outputs = kernel.shape
    keeps_width = stride == 1 and columns % 2 and padding[1] == (columns // 2, columns // 2)
    if not keeps_width:
        return 1
    enough = [
        number
        for number in range(1, count + 1)
        if count % (number * jax.device_count()) == 0
        and number * (width + columns // 2) * outputs >= _WIDE
    ]
    return min(enough, default=1)


def _slide(padding, x, kernel):
    """`plain` at stride 1, with images side by side where that is faster on CPU."""
    number = _num_side_by_side(1, padding, x, kernel)
    if number == 1:
        return plain(1, padding, x, kernel)
    count, _, width, _ = x.shape
    between = padding[1][0]  # columns of zeros that neighbors share
    x = jnp.pad(x, ((0, 0), (0, 0), (0, between), (0, 0)))
    x = x.reshape(-1, number, *x.shape[1:]).swapaxes(1, 2)
    y = plain(1, padding, x.reshape(*x.shape[:2], -1, x.shape[-1]), kernel)
    y = y.reshape(*y.shape[:2], number, width + between, y.shape[-1])[:, :, :, :width]
    return y.swapaxes(1, 2).reshape(count, -1, width, y.shape[-1])


def _plain_gradients(stride, padding, x, kernel, gradient):
    return jax.vjp(functools.partial(plain, stride, padding), x, kernel)[1](gradient)


def _product(stride, padding, x, kernel):
    return products.dot(_patches(x, kernel.shape[:2], stride, padding), _matrix(kernel))


def _product_gradients(stride, padding, x, kernel, gradient):
    patches = _patches(x, kernel.shape[:2], stride, padding)
    of_kernel = kernel_gradient.of_taps([patches], gradient).reshape(kernel.shape)
    return _patch_gradient(stride, padding, x, kernel, gradient), of_kernel


def _patch_gradient(stride, padding, x, kernel, gradient):
    """The images' gradient, put together from that of their patches."""
    cut = functools.partial(_patches, size=kernel.shape[:2], stride=stride, padding=padding)
    sums = jnp.promote_types(x.dtype, jnp.float32)
    parts = products.dot(gradient, _matrix(kernel).T, sums)
    return jax.vjp(cut, x.astype(sums))[1](parts)[0].astype(x.dtype)


def _tap_products(stride, padding, x, kernel):
    taps = inputs_of_taps(x, kernel.shape[:2], stride, padding)
    matrices = kernel.reshape(-1, *kernel.shape[2:])
    parts = (products.dot(*pair, jnp.float32) for pair in zip(taps, matrices, strict=True))
    return sum(parts).astype(x.dtype)


def _sliding_gradients(stride, padding, x, kernel, gradient):
    of_kernel = _sliding_kernel_gradient(stride, padding, x, kernel, gradient)
    if stride > 1:
        return _patch_gradient(stride, padding, x, kernel, gradient), of_kernel
    around = tuple(
        tuple(size - 1 - zeros for zeros in sides)
        for size, sides in zip(kernel.shape[:2], padding, strict=True)
    )
    if min(map(min, around)) >= 0:
        if products.is_deep_bfloat16(gradient):
            turned = kernel[::-1, ::-1].swapaxes(2, 3)
            return _tap_products(1, around, gradient, turned), of_kernel
        if _is_worth_tiles(1, gradient, kernel):
            return winograd.image_gradient(around, gradient, kernel), of_kernel
    slide = functools.partial(_slide, padding, kernel=kernel)
    return *jax.vjp(slide, x)[1](gradient), of_kernel


def _sliding_kernel_gradient(stride, padding, x, kernel, gradient):
    # Up to 64 outputs blocks are faster than 16 products of few columns.
    if _is_worth_tiles(stride, gradient, kernel) and kernel.shape[3] > 64:
        return winograd.kernel_gradient(padding, x, gradient)
    taps = inputs_of_taps(x, kernel.shape[:2], stride, padding)
    if _is_thin(kernel):
        # Those of a row side by side: narrow products waste the vector units.
        number = kernel.shape[1]
        rows = [taps[first : first + number] for first in range(0, len(taps), number)]
        taps = [jnp.concatenate(row, axis=-1) for row in rows]
    return kernel_gradient.of_taps(taps, gradient).reshape(kernel.shape)


def _patches(x, size, stride, padding):
    """The inputs under the kernel at each position, (B, H', W', rows * columns * inputs)."""
    taps = inputs_of_taps(x, size, stride, padding)
    return taps[0] if len(taps) == 1 else jnp.concatenate(taps, axis=-1)


def inputs_of_taps(x, size, stride, padding):
    """The inputs under each element of the kernel, row by row, (B, H', W', inputs)."""
    if padding != NO_PADDING:
        x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    height, width = (
        (n - k) // stride * stride + 1 for n, k in zip(x.shape[1:], size, strict=False)
    )
    return [
        x[:, i : i + height : stride, j : j + width : stride]
        for i in range(size[0])
        for j in range(size[1])
    ]


def _matrix(kernel):
    return kernel.reshape(math.prod(kernel.shape[:3]), kernel.shape[3])
