"""Every row of the paper's tables 3 to 13, on any dataset and in three sizes.

    python -m launch.tables --table=all --data=shapes --preset=small --workdir=runs/tables

One row alone, beside the phase 0 that stands for ImageNet where there is none:

    python -m launch.train --config=configs/tables.py:shapes,small,phase0 --workdir=runs/phase0
    python -m launch.train --config=configs/tables.py:shapes,small,balanced_top1 \\
        --config.model.pretrained=runs/phase0

Rows that begin with the same phases on the same data train them once: launch.tables sees to it.
Expected are the figures of docs/tables/results.md; one to three minutes a row on two CPU cores.
"""

from collections.abc import Mapping
from typing import Any

from catpose.configs.table_budgets import BUDGETS
from catpose.configs.table_steps import STEPS, Row
from ml_collections import ConfigDict

from catpose.configs import base, cars3d, cars3d_rendered, pascal3d

DATA = ("shapes", "cars3d", "pascal3d")
PRESETS = ("smoke", "small", "full")
POSE_FIRST = ("networks", "pose", "category", "joint")
BALANCED = ("networks", "category", "joint")
REPRESENTATIONS = (
    "axis_angle",
    "quaternion",
    "euler",
    "sixd",
    "svd",
    "matrix_fisher",
    "euler_bins",
    "fine_bins",
    "multibin",
    "bin_delta",
)
# Hidden units of the one network for all categories, over those of a category's own: Table 4.
AGNOSTIC = {"1k": 1, "5k": 5, "12k": 12}


def _rows() -> dict[str, Row]:
    rows = {
        "phase0": Row(("phase0",)),
        "phase0_vgg_m": Row(("phase0",), {"trunk": "vgg_m"}),
        "balanced_before": Row(BALANCED[:-1]),
        "shared": Row(POSE_FIRST, {"architecture": "shared"}, rendered=True),
        "independent": Row(
            ("networks", "pose", "own category"), {"architecture": "independent"}, rendered=True
        ),
        "vgg_m": Row(("networks", "pose"), {"trunk": "vgg_m"}, rendered=True),
    }
    for stage in (3, 4, 5):
        rows[f"stage{stage}"] = Row(("networks",), {"split_stage": stage})
    for name in AGNOSTIC:
        rows[f"agnostic_{name}"] = Row(("networks",), {"architecture": "shared", "hidden": name})
    for fusion in ("weighted", "top1"):
        rows[f"pose_first_{fusion}"] = Row(POSE_FIRST, fusion=fusion)
        rows[f"rendered_{fusion}"] = Row(POSE_FIRST, rendered=True, fusion=fusion)
        rows[f"integrated_{fusion}"] = rows[f"rendered_{fusion}"]  # as against other architectures
        rows[f"balanced_{fusion}"] = Row(BALANCED, fusion=fusion)
        rows[f"lambda1_{fusion}"] = Row(POSE_FIRST, fusion=fusion, category_weight=1.0)
    second = {"everything": "category", "fc": "head", "fc_stage5": "head and stage 5"}
    for name, learns in second.items():
        rows[f"sequential_{name}"] = Row(
            ("networks", "pose", f"own {learns}"),
            {"architecture": "sequential"},
            rendered=True,
            fusion="top1",
        )
    for pose in ("euler_bins", "fine_bins", "multibin"):
        rows[pose] = Row(("networks", "pose"), {"pose": pose}, rendered=True)
    for pose in REPRESENTATIONS:
        rows[f"frozen_{pose}"] = Row(("networks",), {"pose": pose})
    rows["frozen_bin_delta_fitted"] = Row(("networks",), {"pose": "bin_delta", "pose_keys": 16})
    return rows


ROWS: Mapping[str, Row] = _rows()


def get_config(
    which: str = "shapes,small,pose_first_weighted", begins: str = "runs/"
) -> ConfigDict:
    """The config of a row.

    Args:
      which: a name of `DATA`, one of `PRESETS` and one of `ROWS`, with commas between.
      begins: what is put before the name of the row of phase 0 to find its weights.
    """
    data, preset, name = which.split(",")
    missing = why_not(data, preset, name)
    if missing:
        raise ValueError(f"configs/tables.py:{which}: {missing}")
    row, budget = ROWS[name], BUDGETS[data, preset]
    row = row._replace(rendered=row.rendered and budget.tunes)
    config = {"shapes": _shapes, "cars3d": _cars3d, "pascal3d": _pascal3d}[data](preset)
    config.name = "tables"
    if data == "shapes":
        config.model.pretrained = f"{begins}phase0"
    config.log_steps = 50
    if not row.rendered:
        config.data.rendered = ""  # need not be there
    _change_model(config, row.model)
    config.phases = [
        phase for step in row.steps for phase in STEPS[step](config, row, budget, data)
    ]
    return config


