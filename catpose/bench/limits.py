"""The device's highest rates, measured: arithmetic of matrix products, and memory traffic."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp

from catpose.bench import timing


class Limits(NamedTuple):
    """The device's two roofs.

    Attributes:
      flops: floating-point operations per second of large matrix products.
      bytes: read and written per second by a large copy.
    """

    flops: float
    bytes: float


def measure(dtype: str, *, seconds: float = 1.0) -> Limits:
    """Measures both roofs on the first device.

    Args:
      dtype: of the matrix products.
      seconds: how long each is repeated; the fastest repeat counts.
    """
    accelerator = jax.default_backend() != "cpu"
    side = 8192 if accelerator else 2048
    matrix = jnp.full((side, side), 0.5, jnp.dtype(dtype))
    # Into float32 as accelerators sum: XLA for CPU has no fast product of bfloat16 into bfloat16.
    sums = jnp.promote_types(matrix.dtype, jnp.float32)
    product = jax.jit(functools.partial(jnp.matmul, preferred_element_type=sums))
    rate = 2 * side**3 / _fastest(lambda: product(matrix, matrix), seconds)
    size = 1 << (28 if accelerator else 26)
    box = [jnp.zeros(size, jnp.float32)]
    # Donated, so that no new memory is requested from the system, which would be measured instead.
    add = jax.jit(lambda x: x + 1, donate_argnums=0)

    def copy() -> Any:
        box[0] = add(box[0])
        return box[0]

    return Limits(rate, 2 * 4 * size / _fastest(copy, seconds))


def _fastest(call: Callable[[], Any], seconds: float) -> float:
    timer = timing.timer(call)
    timer(1)
    times, until = [timer(1)], time.perf_counter() + seconds
    while time.perf_counter() < until:
        times.append(timer(1))
    return min(times)
