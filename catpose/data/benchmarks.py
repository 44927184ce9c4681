"""Labels of benchmarks in several parts, from the user's own copies of their files.

OOD-CV: a folder with `nuisances/<nuisance>/labels.csv`, with the columns `imgs, labels, azimuth,
elevation, theta` in degrees. An object is called "<nuisance>/<imgs>".

OccludedPASCAL3D+: a folder of lists `<category><level>.txt`, one image of PASCAL3D+ a line. The
labels are those of PASCAL3D+. An object is called "<level>/<its id there>", once in each level
whose list has its image, and its image "<category><level>/<image>", as the benchmark's files are.

The flag "part" is the nuisance or the level.
"""

import collections
import pathlib
import re

import numpy as np

from catpose.data import examples, labels, pose_table, tables
from catpose.data.categories import CATEGORIES
from catpose.data.examples import Examples
from catpose.errors import InputError

_OOD_CV = ("imgs", "labels", "azimuth", "elevation", "theta")
_COLUMNS = ("id", "category", *pose_table.ANGLES)
_LIST = re.compile(f"({'|'.join(CATEGORIES)})(FGL[0-9]_BGL[0-9])")


def read_ood_cv(folder: str | pathlib.Path) -> Examples:
    """The labels of OOD-CV; see the module.

    Raises:
      InputError: no such table, or one that is not of this form.
    """
    folder, rows = pathlib.Path(folder), []
    for path in sorted(folder.glob("nuisances/*/labels.csv")):
        part = path.parent.name
        for where, values in tables.read(path, required=_OOD_CV).rows:
            renamed = {
                ours: values[name]
                for name, ours in zip(_OOD_CV, _COLUMNS, strict=True)
                if name in values
            }
            id = f"{part}/{values.get('imgs', '')}"
            rows.append(tables.Row(where, {**renamed, "id": id, "part": part}))
    if not rows:
        raise InputError(f"{folder} has no tables nuisances/<nuisance>/labels.csv")
    return labels.of_table(tables.Table(folder, (*_COLUMNS, "part"), rows))


def by_lists(truth: Examples, folder: str | pathlib.Path) -> Examples:
    """The objects of PASCAL3D+ in each part of OccludedPASCAL3D+; see the module.

    Args:
      truth: labels that name their images.
      folder: of the lists.

    Raises:
      InputError: no lists there, labels without images, or no object in any list.
    """
    folder = pathlib.Path(folder)
    listed = [(path, _LIST.fullmatch(path.stem)) for path in sorted(folder.glob("*.txt"))]
    listed = [(path, *match.groups()) for path, match in listed if match]
    if not listed:
        raise InputError(f"{folder} has no lists <category><level>.txt, such as carFGL1_BGL1.txt")
    if "image" not in truth.flags:
        raise InputError(f"{truth.origin} does not name the images of its objects")
    objects = collections.defaultdict(list)
    for i, image in enumerate(truth.flags["image"].tolist()):
        objects[truth.categories[truth.category[i]], image].append(i)
    index, ids, parts, images, absent = [], [], [], [], 0
    for path, category, part in listed:
        for _, line in tables.lines(path):
            image = line.removesuffix(".JPEG")
            own = objects.get((category, image), [])
            absent += not own
            index += own
            ids += [f"{part}/{truth.id[i]}" for i in own]
            parts += [part] * len(own)
            images += [f"{path.stem}/{image}"] * len(own)
    if not index:
        raise InputError(f"no image in the lists of {folder} is one of {truth.origin}")
    found = examples.take(truth, np.array(index))
    notes = (f"{absent} listed images have no object in the labels",) if absent else ()
    return found._replace(
        id=np.array(ids),
        flags={**found.flags, "part": np.array(parts), "image": np.array(images)},
        notes=truth.notes + notes,
    )
