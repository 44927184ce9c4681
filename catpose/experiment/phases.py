"""Training as a list of phases, each plain data; the phase is a pure function of the step.

A phase says which parameter groups train (`feature_network`, `category_network`,
`pose_networks`, or finer patterns), on which images, with which losses and how long. Pose-first
and balanced training of the paper's Table 1 are two such lists.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax

from catpose.data import augment
from catpose.errors import InputError
from catpose.models import architectures
from catpose.models import fusion as fusions

FEATURE_NETWORK, POSE_NETWORKS = "feature_network", "pose_networks"
_STORED = (
    FEATURE_NETWORK + "/",
    architectures.OWN_FEATURES + "/",
)  # what stored features stand for


@dataclasses.dataclass(frozen=True)
class LearningRate:
    """A schedule over the steps of one phase.

    Attributes:
      peak: the highest learning rate.
      schedule: "constant"; "cosine" to zero at the phase's end; "inverse": peak / (1 + epoch);
        "exponential": peak * rate**epoch.
      warmup_steps: linear rise from zero to the peak.
      epoch_steps: steps of one epoch, for "inverse" and "exponential".
      rate: factor per epoch, for "exponential".
    """

    peak: float
    schedule: str
    warmup_steps: int
    epoch_steps: int
    rate: float


@dataclasses.dataclass(frozen=True)
class Phase:
    """One stage of training.

    Attributes:
      name: for logs and reports.
      steps: number of updates.
      train: regular expressions over parameter paths ("pose_networks", "feature_network/stage4");
        a pattern covers every parameter whose path begins with it, at a "/" or at its end.
      batch_norm: groups, trained as a whole, whose BatchNorm uses and updates batch statistics;
        the others run on their running statistics.
      pose_loss: a loss of the pose representation: "geodesic", "mse".
      pose_weight: factor on the pose loss; 0 leaves it out.
      category_weight: the paper's lambda, factor on the cross-entropy; 0 leaves it out.
      fusion: how the pose networks' outputs become one: "oracle" (true category), "weighted",
        "top1".
      tied: one pose network, number 0, serves all categories and learns from all images.
      pose_bn: rows that form the batch statistics of pose network k: "own" (category k) or "all".
      on_enter: "" or "broadcast_pose": network 0's weights become those of all K.
      sources: examples in a batch from each split, by the split's name.
      pose_only: splits whose images do not count for the category loss.
      learning_rate: see `LearningRate`.
      augment: strengths of random changes, see `catpose.data.augment.Augment`.
      views: with `cached_features`, names of the views whose features are stored, see
        `augment.VIEWS` and `augment.random_names`.
      cached_features: run on stored outputs of the frozen feature network.
    """

    name: str
    steps: int
    train: tuple[str, ...]
    batch_norm: tuple[str, ...]
    pose_loss: str
    pose_weight: float
    category_weight: float
    fusion: str
    tied: bool
    pose_bn: str
    on_enter: str
    sources: Mapping[str, int]
    pose_only: tuple[str, ...]
    learning_rate: LearningRate
    augment: Mapping[str, Any]
    views: tuple[str, ...]
    cached_features: bool

    @property
    def batch_size(self) -> int:
        """Examples per step over all sources and devices."""
        return sum(self.sources.values())


def from_config(entries: Sequence[Any], weights: str = "random") -> tuple[Phase, ...]:
    """Phases from their config entries.

    Args:
      entries: dicts or ConfigDicts with the fields of `Phase` as keys, and `start`: the weights
        with which a run must begin for the phase to be one of its own, "pretrained" or "random",
        or "any".
      weights: with which this run begins.

    Raises:
      InputError: a missing or unknown key, or a value that means nothing.
    """
    if not entries:
        raise InputError("config.phases is empty: a run needs at least one phase")
    found = [_phase(i, dict(entry)) for i, entry in enumerate(entries)]
    chosen = tuple(phase for start, phase in found if start in ("any", weights))
    if not chosen:
        raise InputError(f"config.phases has no phase for a run that begins with {weights} weights")
    return chosen


def _phase(i: int, entry: dict[str, Any]) -> tuple[str, Phase]:
    where = f"config.phases[{i}]"
    _check_keys(where, entry, ("start", *Phase.__dataclass_fields__))
    start = entry.pop("start")
    if start not in ("any", "pretrained", "random"):
        raise InputError(f"{where}.start is '{start}'; it can be 'any', 'pretrained', 'random'")
    rate = dict(entry["learning_rate"])
    _check_keys(f"{where}.learning_rate", rate, LearningRate.__dataclass_fields__)
    entry["learning_rate"] = LearningRate(**rate)
    for name in ("train", "batch_norm", "pose_only", "views"):
        entry[name] = tuple(entry[name])
    # A config that switches a source off sets its share to 0.
    entry["sources"] = {name: n for name, n in dict(entry["sources"]).items() if n}
    entry["augment"] = _augment(f"{where}.augment", dict(entry["augment"]))
    phase = Phase(**entry)
    choices = {
        "fusion": tuple(fusions.FUSIONS),
        "pose_bn": ("own", "all"),
        "on_enter": ("", "broadcast_pose"),
    }
    for name, allowed in choices.items():
        value = getattr(phase, name)
        if value not in allowed:
            raise InputError(
                f"{where}.{name} is '{value}'; it can be {', '.join(map(repr, allowed))}"
            )
    if phase.steps < 1 or not phase.sources:
        raise InputError(f"{where} needs at least one step and one source")
    for view in phase.views:
        try:
            augment.random_number(view)
        except KeyError:
            known = ", ".join((*augment.VIEWS, *augment.random_names(2)))
            raise InputError(
                f"{where}.views has the unknown view '{view}'; known: {known}, ..."
            ) from None
    if phase.cached_features and not phase.views:
        raise InputError(f"{where} has cached_features, so it needs views, 'identity' at least")
    return start, phase


def _augment(where: str, entry: dict[str, Any]) -> dict[str, Any]:
    _check_keys(where, entry, augment.Augment._fields)
    jitter = tuple(entry["pose_jitter_deg"])  # a list where JSON kept it
    if len(jitter) != 3:
        raise InputError(
            f"{where}.pose_jitter_deg is {jitter}; it is three angles in degrees: "
            "azimuth, elevation, theta"
        )
    if not 0 < entry["jitter_iou"] <= 1:
        raise InputError(f"{where}.jitter_iou is {entry['jitter_iou']:g}; it can be from 0 to 1")
    return entry | {"pose_jitter_deg": jitter}


def _check_keys(where: str, entry: Mapping[str, Any], names: Iterable[str]) -> None:
    known = set(names)
    for key in sorted(set(entry) - known):
        raise InputError(f"{where} has the unknown key '{key}'; known: {', '.join(sorted(known))}")
    for key in sorted(known - set(entry)):
        raise InputError(f"{where} lacks the key '{key}'")


def answering_fusion(phases: Sequence[Phase]) -> str:
    """How a trained network answers: as in its last phase.

    The oracle is for training: where nobody tells the category, weighted stands for it.
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
