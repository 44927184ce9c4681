"""The training loop: phases, checkpoints, evaluation on the way.

The order inside the loop is what makes a resumed run equal an uninterrupted one: at each step,
first enter the phase (if this is its first step), then evaluate and save, then update. A
checkpoint of step n is the state before update n, with everything that phase's entry did.

A signal to stop waits for the end of the step, and then the state is saved: no step is lost.

Of several processes all do the same; the first one alone reads and writes the run's folder.
"""

import contextlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np
from tqdm import tqdm

from catpose import devices, progress
from catpose.errors import InputError
from catpose.evaluation import score
from catpose.experiment import build, checkpoint, phases
from catpose.training import (
    input_pipeline,
    nonfinite,
    phase_run,
    run_setup,
    signals,
    training_log,
)
from catpose.training.step import TrainState


class Result(NamedTuple):
    """A finished run.

    Attributes:
      last: the state after the last step.
      best: the state with the lowest validation pose-err, and its step; None without validation.
    """

    last: TrainState
    best: tuple[int, TrainState] | None


class Session(NamedTuple):
    """One process's work on a run.

    Attributes:
      run: the run.
      manager: of its checkpoints; None in all processes but the first.
      write_fn: adds a record to its log.
      saved: the step whose checkpoint it began from; None for a fresh start.
      streak: of skipped batches.
    """

    run: run_setup.Run
    manager: Any
    write_fn: Callable[[dict[str, Any]], None]
    saved: int | None
    streak: training_log.Streak


def train(run: run_setup.Run) -> Result:
    """Trains from the workdir's latest checkpoint, or from the beginning, to the last step.

    Raises:
      Stopped: a signal asked for it (see `signals`); the latest state is saved.
      InputError: no room for checkpoints, no way to write them, or `config.max_skipped` batches in
        a row had a NaN or an infinity.
    """
    last_step = phases.total_steps(run.phases)
    # A signal waits from before the manager's threads begin until they have ended.
    written = checkpoint.write_errors(run.workdir)
    with signals.deferred(), written, _checkpoints(run) as manager:
        saved = _from_first(manager and manager.latest_step())
        if saved is None:
            state = phase_run.initial_state(run)
        else:
            state = phase_run.restore_state(run, manager, saved)
        if manager and saved != last_step:
            checkpoint.check_room(run.workdir, phase_run.largest_state(run))
        with _log(run, saved) as write_fn:
            streak = training_log.Streak(run.config.max_skipped)
            session = Session(run, manager, write_fn, saved, streak)
            for phase, start, stop in phases.spans(run.phases):
                if int(state.step) < stop:
                    state = _train_phase(session, phase, start, state)
            if saved != last_step:
                _evaluate_and_save(session, run.phases[-1], state, evaluates=True)
        if manager:
            manager.wait_until_finished()
        step, best = _from_first(manager and manager.best_step()), None
        if step is not None:
            is_last = step == int(state.step)
            best = (step, state if is_last else phase_run.restore_state(run, manager, step))
    return Result(state, best)


def _checkpoints(run: run_setup.Run) -> contextlib.AbstractContextManager[Any]:
    if devices.is_first():
        checkpoint.set_damaged_aside(run.workdir)
        return checkpoint.open_manager(run.workdir / "checkpoints")
    return contextlib.nullcontext()


def _log(run: run_setup.Run, saved: int | None) -> contextlib.AbstractContextManager[Any]:
    if devices.is_first():
        return training_log.opened(run.workdir, step=saved, tensorboard=run.config.tensorboard)
    return contextlib.nullcontext(lambda record: None)


def _from_first(step: int | None) -> int | None:
    """A step, or None, that the first process alone knows, in all of them."""
    found = int(devices.from_first(np.int32(-1 if step is None else step)))
    return None if found < 0 else found


def _train_phase(
    session: Session, phase: phases.Phase, start: int, state: TrainState
) -> TrainState:
    """Updates from the state's own step to the phase's end."""
    run, config = session.run, session.run.config
    begin, stop, count = int(state.step), start + phase.steps, config.steps_per_call
    log = training_log.Log(session.write_fn, phase, start, config.log_steps)
    state = phase_run.enter(run, phase, state, resumed=begin > start or session.saved == start)
    try:
        # Cached features can take long to compute: they do not make a signal wait.
        steps = phase_run.begin(run, phase, state)
    except signals.Stopped:
        _stop(session, phase, state, log)
    with progress.bar(
        total=phase.steps,
        initial=begin - start,
        desc=phase.name,
        unit="step",
        show=run.show_progress,
    ) as bar:

        def check(line: dict[str, Any] | None) -> None:
            if line and line["skipped"] and run.show_progress:
                many = f"{len(line['skipped'])} batches up to step {line['step']}"
                tqdm.write(f"{phase.name}: {many} {nonfinite.SKIPPED}", file=sys.stderr)
            bad = session.streak.add(line["skipped"] if line else [])
            if bad:
                raise InputError(nonfinite.message(run, phase, start, state, bad))
            if line and "loss" in line:
                bar.set_postfix(loss=f"{line['loss']:.3f}", img_s=line["images_per_second"])

        for step in range(begin, stop, count):
            evaluates = bool(config.eval.every_steps) and step % config.eval.every_steps == 0
            saves = step == start or step % config.checkpoint_steps == 0
            if (saves or evaluates) and step != session.saved:
                check(log.due())
                log.clock.pause()
                _evaluate_and_save(session, phase, state, evaluates=evaluates)
            if devices.preempted(range(step - count + 1, step + 1)) or signals.is_pending():
                check(log.due())
                _stop(session, phase, state, log)
            # After the first call, which compiles, nothing goes to the device or back unasked.
            with jax.transfer_guard("allow" if step == begin else "disallow"):
                state, sums = steps.take(state)
            bar.update(count)
            check(log.add(step + count, sums, count))
        check(log.due(last=True))
    log.end(stop)
    return state


def _stop(
    session: Session, phase: phases.Phase, state: TrainState, log: training_log.Log
) -> NoReturn:
    step = int(state.step)
    log.end(step)
    if session.manager:
        if step not in (session.saved, session.manager.latest_step()):
            _evaluate_and_save(session, phase, state, evaluates=False)
        session.manager.wait_until_finished()
    signals.stop()


def _evaluate_and_save(
    session: Session, phase: phases.Phase, state: TrainState, *, evaluates: bool
) -> None:
    """Saves the state; with its validation metrics, written to the log too, where asked."""
    run, step, pose_err = session.run, int(state.step), None
    if evaluates and "validation" in run.dataset.splits:
        found = input_pipeline.evaluate_split(run, "validation", phase, state)
        truth = run.dataset.splits["validation"]
        summaries = score.summaries(truth, found, run.model.symmetry)
        session.write_fn({"step": step, "phase": phase.name, "split": "validation", **summaries})
        # One metric for the whole run, so that states of different phases can be compared.
        fusion = build.answering(run.model, run.config, step).fusion
        pose_err = summaries[fusion]["pose_err_deg"]
    if session.manager:
        checkpoint.save(session.manager, step, state, pose_err, build.about(run.model))
