import re

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax import lax
from jax import numpy as jnp
from jax.test_util import check_grads

from catpose.models import norm


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def run(module, variables, x, **kwargs):
    return module.apply(variables, x, mutable=["batch_stats"], **kwargs)


def variables_like(shape, seed=5):
    """Parameters and statistics that are nowhere 0 or 1."""
    values = np.random.default_rng(seed).uniform(0.5, 1.5, (4, *shape))
    scale, bias, mean, var = jnp.asarray(values, jnp.float32)
    return {
        "params": {"scale": scale, "bias": bias},
        "batch_stats": {"mean": mean, "var": var},
    }


@pytest.mark.parametrize("use_running", [True, False])
def test_agrees_with_flax(use_running):
    x = jnp.asarray(3 * normal(4, 5, 6, 7) + 2, jnp.float32)
    variables = variables_like((7,))
    ours = norm.BatchNorm(momentum=0.8, eps=1e-3)
    theirs = nn.BatchNorm(
        use_running_average=use_running, momentum=0.8, epsilon=1e-3, use_fast_variance=False
    )
    expected, expected_stats = theirs.apply(variables, x, mutable=["batch_stats"])
    actual, actual_stats = run(ours, variables, x, use_running=use_running)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    for name in ("mean", "var"):
        np.testing.assert_allclose(
            actual_stats["batch_stats"][name],
            expected_stats["batch_stats"][name],
            rtol=1e-5,
        )


def test_running_statistics_are_kept_bit_for_bit():
    variables = variables_like((7,))
    x = jnp.asarray(normal(4, 7), jnp.float32)
    _, stats = run(norm.BatchNorm(), variables, x, use_running=True)
    for name in ("mean", "var"):
        np.testing.assert_array_equal(stats["batch_stats"][name], variables["batch_stats"][name])


def test_each_network_sees_its_own_weighted_rows():
    num_networks, batch, channels = 3, 6, 4
    x = 2 * normal(num_networks, batch, channels) + 1
    # Network 1 has no rows at all; network 2 has fractions.
    rows = np.array([[1, 0, 0.5], [1, 0, 0], [0, 0, 2], [1, 0, 0], [0, 0, 0.25], [0, 0, 0]])
    variables = variables_like((num_networks, channels))
    module = norm.BatchNorm(momentum=0.7, eps=1e-3, num_networks=num_networks)
    y, stats = run(
        module,
        variables,
        jnp.asarray(x, jnp.float32),
        use_running=False,
        weights=jnp.asarray(rows, jnp.float32),
    )
    old = jax.tree.map(np.asarray, variables)
    for k in range(num_networks):
        mean, var = old["batch_stats"]["mean"][k], old["batch_stats"]["var"][k]
        new_mean, new_var = mean, var
        if rows[:, k].sum() > 0:
            batch_mean = np.average(x[k], axis=0, weights=rows[:, k])
            batch_var = np.average((x[k] - batch_mean) ** 2, axis=0, weights=rows[:, k])
            new_mean = 0.7 * mean + 0.3 * batch_mean
            new_var = 0.7 * var + 0.3 * batch_var
            mean, var = batch_mean, batch_var
        expected = (x[k] - mean) / np.sqrt(var + 1e-3)
        expected = expected * old["params"]["scale"][k] + old["params"]["bias"][k]
        np.testing.assert_allclose(y[k], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(stats["batch_stats"]["mean"][k], new_mean, rtol=1e-5)
        np.testing.assert_allclose(stats["batch_stats"]["var"][k], new_var, rtol=1e-5)
    np.testing.assert_array_equal(stats["batch_stats"]["mean"][1], old["batch_stats"]["mean"][1])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("use_running", [False, True])
def test_gradients_are_the_slopes(use_running, masked):
    """Against finite differences; network 1 has no rows, network 2 has fractions."""
    with jax.enable_x64(True):
        module = norm.BatchNorm(num_networks=3)
        variables = jax.tree.map(lambda v: v.astype(jnp.float64), variables_like((3, 4)))
        x, target = jnp.asarray(2 * normal(3, 6, 4) + 1), jnp.asarray(normal(3, 6, 4, seed=1))
        rows = jnp.array([[1, 0, 0.5], [1, 0, 0], [0, 0, 2], [1, 0, 0], [0, 0, 0.2], [0, 0, 0]])

        def loss(params, x):
            replaced = {**variables, "params": params}
            given = rows if masked else None
            y, _ = run(module, replaced, jnp.asarray(x), use_running=use_running, weights=given)
            return (jnp.sin(y) * target).sum()

        check_grads(loss, (variables["params"], x), order=1, modes=["rev"], rtol=1e-5, atol=1e-5)


def test_the_backward_pass_keeps_the_input_alone():
    module, variables = norm.BatchNorm(), variables_like((4,))
    x = jnp.asarray(normal(8, 5, 5, 4), jnp.bfloat16)
    _, vjp = jax.vjp(lambda x: run(module, variables, x, use_running=False)[0], x)
    kept = [leaf for leaf in jax.tree.leaves(vjp) if leaf.size >= x.size]
    assert [leaf.dtype for leaf in kept] == [jnp.bfloat16]


def test_no_rows_at_all_gives_finite_gradients():
    module = norm.BatchNorm(num_networks=2)
    x = jnp.asarray(normal(2, 3, 4), jnp.float32)
    variables = variables_like((2, 4))

    def loss(x):
        y, _ = run(module, variables, x, use_running=False, weights=jnp.zeros((3, 2)))
        return (y**3).sum()

    assert np.isfinite(jax.grad(loss)(x)).all()


def test_a_mean_far_from_zero_does_not_cancel():
    """In float32, E[x^2] - E[x]^2 without the shift has an error of about 6 here."""
    x = normal(512, 3) + 1e4
    mean, var, weight = norm.moments(
        jnp.asarray(x, jnp.float32), jnp.full((1, 3), 1e4 + 1, jnp.float32), (0,)
    )
    np.testing.assert_allclose(var[0], x.var(0), rtol=2e-3)
    np.testing.assert_allclose(mean[0], x.mean(0), rtol=1e-6)
    assert weight.item() == 512


def test_gradients_far_from_zero_lose_what_rounding_costs_and_no_more():
    """Against the same in float64, from inputs rounded alike."""
    x, target = normal(8, 16, 16, 3) + 100, normal(8, 16, 16, 3, seed=1)
    x = x.astype(np.float32)

    def slopes(dtype):
        variables = jax.tree.map(lambda v: v.astype(dtype), variables_like((3,)))

        def loss(params, x):
            given = {"params": params, "batch_stats": variables["batch_stats"]}
            given["batch_stats"]["mean"] = jnp.full(3, 99, dtype)
            y, _ = run(norm.BatchNorm(), given, x, use_running=False)
            return (y * target.astype(dtype)).sum()

        return jax.grad(loss, argnums=(0, 1))(variables["params"], jnp.asarray(x, dtype))

    found = slopes(jnp.float32)
    with jax.enable_x64(True):
        wanted = slopes(jnp.float64)
    assert wanted[1].dtype == jnp.float64
    # Near 100 neighbours are 7.6e-6 apart, which the mean's rounding costs every normalised number.
    scale = np.abs(target).sum((0, 1, 2)).max()
    np.testing.assert_allclose(found[0]["scale"], wanted[0]["scale"], atol=1.2e-5 * scale)
    np.testing.assert_allclose(found[0]["bias"], wanted[0]["bias"], atol=1e-6 * scale)
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-4)


