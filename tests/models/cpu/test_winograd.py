import functools
import re

import jax
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from catpose.models import ops
from catpose.models.cpu import winograd

# name: images (batch, height, width, inputs), outputs, padding
CASES = {
    "even": ((2, 6, 8, 3), 5, ((1, 1), (1, 1))),
    "odd": ((2, 7, 5, 3), 5, ((1, 1), (1, 1))),
    "without padding": ((3, 6, 7, 4), 2, ((0, 0), (0, 0))),
    "all around": ((1, 5, 4, 2), 3, ((2, 2), (2, 2))),
    "unequal padding": ((2, 4, 5, 3), 4, ((2, 0), (0, 1))),
    "one output": ((2, 3, 3, 3), 4, ((0, 0), (0, 0))),
    "one row": ((2, 1, 9, 3), 4, ((1, 1), (1, 1))),
}


def plain(padding, x, kernel):
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def arrays(shape, outputs, padding, dtype=np.float64):
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=shape), dtype)
    kernel = jnp.asarray(generator.normal(size=(3, 3, shape[-1], outputs)), dtype)
    made = jax.eval_shape(functools.partial(plain, padding), x, kernel)
    return x, kernel, jnp.asarray(generator.normal(size=made.shape), dtype)


def three(padding, x, kernel, gradient):
    """Value and gradients, in tiles."""
    around = tuple(tuple(2 - zeros for zeros in sides) for sides in padding)
    return (
        winograd.conv(padding, x, kernel),
        winograd.image_gradient(around, gradient, kernel),
        winograd.kernel_gradient(padding, x, gradient),
    )


def three_of_lax(padding, x, kernel, gradient):
    value, pull_back = jax.vjp(functools.partial(plain, padding), x, kernel)
    return value, *pull_back(gradient)


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradients_are_those_of_lax(case):
    with jax.enable_x64(True):
        shape, outputs, padding = CASES[case]
        made = arrays(shape, outputs, padding)
        found = jax.jit(functools.partial(three, padding))(*made)
        wanted = three_of_lax(padding, *made)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_rounding_is_about_that_of_the_plain_sum():
    padding = ((1, 1), (1, 1))
    made = arrays((4, 14, 14, 128), 128, padding, np.float32)
    with jax.enable_x64(True):
        exact = three_of_lax(padding, *(jnp.asarray(a, jnp.float64) for a in made))
    found, usual = (jax.jit(functools.partial(f, padding))(*made) for f in (three, three_of_lax))
    for a, b, c in zip(found, usual, exact, strict=True):
        a, b, c = (np.asarray(v, np.float64) for v in (a, b, c))
        ours, theirs, size = (np.sqrt(np.mean(v**2)) for v in (a - c, b - c, c))
        assert ours < 2 * theirs
        assert ours < 1e-6 * size


def program(batch, size, channels, dtype=jnp.float32, platform="cpu", stride=1):
    x = jnp.zeros((batch, size, size, channels), dtype)
    kernel = jnp.zeros((3, 3, channels, channels), dtype)

    def loss(x, kernel):
        return ops.conv(x, kernel, stride=stride, padding=((1, 1), (1, 1))).sum()

    traced = jax.jit(jax.value_and_grad(loss, (0, 1))).trace(x, kernel)
    return traced.lower(lowering_platforms=(platform,)).as_text()


def test_deep_maps_of_many_positions_are_in_tiles_on_a_cpu():
    # 7 x 7 tiles of each of 2 images, 4 of their rows at once.
    assert "tensor<4x98x128xf32>" in program(2, 14, 128)
    assert "stablehlo.convolution" not in program(2, 14, 128)


@pytest.mark.parametrize(
    "settings",
    [
        dict(batch=2, size=14, channels=32),
        dict(batch=1, size=14, channels=128),
        dict(batch=2, size=14, channels=128, stride=2),
        dict(batch=2, size=14, channels=128, platform="cuda"),
        dict(batch=2, size=14, channels=128, platform="tpu"),
        dict(batch=2, size=14, channels=64, dtype=jnp.bfloat16),
        dict(batch=2, size=14, channels=128, dtype=jnp.float16),
    ],
)
def test_others_are_not(settings):
    assert "stablehlo.convolution" in program(**settings)


def test_tiles_stay_on_their_device():
    padding = ((1, 1), (1, 1))
    x, kernel, gradient = arrays((8, 8, 7, 72), 72, padding, np.float32)

    def gradients(x, kernel, gradient):
        slide = functools.partial(ops.conv, padding=padding)
        return jax.vjp(slide, x, kernel)[1](gradient)

    split = jax.sharding.Mesh(np.array(jax.devices()), ("batch",))
    by_image = NamedSharding(split, PartitionSpec("batch"))
    whole = NamedSharding(split, PartitionSpec())
    shardings = dict(in_shardings=(by_image, whole, by_image), out_shardings=(by_image, whole))
    compiled = jax.jit(gradients, **shardings).lower(x, kernel, gradient).compile()
    text = compiled.as_text()
    assert "convolution(" not in text
    # The kernel's gradient is added up; nothing else crosses.
    assert "all-reduce" in text
    assert not re.search(r"all-gather|all-to-all|collective-permute", text)
    found = compiled(*jax.device_put((x, kernel, gradient), shardings["in_shardings"]))
    for a, b in zip(found, three_of_lax(padding, x, kernel, gradient)[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5 * np.abs(b).max())
