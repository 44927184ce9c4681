"""What the downloads of Stanford Cars with 3D poses say: poses, body types, and what is wrong."""

import csv
import math
import os
import pickle
import shutil

import numpy as np
import pytest
from scipy import io
from scipy.spatial.transform import Rotation

from catpose.data.stanford_cars import annotations as car_labels
from catpose.data.stanford_cars import dataset as stanford_cars
from catpose.errors import InputError
from tests.support.car_downloads import ANGLES, CLASSES, downloads


def prepare(root, tmp_path):
    return stanford_cars.prepare(str(root), str(tmp_path / "out"), show_progress=False)


def test_the_poses_show_what_the_source_projects():
    """A symmetric car's points fall on the same pixels by the source's equations and by ours.

    Source (Wang et al. 2018, section 3.2; CAD models with y up and the front at +x): with
    R = Rz(theta) Rx(elevation) S(azimuth), S = [[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]],
    and p = R X - (0, 0, d), a point is at (u, v) + f (p_x, p_y) / p_z in the image.
    """
    generator = np.random.default_rng(0)
    half = generator.uniform(-0.4, 0.4, (40, 3))  # x left, -y front, z up
    ours = np.concatenate([half, half * [-1, 1, 1]])
    theirs = np.stack([-ours[:, 1], ours[:, 2], ours[:, 0]], 1)
    distance, focal = 2.0, 300.0
    for azimuth, elevation, theta in generator.uniform([-7, -1, -2], [7, 1, 2], (50, 3)):
        s = np.array(
            [
                [np.cos(azimuth), 0, -np.sin(azimuth)],
                [0, 1, 0],
                [np.sin(azimuth), 0, np.cos(azimuth)],
            ]
        )
        turn = Rotation.from_euler("ZX", [theta, elevation]).as_matrix() @ s
        p = theirs @ turn.T - [0, 0, distance]
        expected = focal * p[:, :2] / p[:, 2:]
        a, e, t = car_labels.angles_in_degrees(azimuth, elevation, theta)
        assert 0 <= a < 360
        assert -180 < t <= 180
        rotation = Rotation.from_euler("ZXZ", [t, e - 90, -a], degrees=True).as_matrix()
        q = ours @ rotation.T - [0, 0, distance]
        pixels = focal * q[:, :2] * [1, -1] / -q[:, 2:]
        gaps = np.linalg.norm(pixels[:, None] - expected[None], axis=-1)
        assert gaps.min(0).max() < 2e-3
        assert gaps.min(1).max() < 2e-3


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ((90, 0, 0), (0, 0, 0)),
        ((0, 0, 0), (90, 0, 0)),
        ((90.00001, 0, 0), (0, 0, 0)),
        ((89.99999, 0, 0), (0, 0, 0)),
        ((-270, -5, 180), (0, -5, 180)),
        ((363.6, 10, -180), (86.4, 10, 180)),
        ((180, 3, 1.8), (270, 3, -1.8)),
    ],
)
def test_ranges_of_the_angles(source, expected):
    angles = car_labels.angles_in_degrees(*np.radians(source))
    assert angles == pytest.approx(expected, abs=1e-4)
    assert "-0.0000" not in [f"{angle:.4f}" for angle in angles]


@pytest.mark.parametrize(
    ("name", "category"),
    [
        *CLASSES.items(),
        ("Rolls-Royce Phantom Drophead Coupe Convertible 2012", "convertible"),
        ("Ram C/V Cargo Van Minivan 2012", "minivan"),
        ("Infiniti G Coupe IPL 2012", "coupe"),
        ("Ford Ranger SuperCab 2011", "pickup"),
        ("Chevrolet Silverado 1500 Classic Extended Cab 2007", "pickup"),
        ("AM General Hummer SUV 2000", "suv"),
        ("Acura Integra Type R 2001", "coupe"),
        ("FIAT 500 Abarth 2012", "hatchback"),
    ],
)
def test_body_types(name, category):
    assert car_labels.category_of(name) == category


def test_body_types_of_all_classes(data_dir):
    with (data_dir / "cars3d" / "manifest.csv").open(newline="") as file:
        expected = {row["fine_category"]: row["category"] for row in csv.DictReader(file)}
    assert len(expected) == 196
    assert {name: car_labels.category_of(name) for name in expected} == expected
    assert set(expected.values()) == set(car_labels.CATEGORIES)


def change_file(name, content):
    def change(root):
        (path,) = root.rglob(name)
        path.write_bytes(content)

    return change


