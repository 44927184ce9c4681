"""The z-buffer against closed forms, and against a ray caster that shares nothing with it."""

import numpy as np
import pytest

from tests.support import numpy_rasterizer

FLAT = numpy_rasterizer.Light(np.array([[0.0, 0.0, 1.0]]), np.array([0.0]), 1.0)
BLACK = np.zeros((64, 64, 3), np.float32)
CUBE = np.array(
    [[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7], [3, 2, 1, 0]]
)


def random_rotation(generator):
    q, r = np.linalg.qr(generator.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def cube(half, colors=None):
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    vertices = np.concatenate([np.c_[square, np.full(4, z)] for z in (-1, 1)]) * half
    colors = np.linspace(0.1, 1, 18).reshape(6, 3) if colors is None else colors
    return numpy_rasterizer.Mesh(vertices.astype(np.float32), CUBE, colors.astype(np.float32))


def sphere(radius, rings=48, sides=96):
    polar = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)[:, None]
    around = np.arange(sides) * (2 * np.pi / sides)
    grid = np.stack(
        np.broadcast_arrays(
            np.cos(polar) * np.cos(around), np.cos(polar) * np.sin(around), np.sin(polar)
        ),
        axis=-1,
    )
    i, j = np.mgrid[:rings, :sides]
    k = (j + 1) % sides
    faces = np.stack([i * sides + j, i * sides + k, (i + 1) * sides + k, (i + 1) * sides + j], -1)
    faces = faces.reshape(-1, 4)
    # At the poles two corners coincide: those faces are triangles.
    return numpy_rasterizer.Mesh(radius * grid.reshape(-1, 3), faces, np.full((len(faces), 3), 0.5))


def soup(generator, num):
    """Triangles that pierce one another, as quadrilaterals with a repeated corner."""
    vertices = generator.uniform(-1, 1, (num, 3, 3)).reshape(-1, 3)
    first = 3 * np.arange(num)[:, None]
    return numpy_rasterizer.Mesh(vertices, first + [[0, 1, 2, 2]], generator.random((num, 3)))


