"""From a config to the objects that training, evaluation and prediction work on.

The config stops here and at the loop: below, functions take arrays, numbers and functions.
"""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from catpose.data import (
    augment,
    builtin,
    cache,
    dataset,
    listing,
    manifest,
    pascal3d,
    releases,
    rendered,
)
from catpose.errors import InputError
from catpose.models import networks, pretrained
from catpose.poses import POSES
from catpose.poses.pose import Pose
from catpose.train import phases


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
    """

    network: networks.Network
    pose: Pose
    categories: tuple[str, ...]
    resolution: int
    context: float
    normalization: str
    frame: str


def load_dataset(config: ml_collections.ConfigDict, *, progress: bool = True) -> dataset.Dataset:
    """The dataset that `config.data` names, with the rendered images beside it as one more split.

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
            num_images=dict(data.num_images),
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
    if not data.rendered:
        return loaded
    listed = rendered.read(
        data.rendered,
        categories=loaded.categories,
        tilt_sign=data.rendered_tilt,
        max_per_category=data.rendered_per_category,
        progress=progress,
    )
    more = _decoded(config, listed, progress)
    return loaded._replace(splits={**loaded.splits, **more.splits}, notes=loaded.notes + more.notes)


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
    return Model(
        network,
        POSES[model.pose],
        categories,
        config.data.resolution,
        config.data.context,
        model.normalization,
        config.frame,
    )


def initial_variables(
    config: ml_collections.ConfigDict, model: Model, key: Any
) -> tuple[dict[str, Any], str]:
    """Random weights, and over them the pretrained ones that `config.model.pretrained` names.

    A relative path counts from the current folder, else from `config.data.root`.

    Returns:
      The variables, and a line that says what was loaded and which names did not match.

    Raises:
      InputError: no such file, weights of another network, or another normalisation than theirs.
    """
    shape = (1, model.resolution, model.resolution, 3)
    variables = model.network.init_fn(key, jax.ShapeDtypeStruct(shape, jnp.float32))
    if config.model.pretrained == "none":
        return variables, "random initial weights"
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


def build_phases(config: ml_collections.ConfigDict) -> tuple[phases.Phase, ...]:
    """The phases of `config.phases`, checked."""
    return phases.from_config(config.phases)
