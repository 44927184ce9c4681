import functools
import math

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax import lax
from jax import numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from catpose.models import architectures, fusion, heads, initializers
from catpose.poses import axis_angle

K = 3
POSE = axis_angle.AXIS_ANGLE
IMAGE = jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.float32)
SMALL = {
    "num_categories": K,
    "pose": POSE,
    "blocks": (1, 1),
    "width": 4,
    "block": "basic",
    "variant": "v1.5",
    "stem": "small",
    "split_stage": 2,
    "pose_hidden": (8, 6),
}
POOLED = SMALL | {
    "category_head": "pooled",
    "pool_grid": 2,
    "pool_channels": 3,
    "head_hidden": (7,),
    "head_dropout": 0.5,
}
STAGE5 = SMALL | {"blocks": (1, 1, 1, 1), "pool_grid": 0, "pool_channels": 3}


def shapes_of(**settings):
    network = architectures.build(**settings)
    return jax.eval_shape(lambda key: network.init_fn(key, IMAGE), jax.random.key(0))


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


@functools.cache
def small(name):
    """A network, variables that are nowhere 0 or 1 all over, and 8 images of 16 x 16."""
    network = architectures.build(**{"pooled": POOLED, "stage5": STAGE5}[name])
    generator = np.random.default_rng(0)
    image = jnp.asarray(generator.normal(size=(8, 16, 16, 3)), jnp.float32)
    variables = network.init_fn(jax.random.key(0), image)
    variables["batch_stats"] = jax.tree.map(
        lambda leaf: jnp.asarray(generator.uniform(0.5, 1.5, leaf.shape), jnp.float32),
        variables["batch_stats"],
    )
    return network, variables, image


# Published counts: torchvision's documentation of resnet18, 34, 50 and 101 and Keras'
# ResNet50(include_top=False), less their 1000-way classifiers; pose networks by hand.
RESNETS = {
    "ResNet-18": ("basic", "v1.5", (2, 2, 2, 2), 11_689_512 - 513_000),
    "ResNet-34": ("basic", "v1.5", (3, 4, 6, 3), 21_797_672 - 513_000),
    "ResNet-50": ("bottleneck", "v1.5", (3, 4, 6, 3), 25_557_032 - 2_049_000),
    "ResNet-50, Keras": ("bottleneck", "v1", (3, 4, 6, 3), 23_587_712 - 53_120),
    "ResNet-101": ("bottleneck", "v1.5", (3, 4, 23, 3), 44_549_160 - 2_049_000),
}


@pytest.mark.parametrize("name", RESNETS)
def test_published_parameter_counts(name):
    block, variant, blocks, expected = RESNETS[name]
    shapes = shapes_of(
        num_categories=12, pose=POSE, block=block, variant=variant, blocks=blocks, split_stage=4
    )
    channels = 512 if block == "basic" else 2048
    logits = (channels + 1) * 12
    counts = architectures.param_counts(shapes)
    assert counts["feature_network"] + counts["category_network"] - logits == expected
    features = channels // 2
    pose = features * 1000 + 2 * 1000 + 1000 * 500 + 2 * 500 + 500 * 3 + 3
    assert counts["pose_networks"] == 12 * pose
    assert counts["total"] == expected + logits + 12 * pose


def test_counts_of_the_paper_network():
    """To the end of stage 4, with statistics: the 8,589,184 values of the published file."""
    shapes = shapes_of(num_categories=12, pose=POSE)
    feature = [shapes[name]["feature_network"] for name in ("params", "batch_stats")]
    assert count(feature) == 8_589_184
    category = [shapes[name]["category_network"] for name in ("params", "batch_stats")]
    # Keras' ResNet50 with statistics, less that, and the classifier of 12 categories.
    assert count(category) == 23_587_712 - 8_589_184 + 2049 * 12


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"split_stage": 3}, 512),
        ({"split_stage": 4}, 1024),
        ({"split_stage": 5}, 2048),
        ({"split_stage": 3, "pool_grid": 2}, 4 * 512),
        ({"split_stage": 3, "pool_grid": 0, "pool_channels": 32}, 8 * 8 * 32),
    ],
)
def test_size_of_the_features(changes, expected):
    shapes = shapes_of(num_categories=K, pose=POSE, **changes)
    assert shapes["params"]["pose_networks"]["linear1"]["kernel"].shape == (K, expected, 1000)


