"""Rotations of an object that change nothing: the point groups of solids.

R and R G are the same view of an object for every G of its group: rotations take object to camera,
so what happens to the object stands on the right. The groups are those of a cube with faces square
to the axes, an icosahedron with vertices (0, +-1, +-golden ratio) and their turns, a tetrahedron of
two edges along x and y, and of bodies of revolution about z.
"""

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

NAMES = ("tetrahedral", "octahedral", "icosahedral", "conical", "cylindrical")


def elements(name: str, num_turns: int = 180) -> Float[np.ndarray, "g 3 3"]:
    """The rotations of a group; equally many turns instead of all where there is any turn.

    Args:
      name: of `NAMES`; "conical" are all turns about z, "cylindrical" also those after half a turn
        about x.
      num_turns: of the last two.

    Returns:
      (12, 24, 60, num_turns or 2 num_turns, 3, 3) rotation matrices in float64.

    Raises:
      ValueError: an unknown name.
    """
    if name not in NAMES:
        raise ValueError(f"there is no group {name!r}; there are {', '.join(NAMES)}")
    if name == "tetrahedral":
        eighth = Rotation.from_euler("z", 45, degrees=True)
        return (eighth * Rotation.create_group("T") * eighth.inv()).as_matrix()
    if name == "octahedral":
        return Rotation.create_group("O").as_matrix()
    if name == "icosahedral":
        return Rotation.create_group("I").as_matrix()
    angles = np.arange(num_turns) * (360 / num_turns)
    turns = Rotation.from_euler("z", angles[:, None], degrees=True).as_matrix()
    if name == "conical":
        return turns
    return np.concatenate([turns, turns @ np.diag([1.0, -1.0, -1.0])])
