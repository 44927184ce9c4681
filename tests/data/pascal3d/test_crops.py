"""The stored picture of an object, its box, and its camera; CAD models as points."""

import io
import math

import numpy as np
import pytest
import scipy.io
from PIL import Image

from catpose.data.pascal3d import annotations, cad_points, crops
from catpose.errors import InputError

NAN = math.nan


def item(box, center=(NAN, NAN), focal=NAN):
    return annotations.AnnotatedObject(
        *(1, "car", box, False, False, False, 1),
        *((0.0, 0.0, 0.0), (NAN, NAN), 5.0, focal, center),
    )


PLACES = {
    "inside": ((10.0, 20.0, 60.0, 90.5), (500, 375), (10.0, 20.0, 60.0, 90.5), ()),
    "edge to edge": ((0.0, 0.0, 500.0, 375.0), (0, 0), (0.0, 0.0, 500.0, 375.0), ()),
    "beyond": ((-1.0, 20.0, 502.5, 380.0), (500, 375), (0.0, 20.0, 500.0, 375.0), ("box_outside",)),
    "far": ((9.0, 9.0, 700.0, 99.0), (500, 375), (9.0, 9.0, 500.0, 99.0), ("box_far_outside",)),
    "another scale": (
        (100.0, 200.0, 800.0, 600.0),
        (1000, 1500),
        (50.0, 50.0, 400.0, 150.0),
        ("other_scale",),
    ),
    # The stated size explains nothing here.
    "stated small": (
        (100.0, 200.0, 800.0, 600.0),
        (600, 500),
        (100.0, 200.0, 500.0, 375.0),
        ("box_far_outside",),
    ),
}


@pytest.mark.parametrize(("box", "stated", "expected", "quirks"), PLACES.values(), ids=PLACES)
def test_place(box, stated, expected, quirks):
    placed = crops.place(item(box), "x", stated, (500, 375))
    assert placed.box == expected
    assert placed.quirks == quirks


@pytest.mark.parametrize(
    "box", [(500.0, 0.0, 520.0, 9.0), (-9.0, 0.0, 0.5, 9.0), (0.0, 374.5, 9.0, 400.0)]
)
def test_nothing_to_place(box):
    assert crops.place(item(box), "x", (500, 375), (500, 375)) is None


def test_the_two_redrawn_boxes():
    """Figures of facts.md's source, Spherical_Regression: boxes for images of 500 x 333."""
    annotated = (400.1399689, 423.97433904, 1999.82892691, 1381.09097978)
    placed = crops.place(item(annotated), "n02691156_39039", (500, 333), (500, 333))
    assert placed.box == (92.0, 85.0, 402.0, 264.0)
    assert placed.quirks == ("other_scale",)
    annotated = (547.71150855, 557.91290824, 4957.73172628, 2673.99844479)
    placed = crops.place(item(annotated), "n03335030_14098", (0, 0), (500, 333))
    assert placed.box == (56.0, 50.0, 499.0, 255.0)


def test_the_camera_comes_along():
    """In shares of the unclipped box it is the same before and after."""
    box, center, focal = (100.0, 200.0, 800.0, 600.0), (310.0, 480.0), 3000.0
    for stated, size, width, height in (
        ((1000, 1500), (500, 375), 350.0, 100.0),  # brought to another scale
        ((500, 700), (1000, 1500), 700.0, 400.0),  # as it is
    ):
        placed = crops.place(item(box, center, focal), "x", stated, size)
        shares = [(placed.center[i] - placed.box[i]) / (width, height)[i] for i in (0, 1)]
        np.testing.assert_allclose(shares, [210 / 700, 280 / 400], rtol=1e-12)
        np.testing.assert_allclose(
            placed.focal, [3000 / 700 * width, 3000 / 400 * height], rtol=1e-12
        )


