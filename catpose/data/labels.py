"""Labels that predictions are scored against, read from a folder or a table.

A folder has a manifest or a built PASCAL3D+. A table has `id, category`, a pose (see
`catpose.data.pose_table`) and optionally `split`, `occluded`, `truncated`, `difficult`, `coarse`
(0 or 1), `object` (1 for the first object of its image), `image` and `source`. A table without
`id` may have `image_id` and `object_index_1based`; the id is then
`<image_id>_<object_index_1based>`.
"""

import pathlib
from collections.abc import Sequence

import numpy as np

from catpose.data import examples, manifest, pose_table
from catpose.data.categories import CATEGORIES
from catpose.data.examples import Examples
from catpose.data.pascal3d import dataset as pascal3d
from catpose.errors import InputError


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
    path = pathlib.Path(path).expanduser()
    if not path.exists():
        raise InputError(
            f"no labels at {path}; give a table, a folder with manifest.csv or a built PASCAL3D+"
        )
    origin = str(path)
    if not path.is_dir():
        rows = pose_table.read(path)
        if any("split" in row.values for row in rows):
            names = np.array([str(row.values.get("split", "")) for row in rows])
            rows = [rows[i] for i in _of_split(names, split, origin)]
        return checked(_table(rows), origin)
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
      InputError: two examples of one id.
    """
    unique, counts = np.unique(truth.id, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"{origin}: {int((counts > 1).sum())} ids are those of several objects, the first: "
            f"'{unique[counts > 1][0]}'"
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


def _table(rows: Sequence[pose_table.Row]) -> Examples:
    ids, named, synonyms = [], [], pose_table.SYNONYMS.values()
    for where, values in rows:
        parts = [str(values.get(name) or "") for name in synonyms]
        ids.append(str(values.get("id") or ("_".join(parts) if all(parts) else "")))
        named.append(str(values.get("category") or ""))
        if not (ids[-1] and named[-1]):
            lacking = "category" if ids[-1] else f"id, nor {' and '.join(synonyms)}"
            raise InputError(f"{where}: no {lacking}")
    # One order for PASCAL3D+ everywhere; others in that of the alphabet.
    present = sorted(set(named))
    categories = CATEGORIES if set(present) <= set(CATEGORIES) else tuple(present)
    rotation, frame = pose_table.poses(rows)
    other = np.flatnonzero(frame != "camera")
    if other.size:
        raise InputError(
            f"{rows[other[0]].where}: frame '{frame[other[0]]}'; labels must be in 'camera', "
            f"or angles"
        )
    return Examples(
        id=np.array(ids, np.str_),
        category=np.array([categories.index(name) for name in named], np.int32),
        rotation=pose_table.nearest_rotations(rotation, [row.where for row in rows]),
        categories=categories,
        flags=pose_table.flags(rows),
    )
