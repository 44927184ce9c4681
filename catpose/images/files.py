"""Image files: which of a folder count, and their bytes."""

import os
import pathlib

from catpose import errors
from catpose.errors import InputError

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .avif .heic .heif .tif .tiff .bmp .gif .ppm .pgm .pbm .pnm"
    .split()
)  # fmt: skip
MAX_BYTES = 1 << 30  # of a file


def find(folder: str | os.PathLike, *, recursive: bool = False) -> list[pathlib.Path]:
    """The images of a folder, by their suffixes, in order.

    Hidden files are none of them (macOS lays a `._photo.jpg` beside each photo on a foreign disk),
    nor are named pipes and devices.

    Args:
      folder: where it does not exist, nothing is found.
      recursive: also in the folders below that are not hidden.
    """
    folder = pathlib.Path(folder)
    return sorted(
        path
        for path in folder.glob("**/*" if recursive else "*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and os.path.isfile(path)
    )


def read_bytes(path: str | os.PathLike) -> bytes:
    """The content of an image's file.

    Raises:
      InputError: no such file, a folder, a named pipe or a device, an unreadable file, or one of
        more than MAX_BYTES.
    """
    if not os.path.isfile(path):
        if not os.path.exists(path):
            raise InputError(f"no image {path}")
        reason = "it is a folder" if os.path.isdir(path) else "it is no regular file"
        raise InputError(f"cannot read {path} as an image: {reason}")
    try:
        if (size := os.path.getsize(path)) > MAX_BYTES:
            raise InputError(
                f"cannot read {path} as an image: it has {size / MAX_BYTES:.1f} GiB, and 1 is read"
            )
        with open(path, "rb") as file:  # pathlib would parse the path first
            return file.read()
    except OSError as error:
        reason = errors.reason(error)
        raise InputError(f"cannot read {path} as an image: {reason}") from error
