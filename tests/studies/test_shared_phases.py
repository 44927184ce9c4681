"""Runs cut at their phases: each phase is trained once, and comes out as in one run."""

import shutil

import numpy as np
import pytest

from catpose.data import examples, predictions
from catpose.evaluation import score
from catpose.experiment import build, phases, workdir
from catpose.studies.paper import shared_phases
from catpose.training import loop
from tests.support import tiny


@pytest.fixture(scope="module")
def data():
    splits = {"train": tiny.split(48, 0), "validation": tiny.split(24, 1)}
    return examples.Dataset(tiny.CATEGORIES, splits)


def settings(folder, *, fusion="weighted", seed=0):
    common = {"sources": {"train": 16}}
    frozen = tiny.phase(
        "pose networks", 3, train=(tiny.POSE,), batch_norm=(tiny.POSE,), cached_features=True,
        views=("identity", "mirror"), fusion="oracle", category_weight=0.0, **common,
    )  # fmt: skip
    joint = tiny.phase("joint", 4, fusion=fusion, augment={"zoom": 0.1}, **common)
    found = tiny.config([frozen, joint])
    found.data.cache_dir = str(folder / "cache")
    found.seed = seed
    return found


def test_parts_make_what_one_run_makes_bit_for_bit(tmp_path, data):
    config = settings(tmp_path)
    parts = shared_phases.cut(tiny.read(config), tmp_path / "runs")
    assert [part.stop for part in parts] == [3, 7]
    began, programs = [], {}
    shared_phases.train(
        parts, lambda _: data, programs=programs, begins_fn=began.append, show_progress=False
    )
    assert began == parts
    assert all(shared_phases.is_trained(part) for part in parts)
    whole = tmp_path / "whole"
    with workdir.opened(whole, tiny.read(config)):
        alone = loop.train(tiny.run(config, whole, dict(data.splits))).last
    assert int(alone.step) == 7
    found = build.read_variables(parts[-1].folder, tiny.run(config, whole).model)
    assert found[0] == 7
    for kind, tree in (("params", alone.params), ("batch_stats", alone.batch_stats)):
        ours = phases.by_path(found[1][kind])
        for path, leaf in phases.by_path(tree).items():
            np.testing.assert_array_equal(ours[path], leaf)
    # Nothing is trained twice; another last phase shares the first part, another seed none.
    shared_phases.train(
        parts, lambda _: data, programs=programs, begins_fn=began.append, show_progress=False
    )
    assert len(began) == 2
    top1 = shared_phases.cut(tiny.read(settings(tmp_path, fusion="top1")), tmp_path / "runs")
    assert top1[0].folder == parts[0].folder
    assert top1[1].folder != parts[1].folder
    other = shared_phases.cut(tiny.read(settings(tmp_path, seed=1)), tmp_path / "runs")
    assert {part.folder for part in other}.isdisjoint(part.folder for part in parts)
    # Predictions come back from the file, and seeds share the compiled code.
    shared_phases.predict(parts[-1], data, "validation", programs=programs, show_progress=False)
    found = predictions.read(shared_phases.file_of(parts[-1], "validation"))
    truth = shared_phases.read_truth(parts[-1], "validation")
    summaries = score.summaries(truth, found)
    assert summaries["weighted"]["num_images"] == 24
    assert summaries["topk"]["top3"]["cat_acc"] >= summaries["weighted"]["cat_acc"]
    np.testing.assert_array_equal(truth.rotation, data.splits["validation"].rotation)
    np.testing.assert_array_equal(truth.category, data.splits["validation"].category)
    # What is read next is whole, or trained again.
    shutil.rmtree(parts[1].folder)
    (parts[0].folder / "checkpoints" / "3" / "default" / "manifest.ocdbt").write_bytes(b"")
    shared_phases.train(
        parts, lambda _: data, programs=programs, begins_fn=began.append, show_progress=False
    )
    assert began[2:] == parts
    step, again = build.read_variables(parts[-1].folder, tiny.run(config, whole).model)
    assert step == 7
    for path, leaf in phases.by_path(alone.params).items():
        np.testing.assert_array_equal(phases.by_path(again["params"])[path], leaf)
    count = len(programs)
    shared_phases.train(other[:1], lambda _: data, programs=programs, show_progress=False)
    assert len(programs) == count


def test_what_does_not_matter_is_not_in_the_name(tmp_path):
    config = settings(tmp_path)
    name = shared_phases.identity(tiny.read(config))
    config.name, config.log_steps, config.eval.batch_size = "another", 7, 3
    config.data.cache_dir = "elsewhere"
    config.model.pretrained = "somewhere/none"
    assert shared_phases.identity(tiny.read(config)) == name
    config.model.pretrained = "somewhere/weights.npz"
    assert shared_phases.identity(tiny.read(config)) != name
    config.model.pretrained = "none"
    config.optimizer.clip_norm = 1.0
    assert shared_phases.identity(tiny.read(config)) != name
