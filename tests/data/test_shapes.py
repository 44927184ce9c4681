"""The images of the built-in dataset: a pure function of its arguments."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from catpose.data import shapes_dataset
from catpose.geometry import viewpoint
from catpose.synthetic import backgrounds, mesh_batch
from tests.support import numpy_rasterizer, numpy_scene

# Several batches, the last not full, at the smallest sensible resolution.
SMALL = {"num_images": 520, "split": "train", "seed": 0, "resolution": 12, "show_progress": False}


@pytest.fixture(scope="module")
def data():
    return shapes_dataset.generate(**SMALL)


def hashes(images):
    return {image.tobytes() for image in images}


def test_forms(data):
    expected = {
        "image": ((520, 12, 12, 3), np.uint8),
        "category": ((520,), np.int32),
        "rotation": ((520, 3, 3), np.float32),
    }
    assert {name: (x.shape, x.dtype) for name, x in data.items()} == expected
    assert np.ptp(np.bincount(data["category"], minlength=12)) <= 1
    assert len(hashes(data["image"])) == 520


def test_views_are_those_of_photographs(data):
    azimuth, elevation, theta = np.degrees(viewpoint.angles_from_rotation(data["rotation"]))
    assert -10 <= elevation.min() < -5
    assert 45 < elevation.max() <= 50
    assert np.abs(theta).max() <= 15
    assert np.std(theta) == pytest.approx(5, rel=0.1)
    assert np.histogram(azimuth, 8, (0, 360))[0].min() > 520 / 8 * 0.6


def test_labels_are_those_of_the_numpy_rasterizer():
    """Before a plain background the outline is seen; the oracle draws it from the label."""
    size, num = 48, 24
    drawn = shapes_dataset.generate(
        num_images=num, split="rendered", seed=1, resolution=size, show_progress=False
    )
    light = numpy_rasterizer.Light(np.array([[0.0, 0.0, 1.0]]), np.zeros(1), 1.0)
    found = {0: [], 60: []}
    for i in range(num):
        mesh = shapes_dataset.catalogue.make(
            shapes_dataset.stream(1, "rendered", i % 12, 0), i % 12
        )
        image = drawn["image"][i].astype(float)
        outline = np.abs(image - np.median(image[[0, -1]], axis=(0, 1))).max(axis=-1) > 24
        for turn, ious in found.items():
            turned = drawn["rotation"][i] @ numpy_scene.rotation_from_angles(
                np.deg2rad(turn), np.pi / 2, 0.0
            )
            view = numpy_scene.framed_view(mesh, turned, size, distance=4.9)
            mask = numpy_rasterizer.render(mesh, view, light, np.zeros((size, size, 3)))[1] > 0.5
            ious.append((mask & outline).sum() / (mask | outline).sum())
    assert np.median(found[0]) > 0.8
    assert np.median(found[0]) > np.median(found[60]) + 0.2


def test_a_smaller_set_is_the_start_of_a_larger_one(data):
    for num_images in (0, 13, 125):
        small = shapes_dataset.generate(**{**SMALL, "num_images": num_images})
        for name, values in small.items():
            np.testing.assert_array_equal(values, data[name][:num_images], err_msg=name)


def test_seeds_and_splits_share_no_image(data):
    seen = hashes(data["image"])
    others = [{"seed": 1}, *({"split": split} for split in ("pretrain", "validation", "test"))]
    for change in others:
        other = shapes_dataset.generate(**{**SMALL, "num_images": 96, **change}, views_per_object=4)
        assert not hashes(other["image"]) & seen
        assert not hashes(other["rotation"]) & hashes(data["rotation"])
        seen |= hashes(other["image"])


def test_training_shows_four_views_of_an_object_and_testing_one(monkeypatch):
    made = []
    make = shapes_dataset.catalogue.make

    def recorded(generator, category):
        made.append(category)
        return make(generator, category)

    monkeypatch.setattr(shapes_dataset.catalogue, "make", recorded)
    for split, views, expected in (
        ("train", None, 12), ("pretrain", None, 12), ("validation", None, 48), ("test", None, 48),
        ("train", 2, 24), ("test", 8, 12),
    ):  # fmt: skip
        made.clear()
        shapes_dataset.generate(
            num_images=48, split=split, seed=0, resolution=8, views_per_object=views
        )
        assert len(made) == expected
        assert set(np.bincount(made, minlength=12)) == {expected // 12}


def test_held_out_splits_have_backgrounds_of_their_own(monkeypatch):
    families = []
    table = backgrounds.table

    def recorded(generator, count, size, family):
        families.append(family)
        return table(generator, count, size, family)

    monkeypatch.setattr(backgrounds, "table", recorded)
    for split, expected in (
        ("train", "seen"), ("pretrain", "seen"), ("validation", "unseen"), ("test", "unseen"),
        ("rendered", "plain"),
    ):  # fmt: skip
        families.clear()
        shapes_dataset.generate(num_images=12, split=split, seed=0, resolution=8)
        assert set(families) == {expected}


def test_one_program_renders_every_object(data, monkeypatch):
    shapes = set()
    pad = mesh_batch.pad

    def recorded(meshes, **sizes):
        padded = pad(meshes, **sizes)
        shapes.add((padded.vertices.shape, padded.triangles.shape))
        return padded

    monkeypatch.setattr(mesh_batch, "pad", recorded)
    shapes_dataset.generate(**SMALL)
    assert len(shapes) == 1


SCRIPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
print("main runs", flush=True)
from catpose.data import shapes_dataset
shapes_dataset.generate(num_images=10**6, split="train", seed=0, resolution=12)
"""


@pytest.mark.parametrize("delay", [0.0, 8.0])  # seconds: while it imports, or renders
def test_an_interrupt_ends_it(delay):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "main runs\n"
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
