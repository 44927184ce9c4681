"""From a config to the images that a run trains on and is evaluated on."""

import dataclasses
import sys
from collections.abc import Callable

import numpy as np

from catpose import config_keys, devices
from catpose.data import (
    benchmarks,
    crop_cache,
    examples,
    labels,
    manifest,
    online_rendering,
    shapes_dataset,
    symsol_dataset,
)
from catpose.data.categories import CATEGORIES
from catpose.data.pascal3d import dataset as pascal3d
from catpose.data.render_for_cnn import read as rendered
from catpose.errors import InputError
from catpose.experiment import config as config_lib
from catpose.synthetic import backgrounds, domain_randomization, view_density


def _read_rendered_here(data: config_lib.Data, show_progress: bool) -> examples.Dataset:
    load = {"shapes": shapes_dataset.load, "symsol": symsol_dataset.load}[data.kind]
    return load(
        num_images=data.num_images,
        seed=data.seed,
        resolution=data.resolution,
        cache_dir=data.cache_dir,
        show_progress=show_progress,
        share=devices.share(),
    )


def _read_manifest(data: config_lib.Data, show_progress: bool) -> examples.Examples:
    return manifest.read(data.root, tuple(data.categories), share=devices.share())


def _read_release(data: config_lib.Data, show_progress: bool) -> examples.Examples:
    return pascal3d.read(data.root, dataset=data.kind, variant=data.variant)


def _read_rendered(data: config_lib.Data, show_progress: bool) -> examples.Examples:
    return rendered.read(
        data.rendered or data.root,
        categories=tuple(data.categories) or CATEGORIES,
        tilt_sign=data.rendered_tilt,
        max_per_category=data.rendered_per_category,
        show_progress=show_progress,
    )


# By `config.data.kind`: (`config.data`, whether to show bars) -> encoded examples, which are then
# decoded and kept, or a Dataset of decoded ones.
READERS: dict[str, Callable[[config_lib.Data, bool], examples.Examples | examples.Dataset]] = {
    "shapes": _read_rendered_here,
    "symsol": _read_rendered_here,
    "manifest": _read_manifest,
    "pascal3d": _read_release,
    "objectnet3d": _read_release,
    "rendered": _read_rendered,
}


def read(data: config_lib.Data, show_progress: bool = True) -> examples.Examples | examples.Dataset:
    """What the reader that `data.kind` names makes of `data`, in the categories of `data`.

    Raises:
      InputError: an unknown kind, or whatever the reader says of its files.
    """
    if data.kind not in READERS:
        raise InputError(f"config.data.kind is '{data.kind}'; it can be {', '.join(READERS)}")
    found = READERS[data.kind](data, show_progress)
    if data.categories and isinstance(found, examples.Examples):
        return examples.of_categories(found, tuple(data.categories))
    return found


def read_labels(where: str, split: str, lists: str = "") -> examples.Examples:
    """Labels of a table or a folder (see `labels.read`), or "KIND:FOLDER" for a reader of READERS.

    Args:
      where: these; "ood_cv:FOLDER" for the labels of OOD-CV.
      split: only the objects of this split; "" for all.
      lists: folder of OccludedPASCAL3D+'s lists of images, to which the labels are distributed.

    Raises:
      InputError: nothing there, no such split, or content that is wrong.
    """
    if lists:
        return benchmarks.by_lists(read_labels(where, split), config_keys.expanded(lists))
    kind, colon, folder = where.partition(":")
    if kind == "ood_cv" and colon:
        return benchmarks.read_ood_cv(config_keys.expanded(folder))
    if not (colon and kind in READERS):
        return labels.read(config_keys.expanded(where), split)
    found = read(config_lib.Data(kind=kind, root=config_keys.expanded(folder)))
    if isinstance(found, examples.Dataset):
        raise InputError(f"the data {where} are no files; score a run on them with --workdir")
    return labels.of_split(found, split, where)


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
    if only:
        wanted = {name: count for name, count in data.num_images.items() if name == only}
        data = dataclasses.replace(data, num_images=wanted)
    loaded = read(data, show_progress)
    for note in loaded.notes if show_progress else ():
        print(note, file=sys.stderr)
    if isinstance(loaded, examples.Examples):
        loaded = _decoded(config, loaded, show_progress)
    if data.num_train and "train" in loaded.splits:
        fewer = examples.fewer(loaded.splits["train"], data.num_train, seed=config.seed)
        loaded = loaded._replace(splits={**loaded.splits, "train": fewer})
    if only in loaded.splits:
        return loaded
    if data.rendered:
        own = dataclasses.replace(data, categories=loaded.categories)
        more = _decoded(config, _read_rendered(own, show_progress), show_progress)
        splits, notes = {**loaded.splits, **more.splits}, loaded.notes + more.notes
        loaded = loaded._replace(splits=splits, notes=notes)
    if any(online_rendering.NAME in phase.sources for phase in config.phases):
        engine = build_engine(config, loaded)
        splits = {**loaded.splits, online_rendering.NAME: online_rendering.split(engine)}
        loaded = loaded._replace(splits=splits, engine=engine)
    return loaded


def build_engine(config: config_lib.Config, loaded: examples.Dataset) -> online_rendering.Engine:
    """Models, backgrounds and views for images rendered online, as `config.engine` says.

    Raises:
      InputError: no models of a category, invalid ranges or strengths, no backgrounds, or views
        like those of a split that does not exist.
    """
    made, names = config.engine, config.engine.names
    resolution = config.data.resolution
    called = [names.get(name, name) for name in loaded.categories]
    if made.models in ("builtin", "detailed"):
        meshes = online_rendering.builtin_models(
            called,
            per_category=made.per_category,
            seed=made.seed,
            detailed=made.models == "detailed",
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
    size = domain_randomization.background_size(resolution)
    if made.backgrounds:
        table = online_rendering.photo_backgrounds(
            made.backgrounds, made.num_backgrounds, size, seed=made.seed
        )
    else:
        count = made.num_backgrounds
        generator = np.random.default_rng([made.seed, count, size])
        table = backgrounds.table(generator, count, size, made.background_family)
    return online_rendering.build(
        meshes,
        table,
        _views(made, loaded),
        look=made.look,
        supersampling=made.supersampling,
    )


def _views(made: config_lib.Engine, loaded: examples.Dataset) -> domain_randomization.Views:
    if unknown := [name for name in made.views if name not in loaded.categories]:
        raise InputError(
            f"config.engine.views has '{unknown[0]}'; the categories are "
            + ", ".join(loaded.categories)
        )
    common = {name: getattr(made, name) for name in config_lib.VIEW_RANGES}
    limits = view_density.stack(
        [view_density.ranges(**common | made.views.get(name, {})) for name in loaded.categories]
    )
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
        own = (like.category == number) & examples.labeled(like, "whole")
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
    config: config_lib.Config, encoded: examples.Examples, show_progress: bool
) -> examples.Dataset:
    """Crops whose boxes have the pixels that the network sees of them, so few are interpolated."""
    data = config.data
    box = round(data.resolution / data.context)
    return crop_cache.load(
        encoded,
        resolution=box,
        margin=data.margin + (data.resolution - box + 1) // 2,
        max_broken_share=data.max_broken_share,
        cache_dir=data.cache_dir,
        show_progress=show_progress,
        share=devices.share(),
    )
