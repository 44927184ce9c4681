"""What the rows of a table say of objects: their poses, boxes, flags and ids.

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
`catpose.data.examples.Examples`. An object's id is `id`, or made of `image_id` (or `image`) and
`object_index_1based` (or `object`): "<image_id>_<number>".
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from catpose.data import tables
from catpose.data.examples import BOOLEAN_FLAGS
from catpose.data.tables import Row, Table
from catpose.errors import InputError
from catpose.geometry import so3, viewpoint

MATRIX = tuple(f"r{i}{j}" for i in range(3) for j in range(3))
QUATERNION = ("qw", "qx", "qy", "qz")
ANGLES = ("azimuth_deg", "elevation_deg", "theta_deg")
FORMS = f"rotation, {', '.join(QUATERNION)} or {', '.join(ANGLES)}"
BOX = ("x0", "y0", "x1", "y1")
# Flags and ids in other people's tables.
SYNONYMS = {"image": ("image_id", "file"), "object": ("object_index_1based",)}
FLAGS = (*BOOLEAN_FLAGS, "object", "image", "source", "part")
COLUMNS = ("rotation", *MATRIX, *QUATERNION, *ANGLES, "frame", *BOX)
# Boxes in other people's tables; their names as `tables.plain` has them, without `_AROUND`.
BOXES_ELSEWHERE = (
    BOX, ("xmin", "ymin", "xmax", "ymax"), ("minx", "miny", "maxx", "maxy"),
    ("x1", "y1", "x2", "y2"), ("xtl", "ytl", "xbr", "ybr"), ("left", "top", "right", "bottom"),
    *(
        (*corner, *size)
        for corner in (("x", "y"), ("left", "top"), ("xcenter", "ycenter"), ("cx", "cy"))
        for size in (("width", "height"), ("w", "h"))
    ),
    ("bbox",), ("box",), ("boundingbox",),
)  # fmt: skip
_AROUND = re.compile("^(boundingbox|bbox|box|roi)(?=.)|(px|pixels?)$")
# Entries of R R' may be so far from the identity's: two decimals are a rotation, a scaled or
# sheared matrix is not. What passes is replaced by the nearest rotation.
TOLERANCE = 0.02
# A float32 rotation this far from the pole gives azimuth and theta back to 0.02 degrees.
POLE_DEG = 0.01
# So many rows with no angle above 2 pi are suspected to be in radians.
_RADIANS_ROWS = 20


class Poses(NamedTuple):
    """The poses of M rows.

    Attributes:
      rotation: (M, 3, 3) float64 as they are written; angles become rotations in "camera", see the
        module's docstring.
      frame: (M,) str, of each.
      notes: what looks wrong without being an error.
    """

    rotation: np.ndarray
    frame: np.ndarray
    notes: tuple[str, ...]


def poses(table: Table) -> Poses:
    """The rotations that rows describe.

    Raises:
      InputError: a row without a pose, an invalid number, an unknown frame, a quaternion of
        length zero. Matrices are not checked here, see `nearest_rotations`.
    """
    readers = {("rotation",): _nine, MATRIX: _numbers, QUATERNION: _unit, ANGLES: _numbers}
    present = [names for names in readers if not set(names).isdisjoint(table.columns)]
    rows, form = table.rows, np.zeros(len(table.rows), np.int64)
    written: dict[tuple[str, ...], list] = {names: [] for names in present}
    for i, row in enumerate(rows):
        for number, names in enumerate(present):
            if not row.values.keys().isdisjoint(names):
                form[i] = number
                written[names].append(readers[names](row, names))
                break
        else:
            found = tables.named(row.values)
            raise InputError(f"{row.where}: no pose; there are {found}, give {FORMS}")
    frame = np.array(["camera"]).repeat(len(rows))
    if "frame" in table.columns:
        frame = np.array([_frame(row) for row in rows], np.str_)
    rotation, notes = np.zeros((len(rows), 3, 3)), ()
    for number, names in enumerate(present):
        if not written[names]:
            continue
        index = np.flatnonzero(form == number)
        values = np.array(written[names], np.float64).reshape(index.size, -1)
        with jax.enable_x64(True):
            if names == QUATERNION:
                rotation[index] = so3.rotation_from_quaternion(values)
            elif names == ANGLES:
                rotation[index] = rotations_from_angles(values, for_paper=frame[index] == "paper")
                notes = _suspicions(values, table)
            else:
                rotation[index] = values.reshape(-1, 3, 3)
    if ANGLES in present:
        frame = np.where(form == present.index(ANGLES), "camera", frame)
    return Poses(rotation, frame, notes)


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


def _numbers(row, names):
    return [tables.number(row, name) for name in names]


def _unit(row, names):
    quaternion = _numbers(row, names)
    length = math.hypot(*quaternion)
    if length < 1e-6:
        raise InputError(f"{row.where}: a quaternion of length zero")
    return [value / length for value in quaternion]


def _nine(row, names):
    value = row.values["rotation"]
    if isinstance(value, str):
        value = re.sub(r"[\[\],;]", " ", value).split()
    try:
        numbers = [tables.as_float(entry) for entry in np.array(value, object).ravel()]
    except ValueError:  # lists of unlike lengths
        numbers = []
    if len(numbers) != len(MATRIX) or not all(abs(n) <= tables.LARGEST for n in numbers):
        raise InputError(f"{row.where}: rotation is not nine finite numbers")
    return numbers


def _frame(row):
    name = tables.string(row, "frame") or "camera"
    if name not in viewpoint.FRAMES:
        known = ", ".join(viewpoint.FRAMES)
        raise InputError(f"{row.where}: unknown frame '{name}'; known: {known}")
    return name


def _suspicions(angles_deg, table):
    largest = np.abs(angles_deg).max(initial=0.0)
    if len(angles_deg) < _RADIANS_ROWS or not 1 < largest <= 2 * math.pi:
        return ()
    return (
        f"{table.path}: no angle of {len(angles_deg)} rows is larger than {largest:.2f}; are they "
        "in radians? azimuth_deg, elevation_deg and theta_deg are in degrees",
    )


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


def boxes_elsewhere(table: Table) -> tuple[str, ...]:
    """The columns that look like a box under other names than `BOX`, where the table has no box."""
    spelled = {_AROUND.sub("", tables.plain(name)): name for name in table.columns}
    found = next((names for names in BOXES_ELSEWHERE if set(names) <= set(spelled)), ())
    return () if set(BOX) <= set(table.columns) else tuple(spelled[name] for name in found)


def check_boxes(table: Table) -> None:
    """Refuses a table whose boxes would be ignored.

    Raises:
      InputError: columns that look like a box under other names, see `boxes_elsewhere`.
    """
    if found := boxes_elsewhere(table):
        raise InputError(f"{table.path}: {described(found)}")


def described(found: Sequence[str]) -> str:
    """What is to be said of the columns that `boxes_elsewhere` found."""
    return (
        f"{', '.join(found)} look like a box and are not read; a box is {', '.join(BOX)} in "
        "pixels, 0-based, with x1 and y1 exclusive"
    )


def box(row: Row) -> list[float] | None:
    """The box of a row; None where it has none.

    Raises:
      InputError: a number is missing or invalid, or the box is smaller than a pixel.
    """
    if row.values.keys().isdisjoint(BOX):
        return None
    x0, y0, x1, y1 = _numbers(row, BOX)
    if not (x1 - x0 >= 1 and y1 - y0 >= 1):
        raise InputError(
            f"{row.where}: the box {x0:g},{y0:g},{x1:g},{y1:g} has no area; "
            "x0, y0, x1, y1 are in pixels"
        )
    return [x0, y0, x1, y1]


def flags(table: Table) -> dict[str, np.ndarray]:
    """The flags that a table has columns for; an empty cell of a boolean one is 0.

    Raises:
      InputError: a boolean flag that is neither 0 nor 1, an invalid number of an object, or a row
        without the flag "object", "image", "source" or "part" where others have it.
    """
    found: dict[str, np.ndarray] = {}
    for name in FLAGS:
        column = _column(table, name)
        if not column:
            continue
        if name in BOOLEAN_FLAGS:
            found[name] = np.array([_boolean(row, column) for row in table.rows])
        elif name == "object":
            found[name] = np.array([_object(row, column) for row in table.rows])
        else:
            found[name] = np.array([_given(row, column) for row in table.rows])
    return found


def ids(table: Table) -> list[str]:
    """The id of each row's object, see the module; "" where the row has none.

    Raises:
      InputError: two rows with the same id.
    """
    image, number = _column(table, "image"), _column(table, "object")
    if "object_index" in table.columns and not number:
        raise InputError(
            f"{table.path}: object_index does not say where it begins; count from 1 and call it "
            "object_index_1based"
        )
    found = []
    for row in table.rows:
        name = tables.string(row, "id")
        if not name and image in row.values and number in row.values:
            name = f"{tables.string(row, image)}_{_object(row, number)}"
        found.append(name)
    return found


def check_unique(names: Sequence[str], where: Sequence[str]) -> None:
    """Refuses an id that two objects have.

    Args:
      names: ids of N objects.
      where: what to call each in a message.

    Raises:
      InputError: an id twice.
    """
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if first.setdefault(name, i) != i:
            raise InputError(f"{where[i]}: the id '{name}' is also that of {where[first[name]]}")


def _column(table, name):
    """What a table calls a flag; "" where it has none."""
    names = (name, *SYNONYMS.get(name, ()))
    return next((column for column in names if column in table.columns), "")


def _given(row, column):
    if value := tables.string(row, column):
        return value
    raise InputError(f"{row.where}: {column} is empty, and other rows have it")


def _boolean(row, column):
    value = row.values.get(column, 0)
    if isinstance(value, str):
        value = {"true": 1, "false": 0}.get(value.lower(), tables.as_float(value))
    if value not in (0, 1):
        raise InputError(f"{row.where}: {column} is '{row.values[column]}', not 0 or 1")
    return bool(value)


def _object(row, column):
    value = tables.number(row, column)
    if value < 1 or value != int(value):
        raise InputError(f"{row.where}: {column} is {value:g}; objects are counted from 1")
    return int(value)
