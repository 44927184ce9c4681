"""What a network predicts for one object in a photo, and how sure it is.

Rotations and angles are in frame "camera" (docs/conventions.md).
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from catpose import inference
from catpose.poses.base import Density

SURE = 0.5  # a probability below it is worth a word,
SHARE = 0.2  # and another answer with this much is worth a drawing
LEAST = 0.01  # alternatives with less are left out


class Alternative(NamedTuple):
    """Another answer that the network holds for possible.

    Attributes:
      category: its name.
      rotation: (3, 3).
      azimuth_deg, elevation_deg, theta_deg: the same as angles, see `Prediction`.
      probability: that the object is of this category and turned like this, up to the error to
        which `Prediction.pose_confidence` refers.
    """

    category: str
    rotation: Float[np.ndarray, "3 3"]
    azimuth_deg: float
    elevation_deg: float
    theta_deg: float
    probability: float


class Belief(NamedTuple):
    """The density over categories and rotations behind a prediction, for `catpose.combine`.

    Attributes:
      density: functions of the outputs.
      log_probabilities: (K,) of the categories.
      outputs: (K, P), calibrated.
      frame: of its rotations.
    """

    density: Density
    log_probabilities: np.ndarray
    outputs: np.ndarray
    frame: str


class Prediction(NamedTuple):
    """What the network predicts for one box.

    Attributes:
      category: the most probable one; where the network chooses a category and a pose together,
        that of the pair.
      probabilities: by category, in [0, 1], summing to 1.
      rotation: (3, 3), frame "camera": object coordinates to camera coordinates.
      azimuth_deg: in [0, 360); 0 sees the object's front, 90 its left side.
      elevation_deg: in [-90, 90]; positive when seen from above.
      theta_deg: in (-180, 180]; positive when turned counter-clockwise in the picture.
      confidence: the category's probability, given that it is one of them. It is no measure of how
        right the pose is.
      known: the probability that the box shows one of the categories at all; None where the network
        knows no others.
      pose_confidence: the probability that the pose is right up to an error of `within_deg`,
        whatever the category; None where the network is not calibrated or cannot say it.
      within_deg: 30 unless `catpose.load` was given another.
      alternatives: other answers, the most probable first.
      belief: the whole density; None where `pose_confidence` is.
    """

    category: str
    probabilities: dict[str, float]
    rotation: Float[np.ndarray, "3 3"]
    azimuth_deg: float
    elevation_deg: float
    theta_deg: float
    confidence: float
    known: float | None = None
    pose_confidence: float | None = None
    within_deg: float = 30.0
    alternatives: tuple[Alternative, ...] = ()
    belief: Belief | None = None

    @property
    def remark(self) -> str:
        """In words where the network is unsure; else empty."""
        unsure = []
        if self.known is not None and self.known < SURE:
            unsure.append("perhaps none of its categories")
        if self.confidence < SURE:
            unsure.append("unsure of the category")
        if self.pose_confidence is not None and self.pose_confidence < SURE:
            unsure.append("unsure of the pose")
        return ", ".join(unsure)

    def to_json(self) -> dict[str, Any]:
        """The same in lists and numbers, for JSON, without the density."""
        entries = {name: value for name, value in self._asdict().items() if name != "belief"}
        others = [{**x._asdict(), "rotation": x.rotation.tolist()} for x in self.alternatives]
        return {
            **entries,
            "rotation": self.rotation.tolist(),
            "alternatives": others,
            "remark": self.remark,
            "frame": "camera",
        }


def second(found: Prediction) -> Alternative | None:
    """The most probable alternative that is turned otherwise, if it has a share worth a drawing."""
    for other in found.alternatives:
        cosine = (np.sum(other.rotation * found.rotation) - 1) / 2
        if other.probability >= SHARE and cosine < np.cos(np.radians(found.within_deg)):
            return other
    return None


def of_seen(
    seen: inference.Seen,
    categories: tuple[str, ...],
    *,
    density: Density | None,
    frame: str,
    within_deg: float,
) -> Prediction:
    """The prediction of one object.

    Args:
      seen: its arrays on the host, without the axis of objects.
      categories: names of the network's outputs.
      density: of its poses.
      frame: of its outputs.
      within_deg: the error to which its confidence refers.
    """
    certainty = seen.certainty
    prediction = Prediction(
        category=categories[seen.category],
        probabilities=dict(zip(categories, seen.probabilities.tolist(), strict=True)),
        rotation=seen.rotation,
        **_angles(seen.angles_deg),
        confidence=float(seen.probabilities[seen.category]),
        known=None if seen.known is None else float(seen.known),
        within_deg=within_deg,
    )
    if certainty is None:
        return prediction
    others = [
        Alternative(categories[category], rotation, **_angles(angles), probability=float(share))
        for category, rotation, angles, share in zip(*certainty[1:5], strict=True)
        if share >= LEAST
    ]
    return prediction._replace(
        pose_confidence=float(certainty.pose_confidence),
        alternatives=tuple(sorted(others, key=lambda other: -other.probability)),
        belief=Belief(density, certainty.log_probabilities, certainty.outputs, frame),
    )


def _angles(angles: np.ndarray) -> dict[str, float]:
    azimuth, elevation, theta = map(float, angles)
    return {"azimuth_deg": azimuth % 360, "elevation_deg": elevation, "theta_deg": theta}
