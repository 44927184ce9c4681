"""3D models as a browser draws them."""

import numpy as np
import pytest

from catpose.errors import InputError
from catpose.pages import label_page, models
from catpose.synthetic import scene
from catpose.synthetic.objects import catalogue

TETRAHEDRON = """v 0 0 0
v 1 0 0
v 0 1 0
v 0 0 1
f 1 3 2
f 1 2 4
f 2 3 4
f 1 4 3
"""


def area(corners):
    """The areas of triangles (T, 3, 3)."""
    a, b, c = corners.transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def triangles(mesh):
    """Corners (T, 3, 3) and colors (T, 3) of what a browser draws."""
    vertices, indices = models.surface(mesh)
    assert len(np.unique(vertices, axis=0)) == len(vertices)
    colors = vertices[indices, 6:]
    np.testing.assert_array_equal(colors, colors[:, :1].repeat(3, axis=1))
    return vertices[indices, :3], colors[:, 0]


def test_triangles_cover_the_faces():
    mesh = catalogue.make(np.random.default_rng(1), "car")
    corners, colors = triangles(mesh)
    # The area of a planar quadrilateral by its diagonals.
    a, b, c, d = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    expected = np.linalg.norm(np.cross(c - a, d - b), axis=1) / 2
    np.testing.assert_allclose(area(corners).sum(), expected.sum(), rtol=1e-5)
    assert (area(corners) > 0).mean() > 0.99
    for color in mesh.colors[[0, -1]]:
        of_color = (colors == color).all(axis=1)
        np.testing.assert_allclose(
            area(corners[of_color]).sum(),
            expected[(mesh.colors == color).all(axis=1)].sum(),
            rtol=1e-5,
        )


def test_the_block_is_closed_and_turned_outwards():
    mesh = models.block()
    corners = triangles(mesh)[0].astype(float)
    volume = np.einsum("ti,ti->t", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(np.prod(mesh.vertices.max(0) - mesh.vertices.min(0)), rel=1e-5)
    front = mesh.vertices[mesh.faces[0]]
    assert (front[:, 1] == mesh.vertices[:, 1].min()).all()
    assert np.linalg.norm(mesh.vertices.max(0)) == pytest.approx(1, rel=1e-6)


def test_ones_own_models_come_first(tmp_path):
    (tmp_path / "mug").mkdir()
    (tmp_path / "mug" / "blue.obj").write_text(TETRAHEDRON)
    found = models.available(tmp_path)
    assert next(iter(found)) == "mug/blue"
    assert {"car", "car/sedan", "block"} <= found.keys()
    reply = label_page.model(found, {"name": "mug/blue"})
    (count,) = np.frombuffer(reply.body, "<u4", 1)
    vertices = np.frombuffer(reply.body, "<f4", 9 * count, offset=4).reshape(-1, 9)
    indices = np.frombuffer(reply.body, "<u4", offset=4 + 36 * count)
    assert np.isfinite(vertices).all()
    assert sorted(set(indices.tolist())) == [0, 1, 2, 3]
    assert len(indices) == 12
    with pytest.raises(InputError, match="there is no model 'x'"):
        label_page.model(found, {"name": "x"})
    with pytest.raises(InputError, match="there is no folder"):
        models.available(tmp_path / "none")


def test_every_built_in_model_can_be_drawn():
    for name, load in models.available().items():
        vertices, indices = models.surface(load())
        assert vertices.dtype == np.float32, name
        assert 10 < len(indices) <= 5000, name
        np.testing.assert_allclose(np.linalg.norm(vertices[:, 3:6], axis=1), 1, rtol=1e-5)


def mesh_of(vertices, faces):
    colors = np.full((len(faces), 3), 0.5, np.float32)
    return scene.Mesh(np.array(vertices, np.float32), np.array(faces, np.int32), colors)


def test_an_outline_goes_outwards():
    # Of an octahedron away from its center, by symmetry; a face repeats its last corner.
    signs = [(x, y, z) for x in (0, 1) for y in (2, 3) for z in (4, 5)]
    corners = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    faces = [
        (x, y, z, z) if (x + y + z) % 2 == 0 else (x, z, y, y)
        for x, y, z in signs
    ]  # fmt: skip
    vertices, indices = models.surface(mesh_of(corners, faces))
    assert (len(vertices), len(indices)) == (6, 8)
    np.testing.assert_allclose(vertices[:, 3:6], vertices[:, :3], atol=1e-6)
    # The two sides of a sheet cancel: away from the origin.
    sheet = mesh_of([(1, 1, 0), (1, 2, 0), (2, 1, 0)], [(0, 1, 2, 2), (0, 2, 1, 1)])
    vertices, _ = models.surface(sheet)
    np.testing.assert_allclose(np.linalg.norm(vertices[:, 3:6], axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.cross(vertices[:, 3:6], vertices[:, :3]), 0, atol=1e-6)
