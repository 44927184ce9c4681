"""STL, binary and text; the colors of binary files in both of their codings."""

import pathlib

import numpy as np

from catpose.errors import InputError
from catpose.synthetic.mesh_cleanup import Surface
from catpose.synthetic.mesh_formats import model_source

_HEADER = 84  # bytes, with the count
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("color", "<u2")])


def read(path: pathlib.Path) -> list[Surface]:
    """The triangles of a file.

    Raises:
        InputError: it is neither binary nor text, or cut short.
    """
    data = model_source.read_bytes(path)
    count = int.from_bytes(data[80:_HEADER], "little")
    size = _HEADER + count * _FACET.itemsize
    # Some binary files begin with the word solid, too, so the size decides.
    if len(data) < _HEADER or size > len(data) or (size < len(data) and _is_text(data)):
        if not _is_text(data):
            raise InputError(
                f"it has {len(data)} bytes, but {size} for {count} triangles; copy it again"
            )
        corners = _text_corners(data)
        colors = np.full((len(corners), 3), model_source.GRAY)
    else:
        facets = np.frombuffer(data, _FACET, count, _HEADER)
        corners, colors = facets["corners"], _colors(facets["color"], data[:80])
    triangles = np.arange(3 * len(corners)).reshape(-1, 3)
    return [Surface(corners.reshape(-1, 3).astype(np.float64), triangles, colors)]


def _is_text(data: bytes) -> bool:
    return data.lstrip()[:5].lower() == b"solid" and b"\0" not in data[:1000]


def _text_corners(data: bytes) -> np.ndarray:
    words = data.lower().split()
    at = [i for i, word in enumerate(words) if word == b"vertex"]
    numbers = np.array([[float(word) for word in words[i + 1 : i + 4]] for i in at])
    if len(at) != 3 * words.count(b"endloop") or b"endsolid" not in words:
        raise InputError("its text ends before its last triangle does; copy it again")
    return numbers.reshape(-1, 3, 3)


def _colors(values: np.ndarray, header: bytes) -> np.ndarray:
    """Colors of 5 bits a channel, in VisCAM's coding or, if the header has COLOR=, in Magics'."""
    channels = np.stack([values >> shift & 31 for shift in (10, 5, 0)], axis=1) / 31
    own = values >> 15 == 1
    default = np.full(3, model_source.GRAY)
    _, mark, rest = header.partition(b"COLOR=")
    if mark and len(rest) >= 3:
        channels, own = channels[:, ::-1], ~own
        default = np.frombuffer(rest[:3], np.uint8) / 255
    return np.where(own[:, None], channels, default)
