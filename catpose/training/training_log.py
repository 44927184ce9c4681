"""The log of a run: its metrics, one JSON object a line, and how fast the steps go.

The device is read as rarely as possible. The metrics go to TensorBoard too where that is asked for.
"""

import contextlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from catpose import errors
from catpose.data import disk_cache
from catpose.errors import InputError
from catpose.experiment import phases
from catpose.training import optimizer

FILE = "metrics.jsonl"


@contextlib.contextmanager
def opened(
    folder: pathlib.Path, *, step: int | None, tensorboard: bool = False
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yields a function that adds one record (a dict with at least `step`) to the run's log.

    Args:
      folder: the workdir; the log is its `metrics.jsonl`.
      step: where a resumed run goes on: what was logged after it is dropped, because it will be
        logged again. None for a fresh run.
      tensorboard: add the numbers to event files in `tensorboard/` (extra [tensorboard]).

    Raises:
      InputError: TensorBoard is asked for and the extra is not installed.
    """
    path = folder / FILE
    kept = [] if step is None else [record for record in read(folder) if record["step"] <= step]
    disk_cache.write_whole(path, "".join(json.dumps(record) + "\n" for record in kept).encode())
    events = _events(folder / "tensorboard") if tensorboard else None

    def write(record: dict[str, Any]) -> None:
        with path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if events is not None:
            for name, value in _numbers(record, ""):
                events.add_scalar(name, value, record["step"])

    try:
        yield write
    finally:
        if events is not None:
            events.close()


def read(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The records of a run's log, oldest first; damaged lines are passed over."""
    path = folder / FILE
    records = []
    for line in path.read_bytes().split(b"\n") if path.is_file() else ():
        with contextlib.suppress(ValueError, RecursionError):  # a kill may have cut it
            record = json.loads(line)
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                records.append(record)
    return records


def _events(folder: pathlib.Path) -> Any:
    try:
        # Not flax's or clu's writer: those import TensorFlow.
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise InputError(
            f"config.tensorboard needs tensorboardX: {errors.extra('tensorboard')}"
        ) from error
    return SummaryWriter(str(folder))


def _numbers(record: dict[str, Any], prefix: str) -> list[tuple[str, float]]:
    found = []
    for name, value in record.items():
        if isinstance(value, dict):
            found += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "step":
            found.append((prefix + name, float(value)))
    return found


class Clock:
    """Steps per second, without compilation, evaluation and saving."""

    def __init__(self) -> None:
        self._steps, self._seconds, self._since, self._result = 0, 0.0, None, None

    def pause(self) -> None:
        """Waits for what was dispatched; what comes before the next tick does not count."""
        jax.block_until_ready(self._result)
        self.lap()
        self._since = None

    def tick(self, result: Any, steps: int) -> None:
        """So many steps were dispatched and will give `result`."""
        self._result = result
        if self._since is None:
            jax.block_until_ready(result)
            self._since = time.monotonic()
        else:
            self._steps += steps
            self.lap()

    def lap(self) -> None:
        """The time up to now counts, unless this is a pause."""
        if self._since is not None:
            now = time.monotonic()
            self._seconds += now - self._since
            self._since = now

    def steps_per_second(self) -> float | None:
        """So far; None before the second step."""
        return self._steps / self._seconds if self._steps else None


class Log:
    """Collects the steps' sums on the device and writes their means every `log_steps`.

    A line is read from the device when the call after its last step is dispatched, so that the
    device need not wait.
    """

    def __init__(
        self,
        write_fn: Callable[[dict[str, Any]], None],
        phase: phases.Phase,
        start: int,
        every_steps: int,
    ) -> None:
        self.clock, self._began = Clock(), time.monotonic()
        self._write, self._phase, self._start, self._every = write_fn, phase, start, every_steps
        self._rate = optimizer.schedule(phase.learning_rate, phase.steps)
        self._pending: list[Any] = []
        self._step = start

    def add(self, step: int, sums: Any, count: int) -> dict[str, Any] | None:
        """Adds the sums of a call of `count` steps that leads to `step`; the line due before it."""
        self.clock.tick(sums, count)
        line = self.due()
        self._pending.append(sums)
        self._step = step
        return line

    def due(self, *, last: bool = False) -> dict[str, Any] | None:
        """The line of the steps so far, where one is due, or these are the phase's last."""
        if not self._pending or (self._step % self._every and not last):
            return None
        pending, self._pending = jax.device_get(self._pending), []
        self.clock.lap()
        # A call gives one number of each, or one for each of its steps.
        by_step = {name: np.hstack([sums[name] for sums in pending]) for name in pending[0]}
        skipped = by_step["skipped"] > 0
        first = self._step + 1 - len(skipped)
        line = {
            "step": self._step,
            "phase": self._phase.name,
            **_means({name: each[~skipped] for name, each in by_step.items()}, self._phase),
            "skipped": [first + int(i) for i in np.flatnonzero(skipped)],
            "learning_rate": float(self._rate(self._step - 1 - self._start)),
            "images_per_second": self._speed(),
        }
        self._write(line)
        return line

    def end(self, step: int) -> None:
        """Writes how long this process worked on the phase, up to this step, and how fast."""
        self.clock.pause()
        seconds = round(time.monotonic() - self._began, 2)
        record = {"step": step, "phase": self._phase.name, "phase_seconds": seconds}
        self._write({**record, "images_per_second": self._speed()})

    def _speed(self) -> float | None:
        """Images per second so far."""
        steps = self.clock.steps_per_second()
        return steps and round(steps * self._phase.batch_size, 1)


class Streak:
    """Notices when too many batches in a row were skipped."""

    def __init__(self, limit: int) -> None:
        self._limit, self._row = limit, []

    def add(self, steps: list[int]) -> list[int]:
        """Adds the next skipped steps; `limit` in a row, or nothing."""
        for step in steps:
            follows = bool(self._row) and step == self._row[-1] + 1
            self._row = [*self._row, step] if follows else [step]
            if len(self._row) >= self._limit:
                return self._row
        return []


def _means(sums: dict[str, np.ndarray], phase: phases.Phase) -> dict[str, float]:
    """Weighted means over several steps, each step's losses being sums with their weights.

    Nothing of no steps.
    """
    if not len(sums["skipped"]):
        return {}
    total = {name: float(np.sum(each)) for name, each in sums.items()}
    means = {"grad_norm": total["grad_norm"] / len(sums["skipped"])}
    if "pose_loss" in total:
        means["pose_loss"] = total["pose_loss"] / max(total["pose_count"], 1e-6)
    if "category_loss" in total:
        means["category_loss"] = total["category_loss"] / max(total["category_count"], 1e-6)
        means["category_accuracy"] = total["correct"] / max(total["category_count"], 1e-6)
    means["loss"] = phase.pose_weight * means.get("pose_loss", 0.0)
    means["loss"] += phase.category_weight * means.get("category_loss", 0.0)
    for name, weight in phase.auxiliary_losses.items():
        means[f"{name}_loss"] = total[f"{name}_loss"] / max(total["pose_count"], 1e-6)
        means["loss"] += weight * means[f"{name}_loss"]
    return means
