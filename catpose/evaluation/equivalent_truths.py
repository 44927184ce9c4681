"""Densities of poses against all rotations that give the same picture, as on SYMSOL.

The log-likelihood is the mean over the equivalent truths, in nats relative to the uniform
distribution; the spread is the expected angle from a rotation of the density to the nearest of
them. The density is the marginal over the categories.

Reference: Murphy, Esteves, Jampani, Ramalingam and Makadia, Implicit-PDF, 2021, section 4.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from catpose import inference
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.evaluation import certainty, distances
from catpose.experiment.build import Model
from catpose.geometry import point_groups, so3_grid
from catpose.models import joint

UNIFORM = -float(np.log(np.pi**2))  # log-density of the uniform one in the published measure
ROUND = ("conical", "cylindrical")  # the groups with any turn about an axis
_GRID = 8
_TURNS = 60  # of these groups
_MOST = 2 * _TURNS  # truths; every group's number divides it
_APART = 10.0  # degrees within which a mode has found a truth
_LEAST = 100.0  # a mode of less than the best one's density, divided by this, finds none
_AT_ONCE = 10  # examples: bounds the memory


class Scores(NamedTuple):
    """Of one category.

    Attributes:
      log_likelihood: nats above uniform.
      spread_deg: expected angle to the nearest truth.
      found: share of the equivalent truths that have, within 10 degrees, a mode of at least a
        hundredth of the best one's density; where any turn is a symmetry, so that modes are no
        points, any rotation of that density.
      num_images: behind them.
    """

    log_likelihood: float
    spread_deg: float
    found: float
    num_images: int


# The mean over the five solids; 4.10 in the published measure.
PUBLISHED = Scores(4.10 - UNIFORM, float("nan"), float("nan"), 0)


def mean(scores: Sequence[Scores]) -> Scores:
    """The mean over categories, each as much as the others."""
    images = sum(each.num_images for each in scores)
    return Scores(*np.mean([each[:3] for each in scores], axis=0).tolist(), images)


def truths(truth: Examples, group: str, frame: str) -> np.ndarray:
    """All rotations that give the same pictures, (N, G, 3, 3) float32 in a frame.

    Of groups with any turn they are those of every six degrees.
    """
    own = distances.converted(truth.rotation, "camera", frame)
    return np.einsum("bij,gjk->bgik", own, point_groups.elements(group, _TURNS)).astype(np.float32)


def compile_score(model: Model, *, num_searched: int = 20) -> Callable[..., Scores]:
    """What scores examples whose objects all have one group; compiled once for all groups.

    Args:
      model: whose pose has a density; calibrated or not.
      num_searched: of how many examples all modes are sought.

    Returns:
      (predictions, the examples in the same order, a name of `point_groups.NAMES`) -> `Scores`.
    """
    grid = jnp.asarray(so3_grid.rotations(_GRID).reshape(-1, 3, 3), jnp.float32)

    @jax.jit
    def measure(logits: Any, outputs: Any, targets: Any, grid: Any) -> tuple[Any, Any]:
        # The grid is no constant of the program: XLA would evaluate functions of it, slowly.
        density = inference.joint_density(model, logits, outputs)
        likelihood = jax.nn.logsumexp(joint.log_density(density, targets), axis=1).mean(-1)
        weight = jax.nn.softmax(density.density.log_density(own(density), grid[None]))
        spread = jnp.degrees(jnp.sum(weight * _nearest(grid[None], targets), axis=-1))
        return likelihood, spread

    @functools.partial(jax.jit, static_argnames="is_round")
    def search(logits: Any, outputs: Any, targets: Any, grid: Any, is_round: bool) -> Any:
        density = inference.joint_density(model, logits, outputs)
        if is_round:
            height = density.density.log_density(own(density), grid[None])
            modes = jnp.broadcast_to(grid, (len(height), *grid.shape))
        else:
            modes, height = density.density.modes(own(density)[:, 0], _MOST)
        best = jnp.argmax(height, axis=-1)[:, None]
        low = height < jnp.take_along_axis(height, best, axis=1) - np.log(_LEAST)
        first = jnp.take_along_axis(modes, best[..., None, None], axis=1)
        modes = jnp.where(low[..., None, None], first, modes)
        return (jnp.degrees(_nearest(targets, modes)) < _APART).mean(-1)

    def own(density: joint.Joint) -> Any:
        best = density.log_probabilities.argmax(-1)[:, None, None]
        return jnp.take_along_axis(density.outputs, best, axis=1)

    def score(found: Predictions, truth: Examples, group: str) -> Scores:
        every = truths(truth, group, model.input_spec.frame)
        # Each as often as the others: one shape for all groups.
        every = np.tile(every, (1, _MOST // every.shape[1], 1, 1))
        arrays = (found.category_logits, found.pose_outputs, every)
        likelihood, spread = certainty.in_batches(
            lambda *x: measure(*x, grid), *arrays, at_once=_AT_ONCE
        )
        share = certainty.in_batches(
            lambda *x: search(*x, grid, is_round=group in ROUND),
            *(array[:num_searched] for array in arrays),
            at_once=_AT_ONCE,
        )
        means = (float(x.mean()) for x in (likelihood, spread, share))
        return Scores(*means, len(likelihood))

    return score


def _nearest(rotation, others):
    """Angle in radians (B, n) from rotations (B, n, 3, 3) to the nearest of others (B, g, 3, 3)."""
    rotation, others = (x.reshape(*x.shape[:-2], 9) for x in (rotation, others))
    rotation = jnp.broadcast_to(rotation, (len(others), *rotation.shape[1:]))
    trace = jnp.einsum("bnp,bgp->bng", rotation, others, precision="highest").max(-1)
    return jnp.arccos(jnp.clip((trace - 1) / 2, -1, 1))
