"""Predictions without ids find their objects by image and box."""

import json

import numpy as np
import pytest

from catpose.data import labels, predictions
from catpose.data.predictions import GIVEN
from tests.support.pose_tables import ANGLES, one_line, write_csv

BOX = ("x0", "y0", "x1", "y1")


def row(box=None, **values):
    return {"category": "car", **ANGLES, **values, **dict(zip(BOX, box or (), strict=False))}


@pytest.fixture
def truth(tmp_path):
    """Two objects in one image, which overlap by a third of their union, and one in another."""
    rows = [
        row((0, 0, 100, 100), id="left", image="2008_000021"),
        row((50, 0, 150, 100), id="right", image="2008_000021"),
        row((10, 10, 60, 90), id="alone", image="sub/b.png"),
    ]
    return labels.read(write_csv(tmp_path / "labels.csv", rows), "")


def found(tmp_path, truth, *rows):
    return predictions.read(write_csv(tmp_path / "p.csv", rows), truth).id.tolist()


def test_by_the_overlap_with_the_box(tmp_path, truth):
    rows = [
        row((52, 0, 150, 98), file="JPEGImages/2008_000021.jpg"),
        row((0, 0, 100, 100), file="2008_000021.jpg"),
        row((0, 0, 60, 90), file="/data/sub/b.png"),
    ]
    assert found(tmp_path, truth, *rows) == ["right", "left", "alone"]


@pytest.mark.parametrize(
    ("box", "name"),
    [
        ((0, 0, 100, 50), "left"),  # exactly half of the union
        ((0, 0, 100, 49), "2008_000021.jpg, "),  # less: of an object that the labels lack
        ((200, 0, 300, 100), "2008_000021.jpg, "),
    ],
)
def test_half_of_the_union_is_enough(tmp_path, truth, box, name):
    assert found(tmp_path, truth, row(box, file="2008_000021.jpg"))[0].startswith(name)


def test_what_launch_predict_prints(tmp_path, truth):
    lines = [
        {"image": "x/2008_000021.jpg", "box": [0, 2, 100, 98], "category": "car", **ANGLES},
        {"image": "x/sub/b.png", "box": None, "category": "car", **ANGLES},
    ]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert predictions.read(path, truth).id.tolist() == ["left", "alone"]


def test_an_unknown_image_is_an_unknown_object(tmp_path, truth):
    (name,) = found(tmp_path, truth, row((0, 0, 9, 9), file="sub/other.png"))
    assert name == f"sub/other.png, {tmp_path}/p.csv, line 2"


WRONG = {
    "two objects": ([row(file="2008_000021.jpg")], "line 2: .* has 2 objects; give x0, y0, x1, y1"),
    "between two": (
        [row((25, 0, 125, 100), file="2008_000021.jpg")],
        r"line 2: the box fits two objects of 2008_000021.jpg \(overlap 0.60 and 0.60\); give ids",
    ),
    "one object twice": (
        [row(file="b.png"), row(file="sub/b.png"), row((9, 9, 60, 90), file="sub/b.png")],
        "line 4: the id 'alone' is also that of .*line 3$",
    ),
    "no image": ([row((0, 0, 9, 9))], "line 2: no object; give id, image_id and object_index_1bas"),
    "box of VOC": (
        [row(file="b.png", xmin=1, ymin=1, xmax=9, ymax=9)],
        "xmin, ymin, xmax, ymax look like a box and are not read; a box is x0, y0, x1, y1 in pix",
    ),
    "some ids": ([row(id="left"), row(file="sub/b.png")], "line 3: no id; give each row the id"),
}


@pytest.mark.parametrize(("rows", "message"), WRONG.values(), ids=WRONG.keys())
def test_one_line_where_the_object_is_not_clear(tmp_path, truth, rows, message):
    path = write_csv(tmp_path / "p.csv", rows)
    one_line(predictions.read, path, truth, match=message)


def test_labels_without_boxes_or_images(tmp_path, truth):
    path = write_csv(tmp_path / "p.csv", [row((0, 0, 60, 90), file="sub/b.png")])
    one_line(predictions.read, path, match=r"p\.csv has no ids; give each row the id")
    flags = {"image": truth.flags["image"]}
    unboxed = truth._replace(box=None)
    one_line(predictions.read, path, unboxed, match=r"line 2: a box, and .* has none of 'alone'$")
    one_line(predictions.read, path, truth._replace(flags={}), match="names no images to find its")
    # A build of PASCAL3D+ has crops; boxes of the photos are a flag.
    photos = truth._replace(box=np.zeros((3, 4)), flags=flags | {"box": truth.box})
    assert predictions.read(path, photos).id.tolist() == ["alone"]


def test_two_images_of_one_name(tmp_path):
    rows = [row(id="a", image="b.png"), row(id="b", image="b.jpg")]
    truth = labels.read(write_csv(tmp_path / "labels.csv", rows), "")
    assert found(tmp_path, truth, row(file="x/b.jpg")) == ["b"]
    path = write_csv(tmp_path / "p.csv", [row(file="b.webp")])
    one_line(predictions.read, path, truth, match="line 2: b.webp may be each of several images")


def test_an_image_and_the_number_of_the_object(tmp_path):
    rows = [row(image_id="im", object_index_1based=i) for i in ("1", "2.0")]
    assert labels.read(write_csv(tmp_path / "l.csv", rows), "").id.tolist() == ["im_1", "im_2"]
    assert predictions.read(write_csv(tmp_path / "p.csv", rows)).id.tolist() == ["im_1", "im_2"]
    rows = [row(image="im", object=2)]
    assert predictions.read(write_csv(tmp_path / "p.csv", rows)).id.tolist() == ["im_2"]
    for number, message in ((0, "is 0; objects are counted from 1"), (1.5, "is 1.5; objects are")):
        path = write_csv(tmp_path / "p.csv", [row(image_id="im", object_index_1based=number)])
        one_line(predictions.read, path, match=f"line 2: object_index_1based {message}")
    path = write_csv(tmp_path / "p.csv", [row(image_id="im", object_index=1)])
    one_line(
        predictions.read, path, match="object_index does not say where it begins; count from 1"
    )


def test_boxes_of_predictions_with_ids_are_not_needed(tmp_path):
    rows = [row(id="a", xmin=1, ymin=1, xmax=9, ymax=9)]
    read = predictions.read(write_csv(tmp_path / "p.csv", rows))
    assert read.category[GIVEN].tolist() == ["car"]
    assert "xmin, ymin, xmax, ymax look like a box and are not read" in read.notes[0]
