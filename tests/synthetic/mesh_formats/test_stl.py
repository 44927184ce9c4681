"""STL, binary with colors and as text."""

import struct

import numpy as np
import pytest

from catpose.errors import InputError
from tests.support.model_files import CORNERS, SIDES, expected, triangles


def binary(colors=(0,) * 4, header=b""):
    data = header.ljust(80, b" ") + struct.pack("<I", len(SIDES))
    for side, color in zip(SIDES, colors, strict=True):
        data += struct.pack("<12fH", 0, 0, 0, *CORNERS[side].ravel(), color)
    return data


def text(name="a"):
    lines = [f"solid {name}"]
    for side in SIDES:
        lines += [" facet normal 0 0 0", "  outer loop"]
        lines += ["   vertex {:e} {:e} {:e}".format(*CORNERS[corner]) for corner in side]
        lines += ["  endloop", " endfacet"]
    return "\n".join([*lines, f"endsolid {name}", ""]).encode()


def seen(folder, data):
    (folder / "a.stl").write_bytes(data)
    return triangles(folder / "a.stl")


@pytest.mark.parametrize(
    "data",
    [
        binary(),
        binary(header=b"solid in spite of its first word"),
        text(),
        text().upper(),
        text().replace(b"\n", b"\r\n"),
        text("b") .replace(b"endsolid b", b"endsolid"),
    ],
)  # fmt: skip
def test_binary_and_text(tmp_path, data):
    assert seen(tmp_path, data) == expected()


def packed(red, green, blue):
    return red << 10 | green << 5 | blue


def test_colors_of_viscam(tmp_path):
    """Five bits each, red on top; the highest bit says that there is a color."""
    colors = [1 << 15 | packed(31, 0, 0), 1 << 15 | packed(0, 31, 0), packed(0, 0, 31), 0]
    wanted = [(1, 0, 0), (0, 1, 0), (0.6,) * 3, (0.6,) * 3]
    assert seen(tmp_path, binary(colors)) == expected(color=wanted)


def test_colors_of_magics(tmp_path):
    """Five bits each, blue on top; with the highest bit a face has the header's color."""
    header = b"made by hand COLOR=" + bytes([51, 102, 255, 255])
    colors = [packed(31, 0, 0), packed(0, 31, 0), packed(0, 0, 31), 1 << 15]
    wanted = [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0.2, 0.4, 1)]
    assert seen(tmp_path, binary(colors, header)) == expected(color=wanted)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes"),
        (binary()[:-1], "283 bytes, but 284 for 4 triangles"),
        (b" " * 80 + b"\xff" * 4 + bytes(99), r"183 bytes, but 214748364834 for 4294967295 tri"),
        (text()[:-40], "its text ends before"),
        (text().replace(b"endsolid", b""), "its text ends before"),
        (text().replace(b"vertex", b"v", 1), "its text ends before"),
        (text().replace(b"4.0", b"x", 1), "a.stl"),
        (b"solid a\nendsolid a\n", "has no faces"),
        (b" " * 80 + bytes(4), "has no faces"),
        (binary().replace(struct.pack("<f", 4), struct.pack("<f", np.nan)), "three finite numbers"),
    ],
)
def test_damage_is_told(tmp_path, data, message):
    with pytest.raises(InputError, match=message) as caught:
        seen(tmp_path, data)
    assert "a.stl" in str(caught.value)
    assert "\n" not in str(caught.value)
