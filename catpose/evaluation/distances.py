"""How far predictions are from the truth: rotations in a protocol's frame, and azimuths."""

import jax
import jax.numpy as jnp
import numpy as np

from catpose import metrics
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.geometry import so3, symmetry, viewpoint

_ISOMETRIC = ("camera", "upright")


def errors_deg(
    truth: Examples,
    found: Predictions,
    index: np.ndarray,
    frame: str,
    orders: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the rotation and of the azimuth.

    Args:
      truth: N objects.
      found: predictions of one fusion.
      index: (N,) the prediction of each object, -1 for none.
      frame: where distances are measured.
      orders: (K,) symmetries that errors respect, by those of the true category; see
        `catpose.geometry.symmetry`. None for plain errors.

    Returns:
      (N,) geodesic distances and (N,) differences of the azimuths, degrees in [0, 180]; 180
      without a prediction.
    """
    (rotation,) = found.rotation.values()
    error, azimuth = np.full((2, len(index)), 180.0)
    for source in np.unique(found.frame):
        own = (index >= 0) & (found.frame[index] == source)
        if not own.any():
            continue
        predicted, target = rotation[index[own]], truth.rotation[own]
        order = None if orders is None else orders[truth.category[own]]
        error[own] = distance_deg(
            converted(predicted, str(source), frame), converted(target, "camera", frame), order
        )
        # Azimuths that differ by 360 / n are one: compared n-fold. For any angle (0), all are.
        times = np.int32(1) if order is None else order
        in_camera = converted(predicted, str(source), "camera")
        azimuth[own] = metrics.azimuth_difference_deg(
            _azimuth_deg(in_camera) * times, _azimuth_deg(target) * times
        ) / np.maximum(times, 1)
    return error, azimuth


def distance_deg(rotation: np.ndarray, target: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """Geodesic distances, to the nearest equivalent of the target where an order is given.

    Args:
      rotation: (..., 3, 3) predicted.
      target: (..., 3, 3) true ones, in the same frame.
      order: (...) of each symmetry, or None.

    Returns:
      (...) degrees in [0, 180].
    """
    # The precision is that of the rotations: float32 of a network, float64 of a file.
    target = np.asarray(target, rotation.dtype)
    with jax.enable_x64(True):
        if order is not None:
            target = symmetry.nearest(rotation, target, jnp.asarray(order, jnp.int32))
        return np.degrees(np.asarray(so3.geodesic_distance(rotation, target)))


def converted(rotation: np.ndarray, source: str, target: str) -> np.ndarray:
    """Rotations (..., 3, 3) of the frame `source` in the frame `target`, in their own precision."""
    if source == target:
        return rotation
    # To "paper" in float32, as in training: where the elevation is 90 deg, the angles of a
    # rotation are only rounding, and a coarser tolerance knows such a rotation for what it is.
    exact = source in _ISOMETRIC and target in _ISOMETRIC
    with jax.enable_x64(True):
        given = rotation if exact else np.asarray(rotation, np.float32)
        return np.asarray(viewpoint.convert_frame(given, source, target), rotation.dtype)


def _azimuth_deg(rotation: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.degrees(np.asarray(viewpoint.angles_from_rotation(rotation)[0]))
