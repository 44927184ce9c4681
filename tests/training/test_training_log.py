"""How fast the steps go, told without waiting for the device more than needed."""

import json
import sys
import time

import pytest

from catpose.errors import InputError
from catpose.training import training_log
from tests.support import tiny


class Pending:
    """A result that the device has at a given time, as `jax.block_until_ready` takes it."""

    def __init__(self, now, ready):
        self.now, self.ready = now, ready

    def block_until_ready(self):
        self.now[0] = max(self.now[0], self.ready)
        return self


def test_a_device_that_works_behind_is_not_too_fast(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = training_log.Clock()
    # Each step takes a second and is dispatched in none; a pause of a minute after the third.
    for begin in (10.0, 73.0):
        now[0] = max(now[0], begin - 1)
        for step in range(4):
            clock.tick(Pending(now, begin + step), 1)
        assert now[0] == begin
        clock.pause()
        assert now[0] == begin + 3
    assert clock.steps_per_second() == pytest.approx(1)


@pytest.mark.parametrize(
    "line",
    [bytes(40), b"\xff\xfe", b"null", b"{}", b"12", b"9" * 5000, b"[" * 100_000, b'{"step": "3"}',
     b'{"step": 3, "lo'],
)  # fmt: skip
def test_a_damaged_line_stops_no_resume(tmp_path, line):
    good = [{"step": step, "phase": "one"} for step in range(4)]
    lines = [json.dumps(record).encode() for record in good]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([*lines[:2], line, *lines[2:], line]))
    with training_log.opened(tmp_path, step=2) as write_fn:
        write_fn({"step": 3, "phase": "two"})
    assert training_log.read(tmp_path) == [*good[:3], {"step": 3, "phase": "two"}]


def test_a_line_counts_the_time_that_it_waited():
    phase = tiny.only_phase()
    lines = []
    log = training_log.Log(lines.append, phase, 0, 2)

    class Clock(training_log.Clock):
        def tick(self, result, steps):
            pass

        def lap(self):
            lines.append("lap")

    sums = {"skipped": 0.0, "grad_norm": 1.0, "pose_loss": 16.0, "pose_count": 16.0}
    log.clock = Clock()
    for step in (1, 2, 3):
        log.add(step, sums, 1)
    assert lines[0] == "lap"
    assert lines[1]["step"] == 2
    assert lines[1]["loss"] == pytest.approx(1)


def test_so_many_in_a_row():
    streak = training_log.Streak(3)
    assert streak.add([1, 2]) == []
    assert streak.add([4, 5]) == []
    assert streak.add([6]) == [4, 5, 6]


def test_what_tensorboard_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"needs tensorboardX: pip install 'catpose\[tensorboard"):
        training_log._events(tmp_path)
