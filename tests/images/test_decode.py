"""Images of every kind and orientation, huge, damaged and incomplete ones."""

import io
import os
import threading

import numpy as np
import pytest
from PIL import Image

from catpose.errors import InputError
from catpose.images import decode
from tests.support.encoded import encode, levels, noise, png, smooth, with_tag


def opened(source):
    return decode.open_picture(source).image


def halves(mode):
    """Left dark, right light; upper half of each a little lighter; in a mode of Pillow."""
    gray = np.empty((40, 60), np.uint8)
    gray[:, :30], gray[:, 30:] = 40, 200
    gray[:20] += 20
    if mode == "I;16":
        return Image.fromarray(gray.astype(np.uint16) * 257)
    return Image.fromarray(gray).convert(mode)


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("L", "JPEG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("L", "PNG"), ("LA", "PNG"),
        ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("1", "PNG"), ("P", "GIF"), ("RGB", "WEBP"),
        ("RGBA", "WEBP"), ("RGB", "BMP"), ("CMYK", "TIFF"), ("L", "TIFF"), ("RGB", "PPM"),
        ("RGB", "AVIF"), ("1", "BMP"), ("1", "PPM"), ("1", "TIFF"),
    ],
)  # fmt: skip
def test_every_kind_of_image_looks_as_it_does_in_a_viewer(mode, form):
    picture = halves(mode)
    found = opened(encode(picture, form))
    assert found.mode == "RGB"
    expected = picture.convert("RGB")  # "1" dithers, so the expectation passes through the mode too
    assert levels(found, expected) <= (6 if form in ("JPEG", "WEBP", "AVIF") else 0)


# What the values of EXIF's Orientation mean: where the stored row 0 and column 0 belong on view.
ORIENTATIONS = {
    1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
    5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
}  # fmt: skip


def stored(picture, orientation):
    """The picture as a camera stores it that was held so."""
    pixels = np.asarray(picture)
    first_row, first_column = ORIENTATIONS[orientation]
    if first_row in ("left", "right"):
        pixels = np.swapaxes(pixels, 0, 1)
    if first_row in ("bottom", "right"):
        pixels = pixels[::-1]
    if first_column in ("right", "bottom"):
        pixels = pixels[:, ::-1]
    result = Image.frombytes(picture.mode, pixels.shape[1::-1], pixels.tobytes())
    if picture.mode == "P":
        result.putpalette(picture.getpalette())
    return result


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def every_way(data, path):
    """The same image by its bytes, by its path, and as PIL opens it from both."""
    path.write_bytes(data)
    with Image.open(path) as from_path, Image.open(io.BytesIO(data)) as from_bytes:
        for source in (data, path, str(path), from_path, from_bytes):
            yield opened(source)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_orientation_is_applied(tmp_path, orientation, form):
    upright = halves("RGB")
    data = encode(stored(upright, orientation), form, exif=exif_of(orientation), quality=95)
    for found in every_way(data, tmp_path / "photo"):
        assert found.size == (60, 40)
        assert levels(found, upright) <= 6


def test_orientation_of_heic():
    pytest.importorskip("pillow_heif").register_heif_opener()
    for orientation in ORIENTATIONS:
        exif = exif_of(orientation).tobytes()
        data = encode(stored(halves("RGB"), orientation), "HEIF", exif=exif, quality=95)
        assert levels(opened(data), halves("RGB")) <= 6


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "CMYK", "P", "I;16", "F"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_orientation_of_tiffs(tmp_path, mode, compression):
    upright = halves(mode)
    expected = opened(encode(upright, "TIFF"))
    for orientation in ORIENTATIONS:
        data = encode(
            stored(upright, orientation),
            "TIFF",
            tiffinfo={0x0112: orientation},
            compression=compression,
        )
        for found in every_way(data, tmp_path / "photo.tif"):
            assert found.size == (60, 40)
            assert levels(found, expected) == 0


def test_orientation_in_xmp():
    xmp = b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    for form in ("JPEG", "WEBP", "PNG"):
        options = {"xmp": xmp, "lossless": True}
        if form == "PNG":
            from PIL import PngImagePlugin

            info = PngImagePlugin.PngInfo()
            info.add_itxt("XML:com.adobe.xmp", xmp.decode())
            options = {"pnginfo": info}
        found = opened(encode(stored(halves("RGB"), 6), form, **options))
        assert levels(found, halves("RGB")) <= 6


def test_orientation_of_transparent_and_deep_images():
    for mode in ("RGBA", "LA", "I;16", "P"):
        data = encode(stored(halves(mode), 6), "PNG", exif=exif_of(6))
        assert levels(opened(data), opened(encode(halves(mode), "PNG"))) == 0


