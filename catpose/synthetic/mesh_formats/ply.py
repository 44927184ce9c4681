"""PLY (Stanford polygon files), text and binary, with any elements.

Faces are polygons or strips. Their colors are those of a texture (MeshLab's comment TextureFile),
their own, or their vertices' mean.

Reference: Turk, The PLY Polygon File Format, 1994.
"""

import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from catpose.errors import InputError
from catpose.synthetic.mesh_cleanup import Surface
from catpose.synthetic.mesh_formats import face_colors, model_source, polygons

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2"},
    **{"int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8"},
}
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_RGB = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
_UV = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))


class _Lists(NamedTuple):
    """A list for each row of an element: all values, one row after the other, and their numbers."""

    values: np.ndarray
    sizes: np.ndarray


class _Property(NamedTuple):
    """A column of an element; `count` is the type of a list's length, "" where it is a number."""

    name: str
    kind: str
    count: str


Table = dict[str, "np.ndarray | _Lists"]


def read(path: pathlib.Path) -> list[Surface]:
    """The faces of a file.

    Raises:
        InputError: it is not such a file, cut short, or has no faces.
    """
    data = model_source.read_bytes(path)
    end = data.find(b"end_header")
    if not data.startswith(b"ply") or end < 0:
        raise InputError("it is not a PLY file")
    lines = [line.split() for line in data[:end].decode("latin-1").splitlines()]
    tables = _tables(lines, data[end:].partition(b"\n")[2])
    names = [" ".join(words[2:]) for words in lines if words[:2] == ["comment", "TextureFile"]]
    vertex, face = tables.get("vertex", {}), tables.get("face", {})
    points = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float64)
    shades, parts = _rgb(vertex, len(points)), []
    if "tristrips" in tables:
        corners = next(iter(tables["tristrips"].values())).values.astype(np.int64)
        runs = np.split(corners, np.flatnonzero(corners < 0))
        runs = [polygons.strip(run[run >= 0]) for run in runs if (run >= 0).sum() > 2]
        triangles = np.concatenate([np.zeros((0, 3), np.int64), *runs])
        polygons.check(triangles, len(points))
        parts.append(Surface(points, triangles, _blank(shades[triangles].mean(axis=1))))
    listed = face.get("vertex_indices", face.get("vertex_index"))
    if listed is not None:
        corners = listed.values.astype(np.int64)
        cuts, of = polygons.triangulated(corners, listed.sizes, points)
        triangles, own = corners[cuts], _rgb(face, len(listed.sizes))[of]
        colors = np.where(np.isnan(own), shades[triangles].mean(axis=1), own)
        if "texcoord" in face and (face["texcoord"].sizes != 2 * listed.sizes).any():
            raise InputError("a face has not two texture coordinates for each corner")
        uv = _uv(vertex, face, cuts, triangles)
        if names and uv is not None:
            number = face.get("texnumber", np.zeros(len(listed.sizes)))[of]
            colors = _textured(path, names, number, uv, colors)
        parts.append(Surface(points, triangles, _blank(colors)))
    return parts


