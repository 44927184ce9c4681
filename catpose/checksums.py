"""CRC-32 of what lies on disks: a flipped bit, and any damage within four bytes, never keeps it.

For files that are not expected to change, a folder notes them in `crc32.json`; an object of JSON
has its own beside its content.
"""

import functools
import json
import pathlib
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

FILE, KEY = "crc32.json", "crc32"
_CHUNK = 1 << 20  # bytes


def of_file(path: pathlib.Path) -> int:
    """Of a file's content, at about 2 GB a second."""
    with path.open("rb") as file:
        return functools.reduce(_add, iter(lambda: file.read(_CHUNK), b""), 0)


def of_arrays(arrays: Mapping[str, np.ndarray]) -> int:
    """Of arrays with their names, types and shapes."""
    value = 0
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        value = zlib.crc32(f"{name}{array.dtype}{array.shape}".encode(), value)
        value = zlib.crc32(array.reshape(-1).view(np.uint8), value)
    return value


def _add(value: int, content: bytes) -> int:
    return zlib.crc32(content, value)


def note(folder: pathlib.Path, names: Iterable[str]) -> None:
    """Writes `crc32.json`, with the checksums of these files of a folder."""
    sums = {name: of_file(folder / name) for name in sorted(names)}
    (folder / FILE).write_text(json.dumps(sums, indent=1) + "\n")


def problem(folder: pathlib.Path, name: str = "") -> str:
    """What is wrong with the files that `note` has noted, or with one of them; "" where nothing."""
    try:
        noted = json.loads((folder / FILE).read_bytes())
        noted = {each: value for each, value in noted.items() if name in ("", each)}
        changed = [each for each, value in noted.items() if of_file(folder / each) != value]
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        return f"{getattr(error, 'filename', None) or folder / FILE} cannot be read"
    return f"{folder / changed[0]} has another checksum" if changed else ""


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """An object of JSON with its checksum as one more key."""
    return {**content, KEY: _of_json(content)}


def is_whole(content: Any) -> bool:
    """Whether something read from JSON is as it was sealed, or never was."""
    if not isinstance(content, dict) or KEY not in content:
        return True
    rest = {key: value for key, value in content.items() if key != KEY}
    return content[KEY] == _of_json(rest)


def _of_json(content: Mapping[str, Any]) -> int:
    # As it is read again: tuples become lists, and numbers as keys become texts.
    return zlib.crc32(json.dumps(json.loads(json.dumps(content)), sort_keys=True).encode())
