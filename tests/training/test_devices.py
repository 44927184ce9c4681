"""Eight devices against one: the plain step under jit on a single device is the oracle."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.spatial.transform import Rotation

from catpose import devices
from catpose.data import augment, batch
from catpose.data.input_spec import InputSpec
from catpose.errors import InputError
from catpose.experiment import build, phases
from catpose.training import optimizer, step
from tests.support import tiny

# What BatchNorm in training mode subtracts again: in exact arithmetic their gradient is zero, and
# Adam makes steps of the rounding noise.
ZERO_GRADIENT = ("feature_network/reduce/bias", "category_network/bn0/bias")


def recording(tx):
    """`tx`, with the last gradient in its state."""

    def init(params):
        return jax.tree.map(jnp.zeros_like, params), tx.init(params)

    def update(gradient, tx_state, params, **extra):
        updates, inner = tx.update(gradient, tx_state[1], params, **extra)
        return updates, (gradient, inner)

    return optax.GradientTransformationExtraArgs(init, update)


def records(split, at):
    """Weights, padding and the two sources' sizes are uneven over the devices on purpose."""
    generator = np.random.default_rng(at)
    real = generator.permutation(48)[:32]
    real[27:] = -1
    rendered = generator.permutation(48)[:16]
    parts = {
        "train": batch.records(split, real),
        "pretrain": batch.records(split, rendered, 32, category_weight=0.0),
    }
    weight = generator.integers(1, 17, 32).astype(np.float32) / 8  # adds up without rounding
    train = parts["train"]
    parts["train"] = train._replace(pose_weight=train.pose_weight * weight)
    return parts


def trained(mode, *, name, dtype, rate, num_steps=3, dropout=0.0, **changes):
    """(gradients of the first step, last state, logged sums) of a few steps."""
    sources = {"train": 32, "pretrain": 16}
    settings = tiny.config(
        [tiny.phase(sources=sources, learning_rate={"peak": rate}, **changes)],
        dtype=dtype,
        normalization="keras",  # a subtraction alone: the same bits wherever it runs
        pool_channels=4,
        head_hidden=(8,) if dropout else (),
        head_dropout=dropout,
    )
    model = build.build_model(tiny.read(settings), tiny.CATEGORIES)
    (phase,) = tiny.read(settings).phases
    split = tiny.split(48, 0)
    # Away from half turns, where the geodesic gradient jumps and float32 has little to say.
    omega = np.random.default_rng(0).uniform(-1, 1, (48, 3))
    split = split._replace(rotation=Rotation.from_rotvec(omega).as_matrix().astype(dtype))
    prepare_fn = functools.partial(
        batch.prepare,
        augment=augment.Augment(mirror=0.5),
        views=(),
        input_spec=InputSpec(tiny.RESOLUTION, 1.0, "keras", "camera"),
        margins={"train": 0, "pretrain": 0},
    )
    shape = jax.ShapeDtypeStruct((1, tiny.RESOLUTION, tiny.RESOLUTION, 3), jnp.float32)
    variables = model.network.init_fn(jax.random.key(1), shape)
    variables = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), variables)
    tx = recording(
        optimizer.make(phase, variables["params"], name=name, weight_decay=1e-2, clip_norm=5.0)
    )
    state = step.create_state(jax.random.key(2), variables)
    state = state._replace(opt_state=tx.init(phases.trainable(state.params, phase)))
    step_fn = functools.partial(
        step.train_step,
        phase=phase,
        prepare_fn=prepare_fn,
        forward_fn=step.phase_forward(model.network.apply_fn, phase, len(tiny.CATEGORIES)),
        loss_fn=step.phase_loss(model.pose, phase),
        tx=tx,
    )
    cache = {name: batch.Cache(image=jnp.asarray(split.image)) for name in phase.sources}

    def placed(at):
        rows = records(split, at)
        return rows if mode == "one" else devices.place(rows, mode)

    if mode == "one":
        compiled = jax.jit(step_fn)
    else:
        compiled = devices.compile_step(step_fn, mode)
        state, cache = devices.replicate(state), devices.replicate(cache)
    gradient = None
    for at in range(num_steps):
        state, sums = compiled(state, placed(at), cache)
        if gradient is None:
            gradient = jax.device_get(state.opt_state[0])
    return gradient, state, jax.device_get(sums)


