"""Config files by name: those that come with catpose, and a user's own."""

import importlib
import pathlib
import re
import runpy

import ml_collections

from catpose import config_keys, errors
from catpose.errors import InputError


def shipped() -> tuple[str, ...]:
    """Names of the configs that come with catpose, such as "quickstart"."""
    return tuple(sorted(
        path.stem for path in _folder().glob("*.py") if "def get_config" in path.read_text()
    ))  # fmt: skip


def find(config: str) -> str:
    """The file of a config, with what is passed to its `get_config` behind a colon.

    Args:
      config: a file, or the name of a config that comes with catpose; either may go on with a
        colon and an argument, such as "tables:shapes,small,phase0".

    Raises:
      InputError: neither a file nor a known name.
    """
    name, colon, argument = config.partition(":")
    path = pathlib.Path(config_keys.expanded(name))
    if not path.is_file():
        if name not in shipped():
            hint = errors.near(re.sub(r"^configs/|\.py$", "", name), shipped())
            raise InputError(
                f"no config file '{name}', and no config of that name comes with catpose"
                + (hint or f"; there are {', '.join(shipped())}")
            )
        path = _folder() / f"{name}.py"
    return f"{path}{colon}{argument}"


def load(config: str | pathlib.Path | ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """A config by its name or file (see `find`); a ConfigDict is returned as it is.

    Raises:
      InputError: see `find`.
    """
    if isinstance(config, ml_collections.ConfigDict):
        return config
    path, colon, argument = find(str(config)).partition(":")
    return runpy.run_path(path)["get_config"](*([argument] if colon else []))


def _folder() -> pathlib.Path:
    return pathlib.Path(importlib.import_module("catpose.configs").__path__[0])
