"""Rendered images: poses from their names, wherever they lie, and what is wrong counted."""

import concurrent.futures
import io
import json
import os
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from catpose.data import crop_cache
from catpose.data.render_for_cnn import read as rendered
from catpose.errors import InputError

CAR, BUS, CHAIR, MUG = "02958343", "02924116", "03001627", "03797390"
MODELS = ("13a245da7b0567509c6d15186da929c5", "0" * 31 + "b")
VIEWS = [(35, 9, -1, 4), (0, 0, 0, 3), (359, -5, 12, 10), (180, 89, -90, 2), (90, -30, 179, 123)]


def name_of(synset, model, azimuth, elevation, tilt, distance, ending="png"):
    """The format that the rendering script prints."""
    return f"{synset}_{model}_a{azimuth:03d}_e{elevation:03d}_t{tilt:03d}_d{distance:03d}.{ending}"


def encoded(number, form="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", (20 + number, 30), (number, 100, 200)).save(stream, form)
    return stream.getvalue()


def images():
    """Path -> (bytes, category, azimuth, elevation, tilt), in no particular order."""
    found = {}
    for synset, category in ((CHAIR, "chair"), (CAR, "car"), (BUS, "bus")):
        for model in MODELS:
            for view in VIEWS:
                form = ("PNG", "JPEG")[len(found) % 2]
                ending = {"PNG": "png", "JPEG": ("jpg", "JPG", "jpeg")[len(found) % 3]}[form]
                path = f"{synset}/{model}/{name_of(synset, model, *view, ending)}"
                found[path] = (encoded(len(found), form), category, *view[:3])
    return found


IMAGES = images()
CATEGORIES = ("bus", "car", "chair")


def write(root, files):
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        os.utime(root / path, ns=(10**18, 10**18))


def folder(tmp_path, extra=None):
    root = tmp_path / "renders"
    write(root, {path: row[0] for path, row in IMAGES.items()} | (extra or {}))
    return root


def tar(tmp_path, extra=None, name="renders.tar"):
    path = tmp_path / name
    with tarfile.open(path, "w") as file:
        for name, content in ({p: row[0] for p, row in IMAGES.items()} | (extra or {})).items():
            info = tarfile.TarInfo(f"./syn_images_cropped_bkg_overlaid/{name}")
            info.size, info.mtime = len(content), 10**9
            file.addfile(info, io.BytesIO(content))
    return path


def read(path, **changes):
    options = {"categories": CATEGORIES, "tilt_sign": "released", "show_progress": False}
    return rendered.read(path, **(options | changes))


SOURCES = pytest.mark.parametrize("source", [folder, tar])


@SOURCES
@pytest.mark.parametrize(("tilt_sign", "sign"), [("released", -1), ("fresh", 1)])
def test_names_are_poses(tmp_path, source, tilt_sign, sign):
    found = read(source(tmp_path), tilt_sign=tilt_sign)
    expected = {os.path.basename(path): row for path, row in IMAGES.items()}
    assert sorted(found.id) == sorted(expected)
    for i, name in enumerate(found.id):
        content, category, azimuth, elevation, tilt = expected[name]
        assert found.read_fn(i) == content
        assert found.read_fn(np.int64(i)) == content
        assert found.categories[found.category[i]] == category
        matrix = Rotation.from_euler(
            "ZXZ", [sign * tilt, elevation - 90, -azimuth], degrees=True
        ).as_matrix()
        np.testing.assert_allclose(found.rotation[i], matrix, atol=1e-6)
    assert found.categories == CATEGORIES
    assert found.category.dtype == np.int32
    assert found.rotation.dtype == np.float32
    assert found.rotation.shape == (30, 3, 3)
    assert found.box.shape == (30, 4)
    assert np.isnan(found.box).all()
    assert set(found.split) == {"rendered"} == set(found.flags["source"])
    assert found.camera is None
    assert found.notes == ()


