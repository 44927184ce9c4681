"""Labels that predictions are scored against, read from a folder or a table.

A folder has a manifest or a built PASCAL3D+. A table has `id, category`, a pose (see
`catpose.data.pose_table`) and optionally `split`, `occluded`, `truncated`, `difficult`, `coarse`
(0 or 1, empty for 0), `object` (1 for the first object of its image), `image`, `source`, `part` (of
a benchmark) and a box. A table without `id` may have `image_id` and `object_index_1based`; the id
is then `<image_id>_<object_index_1based>`.
"""

import pathlib

import numpy as np

from catpose.data import examples, manifest, pose_table, tables
from catpose.data.categories import CATEGORIES
from catpose.data.examples import Examples
from catpose.data.pascal3d import dataset as pascal3d
from catpose.errors import InputError

COLUMNS = (*pose_table.COLUMNS, *pose_table.FLAGS, "id", "category", "split")


def read(path: str | pathlib.Path, split: str = "test") -> Examples:
    """Labels of a folder or a table.

    Args:
      path: a table (.csv, .json, .jsonl), a folder with `manifest.csv`, or one with a built
        PASCAL3D+.
      split: only the objects of this split; "" for all. A table without a column `split` is read
        whole.

    Raises:
      InputError: nothing there, no such split, or content that is wrong; the message names the
        line.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(
            f"no labels at {path}; give a table, a folder with manifest.csv or a built PASCAL3D+"
        )
    origin = str(path)
    if not path.is_dir():
        table = tables.read(path, known=COLUMNS)
        if "split" in table.columns:
            names = np.array([tables.string(row, "split") for row in table.rows])
            index = _of_split(names, split, origin)
            table = table._replace(rows=[table.rows[i] for i in index])
        return of_table(table)
    found = (manifest if (path / "manifest.csv").is_file() else pascal3d).read(path)
    return of_split(found, split, origin)


def of_split(truth: Examples, split: str, origin: str) -> Examples:
    """Labels of one split, or of all for "".

    Raises:
      InputError: no such split, or two examples of one id.
    """
    truth = examples.take(truth, _of_split(truth.split, split, origin))
    return checked(truth, f"{origin}, {split}" if split else origin)


def checked(truth: Examples, origin: str) -> Examples:
    """Labels whose ids are unique, with rotations in float64 for exact errors.

    Raises:
      InputError: two examples of one id, or one without a whole pose.
    """
    unique, counts = np.unique(truth.id, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"{origin}: {int((counts > 1).sum())} ids are those of several objects, the first: "
            f"'{unique[counts > 1][0]}'"
        )
    if not (whole := examples.labeled(truth, "whole")).all():
        raise InputError(
            f"{origin}: {int((~whole).sum())} objects have no pose or an azimuth alone, the first: "
            f"'{truth.id[~whole][0]}'; they can be trained on, not scored"
        )
    return truth._replace(rotation=np.asarray(truth.rotation, np.float64), origin=origin)


def _of_split(names: np.ndarray, split: str, origin: str) -> np.ndarray:
    """Indices of the split `split`, read with "val" for "validation"; all for ""."""
    if not split:
        return np.arange(len(names))
    long = {"val": "validation"}
    index = np.flatnonzero([long.get(name, name) == long.get(split, split) for name in names])
    if not index.size:
        known = ", ".join(sorted(set(names.tolist()))) or "none"
        raise InputError(f"{origin} has no split '{split}'; it has {known} (--split=NAME)")
    return index


def of_table(table: tables.Table) -> Examples:
    """Labels that the rows of a table say.

    Raises:
      InputError: a row without id, category or pose, an id twice, or a value that is wrong.
    """
    rows, names = table.rows, pose_table.ids(table)
    named = [tables.string(row, "category") for row in rows]
    for row, name, category in zip(rows, names, named, strict=True):
        if not (name and category):
            lacking = "category" if name else "id, nor image_id and object_index_1based"
            found = tables.named(row.values)
            raise InputError(f"{row.where}: no {lacking}; there are {found}")
    where = [row.where for row in rows]
    pose_table.check_unique(names, where)
    # One order for PASCAL3D+ everywhere; others in that of the alphabet.
    present = sorted(set(named))
    categories = CATEGORIES if set(present) <= set(CATEGORIES) else tuple(present)
    found = pose_table.poses(table)
    other = np.flatnonzero(found.frame != "camera")
    if other.size:
        raise InputError(
            f"{where[other[0]]}: frame '{found.frame[other[0]]}'; labels must be in 'camera', "
            f"or angles"
        )
    unread = pose_table.boxes_elsewhere(table)
    boxes = None
    if not unread:
        boxes = np.array([pose_table.box(row) or [np.nan] * 4 for row in rows])
    return Examples(
        id=np.array(names, np.str_),
        category=np.array([categories.index(name) for name in named], np.int32),
        rotation=pose_table.nearest_rotations(found.rotation, where),
        categories=categories,
        box=boxes,
        flags=pose_table.flags(table),
        origin=str(table.path),
        notes=(*([pose_table.described(unread)] if unread else ()), *found.notes),
    )
