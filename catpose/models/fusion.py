"""Weights of the pose networks' outputs, from the outputs of the category network.

Reference: Mahendran, Ali and Vidal, section 3.3: the weighted and the top-1 fusion, and the oracle
that is given the true category.
"""

from collections.abc import Callable, Mapping

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int


def weights(
    name: str,
    category_logits: Float[Array, "batch categories"],
    category: Int[Array, " batch"] | None = None,
) -> Float[Array, "batch categories"]:
    """Weight of each category's pose output, per image.

    Args:
      name: "weighted" for the category probabilities, "top1" for 1 at the most probable category
        (no gradient reaches the logits), "oracle" for 1 at the given category.
      category_logits: unnormalized log-probabilities.
      category: the true category; only "oracle" reads it, and needs it.

    Returns:
      Weights of at least 0 that sum to 1, in at least float32.

    Raises:
      ValueError: the name is unknown, or "oracle" was given no category.
    """
    if name not in FUSIONS:
        raise ValueError(f"unknown fusion {name!r}; there are {', '.join(FUSIONS)}")
    if name == "oracle" and category is None:
        raise ValueError("the fusion 'oracle' needs the category")
    dtype = jnp.promote_types(category_logits.dtype, jnp.float32)
    return FUSIONS[name](category_logits.astype(dtype), category)


def _weighted(logits: Array, category: Array | None) -> Array:
    return jax.nn.softmax(logits)


def _top1(logits: Array, category: Array | None) -> Array:
    logits = jax.lax.stop_gradient(logits)
    return jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=jnp.float32)


def _oracle(logits: Array, category: Array | None) -> Array:
    return jax.nn.one_hot(category, logits.shape[-1], dtype=jnp.float32)


FUSIONS: Mapping[str, Callable[[Array, Array | None], Array]] = {
    "weighted": _weighted,
    "top1": _top1,
    "oracle": _oracle,
}
