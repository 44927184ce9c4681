"""Crops against Pillow's own crop and resize."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from catpose.data import photos, warp
from catpose.data.input_spec import InputSpec
from catpose.errors import InputError
from catpose.images import decode
from tests.support.encoded import encode, levels, noise, smooth


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


def test_boxes_of_a_reduced_photo_are_in_the_pixels_of_its_file(monkeypatch):
    photo = smooth(400, 300)
    data, box = encode(photo, "PNG"), (101, 51, 341, 251)
    expected = photos.crop(photo, box, 40, 4)
    monkeypatch.setattr(decode, "MAX_KEPT", 50_000)
    reduced = decode.open_picture(data)
    assert (reduced.image.size, reduced.size) == ((200, 150), (400, 300))
    assert levels(photos.crop(reduced, box, 40, 4), expected) <= 4
    assert levels(photos.crop(reduced, None, 40, 0), photos.crop(photo, None, 40, 0)) <= 4
    with pytest.raises(InputError, match=r"lies outside the image \(400 x 300 pixels\)"):
        photos.crop(reduced, (400, 0, 500, 100), 40, 0)
