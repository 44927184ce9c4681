"""Meshes of about a given number of triangles, to measure the speed of rendering with."""

import numpy as np

from tests.support import numpy_rasterizer, numpy_scene

LIGHT = numpy_rasterizer.Light(
    np.array([[0.48, 0.6, 0.64], [-0.6, 0.0, 0.8]]), np.array([0.5, 0.2]), 0.3
)


def lumpy_sphere(generator, num_triangles):
    """A star-shaped mesh with bays, of about that many triangles."""
    rings = max(3, round(np.sqrt(num_triangles / 2)) + 1)
    sides = round(num_triangles / (2 * (rings - 1)))
    polar = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)[:, None]
    around = np.arange(sides) * (2 * np.pi / sides)
    radius = 0.6 + 0.25 * np.sin(4 * around + generator.uniform(0, 6)) * np.cos(polar) ** 2
    parts = np.cos(polar) * np.cos(around), np.cos(polar) * np.sin(around), np.sin(polar)
    vertices = np.stack([radius * part for part in parts], axis=-1).reshape(-1, 3)
    vertices *= generator.uniform(0.7, 1.2, 3)
    i, j = np.mgrid[:rings, :sides]
    k = (j + 1) % sides
    a, b, c, d = (
        corner.ravel()
        for corner in (i * sides + j, i * sides + k, (i + 1) * sides + k, (i + 1) * sides + j)
    )
    # At each pole one of a quadrilateral's two triangles is empty.
    lower, upper = np.stack([a, b, c, c], axis=1), np.stack([a, c, d, d], axis=1)
    faces = np.concatenate([lower[sides:], upper[:-sides]])
    colors = generator.uniform(0.2, 0.8, (len(faces), 3)) * [1, 1, 0.5]
    return numpy_rasterizer.Mesh(vertices.astype(np.float32), faces, colors.astype(np.float32))


def views_of(generator, meshes, size):
    rotations = [
        numpy_scene.rotation_from_angles(*numpy_scene.sample_angles(generator)) for _ in meshes
    ]
    return [
        numpy_scene.sample_view(generator, mesh, rotation, size)
        for mesh, rotation in zip(meshes, rotations, strict=True)
    ]
