"""Several steps in one call of the device: the same run; and what may go to the device."""

import jax
import numpy as np
import pytest

from catpose import devices
from catpose.errors import InputError
from catpose.experiment import workdir
from catpose.training import loop, run_setup, training_log
from tests.support import tiny


def settings(**changes):
    schedule = {"peak": 1e-2, "schedule": "cosine"}
    config = tiny.config([tiny.phase("first", 6, learning_rate=schedule)])
    config.parallel = "jit"
    config.optimizer.name = "sgd"
    config.log_steps = config.checkpoint_steps = 2
    config.update(changes)
    return config


PROGRAMS = {}  # of `settings()`


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The last state and the log of a run with a call for each step."""
    folder = tmp_path_factory.mktemp("one")
    run = tiny.run(settings(), folder)._replace(caches=run_setup.Caches(programs=PROGRAMS))
    return loop.train(run).last, training_log.read(folder)


@pytest.mark.parametrize("mode", devices.MODES)
def test_two_steps_a_call_give_the_same_run(mode, one, tmp_path):
    run = tiny.run(settings(parallel=mode, steps_per_call=2), tmp_path)
    last, (wanted, log) = loop.train(run).last, one
    assert last.step == wanted.step == 6
    for found, leaf in zip(jax.tree.leaves(last), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(found, leaf, rtol=1e-4, atol=1e-5)
    lines = [
        [line for line in each if "loss" in line] for each in (training_log.read(tmp_path), log)
    ]
    assert [line["step"] for line in lines[0]] == [2, 4, 6]
    for found, line in zip(*lines, strict=True):
        for name in ("loss", "grad_norm", "learning_rate"):
            assert found[name] == pytest.approx(line[name], rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps_per_call": 0}, "it can be 1 or larger"),
        ({"checkpoint_steps": 0}, "checkpoint_steps is 0; it can be 1 or larger"),
        ({"steps_per_call": 4}, "does not divide config.log_steps, 2"),
        ({"steps_per_call": 4, "log_steps": 4, "checkpoint_steps": 8}, "phase 'first', 6"),
    ],
)
def test_calls_end_where_something_else_is_to_be_done(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        tiny.run(settings(**changes), tmp_path)


def test_processes_agree_on_one_of_the_steps_between_two_questions(monkeypatch):
    asked = []

    def reached(step):
        asked.append(step)
        return step == 5  # where another process is, one step on

    monkeypatch.setattr(devices, "is_multiprocess", lambda: True)
    monkeypatch.setattr(devices.multihost_utils, "reached_preemption_sync_point", reached)
    assert not devices.preempted(range(1, 4))
    assert devices.preempted(range(4, 7))
    assert asked == [1, 2, 3, 4, 5, 6]


def test_nothing_goes_to_the_device_unasked(one, tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "place", lambda records, mode: records)
    run = tiny.run(settings(), tmp_path)._replace(caches=run_setup.Caches(programs=PROGRAMS))
    with pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed host-to-device"):
        loop.train(run)


def test_a_run_from_before_these_options_is_read(tmp_path):
    config = settings()
    del config["steps_per_call"], config.model["remat"]
    with workdir.opened(tmp_path, tiny.read(config)):
        found = workdir.read_config(tmp_path)
    assert found.steps_per_call == 1
    assert found.model.remat is False
    run_setup.assemble(found, tmp_path, tiny.run(settings(), tmp_path).dataset, show_progress=False)
