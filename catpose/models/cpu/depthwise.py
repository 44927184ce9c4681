"""Convolutions of each channel by itself, for programs on a CPU.

XLA for a CPU runs a grouped convolution one group after another. Here it is a sum over the taps,
the elements of the kernel: of the input under each, times one number for each channel.
"""

import functools

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from catpose.models.cpu import conv as cpu_conv


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def conv(
    stride: int,
    padding: cpu_conv.Padding,
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "rows columns 1 channels"],
) -> Float[Array, "batch new_height new_width channels"]:
    """`catpose.models.ops.depthwise_conv`; on a CPU as a sum over taps."""
    default = functools.partial(plain, stride, padding)
    on_cpu = functools.partial(_sum_of_taps, stride, padding)
    return lax.platform_dependent(x, kernel, cpu=on_cpu, default=default)


def plain(stride, padding, x, kernel):
    """XLA's own grouped convolution."""
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=cpu_conv.DIMENSIONS,
        feature_group_count=x.shape[-1],
    )


def _forward(stride, padding, x, kernel):
    return conv(stride, padding, x, kernel), (x, kernel)


def _backward(stride, padding, residuals, gradient):
    default = functools.partial(_plain_gradients, stride, padding)
    on_cpu = functools.partial(_gradients, stride, padding)
    return lax.platform_dependent(*residuals, gradient, cpu=on_cpu, default=default)


conv.defvjp(_forward, _backward)


def _plain_gradients(stride, padding, x, kernel, gradient):
    return jax.vjp(functools.partial(plain, stride, padding), x, kernel)[1](gradient)


def _sum_of_taps(stride, padding, x, kernel):
    taps = cpu_conv.inputs_of_taps(x, kernel.shape[:2], stride, padding)
    sums = jnp.promote_types(x.dtype, jnp.float32)
    weights = kernel.reshape(-1, 1, 1, 1, kernel.shape[-1]).astype(sums)
    products = (tap.astype(sums) * weight for tap, weight in zip(taps, weights, strict=True))
    return sum(products).astype(x.dtype)


def _gradients(stride, padding, x, kernel, gradient):
    sums = jnp.promote_types(x.dtype, jnp.float32)
    taps = cpu_conv.inputs_of_taps(x, kernel.shape[:2], stride, padding)
    wide = gradient.astype(sums)
    of_kernel = jnp.stack([(tap.astype(sums) * wide).sum((0, 1, 2)) for tap in taps])
    # The gradient with zeros between its positions, as far apart as they are in x, and around it.
    around = [(0, 0, 0)]
    for axis in (1, 2):
        before = kernel.shape[axis - 1] - 1 - padding[axis - 1][0]
        length = (gradient.shape[axis] - 1) * stride + 1
        after = x.shape[axis] + kernel.shape[axis - 1] - 1 - before - length
        around.append((before, after, stride - 1))
    spread = lax.pad(gradient, jnp.zeros((), gradient.dtype), [*around, (0, 0, 0)])
    of_x = _sum_of_taps(1, cpu_conv.NO_PADDING, spread, kernel[::-1, ::-1])
    return of_x, of_kernel.reshape(kernel.shape).astype(kernel.dtype)