def remove(name):
    def change(root):
        (path,) = root.rglob(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def change_poses(edit):
    def change(root):
        (path,) = root.rglob("train_anno_v2.pkl")
        poses = pickle.loads(path.read_bytes())
        path.write_bytes(pickle.dumps(edit(poses)))

    return change


def truncate(root):
    for name in ("00007.jpg", "00005.jpg"):
        path = root / "cars" / "cars_train" / name
        path.write_bytes(path.read_bytes()[:-300])


def other_mat(root):
    (path,) = root.rglob("cars_train_annos.mat")
    io.savemat(path, {"annotations": np.zeros((1, 3))})


def change_annotations(edit):
    def change(root):
        (path,) = root.rglob("cars_train_annos.mat")
        records = io.loadmat(path)["annotations"]
        edit(records)
        io.savemat(path, {"annotations": records})

    return change


def lead_outside(root):
    def edit(records):
        records["fname"][0, 0] = np.array(["../../x.jpg"])

    change_annotations(edit)(root)
    change_poses(lambda poses: poses | {"../../x.jpg": dict.fromkeys(ANGLES, 0.0)})(root)


def few_classes(root):
    (path,) = root.rglob("cars_meta.mat")
    io.savemat(path, {"class_names": np.array(["Audi 100 Wagon 1994", "Acura RL Sedan"], object)})


def strange_class(root):
    (path,) = root.rglob("cars_meta.mat")
    names = ["Acura RL Spaceship 2012", *CLASSES]
    io.savemat(path, {"class_names": np.array(names, object)})


class Evil:
    def __reduce__(self):
        return os.system, ("touch executed",)


ZEROS = dict.fromkeys(ANGLES, 0.0)
WRONG = {
    "no classes": (remove("cars_meta.mat"), "no cars_meta.mat below .*download Stanford Cars and"),
    "no photos": (remove("cars_train"), "no cars_train below .*; download Stanford Cars and unp"),
    "no boxes": (remove("cars_train_annos.mat"), "no cars_train_annos.mat below "),
    "no poses": (remove("train_anno_v2.pkl"), r"no train_anno_v2.pkl below .*the poses \(github"),
    "a photo elsewhere": (lead_outside, r"annos.mat: '\.\./\.\./x.jpg' leads outside of "),
    "a photo missing": (remove("00003.jpg"), "lacks 1 of 24 photos, the first: 00003.jpg; unpack"),
    "truncated photos": (truncate, r"2 of 24 .* unpack cars_train.tgz .* first: .*00005.jpg as"),
    "no photo": (change_file("00002.jpg", b"<html>"), "1 of 24 photos cannot be read, .*00002.jpg"),
    "empty photo": (change_file("00002.jpg", b""), "1 of 24 photos cannot be read, .*00002.jpg"),
    "a page": (change_file("cars_train_annos.mat", b"<html>404" * 99), "annos.mat as a MATLAB"),
    "no MATLAB file": (change_file("cars_meta.mat", b""), "cannot read .*meta.mat as a MATLAB"),
    "other variables": (few_classes, "00003.jpg is of class 3 of 2$"),
    "no struct": (other_mat, "its annotations have no fname, class, bbox_x1, "),
    "unknown body": (strange_class, "class 'Acura RL Spaceship 2012' of cars_meta.mat has no kn"),
    "a page for poses": (change_file("train_anno_v2.pkl", b"<html>"), "pickle of plain data"),
    "half the poses": (
        change_file("train_anno_v2.pkl", pickle.dumps(["a", 1.5])[:-5]),
        "cannot read .*train_anno_v2.pkl as a pickle of plain data",
    ),
    "an evil pickle": (
        change_poses(lambda poses: poses | {"00001.jpg": Evil()}),
        r"train_anno_v2.pkl as a pickle of plain data: it asks for posix.system",
    ),
    "a list": (change_poses(list), "is not a dictionary of poses by file name$"),
    "nothing": (change_poses(lambda poses: {}), "is not a dictionary of poses by file name$"),
    "another pickle": (
        change_poses(lambda poses: {"a.jpg": {"label": 1}}), "'a.jpg' has no azimuth, elevation, t"
    ),
    "of another dataset": (
        change_poses(lambda poses: {f"x{name}": pose for name, pose in poses.items()}),
        "poses of 0 of the 24 photos of cars_train_annos.mat: it is of another dataset$",
    ),
    "no number": (
        change_poses(lambda poses: poses | {"00004.jpg": dict.fromkeys(ANGLES, "x")}),
        "an angle of '00004.jpg' is not a number$",
    ),
    "a number of 400 digits": (
        change_poses(lambda poses: poses | {"00004.jpg": dict.fromkeys(ANGLES, 10**400)}),
        "an angle of '00004.jpg' is not a number$",
    ),
    "an elevation of 100": (
        change_poses(lambda poses: poses | {"00004.jpg": {**ZEROS, 'elevation': 100}}),
        r"'00004.jpg' has the angles \(0.0, 100.0, 0.0\), in radians$",
    ),
    "an infinite theta": (
        change_poses(lambda poses: poses | {"00004.jpg": {**ZEROS, 'theta': math.inf}}),
        r"'00004.jpg' has the angles \(0.0, 0.0, inf\), in radians$",
    ),
    "an infinite box": (
        change_annotations(lambda records: records["bbox_x2"].fill(math.inf)),
        r"_annos.mat: 0000\d.jpg has class \d+ and box \(.*inf.*\)$",
    ),
    "no class": (
        change_annotations(lambda records: records["class"].fill(1.5)),
        r"_annos.mat: 0000\d.jpg has class 1.5 and box \(",
    ),
    "degrees": (
        change_poses(lambda p: {n: {a: v[a] * 57.3 for a in ANGLES} for n, v in p.items()}),
        "the azimuths are not in radians$",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_downloads_are_told_in_one_line(tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    root = downloads(tmp_path)
    change(root)
    with pytest.raises(InputError, match=message) as caught:
        prepare(root, tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "manifest.csv").exists()
    assert not (tmp_path / "executed").exists()
