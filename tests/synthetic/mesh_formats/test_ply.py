"""PLY as text and in both byte orders, with the elements that programs write."""

import struct

import numpy as np
import pytest
from PIL import Image

from catpose.errors import InputError
from tests.support.model_files import CORNERS, SIDES, expected, triangles

CODES = {"char": "b", "uchar": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I",
         "float": "f", "double": "d", "int8": "b", "uint8": "B", "float32": "f"}  # fmt: skip
XYZ = [f"float {axis}" for axis in "xyz"]
FORMATS = ("ascii", "binary_little_endian", "binary_big_endian")


def write(folder, elements, order="ascii", comments=()):
    """Elements: (name, properties, rows); a list's row is a list."""
    header = [f"ply\nformat {order} 1.0", *(f"comment {text}" for text in comments)]
    body, mark = b"", ">" if order.endswith("big_endian") else "<"
    for name, properties, rows in elements:
        header += [f"element {name} {len(rows)}", *(f"property {p}" for p in properties)]
        for row in rows:
            numbers, codes = [], ""
            for value, words in zip(row, map(str.split, properties), strict=True):
                is_list = words[0] == "list"
                codes += CODES[words[1]] if is_list else ""
                codes += CODES[words[-2]] * (len(value) if is_list else 1)
                numbers += [len(value), *value] if is_list else [value]
            if order == "ascii":
                body += (" ".join(f"{number:g}" for number in numbers) + "\n").encode()
            else:
                body += struct.pack(mark + codes, *numbers)
    path = folder / "a.ply"
    path.write_bytes("\n".join([*header, "end_header\n"]).encode() + body)
    return path


def faces(*rows, more=()):
    return ("face", ["list uchar int vertex_indices", *more], rows)


BODY = [("vertex", XYZ, CORNERS.tolist()), faces(*([side] for side in SIDES.tolist()))]


@pytest.mark.parametrize("order", FORMATS)
def test_text_and_both_byte_orders(tmp_path, order):
    assert triangles(write(tmp_path, BODY, order)) == expected()


@pytest.mark.parametrize("order", FORMATS)
def test_other_types_names_and_elements(tmp_path, order):
    vertices = [(7, *corner, 0.5) for corner in CORNERS.tolist()]
    body = [
        ("camera", ["double near", "list int short sizes"], [(1, [1, 2, 3]), (2, [])]),
        ("vertex", ["short id", *(f"double {a}" for a in "xyz"), "float32 quality"], vertices),
        (
            "face",
            ["uchar flags", "list ushort uint vertex_index"],
            [(1, s) for s in SIDES.tolist()],
        ),
        ("edge", ["int vertex1", "int vertex2"], [(0, 1)]),
    ]
    path = write(tmp_path, body, order, ["element vertex 9", "made by hand"])
    path.write_bytes(path.read_bytes().replace(b"comment made", b"obj_info made"))
    assert triangles(path) == expected()


@pytest.mark.parametrize("order", FORMATS)
@pytest.mark.parametrize("mixed", [False, True])
def test_quads_and_polygons_keep_the_colors_of_their_faces(tmp_path, order, mixed):
    corners = [(0, 0, 0), (2, 0, 0), (2, 1, 0), (0, 1, 0), (-1, 0.5, 0), (0, 0, 1), (2, 0, 1)]
    first = [4, 3, 2, 1, 0] if mixed else [3, 2, 1, 0]
    rows = [(first, 255, 0, 0), ([0, 1, 6, 5], 0, 51, 0)]
    colors = ["uchar red", "uchar green", "uchar blue"]
    path = write(tmp_path, [("vertex", XYZ, corners), faces(*rows, more=colors)], order)
    fan = [[first[0], *first[i : i + 2]] for i in range(1, len(first) - 1)]
    sides, shares = [*fan, [0, 1, 6], [0, 6, 5]], [(1, 0, 0)] * len(fan) + [(0, 0.2, 0)] * 2
    assert triangles(path) == expected(np.array(corners, float), sides, shares)


@pytest.mark.parametrize(
    ("types", "color", "shares"),
    [
        ("uchar red green blue", (51, 102, 255), (0.2, 0.4, 1)),
        ("float red green blue", (0.2, 0.4, 1), (0.2, 0.4, 1)),
        ("ushort r g b", (13107, 26214, 65535), (0.2, 0.4, 1)),
        ("uchar diffuse_red diffuse_green diffuse_blue", (51, 102, 255), (0.2, 0.4, 1)),
    ],
)
@pytest.mark.parametrize("order", FORMATS[:2])
def test_colors_of_vertices(tmp_path, types, color, shares, order):
    kind, *names = types.split()
    properties = [*XYZ, *(f"{kind} {name}" for name in names)]
    body = [("vertex", properties, [(*c, *color) for c in CORNERS.tolist()]), BODY[1]]
    assert triangles(write(tmp_path, body, order)) == expected(color=shares)


