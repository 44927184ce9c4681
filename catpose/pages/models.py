"""The 3D models that pages turn over photos, as numbers that a browser draws.

Models are in the object frame (front at -y, left at +x, z up), their box centered on the origin and
of half diagonal 1.
"""

import functools
import pathlib
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, UInt32

from catpose.data.categories import SYNSETS
from catpose.synthetic import mesh_files, scene
from catpose.synthetic.objects import catalogue
from catpose.visualize import category_models

BLOCK = "block"  # shows where front and top are, for categories without a model
_GRAY, _FRONT, _TOP = (0.62, 0.64, 0.68), (0.9, 0.24, 0.08), (0.3, 0.55, 0.95)

# By name: "car", "car/sedan", or of one's own "mug/blue".
Models = Mapping[str, Callable[[], scene.Mesh]]


def available(
    folder: str | pathlib.Path | None = None, *, up: str | None = None, front: str | None = None
) -> Models:
    """One's own models by "category/name", then those of catpose, then a plain block.

    Files are read when they are asked for, and kept.

    Args:
      folder: of one's own, see `catpose.synthetic.mesh_files.find`; None without.
      up: the axis that points upwards in all of the files, instead of the layout's.
      front: the axis that points to the front, likewise.

    Raises:
      InputError: no such folder, no model in it, or invalid axes.
    """
    found = {
        f"{SYNSETS.get(model.category, model.category)}/{model.name}": functools.cache(
            functools.partial(mesh_files.load, model.path, up=model.up, front=model.front)
        )
        for model in (mesh_files.find(folder, up=up, front=front) if folder else ())
    }
    for name in (*catalogue.CATEGORIES, *catalogue.SUBTYPES):
        found.setdefault(name, functools.partial(category_models.built_in, name))
    return found | {BLOCK: block}


def block() -> scene.Mesh:
    """A cuboid with a red front and a blue top, longer than wide and wider than high."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    corners *= [0.5, 0.8, 0.35]
    faces = [[0, 4, 5, 1], [2, 3, 7, 6], [0, 1, 3, 2], [4, 6, 7, 5], [1, 5, 7, 3], [0, 2, 6, 4]]
    colors = [_FRONT, _GRAY, _GRAY, _GRAY, _TOP, _GRAY]
    corners /= np.linalg.norm(corners[0])
    return scene.Mesh(
        corners.astype(np.float32), np.array(faces, np.int32), np.array(colors, np.float32)
    )


def surface(
    mesh: scene.Mesh,
) -> tuple[Float[np.ndarray, "V 9"], UInt32[np.ndarray, "T 3"]]:
    """A mesh as a browser takes it: vertices, and the three of each triangle.

    A vertex is its place, the unit direction outwards of its outline (the mean normal of its faces,
    by their areas) and its color, float32. Faces of four corners become two triangles, and corners
    of one place and color one vertex.
    """
    halves = np.concatenate([mesh.faces[:, [0, 1, 2]], mesh.faces[:, [0, 2, 3]]])
    corners, colors = mesh.vertices[halves].astype(float), np.concatenate([mesh.colors] * 2)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    has_area = normal.any(axis=1)  # half of a triangle has none
    corners, colors = corners[has_area].reshape(-1, 3), colors[has_area].repeat(3, axis=0)
    places, place = np.unique(corners, axis=0, return_inverse=True)
    outwards = np.zeros_like(places)
    np.add.at(outwards, place.ravel(), normal[has_area].repeat(3, axis=0))
    length = np.linalg.norm(outwards, axis=1, keepdims=True)
    outwards = np.where(length > 1e-9, outwards, places)  # a sheet's two sides cancel
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-9)
    rows = np.concatenate([corners, outwards[place.ravel()], colors], axis=1).astype(np.float32)
    vertices, indices = np.unique(rows, axis=0, return_inverse=True)
    return vertices, indices.reshape(-1, 3).astype(np.uint32)
