"""What makes a trained network's certainty true: `calibration.json` in the folder of a run.

It is fitted on examples that training did not see (`catpose.evaluation.calibrate`) and belongs to
the weights of one step.
"""

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from catpose import checksums
from catpose.data import disk_cache
from catpose.errors import InputError
from catpose.experiment import workdir

NAME = "calibration.json"


class Sets(NamedTuple):
    """Thresholds of conformal sets, see `catpose.evaluation.sets`.

    Attributes:
      levels: (L,) of coverage, in (0, 1).
      spread_deg: (G - 1,) limits between the groups of spread, ascending.
      score: (L, G) the largest score of a member of the set.
    """

    levels: tuple[float, ...]
    spread_deg: tuple[float, ...]
    score: tuple[tuple[float, ...], ...]


class Calibration(NamedTuple):
    """Two numbers that correct the densities of a network, and the thresholds of its sets.

    Attributes:
      temperature: the category logits are divided by it.
      concentration: of the pose densities, see `Density.temper`.
      sets: of categories and rotations together.
      step: of the weights.
      fitted_on: for people: the split, how many objects, what the fit changed.
    """

    temperature: float
    concentration: float
    sets: Sets
    step: int
    fitted_on: Mapping[str, Any]


def to_dict(calibration: Calibration) -> dict[str, Any]:
    """As JSON has it."""
    return {**calibration._asdict(), "sets": calibration.sets._asdict()}


def write(folder: pathlib.Path, calibration: Calibration) -> pathlib.Path:
    """Writes the file into a folder and returns its path.

    Raises:
      InputError: no way to write.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(checksums.sealed(to_dict(calibration)), indent=2, allow_nan=False) + "\n"
        disk_cache.write_whole(folder / NAME, text.encode())
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    return folder / NAME


def read(folder: pathlib.Path, step: int) -> Calibration | None:
    """The calibration of a run's weights at a step; None where there is none for them.

    Raises:
      InputError: a damaged file.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    content = workdir.read_json(path)
    try:
        found = _checked(content)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is damaged; make it anew with catpose evaluate --calibrate --workdir={folder}"
        ) from error
    return found if found.step == step else None


def _checked(content: Any) -> Calibration:
    sets = Sets(
        *(tuple(map(float, content["sets"][name])) for name in ("levels", "spread_deg")),
        tuple(tuple(map(float, each)) for each in content["sets"]["score"]),
    )
    temperature, concentration = float(content["temperature"]), float(content["concentration"])
    shape = (len(sets.levels), len(sets.spread_deg) + 1)
    numbers = [temperature, concentration, *sets.levels, *sets.spread_deg, *np.ravel(sets.score)]
    if not all(map(math.isfinite, numbers)) or min(numbers[:2]) <= 0:
        raise ValueError("a number is out of its range")
    if np.shape(sets.score) != shape:
        raise ValueError("thresholds do not match levels and groups")
    return Calibration(
        temperature, concentration, sets, int(content["step"]), dict(content["fitted_on"])
    )
