import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from catpose.errors import InputError
from catpose.models import architectures, pretrained, weight_files
from catpose.poses import axis_angle
from tests.support.paths import TESTS

GOLDEN = TESTS / "golden"
KEY = jax.random.key(0)
IMAGE = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
SMALL = {"num_categories": 2, "pose": axis_angle.AXIS_ANGLE, "pose_hidden": ()}
# The network of golden/torch_bottleneck.*; see peers/make_golden_torch.py.
TORCH = SMALL | {"blocks": (2, 1, 1, 1), "width": 4, "variant": "v1.5"}


def start(**settings):
    return architectures.build(**settings).init_fn(KEY, IMAGE)


def load(path, variables, settings=TORCH, **kwargs):
    return pretrained.load_pretrained(path, variables, architectures.build(**settings), **kwargs)


def read(path):
    return {name: np.asarray(array) for name, array in weight_files.read(path).items()}


@pytest.fixture(scope="session")
def keras_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras")
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    script = TESTS / "peers" / "make_keras_weights.py"
    subprocess.run([sys.executable, script, folder], env=environment, check=True)
    return folder


def test_keras_resnet50(keras_folder):
    """All five stages, over the cut between feature and category network."""
    golden = np.load(keras_folder / "logits.npz")
    network = architectures.build(**SMALL | {"num_categories": 5}, variant="v1", split_stage=4)
    variables, report = pretrained.load_pretrained(
        keras_folder / "resnet.h5", network.init_fn(KEY, IMAGE), network
    )
    assert not report.missing
    assert sorted(report.surplus) == ["predictions/bias", "predictions/kernel"]
    arrays = weight_files.read(keras_folder / "resnet.h5")
    variables["params"]["category_network"]["logits"] = {
        name: np.asarray(arrays[f"predictions/{name}"]) for name in ("kernel", "bias")
    }
    outputs, _ = jax.jit(network.apply_fn)(variables, jnp.asarray(golden["image"]))
    expected = golden["logits"]
    assert expected.std() > 0.1
    np.testing.assert_allclose(
        outputs.category_logits, expected, atol=1e-4 * np.abs(expected).max()
    )


@pytest.mark.parametrize("file", ["resnet.h5", "resnet.weights.h5"])
def test_h5_layouts_give_the_names_of_the_variables(keras_folder, file):
    arrays = weight_files.read(keras_folder / file)
    expected = np.load(keras_folder / "resnet.npz")
    assert len(expected) == 320
    # A weights file may also count its own layers' states.
    assert set(expected) <= set(arrays)
    for name in ("conv1_conv/bias", "conv5_block3_3_bn/moving_variance", "predictions/kernel"):
        np.testing.assert_array_equal(arrays[name], expected[name])
    for name, array in expected.items():
        assert arrays[name].shape == array.shape


def test_torch_formats_hold_the_same_numbers():
    full = read(GOLDEN / "torch_bottleneck.pth")
    half = read(GOLDEN / "torch_bottleneck.safetensors")
    assert set(full) == set(half)
    assert half["conv1.weight"].dtype == jnp.bfloat16
    assert full["bn1.num_batches_tracked"].dtype == np.int64
    for name, array in full.items():
        np.testing.assert_array_equal(array, half[name].astype(array.dtype))


def test_wrapped_state_dictionary():
    arrays = read(GOLDEN / "torch_basic_wrapped.pt")
    assert "epoch" not in arrays
    assert arrays["layer2.0.downsample.0.weight"].dtype == jnp.bfloat16


def test_every_stage_is_filled_and_nothing_else():
    old = start(**TORCH, split_stage=3, pool_channels=3)
    new, report = load(GOLDEN / "torch_bottleneck.pth", old)
    assert not report.missing
    unused = {name.split(".")[-1] for name in report.surplus if not name.startswith("fc.")}
    assert unused == {"num_batches_tracked"}
    for collection in ("params", "batch_stats"):
        for group in architectures.GROUPS:
            for part, tree in new[collection][group].items():
                is_stage = part == "stem" or part.startswith("stage")
                for a, b in zip(
                    jax.tree.leaves(tree),
                    jax.tree.leaves(old[collection][group][part]),
                    strict=True,
                ):
                    assert (a.dtype, a.shape) == (b.dtype, b.shape)
                    assert bool((a != b).any()) == is_stage
    kernel = read(GOLDEN / "torch_bottleneck.pth")["layer4.0.conv2.weight"]
    np.testing.assert_array_equal(
        new["params"]["category_network"]["stage5"]["block1"]["conv2"]["kernel"],
        np.moveaxis(kernel, (0, 1), (3, 2)),
    )


def test_later_stages_are_surplus():
    variables = start(**TORCH, split_stage=3, category_head="pooled")
    _, report = load(GOLDEN / "torch_bottleneck.pth", variables)
    assert {"layer3.0.conv1.weight", "layer4.0.conv1.weight", "fc.weight"} <= set(report.surplus)


