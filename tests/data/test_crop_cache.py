"""Listed images decoded once: order, labels, broken files, when they are decoded anew."""

import os

import numpy as np
import pytest
from PIL import Image

from catpose import errors
from catpose.data import crop_cache, manifest
from catpose.errors import InputError
from catpose.images import decode, files

HEADER = "file,category,split,azimuth_deg,elevation_deg,theta_deg,x0,y0,x1,y1"


def folder_of_photos(tmp_path, count, broken=()):
    """Photo i is a plain shade of 5 i; every third one is in validation."""
    root = tmp_path / "photos"
    (root / "images").mkdir(parents=True)
    lines = [HEADER]
    for i in range(count):
        # Sizes differ widely, so threads finish out of order.
        side = 20 if i % 2 else 600
        picture = Image.new("RGB", (side, side + 10), (5 * i, 5 * i, 255 - 5 * i))
        picture.save(root / "images" / f"{i}.png")
        if i in broken:
            (root / "images" / f"{i}.png").write_bytes(b"broken")
        split = "val" if i % 3 == 2 else "train"
        lines.append(f"{i}.png,{'ab'[i % 2]},{split},{i},0,0,,,,")
    (root / "manifest.csv").write_text("\n".join(lines))
    return root


def load(root, tmp_path, **changes):
    options = {"resolution": 16, "margin": 2, "cache_dir": str(tmp_path / "cache")}
    return crop_cache.load(manifest.read(root), show_progress=False, **(options | changes))


