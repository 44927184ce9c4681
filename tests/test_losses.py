"""Losses against scipy 1.17 (logm, log_softmax, Rotation) and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.special
from scipy.spatial.transform import Rotation

from catpose import losses
from catpose.geometry import so3


def random_rotations(count, seed):
    return Rotation.random(count, np.random.default_rng(seed))


def as_float32(rotation):
    return jnp.asarray(rotation.as_matrix(), jnp.float32)


# ---- category ----


def test_cross_entropy_matches_scipy():
    generator = np.random.default_rng(0)
    logits = (10 * generator.normal(size=(16, 12))).astype(np.float32)
    category = generator.integers(0, 12, 16)
    want = -scipy.special.log_softmax(logits.astype(np.float64), axis=-1)[np.arange(16), category]
    got = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(category))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_cross_entropy_of_equal_logits_is_log_k():
    got = losses.cross_entropy(jnp.full((2, 12), 7.0), jnp.array([0, 11]))
    np.testing.assert_allclose(got, np.log(12), rtol=1e-6)


def test_cross_entropy_survives_extreme_and_low_precision_logits():
    got = losses.cross_entropy(jnp.array([[1e4, -1e4]]), jnp.array([1]))
    np.testing.assert_allclose(got, [2e4])
    low = jnp.array([[1.0, 2.0, 0.5]], jnp.bfloat16)  # exact in bfloat16
    got = losses.cross_entropy(low, jnp.array([2]))
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, np.log(np.exp([1, 2, 0.5]).sum()) - 0.5, rtol=1e-6)


def test_cross_entropy_gradient_is_softmax_minus_one_hot():
    logits = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
    category = np.array([0, 4, 2, 2])
    got = jax.grad(lambda x: losses.cross_entropy(x, jnp.asarray(category)).sum())(logits)
    want = scipy.special.softmax(logits, axis=-1) - np.eye(5)[category]
    np.testing.assert_allclose(got, want, atol=1e-6)


# ---- pose ----


def test_geodesic_is_equation_3():
    a, b = random_rotations(16, 2), random_rotations(16, 3)
    relative = a.as_matrix() @ np.swapaxes(b.as_matrix(), 1, 2)
    want = [np.linalg.norm(np.real(scipy.linalg.logm(r))) / np.sqrt(2) for r in relative]
    np.testing.assert_allclose(losses.geodesic(as_float32(a), as_float32(b)), want, atol=1e-6)


def test_axis_angle_mse_is_the_mean_over_the_components():
    target = random_rotations(16, 4)
    omega = np.random.default_rng(5).normal(size=(16, 3)).astype(np.float32)
    want = ((omega - target.as_rotvec()) ** 2).sum(-1) / 3
    got = losses.axis_angle_mse(jnp.asarray(omega), as_float32(target))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    by_hand = losses.axis_angle_mse(jnp.array([[3.0, 0, 0]]), jnp.eye(3)[None])
    np.testing.assert_allclose(by_hand, [3.0])


def test_axis_angle_mse_gradient():
    target = random_rotations(8, 6)
    omega = np.random.default_rng(7).normal(size=(8, 3)).astype(np.float32)
    got = jax.grad(lambda x: losses.axis_angle_mse(x, as_float32(target)).sum())(omega)
    np.testing.assert_allclose(got, 2 / 3 * (omega - target.as_rotvec()), atol=1e-5)


OFFSETS = [0, 1e-12, 1e-7, 1e-4, 1e-2, 1, 3, np.pi - 1e-3, np.pi - 1e-6, np.pi]
AXES = np.array([[1, 0, 0], [0, -1, 0], [0, 0, 1], [0.6, 0, 0.8], [0.48, 0.6, 0.64]])


@pytest.mark.parametrize("target", [Rotation.identity(), random_rotations(1, 8)[0]])
def test_geodesic_gradient_is_finite_everywhere_and_of_norm_one_along_the_group(target):
    offsets = Rotation.from_rotvec(np.outer(OFFSETS, AXES).reshape(-1, 3))
    rotation, target_rotation = as_float32(offsets * target), as_float32(target)
    target_rotation = jnp.broadcast_to(target_rotation, rotation.shape)

    def loss(t):
        return losses.geodesic(so3.multiply(so3.exp(t), rotation), target_rotation).sum()

    gradient = np.asarray(jax.jit(jax.grad(loss))(jnp.zeros((len(rotation), 3))))
    assert np.isfinite(gradient).all()
    length = np.linalg.norm(gradient, axis=-1).reshape(len(OFFSETS), len(AXES))
    assert length.max() <= 1 + 1e-5
    np.testing.assert_allclose(length[3:-1], 1, atol=1e-5)


def test_losses_are_finite_at_zero_and_pi_through_the_whole_chain():
    # At omega = 0 and where a component saturates at pi, target equal or opposite.
    omega = np.array([[0, 0, 0], [np.pi, 0, 0], [0, np.pi, 0], [np.pi] * 3], np.float32)
    targets = np.stack([np.eye(3), *(np.diag(d) for d in ([1, -1, -1], [-1, 1, -1]))])
    omega = jnp.asarray(np.repeat(omega, 3, axis=0))
    targets = jnp.asarray(np.tile(targets, (4, 1, 1)), jnp.float32)

    def total(omega):
        geodesic = losses.geodesic(so3.exp(omega), targets)
        return (geodesic + losses.axis_angle_mse(omega, targets)).sum()

    value, gradient = jax.jit(jax.value_and_grad(total))(omega)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


# ---- joint ----


def test_joint_weighs_the_category():
    got = losses.joint(jnp.array([1.0, 2.0]), jnp.array([10.0, 30.0]), category_weight=0.1)
    np.testing.assert_allclose(got, [2.0, 5.0])


def test_nothing_is_reduced():
    rotation = as_float32(random_rotations(6, 9))
    assert losses.geodesic(rotation, rotation).shape == (6,)
    assert losses.axis_angle_mse(jnp.zeros((6, 3)), rotation).shape == (6,)
    assert losses.cross_entropy(jnp.zeros((6, 4)), jnp.zeros(6, int)).shape == (6,)
    assert losses.joint(jnp.zeros(6), jnp.zeros(6), category_weight=1.0).shape == (6,)


def test_pose_losses_promote_to_float32():
    rotation = jnp.eye(3, dtype=jnp.bfloat16)[None]
    assert losses.geodesic(rotation, rotation).dtype == jnp.float32
    assert losses.axis_angle_mse(jnp.zeros((1, 3), jnp.bfloat16), rotation).dtype == jnp.float32
