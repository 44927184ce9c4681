"""Whole networks as pure functions: nothing outside this package sees flax.

Every network has the same three top-level parameter groups, the paper's words, on which phases
match: feature_network, category_network and pose_networks. The four architectures of figure 2 are
the same parts, composed in two ways each:

                 category from             pose networks
    integrated   the shared features       one for each category
    shared       the shared features       one for all
    sequential   a network of its own      one for each category
    independent  a network of its own      one for all

Reference: Mahendran, Ali and Vidal, sections 3.1 to 3.3 and figure 2.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from catpose.models import heads, init, pose_nets, resnet, vgg_m

GROUPS = ("feature_network", "category_network", "pose_networks")
COLLECTIONS = ("params", "batch_stats")
CATEGORY_HEADS = ("stage5", "pooled")
TRUNKS = ("resnet", "vgg_m")
# Where a second feature network is, of the architectures that have one.
OWN_FEATURES = "category_network/own_features"


class _Composition(NamedTuple):
    own_features: bool  # the category network reads the image by itself
    agnostic: bool  # one pose network serves all categories


ARCHITECTURES: Mapping[str, _Composition] = {
    "integrated": _Composition(own_features=False, agnostic=False),
    "shared": _Composition(own_features=False, agnostic=True),
    "sequential": _Composition(own_features=True, agnostic=False),
    "independent": _Composition(own_features=True, agnostic=True),
}


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
    (B, h, w, C) of the split stage. Where the category network has features of its own, (B, F + G):
    both networks' pooled features side by side.

    feature_paths: beginnings of the paths of the parameters that feature_fn reads.
    """

    init_fn: Callable[..., dict]
    apply_fn: Callable[..., tuple[Outputs, dict]]
    feature_fn: Callable[..., Array]
    feature_paths: tuple[str, ...]


