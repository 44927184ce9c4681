"""Labels and predictions of a trained run, to be scored like those of any other system."""

import dataclasses
import pathlib

import numpy as np

from catpose import devices, inference, progress
from catpose.data import labels, online_rendering, pose_table
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.errors import InputError
from catpose.experiment import build, datasets, workdir


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
    config = workdir.read_config(folder)
    model, variables = build.read_model(folder, best=best)
    categories = model.categories
    if root:
        change = {"root": root}
        if config.data.kind == "shapes":
            if not root.isdigit():
                raise InputError(
                    f"the run in {folder} is on shapes: --data is a seed, not '{root}'"
                )
            change = {"seed": int(root)}
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, **change))
    data = datasets.load_dataset(config, only=split)
    if data.categories != categories:
        raise InputError(
            f"the data has the categories {', '.join(data.categories)}, and the run in {folder} "
            f"has {', '.join(categories)}"
        )
    if split not in data.splits or split == online_rendering.NAME:
        raise InputError(
            f"the data of the run in {folder} has no split '{split}'; "
            f"it has {', '.join(data.splits)} (--split=NAME)"
        )
    devices.check_batch(config.eval.batch_size, "config.eval.batch_size")
    chosen = data.splits[split]
    with progress.bar(
        total=len(chosen.category), desc=f"evaluate {split}", unit="img", leave=False, show=True
    ) as bar:
        found = inference.evaluate(
            model, variables, chosen, batch_size=config.eval.batch_size, progress_fn=bar.update
        )
    truth = labels.checked(chosen, f"{split} of {config.name}")
    exact = found._replace(
        rotation={
            fusion: pose_table.nearest_rotations(rotation, found.id)
            for fusion, rotation in found.rotation.items()
        },
        probabilities=np.asarray(found.probabilities, np.float64),
    )
    return truth, exact, model.fusion
