"""MATLAB files, as datasets of that age have them."""

import os
from typing import Any

from catpose import errors
from catpose.errors import InputError


def load(path: str | os.PathLike, variable: str, *, structs: bool = False) -> Any:
    """One variable of a .mat file, without axes of length 1; None where the file has none of it.

    Args:
      path: the file.
      variable: its name.
      structs: a MATLAB struct becomes an object with attributes, not a record of numpy.

    Raises:
      InputError: no such file, or it is damaged or of another kind.
    """
    import scipy.io

    try:
        content = scipy.io.loadmat(
            os.fspath(path),
            squeeze_me=True,
            struct_as_record=not structs,
            variable_names=[variable],
        )
    except Exception as error:  # a damaged file can make the parser raise anything
        raise InputError(f"cannot read {path} as a MATLAB file: {errors.reason(error)}") from error
    return content.get(variable)
