"""The jax rasterizer against the numpy one, and both against closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catpose import errors
from catpose.synthetic import mesh_batch, renderer
from catpose.synthetic.objects import catalogue
from tests.support import numpy_rasterizer, numpy_scene

SIZE = 32
FLAT = numpy_rasterizer.Light(np.eye(3)[1:], np.zeros(2), 1.0)
BLACK = np.zeros((SIZE, SIZE, 3), np.float32)
PLAIN = {"supersampling": 1, "normals": True, "near": 0.75, "tile": 8}  # near plane at depth 3
AHEAD = numpy_rasterizer.View(np.eye(3), 4.0, 40.0, np.array([16.0, 16.0]))


def triangles(corners, colors=0.5):
    """A mesh of triangles (T, 3, 3) with vertices of their own."""
    corners = np.asarray(corners, np.float32)
    faces = 3 * np.arange(len(corners))[:, None] + np.array([[0, 1, 2, 2]])
    colors = np.broadcast_to(np.asarray(colors, np.float32), (len(corners), 3))
    return numpy_rasterizer.Mesh(corners.reshape(-1, 3), faces, colors)


def quad(corners, color=0.5):
    return numpy_rasterizer.Mesh(
        np.asarray(corners, np.float32), np.array([[0, 1, 2, 3]]), np.full((1, 3), color)
    )


def square(half, z=0.0, color=0.5):
    return quad([(-half, -half, z), (half, -half, z), (half, half, z), (-half, half, z)], color)


def sphere(rings=24, sides=48):
    polar = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)[:, None]
    around = np.arange(sides) * (2 * np.pi / sides)
    parts = (np.cos(polar) * np.cos(around), np.cos(polar) * np.sin(around), np.sin(polar))
    grid = np.stack(np.broadcast_arrays(*parts), axis=-1).reshape(-1, 3)
    i, j = np.mgrid[:rings, :sides]
    k = (j + 1) % sides
    faces = np.stack([i * sides + j, i * sides + k, (i + 1) * sides + k, (i + 1) * sides + j], -1)
    faces = faces.reshape(-1, 4)
    return numpy_rasterizer.Mesh(grid.astype(np.float32), faces, np.full((len(faces), 3), 0.5))


def soup(generator, num, reach=1.0):
    """Triangles that pierce one another."""
    corners = generator.uniform(-reach, reach, (num, 3, 3))
    return triangles(corners, generator.random((num, 3)))


def draw(meshes, views=None, lights=None, backgrounds=None, *, multiple=1024, **kwargs):
    """Fills the batch up to a multiple of four: fewer sizes, fewer compilations."""
    num = len(meshes)
    columns = (meshes, views or [AHEAD] * num, lights or [FLAT] * num, backgrounds or [BLACK] * num)
    columns = [column + column[-1:] * (-num % 4) for column in columns]
    padded = mesh_batch.pad(columns[0], multiple=multiple)
    padded = padded._replace(colors=kwargs.pop("colors", padded.colors))
    if kwargs.pop("smooth", False):
        kwargs["corner_normals"] = mesh_batch.corner_normals(padded)
    views, lights, behind = (
        numpy_rasterizer.stack(columns[1]),
        numpy_rasterizer.stack(columns[2]),
        columns[3],
    )
    picture = renderer.render(padded, views, lights, np.stack(behind), **kwargs)
    return jax.tree.map(lambda a: np.asarray(a)[:num], picture)


def scenes(num, size, categories=catalogue.CATEGORIES, seed=0):
    generator = np.random.default_rng(seed)
    drawn = []
    for i in range(num):
        mesh = catalogue.make(generator, categories[i % len(categories)])
        rotation = numpy_scene.rotation_from_angles(*numpy_scene.sample_angles(generator))
        view = numpy_scene.sample_view(generator, mesh, rotation, size)
        behind = generator.random((size, size, 3)).astype(np.float32)
        drawn.append((mesh, view, numpy_scene.sample_light(generator), behind))
    return [list(column) for column in zip(*drawn, strict=True)]


def assert_same_pictures(picture, columns, supersampling=2):
    """All but one in a thousand samples agree in mask and depth, two in a thousand in color.

    Where faces of different colors coincide, or cross at a small angle, rounding decides which is
    seen.
    """
    for i, scene_ in enumerate(zip(*columns, strict=True)):
        image, mask, depth = numpy_rasterizer.render(*scene_, supersampling=supersampling)
        assert np.abs(picture.mask[i] - mask).mean() <= 1e-3
        seen = (picture.mask[i] == mask) & (mask > 0)
        off = np.abs(picture.depth[i][seen] / depth[seen] - 1) > 1e-4
        assert off.sum() <= 1e-3 * mask.size
        off = np.abs(picture.image[i] - image).max(axis=-1) > 2 / 255
        assert off.sum() <= 2e-3 * mask.size
        np.testing.assert_array_equal(np.isinf(picture.depth[i]), picture.mask[i] == 0)


def test_agrees_with_the_numpy_rasterizer_on_all_families():
    columns = scenes(36, 64)
    assert_same_pictures(draw(*columns, multiple=512), columns)


def test_agrees_in_a_large_picture_with_three_samples_a_side():
    columns = scenes(2, 120, ("motorbike", "chair"), seed=1)
    assert_same_pictures(draw(*columns, supersampling=3), columns, 3)


def test_no_triangle_is_lost_where_all_meet_in_one_tile():
    # 900 triangles inside 5 x 5 pixels, and 900 that each cover much of the picture.
    generator = np.random.default_rng(2)
    columns = scenes(2, SIZE, ("car",))
    columns[0] = [soup(generator, 900, 0.2), soup(generator, 900, 1.5)]
    columns[1] = [AHEAD._replace(distance=5.0), AHEAD._replace(distance=5.0)]
    picture = draw(*columns)
    assert 0 < picture.mask[0].mean() < 0.05
    assert picture.mask[1].mean() > 0.5
    assert_same_pictures(picture, columns)


def test_of_coincident_triangles_the_last_is_seen():
    corners = [(-1, -1, 0), (1, -1, 0), (0, 1, 0)]
    colors = np.linspace(0.1, 0.9, 20)[:, None]
    picture = draw([triangles([corners] * 20, colors)])
    assert picture.image[0, 16, 16] == pytest.approx(0.9)
    assert numpy_rasterizer.render(triangles([corners] * 20, colors), AHEAD, FLAT, BLACK)[0][
        16, 16
    ] == pytest.approx(0.9)


def test_a_square_has_its_area_depth_and_normal():
    # Half side 0.8 at depth 4 and focal length 40: 16 pixels a side. Its rear is not drawn.
    away = square(0.8)._replace(faces=np.array([[3, 2, 1, 0]]))
    picture = draw([square(0.8), away], **PLAIN)
    expected = np.zeros((SIZE, SIZE))
    expected[8:24, 8:24] = 1
    np.testing.assert_array_equal(picture.mask[0], expected)
    np.testing.assert_allclose(picture.depth[0][expected == 1], 4.0, rtol=1e-6)
    assert np.isinf(picture.depth[0][expected == 0]).all()
    np.testing.assert_allclose(picture.normals[0], expected[..., None] * [0, 0, 1], atol=1e-6)
    assert not picture.mask[1].any()
    np.testing.assert_array_equal(picture.image[1], BLACK)


def test_a_slanted_plane_has_the_depth_of_its_equation():
    # z = x / 2: a ray (u, v, -1) t from the eye meets it at t = 4 / (1 + u / 2).
    slanted = quad([(-9, -9, -4.5), (9, -9, 4.5), (9, 9, 4.5), (-9, 9, -4.5)])
    picture = draw([slanted], **PLAIN)
    u = (np.arange(SIZE) + 0.5 - 16) / 40
    np.testing.assert_allclose(picture.depth[0], np.tile(4 / (1 + u / 2), (SIZE, 1)), rtol=1e-5)
    normal = np.array([-0.5, 0, 1]) / np.sqrt(1.25)
    np.testing.assert_allclose(picture.normals[0], np.tile(normal, (SIZE, SIZE, 1)), atol=1e-6)


def test_a_smooth_sphere_has_its_radius_depth_normals_and_shades():
    toward = np.array([0.6, 0.0, 0.8])
    light = numpy_rasterizer.Light(np.stack([toward, -toward]), np.array([1.0, 0.0]), 0.1)
    picture = draw([sphere()], lights=[light], smooth=True, normals=True, supersampling=4)
    apparent = 40 * 1 / np.sqrt(4**2 - 1)
    np.testing.assert_allclose(picture.mask.sum(), np.pi * apparent**2, rtol=1e-2)
    np.testing.assert_allclose(picture.depth[0, 15:17, 15:17], 3.0, atol=0.01)
    v, u = (np.mgrid[:SIZE, :SIZE] + 0.5 - 16) / 40
    ray = np.stack([u, -v, -np.ones_like(u)], -1)
    inner = np.hypot(u, v) * 40 < 0.85 * apparent
    square_, half = (ray**2).sum(-1), -4 * ray[..., 2]
    t = (half - np.sqrt(np.where(inner, half**2 - square_ * 15, 0))) / square_
    normal = ray * t[..., None] + [0, 0, 4]
    np.testing.assert_allclose(picture.normals[0][inner], normal[inner], atol=0.03)
    shade = 0.5 * (0.1 + np.maximum(normal @ toward, 0))
    np.testing.assert_allclose(picture.image[0, ..., 0][inner], shade[inner], atol=0.02)


def test_corner_normals_stay_sharp_at_creases():
    ring = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    cube = np.concatenate([np.c_[ring, np.full(4, z)] for z in (-1, 1)])
    faces = [[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7], [3, 2, 1, 0]]
    padded = mesh_batch.pad([numpy_rasterizer.Mesh(cube, np.array(faces), np.full((6, 3), 0.5))])
    flat = np.array([(0, -1, 0), (1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, 0, 1), (0, 0, -1)])
    found = mesh_batch.corner_normals(padded)[0]
    np.testing.assert_allclose(found[:12], flat.repeat(2, 0)[:, None].repeat(3, 1), atol=1e-6)
    assert not found[12:].any()
    round_ = mesh_batch.corner_normals(padded, crease_deg=100.0)[0, :12]
    corners = padded.vertices[0][padded.triangles[0, :12]]
    # A corner with two triangles of one face leans to that face; the sign is that of the place.
    np.testing.assert_array_equal(np.sign(round_), np.sign(corners))


def test_what_is_behind_the_eye_or_too_near_is_cut_off():
    # A floor 1 below the eye, from far ahead to far behind: row v has depth 40 / (v - 16).
    floor = quad([(-90, -1, 500), (90, -1, 500), (90, -1, -500), (-90, -1, -500)])
    # A ramp that rises behind the eye: its nearest seen point is lower than any corner's image.
    ramp = quad([(-90, 0.1, 54), (90, 0.1, 54), (90, -2, -6), (-90, -2, -6)])
    picture = draw([floor, square(1, z=9.0), square(1, z=4.0), ramp], **PLAIN)
    v = np.arange(SIZE) + 0.5 - 16
    with np.errstate(divide="ignore"):
        expected = np.where(v > 0, 40 / v, np.inf)
    expected[expected < 3.0] = np.inf  # the near plane
    expected[expected > 504] = np.inf
    assert np.isfinite(expected).sum() == 13
    np.testing.assert_allclose(picture.depth[0, :, 16], expected, rtol=1e-5)
    np.testing.assert_array_equal(picture.mask[0, :, 16], np.isfinite(expected))
    assert not picture.mask[1:3].any()
    expected = 66 / (v - 1.4)
    expected[(v < 8) | (expected < 3)] = np.inf
    assert np.isfinite(expected).sum() == 8
    np.testing.assert_allclose(picture.depth[3, :, 16], expected, rtol=1e-5)


@functools.cache
def small_batch():
    columns = scenes(8, SIZE, ("boat", "tvmonitor"), seed=3)
    return columns, draw(*columns)


def test_the_same_picture_comes_twice():
    columns, picture = small_batch()
    again = draw(*columns)
    for name in ("image", "mask", "depth"):
        np.testing.assert_array_equal(getattr(again, name), getattr(picture, name))


def assert_close(found, picture):
    np.testing.assert_array_equal(found.mask, picture.mask)
    np.testing.assert_allclose(found.image, picture.image, atol=1e-5)
    np.testing.assert_allclose(found.depth, picture.depth, rtol=1e-5)


def test_padding_and_grouping_change_nothing():
    columns, picture = small_batch()
    other = draw(*columns, multiple=31, tile=12, tiles_at_once=5, images_at_once=3)
    assert_close(other, picture)


@pytest.mark.parametrize("transform", [jax.vmap, jax.pmap])
def test_one_by_one_under_vmap_and_on_eight_devices(transform):
    columns, picture = small_batch()
    meshes, views, lights, behind = columns
    padded = mesh_batch.pad(meshes, multiple=64)
    arguments = (
        padded,
        numpy_rasterizer.stack(views),
        numpy_rasterizer.stack(lights),
        np.stack(behind),
    )
    split = jax.tree.map(lambda a: jnp.reshape(a, (8, 1, *a.shape[1:])), arguments)
    found = jax.tree.map(lambda a: np.asarray(a)[:, 0], transform(renderer.render)(*split))
    assert_close(found, picture)
    assert found.image.dtype == found.depth.dtype == np.float32


def test_wrong_input_is_told():
    with pytest.raises(errors.InputError, match="at least one mesh"):
        mesh_batch.pad([])
    padded, view = mesh_batch.pad([square(1)]), numpy_rasterizer.stack([AHEAD])
    light = numpy_rasterizer.stack([FLAT])
    with pytest.raises(errors.InputError, match="2 backgrounds, but the shape of meshes"):
        renderer.render(padded, view, light, np.stack([BLACK, BLACK]))
    with pytest.raises(errors.InputError, match=r"\(B, S, S, 3\)"):
        renderer.render(padded, view, light, BLACK[None, :, :5])
