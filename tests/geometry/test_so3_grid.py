"""Points that replace integrals over SO(3): closed forms, and random rotations of scipy."""

import numpy as np
import pytest
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from catpose.geometry import so3_grid


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_grid_is_uniform(level):
    grid = so3_grid.rotations(2**level).reshape(-1, 3, 3)
    assert len(grid) == 72 * 8**level
    np.testing.assert_allclose(np.linalg.det(grid), 1)
    # The mean of R is 0; that of R_ij R_kl is 1/3 where i = k and j = l.
    np.testing.assert_allclose(grid.mean(0), 0, atol=1e-12)
    second = np.einsum("nij,nkl->ikjl", grid, grid) / len(grid)
    wanted = np.einsum("ik,jl->ikjl", np.eye(3), np.eye(3)) / 3
    np.testing.assert_allclose(second, wanted, atol=0.04 / 4**level)


def test_every_rotation_is_near_a_point_of_the_grid_and_cells_are_alike():
    quaternions = Rotation.from_matrix(so3_grid.rotations(2).reshape(-1, 3, 3)).as_quat()
    tree = KDTree(np.concatenate([quaternions, -quaternions]))
    random = Rotation.random(200_000, random_state=0).as_quat()
    distance, nearest = tree.query(random)
    angle = np.degrees(4 * np.arcsin(distance / 2))
    assert angle.max() < 32.5  # the covering radius of level 1; cells are 30 degrees wide
    counts = np.bincount(nearest % 576, minlength=576)
    assert 0.6 < counts.min() / counts.mean() < counts.max() / counts.mean() < 1.4
