"""A phase of a run under way: its state, optimizer, caches, compiled step and batches.

`enter` makes the state of the phase's first step, `begin` all that its steps read, `PhaseRun.take`
one call of them.
"""

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from catpose import devices
from catpose.data import batch, examples, online_rendering
from catpose.experiment import build, checkpoint, initial_weights, phases
from catpose.training import input_pipeline, run_setup, step
from catpose.training.step import TrainState


class PhaseRun(NamedTuple):
    """What the steps of a phase read.

    Attributes:
      tx: the phase's optimizer.
      cache: each source's images or features in device memory.
      step_fn: (state, records, cache) -> the next state, and sums over the batch.
      records: the batches of the coming calls.
    """

    tx: optax.GradientTransformationExtraArgs
    cache: Mapping[str, batch.Cache]
    step_fn: Callable
    records: Iterator[Mapping[str, batch.Records]]

    def take(self, state: TrainState) -> tuple[TrainState, dict[str, jax.Array]]:
        """One call of the step on the next batch; gives up the state's buffers."""
        return self.step_fn(state, next(self.records), self.cache)


def enter(
    run: run_setup.Run, phase: phases.Phase, state: TrainState, *, resumed: bool = False
) -> TrainState:
    """The state on the devices, after what happens once at the phase's beginning.

    Args:
      run: the run.
      phase: one of its phases.
      state: of the step before; where `resumed`, one that has entered the phase already.
      resumed: whether the state was saved within the phase.
    """
    if not resumed:
        state = _entered(phase, run_setup.make_tx(run, phase, state.params), state)
    return devices.replicate(state)


def begin(
    run: run_setup.Run,
    phase: phases.Phase,
    state: TrainState,
    *,
    cache_fn: Callable = input_pipeline.cache,
) -> PhaseRun:
    """All that steps from the state on need: compiled at the first call, read from the second on.

    Args:
      run: the run.
      phase: which the state has entered.
      state: whose weights cached features are of.
      cache_fn: fills device memory, see `input_pipeline.cache`.

    Raises:
      signals.Stopped: a signal came while features were computed.
    """
    tx = run_setup.make_tx(run, phase, state.params)
    return PhaseRun(
        tx=tx,
        cache={name: cache_fn(run, name, phase, state) for name in phase.sources},
        step_fn=compile_phase(run, phase, tx),
        records=input_pipeline.batches(run, phase, int(state.step)),
    )


def _entered(phase: phases.Phase, tx: Any, state: TrainState) -> TrainState:
    """The state at the phase's first step: its `on_enter` applied, a fresh optimizer state."""
    params, batch_stats = phases.enter(state.params, state.batch_stats, phase)
    opt_state = tx.init(phases.trainable(params, phase))
    return state._replace(params=params, batch_stats=batch_stats, opt_state=opt_state)


def initial_state(run: run_setup.Run) -> TrainState:
    """The state before the first phase: random weights, pretrained ones over them.

    Or the last state of `run.after`.
    """
    key = jax.random.key(run.config.seed)
    if run.after is not None:
        last, variables = build.read_variables(run.after, run.model)
        return step.create_state(key, variables)._replace(step=jnp.int32(last))
    if run.config.model.pretrained == "none":
        variables = run.model.network.init_fn(key, run.model.input_spec.image)
        line = "random initial weights"
    else:
        variables, line = initial_weights.initial_variables(run.config, run.model, key)
    if run.show_progress:
        tqdm.write(line, file=sys.stderr)
    return step.create_state(key, variables)


def state_shapes(run: run_setup.Run, phase: phases.Phase) -> TrainState:
    """The form of the state in a phase: that of its optimizer's memory depends on it."""

    def fresh() -> TrainState:
        key = jax.random.key(0)
        variables = run.model.network.init_fn(key, run.model.input_spec.image)
        tx = run_setup.make_tx(run, phase, variables["params"])
        return _entered(phase, tx, step.create_state(key, variables))

    return jax.eval_shape(fresh)


def restore_state(run: run_setup.Run, manager: Any, saved: int) -> TrainState:
    """The state of a checkpoint.

    Args:
      run: the run.
      manager: of its checkpoints; only the first process's is asked, and tells the others.
      saved: the checkpoint's step.
    """
    phase, _ = phases.at_step(run.phases, saved)
    shapes = state_shapes(run, phase)
    if devices.is_first():
        arrays = checkpoint.read(manager, saved)
        checkpoint.check_about(arrays, build.about(run.model), run.workdir)
        state = checkpoint.restore(arrays, shapes)
    else:
        state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    return devices.from_first(state)


def largest_state(run: run_setup.Run) -> int:
    """Bytes of the state in the phase whose optimizer has most to remember."""

    def size(phase: phases.Phase) -> int:
        leaves = jax.tree.leaves(state_shapes(run, phase))
        return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)

    return max(map(size, run.phases))


def compile_phase(run: run_setup.Run, phase: phases.Phase, tx: Any) -> Callable:
    """The phase's data-parallel step, or `steps_per_call` of them, see `devices.compile_step`."""
    key, programs = ("step", repr(phase)), run.caches.programs
    if key not in programs:
        several = run.config.steps_per_call > 1
        step_fn = functools.partial(
            step.train_steps if several else step.train_step,
            prepare_fn=prepare_fn(run, phase),
            tx=tx,
            **objective_fns(run, phase),
        )
        axis = 1 if several else 0
        programs[key] = devices.compile_step(step_fn, run.config.parallel, axis=axis)
    return programs[key]


def objective_fns(run: run_setup.Run, phase: phases.Phase) -> dict[str, Any]:
    """What `step.objective` has to know of the phase, by keyword."""
    model = run.model
    splits = [run.dataset.splits[name] for name in phase.sources]
    partial = any(examples.labeled(split, "azimuth").any() for split in splits)
    return {
        "phase": phase,
        "forward_fn": step.phase_forward(model.network.apply_fn, phase, len(model.categories)),
        "loss_fn": step.phase_loss(
            model.pose,
            phase,
            model.symmetry,
            azimuth_frame=model.input_spec.frame if partial else None,
        ),
    }


def prepare_fn(run: run_setup.Run, phase: phases.Phase) -> Callable:
    """What makes the phase's batches inside its step, see `step.train_step`."""
    engine = run.dataset.engine
    return functools.partial(
        batch.prepare,
        input_spec=run.model.input_spec,
        augment=phase.augment,
        views=phase.views,
        margins={name: run.dataset.splits[name].margin for name in phase.sources},
        drawing=None if engine is None else online_rendering.arguments(engine),
    )
