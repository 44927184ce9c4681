"""3D models as a browser draws them."""

import numpy as np
import pytest

from catpose.errors import InputError
from catpose.pages import label_page, models
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


def test_triangles_cover_the_faces():
    mesh = catalogue.make(np.random.default_rng(1), "car")
    found = models.triangles(mesh)
    corners = found[:, :9].reshape(-1, 3, 3)
    # The area of a planar quadrilateral by its diagonals.
    a, b, c, d = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    expected = np.linalg.norm(np.cross(c - a, d - b), axis=1) / 2
    np.testing.assert_allclose(area(corners).sum(), expected.sum(), rtol=1e-5)
    assert (area(corners) > 0).mean() > 0.99
    for color in mesh.colors[[0, -1]]:
        of_color = (found[:, 9:] == color).all(axis=1)
        np.testing.assert_allclose(
            area(corners[of_color]).sum(),
            expected[(mesh.colors == color).all(axis=1)].sum(),
            rtol=1e-5,
        )


def test_the_block_is_closed_and_turned_outwards():
    mesh = models.block()
    corners = models.triangles(mesh)[:, :9].reshape(-1, 3, 3).astype(float)
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
    assert len(reply.body) % 48 == 0
    assert np.isfinite(np.frombuffer(reply.body, "<f4")).all()
    with pytest.raises(InputError, match="there is no model 'x'"):
        label_page.model(found, {"name": "x"})
    with pytest.raises(InputError, match="there is no folder"):
        models.available(tmp_path / "none")


def test_every_built_in_model_can_be_drawn():
    for name, load in models.available().items():
        found = models.triangles(load())
        assert found.dtype == np.float32, name
        assert 10 < len(found) <= 5000, name
