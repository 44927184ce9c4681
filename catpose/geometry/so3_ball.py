"""A rule for integrals over the rotations near one.

The invariant measure of all rotations is 1, so that a weighted sum is the integral of a density
with respect to the uniform distribution.
"""

import functools

import numpy as np
from jaxtyping import Float
from scipy.integrate import lebedev_rule
from scipy.spatial.transform import Rotation


@functools.cache
def ball(
    degrees: float, num_radii: int = 8, order: int = 17
) -> tuple[Float[np.ndarray, "n 3 3"], Float[np.ndarray, " n"]]:
    """A rule for integrals over the rotations within an angle of the identity.

    Args:
      degrees: the angle, in (0, 180].
      num_radii: Gauss-Legendre nodes of the angle.
      order: of Lebedev's rule for the axis.

    Returns:
      Rotation matrices, and weights that sum to the ball's share of SO(3), (a - sin a) / pi for an
      angle a in radians; float64.
    """
    node, weight = np.polynomial.legendre.leggauss(num_radii)
    limit = np.radians(degrees)
    angle = limit * (node + 1) / 2
    axis, axis_weight = lebedev_rule(order)
    vectors = (angle[:, None, None] * axis.T).reshape(-1, 3)
    weight = weight * limit / 2 * (1 - np.cos(angle)) / np.pi
    weights = np.outer(weight, axis_weight / (4 * np.pi)).reshape(-1)
    return Rotation.from_rotvec(vectors).as_matrix(), weights
