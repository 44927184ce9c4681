"""What one phase's updates change, and what they leave alone to the bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catpose.data import augment, batch
from catpose.data.input_spec import InputSpec
from catpose.experiment import phases
from catpose.training import input_pipeline, phase_run, step
from tests.support import tiny

NUM_STEPS = 3


def after(folder, settings):
    """State before and after a few steps of a config's only phase, flat, and the logged sums."""
    settings.optimizer.update({"name": "sgd", "weight_decay": 0.1})
    run = tiny.run(settings, folder)
    settings.data.cache_dir = str(folder)
    (phase,) = run.phases
    state = phase_run.initial_state(run)
    # Statistics and pose networks that differ, so that a mix-up shows.
    noise = np.random.default_rng(0)

    def shaken(leaf):
        return leaf + noise.uniform(-0.1, 0.1, leaf.shape).astype(np.float32)

    state = state._replace(
        params=jax.tree.map(shaken, state.params),
        batch_stats=jax.tree.map(shaken, state.batch_stats),
    )
    before = flat(state)
    state = phase_run.enter(run, phase, state)
    steps = phase_run.begin(run, phase, state)
    for _ in range(NUM_STEPS):
        state, sums = steps.take(state)
    assert int(state.step) == NUM_STEPS
    return before, flat(state), jax.device_get(sums)


def flat(state):
    return phases.by_path(jax.device_get(state.variables))


def check(before, now, moves):
    """`moves(path)` says whether a leaf moves; it may return a mask over its entries."""
    assert before.keys() == now.keys()
    for path, old in before.items():
        free = np.broadcast_to(np.asarray(moves(path)), old.shape)
        np.testing.assert_array_equal(now[path][~free], old[~free], err_msg=path)
        assert not free.any() or (now[path][free] != old[free]).any(), f"{path} did not move"


def test_frozen_leaves_keep_their_bits_under_weight_decay(tmp_path):
    train = ("category_network/bn0", "category_network/logits", "pose_networks/output")
    phase = tiny.phase(train=train, batch_norm=(), category_weight=0.3)
    before, now, sums = after(tmp_path, tiny.config([phase]))
    check(before, now, lambda path: path.removeprefix("params/").startswith(train))
    assert sums["pose_count"] == sums["category_count"] == 16
    assert 0 <= sums["correct"] <= 16
    assert sums["grad_norm"] > 0


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    """The same tied phase on images and on cached features of the same two views."""

    def results(cached):
        phase = tiny.phase(
            train=(tiny.POSE,),
            batch_norm=(tiny.POSE,),
            category_weight=0.0,
            fusion="oracle",
            tied=True,
            cached_features=cached,
            views=("identity", "mirror"),
        )
        return after(tmp_path_factory.mktemp("cached"), tiny.config([phase]))

    return results(False), results(True)


def test_a_tied_phase_moves_the_first_pose_network_alone(tied):
    first = np.arange(len(tiny.CATEGORIES)) == 0

    def moves(path):
        if "/pose_networks/" not in path:
            return False
        return first.reshape(-1, *[1] * (tied[0][0][path].ndim - 1))

    for before, now, sums in tied:
        check(before, now, moves)
        assert "category_loss" not in sums


def test_cached_features_equal_computed_ones(tied):
    (_, computed, sums), (_, cached, cached_sums) = tied
    for path, leaf in computed.items():
        np.testing.assert_allclose(cached[path], leaf, rtol=1e-5, atol=1e-6, err_msg=path)
    for name, value in sums.items():
        np.testing.assert_allclose(cached_sums[name], value, rtol=1e-5, err_msg=name)


def test_stored_features_are_those_of_each_view(tmp_path):
    """The mirrored view of an image is the identity view of the mirrored image."""
    settings = tiny.config([tiny.phase()])
    split = tiny.split(5, 0)
    mirrored = split._replace(image=split.image[:, :, ::-1])
    network = tiny.run(settings, tmp_path).model.network
    shape = jax.ShapeDtypeStruct((1, tiny.RESOLUTION, tiny.RESOLUTION, 3), np.float32)
    variables = network.init_fn(jax.random.key(0), shape)

    def features(split, views):
        return batch.feature_cache(
            network.feature_fn,
            variables,
            split,
            views,
            augment=augment.Augment(),
            input_spec=InputSpec(tiny.RESOLUTION, 1.0, "torchvision", "camera"),
            batch_size=4,
        )

    found = features(split, ("identity", "mirror"))
    assert found.shape[:2] == (5, 2)
    np.testing.assert_allclose(
        features(mirrored, ("identity",))[:, 0], found[:, 1], rtol=1e-5, atol=1e-5
    )
    assert np.abs(found[:, 0] - found[:, 1]).max() > 0.01


def test_random_views_are_stored_with_what_changed_them(tmp_path):
    settings = tiny.config([tiny.phase()])
    settings.data.cache_dir = str(tmp_path / "cache")

    def features(zoom):
        views = ("identity", *augment.random_names(2))
        settings.phases = [
            tiny.phase(
                train=(tiny.POSE,),
                batch_norm=(tiny.POSE,),
                category_weight=0.0,
                cached_features=True,
                views=views,
                augment={"zoom": zoom},
            )
        ]
        run = tiny.run(settings, tmp_path)
        found = input_pipeline.cache(
            run, "train", run.phases[0], phase_run.initial_state(run)
        ).features
        return np.asarray(found), len(list((tmp_path / "cache").iterdir()))

    first, count = features(0.1)
    assert first.shape[:2] == (48, 3)
    assert count == 3
    again, count = features(0.1)
    np.testing.assert_array_equal(again, first)
    assert count == 3
    stronger, count = features(0.3)
    assert count == 5
    np.testing.assert_array_equal(stronger[:, 0], first[:, 0])
    for one, other in ((first[:, 1], first[:, 2]), (stronger[:, 1:], first[:, 1:])):
        assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize(("platform", "branches"), [("cpu", True), ("cuda", False)])
def test_only_a_cpu_branches_on_a_bad_batch(platform, branches):
    def moved(good, x):
        return step.where(good, lambda x: (x + 1,), x)

    x = jnp.zeros(3)
    lowered = jax.jit(moved).trace(True, x).lower(lowering_platforms=(platform,))
    assert ("stablehlo.select" in lowered.as_text()) != branches
    for good in (True, False):
        np.testing.assert_array_equal(jax.jit(moved)(good, x)[0], x + good)
