"""Training as a list of phases, each plain data; the phase is a pure function of the step.

A phase says which parameter groups train (`feature_network`, `category_network`,
`pose_networks`, or finer patterns), on which images, with which losses and how long. Pose-first
and balanced training of the paper's Table 1 are two such lists.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from catpose import config_keys, losses
from catpose.data import augment as augment_lib
from catpose.errors import InputError
from catpose.models import architectures
from catpose.models import fusion as fusions

FEATURE_NETWORK, POSE_NETWORKS = "feature_network", "pose_networks"
_STORED = (
    FEATURE_NETWORK + "/",
    architectures.OWN_FEATURES + "/",
)  # what cached features replace


@dataclasses.dataclass(frozen=True)
class LearningRate:
    """A schedule over the steps of one phase."""

    peak: float = config_keys.key(1e-4, "the highest learning rate", config_keys.at_least(0))
    schedule: str = config_keys.key(
        "constant",
        "cosine: to zero at the phase's end; inverse: peak / (1 + epoch); exponential: "
        "peak * rate**epoch",
        config_keys.one_of(("constant", "cosine", "inverse", "exponential")),
    )
    warmup_steps: int = config_keys.key(
        0, "linear rise from zero to the peak", config_keys.at_least(0)
    )
    epoch_steps: int = config_keys.key(
        1, "steps of one epoch, for inverse and exponential", config_keys.at_least(1)
    )
    rate: float = config_keys.key(1.0, "factor per epoch, for exponential", config_keys.at_least(0))


@dataclasses.dataclass(frozen=True)
class Phase:
    """One stage of training; by default the paper's joint phase (Table 1, step 5)."""

    name: str = config_keys.key(dataclasses.MISSING, "for logs and reports", config_keys.NOT_EMPTY)
    steps: int = config_keys.key(dataclasses.MISSING, "number of updates", config_keys.at_least(1))
    start: str = config_keys.key(
        "any",
        "only in runs whose initial weights are pretrained or random; any: in all",
        config_keys.one_of(("any", "pretrained", "random")),
    )
    train: tuple[str, ...] = config_keys.key(
        architectures.GROUPS,
        "regular expressions over parameter paths (pose_networks, feature_network/stage4); a "
        "pattern covers every parameter whose path begins with it, at a / or at its end",
    )
    batch_norm: tuple[str, ...] = config_keys.key(
        architectures.GROUPS,
        "groups, trained as a whole, whose BatchNorm uses and updates batch statistics; the others "
        "run on their running statistics",
        config_keys.each(config_keys.one_of(architectures.GROUPS)),
    )
    pose_loss: str = config_keys.key(
        "geodesic", "a loss of the pose representation, such as geodesic or mse"
    )
    pose_weight: float = config_keys.key(
        1.0, "factor on the pose loss; 0 leaves it out", config_keys.at_least(0)
    )
    category_weight: float = config_keys.key(
        0.1,
        "the paper's lambda, factor on the category loss; 0 leaves it out",
        config_keys.at_least(0),
    )
    category_loss: str = config_keys.key(
        "cross_entropy",
        "the loss of the category network",
        config_keys.one_of(losses.CATEGORY_LOSSES),
    )
    auxiliary_losses: Mapping[str, float] = config_keys.key(
        {},
        "further losses by name, each with its factor; a plugin adds them",
        config_keys.each(config_keys.one_of(losses.AUXILIARY_LOSSES)),
    )
    fusion: str = config_keys.key(
        "weighted",
        "how the pose networks' outputs become one; oracle: by the true category",
        config_keys.one_of(fusions.FUSIONS),
    )
    tied: bool = config_keys.key(
        False, "one pose network, number 0, serves all categories and learns from all images"
    )
    pose_bn: str = config_keys.key(
        "own",
        "images that form the batch statistics of pose network k under the oracle: those of "
        "category k (own), or all",
        config_keys.one_of(("own", "all")),
    )
    on_enter: str = config_keys.key(
        "",
        "broadcast_pose: pose network 0's weights become those of all",
        config_keys.one_of(("", "broadcast_pose")),
    )
    sources: Mapping[str, int] = config_keys.key(
        {"train": 48},
        "examples in a batch from each split, by the split's name; 0 leaves it out",
        config_keys.values(config_keys.at_least(0)),
    )
    # Rendered images teach poses: on their backgrounds the category is too easy to see.
    pose_only: tuple[str, ...] = config_keys.key(
        ("rendered",), "splits whose images do not count for the category loss"
    )
    learning_rate: LearningRate = config_keys.group(LearningRate, "the schedule")
    augment: augment_lib.Augment = config_keys.group(
        augment_lib.Augment(mirror=0.5), "strengths of random changes"
    )
    views: tuple[str, ...] = config_keys.key(
        (), "with cached_features: the augmented views whose features are cached"
    )
    cached_features: bool = config_keys.key(
        False, "run on cached outputs of the frozen feature network"
    )

    def __post_init__(self) -> None:
        # A config that switches a source off sets its share to 0.
        used = {name: count for name, count in self.sources.items() if count}
        object.__setattr__(self, "sources", used)
        for pattern in self.train:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"train has the pattern '{pattern}': {error}") from error
        if not used:
            raise ValueError("sources is empty; it can be at least one split with its examples")
        for view in self.views:
            try:
                augment_lib.random_number(view)
            except KeyError:
                known = ", ".join((*augment_lib.VIEWS, *augment_lib.random_names(2)))
                raise ValueError(
                    f"views has the unknown view '{view}'; known: {known}, ..."
                ) from None
        if self.cached_features and not self.views:
            raise ValueError("cached_features is True, so it needs views, 'identity' at least")

    @property
    def batch_size(self) -> int:
        """Examples per step over all sources and devices."""
        return sum(self.sources.values())


