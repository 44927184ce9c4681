"""Every key that a config has, with its default; the other files change what they need.

What each key means, and which values it can have, stands in catpose/experiment/config.py.
"""

import dataclasses
import os
from typing import Any

from ml_collections import ConfigDict

from catpose.experiment.config import Config
from catpose.experiment.phases import Phase
from catpose.models.architectures import GROUPS

ALL = GROUPS
# Settings of a phase that learns the joint density log p(c, R) = log p(c) + log p(R | c): the
# cross-entropy of the category, and minus the log-density of its own pose network.
JOINT_DENSITY = {"pose_loss": "nll", "fusion": "oracle", "category_weight": 1.0}


def get_config() -> ConfigDict:
    """The paper's network on no data yet: ResNet-50 up to stage 4, stage 5 as category network."""
    return ConfigDict({**dataclasses.asdict(Config()), "phases": []})


def data_path(*parts: str) -> str:
    """A path in the folder of the environment's CATPOSE_DATA, or else in data/."""
    return os.path.join(os.environ.get("CATPOSE_DATA", "data"), *parts)


def small_network(
    config: ConfigDict, *, width: int, pool_channels: int, pose_hidden: tuple[int, ...]
) -> None:
    """Makes the network one of four residual blocks, for small images and random weights.

    It keeps its features' places (`pool_grid` 0): a small network cannot afford to average them.
    """
    config.model.update(
        blocks=(1, 1, 1, 1),
        width=width,
        block="basic",
        variant="v1.5",
        stem="small",
        pool_grid=0,
        pool_channels=pool_channels,
        pose_hidden=pose_hidden,
        normalization="torchvision",
    )


def phase(name: str, steps: int, **changes: Any) -> ConfigDict:
    """One phase; what is not given is as in the paper's joint phase (Table 1, step 5)."""
    config = ConfigDict(dataclasses.asdict(Phase(name, steps)))
    for key, value in changes.items():
        config[key] = {**config[key], **value} if key in ("learning_rate", "augment") else value
    return config
