import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from catpose.models.cpu import conv, kernel_gradient


@pytest.mark.parametrize(
    ("inputs", "outputs", "num_blocks"), [(64, 64, 2), (64, 128, 1), (65, 192, 1), (128, 64, 2)]
)
def test_large_maps_have_the_gradient_of_lax(inputs, outputs, num_blocks):
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(4, 20, 16, inputs)), jnp.float32)
    gradient = jnp.asarray(generator.normal(size=(4, 20, 16, outputs)), jnp.float32)
    taps = conv.inputs_of_taps(x, (3, 3), 1, ((1, 1), (1, 1)))
    assert kernel_gradient._are_large(taps, gradient)
    least = kernel_gradient._BLOCK.get(outputs, math.inf)
    assert kernel_gradient._num_blocks(4 * 20 * 16, least) == num_blocks

    def slide(kernel):
        return conv.plain(1, ((1, 1), (1, 1)), x, kernel)

    found = jax.jit(kernel_gradient.of_taps)(taps, gradient)
    wanted = jax.vjp(slide, jnp.zeros((3, 3, inputs, outputs)))[1](gradient)[0]
    wanted = wanted.reshape(found.shape)
    np.testing.assert_allclose(found, wanted, atol=2e-6 * np.abs(wanted).max(), rtol=1e-5)


def test_blocks_of_bfloat16_are_summed_in_float32():
    generator = np.random.default_rng(0)
    # Whole numbers of few bits: what float32 sums is exact, whatever the order.
    x, gradient = (
        jnp.asarray(generator.integers(-3, 4, (4, 20, 16, 64)), jnp.bfloat16) for _ in range(2)
    )
    taps = conv.inputs_of_taps(x, (3, 3), 1, ((1, 1), (1, 1)))
    assert kernel_gradient._are_large(taps, gradient)
    found = jax.jit(kernel_gradient.of_taps)(taps, gradient)
    rows = [np.asarray(tap, np.float64).reshape(-1, 64) for tap in taps]
    wanted = [tap.T @ np.asarray(gradient, np.float64).reshape(-1, 64) for tap in rows]
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found, jnp.asarray(np.stack(wanted), jnp.bfloat16))


@pytest.mark.parametrize(
    ("positions", "least", "count"),
    [
        (25088, 512, 49),
        (1023, 512, 1),
        (1024, 512, 2),
        (6272, 2048, 2),
        (7, 9, 1),
        (10, math.inf, 1),
    ],
)
def test_blocks_are_equal_and_not_small(positions, least, count):
    assert kernel_gradient._num_blocks(positions, least) == count
