"""What classifications of the pose share: bins of angles, mixtures over the pose networks.

A classified pose puts out log-probabilities. Over the K networks they mix as probabilities do,
P(bin) = sum over c of P(c) P(bin | c), with P(c) the weights of the fusion. The alternative is the
joint mode: the pair of a category and a pose with the largest P(c) P(pose | c).

Angles are in radians; all n bins of an angle together are the whole circle, whatever its range.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from catpose.geometry import so3
from catpose.poses import base

# Networks of less weight have no say: 1 / weight stays in the range of float32 in the gradient.
SMALLEST_WEIGHT = 1e-30
FUSIONS = ("mixture", "joint")


def log_probabilities(raw: Float[Array, "*batch bins"]) -> Float[Array, "*batch bins"]:
    """Normalizes the outputs of a linear layer over the last axis, in at least float32.

    Args:
      raw: unnormalized log-probabilities.

    Returns:
      Log-probabilities in nats.
    """
    return jax.nn.log_softmax(*so3.at_least_float32(raw))


def tempered(
    log_probability: Float[Array, "... bins"], concentration: Float[Array, "..."] | float, axes: int
) -> Float[Array, "... bins"]:
    """The probabilities to a power, normalized over the last axis.

    Args:
      log_probability: of each bin.
      concentration: the power, a scalar or one for each example.
      axes: how many leading axes examples have.
    """
    by = jnp.asarray(concentration, log_probability.dtype)
    by = jnp.broadcast_to(by, log_probability.shape[:axes])
    by = by[(..., *[None] * (log_probability.ndim - axes))]
    return jnp.where(by == 1, log_probability, log_probabilities(by * log_probability))


def mixture(
    log_probability: Float[Array, "batch networks bins"], weights: Float[Array, "batch networks"]
) -> tuple[Float[Array, "batch bins"], Float[Array, "batch networks bins"]]:
    """Bins marginalized over the networks.

    With one-hot weights it is exactly the log-probability of the selected network.

    Args:
      log_probability: log P(bin | c) of each network c.
      weights: P(c), summing to 1 over the networks.

    Returns:
      log P(bin), and P(c | bin), which sums to 1 over the networks.
    """
    log_probability, weights = so3.at_least_float32(log_probability, weights)
    joint = log_probability + _log(weights)[..., None]
    mixed = jax.nn.logsumexp(joint, axis=1)
    return mixed, jnp.exp(joint - mixed[:, None])


def _log(weights):
    has_say = weights > SMALLEST_WEIGHT
    return jnp.where(has_say, jnp.log(jnp.where(has_say, weights, 1)), -jnp.inf)


def fusion(
    name: str,
    mix: Callable[[Array, Array], Array],
    best: Callable[[Array], Array],
) -> dict[str, Callable | None]:
    """The fields `fuse` and `choose` of a classified representation.

    Args:
      name: "mixture" for the marginal P(bin); "joint" for the outputs of the network c that has
        the largest P(c) P(pose | c), through which the weights get no gradient.
      mix: outputs (B, K, P) and weights (B, K) -> the outputs (B, P) of the mixture; of one-hot
        weights those of the selected network.
      best: outputs (..., P) -> log-probability (...) of the most probable pose.

    Returns:
      The fields of `Pose` by name.

    Raises:
      ValueError: the name is unknown.
    """
    if name not in FUSIONS:
        raise ValueError(f"the fusion of bins is one of {', '.join(FUSIONS)}, not {name!r}")
    if name == "mixture":
        return {"fuse": mix, "choose": None}

    def choose(outputs, weights):
        (weights,) = so3.at_least_float32(weights)
        return jnp.argmax(_log(weights) + best(outputs), axis=-1)

    def fuse(outputs, weights):
        dtype = jnp.promote_types(weights.dtype, jnp.float32)
        chosen = choose(outputs, weights)
        return mix(outputs, jax.nn.one_hot(chosen, weights.shape[-1], dtype=dtype))

    return {"fuse": fuse, "choose": choose}


def cross_entropy(
    log_probability: Float[Array, "*batch bins"], index: Int[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Minus the log-probability of the true bin, in nats.

    Args:
      log_probability: of each bin.
      index: the true bin.

    Returns:
      At least 0.
    """
    return -jnp.take_along_axis(log_probability, index[..., None], axis=-1)[..., 0]


def index(
    angle: Float[Array, "*batch angles"], num_bins: int, first: Float[np.ndarray, " angles"]
) -> Int[Array, "*batch angles"]:
    """The bin that an angle is in.

    Args:
      angle: radians, any value.
      num_bins: n, bins on the circle.
      first: center of bin 0 in widths of a bin, for each of the angles.

    Returns:
      Numbers from 0 to n - 1.
    """
    turn = angle * (num_bins / (2 * np.pi)) - jnp.broadcast_to(first, angle.shape)
    return jnp.floor(turn + 0.5).astype(jnp.int32) % num_bins


def center(
    index: Int[Array, "*batch angles"], num_bins: int, first: Float[np.ndarray, " angles"]
) -> Float[Array, "*batch angles"]:
    """The middle of a bin, in radians; arguments as for `index`."""
    turn = index + jnp.broadcast_to(jnp.asarray(first, jnp.float32), index.shape)
    return turn * (2 * np.pi / num_bins)


def parts(outputs: base.Outputs, *shapes: tuple[int, ...]) -> list[Float[Array, "..."]]:
    """The outputs (..., P) cut into blocks (..., *shape), in order."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    blocks = jnp.split(outputs, ends[:-1], axis=-1)
    return [
        block.reshape(*outputs.shape[:-1], *shape)
        for block, shape in zip(blocks, shapes, strict=True)
    ]


def flat(*blocks: Float[Array, "..."], axes: int) -> base.Outputs:
    """The inverse of `parts`: blocks with `axes` leading axes in common as one vector (..., P)."""
    return jnp.concatenate([block.reshape(*block.shape[:axes], -1) for block in blocks], axis=-1)
