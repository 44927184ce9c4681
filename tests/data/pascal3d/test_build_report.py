"""What a build of PASCAL3D+ tells: oddities, counts, and the paper's Table 2."""

import json
import pathlib
import shutil

import pytest

from catpose.data.categories import CATEGORIES
from catpose.data.pascal3d import build_report
from catpose.data.pascal3d import dataset as pascal3d
from catpose.data.pascal3d import layout as releases
from tests.support import miniature_pascal3d as miniature


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return miniature.write(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def report(planted, tmp_path_factory):
    """As it was written to report.json."""
    folder = tmp_path_factory.mktemp("built")
    pascal3d.build(planted.root, folder, show_progress=False)
    return json.loads((pascal3d.locate(folder) / "report.json").read_text())


def test_the_report_names_every_planted_case(planted, report):
    counts = {name: quirk["count"] for name, quirk in report["quirks"].items()}
    assert counts == {name: len(places) for name, places in planted.quirks.items()}
    # Every one that can happen in PASCAL3D+ is planted, and every one is explained.
    assert set(build_report.QUIRKS) - set(counts) == {"unknown_category"}
    text = build_report.markdown(report)
    for name, quirk in report["quirks"].items():
        assert set(quirk["examples"]) <= set(planted.quirks[name])
        assert len(quirk["examples"]) == min(5, len(planted.quirks[name]))
        row = f"| {quirk['what']} | {quirk['handling']} | {quirk['count']} | {quirk['examples'][0]}"
        assert row in text
    left_out = {split: counts["left_out"] for split, counts in report["splits"].items()}
    assert left_out["train"] == {
        "truncated": 2,
        "occluded": 2,
        "coarse": 2,
        "no_viewpoint": 2,
        "no_box": 2,
        "no_image": 2,
    }
    assert left_out["validation"] == {"truncated": 1, "occluded": 2}
    assert left_out["test"] == {"truncated": 1, "occluded": 1}


def test_the_table_beside_the_papers(report):
    assert report["partial"]
    assert report["absent_images"] == 2
    train = report["table_2"]["train"]
    assert train["boat"] == {
        "built": 5,
        "paper": 1979,
        "why": "1 listed images are not in this tree; the lists name 13 images only",
    }
    assert train["bus"]["why"].startswith("1 listed images are not in this tree; ")
    assert train["aeroplane"]["built"] == 8
    assert train["car"]["built"] == 4  # images, not objects
    assert report["table_2"]["test"]["car"]["built"] == 3
    text = build_report.markdown(report)
    assert "**Part of the release only**: 2 of " in text
    assert "| validation | **1** / 242 |" in text
    assert "- train, boat: 5 instead of 1979: 1 listed images are not in this tree; " in text


def test_table_2_is_the_papers():
    """Totals as printed there: they do not follow from the rows unless every row is right."""
    totals = {split: sum(row) for split, row in build_report.TABLE_2.items()}
    assert totals == {"train": 17302, "validation": 1782, "test": 1759}
    assert sum(totals.values()) == 20843


def row_of(**changes):
    row = {"category": "car", "dropped": "", "truncated": False, "occluded": False}
    return row | {"difficult": False} | changes


@pytest.mark.parametrize(
    ("paper", "why"),
    [
        (2, ""),
        (3, "equal with images of which only the coarse viewpoint is known"),
        (1, "equal without images that also show a truncated or occluded object of the category"),
        (4, "equal counting objects instead of images"),
        (
            0,
            "equal without photographs not in RGB and boxes of another scale, as the "
            "authors' script",
        ),
        (
            5,
            "of 6 listed images; the paper's own list is not published, and no other reading of "
            "its rule gives its count",
        ),
        (9, "the lists name 6 images only"),
    ],
)
def test_why_a_count_differs(monkeypatch, paper, why):
    tally = build_report.Tally()
    entry = releases.Entry("a", "car", "pascal", "test", pathlib.Path(), pathlib.Path())
    tally.add(entry, [row_of(), row_of()], [("grayscale", "a")])
    occluded = row_of(occluded=True, dropped="occluded")
    tally.add(entry._replace(id="b"), [row_of(), row_of(), occluded], [("other_scale", "b #1")])
    tally.add(entry._replace(id="c"), [row_of(dropped="coarse")], [])
    listed = releases.Listed((entry,) * 6, CATEGORIES, (), ())
    column = CATEGORIES.index("car")
    rows = {split: [0] * 12 for split in build_report.SPLITS}
    rows["test"][column] = paper
    monkeypatch.setattr(build_report, "TABLE_2", rows)
    report = build_report.summarize(tally, "pascal3d", "paper", listed)
    assert report["table_2"]["test"]["car"] == {"built": 2, "paper": paper, "why": why}
    assert ("Every row is the paper's." in build_report.markdown(report)) == (not why)


def test_a_part_of_the_release_says_so(tmp_path):
    """Some lists, no test images of Pascal at all, no CAD models."""
    planted = miniature.write(tmp_path, quirks=False)
    for path in (planted.root / releases.VOC_LISTS).glob("*_val.txt"):
        path.unlink()
    shutil.rmtree(planted.root / "CAD")
    shutil.rmtree(planted.root / "Images" / "sofa_imagenet")
    report = pascal3d.build(planted.root, tmp_path / "out", show_progress=False)
    assert report["partial"]
    assert len(report["missing_lists"]) == 12
    assert report["table_2"]["test"]["sofa"]["why"] == (
        f"no list {releases.VOC_LISTS}/sofa_val.txt; the lists name 0 images only"
    )
    assert report["table_2"]["train"]["sofa"] == {
        "built": 0,
        "paper": 601,
        "why": "2 listed images are not in this tree; the lists name 2 images only",
    }
    text = (pathlib.Path(report["folder"]) / "report.md").read_text()
    assert "2 of 36 listed images are not in this tree; no list PASCAL/" in text
    assert "/bus_val.txt and 7 more." in text
    listing = pascal3d.read(report["folder"])
    assert set(listing.split.tolist()) == {"train", "validation"}
    assert listing.camera.points.shape == (0, 512, 3)
    assert (listing.camera.model == -1).all()
    assert listing.notes[1].startswith("Part of the release only: 2 of 36")
