"""Predictions as files: every form of a pose, every kind of wrong row."""

import json
import zipfile

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.data import predictions
from catpose.data.predictions import GIVEN
from tests.support.pose_tables import ANGLES, EXPECTED, FORMS, one_line, write_csv


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_pose(tmp_path, form, suffix):
    rows = [{"id": "a", **FORMS[form]}, {"id": "b", "category": "car", **FORMS["angles"]}]
    path = tmp_path / f"p.{suffix}"
    if suffix == "csv":
        write_csv(path, rows)
    elif suffix == "json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    found = predictions.read(path)
    assert found.id.tolist() == ["a", "b"]
    assert found.category[GIVEN].tolist() == ["", "car"]
    assert found.frame.tolist() == ["camera", "camera"]
    np.testing.assert_allclose(found.rotation[GIVEN], [EXPECTED, EXPECTED], atol=1e-12)
    assert found.probabilities is None


def test_an_object_by_id(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"a": ANGLES, "b": {**ANGLES, "category": "bus"}}))
    found = predictions.read(path)
    assert found.id.tolist() == ["a", "b"]
    assert found.category[GIVEN].tolist() == ["", "bus"]


def test_what_launch_predict_prints_with_an_id(tmp_path):
    line = {
        "id": "a", "image": "x.jpg", "category": "car", "probabilities": {"bus": 0.2, "car": 0.8},
        "rotation": EXPECTED.tolist(), "azimuth_deg": 1, "frame": "camera",
    }  # fmt: skip
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(line))
    found = predictions.read(path)
    assert found.categories == ("bus", "car")
    assert found.probabilities.tolist() == [[0.2, 0.8]]


def test_frames_are_kept(tmp_path):
    rows = [{"id": name, "frame": name, **FORMS["columns"]} for name in ("upright", "paper")]
    # Angles say the same in every frame.
    rows += [{"id": "c", **ANGLES, "frame": "paper"}]
    found = predictions.read(write_csv(tmp_path / "p.csv", rows))
    assert found.frame.tolist() == ["upright", "paper", "camera"]
    np.testing.assert_allclose(found.rotation[GIVEN], [EXPECTED] * 3, atol=1e-12)


def test_the_most_probable_category_where_none_is_named(tmp_path):
    rows = [
        {"id": "a", **ANGLES, "probability_bus": 0.7, "probability_car": 0.3},
        {"id": "b", **ANGLES, "probability_bus": 0.7, "probability_car": 0.3, "category": "car"},
        {"id": "c", **ANGLES},
    ]
    found = predictions.read(write_csv(tmp_path / "p.csv", rows))
    assert found.category[GIVEN].tolist() == ["bus", "car", ""]
    assert np.isnan(found.probabilities[2]).all()


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "npz"])
def test_what_is_written_reads_back_exactly(tmp_path, suffix):
    generator = np.random.default_rng(0)
    count = 20
    written = predictions.checked(
        [f'{i}, "quoted" ü' for i in range(count)],
        Rotation.random(count, generator).as_matrix().astype(np.float32),
        frame=np.array(["camera", "paper"])[generator.integers(0, 2, count)],
        category=np.array(["", "bus"])[generator.integers(0, 2, count)],
        probabilities=np.where(
            np.arange(count)[:, None] == 3, np.nan, generator.dirichlet([1, 1], count)
        ),
        categories=("bus", "car"),
    )
    path = tmp_path / "new" / f"p.{suffix}"
    predictions.write(written, path)
    found = predictions.read(path)
    assert found.categories == written.categories
    np.testing.assert_array_equal(found.rotation[GIVEN], written.rotation[GIVEN])
    np.testing.assert_array_equal(found.category[GIVEN], written.category[GIVEN])
    for name in ("id", "frame", "probabilities"):
        np.testing.assert_array_equal(getattr(found, name), getattr(written, name))


