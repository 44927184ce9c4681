"""What a run's network is fed with: batches, images and features in device memory, whole splits."""

import concurrent.futures
import dataclasses
import functools
import itertools
import operator
from collections.abc import Callable, Iterator

import jax
import numpy as np
from tqdm import tqdm

from catpose import devices, inference, progress
from catpose.data import augment, batch, disk_cache, online_rendering, parts, sampling
from catpose.data.predictions import Predictions
from catpose.experiment import build, phases
from catpose.training import run_setup, signals
from catpose.training.step import TrainState


def batches(
    run: run_setup.Run, phase: phases.Phase, first_step: int
) -> Iterator[dict[str, batch.Records]]:
    """This process's part of the phase's batches from a step on, on its devices, without end."""
    read = _reader(run, phase, whole=False)
    count, mode = run.config.steps_per_call, run.config.parallel

    def read_call(step: int) -> dict[str, batch.Records]:
        if count == 1:
            return devices.place(read(step), mode)
        steps = [read(step + i) for i in range(count)]
        return devices.place(jax.tree.map(lambda *rows: np.stack(rows), *steps), mode, axis=1)

    # The next batch is read from disk, and put on the device, while that works on this one.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        coming = pool.submit(read_call, first_step)
        for step in itertools.count(first_step + count, count):
            ready, coming = coming, pool.submit(read_call, step)
            yield ready.result()


def whole_batch(run: run_setup.Run, phase: phases.Phase, step: int) -> dict[str, batch.Records]:
    """The batch of a step of the phase, of all processes together, on the host."""
    return _reader(run, phase, whole=True)(step)


def _reader(
    run: run_setup.Run, phase: phases.Phase, *, whole: bool
) -> Callable[[int], dict[str, batch.Records]]:
    streamed = {name: not phase.cached_features and streams(run, name) for name in phase.sources}

    def read(step: int) -> dict[str, batch.Records]:
        records, position, seed = {}, 0, run.config.seed
        for name, count in phase.sources.items():
            index = sampling.balanced(run.pools[name], batch_size=count, step=step, seed=seed)
            own = slice(0, count) if whole else devices.own_rows(count)
            records[name] = batch.records(
                run.dataset.splits[name],
                index[own],
                position + own.start,
                category_weight=0.0 if name in phase.pose_only else 1.0,
                with_images=streamed[name],
            )
            position += count
        return records

    return read


def streams(run: run_setup.Run, split: str) -> bool:
    """Whether a split's images stay on the host, since they would not fit into device memory."""
    limit = run.config.data.device_cache_mb
    room = devices.memory_for_data() if limit < 0 else limit << 20
    return run.dataset.splits[split].image.nbytes > room


def cache(run: run_setup.Run, split: str, phase: phases.Phase, state: TrainState) -> batch.Cache:
    """A split's images in device memory, or the features of the phase's views of them."""
    held, key, digest = run.caches.data, split, ""
    strengths = phase.augment
    if phase.cached_features:
        digest = feature_digest(run, state)
        key = (split, phase.views, strengths, digest)
    if key in held:
        return held[key]
    if split == online_rendering.NAME:
        held[key] = batch.Cache(assets=devices.replicate(run.dataset.engine.assets))
    elif phase.cached_features:
        views = [_view_features(run, split, view, strengths, state, digest) for view in phase.views]
        owners = parts.owners(run.dataset.splits[split].image, devices.share().count)
        features = devices.gather(np.stack(views, axis=1), owners)
        held[key] = batch.Cache(features=features, points=_points(run, split))
    else:
        image = None
        if not streams(run, split):
            image = on_devices(run.dataset.splits[split].image)
        held[key] = batch.Cache(image=image, points=_points(run, split))
    return held[key]


def on_devices(image: np.ndarray | parts.Parts) -> jax.Array:
    """Images on every device of this process; those of other processes' parts come from there."""
    if not isinstance(image, parts.Parts):
        return devices.replicate(image)
    owners = image.owners()
    return devices.gather(image[np.flatnonzero(owners == devices.share().index)], owners)


