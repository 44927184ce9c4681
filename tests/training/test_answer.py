"""Which weights a run answers with, and what its report says about more images."""

import re
import shutil

import numpy as np
import pytest

import catpose
from catpose.configs import smoke
from catpose.experiment import build, checkpoint, workdir
from tests.support import tiny


def settings():
    """Of a short run at a rate at which the last step is not the best."""
    settings = smoke.get_config()
    tiny_settings = tiny.config([tiny.phase(steps=6, learning_rate={"peak": 0.3})])
    settings.update(steps_per_call=1, log_steps=2, phases=tiny_settings.phases)
    settings.model = tiny_settings.model
    settings.data.update(resolution=tiny.RESOLUTION, rendered="")
    settings.data.num_images = {"train": 48, "validation": 24, "test": 24}
    settings.eval.update(every_steps=2, batch_size=24, answer="best", shares=(0.5,))
    return settings


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return catpose.train(settings(), tmp_path_factory.mktemp("best"), show_progress=False)


def test_a_run_answers_with_its_best_step(run):
    with checkpoint.open_manager(run / "checkpoints") as manager:
        best, last = manager.best_step(), manager.latest_step()
    assert best < last == 6
    assert workdir.read_report(run)["step"] == best
    _, arrays = build.read_arrays(run, best=False)
    _, wanted = checkpoint.read_run(run, best=True)
    _, others = checkpoint.read_run(run, best=False)
    path = "params.pose_networks.output.kernel"
    np.testing.assert_array_equal(arrays[path], wanted[path])
    assert not np.array_equal(arrays[path], others[path])
    text = (run / "report.md").read_text()
    assert re.search(rf"weights of step +\| {best} ", text)
    assert "## Best step" not in text  # it is the one above


def test_without_its_best_step_it_reports_on_what_is_left(run, tmp_path, capfd):
    folder = shutil.copytree(run, tmp_path / "run")
    best = workdir.read_report(run)["step"]
    (folder / "checkpoints" / str(best) / "default" / "manifest.ocdbt").write_bytes(b"")
    step, _ = build.read_arrays(folder, best=False)
    assert step != best
    assert f"/{best} is damaged" in capfd.readouterr().err
    catpose.train(settings(), folder, show_progress=False)
    assert f"/{best} is damaged" in capfd.readouterr().err
    assert workdir.read_report(folder)["step"] == step
    assert build.read_arrays(folder, best=False)[0] == step
    assert capfd.readouterr().err == ""


def test_the_report_says_what_more_images_bring(run):
    report = workdir.read_report(run)
    (half,) = report["shares"]
    assert (half["num_train"], report["num_train"]) == (24, 48)
    alone = workdir.read_report(run / "share_0.5")
    assert half["splits"] == alone["splits"]
    assert alone["shares"] == []
    text = (run / "report.md").read_text()
    lines = text.split("## What more images bring")[1].split("##")[0].splitlines()
    rows = [line for line in lines if line.startswith("| ") and "training" not in line]
    assert [row.split()[1] for row in rows] == ["24", "48"]
    low, high = report["splits"]["test"]["weighted"]["pose_err_deg_interval"]
    assert low <= report["splits"]["test"]["weighted"]["pose_err_deg"] <= high
    assert f"[{low:.2f}, {high:.2f}]" in text