def test_arrays_hold_every_fusion_and_network(tmp_path):
    generator = np.random.default_rng(1)
    written = predictions.Predictions(
        id=np.array(["a", "b"]),
        rotation={n: Rotation.random(2, generator).as_matrix() for n in ("top1", "oracle")},
        frame=np.array(["paper", "camera"]),
        category={"top1": np.array(["car", "bus"]), "oracle": np.array(["bus", "bus"])},
        probabilities=np.float32([[0.2, 0.8], [0.6, 0.4]]),
        categories=("bus", "car"),
        network_rotation=Rotation.random(4, generator).as_matrix().reshape(2, 2, 3, 3),
    )
    predictions.write(written, tmp_path / "p.npz")
    found = predictions.read(tmp_path / "p.npz")
    assert found.categories == written.categories
    assert list(found.rotation) == ["top1", "oracle"]
    np.testing.assert_array_equal(found.rotation["oracle"], written.rotation["oracle"])
    for name in ("id", "frame", "probabilities", "network_rotation"):
        np.testing.assert_array_equal(getattr(found, name), getattr(written, name))
    assert {name: own.tolist() for name, own in found.category.items()} == {
        "top1": ["car", "bus"], "oracle": ["bus", "bus"]
    }  # fmt: skip
    one_line(predictions.write, written, tmp_path / "p.csv", match=r"^several fusions .*top1, or")
    one_line(predictions.only, written, "weighted", match=r"^no fusion 'weighted'; known: top1, or")
    predictions.write(predictions.only(written, "top1"), tmp_path / "p.csv")
    np.savez(tmp_path / "q.npz", other=np.zeros(2))
    one_line(predictions.read, tmp_path / "q.npz", match=r"q\.npz does not hold predictions: ")
    (tmp_path / "r.npz").write_text("no archive")
    one_line(predictions.read, tmp_path / "r.npz", match=r"r\.npz does not hold predictions: ")
    one_line(predictions.read, tmp_path / "s.npz", match=r"^cannot read .*s\.npz: No such file")


def test_damaged_arrays(tmp_path, monkeypatch):
    """Each is one line: what does not belong together, is not finite, or is too large."""
    whole = predictions.checked(
        ["a", "b"], np.stack([np.eye(3)] * 2), category=["car", "bus"],
        probabilities=np.array([[0.2, 0.8], [0.6, 0.4]]), categories=("bus", "car"),
    )  # fmt: skip
    path = tmp_path / "p.npz"
    predictions.write(whole, path)
    with np.load(path) as file:
        arrays = dict(file)
    assert predictions.read(path).id.tolist() == ["a", "b"]
    for name, values, message in (
        ("id", np.array(["a", "a"]), "object 2: the id 'a' is also that of object 1$"),
        ("id", np.array(["a"]), r"frame has the shape \(2,\), not \(1,\)$"),
        ("id", np.array("a"), "len"),
        ("rotation.given", np.full((2, 3, 3), np.nan), "a: not a rotation: R R' differs from"),
        ("rotation.given", np.eye(3), r"rotation.given has the shape \(3, 3\), not \(2, 3, 3\)$"),
        ("rotation.top1", np.stack([np.eye(3)] * 2), "are of different fusions$"),
        ("frame", np.array(["camera", "lens"]), "unknown frame 'lens'$"),
        ("probabilities", np.zeros((2, 3)), r"probabilities has the shape \(2, 3\), not \(2, 2"),
        ("network_rotation", np.zeros((2, 3, 3)), "network_rotation has the shape "),
        ("notes", np.array([{}], object), "Object arrays cannot be loaded"),
    ):
        np.savez(path, **(arrays | {name: values}))
        one_line(predictions.read, path, match=rf"p\.npz does not hold predictions: .*{message}")
    np.save(tmp_path / "q.npy", np.zeros(2))
    (tmp_path / "q.npy").rename(path)
    one_line(predictions.read, path, match=r"p\.npz does not hold predictions: ")
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("id.npy", "w") as f,
    ):
        for _ in range(5):
            f.write(bytes(1 << 20))
    monkeypatch.setattr(predictions, "MAX_BYTES", 4 << 20)
    one_line(predictions.read, path, match="its arrays take 0.0 GiB$")


