"""Initial weights from a file, such as ImageNet's, matched by the names that the backbone knows.

A classifier is loaded where the network has the backbone's own.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax import numpy as jnp
from jax import tree_util
from jaxtyping import Float

from catpose.errors import InputError
from catpose.models import backbone as backbones
from catpose.models import weight_files
from catpose.models.architectures import Network

_OUTPUTS_LAST = {4: (2, 3, 1, 0), 2: (1, 0)}  # by the number of axes
_COUNTER = "num_batches_tracked"  # of PyTorch's batch normalization


class Report(NamedTuple):
    """Which arrays of a file are in the network, and which are not.

    loaded: names in the file whose arrays are now in the network.
    missing: names that the network needs and the file lacks.
    surplus: in the file and not used: counters, and what the network lacks, such as a classifier.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]


def load_pretrained(
    path: str | pathlib.Path, variables: dict, network: Network, *, allow_missing: bool = False
) -> tuple[dict, Report]:
    """Put a file's weights into every layer of a network's backbone, wherever it is split.

    Args:
      path: a file of weights, see catpose.models.weight_files.
      variables: of the network; its feature_network, and its category_network where that has
        layers of the backbone or a feature network of its own, are filled. Everything else comes
        back as it is.
      network: its backbone names the arrays of the file.
      allow_missing: keep the values of `variables` where the file lacks a name.

    Returns:
      The new variables, in the types of the old ones, and a report.

    Raises:
      InputError: the file's names are not those of the backbone, a wanted name is missing (unless
        allowed), a used part of the network has further arrays in the file, an array has another
        shape or type, or values that no weights have.
    """
    backbone, file_name = network.backbone, pathlib.Path(path).name
    if backbone.weight_names is None:
        raise InputError(f"{file_name}: no files of weights are known for this backbone")
    arrays = weight_files.read(path)
    try:
        name_of = backbone.weight_names(network.net, arrays)
    except ValueError as error:
        raise InputError(f"{file_name} {error}") from error
    leaves, tree = tree_util.tree_flatten_with_path(variables)
    paths = (
        backbones.layer_path([part.key for part in path], backbone.layers) for path, _ in leaves
    )
    names = [own and name_of(own) for own in paths]
    missing = tuple(name for name in names if name and name not in arrays)
    if missing and not allow_missing:
        raise InputError(
            f"{file_name} lacks {len(missing)} arrays: {', '.join(missing[:3])} ...; take a whole "
            "file, config.model.category_head=pooled for one up to stage 4, or "
            "config.model.allow_missing=True"
        )
    used = set(names)
    surplus = tuple(name for name in arrays if name not in used)
    _check_surplus(backbone, names, surplus, file_name)
    loaded = [name if name in arrays else None for name in names]
    for name, (_, leaf) in zip(loaded, leaves, strict=True):
        if name and (shape := _shape(name, arrays[name])) != leaf.shape:
            raise InputError(
                f"{file_name}: {name} has shape {shape}, the network needs {leaf.shape}"
            )
    # All are read before any is copied to a device, which is faster than in turns.
    values = [
        leaf if name is None else _values(name, arrays[name], path[-1].key, file_name)
        for name, (path, leaf) in zip(loaded, leaves, strict=True)
    ]
    filled = tree.unflatten(
        jnp.asarray(array, leaf.dtype) for array, (_, leaf) in zip(values, leaves, strict=True)
    )
    found = tuple(name for name in arrays if name in used)
    return filled, Report(found, missing, surplus)


def _check_surplus(
    backbone: backbones.Backbone, names: list[str | None], surplus: tuple[str, ...], file_name: str
) -> None:
    """Raises InputError where a used part of the network has arrays that it has no place for."""
    if backbone.weight_part is None:
        return
    parts = {backbone.weight_part(name) for name in names if name}
    deeper = [
        name
        for name in surplus
        if backbone.weight_part(name) in parts and not name.endswith(_COUNTER)
    ]
    if deeper:
        raise InputError(
            f"{file_name} is of another network: {len(deeper)} arrays more in parts that are used, "
            f"such as {deeper[0]}; set config.model to that network, or take other weights"
        )


def _axes(name: str, array: Any) -> Sequence[int]:
    """The axes in the network's order: PyTorch's kernels have their outputs first."""
    axes = range(len(array.shape))
    return _OUTPUTS_LAST.get(len(axes), axes) if name.endswith(".weight") else axes


def _shape(name: str, array: weight_files.Stored) -> tuple[int, ...]:
    return tuple(array.shape[i] for i in _axes(name, array))


def _values(
    name: str, stored: weight_files.Stored, kind: str, file_name: str
) -> Float[np.ndarray, "..."]:
    array = np.asarray(stored)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise InputError(f"{file_name}: {name} has values of type {array.dtype}, not real numbers")
    with np.errstate(all="ignore"):
        array = np.asarray(array, np.float32)
        # What is not finite stays so in a sum, which is faster.
        is_finite = np.isfinite(array.sum()) or np.isfinite(array).all()
    if not is_finite:
        raise InputError(f"{file_name}: {name} has NaN or infinite values; take other weights")
    if kind == "var" and (array < 0).any():
        raise InputError(f"{file_name}: {name}, a variance, is negative; take other weights")
    return array.transpose(_axes(name, array))
