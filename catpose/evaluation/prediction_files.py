"""Predictions of any system as a file: what `launch.evaluate` scores, and what it writes.

One row an object, in CSV, JSON or JSON lines: `id`, a pose (see `catpose.data.pose_table`), and
where the system names a category, `category`. Optional `frame`, and probabilities of the categories
(columns `probability_<category>`, in JSON also an object `probabilities`); the most probable one is
the category of a row that names none. Other columns are ignored.
"""

import csv
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from catpose.data import pose_table
from catpose.errors import InputError

PROBABILITY = "probability_"


class Predictions(NamedTuple):
    """What a system says of M objects.

    Attributes:
      id: (M,) str, unique.
      rotation: (M, 3, 3) float64, each in its own `frame`. They are kept in the frame in which
        they were predicted, because to and from "paper" no conversion keeps every rotation.
      frame: (M,) str.
      category: (M,) str, "" where the system names none.
      probabilities: (M, K) of `categories`, NaN where unknown; None where no row has any.
      categories: K names.
    """

    id: np.ndarray
    rotation: np.ndarray
    frame: np.ndarray
    category: np.ndarray
    probabilities: np.ndarray | None = None
    categories: tuple[str, ...] = ()


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
      ids: M different names.
      rotation: (M, 3, 3); rounding is repaired, see `pose_table.nearest_rotations`.
      frame: of all rotations, or of each.
      category: M names; the most probable ones where None.
      probabilities: (M, K).
      categories: K names, the columns of `probabilities`.
      where: what to call each row in a message.

    Raises:
      InputError: an id twice, or a matrix that is no rotation.
    """
    ids = np.asarray(ids, dtype=np.str_).reshape(-1)
    where = [f"'{name}'" for name in ids] if where is None else where
    first: dict[str, int] = {}
    for i, name in enumerate(ids.tolist()):
        if name in first:
            raise InputError(f"{where[i]}: the id '{name}' is also that of {where[first[name]]}")
        first[name] = i
    if category is None:
        category = [""] * len(ids)
    category = np.asarray(category, dtype=np.str_).reshape(-1)
    if probabilities is not None and len(ids):
        most = np.array(categories)[np.nan_to_num(probabilities, nan=-1.0).argmax(1)]
        unnamed = (category == "") & ~np.isnan(probabilities).all(axis=1)
        category = np.where(unnamed, most, category)
    return Predictions(
        ids,
        pose_table.nearest_rotations(rotation, where),
        np.broadcast_to(np.asarray(frame, dtype=np.str_), ids.shape),
        category,
        probabilities,
        categories,
    )


def read(path: str | pathlib.Path) -> Predictions:
    """Reads a predictions file.

    Raises:
      InputError: whatever `pose_table.read` and `pose_table.poses` say; a row without an id, an id
        twice, a matrix that is no rotation, a probability that is no number.
    """
    path = pathlib.Path(path).expanduser()
    read_rows = pose_table.read(path)
    without = [row.where for row in read_rows if row.values.get("id") in (None, "")]
    if len(without) == len(read_rows):
        raise InputError(f"{path} has no ids; give each row the id of its object, as the labels do")
    if without:
        raise InputError(f"{without[0]}: no id; give each row the id of its object")
    rotation, frame = pose_table.poses(read_rows)
    named = [_probabilities(row) for row in read_rows]
    categories = tuple(dict.fromkeys(name for values in named for name in values))
    probabilities = None
    if categories:
        probabilities = np.full((len(named), len(categories)), np.nan)
        for i, values in enumerate(named):
            for name, value in values.items():
                probabilities[i, categories.index(name)] = value
    return checked(
        [str(row.values["id"]) for row in read_rows],
        rotation,
        frame=frame,
        category=[str(row.values.get("category") or "") for row in read_rows],
        probabilities=probabilities,
        categories=categories,
        where=[row.where for row in read_rows],
    )


def _probabilities(row: pose_table.Row) -> dict[str, float]:
    columns = {
        name.removeprefix(PROBABILITY): pose_table.number(row, name)
        for name in row.values
        if name.startswith(PROBABILITY)
    }
    inner = row.values.get("probabilities")
    if isinstance(inner, Mapping):
        inside = pose_table.Row(f"{row.where}, probabilities", inner)
        columns |= {str(name): pose_table.number(inside, name) for name in inner}
    return columns


def write(predictions: Predictions, path: pathlib.Path) -> None:
    """Writes a file that `read` gives back exactly; its ending (.csv, .json, .jsonl) says the form.

    Raises:
      InputError: another ending, or no way to write.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".json", ".jsonl"):
        raise InputError(f"{path} must end in .csv, .json, .jsonl")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".csv":
            _write_csv(predictions, path)
            return
        entries = [_entry(predictions, i) for i in range(len(predictions.id))]
        if suffix == ".json":
            path.write_text(json.dumps(entries, indent=1) + "\n")
        else:
            path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _known(predictions: Predictions, i: int) -> dict[str, float]:
    if predictions.probabilities is None:
        return {}
    pairs = zip(predictions.categories, predictions.probabilities[i].tolist(), strict=True)
    return {name: value for name, value in pairs if np.isfinite(value)}


def _entry(predictions: Predictions, i: int) -> dict[str, object]:
    entry: dict[str, object] = {"id": str(predictions.id[i])}
    if predictions.category[i]:
        entry["category"] = str(predictions.category[i])
    entry |= {"frame": str(predictions.frame[i]), "rotation": predictions.rotation[i].tolist()}
    known = _known(predictions, i)
    return entry | ({"probabilities": known} if known else {})


def _write_csv(predictions: Predictions, path: pathlib.Path) -> None:
    columns = [PROBABILITY + name for name in predictions.categories]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "category", "frame", *pose_table.MATRIX, *columns])
        for i in range(len(predictions.id)):
            known = _known(predictions, i)
            # repr is the shortest text that reads back as the same number.
            numbers = [repr(value) for value in predictions.rotation[i].ravel().tolist()]
            shares = [repr(known[name]) if name in known else "" for name in predictions.categories]
            lead = [predictions.id[i], predictions.category[i], predictions.frame[i]]
            writer.writerow([*lead, *numbers, *shares])