def shades(split):
    return (split.image[:, 10, 10, 0] // 5).tolist()


def test_photos_keep_their_order_labels_and_splits(tmp_path):
    root = folder_of_photos(tmp_path, 24)
    data = load(root, tmp_path)
    assert data.categories == ("a", "b")
    assert data.notes == ()
    expected = {
        "train": [i for i in range(24) if i % 3 != 2],
        "validation": [i for i in range(24) if i % 3 == 2],
    }
    assert data.splits.keys() == expected.keys()
    for name, numbers in expected.items():
        split = data.splits[name]
        assert shades(split) == numbers
        assert split.category.tolist() == [i % 2 for i in numbers]
        assert split.id.tolist() == [f"{i}.png" for i in numbers]
        # azimuth = number of degrees: the camera's x axis seen from the object.
        azimuth = np.degrees(np.arctan2(split.rotation[:, 0, 1], split.rotation[:, 0, 0]))
        np.testing.assert_allclose(azimuth, numbers, atol=1e-4)
        assert split.image.shape == (len(numbers), 20, 20, 3)
        assert split.image.dtype == np.uint8
        assert split.margin == 2
        # Photos are 20 x 30 or 600 x 610, and the whole photo is the box.
        expected_aspect = [20 / 30 if i % 2 else 600 / 610 for i in numbers]
        np.testing.assert_allclose(split.aspect, expected_aspect, rtol=1e-6)
    assert data.splits["train"].digest != data.splits["validation"].digest


def test_broken_photos_are_left_out_and_counted(tmp_path):
    root = folder_of_photos(tmp_path, 24, broken=(3, 8))
    # The cache of a tolerant run does not excuse a strict one, nor the other way round.
    for _ in range(2):
        for share in (2 / 24, 0.5):
            data = load(root, tmp_path, max_broken_share=share)
            first, *others = data.notes
            assert first == "2 broken images left out of 24:"
            kind = "it is a file of another kind; JPEG, "
            for name, note in zip(("3.png", "8.png"), others, strict=True):
                assert note.startswith(f"cannot read {name} as an image: {kind}")
            assert shades(data.splits["train"]) == [i for i in range(24) if i % 3 != 2 and i != 3]
            assert shades(data.splits["validation"]) == [2, 5, 11, 14, 17, 20, 23]
        message = r"^2 of 24 images cannot be read, .* share 0\.08 .*; the first: .*3\.png as"
        with pytest.raises(InputError, match=message):
            load(root, tmp_path, max_broken_share=0.08)


def test_few_broken_photos_among_many_are_left_out_unasked(tmp_path):
    assert errors.MAX_BROKEN_SHARE == 1 / 20
    root = folder_of_photos(tmp_path, 40, broken=(3, 8))
    assert load(root, tmp_path).notes[0] == "2 broken images left out of 40:"
    (root / "images" / "9.png").write_bytes(b"broken")
    with pytest.raises(InputError, match="^3 of 40 images cannot be read, .* share 0.05 "):
        load(root, tmp_path)


def test_many_broken_photos_are_not_all_named(tmp_path):
    root = folder_of_photos(tmp_path, 30, broken=range(1, 30))
    notes = load(root, tmp_path, max_broken_share=1.0).notes
    assert len(notes) == 22
    assert notes[-1] == "and 9 more"


def test_a_split_without_whole_photos_is_absent(tmp_path):
    root = folder_of_photos(tmp_path, 6, broken=(2, 5))
    assert load(root, tmp_path, max_broken_share=0.5).splits.keys() == {"train"}


def test_a_box_outside_its_image_names_the_file(tmp_path):
    root = folder_of_photos(tmp_path, 4)
    text = (root / "manifest.csv").read_text()
    (root / "manifest.csv").write_text(
        text.replace("1.png,b,train,1,0,0,,,,", "1.png,b,train,1,0,0,30,0,50,9")
    )
    with pytest.raises(InputError, match=r"^1\.png: the box 30,0,50,9 lies outside") as caught:
        load(root, tmp_path, max_broken_share=1.0)
    assert "\n" not in str(caught.value)


def test_photos_are_decoded_once(tmp_path, monkeypatch):
    root = folder_of_photos(tmp_path, 8)
    decoded = []
    open_picture = decode.open_picture

    def counted(source, name):
        decoded.append(source)
        return open_picture(source, name)

    monkeypatch.setattr(decode, "open_picture", counted)
    first = load(root, tmp_path)
    assert len(decoded) == 8
    again = load(root, tmp_path)
    assert len(decoded) == 8
    for name, split in first.splits.items():
        np.testing.assert_array_equal(split.image, again.splits[name].image)
        assert split.digest == again.splits[name].digest

    # Labels are read afresh, and are no reason to decode again.
    text = (root / "manifest.csv").read_text()
    (root / "manifest.csv").write_text(text.replace("7.png,b,train,7", "7.png,b,train,90"))
    relabelled = load(root, tmp_path)
    assert len(decoded) == 8
    assert not np.allclose(relabelled.splits["train"].rotation, first.splits["train"].rotation)

    # Other pixels, sizes or boxes are.
    Image.new("RGB", (20, 30), (35, 0, 0)).save(root / "images" / "0.png")
    changed = load(root, tmp_path)
    assert len(decoded) == 16
    assert shades(changed.splits["train"])[0] == 7
    assert changed.splits["train"].digest != first.splits["train"].digest
    for number, change in enumerate(({"resolution": 12}, {"margin": 0}), start=3):
        other = load(root, tmp_path, **change)
        assert len(decoded) == 8 * number
        side = change.get("resolution", 16) + 2 * change.get("margin", 2)
        assert other.splits["train"].image.shape[1:] == (side, side, 3)
    text = (root / "manifest.csv").read_text()
    (root / "manifest.csv").write_text(text.replace("0,0,,,,\n1", "0,0,2,2,18,18\n1"))
    boxed = load(root, tmp_path)
    assert len(decoded) == 40
    np.testing.assert_allclose(boxed.splits["train"].aspect[:2], [16 / 16, 20 / 30], rtol=1e-6)


def test_a_photo_that_cannot_be_read_for_a_moment_is_tried_again(tmp_path, monkeypatch):
    root = folder_of_photos(tmp_path, 24)
    listed, read, opened = manifest.read(root), [], files.read_bytes
    away = {"3.png", "9.png"}

    def read_bytes(path):
        read.append(name := os.path.basename(path))
        if name in away:
            raise InputError(f"cannot read {path}: Stale file handle")
        return opened(path)

    def load_train():
        options = {"resolution": 16, "cache_dir": str(tmp_path), "show_progress": False}
        read.clear()
        return crop_cache.load(listed, max_broken_share=0.5, **options)

    monkeypatch.setattr(files, "read_bytes", read_bytes)
    data = load_train()
    assert data.notes[0] == "2 broken images left out of 24:"
    assert shades(data.splits["train"]) == [i for i in range(24) if i % 3 != 2 and i not in (3, 9)]
    assert load_train().notes == data.notes
    assert read == ["3.png", "9.png"]
    away.remove("9.png")
    data = load_train()
    assert data.notes[0] == "1 broken images left out of 24:"
    assert shades(data.splits["train"]) == [i for i in range(24) if i % 3 != 2 and i != 3]
    away.clear()
    data = load_train()
    assert data.notes == ()
    assert set(read) == {"3.png"}
    assert shades(data.splits["train"]) == [i for i in range(24) if i % 3 != 2]
    load_train()
    assert not read


def test_the_real_photographs(data_dir, tmp_path):
    source = data_dir / "cars3d"
    lines = (source / "manifest.csv").read_text().splitlines()[:41]
    root = tmp_path / "cars"
    root.mkdir()
    (root / "manifest.csv").write_text("\n".join(lines))
    (root / "images").symlink_to(source / "images")
    data = load(root, tmp_path, resolution=32, margin=0)
    assert sum(len(split.category) for split in data.splits.values()) == 40
    assert data.splits.keys() == {"train", "validation"}
    assert data.splits["train"].image.std() > 30
