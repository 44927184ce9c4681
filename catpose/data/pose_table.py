"""The one reader of tables with poses, boxes and flags, in CSV, JSON or JSON lines.

A pose is written in one of three ways; where a row has several, the first of them counts:

- `rotation`: nine numbers, row by row (in CSV divided by blanks, or in columns `r00` to `r22`);
- `qw, qx, qy, qz`: a quaternion of any length but zero;
- `azimuth_deg, elevation_deg, theta_deg`: any values, so 359 is -1.

A column `frame` says which frame a matrix or quaternion is in, "camera" unless stated.

Angles are the viewpoint of PASCAL3D+ in every frame. The authors of "paper" built its rotations
Rz(theta) Rx(elevation) Rz(azimuth) from those same angles, so a row of angles with frame "paper"
is that viewpoint, and its rotation in "paper" is that formula. It is not read by way of the
rotation in "paper", which at elevation 0 knows azimuth + theta only: azimuth 30, theta 10 would
become azimuth 40, theta 0, 14 degrees away. In the other direction, the rotation in "camera"
knows only azimuth - theta or azimuth + theta at elevation +-90. A row of angles that asks for
"paper" therefore stays `POLE_DEG` away from it, so that its own azimuth and theta come back; so do
the viewpoints of datasets that papers train on in "paper".

A box is `x0, y0, x1, y1` in pixels, 0-based, x1 and y1 exclusive. Flags are those of
`catpose.data.examples.Examples`.
"""

import csv
import io
import json
import math
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from catpose.data.examples import BOOLEAN_FLAGS
from catpose.errors import InputError
from catpose.geometry import so3, viewpoint

MATRIX = tuple(f"r{i}{j}" for i in range(3) for j in range(3))
QUATERNION = ("qw", "qx", "qy", "qz")
ANGLES = ("azimuth_deg", "elevation_deg", "theta_deg")
FORMS = f"rotation, {', '.join(QUATERNION)} or {', '.join(ANGLES)}"
BOX = ("x0", "y0", "x1", "y1")
# Names of flags in other people's tables.
SYNONYMS = {"image": "image_id", "object": "object_index_1based"}
# Entries of R R' may be so far from the identity's: two decimals are a rotation, a scaled or
# sheared matrix is not. What passes is replaced by the nearest rotation.
TOLERANCE = 0.02
# A float32 rotation this far from the pole gives azimuth and theta back to 0.02 degrees.
POLE_DEG = 0.01


class Row(NamedTuple):
    """A row's values, and what to call it in a message ("predictions.csv, line 3")."""

    where: str
    values: Mapping[str, Any]


def read(
    path: pathlib.Path, *, required: Sequence[str] = (), allow_empty: bool = False
) -> list[Row]:
    """Reads a file by its ending: `.csv`, `.json` or `.jsonl`.

    JSON is a list of objects, or one object whose keys are the ids. Blanks around values and
    empty values in CSV do not count.

    Args:
      path: the file.
      required: columns that a CSV file must have.
      allow_empty: a file without rows is not an error.

    Raises:
      InputError: no such file, another ending, a required column that is missing, or a content
        that is not of this form.
    """
    readers = {".csv": _read_csv, ".json": _read_json, ".jsonl": _read_lines}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path} must end in {', '.join(readers)}")
    try:
        rows = list(readers[path.suffix.lower()](path, required))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise InputError(f"cannot read {path} as {path.suffix[1:].upper()}: {error}") from error
    if not rows and not allow_empty:
        raise InputError(f"{path} has no rows")
    for row in rows:
        if not isinstance(row.values, Mapping):
            raise InputError(f"{row.where}: not an object with keys and values")
    return rows


def _read_csv(path, required):
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        if missing := [name for name in required if name not in header]:
            raise InputError(f"{path}: no column {', '.join(missing)}")
        for line in reader:
            # A short line lacks its last values, a long one has some too many.
            values = dict(zip(header, (value.strip() for value in line), strict=False))
            values = {name: value for name, value in values.items() if value}
            if values:
                yield Row(f"{path}, line {reader.line_num}", values)


def _read_json(path, required):
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(content, Mapping):
        content = [
            {"id": key, **value} if isinstance(value, Mapping) else value
            for key, value in content.items()
        ]
    if not isinstance(content, list):
        raise InputError(f"{path} must hold a list of objects")
    for i, values in enumerate(content, start=1):
        yield Row(f"{path}, entry {i}", values)


