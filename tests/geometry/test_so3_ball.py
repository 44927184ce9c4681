"""The rule for a ball of SO(3), against closed forms."""

import numpy as np
from scipy.spatial.transform import Rotation

from catpose.geometry import so3_ball


def test_the_ball_has_its_volume_and_its_moments():
    rotations, weights = so3_ball.ball(30.0)
    angle = np.radians(30)
    np.testing.assert_allclose(weights.sum(), (angle - np.sin(angle)) / np.pi, rtol=1e-12)
    assert (Rotation.from_matrix(rotations).magnitude() < angle).all()
    # The mean trace is a quotient of integrals of (1 + 2 cos t)(1 - cos t) and 1 - cos t.
    moment = (np.sin(angle) - np.sin(2 * angle) / 2) / (angle - np.sin(angle))
    trace = weights @ np.trace(rotations, axis1=1, axis2=2) / weights.sum()
    np.testing.assert_allclose(trace, moment, rtol=1e-10)
    np.testing.assert_allclose(so3_ball.ball(180.0)[1].sum(), 1, rtol=1e-12)
