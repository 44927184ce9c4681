"""The pinhole camera against the rasterizer's and the formulas of PASCAL3D+, homographies against
singular value decompositions in float64 and against the closed form for a plane."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize
from scipy.spatial.transform import Rotation

from catpose.geometry import camera
from tests.support import numpy_rasterizer


def pinhole(distance, focal, center):
    arrays = (np.asarray(value, np.float32) for value in (distance, focal, center))
    return camera.Pinhole(*map(jnp.asarray, arrays))


def single(array):
    return jnp.asarray(array, jnp.float32)


def homogeneous(points):
    return np.c_[points, np.ones(len(points))]


def svd_homography(source, target):
    """Textbook: each set normalised by itself, |h| = 1, the last right singular vector."""

    def normalizer(points):
        mean = points.mean(axis=0)
        scale = np.sqrt(2) / np.linalg.norm(points - mean, axis=1).mean()
        return np.array([[scale, 0, -scale * mean[0]], [0, scale, -scale * mean[1]], [0, 0, 1]])

    t, u = normalizer(source), normalizer(target)
    rows = []
    for p, q in zip(homogeneous(source), homogeneous(target), strict=True):
        p, q = t @ p, u @ q
        rows += [[*np.zeros(3), *-p, *(q[1] * p)], [*p, *np.zeros(3), *(-q[0] * p)]]
    h = np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)
    return np.linalg.inv(u) @ h @ t


def through(homography, points):
    mapped = homogeneous(points) @ np.asarray(homography, np.float64).T
    return mapped[:, :2] / mapped[:, 2:]


def small_homography(generator, size=0.1):
    return np.eye(3) + size * generator.uniform(-1, 1, (3, 3)) * [[1, 1, 1], [1, 1, 1], [1, 1, 0]]


def test_projection_against_the_rasterizers():
    generator = np.random.default_rng(0)
    points = generator.uniform(-0.6, 0.6, (4, 30, 3))
    rotation = Rotation.random(4, random_state=0).as_matrix()
    distance, focal = generator.uniform(2, 8, 4), generator.uniform(100, 300, 4)
    center = generator.uniform(50, 200, (4, 2))
    image, depth = camera.project(
        single(points), single(rotation), pinhole(distance, np.c_[focal, focal], center)
    )
    for i in range(4):
        view = numpy_rasterizer.View(rotation[i], distance[i], focal[i], center[i])
        expected, expected_depth = numpy_rasterizer.project(points[i], view)
        np.testing.assert_allclose(image[i], expected, atol=1e-3)
        np.testing.assert_allclose(depth[i], expected_depth, rtol=1e-6)


def test_projection_by_the_formulas_of_the_dataset():
    """The camera's center is d (cos e sin a, -cos e cos a, sin e) and its height of view theta."""
    a, e, t = np.deg2rad([72.5, -38.1, -8.7])
    position = 5.8 * np.array([np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)])
    towards = -position / np.linalg.norm(position)
    right = np.cross(towards, [0, 0, 1])
    right /= np.linalg.norm(right)
    up = np.cross(right, towards)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))
    offset = points - position
    x, y = offset @ right / (offset @ towards), offset @ up / (offset @ towards)
    # theta turns the picture counter-clockwise; its y axis runs down.
    x, y = np.cos(t) * x - np.sin(t) * y, np.sin(t) * x + np.cos(t) * y
    expected = np.stack([280.26 + 3000 * x, 144.34 - 3000 * y], axis=-1)
    rotation = Rotation.from_euler("ZXZ", [t, e - np.pi / 2, -a]).as_matrix()
    camera_ = pinhole(5.8, (3000, 3000), (280.26, 144.34))
    image, _ = camera.project(single(points), single(rotation), camera_)
    np.testing.assert_allclose(image, expected, atol=2e-3)


def test_each_axis_has_its_own_unit():
    points, rotation = single([[0.3, -0.2, 0.1]]), single(np.eye(3))
    in_pixels, _ = camera.project(points, rotation, pinhole(4, (200, 200), (90, 70)))
    in_shares, _ = camera.project(
        points, rotation, pinhole(4, (200 / 80, 200 / 40), ((90 - 100) / 80, (70 - 60) / 40))
    )
    expected = (np.asarray(in_pixels) - [100, 60]) / [80, 40]
    np.testing.assert_allclose(in_shares, expected, rtol=1e-5)