def test_all_parameters_are_float32_and_in_three_groups():
    for settings in (POOLED, STAGE5):
        shapes = shapes_of(**settings)
        for tree in shapes.values():
            assert set(tree) == set(architectures.GROUPS)
            assert {leaf.dtype for leaf in jax.tree.leaves(tree)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("name", ["pooled", "stage5"])
def test_given_features_stand_for_the_image(name):
    network, variables, image = small(name)
    whole, _ = jax.jit(network.apply_fn)(variables, image)
    features = jax.jit(network.feature_fn)(variables, image)
    assert features.ndim == (2 if name == "pooled" else 4)
    from_features, _ = jax.jit(network.apply_fn)(variables, None, features=features)
    for a, b in zip(from_features, whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["pooled", "stage5"])
def test_given_features_leave_the_feature_network_alone(name):
    network, variables, image = small(name)
    features = jax.jit(network.feature_fn)(variables, image)

    def loss(params):
        outputs, stats = network.apply_fn(
            {**variables, "params": params},
            None,
            features=features,
            batch_norm_train=frozenset(architectures.GROUPS),
        )
        return sum(leaf.sum() for leaf in outputs), stats

    gradient, stats = jax.jit(jax.grad(loss, has_aux=True))(variables["params"])
    for leaf in jax.tree.leaves(gradient["feature_network"]):
        np.testing.assert_array_equal(leaf, 0)
    assert any(jnp.abs(leaf).sum() > 0 for leaf in jax.tree.leaves(gradient["pose_networks"]))
    for new, old in zip(
        jax.tree.leaves(stats["feature_network"]),
        jax.tree.leaves(variables["batch_stats"]["feature_network"]),
        strict=True,
    ):
        np.testing.assert_array_equal(new, old)
    # Nor need it be there at all where the head reads pooled features.
    if name == "pooled":
        parts = {
            collection: {g: v for g, v in tree.items() if g != "feature_network"}
            for collection, tree in variables.items()
        }
        network.apply_fn(parts, None, features=features)


def test_pooling_averages_cells_row_by_row():
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
    pooled = heads.average_cells(jnp.asarray(x), 2)
    expected = [x[:, r : r + 2, c : c + 3].mean((1, 2)) for r in (0, 2) for c in (0, 3)]
    np.testing.assert_allclose(pooled, np.concatenate(expected, -1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(heads.average_cells(jnp.asarray(x), 0), x.reshape(2, -1))
    with pytest.raises(ValueError, match="does not divide"):
        heads.average_cells(jnp.asarray(x), 4)


@pytest.mark.parametrize("trains", [(), *[(group,) for group in architectures.GROUPS]])
def test_batch_statistics_move_in_the_named_groups_only(trains):
    network, variables, image = small("pooled")
    _, stats = jax.jit(network.apply_fn, static_argnames="batch_norm_train")(
        variables, image, batch_norm_train=frozenset(trains)
    )
    assert set(stats) == set(architectures.GROUPS)
    for group in architectures.GROUPS:
        for new, old in zip(
            jax.tree.leaves(stats[group]),
            jax.tree.leaves(variables["batch_stats"][group]),
            strict=True,
        ):
            if group in trains:
                assert (new != old).all()
            else:
                np.testing.assert_array_equal(new, old)


def test_tied_and_rows_reach_the_pose_networks():
    network, variables, image = small("pooled")
    apply_fn = jax.jit(network.apply_fn, static_argnames=("batch_norm_train", "tied"))
    trains = frozenset({"pose_networks"})
    tied, stats = apply_fn(variables, image, batch_norm_train=trains, tied=True)
    assert tied.pose_outputs.shape == (8, K, POSE.num_outputs)
    np.testing.assert_array_equal(tied.pose_outputs[:, 1], tied.pose_outputs[:, 0])
    old = variables["batch_stats"]["pose_networks"]["bn1"]["mean"]
    np.testing.assert_array_equal(stats["pose_networks"]["bn1"]["mean"][1:], old[1:])
    # All rows to network 0: the others keep their statistics.
    rows = jnp.zeros((8, K)).at[:, 0].set(1)
    _, stats = apply_fn(variables, image, batch_norm_train=trains, pose_bn_weights=rows)
    new = stats["pose_networks"]["bn1"]["mean"]
    np.testing.assert_array_equal(new[1:], old[1:])
    assert (new[0] != old[0]).all()


def test_dropout_needs_a_key_and_a_training_head():
    network, variables, image = small("pooled")
    apply_fn = jax.jit(network.apply_fn, static_argnames="batch_norm_train")
    head = frozenset({"category_network"})

    def logits(key, trains):
        return apply_fn(variables, image, key, batch_norm_train=trains)[0].category_logits

    key, other = jax.random.key(1), jax.random.key(2)
    np.testing.assert_array_equal(logits(key, frozenset()), logits(None, frozenset()))
    assert (logits(key, head) != logits(None, head)).any()
    assert (logits(key, head) != logits(other, head)).any()
    np.testing.assert_array_equal(logits(key, head), logits(key, head))


def test_low_precision_keeps_heads_in_float32():
    network = architectures.build(**POOLED, dtype="bfloat16")
    _, variables, image = small("pooled")
    low, stats = jax.jit(network.apply_fn, static_argnames="batch_norm_train")(
        variables, image, batch_norm_train=frozenset(architectures.GROUPS)
    )
    assert low.features.dtype == jnp.bfloat16
    assert low.category_logits.dtype == low.pose_outputs.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(stats)} == {jnp.dtype(jnp.float32)}
    high, _ = jax.jit(small("pooled")[0].apply_fn, static_argnames="batch_norm_train")(
        variables, image, batch_norm_train=frozenset(architectures.GROUPS)
    )
    np.testing.assert_allclose(low.category_logits, high.category_logits, atol=0.3)
    assert (low.category_logits != high.category_logits).any()


@pytest.mark.parametrize("parallel", ["pmap", "jit"])
def test_eight_devices_are_one(parallel):
    """Gradients, statistics and outputs in float64, with masked rows that differ per device."""
    _, variables, image = small("pooled")
    with jax.enable_x64(True):
        network = architectures.build(**POOLED, dtype="float64")
        variables, image = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float64), (variables, jnp.tile(image, (2, 1, 1, 1)))
        )
        image = image * jnp.linspace(0.1, 3, 16)[:, None, None, None]
        category = jnp.arange(16) * 7 % K
        rows = jax.nn.one_hot(category, K, dtype=jnp.float64)

        def loss(params, image, rows, axis_name):
            outputs, stats = network.apply_fn(
                {**variables, "params": params},
                image,
                batch_norm_train=frozenset(architectures.GROUPS),
                pose_bn_weights=rows,
                axis_name=axis_name,
            )
            per_example = (rows * jax.nn.log_softmax(outputs.category_logits)).sum(-1)
            pose = (rows[..., None] * outputs.pose_outputs).sum((1, 2))
            return (per_example + pose**2).sum(), (stats, outputs)

        def step(params, image, rows, axis_name):
            gradient, (stats, outputs) = jax.grad(loss, has_aux=True)(
                params, image, rows, axis_name
            )
            if axis_name:
                gradient = lax.psum(gradient, axis_name)
            return gradient, stats, outputs

        one = functools.partial(step, axis_name=None)
        expected = jax.jit(one)(variables["params"], image, rows)
        if parallel == "pmap":
            mapped = jax.pmap(
                functools.partial(step, axis_name="batch"),
                axis_name="batch",
                in_axes=(None, 0, 0),
                out_axes=(None, None, 0),
            )
            actual = mapped(
                variables["params"], image.reshape(8, 2, 16, 16, 3), rows.reshape(8, 2, K)
            )
            merged = jax.tree.map(lambda leaf: leaf.reshape(16, *leaf.shape[2:]), actual[2])
            actual = (*actual[:2], merged)
        else:
            mesh = jax.sharding.Mesh(np.array(jax.devices()), ("batch",))
            whole = NamedSharding(mesh, PartitionSpec())
            split = NamedSharding(mesh, PartitionSpec("batch"))
            actual = jax.jit(
                one, in_shardings=(whole, split, split), out_shardings=(whole, whole, split)
            )(variables["params"], image, rows)
        for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category_head": "stage6"}, "category_head is .stage6.; it can be stage5, pooled"),
        ({"split_stage": 6}, "from 2 to 5"),
        ({"split_stage": 1}, "from 2 to 5"),
        ({"category_head": "stage5"}, "ends before stage 5"),
        ({"split_stage": 4}, "ends before stage 4"),
    ],
)
def test_wrong_settings_are_explained(changes, message):
    with pytest.raises(ValueError, match=message):
        architectures.build(**POOLED | changes)


