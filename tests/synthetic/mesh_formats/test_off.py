"""OFF with all that its first word may announce."""

import numpy as np
import pytest

from catpose.errors import InputError
from catpose.synthetic.mesh_formats import off
from tests.support.model_files import CORNERS, SIDES, expected, triangles

FACES = [f"3 {a} {b} {c}" for a, b, c in SIDES.tolist()]
ROWS = [" ".join(f"{number:g}" for number in corner) for corner in CORNERS.tolist()]


def write(folder, head="OFF\n4 4 6", rows=ROWS, faces=FACES):
    path = folder / "a.off"
    path.write_text("\n".join([head, *rows, *faces]) + "\n")
    return path


@pytest.mark.parametrize(
    "head",
    [
        "OFF\n4 4 6",
        "OFF 4 4 6",
        "# by hand\nOFF # here\n\n4 4 0 # counts\n",
        "OFF\n4 4",
        " OFF\r\n4 4 6",
    ],
)
def test_first_lines(tmp_path, head):
    path = write(tmp_path, head)
    assert triangles(path) == expected()
    np.testing.assert_array_equal(off.vertices(path), CORNERS)


def test_quads(tmp_path):
    corners = np.array([[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0.0]])
    rows = [" ".join(map(str, corner)) for corner in corners]
    path = write(tmp_path, "OFF\n4 1 0", rows, ["4 0 1 2 3 255 0 0"])
    assert triangles(path) == expected(corners, [[0, 1, 2], [0, 2, 3]], (1, 0, 0))


@pytest.mark.parametrize(
    ("head", "behind", "color"),
    [
        ("COFF", "51 102 255 255", (0.2, 0.4, 1)),
        ("COFF", "0.2 0.4 1.0 0.5", (0.2, 0.4, 1)),
        ("COFF", "0.2 0.4 1.0", (0.2, 0.4, 1)),
        ("OFF", "51 102 255", (0.2, 0.4, 1)),
        ("NOFF", "0 0 1", (0.6, 0.6, 0.6)),
        ("CNOFF", "0 0 1 51 102 255 0", (0.2, 0.4, 1)),
        ("STOFF", "0.5 0.5", (0.6, 0.6, 0.6)),
        ("STCNOFF", "0 0 1 51 102 255 0 0.5 0.5", (0.2, 0.4, 1)),
    ],
)
def test_what_is_behind_the_vertices(tmp_path, head, behind, color):
    path = write(tmp_path, f"{head}\n4 4 6", [f"{row} {behind}" for row in ROWS])
    assert triangles(path) == expected(color=color)


@pytest.mark.parametrize("colors", [["255 0 0", "0 51 0 255"], ["1.0 0 0", "0 0.2 0 1"]])
def test_colors_of_faces_and_gray_without(tmp_path, colors):
    faces = [f"{face} {color}" for face, color in zip(FACES, [*colors, "", ""], strict=True)]
    found = triangles(write(tmp_path, faces=faces))
    assert found == expected(color=[(1, 0, 0), (0, 0.2, 0), (0.6,) * 3, (0.6,) * 3])


DAMAGES = {
    "": ({"head": "", "rows": [], "faces": []}, "is not an OFF file"),
    "a ply": ({"head": "ply"}, "is not an OFF file"),
    "four coordinates": ({"head": "4OFF\n4 4 6"}, "is not an OFF file"),
    "binary": ({"head": "OFF BINARY\n4 4 6"}, "is not an OFF file"),
    "no vertices": ({"head": "OFF\n0 0 0"}, "ends before its 0 vertices do"),
    "too many vertices": ({"head": "OFF\n999999999999 4 6"}, "before its 999999999999 vertices"),
    "a count of many digits": ({"head": "OFF\n" + "9" * 5000 + " 4 6"}, "is not an OFF file"),
    "too many faces": ({"head": "OFF\n4 999999999999 6"}, "ends before its 999999999999 faces do"),
    "no number": ({"rows": [*ROWS[:3], "0 0 x"]}, "a vertex is not three numbers"),
    "not finite": ({"rows": [*ROWS[:3], "0 0 inf"]}, "a vertex is not three finite numbers"),
    "too few": ({"rows": [*ROWS[:3], "0 0"]}, "a vertex is not three numbers"),
    "a short face": ({"faces": [*FACES[:3], "3 0 1"]}, "ends before its corners do"),
    "a face beyond": ({"faces": [*FACES[:3], "3 0 1 4"]}, "a vertex that is not there"),
    "a face below": ({"faces": [*FACES[:3], "-3 0 1 2"]}, "a.off"),
    "of a palette": ({"faces": [f"{face} 7" for face in FACES]}, "numbers of a palette"),
    "faces of two": ({"faces": ["2 0 1"] * 4}, "has no faces"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_told(tmp_path, change, message):
    with pytest.raises(InputError, match=message) as caught:
        triangles(write(tmp_path, **change))
    assert "a.off" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_vertices_alone_do_without_whole_faces(tmp_path):
    np.testing.assert_array_equal(off.vertices(write(tmp_path, faces=["3 0"])), CORNERS)
