"""How kernels start: uniform between -limit and +limit, all from a single draw.

XLA takes a third of a second on CPU to compile each call of a random generator, which would be 20 s
for a ResNet-50. So a module fills its kernel with the kernel's limit, and `draw` multiplies all
kernels with slices of one long draw. Whoever calls a module's own init sees the limits.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax import numpy as jnp
from jax import tree_util
from jaxtyping import Array, PRNGKeyArray

Initializer = Callable[..., Array]


def he(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Limit for a convolution (rows, columns, inputs, outputs): sqrt(6 / fan_in).

    Reference: He et al., Delving Deep into Rectifiers, 2015, equation 10.
    """
    return jnp.full(shape, math.sqrt(6 / math.prod(shape[:-1])), dtype)


def glorot(scale: float = 1.0) -> Initializer:
    """Limit for linear maps (..., inputs, outputs): scale * sqrt(6 / (inputs + outputs)).

    Reference: Glorot and Bengio, Understanding the Difficulty of Training ..., 2010, equation 16.
    """

    def limit(key, shape, dtype=jnp.float32):
        return jnp.full(shape, scale * math.sqrt(6 / (shape[-2] + shape[-1])), dtype)

    return limit


def draw(key: PRNGKeyArray, params: dict) -> dict:
    """Parameters with every leaf called "kernel" multiplied by uniform numbers in [-1, 1)."""
    leaves, tree = tree_util.tree_flatten_with_path(params)
    sizes = [leaf.size if path[-1].key == "kernel" else 0 for path, leaf in leaves]
    noise = jax.random.uniform(key, (sum(sizes),), minval=-1.0)
    started, begin = [], 0
    for (_, leaf), size in zip(leaves, sizes, strict=True):
        if size:
            leaf = leaf * noise[begin : begin + size].reshape(leaf.shape)
        started.append(leaf)
        begin += size
    return tree.unflatten(started)
