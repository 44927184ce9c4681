"""Orient-Anything's convention, by the projection of axes that its authors published."""

import numpy as np
import pytest

from catpose.data import orient_anything
from catpose.errors import InputError


def published_axes(azimuth, polar, rotation):
    """Where the object's front, right and top point in the picture (x right, y up), by `utils.py`.

    Its `get_proj2D_XYZ`, with the rotation negated as where it is called.
    """
    phi, theta, gamma = np.radians([azimuth, polar, -rotation])
    turn = np.array([[np.cos(gamma), np.sin(gamma)], [-np.sin(gamma), np.cos(gamma)]])
    front = turn @ [-np.sin(phi), -np.cos(phi) * np.sin(theta)]
    right = turn @ [-np.cos(phi), np.sin(phi) * np.sin(theta)]
    top = turn @ [0, np.cos(theta)]
    return np.stack([front, right, top], axis=1)


def test_axes_lie_where_its_authors_draw_them():
    generator = np.random.default_rng(0)
    angles = generator.uniform((0, -90, -90, 0), (360, 90, 90, 1), (50, 4)).round()
    found = orient_anything.read([str(i) for i in range(50)], angles)
    (rotation,) = found.rotation.values()
    directions = np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, 1]]).T  # front, right, top of catpose
    for i, (azimuth, polar, tilt, _) in enumerate(angles):
        seen = (rotation[i] @ directions)[:2]
        np.testing.assert_allclose(seen, published_axes(azimuth, polar, tilt), atol=1e-9)
    assert set(found.frame.tolist()) == {"camera"}


def test_objects_without_a_front_are_counted():
    found = orient_anything.read(["a", "b"], np.array([[10, 5, 0, 0.9], [20, 5, 0, 0.2]]))
    assert found.notes == ("1 of 2 objects have no front, says Orient-Anything",)


def test_other_arrays_are_refused():
    with pytest.raises(InputError, match=r"is \(2, 3\), not \(2, 4\)"):
        orient_anything.read(["a", "b"], np.zeros((2, 3)))
    with pytest.raises(InputError, match="not finite"):
        orient_anything.read(["a"], np.full((1, 4), np.nan))
