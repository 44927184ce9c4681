"""Matrix products of bfloat16 at the speed of the processor.

An accelerator multiplies bfloat16 and sums in float32 by itself. XLA for CPU uses the processor's
bfloat16 instructions only for products whose own type is float32: 420 against 200 GFLOP/s (jax
0.10.2, two Zen 4 cores, 2048 x 2048). And it fails ("Unsupported element type for DotThunk") where
it takes a transposition that follows into such a product; a barrier between them keeps it out.
"""

import functools
from typing import Any

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

_DEEP = 128  # channels that make a product efficient


def on_cpu(equation: str, a: Array, b: Array, dtype: Any = None) -> Array:
    """`jnp.einsum` of two arrays for a program on a CPU, summed in float32 at least.

    Args:
      equation: of `jnp.einsum`.
      a: first factor.
      b: second factor, of the same type.
      dtype: of the result; None for that of the factors.

    Returns:
      The product. Its derivatives are right, but no faster than XLA's.
    """
    sums = jnp.promote_types(a.dtype, jnp.float32)
    product = jnp.einsum(equation, a, b, preferred_element_type=sums)
    if sums != a.dtype:
        product = lax.optimization_barrier(product)
    return product.astype(dtype or a.dtype)


def dot(
    a: Float[Array, "*positions inputs"], b: Float[Array, "inputs outputs"], dtype: Any = None
) -> Float[Array, "*positions outputs"]:
    """The product with a matrix, `on_cpu`."""
    return on_cpu("...i,io->...o", a, b, dtype)


def is_deep_bfloat16(*maps: Float[Array, "..."]) -> bool:
    """Whether maps are of bfloat16, with channels enough to pay for copies before products."""
    return maps[0].dtype == jnp.bfloat16 and max(x.shape[-1] for x in maps) >= _DEEP


def _either(equation, a, b):
    plain = functools.partial(jnp.einsum, equation)
    return lax.platform_dependent(a, b, cpu=functools.partial(on_cpu, equation), default=plain)


@jax.custom_vjp
def batched_matmul(
    x: Float[Array, "networks batch inputs"],
    kernel: Float[Array, "networks inputs outputs"],
) -> Float[Array, "networks batch outputs"]:
    """`catpose.models.ops.batched_matmul` of bfloat16, summed in float32 on a CPU."""
    return _either("kbi,kio->kbo", x, kernel)


def _forward(x, kernel):
    return batched_matmul(x, kernel), (x, kernel)


def _backward(factors, gradient):
    x, kernel = factors
    return _either("kbo,kio->kbi", gradient, kernel), _either("kbi,kbo->kio", x, gradient)


batched_matmul.defvjp(_forward, _backward)
