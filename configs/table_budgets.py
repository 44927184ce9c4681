"""How long the steps of the paper's Table 1 take and how fast they learn, by dataset and preset."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from catpose.configs import pascal3d


class Budget(NamedTuple):
    """Lengths and rates of the steps; a batch has `batch` images, half of them rendered or none.

    Attributes:
      phase0: steps of the category pre-training.
      start: steps of the pose networks alone on the MSE, where the representation has one.
      networks: further steps of the pose networks alone, on frozen features.
      pose: steps of feature and pose networks.
      category: steps of the category network.
      joint: steps of everything.
      batch: images of a batch where the feature network trains.
      frozen_batch: where it rests.
      rate: peak learning rate where the feature network trains.
      frozen_rate: peak where it rests.
      real_batch: images of a batch in steps 4 and 5; 0 for the same as elsewhere.
      cached: whether what rests is stored.
      tunes: whether feature networks train at all.
      pose_bn: see `catpose.experiment.phases.Phase`.
      rates: by step, what differs of its learning rate from a cosine.
      augment: of the images, where they are not stored.
    """

    phase0: int
    start: int
    networks: int
    pose: int
    category: int
    joint: int
    batch: int
    frozen_batch: int
    rate: float
    frozen_rate: float
    real_batch: int = 0
    cached: bool = True
    tunes: bool = True
    pose_bn: str = "all"
    rates: Mapping[str, Mapping[str, Any]] = {}
    augment: Mapping[str, Any] = {}


_SLOWING = {"schedule": "inverse", "epoch_steps": pascal3d.REAL_EPOCH}
# Crops that move would halve the speed on a CPU.
_COLOUR = {"brightness": 0.1, "contrast": 0.2, "saturation": 0.3}
_MOVING = {"zoom": 0.08, "shift": 0.04, "rotate_deg": 4.0, "contrast": 0.2, "saturation": 0.3}
_JITTER = {"pose_jitter_deg": (1.0, 1.0, 4.0)}
_SMOKE = {"start": 2, "networks": 2, "pose": 2, "category": 2, "joint": 2}
_SHAPES = Budget(
    phase0=2,
    **_SMOKE,
    batch=96,
    frozen_batch=384,
    rate=1e-3,
    frozen_rate=3e-3,
    augment=_COLOUR,
)
# With ImageNet's features as they are.
_CARS = Budget(
    phase0=0,
    start=0,
    networks=720,
    pose=0,
    category=360,
    joint=120,
    batch=144,
    frozen_batch=144,
    rate=0.0,
    frozen_rate=3e-3,
    tunes=False,
)
_PASCAL = Budget(
    phase0=0,
    start=pascal3d.REAL_EPOCH,
    networks=10 * pascal3d.REAL_EPOCH,
    pose=3 * pascal3d.RENDERED_EPOCH,
    category=50 * pascal3d.REAL_EPOCH,
    joint=50 * pascal3d.REAL_EPOCH,
    batch=96,
    frozen_batch=96,
    rate=1e-4,
    frozen_rate=1e-4,
    real_batch=48,
    cached=False,
    augment=_JITTER,
)
BUDGETS: Mapping[tuple[str, str], Budget] = {
    ("shapes", "smoke"): _SHAPES._replace(batch=48, frozen_batch=48, augment={}),
    ("shapes", "small"): _SHAPES._replace(
        phase0=1500, start=120, networks=280, pose=450, category=150, joint=350
    ),
    ("shapes", "full"): _SHAPES._replace(
        phase0=6000, start=400, networks=1200, pose=4000, category=800, joint=3000
    ),
    ("cars3d", "smoke"): _CARS._replace(
        **_SMOKE, batch=72, frozen_batch=72, rate=1e-4, cached=False, tunes=True
    ),
    ("cars3d", "small"): _CARS,
    ("cars3d", "full"): _CARS._replace(
        start=82,
        networks=1640,
        pose=820,
        category=820,
        joint=492,
        rate=1e-4,
        frozen_rate=1e-3,
        cached=False,
        tunes=True,
        augment=_MOVING,
    ),
    ("pascal3d", "smoke"): _PASCAL._replace(**_SMOKE, batch=48, frozen_batch=48, real_batch=0),
    ("pascal3d", "small"): _PASCAL._replace(
        start=1325, networks=2650, pose=5300, category=2650, joint=2650, frozen_rate=1e-3
    ),
    ("pascal3d", "full"): _PASCAL._replace(
        pose_bn="own",
        rates={
            "pose": {
                "schedule": "exponential",
                "epoch_steps": pascal3d.RENDERED_EPOCH,
                "rate": 0.1,
            },
            "category": _SLOWING,
            "joint": _SLOWING,
        },
    ),
}
