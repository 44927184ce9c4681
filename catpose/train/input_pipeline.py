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
from catpose.data import augment, batch, disk_cache, online_rendering, sampling
from catpose.data.predictions import Predictions
from catpose.experiment import phases
from catpose.train import run_setup, signals, state

# What stored features depend on, beside the weights and the images.
FEATURE_KEYS = ("variant", "split_stage", "pool_grid", "pool_channels", "category_head", "dtype")


def batches(
    run: run_setup.Run, phase: phases.Phase, start: int
) -> Iterator[dict[str, batch.Records]]:
    """This process's rows for the phase's calls from step `start` on, placed, without end."""
    at_step = _reader(run, phase, whole=False)
    count, mode = run.config.steps_per_call, run.config.parallel

    def at_call(at: int) -> dict[str, batch.Records]:
        if count == 1:
            return devices.place(at_step(at), mode)
        steps = [at_step(at + i) for i in range(count)]
        return devices.place(jax.tree.map(lambda *rows: np.stack(rows), *steps), mode, axis=1)

    # The next batch is read from disk, and put on the device, while that works on this one.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        coming = pool.submit(at_call, start)
        for at in itertools.count(start + count, count):
            ready, coming = coming, pool.submit(at_call, at)
            yield ready.result()


def whole_batch(run: run_setup.Run, phase: phases.Phase, at: int) -> dict[str, batch.Records]:
    """All processes' rows of the phase's batch at step `at`, on the host."""
    return _reader(run, phase, whole=True)(at)


def _reader(
    run: run_setup.Run, phase: phases.Phase, *, whole: bool
) -> Callable[[int], dict[str, batch.Records]]:
    pools = {name: run_setup.pools(run, name) for name in phase.sources}
    streamed = {name: not phase.cached_features and streams(run, name) for name in phase.sources}

    def at_step(at: int) -> dict[str, batch.Records]:
        records, position = {}, 0
        for name, count in phase.sources.items():
            index = sampling.balanced(pools[name], batch_size=count, step=at, seed=run.config.seed)
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

    return at_step


def streams(run: run_setup.Run, split: str) -> bool:
    """Whether a split's images stay on the host, since they would not fit into device memory."""
    limit = run.config.data.device_cache_mb
    room = devices.memory_for_data() if limit < 0 else limit << 20
    return run.dataset.splits[split].image.nbytes > room


def cache(
    run: run_setup.Run, split: str, phase: phases.Phase, current: state.TrainState
) -> batch.Cache:
    """A split's images in device memory, or the features of the phase's views of them."""
    if split == online_rendering.NAME:
        if split not in run.memo:
            run.memo[split] = batch.Cache(assets=devices.replicate(run.dataset.engine.assets))
        return run.memo[split]
    if not phase.cached_features:
        if split not in run.memo:
            images = None if streams(run, split) else run.dataset.splits[split].image
            run.memo[split] = batch.Cache(
                image=images if images is None else devices.replicate(images),
                points=_points(run, split),
            )
        return run.memo[split]
    weights = feature_digest(run, current)
    strengths = phase.augment
    key = (split, phase.views, strengths, weights)
    if key not in run.memo:
        views = [
            _view_features(run, split, view, strengths, current, weights) for view in phase.views
        ]
        run.memo[key] = batch.Cache(
            features=devices.replicate(np.stack(views, axis=1)), points=_points(run, split)
        )
    return run.memo[key]


def _points(run: run_setup.Run, split: str) -> jax.Array | None:
    seen = run.dataset.splits[split].camera
    return None if seen is None else devices.replicate(seen.points)


def feature_digest(run: run_setup.Run, current: state.TrainState) -> str:
    """Hash of the weights and statistics that make features."""
    leaves = [
        leaf
        for tree in (current.params, current.batch_stats)
        for path, leaf in phases.by_path(tree).items()
        if path.startswith(tuple(f"{start}/" for start in run.model.network.feature_paths))
    ]
    return disk_cache.digest(*map(np.asarray, leaves))


def _view_features(
    run: run_setup.Run,
    name: str,
    view: str,
    strengths: augment.Augment,
    current: state.TrainState,
    weights: str,
) -> np.ndarray:
    """Features of one view of a split, (N, ...), computed once for these weights and images."""
    split = run.dataset.splits[name]
    model = run.model
    reads = {name: getattr(run.config.model, name) for name in FEATURE_KEYS}
    number = augment.random_number(view)
    looks = augment.VIEWS[view] if number is None else (number, *dataclasses.astuple(strengths))
    key = disk_cache.digest(
        split.digest,
        weights,
        tuple(looks),
        *model.input_spec[:3],  # not the frame, which changes no image
        reads,
    )
    variables = {"params": current.params, "batch_stats": current.batch_stats}

    def advance(bar: tqdm, count: int) -> None:
        bar.update(count)
        if not devices.is_multiprocess():  # several processes stop together, between steps
            signals.raise_if_asked()

    def compute(_: disk_cache.NewArray) -> dict[str, np.ndarray]:
        with progress.bar(
            total=len(split.category),
            desc=f"features of {name}, view {view}",
            unit="img",
            show=run.show_progress,
        ) as bar:
            features = batch.feature_cache(
                model.network.feature_fn,
                jax.device_get(variables),
                split,
                (view,),
                input_spec=model.input_spec,
                augment=strengths,
                batch_size=run.config.eval.feature_batch_size,
                progress_fn=functools.partial(advance, bar),
            )
        return {"features": features[:, 0]}

    folder = disk_cache.cache_dir(run.config.data.cache_dir)
    return disk_cache.stored(folder, "features", key, compute)["features"]


def evaluate_split(
    run: run_setup.Run, split: str, phase: phases.Phase, current: state.TrainState
) -> Predictions:
    """Predictions for a whole split with the state's weights, without augmentation.

    Args:
      run: the run.
      split: a name of `run.dataset.splits`.
      phase: says whether the pose networks are tied and whether features are cached.
      current: the state.
    """
    last, evaluated = ("evaluated", split), (phase, current.params)
    if last in run.memo and all(map(operator.is_, run.memo[last][0], evaluated)):
        return run.memo[last][1]
    plain = dataclasses.replace(phase, views=("identity",))
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
            {"params": current.params, "batch_stats": current.batch_stats},
            run.dataset.splits[split],
            batch_size=run.config.eval.batch_size,
            cache=cache(run, split, plain, current),
            predict_fn=predict_fn,
            progress_fn=bar.update,
        )
    # The end of training and the report ask for the same.
    run.memo[last] = evaluated, evaluation
    return evaluation


def compile_predict(run: run_setup.Run, split: str, *, tied: bool) -> Callable:
    """What predicts batches of a split, see `inference.compile_predict`; compiled once."""
    margin = run.dataset.splits[split].margin
    key = ("predict", tied, margin)
    if key not in run.programs:
        model = run.model._replace(tied=tied)
        run.programs[key] = inference.compile_predict(model, margin)
    return run.programs[key]
