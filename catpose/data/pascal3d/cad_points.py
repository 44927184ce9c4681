"""The CAD models that PASCAL3D+ and ObjectNet3D aligned with their photographs, as points.

Vertices are in the object frame (z up, front at -y), in the unit of the annotated distances.
"""

import pathlib
import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int32

from catpose.data import matlab
from catpose.data.pascal3d.annotations import LARGEST
from catpose.errors import InputError
from catpose.synthetic.mesh_formats import off

NUM_POINTS = 512
# A model with more vertices is thinned to one in each of GRID^3 cells first.
CANDIDATES = 20_000
GRID = 48


class Models(NamedTuple):
    """The models of all categories.

    Attributes:
      points: vertices of each, `NUM_POINTS` of them, spread over the model.
      category: index into the dataset's categories.
      number: in its category, from 1, as `cad_index` counts.
      missing: categories without any.
      unreadable: files that could not be read.
    """

    points: Float[np.ndarray, "M V 3"]
    category: Int32[np.ndarray, "M"]
    number: Int32[np.ndarray, "M"]
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]


def read(root: pathlib.Path, folders: tuple[str, str], categories: tuple[str, ...]) -> Models:
    """Reads every model of a release: a category's .off files or, without those, its .mat file.

    Args:
      root: the release's folder.
      folders: where a category's .off files lie, and its .mat file, with {} for its name.
      categories: in the order of their indices.
    """
    models, missing, unreadable = [], [], []
    for index, name in enumerate(categories):
        found = {}
        folder, mat = root / folders[0].format(name), root / folders[1].format(name)
        for path in sorted(folder.glob("*.off")):
            if re.fullmatch(r"\d+", path.stem):
                try:
                    found[int(path.stem)] = off.vertices(path)
                except InputError:
                    unreadable.append(str(path.relative_to(root)))
        if not found and mat.is_file():
            try:
                found = read_mat(mat, name)
            except InputError:
                unreadable.append(str(mat.relative_to(root)))
        if not found:
            missing.append(name)
        models += [(spread(found[number]), index, number) for number in sorted(found)]
    return Models(
        np.array([points for points, _, _ in models], np.float32).reshape(-1, NUM_POINTS, 3),
        np.array([index for _, index, _ in models], np.int32),
        np.array([number for _, _, number in models], np.int32),
        tuple(missing),
        tuple(unreadable),
    )


def read_mat(path: pathlib.Path, name: str) -> dict[int, Float[np.ndarray, "N 3"]]:
    """The vertices of each model in a category's .mat file, by number from 1.

    Raises:
      InputError: the file cannot be read, holds no models under `name`, or a vertex that is not
        three finite numbers.
    """
    models = matlab.load(path, name, structs=True)
    found = {}
    for number, model in enumerate(np.atleast_1d([] if models is None else models), start=1):
        vertices = np.asarray(getattr(model, "vertices", []))
        if vertices.ndim == 2 and vertices.shape[1] == 3 and len(vertices):
            if vertices.dtype.kind not in "iuf" or not (np.abs(vertices) < LARGEST).all():
                raise InputError(f"{path}: a vertex of model {number} is not three finite numbers")
            found[number] = vertices.astype(np.float64)
    if not found:
        raise InputError(f"{path} has no vertices under '{name}'")
    return found


def spread(vertices: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "V 3"]:
    """`NUM_POINTS` vertices as far from each other as can be, repeated where there are fewer.

    Each next one is the farthest from all before it, from the one farthest from the middle on, so
    the model's extremes are among the first whatever the density of its mesh.
    """
    vertices = np.unique(vertices, axis=0)
    if len(vertices) > CANDIDATES:
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        cells = np.floor((vertices - low) / np.maximum((high - low) / GRID, 1e-12))
        first = np.unique(cells, axis=0, return_index=True)[1]
        extremes = [*vertices.argmin(axis=0), *vertices.argmax(axis=0)]
        if len(first) >= NUM_POINTS:
            vertices = vertices[np.unique([*first, *extremes])]
    if len(vertices) <= NUM_POINTS:
        return np.resize(vertices, (NUM_POINTS, 3))
    picked = [int(np.argmax(np.sum((vertices - vertices.mean(axis=0)) ** 2, axis=1)))]
    distance = np.full(len(vertices), np.inf)
    while len(picked) < NUM_POINTS:
        distance = np.minimum(distance, np.sum((vertices - vertices[picked[-1]]) ** 2, axis=1))
        picked.append(int(np.argmax(distance)))
    return vertices[picked]
