"""A run: data, network and phases of one config, and what is computed from them on the way."""

import concurrent.futures
import dataclasses
import functools
import itertools
import pathlib
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
from tqdm import tqdm

from catpose.data import augment, batch, sampling, store
from catpose.data.dataset import Dataset
from catpose.errors import InputError
from catpose.train import (
    checkpoint,
    evaluate,
    experiment,
    optim,
    parallel,
    phases,
    state,
    step,
    workdir,
)

# Evaluated where the data has them.
SPLITS = ("train", "validation", "test")


# What stored features depend on, beside the weights and the images.
FEATURE_KEYS = ("variant", "split_stage", "pool_grid", "pool_channels", "category_head", "dtype")


class Run(NamedTuple):
    """What never changes while a run trains.

    Attributes:
      config: resolved.
      workdir: where everything is written.
      dataset: images and labels.
      model: network and representation.
      phases: in order.
      memo: what is made once: images and features in device memory, compiled predictions.
      progress: whether to show bars (on a terminal).
    """

    config: ml_collections.ConfigDict
    workdir: pathlib.Path
    dataset: Dataset
    model: experiment.Model
    phases: tuple[phases.Phase, ...]
    memo: dict[Any, Any]
    progress: bool


def prepare(
    config: ml_collections.ConfigDict, folder: pathlib.Path, *, progress: bool = True
) -> Run:
    """Loads the data and builds the network; checks what can be checked before training.

    Raises:
      InputError: see `experiment`, `phases` and `sampling`.
    """
    experiment.build_phases(config)  # wrong phases are told before the data takes its time
    data = experiment.load_dataset(config, progress=progress)
    run = assemble(config, folder, data, progress=progress)
    workdir.write_categories(folder, data.categories)
    return run


def assemble(
    config: ml_collections.ConfigDict,
    folder: pathlib.Path,
    data: Dataset,
    *,
    progress: bool = True,
) -> Run:
    """The run of a config on this data; writes nothing.

    Raises:
      InputError: see `prepare`.
    """
    model = experiment.build_model(config, data.categories)
    run = Run(config, folder, data, model, experiment.build_phases(config), {}, progress)
    _check(run)
    return run


def _check(run: Run) -> None:
    """Raises InputError for what the run would otherwise stumble over when its turn comes."""
    parallel.check_mode(run.config.parallel)
    parallel.check_batch(run.config.eval.batch_size, "config.eval.batch_size")
    for name in run.config.eval.splits:
        if name not in run.dataset.splits and name not in SPLITS:
            raise InputError(
                f"config.eval.splits has the unknown split '{name}'; known: {', '.join(SPLITS)}"
            )
    params = jax.eval_shape(run.model.network.init_fn, jax.random.key(0), _image(run))["params"]
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
            _pools(run, source)
            _check_augment(run, phase, source)
            parallel.check_batch(count, f"'{source}' in phase '{phase.name}'")


def _check_augment(run: Run, phase: phases.Phase, source: str) -> None:
    cameras = [run.dataset.splits[name].camera for name in phase.sources]
    if augment.Augment(**phase.augment).jitters_pose and not any(c is not None for c in cameras):
        raise InputError(
            f"phase '{phase.name}' jitters poses in 3D (augment.pose_jitter_deg), which needs to "
            f"know how the objects of '{source}' were seen; of the datasets only PASCAL3D+ and "
            "ObjectNet3D say so"
        )


def _image(run: Run) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, run.model.resolution, run.model.resolution, 3), np.float32)


def _pools(run: Run, split: str) -> sampling.Pools:
    names = run.dataset.categories
    return sampling.pools(run.dataset.splits[split].category, len(names), names=names)


def initial_state(run: Run) -> state.TrainState:
    """The state before the first phase: random weights, pretrained ones over them."""
    key = jax.random.key(run.config.seed)
    variables, line = experiment.initial_variables(run.config, run.model, key)
    if run.progress:
        tqdm.write(line, file=sys.stderr)
    return state.create(key, variables)


def restore_state(run: Run, arrays: dict[str, np.ndarray], at: int) -> state.TrainState:
    """The state saved at step `at`: its phase says what its optimiser's state looks like."""
    phase, _ = phases.at_step(run.phases, at)

    def fresh() -> state.TrainState:
        key = jax.random.key(0)
        empty = state.create(key, run.model.network.init_fn(key, _image(run)))
        return state.enter_phase(empty, phase, make_tx(run, phase, empty.params))

    return checkpoint.restore(arrays, jax.eval_shape(fresh))


def make_tx(run: Run, phase: phases.Phase, params: Any) -> Any:
    """The phase's optimiser, with what `config.optimizer` says of all phases."""
    return optim.make(
        phase,
        params,
        name=run.config.optimizer.name,
        weight_decay=run.config.optimizer.weight_decay,
        clip_norm=run.config.optimizer.clip_norm,
    )


def compile_phase(run: Run, phase: phases.Phase, tx: Any) -> Any:
    """The phase's data-parallel step: (state, records, cache) -> (state, metrics)."""
    prepare_fn = functools.partial(
        batch.prepare,
        augment=augment.Augment(**phase.augment),
        views=phase.views,
        resolution=run.model.resolution,
        margins={name: run.dataset.splits[name].margin for name in phase.sources},
        context=run.model.context,
        normalization=run.model.normalization,
        frame=run.model.frame,
    )
    step_fn = functools.partial(
        step.train_step,
        phase=phase,
        prepare_fn=prepare_fn,
        apply_fn=step.phase_apply(run.model.network.apply_fn, phase, len(run.model.categories)),
        loss_fn=step.phase_loss(run.model.pose, phase),
        tx=tx,
    )
    return parallel.compile_step(step_fn, run.config.parallel)


