"""What representations share as plain vectors of P outputs: weighted sums and directions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def weighted_sum(
    outputs: Float[Array, "batch networks outputs"], weights: Float[Array, "batch networks"]
) -> Float[Array, "batch outputs"]:
    """Fusion in R^P. With one-hot weights it is exactly the output of the selected network.

    Args:
      outputs: activated outputs of the K pose networks, in any unit.
      weights: weight of each network, summing to 1 over the networks.

    Returns:
      Their weighted sum in at least float32.

    Reference: equations (1) and (2) of the paper.
    """
    # Not a matmul: the default precision of an accelerator would round the outputs.
    dtype = jnp.promote_types(jnp.result_type(outputs, weights), jnp.float32)
    return jnp.sum(outputs.astype(dtype) * weights.astype(dtype)[..., None], axis=1)


def unit(
    vector: Float[Array, "*batch n"], fallback: Float[Array, "*batch n"], shortest: float = 1e-12
) -> Float[Array, "*batch n"]:
    """The direction of a vector.

    Args:
      vector: any vectors.
      fallback: returned for vectors without a direction.
      shortest: vectors of at most this length have none; the default is where the gradient
        would leave the range of float32.

    Returns:
      Vectors of length 1, or the fallback; there the gradient with respect to `vector` is 0.
    """
    squared = jnp.sum(vector * vector, axis=-1, keepdims=True)
    usable = squared > shortest**2
    # Where there is no direction the root gets a harmless argument: `where` alone would let its
    # NaN through in the gradient.
    return jnp.where(usable, vector * jax.lax.rsqrt(jnp.where(usable, squared, 1)), fallback)
