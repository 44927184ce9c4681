import copy
import json

import pytest

from catpose.evaluation import run_report_text
from catpose.visualize import text_tables

PASCAL = (
    "aeroplane bicycle boat bottle bus car chair diningtable motorbike sofa train tvmonitor".split()
)
# Table 5 of the paper, "Only real images".
POSE_WEIGHTED = [13.6, 21.3, 34.8, 9.0, 3.4, 7.8, 26.6, 20.8, 17.6, 15.8, 6.9, 15.2]
POSE_TOP1 = [13.4, 22.2, 33.5, 9.2, 3.3, 7.7, 26.2, 24.0, 17.8, 16.5, 6.6, 15.2]
CAT_WEIGHTED = [0.94, 0.89, 0.95, 0.98, 0.96, 0.94, 0.83, 0.67, 0.93, 0.78, 0.94, 0.93]
CAT_TOP1 = [0.97, 0.87, 0.94, 0.96, 0.96, 0.95, 0.84, 0.62, 0.96, 0.78, 0.94, 0.93]


def summary(pose, pose_mean, cat, cat_mean, **others):
    return {
        "pose_err_deg": pose_mean,
        "pose_err_deg_per_category": pose,
        "cat_acc": cat_mean,
        "cat_acc_per_category": cat,
        "num_images": 1759,
        "acc_30": 0.8123,
        "acc_30_gated": 0.7654,
        "aaai": 0.8495,
        "azimuth_aaai": 0.8130,
        **others,
    }


@pytest.fixture
def report():
    weighted = summary(POSE_WEIGHTED, 16.07, CAT_WEIGHTED, 0.8944)
    top1 = summary(POSE_TOP1, 16.29, CAT_TOP1, 0.8930)
    topk = {  # Table 13
        "top1": {"cat_acc": 0.8930, "pose_err_deg": 16.29},
        "top2": {"cat_acc": 0.9455, "pose_err_deg": 14.08},
        "gt": {"cat_acc": 1.0, "pose_err_deg": 15.28},
    }
    return {
        "name": "paper",
        "frame": "paper",
        "answers_by": "top1",
        "wall_seconds": 7512.0,
        "device": "TPU v3",
        "num_params": 30123456,
        "images_per_second": {"joint": 1021.4},
        "params_sha256": "0f" * 32,
        "categories": PASCAL,
        "splits": {
            "train": {"top1": top1},
            "test": {"top1": top1, "weighted": weighted, "topk": topk},
        },
        "best": {"step": 3600, "splits": {"validation": {"weighted": weighted}}},
        "phases": [{"name": "joint", "start": 100, "stop": 3650, "seconds": 350.2}],
        "versions": {"jax": "0.10.2"},
        "commit": "0123abc",
        "seed": 7,
        "notes": ["a note"],
        "figures": [
            {"name": "confusion", "heading": "Confusion", "caption": "Read it so."},
            {"name": "loss_curves", "heading": "Training", "caption": "And this so."},
        ],
    }


