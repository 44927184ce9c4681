"""Volumes in closed form: the sign says that faces look outward, the value that none is missing."""

import numpy as np
import pytest

from catpose.synthetic.objects import solids

GREY = (0.5, 0.5, 0.5)


def volume(quads):
    """By the divergence theorem, over the triangles of the quadrilaterals."""
    a, b, c, d = np.moveaxis(np.asarray(quads, float), 1, 0)
    return sum((p * np.cross(q, r)).sum() for p, q, r in ((a, b, c), (a, c, d))) / 6


def polygon_area(sides, radius):
    return sides / 2 * radius**2 * np.sin(2 * np.pi / sides)


def test_a_box_and_a_tapered_box():
    parts = solids.Parts()
    np.testing.assert_allclose(volume(parts.box((5, -3, 2), (1, 2, 3), GREY)), 6)
    tapered = parts.box((0, 0, 0), (2, 2, 3), GREY, taper=(0.5, 0.5), shift=(1, 0))
    np.testing.assert_allclose(volume(tapered), 3 * (4 + 1 + 2) / 3)


def test_the_faces_of_a_box_have_the_names_they_have():
    quads = solids.Parts().box((0, 0, 0), (2, 2, 2), GREY)
    normal = np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]) / 8
    expected = {
        solids.FRONT: (0, -1, 0),
        solids.BACK: (0, 1, 0),
        solids.LEFT: (1, 0, 0),
        solids.RIGHT: (-1, 0, 0),
        solids.TOP: (0, 0, 1),
        solids.BOTTOM: (0, 0, -1),
    }
    for face, direction in expected.items():
        np.testing.assert_allclose(normal[face], direction)


@pytest.mark.parametrize("wound", [1, -1])
def test_a_loft_turns_itself_outward(wound):
    ring = np.array([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (0, 0, 2), (-1, 0, 1)], float)[::wound]
    rings = [ring, ring + [0, 2, 0], ring + [0, 5, 0]]
    np.testing.assert_allclose(volume(solids.Parts().loft(rings, GREY)), 25)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turned_parts(axis):
    parts = solids.Parts()
    cylinder = parts.cylinder((1, 2, 3), 0.7, 2.0, GREY, axis=axis, sides=9)
    np.testing.assert_allclose(volume(cylinder), 2 * polygon_area(9, 0.7))
    assert np.ptp(cylinder, axis=(0, 1))[axis] == pytest.approx(2.0)
    cone = parts.cylinder((0, 0, 0), 1.0, 3.0, GREY, axis=axis, tip=0.0)
    np.testing.assert_allclose(volume(cone), polygon_area(10, 1.0))
    ring = parts.ring((1, 2, 3), 0.5, 0.8, 0.3, GREY, axis=axis, sides=12)
    np.testing.assert_allclose(volume(ring), 0.3 * (polygon_area(12, 0.8) - polygon_area(12, 0.5)))


def test_beams_in_any_direction():
    generator = np.random.default_rng(0)
    starts, ends = generator.normal(size=(2, 20, 3))
    ends[0] = starts[0] + [0, 0, 2]  # upright: where the beam's sideways direction is special
    quads = solids.Parts().beams(starts, ends, 0.1, GREY).reshape(20, 6, 4, 3)
    for beam, length in zip(quads, np.linalg.norm(ends - starts, axis=1), strict=True):
        np.testing.assert_allclose(volume(beam), 0.01 * length)


def built(parts):
    mesh = parts.mesh()
    return mesh.vertices[mesh.faces].astype(np.float64)


def test_both_sides_and_turned_parts_stay_outward():
    side = solids.Parts()
    side.box((2, 0, 0), (1, 2, 3), GREY, taper=(0.5, 1))
    both, turned = solids.Parts(), solids.Parts()
    both.join_both_sides(side)
    quads = built(both)
    np.testing.assert_allclose(quads.mean(axis=(0, 1)), 0, atol=1e-6)
    assert volume(quads[:6]) > 0
    np.testing.assert_allclose(volume(quads[:6]), volume(quads[6:]), rtol=1e-5)
    turned.box((0, 0, 0), (8, 8, 8), GREY)
    turned.join(side, shift=(10, 0, 0), scale=2.0, turned=True)
    quads = built(turned)
    np.testing.assert_allclose(volume(quads[6:]) / volume(quads[:6]), 8 * 4.5 / 512, rtol=1e-5)


def test_a_patch_lies_on_its_face_and_looks_the_same_way():
    parts = solids.Parts()
    front = parts.box((0, 0, 0), (2, 2, 2), GREY)[solids.FRONT]
    parts.patch(front, (1, 0, 0), (0.0, 0.25), (0.5, 1.0), lift=0.0)
    quad = built(parts)[-1] * np.sqrt(3)  # the half diagonal was scaled to 1
    # Left as seen from the front is the object's right: -x.
    expected = [(-1, -1, 0), (-0.5, -1, 0), (-0.5, -1, 1), (-1, -1, 1)]
    np.testing.assert_allclose(quad, expected, atol=1e-6)


def test_bent_quadrilaterals_become_triangles():
    parts = solids.Parts()
    parts.add([[(0, 0, 0), (1, 0, 0), (1, 1, 1), (0, 1, 0)]], GREY)
    mesh = parts.mesh()
    assert len(mesh.faces) == 2
    flat = solids.Parts()
    flat.add([[(0, 0, 0), (1, 0, 0), (1, 1, 1), (0, 1, 1)]], GREY)
    assert len(flat.mesh().faces) == 1


def test_span_is_seen_from_the_side_its_widths_name():
    front = solids.span((1.0, 0.0, 0.0), (0.5, 0.0, 2.0))
    assert front == [(-1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.5, 0.0, 2.0), (-0.5, 0.0, 2.0)]
    rear = np.array(solids.span((-1.0, 0.0, 0.0), (-0.5, 0.0, 2.0)))
    assert np.cross(rear[2] - rear[0], rear[3] - rear[1])[1] > 0
