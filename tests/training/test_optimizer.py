"""Schedules and first updates against closed forms."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from catpose.errors import InputError
from catpose.experiment import phases
from catpose.training import optimizer
from tests.support import tiny

KERNEL, BIAS = "pose_networks/output/kernel", "pose_networks/output/bias"
PARAMS = {
    "feature_network": {"kernel": jnp.full((2,), 7.0)},
    "pose_networks": {"output": {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([0.5])}},
}
GRADIENT = {KERNEL: jnp.array([[3.0, -4.0]]), BIAS: jnp.array([12.0])}  # norm 13
PEAK = 0.1


def rate(steps=10, **changes):
    phase = tiny.only_phase(steps=steps, learning_rate=changes)
    return optimizer.schedule(phase.learning_rate, steps)


def update(gradient=GRADIENT, *, name="sgd", weight_decay=0.0, clip_norm=0.0, norm=None):
    phase = tiny.only_phase(
        train=("pose_networks",),
        batch_norm=(),
        learning_rate={"peak": PEAK, "schedule": "constant"},
    )
    tx = optimizer.make(phase, PARAMS, name=name, weight_decay=weight_decay, clip_norm=clip_norm)
    every = phases.by_path(PARAMS)
    trained = {path: every[path] for path in gradient}
    norm = optax.tree.norm(gradient) if norm is None else norm
    return tx.update(gradient, tx.init(trained), trained, norm=norm)[0]


@pytest.mark.parametrize(
    ("settings", "closed_form"),
    [
        ({"schedule": "constant"}, lambda t: PEAK),
        ({"schedule": "cosine"}, lambda t: PEAK * (1 + math.cos(math.pi * t / 10)) / 2),
        ({"schedule": "inverse", "epoch_steps": 3}, lambda t: PEAK / (1 + t // 3)),
        (
            {"schedule": "exponential", "epoch_steps": 4, "rate": 0.1},
            lambda t: PEAK * 0.1 ** (t // 4),
        ),
        (
            {"schedule": "cosine", "warmup_steps": 4},
            lambda t: PEAK * (t / 4 if t < 4 else (1 + math.cos(math.pi * (t - 4) / 6)) / 2),
        ),
        (
            {"schedule": "inverse", "warmup_steps": 2, "epoch_steps": 3},
            lambda t: PEAK * t / 2 if t < 2 else PEAK / (1 + (t - 2) // 3),
        ),
    ],
)
def test_schedules(settings, closed_form):
    schedule = jax.jit(rate(peak=PEAK, **settings))
    found = [float(schedule(jnp.int32(t))) for t in range(10)]
    np.testing.assert_allclose(
        found, [closed_form(t) for t in range(10)], rtol=1e-6, atol=1e-6 * PEAK
    )


def test_sgd_is_minus_rate_times_gradient():
    found = update()
    assert set(found) == {KERNEL, BIAS}
    for path, gradient in GRADIENT.items():
        np.testing.assert_allclose(found[path], -PEAK * gradient, rtol=1e-6)


def test_first_step_of_adam_is_minus_rate_times_sign():
    for path, value in update(name="adam").items():
        np.testing.assert_allclose(value, -PEAK * np.sign(GRADIENT[path]), rtol=1e-5)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_decay_is_decoupled_and_on_kernels_only(name):
    plain, decayed = update(name=name), update(name=name, weight_decay=0.01)
    kernel = PARAMS["pose_networks"]["output"]["kernel"]
    np.testing.assert_allclose(
        decayed[KERNEL] - plain[KERNEL], -PEAK * 0.01 * kernel, rtol=0, atol=1e-7
    )
    np.testing.assert_array_equal(decayed[BIAS], plain[BIAS])


def test_clip_bounds_the_norm_over_all_trained_leaves():
    for path, value in update(clip_norm=6.5).items():
        np.testing.assert_allclose(value, -PEAK * GRADIENT[path] / 2, rtol=1e-6)
    for path, value in update(clip_norm=14.0).items():
        np.testing.assert_allclose(value, -PEAK * GRADIENT[path], rtol=1e-6)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_frozen_leaf_among_the_gradients_does_not_move(name):
    """And what is trained moves as without it."""
    frozen = "feature_network/kernel"
    options = {"name": name, "weight_decay": 0.01, "clip_norm": 6.5}
    found = update({**GRADIENT, frozen: jnp.array([5.0, 6.0])}, norm=jnp.float32(13.0), **options)
    np.testing.assert_array_equal(found[frozen], [0.0, 0.0])
    for path, value in update(norm=jnp.float32(13.0), **options).items():
        np.testing.assert_array_equal(found[path], value)


def test_unknown_names_are_told():
    config = tiny.config([tiny.phase()])
    config.optimizer.name = "lion"
    with pytest.raises(InputError, match="optimizer.name is 'lion'; it can be adam, sgd"):
        tiny.read(config)
    with pytest.raises(InputError, match="schedule is 'step'; it can be constant, cosine"):
        rate(schedule="step")
