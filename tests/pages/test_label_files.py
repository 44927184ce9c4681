"""The labels of a folder of photos: what is written, kept, and read back."""

import numpy as np
import pytest

from catpose.data import manifest
from catpose.data.examples import POSE_LABELS, Examples
from catpose.errors import InputError
from catpose.geometry import viewpoint
from catpose.pages import agreement, labels, objects
from tests.support import encoded


@pytest.fixture
def folder(tmp_path):
    for i in range(3):
        content = encoded.encode(encoded.noise(20, 10, seed=i), "PNG")
        (tmp_path / f"{i}.png").write_bytes(content)
    return tmp_path


def thing(**values):
    given = {"id": None, "state": "labeled", "category": "car", "angles_deg": [30.0, 10.0, -5.0]}
    return given | {"box": None, "symmetry": "none"} | values


def put(store, file, *objects):
    """Writes objects of a photo, and gives the photo back."""
    photo, written = store.replace(file, store.photos()[file].revision, list(objects))
    assert written
    return photo


def test_labels_are_rows_of_a_manifest(folder):
    store = labels.Labels(folder)
    put(store, "1.png", thing(), thing(category="mug", box=[2.0, 1.0, 12.0, 9.0], symmetry="z"))
    found = manifest.read(folder)
    assert found.id.tolist() == ["1.png#1", "1.png#2"]
    assert [found.categories[i] for i in found.category] == ["car", "mug"]
    np.testing.assert_equal(found.box[1], [2, 1, 12, 9])
    assert np.isnan(found.box[0]).all()
    expected = viewpoint.rotation_from_angles(*np.radians(np.float32([30, 10, -5])))
    np.testing.assert_allclose(found.rotation[0], expected, atol=1e-6)
    again = labels.Labels(folder).photos()["1.png"].objects
    assert [each.angles_deg for each in again] == [(30.0, 10.0, -5.0)] * 2
    assert [each.symmetry for each in again] == ["none", "z"]


def test_two_hundred_poses_come_back(folder):
    store, generator = labels.Labels(folder), np.random.default_rng(0)
    angles = generator.uniform((0, -90, -180), (360, 90, 180), (200, 3))
    put(store, "0.png", *(thing(angles_deg=each.tolist()) for each in angles))
    found = [each.angles_deg for each in labels.Labels(folder).photos()["0.png"].objects]
    one, other = (np.radians(np.float32(each)) for each in (angles, found))
    one, other = (viewpoint.rotation_from_angles(*each.T) for each in (one, other))
    apart = 2 * np.degrees(np.arcsin(np.linalg.norm(one - other, axis=(1, 2)) / np.sqrt(8)))
    assert apart.max() < 0.05


