"""Initial weights from a file, such as ImageNet's, matched by the names that the backbone knows.

Classifiers are never loaded.
"""

import pathlib
from typing import NamedTuple

import numpy as np
from jax import numpy as jnp
from jax import tree_util

from catpose.models import backbone as backbones
from catpose.models import weight_files
from catpose.models.architectures import Network


class Report(NamedTuple):
    """Which arrays of a file are in the network, and which are not.

    loaded: names in the file whose arrays are now in the network.
    missing: names that the network needs and the file lacks.
    surplus: in the file and not used: classifiers, counters and stages that the network lacks.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]


def load_pretrained(
    path: str | pathlib.Path, variables: dict, network: Network, *, allow_missing: bool = False
) -> tuple[dict, Report]:
    """Put a file's weights into every layer of a network's backbone, wherever it is split.

    Args:
      path: .npz, .h5, .safetensors, .pth or .pt, see catpose.models.weight_files.
      variables: of the network; its feature_network, and its category_network where that has
        layers of the backbone or a feature network of its own, are filled. Everything else comes
        back as it is.
      network: its backbone names the arrays of the file.
      allow_missing: keep the values of `variables` where the file lacks a name.

    Returns:
      The new variables, in the types of the old ones, and a report.

    Raises:
      ValueError: the file's names are not those of the backbone, a wanted name is missing (unless
        allowed), or an array has another shape.
    """
    backbone, file_name = network.backbone, pathlib.Path(path).name
    if backbone.weight_names is None:
        raise ValueError(f"{file_name}: no files of weights are known for this backbone")
    arrays = weight_files.read(path)
    try:
        name_of = backbone.weight_names(network.net, arrays)
    except ValueError as error:
        raise ValueError(f"{file_name} {error}") from error
    leaves, tree = tree_util.tree_flatten_with_path(variables)
    paths = (
        backbones.layer_path([part.key for part in path], backbone.layers) for path, _ in leaves
    )
    names = {i: name_of(own) for i, own in enumerate(paths) if own is not None}
    wanted = {i: name for i, name in names.items() if name is not None}
    missing = tuple(name for name in wanted.values() if name not in arrays)
    if missing and not allow_missing:
        raise ValueError(f"{file_name} lacks {len(missing)} arrays: {', '.join(missing[:5])} ...")

    def fill(i, leaf):
        array = arrays.get(wanted.get(i))
        if array is None:
            return leaf
        if array.ndim == 4 and wanted[i].endswith(".weight"):  # PyTorch's: outputs first
            array = array.transpose(2, 3, 1, 0)
        if array.shape != leaf.shape:
            raise ValueError(
                f"{file_name}: {wanted[i]} has shape {array.shape}, the network needs {leaf.shape}"
            )
        return jnp.asarray(np.asarray(array, np.float32), leaf.dtype)

    filled = tree.unflatten([fill(i, leaf) for i, (_, leaf) in enumerate(leaves)])
    used = set(wanted.values())
    loaded = tuple(name for name in arrays if name in used)
    surplus = tuple(name for name in arrays if name not in used)
    return filled, Report(loaded, missing, surplus)
