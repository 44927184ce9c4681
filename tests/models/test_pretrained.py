import os
import pickle
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest
from jax import numpy as jnp

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
        name: jnp.asarray(arrays[f"predictions/{name}"]) for name in ("kernel", "bias")
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
    full = weight_files.read(GOLDEN / "torch_bottleneck.pth")
    half = weight_files.read(GOLDEN / "torch_bottleneck.safetensors")
    assert set(full) == set(half)
    assert half["conv1.weight"].dtype == jnp.bfloat16
    assert full["bn1.num_batches_tracked"].dtype == np.int64
    for name, array in full.items():
        np.testing.assert_array_equal(array, half[name].astype(array.dtype))


def test_wrapped_state_dictionary():
    arrays = weight_files.read(GOLDEN / "torch_basic_wrapped.pt")
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
    kernel = weight_files.read(GOLDEN / "torch_bottleneck.pth")["layer4.0.conv2.weight"]
    np.testing.assert_array_equal(
        new["params"]["category_network"]["stage5"]["block1"]["conv2"]["kernel"],
        np.moveaxis(kernel, (0, 1), (3, 2)),
    )


def test_later_stages_are_surplus():
    variables = start(**TORCH, split_stage=3, category_head="pooled")
    _, report = load(GOLDEN / "torch_bottleneck.pth", variables)
    assert {"layer3.0.conv1.weight", "layer4.0.conv1.weight", "fc.weight"} <= set(report.surplus)


def test_missing_arrays_are_an_error_unless_allowed(tmp_path):
    arrays = weight_files.read(GOLDEN / "torch_bottleneck.pth")
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
    with pytest.raises(ValueError, match="weights are read from"):
        weight_files.read(tmp_path / "weights.bin")
    with pytest.raises(FileNotFoundError, match=r"absent\.npz"):
        weight_files.read(tmp_path / "absent.npz")
    (tmp_path / "old.pth").write_bytes(b"\x80\x02old")
    with pytest.raises(ValueError, match="zip format"):
        weight_files.read(tmp_path / "old.pth")


class Global:
    """Pickled as the global name and called with arguments on loading."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class TorchPickler(pickle.Pickler):
    """Writes marked tuples as storages, as torch.save does."""

    def persistent_id(self, obj):
        return obj.values if isinstance(obj, StorageId) else None


class StorageId:
    def __init__(self, *values):
        self.values = values


def write_pth(path, content, storage=b""):
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as stream:
            TorchPickler(stream, protocol=2).dump(content)
        archive.writestr("archive/data/0", storage)


def test_a_pickle_cannot_run_code(tmp_path):
    marker = tmp_path / "marker"
    path = tmp_path / "weights.pth"
    for function, arguments in (
        (os.mkdir, (str(marker),)),
        (eval, ("1 + 1",)),
        (getattr, ("text", "upper")),
    ):
        write_pth(path, {"conv1.weight": Global(function, *arguments)})
        with pytest.raises(ValueError, match="only tensors are read"):
            weight_files.read(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (5,), (1,)), (1, (2, 2), (2, 1)), (0, (2,), (-1,)), (-1, (2,), (1,)), (0, (2**40,), (0,))],
)
def test_a_tensor_cannot_reach_outside_its_storage(offset, size, stride):
    storage = np.arange(4, dtype=np.float32)
    with pytest.raises(ValueError, match="outside its storage"):
        weight_files.rebuild_tensor(storage, offset, size, stride)


def test_strided_tensors():
    storage = np.arange(12, dtype=np.float32)
    np.testing.assert_array_equal(
        weight_files.rebuild_tensor(storage, 2, (3, 2), (1, 4)), [[2, 6], [3, 7], [4, 8]]
    )
    np.testing.assert_array_equal(weight_files.rebuild_tensor(storage, 5, (), ()), 5)
    assert weight_files.rebuild_tensor(storage, 12, (0, 3), (3, 1)).shape == (0, 3)


def test_normalization_belongs_to_the_variant():
    for variant, expected in (("v1", "keras"), ("v1.5", "torchvision")):
        network = architectures.build(**SMALL, variant=variant)
        assert network.backbone.normalization(network.net) == expected
