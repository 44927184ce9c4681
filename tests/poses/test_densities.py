"""The densities of pose representations: their integrals, modes, samples and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.geometry import so3, wigner
from catpose.poses import POSES, harmonic, matrix_fisher_mixture, modes

# The same with smaller constants, for speed.
POSES = {**POSES, "harmonic": harmonic.make(degree=3, num_side=6)}
WITH_DENSITY = pytest.mark.parametrize(
    "name", [name for name, pose in POSES.items() if pose.density is not None]
)


OF_ANGLES = ("euler_bins", "fine_bins", "multibin")
BINS = 21  # of each angle, at the finest granularity of euler_bins


def every_rotation():
    """Quadrature over azimuth, elevation and theta, with an edge wherever a density may jump.

    Midpoints of half bins of azimuth and theta; in elevation two Gauss points between any edges of
    bins or their images at 180 degrees - elevation.
    """
    around = (np.arange(2 * BINS) + 0.5) * (180 / BINS)
    edges = (np.arange(BINS) + 0.5) * (360 / BINS)
    edges = np.concatenate([edges, 180 - edges, [-90, 90]])
    edges = np.unique(np.round((edges + 180) % 360 - 180, 9))
    edges = edges[np.abs(edges) <= 90]
    low, high = edges[:-1, None], edges[1:, None]
    elevation = (low + high) / 2 + (high - low) / 2 * np.array([-1, 1]) / np.sqrt(3)
    weight = np.radians(high - low) / 2 * np.cos(np.radians(elevation)) / 2
    grid = np.meshgrid(around, elevation.reshape(-1), around, indexing="ij")
    azimuth, elevation, theta = (each.reshape(-1) for each in grid)
    turned = np.stack([theta, elevation - 90, -azimuth], axis=-1)
    rotations = Rotation.from_euler("x", 90, degrees=True) * Rotation.from_euler(
        "ZXZ", turned, degrees=True
    )
    weights = np.broadcast_to(weight.reshape(-1)[:, None] / len(around) ** 2, grid[0].shape)
    return jnp.asarray(rotations.as_matrix(), jnp.float32), weights.reshape(-1)


@pytest.fixture(scope="module")
def group():
    return every_rotation()


def outputs(pose, *leading):
    generator = np.random.default_rng(0)
    raw = generator.normal(size=(*leading, pose.num_outputs)) / (
        4 if "harmonic" in pose.name else 2
    )
    if pose.name == "fine_bins":  # whose bins no quadrature here resolves: smooth outputs
        angle = np.radians(np.arange(360))
        waves = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
        raw = (generator.normal(size=(*leading, 3, 4)) / 4 @ waves).reshape(*leading, -1)
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
    found, log_density = jax.jit(pose.density.modes, static_argnums=1)(given, 3)
    assert found.shape == (2, 3, 3, 3)
    assert log_density.shape == (2, 3)
    assert (log_density[:, 1:] <= log_density[:, :-1]).all()
    again = jax.jit(pose.density.log_density)(given[:, None], found)
    there = np.isfinite(log_density)
    np.testing.assert_allclose(log_density[there], again[there], atol=1e-3)
    every = jax.jit(pose.density.log_density)(given, rotations[:, None])
    # Angles' modes are of one triple, see angle_density; bins' edges are on no grid.
    short = np.log(2) if name in OF_ANGLES else 1e-3
    assert (log_density[:, 0] > every.max(0) - short).all()
    draw = jax.jit(pose.density.sample, static_argnums=2)
    samples = draw(jax.random.key(0), given, 2000)
    assert samples.shape == (2000, 2, 3, 3)
    mean = np.einsum("nb,nij->bij", weights[:, None] * np.exp(every), rotations)
    error = samples.std(0) / np.sqrt(2000)
    assert (np.abs(samples.mean(0) - mean) < 4.5 * error + 2e-3).all()


@WITH_DENSITY
def test_gradients_are_finite_where_outputs_are_large_or_nothing(name):
    pose = POSES[name]
    raw = np.random.default_rng(1).normal(size=(4, pose.num_outputs))
    raw *= np.array([0, 1e-20, 1, 300])[:, None]
    target = Rotation.from_euler("x", [[0], [90], [180], [-90]], degrees=True).as_matrix()

    @jax.jit
    @jax.value_and_grad
    def total(raw):
        given = pose.density.temper(pose.activate(raw), jnp.array([0.3, 1.0, 2.0, 1.0]))
        return pose.density.log_density(given, jnp.asarray(target, jnp.float32)).sum()

    value, gradient = total(jnp.asarray(raw, jnp.float32))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_one_component_is_matrix_fisher_and_several_are_their_sum():
    fisher = POSES["matrix_fisher"]
    one, three = (matrix_fisher_mixture.make(components=count) for count in (1, 3))
    generator = np.random.default_rng(2)
    target = jnp.asarray(Rotation.random(5, generator).as_matrix(), jnp.float32)
    raw = jnp.asarray(3 * generator.normal(size=(5, 2, 10)), jnp.float32)
    outputs, weights = one.activate(raw), jnp.array([[0.3, 0.7]] * 5)
    np.testing.assert_array_equal(outputs[..., 1:], raw[..., 1:])
    fused, expected = one.fuse(outputs, weights), fisher.fuse(raw[..., 1:], weights)
    np.testing.assert_allclose(fused[:, 1:], expected, atol=1e-6)
    got = one.density.log_density(fused, target)
    np.testing.assert_allclose(got, fisher.density.log_density(expected, target), atol=1e-5)
    np.testing.assert_allclose(one.to_rotation(fused), fisher.to_rotation(expected), atol=1e-5)
    raw = jnp.asarray(3 * generator.normal(size=(5, 30)), jnp.float32)
    outputs = three.activate(raw)
    share = np.exp(raw[:, :3]) / np.exp(raw[:, :3]).sum(-1, keepdims=True)
    each = [
        fisher.density.log_density(outputs[:, 3 + 9 * m : 12 + 9 * m], target) for m in range(3)
    ]
    expected = np.log((share * np.exp(np.stack(each, axis=-1))).sum(-1))
    np.testing.assert_allclose(three.density.log_density(outputs, target), expected, atol=1e-4)
    found, height = jax.jit(three.density.modes, static_argnums=1)(outputs, 2)
    moved = so3.multiply(found[:, 0, None], so3.exp(0.02 * jnp.eye(3))[None])
    assert (three.density.log_density(outputs[:, None], moved) < height[:, :1]).all()


def test_harmonics_of_degree_one_are_matrix_fisher():
    pose, fisher = harmonic.make(degree=1, num_side=6), POSES["matrix_fisher"]
    parameter = jnp.asarray(2 * np.random.default_rng(3).normal(size=(4, 3, 3)), jnp.float32)
    target = jnp.asarray(Rotation.random(4, np.random.default_rng(4)).as_matrix(), jnp.float32)
    given = parameter[:, wigner.AXES][:, :, wigner.AXES].reshape(4, 9)
    expected = fisher.density.log_density(parameter.reshape(4, 9), target)
    turn = target[:1, :, :].swapaxes(1, 2)[0]
    moved = pose.density.turned(given, turn)
    again = pose.density.log_density(moved, so3.multiply(turn.T[None], target))
    np.testing.assert_allclose(again, pose.density.log_density(given, target), atol=2e-3)
    np.testing.assert_allclose(pose.density.log_density(given, target), expected, atol=1e-3)
    np.testing.assert_allclose(
        pose.to_rotation(given), fisher.to_rotation(parameter.reshape(4, 9)), atol=1e-3
    )


def test_a_peak_that_slips_through_the_grid_of_the_loss_is_no_better():
    """Of 3 degrees, where the loss's grid has 10, beside the closed form."""
    pose, fisher = harmonic.make(degree=1, num_side=6), POSES["matrix_fisher"]
    kappa = 1 / (2 * np.radians(3.0) ** 2)
    mode = Rotation.random(20, np.random.default_rng(6)).as_matrix()
    parameter = jnp.asarray(kappa * mode, jnp.float32)
    given = parameter[:, wigner.AXES][:, :, wigner.AXES].reshape(20, 9)
    target = jnp.asarray(mode, jnp.float32)
    expected = fisher.density.log_density(parameter.reshape(20, 9), target)
    np.testing.assert_allclose(pose.density.log_density(given, target), expected, atol=0.02)
    assert np.abs(pose.losses["nll"](given, target) + expected).max() > 0.1


