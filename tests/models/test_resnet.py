import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax import tree_util

from catpose.models import architectures, ops, pretrained, resnet, settings
from catpose.poses import axis_angle
from tests.support.paths import GOLDEN


def feature_maps(settings, image, path, stages):
    """Maps of a network with a file's weights, by stage."""
    maps = {}
    for stage in stages:
        network = architectures.build(
            num_categories=2,
            pose=axis_angle.AXIS_ANGLE,
            pose_hidden=(),
            split_stage=stage,
            category_head="pooled",
            pool_grid=0,
            **settings,
        )
        variables, report = pretrained.load_pretrained(path, network.init_fn(KEY, image), network)
        assert not report.missing
        size = image.shape[1] // 2**stage
        maps[stage] = jax.jit(network.feature_fn)(variables, image).reshape(
            len(image), size, size, -1
        )
    return maps


KEY = jax.random.key(0)
# The files of tests/peers/make_golden_torch.py, PyTorch 2.13.0.
BOTTLENECK = {"blocks": (2, 1, 1, 1), "width": 4, "variant": "v1.5"}
BASIC = {"blocks": (1, 2, 1, 1), "width": 4, "variant": "v1.5", "block": "basic", "stem": "small"}


@pytest.mark.parametrize(
    ("name", "settings", "file", "stages"),
    [
        ("bottleneck", BOTTLENECK, "torch_bottleneck.pth", (3, 5)),
        ("bottleneck", BOTTLENECK, "torch_bottleneck.safetensors", (4,)),
        ("basic", BASIC, "torch_basic_wrapped.pt", (5,)),
    ],
)
def test_stages_agree_with_torch(name, settings, file, stages):
    golden = np.load(GOLDEN / "torch_stages.npz")
    image = jnp.asarray(golden["image"], jnp.float32)
    for stage, actual in feature_maps(settings, image, GOLDEN / file, stages).items():
        expected = golden[f"{name}_stage{stage}"]
        assert expected.std() > 0.1
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_stages_agree_on_real_photographs(data_dir):
    """ImageNet's ResNet-50 in Keras' variant; golden values of torch from other code."""
    golden = np.load(data_dir / "weights" / "golden_stage3_stage4.npz")
    path = data_dir / "weights" / "resnet50_keras_imagenet_stage4.npz"
    image = jnp.asarray(golden["inputs"])
    maps = feature_maps({"variant": "v1"}, image, path, (3, 4))
    for actual, expected in (
        (maps[3].mean((1, 2)), golden["gap_stage3"]),
        (maps[4].mean((1, 2)), golden["gap_stage4"]),
        (maps[4][0], golden["stage4_map0"]),
    ):
        np.testing.assert_allclose(actual, expected, atol=1e-3 * np.abs(expected).max())


