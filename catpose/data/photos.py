"""Photographs: opened as people see them, and cut to square uint8 crops."""

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from catpose.errors import InputError
from catpose.images import colors, decode

Box = tuple[float, float, float, float]


def open_image(source: str | os.PathLike | bytes | Image.Image) -> Image.Image:
    """A photo in RGB, upright, as viewers show it; see `decode.open_picture`.

    One of more than `decode.MAX_KEPT` pixels is reduced.

    Raises:
      InputError: no such file, or not a whole image.
    """
    return decode.open_picture(source).image


def clip(box: Box, size: tuple[int, int]) -> Box:
    """What lies of a box in an image of this width and height; not a box where nothing does."""
    x0, y0, x1, y1 = box
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(size[0])), min(y1, float(size[1]))


def check_box(box: Sequence[float | int], size: tuple[int, int]) -> None:
    """Refuses a box that is no part of an image.

    Args:
      box: x0, y0, x1, y1 in pixels, x1 and y1 exclusive.
      size: width and height of the image.

    Raises:
      InputError: the box is smaller than a pixel, does not touch the image, or reaches further
        beyond it than the image's own size.
    """
    (x0, y0, x1, y1), (width, height) = box, size
    described = f"the box {x0:g},{y0:g},{x1:g},{y1:g}"
    if not (x1 - x0 >= 1 and y1 - y0 >= 1):
        raise InputError(f"{described} has no area; x0, y0, x1, y1 are in pixels")
    if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
        raise InputError(f"{described} lies outside the image ({width} x {height} pixels)")
    # Nobody means such a box, and the padding would not fit into memory.
    if min(x0, width - x1) < -width or min(y0, height - y1) < -height:
        raise InputError(f"{described} is far larger than the image ({width} x {height} pixels)")


def scaled(box: Sequence[float | int], size: tuple[int, int], other: tuple[int, int]) -> Box:
    """A box in an image of one size as the box in the same image of another size."""
    (x0, y0, x1, y1), sx, sy = box, other[0] / size[0], other[1] / size[1]
    return sx * x0, sy * y0, sx * x1, sy * y1


# To be raised when the same file would give another crop: cached crops are then made anew.
CROP_VERSION = 2


def crop(
    image: Image.Image | decode.Picture,
    box: Sequence[float | int] | None,
    size: int,
    margin: int,
    context: float = 1.0,
) -> np.ndarray:
    """The box's content as (size + 2 margin, same, 3) uint8, without keeping the aspect.

    Antialiased bilinear resampling, as the feature network's ImageNet weights were checked with.
    The margin shows what lies around the box at the same scale; outside the image it repeats the
    image's edge.

    Args:
      image: of any mode, or as `decode.open_picture` gives it.
      box: x0, y0, x1, y1 in pixels of the image's file, x1 and y1 exclusive; None for all of it.
      size: side of the box's content in the result, in pixels.
      margin: further pixels on each side.
      context: the box is widened by this factor, about its center, before all else.

    Raises:
      InputError: an invalid box, see `check_box`.
    """
    image, whole = image if isinstance(image, decode.Picture) else (colors.rgb(image), image.size)
    box = (0, 0, *whole) if box is None else box
    check_box(box, whole)
    x0, y0, x1, y1 = scaled(box, whole, image.size)
    extra = (context * (size + 2 * margin) - size) / 2
    dx, dy = (x1 - x0) * extra / size, (y1 - y0) * extra / size
    window = (x0 - dx, y0 - dy, x1 + dx, y1 + dy)
    image, window = _pad_to(image, window)
    side = size + 2 * margin
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=window))


def _pad_to(image: Image.Image, window: tuple[float, ...]) -> tuple[Image.Image, tuple[float, ...]]:
    """Repeats the image's edge so that `window` lies inside."""
    x0, y0, x1, y1 = window
    beyond = (-x0, -y0, x1 - image.width, y1 - image.height)
    left, top, right, bottom = (max(0, int(np.ceil(edge))) for edge in beyond)
    if not (left or top or right or bottom):
        return image, window
    pixels = np.pad(np.asarray(image), ((top, bottom), (left, right), (0, 0)), mode="edge")
    return Image.fromarray(pixels), (x0 + left, y0 + top, x1 + left, y1 + top)
