"""Signals while a run is at work, and batches with a NaN or an infinity."""

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref

import jax
import numpy as np
import pytest

from catpose import devices
from catpose.errors import InputError
from catpose.experiment import checkpoint, workdir
from catpose.training import (
    input_pipeline,
    loop,
    phase_run,
    run_setup,
    signals,
    training_log,
)
from tests.support import tiny


def settings(**changes):
    config = tiny.config([tiny.phase("first", 4), tiny.phase("second", 3)])
    config.parallel = "jit"
    config.log_steps = 2
    config.update(changes)
    return config


def send(number):
    os.kill(os.getpid(), number)


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_signal_outside_of_work_ends_at_once():
    with signals.handled(), pytest.raises(signals.Stopped) as stop:
        send(signal.SIGTERM)
    assert stop.value.exit_status == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_inside_of_work_it_waits_and_a_second_one_does_not():
    done = []

    def work(received):
        with signals.handled(), signals.deferred():
            for number in received:
                send(number)
            done.append(received)
            assert signals.is_pending()

    with pytest.raises(signals.Stopped) as stop:
        work([signal.SIGINT])
    assert stop.value.exit_status == 130
    with pytest.raises(signals.Stopped):
        work([signal.SIGINT, signal.SIGTERM])
    assert done == [[signal.SIGINT]]
    assert not signals.is_pending()


