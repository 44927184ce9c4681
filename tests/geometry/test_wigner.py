"""Wigner D matrices and the grids of rotations, against scipy 1.17 and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from catpose.geometry import so3, so3_grid, wigner

DEGREE = 6


def real_harmonics(degree, points):
    points = points / np.linalg.norm(points, axis=-1, keepdims=True)
    polar, around = np.arccos(points[..., 2]), np.arctan2(points[..., 1], points[..., 0])
    found = []
    for m in range(-degree, degree + 1):
        value = sph_harm_y(degree, abs(m), polar, around)
        part = value.real if m >= 0 else value.imag
        found.append(part if m == 0 else (-1) ** m * np.sqrt(2) * part)
    return np.stack(found, axis=-1)


def blocks(entries):
    begin = 0
    for degree in range(1, DEGREE + 1):
        side = 2 * degree + 1
        yield degree, entries[..., begin : begin + side**2].reshape(*entries.shape[:-1], side, side)
        begin += side**2
    assert begin == entries.shape[-1] == wigner.num_entries(DEGREE)


def test_harmonics_turn_with_the_rotation():
    rotation = Rotation.random(4, np.random.default_rng(0)).as_matrix()
    points = np.random.default_rng(1).normal(size=(7, 3))
    with jax.enable_x64(True):
        entries = np.asarray(wigner.entries(jnp.asarray(rotation), DEGREE))
    np.testing.assert_allclose(wigner.constant_entries(rotation, DEGREE), entries, atol=1e-12)
    for degree, matrix in blocks(entries):
        turned = real_harmonics(degree, np.einsum("nij,kj->nki", rotation, points))
        expected = np.einsum("nab,kb->nka", matrix, real_harmonics(degree, points))
        np.testing.assert_allclose(turned, expected, atol=1e-12)


def test_generators_are_the_derivative():
    with jax.enable_x64(True):
        at = jax.jacfwd(lambda omega: wigner.entries(so3.exp(omega), DEGREE))
        derivative = np.asarray(at(jnp.zeros(3)))
    for degree, matrix in blocks(derivative.T):
        np.testing.assert_allclose(matrix, wigner.generators(degree), atol=1e-12)


def test_the_grid_has_equal_cells_everywhere():
    grid = so3_grid.rotations(4)
    assert grid.shape == (12 * 16, 24, 3, 3)
    np.testing.assert_allclose(np.linalg.det(grid), 1, atol=1e-12)
    # Weighted means over it of all functions up to degree 6 are those over the group: 0.
    entries = wigner.constant_entries(grid.reshape(-1, 3, 3), DEGREE)
    weights = np.repeat(np.exp(so3_grid.log_weights(4)), 24) / entries.shape[0]
    np.testing.assert_allclose(weights.sum(), 1, atol=1e-12)
    np.testing.assert_allclose(weights @ entries, 0, atol=5e-4)
    every = Rotation.from_matrix(grid.reshape(-1, 3, 3))
    somewhere = Rotation.random(200, np.random.default_rng(2))
    nearest = 2 * np.arccos(np.abs(somewhere.as_quat() @ every.as_quat().T).max(axis=1))
    assert np.degrees(nearest).max() < 0.85 * 59 / 4
    near = so3_grid.neighbors(4)
    apart = (every[np.zeros(14, int)].inv() * every[near[0]]).magnitude()
    other = np.delete((every[0].inv() * every).magnitude(), [0, *near[0]])
    assert apart.max() <= other.min() + 1e-9


def test_pixels_are_those_of_healpix():
    # healpy 1.18, pix2ang(2, arange(48)): z and longitude of some pixels in the ring scheme.
    found = so3_grid.pixels(2)
    assert found.shape == (48, 2)
    expected = {
        0: (11 / 12, np.pi / 4),
        4: (2 / 3, np.pi / 8),
        12: (1 / 3, 0.0),
        20: (0, np.pi / 8),
    }
    for number, values in expected.items():
        np.testing.assert_allclose(found[number], values, atol=1e-12)
    np.testing.assert_allclose(found[::-1, 0], -found[:, 0], atol=1e-12)