def rows(markdown):
    """Every table line as a list of its cells."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_papers_table_5_reads_as_in_the_paper(report):
    table = rows(run_report_text.markdown(report, PASCAL))
    assert ["weighted", "16.07", "0.8944", "0.8123", "0.7654"] in table
    assert ["top1", "16.29", "0.8930", "0.8123", "0.7654"] in table
    # Of the fusion that the run answers with, every category; the mean stands first.
    start = table.index(["**mean**", "16.29", "0.8930"])
    assert table[start - 2] == ["category", "pose-err (°)", "cat-acc"]
    expected = [
        [name, f"{pose:.1f}", f"{accuracy:.2f}"]
        for name, pose, accuracy in zip(PASCAL, POSE_TOP1, CAT_TOP1, strict=True)
    ]
    assert table[start + 1 : start + 13] == expected


def test_values_have_their_intervals(report):
    top1 = report["splits"]["test"]["top1"]
    top1 |= {"pose_err_deg_interval": [15.5, 17.0], "cat_acc_interval": [0.88, 0.9]}
    top1["pose_err_deg_per_category_interval"] = [[12.0, 15.0], *[None] * 11]
    top1["cat_acc_per_category_interval"] = [[0.9, 1.0]] * 12
    text = run_report_text.markdown(report, PASCAL)
    table = rows(text)
    assert ["test, top1", "16.29 [15.50, 17.00]", "0.8930 [0.8800, 0.9000]"] == table[2][:3]
    assert ["**mean**", "16.29", "15.50 to 17.00", "0.8930", "0.8800 to 0.9000"] in table
    assert ["aeroplane", "13.4", "12.0 to 15.0", "0.97", "0.90 to 1.00"] in table
    assert ["pose-err (°)", "16.29", "15.50 to 17.00"] in table
    assert ["bicycle", "22.2", "–", "0.87", "0.90 to 1.00"] in table


def test_topk_phases_and_facts_of_the_run_are_there(report):
    text = run_report_text.markdown(report, PASCAL)
    table = rows(text)
    assert ["metric", "Top-1", "Top-2", "GT"] in table
    assert ["pose-err (°)", "16.29", "14.08", "15.28"] in table
    assert ["joint", "100 to 3650", "3550", "5 min 50 s", "1021"] in table
    assert ["parameters", "30,123,456"] in table
    assert ["wall time", "2 h 05 min"] in table
    assert ["metric", "value", "95 % interval"] in table
    assert ["azimuth AAAI", "0.8130", "–"] in table
    assert ["acc@30 gated", "0.7654", "–"] in table
    assert ["acc@45", "–", "–"] in table
    assert "weighted reports that of all pose networks" in text
    assert "Best step on validation: 3600" in text
    assert "- a note" in text


def test_every_table_has_as_many_cells_in_each_row_as_in_its_head(report):
    blocks = [b for b in run_report_text.markdown(report, PASCAL).split("\n\n") if b[0] == "|"]
    assert len(blocks) >= 7
    for block in blocks:
        assert len({len(row) for row in rows(block)}) == 1
        assert len({len(line) for line in block.splitlines()}) == 1  # the source is aligned


def test_pictures_come_first_each_with_its_caption(report):
    text = run_report_text.markdown(report, PASCAL)
    assert text.count("](figures/") == 2
    assert "### Confusion\n\n![Confusion](figures/confusion.png)\n\nRead it so.\n" in text
    assert text.index("](figures/loss_curves.png)") < text.index("## Test")
    del report["figures"]
    assert "## Pictures" not in run_report_text.markdown(report, PASCAL)


def test_test_comes_before_train_and_the_frame_is_named(report):
    text = run_report_text.markdown(report, PASCAL)
    assert text.index("## Test (paper frame)") < text.index("## Train (paper frame)")
    report["splits"]["test"]["weighted"]["frame"] = "camera"
    assert "## Test (camera frame)" in run_report_text.markdown(report, PASCAL)


def test_empty_categories_and_nan_are_dashes(report):
    top1 = report["splits"]["test"]["top1"]
    top1["pose_err_deg_per_category"] = [None, float("nan"), *POSE_TOP1[2:]]
    table = rows(run_report_text.markdown(report, PASCAL))
    assert ["aeroplane", "–", "0.97"] in table
    assert ["bicycle", "–", "0.87"] in table


def test_names_with_bars_stay_in_their_cell():
    results = {"weighted": summary([1.0, 99.0], 50.0, [0.25] * 2, 0.25)}
    text = run_report_text.markdown({"splits": {"test": results}}, ["a|x", "b"])
    assert "| a\\|x     |          1.0 |    0.25 |" in text


@pytest.mark.parametrize(
    "missing", ["splits", "best", "phases", "versions", "notes", "frame", "answers_by", "name"]
)
def test_a_report_may_lack_anything(report, missing):
    del report[missing]
    assert run_report_text.markdown(report, PASCAL).endswith("\n")
    assert run_report_text.summary_line(report)
    assert run_report_text.terminal_table(report)


def test_one_category_and_hardly_any_figure():
    report = {"splits": {"validation": {"oracle": {"pose_err_deg": None}}, "test": {}}}
    table = rows(run_report_text.markdown(report, ["a"]))
    assert ["a", "–", "–"] in table
    assert ["pose-err (°)", "–", "–"] in table
    assert run_report_text.summary_line(report) == (
        "run: validation, oracle: pose-err – deg, cat-acc –, acc@30 –"
    )
    assert run_report_text.terminal_table({}) == "no evaluation"
    assert run_report_text.summary_line({}) == "run: no evaluation"


def test_a_list_of_the_wrong_length_is_refused(report):
    report["splits"]["test"]["top1"]["cat_acc_per_category"] = CAT_TOP1[1:]
    with pytest.raises(ValueError, match="11 entries for 12 categories"):
        run_report_text.markdown(report, PASCAL)


def test_summary_line_is_of_the_test_split_and_the_trained_fusion(report):
    line = run_report_text.summary_line(report)
    assert line == (
        "paper: test, top1: pose-err 16.29 deg, cat-acc 0.8930, acc@30 0.8123 (paper frame)"
        " in 2 h 05 min"
    )


def test_terminal_table_has_a_row_per_split_and_fusion(report):
    lines = run_report_text.terminal_table(report).splitlines()
    assert lines[0].split() == "split fusion pose-err cat-acc acc@30 acc@30 gated images".split()
    assert [line.split() for line in lines[2:]] == [
        "test weighted 16.07 0.8944 0.8123 0.7654 1759".split(),
        "test top1 16.29 0.8930 0.8123 0.7654 1759".split(),
        "train top1 16.29 0.8930 0.8123 0.7654 1759".split(),
    ]
    assert len({len(line) for line in lines}) == 1


def test_a_report_read_back_from_json_prints_the_same_and_is_not_changed(report):
    before = copy.deepcopy(report)
    text = run_report_text.markdown(report, PASCAL)
    assert report == before
    assert run_report_text.markdown(json.loads(json.dumps(report)), PASCAL) == text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (3599.7, "1 h 00 min")],
)
def test_duration(seconds, expected):
    assert text_tables.duration(seconds) == expected