def test_statistics_of_bfloat16_are_float32():
    x = jnp.asarray(normal(4096, 2) + 8, jnp.bfloat16)
    variables = variables_like((2,))
    y, stats = run(norm.BatchNorm(momentum=0.0), variables, x, use_running=False)
    assert y.dtype == jnp.bfloat16
    exact = np.asarray(x, np.float64)
    assert stats["batch_stats"]["mean"].dtype == jnp.float32
    np.testing.assert_allclose(stats["batch_stats"]["mean"], exact.mean(0), rtol=1e-5)
    np.testing.assert_allclose(stats["batch_stats"]["var"], exact.var(0), rtol=1e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_on_eight_devices_are_those_on_one(masked):
    """The local losses are sums, and their gradients are added: no factor of 8 anywhere."""
    with jax.enable_x64(True):
        module = norm.BatchNorm(num_networks=2)
        variables = jax.tree.map(lambda v: v.astype(jnp.float64), variables_like((2, 4)))
        x, target = jnp.asarray(normal(2, 16, 4)), jnp.asarray(normal(2, 16, 4, seed=1))
        rows = jnp.asarray(np.random.default_rng(2).uniform(size=(16, 2)) * masked + (not masked))
        # Network 1 has rows on the first device only.
        rows = rows.at[2:, 1].multiply(1 - masked)

        def loss(params, x, rows, target, axis_name):
            y, stats = run(
                module,
                {**variables, "params": params},
                x,
                use_running=False,
                weights=rows if masked else None,
                axis_name=axis_name,
            )
            return (jnp.sin(y) * target).sum(), stats

        value_and_gradient = jax.value_and_grad(loss, (0, 1), has_aux=True)
        (_, expected_stats), expected = jax.jit(value_and_gradient, static_argnums=4)(
            variables["params"], x, rows, target, None
        )

        def step(params, x, rows, target):
            (_, stats), (params_gradient, x_gradient) = value_and_gradient(
                params, x, rows, target, "batch"
            )
            return lax.psum(params_gradient, "batch"), x_gradient, stats

        params_gradient, x_gradient, stats = jax.pmap(
            step, axis_name="batch", in_axes=(None, 1, 0, 1), out_axes=(None, 1, None)
        )(
            variables["params"],
            x.reshape(2, 8, 2, 4),
            rows.reshape(8, 2, 2),
            target.reshape(2, 8, 2, 4),
        )
        for a, b in zip(
            jax.tree.leaves((params_gradient, x_gradient.reshape(2, 16, 4), stats)),
            jax.tree.leaves((*expected, expected_stats)),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_one_all_reduce_per_layer():
    module = norm.BatchNorm()
    variables = variables_like((4,))

    def forward(x):
        return run(module, variables, x, use_running=False, axis_name="batch")

    x = jnp.ones((8, 2, 4))
    program = jax.pmap(forward, axis_name="batch").lower(x).as_text()
    assert len(re.findall(r"stablehlo\.all_reduce", program)) == 1