def test_missing_arrays_are_an_error_unless_allowed(tmp_path):
    arrays = read(GOLDEN / "torch_bottleneck.pth")
    del arrays["layer2.0.bn1.running_mean"]
    path = tmp_path / "weights.safetensors"
    from safetensors import numpy as safetensors_numpy

    safetensors_numpy.save_file(arrays, path)
    old = start(**TORCH)
    with pytest.raises(ValueError, match=r"lacks 1 arrays: layer2\.0\.bn1\.running_mean"):
        load(path, old)
    new, report = load(path, old, allow_missing=True)
    assert report.missing == ("layer2.0.bn1.running_mean",)
    np.testing.assert_array_equal(
        new["batch_stats"]["feature_network"]["stage3"]["block1"]["bn1"]["mean"], 0
    )


def test_other_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"has shape \(\d.*the network needs"):
        load(GOLDEN / "torch_bottleneck.pth", start(**TORCH | {"width": 8}))


def test_the_other_variant_is_an_error(tmp_path):
    other = TORCH | {"variant": "v1"}
    with pytest.raises(ValueError, match=r"torchvision weights, for variant 'v1\.5'"):
        load(GOLDEN / "torch_bottleneck.pth", start(**other), other)
    np.savez(tmp_path / "keras.npz", **{"conv1_conv/kernel": np.zeros((7, 7, 3, 4))})
    with pytest.raises(ValueError, match="Keras weights, for variant 'v1'"):
        load(tmp_path / "keras.npz", start(**TORCH))


def test_unknown_names_and_files_are_errors(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="it has a"):
        load(tmp_path / "other.npz", start(**TORCH))
    with pytest.raises(InputError, match=r"no weight file .*absent\.npz"):
        load(tmp_path / "absent.npz", start(**TORCH))


def test_normalization_belongs_to_the_variant():
    for variant, expected in (("v1", "keras"), ("v1.5", "torchvision")):
        network = architectures.build(**SMALL, variant=variant)
        assert network.backbone.normalization(network.net) == expected


@pytest.fixture
def changed(tmp_path):
    """The golden weights with other arrays, as a file; and the network's variables."""

    def make(**arrays):
        path = tmp_path / "weights.npz"
        named = {name.replace("__", "."): array for name, array in arrays.items()}
        golden = {
            name: array.astype(np.float32) if array.ndim else array
            for name, array in read(GOLDEN / "torch_bottleneck.pth").items()
        }
        np.savez(path, **golden | named)
        return path

    return make


@pytest.fixture(scope="module")
def variables():
    return start(**TORCH)


@pytest.mark.parametrize(
    "name", ["layer1__2__conv1__weight", "layer4__0__se__fc1__weight", "bn1__gain"]
)
def test_a_deeper_network_is_refused(changed, variables, name):
    """As a ResNet-101 or an SE-ResNet in the place of a ResNet-50."""
    path = changed(**{name: np.zeros((4, 4), np.float32)})
    with pytest.raises(InputError, match="of another network: 1 arrays more") as told:
        load(path, variables)
    assert name.replace("__", ".") in str(told.value)


def test_counters_and_classifiers_are_not_missed(changed, variables):
    path = changed(
        layer1__9__bn1__num_batches_tracked=np.int64(1), head__weight=np.zeros((4, 4), np.float32)
    )
    load(path, variables)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"bn1__bias": np.array([0, np.nan, 0, 0], np.float32)}, "bn1.bias has NaN or infinite"),
        ({"bn1__bias": np.full(4, 1e300)}, "bn1.bias has NaN or infinite values"),
        ({"layer1__0__bn1__running_var": np.full(4, -1e-9)}, "bn1.running_var, a variance, is neg"),
        ({"bn1__bias": np.zeros(4, np.int8)}, "bn1.bias has values of type int8"),
        ({"bn1__bias": np.zeros(4, complex)}, "bn1.bias has values of type complex128"),
    ],
)
def test_values_that_no_weights_have(changed, variables, arrays, message):
    with pytest.raises(InputError, match=message):
        load(changed(**arrays), variables)


def test_shapes_are_compared_before_anything_is_read(variables, monkeypatch):
    def never():
        raise AssertionError

    arrays = weight_files.read(GOLDEN / "torch_bottleneck.pth")
    unread = {name: weight_files.Stored(array.shape, never) for name, array in arrays.items()}
    unread["layer4.0.bn3.bias"] = weight_files.Stored((600_000_000,), never)
    monkeypatch.setattr(weight_files, "read", lambda path: unread)
    with pytest.raises(InputError, match=r"bn3.bias has shape \(600000000,\), the network needs"):
        load("weights.h5", variables)
