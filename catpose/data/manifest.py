"""A user's own data: one CSV file beside a folder of images.

Columns `file, category, split` and either `azimuth_deg, elevation_deg, theta_deg` or
`qw, qx, qy, qz`; optional `x0, y0, x1, y1` (the object's box: pixels, 0-based, x1 and y1
exclusive; empty means the whole image) and `frame` (of the angles or quaternion, "camera" unless
stated). Other columns are ignored. `file` is relative to `images/` beside the manifest where that
folder exists, else to the manifest.
"""

import collections
import csv
import math
import pathlib

import numpy as np

from catpose.data import disk_cache
from catpose.data.examples import Examples
from catpose.errors import InputError
from catpose.geometry import so3, viewpoint

ANGLES = ("azimuth_deg", "elevation_deg", "theta_deg")
QUATERNION = ("qw", "qx", "qy", "qz")
BOX = ("x0", "y0", "x1", "y1")
# People and datasets say "val"; catpose says "validation" everywhere.
SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


def read(root: pathlib.Path, categories: tuple[str, ...] = ()) -> Examples:
    """Reads `manifest.csv` in the folder `root`.

    Examples are named by their files; the boxes of a file that has several are numbered.

    Args:
      root: folder with `manifest.csv`, and `images/` unless the files lie beside the manifest.
      categories: the allowed names in the order of their indices; empty means every name that the
        manifest has, sorted.

    Raises:
      InputError: a missing file, column or image, an unknown category, split or frame, a number
        that is none, a quaternion of length zero, a box smaller than a pixel. The message names
        the line.
    """
    path = pathlib.Path(root).expanduser() / "manifest.csv"
    if not path.is_file():
        raise InputError(f"no manifest at {path}; set --config.data.root to the folder that has it")
    columns, rows = _table(path)
    _check_columns(path, columns)
    images = path.parent / "images" if (path.parent / "images").is_dir() else path.parent
    names = tuple(categories) or tuple(sorted({row["category"] for _, row in rows} - {""}))
    angles = ANGLES if columns.issuperset(ANGLES) else QUATERNION

    files, category, split, pose, box, frame = [], [], [], [], [], []
    for line, row in rows:
        where = f"{path}, line {line}"
        file_path = images / row["file"]
        if not file_path.is_file():
            raise InputError(f"{where}: no image {file_path}")
        if row["category"] not in names:
            raise InputError(
                f"{where}: unknown category '{row['category']}'; known: {', '.join(names)}"
            )
        if row["split"] not in SPLITS:
            raise InputError(f"{where}: unknown split '{row['split']}'; known: {', '.join(SPLITS)}")
        row_frame = row.get("frame") or "camera"
        if row_frame not in viewpoint.FRAMES:
            raise InputError(
                f"{where}: unknown frame '{row_frame}'; known: {', '.join(viewpoint.FRAMES)}"
            )
        files.append(str(file_path))
        category.append(names.index(row["category"]))
        split.append(SPLITS[row["split"]])
        pose.append(_pose(row, angles, where))
        box.append(_box(row, where))
        frame.append(row_frame)
    boxes = np.array(box, np.float64).reshape(-1, 4)
    content = [disk_cache.digest(pathlib.Path(path).read_bytes()) for path in files]
    return Examples(
        read_fn=lambda i: pathlib.Path(files[i]).read_bytes(),
        digest=disk_cache.digest(content, boxes),
        id=_unique([row["file"] for _, row in rows]),
        category=np.array(category, np.int32),
        split=np.array(split, dtype=np.str_),
        rotation=_rotations(np.array(pose, np.float64), np.array(frame), angles),
        box=boxes,
        categories=names,
    )


def _unique(names: list[str]) -> np.ndarray:
    """The names; those that occur more than once with #1, #2 ... after them."""
    total, seen = collections.Counter(names), collections.Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(f"{name}#{seen[name]}" if total[name] > 1 else name)
    return np.array(unique, dtype=np.str_)


def _table(path: pathlib.Path) -> tuple[set[str], list[tuple[int, dict[str, str]]]]:
    """The columns, and each row with the number of its line; blanks around values do not count."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            rows = []
            for row in reader:
                values = [value.strip() for value in row]
                if any(values):  # a short row lacks its last values, a long one has some too many
                    values += [""] * len(header)
                    rows.append((reader.line_num, dict(zip(header, values, strict=False))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path} as CSV in UTF-8: {error}") from error
    return set(header), rows


def _check_columns(path: pathlib.Path, columns: set[str]) -> None:
    missing = [name for name in ("file", "category", "split") if name not in columns]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}")
    if not columns.issuperset(ANGLES) and not columns.issuperset(QUATERNION):
        raise InputError(
            f"{path}: neither the columns {', '.join(ANGLES)} nor {', '.join(QUATERNION)}"
        )


def _number(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {name} is '{text}', not a finite number")
    return value


def _pose(row: dict[str, str], columns: tuple[str, ...], where: str) -> list[float]:
    """Angles in degrees, or a quaternion of length 1."""
    values = [_number(row[name], name, where) for name in columns]
    if columns == ANGLES:
        return values
    length = math.hypot(*values)
    if length < 1e-6:
        raise InputError(f"{where}: a quaternion of length zero")
    return [value / length for value in values]


def _box(row: dict[str, str], where: str) -> list[float]:
    texts = [row.get(name, "") for name in BOX]
    if not any(texts):
        return [math.nan] * 4
    x0, y0, x1, y1 = (_number(t, n, where) for t, n in zip(texts, BOX, strict=True))
    if not (x1 - x0 >= 1 and y1 - y0 >= 1):
        raise InputError(
            f"{where}: the box {x0:g},{y0:g},{x1:g},{y1:g} has no area; "
            "x0, y0, x1, y1 are in pixels"
        )
    return [x0, y0, x1, y1]


def _rotations(pose: np.ndarray, frame: np.ndarray, columns: tuple[str, ...]) -> np.ndarray:
    """Angles in degrees or unit quaternions, each in its frame -> rotations in "camera"."""
    rotation = np.zeros((len(pose), 3, 3), np.float32)
    for name in np.unique(frame):
        rows = frame == name
        values = pose[rows]
        if columns == ANGLES:
            azimuth, elevation, theta = np.radians(values).astype(np.float32).T
            matrices = viewpoint.rotation_from_angles(azimuth, elevation, theta, frame=str(name))
        else:
            matrices = so3.rotation_from_quaternion(values.astype(np.float32))
        rotation[rows] = np.asarray(viewpoint.convert_frame(matrices, str(name), "camera"))
    return rotation
