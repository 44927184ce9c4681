"""Per-image results of trained networks, kept beside their weights."""

import os
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np

from catpose.data.examples import Dataset
from catpose.experiment import build
from catpose.models import fusion as fusions
from catpose.studies.paper import shared_phases
from catpose.train import input_pipeline, state


class Outcome(NamedTuple):
    """What a trained network makes of a split of N images of K categories.

    Attributes:
      category: (N,) true categories.
      probabilities: (N, K).
      error_deg: by fusion, (N,) geodesic errors in degrees.
      azimuth_error_deg: by fusion, (N,).
      network_error_deg: (N, K) errors of each category's own pose network.
    """

    category: np.ndarray
    probabilities: np.ndarray
    error_deg: dict[str, np.ndarray]
    azimuth_error_deg: dict[str, np.ndarray]
    network_error_deg: np.ndarray


def path(link: shared_phases.Link, split: str) -> pathlib.Path:
    """Where a link's outcome on a split is."""
    return link.folder / f"outcome-{split}.npz"


def evaluate(
    link: shared_phases.Link,
    data: Dataset,
    split: str,
    *,
    programs: dict[str, dict[Any, Any]],
    show_progress: bool = True,
) -> None:
    """Evaluates a trained link on a split of its data, and keeps the outcome.

    Args:
      link: of a chain.
      data: what its config names.
      split: which images.
      programs: see `shared_phases.assemble`.
      show_progress: show bars on a terminal.
    """
    run = shared_phases.assemble(link, data, programs=programs, show_progress=show_progress)
    _, variables = build.read_variables(link.folder, run.model)
    trained = state.create(jax.random.key(0), variables)
    found = input_pipeline.evaluate_split(run, split, run.phases[-1], trained)
    arrays = {
        "category": found.category,
        "probabilities": found.probabilities,
        "network_error_deg": found.network_error_deg,
    }
    for name in fusions.FUSIONS:
        arrays[f"error_deg.{name}"] = found.error_deg[name]
        arrays[f"azimuth_error_deg.{name}"] = found.azimuth_error_deg[name]
    partial = path(link, split).with_suffix(".partial.npz")
    np.savez(partial, **arrays)
    os.replace(partial, path(link, split))


def read(link: shared_phases.Link, split: str) -> Outcome:
    """What `evaluate` kept."""
    with np.load(path(link, split)) as file:
        arrays = dict(file)

    def by_fusion(field: str) -> dict[str, np.ndarray]:
        return {name: arrays[f"{field}.{name}"] for name in fusions.FUSIONS}

    return Outcome(
        arrays["category"],
        arrays["probabilities"],
        by_fusion("error_deg"),
        by_fusion("azimuth_error_deg"),
        arrays["network_error_deg"],
    )
