"""The 3D model that represents a category in a drawing: a built-in one, or one from a folder.

Meshes are in the object frame (front at -y, left at +x, z up), their box centered on the origin and
of half diagonal 1.
"""

import functools
import pathlib
from collections.abc import Callable

import numpy as np

from catpose.data.categories import SYNSETS
from catpose.synthetic import mesh_files, scene
from catpose.synthetic.objects import catalogue

Source = Callable[[str], scene.Mesh | None]
"""From a category's name to its model; None where there is none."""

# Seeds of `catalogue.make`, chosen by eye: the category's plain and typical kind in quiet colors;
# all kinds of car are gray with seed 23.
_SEEDS = {
    "aeroplane": 426,
    "bicycle": 9,
    "boat": 135,
    "bottle": 24,
    "bus": 233,
    "car": 23,
    "chair": 238,
    "diningtable": 12,
    "motorbike": 162,
    "sofa": 136,
    "train": 92,
    "tvmonitor": 174,
}
_KINDS = {kind.rpartition("/")[2]: kind for kind in catalogue.SUBTYPES} | {"wagon": "car/estate"}


@functools.cache
def built_in(category: str) -> scene.Mesh | None:
    """The model of a category of PASCAL3D+ or of a kind of car ("sedan"); None for other names."""
    kind = _KINDS.get(category, category)
    if kind not in (*catalogue.CATEGORIES, *catalogue.SUBTYPES):
        return None
    return catalogue.make(np.random.default_rng(_SEEDS[kind.partition("/")[0]]), kind)


def from_folder(
    folder: str | pathlib.Path, *, up: str | None = None, front: str | None = None
) -> Source:
    """The first model of each category in a folder; built-in ones where the folder has none.

    Files are read when their category is first asked for.

    Args:
      folder: see `catpose.synthetic.mesh_files.find`.
      up: the axis that points upwards in all of the files, instead of the layout's.
      front: the axis that points to the front, likewise.

    Raises:
      InputError: no such folder, no model in it, or invalid axes; for a file that cannot be
        read, on first use.
    """
    first = {}
    for model in mesh_files.find(folder, up=up, front=front):
        first.setdefault(SYNSETS.get(model.category, model.category), model)

    @functools.cache
    def model_of(category: str) -> scene.Mesh | None:
        if category not in first:
            return built_in(category)
        model = first[category]
        return mesh_files.load(model.path, up=model.up, front=model.front)

    return model_of
