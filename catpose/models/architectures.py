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
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from catpose import config_keys
from catpose.models import BACKBONES, heads, initializers, pose_nets
from catpose.models.backbone import CLASSIFIER, Backbone
from catpose.models.settings import ARCHITECTURES, Settings

GROUPS = ("feature_network", "category_network", "pose_networks")
COLLECTIONS = ("params", "batch_stats")
# Where a second feature network is, of the architectures that have one.
OWN_FEATURES = "category_network/own_features"


class Outputs(NamedTuple):
    """The outputs of a network for B images and K categories.

    features: the pooled features that the pose networks read.
    category_logits: unnormalized log-probabilities, at least float32.
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
    pose_bn_weights=None, tied=False, axis_name=None) -> (Outputs, new batch_stats):
      image: (B, H, W, 3) in the network's own normalization; None where features are given.
      key: for dropout, which acts only where a key is given and batch_norm_train has
        "category_network": one PRNG key, or (B,), one for each image, which make the result
        independent of how the batch is divided among devices.
      features: what feature_fn returned. The feature network is then not run, nothing flows back
        into its parameters, and its batch_stats come back as they are.
      batch_norm_train: static set of the groups whose batch normalization uses, and moves, batch
        statistics. All others use running statistics, which come back bit for bit.
      pose_bn_weights: (B, K) weight of each image in the batch statistics of each pose network;
        None for equal ones.
      tied: static; pose network 0 alone runs, on all images, and gives the outputs of all K. Of
        the pose networks' parameters, the first slices (leading axis 1) are enough.
      axis_name: the mapped axis (pmap) over which the batch is spread; None under jit.

    feature_fn(variables, image) -> the output of the feature network on running statistics,
    without gradient: the pooled (B, F) where the category network reads pooled features, else the
    (B, h, w, C) of the split stage. Where the category network has features of its own, (B, F + G):
    both networks' pooled features side by side.

    feature_paths: beginnings of the paths of the parameters that feature_fn reads.

    feature_settings: what, beside those parameters and the image, its result depends on.

    backbone, net: an entry of `catpose.models.BACKBONES`, and what its `describe` returned.

    knows_others: whether the category logits are logarithms of probabilities, of which the rest to
    1 is that of being in none of the categories.
    """

    init_fn: Callable[..., dict]
    apply_fn: Callable[..., tuple[Outputs, dict]]
    feature_fn: Callable[..., Array]
    feature_paths: tuple[str, ...]
    feature_settings: str
    backbone: Backbone
    net: Any
    knows_others: bool = False


def build(
    *,
    num_categories: int,
    pose: Any,
    classes: tuple[tuple[int, ...], ...] = (),
    **settings: Any,
) -> Network:
    """A network of figure 2; by default the paper's own.

    Args:
      num_categories: K, at least 1.
      pose: the pose representation, a catpose.poses.base.Pose; its num_outputs and activate are
        read.
      classes: for the category head "classifier", the backbone's own classes of each category.
      **settings: keys of `catpose.models.settings.Settings`, but `pose`.

    Returns:
      The network's functions.

    Raises:
      InputError: a key or value that a network does not have.
      ValueError: values that do not fit each other or the backbone.
    """
    checked = config_keys.read(Settings, settings, "config.model")
    composition = ARCHITECTURES[checked.architecture]
    category_head, pose_hidden = checked.category_head, checked.pose_hidden
    dtype = jnp.dtype(checked.dtype)
    backbone, split = BACKBONES[checked.trunk], checked.split_stage
    if backbone.splits is None:
        if category_head != "pooled":
            raise ValueError(f"'{checked.trunk}' is never split: category_head can be pooled")
    elif not backbone.splits[0] <= split <= backbone.splits[1]:
        low, high = backbone.splits
        raise ValueError(
            f"split_stage is {split}; of '{checked.trunk}' it can be from {low} to {high}"
        )
    is_classifier = category_head == CLASSIFIER
    if is_classifier and (checked.head_hidden or not backbone.num_classes):
        raise ValueError(
            f"'{checked.trunk}' has no classifier for category_head 'classifier', or head_hidden "
            "is not empty"
        )
    if is_classifier and len(classes) != num_categories:
        raise ValueError(f"there are classes of {len(classes)} categories, not {num_categories}")
    try:
        net = backbone.describe(checked, **checked.trunk_settings)
    except TypeError as error:
        raise ValueError(f"trunk_settings of '{checked.trunk}': {error}") from error
    feature_network = heads.FeatureNetwork(
        backbone, net, split, checked.pool_grid, checked.pool_channels, dtype
    )
    own_features = None
    if composition.own_features:
        own_features = feature_network.clone()
        if category_head != "pooled":
            own_features = heads.FeatureNetwork(backbone, net, backbone.splits[1], 1, 0, dtype)
    category_network = heads.CategoryNetwork(
        own_features,
        backbone,
        net,
        split,
        category_head,
        num_categories,
        classes,
        checked.head_hidden,
        checked.head_dropout,
        dtype,
    )
    pose_networks = pose_nets.PoseNetworks(
        num_categories, pose.num_outputs, pose.activate, pose_hidden, dtype
    )
    kept_networks = pose_networks.clone(num_networks=1 if composition.agnostic else num_categories)

    def init_fn(key, image):
        modules = (feature_network, category_network, kept_networks)
        param_dtype = jnp.promote_types(dtype, jnp.float32)
        return _initial_variables(key, modules, image.shape, image.dtype, param_dtype)

    def apply_fn(
        variables,
        image,
        key=None,
        *,
        features=None,
        batch_norm_train=frozenset(),
        pose_bn_weights=None,
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

        feature_map = own_pooled = None
        if features is None:
            feature_map, pooled = run("feature_network", feature_network, image)
        elif composition.own_features:
            first = variables["params"]["pose_networks"]["linear1" if pose_hidden else "output"]
            pooled, own_pooled = jnp.split(features, [first["kernel"].shape[1]], axis=1)
        elif category_head == "pooled":
            pooled = features
        else:
            # Pooling may have parameters of its own, which are frozen too.
            own = {"params": lax.stop_gradient(variables["params"].get("feature_network", {}))}
            feature_map, pooled = feature_network.apply(own, None, features, use_running=True)
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
                weights=pose_bn_weights,
            )
        else:
            pose_outputs = run("pose_networks", pose_networks, pooled, weights=pose_bn_weights)
        return Outputs(pooled, category_logits, pose_outputs), batch_stats

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
    reads = (checked.trunk, net, split, checked.pool_grid, checked.pool_channels, category_head)
    return Network(
        init_fn, apply_fn, feature_fn, feature_paths, repr(reads), backbone, net, is_classifier
    )


# One program, in which the networks themselves are dead code. Modules with equal fields are equal,
# so initializing many networks of one structure traces it once.
@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _initial_variables(key, modules, shape, image_dtype, param_dtype):
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
    drawn = {"params": initializers.draw(key, params), "batch_stats": batch_stats}
    return jax.tree.map(lambda leaf: leaf.astype(param_dtype), drawn)


def param_counts(variables: dict) -> dict[str, int]:
    """Number of parameters (not of statistics) in each top-level group, and in "total"."""
    counts = {
        group: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        for group, tree in variables["params"].items()
    }
    return counts | {"total": sum(counts.values())}