def test_max_pool_is_reduce_window():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, 8, 3)), jnp.float32)
    weight = jnp.asarray(np.random.default_rng(1).normal(size=(2, 4, 4, 3)), jnp.float32)

    def reference(x):
        return jax.lax.reduce_window(
            x,
            -jnp.inf,
            jax.lax.max,
            (1, 3, 3, 1),
            (1, 2, 2, 1),
            ((0, 0), (1, 1), (1, 1), (0, 0)),
        )

    np.testing.assert_array_equal(resnet.max_pool(x), reference(x))
    actual, expected = (
        jax.grad(lambda x, f=f: (f(x) * weight).sum())(x) for f in (resnet.max_pool, reference)
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_relu_is_that_of_jax():
    x = jnp.asarray([-2.0, -0.0, 0.0, 1e-30, 3.0, jnp.inf, jnp.nan]).reshape(1, 1, 1, 7)
    for dtype in (jnp.float32, jnp.bfloat16):
        (value, slopes), (wanted, expected) = (
            (y, pull_back(jnp.full_like(x, 2, dtype))[0])
            for y, pull_back in (jax.vjp(f, x.astype(dtype)) for f in (ops.relu, jax.nn.relu))
        )
        assert value.dtype == slopes.dtype == dtype
        np.testing.assert_array_equal(*(x.astype(jnp.float32) for x in (value, wanted)))
        np.testing.assert_array_equal(*(x.astype(jnp.float32) for x in (slopes, expected)))


def test_parameter_paths():
    """Phases, checkpoints and pretrained weights match on these names."""
    network = architectures.build(
        num_categories=2, pose=axis_angle.AXIS_ANGLE, blocks=(1, 1, 1, 1), width=8, variant="v1"
    )
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    shapes = jax.eval_shape(lambda key: network.init_fn(key, image), KEY)
    paths = {
        "/".join(part.key for part in path): leaf.shape
        for path, leaf in tree_util.tree_leaves_with_path(shapes["params"]["feature_network"])
    }
    block = {
        f"stage2/block1/{name}": shape
        for name, shape in {
            "conv1/kernel": (1, 1, 8, 8),
            "conv1/bias": (8,),
            "bn1/scale": (8,),
            "bn1/bias": (8,),
            "conv2/kernel": (3, 3, 8, 8),
            "conv2/bias": (8,),
            "bn2/scale": (8,),
            "bn2/bias": (8,),
            "conv3/kernel": (1, 1, 8, 32),
            "conv3/bias": (32,),
            "bn3/scale": (32,),
            "bn3/bias": (32,),
            "shortcut_conv/kernel": (1, 1, 8, 32),
            "shortcut_conv/bias": (32,),
            "shortcut_bn/scale": (32,),
            "shortcut_bn/bias": (32,),
        }.items()
    }
    assert {p: s for p, s in paths.items() if p.startswith("stage2/")} == block
    assert {p for p in paths if p.startswith("stem/")} == {
        "stem/conv/kernel",
        "stem/conv/bias",
        "stem/bn/scale",
        "stem/bn/bias",
    }
    assert {p.split("/")[0] for p in paths} == {"stem", "stage2", "stage3", "stage4"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block": "wide"}, "block is one of"),
        ({"variant": "v2"}, "variant is one of"),
        ({"stem": "none"}, "stem is one of"),
        ({"block": "basic", "variant": "v1"}, "not in 'v1'"),
        ({"blocks": ()}, "one to four"),
        ({"blocks": (1, 0)}, "one to four"),
    ],
)
def test_wrong_shapes_are_explained(changes, message):
    shape = {"blocks": (1, 1, 1, 1), "width": 8, "variant": "v1.5", "stem": "small"}
    with pytest.raises(ValueError, match=message):
        resnet.describe(settings.Settings(**shape | changes))


def test_blocks_computed_twice_are_the_same_and_keep_less():
    image = jax.random.normal(KEY, (4, 32, 32, 3))

    def gradient(remat):
        network = architectures.build(
            num_categories=2, pose=axis_angle.AXIS_ANGLE, remat=remat, pose_hidden=(),
            category_head="pooled", split_stage=2, blocks=(3,), width=4,
        )  # fmt: skip
        variables = network.init_fn(KEY, image)

        def loss(params):
            outputs, statistics = network.apply_fn(
                {**variables, "params": params},
                image,
                batch_norm_train=frozenset(architectures.GROUPS),
            )
            return (outputs.category_logits**2).sum(), statistics

        kept = jax.eval_shape(lambda params: jax.vjp(loss, params)[1], variables["params"])
        # The maps of the blocks: image and stem are kept whether or not.
        maps = [leaf for leaf in jax.tree.leaves(kept) if leaf.shape[:3] == (4, 8, 8)]
        size = sum(leaf.size for leaf in maps)
        return jax.jit(jax.grad(loss, has_aux=True))(variables["params"]), size

    (plain, whole), (again, less) = gradient(False), gradient(True)
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(plain))
    for found, wanted in zip(jax.tree.leaves(again), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * scale)
    assert less < 0.5 * whole, (less, whole)
