"""One color for each face from a texture: its mean over the face."""

import pathlib
from typing import Any

import numpy as np
from jaxtyping import Float

from catpose.errors import InputError
from catpose.images import decode
from catpose.synthetic.mesh_formats import model_source

SIDE = 256  # textures are shrunk to this
_KTX = b"\xabKTX "
# Points at which a face's texture is looked up: centroids of a regular grid of small triangles.
_SHARES = np.array(
    [(i + 1 / 3, j + 1 / 3, 5 - i - j - 2 / 3) for i in range(5) for j in range(5 - i)]
)


def opened(model: pathlib.Path, name: str, data: bytes | None) -> Float[np.ndarray, "H W 3"] | None:
    """A texture's pixels in [0, 1]; None, and a line on standard error, where it cannot be read.

    Neither its transparency nor an orientation in its EXIF data counts.

    Args:
        model: the file that names it.
        name: of the texture.
        data: the encoded picture; None where there is none.

    Raises:
        InputError: it is in a format for graphics processors.
    """
    if data and data.startswith(_KTX):
        raise InputError(
            f"the texture {name} is a KTX file, which is not read; write it as PNG or JPEG"
        )
    try:
        if data is None:
            raise InputError("it is not there")
        with decode.named(name):
            picture = decode.load(decode.identify(data), data, matte=None)
    except InputError as error:
        model_source.tell(f"{model}: without its texture {name}: {error}")
        return None
    picture.thumbnail((SIDE, SIDE))
    return np.asarray(picture, np.float64) / 255


def means(
    pixels: Float[np.ndarray, "H W 3"],
    uv: Float[np.ndarray, "T 3 2"],
    wrap: tuple[Any, Any] = ("repeat", "repeat"),
) -> Float[np.ndarray, "T 3"]:
    """The mean of a texture over each face; over all of it where the place is not known.

    Args:
        pixels: the first row is on top.
        uv: where each corner lies, in shares of the width and height, v downwards; NaN: unknown.
        wrap: along u and v, what is beyond: "repeat", "mirror" or "clamp".
    """
    height, width = pixels.shape[:2]
    known = (np.abs(uv) < 1e9).all(axis=(1, 2))
    corners = np.where(known[:, None, None], uv, 0)
    total = np.zeros((len(uv), 3))
    for share in _SHARES / 5:
        places = np.einsum("i,tij->jt", share, corners)
        column, row = (
            np.minimum((_WRAPS[kind](place) * size).astype(np.int64), size - 1)
            for place, kind, size in zip(places, wrap, (width, height), strict=True)
        )
        total += pixels[row, column]
    return np.where(known[:, None], total / len(_SHARES), pixels.mean(axis=(0, 1)))


_WRAPS = {
    "repeat": lambda place: place % 1,
    "mirror": lambda place: 1 - np.abs(place % 2 - 1),
    "clamp": lambda place: np.clip(place, 0, 1),
}