@pytest.mark.parametrize("order", FORMATS)
def test_strips(tmp_path, order):
    strips = ("tristrips", ["list int int vertex_indices"], [([0, 2, 1, 3, -1, 0, 3, 2, -1, 1],)])
    sides = [[0, 2, 1], [3, 1, 2], [0, 3, 2]]
    path = write(tmp_path, [BODY[0], strips], order)
    assert triangles(path) == expected(sides=sides)


@pytest.mark.parametrize("by_corner", [True, False])
def test_textures_of_meshlab(tmp_path, by_corner):
    """Two pictures; v points upwards."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = (51, 102, 255)
    Image.fromarray(pixels).save(tmp_path / "a b.png")
    Image.fromarray(np.full((4, 4, 3), (255, 51, 0), np.uint8)).save(tmp_path / "c.png")
    places = [0.1, 0.9, 0.2, 0.9, 0.2, 0.8]
    rows = [(s, places, i // 2) for i, s in enumerate(SIDES.tolist())]
    if by_corner:
        more = ["list uchar float texcoord", "int texnumber"]
        body = [BODY[0], faces(*rows, more=more)]
    else:
        vertices = [(*c, 0.1, 0.9) for c in CORNERS.tolist()]
        body = [("vertex", [*XYZ, "float s", "float t"], vertices)]
        body.append(faces(*(row[::2] for row in rows), more=["int texnumber"]))
    path = write(tmp_path, body, comments=["TextureFile a b.png", "TextureFile c.png"])
    assert triangles(path) == expected(color=[(0.2, 0.4, 1)] * 2 + [(1, 0.2, 0)] * 2)


def test_faces_without_their_texture_coordinates_are_refused(tmp_path):
    rows = [(side, [0.1] * (6 if i else 0)) for i, side in enumerate(SIDES.tolist())]
    path = write(tmp_path, [BODY[0], faces(*rows, more=["list uchar float texcoord"])])
    with pytest.raises(InputError, match="two texture coordinates for each corner"):
        triangles(path)


def changed(*pairs, order="ascii"):
    def write_changed(folder):
        path = write(folder, BODY, order)
        content = path.read_bytes()
        for old, new in pairs:
            assert old in content
            content = content.replace(old, new, 1)
        path.write_bytes(content)

    return write_changed


DAMAGES = {
    "another file": (changed((b"ply", b"yes")), "it is not a PLY file"),
    "no end of the header": (changed((b"end_header", b"")), "it is not a PLY file"),
    "too many vertices": (changed((b"vertex 4", b"vertex 900")), "before its 900 rows of vertex"),
    "a bomb": (
        changed((b"face 4", b"face 999999999999"), order="binary_little_endian"),
        "before its 999999999999 rows of face",
    ),
    "one face too many": (changed((b"face 4", b"face 5")), r"a\.ply"),
    "no rows in an element": (
        changed((b"element face", b"element empty 99999999999\nelement face")),
        "99999999999 rows of empty",
    ),
    "a list without end": (changed((b"3 0 2 1", b"99999999999 0 2 1")), "middle of a row|int"),
    "a list below zero": (
        changed((b"list uchar", b"list char"), (b"3 0 2 1", b"-3 0 2 1")),
        r"middle of a row",
    ),
    "no number": (changed((b"3 0 2 1", b"3 0 x 1")), r"a\.ply"),
    "a corner that is not there": (changed((b"3 0 2 1", b"3 0 2 9")), "not there"),
    "not finite": (changed((b"4 0 0", b"nan 0 0")), "three finite numbers"),
    "no such format": (changed((b"ascii", b"morse")), r"a\.ply is damaged"),
    "no z": (changed((b"property float z", b"property float w")), r"a\.ply is damaged"),
    "points alone": (changed((b"element face", b"element fact")), "has no faces"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_told(tmp_path, damage, message):
    damage(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        triangles(tmp_path / "a.ply")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", FORMATS)
def test_a_file_cut_anywhere_is_told(tmp_path, order):
    path = write(tmp_path, BODY, order)
    content = path.read_bytes()
    for length in range(0, len(content) - 2, 7):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"a\.ply"):
            triangles(path)
