import functools
import re

import jax
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from catpose.models import ops
from catpose.models.cpu import conv, products

# name: image (height, width, inputs), kernel (rows, columns, outputs), stride, padding
CASES = {
    "1x1": ((5, 6, 3), (1, 1, 4), 1, ((0, 0), (0, 0))),
    "1x1 strided, even": ((6, 8, 3), (1, 1, 4), 2, ((0, 0), (0, 0))),
    "1x1 strided, odd": ((5, 7, 3), (1, 1, 4), 2, ((0, 0), (0, 0))),
    "1x1 padded": ((3, 3, 2), (1, 1, 4), 2, ((1, 0), (0, 2))),
    "3x3": ((6, 5, 3), (3, 3, 4), 1, ((1, 1), (1, 1))),
    "3x3 strided": ((8, 7, 3), (3, 3, 4), 2, ((1, 1), (1, 1))),
    "3x3 of more channels": ((6, 5, 6), (3, 3, 4), 1, ((1, 1), (1, 1))),
    "3x3 of more channels, strided": ((8, 7, 6), (3, 3, 4), 2, ((1, 1), (1, 1))),
    "3x3 on a small map": ((2, 2, 3), (3, 3, 4), 1, ((1, 1), (1, 1))),
    "3x3 strided to a small map": ((4, 4, 3), (3, 3, 4), 2, ((1, 1), (1, 1))),
    "3x3 on one position": ((1, 1, 3), (3, 3, 4), 2, ((1, 1), (1, 1))),
    "unequal padding on a small map": ((2, 3, 2), (3, 2, 4), 1, ((2, 0), (0, 1))),
    "unequal padding": ((7, 6, 6), (3, 2, 4), 1, ((2, 0), (0, 1))),
    "more padding than kernel": ((6, 5, 6), (3, 3, 4), 1, ((3, 0), (1, 4))),
    "rows left over by the stride": ((2, 4, 2), (3, 3, 4), 3, ((2, 1), (0, 1))),
    "7x7 stem": ((12, 10, 3), (7, 7, 4), 2, ((3, 3), (3, 3))),
    "7x7 stem on a small map": ((4, 6, 3), (7, 7, 4), 2, ((3, 3), (3, 3))),
}


def reference(x, kernel, stride, padding):
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def arrays(case, dtype, batch=2):
    (height, width, inputs), (rows, columns, outputs), stride, padding = CASES[case]
    generator = np.random.default_rng(0)
    x = generator.normal(size=(batch, height, width, inputs)).astype(dtype)
    kernel = generator.normal(size=(rows, columns, inputs, outputs)).astype(dtype)
    return jnp.asarray(x), jnp.asarray(kernel), stride, padding


def with_gradients(function):
    @jax.jit
    def both(x, kernel, cotangent):
        value, pull_back = jax.vjp(function, x, kernel)
        return value, *pull_back(cotangent)

    return both


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradients_are_those_of_lax(case):
    with jax.enable_x64(True):
        x, kernel, stride, padding = arrays(case, np.float64)
        ours = functools.partial(ops.conv, stride=stride, padding=padding)
        theirs = functools.partial(reference, stride=stride, padding=padding)
        shape = jax.eval_shape(theirs, x, kernel).shape
        cotangent = jnp.asarray(np.random.default_rng(1).normal(size=shape))
        actual = with_gradients(ours)(x, kernel, cotangent)
        expected = with_gradients(theirs)(x, kernel, cotangent)
        for a, b in zip(actual, expected, strict=True):
            assert a.dtype == jnp.float64
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_bfloat16_stays_bfloat16_and_sums_in_float32(case, batch, deep, monkeypatch):
    if deep:
        monkeypatch.setattr(products, "_DEEP", 1)
    x, kernel, stride, padding = arrays(case, np.float32, batch)
    theirs = functools.partial(reference, stride=stride, padding=padding)
    cotangent = np.random.default_rng(1).normal(size=jax.eval_shape(theirs, x, kernel).shape)
    # Whole numbers that both types hold, and their sums too.
    wholes = [jnp.round(a) for a in (x, kernel, cotangent.astype(np.float32))]
    expected = with_gradients(theirs)(*wholes)
    assert max(abs(a).max() for a in expected) <= 256
    ours = functools.partial(ops.conv, stride=stride, padding=padding)
    actual = with_gradients(ours)(*(a.astype(jnp.bfloat16) for a in wholes))
    for a, b in zip(actual, expected, strict=True):
        assert a.dtype == jnp.bfloat16
        np.testing.assert_array_equal(a.astype(jnp.float32), b)


