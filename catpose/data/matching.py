"""Which objects predictions without ids are of: by the name of the image, and by the box.

A prediction names its image in `file` or `image`, as a path that ends in the labels' name of it,
with or without folders and ending. In an image with several objects it has a box: `x0, y0, x1, y1`,
or `box` with these four, as `launch.predict` prints it. It is of the object whose box overlaps most
(intersection over union), if that is at least `IOU`, and if no second object comes close.
"""

import collections
import os
from collections.abc import Sequence

import numpy as np

from catpose.data import pose_table, tables
from catpose.data.examples import Examples
from catpose.data.tables import Row, Table
from catpose.errors import InputError

IOU = 0.5  # PASCAL VOC's bound for a detection
CLOSE = 0.1  # two objects whose overlaps differ by less are not distinguished


def ids(table: Table, truth: Examples) -> list[str]:
    """The id of the object that each row is of; a text of its own where the labels have none.

    Raises:
      InputError: a row without an image, a box where the object has none or none where one is
        needed, or one that fits two objects.
    """
    if "image" not in truth.flags:
        raise InputError(
            f"{table.path} has no ids, and {truth.origin} names no images to find its objects by; "
            "give each row the id of its object, as the labels do"
        )
    objects = collections.defaultdict(list)
    for i, name in enumerate(truth.flags["image"].tolist()):
        for spelling in {name, _without_ending(name)}:
            objects[spelling].append(i)
    return [_id(row, truth, objects) for row in table.rows]


def _id(row: Row, truth: Examples, objects: dict[str, list[int]]) -> str:
    file = tables.string(row, "file") or tables.string(row, "image")
    if not file:
        raise InputError(
            f"{row.where}: no object; give id, image_id and object_index_1based, or file and box"
        )
    parts = os.path.normpath(file).split(os.sep)
    names = [os.sep.join(parts[i:]) for i in range(len(parts))]
    spellings = (name for each in names for name in (each, _without_ending(each)))
    own = next((objects[name] for name in spellings if name in objects), [])
    if len({truth.flags["image"][i] for i in own}) > 1:
        raise InputError(f"{row.where}: {file} may be each of several images of {truth.origin}")
    box = _box(row)
    if own and box is None:
        if len(own) > 1:
            raise InputError(
                f"{row.where}: {file} has {len(own)} objects; give x0, y0, x1, y1 of one of them"
            )
        return str(truth.id[own[0]])
    overlaps = [(_iou(box, i, row, truth), i) for i in own]
    (best, object), (second, _) = sorted([*overlaps, (0.0, -1), (0.0, -1)], reverse=True)[:2]
    if best < IOU:
        return f"{file}, {row.where}"
    if second > best - CLOSE:
        raise InputError(
            f"{row.where}: the box fits two objects of {file} (overlap {best:.2f} and "
            f"{second:.2f}); give ids"
        )
    return str(truth.id[object])


def _box(row: Row) -> list[float] | None:
    listed = row.values.get("box")
    if isinstance(listed, list) and len(listed) == len(pose_table.BOX):
        row = row._replace(values=dict(zip(pose_table.BOX, listed, strict=True)))
    return pose_table.box(row)


def _iou(box: Sequence[float], i: int, row: Row, truth: Examples) -> float:
    boxes = truth.flags.get("box", truth.box)  # a build of PASCAL3D+ has other pixels of its own
    if boxes is None or np.isnan(boxes[i]).any():
        raise InputError(f"{row.where}: a box, and {truth.origin} has none of '{truth.id[i]}'")
    x0, y0, x1, y1 = boxes[i]
    width = min(x1, box[2]) - max(x0, box[0])
    height = min(y1, box[3]) - max(y0, box[1])
    shared = max(width, 0.0) * max(height, 0.0)
    whole = (x1 - x0) * (y1 - y0) + (box[2] - box[0]) * (box[3] - box[1]) - shared
    return shared / whole


def _without_ending(name: str) -> str:
    stem, ending = os.path.splitext(name)
    return stem if ending[1:].isalpha() else name
