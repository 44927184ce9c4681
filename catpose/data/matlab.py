"""MATLAB files, as datasets of that age have them."""

import os
import pathlib
from typing import Any

from catpose import errors
from catpose.data import guarded
from catpose.errors import InputError
from catpose.images import formats

_HDF5 = b"\x89HDF\r\n\x1a\n"


def load(path: str | os.PathLike, variable: str, *, structs: bool = False) -> Any:
    """One variable of a .mat file, without axes of length 1; None where the file has none of it.

    Args:
      path: the file.
      variable: its name.
      structs: a MATLAB struct becomes an object with attributes, not a record of numpy.

    Raises:
      InputError: no such file, or it is damaged or of another kind.
    """
    return guarded.read(_load, os.fspath(path), variable, structs)


def _load(path: str, variable: str, structs: bool) -> Any:
    import scipy.io

    try:
        with pathlib.Path(path).open("rb") as file:
            head = file.read(512 + len(_HDF5))
        if head.startswith(b"MATLAB 7.3") or _HDF5 in (head[: len(_HDF5)], head[512:]):
            raise ValueError("it is of version 7.3; load it in MATLAB and save it with '-v7'")
        if foreign := formats.foreign(head):
            raise ValueError(f"it is {foreign}")
        content = scipy.io.loadmat(
            path, squeeze_me=True, struct_as_record=not structs, variable_names=[variable]
        )
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make the parser raise anything
        raise InputError(f"cannot read {path} as a MATLAB file: {errors.reason(error)}") from error
    return content.get(variable)
