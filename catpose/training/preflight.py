"""A look ahead: everything that a run needs, tried in small, and what the whole will take."""

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from catpose import devices, inference
from catpose.data import batch, examples, online_rendering
from catpose.errors import InputError
from catpose.experiment import build, checkpoint, phases
from catpose.training import input_pipeline, nonfinite, phase_run, run_setup, shares
from catpose.training.step import TrainState

_CALLS = 2  # timed, after the first one, which compiles


class Finding(NamedTuple):
    """One thing that was tried.

    Attributes:
      text: what was found, for people.
      seconds: its part of the whole run.
    """

    text: str
    seconds: float = 0.0


def findings(run: run_setup.Run) -> Iterator[Finding]:
    """Tries the run's parts in turn; nothing is written and nothing kept.

    Raises:
      InputError: no room for checkpoints, or a batch whose loss is NaN or infinite.
    """
    device = jax.devices()[0]
    yield Finding(f"devices: {jax.device_count()} of {device.device_kind}")
    splits = {
        name: split for name, split in run.dataset.splits.items() if name != online_rendering.NAME
    }
    counted = ", ".join(f"{name} {len(split.category)}" for name, split in splits.items())
    yield Finding(f"images of {len(run.dataset.categories)} categories: {counted}")
    state, timed = phase_run.initial_state(run), set()
    if devices.is_first():
        checkpoint.check_room(run.workdir, phase_run.largest_state(run))
    parts = shares.counts(run)
    if parts:
        counted = ", ".join(map(str, parts.values()))
        yield Finding(f"trained {len(parts) + 1} times: on all images, and on {counted} of train")
    trainings = 1 + len(parts)
    for phase in run.phases:
        if phase.cached_features:
            yield from _features(run, phase, state, timed)
        yield _steps(run, phase, state, trainings)
    every = run.config.eval.every_steps
    during = -(-phases.total_steps(run.phases) // every) if every else 0
    for name in splits:
        # The last state's are in the report, whatever was validated on the way.
        times = (name in run.config.eval.splits) + (during if name == "validation" else 0)
        if times:
            answered = dataclasses.replace(
                run.phases[-1], sources={name: 1}, views=build.views(run.model)
            )
            if answered.cached_features:
                yield from _features(run, answered, state, timed)
            yield _evaluation(run, name, answered, state, times * trainings)


def _steps(run: run_setup.Run, phase: phases.Phase, state: TrainState, times: int) -> Finding:
    state = phase_run.enter(run, phase, state)
    steps = phase_run.begin(run, phase, state, cache_fn=_cache)
    spent = []
    each = run.config.steps_per_call
    for call in range(_CALLS + 1):
        begin = time.monotonic()
        state, sums = jax.block_until_ready(steps.take(state))
        spent.append((time.monotonic() - begin) / each)
        bad = np.flatnonzero(sums["skipped"])
        if bad.size and not phase.cached_features:
            step = call * each + 1 + int(bad[0])
            raise InputError(nonfinite.message(run, phase, 0, state, [step]))
    seconds = min(spent[1:])
    count = f"{times} times {phase.steps}" if times > 1 else str(phase.steps)
    return Finding(
        f"phase '{phase.name}': {count} steps of {phase.batch_size} images, "
        f"{seconds * 1e3:.0f} ms each, after {each * (spent[0] - seconds):.0f} s of compilation",
        each * spent[0] + times * phase.steps * seconds,
    )


def _cache(run: run_setup.Run, name: str, phase: phases.Phase, state: TrainState) -> batch.Cache:
    """As in training, but with zeros in place of cached features, which take long to compute."""
    if not phase.cached_features:
        return input_pipeline.cache(run, name, phase, state)
    network, image = run.model.network, run.model.input_spec.image
    shape = jax.eval_shape(network.feature_fn, state.variables, image).shape
    size = len(run.dataset.splits[name].category), len(phase.views)
    return batch.Cache(features=devices.replicate(np.zeros((*size, *shape[1:]), np.float32)))


def _features(
    run: run_setup.Run, phase: phases.Phase, state: TrainState, timed: set[tuple[str, str]]
) -> Iterator[Finding]:
    """Of the phase's splits and views that are not in `timed` yet."""
    pairs = [(name, view) for name in phase.sources for view in phase.views]
    new = Counter(name for name, view in pairs if (name, view) not in timed)
    timed.update(pairs)
    if not new:
        return
    size, side = run.config.eval.feature_batch_size, run.model.input_spec.resolution
    image = jax.numpy.zeros((size, side, side, 3))
    compute = jax.jit(run.model.network.feature_fn)
    seconds = _seconds(lambda: compute(state.variables, image)) / size
    for name, views in new.items():
        images = len(run.dataset.splits[name].category) * views
        yield Finding(
            f"features of {name}: {images} images and views, {seconds * 1e3:.1f} ms each "
            "(unless they are stored already)",
            images * seconds,
        )


def _evaluation(
    run: run_setup.Run, name: str, phase: phases.Phase, state: TrainState, times: int
) -> Finding:
    split, size = run.dataset.splits[name], run.config.eval.batch_size
    few = examples.fewer(split, size, seed=0)
    small = run._replace(
        dataset=run.dataset._replace(splits={name: few}),
        caches=run_setup.Caches(programs=run.caches.programs),
    )

    def predict() -> Any:
        return inference.evaluate(
            run.model,
            state.variables,
            few,
            batch_size=size,
            cache=_cache(small, name, phase, state),
            predict_fn=input_pipeline.compile_predict(run, name, tied=phase.tied),
        )

    seconds = _seconds(predict)
    batches = -(-len(split.category) // size) * times
    return Finding(
        f"evaluation of {name}: {len(split.category)} images, {times} times, "
        f"{seconds / size * 1e3:.1f} ms each",
        seconds * batches,
    )


def _seconds(work: Callable[[], Any]) -> float:
    """Time of the second call; the first one compiles."""
    jax.block_until_ready(work())
    begin = time.monotonic()
    jax.block_until_ready(work())
    return time.monotonic() - begin
