"""The training loop: phases, checkpoints, evaluation on the way.

The order inside the loop is what makes a resumed run equal an uninterrupted one: at each step,
first enter the phase (if this is its first step), then evaluate and save, then update. A
checkpoint of step n is the state before update n, with everything that phase's entry did.
"""

import pathlib
import time
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from catpose.train import checkpoint, evaluate, optim, parallel, phases, runs, state, writer


class Result(NamedTuple):
    """A finished run.

    Attributes:
      last: the state after the last step.
      best: the state with the lowest validation pose-err, and its step; None without validation.
    """

    last: state.TrainState
    best: tuple[int, state.TrainState] | None


def train(run: runs.Run) -> Result:
    """Trains from the workdir's latest checkpoint, or from the beginning, to the last step."""
    log = run.workdir / "metrics.jsonl"
    with checkpoint.open_manager(run.workdir / "checkpoints") as manager:
        saved = manager.latest_step()
        if saved is None:
            current = runs.initial_state(run)
            log.unlink(missing_ok=True)
        else:
            current = runs.restore_state(run, checkpoint.read(manager, saved), saved)
            writer.truncate(log, saved)
        for phase, start, stop in phases.spans(run.phases):
            if int(current.step) >= stop:
                continue
            current = _train_phase(run, manager, phase, start, current, saved)
        if saved != phases.total_steps(run.phases):
            _score_and_save(run, manager, phase, current, evaluates=True)
        manager.wait_until_finished()
        best_step = manager.best_step()
        best = None
        if best_step is not None:
            arrays = checkpoint.read(manager, best_step)
            best = best_step, runs.restore_state(run, arrays, best_step)
    return Result(current, best)


def _train_phase(
    run: runs.Run,
    manager: Any,
    phase: phases.Phase,
    start: int,
    current: state.TrainState,
    saved: int | None,
) -> state.TrainState:
    """Updates from the state's own step to the phase's end."""
    began = time.monotonic()
    at, stop = int(current.step), start + phase.steps
    tx = runs.make_tx(run, phase, current.params)
    if at == start and saved != start:
        current = state.enter_phase(current, phase, tx)
    current = parallel.replicate(current)
    cache = {name: runs.cache(run, name, phase, current) for name in phase.sources}
    step_fn = runs.compile_phase(run, phase, tx)
    records = runs.batches(run, phase, at)
    log = run.workdir / "metrics.jsonl"
    logged = Log(log, phase, start, run.config.log_steps)
    clock = Clock()
    with tqdm(
        total=phase.steps,
        initial=at - start,
        desc=phase.name,
        unit="step",
        disable=None if run.progress else True,
    ) as bar:
        while at < stop:
            evaluates = bool(run.config.eval.every_steps) and at % run.config.eval.every_steps == 0
            saves = at == start or at % run.config.checkpoint_steps == 0
            if (saves or evaluates) and at != saved:
                clock.pause()
                _score_and_save(run, manager, phase, current, evaluates=evaluates)
            current, sums = step_fn(current, next(records), cache)
            at += 1
            clock.tick(sums)
            bar.update()
            line = logged.add(at, sums, clock, last=at == stop)
            if line:
                bar.set_postfix(loss=f"{line['loss']:.3f}", img_s=line["images_per_second"])
    seconds = round(time.monotonic() - began, 2)
    record = {"step": at, "phase": phase.name, "phase_seconds": seconds}
    writer.append(log, {**record, "images_per_second": logged.speed(clock)})
    return current


def _score_and_save(
    run: runs.Run, manager: Any, phase: phases.Phase, current: state.TrainState, *, evaluates: bool
) -> None:
    """Saves the state; with its validation figures, written to the log too, where asked."""
    at, score = int(current.step), None
    if evaluates and "validation" in run.dataset.splits:
        evaluation = runs.evaluate_split(run, "validation", phase, current)
        figures = evaluate.summaries(evaluation, len(run.model.categories), run.model.frame)
        record = {"step": at, "phase": phase.name, "split": "validation", **figures}
        writer.append(run.workdir / "metrics.jsonl", record)
        # One score for the whole run, so that states of different phases can be compared.
        score = figures[run.phases[-1].fusion]["pose_err_deg"]
    checkpoint.save(manager, at, current, score)


class Clock:
    """Steps per second, without compilation, evaluation and saving."""

    def __init__(self) -> None:
        self._steps, self._seconds, self._since = 0, 0.0, None

    def pause(self) -> None:
        """What comes before the next tick does not count."""
        self._since = None

    def tick(self, result: Any) -> None:
        """A step was dispatched and will give `result`."""
        if self._since is None:
            jax.block_until_ready(result)
        else:
            self._steps += 1
            self._seconds += time.monotonic() - self._since
        self._since = time.monotonic()

    def steps_per_second(self) -> float | None:
        """So far; None before the second step."""
        return self._steps / self._seconds if self._steps else None


class Log:
    """Collects the steps' sums on the device and writes their means every `log_steps`."""

    def __init__(
        self, path: pathlib.Path, phase: phases.Phase, start: int, every_steps: int
    ) -> None:
        self._path, self._phase, self._start, self._every = path, phase, start, every_steps
        self._rate = optim.schedule(phase.learning_rate, phase.steps)
        self._pending: list[Any] = []

    def speed(self, clock: Clock) -> float | None:
        """Images per second so far."""
        steps = clock.steps_per_second()
        return steps and round(steps * self._phase.batch_size, 1)

    def add(self, at: int, sums: Any, clock: Clock, *, last: bool) -> dict[str, Any] | None:
        """Adds the sums of the step that led to step `at`; the line, where one is due."""
        self._pending.append(sums)
        if at % self._every and not last:
            return None
        means = _means(jax.device_get(self._pending), self._phase)
        self._pending = []
        line = {
            "step": at,
            "phase": self._phase.name,
            **means,
            "learning_rate": float(self._rate(at - 1 - self._start)),
            "images_per_second": self.speed(clock),
        }
        writer.append(self._path, line)
        return line


def _means(sums: list[dict[str, Any]], phase: phases.Phase) -> dict[str, float]:
    """Weighted means over several steps, each step's losses being sums with their weights."""
    total = {name: float(np.sum([s[name] for s in sums])) for name in sums[0]}
    means = {"grad_norm": total["grad_norm"] / len(sums)}
    if "pose_loss" in total:
        means["pose_loss"] = total["pose_loss"] / max(total["pose_count"], 1e-6)
    if "category_loss" in total:
        means["category_loss"] = total["category_loss"] / max(total["category_count"], 1e-6)
        means["category_accuracy"] = total["correct"] / max(total["category_count"], 1e-6)
    means["loss"] = phase.pose_weight * means.get("pose_loss", 0.0)
    means["loss"] += phase.category_weight * means.get("category_loss", 0.0)
    return means
