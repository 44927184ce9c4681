"""A run: data, network and phases of one config, checked before anything is trained."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import optax

from catpose import devices
from catpose.data import batch, examples, online_rendering, sampling
from catpose.data.categories import CATEGORIES
from catpose.data.examples import SPLITS, Dataset
from catpose.errors import InputError
from catpose.experiment import build, datasets, initial_weights, phases, workdir
from catpose.experiment import config as config_lib
from catpose.training import optimizer


@dataclasses.dataclass
class Caches:
    """What a run makes once and keeps.

    Attributes:
      data: images and features in device memory.
      programs: compiled steps and predictions. Runs that differ in their seeds and weights alone
        may share them.
      evaluations: the last one of each split, with what it was of.
    """

    data: dict[Any, batch.Cache] = dataclasses.field(default_factory=dict)
    programs: dict[Any, Callable] = dataclasses.field(default_factory=dict)
    evaluations: dict[str, tuple[Any, Any]] = dataclasses.field(default_factory=dict)


class Run(NamedTuple):
    """What never changes while a run trains.

    Attributes:
      config: resolved.
      workdir: where everything is written.
      dataset: images and labels.
      model: network and representation.
      phases: in order.
      pools: the examples of each split that a phase trains on, by category.
      caches: see `Caches`.
      show_progress: whether to show bars (on a terminal).
      after: the workdir of a finished run whose phases are the first of this run's, with otherwise
        the same config apart from evaluation; training resumes from its final state, with the same
        result as alone. None for a run that begins at step 0.
    """

    config: config_lib.Config
    workdir: pathlib.Path
    dataset: Dataset
    model: build.Model
    phases: tuple[phases.Phase, ...]
    pools: Mapping[str, sampling.Pools]
    caches: Caches
    show_progress: bool
    after: pathlib.Path | None = None


def prepare(config: config_lib.Config, folder: pathlib.Path, *, show_progress: bool = True) -> Run:
    """Loads the data and builds the network; checks what can be checked before training.

    Raises:
      InputError: see `experiment`, `phases` and `sampling`.
    """
    _check_config(config)
    data = datasets.load_dataset(config, show_progress=show_progress)
    run = assemble(config, folder, data, show_progress=show_progress)
    describe(run)
    return run


def describe(run: Run) -> None:
    """Writes what `catpose.load` needs beside the config and the weights."""
    if devices.is_first():
        workdir.write_categories(run.workdir, run.dataset.categories)
        workdir.write_keys(run.workdir, run.model.keys)


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
        known = examples.labeled(data.splits["train"], "whole")
        keys = build.fit_keys(config, data.splits["train"].rotation[known])
    model = build.build_model(config, data.categories, keys)
    run_phases = build.build_phases(config)
    run = Run(config, folder, data, model, run_phases, {}, Caches(), show_progress)
    _check(run)
    names = data.categories
    pools = {
        source: sampling.pools(data.splits[source].category, len(names), names=names)
        for source in dict.fromkeys(source for phase in run_phases for source in phase.sources)
    }
    return run._replace(pools=pools)


def _check_config(config: config_lib.Config) -> None:
    """Raises InputError for phases, initial weights or a network that cannot be, of any data."""
    build.build_phases(config)
    initial_weights.find(config)
    if not config.model.pose_keys:  # else the network depends on the data; symmetry does too
        data = dataclasses.replace(config.data, symmetry={})
        # Of any category that ImageNet knows.
        build.build_model(dataclasses.replace(config, data=data), CATEGORIES[:1])


def _check(run: Run) -> None:
    """Raises InputError for what the run would otherwise stumble over when its turn comes."""
    devices.check_batch(run.config.eval.batch_size, "config.eval.batch_size")
    for name in run.config.eval.splits:
        if name == online_rendering.NAME or (name not in run.dataset.splits and name not in SPLITS):
            raise InputError(
                f"config.eval.splits has the unknown split '{name}'; known: {', '.join(SPLITS)}"
            )
    network, image = run.model.network, run.model.input_spec.image
    params = jax.eval_shape(network.init_fn, jax.random.key(0), image)["params"]
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
            _check_labels(run, phase, source)
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


def _check_labels(run: Run, phase: phases.Phase, source: str) -> None:
    split = run.dataset.splits[source]
    partial = int(examples.labeled(split, "azimuth").sum())
    if partial and phase.pose_weight and (phase.pose_loss != "nll"):
        raise InputError(
            f"phase '{phase.name}' learns poses by the loss '{phase.pose_loss}', but of {partial} "
            f"examples of '{source}' the azimuth alone is known, which needs the loss nll of a "
            "representation that has it, such as matrix_fisher"
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


def make_tx(run: Run, phase: phases.Phase, params: Any) -> optax.GradientTransformationExtraArgs:
    """The phase's optimizer, with what `config.optimizer` says of all phases."""
    return optimizer.make(
        phase,
        params,
        name=run.config.optimizer.name,
        weight_decay=run.config.optimizer.weight_decay,
        clip_norm=run.config.optimizer.clip_norm,
    )
