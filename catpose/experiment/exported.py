"""A run's weights as one small file, without what only training needs."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from catpose import checksums
from catpose.errors import InputError
from catpose.models import weight_files

WEIGHTS = "weights.safetensors"
WEIGHT_KINDS = ("params.", "batch_stats.")
ABOUT = "about"  # what a state is of: the categories' names, and key rotations


def is_export(folder: pathlib.Path) -> bool:
    """Whether a folder is what `write` made of a run."""
    return (folder / WEIGHTS).is_file() and not (folder / "checkpoints").is_dir()


def check(folder: pathlib.Path, name: str = "") -> None:
    """Raises InputError where a file of an exported network is not as it was written."""
    if (folder / checksums.FILE).exists() and (problem := checksums.problem(folder, name)):
        raise InputError(f"{problem}: it is damaged; export the run, or install catpose, again")


def read(folder: pathlib.Path) -> tuple[int, dict[str, Any]]:
    """Step and arrays by path, which are read where `np.asarray` asks for them.

    Raises:
      InputError: a damaged file, or another one.
    """
    check(folder)
    arrays = weight_files.read(folder / WEIGHTS)
    if "step" not in arrays or arrays["step"].shape:
        raise InputError(
            f"{folder / WEIGHTS} is not a file that catpose export wrote: it has no step"
        )
    return int(np.asarray(arrays.pop("step"))), arrays


def write(
    step: int, arrays: Mapping[str, Any], output: pathlib.Path, package: Mapping[str, Any] = {}
) -> pathlib.Path:
    """Writes the weights; kernels are rounded to float16, everything else stays float32.

    Args:
      step: of the run.
      arrays: of its checkpoint.
      output: a folder, made where it does not exist.
      package: what a package of weights has of them, by path. Of these the file has what training
        added, and nothing where it added nothing.

    Raises:
      InputError: no way to write.
    """
    kept = {}
    for path, array in arrays.items():
        added = np.asarray(array) - package[path] if path in package else np.asarray(array)
        if path.startswith(f"{ABOUT}."):
            kept[path] = np.asarray(array)
        if path.startswith(WEIGHT_KINDS) and (path not in package or added.any()):
            kept[path] = np.asarray(added, np.float16 if path.endswith(".kernel") else np.float32)
    try:
        output.mkdir(parents=True, exist_ok=True)
        safetensors.numpy.save_file({**kept, "step": np.array(step)}, output / WEIGHTS)
    except OSError as error:
        raise InputError(f"cannot write to {output}: {error.strerror or error}") from error
    return output / WEIGHTS