def test_harmonics_find_every_mode_of_a_cube():
    group = Rotation.create_group("O")
    entries = wigner.constant_entries(group.as_matrix(), 4).mean(axis=0)
    turn = Rotation.random(random_state=5)
    pose = harmonic.make(degree=4, num_side=4)
    given = harmonic.turned(
        jnp.asarray(20 * entries, jnp.float32), jnp.asarray(turn.inv().as_matrix(), jnp.float32), 4
    )
    found, log_density = jax.jit(pose.density.modes, static_argnums=1)(given, 25)
    np.testing.assert_allclose(log_density[:24], log_density[0], atol=1e-4)
    away = (turn.inv() * Rotation.from_matrix(np.asarray(found[:24]))).as_matrix()
    nearest = np.einsum("nij,gij->ng", away, group.as_matrix())
    np.testing.assert_allclose(nearest.max(axis=1), 3, atol=1e-5)
    assert len(np.unique(nearest.argmax(axis=1))) == 24


def test_distinct_modes_are_apart_and_sorted():
    angles = np.array([0.0, 0.1, 1.0, 2.0])
    rotations = Rotation.from_rotvec(np.outer(angles, [0, 0, 1])).as_matrix()
    found, log_density = modes.distinct(
        jnp.asarray(rotations, jnp.float32), jnp.array([1.0, 2.0, 0.5, -1.0]), 4
    )
    turned = Rotation.from_matrix(np.asarray(found)).magnitude()
    np.testing.assert_allclose(turned, [0.1, 1.0, 2.0, 0.1], atol=1e-6)
    np.testing.assert_allclose(log_density, [2.0, 0.5, -1.0, -np.inf])
