"""Weights of the pose networks' outputs, from the outputs of the category network.

Reference: Mahendran, Ali and Vidal, section 3.3: the weighted and the top-1 fusion, and the oracle
that is given the true category.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

FUSIONS = ("weighted", "top1", "oracle")


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
    logits = category_logits.astype(jnp.promote_types(category_logits.dtype, jnp.float32))
    if name == "weighted":
        return jax.nn.softmax(logits)
    if name == "top1":
        category = jax.lax.stop_gradient(logits).argmax(-1)
    return jax.nn.one_hot(category, logits.shape[-1], dtype=jnp.float32)
