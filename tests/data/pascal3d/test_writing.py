"""Labels as annotation files of PASCAL3D+: by its toolbox's projection, and read back."""

import numpy as np
import pytest
import scipy.io
from scipy.spatial.transform import Rotation

from catpose.data.examples import Examples
from catpose.data.pascal3d import annotations, writing
from catpose.errors import InputError
from tests.support.miniature_records import project

SIZES = {"n01_1.JPEG": (160, 120), "n02_7.JPEG": (200, 100)}


def examples():
    return Examples(
        id=np.array(["a", "b", "c"]),
        category=np.array([1, 0, 1]),
        rotation=Rotation.random(3, random_state=1).as_matrix().astype(np.float32),
        categories=("bus", "car"),
        box=np.array([[10.0, 20, 90, 70], [np.nan] * 4, [0, 0, 30.5, 40]]),
        flags={
            "image": np.array(["n01_1.JPEG", "n02_7.JPEG", "n01_1.JPEG"]),
            "occluded": np.array([False, True, False]),
        },
        digest="",
    )


def test_they_are_read_back(tmp_path):
    truth = examples()
    writing.write(truth, SIZES, tmp_path)
    first = annotations.read(tmp_path / "n01_1.mat")
    second = annotations.read(tmp_path / "n02_7.mat")
    assert first.size == (160, 120)
    assert [each.category for each in first.objects] == ["car", "car"]
    assert first.objects[0].box == (10, 20, 90, 70)
    assert first.objects[0].center == (50, 45)
    assert second.objects[0].box == (0, 0, 200, 100)  # the whole image
    assert second.objects[0].occluded
    assert not first.objects[0].occluded
    assert all(each.distance > 0 for each in (*first.objects, *second.objects))
    assert set(name for name, _ in (*first.quirks, *second.quirks)) <= {"single_object"}


def test_their_toolbox_sees_the_object_turned_as_labeled(tmp_path):
    truth = examples()
    writing.write(truth, SIZES, tmp_path)
    record = scipy.io.loadmat(tmp_path / "n01_1.mat", squeeze_me=True, struct_as_record=False)
    objects = record["record"].objects
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (20, 3))
    for found, i in zip(objects, (0, 2), strict=True):
        view = found.viewpoint
        pixels = project(
            points, view.azimuth, view.elevation, view.theta, 1e4, (view.px, view.py), 1e4 * 100
        )
        # From far away a pixel is 100 times the turned point, x right and y up.
        expected = (points @ truth.rotation[i].T)[:, :2] * [100, -100] + [view.px, view.py]
        np.testing.assert_allclose(pixels, expected, atol=0.01)
        x0, y0, x1, y1 = truth.box[i]
        np.testing.assert_array_equal(found.bbox, [x0 + 1, y0 + 1, x1, y1])


def test_without_poses_or_images_nothing_is_written(tmp_path):
    truth = examples()
    with pytest.raises(InputError, match="a pose each"):
        writing.write(truth._replace(rotation=np.full((3, 3, 3), np.nan)), SIZES, tmp_path)
    with pytest.raises(InputError, match="the flag 'image'"):
        writing.write(truth._replace(flags={}), SIZES, tmp_path)
    assert not list(tmp_path.iterdir())
