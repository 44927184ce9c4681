"""The four architectures of figure 2: what they share, what they cost, and that they train."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from catpose.errors import InputError
from catpose.experiment import checkpoint, initial_weights, phases, workdir
from catpose.models import architectures, pretrained, resnet
from catpose.models.backbone import layer_path
from catpose.poses import axis_angle
from catpose.studies.paper import published
from catpose.training import phase_run
from tests.support import tiny

K = 12
SMALL = {
    "num_categories": 3,
    "pose": axis_angle.AXIS_ANGLE,
    "blocks": (1, 1, 1, 1),
    "width": 4,
    "block": "basic",
    "variant": "v1.5",
    "stem": "small",
    "pool_grid": 1,
    "pose_hidden": (6, 5),
}
# Keras' ResNet50 without its classifier has 23,587,712 weights, 53,120 of them moving statistics.
RESNET50 = 23_587_712 - 53_120

# Those that the paper compares, by what differs from its own.
NETWORKS = {
    "integrated": {},
    "integrated, split after stage 3": {"split_stage": 3},
    "integrated, split after stage 5": {"split_stage": 5},
    "shared": {"architecture": "shared"},
    "shared, one pose network of 5000 units": {
        "architecture": "shared",
        "pose_hidden": (5000, 500),
    },
    "shared, one pose network of 12000 units": {
        "architecture": "shared",
        "pose_hidden": (12000, 500),
    },
    "sequential": {"architecture": "sequential"},
    "independent": {"architecture": "independent"},
    "VGG-M": {"trunk": "vgg_m", "width": 96, "category_head": "pooled"},
}


@pytest.fixture(scope="module")
def counted():
    """Parameters by network, at the paper's sizes."""
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), np.float32)
    found = {}
    for name, changes in NETWORKS.items():
        network = architectures.build(num_categories=K, pose=axis_angle.AXIS_ANGLE, **changes)
        shapes = jax.eval_shape(network.init_fn, jax.random.key(0), image)
        found[name] = architectures.param_counts(shapes)
    return found


def test_the_parameters_that_pages_print_are_those_of_the_networks(counted):
    assert published.PARAMETERS == counted


def perceptron(inputs, *hidden):
    """Weights of FC and BatchNorm for each hidden layer, and of the last layer with its bias."""
    sizes = [inputs, *hidden]
    layers = sum(a * b + 2 * b for a, b in zip(sizes, sizes[1:], strict=False))
    return layers + sizes[-1] * 3 + 3


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("integrated, split after stage 3", 512),
        ("integrated", 1024),
        ("integrated, split after stage 5", 2048),
    ],
)
def test_wherever_it_is_split_there_is_one_resnet_and_one_linear_layer(counted, name, inputs):
    found = counted[name]
    assert found["feature_network"] + found["category_network"] == RESNET50 + 2048 * K + K
    assert found["pose_networks"] == K * perceptron(inputs, 1000, 500)


def test_one_network_of_twelve_times_the_width_is_as_large_as_twelve(counted):
    # The paper's reason for 12000 units in Table 4.
    twelve = counted["integrated"]["pose_networks"]
    one = counted["shared, one pose network of 12000 units"]["pose_networks"]
    assert twelve == 12 * perceptron(1024, 1000, 500) == 18_342_036
    assert one == perceptron(1024, 12_000, 500) == 18_314_503
    assert abs(one / twelve - 1) < 0.002


@pytest.mark.parametrize(
    ("name", "num_resnets", "num_pose_networks"),
    [("integrated", 1, K), ("shared", 1, 1), ("sequential", 2, K), ("independent", 2, 1)],
)
def test_parameters_of_each_architecture(counted, name, num_resnets, num_pose_networks):
    found = counted[name]
    pose = num_pose_networks * perceptron(1024, 1000, 500)
    assert found["pose_networks"] == pose
    # The second ResNet is whole; the first one then needs no stage 5.
    upto_stage4 = counted["integrated"]["feature_network"]
    resnets = RESNET50 + (upto_stage4 if num_resnets == 2 else 0)
    assert found["total"] == resnets + 2048 * K + K + pose


