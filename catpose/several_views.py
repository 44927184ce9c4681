"""Several views of one object make one prediction: their densities are multiplied.

Views are taken as independent, and the prior as uniform over categories and rotations. Then
p(c, R | all) is proportional to the product of p(c, R | view). Sums of matrix Fisher parameters are
such products; those of other densities are normalized on a grid of rotations.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose import inference, prediction
from catpose.errors import InputError
from catpose.geometry import so3, so3_grid, viewpoint
from catpose.models import joint
from catpose.poses import base, modes
from catpose.prediction import Belief, Prediction

NUM_SIDE = 8  # of the grid: 36,864 rotations, about 7 degrees apart
_ASCENT = 12  # steps from a point of the grid to the mode beside it


def combine(
    predictions: Sequence[Prediction],
    motions: Float[np.ndarray, "n 3 3"] | None = None,
    *,
    forgetting: float = 1.0,
) -> Prediction:
    """The prediction that follows from several views or frames of one object.

    Args:
      predictions: of one calibrated network, in any order where nothing is forgotten, else the
        oldest first. A combined one may be among them.
      motions: how each view is turned against the one asked for: R_i = motions[i] R in frame
        "camera". The last one is the identity where the pose in the last frame is wanted. None for
        an object and a camera at rest.
      forgetting: in (0, 1]: each view weighs this much less than the next, as exponent of its
        density; below 1 where the motions drift.

    Returns:
      The most probable category and rotation of the product; its `pose_confidence`, alternatives
      and `belief` are of the product too. `known` is the mean of the views'.

    Raises:
      InputError: no predictions, some without a density or of different networks, invalid motions.

    Reference: Thrun, Burgard and Fox, Probabilistic Robotics, 2005, section 2.4 (the filter).
    """
    first, names = _checked(predictions, forgetting)
    belief, count = first.belief, len(predictions)
    turns = np.broadcast_to(np.eye(3), (count, 3, 3)) if motions is None else np.asarray(motions)
    if (
        turns.shape != (count, 3, 3)
        or np.abs(turns @ turns.swapaxes(1, 2) - np.eye(3)).max() > 1e-3
    ):
        raise InputError(f"motions are {count} rotation matrices, one for each prediction")
    if belief.frame == "paper" and motions is not None:
        raise InputError("motions need a network that learned in frame camera or upright")
    # Both frames are a fixed rotation A apart: with R' = A R, motions become A M A'.
    fixed = np.asarray(viewpoint.convert_frame(np.eye(3, dtype=np.float32), "camera", belief.frame))
    turns = jnp.asarray(fixed @ turns @ fixed.T, jnp.float32)
    weights = forgetting ** np.arange(count - 1, -1, -1.0)
    density, outputs = _product([one.belief for one in predictions], turns, weights)
    # Where R is does not matter; at the mode nothing is rounded away.
    mode = density.modes(outputs, 1)[0][:, 0]
    every = [
        weight * (one.belief.log_probabilities + _turned(one.belief, turn)(mode))
        for one, turn, weight in zip(predictions, turns, weights, strict=True)
    ]
    log_share = jax.nn.log_softmax(sum(every) - density.log_density(outputs, mode))
    found = joint.Joint(density, log_share[None], outputs[None])
    seen = jax.device_get(_answer(found, belief.frame, first.within_deg))
    known = [one.known for one in predictions if one.known is not None]
    seen = seen._replace(known=np.array([np.mean(known)]) if known else None)
    return prediction.of_seen(
        jax.tree.map(lambda x: np.asarray(x)[0], seen),
        names,
        density=density,
        frame=belief.frame,
        within_deg=first.within_deg,
    )


def _checked(
    predictions: Sequence[Prediction], forgetting: float
) -> tuple[Prediction, tuple[str, ...]]:
    if not len(predictions):
        raise InputError("there are no predictions to combine")
    if not 0 < forgetting <= 1:
        raise InputError(f"forgetting is {forgetting:g}; it can be above 0 and up to 1")
    for one in predictions:
        if one.belief is None:
            raise InputError(
                "a prediction without a density cannot be combined; its network needs a pose that "
                "has one, and a calibration (docs/certainty.md)"
            )
    first = predictions[0]
    names = tuple(first.probabilities)
    for one in predictions:
        alike = one.belief.frame == first.belief.frame and tuple(one.probabilities) == names
        if not alike:
            raise InputError("predictions of different networks cannot be combined")
    return first, names


def _answer(found: joint.Joint, frame: str, within_deg: float) -> inference.Seen:
    category, rotation = joint.mode(found)
    certainty = inference.sure(found, category, rotation, frame, within_deg)
    probabilities = jnp.exp(found.log_probabilities)
    turned, angles = inference.in_camera(rotation, frame)
    return inference.Seen(probabilities, category, turned, angles, None, certainty)


def _turned(belief: Belief, turn: Array) -> Callable[[Array], Array]:
    """R (..., 3, 3) -> log p(turn R | c), (...), for categories along the last leading axis."""
    outputs = jnp.asarray(belief.outputs)
    return lambda rotation: belief.density.log_density(outputs, so3.multiply(turn, rotation))


def _product(
    beliefs: Sequence[Belief], turns: Float[Array, "n 3 3"], weights: np.ndarray
) -> tuple[base.Density, Float[Array, "K P"]]:
    """The normalized product over the views of p(turn R | c) to the power of a weight.

    Returns:
      A density, and its outputs for each category.
    """
    density = beliefs[0].density
    if density.turned and all(belief.density is density for belief in beliefs):
        parts = zip(beliefs, turns, weights, strict=True)
        return density, sum(
            weight * density.turned(jnp.asarray(belief.outputs), turn)
            for belief, turn, weight in parts
        )
    sizes = [belief.outputs.shape[-1] for belief in beliefs]
    grid = jnp.asarray(so3_grid.rotations(NUM_SIDE).reshape(-1, 3, 3), jnp.float32)

    def unnormalized(outputs: Array, rotation: Array) -> Array:
        views = jnp.split(outputs, np.cumsum(sizes), axis=-1)[:-1]
        total = sum(
            weight * belief.density.log_density(own, so3.multiply(turn, rotation))
            for own, belief, turn, weight in zip(views, beliefs, turns, weights, strict=True)
        )
        return outputs[..., -1] * total

    def on_grid(outputs: Array) -> Array:
        return unnormalized(outputs[..., None, :], grid)

    def log_density(outputs: Array, rotation: Array) -> Array:
        return unnormalized(outputs, rotation) - outputs[..., -2]

    def normalized(views: Array, power: Array) -> Array:
        """The views' outputs, the logarithm of the integral, and the power."""
        power = jnp.broadcast_to(power, views.shape[:-1])[..., None]
        outputs = jnp.concatenate([views, jnp.zeros_like(power), power], axis=-1)
        total = jax.nn.logsumexp(on_grid(outputs), axis=-1) - np.log(len(grid))
        return outputs.at[..., -2].set(total)

    def find_modes(outputs: Array, k: int) -> tuple[Array, Array]:
        leading = outputs.shape[:-1]
        found, height = modes.distinct(
            jnp.broadcast_to(grid, (*leading, *grid.shape)), on_grid(outputs), k
        )
        found = _climbed(lambda rotation: unnormalized(outputs[..., None, :], rotation), found)
        there = jnp.isfinite(height)
        return found, jnp.where(there, log_density(outputs[..., None, :], found), height)

    def sample(key: Array, outputs: Array, n: int) -> Array:
        shape = (n, *outputs.shape[:-1])
        return grid[jax.random.categorical(key, on_grid(outputs), shape=shape)]

    def temper(outputs: Array, concentration: Any) -> Array:
        return normalized(outputs[..., :-2], outputs[..., -1] * concentration)

    views = jnp.concatenate([jnp.asarray(belief.outputs) for belief in beliefs], axis=-1)
    return base.Density(log_density, find_modes, sample, temper), normalized(views, jnp.ones(()))


def _climbed(height: Callable[[Array], Array], rotation: Array) -> Array:
    """The nearest maxima, by ever shorter steps in 26 directions."""
    around = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for step in np.radians(60 / NUM_SIDE) * 0.6 ** np.arange(_ASCENT):
        near = so3.multiply(rotation[..., None, :, :], so3.exp(jnp.asarray(step * around)))
        flat = near.reshape(*near.shape[:-4], -1, 3, 3)
        best = jnp.argmax(height(flat).reshape(near.shape[:-2]), axis=-1)
        rotation = jnp.take_along_axis(near, best[..., None, None, None], axis=-3)[..., 0, :, :]
    return rotation
