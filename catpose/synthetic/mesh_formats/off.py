"""OFF of Geomview as text, with normals, colors and texture coordinates behind the vertices.

Colors are shares, or numbers up to 255 where one is above 1.
"""

import array
import itertools
import pathlib
import re
from collections.abc import Iterator
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
    corners, sizes, colors = array.array("q"), array.array("q"), array.array("d")
    for row in itertools.islice(rows, head.faces):
        size = int(row[0])
        if not 0 < size < len(row):
            raise InputError("a line of its faces ends before its corners do")
        if len(row) == size + 2:
            raise InputError("its colors are numbers of a palette; write red, green and blue")
        sizes.append(size)
        corners.extend(map(int, row[1 : 1 + size]))
        colors.extend(_color(row[1 + size :]))
    if len(sizes) < head.faces:
        raise InputError(f"it ends before its {head.faces} faces do")
    cuts, faces = polygons.triangulated(
        np.array(corners, np.int64), np.array(sizes, np.int64), points
    )
    triangles, own = np.array(corners, np.int64)[cuts], _shares(colors)[faces]
    mixed = np.where(np.isnan(own), shades[triangles].mean(axis=1), own)
    return [Surface(points, triangles, np.where(np.isnan(mixed), model_source.GRAY, mixed))]


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


def _split(path: pathlib.Path) -> tuple[_Head, Iterator[list[str]]]:
    """The first line, and the words of each line after it that is not empty."""
    text = re.sub(r"#.*", "", model_source.read_text(path))
    match = _HEADER.match(text)
    if not match:
        raise InputError("it is not an OFF file: text that begins with OFF and three counts")
    texture, normal, *counts = match.groups(default="0")
    rows = filter(None, map(str.split, text[match.end() :].split("\n")))
    return _Head(2 * (texture != "0"), 3 * (normal != "0"), *map(int, counts)), rows


def _vertices(
    head: _Head, rows: Iterator[list[str]]
) -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "V 3"]]:
    """Positions, and colors where there are some."""
    numbers, colors = array.array("d"), array.array("d")
    for row in itertools.islice(rows, head.vertices):
        try:
            x, y, z = map(float, row[:3])
        except ValueError as error:
            raise InputError("a vertex is not three numbers") from error
        numbers.extend((x, y, z))
        colors.extend(_color(row[3 + head.normal : len(row) - head.texture]))
    points = np.array(numbers).reshape(-1, 3)
    if not len(points) or len(points) < head.vertices:
        raise InputError(f"it ends before its {head.vertices} vertices do")
    if not np.isfinite(points).all():
        raise InputError("a vertex is not three finite numbers")
    return points, _shares(colors)


def _color(words: list[str]) -> tuple[float, ...]:
    """Red, green and blue as written, NaN where there are none."""
    return tuple(map(float, words[:3])) if len(words) in (3, 4) else (np.nan,) * 3


def _shares(colors: array.array) -> Float[np.ndarray, "N 3"]:
    values = np.array(colors).reshape(-1, 3)
    return values / (255 if np.nanmax(values, initial=0) > 1 else 1)
