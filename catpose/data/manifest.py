"""A user's own data: one CSV file beside a folder of images.

Columns `file, category, split` and a pose (see `catpose.data.pose_table`): angles, a quaternion or
a matrix, and its `frame`, "camera" unless stated. Optional `x0, y0, x1, y1`, the object's box;
empty means the whole image. Other columns are ignored. `file` is relative to `images/` beside the
manifest where that folder exists, else to the manifest.
"""

import collections
import itertools
import pathlib
from collections.abc import Sequence

import numpy as np

from catpose.data import disk_cache, pose_table
from catpose.data.examples import Examples
from catpose.errors import InputError
from catpose.geometry import viewpoint

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
      InputError: a missing file, column or image, an unknown category or split, an invalid pose or
        box. The message names the line.
    """
    path = pathlib.Path(root).expanduser() / "manifest.csv"
    if not path.is_file():
        raise InputError(f"no manifest at {path}; set --config.data.root to the folder that has it")
    rows = pose_table.read(path, required=("file", "category", "split"), allow_empty=True)
    images = path.parent / "images" if (path.parent / "images").is_dir() else path.parent
    names = tuple(categories) or tuple(
        sorted({row.values["category"] for row in rows if "category" in row.values})
    )
    files, category, split = [], [], []
    for where, values in rows:
        file = images / values.get("file", "")
        if not file.is_file():
            raise InputError(f"{where}: no image {file}")
        for column, known in (("category", names), ("split", SPLITS)):
            if values.get(column, "") not in known:
                raise InputError(
                    f"{where}: unknown {column} '{values.get(column, '')}'; "
                    f"known: {', '.join(known)}"
                )
        files.append(file)
        category.append(names.index(values["category"]))
        split.append(SPLITS[values["split"]])
    whole_image = [np.nan] * 4
    boxes = [pose_table.box(row) or whole_image for row in rows]
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    file_names = [row.values["file"] for row in rows]
    total, numbers = collections.Counter(file_names), collections.defaultdict(itertools.count)
    ids = [f"{name}#{next(numbers[name]) + 1}" if total[name] > 1 else name for name in file_names]
    return Examples(
        read_fn=lambda i: files[i].read_bytes(),
        digest=disk_cache.digest([disk_cache.digest(file.read_bytes()) for file in files], boxes),
        id=np.array(ids, dtype=np.str_),
        category=np.array(category, np.int32),
        split=np.array(split, dtype=np.str_),
        rotation=_rotations(rows),
        box=boxes,
        categories=names,
    )


def _rotations(rows: Sequence[pose_table.Row]) -> np.ndarray:
    """Each row's pose as a rotation in "camera"."""
    rotation, frame = pose_table.poses(rows)
    rotation = pose_table.nearest_rotations(rotation, [row.where for row in rows])
    rotation = rotation.astype(np.float32)
    for name in np.unique(frame):
        mine = frame == name
        rotation[mine] = np.asarray(viewpoint.convert_frame(rotation[mine], str(name), "camera"))
    return rotation