def test_a_folder_and_a_tar_say_the_same(tmp_path):
    a, b = read(folder(tmp_path)), read(str(tar(tmp_path)))
    for field in ("id", "category", "split", "rotation"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))


@SOURCES
def test_threads_read_at_the_same_time(tmp_path, source):
    found = read(source(tmp_path))
    expected = {os.path.basename(path): row[0] for path, row in IMAGES.items()}
    order = np.random.default_rng(0).integers(0, 30, 2000)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for i, content in zip(order, pool.map(found.read_fn, order), strict=True):
            assert content == expected[found.id[i]]


@SOURCES
def test_they_are_decoded_like_any_other_listing(tmp_path, source):
    name = name_of(CAR, MODELS[0], 1, 2, 3, 4)
    truncated = encoded(77)[:-30]
    found = read(source(tmp_path, {f"{CAR}/x/{name}": truncated}))
    data = crop_cache.load(
        found,
        resolution=8,
        max_broken_share=0.1,
        cache_dir=str(tmp_path / "c"),
        show_progress=False,
    )
    assert data.categories == CATEGORIES
    assert any("1 broken" in note for note in data.notes)
    split = data.splits["rendered"]
    assert len(split.image) == 30
    numbers = {os.path.basename(path): i for i, path in enumerate(IMAGES)}
    for pixels, shown in zip(split.image, split.id, strict=True):
        assert np.abs(pixels.reshape(-1, 3) - np.array([numbers[shown], 100, 200.0])).max() < 4


def test_the_sign_of_the_tilt_is_never_guessed(tmp_path):
    root = folder(tmp_path)
    with pytest.raises(InputError, match="--tilt .* is 'released' .* or 'fresh'") as caught:
        read(root, tilt_sign="")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="^the tilt's sign is 'minus'; known: released, fresh$"):
        read(root, tilt_sign="minus")


@SOURCES
def test_a_description_says_it_once_and_for_all(tmp_path, source):
    for tilt, other in (("released", "fresh"), ("fresh", "released")):
        path = source(tmp_path, {"rendered.json": json.dumps({"tilt": tilt}).encode()})
        expected = read(path, tilt_sign=tilt)
        np.testing.assert_array_equal(read(path, tilt_sign="").rotation, expected.rotation)
        assert expected.notes == ()
        with pytest.raises(
            InputError, match=f"is '{tilt}' by its rendered.json, not '{other}'; leave"
        ):
            read(path, tilt_sign=other)


@SOURCES
def test_further_synsets(tmp_path, source):
    mug = f"{MUG}/m/{name_of(MUG, 'm', 10, 20, 30, 1)}"
    description = json.dumps({"tilt": "fresh", "synsets": {MUG: "mug"}}).encode()
    for extra, options in (
        ({mug: encoded(9), "rendered.json": description}, {"tilt_sign": ""}),
        ({mug: encoded(9)}, {"synsets": {MUG: "mug"}}),
    ):
        shutil.rmtree(tmp_path / "renders", ignore_errors=True)
        found = read(source(tmp_path, extra), categories=("car", "mug"), **options)
        assert np.bincount(found.category).tolist() == [10, 1]
        assert found.notes == ("20 rendered images of other categories skipped: bus, chair ...",)
    # Two synsets may make one category.
    found = read(
        source(tmp_path), categories=("vehicle",), synsets={CAR: "vehicle", BUS: "vehicle"}
    )
    assert len(found.id) == 20
    assert len(set(found.id)) == 20


DESCRIPTIONS = {
    "no JSON": (b"{tilt: fresh}", "rendered.json of .*: not JSON: Expecting property name"),
    "no text": (b"\xff\xfe\x00", "rendered.json of .*, line 1: not UTF-8; save the file as UTF-8"),
    "twice": (b'{"tilt": "fresh", "tilt": "released"}', "the key 'tilt' stands twice in an object"),
    "deep": (b"[" * 100_000, "rendered.json of .*: lists or objects are nested too deep"),
    "synset of lists": (b'{"synsets": {"a": []}}', "rendered.json of .* is not of the form {"),
    "a list": (b'["fresh"]', "rendered.json of .* is not of the form {"),
    "synsets": (b'{"synsets": ["mug"]}', "rendered.json of .* is not of the form {"),
    "tilt": (b'{"tilt": -1}', "the tilt's sign is '-1'; known: released, fresh$"),
    "no tilt": (b"{}", "which way do the names"),
}


