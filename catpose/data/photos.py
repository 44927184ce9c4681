"""Photographs: opened as people see them, and cut to square uint8 crops."""

import io
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from catpose.errors import InputError

Box = tuple[float, float, float, float]
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # of photos in a folder
_ORIENTATION = 0x0112  # of EXIF


def open_image(source: str | os.PathLike | bytes | Image.Image) -> Image.Image:
    """A photo in RGB, upright, as viewers and annotation tools in a browser show it.

    The orientation in its EXIF data is applied, so boxes and angles refer to the turned picture.
    Gray of 16 bits keeps its upper 8; of an animation the first frame counts; transparency is
    dropped.

    Args:
      source: a file's path, its bytes, or what PIL has opened.

    Raises:
      InputError: no such file, or not an image.
    """
    name = str(source) if isinstance(source, str | os.PathLike) else "the image"
    try:
        if isinstance(source, Image.Image):
            return _upright_rgb(source)
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            return _upright_rgb(opened)
    except FileNotFoundError as error:
        raise InputError(f"no image {name}") from error
    except Exception as error:  # a damaged file can make PIL raise anything
        raise InputError(f"cannot read {name} as an image: {error}") from error


def _upright_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):  # PIL would turn everything above 255 white
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if "transparency" in image.info:  # PIL warns on the direct way
        image = image.convert("RGBA")
    return image.convert("RGB")


def is_turned(image: Image.Image) -> bool:
    """Whether the EXIF data of a photo that PIL has opened say that it is to be turned."""
    return image.getexif().get(_ORIENTATION, 1) not in (0, 1)  # 1 means upright


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


# To be raised when the same file would give another crop: cached crops are then made anew.
CROP_VERSION = 1


def crop(
    image: Image.Image,
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
      image: any mode; converted to RGB.
      box: x0, y0, x1, y1 in pixels, x1 and y1 exclusive; None for the whole image.
      size: side of the box's content in the result, in pixels.
      margin: further pixels on each side.
      context: the box is widened by this factor, about its center, before all else.

    Raises:
      InputError: an invalid box, see `check_box`.
    """
    image = image.convert("RGB")
    x0, y0, x1, y1 = box = (0, 0, *image.size) if box is None else box
    check_box(box, image.size)
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
