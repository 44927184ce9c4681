"""From a download to training: launch.prepare, its sheet, and the paper's recipe on a miniature."""

import functools
import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from catpose.configs import pascal3d_smoke
from catpose.data import augment, batch, crop_cache
from catpose.data.categories import SYNSETS
from catpose.data.input_spec import InputSpec
from catpose.data.pascal3d import dataset as pascal3d
from catpose.experiment import config as config_lib
from catpose.experiment import phases
from catpose.training import loop, run_setup
from catpose.visualize import dataset_sheet
from tests.support import car_downloads, miniature_pascal3d
from tests.support.paths import ROOT


def prepare(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "launch.prepare", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A built miniature with two images per category and list, and what was written."""
    folder = tmp_path_factory.mktemp("pascal3d")
    planted = miniature_pascal3d.write(folder, images=2)
    report = pascal3d.build(folder, folder / "data", show_progress=False)
    return folder, planted, report


def test_the_command_builds_shows_and_says_where(tmp_path):
    miniature_pascal3d.write(tmp_path)
    arguments = (
        "--dataset=pascal3d", f"--manual_dir={tmp_path}", f"--output_dir={tmp_path / 'data'}",
    )  # fmt: skip
    status, out, err = prepare(*arguments, "--show")
    assert status == 0, err
    assert "Table 2" in out
    assert "tvmonitor" in out
    for split in ("train", "validation", "test"):
        sheet = tmp_path / "data" / f"sheet_{split}.png"
        assert f"sheet: {sheet}" in out
        with Image.open(sheet) as picture:
            assert min(picture.size) > 800


def test_cars_are_a_manifest_and_rendered_images_are_checked(tmp_path):
    downloads, cars = car_downloads.downloads(tmp_path), tmp_path / "cars"
    status, out, err = prepare(
        "--dataset=stanford_cars", f"--manual_dir={downloads}", f"--output_dir={cars}"
    )
    assert status == 0, err
    assert (cars / "manifest.csv").is_file()
    assert out.splitlines()[0].split()[:2] == ["objects", "train"]

    folder = _rendered(tmp_path / "renders")
    output = tmp_path / "rendered"
    arguments = ("--dataset=rendered", f"--manual_dir={folder}", f"--output_dir={output}")
    status, out, err = prepare(*arguments, "--tilt=fresh", "--show")
    assert status == 0, err
    assert (output / "sheet_rendered.png").is_file()
    status, out, err = prepare(*arguments)
    assert status == 1
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1


def test_models_are_listed_and_drawn(tmp_path):
    (tmp_path / "mug").mkdir()
    corners = "0 0 0\n1 0 0\n0 1 0\n0 0 2\n"
    faces = "3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"
    (tmp_path / "mug" / "a.off").write_text(f"OFF\n4 4 6\n{corners}{faces}")
    arguments = ("--dataset=models", f"--manual_dir={tmp_path}", f"--output_dir={tmp_path / 'out'}")
    status, out, err = prepare(*arguments, "--show")
    assert status == 0, err
    assert out.splitlines()[-1].split() == ["mug", "a", "+z", "-y", "4"]
    assert (tmp_path / "out" / "model_mug_a.png").is_file()
    status, _, err = prepare(*arguments, "--up=+z", "--front=-z")
    assert status == 1
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset=pascal3d", "--manual_dir=nowhere"), "nowhere"),
        (("--dataset=imagenet", "--manual_dir=x"), "dataset"),
        (("--dataset=manifest", "--manual_dir=nowhere"), "no manifest at"),
    ],
)
def test_wrong_input_is_told_in_one_line(tmp_path, arguments, message):
    status, _, err = prepare(*arguments, f"--output_dir={tmp_path}")
    assert status == 1
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_the_papers_recipe_takes_two_steps_of_each_phase(built, tmp_path):
    """On real and rendered images, with the jitter of poses."""
    folder, _, _ = built
    config = pascal3d_smoke.get_config()
    config.data.root = str(folder / "data")
    config.data.cache_dir = str(tmp_path / "cache")
    config.data.rendered = str(_rendered(tmp_path / "rendered"))
    config.data.rendered_tilt = "released"
    config.data.resolution = 32
    run = run_setup.prepare(config_lib.read(config), tmp_path, show_progress=False)
    assert [phase.steps for phase in run.phases] == [2, 2, 2, 2]
    assert run.dataset.splits["train"].camera.points.shape[0] > 0
    final = loop.train(run).last
    assert int(final.step) == phases.total_steps(run.phases) == 8
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(final.params))


def _rendered(root):
    """Two images of each of the twelve categories."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    for synset in SYNSETS:
        (root / synset / "ab").mkdir(parents=True)
        for azimuth in (10, 200):
            name = f"{synset}_ab_a{azimuth:03d}_e005_t-03_d002.png"
            Image.fromarray(pixels).save(root / synset / "ab" / name)
    return root


def test_cameras_agree_with_the_boxes_in_the_photographs(built):
    """The models' vertices, projected with what the listing says, fill the boxes."""
    folder, _, report = built
    listing = pascal3d.read(report["folder"])
    camera = listing.camera
    known = camera.model >= 0
    assert known.sum() > 20
    fits = []
    for i in np.flatnonzero(known):
        points = camera.points[camera.model[i]] @ listing.rotation[i].T
        depth = camera.distance[i] - points[:, 2]
        seen = camera.center[i] + camera.focal[i] * (points[:, :2] * [1, -1]) / depth[:, None]
        fits.append(np.abs([seen.min(0) + 0.5, seen.max(0) - 0.5]).max())
    # Some boxes were moved on purpose.
    assert np.median(fits) < 0.05


def test_a_sheet_shows_what_training_does(built, tmp_path):
    _, _, report = built
    listing = pascal3d.read(report["folder"])
    data = crop_cache.load(
        listing, resolution=32, margin=8, cache_dir=str(tmp_path), show_progress=False
    )
    strengths = augment.Augment(mirror=0.5, jitter_iou=0.7, pose_jitter_deg=(1.0, 1.0, 4.0))
    split = data.splits["train"]
    changed, rotation = dataset_sheet.changed(split, np.arange(4), strengths, 32, 0)
    prepare_fn = functools.partial(
        batch.prepare,
        augment=strengths,
        views=(),
        input_spec=InputSpec(32, 1.0, "none", "camera"),
        margins={"train": 8},
    )
    rows = {"train": batch.records(split, np.arange(4))}
    held = {"train": batch.Cache(image=split.image, points=split.camera.points)}
    expected = jax.jit(prepare_fn)(jax.random.key(0), rows, held)
    np.testing.assert_allclose(changed, expected.image, atol=1.01)
    np.testing.assert_allclose(rotation, expected.rotation, atol=1e-6)


def test_the_builds_report_is_beside_the_data(built):
    _, planted, report = built
    folder = pathlib.Path(report["folder"])
    stored = json.loads((folder / "report.json").read_text())
    assert set(planted.quirks) <= set(stored["quirks"])
    assert "Table 2" in (folder / "report.md").read_text()
