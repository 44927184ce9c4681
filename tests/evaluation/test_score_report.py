"""A score as a person and as a program reads it."""

import json

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