def test_a_point_behind_the_camera_stays_finite():
    points = single([[0.1, 0.1, 4.0], [0.1, 0.1, 9.0], [0.1, 0.1, 3.9]])
    image, depth = camera.project(points, single(np.eye(3)), pinhole(4, (2, 2), (0, 0)))
    np.testing.assert_allclose(depth, [0.2, 0.2, 0.2], rtol=1e-5)
    np.testing.assert_allclose(image, [[1, -1]] * 3, rtol=1e-5)


def test_points_of_the_plane_are_seen_where_asked():
    generator = np.random.default_rng(1)
    image = generator.uniform(-0.5, 0.5, (5, 7, 2))
    rotation = single(Rotation.random(5, random_state=1).as_matrix())
    cameras = pinhole(
        generator.uniform(2, 9, 5), generator.uniform(2, 9, (5, 2)), generator.normal(size=(5, 2))
    )
    points = camera.on_plane(single(image), rotation, cameras)
    again, depth = camera.project(points, rotation, cameras)
    np.testing.assert_allclose(again, image, atol=2e-6)
    np.testing.assert_allclose(depth, np.repeat(cameras.distance[:, None], 7, 1), rtol=1e-6)


@pytest.mark.parametrize("count", [4, 5, 40])
@pytest.mark.parametrize("scale", [1, 300])
def test_an_exact_homography_is_found(count, scale):
    generator = np.random.default_rng(count)
    source = generator.uniform(-0.5, 0.5, (6, count, 2)) + [[[0.2, -0.3]]]
    source[:, :4] += [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]  # four far from a line
    exact = [small_homography(generator) for _ in range(6)]
    target = np.array([through(h, p) for h, p in zip(exact, source, strict=True)])
    found = camera.fit_homography(
        single(scale * source), single(scale * target), jnp.ones((6, count))
    )
    for h, p, q in zip(np.asarray(found), source, target, strict=True):
        reference = svd_homography(p, q)
        inside = generator.uniform(p.min(0), p.max(0), (50, 2))
        np.testing.assert_allclose(
            through(h, scale * inside) / scale, through(reference, inside), atol=2e-4
        )
        assert abs(h[2, 2] - 1) < 0.2


def test_noisy_points_against_other_least_squares():
    generator = np.random.default_rng(3)
    source = generator.uniform(-0.5, 0.5, (60, 2))
    target = through(small_homography(generator), source) + 0.005 * generator.normal(size=(60, 2))
    found = camera.fit_homography(single(source), single(target), jnp.ones(60))

    def residual(homography):
        return np.linalg.norm(through(homography, source) - target)

    # What is minimised is not quite this, but at a small noise nearly.
    best = optimize.least_squares(
        lambda h: (through(np.append(h, 1).reshape(3, 3), source) - target).ravel(),
        np.eye(3).ravel()[:8],
    )
    geometric = np.append(best.x, 1).reshape(3, 3)
    assert residual(found) < 1.002 * residual(geometric)
    assert residual(np.eye(3)) > 5 * residual(geometric)
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    for reference in (svd_homography(source, target), geometric):
        np.testing.assert_allclose(through(found, corners), through(reference, corners), atol=1e-3)


def test_weights():
    generator = np.random.default_rng(4)
    source = generator.uniform(-0.5, 0.5, (30, 2))
    target = source + 0.02 * generator.normal(size=(30, 2))
    weight = generator.integers(0, 4, 30)
    found = camera.fit_homography(single(source), single(target), single(weight))
    # A weight of n counts like the pair n times; 0 leaves it out.
    repeated = svd_homography(np.repeat(source, weight, 0), np.repeat(target, weight, 0))
    corners = np.array([[-0.4, -0.4], [0.4, -0.4], [0.4, 0.4], [-0.4, 0.4]])
    np.testing.assert_allclose(through(found, corners), through(repeated, corners), atol=2e-3)
    other = np.where(weight[:, None] == 0, 17.0, target)
    again = camera.fit_homography(single(source), single(other), single(weight))
    np.testing.assert_array_equal(again, found)


