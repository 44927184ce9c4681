"""Real photographs of PASCAL VOC in the folders of a release, with their public labels."""

import csv
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from catpose.data import examples, labels, pose_table
from catpose.data.pascal3d import dataset as pascal3d
from catpose.evaluation import protocols, score
from tests.support import pose_tables


@pytest.fixture(scope="module")
def photographs(data_dir):
    return data_dir / "voc12_subset"


@pytest.fixture(scope="module")
def tree(data_dir, photographs, tmp_path_factory):
    """A release 1.1 of 233 photographs, all of Pascal train, with their public labels."""
    tool = data_dir / "pascal_tree.py"
    if not tool.is_file():
        pytest.skip("no pascal_tree.py in CATPOSE_DATA")
    folder = tmp_path_factory.mktemp("tree")
    subprocess.run([sys.executable, tool, folder, photographs], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def built(tree):
    report = pascal3d.build(tree, tree / "data", show_progress=False)
    return report, pascal3d.read(tree / "data")


@pytest.fixture(scope="module")
def manifest(photographs):
    """The objects that a person chose from the same labels, by photograph and box."""
    with (photographs / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {(row["file"][:-4], *(float(row[n]) for n in pose_table.BOX)): row for row in rows}


def small(file, box):
    """What a box shows, in 8 x 8 pixels; outside the picture there is nothing."""
    with Image.open(file) as image:
        box = np.clip(box, 0, 2 * image.size)
        return np.asarray(image.convert("RGB").resize((8, 8), box=tuple(box)), float)


def test_the_paper_keeps_43_of_370_objects(built, manifest):
    report, found = built
    counts = report["splits"]["validation"]
    assert counts["found_objects"] == len(manifest) == 370
    assert counts["objects"] == len(found.id) == 43
    assert sum(counts["left_out"].values()) == 370 - 43
    assert not report["splits"]["train"]["found_objects"]
    easy = [row for row in manifest.values() if (row["easy"], row["coarse"]) == ("1", "0")]
    kept, _, _ = score.select(found, protocols.PROTOCOLS["voc_val_easy"])
    assert kept.sum() == len(easy) == 37
    assert score.select(found, protocols.PROTOCOLS["paper"])[0].all()


def test_each_object_has_its_label_and_its_picture(built, manifest, photographs):
    report, found = built
    with np.load(f"{report['folder']}/index.npz") as index:
        boxes, images = index["original_box"], index["image"]
    for i, (box, name) in enumerate(zip(boxes, images, strict=True)):
        row = manifest[name, *box]
        assert found.categories[found.category[i]] == row["category"]
        angles = (float(row[f"{n}_deg"]) for n in ("azimuth", "elevation", "theta"))
        np.testing.assert_allclose(found.rotation[i], pose_tables.camera(*angles), atol=1e-5)
        photo = photographs / "images" / f"{name}.jpg"
        stored = small(io.BytesIO(found.read_fn(i)), found.box[i])
        apart = {
            move: np.abs(stored - small(photo, box + 2 * move)).mean()
            for move in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
        }
        assert min(apart, key=apart.get) == (0, 0), apart
        assert apart[0, 0] < 1.5  # stored smaller, as a JPEG


def test_difficult_and_occluded_objects_are_in_the_variants_that_want_them(tree):
    report = pascal3d.build(tree, tree / "data", variant="all", show_progress=False)
    found = labels.read(report["folder"], "validation")
    assert len(found.id) == 370 - report["splits"]["validation"]["left_out"].get("no_viewpoint", 0)
    assert int(found.flags["coarse"].sum()) == 48 + 66 + 2
    fine = examples.take(found, ~found.flags["coarse"])
    kept, left_out, _ = score.select(fine, protocols.PROTOCOLS["paper"])
    assert kept.sum() == 43
    assert left_out["occluded"] == len(fine.id) - 43