def ray_cast(mesh, view, size):
    """Nearest face that looks at the eye, for the center of each pixel (Moeller, Trumbore 1997)."""
    corners = (mesh.vertices @ view.rotation.T)[mesh.faces]
    y, x = np.mgrid[:size, :size] + 0.5
    towards = np.stack(
        [(x - view.center[0]) / view.focal, -(y - view.center[1]) / view.focal, -np.ones_like(x)],
        -1,
    ).reshape(-1, 3)
    eye = np.array([0, 0, view.distance])
    depth, index = np.full(len(towards), np.inf), np.full(len(towards), -1)
    for face, quad in enumerate(corners):
        for a, b, c in ((0, 1, 2), (0, 2, 3)):
            e1, e2 = quad[b] - quad[a], quad[c] - quad[a]
            normal = np.cross(e1, e2)
            if normal @ (eye - quad[a]) <= 0:
                continue
            p = np.cross(towards, e2)
            determinant = p @ e1
            with np.errstate(all="ignore"):
                u = p @ (eye - quad[a]) / determinant
                q = np.cross(eye - quad[a], e1)
                v = towards @ q / determinant
                t = e2 @ q / determinant
            hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t < depth)
            depth[hit], index[hit] = t[hit], face
    return depth.reshape(size, size), index.reshape(size, size)


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_a_ray_caster_where_faces_pierce_one_another(seed):
    generator = np.random.default_rng(seed)
    mesh = soup(generator, 30)
    view = numpy_rasterizer.View(random_rotation(generator), 4.0, 90.0, np.array([30.0, 35.0]))
    image, mask, depth = numpy_rasterizer.render(mesh, view, FLAT, BLACK, supersampling=1)
    expected_depth, index = ray_cast(mesh, view, 64)
    assert 0.2 < (index >= 0).mean() < 0.95  # the picture tests something
    np.testing.assert_array_equal(mask, index >= 0)
    np.testing.assert_allclose(depth, expected_depth, rtol=1e-5)
    colors = np.concatenate([mesh.colors, np.zeros((1, 3))])
    np.testing.assert_allclose(image, colors[index], atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_convex_quadrilateral_is_drawn_whole(seed):
    generator = np.random.default_rng(seed)
    mesh = cube(0.6)
    view = numpy_rasterizer.View(random_rotation(generator), 3.0, 80.0, np.array([32.0, 32.0]))
    _, mask, depth = numpy_rasterizer.render(mesh, view, FLAT, BLACK, supersampling=1)
    expected_depth, index = ray_cast(mesh, view, 64)
    np.testing.assert_array_equal(mask, index >= 0)
    np.testing.assert_allclose(depth, expected_depth, rtol=1e-5)


def test_a_cube_seen_face_on_is_a_square_of_the_right_size_and_depth():
    # Half side 0.5 at distance 3.5: the front face lies at depth 3 and its side is 96 * 1 / 3 px.
    view = numpy_rasterizer.View(np.eye(3), 3.5, 96.0, np.array([32.0, 32.0]))
    image, mask, depth = numpy_rasterizer.render(cube(0.5), view, FLAT, BLACK)
    expected = np.zeros((64, 64))
    expected[16:48, 16:48] = 1
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_allclose(depth[16:48, 16:48], 3.0, rtol=1e-6)
    assert np.isinf(depth[expected == 0]).all()
    np.testing.assert_allclose(image[32, 32], cube(0.5).colors[4], atol=1e-6)


def test_a_sphere_has_its_apparent_radius_in_perspective():
    distance, radius, focal = 2.5, 1.0, 56.0
    view = numpy_rasterizer.View(np.eye(3), distance, focal, np.array([32.0, 32.0]))
    _, mask, depth = numpy_rasterizer.render(sphere(radius), view, FLAT, BLACK, supersampling=4)
    apparent = focal * radius / np.sqrt(distance**2 - radius**2)
    np.testing.assert_allclose(mask.sum(), np.pi * apparent**2, rtol=5e-3)
    # The nearest sample of the four center pixels is half a sample off the axis.
    np.testing.assert_allclose(depth[31:33, 31:33], distance - radius, atol=2e-3)


def test_points_land_where_the_pinhole_matrix_puts_them():
    generator = np.random.default_rng(0)
    rotation = random_rotation(generator)
    view = numpy_rasterizer.View(rotation, 4.0, 70.0, np.array([20.0, 41.0]))
    points = generator.normal(size=(50, 3))
    # K [R | t] in OpenCV's axes (y down, z away from the viewer).
    opencv = np.diag([1.0, -1.0, -1.0])
    intrinsics = np.array([[70.0, 0, 20.0], [0, 70.0, 41.0], [0, 0, 1]])
    homogeneous = (points @ (opencv @ rotation).T + [0, 0, 4.0]) @ intrinsics.T
    pixels, depth = numpy_rasterizer.project(points, view)
    np.testing.assert_allclose(pixels, homogeneous[:, :2] / homogeneous[:, 2:])
    np.testing.assert_allclose(depth, homogeneous[:, 2])


def test_a_small_part_is_drawn_at_its_projected_pixel():
    generator = np.random.default_rng(1)
    for _ in range(5):
        view = numpy_rasterizer.View(random_rotation(generator), 4.0, 90.0, np.array([32.0, 32.0]))
        place = generator.uniform(-0.7, 0.7, 3)
        mesh = cube(0.04)
        mesh = mesh._replace(vertices=mesh.vertices + place)
        _, mask, _ = numpy_rasterizer.render(mesh, view, FLAT, BLACK, supersampling=4)
        y, x = np.mgrid[:64, :64] + 0.5
        seen = np.array([(x * mask).sum(), (y * mask).sum()]) / mask.sum()
        np.testing.assert_allclose(
            seen, numpy_rasterizer.project(place[None], view)[0][0], atol=0.1
        )


def test_supersampling_is_the_mean_of_a_larger_picture():
    generator = np.random.default_rng(2)
    mesh, rotation = soup(generator, 20), random_rotation(generator)
    view = numpy_rasterizer.View(rotation, 4.0, 90.0, np.array([31.0, 33.0]))
    large = numpy_rasterizer.View(rotation, 4.0, 270.0, np.array([93.0, 99.0]))
    behind = generator.random((64, 64, 3))
    image, mask, depth = numpy_rasterizer.render(mesh, view, FLAT, behind, supersampling=3)
    behind = behind.repeat(3, 0).repeat(3, 1)
    many, many_mask, many_depth = numpy_rasterizer.render(
        mesh, large, FLAT, behind, supersampling=1
    )
    np.testing.assert_allclose(image, many.reshape(64, 3, 64, 3, 3).mean((1, 3)), atol=1e-5)
    np.testing.assert_allclose(mask, many_mask.reshape(64, 3, 64, 3).mean((1, 3)), atol=1e-6)
    np.testing.assert_array_equal(depth, many_depth.reshape(64, 3, 64, 3).min((1, 3)))


def test_shading_is_lambert_plus_ambient_and_saturates():
    light = numpy_rasterizer.Light(
        np.array([[0.6, 0.0, 0.8], [0.0, 0.0, -1.0]]), np.array([0.5, 9.0]), 0.3
    )
    view = numpy_rasterizer.View(np.eye(3), 3.5, 96.0, np.array([32.0, 32.0]))
    colors = np.tile([[0.2, 0.5, 1.0]], (6, 1))
    image, _, _ = numpy_rasterizer.render(cube(0.5, colors), view, light, BLACK)
    np.testing.assert_allclose(image[32, 32], [0.14, 0.35, 0.7], atol=1e-6)
    bright = light._replace(ambient=2.0)
    image, _, _ = numpy_rasterizer.render(cube(0.5, colors), view, bright, BLACK)
    np.testing.assert_allclose(image[32, 32], [0.48, 1.0, 1.0], atol=1e-6)


def test_a_point_light_obeys_the_square_and_the_cosine_at_a_face_s_centroid():
    # A trapezium with parallel sides 3 and 1 has its centroid at (13, 5) / 12 from its right angle.
    trapezium = np.array([(0, 0, 0), (3, 0, 0), (1, 1, 0), (0, 1, 0)]) * 0.4 - [0.6, 0.2, 0]
    centroid = np.array([13 / 12, 5 / 12, 0]) * 0.4 - [0.6, 0.2, 0]
    faces = [[0, 1, 2, 3], [1, 2, 3, 0], [0, 1, 2, 2], [0, 0, 1, 2], [0, 1, 1, 2], [2, 0, 1, 2]]
    lamp, view = (
        np.array([0.7, -0.4, 1.1]),
        numpy_rasterizer.View(np.eye(3), 4.0, 90.0, np.full(2, 32.0)),
    )
    light = FLAT._replace(ambient=0.1, positions=lamp[None], powers=np.array([1.5]))
    for i, face in enumerate(faces):
        mesh = numpy_rasterizer.Mesh(trapezium, np.array([face]), np.full((1, 3), 0.5))
        away = lamp - (centroid if i < 2 else trapezium[:3].mean(0))
        distance = np.linalg.norm(away)
        expected = 0.5 * (0.1 + 1.5 * (away[2] / distance) / distance**2)
        image, mask, _ = numpy_rasterizer.render(mesh, view, light, BLACK)
        assert (mask == 1).sum() > 50
        np.testing.assert_allclose(image[mask == 1], expected, rtol=1e-5)
        below = light._replace(positions=-lamp[None])  # a light behind a face does not reach it
        image, _, _ = numpy_rasterizer.render(mesh, view, below, BLACK)
        np.testing.assert_allclose(image[mask == 1], 0.05, rtol=1e-5)


def test_the_gradient_lights_what_faces_up_more():
    view = numpy_rasterizer.View(np.eye(3), 3.5, 96.0, np.array([32.0, 32.0]))
    for tilt, gradient, expected in ((60, 0.5, 0.43301), (-60, 0.5, -0.43301), (-60, 2, -1)):
        c, s = np.cos(np.deg2rad(tilt)), np.sin(np.deg2rad(tilt))
        view = view._replace(rotation=np.array([[1.0, 0, 0], [0, c, s], [0, -s, c]]))
        plate = cube(0.5)._replace(faces=CUBE[4:5], colors=np.full((1, 3), 0.5))
        light = FLAT._replace(ambient=0.6, gradient=np.array([0, gradient, 0]))
        image, mask, _ = numpy_rasterizer.render(plate, view, light, BLACK)
        seen = image[mask == 1]
        np.testing.assert_allclose(seen, 0.3 * (1 + expected), atol=1e-5)


def test_a_face_is_not_seen_from_behind():
    mesh = cube(0.5)
    view = numpy_rasterizer.View(np.eye(3), 3.5, 96.0, np.array([32.0, 32.0]))
    away = mesh._replace(faces=mesh.faces[4:5, ::-1], colors=mesh.colors[4:5])
    assert not numpy_rasterizer.render(away, view, FLAT, BLACK)[1].any()


@pytest.mark.parametrize("seed", range(3))
def test_the_mirrored_mesh_in_the_mirrored_pose_is_the_flipped_picture(seed):
    generator = np.random.default_rng(seed)
    mesh, rotation = soup(generator, 25), random_rotation(generator)
    light = numpy_rasterizer.Light(np.array([[0.6, 0.48, 0.64]]), np.array([0.7]), 0.3)
    behind = generator.random((64, 64, 3))
    view = numpy_rasterizer.View(rotation, 4.0, 90.0, np.array([29.0, 33.0]))
    mirror = np.diag([-1.0, 1.0, 1.0])
    mirrored_mesh = mesh._replace(vertices=mesh.vertices @ mirror, faces=mesh.faces[:, ::-1])
    mirrored_view = view._replace(
        rotation=mirror @ rotation @ mirror, center=np.array([64 - 29.0, 33.0])
    )
    mirrored_light = light._replace(directions=light.directions @ mirror)
    image, _, depth = numpy_rasterizer.render(mesh, view, light, behind)
    flipped, _, flipped_depth = numpy_rasterizer.render(
        mirrored_mesh, mirrored_view, mirrored_light, behind[:, ::-1]
    )
    np.testing.assert_allclose(flipped[:, ::-1], image, atol=1e-5)
    np.testing.assert_allclose(flipped_depth[:, ::-1], depth, rtol=1e-5)


def test_theta_turns_the_picture_counter_clockwise():
    generator = np.random.default_rng(3)
    mesh, rotation = soup(generator, 25), random_rotation(generator)
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    view = numpy_rasterizer.View(rotation, 4.0, 90.0, np.array([32.0, 32.0]))
    upright, _, _ = numpy_rasterizer.render(mesh, view, FLAT, BLACK)
    turned, _, _ = numpy_rasterizer.render(
        mesh, view._replace(rotation=quarter @ rotation), FLAT, BLACK
    )
    np.testing.assert_allclose(turned, np.rot90(upright), atol=1e-5)


def test_what_leaves_the_picture_is_cut_off():
    generator = np.random.default_rng(4)
    mesh = soup(generator, 30)
    view = numpy_rasterizer.View(random_rotation(generator), 3.0, 150.0, np.array([64.0, 64.0]))
    whole, _, _ = numpy_rasterizer.render(mesh, view, FLAT, np.zeros((128, 128, 3)))
    for corner in ((0, 0), (40, 10), (64, 64)):
        part, _, _ = numpy_rasterizer.render(
            mesh, view._replace(center=view.center - corner[::-1]), FLAT, BLACK
        )
        window = whole[corner[0] : corner[0] + 64, corner[1] : corner[1] + 64]
        np.testing.assert_allclose(part, window, atol=1e-5)


def test_a_mesh_that_reaches_the_eye_is_refused():
    view = numpy_rasterizer.View(np.eye(3), 0.5, 96.0, np.array([32.0, 32.0]))
    with pytest.raises(ValueError, match="reaches the eye"):
        numpy_rasterizer.render(cube(0.5), view, FLAT, BLACK)
