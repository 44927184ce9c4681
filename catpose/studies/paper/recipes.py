"""Turns a recipe of the paper's tables into a config: the steps of its Table 1 as phases."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ml_collections import ConfigDict

from catpose.errors import InputError
from catpose.studies.paper.budgets import BUDGETS, DATA, PRESETS, Budget
from catpose.studies.paper.table_rows import REPRESENTATIONS, TABLES, Recipe

FEATURES, CATEGORY, POSE = "feature_network", "category_network", "pose_networks"
# A category network without the feature network that it has to itself.
HEAD = "category_network/(?!own_features)[^/]+"
# Losses of the representations that are not regressed on the geodesic one.
LOSSES = {
    "euler": "mse",
    "matrix_fisher": "nll",
    "euler_bins": "cross_entropy",
    "fine_bins": "soft_cross_entropy",
    "multibin": "multibin",
}


def numbers(names: Sequence[str]) -> list[int]:
    """The paper's tables among the names that a command was given, each once.

    Args:
      names: numbers of tables, "all" of them, and "representations", which the paper does not have.

    Raises:
      InputError: another name.
    """
    found = []
    for name in names:
        if name == "all":
            found += TABLES
        elif name.isdigit() and int(name) in TABLES:
            found.append(int(name))
        elif name != "representations":
            raise InputError(f"--table={name}; it can be 3 to 13, all or representations")
    return list(dict.fromkeys(found))


def chosen(names: Sequence[str]) -> list[Recipe]:
    """What must be trained for these tables, in their order, each once; names as for `numbers`."""
    rows = [row for number in numbers(names) for row in TABLES[number].rows.values()]
    if "representations" in names:
        rows += REPRESENTATIONS.values()
    return list({row.recipe.name: row.recipe for row in rows}.values())


def why_not(recipe: Recipe, data: str, preset: str) -> str:
    """Why a row cannot be trained on this data with this preset; "" where it can.

    Args:
      recipe: of the row.
      data: a name in `DATA`.
      preset: a name in `PRESETS`.
    """
    for value, known in ((data, DATA), (preset, PRESETS)):
        if value not in known:
            return f"'{value}' is none of {', '.join(known)}"
    if data != "shapes" and recipe.steps == ("phase0",):
        return "phase 0 is of shapes alone; elsewhere there are ImageNet's weights"
    if data != "shapes" and preset != "smoke":  # which begins with random weights
        if recipe.model.get("trunk") == "vgg_m":
            return "there are no ImageNet weights of VGG-M"
        stage5 = recipe.model.get("split_stage") == 5 or "own head and stage 5" in recipe.steps
        if data == "cars3d" and stage5:
            return "there are no ImageNet weights of stage 5"
    if not BUDGETS[data, preset].tunes and not recipe.with_frozen:
        return "it is about training the feature network: --preset=full, on a GPU"
    return ""


def first_row(recipe: Recipe, data: str) -> str:
    """The row of phase 0 whose weights a row begins with; "" for none of these."""
    if data != "shapes" or recipe.steps == ("phase0",):
        return ""
    return "phase0_vgg_m" if recipe.model.get("trunk") == "vgg_m" else "phase0"


def apply(
    recipe: Recipe,
    config: ConfigDict,
    data: str,
    preset: str,
    phase_fn: Callable[..., ConfigDict],
) -> None:
    """Makes a dataset's config that of a row.

    Args:
      recipe: of the row.
      config: of the dataset, changed in place.
      data: its name in `DATA`.
      preset: a name in `PRESETS`.
      phase_fn: name, steps and what differs from a phase's defaults -> the phase.
    """
    budget = BUDGETS[data, preset]
    recipe = recipe._replace(rendered=recipe.rendered and budget.tunes)
    if not recipe.rendered:
        config.data.rendered = ""  # need not be there
    if data == "shapes" and recipe.model.get("split_stage") == 3:
        # Averages over 2 x 2 places: stage 3 has four times as many as stage 4.
        config.model.pool_grid = config.data.resolution // 16
    if recipe.model.get("trunk") == "vgg_m":
        # No BatchNorm: it is trained on bytes minus a mean, as published, and more slowly.
        config.model.category_head, config.model.normalization = "pooled", "keras"
        config.data.resolution = max(config.data.resolution, 48)
    changes = dict(recipe.model)
    first, *others = config.model.pose_hidden
    config.model.pose_hidden = (first * changes.pop("wider", 1), *others)
    config.model.update(changes)
    config.phases = [
        phase_fn(**entry) for step in recipe.steps for entry in STEPS[step](recipe, budget)
    ]


def _phase(
    recipe: Recipe,
    budget: Budget,
    step: str,
    name: str,
    *,
    frozen: bool = False,
    real: bool = False,
    peak: float = 0.0,
    **changes: Any,
) -> dict[str, Any]:
    """What the phases of all steps have in common, with the changes of one.

    Args:
      recipe: of the row.
      budget: of its dataset and preset.
      step: whose length and schedule of the budget it has.
      name: of the phase.
      frozen: the feature network does not train.
      real: on real images alone.
      peak: learning rate where it is not the budget's.
      **changes: further keys of the phase.
    """
    peak = peak or (budget.frozen_rate if frozen else budget.rate)
    if not frozen and recipe.model.get("trunk") == "vgg_m":
        peak /= 5
    warmup = 50 if budget.tunes and budget.joint > 50 else 0
    rate = {"peak": peak, "schedule": "cosine", "warmup_steps": warmup}
    batch = budget.frozen_batch if frozen else budget.batch
    sources = {"train": batch}
    if real:
        sources = {"train": budget.real_batch or batch}
    elif recipe.rendered:
        # Half of the batch, so that table rows with and without them take equally long.
        sources = {"train": batch // 2, budget.rendered: batch // 2}
    cached = frozen and budget.cached
    return {
        "name": name,
        "steps": getattr(budget, step),
        "sources": sources,
        "cached_features": cached,
        "views": ("identity", "mirror") if cached else (),
        "augment": {} if cached else budget.augment,
        "learning_rate": rate | dict(budget.schedules.get(step, {})),
        **changes,
    }


def _phase0(recipe: Recipe, budget: Budget) -> list[dict[str, Any]]:
    """Category pre-training on objects of its own, instead of ImageNet's."""
    groups = (FEATURES, CATEGORY)
    changes = {"train": groups, "batch_norm": groups, "pose_weight": 0.0, "category_weight": 1.0}
    phase = _phase(recipe, budget, "phase0", "phase 0", peak=3 * budget.rate, **changes)
    return [phase | {"sources": {"pretrain": budget.batch}, "augment": {}}]