def build(
    *,
    num_categories: int,
    architecture: str = "integrated",
    trunk: str = "resnet",
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
    remat: bool = False,
) -> Network:
    """A network of figure 2; by default the paper's own.

    Args:
      num_categories: K, at least 1.
      architecture: a name in `ARCHITECTURES`.
      trunk: "resnet", or "vgg_m", for which `width` counts and, of the rest about ResNets, nothing;
        its category head is "pooled".
      pose: the pose representation, a catpose.poses.base.Pose; its num_outputs and activate are
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
        "pooled" for batch normalisation of the pooled features and a perceptron. A category
        network with features of its own has all stages with "stage5", and with "pooled" what the
        feature network has.
      head_hidden: hidden layers of the category network before its last linear layer.
      head_dropout: probability in [0, 1) of dropping a unit of those hidden layers.
      pose_hidden: hidden layers of each pose network.
      dtype: compute type. Parameters and statistics are float32, float64 where it is that.
      remat: of a ResNet, see `resnet.architecture`.

    Returns:
      The network's functions.

    Raises:
      ValueError: an argument is outside its range.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture is one of {tuple(ARCHITECTURES)}, not {architecture!r}")
    if category_head not in CATEGORY_HEADS:
        raise ValueError(f"category_head is one of {CATEGORY_HEADS}, not {category_head!r}")
    composition = ARCHITECTURES[architecture]
    if trunk == "vgg_m":
        described = vgg_m.Architecture(width, dtype, vgg_m.units(width))
        if category_head != "pooled":
            raise ValueError("VGG-M has no stages to be split at: category_head is 'pooled'")
    elif trunk == "resnet":
        described = resnet.architecture(
            blocks=blocks,
            width=width,
            block=block,
            variant=variant,
            stem=stem,
            dtype=dtype,
            remat=remat,
        )
        last = resnet.LAST_STAGE if category_head == "stage5" else split_stage
        if not resnet.FIRST_STAGE <= split_stage <= resnet.LAST_STAGE:
            raise ValueError(f"split_stage is between 2 and 5, not {split_stage}")
        if len(blocks) < last - resnet.FIRST_STAGE + 1:
            raise ValueError(f"blocks={tuple(blocks)} ends before stage {last}")
    else:
        raise ValueError(f"trunk is one of {TRUNKS}, not {trunk!r}")

    feature_network = heads.FeatureNetwork(described, split_stage, pool_grid, pool_channels)
    own_features = None
    if composition.own_features:
        own_features = feature_network.clone()
        if category_head == "stage5":
            own_features = heads.FeatureNetwork(described, resnet.LAST_STAGE, 1, 0)
    category_network = heads.CategoryNetwork(
        own_features,
        described if trunk == "resnet" else None,
        split_stage,
        category_head,
        num_categories,
        tuple(head_hidden),
        head_dropout,
        dtype,
    )
    pose_networks = pose_nets.PoseNetworks(
        num_categories, pose.num_outputs, pose.activate, tuple(pose_hidden), dtype
    )
    kept_networks = pose_networks.clone(num_networks=1 if composition.agnostic else num_categories)

    stored = jnp.promote_types(dtype, jnp.float32)

    def init_fn(key, image):
        modules = (feature_network, category_network, kept_networks)
        return _start(key, modules, image.shape, image.dtype, stored)

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
            own = {name: variables[name].get(group, {}) for name in COLLECTIONS}
            kwargs |= {"use_running": group not in batch_norm_train, "axis_name": axis_name}
            if kwargs["use_running"]:
                return module.apply(own, *args, **kwargs)
            result, updated = module.apply(own, *args, **kwargs, mutable=["batch_stats"])
            batch_stats[group] = updated.get("batch_stats", {})
            return result

        own_pooled = None
        if features is None:
            feature_map, pooled = run("feature_network", feature_network, image)
        elif composition.own_features:
            feature_map, (pooled, own_pooled) = None, divide(variables, features)
        else:
            feature_map, pooled = pool_given(variables, features)
        if "category_network" not in batch_norm_train:
            key = None
        elif key is not None and key.ndim == 0:
            key = jax.random.split(key, len(pooled))
        category_logits = run(
            "category_network",
            category_network,
            image,
            feature_map,
            pooled,
            own_pooled,
            key=key,
        )
        if tied or composition.agnostic:
            pose_outputs, batch_stats["pose_networks"] = pose_nets.apply_tied(
                pose_networks,
                {name: variables[name]["pose_networks"] for name in COLLECTIONS},
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

    def divide(variables, features):
        first = variables["params"]["pose_networks"]["linear1" if pose_hidden else "output"]
        return jnp.split(features, [first["kernel"].shape[1]], axis=1)

    def feature_fn(variables, image):
        own = {name: variables[name].get("feature_network", {}) for name in COLLECTIONS}
        feature_map, pooled = feature_network.apply(own, image, use_running=True)
        if composition.own_features:
            second = {
                name: variables[name].get("category_network", {}).get("own_features", {})
                for name in COLLECTIONS
            }
            _, own_pooled = own_features.apply(second, image, use_running=True)
            return lax.stop_gradient(jnp.concatenate([pooled, own_pooled], axis=1))
        return lax.stop_gradient(pooled if category_head == "pooled" else feature_map)

    feature_paths = ("feature_network", *((OWN_FEATURES,) if composition.own_features else ()))
    return Network(init_fn, apply_fn, feature_fn, feature_paths)


# One program, in which the networks themselves are dead code. Modules are equal where their fields
# are: what makes many networks of one structure traces it once.
@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _start(key, modules, shape, image_dtype, stored):
    feature_network, category_network, pose_networks = modules
    image = jnp.zeros(shape, image_dtype)
    (feature_map, pooled), feature_variables = feature_network.init_with_output(
        key, image, use_running=True
    )
    variables = (
        feature_variables,
        category_network.init(key, image, feature_map, pooled, use_running=True),
        pose_networks.init(key, pooled, use_running=True),
    )
    params, batch_stats = (
        {group: v.get(collection, {}) for group, v in zip(GROUPS, variables, strict=True)}
        for collection in COLLECTIONS
    )
    drawn = {"params": init.draw(key, params), "batch_stats": batch_stats}
    return jax.tree.map(lambda leaf: leaf.astype(stored), drawn)


def param_counts(variables: dict) -> dict[str, int]:
    """Number of parameters (not of statistics) in each top-level group, and in "total"."""
    counts = {
        group: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        for group, tree in variables["params"].items()
    }
    return counts | {"total": sum(counts.values())}
