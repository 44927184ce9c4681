"""Only raster formats are opened; anything else is called what it is."""

import shutil
import sys

import pytest
from PIL import Image

from catpose.images import formats
from tests.support.encoded import encode, noise


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF"])
def test_raster_formats(form):
    opened = formats.identify(encode(noise(30, 20), form))
    assert (opened.format, opened.size) == (form, (30, 20))


def test_multi_picture_jpegs_of_phones():
    data = encode(noise(30, 20), "MPO", save_all=True, append_images=[noise(8, 8)])
    opened = formats.identify(data)
    assert (opened.format, opened.size) == ("MPO", (30, 20))


@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        (b"", "it is empty"),
        (bytes(100), "nothing but zeros"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "it is PostScript; JPEG, PNG, "),
        (b"\xc5\xd0\xd3\xc6 \0\0\0", "PostScript"),
        (b"%PDF-1.7", "PDF"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS pointer"),
        (b"\r\n<!DOCTYPE HTML><p>404", "web page"),
        (b"<html>", "web page"),
        (b"<svg xmlns=", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x --><svg>", "SVG"),
        (b"\0\5\26\7\0\2\0\0Mac OS X", "AppleDouble"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\0\x0cjP  \r\n", "JPEG 2000"),
        (b"\xff\x0a\x7a", "JPEG XL"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isommp42", "a video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "a video"),
        (b"RIFF\xff\0\0\0AVI LIST", "a video"),
        (b"\x1a\x45\xdf\xa3", "a video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "raw photo"),
        (b"PK\3\4", "ZIP"),
        (b"\x93NUMPY", "NumPy"),
        (b"hello", "a file of another kind; JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF and PPM are"),
    ],
)
def test_other_files_are_called_what_they_are(begin, kind):
    with pytest.raises(ValueError, match=kind):
        formats.identify(begin)


def test_no_other_format_of_pil_is_tried():
    for form in ("EPS", "PDF", "TGA", "ICO", "PCX", "SGI", "JPEG2000"):
        with pytest.raises(ValueError, match="are read$"):
            formats.identify(encode(noise(32, 32), form))


def test_previews_of_raw_photos_are_not_the_photo():
    for tag, value in ((254, 1), (50706, b"\1\4\0\0")):
        with pytest.raises(ValueError, match="raw photo"):
            formats.identify(encode(noise(30, 20), "TIFF", tiffinfo={tag: value}))
    page = formats.identify(encode(noise(30, 20), "TIFF", tiffinfo={254: 2}))
    assert page.size == (30, 20)


@pytest.fixture
def openers():
    """The formats that are there are looked up once; here anew."""
    formats._opener.cache_clear()
    yield
    formats._opener.cache_clear()


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def test_heic_without_its_extra(openers, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    for data in (HEIC, HEIC.replace(b"ftypheic", b"ftypmif1")):
        with pytest.raises(ValueError, match=r"HEIC photo; pip install 'catpose\[heic\]' reads"):
            formats.identify(data)


def test_heic_with_its_extra(openers):
    pytest.importorskip("pillow_heif").register_heif_opener()
    opened = formats.identify(encode(noise(64, 48), "HEIF"))
    assert (opened.format, opened.size) == ("HEIF", (64, 48))


def test_postscript_runs_no_program(tmp_path, monkeypatch):
    mark = tmp_path / "ran"
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{shutil.os.environ['PATH']}")
    data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(ValueError, match="PostScript"):
        formats.identify(data)
    assert not mark.exists()