def _given_category(
    recipe: Recipe, budget: Budget, step: str, name: str, *, train: tuple[str, ...], **changes: Any
) -> dict[str, Any]:
    """A phase that trains on the pose alone, given the category."""
    common = {
        "batch_norm": train,
        "pose_loss": LOSSES.get(recipe.model.get("pose"), "geodesic"),
        "category_weight": 0.0,
        "fusion": "oracle",
        "pose_bn": budget.pose_bn,
    }
    return _phase(recipe, budget, step, name, train=train, **(common | changes))


def _networks(recipe: Recipe, budget: Budget) -> list[dict[str, Any]]:
    """Steps 1 and 2 of Table 1: each category's pose network by itself, on frozen features."""
    phase = functools.partial(_given_category, recipe, budget, train=(POSE,), frozen=True)
    last = phase("networks", "pose networks")
    if recipe.model.get("pose", "axis_angle") == "axis_angle" and budget.mse:
        return [phase("mse", "pose networks, MSE", pose_loss="mse"), last]
    return [last | {"steps": budget.mse + budget.networks}]


def _pose(recipe: Recipe, budget: Budget) -> list[dict[str, Any]]:
    """Step 3, pose-first: feature and pose networks, given the category."""
    train = (FEATURES, POSE)
    return [_given_category(recipe, budget, "pose", "pose", train=train)] if budget.tunes else []


def _category(
    recipe: Recipe, budget: Budget, *, name: str, train: tuple[str, ...], frozen: bool = False
) -> list[dict[str, Any]]:
    """Steps that train a category network, in one phase of this name."""
    alone = train in ((CATEGORY,), (HEAD,))
    return [
        _phase(
            recipe,
            budget,
            "category",
            name,
            frozen=frozen,
            real=True,
            train=train,
            batch_norm=(CATEGORY,) if budget.category_bn and alone else (),
            pose_weight=0.0,
            category_weight=1.0,
            fusion=recipe.fusion,
        )
    ]


def _category_on_features(recipe: Recipe, budget: Budget) -> list[dict[str, Any]]:
    """The category network on the features as they are: step 4, or step 3 of balanced training."""
    # The fusion has no effect here; with one for all, rows of both fusions share the phase.
    common = recipe._replace(fusion="weighted")
    return _category(common, budget, name="category", train=(CATEGORY,), frozen=True)


def _own_head(recipe: Recipe, budget: Budget) -> list[dict[str, Any]]:
    """The second ResNet stays frozen; its last layers learn ("FC" of Table 9)."""
    cached = budget._replace(cached=True)  # two vectors an image, however large the networks
    return _category(recipe, cached, name="category, FC", train=(HEAD,), frozen=True)


def _joint(recipe: Recipe, budget: Budget) -> list[dict[str, Any]]:
    """The last step: everything together, on real images alone."""
    changes = {"category_weight": recipe.category_weight, "fusion": recipe.fusion}
    if not budget.tunes:
        # With so few photographs of a category its pose network keeps its statistics.
        changes |= {"train": (CATEGORY, POSE), "batch_norm": (CATEGORY,)}
        changes |= {"frozen": True, "peak": budget.frozen_rate / 30}
    return [_phase(recipe, budget, "joint", "joint", real=True, **changes)]


STEPS = {
    "phase0": _phase0,
    "networks": _networks,
    "pose": _pose,
    "category": _category_on_features,
    "own head": _own_head,
    # More of the second ResNet learns: "FC+Stage5" and "Everything" of Table 9.
    "own head and stage 5": functools.partial(
        _category, name="category, FC and stage 5",
        train=("category_network/own_features/stage5", HEAD),
    ),
    "own category": functools.partial(_category, name="category, everything", train=(CATEGORY,)),
    "joint": _joint,
}  # fmt: skip
