"""Whole networks as pure functions: nothing outside this package sees flax.

Every network has the same three top-level parameter groups, the paper's words, on which phases
match: feature_network, category_network and pose_networks.

Reference: Mahendran, Ali and Vidal, sections 3.1 to 3.3 and figure 2.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from flax import linen as nn
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from catpose.models import initial, norm, pose_nets, resnet

GROUPS = ("feature_network", "category_network", "pose_networks")
CATEGORY_HEADS = ("stage5", "pooled")


class Outputs(NamedTuple):
    """What a network makes of B images, for K categories.

    features: the pooled features that the pose networks read.
    category_logits: unnormalised log-probabilities, at least float32.
    pose_outputs: the activated outputs of each category's pose network, at least float32.
    """

    features: Float[Array, "batch features"]
    category_logits: Float[Array, "batch categories"]
    pose_outputs: Float[Array, "batch categories outputs"]


class Network(NamedTuple):
    """A network as functions; variables are {"params": ..., "batch_stats": ...} in float32.

    init_fn(key, image) -> variables; of the image only the shape matters, and a
    jax.ShapeDtypeStruct will do.

    apply_fn(variables, image, key=None, *, features=None, batch_norm_train=frozenset(),
    pose_rows=None, tied=False, axis_name=None) -> (Outputs, new batch_stats):
      image: (B, H, W, 3) in the network's own normalisation; None where features are given.
      key: for dropout, which acts only where a key is given and batch_norm_train has
        "category_network": one key, or (B,) keys, one for each image, which make the result
        independent of how the batch is divided among devices.
      features: what feature_fn returned. The feature network is then not run, nothing flows back
        into its parameters, and its batch_stats come back as they are.
      batch_norm_train: static set of the groups whose batch normalisation uses, and moves, batch
        statistics. All others use running statistics, which come back bit for bit.
      pose_rows: (B, K) weight of each image in the batch statistics of each pose network, None
        for equal ones.
      tied: static; pose network 0 alone runs, on all images, and gives the outputs of all K. Of
        the pose networks' parameters, the first slices (leading axis 1) are enough.
      axis_name: the mapped axis (pmap) over which the batch is spread; None under jit.

    feature_fn(variables, image) -> the output of the feature network on running statistics,
    without gradient: the pooled (B, F) where the category network reads pooled features, else the
    (B, h, w, C) of the split stage.
    """

    init_fn: Callable[..., dict]
    apply_fn: Callable[..., tuple[Outputs, dict]]
    feature_fn: Callable[..., Array]


class FeatureNetwork(nn.Module):
    """A ResNet up to the split stage, and the pooling for the pose networks."""

    resnet: resnet.Architecture
    split_stage: int
    pool_grid: int
    pool_channels: int

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width 3"] | None,
        feature_map: Float[Array, "batch h w c"] | None = None,
        *,
        use_running: bool,
        axis_name: str | None = None,
    ) -> tuple[Float[Array, "batch h w c"], Float[Array, "batch features"]]:
        """The map of the split stage, computed unless given, and the pooled features."""
        if feature_map is None:
            feature_map = resnet.Stem(self.resnet, name="stem")(
                image, use_running=use_running, axis_name=axis_name
            )
            for number in range(resnet.FIRST_STAGE, self.split_stage + 1):
                stage = resnet.Stage(self.resnet, number, name=f"stage{number}")
                feature_map = stage(feature_map, use_running=use_running, axis_name=axis_name)
        x = feature_map
        if self.pool_channels:
            reduce = resnet.Conv(
                self.pool_channels, use_bias=True, dtype=self.resnet.dtype, name="reduce"
            )
            x = reduce(x)
        return feature_map, average_cells(x, self.pool_grid)


class CategoryNetwork(nn.Module):
    """Logits, from the map of the split stage or from the pooled features."""

    resnet: resnet.Architecture
    split_stage: int
    kind: str
    num_categories: int
    hidden: tuple[int, ...]
    dropout: float

    @nn.compact
    def __call__(
        self,
        feature_map: Float[Array, "batch h w c"] | None,
        pooled: Float[Array, "batch features"],
        *,
        use_running: bool,
        key: Key[Array, " batch"] | None = None,
        axis_name: str | None = None,
    ) -> Float[Array, "batch categories"]:
        """Logits, at least float32; dropout acts where each image has a key."""
        dtype = self.resnet.dtype
        if self.kind == "stage5":
            x = feature_map
            for number in range(self.split_stage + 1, resnet.LAST_STAGE + 1):
                stage = resnet.Stage(self.resnet, number, name=f"stage{number}")
                x = stage(x, use_running=use_running, axis_name=axis_name)
            x = average_cells(x, 1)
        else:
            standardise = norm.BatchNorm(name="bn0")
            x = standardise(pooled, use_running=use_running, axis_name=axis_name)
        for i, units in enumerate(self.hidden, start=1):
            x = nn.Dense(
                units,
                use_bias=False,
                dtype=dtype,
                kernel_init=initial.glorot(),
                name=f"linear{i}",
            )(x)
            normalise = norm.BatchNorm(name=f"bn{i}")
            x = nn.relu(normalise(x, use_running=use_running, axis_name=axis_name))
            if key is not None and self.dropout:
                x = drop(jax.vmap(jax.random.fold_in, (0, None))(key, i), x, self.dropout)
        return nn.Dense(
            self.num_categories,
            dtype=jnp.promote_types(dtype, jnp.float32),
            kernel_init=initial.glorot(),
            name="logits",
        )(x)


def integrated(
    *,
    num_categories: int,
    pose: Any,
    blocks: Sequence[int] = (3, 4, 6, 3),
    width: int = 64,
    block: str = "bottleneck",
    variant: str = "v1",
    stem: str = "imagenet",
    split_stage: int = 4,
    pool_grid: int = 1,
    pool_channels: int = 0,
    category_head: str = "stage5",
    head_hidden: Sequence[int] = (),
    head_dropout: float = 0.0,
    pose_hidden: Sequence[int] = (1000, 500),
    dtype: Any = jnp.float32,
) -> Network:
    """The paper's network: shared features, a category network and K pose networks.

    Args:
      num_categories: K, at least 1.
      pose: the pose representation, a catpose.poses.pose.Pose; its num_outputs and activate are
        read.
      blocks: residual blocks of stages 2, 3, 4 and 5; those that no part uses may be left out.
      width: channels of stage 2 inside its blocks.
      block: "bottleneck" or "basic".
      variant: "v1" (Keras) or "v1.5" (torchvision); basic blocks are "v1.5" only.
      stem: "imagenet" (7x7 at stride 2, pool) or "small" (3x3 at stride 2, pool).
      split_stage: last stage of the feature network: 3, 4 or 5 (2 for very small networks).
      pool_grid: the pooled features are averages over pool_grid x pool_grid cells; 1 is the
        paper's global average, 0 keeps every position.
      pool_channels: channels of a 1x1 convolution before that average; 0 for none.
      category_head: "stage5" for the remaining stages on the whole map and a linear layer;
        "pooled" for batch normalisation of the pooled features and a perceptron.
      head_hidden: hidden layers of the category network before its last linear layer.
      head_dropout: probability in [0, 1) of dropping a unit of those hidden layers.
      pose_hidden: hidden layers of each pose network.
      dtype: compute type. Parameters and statistics are float32.

    Returns:
      The network's functions.

    Raises:
      ValueError: an argument is outside its range.
    """
    architecture = resnet.architecture(
        blocks=blocks, width=width, block=block, variant=variant, stem=stem, dtype=dtype
    )
    if category_head not in CATEGORY_HEADS:
        raise ValueError(f"category_head is one of {CATEGORY_HEADS}, not {category_head!r}")
    last = resnet.LAST_STAGE if category_head == "stage5" else split_stage
    if not resnet.FIRST_STAGE <= split_stage <= resnet.LAST_STAGE:
        raise ValueError(f"split_stage is between 2 and 5, not {split_stage}")
    if len(blocks) < last - resnet.FIRST_STAGE + 1:
        raise ValueError(f"blocks={tuple(blocks)} ends before stage {last}")

    feature_network = FeatureNetwork(architecture, split_stage, pool_grid, pool_channels)
    category_network = CategoryNetwork(
        architecture, split_stage, category_head, num_categories, tuple(head_hidden), head_dropout
    )
    pose_networks = pose_nets.PoseNetworks(
        num_categories, pose.num_outputs, pose.activate, tuple(pose_hidden), dtype
    )

    def init_fn(key, image):
        shape, image_dtype = image.shape, image.dtype

        # Compiled as one program, in which the networks themselves are dead code.
        @jax.jit
        def start(key):
            (feature_map, pooled), feature_variables = feature_network.init_with_output(
                key, jnp.zeros(shape, image_dtype), use_running=True
            )
            variables = (
                feature_variables,
                category_network.init(key, feature_map, pooled, use_running=True),
                pose_networks.init(key, pooled, use_running=True),
            )
            params, batch_stats = (
                {group: v.get(collection, {}) for group, v in zip(GROUPS, variables, strict=True)}
                for collection in ("params", "batch_stats")
            )
            return {"params": initial.draw(key, params), "batch_stats": batch_stats}

        return start(key)

    def apply_fn(
        variables,
        image,
        key=None,
        *,
        features=None,
        batch_norm_train=frozenset(),
        pose_rows=None,
        tied=False,
        axis_name=None,
    ):
        if unknown := set(batch_norm_train) - set(GROUPS):
            raise ValueError(f"batch_norm_train names {sorted(unknown)}; groups are {GROUPS}")
        batch_stats = dict(variables["batch_stats"])

        def run(group, module, *args, **kwargs):
            own = {name: variables[name].get(group, {}) for name in ("params", "batch_stats")}
            kwargs |= {"use_running": group not in batch_norm_train, "axis_name": axis_name}
            if kwargs["use_running"]:
                return module.apply(own, *args, **kwargs)
            result, updated = module.apply(own, *args, **kwargs, mutable=["batch_stats"])
            batch_stats[group] = updated.get("batch_stats", {})
            return result

        if features is None:
            feature_map, pooled = run("feature_network", feature_network, image)
        else:
            feature_map, pooled = pool_given(variables, features)
        if "category_network" not in batch_norm_train:
            key = None
        elif key is not None and key.ndim == 0:
            key = jax.random.split(key, len(pooled))
        category_logits = run(
            "category_network",
            category_network,
            feature_map,
            pooled,
            key=key,
        )
        if tied:
            pose_outputs, batch_stats["pose_networks"] = pose_nets.apply_tied(
                pose_networks,
                {name: variables[name]["pose_networks"] for name in ("params", "batch_stats")},
                pooled,
                use_running="pose_networks" not in batch_norm_train,
                axis_name=axis_name,
                rows=pose_rows,
            )
        else:
            pose_outputs = run("pose_networks", pose_networks, pooled, rows=pose_rows)
        return Outputs(pooled, category_logits, pose_outputs), batch_stats

    def pool_given(variables, features):
        if category_head == "pooled":
            return None, features
        # Pooling may have parameters of its own; they rest too.
        own = {"params": lax.stop_gradient(variables["params"].get("feature_network", {}))}
        return feature_network.apply(own, None, features, use_running=True)

    def feature_fn(variables, image):
        own = {name: variables[name]["feature_network"] for name in ("params", "batch_stats")}
        feature_map, pooled = feature_network.apply(own, image, use_running=True)
        return lax.stop_gradient(pooled if category_head == "pooled" else feature_map)

    return Network(init_fn, apply_fn, feature_fn)


def average_cells(x: Float[Array, "batch h w c"], grid: int) -> Float[Array, "batch features"]:
    """Average over grid x grid cells of equal size, flattened row by row; 0 keeps every position.

    Raises:
      ValueError: the map does not divide into that many cells.
    """
    batch, height, width, channels = x.shape
    if grid == 0:
        return x.reshape(batch, height * width * channels)
    if height % grid or width % grid:
        raise ValueError(f"a {height} x {width} map does not divide into {grid} x {grid} cells")
    cells = x.reshape(batch, grid, height // grid, grid, width // grid, channels)
    return cells.mean((2, 4)).reshape(batch, grid * grid * channels)


def drop(
    key: Key[Array, " batch"], x: Float[Array, "batch units"], rate: float
) -> Float[Array, "batch units"]:
    """Dropout, each row by its own key: zero with probability `rate`, else over 1 - rate."""
    keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, x.shape[1:]))(key)
    return jnp.where(keep, x / (1 - rate), jnp.zeros_like(x))


def param_counts(variables: dict) -> dict[str, int]:
    """Number of parameters (not of statistics) in each top-level group, and in "total"."""
    counts = {
        group: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        for group, tree in variables["params"].items()
    }
    return counts | {"total": sum(counts.values())}
