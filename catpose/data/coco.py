"""Annotations in COCO's format: boxes and categories, and poses where an annotation has one.

A box of COCO is `[x, y, width, height]`, 0-based, with x and y of the box's corner: catpose's is
`x, y, x + width, y + height`. COCO has no poses. Tools that add them write them into the annotation
or its `attributes`; read are the columns of `catpose.data.pose_table`.

Reference: Lin et al., Microsoft COCO, ECCV 2014, and the format's page at cocodataset.org.
"""

import pathlib

import numpy as np

from catpose.data import disk_cache, file_names, pose_table, tables
from catpose.data.examples import Examples
from catpose.errors import InputError
from catpose.images import files


def read(path: str | pathlib.Path, images: str | pathlib.Path) -> Examples:
    """The objects of a JSON file of COCO, in its order; crowds are left out.

    Args:
      path: the file, such as `instances_val2017.json`.
      images: the folder that `file_name` is relative to.

    Returns:
      Examples whose id is the annotation's, with the flag "image". Without a pose the rotation is
      NaN. Categories are in the order of their ids.

    Raises:
      InputError: the file is not of this form, or an annotation has an invalid box or pose.
    """
    path = pathlib.Path(path)
    found = tables.parse_json(tables.text(path), str(path))
    names = _by_id(found, "images", "file_name", path)
    listed = _by_id(found, "categories", "name", path)
    categories = tuple(listed[key] for key in sorted(listed, key=str if _mixed(listed) else None))
    rows, boxes = [], []
    for i, entry in enumerate(_list(found, "annotations", path), start=1):
        if entry.get("iscrowd"):
            continue
        where = f"{path}, annotation {entry.get('id', i)}"
        if entry.get("image_id") not in names or entry.get("category_id") not in listed:
            raise InputError(f"{where}: its image_id or category_id is not in the file")
        boxes.append(_box(entry.get("bbox"), where))
        rows.append(tables.Row(where, {**entry, "id": str(entry.get("id", i))}))
    rotation = np.full((len(rows), 3, 3), np.nan)
    index, posed = _posed(rows)
    if posed:
        columns = tuple(dict.fromkeys(name for row in posed for name in row.values))
        poses = pose_table.poses(tables.Table(path, columns, posed))
        other = np.flatnonzero(poses.frame != "camera")
        if other.size:
            raise InputError(f"{posed[other[0]].where}: a pose must be in 'camera', or angles")
        where = [row.where for row in posed]
        rotation[index] = pose_table.nearest_rotations(poses.rotation, where)
    file = [names[row.values["image_id"]] for row in rows]
    paths = {name: file_names.below(images, name, str(path)) for name in file}
    ids = [row.values["id"] for row in rows]
    pose_table.check_unique(ids, [row.where for row in rows])
    number = {key: categories.index(name) for key, name in listed.items()}
    return Examples(
        read_fn=lambda i: files.read_bytes(paths[file[i]]),
        digest=disk_cache.digest(file, np.array(boxes, np.float64)),
        id=np.array(ids, np.str_),
        category=np.array([number[row.values["category_id"]] for row in rows], np.int32),
        rotation=rotation.astype(np.float32),
        box=np.array(boxes, np.float64).reshape(-1, 4),
        categories=categories,
        flags={"image": np.array(file, np.str_)},
        origin=str(path),
    )


def _posed(rows):
    """The indices of the rows that say a pose, and these rows with what says it alone."""
    index, posed = [], []
    for i, row in enumerate(rows):
        inner = row.values.get("attributes")
        values = {**row.values, **(inner if isinstance(inner, dict) else {})}
        pose = {
            name: values[name]
            for name in (*pose_table.COLUMNS[: -len(pose_table.BOX)],)
            if values.get(name) not in (None, "")
        }
        if pose.keys() - {"frame"}:
            index.append(i)
            posed.append(row._replace(values=pose))
    return index, posed


def _list(found, name, path):
    entries = found.get(name) if isinstance(found, dict) else None
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise InputError(f"{path}: no list '{name}' of objects; it is not in COCO's format")
    return entries


def _by_id(found, name, field, path):
    values = {}
    for entry in _list(found, name, path):
        if not isinstance(entry.get("id"), int | str) or not isinstance(entry.get(field), str):
            raise InputError(f"{path}: an entry of '{name}' has no id or no {field}")
        values[entry["id"]] = entry[field]
    return values


def _mixed(listed):
    return len({type(key) for key in listed}) > 1


def _box(value, where):
    numbers = [tables.as_float(each) for each in value] if isinstance(value, list) else []
    if len(numbers) != 4 or not all(abs(each) <= tables.LARGEST for each in numbers):
        raise InputError(f"{where}: bbox is not four finite numbers x, y, width, height")
    x, y, width, height = numbers
    if not (width >= 1 and height >= 1):
        raise InputError(f"{where}: the box is smaller than a pixel")
    return [x, y, x + width, y + height]