def test_the_homography_of_a_plane_has_a_closed_form():
    """K (R + t n' / d) K^-1, Hartley and Zisserman (13.2), for a camera that looks along +z."""
    generator = np.random.default_rng(5)
    flip = np.diag([1.0, -1, -1])  # x right, y down, z ahead
    for _ in range(8):
        normal = generator.normal(size=3)
        basis = np.linalg.svd(normal[None])[2][1:]
        points = generator.uniform(-0.5, 0.5, (20, 2)) @ basis  # the plane contains the center
        before, after = (
            Rotation.from_euler("ZXZ", angles, degrees=True).as_matrix()
            for angles in ([5, -60, -40], [9, -61, -41])
        )
        distance, focal, center = 4.0, np.array([3.0, 2.0]), np.array([0.1, -0.2])
        k = np.array([[focal[0], 0, center[0]], [0, focal[1], center[1]], [0, 0, 1]])
        origin = np.array([0, 0, distance])
        turn = flip @ after @ before.T @ flip
        plane = flip @ before @ normal
        shift = origin - turn @ origin
        exact = k @ (turn + np.outer(shift, plane) / (plane @ origin)) @ np.linalg.inv(k)
        cameras = pinhole(distance, focal, center)
        source, _ = camera.project(single(points), single(before), cameras)
        target, _ = camera.project(single(points), single(after), cameras)
        found = camera.fit_homography(source, target, jnp.ones(20))
        inside = np.asarray(source, np.float64)
        np.testing.assert_allclose(through(found, inside), through(exact, inside), atol=2e-5)
        extent = np.ptp(inside, axis=0)
        around = inside.mean(0) + extent * [[-0.6, -0.6], [0.6, 0.6], [-0.6, 0.6]]
        np.testing.assert_allclose(through(found, around), through(exact, around), atol=1e-3)


def test_points_that_leave_it_open():
    line = np.linspace(-0.5, 0.5, 12)[:, None] * [[1.0, 0.6]]
    moved = line * 1.05 + [[0.02, -0.01]]
    few = np.array([[-0.4, 0.1], [0.3, 0.3], [0.1, -0.4]])
    for source, target in ((line, moved), (few, few + [[0.03, 0.02]])):
        found = camera.fit_homography(single(source), single(target), jnp.ones(len(source)))
        np.testing.assert_allclose(through(found, source), target, atol=1e-3)
        assert np.abs(np.asarray(found) - np.eye(3)).max() < 0.3


def test_float64_stays():
    with jax.enable_x64(True):
        generator = np.random.default_rng(6)
        source = generator.uniform(-0.5, 0.5, (12, 2))
        exact = small_homography(generator)
        found = camera.fit_homography(
            jnp.asarray(source), jnp.asarray(through(exact, source)), jnp.ones(12)
        )
        assert found.dtype == jnp.float64
        np.testing.assert_allclose(found / found[2, 2], exact, atol=1e-9)


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_leading_axes_and_inverses(leading):
    generator = np.random.default_rng(7)
    homography = np.array([small_homography(generator) for _ in range(6)])[
        : np.prod(leading, dtype=int)
    ]
    homography = homography.reshape(*leading, 3, 3)
    points = generator.uniform(-0.5, 0.5, (*leading, 9, 2))
    moved = camera.apply_homography(single(homography), single(points))
    assert moved.shape == points.shape
    back = camera.apply_homography(camera.invert_homography(single(homography)), moved)
    np.testing.assert_allclose(back, points, atol=1e-5)
    fitted = camera.fit_homography(single(points), moved, jnp.ones((*leading, 9)))
    rotation = jnp.broadcast_to(jnp.eye(3), (*leading, 3, 3))
    cameras = pinhole(np.full(leading, 3), np.full((*leading, 2), 2), np.zeros((*leading, 2)))
    assert camera.on_plane(moved, rotation, cameras).shape == (*leading, 9, 3)
    for index in np.ndindex(leading):
        expected = through(homography[index], points[index])
        np.testing.assert_allclose(moved[index], expected, atol=1e-6)
        np.testing.assert_allclose(through(fitted[index], points[index]), expected, atol=1e-5)
        inverse = np.asarray(camera.invert_homography(single(homography)))[index]
        exact = np.linalg.inv(homography[index])
        np.testing.assert_allclose(inverse / inverse[2, 2], exact / exact[2, 2], atol=1e-5)


def test_scale_and_shift():
    scale, shift = single([[2, 3], [0.5, 1]]), single([[1, -1], [0, 4]])
    found = camera.apply_homography(
        camera.scale_and_shift(scale, shift), single([[[1, 1]], [[2, 3]]])
    )
    np.testing.assert_allclose(found, [[[3, 2]], [[1, 7]]])
