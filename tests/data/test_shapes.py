"""The built-in data set: a pure function of its arguments, in any number of processes."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from catpose.data import shapes
from catpose.synthetic import numpy_scene

# More than one piece of work at the smallest sensible resolution.
SMALL = {"num_images": 520, "split": "train", "seed": 0, "resolution": 12, "show_progress": False}
# An unguarded main that spawned processes would run again.
SCRIPT = """
print("main runs", flush=True)
from catpose.data import shapes
data = shapes.generate(num_images={num_images}, split="train", seed=0, resolution=12, num_workers=2)
print(int(data["image"].sum(dtype="int64")), flush=True)
"""


@pytest.fixture(scope="module")
def data():
    return shapes.generate(**SMALL, num_workers=0)


def hashes(images):
    return {image.tobytes() for image in images}


def test_forms(data):
    expected = {
        "image": ((520, 12, 12, 3), np.uint8),
        "category": ((520,), np.int32),
        "rotation": ((520, 3, 3), np.float32),
        "azimuth": ((520,), np.float32),
        "elevation": ((520,), np.float32),
        "theta": ((520,), np.float32),
    }
    assert {name: (x.shape, x.dtype) for name, x in data.items()} == expected
    assert np.ptp(np.bincount(data["category"], minlength=12)) <= 1
    assert len(hashes(data["image"])) == 520


def test_rotations_are_those_of_the_angles(data):
    for i in range(0, 520, 17):
        angles = (float(data[name][i]) for name in ("azimuth", "elevation", "theta"))
        expected = numpy_scene.rotation_from_angles(*angles)
        np.testing.assert_allclose(data["rotation"][i], expected, atol=1e-6)


def test_any_number_of_workers_draws_the_same(data):
    for num_workers in (2, 3):
        other = shapes.generate(**SMALL, num_workers=num_workers)
        for name, expected in data.items():
            np.testing.assert_array_equal(other[name], expected, err_msg=name)


def test_a_smaller_set_is_the_start_of_a_larger_one(data):
    for num_images in (0, 13, 125):
        small = shapes.generate(**{**SMALL, "num_images": num_images}, num_workers=0)
        for name, values in small.items():
            np.testing.assert_array_equal(values, data[name][:num_images], err_msg=name)


def test_seeds_and_splits_share_no_image(data):
    seen = hashes(data["image"])
    others = [{"seed": 1}, *({"split": split} for split in ("pretrain", "validation", "test"))]
    for change in others:
        other = shapes.generate(
            **{**SMALL, "num_images": 96, **change}, views_per_object=4, num_workers=0
        )
        assert not hashes(other["image"]) & seen
        assert not set(other["azimuth"].tolist()) & set(data["azimuth"].tolist())
        seen |= hashes(other["image"])


def test_training_shows_four_views_of_an_object_and_testing_one(monkeypatch):
    made = []
    make = shapes.catalogue.make

    def recorded(generator, category):
        made.append(category)
        return make(generator, category)

    monkeypatch.setattr(shapes.catalogue, "make", recorded)
    for split, views, expected in (
        ("train", None, 12), ("pretrain", None, 12), ("validation", None, 48), ("test", None, 48),
        ("train", 2, 24), ("test", 8, 12),
    ):  # fmt: skip
        made.clear()
        shapes.generate(
            num_images=48, split=split, seed=0, resolution=8, views_per_object=views, num_workers=0
        )
        assert len(made) == expected
        assert set(np.bincount(made, minlength=12)) == {expected // 12}


def test_held_out_splits_have_backgrounds_of_their_own(monkeypatch):
    families = []
    picture = numpy_scene.picture

    def recorded(*args, family):
        families.append(family)
        return picture(*args, family=family)

    monkeypatch.setattr(shapes.numpy_scene, "picture", recorded)
    for split, expected in (
        ("train", "seen"), ("pretrain", "seen"), ("validation", "unseen"), ("test", "unseen"),
    ):  # fmt: skip
        families.clear()
        shapes.generate(num_images=12, split=split, seed=0, resolution=8, num_workers=0)
        assert set(families) == {expected}


def test_wrong_arguments_are_named():
    for change, words in (
        ({"split": "val"}, "'val'"),
        ({"num_images": -1}, "num_images is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"resolution": 0}, "resolution is 0"),
        ({"views_per_object": 0}, "views_per_object is 0"),
    ):
        with pytest.raises(ValueError, match=words):
            shapes.generate(**{**SMALL, **change})


def test_main_is_not_run_again_by_the_workers(data, tmp_path):
    script = SCRIPT.format(num_images=520)
    file = tmp_path / "unguarded.py"
    file.write_text(script)
    expected = ["main runs", str(int(data["image"].sum(dtype="int64")))]
    for arguments, text in (([str(file)], ""), (["-"], script)):
        done = subprocess.run(
            [sys.executable, *arguments], input=text, capture_output=True, text=True, timeout=60
        )
        assert done.stdout.splitlines() == expected, done.stderr


HEEDS_INTERRUPTS = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="finds processes in /proc")
@pytest.mark.parametrize("delay", [0.0, 0.3, 1.0])  # seconds: while workers start, or work
def test_an_interrupt_leaves_no_worker_behind(delay):
    process = subprocess.Popen(
        # In the background of a script SIGINT is ignored, and a child inherits that.
        [sys.executable, "-c", HEEDS_INTERRUPTS + SCRIPT.format(num_images=10**6)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _check_interrupt(process, delay)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _check_interrupt(process, delay):
    def group():
        """Living processes of the script's session."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == process.pid and fields[0] != "Z":
                found.append(int(name))
        return found

    assert process.stdout.readline() == "main runs\n"
    deadline = time.monotonic() + 30
    while len(group()) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(group()) >= 3
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    deadline = time.monotonic() + 10
    while group() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not group()