def of_start(phases: Sequence[Phase], weights: str) -> tuple[Phase, ...]:
    """The phases of a run that begins with these weights, "pretrained" or "random".

    Raises:
      InputError: there are none.
    """
    if not phases:
        raise InputError("config.phases is empty: a run needs at least one phase")
    chosen = tuple(phase for phase in phases if phase.start in ("any", weights))
    if not chosen:
        raise InputError(f"config.phases has no phase for a run that begins with {weights} weights")
    return chosen


def answering_fusion(phases: Sequence[Phase]) -> str:
    """How a trained network answers: as in its last phase.

    The oracle is for training: where the category is not given, weighted replaces it.
    """
    return "weighted" if phases[-1].fusion == "oracle" else phases[-1].fusion


def total_steps(phases: Sequence[Phase]) -> int:
    """Steps of the whole run."""
    return sum(phase.steps for phase in phases)


def spans(phases: Sequence[Phase]) -> list[tuple[Phase, int, int]]:
    """Each phase with its first step and the step after its last."""
    stops = [sum(p.steps for p in phases[: i + 1]) for i in range(len(phases))]
    return [(p, stop - p.steps, stop) for p, stop in zip(phases, stops, strict=True)]


def at_step(phases: Sequence[Phase], step: int) -> tuple[Phase, int]:
    """The phase of `step` and the phase's first step; the last phase from its end on."""
    for phase, start, stop in spans(phases):
        if step < stop:
            return phase, start
    return phase, start


def by_path(params: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of a tree, flat: "feature_network/stem/conv/kernel"."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def labels(params: Mapping[str, Any], phase: Phase) -> dict[str, str]:
    """By path: "train" where a pattern of the phase covers it, "freeze" elsewhere.

    Raises:
      InputError: a pattern that covers no parameter; features both cached and trained; batch
        statistics of a group that is frozen in part.
    """
    used = dict.fromkeys(phase.train, False)
    result = {}
    for path in by_path(params):
        covering = [p for p in phase.train if re.match(rf"(?:{p})(?:/|$)", path)]
        used.update(dict.fromkeys(covering, True))
        result[path] = "train" if covering else "freeze"
        if covering and phase.cached_features and path.startswith(_STORED):
            raise InputError(
                f"phase '{phase.name}' trains {path}, so cached_features must be False"
            )
    for group in phase.batch_norm:
        for path, mark in result.items():
            rests = phase.cached_features and path.startswith(_STORED)  # it is not even run
            if path.startswith(group + "/") and mark == "freeze" and not rests:
                raise InputError(
                    f"phase '{phase.name}' names {group} in batch_norm, but does not train {path}: "
                    "what is frozen, even in part, runs on its running statistics"
                )
    for pattern, was_used in used.items():
        if not was_used:
            raise InputError(
                f"the pattern '{pattern}' in `train` of phase '{phase.name}' covers no parameter; "
                f"the groups are {', '.join(params)}"
            )
    return result


def trainable(params: Mapping[str, Any], phase: Phase) -> dict[str, Any]:
    """The sub-tree that the phase trains, flat by path; of tied pose networks, number 0 alone."""
    marks = labels(params, phase)
    return {
        path: leaf[:1] if _is_tied(path, phase) else leaf
        for path, leaf in by_path(params).items()
        if marks[path] == "train"
    }


def seen(params: Mapping[str, Any], trained: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as the phase's forward pass reads them: `trained` in their places.

    Of tied pose networks that is the first slice alone.
    """
    replaced = {**by_path(params), **trained}
    return jax.tree.unflatten(jax.tree.structure(params), replaced.values())


def merge(params: Mapping[str, Any], update: Mapping[str, Any], phase: Phase) -> dict[str, Any]:
    """`params` with the leaves of `update`, a tree as `trainable` makes it, in their places."""
    merged = by_path(params)
    for path, leaf in update.items():
        merged[path] = merged[path].at[:1].set(leaf) if _is_tied(path, phase) else leaf
    return jax.tree.unflatten(jax.tree.structure(params), merged.values())


def _is_tied(path: str, phase: Phase) -> bool:
    return phase.tied and path.startswith(POSE_NETWORKS + "/")


def enter(params: dict[str, Any], batch_stats: dict[str, Any], phase: Phase) -> tuple[dict, dict]:
    """Parameters and statistics as the phase's first step finds them."""
    if phase.on_enter != "broadcast_pose":
        return params, batch_stats

    def broadcast(tree: dict[str, Any]) -> dict[str, Any]:
        copied = jax.tree.map(lambda x: x.at[1:].set(x[:1]), tree[POSE_NETWORKS])
        return {**tree, POSE_NETWORKS: copied}

    return broadcast(params), broadcast(batch_stats)
