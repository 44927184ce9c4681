"""What rows say of objects, the same for manifests, predictions and labels."""

import pathlib
import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.data import labels, manifest, pose_table, predictions, tables
from catpose.geometry import viewpoint
from tests.support.pose_tables import ANGLES, one_line, write_csv

VIEWPOINTS = {
    "level": (30, 0, 10),  # by way of the rotation in "paper" it would be (40, 0, 0)
    "usual": (324.7, 12.5, -7),
    "zenith": (30, 90, 10),
    "nadir": (200, 270, -25),
    "near the zenith": (75, 89.9999, 60),
}


def read_as(reader, folder, angles):
    """The rotations in "camera" that a reader finds in one row of angles with frame "paper"."""
    columns = ("id", "file", "category", "split", *pose_table.ANGLES, "frame")
    row = ("a", "a.jpg", "car", "test", *angles, "paper")
    (folder / "a.jpg").write_text("")
    (folder / "manifest.csv").write_text(tables.csv_text([columns, row]))
    if reader == "manifest":
        return manifest.read(folder).rotation
    if reader == "labels":
        return labels.read(folder / "manifest.csv").rotation
    found = predictions.read(folder / "manifest.csv")
    assert found.frame.tolist() == ["camera"]
    return found.rotation[predictions.GIVEN]


@pytest.mark.parametrize("reader", ["manifest", "predictions", "labels"])
@pytest.mark.parametrize("angles", VIEWPOINTS.values(), ids=VIEWPOINTS)
def test_angles_of_paper_are_a_viewpoint_and_give_the_authors_rotation(tmp_path, reader, angles):
    azimuth, elevation, theta = angles
    (camera,) = read_as(reader, tmp_path, angles)
    turn = [theta, elevation - 90, -azimuth]
    expected = Rotation.from_euler("ZXZ", turn, degrees=True)
    away = (Rotation.from_matrix(camera) * expected.inv()).magnitude()
    assert np.degrees(away) < 0.0101
    # As training and scoring convert, in float32.
    paper = viewpoint.convert_frame(camera.astype(np.float32), "camera", "paper")
    turn = [theta, elevation, azimuth]
    authors = Rotation.from_euler("ZXZ", turn, degrees=True)
    away = (Rotation.from_matrix(np.asarray(paper)) * authors.inv()).magnitude()
    if elevation == 0:
        # This rotation of "paper" is that of azimuth 40 and theta 0 too, but the viewpoint is not.
        assert np.degrees(away) < 1e-3
    assert np.degrees(away) < 0.05


def table_of(*rows):
    """A table of these rows."""
    columns = tuple(dict.fromkeys(name for values in rows for name in values))
    rows = [tables.Row(f"t.csv, line {i}", values) for i, values in enumerate(rows, start=2)]
    return tables.Table(pathlib.Path("t.csv"), columns, rows)


def test_without_paper_nothing_is_moved_off_the_pole():
    values = dict(zip(pose_table.ANGLES, (30, 90, 10), strict=True))
    rotation, frame, _ = pose_table.poses(table_of(values))
    expected = Rotation.from_euler("ZXZ", [10, 0, -30], degrees=True).as_matrix()
    np.testing.assert_allclose(rotation, [expected], atol=1e-12)
    assert frame.tolist() == ["camera"]


def test_a_table_of_paper_alone():
    values = dict(zip(pose_table.ANGLES, (30, 5, 10), strict=True)) | {"frame": "paper"}
    assert pose_table.poses(table_of(values)).frame.tolist() == ["camera"]


@pytest.mark.parametrize("elevation", [90, -90, 450])
def test_the_rotation_in_paper_keeps_theta_at_the_poles(elevation):
    angles = np.array([[30.0, elevation, 10]])
    camera = pose_table.rotations_from_angles(angles, for_paper=True).astype(np.float32)
    paper = Rotation.from_matrix(np.asarray(viewpoint.convert_frame(camera, "camera", "paper")))
    authors = Rotation.from_euler("ZXZ", [[10, elevation, 30]], degrees=True)
    assert np.degrees((paper * authors.inv()).magnitude()) < 0.05
    # Without it, theta is lost and azimuth takes its turn: another rotation altogether.
    camera = pose_table.rotations_from_angles(angles, for_paper=False).astype(np.float32)
    paper = Rotation.from_matrix(np.asarray(viewpoint.convert_frame(camera, "camera", "paper")))
    assert np.degrees((paper * authors.inv()).magnitude()) > 5


BOXES = {
    "VOC": ("xmin", "ymin", "xmax", "ymax"),
    "capitals": ("Xmin", "Ymin", "Xmax", "Ymax"),
    "with underscores": ("x_min", "y_min", "x_max", "y_max"),
    "from 1": ("x1", "y1", "x2", "y2"),
    "COCO": ("x", "y", "width", "height"),
    "COCO's list": ("bbox",),
    "sides": ("left", "top", "right", "bottom"),
    "with a word before": ("bbox_x0", "bbox_y0", "bbox_x1", "bbox_y1"),
    "with a unit": ("x (px)", "y (px)", "w (px)", "h (px)"),
    "of an object": ("bbox.left", "bbox.top", "bbox.width", "bbox.height"),
    "centers": ("x_center", "y_center", "width", "height"),
}


