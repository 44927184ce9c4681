"""Crops against Pillow's own crop and resize; orientation, kinds of images, broken files."""

import io

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from catpose.data import photos, warp
from catpose.data.input_spec import InputSpec
from catpose.errors import InputError


def smooth(width, height, seed=0):
    """A picture without hard edges: resampling differs little from one right way to another."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def noise(width, height, seed=0):
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    )


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def levels(a, b):
    """The largest difference of two pictures."""
    return np.abs(np.asarray(a, np.int32) - np.asarray(b, np.int32)).max()


@pytest.mark.parametrize("box", [None, (0, 0, 150, 90), (20, 30, 100, 50), (3, 5, 35, 37)])
@pytest.mark.parametrize("size", [32, 63])
def test_a_crop_is_cut_and_resized(box, size):
    # Pillow's resize of the cut-out repeats the box's edge where ours still sees the picture, so
    # on noise the outermost pixels differ; a filter reaches no further than one pixel of the
    # result, or of the source.
    for picture, edge, tolerance in ((noise(150, 90), 2, 0), (smooth(150, 90), 0, 16)):
        cut = picture if box is None else picture.crop(box)
        expected = np.asarray(cut.resize((size, size), Image.Resampling.BILINEAR))
        result = photos.crop(picture, box, size, 0)
        assert result.shape == (size, size, 3)
        assert result.dtype == np.uint8
        inner = slice(edge, size - edge)
        assert levels(result[inner, inner], expected[inner, inner]) <= tolerance
        if box in (None, (0, 0, 150, 90)):
            assert levels(result, expected) == 0


def test_a_box_of_the_results_size_is_taken_as_it_is():
    picture = noise(80, 60)
    pixels = np.asarray(picture)
    np.testing.assert_array_equal(photos.crop(picture, (11, 7, 43, 39), 32, 0), pixels[7:39, 11:43])
    with_margin = photos.crop(picture, (11, 7, 43, 39), 32, 5)
    np.testing.assert_array_equal(with_margin, pixels[2:44, 6:48])


def test_boxes_may_have_fractions():
    # A ramp along x: the value at the center of each output pixel is known.
    ramp = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (50, 1, 3)))
    row = photos.crop(ramp, (20.5, 10, 84.5, 40), 32, 0)[16, :, 0]
    centers = 20.5 + (np.arange(32) + 0.5) * 2 - 0.5
    np.testing.assert_allclose(row, centers, atol=0.51)


@pytest.mark.parametrize("box", [(40, 30, 104, 78), (41.3, 29.6, 97.2, 83.1)])
def test_the_margin_shows_what_lies_around_the_box(box):
    for picture in (noise(150, 120), smooth(150, 120)):
        plain = photos.crop(picture, box, 32, 0)
        wide = photos.crop(picture, box, 32, 6)
        assert wide.shape == (44, 44, 3)
        # The same centers and the same filter: equal, up to how rounding falls.
        assert levels(warp.without_margin(wide[None], 6)[0], plain) <= 1
        x0, y0, x1, y1 = box
        dx, dy = (x1 - x0) * 6 / 32, (y1 - y0) * 6 / 32
        larger = photos.crop(picture, (x0 - dx, y0 - dy, x1 + dx, y1 + dy), 44, 0)
        assert levels(wide, larger) == 0


def test_outside_the_image_its_edge_repeats():
    picture = noise(40, 40)
    pixels = np.pad(np.asarray(picture), ((16, 16), (16, 16), (0, 0)), mode="edge")
    # Boxes at the image's own scale, so that every pixel is known.
    for x0, y0, margin in ((-10, -6, 0), (20, 30, 0), (0, 4, 7), (-9, 20, 3)):
        result = photos.crop(picture, (x0, y0, x0 + 32, y0 + 32), 32, margin)
        side = 32 + 2 * margin
        top, left = y0 - margin + 16, x0 - margin + 16
        expected = pixels[top : top + side, left : left + side]
        np.testing.assert_array_equal(result[: len(expected), : expected.shape[1]], expected)
    # The whole image: the margin is nothing but repeated edge.
    whole = photos.crop(picture, None, 40, 4)
    np.testing.assert_array_equal(whole, np.pad(pixels[16:56, 16:56], ((4,), (4,), (0,)), "edge"))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((30, 5, 10, 20), "has no area"),
        ((5, 5, 5, 20), "has no area"),
        ((0.1, 0.1, 0.9, 0.8), "has no area; x0, y0, x1, y1 are in pixels"),
        ((np.nan, 0, 10, 10), "has no area"),
        ((np.nan,) * 4, "has no area"),
        ((60, 0, 70, 10), r"outside the image \(60 x 40 pixels\)"),
        ((0, -20, 10, 0), "outside the image"),
        ((-20, 0, 0, 10), "outside the image"),
        ((0, 0, 1e9, 10), "far larger than the image"),
        ((0, 0, 10, np.inf), "far larger than the image"),
        ((-np.inf, 0, 10, 10), "far larger than the image"),
    ],
)
@pytest.mark.parametrize("margin", [0, 4])
def test_boxes_that_mean_nothing(box, message, margin):
    with pytest.raises(InputError, match=message) as caught:
        photos.crop(noise(60, 40), box, 32, margin)
    assert "\n" not in str(caught.value)


def test_the_preprocessing_of_the_pretrained_weights(data_dir):
    golden = np.load(data_dir / "weights" / "golden_stage3_stage4.npz")
    for name, expected in zip(golden["files"], golden["inputs"], strict=True):
        picture = photos.open_image(data_dir / "cars3d" / "images" / str(name))
        image = photos.crop(picture, None, 224, 0)
        spec = InputSpec(224, 1.0, "keras", "camera")
        ours = np.asarray(spec.normalize(jnp.asarray(image[None]))[0])
        assert np.abs(ours - expected).max() <= 1 + 1e-4
        assert np.abs(ours - expected).mean() < 0.01


def halves(mode):
    """Left dark, right light; upper half of each a little lighter; in a mode of Pillow."""
    gray = np.empty((40, 60), np.uint8)
    gray[:, :30], gray[:, 30:] = 40, 200
    gray[:20] += 20
    return Image.fromarray(gray).convert(mode)


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("L", "JPEG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("L", "PNG"), ("LA", "PNG"),
        ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("1", "PNG"), ("P", "GIF"), ("RGB", "WEBP"),
        ("RGBA", "WEBP"), ("RGB", "BMP"), ("CMYK", "TIFF"), ("L", "TIFF"),
    ],
)  # fmt: skip
def test_every_kind_of_image_looks_as_it_does_in_a_viewer(mode, form):
    picture = halves(mode)
    opened = photos.open_image(encoded(picture, form))
    assert opened.mode == "RGB"
    expected = picture.convert("RGB")  # "1" dithers, so the expectation passes through the mode too
    assert levels(opened, expected) <= (6 if form in ("JPEG", "WEBP") else 0)
    assert photos.crop(opened, None, 32, 0).shape == (32, 32, 3)


def test_sixteen_bits_of_grey_keep_their_shades():
    deep = (np.asarray(halves("L")).astype(np.uint16) << 8) + 77
    for form in ("PNG", "TIFF"):
        opened = photos.open_image(encoded(Image.fromarray(deep), form))
        assert levels(opened, halves("RGB")) == 0


def test_transparency_is_dropped_without_a_warning():
    colors = np.zeros((8, 8, 4), np.uint8)
    colors[:4] = (200, 10, 30, 255)
    colors[4:] = (20, 150, 60, 0)
    picture = Image.fromarray(colors)
    assert levels(photos.open_image(encoded(picture, "PNG")), colors[..., :3]) == 0
    # A palette with a transparency for each of its colors makes Pillow warn.
    palette = photos.open_image(encoded(picture.quantize(4), "PNG"))
    assert levels(np.asarray(palette)[:4], colors[:4, :, :3]) == 0


# What the values of EXIF's Orientation mean: where the stored row 0 and column 0 belong on view.
ORIENTATIONS = {
    1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
    5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "sides"), ORIENTATIONS.items())
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_applied(tmp_path, value, sides, form):
    upright = np.asarray(halves("RGB"))
    stored = upright
    first_row, first_column = sides
    if first_row in ("left", "right"):
        stored = stored.transpose(1, 0, 2)
    if "bottom" == first_row or "right" == first_row:
        stored = stored[::-1]
    if "right" == first_column or "bottom" == first_column:
        stored = stored[:, ::-1]
    exif = Image.Exif()
    exif[0x0112] = value
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), form, exif=exif, quality=95)
    path = tmp_path / "photo"
    path.write_bytes(data)
    for source in (data, path, str(path), Image.open(io.BytesIO(data))):
        opened = photos.open_image(source)
        assert opened.size == (60, 40)
        assert levels(opened, upright) <= 6


def broken_files():
    picture = noise(50, 40)
    jpeg, png = encoded(picture, "JPEG"), encoded(picture, "PNG")
    return {
        "empty": b"",
        "text": b"<html>404 not found</html>",
        "half a jpeg": jpeg[: len(jpeg) // 2],
        "half a png": png[: len(png) // 2],
        "head of a jpeg": jpeg[:20],
        "changed png": png[:60] + b"x" + png[61:],
        "orientation of no type": encoded(picture, "WEBP", exif=b"Exif\0\0broken"),
    }


@pytest.mark.parametrize("name", broken_files())
def test_what_is_no_image_is_told_in_one_line(tmp_path, name):
    path = tmp_path / "photo.jpg"
    path.write_bytes(broken_files()[name])
    for source, called in ((path, str(path)), (path.read_bytes(), "the image")):
        with pytest.raises(InputError, match=f"^cannot read {called} as an image: ") as caught:
            photos.open_image(source)
        assert "\n" not in str(caught.value)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"^no image .*missing\.jpg$"):
        photos.open_image(tmp_path / "missing.jpg")
    with pytest.raises(InputError, match=f"^cannot read {tmp_path} as an image: "):
        photos.open_image(tmp_path)