def test_splits_follow_from_the_content(folder):
    before = labels.Labels(folder)
    put(before, "0.png", thing(), thing())
    rows = (folder / "manifest.csv").read_text().splitlines()[1:]
    assert len({row.split(",")[2] for row in rows}) == 1
    content = (folder / "0.png").read_bytes()
    assert rows[0].split(",")[2] == labels.split_of(content)
    found = [labels.split_of(bytes([i % 256, i // 256])) for i in range(2000)]
    shares = {name: found.count(name) / 2000 for name in labels.SHARES}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.15, "test": 0.15}, abs=0.03)


def test_what_is_no_label_is_kept_elsewhere(folder):
    store = labels.Labels(folder)
    put(store, "0.png", thing(state="draft", category="", box=[1.0, 1.0, 9.0, 9.0]))
    put(store, "1.png", thing(state="no pose", category="", angles_deg=None))
    put(store, "2.png", thing(state="skipped", category="", angles_deg=None))
    assert (folder / "manifest.csv").read_text().count("\n") == 1
    again = labels.Labels(folder).photos()
    states = [again[f"{i}.png"].objects[0].state for i in range(3)]
    assert states == ["draft", "no pose", "skipped"]
    assert again["0.png"].objects[0].angles_deg == (30.0, 10.0, -5.0)


@pytest.mark.parametrize("split", labels.SHARES)
def test_an_object_without_a_pose_teaches_its_category(folder, monkeypatch, split):
    monkeypatch.setattr(labels, "split_of", lambda content: split)
    store = labels.Labels(folder)
    put(store, "0.png", thing(), thing(state="no pose", category="mug", angles_deg=None))
    for again in (store, labels.Labels(folder)):
        car, mug = again.photos()["0.png"].objects
        assert (car.state, mug.state, mug.angles_deg) == ("labeled", "no pose", None)
    found = manifest.read(folder)
    if split == "train":
        assert [found.categories[i] for i in found.category] == ["car", "mug"]
        assert [POSE_LABELS[i] for i in found.pose_label] == ["whole", "none"]
    else:  # these measure poses
        assert found.categories == ("car",)
        assert "no pose,mug" in (folder / "unfinished.csv").read_text()
    # It gets its pose after all.
    photo = store.photos()["0.png"]
    given = [car.to_json(), mug.to_json() | {"state": "labeled", "angles_deg": [1, 2, 3]}]
    given = [each | {"id": old.id} for each, old in zip(given, photo.objects, strict=True)]
    put(store, "0.png", *given)
    assert len(manifest.read(folder).id) == 2
    assert "mug" not in _content(folder / "unfinished.csv")


def _content(path):
    return path.read_text() if path.exists() else ""


def test_an_azimuth_alone_stays(folder):
    (folder / "manifest.csv").write_text(
        "file,category,split,azimuth_deg,elevation_deg,theta_deg\n0.png,car,train,40.0,,\n"
    )
    store = labels.Labels(folder)
    (car,) = store.photos()["0.png"].objects
    assert (car.state, car.angles_deg) == ("no pose", None)
    put(store, "0.png", car.to_json() | {"box": [1, 1, 9, 9]})
    put(store, "1.png", thing())
    row = (folder / "manifest.csv").read_text().splitlines()[1]
    assert row == "0.png,car,train,40.0,,,1.0,1.0,9.0,9.0"
    (car,) = store.photos()["0.png"].objects
    put(store, "0.png", car.to_json() | {"state": "labeled", "angles_deg": [50, 0, 0]})
    row = (folder / "manifest.csv").read_text().splitlines()[1]
    assert row.startswith("0.png,car,train,50.00,0.00,0.00")


def test_rows_that_nobody_changes_stay_as_they_are(folder):
    text = (
        "file,split,category,note,qw,qx,qy,qz,frame\n"
        '0.png,val,car,"left, below",1,0,0,0,upright\n'
        "1.png,train,car,other,0.5,0.5,0.5,0.5,camera\n"
    )
    (folder / "manifest.csv").write_text(text)
    store = labels.Labels(folder)
    before = manifest.read(folder)
    # The identity in "upright" is the frontal view.
    assert store.photos()["0.png"].objects[0].angles_deg == (0.0, 0.0, 0.0)
    put(store, "2.png", thing())
    after = manifest.read(folder)
    np.testing.assert_array_equal(after.rotation[:2], before.rotation)
    written = (folder / "manifest.csv").read_text().splitlines()
    assert written[1].startswith('0.png,val,car,"left, below",1,0,0,0,upright')
    # A changed pose replaces the quaternion, and leaves the rest of the row.
    (old,) = store.photos()["1.png"].objects
    put(store, "1.png", old.to_json() | {"angles_deg": [90.0, 0.0, 0.0]})
    row = (folder / "manifest.csv").read_text().splitlines()[2].split(",")
    assert row[:9] == ["1.png", "train", "car", "other", "", "", "", "", ""]
    assert row[9:12] == ["90.00", "0.00", "0.00"]


def test_an_old_page_does_not_write_over_a_newer_one(folder):
    store = labels.Labels(folder)
    revision = store.photos()["0.png"].revision
    put(store, "0.png", thing())
    photo, written = store.replace("0.png", revision, [thing(category="bus")])
    assert not written
    assert [each.category for each in photo.objects] == ["car"]


def test_another_program_may_change_the_manifest(folder):
    store = labels.Labels(folder)
    photo = put(store, "0.png", thing())
    text = (folder / "manifest.csv").read_text().replace(",car,", ",bus,")
    (folder / "manifest.csv").write_text(text)
    photo, written = store.replace("0.png", photo.revision, [thing(category="van")])
    assert not written
    assert [each.category for each in photo.objects] == ["bus"]
    assert (folder / "manifest.csv").read_text() == text


def test_a_kill_between_the_two_files_loses_nothing(folder, monkeypatch):
    store = labels.Labels(folder)
    photo = put(store, "0.png", thing(state="draft"))
    write, count = labels.disk_cache.write_whole, []

    def once(path, content):
        if count:
            raise KeyboardInterrupt  # as a kill would, before the second file
        count.append(path)
        write(path, content)

    monkeypatch.setattr(labels.disk_cache, "write_whole", once)
    (draft,) = photo.objects
    with pytest.raises(KeyboardInterrupt):
        store.replace("0.png", photo.revision, [draft.to_json() | {"state": "labeled"}])
    found = labels.Labels(folder).photos()["0.png"].objects
    assert [each.state for each in found] == ["labeled"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"category": ""}, "object 1 has no category yet"),
        ({"angles_deg": None}, "object 1 has no pose yet"),
        ({"angles_deg": [1, 2]}, "object 1: the pose is not 3 numbers"),
        ({"angles_deg": [1, 2, "x"]}, "the pose is not 3 finite numbers"),
        ({"box": [5, 5, 5, 9]}, "the box is smaller than a pixel"),
        ({"state": "sure"}, "the state is 'sure'"),
        ({"category": "x" * 81}, "80 letters at most"),
        ({"category": "a\nb"}, "in one line"),
        ({"symmetry": "-1"}, "the symmetry of 'car' is '-1'"),
        ({"id": [], "box": {}}, "the box is not 4 numbers"),
    ],
)
def test_invalid_objects_are_named(folder, values, words):
    store = labels.Labels(folder)
    with pytest.raises(InputError, match=words):
        put(store, "0.png", thing(**values))
    assert not (folder / "manifest.csv").exists()


