"""The densities of pose representations: their integrals, modes, samples and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.poses import POSES, modes

WITH_DENSITY = pytest.mark.parametrize(
    "name", [name for name, pose in POSES.items() if pose.density is not None]
)


def every_rotation(num):
    """Quadrature on the group, Rz(a) Ry(b) Rz(c), and its weights, which sum to 1."""
    angle = 2 * np.pi * np.arange(num) / num
    cosine, weight = np.polynomial.legendre.leggauss(num)
    grid = np.stack(np.meshgrid(angle, np.arccos(cosine), angle, indexing="ij"), axis=-1)
    weights = np.broadcast_to(weight[:, None] / (2 * num**2), grid.shape[:-1])
    rotations = Rotation.from_euler("ZYZ", grid.reshape(-1, 3)).as_matrix()
    return jnp.asarray(rotations, jnp.float32), weights.reshape(-1)


@pytest.fixture(scope="module")
def group():
    return every_rotation(48)


def outputs(pose, *leading):
    raw = np.random.default_rng(0).normal(size=(*leading, pose.num_outputs))
    return pose.activate(jnp.asarray(raw, jnp.float32))


@WITH_DENSITY
def test_a_density_integrates_to_one_as_it_is_and_tempered(name, group):
    pose, (rotations, weights) = POSES[name], group
    concentration = jnp.array([0.5, 1.0, 3.0])
    given = jnp.broadcast_to(outputs(pose), (3, pose.num_outputs))
    tempered = pose.density.temper(given, concentration)
    assert tempered.shape == given.shape
    np.testing.assert_allclose(tempered[1], given[1], atol=1e-6)
    density = np.exp(jax.jit(pose.density.log_density)(tempered, rotations[:, None]))
    np.testing.assert_allclose(weights @ density, 1, atol=1e-3)
    entropy = -(weights[:, None] * density * np.log(density)).sum(0)
    assert entropy[0] > entropy[1] > entropy[2]


@WITH_DENSITY
def test_modes_and_samples(name, group):
    pose, (rotations, weights) = POSES[name], group
    given = outputs(pose, 2)
    found, log_density = pose.density.modes(given, 3)
    assert found.shape == (2, 3, 3, 3)
    assert log_density.shape == (2, 3)
    assert (log_density[:, 1:] <= log_density[:, :-1]).all()
    again = pose.density.log_density(given[:, None], found)
    there = np.isfinite(log_density)
    np.testing.assert_allclose(log_density[there], again[there], atol=1e-3)
    every = jax.jit(pose.density.log_density)(given, rotations[:, None])
    assert (log_density[:, 0] > every.max(0) - 1e-3).all()
    samples = pose.density.sample(jax.random.key(0), given, 4000)
    assert samples.shape == (4000, 2, 3, 3)
    mean = np.einsum("nb,nij->bij", weights[:, None] * np.exp(every), rotations)
    error = samples.std(0) / np.sqrt(4000)
    assert (np.abs(samples.mean(0) - mean) < 4.5 * error + 2e-3).all()


def test_distinct_modes_are_apart_and_sorted():
    angles = np.array([0.0, 0.1, 1.0, 2.0])
    rotations = Rotation.from_rotvec(np.outer(angles, [0, 0, 1])).as_matrix()
    found, log_density = modes.distinct(
        jnp.asarray(rotations, jnp.float32), jnp.array([1.0, 2.0, 0.5, -1.0]), 4
    )
    turned = Rotation.from_matrix(np.asarray(found)).magnitude()
    np.testing.assert_allclose(turned, [0.1, 1.0, 2.0, 0.1], atol=1e-6)
    np.testing.assert_allclose(log_density, [2.0, 0.5, -1.0, -np.inf])