def why_not(data: str, preset: str, name: str) -> str:
    """Why there is no such row; "" where there is one."""
    for value, known in ((data, DATA), (preset, PRESETS), (name, ROWS)):
        if value not in known:
            return f"'{value}' is none of {', '.join(known)}"
    row = ROWS[name]
    if data != "shapes" and row.steps == ("phase0",):
        return "phase 0 is of shapes alone; elsewhere there are ImageNet's weights"
    if data != "shapes" and preset != "smoke":  # which begins with random weights
        if row.model.get("trunk") == "vgg_m":
            return "there are no ImageNet weights of VGG-M"
        if data == "cars3d" and (row.model.get("split_stage") == 5 or "stage5" in name):
            return "there are no ImageNet weights of stage 5"
    if not BUDGETS[data, preset].tunes:
        if set(row.steps) != {"networks"} and name not in _RESTING:
            return "it is about training the feature network: --preset=full, on a GPU"
    return ""


# Rows that say something of a feature network that never trains; then no images are rendered.
_RESTING = (
    "balanced_before",
    "shared",
    "sequential_fc",
    *(
        f"{row}_{fusion}"
        for row in ("pose_first", "lambda1", "integrated")
        for fusion in ("weighted", "top1")
    ),
)


def _change_model(config: ConfigDict, changes: Mapping[str, Any]) -> None:
    changes = dict(changes)
    first, *others = config.model.pose_hidden
    config.model.pose_hidden = (first * AGNOSTIC[changes.pop("hidden", "1k")], *others)
    if config.data.kind == "shapes" and changes.get("split_stage") == 3:
        # Averages over 2 x 2 places: stage 3 has four times as many as stage 4.
        config.model.pool_grid = config.data.resolution // 16
    if changes.get("trunk") == "vgg_m":
        # No BatchNorm: it is trained on bytes minus a mean, as published, and more slowly.
        config.model.category_head, config.model.normalization = "pooled", "keras"
        config.data.resolution = max(config.data.resolution, 48)
        if config.model.pretrained.endswith("phase0"):
            config.model.pretrained += "_vgg_m"
    config.model.update(changes)


def _shapes(preset: str) -> ConfigDict:
    config = base.get_config()
    config.parallel = "jit"
    config.data.kind = "shapes"
    width, side, hidden, scale = {
        "smoke": (8, 32, (16, 8), 0),
        "small": (16, 48, (128, 64), 1),
        "full": (24, 64, (128, 64), 4),
    }[preset]
    config.data.resolution = side
    config.data.num_images = {
        "pretrain": 12000 * scale or 96,
        "train": 6000 * scale or 96,
        "rendered": 18000 * scale or 96,
        "validation": 600 * scale or 48,
        "test": 2400 * scale or 48,
    }
    config.data.seed = 7
    base.small_network(config, width=width, pool_channels=0, pose_hidden=hidden)
    config.optimizer.clip_norm = 5.0
    config.eval.batch_size = 240
    config.eval.feature_batch_size = 240
    return config


def _cars3d(preset: str) -> ConfigDict:
    config = cars3d.get_config()
    config.model.pool_grid = 1  # the paper's
    if preset == "smoke":
        _tiny(config)
        config.model.category_head = "stage5"
    config.checkpoint_steps = 100_000 if preset != "full" else 500
    if preset == "full":
        config.model.head_hidden, config.model.head_dropout = (), 0.0
        config.optimizer.clip_norm = 5.0
        config.data.margin = 24
    config.engine = cars3d_rendered.get_config().engine
    return config


def _pascal3d(preset: str) -> ConfigDict:
    config = pascal3d.get_config()
    if preset == "small":
        config.data.rendered_per_category = 2000
    if preset == "smoke":
        _tiny(config)
        config.data.rendered_per_category = 10
    return config


def _tiny(config: ConfigDict) -> None:
    base.small_network(config, width=8, pool_channels=0, pose_hidden=(16, 8))
    config.data.resolution = 32
    config.model.pretrained = "none"