def lowered(case, platform):
    x, kernel, stride, padding = arrays(case, np.float32)

    def loss(x, kernel):
        return (ops.conv(x, kernel, stride=stride, padding=padding) ** 2).sum()

    program = jax.jit(jax.grad(loss, (0, 1))).trace(x, kernel)
    return program.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("case", ["1x1", "3x3 on a small map"])
def test_slow_cases_are_products_on_cpu_and_convolutions_elsewhere(case):
    assert "stablehlo.convolution" not in lowered(case, "cpu")
    assert "stablehlo.convolution" in lowered(case, "cuda")
    assert "stablehlo.convolution" in lowered(case, "tpu")


def test_larger_maps_are_convolutions_on_cpu_too():
    assert "stablehlo.convolution" in lowered("3x3 of more channels", "cpu")


@pytest.mark.parametrize("case", ["1x1", "3x3 on a small map", "3x3 of more channels, strided"])
def test_devices_share_a_batch(case):
    x, kernel, stride, padding = arrays(case, np.float32, batch=8)
    # A factor per image, so that exchanged images would show.
    factor = jnp.arange(1.0, 9.0)[:, None, None, None]

    def loss(x, kernel, factor):
        return (factor * ops.conv(x, kernel, stride=stride, padding=padding) ** 2).sum()

    expected = jax.grad(loss, (0, 1))(x, kernel, factor)
    split = jax.sharding.Mesh(np.array(jax.devices()), ("batch",))
    by_image = NamedSharding(split, PartitionSpec("batch"))
    whole = NamedSharding(split, PartitionSpec())
    sharded = jax.jit(jax.grad(loss, (0, 1)), out_shardings=(by_image, whole))(
        jax.device_put(x, by_image),
        jax.device_put(kernel, whole),
        jax.device_put(factor, by_image),
    )
    mapped = jax.pmap(
        lambda x, k, f: (
            jax.grad(loss)(x, k, f),
            lax.psum(jax.grad(loss, 1)(x, k, f), "batch"),
        ),
        axis_name="batch",
        in_axes=(0, None, 0),
        out_axes=(0, None),
    )(x[:, None], kernel, factor[:, None])

    @functools.partial(
        jax.shard_map,
        mesh=split,
        in_specs=(by_image.spec, whole.spec, by_image.spec),
        out_specs=(by_image.spec, whole.spec),
    )
    def by_hand(x, kernel, factor):
        kernel = lax.pcast(kernel, "batch", to="varying")
        of_images, of_kernel = jax.grad(loss, (0, 1))(x, kernel, factor)
        return of_images, lax.psum(of_kernel, "batch")

    for actual in (sharded, (mapped[0][:, 0], mapped[1]), jax.jit(by_hand)(x, kernel, factor)):
        for a, b in zip(actual, expected, strict=True):
            np.testing.assert_allclose(np.asarray(a), b, rtol=2e-5, atol=2e-4)


# name: images (height, width, inputs), outputs, stride; what they become on a CPU
DEEP_CASES = {
    "tiles": ((16, 16, 128), 128, 1),
    "tiles of an odd map, other outputs": ((13, 20, 65), 192, 1),
    "tiles, kernel's gradient in blocks": ((20, 16, 64), 64, 1),
    "patches for images alone": ((33, 35, 64), 128, 2),
    "patches": ((9, 10, 256), 256, 2),
}


@pytest.mark.parametrize("case", DEEP_CASES)
def test_deep_maps_have_the_value_and_gradients_of_lax(case):
    (height, width, inputs), outputs, stride = DEEP_CASES[case]
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(4, height, width, inputs)), jnp.float32)
    kernel = jnp.asarray(generator.normal(size=(3, 3, inputs, outputs)), jnp.float32)
    ours, theirs = (
        functools.partial(f, stride=stride, padding=((1, 1), (1, 1))) for f in (ops.conv, reference)
    )
    shape = jax.eval_shape(theirs, x, kernel).shape
    cotangent = jnp.asarray(generator.normal(size=shape), jnp.float32)
    found, wanted = (with_gradients(f)(x, kernel, cotangent) for f in (ours, theirs))
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6 * np.abs(b).max(), rtol=1e-5)


def test_deep_strided_maps_are_patches_in_float32_alone(monkeypatch):
    assert "stablehlo.convolution" in lowered("3x3 of more channels, strided", "cpu")
    monkeypatch.setattr(conv, "_STRIDED", 4)
    assert "stablehlo.convolution" not in lowered("3x3 of more channels, strided", "cpu")
    low = (a.astype(jnp.bfloat16) for a in arrays("3x3 of more channels, strided", np.float32)[:2])
    assert not conv._is_slow(2, *low)


