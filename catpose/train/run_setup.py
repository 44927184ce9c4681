"""A run: data, network and phases of one config, checked before anything is trained."""

import functools
import pathlib
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from catpose import devices
from catpose.data import batch, online_rendering, sampling
from catpose.data.examples import SPLITS, Dataset
from catpose.errors import InputError
from catpose.experiment import build, checkpoint, datasets, initial_weights, phases, workdir
from catpose.experiment import config as config_lib
from catpose.train import optimizer, state, step


class Run(NamedTuple):
    """What never changes while a run trains.

    Attributes:
      config: resolved.
      workdir: where everything is written.
      dataset: images and labels.
      model: network and representation.
      phases: in order.
      memo: what is made once: images and features in device memory.
      programs: compiled steps and predictions. Runs that differ in their seeds and weights alone
        may share them.
      show_progress: whether to show bars (on a terminal).
      after: the folder of a finished run with which this one has its first phases in common, and
        everything else but what is evaluated: this one goes on from its last state, and becomes
        what it would have become alone. None for a run that begins at the beginning.
    """

    config: config_lib.Config
    workdir: pathlib.Path
    dataset: Dataset
    model: build.Model
    phases: tuple[phases.Phase, ...]
    memo: dict[Any, Any]
    programs: dict[Any, Any]
    show_progress: bool
    after: pathlib.Path | None = None


def prepare(config: config_lib.Config, folder: pathlib.Path, *, show_progress: bool = True) -> Run:
    """Loads the data and builds the network; checks what can be checked before training.

    Raises:
      InputError: see `experiment`, `phases` and `sampling`.
    """
    build.build_phases(config)  # wrong phases are told before the data takes its time
    data = datasets.load_dataset(config, show_progress=show_progress)
    run = assemble(config, folder, data, show_progress=show_progress)
    if devices.is_first():
        workdir.write_categories(folder, data.categories)
        workdir.write_keys(folder, run.model.keys)
    return run


def assemble(
    config: config_lib.Config,
    folder: pathlib.Path,
    data: Dataset,
    *,
    show_progress: bool = True,
) -> Run:
    """The run of a config on this data; writes nothing.

    Raises:
      InputError: see `prepare`.
    """
    keys = workdir.read_keys(folder)
    if keys is None and config.model.pose_keys:
        if "train" not in data.splits:
            raise InputError("config.model.pose_keys are fitted to a split 'train'; there is none")
        keys = build.fit_keys(config, data.splits["train"].rotation)
    model = build.build_model(config, data.categories, keys)
    run = Run(config, folder, data, model, build.build_phases(config), {}, {}, show_progress)
    _check(run)
    return run


def _check(run: Run) -> None:
    """Raises InputError for what the run would otherwise stumble over when its turn comes."""
    devices.check_batch(run.config.eval.batch_size, "config.eval.batch_size")
    for name in run.config.eval.splits:
        if name == online_rendering.NAME or (name not in run.dataset.splits and name not in SPLITS):
            raise InputError(
                f"config.eval.splits has the unknown split '{name}'; known: {', '.join(SPLITS)}"
            )
    params = jax.eval_shape(
        run.model.network.init_fn, jax.random.key(0), run.model.input_spec.image
    )["params"]
    _check_calls(run)
    for phase in run.phases:
        make_tx(run, phase, params)
        if phase.pose_loss not in run.model.pose.losses:
            raise InputError(
                f"phase '{phase.name}' has the pose_loss '{phase.pose_loss}'; "
                f"{run.model.pose.name} knows {', '.join(run.model.pose.losses)}"
            )
        for source, count in phase.sources.items():
            if source not in run.dataset.splits:
                raise InputError(
                    f"phase '{phase.name}' trains on the split '{source}', which has no images; "
                    f"there are {', '.join(run.dataset.splits) or 'none'}"
                )
            pools(run, source)
            _check_augment(run, phase, source)
            devices.check_batch(count, f"'{source}' in phase '{phase.name}'")
            if source == online_rendering.NAME:
                _check_drawn(run, phase, count)


def _check_calls(run: Run) -> None:
    config = run.config
    counts = {"config.log_steps": config.log_steps}
    counts["config.checkpoint_steps"] = config.checkpoint_steps
    counts["config.eval.every_steps"] = config.eval.every_steps
    counts |= {f"the steps of phase '{phase.name}'": phase.steps for phase in run.phases}
    for name, count in counts.items():
        if count % config.steps_per_call:
            raise InputError(
                f"config.steps_per_call is {config.steps_per_call}, which does not divide {name}, "
                f"{count}: between calls alone a run logs, saves, evaluates and changes its phase"
            )