@pytest.mark.parametrize("names", BOXES.values(), ids=BOXES)
def test_boxes_by_other_names(tmp_path, names):
    row = {"id": "a", "file": "a.jpg", "category": "car", "split": "test", **ANGLES}
    path = write_csv(tmp_path / "manifest.csv", [row | dict.fromkeys(names, 9)])
    (tmp_path / "a.jpg").write_text("")
    said = (
        f"{re.escape(', '.join(names))} look like a box and are not read; a box is x0, y0, x1, y1"
    )
    one_line(manifest.read, tmp_path, match=rf"manifest\.csv: {said}")
    # What needs no boxes says it as a remark.
    for read in (labels.read, predictions.read):
        (note,) = read(path).notes
        assert re.search(said, note)
    # Where there is a box, another one is nobody's concern.
    both = row | dict.fromkeys(names, 9) | {"x0": 1, "y0": 2, "x1": 8, "y1": 7}
    path = write_csv(tmp_path / "manifest.csv", [both])
    assert manifest.read(tmp_path).box.tolist() == [[1, 2, 8, 7]]
    assert labels.read(path).notes == predictions.read(path).notes == ()


@pytest.mark.parametrize("name", ["X0", "x_0", "Frame", "Azimuth (deg)", "QW"])
def test_other_spellings_of_a_column(tmp_path, name):
    row = {"id": "a", "file": "a.jpg", "category": "car", "split": "test", **ANGLES, name: 1}
    if name == "Azimuth (deg)":
        del row["azimuth_deg"]
    path = write_csv(tmp_path / "manifest.csv", [row])
    (tmp_path / "a.jpg").write_text("")
    for read, where in ((manifest.read, tmp_path), (labels.read, path), (predictions.read, path)):
        one_line(read, where, match=rf"the column '{re.escape(name)}' is not read; call it '")


def test_angles_by_other_names():
    for names in (("azimuth", "elevation", "tilt"), ("yaw", "pitch", "roll")):
        one_line(
            pose_table.poses,
            table_of(dict.fromkeys(names, 1)),
            match=f"line 2: no pose; there are {', '.join(names)}, give rotation, qw.* azimuth_deg",
        )
    half = {"azimuth_deg": 1, "elevation_deg": 2, "tilt": 3}
    message = "line 2: theta_deg is missing; there are azimuth_deg, elevation_deg, tilt$"
    one_line(pose_table.poses, table_of(half), match=message)


@pytest.mark.parametrize("reader", ["manifest", "predictions", "labels"])
def test_radians_are_suspected_aloud(tmp_path, reader):
    def notes(count, largest):
        rows = [
            {"id": f"a{i}", "file": "a.jpg", "category": "car", "split": "test", **angles(i)}
            for i in range(count)
        ]
        rows[-1]["azimuth_deg"] = largest
        path = write_csv(tmp_path / "manifest.csv", rows)
        (tmp_path / "a.jpg").write_text("")
        if reader == "manifest":
            return manifest.read(tmp_path).notes
        return (labels.read if reader == "labels" else predictions.read)(path).notes

    def angles(i):
        return {"azimuth_deg": i % 6, "elevation_deg": -0.1, "theta_deg": 0.2}

    (note,) = notes(20, 6.28)
    assert "no angle of 20 rows is larger than 6.28; are they in radians?" in note
    assert notes(19, 6.28) == ()  # too few to say
    assert notes(20, 6.3) == ()


def test_all_zeros_are_not_suspected():
    rows = [dict.fromkeys(pose_table.ANGLES, 0)] * 50
    assert pose_table.poses(table_of(*rows)).notes == ()


def test_an_empty_flag_is_zero():
    """One empty cell used to turn the filter off for all."""
    found = pose_table.flags(table_of({"occluded": "1"}, {"x": ""}, {"occluded": "0"}))
    assert found["occluded"].tolist() == [True, False, False]
    assert list(found) == ["occluded"]


def test_how_flags_are_written():
    rows = [{"difficult": value} for value in (1, "1", "1.0", True, "True", 0, "false", False)]
    found = pose_table.flags(table_of(*rows))["difficult"]
    assert found.tolist() == [True] * 5 + [False] * 3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("occluded", "2", "occluded is '2', not 0 or 1"),
        ("truncated", "-1", "truncated is '-1', not 0 or 1"),
        ("difficult", "nan", "difficult is 'nan', not 0 or 1"),
        ("coarse", [], r"coarse is '\[\]', not 0 or 1"),
        ("object", "0", "object is 0; objects are counted from 1"),
        ("object", None, "object is missing; there are x"),
        ("source", None, "source is empty, and other rows have it"),
        ("image", {}, "image is {}, not a text"),
    ],
)
def test_wrong_flags(name, value, message):
    second = {"x": 1} if value is None else {name: value}
    one_line(pose_table.flags, table_of({name: 1}, second), match=f"line 3: {message}$")
