"""From a config to the objects that training, evaluation and prediction work on.

The config stops here and at the loop: below, functions take arrays, numbers and functions.
"""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from catpose.data import augment
from catpose.errors import InputError
from catpose.geometry import symmetry, viewpoint
from catpose.models import networks, pretrained
from catpose.poses import MAKERS, POSES, dictionary
from catpose.poses.pose import Pose
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
      keys: (M, 3, 3) the dictionary that `pose` was made of, in `frame`; None where it is not a
        fitted one.
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
    keys: np.ndarray | None
    symmetry: np.ndarray | None


def fit_keys(config: ml_collections.ConfigDict, rotation: np.ndarray) -> np.ndarray | None:
    """The dictionary of `config.model.pose_keys` rotations, in the frame of learning.

    Args:
      config: of the run.
      rotation: (N, 3, 3) of the training split, frame "camera".

    Returns:
      (M, 3, 3) float32; None where none is asked for.

    Raises:
      InputError: fewer different rotations than that.
    """
    if not config.model.pose_keys:
        return None
    rotation = viewpoint.convert_frame(jnp.asarray(rotation), "camera", config.frame)
    try:
        return dictionary.fit(np.asarray(rotation), config.model.pose_keys, seed=config.seed)[0]
    except ValueError as error:
        raise InputError(f"config.model.pose_keys: {error}") from error


def build_pose(config: ml_collections.ConfigDict, keys: np.ndarray | None = None) -> Pose:
    """The representation that `config.model` describes.

    Args:
      config: of the run.
      keys: what `fit_keys` returned when the run began.

    Raises:
      InputError: an unknown name, or settings that it does not have.
    """
    name, settings = config.model.pose, dict(config.model.pose_settings)
    if name not in POSES:
        raise InputError(f"config.model.pose is '{name}'; it can be {', '.join(POSES)}")
    if config.model.pose_keys and name != "bin_delta":
        raise InputError(f"config.model.pose_keys is of bin_delta, not of '{name}'")
    if name not in MAKERS:
        if settings:
            raise InputError(f"config.model.pose_settings: '{name}' has no settings")
        return POSES[name]
    if name != "bin_delta":
        settings["frame"] = config.frame
    elif not config.model.pose_keys:
        settings["keys"] = dictionary.cube()
    elif keys is None:
        raise InputError("the run's key rotations are missing: its folder has no pose_keys.npy")
    else:
        settings["keys"] = keys
    try:
        return MAKERS[name](**settings)
    except (TypeError, ValueError) as error:
        raise InputError(f"config.model.pose_settings: {error}") from error


def build_model(
    config: ml_collections.ConfigDict,
    categories: tuple[str, ...],
    keys: np.ndarray | None = None,
) -> Model:
    """The network that `config.model` describes, for these categories; keys as for `build_pose`.

    Raises:
      InputError: a value that no network has.
    """
    model = config.model
    pose = build_pose(config, keys)
    if model.normalization not in augment.NORMALIZATIONS:
        raise InputError(
            f"config.model.normalization is '{model.normalization}'; "
            f"it can be {', '.join(augment.NORMALIZATIONS)}"
        )
    try:
        network = networks.integrated(
            num_categories=len(categories),
            pose=pose,
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
        pose,
        categories,
        config.data.resolution,
        config.data.context,
        model.normalization,
        config.frame,
        keys,
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
