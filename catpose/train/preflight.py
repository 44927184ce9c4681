"""A look ahead: everything that a run needs, tried in small, and what the whole will take."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from catpose import devices
from catpose.data import batch, examples, online_rendering
from catpose.errors import InputError
from catpose.experiment import checkpoint, phases
from catpose.train import input_pipeline, nonfinite, run_setup, state

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
      InputError: no room for checkpoints, or a batch whose loss is not a number.
    """
    device = jax.devices()[0]
    yield Finding(f"devices: {jax.device_count()} of {device.device_kind}")
    splits = {
        name: split for name, split in run.dataset.splits.items() if name != online_rendering.NAME
    }
    counted = ", ".join(f"{name} {len(split.category)}" for name, split in splits.items())
    yield Finding(f"images of {len(run.dataset.categories)} categories: {counted}")
    at, stored = run_setup.initial_state(run), set()
    if devices.is_first():
        checkpoint.check_room(run.workdir, run_setup.largest_state(run, at))
    for phase in run.phases:
        entered = state.enter_phase(at, phase, run_setup.make_tx(run, phase, at.params))
        if phase.cached_features and (tuple(phase.sources), phase.views) not in stored:
            stored.add((tuple(phase.sources), phase.views))
            yield from _features(run, phase, at)
        yield _steps(run, phase, entered)
    every = run.config.eval.every_steps
    during = -(-phases.total_steps(run.phases) // every) if every else 0
    for name in splits:
        # The last state's are in the report, whatever was validated on the way.
        times = (name in run.config.eval.splits) + (during if name == "validation" else 0)
        if times:
            yield _evaluation(run, name, at, times)


def _steps(run: run_setup.Run, phase: phases.Phase, current: state.TrainState) -> Finding:
    tx = run_setup.make_tx(run, phase, current.params)
    current = devices.replicate(current)
    cache = {name: _cache(run, name, phase, current) for name in phase.sources}
    step_fn = run_setup.compile_phase(run, phase, tx)
    records = input_pipeline.batches(run, phase, 0)
    spent = []
    each = run.config.steps_per_call
    for call in range(_CALLS + 1):
        begin = time.monotonic()
        current, sums = jax.block_until_ready(step_fn(current, next(records), cache))
        spent.append((time.monotonic() - begin) / each)
        bad = np.flatnonzero(sums["skipped"])
        if bad.size and not phase.cached_features:
            raise InputError(
                nonfinite.message(run, phase, 0, current, [call * each + 1 + int(bad[0])])
            )
    seconds = min(spent[1:])
    return Finding(
        f"phase '{phase.name}': {phase.steps} steps of {phase.batch_size} images, "
        f"{seconds * 1e3:.0f} ms each, after {each * (spent[0] - seconds):.0f} s of compilation",
        each * spent[0] + phase.steps * seconds,
    )


def _cache(
    run: run_setup.Run, name: str, phase: phases.Phase, current: state.TrainState
) -> batch.Cache:
    """As in training; stored features, which take long to compute, are noughts."""
    if not phase.cached_features:
        return input_pipeline.cache(run, name, phase, current)
    network, image = run.model.network, run.model.input_spec.image
    variables = jax.eval_shape(network.init_fn, jax.random.key(0), image)
    shape = jax.eval_shape(network.feature_fn, variables, image).shape
    size = len(run.dataset.splits[name].category), len(phase.views)
    return batch.Cache(features=devices.replicate(np.zeros((*size, *shape[1:]), np.float32)))


def _features(
    run: run_setup.Run, phase: phases.Phase, current: state.TrainState
) -> Iterator[Finding]:
    variables = {"params": current.params, "batch_stats": current.batch_stats}
    size, side = run.config.eval.feature_batch_size, run.model.input_spec.resolution
    image = jax.numpy.zeros((size, side, side, 3))
    compute = jax.jit(run.model.network.feature_fn)
    seconds = _seconds(lambda: compute(variables, image)) / size
    for name in phase.sources:
        images = len(run.dataset.splits[name].category) * len(phase.views)
        yield Finding(
            f"features of {name}: {images} images and views, {seconds * 1e3:.1f} ms each "
            "(unless they are stored already)",
            images * seconds,
        )


def _evaluation(run: run_setup.Run, name: str, current: state.TrainState, times: int) -> Finding:
    split, size = run.dataset.splits[name], run.config.eval.batch_size
    phase = run.phases[-1]
    if phase.cached_features:
        phase = dataclasses.replace(phase, cached_features=False, views=())

    few = examples.fewer(split, size, seed=0)
    small = run._replace(dataset=run.dataset._replace(splits={name: few}))

    def predict() -> Any:
        return input_pipeline.evaluate_split(small._replace(memo={}), name, phase, current)

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
