"""Predictions: categories and poses that a system gives to objects, and files of them.

A file ends in .npz and holds everything, or is CSV, JSON or JSON lines with one object a line and
one pose of it: an id and a pose (see `catpose.data.pose_table`), or in the place of the id an image
and a box (see `catpose.data.matching`), and where the system names a category, `category`.
Optional `frame`, and probabilities of the categories (columns `probability_<category>`, in JSON
also an object `probabilities`); the most probable one is the category of an object that names none.
Optional `known` and `pose_confidence`, probabilities too. Other columns are ignored.
"""

import io
import json
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from catpose import errors
from catpose.data import disk_cache, matching, pose_table, tables
from catpose.data.examples import Examples
from catpose.data.tables import Row
from catpose.errors import InputError
from catpose.geometry import viewpoint

PROBABILITY = "probability_"
KNOWN, POSE_CONFIDENCE, WITHIN = "known", "pose_confidence", "within_deg"
MAX_BYTES = 4 << 30  # of a file's arrays; 100,000 objects with 12 categories take a tenth of one
_SUFFIXES = (".npz", ".csv", ".json", ".jsonl")
GIVEN = "given"  # the fusion of predictions that do not say how they were made


class Predictions(NamedTuple):
    """Categories and poses that a system gives to N objects.

    Rotations are kept in the frame in which they were predicted, because to and from "paper" no
    conversion keeps every rotation.

    Attributes:
      id: (N,) str, unique.
      rotation: by fusion, (N, 3, 3), each rotation in its own `frame`.
      frame: (N,) str.
      category: by fusion, (N,) str, "" where the system names none.
      probabilities: (N, K) of `categories`, NaN where unknown; None where no object has any.
      categories: K names.
      network_rotation: (N, K, 3, 3), the pose of each category's own network; None of systems
        that have no such networks.
      notes: remarks on a file, for the report.
    """

    id: np.ndarray
    rotation: Mapping[str, np.ndarray]
    frame: np.ndarray
    category: Mapping[str, np.ndarray]
    probabilities: np.ndarray | None = None
    categories: tuple[str, ...] = ()
    network_rotation: np.ndarray | None = None
    known: np.ndarray | None = None
    pose_confidence: Mapping[str, np.ndarray] = {}
    category_logits: np.ndarray | None = None
    pose_outputs: np.ndarray | None = None
    spread_deg: np.ndarray | None = None
    log_density: np.ndarray | None = None
    pose_log_density: np.ndarray | None = None
    covered: np.ndarray | None = None
    volume: np.ndarray | None = None
    notes: tuple[str, ...] = ()


COLUMNS = ("known", "spread_deg", "log_density", "pose_log_density", "covered", "volume")


def only(found: Predictions, fusion: str = "") -> Predictions:
    """Predictions of one fusion alone.

    Args:
      found: predictions.
      fusion: its name; "" for the only one.

    Raises:
      InputError: no such fusion, or several and none is named.
    """
    name = next(iter(found.rotation)) if not fusion and len(found.rotation) == 1 else fusion
    if name not in found.rotation:
        problem = f"no fusion '{fusion}'" if fusion else "several fusions and none is chosen"
        raise InputError(f"{problem}; known: {', '.join(found.rotation)} (--fusion=NAME)")
    return found._replace(
        rotation={name: found.rotation[name]},
        category={name: found.category[name]},
        pose_confidence={k: v for k, v in found.pose_confidence.items() if k == name},
    )


def checked(
    ids: Sequence[str] | np.ndarray,
    rotation: np.ndarray,
    *,
    frame: str | np.ndarray = "camera",
    category: Sequence[str] | np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    categories: tuple[str, ...] = (),
    where: Sequence[str] | None = None,
) -> Predictions:
    """Predictions from arrays.

    Args:
      ids: N different names.
      rotation: (N, 3, 3); rounding is repaired, see `pose_table.nearest_rotations`.
      frame: of all rotations, or of each.
      category: N names; the most probable ones where None.
      probabilities: (N, K).
      categories: K names, the columns of `probabilities`.
      where: what to call each object in a message.

    Raises:
      InputError: an id twice, or a matrix that is not a rotation.
    """
    ids = np.asarray(ids, dtype=np.str_).reshape(-1)
    where = [f"'{name}'" for name in ids] if where is None else where
    pose_table.check_unique(ids.tolist(), where)
    category = np.asarray([""] * len(ids) if category is None else category, dtype=np.str_)
    category = category.reshape(-1)
    if probabilities is not None and len(ids):
        most = np.array(categories)[np.nan_to_num(probabilities, nan=-1.0).argmax(1)]
        unnamed = (category == "") & ~np.isnan(probabilities).all(axis=1)
        category = np.where(unnamed, most, category)
    return Predictions(
        ids,
        {GIVEN: pose_table.nearest_rotations(rotation, where)},
        np.broadcast_to(np.asarray(frame, dtype=np.str_), ids.shape),
        {GIVEN: category},
        probabilities,
        categories,
    )


