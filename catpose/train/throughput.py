"""How fast the steps go and what they report, read from the device as rarely as possible."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from catpose.experiment import phases
from catpose.train import optimizer


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
        self._write, self._phase, self._start, self._every = write_fn, phase, start, every_steps
        self._rate = optimizer.schedule(phase.learning_rate, phase.steps)
        self._pending: list[Any] = []
        self._at = start

    def speed(self, clock: Clock) -> float | None:
        """Images per second so far."""
        steps = clock.steps_per_second()
        return steps and round(steps * self._phase.batch_size, 1)

    def add(self, at: int, sums: Any, clock: Clock) -> dict[str, Any] | None:
        """Adds the sums of the call that leads to step `at`; the line that was due before it."""
        line = self.due(clock)
        self._pending.append(sums)
        self._at = at
        return line

    def due(self, clock: Clock, *, last: bool = False) -> dict[str, Any] | None:
        """The line of the steps so far, where one is due, or these are the phase's last."""
        if not self._pending or (self._at % self._every and not last):
            return None
        pending, self._pending = jax.device_get(self._pending), []
        clock.lap()
        # One number of each, or a row of them, is what a call gives.
        rows = {name: np.hstack([sums[name] for sums in pending]) for name in pending[0]}
        skipped = rows["skipped"] > 0
        first = self._at + 1 - len(skipped)
        line = {
            "step": self._at,
            "phase": self._phase.name,
            **_means({name: row[~skipped] for name, row in rows.items()}, self._phase),
            "skipped": [first + int(i) for i in np.flatnonzero(skipped)],
            "learning_rate": float(self._rate(self._at - 1 - self._start)),
            "images_per_second": self.speed(clock),
        }
        self._write(line)
        return line


class Streak:
    """Notices when too many batches in a row were no good."""

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
    total = {name: float(np.sum(row)) for name, row in sums.items()}
    means = {"grad_norm": total["grad_norm"] / len(sums["skipped"])}
    if "pose_loss" in total:
        means["pose_loss"] = total["pose_loss"] / max(total["pose_count"], 1e-6)
    if "category_loss" in total:
        means["category_loss"] = total["category_loss"] / max(total["category_count"], 1e-6)
        means["category_accuracy"] = total["correct"] / max(total["category_count"], 1e-6)
    means["loss"] = phase.pose_weight * means.get("pose_loss", 0.0)
    means["loss"] += phase.category_weight * means.get("category_loss", 0.0)
    return means
