"""Pose representations: the contract of the struct for each, and the paper's axis-angle."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose import poses
from catpose.geometry import so3

EVERY_POSE = pytest.mark.parametrize("name", sorted(poses.POSES))


def random_raw(num_outputs, *leading):
    raw = np.random.default_rng(0).normal(size=(*leading, num_outputs))
    return jnp.asarray(raw, jnp.float32)


def random_target(count):
    return Rotation.random(count, np.random.default_rng(1))


@functools.cache
def program(name):
    """All that a representation makes of outputs, compiled as a whole: op by op it takes seconds.

    (raw, weights) -> the outputs, the fused ones, their rotation, and for each loss its values at
    that rotation and at another one.
    """
    pose = poses.POSES[name]

    @jax.jit
    def run(raw, weights):
        outputs = pose.activate(raw)
        fused = pose.fuse(outputs, weights)
        rotation = pose.to_rotation(fused)
        given = jnp.concatenate([fused, fused]), jnp.concatenate([rotation, rotation[::-1]])
        return outputs, fused, rotation, {k: loss(*given) for k, loss in pose.losses.items()}

    return run


@EVERY_POSE
def test_contract(name):
    pose = poses.POSES[name]
    assert pose.name == name
    raw = 0.3 * random_raw(pose.num_outputs, 6, 4)
    outputs, fused, rotation, losses = program(name)(raw, jnp.full((6, 4), 0.25, jnp.float32))
    assert outputs.shape == (6, 4, pose.num_outputs)
    assert fused.shape == (6, pose.num_outputs)
    np.testing.assert_allclose(
        rotation @ np.swapaxes(rotation, 1, 2), np.broadcast_to(np.eye(3), (6, 3, 3)), atol=2e-6
    )
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=2e-6)
    for values in losses.values():
        assert values.shape == (12,)
        assert np.isfinite(values).all()


OFFSETS = [0, 1e-12, 1e-7, 5e-7, 1e-3, 1.0, np.pi - 1e-3, np.pi - 5e-7, np.pi - 1e-7, np.pi]


@EVERY_POSE
def test_gradients_are_finite_at_zero_and_pi_and_beside_them(name):
    pose = poses.POSES[name]
    # The target is that far from what the outputs say, about every axis and a slanted one.
    away = np.outer(OFFSETS, np.vstack([np.eye(3), -np.eye(3), [[0.6, 0, 0.8]]])).reshape(-1, 3)
    raw = random_raw(pose.num_outputs, len(away))

    @jax.jit
    def results(raw):
        rotation = pose.to_rotation(pose.activate(raw))
        target = so3.multiply(rotation, jnp.asarray(Rotation.from_rotvec(away).as_matrix()))
        target = jax.lax.stop_gradient(target.astype(jnp.float32))

        def values(raw):
            return [loss(pose.activate(raw), target) for loss in pose.losses.values()]

        return values(raw), jax.grad(lambda raw: sum(v.sum() for v in values(raw)))(raw)

    values, gradient = results(raw)
    assert np.isfinite(gradient).all()
    for kind, value in zip(pose.losses, values, strict=True):
        assert np.isfinite(value).all()
        if kind == "geodesic" and name != "bin_delta":  # whose own has a cross-entropy beside it
            expected = np.linalg.norm(away, axis=-1)
            np.testing.assert_allclose(value, expected, atol=2e-3)


@EVERY_POSE
def test_one_hot_weights_select_a_network_and_losses_are_zero_only_at_its_rotation(name):
    raw = 0.3 * random_raw(poses.POSES[name].num_outputs, 6, 4)
    chosen = np.array([2, 0, 3, 1, 0, 2])
    outputs, fused, _, losses = program(name)(raw, jnp.eye(4)[chosen])
    np.testing.assert_array_equal(fused, outputs[np.arange(6), chosen])
    # Likelihoods, cross-entropies and differences of raw matrices are not zero there.
    # Those of bin and delta have a cross-entropy each.
    zero = {"geodesic", "mse", "chordal"} if name != "bin_delta" else set()
    for loss_name in losses.keys() & zero:
        own, other = np.split(losses[loss_name], 2)
        np.testing.assert_allclose(own, 0, atol=1e-6)
        assert (other > 1e-3).all()


# ---- axis-angle ----


def test_axis_angle_activation_is_pi_tanh_per_component():
    raw = [[0.0, 1.0, -1e3], [0.5, 1e3, -0.25]]
    got = poses.POSES["axis_angle"].activate(jnp.array(raw))
    np.testing.assert_allclose(got, np.pi * np.tanh(raw), rtol=1e-6)
    low = poses.POSES["axis_angle"].activate(jnp.array(raw, jnp.bfloat16))
    assert low.dtype == jnp.float32


def test_axis_angle_to_rotation_matches_scipy():
    omega = 2 * random_raw(3, 20)
    got = poses.POSES["axis_angle"].to_rotation(omega)
    np.testing.assert_allclose(got, Rotation.from_rotvec(omega).as_matrix(), atol=1e-6)


def test_axis_angle_losses_match_scipy():
    pose = poses.POSES["axis_angle"]
    omega = random_raw(3, 20)
    target = random_target(20)
    matrix = jnp.asarray(target.as_matrix(), jnp.float32)
    geodesic = (Rotation.from_rotvec(omega).inv() * target).magnitude()
    np.testing.assert_allclose(pose.losses["geodesic"](omega, matrix), geodesic, atol=2e-6)
    mse = ((omega - target.as_rotvec()) ** 2).mean(-1)
    np.testing.assert_allclose(pose.losses["mse"](omega, matrix), mse, rtol=1e-5)


def test_axis_angle_fusion_is_equation_1():
    outputs = jnp.array([[[1.0, 0, 0], [0, 2.0, 0], [0, 0, -3.0]]])
    fused = poses.POSES["axis_angle"].fuse(outputs, jnp.array([[0.5, 0.25, 0.25]]))
    np.testing.assert_array_equal(fused, [[0.5, 0.5, -0.75]])


def test_axis_angle_fusion_fails_across_the_cut():
    # A property of the representation, stated so that nobody takes it for a bug: 175 and -175 deg
    # about z are 10 deg apart, their fused vector is 0.
    outputs = jnp.deg2rad(jnp.array([[[0, 0, 175.0], [0, 0, -175.0]]]))
    fused = poses.POSES["axis_angle"].fuse(outputs, jnp.array([[0.5, 0.5]]))
    np.testing.assert_allclose(fused, 0, atol=1e-6)


def test_fusion_computes_in_float32_without_matmuls():
    pose = poses.POSES["axis_angle"]
    low = jnp.ones((2, 3, 3), jnp.bfloat16)
    assert pose.fuse(low, jnp.ones((2, 3), jnp.bfloat16)).dtype == jnp.float32
    assert "dot_general" not in str(jax.make_jaxpr(pose.fuse)(low, jnp.ones((2, 3))))
