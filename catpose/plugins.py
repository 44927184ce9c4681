"""A user's own modules, which add to the tables of backbones, poses, readers and losses.

A plugin is imported when a user names it, never because a config or the folder of a run does.
"""

import importlib
import os
import sys
from collections.abc import Sequence

from catpose.errors import InputError


def load(names: Sequence[str]) -> None:
    """Imports modules by name, from the current folder or wherever Python finds modules.

    Raises:
      InputError: there is no such module.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # something that the plugin itself imports
            raise InputError(
                f"there is no plugin '{name}': no module of that name in the current folder nor "
                "on the PYTHONPATH"
            ) from error


def check(names: Sequence[str]) -> None:
    """Raises InputError where a config names plugins that are not loaded."""
    missing = [name for name in names if name not in sys.modules]
    if missing:
        raise InputError(
            f"the config needs the plugins {', '.join(names)}, and {', '.join(missing)} is not "
            f"loaded; give --plugins={','.join(names)}, or catpose.load(..., plugins={names!r})"
        )