def leaves(state):
    return phases.by_path(state.variables)


# Plain SGD, batch statistics per category, dropout.
SGD = {"name": "sgd", "dtype": "float32", "rate": 0.05, "fusion": "oracle", "dropout": 0.5}
# Adam, in a precision that leaves it no noise to amplify; poses mixed by the probabilities.
ADAM = {"name": "adam", "dtype": "float64", "rate": 1e-3, "pose_loss": "mse"}


@pytest.fixture(scope="module")
def one():
    """One device, plain SGD in float32."""
    return trained("one", **SGD)


@pytest.mark.parametrize("mode", devices.MODES)
def test_sgd_equals_one_device(mode, one):
    gradient, state, sums = trained(mode, **SGD)
    wanted_gradient, wanted, wanted_sums = one
    bound = 1e-5 * max(np.abs(leaf).max() for leaf in wanted_gradient.values())
    for path, leaf in wanted_gradient.items():
        np.testing.assert_allclose(gradient[path], leaf, rtol=0, atol=bound, err_msg=path)
    for path, leaf in leaves(wanted).items():
        # Variances of unscaled images are in the thousands.
        bound = 1e-5 * max(1.0, np.abs(leaf).max())
        np.testing.assert_allclose(leaves(state)[path], leaf, rtol=0, atol=bound, err_msg=path)
    for name, value in wanted_sums.items():
        np.testing.assert_allclose(sums[name], value, rtol=1e-5, err_msg=name)
    for path, leaf in phases.by_path(state._asdict()).items():
        copies = [np.asarray(shard.data) for shard in leaf.addressable_shards]
        assert len(copies) == jax.device_count() == 8
        for copy in copies[1:]:
            np.testing.assert_array_equal(copy, copies[0], err_msg=path)


@pytest.mark.slow
def test_adam_in_float64_equals_one_device():
    with jax.enable_x64():
        wanted_gradient, wanted, _ = trained("one", **ADAM)
        for mode in devices.MODES:
            gradient, state, _ = trained(mode, **ADAM)
            for path, leaf in wanted_gradient.items():
                # Leaf by leaf, where rounding is out of the way.
                bound = 1e-9 * (1.0 if path in ZERO_GRADIENT else np.abs(leaf).max())
                np.testing.assert_allclose(gradient[path], leaf, rtol=0, atol=bound, err_msg=path)
            for path, leaf in leaves(wanted).items():
                assert leaf.dtype == np.float64
                if not path.endswith(ZERO_GRADIENT):
                    np.testing.assert_allclose(
                        leaves(state)[path], leaf, rtol=0, atol=1e-6, err_msg=f"{mode} {path}"
                    )


def test_replicate_makes_new_equal_buffers():
    tree = {"a": np.arange(3.0), "b": jnp.ones(())}
    result = devices.replicate(tree)
    assert result["a"].sharding.is_fully_replicated
    assert len(result["a"].addressable_shards) == 8
    np.testing.assert_array_equal(result["a"], tree["a"])


def test_compiled_programs_are_kept_where_only_their_owner_writes(tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    devices.keep_compilations()
    assert jax.config.jax_compilation_cache_dir == before  # said elsewhere
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        devices.keep_compilations()
        folder = pathlib.Path(jax.config.jax_compilation_cache_dir)
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert folder.is_relative_to(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_uneven_batches_are_an_error():
    with pytest.raises(InputError, match="12 examples of x do not divide among 8 devices"):
        devices.check_batch(12, "x")
    devices.check_batch(16, "x")
