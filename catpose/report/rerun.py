"""Labels and predictions of a trained run, to be scored like those of any other system."""

import pathlib

import numpy as np

from catpose.errors import InputError
from catpose.models import fusion as fusions
from catpose.report import labels, predictions
from catpose.train import checkpoint, experiment, feed, phases, runs, workdir


def default_fusion(folder: pathlib.Path, category: str) -> str:
    """How a run's pose networks answer under a protocol's category mode.

    The oracle where the category is given, else as the run was trained; a run trained with the
    oracle alone answers weighted, since nobody tells the category.
    """
    if category == "oracle":
        return "oracle"
    return phases.answering_fusion(experiment.build_phases(workdir.read_config(folder)))


def predict(
    folder: pathlib.Path, split: str, fusion: str, *, best: bool = False, root: str = ""
) -> tuple[labels.Labels, predictions.Predictions]:
    """Predictions of a run's own network for one split of its data.

    Args:
      folder: the run's workdir.
      split: a split of its dataset.
      fusion: "weighted", "top1" or "oracle".
      best: the weights with the lowest validation error instead of the last ones.
      root: another folder instead of `config.data.root`; "" for the run's own.

    Returns:
      Labels in frame "camera", and predictions in the frame in which the network learned.

    Raises:
      InputError: no run or checkpoint there, an unknown split or fusion, or data with other
        categories.
    """
    if fusion not in fusions.FUSIONS:
        raise InputError(f"unknown fusion '{fusion}'; known: {', '.join(fusions.FUSIONS)}")
    config = workdir.read_config(folder)
    categories = workdir.read_categories(folder)
    frame = config.frame
    # As if it had learned in "camera", so that nothing converts what the network says: a rotation
    # in "paper" that is turned into "camera" and back is not always the same (see viewpoint).
    config.frame = "camera"
    if root:
        config.data.root = root
    data = experiment.load_dataset(config)
    if data.categories != categories:
        raise InputError(
            f"the data has the categories {', '.join(data.categories)}, and the run in {folder} "
            f"has {', '.join(categories)}"
        )
    if split not in data.splits:
        raise InputError(
            f"the data of the run in {folder} has no split '{split}'; "
            f"it has {', '.join(data.splits)} (--split=NAME)"
        )
    run = runs.assemble(config, folder, data)
    step, arrays = checkpoint.read_run(folder, best=best)
    state = runs.restore_state(run, arrays, step)
    phase, _ = phases.at_step(run.phases, step)
    evaluation = feed.evaluate_split(run, split, phase, state)
    truth = labels.from_split(data.splits[split], categories, f"{split} of {config.name}")
    probabilities = np.asarray(evaluation.probabilities, np.float64)
    found = predictions.checked(
        truth.id,
        np.asarray(evaluation.rotation[fusion], np.float64),
        frame=frame,
        category=[categories[c] for c in probabilities.argmax(-1)],
        probabilities=probabilities,
        categories=categories,
    )
    return truth, found