def test_vgg_m_needs_a_head_without_stages(counted):
    assert counted["VGG-M"]["pose_networks"] == K * perceptron(4096, 1000, 500)
    for changes, message in (
        ({"trunk": "vgg_m", "width": 96}, "pooled"),
        ({"trunk": "alexnet"}, "trunk"),
        ({"architecture": "parallel"}, "architecture"),
    ):
        with pytest.raises(ValueError, match=message):
            architectures.build(num_categories=K, pose=axis_angle.AXIS_ANGLE, **changes)


@functools.cache
def made(name, head="stage5"):
    """A network, its variables, and four images of noise."""
    settings = SMALL if head == "stage5" else SMALL | {"blocks": (1,), "split_stage": 2}
    network = architectures.build(**settings, architecture=name, category_head=head)
    image = jnp.asarray(np.random.default_rng(0).normal(size=(4, 32, 32, 3)), jnp.float32)
    return network, network.init_fn(jax.random.key(0), image), image


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_what_each_task_teaches(name):
    network, variables, image = made(name, "pooled")

    def losses(params):
        outputs, _ = network.apply_fn({**variables, "params": params}, image)
        return (outputs.pose_outputs**2).sum(), (outputs.category_logits**2).sum()

    def touched(tree):
        return {path for path, leaf in phases.by_path(tree).items() if np.any(leaf)}

    by_pose, by_category = map(touched, jax.jit(jax.jacrev(losses))(variables["params"]))
    own = name in ("sequential", "independent")
    feature = {p for p in phases.by_path(variables["params"]) if p.startswith("feature_network/")}
    assert feature <= by_pose
    assert feature.isdisjoint(by_category) if own else feature <= by_category
    assert not any(path.startswith("category_network/") for path in by_pose)
    assert not any(path.startswith("pose_networks/") for path in by_category)
    assert any(path.startswith(architectures.OWN_FEATURES) for path in by_category) == own


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("shared", "stage5"),
        ("sequential", "stage5"),
        ("sequential", "pooled"),
        ("independent", "stage5"),
    ],
)
def test_stored_features_stand_for_the_image(name, head):
    network, variables, image = made(name, head)
    whole, _ = jax.jit(network.apply_fn)(variables, image)
    features = jax.jit(network.feature_fn)(variables, image)
    stored, _ = jax.jit(network.apply_fn)(variables, None, features=features)
    for a, b in zip(stored, whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    if name in ("shared", "independent"):  # every category has the same pose
        np.testing.assert_array_equal(whole.pose_outputs, whole.pose_outputs[:, :1].repeat(3, 1))


@pytest.mark.parametrize(
    "name",
    [
        "independent",  # both of what the others differ in
        pytest.param("shared", marks=pytest.mark.slow),
        pytest.param("sequential", marks=pytest.mark.slow),
    ],
)
def test_each_architecture_trains(name, tmp_path):
    settings = tiny.config([tiny.phase()], architecture=name)
    tiny.take_two_steps(tiny.run(settings, tmp_path))


def test_vgg_m_and_a_fusion_of_rotations_train(tmp_path):
    settings = tiny.config([tiny.phase()], trunk="vgg_m", width=3, pose_fusion="karcher")
    settings.data.resolution = 48
    tiny.take_two_steps(tiny.run(settings, tmp_path))
    for changes, message in (
        ({"pose_fusion": "mean"}, "pose_fusion is 'mean'"),
        ({"pose_fusion": "karcher", "pose": "fine_bins"}, "'fine_bins' has no such loss"),
    ):
        settings.model.update(changes)
        with pytest.raises(InputError, match=message):
            tiny.run(settings, tmp_path)


def test_a_second_resnet_whose_features_are_stored_does_not_train(tmp_path):
    cached = {"cached_features": True, "views": ("identity",), "batch_norm": ()}
    head = "category_network/(?!own_features)[^/]+"
    config = tiny.config([tiny.phase(train=(head,), **cached)], architecture="sequential")
    run = tiny.run(config, tmp_path)
    state = phase_run.initial_state(run)
    trained = set(phases.trainable(state.params, run.phases[0]))
    assert trained
    assert not any("own_features" in path for path in trained)
    # Its BatchNorm may use the batch: the part that rests is not run.
    with_norm = tiny.phase(train=(head,), **{**cached, "batch_norm": (tiny.CATEGORY,)})
    tiny.run(tiny.config([with_norm], architecture="sequential"), tmp_path)
    part = tiny.phase(train=("category_network/logits",), batch_norm=(tiny.CATEGORY,))
    with pytest.raises(InputError, match="is frozen, even in part"):
        tiny.run(tiny.config([part], architecture="sequential"), tmp_path)
    whole = tiny.phase(train=(tiny.CATEGORY,), **cached)
    with pytest.raises(InputError, match="cached_features must be False"):
        tiny.run(tiny.config([whole], architecture="sequential"), tmp_path)


def test_a_run_begins_with_the_stages_of_another_wherever_they_are(tmp_path):
    first = tmp_path / "first"
    stages = {"blocks": (1, 1, 1, 1), "category_head": "stage5", "pool_grid": 0}
    donor = tiny.config([tiny.phase(steps=1)], split_stage=4, **stages)
    donor.eval.splits = ()
    with workdir.opened(first, tiny.read(donor)):
        trained = phase_run.initial_state(tiny.run(donor, first))
    with checkpoint.open_manager(first / "checkpoints") as manager:
        checkpoint.save(manager, 1, trained, None)
        manager.wait_until_finished()
    for name, split in (("integrated", 3), ("sequential", 5)):
        config = tiny.config([tiny.phase()], split_stage=split, architecture=name, **stages)
        config.model.pretrained = str(first)
        run = tiny.run(config, tmp_path)
        found, line = initial_weights.initial_variables(
            tiny.read(config), run.model, jax.random.key(1)
        )
        assert "arrays loaded" in line
        for kind, tree in (("params", trained.params), ("batch_stats", trained.batch_stats)):
            given = {p.split("/", 1)[1]: leaf for p, leaf in phases.by_path(tree).items()}
            stage_paths = [p for p in phases.by_path(found[kind]) if "/stage" in p or "/stem" in p]
            assert stage_paths
            for path in stage_paths:
                own = path.replace("own_features/", "").split("/", 1)[1]
                np.testing.assert_array_equal(phases.by_path(found[kind])[path], given[own])
    config.model.width = 5
    run = tiny.run(config, tmp_path)
    with pytest.raises(InputError, match="of shape"):
        initial_weights.initial_variables(tiny.read(config), run.model, jax.random.key(1))


def test_a_file_of_weights_fills_both_resnets(tmp_path):
    """Names as in Keras' files, which know nothing of a second network."""
    network = architectures.build(**SMALL | {"block": "bottleneck", "variant": "v1"}, split_stage=4)
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    variables = network.init_fn(jax.random.key(0), image)
    name_of = functools.partial(resnet.weight_name, is_torch=False)
    leaves = {
        name_of(own): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
        if (own := layer_path([part.key for part in path], network.backbone.layers))
    }
    np.savez(tmp_path / "w.npz", **{name: leaf for name, leaf in leaves.items() if name})
    second = architectures.build(
        **SMALL | {"block": "bottleneck", "variant": "v1"}, split_stage=4, architecture="sequential"
    )
    fresh = second.init_fn(jax.random.key(1), image)
    found, report = pretrained.load_pretrained(tmp_path / "w.npz", fresh, second)
    assert not report.missing
    own = found["params"]["category_network"]["own_features"]
    for stage in ("stem", "stage2", "stage3", "stage4"):
        ours, theirs, truth = (
            phases.by_path(tree[stage])
            for tree in (
                found["params"]["feature_network"], own, variables["params"]["feature_network"]
            )
        )  # fmt: skip
        for path, leaf in truth.items():
            np.testing.assert_array_equal(ours[path], leaf)
            np.testing.assert_array_equal(theirs[path], leaf)
    truth = phases.by_path(variables["params"]["category_network"]["stage5"])
    for path, leaf in phases.by_path(own["stage5"]).items():
        np.testing.assert_array_equal(leaf, truth[path])
