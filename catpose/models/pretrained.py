"""Start from ImageNet weights, matched name by name.

Two families of files are known. Keras' names ("conv2_block1_1_conv/kernel") belong to the variant
"v1" of the ResNet, torchvision's and timm's ("layer1.0.conv1.weight") to "v1.5"; the two networks
have their strides in different places, so that one's weights in the other give plausible shapes
and wrong features. Classifiers are never loaded.
"""

import pathlib
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jax import numpy as jnp
from jax import tree_util

from catpose.models import weight_files

# What the images must go through before the network; the arithmetic is in the data layer.
# "keras": BGR minus (103.939, 116.779, 123.68). "torchvision": RGB / 255, standardised.
NORMALIZATIONS: Mapping[str, str] = {"v1": "keras", "v1.5": "torchvision"}
KERAS_LEAF = {
    ("conv", "kernel"): "kernel",
    ("conv", "bias"): "bias",
    ("bn", "scale"): "gamma",
    ("bn", "bias"): "beta",
    ("bn", "mean"): "moving_mean",
    ("bn", "var"): "moving_variance",
}
TORCH_LEAF = {
    ("conv", "kernel"): "weight",
    ("conv", "bias"): "bias",
    ("bn", "scale"): "weight",
    ("bn", "bias"): "bias",
    ("bn", "mean"): "running_mean",
    ("bn", "var"): "running_var",
}


class Report(NamedTuple):
    """What became of the names.

    loaded: names in the file whose arrays are now in the network.
    missing: wanted by the network and not in the file, as the file would name them.
    surplus: in the file and not used: classifiers, counters and stages that the network lacks.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]


def normalization_of(variant: str) -> str:
    """Name of the image normalisation that pretrained weights of a ResNet variant expect.

    Args:
      variant: "v1" or "v1.5".

    Returns:
      "keras" or "torchvision".

    Raises:
      ValueError: there is no such variant.
    """
    if variant not in NORMALIZATIONS:
        raise ValueError(f"variant is one of {tuple(NORMALIZATIONS)}, not {variant!r}")
    return NORMALIZATIONS[variant]


def load_pretrained(
    path: str | pathlib.Path, variables: dict, *, allow_missing: bool = False
) -> tuple[dict, Report]:
    """Put a file's weights into every stage of a network, wherever the network is split.

    Args:
      path: .npz, .h5, .safetensors, .pth or .pt, see catpose.models.weight_files.
      variables: of a network; its feature_network, and its category_network where that has
        stages or a feature network of its own, are filled. Everything else comes back as it is.
      allow_missing: keep the values of `variables` where the file lacks a name.

    Returns:
      The new variables, in the types of the old ones, and a report.

    Raises:
      ValueError: the file's names are of neither family or of the one for the other variant, a
        wanted name is missing (unless allowed), or an array has another shape.
    """
    arrays = weight_files.read(path)
    file_name = pathlib.Path(path).name
    is_torch = "conv1.weight" in arrays
    if not is_torch and "conv1_conv/kernel" not in arrays:
        raise ValueError(
            f"{file_name} has neither conv1_conv/kernel (Keras) nor conv1.weight (torchvision);"
            f" it has {', '.join(list(arrays)[:3])} ..."
        )
    leaves, tree = tree_util.tree_flatten_with_path(variables)
    names = {i: file_name_of(path, is_torch) for i, (path, _) in enumerate(leaves)}
    wanted = {i: name for i, name in names.items() if name is not None}
    has_biases = any(name in ("conv1_conv/bias", "conv1.bias") for name in wanted.values())
    if has_biases == is_torch:
        raise ValueError(
            f"{file_name} holds {'torchvision' if is_torch else 'Keras'} weights, for variant"
            f" {'v1.5' if is_torch else 'v1'!r}; the network is of the other variant"
        )
    missing = tuple(name for name in wanted.values() if name not in arrays)
    if missing and not allow_missing:
        raise ValueError(f"{file_name} lacks {len(missing)} arrays: {', '.join(missing[:5])} ...")

    def fill(i, leaf):
        array = arrays.get(wanted.get(i))
        if array is None:
            return leaf
        if is_torch and array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        if array.shape != leaf.shape:
            raise ValueError(
                f"{file_name}: {wanted[i]} has shape {array.shape}, the network wants {leaf.shape}"
            )
        return jnp.asarray(np.asarray(array, np.float32), leaf.dtype)

    filled = tree.unflatten([fill(i, leaf) for i, (_, leaf) in enumerate(leaves)])
    used = set(wanted.values())
    loaded = tuple(name for name in arrays if name in used)
    surplus = tuple(name for name in arrays if name not in used)
    return filled, Report(loaded, missing, surplus)


def file_name_of(path: tuple[tree_util.DictKey, ...], is_torch: bool) -> str | None:
    """The name in a file of the leaf at a path of the variables; None where files have none."""
    _, group, *rest = (part.key for part in path if part.key != "own_features")
    if group == "pose_networks" or not re.fullmatch(r"stem|stage\d", rest[0]):
        return None
    *block, layer, leaf = rest
    # The layer is conv, conv2, bn, bn2, shortcut_conv or shortcut_bn.
    kind = re.search("conv|bn", layer).group()
    if block == ["stem"]:
        torch_layer, keras_layer = f"{kind}1", f"conv1_{kind}"
    else:
        stage, number = (int(part.removeprefix("stage").removeprefix("block")) for part in block)
        is_shortcut = layer.startswith("shortcut")
        own = f"downsample.{0 if kind == 'conv' else 1}" if is_shortcut else layer
        torch_layer = f"layer{stage - 1}.{number - 1}.{own}"
        index = 0 if is_shortcut else layer.removeprefix(kind)
        keras_layer = f"conv{stage}_block{number}_{index}_{kind}"
    if is_torch:
        return f"{torch_layer}.{TORCH_LEAF[kind, leaf]}"
    return f"{keras_layer}/{KERAS_LEAF[kind, leaf]}"
