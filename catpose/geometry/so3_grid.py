"""Equivolumetric grids of rotations: cells of equal volume on SO(3).

The direction of the object's z axis is the center of a HEALPix pixel, the turn about it one of
equally many for every pixel: Rz(longitude) Ry(colatitude) Rz(turn). HEALPix has 12 n^2 pixels of
equal area; with 6 n turns neighbors are about 59 / n degrees apart in each direction, and there are
72 n^3 rotations.

References: Gorski et al., HEALPix, 2005, section 4.1 (the pixels, in the ring scheme); Yershova,
Jain, LaValle and Mitchell, Generating Uniform Incremental Grids on SO(3) Using the Hopf Fibration,
2010.
"""

import functools

import numpy as np
from jaxtyping import Float


def pixels(num_side: int) -> Float[np.ndarray, "p 2"]:
    """Centers of the HEALPix pixels.

    Args:
      num_side: n, from 1.

    Returns:
      (12 n^2, 2) cosine of the colatitude, and longitude in radians, from north to south.
    """
    found = []
    for ring in range(1, 4 * num_side):
        from_pole = min(ring, 4 * num_side - ring)
        if from_pole < num_side:
            height = 1 - from_pole**2 / (3 * num_side**2)
            count, shift = 4 * from_pole, 0.5
            height = height if ring < 2 * num_side else -height
        else:
            height = 4 / 3 - 2 * ring / (3 * num_side)
            count, shift = 4 * num_side, 0.5 * ((ring - num_side + 1) % 2)
        longitude = (np.arange(count) + shift) * (2 * np.pi / count)
        found.append(np.stack([np.full(count, height), longitude], axis=-1))
    return np.concatenate(found)


@functools.cache
def log_weights(num_side: int) -> Float[np.ndarray, " p"]:
    """Logarithms of the pixels' weights in sums over the grid; weights are 1 in the mean.

    With equal ones the harmonics up to degree 6 integrate to some thousandths instead of 0. These,
    constant along each ring and within a fifth of 1 from n = 2 on, are exact for the zonal ones up
    to degree 3 n; all up to degree 6 then integrate to 4e-4 for n = 4, and to 7e-6 for n = 8.

    Reference: Gorski et al. 2005, section 5.3 (ring weights).
    """
    height, ring = np.unique(np.round(pixels(num_side)[:, 0], 12), return_inverse=True)
    share = np.bincount(ring) / len(ring)
    degrees = np.arange(0, 3 * num_side + 1, 2)
    legendre = np.polynomial.legendre.legvander(height, degrees[-1])[:, degrees].T * share
    wanted = (degrees == 0) - legendre.sum(axis=1)
    return np.log1p(np.linalg.lstsq(legendre, wanted, rcond=None)[0])[ring]


def num_turns(num_side: int) -> int:
    """Turns of each pixel."""
    return 6 * num_side


@functools.cache
def rotations(num_side: int, turns: int | None = None) -> Float[np.ndarray, "p t 3 3"]:
    """The grid.

    Args:
      num_side: n, from 1.
      turns: of each pixel; 6 n unless given.

    Returns:
      (12 n^2, turns, 3, 3) rotation matrices in float64.
    """
    turns = num_turns(num_side) if turns is None else turns
    cosine, longitude = pixels(num_side).T[:, :, None]
    turn = np.broadcast_to(np.arange(turns) * (2 * np.pi / turns), (len(cosine), turns))
    sine = np.sqrt(1 - cosine**2)
    ca, sa, cg, sg = np.cos(longitude), np.sin(longitude), np.cos(turn), np.sin(turn)
    rows = [
        [ca * cosine * cg - sa * sg, -ca * cosine * sg - sa * cg, ca * sine + 0 * cg],
        [sa * cosine * cg + ca * sg, -sa * cosine * sg + ca * cg, sa * sine + 0 * cg],
        [-sine * cg, sine * sg, cosine + 0 * cg],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


@functools.cache
def neighbors(num_side: int, count: int = 14) -> np.ndarray:
    """The nearest other rotations of each in the grid, (72 n^3, count) indices of the flat grid."""
    from scipy.spatial import cKDTree  # 0.3 s, which only this spends
    from scipy.spatial.transform import Rotation

    quaternion = Rotation.from_matrix(rotations(num_side).reshape(-1, 3, 3)).as_quat()
    tree = cKDTree(np.concatenate([quaternion, -quaternion]))
    nearest = tree.query(quaternion, k=count + 1)[1][:, 1:]
    return (nearest % len(quaternion)).astype(np.int32)
