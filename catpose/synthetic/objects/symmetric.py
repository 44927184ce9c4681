"""A plain bottle and the five solids of SYMSOL I, in one color, with exact symmetry groups.

All have the mirror plane x = 0, so that a mirrored picture is one of the same solid. What is round
has 64 sides.

Reference: Murphy, Esteves, Jampani, Ramalingam and Makadia, Implicit-PDF, 2021 (SYMSOL).
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.spatial import ConvexHull

from catpose.synthetic import scene
from catpose.synthetic.objects import solids

_SIDES = 64
_GOLDEN = (1 + np.sqrt(5)) / 2
_BOTTLE = ((0, -1), (0.32, -1), (0.32, 0.2), (0.12, 0.55), (0.12, 1), (0, 1))


def _hull(vertices: np.ndarray) -> np.ndarray:
    """Triangles of a convex solid around the origin, as quadrilaterals."""
    corners = vertices[ConvexHull(vertices).simplices]
    outside = np.linalg.det(corners) > 0
    corners = np.where(outside[:, None, None], corners, corners[:, ::-1])
    return np.concatenate([corners, corners[:, -1:]], axis=1)


def _tetrahedron() -> np.ndarray:
    edge = np.sqrt(2)
    return _hull(np.array([[0, edge, 1], [0, -edge, 1], [edge, 0, -1], [-edge, 0, -1]]))


def _cube() -> np.ndarray:
    return solids.Parts().box((0, 0, 0), (1, 1, 1), 1.0)


def _icosahedron() -> np.ndarray:
    some = np.array([[0, a, b * _GOLDEN] for a in (1, -1) for b in (1, -1)])
    return _hull(np.concatenate([np.roll(some, shift, axis=1) for shift in range(3)]))


def _lathe(*profile: tuple[float | int, float | int]) -> Callable[[], np.ndarray]:
    return lambda: solids.Parts().lathe(profile, (0, 0, 0), 1.0, sides=_SIDES)


# By category: its surface, and the name of its group in `catpose.geometry.point_groups`.
SOLIDS: Mapping[str, tuple[Callable[[], np.ndarray], str]] = {
    "tetrahedron": (_tetrahedron, "tetrahedral"),
    "cube": (_cube, "octahedral"),
    "icosahedron": (_icosahedron, "icosahedral"),
    "cone": (_lathe((0, -1), (1, -1), (0, 1)), "conical"),
    "cylinder": (_lathe((0, -1), (0.7, -1), (0.7, 1), (0, 1)), "cylindrical"),
    "bottle": (_lathe(*_BOTTLE), "conical"),
}


def make(name: str, color: np.ndarray) -> scene.Mesh:
    """One of `SOLIDS`, centered, of half diagonal 1.

    Args:
      name: of the solid.
      color: RGB in [0, 1].
    """
    quads = SOLIDS[name][0]()
    return solids.normalized(quads, np.broadcast_to(color, (len(quads), 3)))