def gradient(width, height):
    """Red grows to the right, green downwards: a pixel says where it was."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return Image.fromarray((255 * np.stack([x, y, 0.5 + 0 * x], axis=-1)).round().astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "box", "stored", "expected"),
    [
        # All of the margin, no reduction: 60 x 40 and a quarter on each side.
        ((300, 200), (100.0, 80.0, 160.0, 120.0), (90, 60), (15.0, 10.0, 75.0, 50.0)),
        # Cut at the photograph's edge.
        ((300, 200), (10.0, 0.0, 90.0, 200.0), (110, 200), (10.0, 0.0, 90.0, 200.0)),
        # Fractions: the margin is rounded outwards.
        ((300, 200), (100.5, 80.0, 160.5, 120.0), (91, 60), (15.5, 10.0, 75.5, 50.0)),
        # 1200 x 600 with its margin, reduced to 320 x 160.
        ((2000, 1000), (400.0, 300.0, 1200.0, 700.0), (320, 160), None),
        # The shorter side is rounded, so the two scales differ.
        ((2000, 1000), (100.0, 0.0, 1700.0, 999.0), (320, 160), None),
    ],
)
def test_cut(size, box, stored, expected):
    image = gradient(*size)
    crop = crops.cut(image, box)
    picture = Image.open(io.BytesIO(crop.jpeg))
    assert picture.format == "JPEG"
    assert picture.size == stored
    if expected:
        np.testing.assert_allclose(crop.box, expected, atol=1e-9)
    # Seen through the box, the stored picture shows what the photograph shows through its own.
    inside = picture.resize((64, 64), Image.Resampling.BOX, box=crop.box)
    original = image.resize((64, 64), Image.Resampling.BOX, box=box)
    difference = np.abs(np.asarray(inside, float) - np.asarray(original, float))
    assert difference.mean(axis=(0, 1)).max() < 1.2  # of 255; a shift of 1 % would be 2.5
    assert difference.max() < 8


@pytest.mark.parametrize(
    ("mode", "quirks"), [("RGB", ()), ("L", ("grayscale",)), ("CMYK", ("other_colors",))]
)
def test_load(tmp_path, mode, quirks):
    path = tmp_path / "a.JPEG"
    gradient(30, 20).convert(mode).save(path)
    image, found = crops.load(path)
    assert (image.mode, image.size, found) == ("RGB", (30, 20), quirks)


def test_deep_gray_keeps_its_shades(tmp_path):
    gray = gradient(30, 20).convert("L")
    Image.fromarray(np.asarray(gray, np.uint16) * 257).save(tmp_path / "a.png")
    image, found = crops.load(tmp_path / "a.png")
    assert found == ("grayscale",)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(gray.convert("RGB")))


def test_exif_turns_nothing(tmp_path):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[274] = 6
    gradient(30, 20).save(path, exif=exif)
    image, quirks = crops.load(path)
    assert image.size == (30, 20)
    assert quirks == ("exif_turned",)
    stored = Image.open(io.BytesIO(crops.cut(image, (0.0, 0.0, 30.0, 20.0)).jpeg))
    assert 274 not in stored.getexif()


def test_damaged_photographs(tmp_path):
    path = tmp_path / "a.jpg"
    with pytest.raises(InputError, match=r"^no image .*a\.jpg$"):
        crops.load(path)
    gradient(300, 200).save(path)
    content = path.read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 400):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"^cannot read .*a\.jpg as an image: "):
            crops.load(path)


OFF = "3 1 0\n0 0 0.5\n1e-1 -2 3\n4 5 6\n3 0 1 2\n"
VERTICES = [[0, 0, 0.5], [0.1, -2, 3], [4, 5, 6]]


def test_models_from_either_file(tmp_path):
    for name in ("bus", "car"):
        (tmp_path / "CAD" / name).mkdir(parents=True)
    (tmp_path / "CAD" / "car" / "02.off").write_text("OFF\n" + OFF)
    (tmp_path / "CAD" / "car" / "10.off").write_text("OFF\n" + OFF.replace("4 5 6", "4 5 7"))
    (tmp_path / "CAD" / "car" / "notes.off").write_text("no model")
    (tmp_path / "CAD" / "bus" / "01.off").write_text("broken")
    array = np.zeros((1, 2), [("vertices", object), ("faces", object)])
    array[0, 0] = (2 * np.array(VERTICES), np.zeros((1, 3)))
    array[0, 1] = (3 * np.array(VERTICES), np.zeros((1, 3)))
    scipy.io.savemat(tmp_path / "CAD" / "train.mat", {"train": array})
    scipy.io.savemat(tmp_path / "CAD" / "sofa.mat", {"chair": array})

    names = ("bus", "car", "sofa", "train", "tvmonitor")
    models = cad_points.read(tmp_path, ("CAD/{}", "CAD/{}.mat"), names)
    assert models.category.tolist() == [1, 1, 3, 3]
    assert models.number.tolist() == [2, 10, 1, 2]
    assert models.missing == ("bus", "sofa", "tvmonitor")
    assert models.unreadable == ("CAD/bus/01.off", "CAD/sofa.mat")
    assert models.points.shape == (4, cad_points.NUM_POINTS, 3)
    assert models.points.dtype == np.float32
    for points, scale in zip(models.points[[0, 2, 3]], (1, 2, 3), strict=True):
        expected = np.unique(np.float32(scale) * np.array(VERTICES, np.float32), axis=0)
        np.testing.assert_array_equal(np.unique(points, axis=0), expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_vertices_that_are_no_place_are_refused(tmp_path, value):
    array = np.zeros((1, 1), [("vertices", object)])
    array[0, 0] = (np.array([[0, 0, 0], [1, value, 0]]),)
    scipy.io.savemat(tmp_path / "car.mat", {"car": array})
    with pytest.raises(InputError, match=r"car\.mat: a vertex of model 1 is not three finite"):
        cad_points.read_mat(tmp_path / "car.mat", "car")


def test_points_are_spread_over_the_model():
    """7000 of 7100 vertices lie in one corner; the rest, on four edges, is not forgotten."""
    generator = np.random.default_rng(0)
    edges = np.array([[s, t, u] for s in (-1, 1) for t in (-1, 1) for u in np.linspace(-1, 1, 25)])
    crowd = generator.normal([1, 1, 1], 0.01, (7000, 3))
    points = cad_points.spread(np.concatenate([crowd, edges]))
    assert points.shape == (512, 3)
    assert len(np.unique(points, axis=0)) == 512
    # Every edge vertex but those in the crowd is among them, and they are of those given.
    assert {tuple(p) for p in edges if p.sum() < 2.5} <= {tuple(p) for p in points}


def test_large_models_are_thinned_evenly():
    """Of a ball with two horns and most of its 30000 vertices on one side, nothing is lost."""
    generator = np.random.default_rng(0)
    ball = generator.normal(size=(30_000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    ball = np.concatenate([ball, ball[:4000] * [-1, 1, 1]])
    ball = ball[(ball[:, 0] > 0) | (np.arange(len(ball)) >= 29_000)]
    ball = np.concatenate([ball, ball * [0.999, 1, 1], [[3, 0, 0], [-3, 0, 0]]])
    assert len(ball) > cad_points.CANDIDATES
    points = cad_points.spread(ball)
    assert {tuple(p) for p in points} <= {tuple(p) for p in ball}
    assert {(3.0, 0.0, 0.0), (-3.0, 0.0, 0.0)} <= {tuple(p) for p in points}
    assert 0.4 < np.mean(points[:, 0] > 0) < 0.6
    # 512 points spread over a sphere: no place is farther than 0.16 from one, 0.09 at best.
    distance = np.linalg.norm(ball[::50, None] - points, axis=-1).min(axis=1)
    assert distance.max() < 0.16
    np.testing.assert_array_equal(points, cad_points.spread(ball))
