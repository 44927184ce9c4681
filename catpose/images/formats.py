"""What a file is, by its content: one of the raster formats that are opened, or what else.

The list is closed: PIL hands PostScript to another program, and knows formats that hardly anyone
else has tested.
"""

import contextlib
import functools
import io
from collections.abc import Callable

from PIL import Image, ImageFile

from catpose import errors

# As PIL calls them. Multi-picture JPEGs of phones (MPO) are opened as JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "HEIF")
READABLE = "JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF and PPM"
_HEIF_BRANDS = frozenset(b"heic heix heim heis hevc hevx mif1 msf1".split())
# What else is given as an image, by its first bytes.
_OTHERS = {
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%PDF": "a PDF document",
    b"version https://git-lfs": "a Git LFS pointer (`git lfs pull` fetches the file)",
    b"<!doctype html": "a web page (a failed download?)",
    b"<html": "a web page (a failed download?)",
    b"<svg": "an SVG drawing",
    b"\x00\x05\x16\x07": "what macOS keeps beside a file (AppleDouble)",
    b"8bps": "a Photoshop document",
    b"\x00\x00\x00\x0cjp": "JPEG 2000",
    b"\x00\x00\x00\x0cjxl": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"v/1\x01": "OpenEXR",
    b"\x1a\x45\xdf\xa3": "a video",
    b"\x00\x00\x01\xb3": "a video",
    b"\x00\x00\x01\xba": "a video",
    b"flv\x01": "a video",
    b"oggs": "a video",
    b"pk\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x93numpy": "a NumPy array",
}
_SUBFILE_TYPE, _DNG_VERSION = 254, 50706  # tags of TIFF

Opener = Callable[..., ImageFile.ImageFile]


def identify(data: bytes) -> ImageFile.ImageFile:
    """Opens an encoded image without decoding its pixels, and without PIL's limit on their number.

    Raises:
      ValueError: the content is in none of FORMATS; the message says what it is.
      Exception: whatever PIL raises of a damaged header.
    """
    brand = _brand(data)
    # Where there is a brand it decides, as PIL's AVIF takes some of HEIF for its own.
    for opener, accepts in filter(None, map(_opener, (brand,) if brand else FORMATS)):
        if accepts(data[:16]) is True:
            image = opener(io.BytesIO(data), "")
            tags = getattr(image, "tag_v2", {})
            if tags.get(_SUBFILE_TYPE, 0) & 1 or _DNG_VERSION in tags or data[8:10] == b"CR":
                raise ValueError(_unread("a camera's raw photo, of which only a preview is here"))
            return image
    raise ValueError(_kind(data, brand))


@functools.cache
def _opener(name: str) -> tuple[Opener, Callable[[bytes], bool | str]] | None:
    """PIL's opener of a format, and whether it takes a file's first bytes; None where absent."""
    Image.preinit()
    if name == "HEIF":
        with contextlib.suppress(ImportError):
            import pillow_heif

            pillow_heif.register_heif_opener()
    elif name not in Image.OPEN:
        Image.init()  # takes longer
    return Image.OPEN.get(name)


def _brand(data: bytes) -> str:
    """The format of an ISO media file (AVIF, HEIF, "video" or "raw"); "" of any other."""
    if data[4:8] != b"ftyp":
        return ""
    end = min(int.from_bytes(data[:4]), 256)
    brands = {data[i : i + 4] for i in (8, *range(16, end, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    return "raw" if b"crx " in brands else "video"


def foreign(data: bytes) -> str:
    """What begins so and is neither an image nor a 3D model, as "a web page"; "" where unknown."""
    begin = _beginning(data)
    found = (kind for magic, kind in _OTHERS.items() if begin.startswith(magic.lower()))
    return next(found, "")


def _beginning(data: bytes) -> bytes:
    return data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").lower()


def _kind(data: bytes, brand: str) -> str:
    """What a file is that no opener takes, in words."""
    begin = _beginning(data)
    if brand == "HEIF":
        return f"it is a HEIC photo; {errors.extra('heic')} reads it, or save it as JPEG"
    if not data.strip(b"\0"):
        return "it has nothing but zeros (half copied?)" if data else "it is empty"
    if brand == "video" or (begin.startswith(b"riff") and b"avi" in begin[8:12]):
        return _unread("a video")
    if brand == "raw":
        return _unread("a camera's raw photo")
    if begin.startswith(b"<?xml") and b"<svg" in begin:
        return _unread("an SVG drawing")
    return _unread(foreign(data) or "a file of another kind")


def _unread(kind: str) -> str:
    return f"it is {kind}; {READABLE} are read"
