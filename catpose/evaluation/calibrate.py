"""Fits a calibration: two numbers by maximum likelihood, and the thresholds of the sets."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize, special

from catpose import inference
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.errors import InputError
from catpose.evaluation import certainty, sets
from catpose.experiment import build
from catpose.experiment import calibration as calibrations
from catpose.models import joint
from catpose.poses import base

LEAST = 100  # examples: a 90 % set in each of four groups needs 9, and a quantile some more
_FACTORS = (0.02, 50.0)  # between which the two numbers are sought


def fit(
    model: build.Model,
    truth: Examples,
    found: Predictions,
    *,
    split: str,
    step: int,
    cautious: bool = False,
) -> calibrations.Calibration:
    """The calibration of a model on examples that its training did not see.

    The temperature minimizes the cross-entropy of the true categories, the concentration the
    negative log-likelihood of the true rotations given the true categories: together that of both.

    Args:
      model: its representation has a density.
      truth: the examples, at least 100.
      found: the model's predictions of them, in the same order.
      split: what the examples are called.
      step: of the model's weights.
      cautious: flattens densities where that is better, but never sharpens them: for a model that
        will see images of another kind than these, of which it can only know less.

    Raises:
      InputError: too few examples, or a representation without a density.

    Reference: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, 2017.
    """
    density = inference.pose_density(model)
    count = len(truth.category)
    if count < LEAST:
        raise InputError(
            f"the split {split} has {count} examples; a calibration needs {LEAST} or more"
        )
    target = certainty.true_rotation(model, truth, found)
    rows = np.arange(count)
    logits = np.asarray(found.category_logits, np.float64)
    own = jnp.asarray(found.pose_outputs[rows, truth.category])

    def category_nll(log_temperature: float) -> float:
        log_share = special.log_softmax(logits / np.exp(log_temperature), axis=-1)
        return -float(log_share[rows, truth.category].mean())

    pose_log_density = compile_pose_log_density(density)

    def pose_nll(log_concentration: float) -> float:
        found = pose_log_density(log_concentration, own, target)
        return -float(np.asarray(found, np.float64).mean())

    # A classifier that knows other classes too is left as it is: `known` is of its probabilities.
    temperature = 1.0 if model.network.knows_others else _least(category_nll)
    concentration = _least(pose_nll)
    if cautious:
        temperature, concentration = max(temperature, 1.0), min(concentration, 1.0)
    calibrated = model._replace(
        calibration=calibrations.Calibration(
            temperature, concentration, calibrations.Sets((), (), ()), step, {}
        )
    )
    nll = {
        "before": category_nll(0.0) + pose_nll(0.0),
        "after": category_nll(np.log(temperature)) + pose_nll(np.log(concentration)),
    }

    arrays = (found.category_logits, found.pose_outputs, np.asarray(truth.category), target)
    score, spread = certainty.in_batches(compile_scores(calibrated), *arrays)
    return calibrated.calibration._replace(
        sets=sets.fit(score, spread),
        fitted_on={"split": split, "examples": count, "cautious": cautious, "nll": nll},
    )


def compile_pose_log_density(density: base.Density) -> Callable:
    """What the concentration is fitted by, compiled.

    Returns:
      `(log of the concentration, (N, P) outputs, (N, 3, 3) true rotations)` -> (N,) log-densities.
    """

    @jax.jit
    def log_density(log_concentration: Any, outputs: Any, target: Any) -> Any:
        concentration = jnp.full(len(outputs), jnp.exp(log_concentration))
        return density.log_density(density.temper(outputs, concentration), target)

    return log_density


def compile_scores(model: build.Model) -> Callable:
    """What the thresholds of a calibrated model's sets are fitted to, compiled.

    Returns:
      `((B, K) logits, (B, K, P) outputs, (B,) true categories, (B, 3, 3) true rotations)` -> (B,)
      scores of the true pairs and (B,) spreads in degrees.
    """

    @jax.jit
    def scores(logits: Any, outputs: Any, category: Any, target: Any) -> tuple[Any, ...]:
        found = inference.joint_density(model, logits, outputs)
        score = sets.score(sets.masses(found), sets.pairs(category, target))
        return score, joint.spread(found)

    return scores


def _least(function: Any) -> float:
    """Where a function of a logarithm is least; the factor, to four digits."""
    found = optimize.minimize_scalar(function, bounds=np.log(_FACTORS), method="bounded")
    return float(f"{np.exp(found.x):.4g}")
