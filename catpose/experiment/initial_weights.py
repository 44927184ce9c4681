"""The weights that a run begins with: random ones, and pretrained ones over them."""

import pathlib
import re
from typing import Any

import jax
import jax.numpy as jnp

from catpose.errors import InputError
from catpose.experiment import build, checkpoint, phases, workdir
from catpose.experiment import config as config_lib
from catpose.models import pretrained

# A part of a feature network, wherever in a network it is.
_PART = re.compile(r"[./]((?:stem|stage\d|conv\d|fc6)[./].*)")


def initial_variables(
    config: config_lib.Config, model: build.Model, key: Any
) -> tuple[dict[str, Any], str]:
    """Random weights, and over them the pretrained ones that `config.model.pretrained` names.

    Of a network that comes with catpose it is the feature network, of another run every stage of
    its ResNet (or all of its VGG-M), wherever either network is split. A relative path counts from
    the current folder, else from `config.data.root`.

    Returns:
      The variables, and a line that says what was loaded and which names did not match.

    Raises:
      InputError: no such file, weights of another network, or another normalisation than theirs.
    """
    variables = model.network.init_fn(key, model.input_spec.image)
    if config.model.pretrained == "none":
        return variables, "random initial weights"
    if config.model.pretrained in workdir.shipped():
        return _with_shipped_features(config, model, variables)
    path = pathlib.Path(config.model.pretrained).expanduser()
    if path.is_dir():
        return _with_parts_of(path, model, variables)
    beside = pathlib.Path(config.data.root).expanduser() / path
    if not path.is_file() and not beside.is_file():
        raise InputError(
            f"no pretrained weights at {path} nor {beside}; "
            "set --config.model.pretrained to a file, or to none"
        )
    wanted = pretrained.normalization_of(config.model.variant)
    if model.input_spec.normalization != wanted:
        raise InputError(
            f"pretrained weights of variant {config.model.variant} want "
            f"config.model.normalization = {wanted}, not {model.input_spec.normalization}"
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
    config: config_lib.Config, model: build.Model, variables: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    name, group = config.model.pretrained, phases.FEATURE_NETWORK
    folder = workdir.find(name)
    wanted = workdir.read_config(folder).model.normalization
    if model.input_spec.normalization != wanted:
        raise InputError(
            f"the weights '{name}' want config.model.normalization = {wanted}, "
            f"not {model.input_spec.normalization}"
        )
    _, arrays = checkpoint.read_run(folder, best=False)
    filled = dict(variables)
    for kind in ("params", "batch_stats"):
        own = checkpoint.restore(arrays, variables[kind][group], f"{kind}.{group}")
        filled[kind] = {**variables[kind], group: own}
    return filled, f"the feature network of {name}; random weights elsewhere"


def _with_parts_of(
    folder: pathlib.Path, model: build.Model, variables: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    wanted = workdir.read_config(folder).model.normalization
    if model.input_spec.normalization != wanted:
        raise InputError(
            f"the run in {folder} wants config.model.normalization = {wanted}, "
            f"not {model.input_spec.normalization}"
        )
    _, arrays = checkpoint.read_run(folder, best=False)
    found = {}
    for path, array in arrays.items():
        kind, _, rest = path.partition(".")
        part = _PART.search(rest)
        if kind in variables and part:
            found[kind, part.group(1).replace(".", "/")] = array
    count = 0

    def fill(kind: str, path: str, leaf: Any) -> Any:
        nonlocal count
        part = _PART.search(path)
        if part is None:
            return leaf
        array = found.get((kind, part.group(1)))
        if array is None or array.shape != leaf.shape:
            had = "none" if array is None else f"one of shape {array.shape}"
            raise InputError(
                f"the run in {folder} has no {path} of shape {leaf.shape} to begin with, but {had}"
            )
        count += 1
        return jnp.asarray(array, leaf.dtype)

    filled = {}
    for kind, tree in variables.items():
        leaves = [fill(kind, path, leaf) for path, leaf in phases.by_path(tree).items()]
        filled[kind] = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    return filled, f"{folder.name}: {count} arrays loaded; random weights elsewhere"
