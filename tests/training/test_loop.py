"""Whole runs, small enough for every test session: phases, broadcast, evaluation, resuming."""

import json
import shutil
import sys

import jax
import numpy as np
import pytest

from catpose.data import disk_cache
from catpose.errors import InputError
from catpose.evaluation import run_report
from catpose.experiment import checkpoint, phases, workdir
from catpose.training import loop, phase_run, run_setup, training_log
from tests.support import tiny

STEPS = (8, 4, 7)


def settings(cache_dir):
    """A tied phase on cached features, a broadcast, then all together."""
    common = {"sources": {"train": 16}, "learning_rate": {"peak": 3e-3, "schedule": "cosine"}}
    tied = tiny.phase(
        "tied",
        STEPS[0],
        **common,
        train=(tiny.POSE,),
        batch_norm=(tiny.POSE,),
        pose_loss="mse",
        category_weight=0.0,
        fusion="oracle",
        tied=True,
        cached_features=True,
        views=("identity", "mirror"),
    )
    category = tiny.phase(
        "category",
        STEPS[1],
        **common,
        train=(tiny.CATEGORY,),
        batch_norm=(tiny.CATEGORY,),
        pose_weight=0.0,
        category_weight=1.0,
        on_enter="broadcast_pose",
    )
    joint = tiny.phase("joint", STEPS[2], **common, augment={"zoom": 0.1, "rotate_deg": 5.0})
    config = tiny.config([tied, category, joint])
    config.data.cache_dir = str(cache_dir)
    config.optimizer.weight_decay = 1e-3
    config.log_steps = 2
    config.checkpoint_steps = 3
    config.eval.every_steps = 5
    return config


class Killed(Exception):
    pass


PROGRAMS = {}  # all runs here have the same


def train(folder, cache_dir, *, kill_before=None, reports=False):
    """A run to its end, or until the step `kill_before` is about to be taken."""
    config = settings(cache_dir)
    with workdir.opened(folder, tiny.read(config)) as clock:
        run = tiny.run(config, folder)._replace(caches=run_setup.Caches(programs=PROGRAMS))
        workdir.write_categories(folder, run.model.categories)
        with pytest.MonkeyPatch.context() as patch:
            compile_phase = phase_run.compile_phase

            def compile_and_watch(*args):
                step_fn = compile_phase(*args)

                def watched(state, records, cache):
                    if int(state.step) == kill_before:
                        raise Killed
                    seen.append(state)
                    result = step_fn(jax.tree.map(jax.numpy.array, state), records, cache)
                    num_compiled.append(len(compiled))
                    return result

                return watched

            seen, num_compiled, compiled = [], [], []

            def listen(event, duration, **_):
                if event == "/jax/core/compile/backend_compile_duration":
                    compiled.append(duration)

            jax.monitoring.register_event_duration_secs_listener(listen)
            patch.setattr(phase_run, "compile_phase", compile_and_watch)
            try:
                result = loop.train(run)
            finally:
                jax.monitoring.unregister_event_duration_listener(listen)
        if reports:
            run_report.write(run, result, clock)
    return result, seen, num_compiled


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache_dir):
    """An uninterrupted run and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, *train(folder, cache_dir, reports=True)


# In the first phase, at the broadcast, after it.
@pytest.mark.parametrize("kill_before", [4, STEPS[0], STEPS[0] + 3])
def test_a_killed_run_goes_on_bit_for_bit(kill_before, whole, cache_dir, tmp_path):
    with pytest.raises(Killed):
        train(tmp_path, cache_dir, kill_before=kill_before)
    result, seen, _ = train(tmp_path, cache_dir)
    assert kill_before - 3 <= int(seen[0].step) <= kill_before
    folder, uninterrupted, *_ = whole
    jax.tree.map(np.testing.assert_array_equal, result, uninterrupted)
    sha256 = json.loads((folder / "report.json").read_text())["params_sha256"]
    assert disk_cache.sha256(result.last.params) == sha256

    def logged(folder):
        times = ("images_per_second", "phase_seconds")
        return [
            {name: value for name, value in line.items() if name not in times}
            for line in training_log.read(folder)
        ]

    assert [line["step"] for line in logged(tmp_path)] == [line["step"] for line in logged(folder)]


def test_the_broadcast_happens_once_at_its_phase(whole):
    _, result, seen, _ = whole

    def spread(state):
        kernel = np.asarray(state.params["pose_networks"]["output"]["kernel"])
        return np.abs(kernel - kernel[:1]).max()

    assert spread(seen[STEPS[0] - 1]) > 0
    assert spread(seen[STEPS[0]]) == 0
    assert spread(result.last) > 0


def test_the_second_epoch_of_a_phase_compiles_nothing(whole):
    folder, _, _, num_compiled = whole
    assert num_compiled[0] > 0
    epoch = 3  # 48 images, 16 a step
    for phase, start, stop in phases.spans(tiny.run(settings(folder), folder).phases):
        if phase.steps > epoch:
            # The first evaluation of the run is at step 0, so that later ones find it compiled;
            # the first line is written a call late.
            counts = num_compiled[start + epoch : stop]
            assert len(set(counts)) == 1, f"{phase.name}: {counts}"


def test_what_a_run_leaves(whole):
    folder, result, *_ = whole
    written = json.loads((folder / "report.json").read_text())
    assert (folder / "report.md").is_file()
    assert json.loads((folder / "config.json").read_text())["config"]["name"] == "tiny"
    lines = training_log.read(folder)
    losses = [line for line in lines if "loss" in line]
    assert [line["step"] for line in losses] == [2, 4, 6, 8, 10, 12, 14, 16, 18, 19]
    joint = losses[-1]
    assert joint["loss"] == pytest.approx(joint["pose_loss"] + 0.1 * joint["category_loss"])
    assert [line["step"] for line in lines if "split" in line] == [0, 5, 10, 15, 19]
    assert [phase["name"] for phase in written["phases"]] == ["tied", "category", "joint"]
    assert [phase["skipped"] for phase in written["phases"]] == [0, 0, 0]
    assert written["skipped_share"] == 0
    assert set(written["splits"]) == {"validation", "test"}
    step, best = result.best
    scores = {line["step"]: line["weighted"]["pose_err_deg"] for line in lines if "split" in line}
    assert step == min(scores, key=scores.get)
    assert int(best.step) == step
    assert written["best"]["step"] == step
    with checkpoint.open_manager(folder / "checkpoints") as manager:
        last = sum(STEPS)
        assert set(manager.all_steps()) == {step, last - 1, last}


def test_a_finished_run_is_not_trained_again(whole, cache_dir, tmp_path):
    folder, uninterrupted, *_ = whole
    copy = shutil.copytree(folder, tmp_path / "copy")
    result, seen, _ = train(copy, cache_dir)
    assert seen == []
    jax.tree.map(np.testing.assert_array_equal, result.last, uninterrupted.last)


def test_a_workdir_belongs_to_its_config_once_training_began(whole, cache_dir, tmp_path):
    folder, *_ = whole
    config = settings(cache_dir)
    config.model.width = 5
    with (
        pytest.raises(InputError, match="was made with config.model.width = 4, now it is 5"),
        workdir.opened(folder, tiny.read(config)),
    ):
        pass
    with workdir.opened(tmp_path, tiny.read(settings(cache_dir))):
        pass
    with workdir.opened(tmp_path, tiny.read(config)):
        pass
    assert workdir.read_config(tmp_path).model.width == 5


def test_training_imports_no_tensorflow(whole):
    assert "tensorflow" not in sys.modules