def _check_augment(run: Run, phase: phases.Phase, source: str) -> None:
    cameras = [run.dataset.splits[name].camera for name in phase.sources]
    if phase.augment.jitters_pose and not any(c is not None for c in cameras):
        raise InputError(
            f"phase '{phase.name}' jitters poses in 3D (augment.pose_jitter_deg), which needs to "
            f"know how the objects of '{source}' were seen; of the datasets only PASCAL3D+ and "
            "ObjectNet3D say so"
        )


def _check_drawn(run: Run, phase: phases.Phase, count: int) -> None:
    # Under jit the step sees the whole batch, under pmap each device its own part.
    parts = jax.device_count() if run.config.parallel == "pmap" else 1
    online_rendering.check_count(count, len(run.dataset.categories), parts)
    if phase.cached_features:
        raise InputError(
            f"phase '{phase.name}' has cached_features, but images that are drawn in the step are "
            "never the same; write some with launch.render and train on those"
        )


def pools(run: Run, split: str) -> sampling.Pools:
    """A split's examples by category.

    Raises:
      InputError: a category without examples.
    """
    names = run.dataset.categories
    return sampling.pools(run.dataset.splits[split].category, len(names), names=names)


def initial_state(run: Run) -> state.TrainState:
    """The state before the first phase: random weights, pretrained ones over them.

    Or the last state of `run.after`.
    """
    key = jax.random.key(run.config.seed)
    if run.after is not None:
        step, variables = build.read_variables(run.after, run.model)
        return state.create(key, variables)._replace(step=jnp.int32(step))
    variables, line = initial_weights.initial_variables(run.config, run.model, key)
    if run.show_progress:
        tqdm.write(line, file=sys.stderr)
    return state.create(key, variables)


def restore_state(run: Run, manager: Any, at: int) -> state.TrainState:
    """The state saved at step `at`: its phase says what its optimiser's state looks like.

    Args:
      run: the run.
      manager: of its checkpoints; only the first process's is asked, and tells the others.
      at: the step.
    """
    phase, _ = phases.at_step(run.phases, at)

    def fresh() -> state.TrainState:
        key = jax.random.key(0)
        empty = state.create(key, run.model.network.init_fn(key, run.model.input_spec.image))
        return state.enter_phase(empty, phase, make_tx(run, phase, empty.params))

    found = jax.eval_shape(fresh)
    if devices.is_first():
        found = checkpoint.restore(checkpoint.read(manager, at), found)
    else:
        found = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), found)
    return devices.from_first(found)


def largest_state(run: Run, current: state.TrainState) -> int:
    """Bytes of the state in the phase whose optimiser has most to remember."""

    def size(phase: phases.Phase) -> int:
        tx = make_tx(run, phase, current.params)
        entered = jax.eval_shape(lambda at: state.enter_phase(at, phase, tx), current)
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(entered))

    return max(map(size, run.phases))


def make_tx(run: Run, phase: phases.Phase, params: Any) -> Any:
    """The phase's optimiser, with what `config.optimizer` says of all phases."""
    return optimizer.make(
        phase,
        params,
        name=run.config.optimizer.name,
        weight_decay=run.config.optimizer.weight_decay,
        clip_norm=run.config.optimizer.clip_norm,
    )


def compile_phase(run: Run, phase: phases.Phase, tx: Any) -> Any:
    """The phase's data-parallel step, or `steps_per_call` of them, see `devices.compile_step`."""
    key = ("step", repr(phase))
    if key in run.programs:
        return run.programs[key]
    several = run.config.steps_per_call > 1
    step_fn = functools.partial(
        step.train_steps if several else step.train_step,
        prepare_fn=prepare_fn(run, phase),
        tx=tx,
        **objective_fns(run, phase),
    )
    run.programs[key] = devices.compile_step(step_fn, run.config.parallel, axis=1 if several else 0)
    return run.programs[key]


def objective_fns(run: Run, phase: phases.Phase) -> dict[str, Any]:
    """What `step.objective` has to know of the phase, by keyword."""
    return {
        "phase": phase,
        "apply_fn": step.phase_apply(run.model.network.apply_fn, phase, len(run.model.categories)),
        "loss_fn": step.phase_loss(run.model.pose, phase, run.model.symmetry),
    }


def prepare_fn(run: Run, phase: phases.Phase) -> Any:
    """What makes the phase's batches inside its step, see `step.train_step`."""
    return functools.partial(
        batch.prepare,
        input_spec=run.model.input_spec,
        augment=phase.augment,
        views=phase.views,
        margins={name: run.dataset.splits[name].margin for name in phase.sources},
        drawing=None
        if run.dataset.engine is None
        else online_rendering.arguments(run.dataset.engine),
    )
