import math

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax import numpy as jnp

from catpose.models import initializers, pose_nets

K, P, F, BATCH = 4, 3, 6, 8
HIDDEN = (10, 5)


@pytest.fixture(scope="module")
def module():
    return pose_nets.PoseNetworks(K, P, lambda raw: math.pi * jnp.tanh(raw), HIDDEN)


@pytest.fixture(scope="module")
def features():
    return jnp.asarray(np.random.default_rng(0).normal(size=(BATCH, F)), jnp.float32)


@pytest.fixture(scope="module")
def variables(module, features):
    """Values without the regularity of a start."""
    shapes = nn.unbox(module.init(jax.random.key(0), features, use_running=True))
    generator = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: jnp.asarray(generator.uniform(0.2, 1.0, leaf.shape), jnp.float32), shapes
    )


def one_network(variables, k, x, weights=None):
    """Network k by itself in numpy; on running statistics unless weights are given."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf[k], np.float64), variables["params"])
    stats = jax.tree.map(lambda leaf: np.asarray(leaf[k], np.float64), variables["batch_stats"])
    x = np.asarray(x, np.float64)
    for i in (1, 2):
        x = x @ params[f"linear{i}"]["kernel"]
        mean, var = stats[f"bn{i}"]["mean"], stats[f"bn{i}"]["var"]
        if weights is not None and weights.sum() > 0:
            mean = np.average(x, axis=0, weights=weights)
            var = np.average((x - mean) ** 2, axis=0, weights=weights)
        x = (x - mean) / np.sqrt(var + 1e-5)
        x = np.maximum(x * params[f"bn{i}"]["scale"] + params[f"bn{i}"]["bias"], 0)
    return math.pi * np.tanh(x @ params["output"]["kernel"] + params["output"]["bias"])


def test_every_network_is_its_own_perceptron(module, variables, features):
    outputs = module.apply(variables, features, use_running=True)
    assert outputs.shape == (BATCH, K, P)
    for k in range(K):
        np.testing.assert_allclose(
            outputs[:, k], one_network(variables, k, features), rtol=1e-4, atol=1e-4
        )


def test_batch_statistics_over_the_rows_of_each_category(module, variables, features):
    category = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    rows = np.eye(K)[category] * np.linspace(0.5, 2, BATCH)[:, None]
    outputs, _ = module.apply(
        variables,
        features,
        use_running=False,
        weights=jnp.asarray(rows, jnp.float32),
        mutable=["batch_stats"],
    )
    for k in range(K):
        expected = one_network(variables, k, features, rows[:, k])
        np.testing.assert_allclose(outputs[:, k], expected, rtol=1e-3, atol=1e-3)


def test_tied_networks_are_the_first(module, variables, features):
    outputs, stats = pose_nets.apply_tied(module, variables, features, use_running=False)
    assert outputs.shape == (BATCH, K, P)
    expected = one_network(variables, 0, features, np.ones(BATCH))
    for k in range(K):
        np.testing.assert_allclose(outputs[:, k], expected, rtol=1e-3, atol=1e-3)
    for new, old in zip(
        jax.tree.leaves(stats),
        jax.tree.leaves(variables["batch_stats"]),
        strict=True,
    ):
        np.testing.assert_array_equal(new[1:], old[1:])
        assert (new[0] != old[0]).all()


def test_tied_statistics_are_over_the_rows_of_all_categories(module, variables, features):
    weight = np.linspace(0, 2, BATCH)
    rows = np.eye(K)[np.arange(BATCH) % K] * weight[:, None]
    outputs, _ = pose_nets.apply_tied(
        module, variables, features, use_running=False, weights=jnp.asarray(rows, jnp.float32)
    )
    expected = one_network(variables, 0, features, weight)
    np.testing.assert_allclose(outputs[:, 2], expected, rtol=1e-3, atol=1e-3)


def test_tied_gradient_reaches_the_first_network_only(module, variables, features):
    def loss(params):
        own = {**variables, "params": params}
        return pose_nets.apply_tied(module, own, features, use_running=True)[0].sum()

    for leaf in jax.tree.leaves(jax.jit(jax.grad(loss))(variables["params"])):
        assert jnp.abs(leaf[0]).sum() > 0
        np.testing.assert_array_equal(leaf[1:], 0)


def test_start_is_glorot_per_network_and_small_at_the_end():
    module = pose_nets.PoseNetworks(5, P, lambda raw: raw, (100, 50))

    @jax.jit
    def start():
        limits = module.init(jax.random.key(0), jnp.ones((2, 200)), use_running=True)
        return initializers.draw(jax.random.key(1), limits["params"])

    params = start()
    for name, scale in (("linear1", 1.0), ("linear2", 1.0), ("output", 0.05)):
        kernel = params[name]["kernel"]
        limit = scale * math.sqrt(6 / (kernel.shape[1] + kernel.shape[2]))
        assert jnp.abs(kernel).max() <= limit
        # A uniform distribution on [-limit, limit]: its standard deviation is limit / sqrt(3).
        np.testing.assert_allclose(kernel.std((1, 2)), limit / math.sqrt(3), rtol=0.1)
        assert (kernel[0] != kernel[1]).mean() > 0.99
    np.testing.assert_array_equal(params["output"]["bias"], 0)


def test_parameter_count_of_the_paper():
    """1024-1000-500-3 without biases before batch normalisation, twelve times."""
    module = pose_nets.PoseNetworks(12, P, lambda raw: raw)
    shapes = jax.eval_shape(
        lambda: module.init(jax.random.key(0), jnp.ones((2, 1024)), use_running=True)
    )
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"]))
    assert count == 12 * (1024 * 1000 + 2 * 1000 + 1000 * 500 + 2 * 500 + 500 * 3 + 3)