def test_rounded_matrices_become_rotations(tmp_path):
    rounded = np.round(EXPECTED, 3)
    row = {"id": "a", "rotation": rounded.tolist()}
    (tmp_path / "p.json").write_text(json.dumps([row]))
    (found,) = predictions.read(tmp_path / "p.json").rotation[GIVEN]
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(found, Rotation.from_matrix(rounded).as_matrix(), atol=1e-12)


WRONG = {
    "no ids": ([ANGLES, ANGLES], r"p\.csv has no ids; give each row the id"),
    "one without": ([{"id": "a", **ANGLES}, {"id": "", **ANGLES}], r"line 3: no id; give"),
    "twice": (
        [{"id": "a", **ANGLES}, {"id": "b", **ANGLES}, {"id": "a", **ANGLES}],
        r"line 4: the id 'a' is also that of .*p\.csv, line 2$",
    ),
    "no pose": ([{"id": "a", "category": "car"}], r"line 2: no pose; there are id, category, "),
    "no angle": ([{"id": "a", "azimuth_deg": 3}], r"line 2: elevation_deg is missing; there are "),
    "word": ([{"id": "a", **ANGLES, "theta_deg": "x"}], r"line 2: theta_deg is 'x', not a finite"),
    "nan": ([{"id": "a", **ANGLES, "theta_deg": "nan"}], r"theta_deg is 'nan', not a finite"),
    "zero": ([{"id": "a", "qw": 0, "qx": 0, "qy": 0, "qz": 0}], r"a quaternion of length zero$"),
    "frame": ([{"id": "a", **ANGLES, "frame": "lens"}], r"unknown frame 'lens'; known: camera, "),
    "eight": ([{"id": "a", "rotation": "1 0 0 0 1 0 0 0"}], r"rotation is not nine finite numbers"),
    "words": ([{"id": "a", "rotation": "1 0 0 0 1 0 0 0 x"}], r"is not nine finite numbers"),
    "scaled": (
        [{"id": "a", "rotation": "2 0 0 0 2 0 0 0 2"}],
        r"line 2: not a rotation: R R' differs from the identity by 3$",
    ),
    "sheared": ([{"id": "a", "rotation": "1 0.1 0 0 1 0 0 0 1"}], r"line 2: not a rotation: R R' "),
    "mirror": ([{"id": "a", "rotation": "1 0 0 0 1 0 0 0 -1"}], r"its determinant is -1, so it"),
    "probability": (
        [{"id": "a", **ANGLES, "probability_car": "high"}],
        r"line 2: probability_car is 'high', not a finite number",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_predictions(tmp_path, rows, message):
    one_line(predictions.read, write_csv(tmp_path / "p.csv", rows), match=message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.txt", "", r"p\.txt must end in \.csv, \.json, \.jsonl$"),
        ("p.csv", "", r"p\.csv has no rows$"),
        ("p.csv", "id,azimuth_deg\n", r"p\.csv has no rows$"),
        ("p.csv", b"\xff\xfe\x00", r"p\.csv, line 1: not UTF-8; save the file as UTF-8$"),
        ("p.json", "[", r"p\.json: not JSON: Expecting value$"),
        ("p.json", "3", r"p\.json must hold a list of objects$"),
        ("p.json", "[3]", r"p\.json, entry 1: not an object with keys and values$"),
        ("p.jsonl", "{}\n{", r"p\.jsonl, line 2: not JSON: "),
        (None, "", r"cannot read .*none\.csv: No such file or directory$"),
    ],
)
def test_what_is_no_table(tmp_path, name, content, message):
    path = tmp_path / (name or "none.csv")
    if name:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    one_line(predictions.read, path, match=message)


def test_writing_where_one_cannot(tmp_path):
    found = predictions.checked(["a"], np.eye(3)[None])
    one_line(predictions.write, found, tmp_path / "p.txt", match=r"must end in \.npz, \.csv")
    (tmp_path / "file").write_text("")
    one_line(predictions.write, found, tmp_path / "file" / "p.csv", match=r"^cannot write .*p\.csv")
