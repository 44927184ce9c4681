"""From a config to the images that a run trains on and is evaluated on."""

import numpy as np

from catpose.data import crop_cache, examples, manifest, online_rendering, shapes_dataset
from catpose.data.pascal3d import dataset as pascal3d
from catpose.data.pascal3d import layout as releases
from catpose.data.render_for_cnn import read as rendered
from catpose.errors import InputError
from catpose.experiment import config as config_lib
from catpose.synthetic import domain_randomization, view_density


def load_dataset(
    config: config_lib.Config, *, only: str = "", show_progress: bool = True
) -> examples.Dataset:
    """The dataset that `config.data` names, with the rendered images beside it as one more split.

    Args:
      config: of the run.
      only: the split that is wanted; others may be left out, where they need not be made for it.
      show_progress: show bars on a terminal.

    Raises:
      InputError: an unknown kind, or whatever the source says of its files.
    """
    data = config.data
    if data.kind == "shapes":
        loaded = shapes_dataset.load(
            num_images={k: n for k, n in data.num_images.items() if only in ("", k)},
            seed=data.seed,
            resolution=data.resolution,
            cache_dir=data.cache_dir,
            show_progress=show_progress,
        )
    elif data.kind == "manifest":
        loaded = _decoded(config, manifest.read(data.root, tuple(data.categories)), show_progress)
    elif data.kind in releases.RELEASES:
        listed = pascal3d.read(data.root, dataset=data.kind, variant=data.variant)
        if data.categories:
            listed = examples.of_categories(listed, tuple(data.categories))
        loaded = _decoded(config, listed, show_progress)
    else:
        raise InputError(
            f"config.data.kind is '{data.kind}'; it can be shapes, manifest, "
            + " or ".join(releases.RELEASES)
        )
    if data.num_train and "train" in loaded.splits:
        fewer = examples.fewer(loaded.splits["train"], data.num_train, seed=config.seed)
        loaded = loaded._replace(splits={**loaded.splits, "train": fewer})
    if only in loaded.splits:
        return loaded
    if data.rendered:
        loaded = _with_rendered(config, loaded, show_progress)
    draws = any(online_rendering.NAME in phase.sources for phase in config.phases)
    return _with_engine(config, loaded) if draws else loaded


def _with_rendered(
    config: config_lib.Config, loaded: examples.Dataset, show_progress: bool
) -> examples.Dataset:
    data = config.data
    listed = rendered.read(
        data.rendered,
        categories=loaded.categories,
        tilt_sign=data.rendered_tilt,
        max_per_category=data.rendered_per_category,
        show_progress=show_progress,
    )
    more = _decoded(config, listed, show_progress)
    return loaded._replace(splits={**loaded.splits, **more.splits}, notes=loaded.notes + more.notes)


def _with_engine(config: config_lib.Config, loaded: examples.Dataset) -> examples.Dataset:
    made = build_engine(config, loaded)
    splits = {**loaded.splits, online_rendering.NAME: online_rendering.split(made)}
    return loaded._replace(splits=splits, engine=made)


def build_engine(config: config_lib.Config, loaded: examples.Dataset) -> online_rendering.Engine:
    """What `config.engine` says of images that are drawn in the step.

    Raises:
      InputError: no models of a category, ranges or strengths that are none, no backgrounds, or
        views like those of a split that is not there.
    """
    made, names = config.engine, config.engine.names
    resolution = config.data.resolution
    called = [names.get(name, name) for name in loaded.categories]
    if made.models == "builtin":
        meshes = online_rendering.builtin_models(
            called, per_category=made.per_category, seed=made.seed
        )
    else:
        meshes = online_rendering.own_models(
            made.models,
            called,
            per_category=made.per_category,
            max_triangles=made.max_triangles,
            up=made.up,
            front=made.front,
        )
    size = online_rendering.background_size(resolution)
    if made.backgrounds:
        table = online_rendering.photo_backgrounds(
            made.backgrounds, made.num_backgrounds, size, seed=made.seed
        )
    else:
        table = online_rendering.procedural_backgrounds(made.num_backgrounds, size, seed=made.seed)
    return online_rendering.build(
        meshes,
        table,
        _views(made, loaded),
        look=made.look,
        supersampling=made.supersampling,
    )


def _views(made: config_lib.Engine, loaded: examples.Dataset) -> domain_randomization.Views:
    ranges = view_density.ranges(
        azimuth_deg=made.azimuth_deg,
        elevation_deg=made.elevation_deg,
        theta_deg=made.theta_deg,
        distance=made.distance,
    )
    limits = view_density.stack([ranges] * len(loaded.categories))
    if not made.views_like:
        return domain_randomization.Views(limits)
    if made.views_like not in loaded.splits:
        raise InputError(
            f"config.engine.views_like is '{made.views_like}'; the splits are "
            + ", ".join(loaded.splits)
        )
    like = loaded.splits[made.views_like]
    distance = None if like.camera is None else _in_half_diagonals(like.camera)
    densities = []
    for number, name in enumerate(loaded.categories):
        own = like.category == number
        seen = None if distance is None else distance[own]
        densities.append(view_density.fit(like.rotation[own], distance=seen, name=name))
    return domain_randomization.Views(limits, view_density.stack(densities), made.uniform_share)


def _in_half_diagonals(seen: examples.Camera) -> np.ndarray:
    """Distances in half diagonals of the objects' own models, the engine's unit; NaN if unknown."""
    if not len(seen.points):
        return np.full(seen.distance.shape, np.nan)
    half = np.linalg.norm(np.ptp(seen.points, axis=1), axis=-1) / 2
    distance = np.where(seen.model >= 0, seen.distance / half[seen.model], np.nan)
    return np.where(distance > config_lib.NEAREST, distance, np.nan)


def _decoded(
    config: config_lib.Config, listed: examples.Examples, show_progress: bool
) -> examples.Dataset:
    """Crops whose boxes have the pixels that the network sees of them, so few are interpolated."""
    data = config.data
    box = round(data.resolution / data.context)
    return crop_cache.load(
        listed,
        resolution=box,
        margin=data.margin + (data.resolution - box + 1) // 2,
        max_broken_share=data.max_broken_share,
        cache_dir=data.cache_dir,
        show_progress=show_progress,
    )
