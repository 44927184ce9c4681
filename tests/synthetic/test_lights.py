"""Lights at places, gradients, colors of corners and textures in the jax rasterizer."""

import numpy as np
import pytest
import test_renderer as pictures

from catpose.synthetic import textures
from tests.support import numpy_scene

TILTED = numpy_scene.rotation_from_angles(np.deg2rad(20.0), np.deg2rad(50.0), np.deg2rad(35.0))


def on_plate(rotation=TILTED):
    """Where the rays of `pictures.AHEAD` meet the plane z = 0 of the object, in its frame."""
    v, u = (np.mgrid[: pictures.SIZE, : pictures.SIZE] + 0.5 - 16) / 40
    ray = np.stack([u, -v, -np.ones_like(u)], -1)
    normal, eye = rotation[:, 2], np.array([0, 0, 4.0])
    return (eye - (normal @ eye) / (ray @ normal)[..., None] * ray) @ rotation


def test_lights_at_places_and_gradients_agree_with_the_numpy_rasterizer():
    generator = np.random.default_rng(4)
    columns = pictures.scenes(4, pictures.SIZE)
    columns[0] = [pictures.soup(generator, 40) for _ in range(4)]
    columns[1] = [pictures.AHEAD] * 4
    columns[2] = [
        light._replace(
            positions=generator.uniform(-3, 3, (3, 3)),
            powers=generator.uniform(0, 2, 3),
            gradient=generator.normal(size=3),
        )
        for light in columns[2]
    ]
    picture = pictures.draw(*columns)
    pictures.assert_same_pictures(picture, columns)
    without = pictures.draw(
        *columns[:2], [light._replace(powers=np.zeros(3)) for light in columns[2]]
    )
    assert np.abs(without.image - picture.image).max() > 0.1


def test_a_smooth_plate_is_lit_at_each_sample():
    base = pictures.FLAT._replace(positions=np.array([[0.3, -0.2, 1.2]]), powers=np.zeros(1))
    base = base._replace(gradient=np.zeros(3), ambient=0.4)
    up, down = np.array([0, 0.6, 0]), np.array([0, -2.5, 0])
    lights = [base._replace(powers=np.ones(1))]
    lights += [base._replace(gradient=gradient) for gradient in (up, down, -up)]
    views = [pictures.AHEAD] + [pictures.AHEAD._replace(rotation=TILTED)] * 3
    colors = np.full((4, 2, 3, 3), 0.5)
    plates = [pictures.square(0.8)] * 4
    picture = pictures.draw(
        plates, views, lights, multiple=2, colors=colors, smooth=True, supersampling=1
    )
    away = np.array([0.3, -0.2, 1.2]) - on_plate(np.eye(3))
    expected = 0.5 * (0.4 + 1.2 / (away**2).sum(-1) ** 1.5)
    seen = picture.mask[0] == 1
    assert seen.sum() == 256
    np.testing.assert_allclose(picture.image[0, ..., 1][seen], expected[seen], rtol=1e-5)
    assert TILTED[1, 2] > 0.5  # it faces up
    for i, slope in enumerate((0.6, -2.5, -0.6)):
        seen = picture.mask[i + 1] == 1
        expected = 0.5 * 0.4 * max(1 + slope * TILTED[1, 2], 0)
        np.testing.assert_allclose(picture.image[i + 1][seen], expected, atol=1e-6)


def test_corner_colors_are_blended_in_perspective():
    flat = np.array([[(-1, -1, 0), (1, -1, 0), (0, 1, 0)], [(-2, -9, 0), (2, -9, 0), (0, 5, 0)]])
    generator = np.random.default_rng(5)
    colors = np.zeros((4, 2, 3, 3))
    colors[:, 0] = generator.random((4, 3, 3))
    other = TILTED @ np.diag([-1.0, -1.0, 1.0])
    rotations = [TILTED, other, TILTED, other]  # the large triangle reaches past the eye
    views = [pictures.AHEAD._replace(rotation=rotation) for rotation in rotations]
    meshes = [
        pictures.triangles(flat[[0]]),
        pictures.triangles(flat[[0]]),
        pictures.triangles(flat[[1]]),
        pictures.triangles(flat[[1]]),
    ]
    assert ((flat[1] @ TILTED.T)[:, 2] > 4).any() or ((flat[1] @ other.T)[:, 2] > 4).any()
    picture = pictures.draw(meshes, views, multiple=2, colors=colors, supersampling=1)
    for i, rotation in enumerate(rotations):
        corners = np.concatenate([flat[i // 2, :, :2].T, np.ones((1, 3))])
        place = np.concatenate(
            [on_plate(rotation)[..., :2], np.ones((pictures.SIZE, pictures.SIZE, 1))], -1
        )
        weights = place @ np.linalg.inv(corners).T
        seen = picture.mask[i] == 1
        assert seen.sum() > 100
        expected = weights @ colors[i, 0]
        np.testing.assert_allclose(picture.image[i][seen], expected[seen], atol=2e-5)


@pytest.mark.parametrize("smooth", [False, True])
def test_stripes_change_where_their_planes_are_projected(smooth):
    strength = np.array([0.0, 0.3, 0.6, 0.6], np.float32)
    texture = textures.Texture(
        kind=np.zeros(4, np.int32),
        scale=np.array([0.5, 0.5, 0.5, 0.9], np.float32),
        strength=strength,
        rotation=np.tile(np.eye(3, dtype=np.float32), (4, 1, 1)),
        phase=np.tile(np.array([0.1, 0, 0], np.float32), (4, 1)),
        seed=np.zeros(4, np.uint32),
    )
    views = [pictures.AHEAD._replace(rotation=TILTED)] * 4
    picture = pictures.draw(
        [pictures.square(0.8)] * 4,
        views,
        multiple=2,
        texture=texture,
        smooth=smooth,
        supersampling=1,
    )
    for i, scale in enumerate(texture.scale):
        halves = 2 * (on_plate()[..., 0] / scale + 0.1)
        seen = (picture.mask[i] == 1) & (np.abs(halves - np.round(halves)) > 1e-3)
        assert seen.sum() > 100
        expected = 0.5 * (1 + strength[i] * np.where(np.floor(halves) % 2 == 0, 1, -1))
        np.testing.assert_allclose(picture.image[i, ..., 0][seen], expected[seen], atol=1e-6)
