"""Conformal sets: the categories and rotations among which the truth is, as often as promised.

A set is made of pairs of a category and a cell of SO(3), of which there are 4608 of equal volume
(about 15 degrees wide). The score of a pair is the probability of all pairs that are more probable;
so a set with the scores up to a threshold is the smallest of its probability, and grows where the
model is unsure. The thresholds are quantiles of the true pairs' scores on examples that training
did not see: whatever the model, new examples of their kind are covered as often. They are taken
within each quarter of the model's own spread, else the easy quarter would be covered too often and
the hard one too rarely.

References: Romano, Sesia and Candes, Classification with Valid and Adaptive Coverage, 2020 (the
score); Vovk, Conditional Validity of Inductive Conformal Predictors, 2012 (groups).
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from catpose.experiment import calibration
from catpose.geometry import so3_grid
from catpose.models import joint

LEVELS = (0.8, 0.9, 0.95)
NUM_SIDE = 4  # of the grid: 72 * 4^3 cells


def cells() -> Float[np.ndarray, "G 3 3"]:
    """The centers of the cells, frame of learning."""
    return so3_grid.rotations(NUM_SIDE).reshape(-1, 3, 3)


def masses(density: joint.Joint) -> Float[Array, "B pairs"]:
    """The probability of every pair of category and cell, category by category."""
    # XLA would evaluate functions of constants while it compiles, slowly.
    centers = jax.lax.optimization_barrier(jnp.asarray(cells(), density.outputs.dtype))
    given = density.density.log_density(density.outputs[:, :, None], centers[None, None])
    log_mass = density.log_probabilities[:, :, None] + jax.nn.log_softmax(given)
    return jnp.exp(log_mass).reshape(len(log_mass), -1)


def pairs(category: Int[Array, "B"], rotation: Float[Array, "B 3 3"]) -> Int[Array, "B"]:
    """The index of the pair that a category and a rotation are in, that of the nearest center."""
    centers = jnp.asarray(cells(), rotation.dtype)
    traces = jnp.sum(rotation[:, None] * centers[None], axis=(-2, -1))
    return category * len(centers) + jnp.argmax(traces, axis=-1)


def score(masses: Float[Array, "B pairs"], pair: Int[Array, "B"]) -> Float[Array, "B"]:
    """The probability of all pairs that are more probable than the given one; 0 for the first."""
    own = jnp.take_along_axis(masses, pair[:, None], axis=1)
    return _above(masses, own)


def volume(masses: Float[Array, "B pairs"], threshold: Float[Array, "B"]) -> Float[Array, "B"]:
    """The sum over categories of the share of all rotations that is in the set."""

    # The least mass of a member, by bisection: sorting takes twenty times as long.
    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        is_outside = (_above(masses, jnp.exp(middle)) > threshold)[:, None]
        return jnp.where(is_outside, middle, low), jnp.where(is_outside, high, middle)

    ends = (jnp.full((len(masses), 1), end, masses.dtype) for end in (-90.0, 0.0))
    _, least = jax.lax.fori_loop(0, 32, halve, tuple(ends))
    return jnp.sum(masses >= jnp.exp(least), axis=1) / len(cells())


def _above(masses, least):
    return jnp.sum(jnp.where(masses > least, masses, 0), axis=1)


def fit(
    score: Float[np.ndarray, "N"],
    spread_deg: Float[np.ndarray, "N"],
    levels: Sequence[float] = LEVELS,
) -> calibration.Sets:
    """The thresholds that cover the true pairs.

    Args:
      score: of the true pairs of N examples.
      spread_deg: of the model on them.
      levels: of coverage.
    """
    limits = np.quantile(spread_deg, [0.25, 0.5, 0.75])
    group = np.searchsorted(limits, spread_deg)
    members = [np.sort(score[group == i]) for i in range(4)]
    found = [[_quantile(own, level) for own in members] for level in levels]
    return calibration.Sets(tuple(levels), tuple(limits.tolist()), tuple(map(tuple, found)))


def _quantile(ascending: np.ndarray, level: float) -> float:
    """The smallest threshold that covers a new example with this probability; 1 covers all."""
    rank = math.ceil(level * (len(ascending) + 1))
    return float(ascending[rank - 1]) if rank <= len(ascending) else 1.0


def thresholds(
    sets: calibration.Sets, level: float, spread_deg: Float[Array, "B"]
) -> Float[Array, "B"]:
    """The threshold of each example's set."""
    group = jnp.searchsorted(jnp.array(sets.spread_deg), spread_deg)
    return jnp.array(sets.score[sets.levels.index(level)])[group]
