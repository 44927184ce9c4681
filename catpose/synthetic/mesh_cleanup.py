"""Prepares the triangle surfaces of model files for a renderer that does not draw back faces.

Files repeat vertices along seams, and have open sheets, faces that are wound the wrong way round,
and faces that are given once for each side. Here they are welded, turned outwards or doubled, and
simplified.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from catpose import errors
from catpose.errors import InputError

_WELD = 1e-6  # vertices closer than this share of the box's diagonal are one
_SAMPLES = 40_000  # points on a surface from which its simplification gets its colors
_FINEST = 256.0  # cells along the longest side of the first grid that closes seams
_NORMAL_WEIGHT = 1e-3  # in diagonals: of two sides of one sheet, the one that faces alike is nearer


class Surface(NamedTuple):
    """Triangles with a color each.

    Attributes:
        vertices: positions, in any unit and frame.
        triangles: three vertex indices each, counter-clockwise as seen from the visible side.
        colors: of each triangle, in [0, 1].
    """

    vertices: Float[np.ndarray, "V 3"]
    triangles: Int[np.ndarray, "T 3"]
    colors: Float[np.ndarray, "T 3"]


def welded(surface: Surface) -> Surface:
    """Merges vertices in one place; drops triangles without area, repeats, and unused vertices.

    Raises:
        InputError: if no triangle is left.
    """
    used, triangles = np.unique(surface.triangles, return_inverse=True)
    vertices, triangles = surface.vertices[used], triangles.reshape(-1, 3)
    if not len(triangles):
        raise InputError("it has no faces")
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    diagonal = float(np.linalg.norm(high - low))
    if not diagonal > 0:
        raise InputError("its faces have no area")
    cells = np.round((vertices - low) / (_WELD * diagonal)).astype(np.int64)
    _, first, inverse = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    vertices, triangles = vertices[first], inverse.reshape(-1)[triangles]
    doubled_area = np.linalg.norm(_normals(vertices, triangles), axis=1)
    solid = np.flatnonzero(doubled_area > (_WELD * diagonal) ** 2)
    if not len(solid):
        raise InputError("its faces have no area")
    triangles = triangles[solid]
    _, first = np.unique(_keys(_rolled(triangles)), return_index=True)
    first.sort()
    used, triangles = np.unique(triangles[first], return_inverse=True)
    return Surface(vertices[used], triangles.reshape(-1, 3), surface.colors[solid[first]])


def seen_from_outside(surface: Surface) -> Surface:
    """Turns closed parts outwards and gives every triangle of the others its other side too.

    A part is connected by shared edges. It is closed if each edge has two triangles that run
    along it in opposite directions. A triangle whose other side is there already, perhaps in
    another color, gets no second one.

    Args:
        surface: welded.
    """
    vertices, triangles, colors = surface
    part, closed = _parts(triangles)
    corners = vertices[triangles] - vertices.mean(axis=0)
    volume = np.bincount(part, np.linalg.det(corners))
    inside_out = (closed & (volume < 0))[part]
    triangles = np.where(inside_out[:, None], triangles[:, ::-1], triangles)
    back = triangles[:, ::-1]
    keys = _keys(_rolled(np.concatenate([triangles, back])))
    doubled = ~closed[part] & ~np.isin(keys[len(triangles) :], keys[: len(triangles)])
    return Surface(
        vertices,
        np.concatenate([triangles, back[doubled]]),
        np.concatenate([colors, colors[doubled]]),
    )


def simplified(surface: Surface, max_triangles: int) -> Surface:
    """Simplifies a surface to at most so many triangles, with the colors of the nearest originals.

    Args:
        surface: welded.
        max_triangles: what `seen_from_outside` of it may have at most.

    Returns:
        The surface seen from outside, as it is if it has no more triangles than that.

    Raises:
        InputError: if the simplifier is not installed, or nothing would be left.
    """
    whole = seen_from_outside(surface)
    if len(whole.triangles) <= max_triangles:
        return whole
    # In the order of their places, whatever the file's: the simplifier takes them one by one.
    _, first = np.unique(_keys(np.sort(surface.triangles, axis=1)), return_index=True)
    sheet = surface._replace(triangles=surface.triangles[first], colors=surface.colors[first])
    small = _collapsed(sheet, max_triangles, np.inf) if _parts(sheet.triangles)[1].all() else None
    cells = _FINEST
    while small is None:
        if cells < 2:
            raise InputError(f"it cannot be drawn with {max_triangles} triangles")
        pulled = _clustered(sheet, cells, 2 * max_triangles)
        small = pulled and _collapsed(pulled, max_triangles, 2.0)
        cells *= 0.85
    return small._replace(colors=_nearest_colors(whole, small))


def _collapsed(surface: Surface, max_triangles: int, most: float) -> Surface | None:
    """The surface seen from outside, edges collapsed until it has few enough triangles; gray.

    Collapses stop at borders, at the expense of what lies between them. None if that leaves too
    many triangles, or would have to leave less than one triangle in `most`.
    """
    outside = seen_from_outside(surface)
    if len(outside.triangles) <= max_triangles:
        return outside
    target = int(0.98 * max_triangles * len(surface.triangles) / len(outside.triangles))
    if len(surface.triangles) > most * target:
        return None
    try:
        import fast_simplification
    except ImportError as error:
        raise InputError(f"simplifying needs {error.name}: {errors.extra('cad')}") from error
    vertices, triangles = fast_simplification.simplify(
        surface.vertices, surface.triangles, target_count=target
    )
    small = _gray(vertices.astype(np.float64), triangles)
    small = small and seen_from_outside(small)
    return small if small and len(small.triangles) <= max_triangles else None


def _clustered(surface: Surface, cells: float, at_most: int) -> Surface | None:
    """Vertices pulled together in the cells of a grid, so many along the longest side; gray.

    None if more than `at_most` triangles are left, or none.
    """
    low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
    place = np.floor((surface.vertices - low) / (high - low).max() * cells).astype(np.int64)
    _, cell = np.unique(place @ [1, 1000, 1_000_000], return_inverse=True)
    corners = np.sort(cell[surface.triangles], axis=1)
    distinct = (np.diff(corners, axis=1) > 0).all(axis=1)
    _, first = np.unique(_keys(corners[distinct]), return_index=True)
    if len(first) > at_most:
        return None
    middle = np.stack([np.bincount(cell, axis) for axis in surface.vertices.T], axis=1)
    triangles = cell[surface.triangles][distinct][np.sort(first)]
    return _gray(middle / np.bincount(cell)[:, None], triangles)


def _gray(vertices: np.ndarray, triangles: np.ndarray) -> Surface | None:
    try:
        return welded(Surface(vertices, triangles, np.full((len(triangles), 3), 0.5)))
    except InputError:
        return None


def _nearest_colors(surface: Surface, small: Surface) -> Float[np.ndarray, "T 3"]:
    """For each triangle of `small`, the mean color of `surface` next to four of its points."""
    from scipy import spatial

    low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
    weight = _NORMAL_WEIGHT * np.linalg.norm(high - low)
    # Corners in the order of their indices: both sides of a sheet get the same points.
    corners = surface.vertices[np.sort(surface.triangles, axis=1)]
    normals = _normals(surface.vertices, surface.triangles)
    area = np.linalg.norm(normals, axis=1)
    count = 1 + np.floor(_SAMPLES * area / area.sum()).astype(np.int64)
    index = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)
    # The R2 sequence, folded into the triangle: evenly spread and without chance.
    u, v = ((1 / 3 + step * 0.7548776662) % 1, (1 / 3 + step * 0.5698402910) % 1)
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    shares = np.stack([1 - u - v, u, v], axis=1)
    points = (shares[:, :, None] * corners[index]).sum(axis=1)
    directions = normals / area[:, None]
    tree = spatial.cKDTree(np.concatenate([points, weight * directions[index]], axis=1))

    corners = small.vertices[small.triangles]
    normals = _normals(small.vertices, small.triangles)
    directions = weight * normals / np.linalg.norm(normals, axis=1, keepdims=True)
    colors = np.zeros((len(corners), 3))
    for shares in ((1 / 3, 1 / 3, 1 / 3), (0.7, 0.15, 0.15), (0.15, 0.7, 0.15), (0.15, 0.15, 0.7)):
        points = np.einsum("i,tij->tj", np.array(shares), corners)
        _, nearest = tree.query(np.concatenate([points, directions], axis=1))
        colors += surface.colors[index[nearest]] / 4
    return colors


def _normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Normals as long as twice the triangle's area."""
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    return np.cross(b - a, c - a)


