"""Faces with many corners: the triangles cover the face, once."""

import numpy as np
import pytest

from catpose.errors import InputError
from catpose.synthetic.mesh_formats import polygons


def area(outline):
    """Shoelace formula."""
    x, y = np.transpose(outline)
    return 0.5 * (x * np.roll(y, -1) - y * np.roll(x, -1)).sum()


STAR = [((1, 0.4)[i % 2] * np.cos(i * np.pi / 5), (1, 0.4)[i % 2] * np.sin(i * np.pi / 5))
        for i in range(10)]  # fmt: skip
COMB = [
    (0, 0),
    (7, 0),
    (7, 3),
    (6, 3),
    (6, 1),
    (4, 1),
    (4, 3),
    (3, 3),
    (3, 1),
    (1, 1),
    (1, 3),
    (0, 3),
]
SHAPES = {
    "square": [(0, 0), (1, 0), (1, 1), (0, 1)],
    "arrowhead": [(0, 0), (2, -2), (0, 4), (-2, -2)],
    "in line": [(0, 0), (1, 0), (2, 0), (2, 2), (0, 2), (0, 1)],
    "star": STAR,
    "comb": COMB,
    "with a hole": [(0, 0), (9, 0), (9, 9), (0, 9), (0, 0), (3, 3), (3, 6), (6, 6), (6, 3), (3, 3)],
}


@pytest.mark.parametrize("outline", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_triangles_cover_the_face_once(outline, backwards, shift):
    outline = np.roll(np.array(outline, float), shift, axis=0)[:: -1 if backwards else 1]
    # A plane that leans in space.
    frame = np.linalg.qr(np.array([[1.0, 2, 3], [0, 1, 4], [5, 6, 0]]))[0][:2]
    points = outline @ frame + [3, -2, 9]
    num = len(points)
    cuts, faces = polygons.triangulated(np.arange(num), np.array([num]), points)
    assert cuts.shape == (num - 2, 3)
    assert not faces.any()
    flat = np.array([area(outline[cut]) for cut in cuts])
    assert (flat * area(outline) > -1e-12).all()  # wound as the face is
    assert flat.sum() == pytest.approx(area(outline))
    # No point lies in two triangles: their areas alone would not tell.
    rng = np.random.default_rng(0)
    for point in rng.uniform(outline.min(axis=0), outline.max(axis=0), (200, 2)):
        turns = np.array(
            [[area([a, b, point]) for a, b in zip(t, np.roll(t, -1, 0), strict=True)]
             for t in outline[cuts]]
        )  # fmt: skip
        assert (turns * np.sign(area(outline)) > 1e-9).all(axis=1).sum() <= 1


def test_faces_of_all_sizes_keep_their_order():
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.0, 2, 0]])
    corners, sizes = np.array([0, 1, 2, 3, 0, 1, 2, 0, 1, 0, 1, 2, 3, 4]), np.array([4, 3, 2, 5])
    cuts, faces = polygons.triangulated(corners, sizes, points)
    assert faces.tolist() == [0, 0, 1, 3, 3, 3]
    assert corners[cuts][2].tolist() == [0, 1, 2]
    assert cuts[3:].min() == 9
    empty = np.zeros(0, np.int64)
    assert polygons.triangulated(empty, empty, points)[0].shape == (0, 3)


def test_strips_turn_every_second_triangle():
    strip = polygons.strip(np.array([0, 1, 2, 3, 4]))
    assert strip.tolist() == [[0, 1, 2], [3, 2, 1], [2, 3, 4]]


def test_what_is_not_there_or_too_much_is_told():
    points = np.zeros((3, 3))
    for corner in (3, -1):
        with pytest.raises(InputError, match="a vertex that is not there"):
            polygons.triangulated(np.array([0, 1, corner]), np.array([3]), points)
    angle = np.linspace(0, 2 * np.pi, 1201)[:-1]
    radius = 1 + 0.5 * np.cos(9 * angle)
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], axis=1)
    with pytest.raises(InputError, match="1200 corners; triangulate it first"):
        polygons.triangulated(np.arange(1200), np.array([1200]), ring)