def read(path: str | pathlib.Path, truth: Examples | None = None) -> Predictions:
    """Reads a predictions file.

    Args:
      path: the file.
      truth: labels, by which rows without an id find their objects, see `catpose.data.matching`.

    Raises:
      InputError: whatever `tables.read`, `pose_table.poses` and `matching.ids` raise; a row without
        an id, an id twice, a matrix that is not a rotation, an invalid probability.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() == ".npz":
        return _read_arrays(path)
    table = tables.read(path, known=(*pose_table.COLUMNS, "id", "category"))
    rows, names = table.rows, pose_table.ids(table)
    # `launch.predict` prints boxes as `box`.
    unread = [name for name in pose_table.boxes_elsewhere(table) if name != "box"]
    notes = [f"{path}: {pose_table.described(unread)}"] if unread else []
    if not any(names) and truth is not None:
        if notes:
            raise InputError(notes[0])
        names = matching.ids(table, truth)
    if not any(names):
        raise InputError(f"{path} has no ids; give each row the id of its object, as the labels do")
    if not all(names):
        where = rows[names.index("")].where
        raise InputError(f"{where}: no id; give each row the id of its object")
    found = pose_table.poses(table)
    shares = [_probabilities(row) for row in rows]
    categories = tuple(dict.fromkeys(name for values in shares for name in values))
    probabilities = [[values.get(name, np.nan) for name in categories] for values in shares]
    return checked(
        names,
        found.rotation,
        frame=found.frame,
        category=[tables.string(row, "category") for row in rows],
        probabilities=np.array(probabilities) if categories else None,
        categories=categories,
        where=[row.where for row in rows],
    )._replace(notes=(*notes, *found.notes), **_certainty(rows))


def _certainty(rows: Sequence[Row]) -> dict[str, Any]:
    """The columns `known` and `pose_confidence`, where every row has a value.

    `catpose predict` can ask for another error than 30 degrees, and says so.
    """
    columns = {name: [_share(row, name) for row in rows] for name in (KNOWN, POSE_CONFIDENCE)}
    known, confidence = (
        None if None in own or not own else np.array(own) for own in columns.values()
    )
    if any(row.values.get(WITHIN) not in (None, "", 30, "30", "30.0") for row in rows):
        confidence = None
    return {KNOWN: known, POSE_CONFIDENCE: {} if confidence is None else {GIVEN: confidence}}


def _share(row: Row, name: str) -> float | None:
    if row.values.get(name) in (None, ""):
        return None
    value = tables.number(row, name)
    if not 0 <= value <= 1.001:  # rounded
        raise InputError(f"{row.where}: {name} is {value:g}, not in [0, 1]")
    return min(value, 1.0)


def _probabilities(row: Row) -> dict[str, float]:
    values = {
        name.removeprefix(PROBABILITY): value
        for name, value in row.values.items()
        if name.startswith(PROBABILITY)
    }
    inner = row.values.get("probabilities")
    values |= inner if isinstance(inner, dict) else {}
    row = Row(row.where, {f"{PROBABILITY}{name}": value for name, value in values.items()})
    found = {name: tables.number(row, f"{PROBABILITY}{name}") for name in values}
    for name, value in found.items():
        if not 0 <= value <= 1.001:  # rounded
            raise InputError(f"{row.where}: the probability of {name} is {value:g}, not in [0, 1]")
    return found


def _read_arrays(path: pathlib.Path) -> Predictions:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"its arrays take {size / (1 << 30):.1f} GiB")
        with np.load(path) as file:
            arrays = dict(file)
        fields: dict[str, Any] = {"categories": tuple(arrays.pop("categories").tolist())}
        for name, values in arrays.items():
            field, _, fusion = name.partition(".")
            if fusion:
                fields.setdefault(field, {})[fusion] = values
            else:
                fields[field] = values
        found = Predictions(**fields)
        _check_shapes(found)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # a damaged archive can raise anything
        raise InputError(f"{path} does not hold predictions: {errors.reason(error)}") from error
    return found


def _check_shapes(found: Predictions) -> None:
    """Refuses arrays that do not belong together, ids that stand twice and invalid rotations."""
    count, num_categories = len(found.id), len(found.categories)
    pose_table.check_unique(found.id.tolist(), [f"object {i + 1}" for i in range(count)])
    shapes = {"id": (found.id, (count,)), "frame": (found.frame, (count,))}
    if found.rotation.keys() != found.category.keys():
        raise ValueError("rotations and categories are of different fusions")
    for fusion in found.rotation:
        shapes[f"rotation.{fusion}"] = (found.rotation[fusion], (count, 3, 3))
        shapes[f"category.{fusion}"] = (found.category[fusion], (count,))
    if found.probabilities is not None:
        shapes["probabilities"] = (found.probabilities, (count, num_categories))
    if found.network_rotation is not None:
        shapes["network_rotation"] = (found.network_rotation, (count, num_categories, 3, 3))
    if found.pose_outputs is not None:
        shapes["category_logits"] = (found.category_logits, (count, num_categories))
        shapes["pose_outputs"] = (
            found.pose_outputs, (count, num_categories, *found.pose_outputs.shape[2:3])
        )  # fmt: skip
    columns = {name: getattr(found, name) for name in COLUMNS}
    columns |= {f"{POSE_CONFIDENCE}.{name}": own for name, own in found.pose_confidence.items()}
    shapes |= {name: (own, (count,)) for name, own in columns.items() if own is not None}
    for name, (values, shape) in shapes.items():
        if values.shape != shape:
            raise ValueError(f"{name} has the shape {values.shape}, not {shape}")
    for rotation in found.rotation.values():
        pose_table.nearest_rotations(rotation, found.id.tolist())
    unknown = {*found.frame.tolist()} - {*viewpoint.FRAMES}
    if unknown:
        raise ValueError(f"unknown frame '{min(unknown)}'")


def write(predictions: Predictions, path: pathlib.Path) -> None:
    """Writes a file that `read` gives back exactly.

    Args:
      predictions: of one fusion alone, where the file is not .npz; see `only`.
      path: its ending (.npz, .csv, .json, .jsonl) says the form.

    Raises:
      InputError: another ending, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise InputError(f"{path} must end in {', '.join(_SUFFIXES)}")
    content = _arrays(predictions) if suffix == ".npz" else _text(only(predictions), suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        disk_cache.write_whole(path, content)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _arrays(predictions: Predictions) -> bytes:
    arrays = {}
    for field, values in predictions._asdict().items():
        if isinstance(values, Mapping):  # by fusion
            arrays |= {f"{field}.{fusion}": own for fusion, own in values.items()}
        elif values is not None and field != "notes":
            arrays[field] = np.asarray(values)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _text(predictions: Predictions, suffix: str) -> bytes:
    (rotation,), (category,) = predictions.rotation.values(), predictions.category.values()
    shares = predictions.probabilities
    shares = np.zeros((len(category), 0)) if shares is None else shares
    names = [PROBABILITY + name for name in predictions.categories]
    own = {KNOWN: predictions.known}
    own |= dict.fromkeys([POSE_CONFIDENCE], *predictions.pose_confidence.values())
    own = {name: values for name, values in own.items() if values is not None}
    columns = ["id", "category", "frame", *pose_table.MATRIX, *names, *own]
    words = (predictions.id, category, predictions.frame)
    numbers = np.column_stack([rotation.reshape(-1, 9), shares, *own.values()])
    every_column = [column.tolist() for column in (*words, *numbers.T)]
    rows = [
        ["" if value != value else value for value in row]  # NaN is not equal to itself
        for row in zip(*every_column, strict=True)
    ]
    if suffix == ".csv":
        return tables.csv_text([columns, *rows]).encode()
    entries = [
        {name: value for name, value in zip(columns, row, strict=True) if value != ""}
        for row in rows
    ]
    if suffix == ".json":
        return f"{json.dumps(entries, indent=1)}\n".encode()
    return "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()
