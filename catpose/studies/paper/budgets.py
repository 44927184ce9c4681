"""How long each step of the paper's Table 1 takes, by dataset and preset.

The authors' schedule on PASCAL3D+ is here too, and configs/pascal3d.py trains with it: steps,
batches and learning rates are those of their code for their follow-up papers. Where the paper gives
any, they agree.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

DATA = ("shapes", "cars3d", "pascal3d")
PRESETS = ("smoke", "small", "full")


class Budget(NamedTuple):
    """Lengths and learning rates of the steps of Table 1.

    Attributes:
      phase0: steps of the category pre-training in the place of ImageNet's; 0 for none.
      mse: first steps of the pose networks alone, on the MSE; for axis-angle vectors only.
      networks: further steps of the pose networks alone, on frozen features.
      pose: steps of feature and pose networks.
      category: steps of the category network.
      joint: steps of everything.
      batch: batch size where the feature network trains, rendered images included.
      frozen_batch: batch size where it is frozen.
      rate: peak learning rate where the feature network trains.
      frozen_rate: peak learning rate where it is frozen.
      real_batch: batch size of the category and joint steps; 0 for the same as elsewhere.
      cached: frozen features are cached.
      tunes: the feature network trains at all.
      pose_bn: see `catpose.experiment.phases.Phase`.
      category_bn: the category network alone trains on batch statistics, not on running ones.
      rendered: the split of rendered images.
      schedules: by step, what differs from a cosine schedule.
      augment: augmentation of images whose features are not cached.
    """

    phase0: int
    mse: int
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
    category_bn: bool = True
    rendered: str = "rendered"
    schedules: Mapping[str, Mapping[str, Any]] = {}
    augment: Mapping[str, Any] = {}


_SMOKE = {"mse": 2, "networks": 2, "pose": 2, "category": 2, "joint": 2}
_SHAPES = Budget(
    phase0=2,
    **_SMOKE,
    batch=96,
    frozen_batch=384,
    rate=1e-3,
    frozen_rate=3e-3,
    # Crops that move would halve the speed on a CPU.
    augment={"brightness": 0.1, "contrast": 0.2, "saturation": 0.3},
)
# ImageNet's features, frozen.
_CARS = Budget(
    phase0=0,
    mse=0,
    networks=720,
    pose=0,
    category=360,
    joint=120,
    batch=144,
    frozen_batch=144,
    rate=0.0,
    frozen_rate=3e-3,
    tunes=False,
    rendered="drawn",  # online, from 3D models
)
# An epoch is the largest category once: 5300 cars, four or eight in a batch; 200k rendered images
# of each category, four in a batch.
REAL_EPOCH, RENDERED_EPOCH = 1325, 50_000
_INVERSE = {"schedule": "inverse", "epoch_steps": REAL_EPOCH}
_PASCAL3D = Budget(
    phase0=0,
    mse=REAL_EPOCH,
    networks=10 * REAL_EPOCH,
    pose=3 * RENDERED_EPOCH,
    category=50 * REAL_EPOCH,
    joint=50 * REAL_EPOCH,
    batch=96,
    frozen_batch=96,
    rate=1e-4,
    frozen_rate=1e-4,
    real_batch=48,
    cached=False,
    category_bn=False,
    augment={"pose_jitter_deg": (1.0, 1.0, 4.0)},
)
PAPER = _PASCAL3D._replace(
    pose_bn="own",
    schedules={
        "pose": {"schedule": "exponential", "epoch_steps": RENDERED_EPOCH, "rate": 0.1},
        "category": _INVERSE,
        "joint": _INVERSE,
    },
)
BUDGETS: Mapping[tuple[str, str], Budget] = {
    ("shapes", "smoke"): _SHAPES._replace(batch=48, frozen_batch=48, augment={}),
    ("shapes", "small"): _SHAPES._replace(
        phase0=1500, mse=120, networks=280, pose=450, category=150, joint=350
    ),
    ("shapes", "full"): _SHAPES._replace(
        phase0=6000, mse=400, networks=1200, pose=4000, category=800, joint=3000
    ),
    ("cars3d", "smoke"): _CARS._replace(
        **_SMOKE, batch=72, frozen_batch=72, rate=1e-4, cached=False, tunes=True
    ),
    ("cars3d", "small"): _CARS,
    ("cars3d", "full"): _CARS._replace(
        mse=82,
        networks=1640,
        pose=820,
        category=820,
        joint=492,
        rate=1e-4,
        frozen_rate=1e-3,
        cached=False,
        tunes=True,
        augment={
            "zoom": 0.08, "shift": 0.04, "rotate_deg": 4.0, "contrast": 0.2, "saturation": 0.3,
        },
    ),
    ("pascal3d", "smoke"): _PASCAL3D._replace(**_SMOKE, batch=48, frozen_batch=48, real_batch=0),
    ("pascal3d", "small"): _PASCAL3D._replace(
        mse=1325, networks=2650, pose=5300, category=2650, joint=2650, frozen_rate=1e-3
    ),
    ("pascal3d", "full"): PAPER,
}  # fmt: skip
# How what is trained on each dataset differs from the paper's.
ABOUT: Mapping[str, str] = {
    "shapes": "Objects of twelve built-in families, drawn at 48 pixels (32 of smoke, 64 of full), "
    "and a small residual network with its stages in the places of a ResNet-50's. It has been "
    'trained on the categories of further drawn objects, in the place of ImageNet. "Real" '
    'images have clutter behind the objects, "rendered" ones a plain color. Methods of others '
    "are their representation and loss on this network.",
    "cars3d": "Photographs of cars in nine categories (body types). But with the preset full, "
    "ResNet-50's ImageNet features stay as they are and are cached: the phases in which the "
    "feature network trains fall away, no images are rendered, and all rows read the same "
    "features. The second ResNet of the sequential network is then a copy of the first, and so "
    "differs from the integrated network in the joint phase alone. Top1 fusion sends the category "
    "network no gradient of the pose, and Adam divides the factor lambda of all others out again: "
    "Table 12's two Top1 rows are the same training.",
    "pascal3d": "The paper's own data; the preset small has a twentieth of its steps and fewer "
    "rendered images.",
}
