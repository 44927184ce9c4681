"""Labels and predictions of a trained run, to be scored like those of any other system."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from catpose import devices, inference, progress
from catpose.data import labels, online_rendering, pose_table
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.errors import InputError
from catpose.evaluation import calibrate as fits
from catpose.evaluation import certainty
from catpose.experiment import build, datasets, workdir
from catpose.experiment import calibration as calibrations


def calibrate(
    folder: pathlib.Path, split: str = "validation", *, root: str = "", cautious: bool = False
) -> calibrations.Calibration:
    """The calibration of a run's network on one split of its data; writes nothing.

    Args:
      folder: the run's workdir.
      split: examples that training did not see.
      root: see `predict`.
      cautious: see `calibrate.fit`.

    Raises:
      InputError: as `predict` does; too few examples, or poses that have no density.
    """
    step, model, variables = build.read_uncalibrated(folder)
    name, chosen = _read(folder, model, split, root)
    found = _evaluated(folder, model, variables, chosen, split)
    on = f"{split} of {name}"
    return fits.fit(model, chosen, found, split=on, step=step, cautious=cautious)


def predict(
    folder: pathlib.Path, split: str, *, best: bool = False, root: str = ""
) -> tuple[Examples, Predictions, str]:
    """Predictions of a run's own network for one split of its data, with every fusion.

    Args:
      folder: the run's workdir.
      split: a split of its dataset.
      best: the weights with the lowest validation error instead of the last ones.
      root: another folder instead of `config.data.root`, or for a run on `shapes` another seed
        instead of `config.data.seed`; "" for the run's own.

    Returns:
      Labels in frame "camera"; predictions in the frame in which the network learned, in float64
      and exactly rotations, as they are read back from a file; and the fusion with which the run
      answers where nobody gives the category.

    Raises:
      InputError: no run or checkpoint there, an unknown split, or data with other categories.
    """
    model, variables = build.read_model(folder, best=best)
    name, chosen = _read(folder, model, split, root)
    found = certainty.add(model, chosen, _evaluated(folder, model, variables, chosen, split))
    truth = labels.checked(chosen, f"{split} of {name}")
    exact = found._replace(
        rotation={
            fusion: pose_table.nearest_rotations(rotation, found.id)
            for fusion, rotation in found.rotation.items()
        },
        probabilities=np.asarray(found.probabilities, np.float64),
    )
    return truth, exact, model.fusion


def _read(folder: pathlib.Path, model: build.Model, split: str, root: str) -> tuple[str, Examples]:
    """The name of a run, and a split of its data or of others in its place."""
    config = workdir.read_config(folder)
    if root:
        change: dict[str, Any] = {"root": root}
        if config.data.kind == "shapes":
            if not root.isdigit():
                raise InputError(
                    f"the run in {folder} is on shapes: --data is a seed, not '{root}'"
                )
            change = {"seed": int(root)}
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, **change))
    data = datasets.load_dataset(config, only=split)
    if data.categories != model.categories:
        raise InputError(
            f"the data has the categories {', '.join(data.categories)}, and the run in {folder} "
            f"has {', '.join(model.categories)}"
        )
    if split not in data.splits or split == online_rendering.NAME:
        raise InputError(
            f"the data of the run in {folder} has no split '{split}'; "
            f"it has {', '.join(data.splits)} (--split=NAME)"
        )
    return config.name, data.splits[split]


def _evaluated(
    folder: pathlib.Path, model: build.Model, variables: Any, examples: Examples, split: str
) -> Predictions:
    batch_size = workdir.read_config(folder).eval.batch_size
    devices.check_batch(batch_size, "config.eval.batch_size")
    with progress.bar(
        total=len(examples.category), desc=f"evaluate {split}", unit="img", leave=False, show=True
    ) as bar:
        return inference.evaluate(
            model, variables, examples, batch_size=batch_size, progress_fn=bar.update
        )
