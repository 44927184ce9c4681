"""ResNets in stages, to be cut after any of them.

Stage 1 is the stem, stages 2 to 5 are groups of residual blocks with widths w, 2w, 4w and 8w;
every stage from the third on halves the resolution. Two dialects of the same network exist and
must not be mixed with each other's weights:

"v1"    Keras' ResNet50: the stride is on a block's first 1x1 convolution, convolutions have
        biases, batch normalization uses eps 1.001e-5 and momentum 0.99.
"v1.5"  torchvision's: the stride is on the 3x3, no biases, eps 1e-5, momentum 0.9.

Both pad symmetrically (3 before a 7x7, 1 before a 3x3 and before the pool), which at stride 2 is
not XLA's "SAME". Keras pads the pool with zeros, torchvision with minus infinity: after a ReLU
these are the same numbers.

Reference: He et al., Deep Residual Learning for Image Recognition, 2016, table 1.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from flax import linen as nn
from jax import numpy as jnp
from jaxtyping import Array, Float

from catpose.models import backbone, initializers, norm, ops


class Variant(NamedTuple):
    """What differs between two dialects of a ResNet."""

    stride_on_first: bool
    use_bias: bool
    eps: float
    momentum: float
    normalization: str  # of the images that its pretrained weights expect


VARIANTS: Mapping[str, Variant] = {
    "v1": Variant(
        stride_on_first=True, use_bias=True, eps=1.001e-5, momentum=0.99, normalization="keras"
    ),
    "v1.5": Variant(
        stride_on_first=False, use_bias=False, eps=1e-5, momentum=0.9, normalization="torchvision"
    ),
}
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
EXPANSION: Mapping[str, int] = {"bottleneck": 4, "basic": 1}
STEM_KERNEL: Mapping[str, int] = {"imagenet": 7, "small": 3}
FIRST_STAGE, LAST_STAGE = 2, 5


class Architecture(NamedTuple):
    """A ResNet's shape.

    Attributes:
      blocks: number of blocks of stages 2, 3, ..., each at least 1; up to four.
      width: channels of stage 2 inside its blocks; 64 in the published networks.
      block: "bottleneck" or "basic".
      variant: "v1" or "v1.5"; basic blocks are "v1.5" only.
      stem: "imagenet" or "small".
      dtype: compute type; parameters are float32.
      remat: blocks keep only their input for the backward pass, and are computed again there.
    """

    blocks: tuple[int, ...]
    width: int
    block: str
    variant: str
    stem: str
    dtype: Any
    remat: bool


class Conv(nn.Module):
    """Convolution with a square kernel and symmetric padding, of half its size unless given."""

    num_outputs: int
    size: int = 1
    stride: int = 1
    use_bias: bool = False
    dtype: Any = jnp.float32
    padding: int | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 d"]:
        """Convolve in the compute type."""
        shape = (self.size, self.size, x.shape[-1], self.num_outputs)
        kernel = self.param("kernel", initializers.he, shape, jnp.float32)
        side = (self.size // 2 if self.padding is None else self.padding,) * 2
        y = ops.conv(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            stride=self.stride,
            padding=(side, side),
        )
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.num_outputs,), jnp.float32)
            y = y + bias.astype(self.dtype)[None, None, None]
        return y


class Stem(nn.Module):
    """Stage 1: a convolution and a max-pool, each at stride 2."""

    resnet: Architecture

    @nn.compact
    def __call__(
        self, image: Float[Array, "b h w 3"], *, use_running: bool, axis_name: str | None = None
    ) -> Float[Array, "b h4 w4 c"]:
        """Apply the stem."""
        net, variant = self.resnet, VARIANTS[self.resnet.variant]
        size = STEM_KERNEL[net.stem]
        x = Conv(net.width, size, 2, variant.use_bias, net.dtype, name="conv")(image)
        normalize = norm.BatchNorm(variant.momentum, variant.eps, name="bn")
        return max_pool(ops.relu(normalize(x, use_running=use_running, axis_name=axis_name)))


class Stage(nn.Module):
    """Stages 2 to 5: residual blocks, of which the first may halve the resolution."""

    resnet: Architecture
    number: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, use_running: bool, axis_name: str | None = None
    ) -> Float[Array, "b h2 w2 d"]:
        """Apply the blocks in turn."""
        width = self.resnet.width * 2 ** (self.number - FIRST_STAGE)
        block_class = nn.remat(Block, static_argnums=(2, 3)) if self.resnet.remat else Block
        for i in range(self.resnet.blocks[self.number - FIRST_STAGE]):
            stride = 2 if i == 0 and self.number > FIRST_STAGE else 1
            block = block_class(self.resnet, width, stride, name=f"block{i + 1}")
            x = block(x, use_running, axis_name)
        return x


class Block(nn.Module):
    """Residual block: "bottleneck" (1x1, 3x3, 1x1 to four times the width) or "basic" (3x3, 3x3).

    The shortcut is a strided 1x1 convolution where the block changes the shape.
    """

    resnet: Architecture
    width: int
    stride: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], use_running: bool, axis_name: str | None = None
    ) -> Float[Array, "b h2 w2 d"]:
        """Apply the block."""
        variant, dtype = VARIANTS[self.resnet.variant], self.resnet.dtype

        def conv_norm(y, conv_name, norm_name, num_outputs, size, stride):
            y = Conv(num_outputs, size, stride, variant.use_bias, dtype, name=conv_name)(y)
            normalize = norm.BatchNorm(variant.momentum, variant.eps, name=norm_name)
            return normalize(y, use_running=use_running, axis_name=axis_name)

        num_outputs = EXPANSION[self.resnet.block] * self.width
        if self.resnet.block == "basic":
            plan = ((self.width, 3, self.stride), (num_outputs, 3, 1))
        else:
            first, second = (self.stride, 1) if variant.stride_on_first else (1, self.stride)
            plan = ((self.width, 1, first), (self.width, 3, second), (num_outputs, 1, 1))
        y = x
        for i, layer in enumerate(plan, start=1):
            y = conv_norm(y if i == 1 else ops.relu(y), f"conv{i}", f"bn{i}", *layer)
        if self.stride != 1 or x.shape[-1] != num_outputs:
            x = conv_norm(x, "shortcut_conv", "shortcut_bn", num_outputs, 1, self.stride)
        return ops.relu(y + x)


def max_pool(
    x: Float[Array, "b h w c"], padding: tuple[int, int] = (1, 1)
) -> Float[Array, "b h2 w2 c"]:
    """3x3 max-pool at stride 2, padded before and after, rows first and then columns.

    As maxima of shifted maps and not as lax.reduce_window, whose gradient is ten times slower on
    CPU. Equal maxima share the gradient.
    """
    x = jnp.pad(x, ((0, 0), padding, padding, (0, 0)), constant_values=-jnp.inf)
    height, width = (2 * ((size - 3) // 2) + 1 for size in x.shape[1:3])
    x = functools.reduce(jnp.maximum, [x[:, i : i + height : 2] for i in range(3)])
    return functools.reduce(jnp.maximum, [x[:, :, i : i + width : 2] for i in range(3)])


def describe(settings: Any) -> Architecture:
    """The ResNet of `config.model`, see `catpose.models.backbone.Backbone`.

    Raises:
      ValueError: a value is not one that `Architecture` names, or there are too few stages.
    """
    net = Architecture(*(getattr(settings, name) for name in Architecture._fields))
    for name, value, table in (
        ("block", net.block, EXPANSION),
        ("variant", net.variant, VARIANTS),
        ("stem", net.stem, STEM_KERNEL),
    ):
        if value not in table:
            raise ValueError(f"{name} is one of {tuple(table)}, not {value!r}")
    if net.block == "basic" and net.variant != "v1.5":
        raise ValueError(f"basic blocks exist in variant 'v1.5', not in {net.variant!r}")
    if not 1 <= len(net.blocks) <= 4 or min(net.blocks) < 1:
        raise ValueError(f"blocks is one to four positive numbers, not {net.blocks}")
    last = LAST_STAGE if settings.category_head != "pooled" else settings.split_stage
    if len(net.blocks) < last - FIRST_STAGE + 1:
        raise ValueError(f"blocks={net.blocks} ends before stage {last}")
    return net._replace(dtype=jnp.dtype(net.dtype))


def features(net: Architecture, split: int, image: Array, **how: Any) -> Array:
    """The stem and the stages up to the split."""
    return _stages(net, range(FIRST_STAGE, split + 1), Stem(net, name="stem")(image, **how), how)


def rest(net: Architecture, split: int, feature_map: Array, **how: Any) -> Array:
    """The stages after the split."""
    return _stages(net, range(split + 1, LAST_STAGE + 1), feature_map, how)


def _stages(net: Architecture, numbers: range, x: Array, how: Mapping[str, Any]) -> Array:
    for number in numbers:
        x = Stage(net, number, name=f"stage{number}")(x, **how)
    return x


def weight_names(
    net: Architecture, names: Collection[str]
) -> Callable[[tuple[str, ...]], str | None]:
    """Names of parameters in Keras' or torchvision's files of weights, see `Backbone`.

    Keras' names ("conv2_block1_1_conv/kernel") belong to the variant "v1", torchvision's and timm's
    ("layer1.0.conv1.weight") to "v1.5"; the two networks have their strides in different places, so
    that one's weights in the other give plausible shapes and wrong features.
    """
    is_torch = "conv1.weight" in names
    if not is_torch and "conv1_conv/kernel" not in names:
        raise ValueError(
            "has neither conv1_conv/kernel (Keras) nor conv1.weight (torchvision); "
            f"it has {', '.join(list(names)[:3])} ..."
        )
    if is_torch != (net.variant == "v1.5"):
        raise ValueError(
            f"holds {'torchvision' if is_torch else 'Keras'} weights, for variant "
            f"{'v1.5' if is_torch else 'v1'!r}; the network is of the other variant"
        )
    return functools.partial(weight_name, is_torch=is_torch)


def weight_name(path: tuple[str, ...], *, is_torch: bool) -> str:
    """The name in a file of the parameter at a path, from its stage on."""
    *block, layer, leaf = path
    if layer == backbone.CLASSIFIER:
        return f"fc.{TORCH_LEAF['conv', leaf]}" if is_torch else f"predictions/{leaf}"
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


# The published networks by name; of the config's own `blocks` and `block` nothing is read.
_PUBLISHED = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


def _describe_published(settings: Any, *, depth: int) -> Architecture:
    block, blocks = _PUBLISHED[depth]
    variant = "v1.5" if block == "basic" else settings.variant
    return describe(
        dataclasses.replace(settings, block=block, blocks=blocks, width=64, variant=variant)
    )


RESNET = backbone.Backbone(
    describe=describe,
    features=features,
    layers=(
        "stem",
        *(f"stage{number}" for number in range(FIRST_STAGE, LAST_STAGE + 1)),
        backbone.CLASSIFIER,
    ),
    num_classes=1000,
    splits=(FIRST_STAGE, LAST_STAGE),
    rest=rest,
    weight_names=weight_names,
    # "layer3.22.conv1.weight", "conv4_block23_1_conv/kernel": up to the stage's number.
    weight_part=lambda name: re.split("[._/]", name)[0],
    normalization=lambda net: VARIANTS[net.variant].normalization,
)
NAMED = {
    f"resnet{depth}": RESNET._replace(describe=functools.partial(_describe_published, depth=depth))
    for depth in _PUBLISHED
}