class Thing:
    """Something to be collected."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("waits", [False, True])
def test_a_signal_during_a_callback_of_the_collector_is_not_lost(number, waits):
    def collected(_):
        send(number)
        sum(range(1000))  # here the handler is called, and what it raises is lost

    def collect():
        thing = Thing()
        ref = weakref.ref(thing, collected)
        del thing
        assert ref() is None

    def work():
        with signals.deferred() if waits else contextlib.nullcontext():
            collect()
            for _ in range(0 if waits else 200):
                time.sleep(0.01)

    with pytest.raises(signals.Stopped) as stop, signals.handled():
        work()
    assert stop.value.number == number


def test_other_threads_leave_signals_alone():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with signals.handled():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


PROGRAMS = {}  # all runs of `settings()` have the same


def made(config, folder, splits=None):
    return tiny.run(config, folder, splits)._replace(caches=run_setup.Caches(programs=PROGRAMS))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return loop.train(made(settings(), tmp_path_factory.mktemp("whole"))).last


MOMENTS = {
    "opening": -1,
    "first step": 0,
    "data": 2,
    "step": 2,
    "last of a phase": 3,
    "last": 6,
    "evaluation": 4,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_no_step_is_lost(moment, whole, tmp_path, monkeypatch):
    at = MOMENTS[moment]
    config = settings()
    if moment == "evaluation":
        config.eval.every_steps = 4
    run = made(config, tmp_path)
    compiled, evaluated, given, taken = (
        phase_run.compile_phase,
        input_pipeline.evaluate_split,
        input_pipeline.batches,
        [],
    )
    opened = checkpoint.open_manager

    def open_manager(folder):
        manager = opened(folder)
        if moment == "opening":
            send(signal.SIGTERM)
        return manager

    def compile_phase(*arguments):
        step_fn = compiled(*arguments)

        def step(state, records, cache):
            if moment not in ("data", "evaluation") and int(state.step) == at:
                send(signal.SIGTERM)
            taken.append(int(state.step))
            return step_fn(state, records, cache)

        return step

    def evaluate(*arguments):
        if moment == "evaluation" and taken[-1:] == [at - 1]:
            send(signal.SIGTERM)
        return evaluated(*arguments)

    def batches(run, phase, begin):
        for number, records in enumerate(given(run, phase, begin), start=begin):
            if moment == "data" and number == at and not signals.is_pending() and len(taken) == at:
                send(signal.SIGTERM)
            yield records

    monkeypatch.setattr(checkpoint, "open_manager", open_manager)
    monkeypatch.setattr(phase_run, "compile_phase", compile_phase)
    monkeypatch.setattr(input_pipeline, "evaluate_split", evaluate)
    monkeypatch.setattr(input_pipeline, "batches", batches)
    with signals.handled(), pytest.raises(signals.Stopped):
        loop.train(run)
    monkeypatch.setattr(checkpoint, "open_manager", opened)
    expected = at if moment == "evaluation" else at + 1
    assert taken == list(range(expected))
    with checkpoint.open_manager(tmp_path / "checkpoints") as manager:
        assert manager.latest_step() == expected
    same(loop.train(run).last, whole)
    assert taken == list(range(7))
    # Every process that worked on a phase says for how long.
    timed = [line["phase"] for line in training_log.read(tmp_path) if "phase_seconds" in line]
    assert {"first", "second"} == set(timed)
    assert len(timed) == (2 if moment == "last" else 3)


def test_features_being_stored_do_not_make_it_wait(tmp_path, monkeypatch):
    config = settings()
    config.data.cache_dir = str(tmp_path / "cache")
    config.phases[1].update(
        {"cached_features": True, "views": ("identity",), "train": (tiny.POSE,), "batch_norm": ()}
    )
    run, computed = tiny.run(config, tmp_path), []
    features = input_pipeline.batch.feature_cache

    def compute(*arguments, progress_fn, **more):
        def advance(count):
            computed.append(count)
            if len(computed) == 2:
                send(signal.SIGTERM)
            progress_fn(count)

        return features(*arguments, progress_fn=advance, **more)

    monkeypatch.setattr(input_pipeline.batch, "feature_cache", compute)
    with signals.handled(), pytest.raises(signals.Stopped):
        loop.train(run)
    assert len(computed) == 2
    assert not list((tmp_path / "cache").iterdir())
    with checkpoint.open_manager(tmp_path / "checkpoints") as manager:
        assert manager.latest_step() == 4
    assert int(loop.train(run._replace(caches=run_setup.Caches())).last.step) == 7


def test_a_damaged_checkpoint_is_left_for_the_one_before(whole, tmp_path, capfd):
    config = settings(checkpoint_steps=3)
    config.eval.every_steps = 3  # so that the best is kept too
    run = made(config, tmp_path)
    loop.train(run)
    newest, *older = sorted((tmp_path / "checkpoints").iterdir(), key=lambda p: -int(p.name))
    assert older
    (newest / "default" / "manifest.ocdbt").write_bytes(b"")
    loop.train(run._replace(show_progress=True))
    said = capfd.readouterr().err
    assert f"checkpoints/{newest.name} is damaged" in said
    assert "random initial weights" not in said
    same(loop.train(run).last.params, whole.params)


@pytest.fixture(scope="module")
def phase_with_a_bad_example(tmp_path_factory):
    run = tiny.run(settings(), tmp_path_factory.mktemp("bad"))
    phase = run.phases[0]
    state = phase_run.enter(run, phase, phase_run.initial_state(run))
    return run, phase, state, phase_run.begin(run, phase, state)


@pytest.mark.parametrize("mode", ["pmap", "jit"])
def test_a_batch_without_numbers_changes_nothing(mode, phase_with_a_bad_example):
    run, phase, state, steps = phase_with_a_bad_example
    run = run._replace(config=dataclasses.replace(run.config, parallel=mode))
    fresh = run._replace(caches=run_setup.Caches())
    step_fn = phase_run.compile_phase(fresh, phase, steps.tx)
    rows = input_pipeline.whole_batch(run, phase, 0)
    rotation = np.array(rows["train"].rotation)
    rotation[3] = np.nan
    bad = {"train": rows["train"]._replace(rotation=rotation)}
    records, bad = devices.place(rows, mode), devices.place(bad, mode)

    before = jax.device_get(state)
    after, sums = step_fn(devices.replicate(before), bad, steps.cache)
    assert sums["skipped"] == 1
    assert all(np.isfinite(value) for value in sums.values())
    same(jax.device_get(after)._replace(step=0), before._replace(step=0))
    assert after.step == 1
    moved, sums = step_fn(devices.replicate(before), records, steps.cache)
    assert sums["skipped"] == 0
    assert sums["grad_norm"] > 0
    changed = [not np.array_equal(a, b) for a, b in zip(
        jax.tree.leaves(jax.device_get(moved.params)), jax.tree.leaves(before.params), strict=True
    )]  # fmt: skip
    assert all(changed)


def test_bad_batches_are_counted_and_so_many_in_a_row_end_the_run(tmp_path, capfd):
    splits = {"train": tiny.split(48, 0), "validation": tiny.split(16, 1)}
    rotation = splits["train"].rotation.copy()
    rotation[[5, 17]] = np.nan
    splits["train"] = splits["train"]._replace(rotation=rotation)
    run = made(settings(max_skipped=100), tmp_path / "many", splits)._replace(show_progress=True)
    last = loop.train(run).last
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(last.params))
    skipped = [s for line in training_log.read(run.workdir) for s in line.get("skipped", [])]
    assert 0 < len(skipped) < 7
    assert "batches up to step 2 changed nothing: their loss or gradi" in capfd.readouterr().err
    rotation[:] = np.nan
    run = made(settings(max_skipped=3), tmp_path / "all", splits)
    with pytest.raises(InputError, match=r"3 consecutive batches.*train: \d+\.png.* and \d+ more"):
        loop.train(run)
    with checkpoint.open_manager(run.workdir / "checkpoints") as manager:
        arrays = checkpoint.read(manager, manager.latest_step())
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_a_second_process_is_refused(tmp_path):
    config = settings()
    code = (
        "import sys, pathlib\n"
        "from catpose.experiment import config, workdir\n"
        "with workdir.opened(pathlib.Path(sys.argv[1]), config.Config()):\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(InputError, match="another process is at work"):
            with workdir.opened(tmp_path, tiny.read(config)):
                pass
        process.kill()
    with workdir.opened(tmp_path, tiny.read(config)):  # the lock went with the process
        pass


def test_a_full_disk_is_told_before_training(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match="make room"):
        loop.train(tiny.run(settings(), tmp_path))
    # What earlier checkpoints take is room for the next ones.
    held = tmp_path / "checkpoints" / "1"
    held.mkdir(parents=True, exist_ok=True)
    (held / "array").write_bytes(bytes(1 << 20))
    checkpoint.check_room(tmp_path, 1 << 18)


def test_what_a_full_disk_or_a_kill_left_of_the_time_is_no_hindrance(tmp_path):
    (tmp_path / "seconds").write_text("")
    with workdir.opened(tmp_path, tiny.read(settings())) as clock:
        assert clock() < 60
        (tmp_path / "checkpoints" / "1").mkdir(parents=True)
    assert float((tmp_path / "seconds").read_text()) >= 0


def test_a_look_ahead_takes_no_time_of_the_run(tmp_path):
    with workdir.opened(tmp_path, tiny.read(settings())):
        pass
    assert not (tmp_path / "seconds").exists()


def test_a_machine_without_git_has_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert workdir.commit() == ""