def _blank(colors: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 3"]:
    return np.where(np.isnan(colors), model_source.GRAY, colors)


def _rgb(table: Table, count: int) -> Float[np.ndarray, "N 3"]:
    """The colors of an element's rows; NaN where it has none."""
    for names in _RGB:
        if all(name in table for name in names):
            channels = [table[name] for name in names]
            white = [np.iinfo(c.dtype).max if c.dtype.kind in "iu" else 1.0 for c in channels]
            return np.stack([c / w for c, w in zip(channels, white, strict=True)], axis=1)
    return np.full((count, 3), np.nan)


def _uv(
    vertex: Table, face: Table, cuts: Int[np.ndarray, "T 3"], triangles: Int[np.ndarray, "T 3"]
) -> Float[np.ndarray, "T 3 2"] | None:
    """Texture coordinates of each triangle's corners, v upwards."""
    if "texcoord" in face:
        return face["texcoord"].values.reshape(-1, 2)[cuts].astype(np.float64)
    for names in _UV:
        if all(name in vertex for name in names):
            return np.stack([vertex[name] for name in names], axis=1)[triangles].astype(np.float64)
    return None


def _textured(
    path: pathlib.Path,
    names: list[str],
    number: np.ndarray,
    uv: Float[np.ndarray, "T 3 2"],
    colors: Float[np.ndarray, "T 3"],
) -> Float[np.ndarray, "T 3"]:
    """The colors of faces whose texture can be read, by its number, and `colors` of the others."""
    for i, name in enumerate(names):
        found = model_source.beside(path, name)
        content = found and model_source.read_bytes(found)
        pixels, where = face_colors.opened(path, name, content), number == i
        if pixels is not None:
            colors = colors.copy()
            colors[where] = face_colors.means(pixels, uv[where] * [1, -1] + [0, 1])
    return colors


def _tables(lines: list[list[str]], body: bytes) -> dict[str, Table]:
    """The elements of a file by name, each a table of its properties."""
    order, elements = None, []
    for words in lines:
        if words[:1] == ["format"]:
            order = _ORDERS[words[1]]
        elif words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:2] == ["property", "list"]:
            elements[-1][2].append(_Property(words[4], _TYPES[words[3]], _TYPES[words[2]]))
        elif words[:1] == ["property"]:
            elements[-1][2].append(_Property(words[2], _TYPES[words[1]], ""))
    if order is None:
        raise InputError("its header has no format")
    content, tables = _Content(body, order), {}
    for name, count, properties in elements:
        if not 0 <= count * max(1, len(properties)) <= len(content.body) - content.at:
            raise InputError(f"it ends before its {count} rows of {name} do")
        tables[name] = _table(count, properties, content) if count and properties else {}
    return tables


class _Content:
    """The numbers behind a header, read one after the other.

    Attributes:
        body: bytes, or the numbers of a text.
        at: the place of the next one in it.
    """

    def __init__(self, body: bytes, order: str):
        self.order, self.at = order, 0
        self.body = body if order else np.fromstring(body, np.float64, sep=" ")

    def take(self, kind: str, count: int) -> np.ndarray:
        """The next numbers."""
        end = self.at + count * (np.dtype(kind).itemsize if self.order else 1)
        if not self.at <= end <= len(self.body):
            raise InputError("it ends in the middle of a row")
        part, self.at = self.body[self.at : end], end
        return np.frombuffer(part, self.order + kind) if self.order else part.astype(kind)

    def rows(self, count: int, layout: list[tuple[str, str, int]]) -> dict[str, np.ndarray] | None:
        """The next rows, all of one layout: for each name (count, size); None beyond the end."""
        if self.order:
            row = np.dtype([(name, self.order + kind, (size,)) for name, kind, size in layout])
            if self.at + count * row.itemsize > len(self.body):
                return None
            table = np.frombuffer(self.body, row, count, self.at)
            self.at += count * row.itemsize
            return {name: table[name] for name, _, _ in layout}
        ends = np.cumsum([size for _, _, size in layout])
        if self.at + count * ends[-1] > len(self.body):
            return None
        table = self.take("f8", count * int(ends[-1])).reshape(count, -1)
        return {
            name: table[:, end - size : end].astype(kind)
            for end, (name, kind, size) in zip(ends, layout, strict=True)
        }


def _table(count: int, properties: list[_Property], content: _Content) -> Table:
    """The rows of an element: at once where all lists are as long as the first, else one by one."""
    start, sizes = content.at, {}
    for name, kind, length in properties:
        sizes[name] = int(content.take(length, 1)[0]) if length else 1
        content.take(kind, sizes[name])
    content.at = start
    layout = []
    for name, kind, length in properties:
        layout += [(f"{name} length", length, 1)] * bool(length) + [(name, kind, sizes[name])]
    rows = content.rows(count, layout)
    lists = [name for name, _, length in properties if length]
    if rows and all((rows[f"{name} length"] == sizes[name]).all() for name in lists):
        flat = {name: rows[name].reshape(-1) for name in sizes}
        lengths = {name: np.full(count, sizes[name]) for name in lists}
    else:
        content.at, parts = start, {name: [] for name in sizes}
        for _ in range(count):
            for name, kind, length in properties:
                size = int(content.take(length, 1)[0]) if length else 1
                parts[name].append(content.take(kind, size))
        flat = {name: np.concatenate(part) for name, part in parts.items()}
        lengths = {name: np.array([len(row) for row in parts[name]]) for name in lists}
    return {
        name: _Lists(flat[name], lengths[name]) if name in lists else flat[name] for name in sizes
    }
