"""The training loop: phases, checkpoints, evaluation on the way.

The order inside the loop is what makes a resumed run equal an uninterrupted one: at each step,
first enter the phase (if this is its first step), then evaluate and save, then update. A
checkpoint of step n is the state before update n, with everything that phase's entry did.

A signal to stop waits for the end of the step, and then the state is saved: no step is lost.

Of several processes all do the same; the first one alone reads and writes the run's folder.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np

from catpose import devices, progress
from catpose.errors import InputError
from catpose.evaluation import score
from catpose.experiment import checkpoint, phases
from catpose.train import (
    input_pipeline,
    metrics_log,
    nonfinite,
    run_setup,
    signals,
    state,
    throughput,
)


class Result(NamedTuple):
    """A finished run.

    Attributes:
      last: the state after the last step.
      best: the state with the lowest validation pose-err, and its step; None without validation.
    """

    last: state.TrainState
    best: tuple[int, state.TrainState] | None


class Session(NamedTuple):
    """One process's work on a run.

    Attributes:
      run: the run.
      manager: of its checkpoints; None in all processes but the first.
      write_fn: adds a record to its log.
      saved: the step whose checkpoint it began from; None for a fresh start.
      streak: of batches that were no good.
    """

    run: run_setup.Run
    manager: Any
    write_fn: Callable[[dict[str, Any]], None]
    saved: int | None
    streak: throughput.Streak


def train(run: run_setup.Run) -> Result:
    """Trains from the workdir's latest checkpoint, or from the beginning, to the last step.

    Raises:
      Stopped: a signal asked for it (see `stopping`); the latest state is saved.
      InputError: no room for checkpoints, or `config.max_skipped` batches in a row were no good.
    """
    # A signal waits from before the manager's threads begin until they have ended.
    with signals.deferred(), _opened(run) as manager:
        saved = _first_knows(manager and manager.latest_step())
        current = (
            run_setup.initial_state(run)
            if saved is None
            else run_setup.restore_state(run, manager, saved)
        )
        if manager and saved != phases.total_steps(run.phases):
            checkpoint.check_room(run.workdir, run_setup.largest_state(run, current))
        with _log(run, saved) as write_fn:
            streak = throughput.Streak(run.config.max_skipped)
            session = Session(run, manager, write_fn, saved, streak)
            for phase, start, stop in phases.spans(run.phases):
                if int(current.step) < stop:
                    current = _train_phase(session, phase, start, current)
            if saved != phases.total_steps(run.phases):
                _score_and_save(session, run.phases[-1], current, evaluates=True)
        if manager:
            manager.wait_until_finished()
        step = _first_knows(manager and manager.best_step())
        best = None
        if step is not None:
            is_last = step == int(current.step)
            best = (step, current if is_last else run_setup.restore_state(run, manager, step))
    return Result(current, best)


def _opened(run: run_setup.Run) -> contextlib.AbstractContextManager[Any]:
    if devices.is_first():
        return checkpoint.open_manager(run.workdir / "checkpoints")
    return contextlib.nullcontext()


def _log(run: run_setup.Run, saved: int | None) -> contextlib.AbstractContextManager[Any]:
    if devices.is_first():
        return metrics_log.opened(run.workdir, step=saved, tensorboard=run.config.tensorboard)
    return contextlib.nullcontext(lambda record: None)


def _first_knows(step: int | None) -> int | None:
    """A step that the first process knows, or that there is none."""
    found = int(devices.from_first(np.int32(-1 if step is None else step)))
    return None if found < 0 else found


def _train_phase(
    session: Session, phase: phases.Phase, start: int, current: state.TrainState
) -> state.TrainState:
    """Updates from the state's own step to the phase's end."""
    run, config = session.run, session.run.config
    began = time.monotonic()
    at, stop = int(current.step), start + phase.steps
    tx = run_setup.make_tx(run, phase, current.params)
    if at == start and session.saved != start:
        current = state.enter_phase(current, phase, tx)
    clock = throughput.Clock()
    log = throughput.Log(session.write_fn, phase, start, config.log_steps)

    def worked() -> None:
        clock.pause()
        seconds = round(time.monotonic() - began, 2)
        record = {"step": at, "phase": phase.name, "phase_seconds": seconds}
        session.write_fn({**record, "images_per_second": log.speed(clock)})

    current = devices.replicate(current)
    try:
        # Stored features can take long to compute: they do not make a signal wait.
        cache = {name: input_pipeline.cache(run, name, phase, current) for name in phase.sources}
    except signals.Stopped:
        worked()
        _save_and_stop(session, phase, current)
    step_fn = run_setup.compile_phase(run, phase, tx)
    records = input_pipeline.batches(run, phase, at)
    began_at = at

    def told(line: dict[str, Any] | None) -> None:
        bad = session.streak.add(line["skipped"] if line else [])
        if bad:
            raise InputError(nonfinite.message(run, phase, start, current, bad))
        if line and "loss" in line:
            bar.set_postfix(loss=f"{line['loss']:.3f}", img_s=line["images_per_second"])

    with progress.bar(
        total=phase.steps,
        initial=at - start,
        desc=phase.name,
        unit="step",
        show=run.show_progress,
    ) as bar:
        while at < stop:
            evaluates = bool(config.eval.every_steps) and at % config.eval.every_steps == 0
            saves = at == start or at % config.checkpoint_steps == 0
            if (saves or evaluates) and at != session.saved:
                told(log.due(clock))
                clock.pause()
                _score_and_save(session, phase, current, evaluates=evaluates)
            done = range(at - config.steps_per_call + 1, at + 1)
            if devices.preempted(done) or signals.asked():
                told(log.due(clock))
                worked()
                _save_and_stop(session, phase, current)
            # After the first call, which compiles, nothing goes to the device or back unasked.
            with jax.transfer_guard("allow" if at == began_at else "disallow"):
                current, sums = step_fn(current, next(records), cache)
            at += config.steps_per_call
            clock.tick(sums, config.steps_per_call)
            bar.update(config.steps_per_call)
            told(log.add(at, sums, clock))
        told(log.due(clock, last=True))
    worked()
    return current


def _save_and_stop(session: Session, phase: phases.Phase, current: state.TrainState) -> NoReturn:
    if session.manager:
        if int(current.step) not in (session.saved, session.manager.latest_step()):
            _score_and_save(session, phase, current, evaluates=False)
        session.manager.wait_until_finished()
    signals.stop()


def _score_and_save(
    session: Session, phase: phases.Phase, current: state.TrainState, *, evaluates: bool
) -> None:
    """Saves the state; with its validation metrics, written to the log too, where asked."""
    run, at, pose_err = session.run, int(current.step), None
    if evaluates and "validation" in run.dataset.splits:
        found = input_pipeline.evaluate_split(run, "validation", phase, current)
        truth = run.dataset.splits["validation"]
        summaries = score.summaries(truth, found, run.model.symmetry)
        session.write_fn({"step": at, "phase": phase.name, "split": "validation", **summaries})
        # One metric for the whole run, so that states of different phases can be compared.
        pose_err = summaries[run.phases[-1].fusion]["pose_err_deg"]
    if session.manager:
        checkpoint.save(session.manager, at, current, pose_err)
