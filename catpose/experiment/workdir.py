"""The folder of a run: whose it is, whether it is finished, how long it took."""

import contextlib
import io
import json
import pathlib
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Any

import numpy as np

from catpose import checksums, config_keys, errors, outputs
from catpose.data import disk_cache
from catpose.errors import InputError
from catpose.experiment import config as config_lib
from catpose.experiment import exported

LIBRARIES = ("catpose", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
SHIPPED = pathlib.Path(__file__).parent.parent / "weights"  # folders of networks in the package
# Where results do not depend on a key, it may change between runs on one workdir.
FREE = ("data.cache_dir", "max_skipped", "max_skipped_share")
CONFIG, CATEGORIES, KEYS = "config.json", "categories.json", "pose_keys.npy"
REPORT = "report.json"


@contextlib.contextmanager
def opened(
    folder: pathlib.Path, config: config_lib.Config, *, free: tuple[str, ...] = FREE
) -> Iterator[Callable[[], float]]:
    """Makes the folder the config's own, or checks that it already is.

    Args:
      folder: made where it does not exist.
      config: written to `config.json` with versions and commit.
      free: keys, or sections, that may differ from those that the run began with.

    Yields:
      A function that tells the seconds spent on this run, those of earlier processes included.

    Raises:
      InputError: a folder with files of anything but a run, or of another config's run that has
        begun to train (the first differing key is named), no way to write, or another process that
        is at it.
    """
    _check_own(folder)
    taken = f"another process is at work on {folder}; wait for it, or give another --workdir"
    with disk_cache.locked(folder, taken, lambda error: _unwritable(folder, error)):
        _describe(folder, config, free)
        spent_path = folder / "seconds"
        earlier = 0.0
        with contextlib.suppress(OSError, ValueError):  # not there, or of no content
            earlier = float(spent_path.read_text())
        began = time.monotonic()

        def seconds() -> float:
            return earlier + time.monotonic() - began

        try:
            yield seconds
        finally:
            with contextlib.suppress(OSError):
                if _has_begun(folder):  # a look ahead is no part of the run
                    disk_cache.write_whole(spent_path, f"{seconds():.3f}\n".encode())


def _check_own(folder: pathlib.Path) -> None:
    outputs.check_folder(folder, (CONFIG, "seconds"), "a run's")
    if exported.is_export(folder):
        raise InputError(f"{folder} is an exported network; give another --workdir")
    if (folder / CONFIG).is_file():
        _described(folder)


def _described(folder: pathlib.Path) -> dict[str, Any]:
    """What `_describe` wrote."""
    content = read_json(folder / CONFIG)
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise InputError(f"{folder / CONFIG} is not a run's; give another folder")
    return content


def write_json(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes an object to a file of a run, with its checksum."""
    text = json.dumps(checksums.sealed(content), indent=2)
    disk_cache.write_whole(path, f"{text}\n".encode())


def read_json(path: pathlib.Path) -> Any:
    """The content of a file of a run.

    Raises:
      InputError: no such file, or a damaged one.
    """
    exported.check(path.parent, path.name)
    try:
        content = json.loads(path.read_bytes())
        if not checksums.is_whole(content):
            raise ValueError("its checksum is another")
        return content
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; copy the whole folder of the run") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged ({errors.reason(error)}); copy it again from the run, train anew, "
            f"or after a change of your own take out its {checksums.KEY}"
        ) from error


def _unwritable(folder: pathlib.Path, error: OSError) -> str:
    return f"cannot write to {folder}: {error.strerror or error}"


def _describe(folder: pathlib.Path, config: config_lib.Config, free: tuple[str, ...]) -> None:
    """Writes config.json; of a run that has begun, compares with it instead."""
    described = config_lib.to_dict(config)
    if _has_begun(folder):
        _compare(folder, config_lib.to_dict(read_config(folder)), described, free)
        return
    content = {
        "config": described,
        "versions": {name: metadata.version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "commit": commit(),
    }
    try:
        (folder / KEYS).unlink(missing_ok=True)  # perhaps of another config
        write_json(folder / CONFIG, content)
    except OSError as error:
        raise InputError(_unwritable(folder, error)) from error


def _has_begun(folder: pathlib.Path) -> bool:
    """Whether a checkpoint is there: until then, a corrected config may take the folder over."""
    saved = any(path.name.isdigit() for path in folder.glob("checkpoints/*"))
    return saved or (folder / REPORT).is_file()


def read_report(folder: pathlib.Path) -> dict[str, Any] | None:
    """The report of a finished run; None where there is none, or it is damaged, which is logged."""
    path = folder / REPORT
    if not path.is_file():
        return None
    with contextlib.suppress(InputError):
        report = read_json(path)
        if isinstance(report, dict) and isinstance(report.get("splits"), dict):
            return report
    print(f"{path} is damaged: it is made anew", file=sys.stderr)
    return None


def shipped() -> tuple[str, ...]:
    """Names of the trained networks that come with catpose."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob("*/config.json")))


def find(folder: str | pathlib.Path) -> pathlib.Path:
    """The folder of a run, or of a network that comes with catpose: "photo" or "mini"."""
    named = SHIPPED / str(folder)
    return named if str(folder) in shipped() else pathlib.Path(config_keys.expanded(folder))


def read_config(folder: pathlib.Path) -> config_lib.Config:
    """The config of the run in `folder`; keys younger than the run have their defaults.

    Raises:
      InputError: no run there, or one of another version or of a plugin that is not loaded.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(f"no run in {folder}: it has no config.json; train first")
    try:
        return config_lib.read(_described(folder)["config"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_categories(folder: pathlib.Path, categories: tuple[str, ...]) -> None:
    """Notes the categories' names, in the order of the network's outputs."""
    disk_cache.write_whole(folder / CATEGORIES, (json.dumps(categories) + "\n").encode())


def read_categories(folder: pathlib.Path) -> tuple[str, ...]:
    """What `write_categories` noted.

    Raises:
      InputError: the run in `folder` stopped before it had read its data, or a damaged file.
    """
    path = folder / CATEGORIES
    if not path.is_file():
        raise InputError(f"the run in {folder} has not begun to train")
    names = read_json(path)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise InputError(f"{path} is damaged: it is not a list of names; copy it again")
    return tuple(names)


def write_keys(folder: pathlib.Path, keys: np.ndarray | None) -> None:
    """Keeps the dictionary of key rotations that the run's poses are made of, if there is one."""
    if keys is not None:
        file = io.BytesIO()
        np.save(file, keys)
        disk_cache.write_whole(folder / KEYS, file.getvalue())


def read_keys(folder: pathlib.Path) -> np.ndarray | None:
    """What `write_keys` kept; None where there is no dictionary.

    Raises:
      InputError: a damaged file.
    """
    path = folder / KEYS
    if not path.is_file():
        return None
    exported.check(folder, KEYS)
    try:
        keys = np.load(path)
        if keys.shape[1:] != (3, 3) or not np.isfinite(keys).all():
            raise ValueError("it does not hold rotations")
    except Exception as error:  # numpy raises anything for a damaged file
        raise InputError(f"{path} is damaged ({errors.reason(error)}); copy it again") from error
    return keys


def commit() -> str:
    """The checkout's commit, "-dirty" behind it where files have changed; "" without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    where = pathlib.Path(__file__).parent
    try:
        result = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return result.stdout.strip()


def _compare(folder: pathlib.Path, old: Any, new: Any, free: tuple[str, ...]) -> None:
    before, now = _flatten(old), _flatten(new)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key) and not any(_is_in(key, each) for each in free):
            raise InputError(
                f"{folder} was made with config.{key} = {before.get(key, 'absent')}, now it is "
                f"{now.get(key, 'absent')}; give another --workdir, or the old value"
            )


def _is_in(key: str, section: str) -> bool:
    return key == section or key.startswith((f"{section}.", f"{section}["))


def _flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(tree, dict):
        items = [(f"{prefix}.{key}" if prefix else key, value) for key, value in tree.items()]
    elif isinstance(tree, list):
        items = [(f"{prefix}[{i}]", value) for i, value in enumerate(tree)]
    else:
        return {prefix: tree}
    flat = {prefix: None} if not items else {}
    for key, value in items:
        flat.update(_flatten(value, key))
    return flat
