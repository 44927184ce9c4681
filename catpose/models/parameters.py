"""Numbers of parameters, exactly: of any network, and of those that the paper compares."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax

from catpose.models import architectures
from catpose.poses import axis_angle

# The paper's networks at their full size, by what differs from figure 2d.
INTEGRATED, AGNOSTIC_12K = "integrated", "shared, one pose network of 12000 units"
PAPER: Mapping[str, Mapping[str, Any]] = {
    INTEGRATED: {},
    "integrated, split after stage 3": {"split_stage": 3},
    "integrated, split after stage 5": {"split_stage": 5},
    "shared": {"architecture": "shared"},
    "shared, one pose network of 5000 units": {
        "architecture": "shared", "pose_hidden": (5000, 500),
    },
    AGNOSTIC_12K: {"architecture": "shared", "pose_hidden": (12000, 500)},
    "sequential": {"architecture": "sequential"},
    "independent": {"architecture": "independent"},
    "VGG-M": {"trunk": "vgg_m", "width": 96, "category_head": "pooled"},
}  # fmt: skip


def count(params: Mapping[str, Any]) -> dict[str, int]:
    """Number of parameters (not of statistics) in each top-level group, and in "total"."""
    counts = {
        group: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        for group, tree in params.items()
    }
    return counts | {"total": sum(counts.values())}


def count_network(init_fn: Callable[..., Any], resolution: int) -> dict[str, int]:
    """The same of a network, of which no weights are made.

    Args:
      init_fn: its `init_fn`, see `architectures.Network`.
      resolution: side of its input, pixels.
    """
    image = jax.ShapeDtypeStruct((1, resolution, resolution, 3), "float32")
    return count(jax.eval_shape(init_fn, jax.random.key(0), image)["params"])


def count_paper() -> dict[str, dict[str, int]]:
    """The same of each network in `PAPER`, with twelve categories and images of 224 pixels."""
    built = {
        name: architectures.build(num_categories=12, pose=axis_angle.AXIS_ANGLE, **changes)
        for name, changes in PAPER.items()
    }
    return {name: count_network(network.init_fn, 224) for name, network in built.items()}
