"""The density of poses as a map of views."""

import numpy as np
import pytest

from catpose.pages import density_map
from tests.pages.test_snap import TOPS
from tests.support import pages


def test_it_is_brightest_where_the_pose_is():
    draw = density_map.compile_map(pages.model("matrix_fisher", TOPS))
    found = np.asarray(draw({}, np.zeros((8, 8, 3), np.uint8)))
    assert found.shape == (37, 72)
    # The mean over all views is 1: the uniform distribution of poses has this density everywhere.
    weights = np.cos(np.radians(np.linspace(90, -90, 37)))[:, None]
    assert (found * weights).sum() / (weights.sum() * 72) == pytest.approx(1, abs=0.02)
    # Of the densest view, R' z is the direction of the camera: (cos e sin a, -cos e cos a, sin e).
    row, column = np.unravel_index(found.argmax(), found.shape)
    elevation, azimuth = np.radians(90 - 5 * row), np.radians(5 * column)
    view = [np.cos(elevation) * np.sin(azimuth), -np.cos(elevation) * np.cos(azimuth)]
    toward = TOPS[0].T @ [0, 0, 1]
    assert np.degrees(np.arccos(toward @ [*view, np.sin(elevation)])) < 4


def test_without_a_density_there_is_no_map():
    assert density_map.compile_map(pages.model("sixd", TOPS)) is None
