"""Labels and predictions of a trained run, to be scored like those of any other system."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from catpose import devices, errors, inference, progress
from catpose.data import labels, pose_table
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.errors import InputError
from catpose.evaluation import calibrate as fits
from catpose.evaluation import certainty
from catpose.experiment import build, datasets, workdir
from catpose.experiment import calibration as calibrations

_MADE_HERE = ("shapes", "symsol")
# Kinds of data in whose place a manifest is read; folders of other kinds may have one too.
_REPLACED = (*_MADE_HERE, "manifest", "pascal3d", "objectnet3d")


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
    chosen = _in_categories(chosen, model.categories)
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
      root: instead of the run's own data another folder like it, a folder with manifest.csv, or
        for a run on `shapes` or `symsol` another seed; "" for its own.

    Returns:
      Labels in frame "camera", of the categories that the data has; predictions in the frame in
      which the network learned, in float64 and exactly rotations, as they are read back from a
      file; and the fusion with which the run answers where nobody gives the category.

    Raises:
      InputError: no run or checkpoint there, an unknown split, or data with other categories.
    """
    model, variables = build.read_model(folder, best=best)
    name, chosen = _read(folder, model, split, root)
    truth = labels.checked(chosen, f"{split} of {name}")
    asked = _in_categories(chosen, model.categories)
    found = certainty.add(model, asked, _evaluated(folder, model, variables, asked, split))
    exact = found._replace(
        rotation={
            fusion: pose_table.nearest_rotations(rotation, found.id)
            for fusion, rotation in found.rotation.items()
        },
        probabilities=np.asarray(found.probabilities, np.float64),
    )
    return truth, exact, model.fusion


def _read(folder: pathlib.Path, model: build.Model, split: str, root: str) -> tuple[str, Examples]:
    """What to call a split of a run's data, or of others in its place, and the split."""
    config = workdir.read_config(folder)
    name, kind = config.name, config.data.kind
    change: dict[str, Any] = {"root": root} if root else {}
    is_manifest = (pathlib.Path(root) / "manifest.csv").is_file()
    if root and is_manifest and kind in _REPLACED:
        name = root
        change |= {"kind": "manifest", "categories": (), "num_train": 0, "rendered": ""}
    elif root and kind in _MADE_HERE:
        if not root.isdigit():
            raise InputError(
                f"the run in {folder} is on {kind}: --data is a folder with manifest.csv, or a "
                f"seed, not '{root}'"
            )
        change = {"seed": int(root)}
    data = dataclasses.replace(config.data, **change)
    # No phase will run, so nothing is rendered for one.
    data = datasets.load_dataset(dataclasses.replace(config, data=data, phases=()), only=split)
    if strange := [each for each in data.categories if each not in model.categories]:
        raise InputError(
            f"the data has the category '{strange[0]}', and the run in {folder} knows "
            f"{', '.join(model.categories)}{errors.near(strange[0].lower(), model.categories)}"
        )
    if split not in data.splits:
        raise InputError(
            f"the data of the run in {folder} has no split '{split}'; "
            f"it has {', '.join(data.splits)} (--split=NAME)"
        )
    return name, data.splits[split]


def _in_categories(examples: Examples, categories: tuple[str, ...]) -> Examples:
    """The same examples with their numbers in more categories, or in another order."""
    number = np.array([categories.index(name) for name in examples.categories], np.int32)
    return examples._replace(category=number[examples.category], categories=categories)


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
