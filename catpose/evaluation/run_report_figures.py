"""The pictures of a run's report, with their headings and how each is to be read."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import stats

from catpose import metrics
from catpose.data import warp
from catpose.data.predictions import Predictions
from catpose.evaluation import certainty, score
from catpose.experiment import build, phases
from catpose.geometry import viewpoint
from catpose.training import run_setup, training_log
from catpose.visualize import (
    category_models,
    density_sheet,
    example_sheet,
    plots,
    training_curves,
)

# By name of the file in figures/, in the order of the report.
HEADINGS = {
    "example_sheet": "Examples",
    "error_histogram": "Pose error",
    "azimuth_scatter": "Azimuth",
    "category_dots": "Categories",
    "confusion": "Confusion",
    "reliability": "Certainty",
    "densities": "Densities",
    "loss_curves": "Training",
}
_AGREE = 0.02  # of the images: curves closer than that look like one
_NUM_DENSITIES = 8


def draw(
    run: run_setup.Run,
    model: build.Model,
    found: Mapping[str, Predictions],
    summaries: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, str]]:
    """Draws everything of the test split where there is one, else of the last one evaluated.

    Args:
      run: the run.
      model: that answers, with its calibration where it has one.
      found: predictions by split.
      summaries: by split, what `score.summaries` returned.

    Returns:
      "name", "heading" and "caption" of each picture, in the order of the report.
    """
    folder = run.workdir / "figures"
    folder.mkdir(exist_ok=True)
    records = training_log.read(run.workdir)
    spans = [(phase.name, start, stop) for phase, start, stop in phases.spans(run.phases)]
    path = folder / "loss_curves.png"
    captions = {"loss_curves": training_curves.loss_curves(records, spans, path, run.config.name)}
    if found:
        split = "test" if "test" in found else list(found)[-1]
        captions |= _of_split(run, model, split, found[split], summaries[split], folder)
    return [
        {"name": name, "heading": heading, "caption": captions[name]}
        for name, heading in HEADINGS.items()
        if name in captions
    ]


def agreeing(errors_deg: Mapping[str, np.ndarray], first: str) -> dict[str, list[str]]:
    """Fusions in groups whose distributions of errors are the same to the eye.

    Args:
      errors_deg: fusion to the error of every image.
      first: the fusion that the run answers with.

    Returns:
      Of each group, the fusion that represents it, and all of them; the group of `first` first.
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys([first, *errors_deg]):
        same = (
            lead
            for lead in groups
            if stats.ks_2samp(errors_deg[lead], errors_deg[name], method="asymp").statistic
            <= _AGREE
        )
        groups.setdefault(next(same, name), []).append(name)
    return groups


def _of_split(
    run: run_setup.Run,
    model: build.Model,
    split: str,
    found: Predictions,
    summaries: Mapping[str, Any],
    folder: pathlib.Path,
) -> dict[str, str]:
    fusion, names, truth = model.fusion, run.model.categories, run.dataset.splits[split]
    frame = run.model.input_spec.frame
    answered = f"{split}, {fusion} fusion"
    framed = f"{split}, errors in frame {frame}"
    captions = {}

    def add(name: str, draw_fn: Callable[..., str], *args: Any, where: str, **options: Any) -> None:
        captions[name] = draw_fn(*args, folder / f"{name}.png", where=where, **options)

    scores = score.by_fusion(truth, found, run.model.symmetry)
    errors_deg = {name: scored.errors.error_deg for name, scored in scores.items()}
    groups = agreeing(errors_deg, fusion)
    labels = {lead: ", ".join(group) for lead, group in groups.items()}
    joined = [f" {', '.join(group)} agree and are one." for group in groups.values() if group[1:]]
    drawn = {labels[lead]: errors_deg[lead] for lead in groups}
    add("error_histogram", plots.error_histogram, drawn, where=framed)
    drawn = {labels[lead]: summaries[lead] for lead in groups}
    add("category_dots", plots.category_dots, drawn, names, where=framed)
    for name in ("error_histogram", "category_dots"):
        captions[name] += "".join(joined)
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (truth.category, found.probabilities.argmax(-1)), 1)
    add("confusion", plots.confusion, counts, names, where=split)
    rotation = np.asarray(viewpoint.convert_frame(found.rotation[fusion], frame, "camera"))
    target, predicted = (
        np.degrees(np.asarray(viewpoint.angles_from_rotation(matrices)[0]))
        for matrices in (np.asarray(truth.rotation, np.float32), rotation)
    )
    azimuths = target, predicted, truth.category, names
    add("azimuth_scatter", plots.azimuth_scatter, *azimuths, where=answered)
    meshes = {name: category_models.built_in(name) for name in names}
    add(
        "example_sheet",
        example_sheet.example_sheet,
        truth.image,
        truth.rotation,
        rotation,
        errors_deg[fusion],
        truth.category,
        found.probabilities,
        names,
        where=answered,
        meshes=None if None in meshes.values() else meshes,
        tight=truth.aspect is not None,  # built-in examples have some background around them
        margin=truth.margin,
    )
    if model.calibration is not None:
        errors = scores[fusion].errors
        add("reliability", plots.reliability, _claims(errors), where=answered)
        add("densities", density_sheet.density_sheet, *_densities(model, truth, found, errors),
            where=split)  # fmt: skip
    return captions


def _claims(errors: metrics.Errors) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What is claimed of each image: its probability, and whether it was so."""
    return {
        "category": (errors.confidence, errors.predicted_category == errors.category),
        "error below 30°": (errors.pose_confidence, errors.error_deg < metrics.WITHIN_DEG),
    }


def _densities(
    model: build.Model, truth: Any, found: Predictions, errors: metrics.Errors
) -> tuple[Any, ...]:
    """Images from the surest to the least sure, with their densities: what the sheet draws."""
    order = np.argsort(found.spread_deg, kind="stable")
    index = order[(np.linspace(0.02, 0.98, _NUM_DENSITIES) * (len(order) - 1)).astype(int)]
    angles, mass = certainty.maps(model, found, index)
    target = viewpoint.angles_from_rotation(np.asarray(truth.rotation[index], np.float32))
    images = [warp.without_margin(np.asarray(truth.image[i])[None], truth.margin) for i in index]
    captions = [
        f"{found.category[model.fusion][i]}\n"
        f"p(error < 30°) = {errors.pose_confidence[i]:.2f}\nerror {errors.error_deg[i]:.0f}°"
        for i in index
    ]
    stacked = list(np.degrees(np.stack(target, axis=-1))[:, None])
    return [image for (image,) in images], angles, mass, stacked, captions
