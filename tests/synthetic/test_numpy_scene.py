"""Views, backgrounds and pictures."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.geometry import viewpoint
from catpose.synthetic import backgrounds
from catpose.synthetic.objects import catalogue
from tests.support import numpy_rasterizer, numpy_scene


def test_rotation_is_that_of_scipy_and_of_the_library():
    generator = np.random.default_rng(0)
    angles = generator.uniform(-np.pi, np.pi, (50, 3))
    rotations = np.stack([numpy_scene.rotation_from_angles(*row) for row in angles])
    azimuth, elevation, theta = angles.T
    # Upper case: turning axes, so the product reads from left to right.
    expected = Rotation.from_euler("ZXZ", np.stack([theta, elevation - np.pi / 2, -azimuth], 1))
    np.testing.assert_allclose(rotations, expected.as_matrix(), atol=1e-12)
    library = viewpoint.rotation_from_angles(azimuth, elevation, theta, frame="camera")
    np.testing.assert_allclose(rotations, library, atol=2e-6)


def test_the_camera_is_where_pascal3d_puts_it():
    for azimuth, elevation, theta in np.random.default_rng(1).uniform(-1.5, 1.5, (10, 3)):
        rotation = numpy_scene.rotation_from_angles(azimuth, elevation, theta)
        center = [
            np.cos(elevation) * np.sin(azimuth),
            -np.cos(elevation) * np.cos(azimuth),
            np.sin(elevation),
        ]
        np.testing.assert_allclose(rotation @ center, [0, 0, 1], atol=1e-12)


def test_angles_are_distributed_like_those_of_photographs():
    generator = np.random.default_rng(0)
    azimuth, elevation, theta = np.rad2deg(
        [numpy_scene.sample_angles(generator) for _ in range(4000)]
    ).T
    counts, _ = np.histogram(azimuth, np.linspace(-180, 180, 13))
    assert counts.sum() == 4000
    assert counts.min() > 250
    counts, _ = np.histogram(elevation, np.linspace(-10, 50, 7))
    assert counts.sum() == 4000
    assert counts.min() > 560
    assert abs(theta.mean()) < 0.3
    assert 4.7 < theta.std() < 5.2
    assert np.abs(theta).max() <= 15


@pytest.mark.parametrize("category", catalogue.CATEGORIES)
def test_a_framed_view_fills_its_share_of_the_picture(category):
    generator = np.random.default_rng(0)
    mesh = catalogue.make(generator, category)
    rotation = numpy_scene.rotation_from_angles(*numpy_scene.sample_angles(generator))
    view = numpy_scene.framed_view(
        mesh, rotation, 100, distance=3.0, fill=0.8, offset=(0.05, -0.02)
    )
    black = np.zeros((100, 100, 3), np.float32)
    _, mask, _ = numpy_rasterizer.render(mesh, view, numpy_scene.sample_light(generator), black)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(80, abs=1.1)
    assert columns.mean() + 0.5 == pytest.approx(55, abs=1.1)
    assert (columns[0] + columns[-1] + 1) / 2 == pytest.approx(55, abs=1.1)
    assert (rows[0] + rows[-1] + 1) / 2 == pytest.approx(48, abs=1.1)


def test_pictures_keep_the_object_inside():
    generator = np.random.default_rng(0)
    for category in catalogue.CATEGORIES:
        mesh = catalogue.make(generator, category)
        picture = numpy_scene.picture(generator, mesh, 48)
        assert picture.image.shape == (48, 48, 3)
        assert picture.image.dtype == np.uint8
        rows = np.flatnonzero(picture.mask.any(axis=1))
        columns = np.flatnonzero(picture.mask.any(axis=0))
        assert 0.75 * 48 < max(np.ptp(rows), np.ptp(columns)) + 1 <= 48
        # The offset is at most 3 %, so at most 2.5 % of the longer side can be cut off.
        assert abs(columns[0] + columns[-1] + 1 - 48) <= 2 * 0.03 * 48 + 2
        assert abs(rows[0] + rows[-1] + 1 - 48) <= 2 * 0.03 * 48 + 2


def test_a_picture_shows_the_angles_it_reports():
    generator = np.random.default_rng(0)
    mesh = catalogue.make(generator, "car")
    picture = numpy_scene.picture(generator, mesh, 64)
    np.testing.assert_array_equal(
        picture.rotation, numpy_scene.rotation_from_angles(*picture.angles)
    )
    view = numpy_scene.framed_view(mesh, picture.rotation, 64)
    light = numpy_scene.sample_light(generator)
    _, mask, _ = numpy_rasterizer.render(mesh, view, light, np.zeros((64, 64, 3), np.float32))

    def moments(mask):
        y, x = np.mgrid[:64, :64]
        weight = mask / mask.sum()
        x, y = x - (x * weight).sum(), y - (y * weight).sum()
        cov = np.array([(weight * x * x).sum(), (weight * x * y).sum(), (weight * y * y).sum()])
        return cov / cov[[0, 2]].sum()

    np.testing.assert_allclose(moments(picture.mask), moments(mask), atol=0.02)
    fixed = numpy_scene.Angles(0.5, 0.2, 0.1)
    assert numpy_scene.picture(generator, mesh, 32, angles=fixed).angles == fixed


@pytest.mark.parametrize("family", backgrounds.FAMILIES)
@pytest.mark.parametrize("size", [17, 64, 100])
def test_backgrounds_are_pictures_and_vary(family, size):
    pictures = [
        backgrounds.background(np.random.default_rng(seed), size, family) for seed in range(8)
    ]
    for picture in pictures:
        assert picture.shape == (size, size, 3)
        assert picture.min() >= 0
        assert picture.max() <= 1
    means = np.array([picture.mean(axis=(0, 1)) for picture in pictures])
    assert means.std(axis=0).min() > 0.05


def test_the_families_of_backgrounds_have_no_clutter_in_common():
    def drawn_by(family):
        """What a family draws, by the names of pillow's methods; shapes told apart by outline."""
        calls = set()

        class Recorder:
            def __getattr__(self, name):
                def record(points, **options):
                    band = name == "rectangle" and points[0] == 0
                    calls.add(("band" if band else name, "outline" in options))

                return record

        generator = np.random.default_rng(0)
        clutter = {"seen": backgrounds._seen, "unseen": backgrounds._unseen}[family]
        for _ in range(60):
            clutter(generator, Recorder(), 64, (0, 0, 0))
        return calls

    assert len(drawn_by("seen")) == len(drawn_by("unseen")) == 3
    assert not drawn_by("seen") & drawn_by("unseen")


def test_an_unknown_family_of_backgrounds_is_refused():
    with pytest.raises(ValueError, match="'other'"):
        backgrounds.background(np.random.default_rng(0), 32, "other")
