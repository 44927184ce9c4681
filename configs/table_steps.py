"""The steps of the paper's Table 1 as phases, and how long they take, by dataset and preset."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from configs import base, pascal3d

FEATURES, CATEGORY, POSE = base.ALL
# A category network without the feature network that it has to itself.
HEAD = "category_network/(?!own_features)[^/]+"


# The losses of those representations that are not regressed on the geodesic one.
LOSSES = {
    "euler": "mse",
    "matrix_fisher": "nll",
    "euler_bins": "cross_entropy",
    "fine_bins": "soft_cross_entropy",
    "multibin": "multibin",
}


class Row(NamedTuple):
    """How a row of a table is trained.

    Attributes:
      steps: of Table 1, by the names in `STEPS`.
      model: what it changes in `config.model`.
      rendered: whether rendered images help to learn poses.
      fusion: in the joint phase.
      category_weight: lambda of the joint phase.
    """

    steps: tuple[str, ...]
    model: Mapping[str, Any] = {}
    rendered: bool = False
    fusion: str = "weighted"
    category_weight: float = 0.1


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
      pose_bn: see `catpose.train.phases.Phase`.
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
BUDGETS: Mapping[tuple[str, str], Budget] = {
    ("shapes", "smoke"): Budget(2, 2, 2, 2, 2, 2, 48, 48, 1e-3, 3e-3),
    ("shapes", "small"): Budget(
        1500, 120, 280, 450, 150, 350, 96, 384, 1e-3, 3e-3, augment=_COLOUR
    ),
    ("shapes", "full"): Budget(
        6000, 400, 1200, 4000, 800, 3000, 96, 384, 1e-3, 3e-3, augment=_COLOUR
    ),
    ("cars3d", "smoke"): Budget(0, 2, 2, 0, 2, 2, 72, 72, 0.0, 3e-3, tunes=False),
    ("cars3d", "small"): Budget(0, 0, 720, 0, 360, 120, 144, 144, 0.0, 3e-3, tunes=False),
    ("cars3d", "full"): Budget(
        0, 82, 1640, 820, 820, 492, 144, 144, 1e-4, 1e-3, cached=False, augment=_MOVING
    ),
    ("pascal3d", "smoke"): Budget(
        0, 2, 2, 2, 2, 2, 48, 48, 1e-4, 1e-4, cached=False, augment=_JITTER
    ),
    ("pascal3d", "small"): Budget(
        0,
        1325,
        2650,
        5300,
        2650,
        2650,
        96,
        96,
        1e-4,
        1e-3,
        real_batch=48,
        cached=False,
        augment=_JITTER,
    ),
    ("pascal3d", "full"): Budget(
        0,
        pascal3d.REAL_EPOCH,
        10 * pascal3d.REAL_EPOCH,
        3 * pascal3d.RENDERED_EPOCH,
        50 * pascal3d.REAL_EPOCH,
        50 * pascal3d.REAL_EPOCH,
        96,
        96,
        1e-4,
        1e-4,
        real_batch=48,
        cached=False,
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
        augment=_JITTER,
    ),
}


def _rate(peak: float, budget: Budget, step: str = "", *, slow: bool = False) -> dict[str, Any]:
    warmup = 50 if budget.tunes and budget.joint > 50 else 0
    rate = {"peak": peak / 5 if slow else peak, "schedule": "cosine", "warmup_steps": warmup}
    return rate | dict(budget.rates.get(step, {}))


def _sources(row: Row, budget: Budget, data: str, *, rests: bool, real: bool) -> dict[str, int]:
    batch = budget.frozen_batch if rests else budget.batch
    if real:
        return {"train": budget.real_batch or batch}
    if not row.rendered:
        return {"train": batch}
    # Half of the batch, so that rows with and without take equally long.
    return {"train": batch // 2, "drawn" if data == "cars3d" else "rendered": batch // 2}


def _resting(
    row: Row, budget: Budget, data: str, step: str, *, real: bool = False
) -> dict[str, Any]:
    """What phases have in common in which the feature network rests."""
    return {
        "sources": _sources(row, budget, data, rests=True, real=real),
        "cached_features": budget.cached,
        "views": ("identity", "mirror") if budget.cached else (),
        "augment": {} if budget.cached else budget.augment,
        "learning_rate": _rate(budget.frozen_rate, budget, step),
    }


def _moving(
    row: Row, budget: Budget, data: str, step: str, *, real: bool = False
) -> dict[str, Any]:
    """What phases have in common in which feature networks train."""
    return {
        "sources": _sources(row, budget, data, rests=False, real=real),
        "augment": budget.augment,
        "learning_rate": _rate(budget.rate, budget, step, slow=row.model.get("trunk") == "vgg_m"),
    }


def _phase0(config: ConfigDict, row: Row, budget: Budget, data: str) -> list[ConfigDict]:
    """Category pre-training on objects of its own, in the place of ImageNet's."""
    config.model.pretrained = "none"
    train = (FEATURES, CATEGORY)
    return [
        base.phase(
            "phase 0",
            budget.phase0,
            train=train,
            batch_norm=train,
            pose_weight=0.0,
            category_weight=1.0,
            sources={"pretrain": budget.batch},
            learning_rate=_rate(
                3 * budget.rate, budget, "phase0", slow=row.model.get("trunk") == "vgg_m"
            ),
        )
    ]


