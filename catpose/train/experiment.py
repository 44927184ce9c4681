"""From a config to the objects that training, evaluation and prediction work on.

The config stops here and at the loop: below, functions take arrays, numbers and functions.
"""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from catpose.data import (
    augment,
    builtin,
    cache,
    dataset,
    drawn,
    listing,
    manifest,
    pascal3d,
    releases,
    rendered,
)
from catpose.errors import InputError
from catpose.geometry import symmetry
from catpose.models import networks, pretrained
from catpose.poses import POSES
from catpose.poses.pose import Pose
from catpose.render import engine, views
from catpose.train import checkpoint, phases, workdir


class Model(NamedTuple):
    """A network with what must be known to feed and read it.

    Attributes:
      network: its functions.
      pose: the representation of its pose outputs.
      categories: names in the order of the indices.
      resolution: side of the input in pixels.
      context: side of the crop over that of the box, see `catpose.data.augment.view_image`.
      normalization: see `catpose.data.augment.normalize`.
      frame: the frame of learning.
      symmetry: (K,) orders (see `catpose.geometry.symmetry`) that losses and errors respect; None
        where no category has one.
    """

    network: networks.Network
    pose: Pose
    categories: tuple[str, ...]
    resolution: int
    context: float
    normalization: str
    frame: str
    symmetry: np.ndarray | None


def load_dataset(
    config: ml_collections.ConfigDict, *, only: str = "", progress: bool = True
) -> dataset.Dataset:
    """The dataset that `config.data` names, with the rendered images beside it as one more split.

    Args:
      config: of the run.
      only: the split that is wanted; others may be left out, where they need not be made for it.
      progress: show bars on a terminal.

    Raises:
      InputError: an unknown kind, a context that is none, or whatever the source says of its files.
    """
    data = config.data
    if not 1 <= data.context <= 4:
        raise InputError(
            f"config.data.context is {data.context:g}: the side of the crop over that of "
            "the box, from 1 (no context) to 4"
        )
    if data.kind == "shapes":
        loaded = builtin.load(
            num_images={k: n for k, n in data.num_images.items() if only in ("", k)},
            seed=data.seed,
            resolution=data.resolution,
            cache_dir=data.cache_dir,
            progress=progress,
        )
    elif data.kind == "manifest":
        loaded = _decoded(config, manifest.read(data.root, tuple(data.categories)), progress)
    elif data.kind in releases.RELEASES:
        listed = pascal3d.read(data.root, dataset=data.kind, variant=data.variant)
        if data.categories:
            listed = listing.of_categories(listed, tuple(data.categories))
        loaded = _decoded(config, listed, progress)
    else:
        raise InputError(
            f"config.data.kind is '{data.kind}'; it can be shapes, manifest, "
            + " or ".join(releases.RELEASES)
        )
    if only in loaded.splits:
        return loaded
    if data.num_train and "train" in loaded.splits:
        fewer = dataset.fewer(loaded.splits["train"], data.num_train, seed=config.seed)
        loaded = loaded._replace(splits={**loaded.splits, "train": fewer})
    if data.rendered:
        loaded = _with_rendered(config, loaded, progress)
    drawn_from = [phase["sources"] for phase in config.phases if drawn.NAME in phase["sources"]]
    return _with_engine(config, loaded) if drawn_from else loaded


def _with_rendered(
    config: ml_collections.ConfigDict, loaded: dataset.Dataset, progress: bool
) -> dataset.Dataset:
    data = config.data
    listed = rendered.read(
        data.rendered,
        categories=loaded.categories,
        tilt_sign=data.rendered_tilt,
        max_per_category=data.rendered_per_category,
        progress=progress,
    )
    more = _decoded(config, listed, progress)
    return loaded._replace(splits={**loaded.splits, **more.splits}, notes=loaded.notes + more.notes)


