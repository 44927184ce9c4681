"""COCO's annotations as examples."""

import json

import numpy as np
import pytest

from catpose.data import coco
from catpose.errors import InputError
from catpose.geometry import viewpoint
from tests.support import encoded


def document(*annotations, **more):
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 20, "height": 10}],
        "categories": [{"id": 3, "name": "cup"}, {"id": 1, "name": "car"}],
        "annotations": [
            {"id": i, "image_id": 7, "category_id": 3, "bbox": [2, 1, 10, 8], **each}
            for i, each in enumerate(annotations, start=1)
        ],
    } | more


def read(folder, value):
    path = folder / "instances.json"
    path.write_text(json.dumps(value))
    return coco.read(path, folder)


def test_boxes_categories_and_poses(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded.encode(encoded.noise(20, 10), "PNG"))
    angles = {"azimuth_deg": 40, "elevation_deg": 10, "theta_deg": -5}
    found = read(
        tmp_path,
        document(
            {"bbox": [2.5, 1, 10, 8]},
            {"category_id": 1, **angles},
            {"iscrowd": 1, "bbox": [0, 0, 0, 0]},
            {"attributes": {"rotation": np.eye(3).ravel().tolist()}},
        ),
    )
    assert found.categories == ("car", "cup")
    assert found.category.tolist() == [1, 0, 1]
    assert found.id.tolist() == ["1", "2", "4"]
    # As pycocotools crops it: columns x to x + width, rows y to y + height.
    np.testing.assert_equal(found.box[0], [2.5, 1, 12.5, 9])
    assert np.isnan(found.rotation[0]).all()
    expected = viewpoint.rotation_from_angles(*np.radians(np.float32([40, 10, -5])))
    np.testing.assert_allclose(found.rotation[1], expected, atol=1e-6)
    np.testing.assert_array_equal(found.rotation[2], np.eye(3))
    assert found.read_fn(0) == (tmp_path / "a.png").read_bytes()
    assert found.flags["image"].tolist() == ["a.png"] * 3


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "no list 'images'"),
        (document({}, images=[{"id": 7}]), "an entry of 'images' has no id or no file_name"),
        (document({"image_id": 8}), "annotation 1: its image_id or category_id is not in the file"),
        (document({"bbox": [0, 0, 5]}), "annotation 1: bbox is not four finite numbers"),
        (document({"bbox": [0, 0, 0.5, 5]}), "the box is smaller than a pixel"),
        (document({"azimuth_deg": 4}), "annotation 1: elevation_deg is missing"),
        (document({}, {"id": 1}), "the id '1' is also that of"),
        (document({}, images=[{"id": 7, "file_name": "../a.png"}]), "leads outside"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, value, words):
    with pytest.raises(InputError, match=words):
        read(tmp_path, value)
