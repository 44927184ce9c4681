"""Encoded images in memory."""

import io
import re
import struct
import zlib

import numpy as np
from PIL import Image


def encode(image, form, **options):
    """The bytes of a PIL image in a format."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(width, height, seed=0):
    """A picture of random colors."""
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    )


def smooth(width, height, seed=0):
    """A picture without hard edges: resampling differs little from one right way to another."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def png(width, height, depth, kind, rows, *, interlaced=0):
    """A PNG of any header and any rows (bytes with their filters), with right checksums."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def with_tag(data, number, value):
    """A little-endian TIFF of PIL with another number in one of its tags."""
    tag = re.escape(number.to_bytes(2, "little"))
    at = re.search(tag + rb"[\x03\x04]\x00\x01\x00\x00\x00", data).end()
    return data[:at] + value.to_bytes(2, "little") + data[at + 2 :]


def levels(a, b):
    """The largest difference of two pictures."""
    return np.abs(np.asarray(a, np.int32) - np.asarray(b, np.int32)).max()
