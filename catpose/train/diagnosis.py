"""Why batches were no good: which examples of them, or none."""

from typing import Any

import jax
import numpy as np

from catpose.train import feed, phases, runs, state

_MOST = 5  # examples that a message names


def message(run: runs.Run, phase: phases.Phase, current: state.TrainState, steps: list[int]) -> str:
    """What to tell of a phase that skipped these batches in a row.

    Args:
      run: the run.
      phase: the one that skipped them.
      current: any state of the phase.
      steps: numbers of the updates that were left out, counted from the run's first, 1.
    """
    names = [name for step in steps for name in _broken(run, phase, current, step - 1)]
    names = list(dict.fromkeys(names))
    found = (
        f"{len(steps)} batches in a row (steps {steps[0]} to {steps[-1]}, phase '{phase.name}') "
        "had a loss or a gradient that is no number; they changed nothing, and the last "
        "checkpoint is good. "
    )
    if not names:
        return found + (
            "All their images and poses are numbers, so the training itself diverges: lower the "
            "learning rate, or set config.optimizer.clip_norm"
        )
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return found + (
        f"No numbers are in {', '.join(names[:_MOST])}{more}: mend or leave out these examples"
    )


def _broken(run: runs.Run, phase: phases.Phase, current: state.TrainState, at: int) -> list[str]:
    """Names of the examples in the batch of update `at` (from 0) that have no numbers."""
    records = feed.whole_batch(run, phase, at)
    cache = {name: feed.cache(run, name, phase, current) for name in phase.sources}
    key = jax.random.fold_in(jax.random.wrap_key_data(np.asarray(current.key)), at)
    made = jax.jit(runs.prepare_fn(run, phase))(jax.random.split(key)[0], records, cache)
    good = np.ones(phase.batch_size, bool)
    for leaf in jax.tree.leaves(made):
        values = np.asarray(leaf, np.float32).reshape(len(leaf), -1)
        good &= np.isfinite(values).all(axis=1)
    labels: list[Any] = []
    for source, rows in records.items():
        names = run.dataset.splits[source].names
        labels += [f"{source}: {names[index]}" for index in rows.index]
    return [label for label, fine in zip(labels, good, strict=True) if not fine]
