"""Labels of tables and folders: their splits, flags and order, and what is wrong with them."""

import numpy as np
import pytest

from catpose.data import examples, labels
from catpose.data.categories import CATEGORIES
from tests.support.pose_tables import ANGLES, EXPECTED, FORMS, camera, one_line, write_csv


def test_labels_of_a_table(tmp_path):
    rows = [
        {"id": "a", "category": "yak", **ANGLES, "split": "val", "occluded": 1, "object": 2},
        {"id": "b", "category": "ant", **ANGLES, "split": "test", "occluded": 0, "object": 1},
        {"id": "c", "category": "yak", **ANGLES, "split": "validation", "occluded": 0, "object": 1},
    ]
    path = write_csv(tmp_path / "l.csv", rows)
    found = labels.read(path, "validation")
    assert found.id.tolist() == ["a", "c"]
    assert found.categories == ("yak",)
    assert found.flags["occluded"].tolist() == [True, False]
    assert found.flags["object"].tolist() == [2, 1]
    assert set(found.flags) == {"occluded", "object"}
    np.testing.assert_allclose(found.rotation, [EXPECTED, EXPECTED], atol=1e-12)
    whole = labels.read(path, "")
    assert whole.id.tolist() == ["a", "b", "c"]
    assert whole.categories == ("ant", "yak")
    assert whole.category.tolist() == [1, 0, 1]
    one_line(labels.read, path, "train", match=r"l\.csv has no split 'train'; it has test, val, ")


def test_a_table_without_splits_and_pascal3ds_order(tmp_path):
    rows = [
        {"image_id": "im", "object_index_1based": i, "category": name, **ANGLES}
        for i, name in ((1, "train"), (2, "bus"))
    ]
    found = labels.read(write_csv(tmp_path / "l.csv", rows), "test")
    assert found.id.tolist() == ["im_1", "im_2"]
    assert found.categories == CATEGORIES
    assert [found.categories[c] for c in found.category] == ["train", "bus"]
    assert found.flags["image"].tolist() == ["im", "im"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"category": "car", **ANGLES}], r"line 2: no id, nor image_id and .*; there are"),
        ([{"id": "a", **ANGLES}], r"line 2: no category; there are id, az"),
        ([{"id": "a", "category": "car"}], r"line 2: no pose; there are id, category, give "),
        ([{"id": "a", "category": "car", **ANGLES}] * 2, r"line 3: the id 'a' is also .*, line 2$"),
        ([{"id": "a", "category": "car", "frame": "paper", **FORMS["columns"]}], r"'paper'; la"),
        ([{"id": "a", "category": "car", "occluded": "yes", **ANGLES}], r"occluded is 'yes', not"),
        ([{"id": "a", "category": "car", **FORMS["columns"], "r22": 5}], r"line 2: not a rotation"),
    ],
)  # fmt: skip
def test_wrong_labels(tmp_path, rows, message):
    one_line(labels.read, write_csv(tmp_path / "l.csv", rows), match=message)


def test_no_labels_there(tmp_path):
    one_line(labels.read, tmp_path / "none", match=r"^no labels at .*none; give a table, a folder")


def test_labels_of_a_split():
    split = examples.Examples(
        image=np.zeros((2, 1, 1, 3), np.uint8),
        category=np.array([1, 0], np.int32),
        rotation=np.stack([EXPECTED, np.eye(3)]).astype(np.float32),
        id=np.array(["a", "b"]),
        categories=("ant", "bee"),
        flags={"occluded": np.array([True, False])},
    )
    found = labels.checked(split, "test")
    assert found.id.tolist() == ["a", "b"]
    assert found.category.tolist() == [1, 0]
    assert found.flags["occluded"].tolist() == [True, False]
    assert examples.take(found, np.array([False, True])).id.tolist() == ["b"]
    assert examples.take(found, np.array([1])).flags["occluded"].tolist() == [False]
    twice = split._replace(id=np.array(["a", "a"]))
    one_line(labels.checked, twice, "test", match=r"^test: 1 ids are those of")


def test_the_real_list(data_dir):
    """Counts of RenderForCNN's easy list, and elevations and tilts written modulo 360."""
    path = data_dir / "pascal3d" / "voc12val_easy_2108.csv"
    if not path.is_file():
        pytest.skip("no pascal3d/voc12val_easy_2108.csv in CATPOSE_DATA")
    found = labels.read(path)
    counts = np.bincount(found.category, minlength=12)
    assert found.categories == CATEGORIES
    assert counts.tolist() == [275, 118, 232, 248, 154, 308, 244, 21, 134, 39, 113, 222]
    assert found.id[0] == "2008_000021_1"
    np.testing.assert_allclose(found.rotation[0], camera(15, -1, 3), atol=1e-12)
    # Its accuracies are of these counts: RenderForCNN's first one, 0.803636, is 221 of 275.
    assert round(0.803636 * counts[0], 3) == 221
