import math
from typing import Any

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax import numpy as jnp
from jax import tree_util
from scipy import signal

from catpose.models import vgg_m

KEY = jax.random.key(0)


class VggM(nn.Module):
    """The layers up to FC6 as a module of their own."""

    width: int = 96
    fc6: int = 4096
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image):
        net = vgg_m.Architecture(self.width, self.dtype, self.fc6)
        feature_map = vgg_m.convolutions(net, 0, image)
        return feature_map, vgg_m.fully_connected(net, feature_map)


LOCAL_RESPONSE_NORM = jax.jit(vgg_m.local_response_norm)


def drawn(module, shape, bias_scale=0.0):
    """Parameters for images of a shape, from numpy in float64: kernels as He et al. draw them."""
    noise = np.random.default_rng(0)
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    params = nn.unbox(jax.eval_shape(lambda image: module.init(KEY, image), image)["params"])
    for layer in params.values():
        kernel, bias = layer["kernel"].shape, layer["bias"].shape
        layer["kernel"] = noise.normal(scale=math.sqrt(2 / math.prod(kernel[:-1])), size=kernel)
        layer["bias"] = bias_scale * noise.normal(size=bias)
    return params


def shapes(module, size):
    """Map, features and parameters at one image size, as shapes."""
    image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    (feature_map, features), variables = jax.eval_shape(
        lambda image: module.init_with_output(KEY, image), image
    )
    params = {
        "/".join(part.key for part in path): leaf.shape
        for path, leaf in tree_util.tree_leaves_with_path(nn.unbox(variables["params"]))
    }
    return feature_map.shape, features.shape, params


def test_published_parameters():
    """The layers of table 1; fc7 and fc8 would bring the sum to 102 908 520."""
    feature_map, features, params = shapes(VggM(), 224)
    assert feature_map == (1, 6, 6, 512)
    assert features == (1, 4096)
    assert params == {
        "conv1/kernel": (7, 7, 3, 96),  # 14 112
        "conv1/bias": (96,),
        "conv2/kernel": (5, 5, 96, 256),  # 614 400
        "conv2/bias": (256,),
        "conv3/kernel": (3, 3, 256, 512),  # 1 179 648
        "conv3/bias": (512,),
        "conv4/kernel": (3, 3, 512, 512),  # 2 359 296
        "conv4/bias": (512,),
        "conv5/kernel": (3, 3, 512, 512),  # 2 359 296
        "conv5/bias": (512,),
        "fc6/kernel": (18432, 4096),  # 512 * 6 * 6 * 4096 = 75 497 472
        "fc6/bias": (4096,),
    }
    convolutions = 14208 + 614656 + 1180160 + 2359808 + 2359808
    assert sum(map(math.prod, params.values())) == convolutions + 75501568 == 82030208
    fc7, fc8 = 4096 * 4096 + 4096, 4096 * 1000 + 1000
    assert 82030208 + fc7 + fc8 == 102908520


def test_widths_keep_their_proportions():
    _, _, params = shapes(VggM(width=32, fc6=10), 64)
    channels = [params[f"conv{i}/bias"][0] for i in range(1, 6)]
    assert channels == [32, 85, 171, 171, 171]  # 85.3 and 170.7
    assert params["fc6/kernel"] == (171, 10)


# Sides after conv1, pool1, conv2, pool2 and pool5; torch 2.13, max_pool2d with ceil_mode. Those at
# 224 are the ones that MatConvNet displays for vgg-m.
@pytest.mark.parametrize(
    ("size", "sides"),
    [
        (41, (18, 9, 4, 2, 1)),
        (57, (26, 13, 6, 3, 1)),
        (96, (45, 22, 10, 5, 2)),
        (224, (109, 54, 26, 13, 6)),
    ],
)
def test_map_sizes(size, sides):
    module = VggM(width=3, fc6=2)
    image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    (feature_map, _), state = jax.eval_shape(
        lambda image: module.init_with_output(KEY, image, capture_intermediates=True), image
    )
    outputs = {
        name: value["__call__"][0].shape[1]
        for name, value in state["intermediates"].items()
        if name.startswith("conv")
    }
    conv1, _, conv2, pool2, pool5 = sides
    assert outputs == {
        "conv1": conv1,
        "conv2": conv2,
        "conv3": pool2,
        "conv4": pool2,
        "conv5": pool2,
    }
    assert feature_map.shape[1:3] == (pool5, pool5)


@pytest.mark.parametrize("shape", [(40, 64), (64, 40)])
def test_too_small_images(shape):
    image = jax.ShapeDtypeStruct((1, *shape, 3), jnp.float32)
    with pytest.raises(ValueError, match=f"at least 41 pixels.*{shape[0]} x {shape[1]}"):
        jax.eval_shape(lambda image: VggM(width=3).init(KEY, image), image)