def batches(run: Run, phase: phases.Phase, start: int) -> Iterator[dict[str, batch.Records]]:
    """The phase's records from step `start` on, without end."""
    pools = {name: _pools(run, name) for name in phase.sources}
    streamed = {name: not phase.cached_features and streams(run, name) for name in phase.sources}

    def at_step(at: int) -> dict[str, batch.Records]:
        records, position = {}, 0
        for name, count in phase.sources.items():
            index = sampling.balanced(pools[name], batch_size=count, step=at, seed=run.config.seed)
            records[name] = batch.records(
                run.dataset.splits[name],
                index,
                position,
                category_weight=0.0 if name in phase.pose_only else 1.0,
                with_images=streamed[name],
            )
            position += count
        return records

    # The next batch is read from disk while the device works on this one.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        coming = pool.submit(at_step, start)
        for at in itertools.count(start + 1):
            ready, coming = coming, pool.submit(at_step, at)
            yield ready.result()


def streams(run: Run, split: str) -> bool:
    """Whether a split's images stay on the host, since they would not fit into device memory."""
    limit = run.config.data.device_cache_mb
    room = parallel.memory_for_data() if limit < 0 else limit << 20
    return run.dataset.splits[split].image.nbytes > room


def cache(run: Run, split: str, phase: phases.Phase, current: state.TrainState) -> batch.Cache:
    """A split's images in device memory, or the features of the phase's views of them."""
    if not phase.cached_features:
        if split not in run.memo:
            data = run.dataset.splits[split]
            run.memo[split] = batch.Cache(
                image=None if streams(run, split) else parallel.replicate(data.image),
                points=None if data.camera is None else parallel.replicate(data.camera.points),
            )
        return run.memo[split]
    weights = feature_digest(current)
    key = (split, phase.views, weights)
    if key not in run.memo:
        views = [_view_features(run, split, view, current, weights) for view in phase.views]
        run.memo[key] = batch.Cache(features=parallel.replicate(np.stack(views, axis=1)))
    return run.memo[key]


def feature_digest(current: state.TrainState) -> str:
    """Hash of the feature network's weights and statistics."""
    group = "feature_network"
    leaves = jax.tree.leaves((current.params[group], current.batch_stats[group]))
    return store.digest(*map(np.asarray, leaves))


def _view_features(
    run: Run, name: str, view: str, current: state.TrainState, weights: str
) -> np.ndarray:
    """Features of one view of a split, (N, ...), computed once for these weights and images."""
    split = run.dataset.splits[name]
    fields = augment.VIEWS[view]
    model = run.model
    reads = {name: run.config.model[name] for name in FEATURE_KEYS}
    key = store.digest(
        split.key,
        weights,
        tuple(fields),
        model.resolution,
        model.context,
        model.normalization,
        reads,
    )
    variables = {"params": current.params, "batch_stats": current.batch_stats}

    def compute(_: store.NewArray) -> dict[str, np.ndarray]:
        with tqdm(
            total=len(split.category),
            desc=f"features of {name}, view {view}",
            unit="img",
            disable=None if run.progress else True,
        ) as bar:
            features = batch.feature_cache(
                model.network.feature_fn,
                jax.device_get(variables),
                split,
                (view,),
                resolution=model.resolution,
                context=model.context,
                normalization=model.normalization,
                batch_size=run.config.eval.feature_batch_size,
                progress_fn=bar.update,
            )
        return {"features": features[:, 0]}

    folder = store.cache_dir(run.config.data.cache_dir)
    return store.stored(folder, "features", key, compute)["features"]


def evaluate_split(
    run: Run, split: str, phase: phases.Phase, current: state.TrainState
) -> evaluate.Evaluation:
    """Predictions for a whole split with the state's weights, without augmentation.

    Args:
      run: the run.
      split: a name of `run.dataset.splits`.
      phase: says whether the pose networks are tied and whether features are cached.
      current: the state.
    """
    plain = dataclasses.replace(phase, views=("identity",))
    margin = run.dataset.splits[split].margin
    compiled = ("predict", phase.tied, margin)
    if compiled not in run.memo:
        run.memo[compiled] = evaluate.compile_predict(
            run.model.network.apply_fn,
            pose=run.model.pose,
            tied=phase.tied,
            resolution=run.model.resolution,
            margin=margin,
            context=run.model.context,
            normalization=run.model.normalization,
            frame=run.model.frame,
        )
    with tqdm(
        total=len(run.dataset.splits[split].category),
        desc=f"evaluate {split}",
        unit="img",
        leave=False,
        disable=None if run.progress else True,
    ) as bar:
        return evaluate.evaluate(
            {"params": current.params, "batch_stats": current.batch_stats},
            run.dataset.splits[split],
            cache(run, split, plain, current),
            predict_fn=run.memo[compiled],
            batch_size=run.config.eval.batch_size,
            progress_fn=bar.update,
        )