def test_an_image_of_pil_is_left_as_it_was(tmp_path):
    path = tmp_path / "a.tif"
    stored(halves("L"), 6).save(path, tiffinfo={0x0112: 6})
    with Image.open(path) as source:
        assert opened(source).size == (60, 40)
        assert source.filename == str(path)
    picture = noise(6, 4)
    found = opened(picture)
    found.paste((0, 0, 0), (0, 0, 6, 4))
    assert np.asarray(picture).any()


def test_pil_runs_no_other_program_for_us(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(noise(8, 8), "EPS"))
    with Image.open(path) as lazy, pytest.raises(InputError, match="PIL calls it EPS; JPEG, "):
        opened(lazy)
    with pytest.raises(InputError, match="it is PostScript; JPEG, "):
        opened(path)


def broken_files():
    picture = noise(50, 40)
    jpeg, png_bytes = encode(picture, "JPEG"), encode(picture, "PNG")
    webp = encode(picture, "WEBP")
    tiff, lzw = encode(picture, "TIFF"), encode(picture, "TIFF", compression="tiff_lzw")
    whole = png(50, 40, 8, 2, bytes([0] + [9] * 150) * 40)
    assert opened(whole).size == (50, 40)
    return {
        "empty": b"",
        "text": b"<html>404 not found</html>",
        "half a jpeg": jpeg[: len(jpeg) // 2],
        "half a jpeg with an end": jpeg[: len(jpeg) // 2] + b"\xff\xd9",
        "half a gray jpeg with an end": encode(noise(90, 90).convert("L"), "JPEG")[:2500]
        + b"\xff\xd9",
        "half a cmyk jpeg with an end": encode(noise(90, 90).convert("CMYK"), "JPEG")[:5000]
        + b"\xff\xd9",
        "half a png": png_bytes[: len(png_bytes) // 2],
        "head of a jpeg": jpeg[:20],
        "changed png": png_bytes[:60] + b"x" + png_bytes[61:],
        "png of half the rows": png(50, 40, 8, 2, bytes([0] + [9] * 150) * 20),
        "png of all rows but one": png(50, 40, 8, 2, bytes([0] + [9] * 150) * 39),
        "gray png of half the rows": png(50, 40, 8, 0, bytes([0] + [9] * 50) * 20),
        "deep png of half the rows": png(50, 40, 16, 0, bytes([0] + [9] * 100) * 20),
        "png of bits, half the rows": png(50, 40, 1, 0, bytes([0] + [255] * 7) * 20),
        "palette of half the rows": png(50, 40, 8, 0, bytes([0] + [9] * 50) * 20),
        "interlaced png of six passes": interlaced(noise(50, 40), passes=6),
        "half a jpeg, then zeros": jpeg[: len(jpeg) // 2] + bytes(4096),
        "half a webp, then zeros": webp[: len(webp) // 2] + bytes(len(webp) // 2),
        "half a gif": encode(picture, "GIF")[:2000],
        "half a webp": webp[:500],
        "half a bmp": encode(picture, "BMP")[:3000],
        "half a tiff": tiff[: len(tiff) // 2],
        "half a compressed tiff": lzw[: len(lzw) // 2],
        "tiff without its last strip": with_tag(
            tiff, 278, 20
        ),  # rows in each, of which there is one
        "half a ppm": encode(picture, "PPM")[:3000],
        "half a pgm of 10 bits": b"P5 50 40 1023\n" + bytes(2000),
        "orientation of no type": encode(picture, "WEBP", exif=b"Exif\0\0broken"),
    }


def interlaced(picture, passes=7):
    """An interlaced PNG, which PIL does not write."""
    pixels = np.asarray(picture)
    rows = b""
    starts = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
              (0, 1, 1, 2))  # fmt: skip
    for x, y, dx, dy in starts[:passes]:
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[y::dy, x::dx] if row.size)
    return png(picture.width, picture.height, 8, 2, rows, interlaced=1)


@pytest.mark.parametrize("name", broken_files())
def test_what_is_no_whole_image_is_told_in_one_line(tmp_path, name):
    path = tmp_path / "photo.jpg"
    path.write_bytes(broken_files()[name])
    for source, called in ((path, str(path)), (path.read_bytes(), "the image")):
        with pytest.raises(InputError, match=f"^cannot read {called} as an image: ") as caught:
            opened(source)
        assert "\n" not in str(caught.value)
        assert "BytesIO" not in str(caught.value)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 9), (17, 33)])
def test_black_images_are_whole(size):
    """Their last rows look like rows that never came."""
    black = Image.new("RGB", size)
    for mode in ("RGB", "L", "1", "P"):
        assert not np.asarray(opened(encode(black.convert(mode), "PNG"))).any()
    assert not np.asarray(opened(interlaced(black))).any()
    assert (np.asarray(opened(encode(Image.new("RGBA", size), "PNG"))) == 255).all()


def test_images_with_a_gray_border_are_whole():
    picture = Image.new("RGB", (64, 64), (128, 128, 128))
    picture.paste(smooth(32, 32), (16, 16))
    for options in ({}, {"progressive": True}, {"quality": 100, "subsampling": 0}):
        data = encode(picture, "JPEG", **options)
        assert levels(opened(data), Image.open(io.BytesIO(data))) == 0


def test_zeros_behind_a_whole_image_do_not_matter():
    picture = noise(50, 40)
    for form in ("JPEG", "PNG", "BMP"):
        data = encode(picture, form)
        assert levels(opened(data + bytes(4096)), opened(data)) == 0


def test_interlaced_images():
    picture = noise(21, 13)
    assert levels(opened(interlaced(picture)), picture) == 0


def test_names_in_messages(tmp_path):
    with pytest.raises(InputError, match=r"^cannot read 7\.jpg of a tar as an image: it is empty"):
        decode.open_picture(b"", "7.jpg of a tar")
    with pytest.raises(InputError, match=r"^no image .*missing\.jpg$"):
        opened(tmp_path / "missing.jpg")
    with pytest.raises(InputError, match=f"^cannot read {tmp_path} as an image: it is a folder"):
        opened(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for a writer
    with pytest.raises(InputError, match="it is no regular file"):
        opened(tmp_path / "pipe.jpg")


def test_more_pixels_than_bytes_can_hold_are_refused_before_they_are_decoded():
    for width, height in ((1, 178_000_000), (178_000_000, 1), (60_000, 60_000), (2**31 - 1,) * 2):
        with pytest.raises(InputError, match=f"it claims {width} x {height} pixels in .. bytes"):
            opened(png(width, height, 8, 0, b"\0\0"))
    # As much as the densest of formats packs.
    assert opened(encode(Image.new("1", (4000, 5000)), "PNG")).size == (4000, 5000)


@pytest.fixture
def small_limits(monkeypatch):
    """The limits at a thousandth."""
    monkeypatch.setattr(decode, "MAX_KEPT", 64_000)
    monkeypatch.setattr(decode, "MAX_DECODED", 200_000)
    monkeypatch.setattr(decode, "_DENSEST", 10**6)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP", "MPO"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_huge_images_are_reduced(small_limits, form, orientation):
    upright = smooth(501, 331)
    tag = {"tiffinfo": {0x0112: orientation}} if form == "TIFF" else {"exif": exif_of(orientation)}
    if form == "MPO":
        tag |= {"save_all": True, "append_images": [noise(8, 8)]}
    picture = decode.open_picture(encode(stored(upright, orientation), form, quality=95, **tag))
    assert picture.size == (501, 331)
    assert picture.image.size in ((251, 166), (250, 165))
    expected = upright.resize(picture.image.size, Image.Resampling.BOX)
    assert levels(picture.image, expected) <= 25
    assert np.abs(np.asarray(picture.image, float) - np.asarray(expected, float)).mean() < 3
    # At the limit nothing is reduced.
    assert decode.open_picture(encode(noise(320, 200), "PNG")).image.size == (320, 200)


def test_jpegs_are_reduced_further_than_others_are_decoded(small_limits):
    huge = smooth(1700, 1200)
    picture = decode.open_picture(encode(huge, "JPEG"))
    assert (picture.size, picture.image.size) == ((1700, 1200), (213, 150))
    message = "it has 1700 x 1200 pixels; 0 million at most are decoded"
    for data in (encode(huge, "JPEG", progressive=True), encode(huge, "PNG")):
        with pytest.raises(InputError, match=message):
            opened(data)


def test_pils_own_limit_neither_stops_us_nor_stays_changed(small_limits, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 70_000)
    picture = smooth(400, 400)  # beyond twice PIL's limit
    for form in ("JPEG", "PNG", "TIFF"):
        assert opened(encode(picture, form)).size == (200, 200)
    assert Image.MAX_IMAGE_PIXELS == 70_000
    with pytest.raises(InputError):
        opened(encode(picture, "PNG")[:-2000])
    assert Image.MAX_IMAGE_PIXELS == 70_000


def test_one_huge_image_at_a_time(small_limits, monkeypatch):
    inside, most, whole = [], [], decode._whole

    def counted(source, data):
        inside.append(1)
        most.append(len(inside))
        result = whole(source, data)
        inside.pop()
        return result

    monkeypatch.setattr(decode, "_whole", counted)
    data = encode(noise(400, 400), "PNG")
    threads = [threading.Thread(target=opened, args=(data,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4


def test_whether_an_image_is_turned():
    for orientation in (0, 1, 2, 6):
        data = encode(noise(8, 8), "JPEG", exif=exif_of(orientation))
        assert decode.is_turned(decode.identify(data)) == (orientation > 1)
