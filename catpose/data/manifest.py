"""A user's own data: one CSV file beside a folder of images.

Columns `file, category, split` and a pose (see `catpose.data.pose_table`): angles, a quaternion or
a matrix, and its `frame`, "camera" unless stated. Optional `x0, y0, x1, y1`, the object's box;
empty means the whole image. Other columns are ignored, but not boxes and columns of these by other
names. In the split train a row may have an azimuth alone, or no pose: it then teaches what it says.
`file` is relative to `images/` beside the manifest where that folder exists, else to the
manifest, and leads nowhere else.
"""

import collections
import itertools
import json
import pathlib
from collections.abc import Mapping

import numpy as np

from catpose.data import disk_cache, file_names, parts, pose_table, tables
from catpose.data.examples import POSE_LABELS, Examples
from catpose.errors import InputError
from catpose.geometry import viewpoint
from catpose.images import files

REQUIRED = ("file", "category", "split")
COLUMNS = (*REQUIRED, *pose_table.COLUMNS)
# People and datasets say "val"; catpose says "validation" everywhere.
SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


def read(
    root: pathlib.Path, categories: tuple[str, ...] = (), *, share: parts.Share = parts.ALONE
) -> Examples:
    """Reads `manifest.csv` in the folder `root`.

    Examples are named by their files; the boxes of a file that has several are numbered.

    Args:
      root: folder with `manifest.csv`, and `images/` unless the files lie beside the manifest.
      categories: the allowed names in the order of their indices; empty means every name that the
        manifest has, sorted.
      share: of this process, which reads its part of the images for the digest.

    Raises:
      InputError: a missing file, column or image, a file outside the folder, an unknown category or
        split, an invalid pose or box. The message names the line.
    """
    path = pathlib.Path(root) / "manifest.csv"
    if not path.is_file():
        raise InputError(f"no manifest at {path}; set --config.data.root to the folder that has it")
    table = tables.read(path, required=REQUIRED, known=COLUMNS, allow_empty=True)
    pose_table.check_boxes(table)
    rows = table.rows
    images = path.parent / "images" if (path.parent / "images").is_dir() else path.parent
    listed = {row.values.get("category", "") for row in rows} - {""}
    number = {name: i for i, name in enumerate(categories or sorted(listed))}
    for where, values in rows:
        for column, known in (("category", number), ("split", SPLITS)):
            if values.get(column, "") not in known:
                raise InputError(
                    f"{where}: unknown {column} '{values.get(column, '')}'; "
                    f"known: {', '.join(known)}"
                )
        if "file" not in values:
            raise InputError(f"{where}: no image; file is empty")
    boxes = [pose_table.box(row) or [np.nan] * 4 for row in rows]
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    with_poses, pose_label, partial = completed(table)
    rotation, notes = rotations(with_poses)
    names = [row.values["file"] for row in rows]
    total, count = collections.Counter(names), collections.defaultdict(itertools.count)
    ids = [f"{name}#{next(count[name]) + 1}" if total[name] > 1 else name for name in names]
    pose_table.check_unique(ids, [row.where for row in rows])
    paths, places = {}, {}
    for name, (where, _) in zip(names, rows, strict=True):
        if name not in paths:
            paths[name], places[name] = file_names.below(images, name, where), where
    digests = _digests(paths, places, share)
    return Examples(
        read_fn=lambda i: files.read_bytes(paths[names[i]]),
        digest=disk_cache.digest([digests[name] for name in names], boxes),
        id=np.array(ids, dtype=np.str_),
        category=np.array([number[row.values["category"]] for row in rows], np.int32),
        split=np.array([SPLITS[row.values["split"]] for row in rows], dtype=np.str_),
        rotation=rotation,
        pose_label=pose_label,
        box=boxes,
        categories=tuple(number),
        flags={"image": np.array(names, dtype=np.str_)},
        notes=(*notes, *partial),
    )


def _digests(
    paths: Mapping[str, str], places: Mapping[str, str], share: parts.Share
) -> dict[str, str]:
    """Of the content of each file; the processes read different files and exchange the digests."""
    names, found, problem = list(paths), {}, ""
    for name in names[share.index :: share.count]:
        try:
            found[name] = disk_cache.digest(files.read_bytes(paths[name]))
        except InputError as error:
            problem = f"{places[name]}: {error}"
            break
    whole: dict[str, str] = {}
    for content in share.exchange_fn(json.dumps([found, problem]).encode()):
        part, problem = json.loads(content)
        if problem:
            raise InputError(problem)
        whole |= part
    return whole


def rotations(table: tables.Table) -> tuple[np.ndarray, tuple[str, ...]]:
    """Each row's pose as a rotation in "camera", (N, 3, 3) float32, and what looks wrong.

    Raises:
      InputError: a row without a pose, or an invalid one.
    """
    found = pose_table.poses(table)
    rotation = pose_table.nearest_rotations(found.rotation, [row.where for row in table.rows])
    rotation = rotation.astype(np.float32)
    for name in np.unique(found.frame):
        mine = found.frame == name
        rotation[mine] = np.asarray(viewpoint.convert_frame(rotation[mine], str(name), "camera"))
    return rotation, found.notes


def completed(
    table: tables.Table,
) -> tuple[tables.Table, np.ndarray | None, tuple[str, ...]]:
    """The table with a pose in every row to train on, and which poses were there already.

    Returns:
      The table; of each row the number of its POSE_LABELS, None where all are whole; a remark.
    """
    poses = set(pose_table.COLUMNS) - {"frame", *pose_table.BOX}
    azimuth = pose_table.ANGLES[0]
    if poses.isdisjoint(table.columns):
        return table, None, ()
    label = np.full(len(table.rows), POSE_LABELS.index("whole"), np.int8)
    rows = list(table.rows)
    for i, (where, values) in enumerate(rows):
        given = poses & values.keys()
        if SPLITS.get(values.get("split", "")) == "train" and given <= {azimuth}:
            label[i] = POSE_LABELS.index("azimuth" if given else "none")
            # No elevation at which a frame confuses azimuth and theta.
            filled = dict(zip(pose_table.ANGLES, (0.0, 30.0, 0.0), strict=True))
            rows[i] = tables.Row(where, {**filled, **values})
    if (label == POSE_LABELS.index("whole")).all():
        return table, None, ()
    columns = tuple(dict.fromkeys((*table.columns, *pose_table.ANGLES)))
    none, azimuths, _ = np.bincount(label, minlength=3)
    note = (
        f"{table.path}: of the rows to train on, {none} have no pose and teach the category alone, "
        f"and {azimuths} have an azimuth alone"
    )
    return table._replace(rows=rows, columns=columns), label, (note,)
