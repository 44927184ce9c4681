"""Aeroplanes in detail: volumes in closed form, and what is where on each kind."""

import inspect

import numpy as np
import pytest
from scipy.spatial import cKDTree

from catpose.synthetic import mesh_batch
from catpose.synthetic.objects import airframes, catalogue, detailed_aeroplanes, solids
from tests.synthetic.test_solids import polygon_area, volume

GRAY = (0.5, 0.5, 0.5)
KINDS = [maker.__name__ for maker in detailed_aeroplanes._KINDS]
WITH_PROPELLER = {"propeller_airliner", "light_plane", "biplane", "warbird"}
SEEDS = range(20)


def parts(kind, seed):
    maker = dict(zip(KINDS, detailed_aeroplanes._KINDS, strict=True))[kind]
    return maker(np.random.default_rng(seed))


def vertices(kind, seed):
    return parts(kind, seed).mesh().vertices.astype(np.float64)


class Recorder(solids.Parts):
    """Keeps the quadrilaterals that a function adds."""

    def quads(self):
        return np.concatenate(self._quads)


def test_a_wing_has_the_volume_of_its_sections():
    # The section's area is 0.628 of chord times thickness (shoelace formula); it is quadratic in
    # the chord, which is linear in x.
    wing = Recorder()
    airframes.surface(wing, [(0, 1, 0, 3.0, 0.12), (7, 4, 1, 1.2, 0.12)], GRAY)
    expected = 0.628 * 0.12 * 7 * (3.0**2 + 3.0 * 1.2 + 1.2**2) / 3
    np.testing.assert_allclose(volume(wing.quads()), expected, rtol=1e-9)
    fin = Recorder()
    airframes.surface(fin, [(0, 1, 0, 3.0, 0.12), (1, 4, 7, 1.2, 0.12)], GRAY, upright=True)
    np.testing.assert_allclose(volume(fin.quads()), expected, rtol=1e-9)


def test_a_body_has_the_volume_of_its_sections():
    tube = Recorder()
    skin = np.full((1, 16, 3), 0.5)
    faces = airframes.body(tube, [(-2, 1.5, -1, 3), (3, 1.5, -1, 3)], skin, x=4)
    np.testing.assert_allclose(volume(tube.quads()), 5 * 1.5 * 2 * polygon_area(16, 1))
    # Facet 0 is on the left; its corners run from front to rear, and from below up.
    (a, b, c, d) = faces[0, 0]
    assert a[1] == d[1] == -2
    assert b[1] == c[1] == 3
    assert a[2] == b[2] < c[2] == d[2]
    assert faces[0, 0, :, 0].min() > 5.4


def test_angles_of_facets():
    np.testing.assert_allclose(airframes.from_top(8), [90, 45, 0, 45, 90, 135, 180, 135])


@pytest.mark.parametrize("kind", KINDS)
def test_triangles_are_few(kind):
    meshes = [parts(kind, seed).mesh() for seed in SEEDS]
    counts = [int(mesh_batch.pad([mesh]).count[0]) for mesh in meshes]
    assert np.median(counts) < 1200
    assert max(counts) <= 1500


@pytest.mark.parametrize("kind", KINDS)
def test_left_and_right_are_alike_but_for_propellers(kind):
    for seed in SEEDS:
        points = vertices(kind, seed)
        distance, _ = cKDTree(points).query(points * [-1, 1, 1])
        alone = np.mean(distance > 1e-5)
        if kind in WITH_PROPELLER:
            assert alone < 0.06
        else:
            assert alone == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_fin_is_behind_and_the_wing_wider_than_the_tail(kind):
    for seed in SEEDS:
        points = vertices(kind, seed)
        x, y, z = points.T
        length, half = np.ptp(y), np.abs(x).max()
        rear = y > y.max() - 0.05 * length
        front = y < y.min() + 0.15 * length
        # A propeller may reach as high as a fin, but not so far behind.
        assert np.abs(x[rear]).max() < 0.75 * half
        assert half > 0.2 * length
        if kind not in WITH_PROPELLER:
            assert z[y > 0].max() > z[front].max() + 0.05
            assert y[z.argmax()] > 0.2 * length


def test_kinds_come_as_often_as_they_should(monkeypatch):
    makers = [lambda generator, kind=kind: kind for kind in range(len(KINDS))]
    monkeypatch.setattr(detailed_aeroplanes, "_KINDS", makers)
    generator = np.random.default_rng(0)
    draw = inspect.unwrap(detailed_aeroplanes.aeroplane)  # unchecked: these makers make numbers
    kinds = [draw(generator) for _ in range(2000)]
    shares = np.bincount(kinds, minlength=len(KINDS)) / 2000
    np.testing.assert_allclose(shares, detailed_aeroplanes._SHARES, atol=4 * np.sqrt(0.25 / 2000))


def test_the_catalogue_has_them():
    detailed = catalogue.make(np.random.default_rng(0), "aeroplane", detailed=True)
    plain = catalogue.make(np.random.default_rng(0), "aeroplane")
    assert len(plain.faces) < 300 < len(detailed.faces)
