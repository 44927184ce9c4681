"""The files of a folder or of a tar, found once and then read in place.

A tar is not unpacked: the position of each of its files is noted, so any of them can be read at any
time and from any thread. For that it must not be compressed. Its headers are read here and not by
`tarfile`, which takes 3.5 times as long (200,000 files: 7 s here, 26 s there), and a tar of renders
may hold millions.
"""

import array
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from catpose import progress
from catpose.errors import InputError

COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")  # gzip, bzip2, xz, zstd
MAX_DEPTH = 8  # of folders; links may form circles
BLOCK = 512  # of a tar
# Kinds of entries; 1 to 6 are links, devices and folders.
REGULAR, WITHOUT_CONTENT, LONG_NAME, EXTENDED, SPARSE = b"\x0007", b"123456", b"L", b"x", b"S"
ABOUT_THE_NEXT = (LONG_NAME, EXTENDED)


class Files(NamedTuple):
    """Files, perhaps millions of them, with few bytes for each.

    Attributes:
      root: the folder or the tar.
      path: of each file inside it, with "/" between its parts.
      where: offset, size and time of each file of a tar, one after the other; None for a folder.
    """

    root: str
    path: list[str]
    where: array.array | None

    def name(self, i: int) -> str:
        """The name of file `i` without its folders."""
        return self.path[i].rpartition("/")[2]

    def read(self, i: int) -> bytes:
        """The content of file `i`; may raise OSError.

        Each call opens the file, so threads share no position and nothing stays open.
        """
        if self.where is None:
            with open(f"{self.root}/{self.path[i]}", "rb") as file:
                return file.read()
        offset, size, _ = self.where[3 * i : 3 * i + 3]
        with open(self.root, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def inspect(self, indices: Sequence[int], num_bytes: int) -> tuple[np.ndarray, list[bytes]]:
        """Positions and first bytes of some files; may raise OSError.

        Returns:
          (N, 3) int64 of offset, size and time of change (of a tar in seconds, else nanoseconds),
          and the first `num_bytes` bytes of each.
        """
        where, begin = np.zeros((len(indices), 3), np.int64), []
        if self.where is None:
            for row, i in enumerate(indices):
                with open(f"{self.root}/{self.path[i]}", "rb", buffering=0) as file:
                    status = os.fstat(file.fileno())
                    where[row] = 0, status.st_size, status.st_mtime_ns
                    begin.append(file.read(num_bytes))
            return where, begin
        with open(self.root, "rb", buffering=0) as tar:
            for row, i in enumerate(indices):
                offset, size, _ = where[row] = self.where[3 * i : 3 * i + 3]
                begin.append(os.pread(tar.fileno(), min(num_bytes, size), offset))
        return where, begin


def find(root: str, wanted_fn: Callable[[str], bool], show_progress: bool = True) -> Files:
    """The files below a folder, or in a tar, that are wanted.

    Args:
      root: the folder or the tar.
      wanted_fn: whether a file is wanted, by its name without the folders.
      show_progress: show a bar on a terminal.

    Raises:
      InputError: there is neither, or it cannot be read, or the tar is compressed or incomplete.
    """
    path, where, is_folder = [], array.array("q"), os.path.isdir(root)
    entries = _walk(root, "", 0) if is_folder else _tar(root)
    try:
        for found, *place in progress.bar(entries, desc="list", unit="file", show=show_progress):
            if wanted_fn(found.rpartition("/")[2]):
                path.append(found)
                where.extend(place)
        return Files(root, path, None if is_folder else where)
    except FileNotFoundError as error:
        raise InputError(f"no folder or tar {error.filename or root}") from error
    except OSError as error:
        raise InputError(
            f"cannot read {error.filename or root}: {error.strerror or error}"
        ) from error


def _walk(root: str, folder: str, depth: int) -> Iterator[tuple[str]]:
    with os.scandir(f"{root}/{folder}") as entries:
        for entry in entries:
            if entry.is_file():  # a named pipe would be waited for
                yield (folder + entry.name,)
            elif entry.is_dir() and depth < MAX_DEPTH:
                yield from _walk(root, f"{folder}{entry.name}/", depth + 1)


def _tar(root: str) -> Iterator[tuple[str, int, int, int]]:
    """Path, offset, size and time (seconds) of each regular file of a tar.

    Reference: POSIX.1-2001, pax Interchange Format; GNU tar's manual, Standard Format.
    """
    with open(root, "rb") as tar:
        total = os.fstat(tar.fileno()).st_size
        if tar.read(6).startswith(COMPRESSED):
            raise InputError(
                f"{root} is compressed; unpack it (tar -xf) and give the folder, or give it as a "
                "plain .tar"
            )
        position, count, extended = 0, 0, {}
        while (header := os.pread(tar.fileno(), BLOCK, position)) != bytes(BLOCK):  # the end's mark
            start, kind = position + BLOCK, header[156:157]
            try:
                size, time = _numbers(header)
                if kind in WITHOUT_CONTENT:
                    size = 0
                elif kind in REGULAR:
                    size = int(extended.get("size", size))
                if not 0 <= size <= total:
                    raise ValueError("invalid size")
                if kind in ABOUT_THE_NEXT:
                    data = os.pread(tar.fileno(), size, start)
                    extended |= {"path": _text(data)} if kind == LONG_NAME else _records(data)
                position = start + -(-size // BLOCK) * BLOCK
            except ValueError as error:
                if not count:
                    raise InputError(f"{root} is neither a folder nor a tar of files") from error
                raise InputError(
                    f"{root} breaks off after {count} files; copy it again, or unpack what there "
                    "is (tar -xf) and give the folder"
                ) from error
            if kind in REGULAR:
                count += 1
                yield extended.get("path") or _path(header), start, size, time
            elif kind == SPARSE:
                raise InputError(f"{root} has sparse files; unpack it and give the folder")
            if kind not in ABOUT_THE_NEXT:
                extended = {}


def _numbers(header: bytes) -> tuple[int, int]:
    """Size and time of an entry.

    Raises:
      ValueError: the block is not a header, or a damaged one.
    """
    size, time, checksum = map(_number, (header[124:136], header[136:148], header[148:156]))
    # The sum of all bytes, with blanks in its own place. The lower half of Adler's is one more than
    # the sum, modulo 65521, and takes a tenth of the time.
    expected = checksum - 8 * 32 + sum(header[148:156])
    if len(header) < BLOCK or (zlib.adler32(header) & 0xFFFF) != (expected + 1) % 65521:
        raise ValueError("not a header")
    return size, time


def _number(field: bytes) -> int:
    """Octal digits; or, what they cannot hold, binary after a byte of 128 or, negative, of 255."""
    if field[:1] in (b"\x80", b"\xff"):
        return int.from_bytes(field[-8:], "big", signed=True)
    return int(field.rstrip(b"\0 ").lstrip() or b"0", 8)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _path(header: bytes) -> str:
    # Only POSIX's own form has a prefix; GNU's has times in that place.
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _records(data: bytes) -> dict[str, str]:
    """The "length key=value" lines of an extended header.

    Raises:
      ValueError: the data are something else.
    """
    records = {}
    while data:
        length = int(data.partition(b" ")[0])
        if not 0 < length <= len(data):
            raise ValueError("not an extended header")
        key, _, value = data[:length].partition(b" ")[2].rstrip(b"\n").partition(b"=")
        records[key.decode()] = value.decode("utf-8", "surrogateescape")
        data = data[length:]
    return records
