"""Which weights a run answers with, and what its report says about more images."""

import dataclasses
import pathlib
import re
import shutil

import numpy as np
import pytest

import catpose
from catpose.configs import smoke
from catpose.data import examples
from catpose.errors import InputError
from catpose.experiment import build, checkpoint, workdir
from catpose.training import input_pipeline, loop, phase_run, shares
from tests.support import tiny


def config():
    """A short run at a rate at which the last step is not the best."""
    settings = smoke.get_config()
    tiny_settings = tiny.config([tiny.phase(steps=6, learning_rate={"peak": 0.3})])
    settings.update(steps_per_call=1, log_steps=2, phases=tiny_settings.phases)
    settings.model = tiny_settings.model
    settings.data.update(resolution=tiny.RESOLUTION, rendered="")
    settings.data.num_images = {"train": 48, "validation": 24, "test": 24}
    settings.eval.update(every_steps=2, batch_size=24, answer="best", shares=(0.5, 0.25))
    return settings


@pytest.fixture(scope="module")
def began(tmp_path_factory):
    """A folder, what was trained there, by its images, and the report before any share.

    The smaller share fails, and the larger one is stopped before it begins.
    """
    folder, trained, train = tmp_path_factory.mktemp("best"), [], loop.train

    def watched(run):
        trained.append(len(run.pools["train"].index))
        if trained[-1] == 12:
            raise InputError("the loss is NaN")
        if trained == [48, 12, 24]:
            raise KeyboardInterrupt
        return train(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train", watched)
        with pytest.raises(KeyboardInterrupt):
            catpose.train(config(), folder, show_progress=False)
        text = (folder / "report.md").read_text()
        yield folder, trained, workdir.read_report(folder), text


@pytest.fixture(scope="module")
def run(began):
    return catpose.train(config(), began[0], show_progress=False)


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
    catpose.train(config(), folder, show_progress=False)
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
    assert "shares" not in alone
    assert workdir.read_config(run / "share_0.5").data.num_train == 24
    text = (run / "report.md").read_text()
    lines = text.split("## What more images bring")[1].split("##")[0].splitlines()
    rows = [line for line in lines if line.startswith("| ") and "training" not in line]
    assert [row.split()[1] for row in rows] == ["24", "48"]
    low, high = report["splits"]["test"]["weighted"]["pose_err_deg_interval"]
    assert low <= report["splits"]["test"]["weighted"]["pose_err_deg"] <= high
    assert f"[{low:.2f}, {high:.2f}]" in text


def test_shares_spoil_nothing(began, run):
    """The run itself comes first; a share that fails is a note, a stopped one goes on."""
    _, trained, whole, text = began
    assert (whole["num_train"], "shares" in whole) == (48, False)
    assert "What more images bring" not in text
    assert trained[:5] == [48, 12, 24, 12, 24]
    report = workdir.read_report(run)
    assert report["notes"] == ["config.eval.shares, 12 images of train: the loss is NaN"]
    assert "- config.eval.shares, 12 images" in (run / "report.md").read_text()
    for key in whole.keys() - {"notes", "crc32"}:
        assert report[key] == whole[key]
    count = len(trained)
    catpose.train(config(), run, show_progress=False)  # it is finished
    assert len(trained) == count


def of(wanted, sizes, **changes):
    settings = tiny.config([tiny.phase(**changes)])
    settings.eval.shares = wanted
    splits = {name: tiny.split(size, i) for i, (name, size) in enumerate(sizes.items())}
    return tiny.run(settings, pathlib.Path("/nowhere/run"), splits)


def test_a_share_has_each_category():
    run = of((0.9, 0.25, 0.1, 0.99), {"train": 10, "test": 4})
    counts = shares.counts(run)
    assert counts == {0.1: 4, 0.9: 9}  # 0.25 of 10 are 2, which become 4 as those of 0.1
    part = shares.part(run, 0.1, 4)
    chosen = part.pools["train"].index
    split = run.dataset.splits["train"]
    assert split.category[chosen].tolist() == [0, 1, 2, 3]
    assert part.pools["train"].start.tolist() == [0, 1, 2, 3, 4]
    # What `config.data.num_train`, which its config has, chooses for scores of the split train.
    assert {*split.id[chosen]} == {*examples.fewer(split, 4, seed=0).id}
    assert part.workdir.name == "share_0.1"
    assert part.config.data.num_train == 4
    assert part.config.eval.shares == ()


def test_no_share_where_it_says_nothing():
    assert shares.counts(of((0.5,), {"train": 4, "test": 4})) == {}
    assert shares.counts(of((0.5,), {"train": 10})) == {}
    assert shares.counts(of((0.5,), {"other": 10, "test": 4}, sources={"other": 8})) == {}
    assert shares.counts(of((0.5,), {"train": 10, "validation": 4})) == {0.5: 5}


def test_nothing_held_out_is_a_note(tmp_path):
    settings = config()
    settings.data.num_images = {"train": 24}
    catpose.train(settings, tmp_path, show_progress=False)
    report = workdir.read_report(tmp_path)
    assert (report["splits"], report["shares"]) == ({}, [])
    assert (
        "config.eval.shares is left out: it needs a split validation or test"
        in (tmp_path / "report.md").read_text()
    )
    catpose.train(settings, tmp_path, show_progress=False)
    assert report == workdir.read_report(tmp_path)


def test_features_of_a_share_are_those_of_the_run(tmp_path):
    parts = (tiny.CATEGORY, tiny.POSE)
    phase = {"train": parts, "batch_norm": parts, "cached_features": True, "views": ("random0",)}
    run = of((0.5,), {"train": 10, "test": 4}, **phase)
    run = run._replace(config=dataclasses.replace(
        run.config, data=dataclasses.replace(run.config.data, cache_dir=str(tmp_path))
    ))  # fmt: skip
    state = phase_run.initial_state(run)
    held = input_pipeline.cache(run, "train", run.phases[0], state)
    part = shares.part(run, 0.5, 5)
    assert input_pipeline.cache(part, "train", run.phases[0], state) is held
    record = next(input_pipeline.batches(part, run.phases[0], 0))["train"]
    chosen = part.pools["train"].index
    assert set(np.ravel(record.index)) == {*chosen}
    split = run.dataset.splits["train"]
    np.testing.assert_array_equal(record.category, split.category[record.index])