def numpy_norm(x):
    """Channel by channel, as Krizhevsky et al. write it."""
    channels = x.shape[-1]
    y = np.empty_like(x)
    for i in range(channels):
        window = range(max(0, i - 2), min(channels - 1, i + 2) + 1)
        total = sum(x[..., j] ** 2 for j in window)
        y[..., i] = x[..., i] / (2 + 1e-4 * total) ** 0.75
    return y


@pytest.mark.parametrize("channels", [1, 3, 12])
def test_norm_is_the_formula(channels):
    x = np.random.default_rng(0).normal(scale=100, size=(2, 3, 4, channels))
    actual = LOCAL_RESPONSE_NORM(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(actual, numpy_norm(x), rtol=1e-5)


def test_norm_agrees_with_torch():
    """torch.nn.functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2) of torch 2.13."""
    x = np.float32([0, 10, -20, 40, 80, 160, 5])[None, None, None]
    expected = [
        0.0,
        5.51703570645129,
        -9.117932035158375,
        11.276181107751698,
        22.57583931621344,
        45.4040406434148,
        1.4514796043726306,
    ]
    np.testing.assert_allclose(np.ravel(LOCAL_RESPONSE_NORM(jnp.asarray(x))), expected, rtol=1e-6)


def test_norm_sums_in_float32():
    """Sums of float16 squares would overflow from 256 on."""
    x = np.full((1, 1, 1, 5), 1000.0)
    actual = LOCAL_RESPONSE_NORM(jnp.asarray(x, jnp.float16))
    assert actual.dtype == jnp.float16
    np.testing.assert_allclose(actual, numpy_norm(x), rtol=2e-3)


def numpy_forward(params, image):
    """The network by loops over positions (pools) and scipy's correlation (convolutions)."""

    def convolution(name, x, stride, padding):
        kernel, bias = params[name]["kernel"], params[name]["bias"]
        x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
        maps = [signal.correlate(x, kernel[..., o], "valid")[..., 0] for o in range(len(bias))]
        return np.maximum(np.stack(maps, -1)[::stride, ::stride] + bias, 0)

    def pool(x):
        sides = [math.ceil((n - 3) / 2) + 1 for n in x.shape[:2]]
        y = np.empty((*sides, x.shape[2]))
        for i, j in np.ndindex(*sides):
            y[i, j] = x[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((0, 1))
        return y

    x = pool(numpy_norm(convolution("conv1", image, 2, 0)))
    x = pool(numpy_norm(convolution("conv2", x, 2, 1)))
    for name in ("conv3", "conv4", "conv5"):
        x = convolution(name, x, 1, 1)
    x = pool(x)
    return x, np.maximum(x.ravel() @ params["fc6"]["kernel"] + params["fc6"]["bias"], 0)


def test_forward_is_numpys():
    """On an image in the published range, and not square, so that rows and columns differ."""
    module = VggM(width=3, fc6=8)
    image = np.random.default_rng(1).normal(scale=60, size=(2, 64, 96, 3))
    params = drawn(module, image.shape, bias_scale=1.0)
    with jax.enable_x64(True):
        actual = jax.jit(module.clone(dtype=jnp.float64).apply)({"params": params}, image)
    for i in range(2):
        for one, expected in zip(actual, numpy_forward(params, image[i]), strict=True):
            assert expected.std() > 0.1
            np.testing.assert_allclose(one[i], expected, rtol=1e-5, atol=1e-9)
    assert actual[0].shape == (2, 1, 2, 16)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_gradients_are_finite(dtype):
    """Also of an image and biases of zeros, where every ReLU, norm and pool is at 0."""
    module = VggM(width=3, fc6=8, dtype=dtype)
    images = np.random.default_rng(1).normal(size=(2, 64, 64, 3)).astype(np.float32)
    images[0] = 0
    params = jax.tree.map(np.float32, drawn(module, images.shape))

    @jax.jit
    def gradient(params, images):
        def total(params, images):
            feature_map, features = module.apply({"params": params}, images)
            assert feature_map.dtype == features.dtype == dtype
            return (features.astype(jnp.float32) ** 2).sum()

        return jax.grad(total, argnums=(0, 1))(params, images)

    of_params, of_images = gradient(params, images)
    for leaf in jax.tree.leaves((of_params, of_images)):
        assert leaf.dtype == jnp.float32
        assert np.isfinite(leaf).all()
    assert all(np.asarray(layer["kernel"]).any() for layer in of_params.values())
    assert np.asarray(of_images)[1].any()
