"""Finds the examples that made the loss or gradient of batches NaN or Inf."""

from typing import Any

import jax
import numpy as np

from catpose.experiment import phases
from catpose.training import input_pipeline, phase_run, run_setup
from catpose.training.step import TrainState

SKIPPED = "changed nothing: their loss or gradient was NaN or Inf"
_MOST = 5  # examples that a message names


def message(
    run: run_setup.Run, phase: phases.Phase, start: int, state: TrainState, steps: list[int]
) -> str:
    """The error message of a run that skipped these batches in a row.

    Args:
      run: the run.
      phase: the one that skipped the last of them; only examples of its batches are named.
      start: the updates before it.
      state: any state of the phase.
      steps: numbers of the skipped updates, counted from 1.
    """
    names = _broken(run, phase, state, [step - 1 for step in steps if step > start])
    found = (
        f"the loss or gradient was NaN or Inf in {len(steps)} consecutive batches (steps "
        f"{steps[0]} to {steps[-1]}, phase '{phase.name}'); these changed nothing, and the last "
        "checkpoint is good. "
    )
    if not names:
        return found + (
            "All their images and poses are finite, so the training itself diverges: lower the "
            "learning rate, or set config.optimizer.clip_norm"
        )
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return found + (
        f"Non-finite values are in {', '.join(names[:_MOST])}{more}: fix or remove these examples"
    )


def _broken(
    run: run_setup.Run, phase: phases.Phase, state: TrainState, updates: list[int]
) -> list[str]:
    """Names, each once, of the examples with NaN or Inf in the batches of these updates."""
    cache = {name: input_pipeline.cache(run, name, phase, state) for name in phase.sources}
    prepare_fn = jax.jit(phase_run.prepare_fn(run, phase))
    found: list[str] = []
    for step in updates:
        records = input_pipeline.whole_batch(run, phase, step)
        key = jax.random.fold_in(jax.random.wrap_key_data(np.asarray(state.key)), step)
        made = prepare_fn(jax.random.split(key)[0], records, cache)
        good = np.ones(phase.batch_size, bool)
        for leaf in jax.tree.leaves(made):
            values = np.asarray(leaf, np.float32).reshape(len(leaf), -1)
            good &= np.isfinite(values).all(axis=1)
        names: list[Any] = []
        for source, rows in records.items():
            known = run.dataset.splits[source].id
            names += [f"{source}: {known[index]}" for index in rows.index]
        found += [name for name, fine in zip(names, good, strict=True) if not fine]
    return list(dict.fromkeys(found))