def _networks(config: ConfigDict, row: Row, budget: Budget, data: str) -> list[ConfigDict]:
    """Steps 1 and 2 of Table 1: each category's pose network by itself, on frozen features."""

    def phase(name: str, steps: int, loss: str) -> ConfigDict:
        return base.phase(
            name,
            steps,
            train=(POSE,),
            batch_norm=(POSE,),
            pose_loss=loss,
            category_weight=0.0,
            fusion="oracle",
            pose_bn=budget.pose_bn,
            **_resting(row, budget, data, "networks"),
        )

    loss = LOSSES.get(config.model.pose, "geodesic")
    if config.model.pose != "axis_angle" or not budget.start:
        return [phase("pose networks", budget.start + budget.networks, loss)]
    return [
        phase("pose networks, MSE", budget.start, "mse"),
        phase("pose networks", budget.networks, loss),
    ]


def _pose(config: ConfigDict, row: Row, budget: Budget, data: str) -> list[ConfigDict]:
    """Step 3, pose-first: feature and pose networks, told the category."""
    if not budget.tunes:
        return []
    return [
        base.phase(
            "pose",
            budget.pose,
            train=(FEATURES, POSE),
            batch_norm=(FEATURES, POSE),
            pose_loss=LOSSES.get(config.model.pose, "geodesic"),
            category_weight=0.0,
            fusion="oracle",
            pose_bn=budget.pose_bn,
            **_moving(row, budget, data, "pose"),
        )
    ]


def _category(config: ConfigDict, row: Row, budget: Budget, data: str) -> list[ConfigDict]:
    """The category network on the features as they are: step 4, or step 3 of balanced training."""
    common = row._replace(fusion="weighted")  # of no effect here, and shared by rows of both
    return [_category_phase("category", common, budget, data, (CATEGORY,), rests=True)]


def _category_phase(
    name: str, row: Row, budget: Budget, data: str, train: tuple[str, ...], *, rests: bool
) -> ConfigDict:
    common = (_resting if rests else _moving)(row, budget, data, "category", real=True)
    whole = train in ((CATEGORY,), (HEAD,)) and data != "pascal3d"
    return base.phase(
        name,
        budget.category,
        train=train,
        batch_norm=(CATEGORY,) if whole else (),
        pose_weight=0.0,
        category_weight=1.0,
        fusion=row.fusion,
        **common,
    )


def _own_head(config: ConfigDict, row: Row, budget: Budget, data: str) -> list[ConfigDict]:
    """The second ResNet stays; its last layers learn ("FC" of Table 9)."""
    stored = budget._replace(cached=True)  # two vectors an image, however large the networks
    return [_category_phase("category, FC", row, stored, data, (HEAD,), rests=True)]


def _own_stage5(config: ConfigDict, row: Row, budget: Budget, data: str) -> list[ConfigDict]:
    train = ("category_network/own_features/stage5", HEAD)
    return [_category_phase("category, FC and stage 5", row, budget, data, train, rests=False)]


def _own_category(config: ConfigDict, row: Row, budget: Budget, data: str) -> list[ConfigDict]:
    return [_category_phase("category, everything", row, budget, data, (CATEGORY,), rests=False)]


def _joint(config: ConfigDict, row: Row, budget: Budget, data: str) -> list[ConfigDict]:
    """The last step: everything together, on real images alone."""
    common = {"category_weight": row.category_weight, "fusion": row.fusion}
    if not budget.tunes:
        # With so few photographs of a category its pose network keeps its statistics.
        resting = _resting(row, budget, data, "joint", real=True)
        resting["learning_rate"] = _rate(budget.frozen_rate / 30, budget, "joint")
        train = (CATEGORY, POSE)
        return [
            base.phase(
                "joint", budget.joint, train=train, batch_norm=(CATEGORY,), **common, **resting
            )
        ]
    return [
        base.phase(
            "joint", budget.joint, **common, **_moving(row, budget, data, "joint", real=True)
        )
    ]


STEPS = {
    "phase0": _phase0,
    "networks": _networks,
    "pose": _pose,
    "category": _category,
    "own head": _own_head,
    "own head and stage 5": _own_stage5,
    "own category": _own_category,
    "joint": _joint,
}
