"""Detailed cars: what the tests of the catalogue do not see."""

import numpy as np
import pytest
from scipy import spatial

from catpose.synthetic import mesh_batch
from catpose.synthetic.objects import car_proportions, catalogue, detailed_cars, road

SEEDS = range(8)


def made(style, seed):
    return detailed_cars.car(np.random.default_rng(seed), style).mesh()


def test_the_styles_of_simple_cars_are_there_too():
    assert set(road.CAR_STYLES) < set(car_proportions.STYLES)


@pytest.mark.parametrize("style", car_proportions.STYLES)
def test_the_left_is_the_mirror_image_of_the_right(style):
    for seed in SEEDS:
        mesh = made(style, seed)
        corners = mesh.vertices[mesh.faces].reshape(-1, 3)
        points = np.concatenate([corners, np.repeat(mesh.colors, 4, axis=0)], axis=1)
        away, _ = spatial.KDTree(points).query(points * [-1, 1, 1, 1, 1, 1])
        assert away.max() < 1e-5


@pytest.mark.parametrize("style", car_proportions.STYLES)
def test_a_bucket_of_1024_triangles_holds_any(style):
    meshes = [made(style, seed) for seed in range(30)]
    count = mesh_batch.pad(meshes, multiple=1).count
    assert count.max() <= 1024
    assert count.min() > 600


@pytest.mark.parametrize("style", car_proportions.STYLES)
def test_proportions_are_those_of_real_cars(style):
    # Manufacturers' length and width over height: Lamborghini Aventador 4.21 and 1.79, Smart
    # Fortwo (2014) 1.73 and 1.07, Ford Transit L2H2 2.20 and 0.82.
    ratios = []
    for seed in SEEDS:
        width, length, height = np.ptp(made(style, seed).vertices, axis=0)
        ratios.append((length / height, width / height))
    ratios = np.array(ratios)
    assert (ratios > [1.73, 0.82]).all()
    assert (ratios < [4.21, 1.79]).all()


def roof(mesh, low, high):
    """Greatest height between two shares of the length, from the front, as a share of all."""
    share = (mesh.vertices[:, 1] + mesh.vertices[:, 1].max()) / np.ptp(mesh.vertices[:, 1])
    z = mesh.vertices[:, 2] - mesh.vertices[:, 2].min()
    return z[(share >= low) & (share <= high)].max() / z.max()


@pytest.mark.parametrize("style", car_proportions.STYLES)
def test_the_bonnet_is_lower_than_the_roof_and_the_rear_as_the_style_has_it(style):
    tall = style in ("hatchback", "estate", "suv", "van", "minivan")
    for seed in SEEDS:
        mesh = made(style, seed)
        assert roof(mesh, 0.0, 0.12) < 0.75
        assert roof(mesh, 0.25, 0.75) > 0.97
        assert (roof(mesh, 0.85, 1.0) > 0.82) == tall


def test_the_catalogue_makes_them_on_request_alone():
    simple, detailed = (
        catalogue.make(np.random.default_rng(0), "car", detailed=d) for d in (False, True)
    )
    again = catalogue.make(np.random.default_rng(0), "car", detailed=True)
    assert len(simple.faces) < len(detailed.faces)
    for a, b in zip(detailed, again, strict=True):
        np.testing.assert_array_equal(a, b)
