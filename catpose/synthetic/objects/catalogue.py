"""Procedural objects of the twelve PASCAL3D+ categories.

Frame: front at -y, the object's left at +x, z up; the bounding box is centered on the origin and
its half diagonal has length 1. Front and rear, left and right differ as they do in life.
"""

import functools
from collections.abc import Callable

import numpy as np

from catpose.synthetic import scene
from catpose.synthetic.objects import (
    aeroplanes,
    boats,
    cycles,
    detailed_aeroplanes,
    detailed_cars,
    furniture,
    household,
    rail,
    road,
    solids,
)

_FAMILIES = {
    "aeroplane": aeroplanes.aeroplane,
    "bicycle": cycles.bicycle,
    "boat": boats.boat,
    "bottle": household.bottle,
    "bus": road.bus,
    "car": road.car,
    "chair": furniture.chair,
    "diningtable": furniture.diningtable,
    "motorbike": cycles.motorbike,
    "sofa": furniture.sofa,
    "train": rail.train,
    "tvmonitor": household.tvmonitor,
}

CATEGORIES: tuple[str, ...] = tuple(_FAMILIES)
"""In the order in which categories are numbered."""

# Closer to life and slower to draw. The others stay as they are: the dataset `shapes` has them.
_DETAILED: dict[str, Callable[[np.random.Generator], solids.Parts]] = {
    "aeroplane": detailed_aeroplanes.aeroplane,
    "car": detailed_cars.car,
    **{
        f"car/{style}": functools.partial(detailed_cars.car, style=style)
        for style in road.CAR_STYLES
    },
}

SUBTYPES: dict[str, functools.partial] = {
    f"car/{style}": functools.partial(road.car, style=style) for style in road.CAR_STYLES
}
"""Kinds of objects that can be requested by name."""


def make(
    generator: np.random.Generator, category: int | str, *, detailed: bool = False
) -> scene.Mesh:
    """Makes an object with random proportions and colors.

    Args:
        generator: the only source of chance.
        category: a name of `CATEGORIES` or `SUBTYPES`, or the number of a category.
        detailed: closer to life, where there is such a family.

    Returns:
        A mesh in the unit and frame above.

    Raises:
        KeyError: if there is no such category.
    """
    name = category if isinstance(category, str) else dict(enumerate(CATEGORIES))[int(category)]
    families = _FAMILIES | SUBTYPES | (_DETAILED if detailed else {})
    mesh = families[name](generator).mesh()
    # Proportions that no family's parameters reach: a slight stretch along each axis.
    vertices = mesh.vertices * generator.uniform(0.93, 1.07, 3).astype(np.float32)
    vertices /= np.linalg.norm((vertices.max(axis=0) - vertices.min(axis=0)) / 2)
    faded = mesh.colors * generator.uniform(0.95, 1.05, (len(mesh.colors), 1))
    return scene.Mesh(vertices, mesh.faces, np.clip(faded, 0, 1).astype(np.float32))
