"""What a reader is for `tests/fuzz.py`, and what the two lists of readers share.

A damaged file may still be a whole one: a flipped bit of a pixel is another pixel. So a result is
accepted where it is of the form that the reader promises; what has a checksum (zip members, PNG) is
refused by its reader. `functions` runs in the child, so that only there libraries are imported.
"""

import importlib
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Reader(NamedTuple):
    """A reader.

    Attributes:
      seeds: folder -> the whole files, in it.
      functions: -> what reads a file, and what says of a result why it is wrong, or "".
    """

    seeds: Callable[[pathlib.Path], list[pathlib.Path]]
    functions: Callable[[], tuple[Callable[[pathlib.Path], Any], Callable[[Any], str]]]


def home(name: str) -> Any:
    return importlib.import_module(f"catpose.{name}")


def written(folder: pathlib.Path, files: dict[str, bytes | str]) -> list[pathlib.Path]:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [folder / name for name in files]


def finite(*arrays: Any) -> bool:
    return all(np.isfinite(np.asarray(array, float)).all() for array in arrays)


def are_rotations(rotation: np.ndarray) -> bool:
    rotation = np.asarray(rotation, float)
    same = np.abs(rotation @ rotation.swapaxes(-1, -2) - np.eye(3)).max(initial=0) < 1e-3
    return finite(rotation) and bool(same) and bool((np.linalg.det(rotation) > 0).all())
