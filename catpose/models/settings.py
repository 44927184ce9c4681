"""The settings of a network: `config.model`."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from catpose import fields
from catpose.models import BACKBONES
from catpose.poses import POSES

CATEGORY_HEADS = ("stage5", "pooled")


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

    architecture: str = fields.key(
        "integrated",
        "how features, category and pose networks are connected (figure 2 of the paper)",
        fields.one_of(ARCHITECTURES),
    )
    trunk: str = fields.key(
        "resnet",
        "the backbone of the feature network; vgg_m as published has width 96",
        fields.one_of(BACKBONES),
    )
    trunk_settings: Mapping[str, Any] = fields.key(
        {}, "further settings of the backbone, such as {'depth': 3}; its file describes them"
    )
    pose: str = fields.key("axis_angle", "the pose representation", fields.one_of(POSES))
    pose_settings: Mapping[str, Any] = fields.key(
        {},
        "what differs from the defaults of the representation's `make` function, on the command "
        "line as --config.model.pose_settings=\"{'num_bins': 8}\"",
    )
    pose_fusion: str = fields.key(
        "outputs",
        "what is averaged over the pose networks: their outputs (eq. 1), or with karcher their "
        "rotations",
        fields.one_of(("outputs", "karcher")),
    )
    pose_keys: int = fields.key(
        0,
        "of bin_delta: how many key rotations are fitted to the split train; 0 for those of the "
        "cube",
        fields.at_least(0),
    )
    blocks: tuple[int, ...] = fields.key(
        (3, 4, 6, 3), "of a ResNet: residual blocks of stages 2, 3, 4 and 5"
    )
    width: int = fields.key(64, "channels of the first stage", fields.at_least(1))
    block: str = fields.key("bottleneck", "of a ResNet: bottleneck or basic")
    variant: str = fields.key(
        "v1", "of a ResNet and its pretrained weights: v1 (Keras) or v1.5 (torchvision)"
    )
    stem: str = fields.key(
        "imagenet", "of a ResNet: imagenet (7x7 convolution) or small (3x3), each with a pool"
    )
    split_stage: int = fields.key(4, "the last stage of the feature network")
    pool_grid: int = fields.key(
        1,
        "features are averages over pool_grid x pool_grid cells; 0 keeps every position",
        fields.at_least(0),
    )
    pool_channels: int = fields.key(
        0, "channels of a 1x1 convolution before that average; 0 for none", fields.at_least(0)
    )
    category_head: str = fields.key(
        "stage5",
        "the category network: the remaining stages, or a perceptron on the pooled features",
        fields.one_of(CATEGORY_HEADS),
    )
    head_hidden: tuple[int, ...] = fields.key((), "hidden layers of the category network")
    head_dropout: float = fields.key(0.0, "probability of dropping one of their units")
    pose_hidden: tuple[int, ...] = fields.key((1000, 500), "hidden layers of each pose network")
    dtype: str = fields.key("float32", "compute type; parameters are float32")
    remat: bool = fields.key(
        False, "compute residual blocks again in the backward pass, which saves memory"
    )
    normalization: str = fields.key(
        "keras",
        "of the images, as the pretrained weights expect it: keras, torchvision or none",
    )
    pretrained: str = fields.key(
        "none",
        "initial weights: none, a file of ImageNet weights, the folder of a run (its backbone), or "
        "the name of a shipped network such as mini",
    )
    allow_missing: bool = fields.key(False, "whether layers that the file lacks stay random")
