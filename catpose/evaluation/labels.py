"""What predictions are scored against: ids, categories, rotations and flags of objects.

Labels come from a dataset's split, from annotated images that are not decoded yet, from a folder
(a manifest, or a built PASCAL3D+), or from a table of their own: `id, category`, a pose (see
`catpose.data.pose_table`) and optionally `split`, `occluded`, `truncated`, `difficult`, `coarse`
(0 or 1), `object` (1 for the first object of its image), `image` and `source`. A table without
`id` may have `image_id` and `object_index_1based`; the id is then
`<image_id>_<object_index_1based>`.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from catpose.data import pose_table
from catpose.data.dataset import Split
from catpose.errors import InputError
from catpose.synthetic.objects import catalogue

BOOLEAN_FLAGS = ("occluded", "truncated", "difficult", "coarse")
# Names of the same columns in other people's tables.
SYNONYMS = {"image": "image_id", "object": "object_index_1based"}


class Labels(NamedTuple):
    """N objects with their true category and pose.

    Attributes:
      id: (N,) str, unique.
      category: (N,) int, index into `categories`.
      rotation: (N, 3, 3) float64, frame "camera".
      categories: names in order.
      flags: what is known of the objects, (N,) each: `BOOLEAN_FLAGS` as bool, "object" int,
        "image" and "source" str.
      what: what to call these labels in a report.
    """

    id: np.ndarray
    category: np.ndarray
    rotation: np.ndarray
    categories: tuple[str, ...]
    flags: Mapping[str, np.ndarray]
    what: str


def take(labels: Labels, index: np.ndarray) -> Labels:
    """The objects that `index` (numbers or a mask) picks."""
    return labels._replace(
        id=labels.id[index],
        category=labels.category[index],
        rotation=labels.rotation[index],
        flags={name: np.asarray(values)[index] for name, values in labels.flags.items()},
    )


def from_split(split: Split, categories: tuple[str, ...], what: str) -> Labels:
    """Labels of one split of a dataset.

    Raises:
      InputError: two examples of one name.
    """
    return _checked(
        split.names,
        split.category,
        split.rotation,
        categories,
        split.flags or {},
        what,
    )


def from_listing(listing: Any, split: str, what: str) -> Labels:
    """Labels of annotated images (`catpose.data.listing.Listing`).

    Args:
      listing: the images.
      split: only those of this split; "" for all.
      what: see `Labels`.

    Raises:
      InputError: no such split, or two examples of one name.
    """
    names = np.asarray(listing.split)
    index = _of_split(names, split, what)
    return _checked(
        np.asarray(listing.names)[index],
        np.asarray(listing.category)[index],
        np.asarray(listing.rotation)[index],
        tuple(listing.categories),
        {name: np.asarray(values)[index] for name, values in (listing.flags or {}).items()},
        f"{what}, {split}" if split else what,
    )


def read(path: str | pathlib.Path, split: str = "test") -> Labels:
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
    if path.is_dir():
        if (path / "manifest.csv").is_file():
            from catpose.data import manifest

            return from_listing(manifest.read(path), split, str(path))
        from catpose.data.pascal3d import dataset as pascal3d

        return from_listing(pascal3d.read(path), split, str(path))
    if not path.exists():
        raise InputError(
            f"no labels at {path}; give a table, a folder with manifest.csv or a built PASCAL3D+"
        )
    read_rows = pose_table.read(path)
    if any("split" in row.values for row in read_rows):
        names = np.array([str(row.values.get("split", "")) for row in read_rows])
        read_rows = [read_rows[i] for i in _of_split(names, split, str(path))]
    return _table(read_rows, str(path))


def _of_split(names: np.ndarray, split: str, what: str) -> np.ndarray:
    """Rows whose split is `split`, read with "val" for "validation"; all for ""."""
    if not split:
        return np.arange(len(names))
    long = {"val": "validation"}
    index = np.flatnonzero([long.get(name, name) == long.get(split, split) for name in names])
    if not index.size:
        known = ", ".join(sorted(set(names.tolist()))) or "none"
        raise InputError(f"{what} has no split '{split}'; it has {known} (--split=NAME)")
    return index


def _table(read_rows: Sequence[pose_table.Row], what: str) -> Labels:
    ids, named = [], []
    for row in read_rows:
        image, number = (row.values.get(name) for name in SYNONYMS.values())
        ids.append(row.values.get("id") or (f"{image}_{number}" if image and number else ""))
        named.append(row.values.get("category"))
        if not ids[-1]:
            raise InputError(f"{row.where}: no id, nor {' and '.join(SYNONYMS.values())}")
        if not named[-1]:
            raise InputError(f"{row.where}: no category")
    # One order for PASCAL3D+ everywhere; others in that of the alphabet.
    present = sorted({str(name) for name in named})
    categories = (
        catalogue.CATEGORIES if set(present) <= set(catalogue.CATEGORIES) else tuple(present)
    )
    rotation, frame = pose_table.poses(read_rows)
    other = np.flatnonzero(frame != "camera")
    if other.size:
        raise InputError(
            f"{read_rows[other[0]].where}: frame '{frame[other[0]]}'; labels must be in 'camera', "
            f"or angles"
        )
    return _checked(
        [str(name) for name in ids],
        [categories.index(str(name)) for name in named],
        pose_table.nearest_rotations(rotation, [row.where for row in read_rows]),
        categories,
        _flags(read_rows),
        what,
    )


def _flags(read_rows: Sequence[pose_table.Row]) -> dict[str, np.ndarray]:
    """Those flags that every row has."""
    found: dict[str, np.ndarray] = {}
    for name in (*BOOLEAN_FLAGS, "object", "image", "source"):
        column = name if any(name in row.values for row in read_rows) else SYNONYMS.get(name, name)
        if all(column in row.values for row in read_rows):
            if name in ("image", "source"):
                found[name] = np.array([str(row.values[column]) for row in read_rows])
            else:
                numbers = np.array([pose_table.number(row, column) for row in read_rows])
                found[name] = numbers.astype(np.int64) if name == "object" else numbers > 0
    return found


def _checked(
    ids: Any,
    category: Any,
    rotation: Any,
    categories: tuple[str, ...],
    flags: Mapping[str, Any],
    what: str,
) -> Labels:
    ids = np.asarray(ids, dtype=np.str_)
    unique, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"{what}: {int((counts > 1).sum())} ids are those of several objects, the first: "
            f"'{unique[counts > 1][0]}'"
        )
    return Labels(
        ids,
        np.asarray(category, np.int64),
        np.asarray(rotation, np.float64),
        tuple(categories),
        {name: np.asarray(values) for name, values in flags.items()},
        what,
    )
