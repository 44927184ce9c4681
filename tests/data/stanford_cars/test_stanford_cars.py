"""Stanford Cars with 3D poses, on miniatures of both downloads written here."""

import collections
import csv
import errno
import os
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from catpose.data import manifest, pose_table
from catpose.data.stanford_cars import dataset as stanford_cars
from catpose.errors import InputError
from tests.support.car_downloads import CLASSES, RED, SIZE, downloads, pose_of


def prepare(root, tmp_path):
    return stanford_cars.prepare(str(root), str(tmp_path / "out"), show_progress=False)


def rows_of(tmp_path):
    with (tmp_path / "out" / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_manifest_folder(tmp_path):
    notes = prepare(downloads(tmp_path, train=24, test=12), tmp_path)
    rows = rows_of(tmp_path)
    expected = {f"train_{i + 1:05d}.jpg": (i, "train") for i in range(24)}
    expected |= {f"test_{i + 1:05d}.jpg": (i, "test") for i in range(12)}
    assert [row["file"] for row in rows] == list(expected)
    for row in rows:
        i, part = expected[row["file"]]
        fine = list(CLASSES)[i % len(CLASSES)]
        assert row["fine_category"] == fine
        assert row["category"] == CLASSES[fine]
        source = pose_of(i, part)
        azimuth = (90 - np.degrees(source["azimuth"])) % 360
        assert float(row["azimuth_deg"]) == pytest.approx(azimuth, abs=1e-4)
        assert float(row["elevation_deg"]) == pytest.approx(
            np.degrees(source["elevation"]), abs=1e-4
        )
        assert float(row["theta_deg"]) == pytest.approx(-np.degrees(source["theta"]), abs=1e-4)
        # The box cuts out the red rectangle, all of it and nothing else.
        with Image.open(tmp_path / "out" / "images" / row["file"]) as image:
            pixels = np.asarray(image).astype(int)
        x0, y0, x1, y1 = (int(row[name]) for name in ("x0", "y0", "x1", "y1"))
        red = np.abs(pixels - RED).max(-1) < 60
        assert red[y0:y1, x0:x1].all()
        red[y0:y1, x0:x1] = False
        assert not red.any()
    assert notes == ()
    assert len(rows) == 36


def test_the_manifest_is_read_as_any_other(tmp_path):
    prepare(downloads(tmp_path), tmp_path)
    rows = rows_of(tmp_path)
    read = manifest.read(tmp_path / "out")
    assert read.categories == ("pickup", "sedan", "van", "wagon")
    assert read.split.tolist() == [row["split"] for row in rows]
    angles = np.array([[float(row[c]) for c in pose_table.ANGLES] for row in rows])
    expected = Rotation.from_euler(
        "ZXZ", angles[:, [2, 1, 0]] * [1, 1, -1] - [0, 90, 0], degrees=True
    ).as_matrix()
    np.testing.assert_allclose(read.rotation, expected, atol=1e-5)


# The package of real cars was divided by the same rule with other totals: 8144 photos by category,
# of them 1000 for validation and 2000 for test.
REAL = {
    "convertible": (1036, 127, 254), "coupe": (1382, 170, 339), "hatchback": (582, 71, 143),
    "minivan": (250, 31, 61), "pickup": (761, 93, 187), "sedan": (2075, 255, 510),
    "suv": (1477, 181, 363), "van": (291, 36, 72), "wagon": (290, 36, 71),
}  # fmt: skip


@pytest.mark.parametrize(("column", "total"), [(1, 1000), (2, 2000)])
def test_quotas_by_largest_remainder(column, total):
    sizes = {name: row[0] for name, row in REAL.items()}
    expected = {name: row[column] for name, row in REAL.items()}
    assert stanford_cars.quotas(sizes, total) == expected


def photos_like_the_real():
    return [
        (part, category, f"{first + i:05d}.jpg")
        for part in ("train", "test")
        for first, (category, (size, *_)) in zip(
            np.cumsum([1, *(row[0] for row in REAL.values())]), REAL.items(), strict=False
        )
        for i in range(size)
    ]


def test_splits_have_their_shares():
    photos = photos_like_the_real()
    splits = stanford_cars.assign_splits(photos)
    for part in ("train", "test"):
        total = collections.Counter(s for p, s in zip(photos, splits, strict=True) if p[0] == part)
        assert total == {"train": 5090, "validation": 1018, "test": 2036}
        for category, (size, *_) in REAL.items():
            counts = collections.Counter(
                s for p, s in zip(photos, splits, strict=True) if p[:2] == (part, category)
            )
            assert abs(counts["validation"] - size / 8) < 1
            assert abs(counts["test"] - size / 4) < 1


def test_splits_do_not_depend_on_order_nor_on_the_other_part():
    photos = photos_like_the_real()
    expected = dict(zip(photos, stanford_cars.assign_splits(photos), strict=True))
    shuffled = [photos[i] for i in np.random.default_rng(1).permutation(len(photos))]
    shuffled_splits = stanford_cars.assign_splits(shuffled)
    assert dict(zip(shuffled, shuffled_splits, strict=True)) == expected
    first = [photo for photo in photos if photo[0] == "train"]
    assert stanford_cars.assign_splits(first) == [expected[photo] for photo in first]
    # The parts have photos of the same names; they are divided differently.
    second = [expected["test", *photo[1:]] for photo in first]
    agreed = np.mean([a == expected[b] for a, b in zip(second, first, strict=True)])
    assert agreed == pytest.approx(0.625**2 + 0.125**2 + 0.25**2, abs=0.02)


def test_splits_stay_as_they_were_released():
    photos = [("train", "sedan", f"{i:05d}.jpg") for i in range(1, 17)]
    splits = stanford_cars.assign_splits(photos)
    assert [i for i, split in enumerate(splits, 1) if split == "validation"] == [7, 11]
    assert [i for i, split in enumerate(splits, 1) if split == "test"] == [1, 3, 9, 16]


def test_photos_are_linked_or_copied(tmp_path, monkeypatch):
    root = downloads(tmp_path, train=12)
    prepare(root, tmp_path)
    source, target = root / "cars/cars_train/00001.jpg", tmp_path / "out/images/train_00001.jpg"
    assert os.path.samefile(source, target)

    def link(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    shutil.rmtree(tmp_path / "out")
    prepare(root, tmp_path)
    assert not os.path.samefile(source, target)
    assert source.read_bytes() == target.read_bytes()
    assert len(os.listdir(target.parent)) == 12


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left")])
def test_a_stopped_preparation_goes_on(tmp_path, monkeypatch, error):
    root = downloads(tmp_path, train=24)
    taken = []
    original = stanford_cars._link_or_copy

    def stopping(source, target):
        if len(taken) == 10:
            raise error
        taken.append(target.name)
        original(source, target)

    monkeypatch.setattr(stanford_cars, "_link_or_copy", stopping)
    if isinstance(error, OSError):
        with pytest.raises(InputError, match="^cannot write .*out: No space left; give another"):
            prepare(root, tmp_path)
    else:
        with pytest.raises(KeyboardInterrupt):
            prepare(root, tmp_path)
    assert len(os.listdir(tmp_path / "out" / "images")) == 10
    assert not (tmp_path / "out" / "manifest.csv").exists()

    first = set(taken)
    taken.clear()
    monkeypatch.setattr(
        stanford_cars, "_link_or_copy", lambda s, t: (taken.append(t.name), original(s, t))
    )
    prepare(root, tmp_path)
    assert len(taken) == 14
    assert not first & set(taken)
    assert len(rows_of(tmp_path)) == 24
    # And once more, over a finished one.
    path = tmp_path / "out" / "manifest.csv"
    before = path.read_bytes()
    prepare(root, tmp_path)
    assert path.read_bytes() == before
    assert len(taken) == 14
    assert sorted(os.listdir(tmp_path / "out")) == ["images", "manifest.csv"]


def test_half_a_copy_is_not_taken_for_whole(tmp_path):
    root = downloads(tmp_path, train=12)
    images = tmp_path / "out" / "images"
    images.mkdir(parents=True)
    (images / ".train_00001.jpg.partial").write_bytes(b"half")
    (images / "train_00002.jpg").write_bytes(b"half")
    prepare(root, tmp_path)
    for i in (1, 2):
        source = root / "cars" / "cars_train" / f"{i:05d}.jpg"
        assert (images / f"train_{i:05d}.jpg").read_bytes() == source.read_bytes()
    assert len(os.listdir(images)) == 12


def test_what_is_left_out_is_said(tmp_path):
    def change(records, entries):
        del entries["00001.jpg"]
        entries["00002.jpg"]["theta"] = float("nan")
        box = list(records[2])
        box[2] = np.uint16(SIZE[0] + 20)  # beyond the photo's right side
        records[2] = tuple(box)
        records[3] = (np.uint16(400), np.uint8(1), np.uint16(450), np.uint8(50), *records[3][4:])

    root = downloads(tmp_path, train=24, change=change)
    turned = root / "cars" / "cars_train" / "00005.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(turned) as image:
        image.save(turned, exif=exif)
    notes = prepare(root, tmp_path)
    assert sorted(notes) == sorted(
        [
            "without Stanford's test part: no cars_test, cars_test_annos_withlabels.mat, "
            "test_anno_v2.pkl",
            "2 photos of cars_train left out: no pose",
            "1 photos left out: their box lies outside the photo",
            "1 photos left out: turned by their EXIF data, which boxes and poses may or may not "
            "follow",
            "1 boxes cut at the edge of their photo",
        ]
    )
    rows = {row["file"]: row for row in rows_of(tmp_path)}
    assert len(rows) == 20
    assert rows["train_00003.jpg"]["x1"] == str(SIZE[0])


def test_poses_of_aeroplanes_lie_beside_those_of_cars(tmp_path):
    for name in ("AAA", "FGVC_Aircraft", "ZZZ"):
        root = downloads(tmp_path / name)
        other = root / "finegrained-pose" / "Anno3D" / name
        other.mkdir()
        (other / "train_anno_v2.pkl").write_bytes(pickle.dumps({"1.jpg": pose_of(1, "train")}))
        prepare(root, tmp_path / name)
        assert len(rows_of(tmp_path / name)) == 24


def test_wrong_folders(tmp_path):
    with pytest.raises(InputError, match="^no folder .*missing; give the one with the downloads"):
        prepare(tmp_path / "missing", tmp_path)
    root = downloads(tmp_path)
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="^cannot write .*out: .*; give another --output_dir$"):
        prepare(root, tmp_path)
    (tmp_path / "out").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.csv").write_text("file,category,split\n")
    with pytest.raises(InputError, match="manifest.csv is of another dataset; give another --outp"):
        prepare(root, tmp_path)
    assert (tmp_path / "out" / "manifest.csv").read_text() == "file,category,split\n"
