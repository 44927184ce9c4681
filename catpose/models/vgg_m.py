"""VGG-M, the network CNN-M of eight layers, up to the features of its sixth, FC6.

layer   kernel, stride, padding   channels   then                    side at 224
conv1   7x7, 2, 0                 96         ReLU, LRN, pool         109, 54
conv2   5x5, 2, 1                 256        ReLU, LRN, pool         26, 13
conv3   3x3, 1, 1                 512        ReLU                    13
conv4   3x3, 1, 1                 512        ReLU                    13
conv5   3x3, 1, 1                 512        ReLU, pool              13, 6
fc6     the whole map             4096       ReLU (dropout 0.5)

Pools are 3x3 at stride 2 and cover the last row and column of a map of even size (Caffe's ceil
mode), so they halve a side and round down. The published networks read images of 224 pixels, bytes
minus a mean, without division by a deviation; the normalization's constant 2 is on that scale.

Functions that name layers are called in a module's compact method; the layers become its own.

Reference: Chatfield, Simonyan, Vedaldi and Zisserman, Return of the Devil in the Details, 2014,
table 1; numbers that it leaves out are those of the authors' Caffe models. Mahendran, Ali and
Vidal, 3D Pose Regression Using Convolutional Neural Networks, 2017, use these features.
"""

from typing import Any, NamedTuple

from flax import linen as nn
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from catpose.models import backbone, initializers, resnet


class Layer(NamedTuple):
    """A convolution and a ReLU, then perhaps a normalization and a pool."""

    channels: int
    size: int
    stride: int
    padding: int
    normalize: bool = False
    pool: bool = False


LAYERS = (
    Layer(96, 7, 2, 0, normalize=True, pool=True),
    Layer(256, 5, 2, 1, normalize=True, pool=True),
    Layer(512, 3, 1, 1),
    Layer(512, 3, 1, 1),
    Layer(512, 3, 1, 1, pool=True),
)
SMALLEST_IMAGE = 41  # pixels: the least that leaves a position after the last pool
CEIL_MODE = (0, 1)  # the padding with which a pool at stride 2 drops nothing
LRN_SIZE, LRN_OFFSET, LRN_SCALE = 5, 2.0, 5e-4


class Architecture(NamedTuple):
    """A VGG-M's shape.

    Attributes:
      width: channels of conv1; those of the other convolutions keep the published proportion.
      dtype: compute type; parameters are float32.
      fc6: units of FC6, likewise in the published proportion where a config says the width.
    """

    width: int = 96
    dtype: Any = jnp.float32
    fc6: int = 4096


def describe(settings: Any) -> Architecture:
    """The VGG-M of `config.model`, see `catpose.models.backbone.Backbone`."""
    published = Architecture()
    fc6 = round(settings.width * published.fc6 / published.width)
    return Architecture(settings.width, jnp.dtype(settings.dtype), fc6)


def convolutions(
    net: Architecture, split: int, image: Float[Array, "b h w 3"], **how: Any
) -> Float[Array, "b h2 w2 c"]:
    """conv1 to conv5 and their pools; `split` and `how` are of no effect.

    Raises:
      ValueError: a side of the image is shorter than 41 pixels.
    """
    if min(image.shape[1:3]) < SMALLEST_IMAGE:
        height, width = image.shape[1:3]
        raise ValueError(
            f"VGG-M reads images of at least {SMALLEST_IMAGE} pixels a side, not {height} x {width}"
        )
    x = image
    for i, layer in enumerate(LAYERS, start=1):
        num_outputs = round(net.width * layer.channels / LAYERS[0].channels)
        convolve = resnet.Conv(
            num_outputs,
            layer.size,
            layer.stride,
            use_bias=True,
            dtype=net.dtype,
            padding=layer.padding,
            name=f"conv{i}",
        )
        x = nn.relu(convolve(x))
        if layer.normalize:
            x = local_response_norm(x)
        if layer.pool:
            x = resnet.max_pool(x, CEIL_MODE)
    return x


def fully_connected(
    net: Architecture, feature_map: Float[Array, "b h w c"]
) -> Float[Array, "b units"]:
    """FC6 and its ReLU. Its kernel (h * w * c, units) fits maps of one size only."""
    layer = nn.Dense(net.fc6, dtype=net.dtype, kernel_init=initializers.he, name="fc6")
    return nn.relu(layer(feature_map.reshape(len(feature_map), -1)))


def local_response_norm(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Each channel over (2 + 1e-4 * the sum of squares over it and two neighbors a side)^0.75.

    The published 5e-4 multiplies the mean over five channels; those beyond the ends are zeros.
    Sums are at least float32.

    Reference: Krizhevsky, Sutskever and Hinton, ImageNet Classification ..., 2012, section 3.3.
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    side = LRN_SIZE // 2
    # Not as a sum of shifted maps, whose gradient is three times slower on CPU.
    total = lax.reduce_window(
        wide**2,
        0.0,
        lax.add,
        (1, 1, 1, LRN_SIZE),
        (1, 1, 1, 1),
        ((0, 0), (0, 0), (0, 0), (side, side)),
    )
    # y^-0.75 from square roots: a power is several times slower.
    root = lax.rsqrt(LRN_OFFSET + LRN_SCALE / LRN_SIZE * total)
    return (wide * (root * jnp.sqrt(root))).astype(x.dtype)


VGG_M = backbone.Backbone(
    describe=describe,
    features=convolutions,
    layers=("conv1", "conv2", "conv3", "conv4", "conv5", "fc6"),
    pool=fully_connected,
)
