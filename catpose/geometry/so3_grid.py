"""Points that represent SO(3), or a ball in it, in sums that replace integrals.

The invariant measure of all rotations is 1 throughout, so a mean over `grid` and a weighted sum
over `ball` are integrals of densities with respect to the uniform distribution.
"""

import functools

import numpy as np
from jaxtyping import Float
from scipy.integrate import lebedev_rule
from scipy.spatial.transform import Rotation


def _sphere(num_side: int) -> Float[np.ndarray, "n 2"]:
    """Polar angle and longitude of the centers of HEALPix' 12 num_side^2 pixels, ring by ring."""
    rings = []
    for i in range(1, 4 * num_side):
        from_pole = min(i, 4 * num_side - i)
        if from_pole < num_side:  # of a polar cap
            count, shift = 4 * from_pole, 0.5
            cosine = np.sign(2 * num_side - i) * (1 - from_pole**2 / (3 * num_side**2))
        else:
            count, shift = 4 * num_side, ((i - num_side + 1) % 2) / 2
            cosine = 4 / 3 - 2 * i / (3 * num_side)
        longitude = 2 * np.pi * (np.arange(1, count + 1) - shift) / count
        rings.append(np.stack([np.full(count, np.arccos(cosine)), longitude], axis=-1))
    return np.concatenate(rings)


@functools.cache
def grid(level: int) -> Float[np.ndarray, "n 3 3"]:
    """The centers of 72 * 8^level cells of equal volume: 576, 4608, 36864 from level 1 on.

    Args:
      level: 0 for cells of about 60 degrees; each further level halves them.

    Returns:
      Rotation matrices Rz(longitude) Ry(polar angle) Rz(turn), float64.

    Reference: Yershova, Jain, LaValle and Mitchell, Generating Uniform Incremental Grids on SO(3)
    Using the Hopf Fibration, 2010; Gorski et al., HEALPix, 2005.
    """
    turns = 6 * 2**level
    sphere = np.repeat(_sphere(2**level), turns, axis=0)
    turn = np.tile(2 * np.pi * (np.arange(turns) + 0.5) / turns, len(sphere) // turns)
    angles = np.stack([sphere[:, 1], sphere[:, 0], turn], axis=-1)
    return Rotation.from_euler("ZYZ", angles).as_matrix()


@functools.cache
def ball(
    degrees: float, num_radii: int = 12, order: int = 17
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
