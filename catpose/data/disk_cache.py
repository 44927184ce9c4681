"""Arrays that are expensive to make, kept on disk under the hash of what made them.

A stored entry is a folder of `.npy` files, opened memory-mapped. It is written beside its final
place and renamed when complete, so a killed writer never leaves half an entry. Its checksums are
compared when it is opened, and a damaged entry is made again.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from catpose import checksums
from catpose.errors import InputError


def cache_dir(configured: str = "") -> pathlib.Path:
    """The folder of the caches: `configured`, or `catpose` in the user's own cache folder."""
    if configured:
        return pathlib.Path(configured)
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "catpose"


def write_whole(path: pathlib.Path, content: bytes) -> None:
    """Writes a file in one move: neither a kill nor another process's reading finds half of it."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(
    folder: pathlib.Path, taken: str, unwritable_fn: Callable[[OSError], str]
) -> Iterator[None]:
    """Holds a folder against other processes; the lock ends with the process.

    Where the file system has no locks, nothing is held.

    Args:
      folder: made where it does not exist; its file `.lock` stays.
      taken: the message where another process holds the folder.
      unwritable_fn: the message where the folder cannot be written.

    Raises:
      InputError: one of these.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise InputError(unwritable_fn(error)) from error
    with file:  # closing gives the lock back, and so does the end of the process
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(taken) from None
        except OSError:
            pass  # a file system without locks
        yield


def digest(*parts: object) -> str:
    """A short hex hash of `parts`: arrays and bytes by content, anything else as sorted JSON."""
    state = hashlib.blake2b(digest_size=12)
    for part in parts:
        if isinstance(part, np.ndarray):
            state.update(f"{part.dtype}{part.shape}".encode())
            state.update(np.ascontiguousarray(part).data)
        elif isinstance(part, bytes):
            state.update(part)
        else:
            state.update(json.dumps(part, sort_keys=True, default=str).encode())
        state.update(b"\x00")
    return state.hexdigest()


_ABANDONED = 24 * 3600  # seconds: nobody works on one entry for longer

# Makes an array in the entry's own files: (name, shape, dtype) -> what is to be filled.
NewArray = Callable[[str, tuple[int, ...], Any], np.ndarray]


def stored(
    folder: pathlib.Path,
    name: str,
    digest: str,
    make_fn: Callable[[NewArray], Mapping[str, np.ndarray]],
    *,
    renew: bool = False,
) -> dict[str, np.ndarray]:
    """The arrays of `make_fn`, made once per `digest` and memory-mapped read-only afterwards.

    An entry that is damaged, or of a version without checksums, is made again, which is logged.

    Args:
      folder: where entries live; made with private permissions where it does not exist.
      name: a readable prefix of the entry's folder.
      digest: of everything that `make_fn` depends on, see the function of this name.
      make_fn: called only where no entry exists. It returns arrays; those that should never be
        whole in memory it fills in place, in what `new_fn(name, shape, dtype)` gives it.
      renew: make the entry again where it exists, and keep it until then.

    Raises:
      InputError: the folder cannot be written or the disk is full.
    """
    entry = folder / f"{name}-{digest}"
    if entry.is_dir() and (problem := checksums.problem(entry)):
        print(f"{problem}: this part of the cache is made again", file=sys.stderr)
        renew = True
    if renew or not entry.is_dir():
        _make(entry, make_fn)
    return {path.stem: np.load(path, mmap_mode="r") for path in sorted(entry.glob("*.npy"))}


def _make(entry: pathlib.Path, make_fn: Callable[[NewArray], Mapping[str, np.ndarray]]) -> None:
    """Writes an entry, in the place of the one that is there when this begins."""
    folder, before = entry.parent, entry.is_dir()

    def fresh() -> pathlib.Path:
        return pathlib.Path(tempfile.mkdtemp(".partial", f"{entry.name}.", folder))

    with _writing(entry):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(folder)
        partial = fresh()

    def new_array(field: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        with _writing(entry):
            return _allocated(partial / f"{field}.npy", shape, dtype)

    try:
        arrays = make_fn(new_array)
        with _writing(entry):
            for field, array in arrays.items():
                np.save(partial / f"{field}.npy", array)
            checksums.note(partial, [path.name for path in partial.glob("*.npy")])
            if before:
                with contextlib.suppress(FileNotFoundError):  # another process was faster
                    os.replace(entry, old := fresh())
                    shutil.rmtree(old, ignore_errors=True)
            try:
                os.replace(partial, entry)
            except OSError:
                if not entry.is_dir():  # else another process was faster
                    raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sweep(folder: pathlib.Path) -> None:
    """Removes what killed processes left, once nobody can still be at work on it."""
    for partial in folder.glob("*.partial"):
        with contextlib.suppress(OSError):  # another process sweeps too
            if time.time() - partial.stat().st_mtime > _ABANDONED:
                shutil.rmtree(partial, ignore_errors=True)


def _allocated(path: pathlib.Path, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """A new array in a file, its whole space taken at once.

    A file with holes would let a full disk kill the process, without a word, on some later write
    to memory.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if array.nbytes and hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


@contextlib.contextmanager
def _writing(entry: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write the cache {entry}: {error.strerror or error}; "
            "give another folder with --config.data.cache_dir=DIR"
        ) from error


def sha256(tree: Any) -> str:
    """SHA-256 of the bytes of a tree's arrays, with their paths: equal means bit for bit equal."""
    state = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        state.update(f"{jax.tree_util.keystr(path)}{array.dtype}{array.shape}".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()
