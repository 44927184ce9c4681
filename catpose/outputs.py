"""Where results may go: never over the user's files.

A file is replaced only where catpose wrote it, and a folder is written into only where it is empty
or a command's own.
"""

import pathlib
from collections.abc import Collection, Iterable
from typing import Any

from catpose.errors import InputError

MARK = {"made_by": "catpose"}  # in files of JSON that a user may name
_SOFTWARE = 0x0131  # of EXIF: what made a picture
_HEAD = 4096  # bytes, in which the mark stands


def check_inputs(outputs: Iterable[pathlib.Path], inputs: Iterable[pathlib.Path]) -> None:
    """Refuses outputs that are inputs too, under whatever name: links lead to one file.

    Raises:
      InputError: it names the first such file.
    """
    read = {_identity(path) for path in inputs if path.exists()}
    for path in outputs:
        if path.exists() and _identity(path) in read:
            raise InputError(f"{path} is an input of this command; give another place for results")


def check_own(outputs: Iterable[pathlib.Path]) -> None:
    """Refuses outputs that exist and have no mark of catpose.

    Raises:
      InputError: it names the first such file.
    """
    for path in outputs:
        if path.is_file() and not is_own(path):
            raise InputError(
                f"{path} exists, and catpose did not write it; remove it, or name another file"
            )


def check_folder(folder: pathlib.Path, signs: Collection[str], whose: str) -> None:
    """Refuses a folder with files, none of which says that it is the command's own.

    Args:
      folder: where results are to go.
      signs: names, one of which is in a folder that the command has written.
      whose: what such a folder is called, such as "a run's".

    Raises:
      InputError: it has visible files, and none of these.
    """
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if any(not name.startswith(".") for name in found) and not found & set(signs):
        raise InputError(f"{folder} has files and is not {whose}; give an empty or a new folder")


def save_picture(picture: Any, path: pathlib.Path, **options: Any) -> None:
    """Writes a PIL image with catpose's mark; folders are made where they do not exist.

    Raises:
      InputError: the file cannot be written, or it exists and is not catpose's.
    """
    check_own([path])
    exif = picture.getexif()
    exif[_SOFTWARE] = MARK["made_by"]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, exif=exif, **options)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write {path}: {error}") from error


def _identity(path: pathlib.Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def is_own(path: pathlib.Path) -> bool:
    """Whether a file has catpose's mark."""
    with path.open("rb") as file:
        return MARK["made_by"].encode() in file.read(_HEAD)
