"""Meshes of different sizes as one batch of arrays, on the host."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from catpose.errors import InputError
from catpose.synthetic import scene


class Padded(NamedTuple):
    """Meshes of triangles, counter-clockwise from outside, filled up to a common size.

    Attributes:
        vertices: positions in the object frame; beyond a mesh's own, copies of one of them, so that
            a box around all is the mesh's own.
        triangles: three vertex indices per triangle; zero beyond `count`.
        colors: color of each triangle, in [0, 1]; or of each of its corners, (B, T, 3, 3), corner
            before channel, which the device's renderer blends between them.
        count: how many triangles of each mesh are real; the others are never drawn.
    """

    vertices: Float[np.ndarray, "B V 3"]
    triangles: Int[np.ndarray, "B T 3"]
    colors: Float[np.ndarray, "B T 3"] | Float[np.ndarray, "B T 3 3"]
    count: Int[np.ndarray, "B"]


def _triangles(mesh: scene.Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Cuts faces into triangles, less those that repeat a vertex; also their colors."""
    triangles = mesh.faces[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
    a, b, c = triangles.T
    real = (a != b) & (b != c) & (c != a)
    return triangles[real], np.repeat(mesh.colors, 2, axis=0)[real]


def pad(
    meshes: Sequence[scene.Mesh], *, multiple: int = 256, vertex_multiple: int | None = None
) -> Padded:
    """Cuts the faces of meshes into triangles and fills all up to a common size.

    Args:
        meshes: at least one; the renderer is compiled once per size that comes out.
        multiple: the number of triangles is rounded up to a multiple of it.
        vertex_multiple: likewise the number of vertices; None: as that of triangles.

    Raises:
        InputError: if there is no mesh or `multiple` is not positive.
    """
    if not meshes or multiple < 1:
        raise InputError("pad takes at least one mesh and a multiple of at least 1")
    cut = [_triangles(mesh) for mesh in meshes]

    def size(longest: int, multiple: int) -> int:
        return max(-(-longest // multiple), 1) * multiple

    most = max(len(mesh.vertices) for mesh in meshes)
    num_vertices = size(most, vertex_multiple or multiple)
    num_triangles = size(max(len(triangles) for triangles, _ in cut), multiple)
    vertices = np.zeros((len(meshes), num_vertices, 3), np.float32)
    triangles = np.zeros((len(meshes), num_triangles, 3), np.int32)
    colors = np.zeros((len(meshes), num_triangles, 3), np.float32)
    for i, (mesh, (corners, shades)) in enumerate(zip(meshes, cut, strict=True)):
        vertices[i] = mesh.vertices[corners[0, 0]] if len(corners) else 0
        used = np.unique(corners)
        vertices[i, used] = mesh.vertices[used]
        triangles[i, : len(corners)] = corners
        colors[i, : len(corners)] = shades
    count = np.array([len(corners) for corners, _ in cut], np.int32)
    return Padded(vertices, triangles, colors, count)


def corner_normals(meshes: Padded, *, crease_deg: float = 40.0) -> Float[np.ndarray, "B T 3 3"]:
    """Unit normals at the corners of triangles, for smooth shading.

    A corner's normal is the mean, weighted by area, of those triangles that meet at its place and
    whose planes differ from its own by less than the crease angle. Corners meet by position, not by
    vertex index.

    Args:
        meshes: what `pad` gave.
        crease_deg: edges with a sharper angle stay sharp, in degrees.
    """
    normals = np.zeros((*meshes.triangles.shape, 3), np.float32)
    for i, count in enumerate(meshes.count):
        points = meshes.vertices[i].astype(np.float64)
        corners = points[meshes.triangles[i, :count]]
        area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        unit = area / np.maximum(np.linalg.norm(area, axis=1, keepdims=True), 1e-30)
        places = np.round(corners.reshape(-1, 3) * 1e5).astype(np.int64)
        _, place = np.unique(places, axis=0, return_inverse=True)
        order = np.argsort(place.reshape(-1), kind="stable")
        group = place.reshape(-1)[order]
        size = np.bincount(group)
        start = np.cumsum(size) - size
        own = order // 3
        total = np.zeros((len(order), 3))
        rank = np.arange(len(order)) - start[group]
        for shift in range(size.max(initial=0)):
            # Each corner meets the others of its place in turn.
            here = shift < size[group]
            other = own[start[group] + (rank + shift) % size[group]]
            near = (unit[own] * unit[other]).sum(axis=1) > np.cos(np.deg2rad(crease_deg))
            total += np.where((here & near)[:, None], area[other], 0)
        length = np.linalg.norm(total, axis=1, keepdims=True)
        total = np.where(length > 0, total / np.maximum(length, 1e-30), unit[own])
        flat = np.zeros((len(order), 3))
        flat[order] = total
        normals[i, :count] = flat.reshape(-1, 3, 3)
    return normals
