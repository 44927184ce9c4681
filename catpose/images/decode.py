"""The one way from an image's file to pixels: upright, RGB, 8 bits.

Whatever the source, its bytes come first: of a file that PIL opens itself it maps some kinds into
memory, and turns those wrongly.
"""

import contextlib
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, ImageOps

from catpose import errors
from catpose.errors import InputError
from catpose.images import colors, files, formats

_MILLION = 1_000_000
# Pixels that stay in memory; a larger image is reduced to a half, quarter or eighth of its sides.
MAX_KEPT = 64 * _MILLION
# Pixels that are decoded at once, at four bytes each. All but progressive JPEGs are reduced before.
MAX_DECODED = 200 * _MILLION
# Pixels that a byte of a file may claim: more than any format makes of it, but for one color alone.
_DENSEST = 10_000
_ORIENTATION = 0x0112  # of EXIF
# Of the seven passes of an interlaced PNG: first column and row, step in columns and rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
           (0, 1, 1, 2))  # fmt: skip
_JPEG, _JPEG_END = ("JPEG", "MPO"), b"\xff\xd9"
_GRAY = (128, (128,) * 3, (127,) * 4)  # what missing rows of a JPEG are: L, RGB, CMYK
_ZEROS = 64  # at the end of compressed data are what a copy that broke off left
_HUGE = threading.Lock()  # one at a time, lest the threads of a cache fill the memory together


class Picture(NamedTuple):
    """A decoded image.

    Attributes:
      image: RGB, upright.
      size: width and height of the upright image in its file; boxes are in these pixels. Larger
        than `image` where a huge one was reduced.
    """

    image: Image.Image
    size: tuple[int, int]


def open_picture(
    source: str | os.PathLike | bytes | Image.Image,
    name: str = "",
    *,
    matte: colors.Color | None = colors.MATTE,
) -> Picture:
    """An image as viewers, and annotation tools in a browser, show it.

    The orientation in its EXIF data is applied, so boxes and angles refer to the turned picture.
    Of an animation or a file of several pages the first counts.

    Args:
      source: a file's path, its bytes, or an image of PIL.
      name: what messages call it.
      matte: see `colors.rgb`.

    Raises:
      InputError: no such file, no image in one of `formats.FORMATS`, a damaged or incomplete one,
        or one beyond the limits of this module.
    """
    if isinstance(source, str | os.PathLike):
        source, name = files.read_bytes(source), name or str(source)
    with named(name or "the image"):
        if isinstance(source, Image.Image):
            image = ImageOps.exif_transpose(colors.rgb(_loaded(source), matte))
            return Picture(image, image.size)
        opened = identify(source)
        size, image = opened.size, load(opened, source, matte)
        if opened.getexif().get(_ORIENTATION) in (5, 6, 7, 8):  # PIL has turned TIFF's size already
            size = size[::-1]
        ImageOps.exif_transpose(image, in_place=True)
        return Picture(image, size if _reduction(size) > 1 else image.size)


@contextlib.contextmanager
def named(name: str | os.PathLike) -> Iterator[None]:
    """Makes an InputError of what goes wrong inside: a damaged file can make PIL raise anything."""
    try:
        yield
    except Exception as error:
        raise InputError(f"cannot read {name} as an image: {errors.reason(error)}") from error


def is_turned(image: Image.Image) -> bool:
    """Whether the EXIF data of an opened image say that it is to be turned."""
    return image.getexif().get(_ORIENTATION, 1) not in (0, 1)  # 1 means upright


def identify(data: bytes) -> ImageFile.ImageFile:
    """Opens an encoded image without decoding it, see `formats.identify`.

    Raises:
      ValueError: also where it claims more pixels than its bytes can hold, or than fit in memory.
    """
    opened = formats.identify(data)
    written = data.rstrip(b"\0")
    is_cut = len(data) - len(written) > _ZEROS and not written.endswith(_JPEG_END)
    if is_cut and opened.format in (*_JPEG, "WEBP"):
        raise ValueError("its end is nothing but zeros (half copied?)")
    (width, height), claimed = opened.size, opened.width * opened.height
    if claimed > MAX_KEPT // 4 + _DENSEST * len(data):
        raise ValueError(f"it claims {width} x {height} pixels in {len(data)} bytes")
    is_reduced_first = opened.format in _JPEG and not opened.info.get("progressive")
    if claimed > MAX_DECODED * (_reduction(opened.size) ** 2 if is_reduced_first else 1):
        limit = MAX_DECODED // _MILLION
        raise ValueError(f"it has {width} x {height} pixels; {limit} million at most are decoded")
    return opened


