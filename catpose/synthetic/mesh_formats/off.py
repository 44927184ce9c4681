"""OFF of Geomview as text, with normals, colors and texture coordinates behind the vertices.

Colors are shares, or numbers up to 255 where one is above 1.
"""

import pathlib
import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from catpose.errors import InputError
from catpose.synthetic.mesh_cleanup import Surface
from catpose.synthetic.mesh_formats import model_source, polygons

_HEADER = re.compile(r"\s*(ST)?C?(N)?OFF\s+(\d{1,18})\s+(\d{1,18})\b.*\n?")


def read(path: pathlib.Path) -> list[Surface]:
    """The faces of a file.

    Raises:
        InputError: it is not such a file, cut short, or colors its faces by numbers of a palette.
    """
    head, rows = _split(path)
    points, shades = _vertices(head, rows)
    rows = rows[head.vertices : head.vertices + head.faces]
    if len(rows) < head.faces:
        raise InputError(f"it ends before its {head.faces} faces do")
    sizes = np.array([int(row[0]) for row in rows], np.int64)
    if not all(0 < size < len(row) for row, size in zip(rows, sizes, strict=True)):
        raise InputError("a line of its faces ends before its corners do")
    corners = [int(word) for row, n in zip(rows, sizes, strict=True) for word in row[1 : 1 + n]]
    own = _colors([row[1 + n :] for row, n in zip(rows, sizes, strict=True)])
    cuts, faces = polygons.triangulated(np.array(corners, np.int64), sizes, points)
    triangles = np.array(corners, np.int64)[cuts]
    mixed = shades[triangles].mean(axis=1)
    colors = np.where(np.isnan(own[faces]), mixed, own[faces])
    return [Surface(points, triangles, np.where(np.isnan(colors), model_source.GRAY, colors))]


def vertices(path: pathlib.Path) -> Float[np.ndarray, "V 3"]:
    """The vertices of a file alone, whatever its faces are.

    Raises:
        InputError: it is not such a file, or ends before its vertices do.
    """
    return _vertices(*_split(path))[0]


class _Head(NamedTuple):
    """What a file's first line says.

    Attributes:
        texture: numbers of texture coordinates at the end of a vertex.
        normal: numbers of a normal behind its position.
        vertices: how many.
        faces: how many.
    """

    texture: int
    normal: int
    vertices: int
    faces: int


def _split(path: pathlib.Path) -> tuple[_Head, list[list[str]]]:
    """The first line, and the words of the lines after it that are not empty."""
    text = re.sub(r"#.*", "", model_source.read_text(path))
    match = _HEADER.match(text)
    if not match:
        raise InputError("it is not an OFF file: text that begins with OFF and three counts")
    texture, normal, *counts = match.groups(default="0")
    rows = [words for words in map(str.split, text[match.end() :].split("\n")) if words]
    return _Head(2 * (texture != "0"), 3 * (normal != "0"), *map(int, counts)), rows


def _vertices(
    head: _Head, rows: list[list[str]]
) -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "V 3"]]:
    """Positions, and colors where there are some."""
    rows = rows[: head.vertices]
    if not rows or len(rows) < head.vertices:
        raise InputError(f"it ends before its {head.vertices} vertices do")
    try:
        points = np.array([row[:3] for row in rows], np.float64).reshape(-1, 3)
    except ValueError as error:
        raise InputError("a vertex is not three numbers") from error
    if not np.isfinite(points).all():
        raise InputError("a vertex is not three finite numbers")
    return points, _colors([row[3 + head.normal : len(row) - head.texture] for row in rows])


def _colors(words: list[list[str]]) -> Float[np.ndarray, "N 3"]:
    """Red, green and blue in [0, 1], NaN where there are none."""
    if any(len(row) == 1 for row in words):
        raise InputError("its colors are numbers of a palette; write them as red, green and blue")
    rows = [row[:3] if len(row) in (3, 4) else [np.nan] * 3 for row in words]
    colors = np.array(rows, np.float64).reshape(-1, 3)
    return colors / (255 if np.nanmax(colors, initial=0) > 1 else 1)