def test_gradients_of_patches_are_summed_in_float32():
    # Whole numbers, so that float32 is exact, whose sums bfloat16 rounds: once, at the end.
    x, kernel, stride, padding = arrays("3x3 of more channels, strided", np.float32)
    generator = np.random.default_rng(0)
    kernel = jnp.asarray(generator.integers(-99, 100, kernel.shape), jnp.float32)
    theirs = functools.partial(reference, stride=stride, padding=padding)
    shape = jax.eval_shape(theirs, x, kernel).shape
    cotangent = jnp.asarray(generator.integers(-99, 100, shape), jnp.float32)
    wanted = jax.vjp(theirs, x, kernel)[1](cotangent)[0]
    ours = functools.partial(ops.conv, stride=stride, padding=padding)
    low = [a.astype(jnp.bfloat16) for a in (x, kernel, cotangent)]
    found = with_gradients(ours)(*low)[1]
    assert np.abs(wanted).max() > 4096
    np.testing.assert_array_equal(found, wanted.astype(jnp.bfloat16))


def test_shapes_without_running():
    x, kernel, stride, padding = arrays("3x3 strided to a small map", np.float32)
    shape = jax.eval_shape(functools.partial(ops.conv, stride=stride, padding=padding), x, kernel)
    assert shape.shape == (2, 2, 2, 4)


WIDE_5X5 = ((7, 6, 3), (5, 5, 4), 1, ((1, 0), (2, 2)))


@pytest.fixture
def abreast(monkeypatch):
    """A batch of 16 lies two abreast: (5 + 1) columns and 4 outputs are half of what is enough."""
    monkeypatch.setattr(conv, "_WIDE", 48)
    monkeypatch.setitem(CASES, "5x5, rows lost", WIDE_5X5)


@pytest.mark.parametrize("case", ["3x3 of more channels", "5x5, rows lost"])
def test_images_abreast_change_nothing(case, abreast):
    with jax.enable_x64(True):
        x, kernel, stride, padding = arrays(case, np.float64, batch=16)
        assert conv._num_side_by_side(stride, padding, x, kernel) == 2
        ours = functools.partial(ops.conv, stride=stride, padding=padding)
        theirs = functools.partial(reference, stride=stride, padding=padding)
        shape = jax.eval_shape(theirs, x, kernel).shape
        cotangent = jnp.asarray(np.random.default_rng(1).normal(size=shape))
        found = with_gradients(ours)(x, kernel, cotangent)
        for a, b in zip(found, with_gradients(theirs)(x, kernel, cotangent), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_images_abreast_stay_on_their_device(abreast):
    x, kernel, stride, padding = arrays("3x3 of more channels", np.float32, batch=16)
    split = jax.sharding.Mesh(np.array(jax.devices()), ("batch",))
    by_image = NamedSharding(split, PartitionSpec("batch"))
    whole = NamedSharding(split, PartitionSpec())

    @functools.partial(jax.jit, in_shardings=(by_image, whole), out_shardings=by_image)
    def slide(x, kernel):
        return ops.conv(x, kernel, stride=stride, padding=padding)

    program = slide.lower(x, kernel).compile().as_text()
    # One image and a column beside another, on each device.
    assert re.search(r"f32\[1,6,12,4\]\S* convolution", program)
    assert not re.search(r"all-gather|all-reduce|all-to-all|collective-permute", program)
    np.testing.assert_allclose(
        slide(x, kernel), reference(x, kernel, stride, padding), rtol=1e-5, atol=1e-5
    )


def test_wide_maps_and_single_images_stay_as_they_are():
    kernel, padding = jnp.zeros((3, 3, 8, 64)), ((1, 1), (1, 1))
    for shape in ((16, 4, 128, 8), (1, 4, 16, 8), (8, 4, 16, 8)):
        assert conv._num_side_by_side(1, padding, jnp.zeros(shape), kernel) == 1
    assert conv._num_side_by_side(2, padding, jnp.zeros((64, 4, 16, 8)), kernel) == 1
    assert conv._num_side_by_side(1, padding, jnp.zeros((64, 4, 16, 8)), kernel) == 8


def test_formulations_can_be_switched_off(monkeypatch):
    monkeypatch.setattr(ops, "CPU_FORMULATIONS", False)
    assert "stablehlo.convolution" in lowered("1x1", "cpu")
