"""Gray of every depth against the same shades in 8 bits; transparency; CMYK and Lab."""

import io

import numpy as np
import pytest
from PIL import Image

from catpose.images import colors, decode
from tests.support.encoded import encode, levels, noise, with_tag

SHADES = np.arange(256, dtype=np.uint8).reshape(8, 32)
DEEP = SHADES.astype(np.uint16) * 257  # the same in 16 bits


def opened(image_or_bytes, form="TIFF", **options):
    is_encoded = isinstance(image_or_bytes, bytes)
    data = image_or_bytes if is_encoded else encode(image_or_bytes, form, **options)
    return np.asarray(decode.open_picture(data).image)


def pgm(values, maximum):
    kind = ">u2" if maximum > 255 else "u1"
    return b"P5 32 8 %d\n" % maximum + values.astype(kind).tobytes()


def of_array(values):
    return Image.fromarray(values)


GRAYS = {
    "PNG, 8 bits": encode(of_array(SHADES), "PNG"),
    "PNG, 16 bits": encode(of_array(DEEP), "PNG"),
    "TIFF, 16 bits": encode(of_array(DEEP), "TIFF"),
    "TIFF, 16 bits, compressed": encode(of_array(DEEP), "TIFF", compression="tiff_lzw"),
    "TIFF, 16 bits, big endian": encode(of_array(DEEP.astype(">u2")), "TIFF"),
    "TIFF, 32 bits, 16 of them used": encode(of_array(DEEP.astype(np.int32)), "TIFF"),
    "TIFF, 32 bits, 8 of them used": encode(of_array(SHADES.astype(np.int32)), "TIFF"),
    "TIFF, floats to 1": encode(of_array((SHADES / 255).astype(np.float32)), "TIFF"),
    "TIFF, floats to 255": encode(of_array(SHADES.astype(np.float32)), "TIFF"),
    "TIFF, floats to 65535": encode(of_array(DEEP.astype(np.float32)), "TIFF"),
    "PGM, 8 bits": pgm(SHADES, 255),
    "PGM, 16 bits": pgm(DEEP, 65535),
    "PGM, 12 bits": pgm(DEEP >> 4, 4095),
    "PGM of text": b"P2 32 8 65535\n" + b" ".join(b"%d" % v for v in DEEP.ravel()),
    "PFM": b"Pf 32 8 -1.0\n" + (SHADES[::-1] / 255).astype("<f4").tobytes(),
}


@pytest.mark.parametrize("name", GRAYS)
def test_gray_of_every_depth(name):
    found = opened(GRAYS[name])
    assert found.shape == (8, 32, 3)
    assert levels(found, np.repeat(SHADES[..., None], 3, 2)) == 0


def test_a_dark_image_of_stated_depth_stays_dark():
    # Only 32-bit numbers and floats are judged by their largest.
    assert opened(pgm(SHADES.astype(np.uint16), 65535)).max() == 1
    assert opened(of_array(SHADES.astype(np.uint16)), "PNG").max() == 0


def test_a_shade_of_other_maxima():
    values = np.arange(256).reshape(8, 32) % 101
    assert levels(opened(pgm(values, 100))[..., 0], np.round(values * 2.55)) <= 1


def test_tiffs_in_which_white_is_zero():
    for values in (255 - SHADES, 65535 - DEEP, (1 - SHADES / 255).astype(np.float32)):
        data = with_tag(encode(of_array(values), "TIFF"), 262, 0)
        assert levels(opened(data)[..., 0], SHADES) <= 1


def test_a_tiff_of_12_bits():
    # Two values in three bytes, as scientific cameras pack them.
    values = (DEEP >> 4).ravel().astype(int)
    pairs = values.reshape(-1, 2)
    packed = bytes(byte for a, b in pairs for byte in (a >> 4, ((a & 15) << 4) | (b >> 8), b & 255))
    frame = encode(of_array(DEEP), "TIFF")
    at = frame.index(DEEP.astype("<u2").tobytes())
    frame = frame[:at] + packed.ljust(DEEP.nbytes, b"\0") + frame[at + DEEP.nbytes :]
    assert levels(opened(with_tag(frame, 258, 12))[..., 0], SHADES) == 0