def load(
    opened: ImageFile.ImageFile, data: bytes, matte: colors.Color | None = colors.MATTE
) -> Image.Image:
    """Decodes what `identify` has opened of `data`, into RGB as it lies there, not yet turned.

    PIL turns TIFFs as it decodes them.

    Raises:
      ValueError: rows are missing.
      Exception: whatever PIL raises of damaged content.
    """
    factor = _reduction(opened.size)
    if factor == 1:
        return colors.rgb(_whole(opened, data), matte)
    opened.draft(None, tuple(max(1, edge // factor) for edge in opened.size))  # of JPEG alone
    with _HUGE:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # `identify` has checked ours
        try:
            image = colors.rgb(_whole(opened, data), matte)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    return image if image.width * image.height <= MAX_KEPT else image.reduce(factor)


def _reduction(size: tuple[int, int]) -> int:
    """By how much the sides of an image of this size are divided: 1, 2, 4 or 8."""
    pixels = size[0] * size[1]
    return next((factor for factor in (1, 2, 4) if pixels <= MAX_KEPT * factor**2), 8)


def _loaded(image: Image.Image) -> Image.Image:
    """An image of PIL, decoded where it is not yet."""
    if getattr(image, "tile", ()):
        if image.format not in (*formats.FORMATS, *_JPEG):
            raise ValueError(f"PIL calls it {image.format}; {formats.READABLE} are read")
        filename, image.filename = image.filename, ""  # without, PIL maps nothing into memory
        image.load()
        image.filename = filename
    return image


def _whole(opened: ImageFile.ImageFile, data: bytes) -> Image.Image:
    """The image, decoded, once no part of it is missing."""
    (width, height), kind = opened.size, opened.format
    tiles = [tile[1] for tile in opened.tile] if kind == "TIFF" else []
    if tiles and sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in tiles) < width * height:
        raise ValueError("parts of it are missing")
    opened.load()
    if (kind == "PNG" and _is_png_short(opened, data)) or (
        kind == "JPEG" and _is_jpeg_short(opened, data)
    ):
        raise ValueError("rows are missing at its end")
    return opened


def _is_png_short(opened: ImageFile.ImageFile, data: bytes) -> bool:
    """Whether a PNG holds less than its rows; PIL goes by the end of the compressed data alone."""
    end = np.asarray(opened.crop((0, max(0, opened.height - 2), *opened.size)))
    if end.reshape(len(end), -1).any(axis=1).all():
        return False  # missing rows are zero
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    left = 0
    for x, y, dx, dy in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((x - width) // dx), -((y - height) // dy)
        left += rows * (1 + -(-columns * bits // 8)) if columns > 0 else 0
    stream, position = zlib.decompressobj(), 8
    while position + 8 <= len(data):
        length, chunk = struct.unpack(">I4s", data[position : position + 8])
        block = data[position + 8 : position + 8 + length] if chunk == b"IDAT" else b""
        while block:
            left -= len(stream.decompress(block, 1 << 20))
            block = stream.unconsumed_tail
        position += 12 + length
    return left > 0


def _is_jpeg_short(opened: ImageFile.ImageFile, data: bytes) -> bool:
    """Whether a JPEG's last rows wait for data: what is put before its end then changes them."""
    if opened.getpixel((opened.width - 1, opened.height - 1)) not in _GRAY:
        return False
    end = data.rfind(_JPEG_END)
    again = formats.identify(data[:end] + b"\x55" * 4096 + data[end:])
    return again.size == opened.size and again.tobytes() != opened.tobytes()