def _points(run: run_setup.Run, split: str) -> jax.Array | None:
    seen = run.dataset.splits[split].camera
    return None if seen is None else devices.replicate(seen.points)


def feature_digest(run: run_setup.Run, state: TrainState) -> str:
    """Hash of the weights and statistics that make features."""
    leaves = [
        leaf
        for tree in (state.params, state.batch_stats)
        for path, leaf in phases.by_path(tree).items()
        if path.startswith(tuple(f"{start}/" for start in run.model.network.feature_paths))
    ]
    return disk_cache.digest(*map(np.asarray, leaves))


def _view_features(
    run: run_setup.Run,
    name: str,
    view: str,
    strengths: augment.Augment,
    state: TrainState,
    weights: str,
) -> np.ndarray:
    """Features of one view of this process's part of a split, once for these weights and images."""
    split, share = run.dataset.splits[name], devices.share()
    index = np.flatnonzero(parts.owners(split.image, share.count) == share.index)
    model = run.model
    number = augment.random_number(view)
    looks = augment.VIEWS[view] if number is None else (number, *dataclasses.astuple(strengths))
    key = disk_cache.digest(
        split.digest,
        weights,
        tuple(looks),
        *model.input_spec[:3],  # not the frame, which changes no image
        model.network.feature_settings,
        *([] if share.count == 1 else [index]),
    )

    def advance(bar: tqdm, count: int) -> None:
        bar.update(count)
        if not devices.is_multiprocess():  # several processes stop together, between steps
            signals.raise_if_pending()

    def compute(_: disk_cache.NewArray) -> dict[str, np.ndarray]:
        with progress.bar(
            total=len(index),
            desc=f"features of {name}, view {view}",
            unit="img",
            show=run.show_progress,
        ) as bar:
            features = batch.feature_cache(
                model.network.feature_fn,
                jax.device_get(state.variables),
                split,
                (view,),
                input_spec=model.input_spec,
                augment=strengths,
                batch_size=run.config.eval.feature_batch_size,
                index=index,
                progress_fn=functools.partial(advance, bar),
            )
        return {"features": features[:, 0]}

    folder = disk_cache.cache_dir(run.config.data.cache_dir)
    return disk_cache.stored(folder, "features", key, compute)["features"]


def evaluate_split(
    run: run_setup.Run, split: str, phase: phases.Phase, state: TrainState
) -> Predictions:
    """Predictions for a whole split with the state's weights, without augmentation.

    Args:
      run: the run.
      split: a name of `run.dataset.splits`.
      phase: says whether the pose networks are tied and whether features are cached.
      state: whose weights predict.
    """
    held, evaluated = run.caches.evaluations, (phase, state.params)
    if split in held and all(map(operator.is_, held[split][0], evaluated)):
        return held[split][1]
    plain = dataclasses.replace(phase, views=build.views(run.model))
    predict_fn = compile_predict(run, split, tied=phase.tied)
    with progress.bar(
        total=len(run.dataset.splits[split].category),
        desc=f"evaluate {split}",
        unit="img",
        leave=False,
        show=run.show_progress,
    ) as bar:
        evaluation = inference.evaluate(
            run.model,
            state.variables,
            run.dataset.splits[split],
            batch_size=run.config.eval.batch_size,
            cache=cache(run, split, plain, state),
            predict_fn=predict_fn,
            progress_fn=bar.update,
        )
    # The end of training and the report ask for the same.
    held[split] = evaluated, evaluation
    return evaluation


def compile_predict(run: run_setup.Run, split: str, *, tied: bool) -> Callable:
    """What predicts batches of a split, see `inference.compile_predict`; compiled once."""
    margin = run.dataset.splits[split].margin
    key, programs = ("predict", tied, margin), run.caches.programs
    if key not in programs:
        model = run.model._replace(tied=tied)
        programs[key] = inference.compile_predict(model, margin)
    return programs[key]
