"""Snapping to the top of a density nearby."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.pages import snap
from tests.support import pages

TOPS = Rotation.random(2, random_state=0).as_matrix().astype(np.float32)  # of each category


def away(one, other):
    return np.degrees(Rotation.from_matrix(np.asarray(one).T @ other).magnitude())


@pytest.fixture(scope="module")
def snap_fn():
    found = snap.compile_snap(pages.model("matrix_fisher", TOPS))
    crop = np.zeros((8, 8, 3), np.uint8)
    return lambda category, rotation: found({}, crop, np.int32(category), np.float32(rotation))


@pytest.mark.parametrize("category", [0, 1])
@pytest.mark.parametrize("seed", range(5))
def test_it_climbs_from_twenty_degrees_away(snap_fn, category, seed):
    axis = np.random.default_rng(seed).normal(size=3)
    turn = Rotation.from_rotvec(np.radians(20) * axis / np.linalg.norm(axis)).as_matrix()
    begin = turn @ TOPS[category]
    found, reached = snap_fn(category, begin)
    assert reached
    assert away(found, TOPS[category]) < 0.5
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-5)


def test_it_does_not_go_far(snap_fn):
    begin = Rotation.from_euler("z", 100, degrees=True).as_matrix() @ TOPS[0]
    found, reached = snap_fn(0, begin)
    assert not reached
    assert away(found, begin) < snap.FARTHEST_DEG + 0.1


def test_without_a_density_there_is_no_snap():
    assert snap.compile_snap(pages.model("sixd", TOPS)) is None
