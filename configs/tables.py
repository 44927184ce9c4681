"""Every row of the paper's tables 3 to 13, on any dataset and in three sizes.

    python -m launch.tables --table=all --data=shapes --preset=small --workdir=runs/tables

One row alone, after the phase 0 that replaces ImageNet weights where there are none:

    python -m launch.train --config=configs/tables.py:shapes,small,phase0 --workdir=runs/phase0
    python -m launch.train --config=configs/tables.py:shapes,small,balanced_top1 \\
        --config.model.pretrained=runs/phase0

The rows' names are those of catpose/studies/paper/table_rows.py. Rows that begin with the same
phases on the same data train them once: launch.tables sees to it. Expected are the numbers of
docs/tables/results.md; one to three minutes a row on two CPU cores.
"""

from ml_collections import ConfigDict

from catpose.configs import base, cars3d, cars3d_rendered, pascal3d
from catpose.studies.paper import recipes
from catpose.studies.paper.table_rows import RECIPES as ROWS


def get_config(which: str = "shapes,small,pose_first_weighted", pretrained: str = "") -> ConfigDict:
    """The config of a row.

    Args:
      which: a dataset and a preset of `catpose.studies.paper.budgets` and a row, with commas
        between.
      pretrained: the folder of the phase 0 that the row begins with; runs/ and its name if empty.

    Raises:
      ValueError: there is no such row, or not on this dataset.
    """
    data, preset, row = which.split(",")
    missing = recipes.why_not(ROWS[row], data, preset) if row in ROWS else f"no row '{row}'"
    if missing:
        raise ValueError(f"configs/tables.py:{which}: {missing}")
    config = {"shapes": _shapes, "cars3d": _cars3d, "pascal3d": _pascal3d}[data](preset)
    config.update(name="tables", log_steps=50)
    if first := recipes.first_row(ROWS[row], data):
        config.model.pretrained = pretrained or f"runs/{first}"
    recipes.apply(ROWS[row], config, data, preset, base.phase)
    return config


def _shapes(preset: str) -> ConfigDict:
    config = base.get_config()
    config.parallel = "jit"
    width, side, hidden, scale = {
        "smoke": (8, 32, (16, 8), 0),
        "small": (16, 48, (128, 64), 1),
        "full": (24, 64, (128, 64), 4),
    }[preset]
    config.data.update(kind="shapes", resolution=side, seed=7)
    config.data.num_images = {
        "pretrain": 12000 * scale or 96,
        "train": 6000 * scale or 96,
        "rendered": 18000 * scale or 96,
        "validation": 600 * scale or 48,
        "test": 2400 * scale or 48,
    }
    base.small_network(config, width=width, pool_channels=0, pose_hidden=hidden)
    config.optimizer.clip_norm = 5.0
    config.eval.update(batch_size=240, feature_batch_size=240)
    return config


def _cars3d(preset: str) -> ConfigDict:
    config = cars3d.frozen_features()
    config.model.pool_grid = 1  # the paper's
    if preset == "smoke":
        _tiny(config)
        config.model.category_head = "stage5"
    config.checkpoint_steps = 100_000 if preset != "full" else 500
    if preset == "full":
        config.model.update(head_hidden=(), head_dropout=0.0)
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
