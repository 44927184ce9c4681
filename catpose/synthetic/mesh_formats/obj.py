"""Wavefront OBJ with its materials (MTL).

Numbers below zero count from the last vertex before the face. A texture multiplies its material's
Kd, as the format says, save for a black Kd, which exporters write beside textures. Colors behind
the vertices, an extension that most programs write, multiply the material too.
"""

import array
import functools
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from catpose.errors import InputError
from catpose.synthetic.mesh_cleanup import Surface
from catpose.synthetic.mesh_formats import face_colors, model_source, polygons

# An option of a texture with its numbers, or its one word.
_OPTION = re.compile(r"-(\w+)\s+((?:[-+]?[\d.]+(?:[eE][-+]?\d+)?\s+){1,3}|\S+\s+)")
_FREE_FORM = ("surf", "curv", "curv2", "bzp", "bsp", "cdc", "res")


class _Material(NamedTuple):
    """What colors faces.

    Attributes:
        color: Kd; None: not given.
        texture: the name of map_Kd's file; "": none.
        origin: the file that says so.
        options: of the texture, words by name.
    """

    color: Float[np.ndarray, "3"] | None = None
    texture: str = ""
    origin: pathlib.Path | None = None
    options: dict[str, list[str]] = {}


def read(path: pathlib.Path) -> Iterator[Surface]:
    """The faces of each material of a file.

    Raises:
        InputError: a line cannot be read, or it has surfaces that are not faces.
    """
    points, shades, uv = array.array("d"), array.array("d"), array.array("d")
    corners, places, sizes, used = (array.array("q") for _ in range(4))
    materials, names, current = {}, {"": 0}, 0
    text = re.sub(r"\\\r?\n", " ", model_source.read_text(path))

    def number(word: str, known: int) -> int:
        value = int(word)
        if value == 0 or value < -known:
            raise ValueError(f"there is no vertex {value}")
        return value - 1 if value > 0 else known + value

    for line_number, line in enumerate(text.split("\n"), 1):
        key, _, rest = line.strip().replace("\t", " ").partition(" ")
        try:
            if key == "v":
                numbers = [float(word) for word in rest.partition("#")[0].split()]
                if len(numbers) not in (3, 4, 6, 7):
                    raise ValueError("a vertex has 3 numbers, or 6 with its color")
                points.extend(numbers[:3])
                shades.extend(numbers[3:6] if len(numbers) > 4 else [np.nan] * 3)
            elif key == "vt":
                numbers = [float(word) for word in rest.partition("#")[0].split()]
                uv.extend((*numbers, 0.0)[:2])
            elif key in ("f", "fo"):
                words = rest.partition("#")[0].split()
                for word in words:
                    vertex, _, others = word.partition("/")
                    place = others.partition("/")[0]
                    corners.append(number(vertex, len(points) // 3))
                    places.append(number(place, len(uv) // 2) if place else -1)
                sizes.append(len(words))
                used.append(current)
            elif key == "usemtl":
                current = names.setdefault(rest.strip(), len(names))
            elif key == "mtllib":
                materials |= _libraries(path, rest.strip())
            elif key in _FREE_FORM:
                raise ValueError("free-form surfaces are not read; export it as triangles")
        except (ValueError, IndexError) as error:
            raise InputError(f"line {line_number}: {error}") from error
    vertices = np.array(points).reshape(-1, 3)
    corner, size = np.array(corners, np.int64), np.array(sizes, np.int64)
    cuts, faces = polygons.triangulated(corner, size, vertices)
    triangles, place = corner[cuts], np.array(places, np.int64)[cuts]
    table = np.array([*uv, np.nan, np.nan]).reshape(-1, 2)
    if place.size and place.max() >= len(table) - 1:
        raise InputError("a face names a texture coordinate that is not there")
    shade, of = _shades(np.array(shades).reshape(-1, 3), triangles), np.array(used, np.int64)[faces]
    texture = functools.cache(functools.partial(_texture, path))  # many materials may share one
    for name, index in names.items():
        where = of == index
        colors = shade[where]
        if name in materials and where.any():
            base = _colors(materials[name], table[place[where]], texture)
            colors = np.where(np.isnan(colors), 1.0, colors) * base
        elif name and where.any():
            missing = f"without its material {name}, which is in no .mtl file beside it"
            model_source.tell(f"{path}: {missing}")
        colors = np.where(np.isnan(colors), model_source.GRAY, colors)
        yield Surface(vertices, triangles[where], colors)


def _shades(shades: np.ndarray, triangles: np.ndarray) -> Float[np.ndarray, "T 3"]:
    """The mean color of each triangle's corners, NaN where one has none; 255 may be white."""
    white = 255 if np.nanmax(shades, initial=0) > 1 else 1
    return shades[triangles].mean(axis=1) / white


def _libraries(path: pathlib.Path, names: str) -> dict[str, _Material]:
    """The materials of one file whose name may have blanks, or of several."""
    whole = model_source.beside(path, names)
    found = {names: whole} if whole else {n: model_source.beside(path, n) for n in names.split()}
    materials = {}
    for name, file in found.items():
        if file:
            materials |= _materials(file)
        else:
            model_source.tell(f"{path}: without its materials: there is no {name} beside it")
    return materials


def _materials(path: pathlib.Path) -> dict[str, _Material]:
    materials, name = {}, ""
    for line_number, line in enumerate(model_source.read_text(path).split("\n"), 1):
        key, _, rest = line.strip().replace("\t", " ").partition(" ")
        rest = rest.strip()
        if key == "newmtl":
            name = rest
            materials[name] = _Material()
        elif key == "Kd":
            try:
                numbers = [float(word) for word in rest.partition("#")[0].split()]
                color = np.array([*numbers, *numbers[-1:] * 2][:3]).reshape(3)
            except ValueError as error:
                raise InputError(
                    f"{path}, line {line_number}: Kd is not a color: {rest}"
                ) from error
            materials[name] = materials[name]._replace(color=color)
        elif key.lower() == "map_kd":
            options = {}
            while match := _OPTION.match(rest):
                options[match[1]], rest = match[2].split(), rest[match.end() :]
            materials[name] = materials[name]._replace(texture=rest, origin=path, options=options)
    return materials


def _texture(
    path: pathlib.Path, name: str, origin: pathlib.Path
) -> Float[np.ndarray, "H W 3"] | None:
    found = model_source.beside(path, name, origin) or model_source.beside(path, name)
    return face_colors.opened(path, name, found and model_source.read_bytes(found))


def _colors(
    material: _Material,
    uv: Float[np.ndarray, "T 3 2"],
    texture: Callable[[str, pathlib.Path], Float[np.ndarray, "H W 3"] | None],
) -> Float[np.ndarray, "T 3"]:
    """The color of each triangle of a material."""
    plain = np.full(3, model_source.GRAY) if material.color is None else material.color
    pixels = texture(material.texture, material.origin) if material.texture else None
    if pixels is None:
        return np.tile(plain, (len(uv), 1))
    options = {key: [*map(_number, words)] for key, words in material.options.items()}
    scale, offset = ((*options.get(k, []), *[d] * 2)[:2] for k, d in (("s", 1.0), ("o", 0.0)))
    base, gain = options.get("mm", [0.0, 1.0])
    uv = (uv * scale + offset) * [1, -1] + [0, 1]  # v downwards
    wrap = "clamp" if material.options.get("clamp") == ["on"] else "repeat"
    color = base + gain * face_colors.means(pixels, uv, (wrap, wrap))
    return color * plain if material.color is not None and plain.any() else color


def _number(word: str) -> float:
    return float(word) if word[-1].isdigit() or word[-1] == "." else np.nan