def _with_engine(config: ml_collections.ConfigDict, loaded: dataset.Dataset) -> dataset.Dataset:
    made = build_engine(config, loaded)
    splits = {**loaded.splits, drawn.NAME: drawn.split(made)}
    return loaded._replace(splits=splits, engine=made)


def build_engine(config: ml_collections.ConfigDict, loaded: dataset.Dataset) -> drawn.Engine:
    """What `config.engine` says of images that are drawn in the step.

    Raises:
      InputError: no models of a category, ranges or strengths that are none, no backgrounds, or
        views like those of a split that is not there.
    """
    made, names = config.engine, dict(config.engine.names)
    resolution = config.data.resolution
    called = [names.get(name, name) for name in loaded.categories]
    if made.models == "builtin":
        meshes = drawn.builtin_models(called, per_category=made.per_category, seed=made.seed)
    else:
        meshes = drawn.own_models(
            made.models,
            called,
            per_category=made.per_category,
            max_triangles=made.max_triangles,
            up=made.up,
            front=made.front,
        )
    size = drawn.background_size(resolution)
    if made.backgrounds:
        table = drawn.photo_backgrounds(
            made.backgrounds, made.num_backgrounds, size, seed=made.seed
        )
    else:
        table = drawn.procedural_backgrounds(made.num_backgrounds, size, seed=made.seed)
    return drawn.build(
        meshes,
        table,
        _views(made, loaded),
        look=engine.look(dict(made.look)),
        supersampling=made.supersampling,
    )


def _views(made: ml_collections.ConfigDict, loaded: dataset.Dataset) -> engine.Views:
    ranges = views.ranges(
        azimuth_deg=made.azimuth_deg,
        elevation_deg=made.elevation_deg,
        theta_deg=made.theta_deg,
        distance=made.distance,
    )
    limits = views.stack([ranges] * len(loaded.categories))
    if not made.views_like:
        return engine.Views(limits)
    if made.views_like not in loaded.splits:
        raise InputError(
            f"config.engine.views_like is '{made.views_like}'; the splits are "
            + ", ".join(loaded.splits)
        )
    like = loaded.splits[made.views_like]
    densities = []
    for number, name in enumerate(loaded.categories):
        own = like.category == number
        seen = None if like.camera is None else like.camera.distance[own]
        densities.append(views.fit(like.rotation[own], distance=seen, name=name))
    return engine.Views(limits, views.stack(densities), made.uniform_share)


def _decoded(
    config: ml_collections.ConfigDict, listed: listing.Listing, progress: bool
) -> dataset.Dataset:
    """Crops whose boxes have the pixels that the network sees of them, so few are interpolated."""
    data = config.data
    box = round(data.resolution / data.context)
    return cache.load(
        listed,
        resolution=box,
        margin=data.margin + (data.resolution - box + 1) // 2,
        max_broken_share=data.max_broken_share,
        cache_dir=data.cache_dir,
        progress=progress,
    )


def build_model(config: ml_collections.ConfigDict, categories: tuple[str, ...]) -> Model:
    """The network that `config.model` describes, for these categories.

    Raises:
      InputError: a value that no network has.
    """
    model = config.model
    if model.pose not in POSES:
        raise InputError(f"config.model.pose is '{model.pose}'; it can be {', '.join(POSES)}")
    if model.normalization not in augment.NORMALIZATIONS:
        raise InputError(
            f"config.model.normalization is '{model.normalization}'; "
            f"it can be {', '.join(augment.NORMALIZATIONS)}"
        )
    try:
        network = networks.integrated(
            num_categories=len(categories),
            pose=POSES[model.pose],
            blocks=tuple(model.blocks),
            width=model.width,
            block=model.block,
            variant=model.variant,
            stem=model.stem,
            split_stage=model.split_stage,
            pool_grid=model.pool_grid,
            pool_channels=model.pool_channels,
            category_head=model.category_head,
            head_hidden=tuple(model.head_hidden),
            head_dropout=model.head_dropout,
            pose_hidden=tuple(model.pose_hidden),
            dtype=jnp.dtype(model.dtype),
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"config.model: {error}") from error
    orders = symmetry.orders(dict(config.data.symmetry), categories)
    return Model(
        network,
        POSES[model.pose],
        categories,
        config.data.resolution,
        config.data.context,
        model.normalization,
        config.frame,
        orders if (orders != 1).any() else None,
    )


