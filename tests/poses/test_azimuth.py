"""The azimuth's marginal density against quadrature of scipy, and its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.geometry import viewpoint
from catpose.poses import POSES, azimuth, matrix_fisher

DENSITY = POSES["matrix_fisher"].density


def in_frame(frame, angles):
    """Rotations of azimuth, elevation, theta in radians, by scipy."""
    a, e, t = np.moveaxis(np.asarray(angles), -1, 0)
    if frame == "paper":
        return Rotation.from_euler("ZXZ", np.stack([t, e, a], -1))
    found = Rotation.from_euler("ZXZ", np.stack([t, e - np.pi / 2, -a], -1))
    return found if frame == "camera" else Rotation.from_euler("x", np.pi / 2) * found


@pytest.mark.parametrize("frame", viewpoint.FRAMES)
def test_the_marginal_is_the_integral_and_sums_to_one(frame):
    raw = jnp.asarray(3 * np.random.default_rng(0).normal(size=9), jnp.float32)
    azimuths = np.arange(24) * (2 * np.pi / 24) + 0.1
    views = np.stack([azimuths, np.full(24, 0.7), np.full(24, -0.3)], -1)
    rotation = jnp.asarray(in_frame(frame, views).as_matrix(), jnp.float32)
    given = jnp.broadcast_to(raw, (24, 9))
    got = np.asarray(
        jax.jit(azimuth.log_density, static_argnums=(0, 3))(DENSITY, given, rotation, frame)
    )
    if frame != "paper":  # there elevations up to 90 degrees reach half of all rotations
        np.testing.assert_allclose(np.exp(got).mean(), 1, atol=1e-3)
    # Midpoints of elevation, with its volume, and of theta.
    e = ((np.arange(200) + 0.5) / 200 - 0.5) * np.pi
    t = np.arange(80) * (2 * np.pi / 80)
    volume = np.abs(np.sin(e)) if frame == "paper" else np.cos(e)
    grid = np.stack(np.meshgrid(azimuths[3:4], e, t, indexing="ij"), -1).reshape(-1, 3)
    every = in_frame(frame, grid).as_matrix()
    parameter = np.asarray(raw, np.float64).reshape(3, 3)
    height = np.exp((every * parameter).sum((1, 2))).reshape(200, 80).mean(1)
    constant = matrix_fisher.log_density(raw.reshape(3, 3), jnp.eye(3)) - parameter.trace()
    expected = np.log((height * volume).sum() / volume.sum()) + constant
    np.testing.assert_allclose(got[3], expected, atol=2e-3)


def test_the_gradient_is_that_of_the_marginal():
    raw = 2 * np.random.default_rng(1).normal(size=(1, 9))
    rotation = in_frame("upright", [[1.0, 0.5, 0.0]]).as_matrix()
    with jax.enable_x64(True):
        rotation = jnp.asarray(rotation)

        @jax.jit
        def marginal(raw):
            return azimuth.log_density(DENSITY, raw, rotation, "upright")[0]

        gradient = np.asarray(jax.grad(marginal)(jnp.asarray(raw)))[0]
        for i in range(9):
            step = 1e-5 * np.eye(9)[i]
            slope = (marginal(jnp.asarray(raw + step)) - marginal(jnp.asarray(raw - step))) / 2e-5
            np.testing.assert_allclose(gradient[i], slope, atol=1e-7)