def test_a_tiff_of_16_bits_with_sign():
    data = encode(of_array(DEEP >> 1), "TIFF", tiffinfo={339: 2})
    assert levels(opened(data)[..., 0], SHADES) <= 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((4, 4), 1e6, np.float32), "gray values, 1e.06 to 1e.06, are not within"),
        (np.full((4, 4), -0.1, np.float32), "are not within 0 and 65535"),
        (np.array([[0, np.nan]], np.float32), "gray values, nan to nan"),
        (np.array([[0, np.inf]], np.float32), "gray values, 0 to inf"),
        (np.array([[0, 1.4]], np.float32), "floats go to 1, 255 or 65535"),
        (np.array([[0, 10**6]], np.int32), "are not within"),
        (np.array([[-1, 255]], np.int32), "gray values, -1 to 255"),
    ],
)
def test_gray_of_no_known_scale_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        opened(of_array(values))


def test_colors_of_16_bits_keep_the_upper_8():
    picture = np.asarray(noise(6, 4))
    deep = (picture.astype(np.uint16) << 8) | 77
    ppm = b"P6 6 4 65535\n" + deep.astype(">u2").tobytes()
    assert levels(opened(ppm), picture) <= 1


def test_transparent_pixels_are_white():
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[:4] = (200, 10, 30, 255)
    picture[4:] = (20, 150, 60, 0)
    picture[6:, :, 3] = 51
    expected = picture[..., :3].copy()
    expected[4:6], expected[6:] = 255, 0.8 * 255 + 0.2 * expected[6:] + 0.5
    for form in ("PNG", "TIFF", "WEBP"):
        found = opened(of_array(picture), form, lossless=True)
        assert levels(found, expected) <= 1
        assert levels(found[:4], expected[:4]) == 0
    # A palette with an alpha for each of its colors; gray with alpha.
    assert levels(opened(of_array(picture).quantize(8), "PNG"), expected) <= 2
    gray = opened(of_array(picture).convert("LA"), "PNG")
    assert (gray[4:6] == 255).all()
    assert levels(gray[:4, :, 0], of_array(picture).convert("L").crop((0, 0, 8, 4))) == 0


@pytest.mark.parametrize(
    ("mode", "form", "key"),
    [("P", "PNG", 1), ("P", "GIF", 1), ("L", "PNG", 90), ("RGB", "PNG", (90, 90, 90))],
)
def test_a_color_that_stands_for_transparent(mode, form, key):
    values = np.zeros((4, 6), np.uint8)
    values[:, 3:] = 90
    picture = of_array(values).convert("RGB")
    picture = picture.quantize(2) if mode == "P" else picture.convert(mode)
    if mode == "P":
        key = int(np.asarray(picture)[0, 5])
    found = opened(picture, form, transparency=key)
    assert (found[:, :3] == 0).all()
    assert (found[:, 3:] == 255).all()


def test_transparency_may_count_for_nothing():
    picture = np.asarray(noise(6, 4).convert("RGBA")).copy()
    picture[2:, :, 3] = 0
    data = encode(of_array(picture), "PNG")
    found = decode.open_picture(data, matte=None).image
    assert levels(found, picture[..., :3]) == 0


def test_opaque_pixels_and_rgb_stay_as_they_are():
    picture = noise(9, 7)
    assert colors.rgb(picture) is picture
    assert levels(opened(picture.convert("RGBA"), "PNG"), picture) == 0


def test_cmyk_and_lab():
    picture = Image.new("RGB", (16, 16), (200, 60, 30))
    for mode, tolerance in (("CMYK", 0), ("LAB", 2)):
        for compression in (None, "tiff_lzw"):
            found = opened(picture.convert(mode), compression=compression)
            assert levels(found, picture) <= tolerance
    assert levels(opened(picture.convert("CMYK"), "JPEG", quality=95), picture) <= 6


def test_images_of_pil_in_any_mode():
    assert levels(colors.rgb(of_array(DEEP)).getchannel(0), SHADES) == 0
    with Image.open(io.BytesIO(GRAYS["PGM, 16 bits"])) as lazy:
        assert levels(decode.open_picture(lazy).image.getchannel(0), SHADES) == 0