def test_unknown_groups_are_explained():
    network, variables, image = small("pooled")
    with pytest.raises(ValueError, match="groups are"):
        network.apply_fn(variables, image, batch_norm_train=frozenset({"backbone"}))


class TestFusion:
    logits = jnp.log(jnp.asarray([[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]]))

    def test_weighted_is_the_probabilities(self):
        np.testing.assert_allclose(
            fusion.weights("weighted", self.logits + 5), jnp.exp(self.logits), rtol=1e-5
        )

    def test_top1_is_the_most_probable_without_gradient(self):
        expected = [[0, 1, 0], [1, 0, 0]]
        np.testing.assert_array_equal(fusion.weights("top1", self.logits), expected)
        gradient = jax.grad(
            lambda logits: (fusion.weights("top1", logits) * jnp.arange(3.0)[None]).sum()
        )(self.logits)
        np.testing.assert_array_equal(gradient, 0)

    def test_oracle_is_the_given_category(self):
        actual = fusion.weights("oracle", self.logits, jnp.asarray([2, 1]))
        np.testing.assert_array_equal(actual, [[0, 0, 1], [0, 1, 0]])

    def test_always_float32(self):
        for name in fusion.FUSIONS:
            low = self.logits.astype(jnp.bfloat16)
            assert fusion.weights(name, low, jnp.asarray([2, 1])).dtype == jnp.float32

    def test_errors(self):
        with pytest.raises(ValueError, match="weighted, top1, oracle"):
            fusion.weights("mean", self.logits)
        with pytest.raises(ValueError, match="needs the category"):
            fusion.weights("oracle", self.logits)


def test_layers_with_initializers_of_their_own_keep_what_those_drew():
    class Mixed(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(4, kernel_init=initializers.glorot(), name="ours")(
                nn.Dense(6, name="flax")(x)
            )

    key, x = jax.random.key(3), jnp.ones((2, 5))
    started = Mixed().init(key, x)["params"]
    drawn = initializers.draw(jax.random.key(4), started)
    np.testing.assert_array_equal(drawn["flax"]["kernel"], started["flax"]["kernel"])
    limit = np.sqrt(6 / 10)
    assert (started["ours"]["kernel"].value == np.float32(limit)).all()
    assert 0 < np.abs(drawn["ours"]["kernel"]).max() <= limit
    assert np.std(drawn["ours"]["kernel"]) > 0.2