def _rolled(triangles: np.ndarray) -> np.ndarray:
    """Rotates the indices of each triangle so that the smallest comes first."""
    first = triangles.argmin(axis=1)[:, None]
    return np.take_along_axis(triangles, (first + np.arange(3)) % 3, axis=1)


def _keys(triangles: np.ndarray) -> np.ndarray:
    """One number for each triangle; equal numbers mean equal indices."""
    above = triangles.max(initial=0) + 1
    _, pair = np.unique(triangles[:, 0] * above + triangles[:, 1], return_inverse=True)
    return pair.reshape(-1) * above + triangles[:, 2]


def _parts(triangles: np.ndarray) -> tuple[Int[np.ndarray, "T"], Bool[np.ndarray, "P"]]:
    """The part of each triangle, and which parts are closed."""
    from scipy import sparse

    starts, ends = triangles.reshape(-1), np.roll(triangles, -1, axis=1).reshape(-1)
    pairs = np.minimum(starts, ends) * (starts.max() + 1) + np.maximum(starts, ends)
    _, edge = np.unique(pairs, return_inverse=True)
    edge = edge.reshape(-1)
    balance = np.bincount(edge, np.where(starts < ends, 1.0, -1.0))
    fine = (np.bincount(edge) == 2) & (balance == 0)
    num, face = len(triangles), np.repeat(np.arange(len(triangles)), 3)
    size = num + len(fine)
    links = sparse.coo_matrix((np.ones(len(edge)), (face, num + edge)), shape=(size, size))
    count, part = sparse.csgraph.connected_components(links, directed=False)
    part = part[:num]
    closed = np.ones(count, bool)
    np.logical_and.at(closed, part[face], fine[edge])
    return part, closed
