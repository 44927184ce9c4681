"""What angles mean in frame "paper", the same for manifests, predictions and labels."""

import pathlib

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.data import labels, manifest, pose_table, predictions, tables
from catpose.geometry import viewpoint

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
