"""The operations of which a network's layers are made.

On accelerators they are XLA's own. XLA for a CPU has weak spots, which the formulations in
`catpose.models.cpu` avoid; they are chosen here and nowhere else, when a program is lowered for a
platform. docs/cpu.md says what they gain. `CATPOSE_CPU_FORMULATIONS=0` in the environment switches
them off.
"""

import os

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from catpose.models.cpu import conv as cpu_conv
from catpose.models.cpu import depthwise, products

CPU_FORMULATIONS = os.environ.get("CATPOSE_CPU_FORMULATIONS", "1") != "0"


def conv(
    x: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "rows columns inputs outputs"],
    *,
    stride: int = 1,
    padding: cpu_conv.Padding = cpu_conv.NO_PADDING,
) -> Float[Array, "batch new_height new_width outputs"]:
    """Cross-correlate images with a kernel, as `lax.conv_general_dilated` does.

    Args:
      x: images or feature maps, any float type.
      kernel: weights, of the same type as x.
      stride: step in both directions, at least 1.
      padding: ((top, bottom), (left, right)), rows and columns of zeros, not negative.

    Returns:
      The responses, in the type of x. Only reverse-mode derivatives are defined.
    """
    function = cpu_conv.conv if CPU_FORMULATIONS else cpu_conv.plain
    return function(stride, padding, x, kernel)


def depthwise_conv(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "rows columns 1 channels"],
    *,
    stride: int = 1,
    padding: cpu_conv.Padding = cpu_conv.NO_PADDING,
) -> Float[Array, "batch new_height new_width channels"]:
    """Cross-correlate each channel with a kernel of its own; arguments as of `conv`."""
    function = depthwise.conv if CPU_FORMULATIONS else depthwise.plain
    return function(stride, padding, x, kernel)


def batched_matmul(
    x: Float[Array, "networks batch inputs"],
    kernel: Float[Array, "networks inputs outputs"],
) -> Float[Array, "networks batch outputs"]:
    """The product of each matrix with its own kernel.

    Args:
      x: a matrix of inputs for each network.
      kernel: a matrix of weights for each, of the same type.

    Returns:
      Outputs in the type of x. In bfloat16 only reverse-mode derivatives are defined.
    """
    if CPU_FORMULATIONS and x.dtype == jnp.bfloat16:
        return products.batched_matmul(x, kernel)
    return jnp.einsum("kbi,kio->kbo", x, kernel)


@jax.custom_vjp
def relu(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """The larger of x and 0, whose gradient is read off the result.

    On CPU the result is written to memory, where the next convolution and the backward pass find
    it: XLA would compute it anew for each, along all blocks before.
    """
    y = jnp.maximum(x, 0)
    if not CPU_FORMULATIONS:
        return y
    return lax.platform_dependent(y, cpu=lax.optimization_barrier, default=lambda y: y)


def _relu_forward(x):
    y = relu(x)
    return y, y


def _relu_backward(y, gradient):
    return (jnp.where(y > 0, gradient, jnp.zeros_like(gradient)),)


relu.defvjp(_relu_forward, _relu_backward)
