"""A score as a person and as a program reads it."""

import json

import numpy as np
import pytest
import test_score

from catpose.errors import InputError
from catpose.evaluation import protocols, score, score_report


def test_the_score_as_text_and_json(tmp_path):
    result = score.score(
        test_score.TRUTH, test_score.MISTAKEN, protocols.PROTOCOLS["paper"], replicates=100
    )
    text = score_report.terminal(result, "paper")
    first = text.splitlines()[0]
    assert first == (
        "paper on these: 6 objects, mean over categories, geodesic errors, frame paper, "
        "category predicted"
    )
    value = result.metrics["pose_err_deg"]["value"]
    low, high = result.metrics["pose_err_deg"]["interval"]
    assert f"{value:.2f} {low:.2f} to {high:.2f}" in " ".join(text.split())
    assert "ant" in text
    assert "the labels have no flag occluded, truncated, coarse, source" in text
    paths = score_report.write(result, "paper", "p.csv", tmp_path / "new", "p-paper")
    read = json.loads(paths[0].read_text())
    assert read["figures"]["pose_err_deg"]["value"] == value
    assert read["figures"]["pose_err_deg"]["interval"] == [low, high]
    assert read["definition"]["norm"] == "frobenius"
    assert (read["protocol"], read["labels"], read["num_objects"]) == ("paper", "these", 6)
    page = paths[1].read_text()
    assert page.startswith("# paper: Mahendran et al. 2018: category and pose")
    assert "| first_object_only" in page
    assert protocols.PROTOCOLS["paper"].source in page
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^cannot write to .*file.*: "):
        score_report.write(result, "paper", "p.csv", tmp_path / "file" / "x", "p")


def test_several_protocols_in_one_table(tmp_path):
    names = ("catpose", "paper", "voc_val")
    scores = {
        name: score.score(
            test_score.TRUTH, test_score.MISTAKEN, protocols.PROTOCOLS[name], replicates=100
        )
        for name in names
    }
    text = score_report.comparison(scores)
    head, _, *rows = text.split("\n\n")[0].splitlines()
    assert (
        head.split()
        == (
            "protocol objects pose-err (°), 95 % interval pose-err (°) acc@30 cat-acc "
            "published pose-err (°) acc@30 cat-acc by"
        ).split()
    )
    first = [row.split()[0] for row in rows if not row.startswith(" ")]
    assert tuple(first) == names
    value = scores["paper"].metrics["pose_err_deg"]["value"]
    (paper,) = (row.split() for row in rows if row.startswith("paper"))
    assert paper[1] == "6"
    assert f"{value:.2f}" in paper
    assert " ".join(paper).endswith("13.56 – 0.9181 Top1, with rendered images [1]")
    assert "[1] arXiv 1711.07426, Table 5" in text
    lacking = "the labels have no flag occluded, truncated, coarse, source: their objects count as"
    first, second = score_report.shared_remarks(scores)
    assert first == "intervals from 100 resamples within categories"
    assert second.startswith(f"paper, voc_val: {lacking}")
    (path,) = score_report.write_comparison(scores, tmp_path, "mine")
    assert path.name == "mine-protocols.md"
    assert "| voc_val" in path.read_text()
    score_report.write_comparison(scores, tmp_path, "mine")  # over its own file
    # One protocol has its published figures below its own.
    assert "Top1, with rendered images [1]" in score_report.terminal(scores["paper"], "paper")
    assert "published" not in score_report.terminal(scores["catpose"], "catpose")


def test_a_score_of_parts():
    """The mean over parts counts each part once, however many objects and categories it has."""
    parts = np.array(["shape", "shape", "shape", "pose", "pose", "iid"])
    error = np.array([10.0, 40, 50, 20, 25, 170])
    truth = test_score.truth_of([0, 1, 0, 0, 1, 1], flags={"part": parts})
    found = test_score.found_of(truth, test_score.turned(truth.rotation, error))
    result = score.score(truth, found, protocols.PROTOCOLS["ood_cv"], replicates=100)
    assert result.categories == ("shape", "pose", "texture", "context", "weather", "occlusion")
    assert result.num_per_category == [3, 2, 0, 0, 0, 0]
    assert result.metrics["acc_30"]["per_category"][:3] == [pytest.approx(1 / 3), 1.0, None]
    assert result.metrics["acc_30"]["value"] == pytest.approx((1 / 3 + 1) / 2)
    assert result.metrics["pose_err_deg"]["value"] == pytest.approx((40 + 22.5) / 2, abs=1e-5)
    assert "no object of the part texture" in result.notes
    text = score_report.terminal(result, "ood_cv")
    assert "mean over parts" in text
    assert text.split("\n\n")[2].startswith("part ")
