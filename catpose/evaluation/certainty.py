"""What a network with a density says of its own certainty, for a whole split.

All of it follows from the network's outputs, which `Predictions` keep, and the calibration.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from catpose import inference, metrics
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.evaluation import distances, sets
from catpose.experiment import build
from catpose.geometry import so3_grid, symmetry
from catpose.models import joint

_AT_ONCE = 24  # examples: bounds the memory, of which their cells take most


def true_rotation(model: build.Model, truth: Examples, found: Predictions) -> np.ndarray:
    """The true rotations, (N, 3, 3) float32 in the frame of learning.

    Where the model respects symmetries it is the equivalent that is nearest to the pose network of
    the true category, as in training.
    """
    frame = model.input_spec.frame
    target = distances.converted(truth.rotation, "camera", frame).astype(np.float32)
    if model.symmetry is None:
        return target
    own = found.network_rotation[np.arange(len(target)), truth.category]
    return np.asarray(symmetry.nearest(own, target, jnp.asarray(model.symmetry[truth.category])))


def maps(
    model: build.Model, found: Predictions, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The marginal densities of some examples on a fine grid, for pictures.

    Returns:
      (G, 3) azimuth, elevation and theta of its rotations in degrees, frame "camera"; (n, G)
      probabilities that sum to 1.
    """
    grid = jnp.asarray(so3_grid.rotations(8).reshape(-1, 3, 3), jnp.float32)
    spread_out = compile_marginal(model)
    parts = [
        spread_out(found.category_logits[i : i + 1], found.pose_outputs[i : i + 1], grid)
        for i in index
    ]
    _, angles = inference.in_camera(grid, model.input_spec.frame)
    return np.asarray(angles), np.concatenate(parts)


def compile_marginal(model: build.Model) -> Callable:
    """What spreads the density of an example out on a grid, compiled.

    Returns:
      `((1, K) logits, (1, K, P) outputs, (G, 3, 3) rotations)` -> (1, G) probabilities.
    """

    @jax.jit
    def spread_out(logits: Any, outputs: Any, grid: Any) -> Any:
        # The grid is no constant of the program: XLA would evaluate functions of it, slowly.
        density = inference.joint_density(model, logits, outputs)
        return jax.nn.softmax(jax.nn.logsumexp(joint.log_density(density, grid[None]), axis=1))

    return spread_out


def in_batches(function: Callable[..., Any], *arrays: np.ndarray, at_once: int = _AT_ONCE) -> Any:
    """`function` of batches of equal size, the results joined; the padding is left out."""
    size = len(arrays[0])
    parts = []
    for begin in range(0, size, at_once):
        index = np.minimum(np.arange(begin, begin + at_once), size - 1)
        real = min(at_once, size - begin)
        result = jax.device_get(function(*(array[index] for array in arrays)))
        parts.append(jax.tree.map(lambda x, real=real: np.asarray(x)[:real], result))
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def add(model: build.Model, truth: Examples, found: Predictions) -> Predictions:
    """Predictions with what the calibrated model says of its certainty, and how true it was.

    Args:
      model: with or without a calibration. Without one there are no sets and no confidence of the
        pose: what is not calibrated is not said.
      truth: the examples.
      found: the model's predictions of them, in the same order; they are returned as they are
        where its poses have no density.
    """
    if found.pose_outputs is None:
        return found
    target = true_rotation(model, truth, found)
    columns = in_batches(
        compile_judge(model),
        found.category_logits,
        found.pose_outputs,
        np.asarray(truth.category),
        target,
    )
    if index := columns.pop("index", None):
        names = np.array(model.categories)
        columns["category"] = {fusion: names[own] for fusion, own in index.items()}
    return found._replace(**columns)


def compile_judge(model: build.Model) -> Callable:
    """What `add` knows of examples, compiled.

    Returns:
      `((B, K) logits, (B, K, P) outputs, (B,) true categories, (B, 3, 3) true rotations)` -> new
      columns of the predictions, and the "index" of the category that each fusion finds.
    """
    calibration = model.calibration

    @jax.jit
    def judge(logits: Any, outputs: Any, category: Any, target: Any) -> dict[str, Any]:
        density = inference.joint_density(model, logits, outputs)
        every = joint.log_density(density, target[:, None])[..., 0]
        own = jnp.take_along_axis(every, category[:, None], axis=1)[:, 0]
        share = jnp.take_along_axis(density.log_probabilities, category[:, None], axis=1)[:, 0]
        result = {"log_density": own, "pose_log_density": own - share}
        if calibration is None:
            return result
        answer = inference.decide(model, logits, outputs, category=category)
        # The oracle is given the category.
        known = jax.nn.one_hot(category, logits.shape[-1], dtype=bool)
        given = density._replace(log_probabilities=jnp.where(known, 0.0, -jnp.inf))
        spread, masses = joint.spread(density), sets.masses(density)
        limit = sets.thresholds(calibration.sets, metrics.SET_LEVEL, spread)
        return {
            **result,
            "probabilities": answer.probabilities,
            "rotation": answer.rotation,
            "index": answer.category,
            "pose_confidence": {
                name: joint.within(
                    given if name == "oracle" else density, rotation, metrics.WITHIN_DEG
                )
                for name, rotation in answer.rotation.items()
            },
            "spread_deg": spread,
            "covered": sets.score(masses, sets.pairs(category, target)) <= limit,
            "volume": sets.volume(masses, limit),
        }

    return judge
