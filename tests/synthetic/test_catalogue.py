"""Every family: a sound mesh, and pictures that tell its sides apart."""

import functools

import numpy as np
import pytest

from catpose.synthetic.objects import catalogue, colors
from tests.support import numpy_rasterizer, numpy_scene

SEEDS = range(12)
AMBIENT = numpy_rasterizer.Light(np.array([[0.0, 0.0, 1.0]]), np.array([0.0]), 1.0)
LIGHT = numpy_rasterizer.Light(np.array([[0.48, 0.6, 0.64]]), np.array([0.6]), 0.5)


# Families by name; those closer to life have a name of their own here.
DETAILED = [
    f"detailed {category}" for category in catalogue.CATEGORIES if category in catalogue._DETAILED
]
FAMILIES = [*catalogue.CATEGORIES, *DETAILED]


def make(generator, family):
    return catalogue.make(generator, family.split()[-1], detailed=family.startswith("detailed"))


@functools.cache
def made(family, seed):
    return make(np.random.default_rng(seed), family)


def drawn(mesh, azimuth_deg, elevation_deg=12.0, size=64, light=LIGHT):
    rotation = numpy_scene.rotation_from_angles(
        float(np.deg2rad(azimuth_deg)), float(np.deg2rad(elevation_deg)), 0.0
    )
    view = numpy_scene.framed_view(mesh, rotation, size)
    return numpy_rasterizer.render(mesh, view, light, np.full((size, size, 3), 0.5, np.float32))


def difference(a, b):
    """Mean absolute difference of two pictures, over the pixels that either covers."""
    either = (a[1] > 0) | (b[1] > 0)
    return np.abs(a[0] - b[0]).mean(axis=-1)[either].mean()


def test_categories_are_those_of_pascal3d_in_its_order():
    assert catalogue.CATEGORIES == (
        "aeroplane", "bicycle", "boat", "bottle", "bus", "car",
        "chair", "diningtable", "motorbike", "sofa", "train", "tvmonitor",
    )  # fmt: skip


@pytest.mark.parametrize("category", FAMILIES)
def test_meshes_are_normalised_and_planar(category):
    for seed in SEEDS:
        mesh = made(category, seed)
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        np.testing.assert_allclose(low + high, 0, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(high - low), 2, rtol=1e-5)
        assert mesh.colors.min() >= 0
        assert mesh.colors.max() <= 1
        assert mesh.faces.min() == 0
        assert mesh.faces.max() < len(mesh.vertices)
        corners = mesh.vertices[mesh.faces].astype(np.float64)
        a, b, c = (corners[:, i] - corners[:, 0] for i in (1, 2, 3))
        area = np.linalg.norm(np.cross(b, c - a), axis=1)
        volume = np.abs((np.cross(a, b) * c).sum(axis=1))
        # A quadrilateral's distance from planarity, in the mesh's unit.
        assert (volume <= 1e-3 * np.maximum(area, 1e-5)).all()


@pytest.mark.parametrize("category", FAMILIES)
def test_faces_look_outward(category):
    # Where every surface is closed and turned outward, the rear sides of faces are never nearest.
    generator = np.random.default_rng(0)
    for seed in SEEDS:
        mesh = made(category, seed)
        both = mesh._replace(
            faces=np.concatenate([mesh.faces, mesh.faces[:, ::-1]]),
            colors=np.concatenate([mesh.colors, mesh.colors]),
        )
        angles = numpy_scene.sample_angles(generator)
        rotation = numpy_scene.rotation_from_angles(*angles)
        view = numpy_scene.framed_view(mesh, rotation, 96)
        grey = np.zeros((96, 96, 3), np.float32)
        _, mask, depth = numpy_rasterizer.render(mesh, view, AMBIENT, grey)
        _, full_mask, full_depth = numpy_rasterizer.render(both, view, AMBIENT, grey)
        # Inverse depth is zero where there is nothing; 0.001 of it is 0.025 at distance 5.
        differs = (np.abs(mask - full_mask) > 0.26) | (np.abs(1 / depth - 1 / full_depth) > 0.001)
        # Patches that overhang the part they sit on may show a sliver of their rear.
        assert differs.sum() <= 0.025 * (mask > 0).sum(), (category, seed)