def _read_lines(path, required):
    for i, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if line.strip():
            try:
                yield Row(f"{path}, line {i}", json.loads(line))
            except json.JSONDecodeError as error:
                raise InputError(f"{path}, line {i}: not JSON: {error}") from error


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV; the first of a file are the names of its columns."""
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def number(row: Row, name: str) -> float:
    """The finite number in the column `name`.

    Raises:
      InputError: it is missing or not a finite number.
    """
    try:
        value = float(row.values.get(name, ""))
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{row.where}: {name} is '{row.values.get(name, '')}', not a finite number"
        )
    return value


def poses(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """The rotations that rows describe.

    Returns:
      (M, 3, 3) float64 as they are written, and the frame of each, (M,) str; angles become
      rotations in "camera", see the module's docstring.

    Raises:
      InputError: a row without a pose, an invalid number, an unknown frame, a quaternion of
        length zero. Matrices are not checked here, see `nearest_rotations`.
    """
    written = [_pose(row) for row in rows]
    kinds = np.array([len(values) for values in written])
    frame = np.array([row.values.get("frame") or "camera" for row in rows], dtype=np.str_)
    for row, name in zip(rows, frame.tolist(), strict=True):
        if name not in viewpoint.FRAMES:
            known = ", ".join(viewpoint.FRAMES)
            raise InputError(f"{row.where}: unknown frame '{name}'; known: {known}")
    rotation = np.zeros((len(rows), 3, 3))
    converters = {
        MATRIX: lambda values, paper: values.reshape(-1, 3, 3),
        QUATERNION: lambda values, paper: so3.rotation_from_quaternion(values),
        ANGLES: lambda values, paper: rotations_from_angles(values, for_paper=paper),
    }
    for names, convert_fn in converters.items():
        index = np.flatnonzero(kinds == len(names))
        if index.size:
            values = np.array([written[i] for i in index])
            with jax.enable_x64(True):
                rotation[index] = convert_fn(values, frame[index] == "paper")
    return rotation, np.where(kinds == len(ANGLES), "camera", frame)


def rotations_from_angles(angles_deg: np.ndarray, *, for_paper: bool | np.ndarray) -> np.ndarray:
    """Rotations of viewpoints, (N, 3, 3) float64 in "camera".

    Args:
      angles_deg: (N, 3) azimuth, elevation and theta in degrees, any values.
      for_paper: whether the rotation in "paper" is needed too, of all or of each. Elevations then
        stay `POLE_DEG` away from +-90, so that conversion gives the authors' own rotation.
    """
    azimuth, elevation, theta = np.asarray(angles_deg, np.float64).T
    wrapped = (elevation + 180) % 360 - 180
    at_pole = for_paper & (np.abs(np.abs(wrapped) - 90) < POLE_DEG)
    elevation = np.where(at_pole, np.sign(wrapped) * (90 - POLE_DEG), elevation)
    radians = (np.radians(angle) for angle in (azimuth, elevation, theta))
    with jax.enable_x64(True):
        return np.asarray(viewpoint.rotation_from_angles(*radians))


def _pose(row):
    values = row.values
    if "rotation" in values:
        return _nine(row, values["rotation"])
    if any(name in values for name in MATRIX):
        return [number(row, name) for name in MATRIX]
    if any(name in values for name in QUATERNION):
        quaternion = [number(row, name) for name in QUATERNION]
        length = math.hypot(*quaternion)
        if length < 1e-6:
            raise InputError(f"{row.where}: a quaternion of length zero")
        return [value / length for value in quaternion]
    if any(name in values for name in ANGLES):
        return [number(row, name) for name in ANGLES]
    raise InputError(f"{row.where}: no pose; give {FORMS}")


def _nine(row, value):
    if isinstance(value, str):
        value = re.sub(r"[\[\],;]", " ", value).split()
    try:
        numbers = np.array(value, np.float64).ravel()
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if numbers.size != len(MATRIX) or not np.isfinite(numbers).all():
        raise InputError(f"{row.where}: rotation is not nine finite numbers")
    return numbers.tolist()


def nearest_rotations(rotation: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Rotations without their rounding: the nearest ones in the Frobenius norm.

    Args:
      rotation: (M, 3, 3), in any frame.
      names: what to call each in a message.

    Returns:
      (M, 3, 3) float64, orthogonal with determinant 1.

    Raises:
      InputError: a matrix that is not finite, not orthogonal within `TOLERANCE`, or mirrors.
    """
    rotation = np.asarray(rotation, np.float64).reshape(-1, 3, 3)
    product = np.einsum("nij,nkj->nik", rotation, rotation)
    away = np.abs(product - np.eye(3)).max(axis=(1, 2), initial=0.0)
    # Written so that NaN counts as wrong.
    wrong = np.flatnonzero(~(away <= TOLERANCE))
    if wrong.size:
        i = wrong[0]
        raise InputError(
            f"{names[i]}: not a rotation: R R' differs from the identity by {away[i]:.3g}"
        )
    mirrors = np.flatnonzero(np.linalg.det(rotation) < 0)
    if mirrors.size:
        raise InputError(
            f"{names[mirrors[0]]}: not a rotation: its determinant is -1, so it mirrors the object"
        )
    # What is orthogonal already stays as it is, so that a written file reads back exactly.
    rounded = away > 1e-12
    left, _, right = np.linalg.svd(rotation[rounded])
    rotation = rotation.copy()
    rotation[rounded] = left @ right
    return rotation


def box(row: Row) -> list[float] | None:
    """The box of a row; None where it has none.

    Raises:
      InputError: a number is missing or invalid, or the box is smaller than a pixel.
    """
    if not any(name in row.values for name in BOX):
        return None
    x0, y0, x1, y1 = (number(row, name) for name in BOX)
    if not (x1 - x0 >= 1 and y1 - y0 >= 1):
        raise InputError(
            f"{row.where}: the box {x0:g},{y0:g},{x1:g},{y1:g} has no area; "
            "x0, y0, x1, y1 are in pixels"
        )
    return [x0, y0, x1, y1]


def flags(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """Those flags that every row has.

    Raises:
      InputError: a flag that is not a number.
    """
    found: dict[str, np.ndarray] = {}
    for name in (*BOOLEAN_FLAGS, "object", "image", "source"):
        column = name if any(name in row.values for row in rows) else SYNONYMS.get(name, name)
        if all(column in row.values for row in rows):
            if name in ("image", "source"):
                found[name] = np.array([str(row.values[column]) for row in rows])
            else:
                numbers = np.array([number(row, column) for row in rows])
                found[name] = numbers.astype(np.int64) if name == "object" else numbers > 0
    return found