def test_folders_without_photos_are_named(tmp_path):
    with pytest.raises(InputError, match="there are no photos in"):
        labels.Labels(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        labels.Labels(tmp_path / "x")


def test_photos_lie_in_the_folder_images_where_there_is_one(folder):
    (folder / "images" / "deep").mkdir(parents=True)
    (folder / "0.png").rename(folder / "images" / "deep" / "0.png")
    store = labels.Labels(folder)
    assert list(store.photos()) == ["deep/0.png"]
    put(store, "deep/0.png", thing())
    assert manifest.read(folder).id.tolist() == ["deep/0.png"]


def test_what_another_tool_has_found_is_begun(folder):
    rotation = np.full((3, 3, 3), np.nan, np.float32)
    rotation[1] = viewpoint.rotation_from_angles(*np.radians(np.float32([30, 10, -5])))
    found = Examples(
        id=np.array(["a", "b", "c"]),
        category=np.array([0, 1, 0]),
        rotation=rotation,
        categories=("car", "cup"),
        box=np.array([[1.0, 1, 9, 9], [2, 2, 12, 8], [0, 0, 5, 5]]),
        flags={"image": np.array(["0.png", "0.png", "elsewhere.png"])},
        digest="",
    )
    store = labels.Labels(folder)
    store.begin(objects.of_examples(found))
    assert set(store.photos()) == {"0.png", "1.png", "2.png"}
    first, second = store.photos()["0.png"].objects
    assert (first.state, first.category, first.box) == ("draft", "car", (1, 1, 9, 9))
    assert first.angles_deg is None
    assert second.angles_deg == pytest.approx((30, 10, -5), abs=1e-3)
    put(store, "0.png", thing())
    store.begin(objects.of_examples(found))
    assert [each.state for each in store.photos()["0.png"].objects] == ["labeled"]


def test_two_passes_agree(folder):
    first = labels.Labels(folder)
    put(
        first, "0.png", thing(), thing(category="bottle", symmetry="z", angles_deg=[0.0, 20.0, 0.0])
    )
    put(first, "1.png", thing(box=[0.0, 0.0, 9.0, 9.0]), thing(box=[9.0, 0.0, 20.0, 9.0]))
    second = labels.Labels(folder, "second_pass")
    assert agreement.summary(first.photos(), second.photos()) == {"count": 0}
    second.begin(objects.without_poses(first.photos()))
    begun = second.photos()["1.png"]
    assert [each.state for each in begun.objects] == ["draft", "draft"]
    assert [each.box for each in begun.objects] == [(0, 0, 9, 9), (9, 0, 20, 9)]
    put(second, "0.png", thing(angles_deg=[30.0, 14.0, -5.0]),
        thing(category="bottle", symmetry="z", angles_deg=[77.0, 20.0, 0.0]))  # fmt: skip
    # In the other order: boxes tell which is which.
    put(second, "1.png", thing(box=[9.0, 0.0, 20.0, 8.0], angles_deg=[30.0, 10.0, 5.0]),
        thing(box=[0.0, 0.0, 9.0, 8.0]))  # fmt: skip
    found = agreement.summary(first.photos(), labels.Labels(folder, "second_pass").photos())
    assert found["count"] == 4
    assert found["median_deg"] == pytest.approx(2.0, abs=0.01)
    assert found["worst"][0] == {"file": "1.png", "degrees": pytest.approx(10.0, abs=0.01)}
    assert (folder / "manifest.csv").read_text().count("\n") == 5