@pytest.mark.parametrize("category", FAMILIES)
@pytest.mark.parametrize(("one", "other"), [(0, 180), (90, 270)])
def test_opposite_sides_look_different(category, one, other):
    differences = []
    for seed in SEEDS:
        a, b = drawn(made(category, seed), one), drawn(made(category, seed), other)
        flipped = tuple(x[:, ::-1] for x in b)
        differences.append([difference(a, b), difference(a, flipped)])
    differences = np.array(differences)
    assert differences[:, 0].min() > 0.02
    assert np.median(differences[:, 0]) > 0.06
    if (one, other) == (0, 180):
        # A rear view is not a front view in the mirror either.
        assert differences[:, 1].min() > 0.01


@pytest.mark.parametrize(
    "category", ["bicycle", "bus", "car", "detailed car", "motorbike", "train"]
)
def test_lamps_are_in_front_and_red_lights_behind(category):
    def pixels_like(picture, color):
        return (np.abs(picture[0] - color).max(axis=-1) < 0.1).sum()

    lamps, reds = [], []
    for seed in range(20):
        mesh = made(category, seed)
        front = drawn(mesh, 0, size=96, light=AMBIENT)
        rear = drawn(mesh, 180, size=96, light=AMBIENT)
        lamps.append([pixels_like(front, colors.LAMP), pixels_like(rear, colors.LAMP)])
        reds.append([pixels_like(front, colors.TAIL_LIGHT), pixels_like(rear, colors.TAIL_LIGHT)])
    lamps, reds = np.median(lamps, axis=0), np.median(reds, axis=0)
    assert lamps[0] >= 5
    assert lamps[0] > 4 * lamps[1]
    assert reds[1] >= 5
    assert reds[1] > 4 * reds[0]


def test_a_bus_has_its_doors_on_the_right_side():
    def breaks(azimuth_deg, mesh):
        """How much the color changes along the wall, between the windows and the wheels."""
        image, mask, _ = drawn(mesh, azimuth_deg, 0.0, size=96, light=AMBIENT)
        rows = np.flatnonzero(mask.max(axis=1) == 1)
        wall = image[rows[int(len(rows) * 0.61)]]
        return np.abs(np.diff(wall, axis=0)).sum()

    excess = []
    for seed in range(20):
        mesh = catalogue.make(np.random.default_rng(seed), "bus")
        excess.append(breaks(270, mesh) - breaks(90, mesh))
    assert np.mean(np.array(excess) > 0) > 0.9


@pytest.mark.parametrize("category", FAMILIES)
def test_objects_of_a_category_differ_in_shape(category):
    meshes = [made(category, seed) for seed in SEEDS]
    extents = {tuple(np.round(np.ptp(mesh.vertices, axis=0), 3)) for mesh in meshes}
    assert len(extents) == len(meshes)
    # Sub-types: not one topology with other numbers.
    assert len({len(mesh.faces) for mesh in meshes}) >= 3
    silhouettes = [drawn(mesh, 60)[1] > 0.5 for mesh in meshes]
    overlaps = [
        (a & b).sum() / (a | b).sum() for i, a in enumerate(silhouettes) for b in silhouettes[:i]
    ]
    assert np.median(overlaps) < 0.93


def test_no_two_categories_look_alike():
    def mean_shape(category):
        return np.mean([drawn(made(category, seed), 60)[1] for seed in SEEDS], axis=0)

    means = {category: mean_shape(category) for category in catalogue.CATEGORIES}
    for a in catalogue.CATEGORIES:
        for b in catalogue.CATEGORIES:
            if a < b:
                assert np.abs(means[a] - means[b]).mean() > 0.02, (a, b)


def test_an_object_depends_on_its_generator_alone():
    for number, category in enumerate(catalogue.CATEGORIES):
        again = catalogue.make(np.random.default_rng(3), number)
        for a, b in zip(made(category, 3), again, strict=True):
            np.testing.assert_array_equal(a, b)
    for family in DETAILED:
        for a, b in zip(made(family, 3), make(np.random.default_rng(3), family), strict=True):
            np.testing.assert_array_equal(a, b)


def test_an_unknown_category_is_refused():
    generator = np.random.default_rng(0)
    for category in ("cat", 12, -1):
        with pytest.raises(KeyError):
            catalogue.make(generator, category)
