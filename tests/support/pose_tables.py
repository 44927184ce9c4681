"""Tables of poses as tests write them, and what they mean, by scipy."""

import csv

import pytest
from scipy.spatial.transform import Rotation

from catpose.errors import InputError


def write_csv(path, rows):
    """Rows, mappings from column to value, as a CSV file."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def one_line(function, *arguments, match):
    """The call raises an InputError of one line."""
    with pytest.raises(InputError, match=match) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)


def camera(azimuth, elevation, theta):
    """Rz(theta) Rx(elevation - 90) Rz(-azimuth)."""
    angles = [theta, elevation - 90, -azimuth]
    return Rotation.from_euler("ZXZ", angles, degrees=True).as_matrix()


ANGLES = {"azimuth_deg": 40, "elevation_deg": 359, "theta_deg": -7.5}
EXPECTED = camera(40, -1, -7.5)
X, Y, Z, W = Rotation.from_matrix(EXPECTED).as_quat()
FORMS = {
    "angles": ANGLES,
    "quaternion": {"qw": -2 * W, "qx": -2 * X, "qy": -2 * Y, "qz": -2 * Z},
    "text": {"rotation": " ".join(map(repr, EXPECTED.ravel().tolist()))},
    "list": {"rotation": EXPECTED.tolist()},
    "flat": {"rotation": EXPECTED.ravel().tolist()},
    "columns": {f"r{i}{j}": EXPECTED[i, j] for i in range(3) for j in range(3)},
    # A matrix counts before a quaternion, a quaternion before angles.
    "several": {**ANGLES, "azimuth_deg": 0, "rotation": EXPECTED.tolist(), "qw": 1},
}