@pytest.mark.parametrize(("content", "message"), DESCRIPTIONS.values(), ids=DESCRIPTIONS.keys())
def test_descriptions_that_are_none(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read(folder(tmp_path, {"rendered.json": content}), tilt_sign="")
    assert "\n" not in str(caught.value)


def test_angles_of_many_digits_are_no_angles(tmp_path):
    """45 digits are infinite in float32; such a name is not of this form, and counted."""
    more = {f"02958343_m_a{digits}_e009_t000_d004.png": b"" for digits in ("9" * 45, "\u0663")}
    found = read(folder(tmp_path, more))
    assert np.isfinite(found.rotation).all()
    assert any(note.startswith("2 images skipped whose names are not") for note in found.notes)


@SOURCES
def test_what_is_left_out_is_counted(tmp_path, source):
    first = next(path for path in IMAGES if path.startswith(CAR))
    extra = {
        f"{CAR}/m/{name_of(CAR, 'm', 1, 1, 1, 1)}": b"",
        f"{CAR}/m/{name_of(CAR, 'm', 2, 1, 1, 1)}": b"",
        f"{CAR}/m/{name_of(CAR, 'm', 3, 1, 1, 1)}": b"<html>404</html>",
        f"{CAR}/m/{name_of(CAR, 'm', 4, 1, 1, 1, 'jpg')}": encoded(
            1, "PNG"
        ),  # what counts is inside
        f"{MUG}/m/{name_of(MUG, 'm', 4, 1, 1, 1)}": encoded(1),
        f"{CAR}/m/photo.png": encoded(1),
        f"{CAR}/m/{CAR}_m_a1.5_e001_t001_d001.png": encoded(1),
        f"{CAR}/m/x{name_of(CAR, 'm', 4, 1, 1, 1)}.jpg": encoded(1),
        f"copy/{os.path.basename(first)}": encoded(2),
        "readme.txt": b"no image",
        "contact_car.jpg": encoded(1),
        ".DS_Store": b"no image",
    }
    found = read(source(tmp_path, extra), categories=(*CATEGORIES, "boat"))
    assert len(found.id) == 31
    assert set(found.notes) == {
        "2 empty rendered images left out",
        "1 rendered images left out that are neither PNG nor JPEG",
        "3 images skipped whose names are not <synset>_<md5>_a035_e009_t-01_d004.png",
        f"1 rendered images of other categories skipped: {MUG} ...",
        "1 rendered images of car occur twice",
        "no rendered images of boat",
    }
    # Of doubles the first path is taken: digits come before letters.
    shown = found.id.tolist().index(os.path.basename(first))
    assert found.read_fn(shown) == IMAGES[first][0]


def many(tmp_path):
    """Three models of 40, 40 and 4 views, at azimuths that have a pattern."""
    files = {}
    for model, count in (("a", 40), ("b", 40), ("c", 4)):
        for i in range(count):
            name = name_of(CAR, model, 9 * i, 10, 0, 1)
            files[f"{CAR}/{model}/{name}"] = encoded(1)
    write(tmp_path / "many", files)
    return tmp_path / "many"


def test_a_part_is_fixed_and_spread_over_models_and_views(tmp_path):
    root = many(tmp_path)
    parts = {k: read(root, categories=("car",), max_per_category=k) for k in (3, 12, 40, 84, 99)}
    for k, part in parts.items():
        assert len(part.id) == min(k, 84)
        assert sorted(part.id) == part.id.tolist()
        again = read(root, categories=("car",), max_per_category=k)
        assert again.id.tolist() == part.id.tolist()
        assert again.digest == part.digest
    models = {k: [n.split("_")[1] for n in part.id] for k, part in parts.items()}
    assert sorted(models[3]) == ["a", "b", "c"]
    assert [models[12].count(m) for m in "abc"] == [4, 4, 4]
    assert [models[40].count(m) for m in "abc"] == [18, 18, 4]
    for small, large in ((3, 12), (12, 40), (40, 84)):
        assert set(parts[small].id) < set(parts[large].id)
    azimuths = [int(n.split("_")[2][1:]) for n in parts[40].id if "_a_" in n]
    assert np.histogram(azimuths, 4, (0, 360))[0].min() >= 2
    assert parts[84].digest == parts[99].digest != parts[40].digest


def test_a_part_does_not_depend_on_the_order_on_disk(tmp_path):
    files = {path: row[0] for path, row in IMAGES.items()}
    flat = {f"{i % 7}/{os.path.basename(path)}": files[path] for i, path in enumerate(files)}
    for limit in (3, 4, 0):
        listings = []
        for number, held in enumerate((files, files, flat)):
            root = tmp_path / f"{limit}-{number}"
            order = np.random.default_rng(number).permutation(sorted(held)).tolist()
            write(root, {key: held[key] for key in order})
            listings.append(read(root, max_per_category=limit))
        for found in listings:
            assert found.id.tolist() == listings[0].id.tolist()
            assert found.digest == listings[0].digest
            assert np.bincount(found.category).tolist() == [limit or 10] * 3


def test_the_content_changes_with_the_images(tmp_path):
    root = folder(tmp_path)
    some = root / next(iter(IMAGES))
    contents = [read(root).digest]

    def changed():
        contents.append(read(root).digest)
        assert len(set(contents)) == len(contents)

    assert read(root, tilt_sign="fresh").digest == contents[0]  # labels are no part of it
    os.utime(some, ns=(2 * 10**18, 2 * 10**18))
    changed()
    some.write_bytes(some.read_bytes() + b"x")
    os.utime(some, ns=(2 * 10**18, 2 * 10**18))
    changed()
    some.rename(some.with_name(some.name.replace("_d", "_d9")))
    changed()
    some.with_name(some.name.replace("_d", "_d9")).unlink()
    changed()
    contents.append(read(tar(tmp_path)).digest)
    extra = {f"{CAR}/m/{name_of(CAR, 'm', 4, 1, 1, 1)}": encoded(1)}
    contents.append(read(tar(tmp_path, extra)).digest)
    assert len(set(contents)) == len(contents)


def test_an_image_that_is_gone_is_named(tmp_path):
    root = folder(tmp_path)
    found = read(root)
    shutil.rmtree(root)
    with pytest.raises(InputError, match=f"^cannot read the rendered image {found.id[7]}: "):
        found.read_fn(7)


def test_wrong_input_is_told_in_one_line(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    page = tmp_path / "page.tar"
    page.write_text("<html>404</html>" * 99)
    other = tmp_path / "other"
    write(other, {f"m/{name_of(MUG, 'm', 4, 1, 1, 1)}": encoded(1), "photo.jpg": encoded(1)})
    broken = tmp_path / "broken"
    write(broken, {f"m/{name_of(CAR, 'm', 4, 1, 1, 1)}": b"<html>"})
    cut = tmp_path / "cut.tar"
    cut.write_bytes(tar(tmp_path).read_bytes()[:9000])
    for path, message in (
        (tmp_path / "missing", "^no folder or tar .*missing$"),
        (
            empty,
            r"^no rendered images of bus, car, chair in .*empty \(0 of other categories, 0 with",
        ),
        (other, r"\(1 of other categories, 1 with other names\); they are named <synset>_<md5>_a0"),
        (broken, "^not one of the 1 rendered images in .*broken can be read$"),
        (page, "page.tar is neither a folder nor a tar"),
        (cut, "cut.tar breaks off after .* files"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert "\n" not in str(caught.value)
