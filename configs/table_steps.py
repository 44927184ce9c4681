"""The steps of the paper's Table 1 as phases."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from catpose.configs.table_budgets import Budget
from ml_collections import ConfigDict

from catpose.configs import base

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
