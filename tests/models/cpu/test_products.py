import jax
import numpy as np
import pytest
from jax import numpy as jnp

from catpose.models import ops
from catpose.models.cpu import products

K, B, FROM, TO = 3, 6, 5, 4


@pytest.fixture(scope="module")
def wholes():
    """Inputs, kernels and a cotangent that bfloat16 holds, and their products too."""
    generator = np.random.default_rng(0)
    shapes = ((K, B, FROM), (K, FROM, TO), (K, B, TO))
    return [generator.integers(-3, 4, shape).astype(np.float64) for shape in shapes]


def with_gradients(x, kernel, cotangent):
    value, pull_back = jax.vjp(ops.batched_matmul, x, kernel)
    return value, *pull_back(cotangent)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_each_matrix_meets_its_own_kernel(wholes, dtype):
    x, kernel, cotangent = wholes
    expected = (x @ kernel, cotangent @ kernel.swapaxes(1, 2), x.swapaxes(1, 2) @ cotangent)
    found = jax.jit(with_gradients)(*(jnp.asarray(a, dtype) for a in wholes))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == dtype
        np.testing.assert_array_equal(np.asarray(a, np.float64), b)


def test_bfloat16_is_summed_in_float32_on_cpu():
    x, ones = jnp.full((1, 1, 1000), 1.0, jnp.bfloat16), jnp.ones((1, 1000, 1), jnp.bfloat16)
    assert products.on_cpu("kbi,kio->kbo", x, ones, jnp.float32) == 1000
    assert ops.batched_matmul(x, ones) == 1000


def test_a_transposition_that_follows_stays_outside():
    """Without the barrier XLA cannot run this: "Unsupported element type for DotThunk"."""
    x, w = jnp.ones((256, 64), jnp.bfloat16), jnp.ones((64, 32), jnp.bfloat16)
    product = jax.jit(lambda x, w: products.on_cpu("io,oj->ij", x, w, jnp.float32).T)(x, w)
    np.testing.assert_array_equal(product, np.full((32, 256), 64.0))


def test_an_accelerator_has_the_plain_product(wholes):
    x, kernel, _ = (jnp.asarray(a, jnp.bfloat16) for a in wholes)
    traced = jax.jit(ops.batched_matmul).trace(x, kernel)
    for platform, types in (("cuda", "xbf16"), ("tpu", "xbf16"), ("cpu", "xf32")):
        (line,) = [
            line
            for line in traced.lower(lowering_platforms=(platform,)).as_text().splitlines()
            if "stablehlo.dot_general" in line
        ]
        assert line.endswith(f"-> tensor<{K}x{B}x{TO}{types}>"), platform
