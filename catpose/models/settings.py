"""The settings of a network: `config.model`."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from catpose import config_keys
from catpose.models import BACKBONES
from catpose.poses import POSES

CATEGORY_HEADS = ("stage5", "pooled", "classifier")
NORMALIZATIONS = ("keras", "torchvision", "efficientnet", "none")


class Composition(NamedTuple):
    """How the parts of a network are connected, figure 2 of the paper."""

    own_features: bool  # the category network reads the image by itself
    agnostic: bool  # one pose network serves all categories


ARCHITECTURES: Mapping[str, Composition] = {
    "integrated": Composition(own_features=False, agnostic=False),
    "shared": Composition(own_features=False, agnostic=True),
    "sequential": Composition(own_features=True, agnostic=False),
    "independent": Composition(own_features=True, agnostic=True),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """A network; by default the paper's: ResNet-50 up to stage 4, stage 5 as category network."""

    architecture: str = config_keys.key(
        "integrated",
        "how features, category and pose networks are connected (figure 2 of the paper)",
        config_keys.one_of(ARCHITECTURES),
    )
    trunk: str = config_keys.key(
        "resnet",
        "the backbone of the feature network; vgg_m as published has width 96",
        config_keys.one_of(BACKBONES),
    )
    trunk_settings: Mapping[str, Any] = config_keys.key(
        {}, "further settings of the backbone, such as {'depth': 3}; its file describes them"
    )
    pose: str = config_keys.key("axis_angle", "the pose representation", config_keys.one_of(POSES))
    pose_settings: Mapping[str, Any] = config_keys.key(
        {},
        "what differs from the defaults of the representation's `make` function, on the command "
        "line as --config.model.pose_settings=\"{'num_bins': 8}\"",
    )
    pose_fusion: str = config_keys.key(
        "outputs",
        "what is averaged over the pose networks: their outputs (eq. 1), or with karcher their "
        "rotations",
        config_keys.one_of(("outputs", "karcher")),
    )
    pose_keys: int = config_keys.key(
        0,
        "of bin_delta: how many key rotations are fitted to the split train; 0 for those of the "
        "cube",
        config_keys.at_least(0),
    )
    blocks: tuple[int, ...] = config_keys.key(
        (3, 4, 6, 3),
        "of a ResNet: residual blocks of stages 2, 3, 4 and 5",
        config_keys.each(config_keys.at_least(1)),
    )
    width: int = config_keys.key(64, "channels of the first stage", config_keys.between(1, 65536))
    block: str = config_keys.key("bottleneck", "of a ResNet: bottleneck or basic")
    variant: str = config_keys.key(
        "v1", "of a ResNet and its pretrained weights: v1 (Keras) or v1.5 (torchvision)"
    )
    stem: str = config_keys.key(
        "imagenet", "of a ResNet: imagenet (7x7 convolution) or small (3x3), each with a pool"
    )
    split_stage: int = config_keys.key(4, "the last stage of the feature network")
    pool_grid: int = config_keys.key(
        1,
        "features are averages over pool_grid x pool_grid cells; 0 keeps every position",
        config_keys.at_least(0),
    )
    pool_channels: int = config_keys.key(
        0, "channels of a 1x1 convolution before that average; 0 for none", config_keys.at_least(0)
    )
    category_head: str = config_keys.key(
        "stage5",
        "the category network: the remaining stages; a perceptron on the pooled features; or the "
        "remaining stages and the backbone's own classifier, summed over the classes of each "
        "category",
        config_keys.one_of(CATEGORY_HEADS),
    )
    category_classes: Mapping[str, tuple[int, ...]] = config_keys.key(
        {},
        "of the head classifier: by category, its classes among ImageNet's, from 0 on; see "
        "catpose/data/imagenet.py, which knows those of the paper's categories",
    )
    head_hidden: tuple[int, ...] = config_keys.key(
        (), "hidden layers of the category network", config_keys.each(config_keys.at_least(1))
    )
    head_dropout: float = config_keys.key(
        0.0,
        "probability of dropping one of their units",
        config_keys.Range(lambda value: 0 <= value < 1, lambda: "from 0 to below 1"),
    )
    pose_hidden: tuple[int, ...] = config_keys.key(
        (1000, 500), "hidden layers of each pose network", config_keys.each(config_keys.at_least(1))
    )
    dtype: str = config_keys.key(
        "float32",
        "compute type; parameters are float32",
        config_keys.one_of(("float32", "bfloat16", "float16", "float64")),
    )
    remat: bool = config_keys.key(
        False, "compute residual blocks again in the backward pass, which saves memory"
    )
    normalization: str = config_keys.key(
        "keras",
        "of the images, as the pretrained weights expect it",
        config_keys.one_of(NORMALIZATIONS),
    )
    pretrained: str = config_keys.key(
        "none",
        "initial weights: none, a file of ImageNet weights, package (that of the backbone, see "
        "`catpose weights`), the folder of a run (its backbone), or the name of a shipped network "
        "such as mini",
    )
    pretrained_poses: bool = config_keys.key(
        False,
        "of a shipped network also the pose networks of the categories that it knows; they are as "
        "this config says",
    )
    allow_missing: bool = config_keys.key(False, "whether layers that the file lacks stay random")
