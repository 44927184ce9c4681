"""Faces with any number of corners, cut into triangles."""

import numpy as np
from jaxtyping import Bool, Float, Int

from catpose.errors import InputError

MAX_CORNERS = 1000  # of a face that is not convex


def check(corners: Int[np.ndarray, "..."], num_vertices: int) -> None:
    """Raises InputError where a corner is not one of so many vertices."""
    if corners.size and not 0 <= corners.min() <= corners.max() < num_vertices:
        raise InputError("a face names a vertex that is not there")


def strip(corners: Int[np.ndarray, "N"]) -> Int[np.ndarray, "T 3"]:
    """Triangles of a strip: each corner from the third on makes one with the two before it."""
    triangles = np.lib.stride_tricks.sliding_window_view(corners, 3).copy()
    triangles[1::2] = triangles[1::2, ::-1]  # every second one is wound the other way
    return triangles


def triangulated(
    corners: Int[np.ndarray, "N"], sizes: Int[np.ndarray, "F"], points: Float[np.ndarray, "V 3"]
) -> tuple[Int[np.ndarray, "T 3"], Int[np.ndarray, "T"]]:
    """Cuts planar faces into triangles; those with fewer than three corners have none.

    Convex faces become fans, others lose one ear after the other.

    Args:
        corners: vertex numbers of all faces, one face after the other.
        sizes: how many of them each face has.
        points: the vertices.

    Returns:
        For each triangle the places of its corners in `corners`, and its face.

    Raises:
        InputError: a vertex is not there, or a face that is not convex has too many corners.
    """
    check(corners, len(points))
    starts = np.cumsum(sizes) - sizes
    places, faces = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(sizes[sizes > 2]):
        of = np.flatnonzero(sizes == size)
        fan = np.stack(
            [np.zeros(size - 2, np.int64), *(np.arange(size - 2) + i for i in (1, 2))], 1
        )
        cuts = np.broadcast_to(fan, (len(of), size - 2, 3)).copy()
        if size > 3:
            outlines = points[corners[starts[of, None] + np.arange(size)]]
            for i in np.flatnonzero(~_are_convex(outlines)):
                cuts[i] = _without_ears(outlines[i])
        places.append((starts[of, None, None] + cuts).reshape(-1, 3))
        faces.append(np.repeat(of, size - 2))
    order = np.argsort(np.concatenate(faces), kind="stable")
    return np.concatenate(places)[order], np.concatenate(faces)[order]


def _are_convex(outlines: Float[np.ndarray, "F K 3"]) -> Bool[np.ndarray, "F"]:
    """Whether each outline turns the same way at all of its corners."""
    edges, normals = np.roll(outlines, -1, axis=1) - outlines, _normals(outlines)
    turns = np.einsum("fki,fi->fk", np.cross(np.roll(edges, 1, axis=1), edges), normals)
    return (turns >= -1e-9 * (normals**2).sum(axis=1, keepdims=True)).all(axis=1)


def _normals(outlines: Float[np.ndarray, "F K 3"]) -> Float[np.ndarray, "F 3"]:
    """Twice the vector area of each outline, by Newell's formula."""
    return np.cross(outlines, np.roll(outlines, -1, axis=1)).sum(axis=1)


def _without_ears(outline: Float[np.ndarray, "K 3"]) -> list[tuple[int, int, int]]:
    """Triangles of one face: an ear has no other corner in it; Meisters 1975."""
    if len(outline) > MAX_CORNERS:
        raise InputError(f"a face has {len(outline)} corners; triangulate it first")
    outline = outline - outline.mean(axis=0)
    normal = _normals(outline[None])[0]
    flat = np.delete(outline, np.abs(normal).argmax(), axis=1)

    def turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray | float:
        (ux, uy), (vx, vy) = (b - a).T, (c - a).T
        return ux * vy - uy * vx

    if sum(turn(flat[0], a, b) for a, b in zip(flat[1:], flat[2:], strict=False)) < 0:
        flat = flat * [-1, 1]
    left, triangles = list(range(len(flat))), []
    while len(left) > 3:
        for i in range(len(left)):
            ear = left[i - 1], left[i], left[(i + 1) % len(left)]
            a, b, c = flat[[*ear]]
            others = flat[[j for j in left if j not in ear]]
            inside = (turn(a, b, others) > 0) & (turn(b, c, others) > 0) & (turn(c, a, others) > 0)
            if turn(a, b, c) > 0 and not inside.any():
                break
        triangles.append(ear)  # of an outline that crosses itself, the last one tried
        del left[i]
    return [*triangles, (left[0], left[1], left[2])]
