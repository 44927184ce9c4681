"""Groups are closed, and are those of the solids that we draw."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from catpose.geometry import point_groups
from catpose.synthetic.objects import symmetric

ORDERS = {
    "tetrahedral": 12, "octahedral": 24, "icosahedral": 60, "conical": 64, "cylindrical": 128,
}  # fmt: skip


@pytest.mark.parametrize("name", point_groups.NAMES)
def test_products_stay_in_the_group(name):
    group = point_groups.elements(name, 64)
    assert len(group) == ORDERS[name]
    flat = group.reshape(-1, 9)
    assert len(np.unique(np.round(flat, 6), axis=0)) == len(group)
    products = np.einsum("aij,bjk->abik", group, group).reshape(-1, 9)
    assert cKDTree(flat).query(products)[0].max() < 1e-9


@pytest.mark.parametrize("name", symmetric.SOLIDS)
def test_solids_are_their_own_image_under_the_group_and_in_the_mirror(name):
    mesh = symmetric.make(name, np.full(3, 0.5))
    corners = mesh.vertices[mesh.faces]
    vertices = mesh.vertices.astype(np.float64)
    group = point_groups.elements(symmetric.SOLIDS[name][1], 64)  # as many sides
    tree = cKDTree(vertices)
    assert tree.query(vertices @ group.transpose(0, 2, 1))[0].max() < 1e-6
    assert tree.query(vertices * [-1, 1, 1])[0].max() < 1e-6
    # Faces are seen from outside: the volume under them is positive.
    volume = np.linalg.det(corners[:, :3]).sum() + np.linalg.det(corners[:, [0, 2, 3]]).sum()
    assert volume > 0.5


def test_an_unknown_group_is_refused():
    with pytest.raises(ValueError, match="octahedral"):
        point_groups.elements("cubic")
