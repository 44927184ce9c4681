"""Densities of poses against all rotations that give the same picture, as on SYMSOL.

The log-likelihood is the mean over the equivalent truths, in nats relative to the uniform
distribution; the spread is the expected angle from a rotation of the density to the nearest of
them. The density is the marginal over the categories.

Reference: Murphy, Esteves, Jampani, Ramalingam and Makadia, Implicit-PDF, 2021, section 4.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose.data.examples import Examples
from catpose.experiment.build import Model
from catpose.geometry import point_groups, so3_grid, viewpoint

UNIFORM = -float(np.log(np.pi**2))  # log-density of the uniform one in the published measure
_GRID = 8
_TURNS = 60  # of groups with any turn
_APART = 10.0  # degrees within which a mode has found a truth
_LEAST = 100.0  # a mode of less than the best one's density, divided by this, finds none


class Scores(NamedTuple):
    """Of one category.

    Attributes:
      log_likelihood: nats above uniform.
      spread_deg: expected angle to the nearest truth.
      found: share of the equivalent truths that have, within 10 degrees, a mode of at least a
        hundredth of the best one's density; NaN where any turn is a symmetry.
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


def score(
    model: Model,
    variables: dict,
    split: Examples,
    group: str,
    *,
    batch_size: int = 10,
    num_searched: int = 20,
    progress_fn: Callable[[int], object] = lambda done: None,
) -> Scores:
    """Scores of a split whose objects all have one group.

    Args:
      model: whose pose has a density.
      variables: of its network.
      split: decoded examples without a margin.
      group: a name of `point_groups.NAMES`.
      batch_size: pictures at once.
      num_searched: of how many pictures all modes are sought.
      progress_fn: is called with the number of examples done after each batch.
    """
    density, spec = model.pose.density, model.input_spec
    elements = jnp.asarray(point_groups.elements(group, _TURNS), jnp.float32)
    discrete = group not in ("conical", "cylindrical")
    grid = jnp.asarray(so3_grid.rotations(_GRID).reshape(1, -1, 3, 3), jnp.float32)

    @jax.jit
    def measure(
        image: Array, rotation: Array, grid: Array
    ) -> tuple[Float[Array, "B"], Float[Array, "B"], Array]:
        # The grid is no constant of the program: XLA would evaluate functions of it, slowly.
        outputs, _ = model.network.apply_fn(variables, spec.normalize(image), tied=model.tied)
        share = jax.nn.log_softmax(outputs.category_logits)
        target = viewpoint.convert_frame(rotation, "camera", spec.frame)
        truths = jnp.einsum("bij,gjk->bgik", target, elements, precision="highest")
        each = density.log_density(outputs.pose_outputs[:, :, None], truths[:, None])
        likelihood = jax.nn.logsumexp(each + share[:, :, None], axis=1).mean(-1)
        best = share.argmax(-1)[:, None, None]
        own = jnp.take_along_axis(outputs.pose_outputs, best, axis=1)
        weight = jax.nn.softmax(density.log_density(own, grid))
        angle = _nearest(grid, truths)
        return likelihood, jnp.degrees(jnp.sum(weight * angle, axis=-1)), own[:, 0]

    @jax.jit
    def search(outputs: Array, rotation: Array) -> Float[Array, "B"]:
        modes, height = density.modes(outputs, len(elements))
        low = height < height[:, :1] - np.log(_LEAST)
        modes = jnp.where(low[..., None, None], modes[:, :1], modes)
        target = viewpoint.convert_frame(rotation, "camera", spec.frame)
        truths = jnp.einsum("bij,gjk->bgik", target, elements, precision="highest")
        return (jnp.degrees(_nearest(truths, modes)) < _APART).mean(-1)

    likelihood, spread, found = [], [], []
    for begin in range(0, len(split.id), batch_size):
        here = slice(begin, begin + batch_size)
        rotation = jnp.asarray(split.rotation[here])
        one, two, outputs = measure(jnp.asarray(split.image[here]), rotation, grid)
        likelihood.append(one)
        spread.append(two)
        if discrete and begin < num_searched:
            found.append(search(outputs, rotation))
        progress_fn(len(one))
    likelihood, spread = np.concatenate(likelihood), np.concatenate(spread)
    share = float(np.concatenate(found).mean()) if discrete else float("nan")
    return Scores(float(likelihood.mean()), float(spread.mean()), share, len(likelihood))


def _nearest(rotation, others):
    """Angle in radians (B, n) from rotations (B, n, 3, 3) to the nearest of others (B, g, 3, 3)."""
    rotation, others = (x.reshape(*x.shape[:-2], 9) for x in (rotation, others))
    rotation = jnp.broadcast_to(rotation, (len(others), *rotation.shape[1:]))
    trace = jnp.einsum("bnp,bgp->bng", rotation, others, precision="highest").max(-1)
    return jnp.arccos(jnp.clip((trace - 1) / 2, -1, 1))
