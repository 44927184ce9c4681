"""Orient-Anything's output as predictions.

Its network says three angles in whole degrees, which its code returns as azimuth, polar and
rotation, and a confidence that the object has a front at all. The front is seen at azimuth 0 and,
with growing azimuth, moves to the left of the picture; polar is positive from above; rotation turns
the object counter-clockwise. These are catpose's azimuth, elevation and theta.

Reference: Wang et al., Orient Anything, ICML 2025; the projection of its axes in `utils.py`.
"""

from collections.abc import Sequence

import numpy as np

from catpose.data import pose_table, predictions
from catpose.errors import InputError

HAS_FRONT = 0.5  # of the confidence; its own demo draws no axes below


def read(ids: Sequence[str], angles: np.ndarray) -> predictions.Predictions:
    """Predictions from what `get_3angle` returns for each image.

    It names no categories. Objects without a front, by its confidence, are counted in the notes.

    Args:
      ids: names of N objects, as the labels have them.
      angles: (N, 4) azimuth, polar and rotation in degrees, and confidence in [0, 1].

    Raises:
      InputError: an array of another shape, a number that is not finite, or an id twice.
    """
    angles = np.asarray(angles, np.float64)
    if angles.shape != (len(ids), 4):
        raise InputError(
            f"Orient-Anything's output is {angles.shape}, not {(len(ids), 4)}: azimuth, polar, "
            "rotation and confidence of each object"
        )
    if not np.isfinite(angles).all():
        raise InputError("Orient-Anything's output has numbers that are not finite")
    found = predictions.checked(
        ids, pose_table.rotations_from_angles(angles[:, :3], for_paper=False)
    )
    frontless = int((angles[:, 3] < HAS_FRONT).sum())
    notes = (f"{frontless} of {len(ids)} objects have no front, says Orient-Anything",)
    return found._replace(notes=notes if frontless else ())
