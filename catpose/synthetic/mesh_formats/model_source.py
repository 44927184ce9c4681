"""What the readers of 3D models share: bytes within limits, files beside the model, and its parts.

A reader takes a path and yields surfaces. What a file declares is checked against its bytes before
anything of that size is made, and a line on standard error says what is missing beside it.
"""

import functools
import os
import pathlib
import re
import sys
import urllib.parse
from collections.abc import Iterable

import numpy as np

from catpose import errors
from catpose.errors import InputError
from catpose.synthetic.mesh_cleanup import Surface
from catpose.synthetic.mesh_formats import polygons

MAX_BYTES = 256 * 2**20  # of a file
MAX_TEXT = 128 * 2**20  # of a file of text, which takes up to fifteen times as much memory
MAX_TRIANGLES = 2_000_000  # about a kilobyte of memory each until they are simplified
GRAY = 0.6  # of what has no color of its own
_FAR = 1e30  # of coordinates: their squares are still numbers
_FOREIGN = re.compile(r"/|[A-Za-z]:|file:")  # how a path of the machine that wrote the file begins


def read_bytes(path: pathlib.Path, limit: int = MAX_BYTES) -> bytes:
    """The content of a file.

    Raises:
        InputError: it is missing, no regular file, or has more bytes than the limit.
    """
    try:
        if not path.is_file():  # a pipe would never end
            raise InputError(f"there is no file {path}")
        if path.stat().st_size > limit:
            raise InputError(f"{path} has more than {limit >> 20} MiB; simplify the model")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {errors.reason(error)}") from error


def read_text(path: pathlib.Path) -> str:
    """The text of a file in UTF-8, with or without a mark of it, or in Latin-1."""
    data = read_bytes(path, MAX_TEXT)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def beside(
    model: pathlib.Path, name: str, start: pathlib.Path | None = None
) -> pathlib.Path | None:
    """The file that a model names by a path from its own folder; None where it is not there.

    Backslashes, %20, quotes, blanks around and another case are understood; of a path on the
    machine that wrote the model its last part counts.

    Args:
        model: the file.
        name: as written there.
        start: the file from whose folder the path begins, if it is another.

    Raises:
        InputError: the path leads out of the model's folder. A folder `models`, as in ShapeNet's
            layout, counts with its parent.
    """
    name = name.strip().strip("\"'").replace("\\", "/")
    if _FOREIGN.match(name):
        name = name.rpartition("/")[2]
    root = model.parent.absolute()
    root = root.parent if root.name == "models" else root
    for spelled in (name, urllib.parse.unquote(name)):
        path = pathlib.Path(os.path.normpath((start or model).parent.absolute() / spelled))
        if not path.is_relative_to(root):
            raise InputError(f"{model} names the file {name}, which is not in its folder")
        if path.is_file():
            return path
        others = path.parent.iterdir() if path.parent.is_dir() else ()
        alike = [p for p in others if p.name.lower() == path.name.lower() and p.is_file()]
        if alike:
            return min(alike)
    return None


@functools.cache
def tell(line: str) -> None:
    """Writes a line about what is left out, once, to standard error."""
    print(errors.printable(line), file=sys.stderr)


def join(parts: Iterable[Surface]) -> Surface:
    """One surface of all parts.

    Raises:
        InputError: no faces, too many, or one with a vertex that is missing or a number that is not
            finite.
    """
    kept, count, num_triangles = [], 0, 0
    for vertices, triangles, colors in parts:
        if not len(triangles):
            continue
        num_triangles += len(triangles)
        if num_triangles > MAX_TRIANGLES:
            raise InputError(f"it has more than {MAX_TRIANGLES:,} triangles; simplify it")
        polygons.check(triangles, len(vertices))
        used, corners = np.unique(triangles, return_inverse=True)
        points = vertices[used].astype(np.float64)
        if not (np.abs(points) < _FAR).all():
            raise InputError("a vertex is not three finite numbers")
        if not np.isfinite(colors).all():
            raise InputError("a color is not three finite numbers")
        kept.append(Surface(points, corners.reshape(-1, 3) + count, np.clip(colors, 0, 1)))
        count += len(points)
    if not kept:
        raise InputError("it has no faces")
    return Surface(*map(np.concatenate, zip(*kept, strict=True)))
