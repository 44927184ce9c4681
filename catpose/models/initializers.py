"""How kernels are initialized: uniform between -limit and +limit, all from a single draw.

XLA takes a third of a second on CPU to compile each call of a random generator, which would be 20 s
for a ResNet-50. So `he` and `glorot` fill a kernel with its limit, marked as a `Limit`, and `draw`
multiplies these kernels with slices of one long draw. Layers with other initializers, such as
flax's, keep what those drew.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn
from jax import numpy as jnp
from jax import tree_util
from jaxtyping import PRNGKeyArray

Initializer = Callable[..., Any]


class Limit(nn.Partitioned):
    """A kernel that `draw` has not multiplied yet; flax hands layers its value."""

    names: tuple[str | None, ...] = ()


def he(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Limit:
    """Limit for a convolution (rows, columns, inputs, outputs): sqrt(6 / fan_in).

    Reference: He et al., Delving Deep into Rectifiers, 2015, equation 10.
    """
    return Limit(jnp.full(shape, math.sqrt(6 / math.prod(shape[:-1])), dtype))


def glorot(scale: float = 1.0) -> Initializer:
    """Limit for linear maps (..., inputs, outputs): scale * sqrt(6 / (inputs + outputs)).

    Reference: Glorot and Bengio, Understanding the Difficulty of Training ..., 2010, equation 16.
    """

    def limit(key, shape, dtype=jnp.float32):
        return Limit(jnp.full(shape, scale * math.sqrt(6 / (shape[-2] + shape[-1])), dtype))

    return limit


def draw(key: PRNGKeyArray, params: dict) -> dict[str, Any]:
    """Parameters with every `Limit` multiplied by uniform numbers in [-1, 1)."""

    def is_limit(leaf: Any) -> bool:
        return isinstance(leaf, Limit)

    leaves, tree = tree_util.tree_flatten(params, is_leaf=is_limit)
    sizes = [leaf.value.size if is_limit(leaf) else 0 for leaf in leaves]
    noise = jax.random.uniform(key, (sum(sizes),), minval=-1.0)
    filled, begin = [], 0
    for leaf, size in zip(leaves, sizes, strict=True):
        if size:
            leaf = leaf.value * noise[begin : begin + size].reshape(leaf.value.shape)
        filled.append(leaf)
        begin += size
    return tree.unflatten(filled)
