"""A run whose poses have a density ends with a calibration, which everything then reads."""

import json

import matplotlib.image
import numpy as np
import pytest

import catpose
from catpose.evaluation import run_report, run_report_figures, score, score_report
from catpose.experiment import build, calibration, workdir
from catpose.training import loop
from catpose.visualize import density_sheet, plots, style
from tests.support import tiny
from tests.visualize import test_html_page


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    settings = tiny.config([tiny.phase(pose_loss="nll")], pose="matrix_fisher")
    settings.eval.fusion = "mode"
    splits = {"train": tiny.split(48, 0), "validation": tiny.split(112, 1)}
    with workdir.opened(folder, tiny.read(settings)) as clock:
        workdir.write_categories(folder, tiny.CATEGORIES)
        run = tiny.run(settings, folder, splits)
        report = run_report.write(run, loop.train(run), clock)
    return folder, report


def test_the_report_says_how_sure_the_run_is(finished):
    folder, report = finished
    summary = report["splits"]["validation"]["mode"]
    assert report["answers_by"] == "mode"
    assert report["calibration"]["fitted_on"]["examples"] == 112
    assert summary["coverage_90"] == 27 / 28  # of 28 in each quarter, ceil(0.9 (28 + 1))
    assert summary["by_spread"]["coverage_90"] == [27 / 28] * 4
    # The network has seen nothing but which rotations are frequent, and claims no more.
    assert -1 < summary["pose_nll"] < 0.05
    for fusion in ("weighted", "top1", "oracle", "mode", "min_expected_error"):
        assert report["splits"]["validation"][fusion]["pose_ece"] < 0.1
    text = (folder / "report.md").read_text()
    assert text.count("By quarter of the model's own spread") == 1
    for wanted in ("fitted on 112 images of validation", "least sure", "figures/reliability.png",
                   "figures/densities.png", "| mode"):  # fmt: skip
        assert wanted in text


def test_the_report_is_also_one_page_of_html_in_the_same_words(finished):
    folder, report = finished
    page = (folder / "report.html").read_text()
    read = test_html_page.check(page)
    names = [path.stem for path in sorted((folder / "figures").glob("*.png"))]
    assert sorted(figure["name"] for figure in report["figures"]) == names
    assert [attrs["alt"] for attrs, _ in read.all("img")] == [
        figure["heading"] for figure in report["figures"]
    ]
    said = " ".join(read.text["figcaption"])
    assert all(figure["caption"] in said for figure in report["figures"])
    low, high = report["splits"]["validation"]["mode"]["pose_err_deg_interval"]
    assert f"{low:.2f} to {high:.2f}" in read.text["td"]


def test_fusions_that_agree_are_one():
    generator = np.random.default_rng(0)
    errors = generator.gamma(2, 5, 2000)
    other = errors.copy()
    other[:30] = 170.0  # 1.5 %
    third = errors.copy()
    third[:100] = 170.0
    fusions = {"weighted": errors, "top1": other, "oracle": third, "mode": third}
    assert run_report_figures.agreeing(fusions, "top1") == {
        "top1": ["top1", "weighted"],
        "oracle": ["oracle", "mode"],
    }


def test_predictions_and_exports_carry_it(finished, tmp_path):
    folder, report = finished
    photo = tiny.split(1, 5).image[0]
    found = catpose.load(folder)(photo)
    # Nearly uniform: the share of the ball of 30 degrees, and no pose stands out.
    assert 0.004 < found.pose_confidence < 0.2
    assert "unsure of the pose" in found.remark
    build.export(folder, tmp_path / "small")
    again = catpose.load(tmp_path / "small")(photo)
    assert again.pose_confidence == pytest.approx(found.pose_confidence, rel=0.05)
    content = json.loads((tmp_path / "small" / calibration.NAME).read_text())
    assert content["temperature"] == report["calibration"]["temperature"]
    (folder / calibration.NAME).rename(folder / "elsewhere")
    assert catpose.load(folder)(photo).pose_confidence is None
    (folder / "elsewhere").rename(folder / calibration.NAME)


def test_a_score_lists_the_quarters(finished):
    _, report = finished
    quarters = report["splits"]["validation"]["mode"]["by_spread"]
    assert quarters["spread_deg"] == sorted(quarters["spread_deg"])
    scored = score.Score(*[None] * len(score.Score._fields))._replace(by_spread=quarters)
    head, rows = score_report._by_spread(scored)
    assert [row[0] for row in rows] == ["surest quarter", "second", "third", "least sure"]
    assert head[2] == "pose-err (°)"
    assert rows[3][2] == f"{quarters['pose_err_deg'][3]:.2f}"


def test_the_pictures(tmp_path, monkeypatch):
    """A certain pose is one point, in the color of its tilt, where the camera is."""
    monkeypatch.setattr(style, "DPI", 200)
    angles = np.array([[0.0, 0.0, 0.0], [90.0, 0.0, 90.0]])
    image = np.zeros((20, 20, 3), np.uint8)
    for mass, name in (([1.0, 0.0], "front"), ([0.0, 1.0], "left")):
        density_sheet.density_sheet(
            [image], angles, np.array([mass]), [angles[:1]], ["cup"], tmp_path / f"{name}.png"
        )
    front, left = (matplotlib.image.imread(tmp_path / f"{n}.png")[:327, ..., :3] for n in
                   ("front", "left"))  # fmt: skip
    places = np.argwhere((front != left).any(-1))
    assert places.size
    # The left side is to the right of the front, in violet (tilt 90) instead of cyan (tilt 0).
    violet = np.argwhere((left[..., 2] > 0.8) & (left[..., 1] < 0.4))
    cyan = np.argwhere((front[..., 2] > 0.8) & (front[..., 0] < 0.4))
    assert violet[:, 1].mean() > cyan[:, 1].mean() + 50
    right = np.random.default_rng(0).random(500) < 0.7
    plots.reliability({"category": (np.full(500, 0.7), right)}, tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").stat().st_size > 5000