def initial_variables(
    config: ml_collections.ConfigDict, model: Model, key: Any
) -> tuple[dict[str, Any], str]:
    """Random weights, and over them the pretrained ones that `config.model.pretrained` names.

    Of a network that comes with catpose it is the feature network. A relative path counts from the
    current folder, else from `config.data.root`.

    Returns:
      The variables, and a line that says what was loaded and which names did not match.

    Raises:
      InputError: no such file, weights of another network, or another normalisation than theirs.
    """
    shape = (1, model.resolution, model.resolution, 3)
    variables = model.network.init_fn(key, jax.ShapeDtypeStruct(shape, jnp.float32))
    if config.model.pretrained == "none":
        return variables, "random initial weights"
    if config.model.pretrained in workdir.shipped():
        return _with_shipped_features(config, model, variables)
    path = pathlib.Path(config.model.pretrained).expanduser()
    beside = pathlib.Path(config.data.root).expanduser() / path
    if not path.is_file() and not beside.is_file():
        raise InputError(
            f"no pretrained weights at {path} nor {beside}; "
            "set --config.model.pretrained to a file, or to none"
        )
    wanted = pretrained.normalization_of(config.model.variant)
    if model.normalization != wanted:
        raise InputError(
            f"pretrained weights of variant {config.model.variant} want "
            f"config.model.normalization = {wanted}, not {model.normalization}"
        )
    try:
        variables, found = pretrained.load_pretrained(
            path if path.is_file() else beside,
            variables,
            allow_missing=config.model.allow_missing,
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    line = f"{path.name}: {len(found.loaded)} arrays loaded"
    for kind, names in (("missing, left random", found.missing), ("unused", found.surplus)):
        if names:
            line += f"; {len(names)} {kind}: {', '.join(names[:3])}{' ...' * (len(names) > 3)}"
    return variables, line


def _with_shipped_features(
    config: ml_collections.ConfigDict, model: Model, variables: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    name, group = config.model.pretrained, phases.FEATURE_NETWORK
    folder = workdir.find(name)
    wanted = workdir.read_config(folder).model.normalization
    if model.normalization != wanted:
        raise InputError(
            f"the weights '{name}' want config.model.normalization = {wanted}, "
            f"not {model.normalization}"
        )
    _, arrays = checkpoint.read_run(folder, best=False)
    filled = dict(variables)
    for kind in ("params", "batch_stats"):
        own = checkpoint.restore(arrays, variables[kind][group], f"{kind}.{group}")
        filled[kind] = {**variables[kind], group: own}
    return filled, f"the feature network of {name}; random weights elsewhere"


def read_variables(
    folder: pathlib.Path, model: Model, *, best: bool = False
) -> tuple[int, dict[str, Any]]:
    """Step and variables of a run, or of a network that comes with catpose.

    Raises:
      InputError: no checkpoint there, or one of another network.
    """
    shape = jax.ShapeDtypeStruct((1, model.resolution, model.resolution, 3), jnp.float32)
    target = jax.eval_shape(model.network.init_fn, jax.random.key(0), shape)
    step, arrays = checkpoint.read_run(folder, best=best)
    return step, {name: checkpoint.restore(arrays, target[name], name) for name in target}


def build_phases(config: ml_collections.ConfigDict) -> tuple[phases.Phase, ...]:
    """The phases of `config.phases` for the weights that the run begins with, checked."""
    weights = "random" if config.model.pretrained == "none" else "pretrained"
    return phases.from_config(config.phases, weights)
