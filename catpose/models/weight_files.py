"""Read the arrays of a weight file by name, without the library that wrote it.

  NumPy's .npz                         as they are named: "conv1_conv/kernel"
  Keras' .h5, legacy and Keras 3       "conv1_conv/kernel", "conv1_bn/moving_mean"
  .safetensors                         as they are named: "layer1.0.conv1.weight"
  PyTorch's .pth, state dictionaries   "layer1.0.conv1.weight"

The content says which it is, whatever the ending. What training scripts put before the names
("module.", "state_dict.") is taken off.
"""

import contextlib
import dataclasses
import functools
import math
import pathlib
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import safetensors

from catpose import errors
from catpose.errors import InputError
from catpose.models import torch_files

BATCH_NORM_VARIABLES = ("gamma", "beta", "moving_mean", "moving_variance")
LINEAR_VARIABLES = ("kernel", "bias")
# Of wrappers, DataParallel, torch.compile, and of a model around its backbone.
_PREFIXES = re.compile(rf"(?:(?:{'|'.join(torch_files.WRAPPERS)}|_orig_mod|backbone)\.)*")
# What is found in the place of weights, by how it begins.
_MISTAKEN = {
    rb"\Z": "it is empty; download it again",
    rb"version https://git-lfs": "it is a pointer of Git LFS, not the weights: run git lfs pull",
    rb"(\xef\xbb\xbf)?\s*<": "it is a web page, not weights; download it again, logged in if asked",
    rb"\x80": "it is a pickle, but not of torch.save; save the arrays as .npz or .safetensors",
    rb"": "it is not a file of weights: .npz, .h5, .safetensors and .pth begin in another way; "
    "download it again",
}
# The name of an array, its shape, and what reads it.
Found = tuple[str, tuple[int, ...], Callable[[], np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Stored:
    """An array in a file, which is read where `np.asarray` asks for it.

    Attributes:
      shape: of the array.
      read_fn: reads it, in the type it is stored in.
    """

    shape: tuple[int, ...]
    read_fn: Callable[[], np.ndarray]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.read_fn(), dtype)


def read(path: str | pathlib.Path) -> dict[str, Stored]:
    """All arrays of a weight file, none of which is read yet.

    Where a file has weights and their average over time, it is the weights.

    Args:
      path: a file in one of the formats above.

    Raises:
      InputError: no such file, another format, a damaged file, or a .pth file that holds anything
        but tensors and dictionaries. Damage can also be found when an array is read.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"no weight file {path}")
    arrays: dict[str, Stored] = {}
    with _errors_named(path):
        # The weights come before their averages.
        for name, shape, read_fn in sorted(
            _reader(path)(path), key=lambda found: _is_average(found[0])
        ):
            short = _PREFIXES.sub("", name, count=1)
            if short not in arrays:
                arrays[short] = Stored(shape, functools.partial(_read, path, read_fn))
            elif not _is_average(name):
                raise InputError(f"it has {short} twice, the second time as {name}")
    return arrays


def _is_average(name: str) -> bool:
    return "ema." in _PREFIXES.match(name).group()


def _read(path: pathlib.Path, read_fn: Callable[[], np.ndarray]) -> np.ndarray:
    with _errors_named(path):
        return read_fn()


@contextlib.contextmanager
def _errors_named(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    except Exception as error:  # of a damaged file libraries raise anything
        raise InputError(
            f"{path.name} is damaged or half downloaded ({errors.reason(error)}); download it again"
        ) from error


def _reader(path: pathlib.Path) -> Callable[[pathlib.Path], list[Found]]:
    with path.open("rb") as file:
        head = file.read(256)
    for signature, reader in READERS.items():
        if re.match(signature, head, re.DOTALL):
            return reader
    raise InputError(next(text for begin, text in _MISTAKEN.items() if re.match(begin, head)))


def _read_zip(path: pathlib.Path) -> list[Found]:
    archive = zipfile.ZipFile(path)
    names = archive.namelist()
    if any(name.split("/")[-1] == torch_files.INDEX for name in names):
        return _of_torch(torch_files.from_zip(archive))
    if not any(name.endswith(".npy") for name in names):
        raise InputError(f"it is a zip archive without arrays, of {', '.join(names[:3])}")
    return [_npy(archive, name) for name in names if name.endswith(".npy")]


def _npy(archive: zipfile.ZipFile, member: str) -> Found:
    name = member.removesuffix(".npy")
    with archive.open(member) as stream:
        # The later versions are for records, and their headers can be of any size.
        if np.lib.format.read_magic(stream) != (1, 0):
            raise InputError(f"{name} is not an array of numbers")
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        begin = stream.tell()
    if archive.getinfo(member).file_size != begin + math.prod(shape) * dtype.itemsize:
        raise InputError(f"{name} is not of its own size, {shape}")

    def read_values() -> np.ndarray:
        values = np.frombuffer(archive.read(member), dtype, offset=begin)
        return values.reshape(shape, order="F" if is_fortran else "C")

    return name, shape, read_values


def _read_h5(path: pathlib.Path) -> list[Found]:
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"it needs h5py: {errors.extra('keras')}") from error
    file, found = h5py.File(path), []
    # A whole model keeps its weights in a group of their own.
    inner = isinstance(file.get("model_weights", getlink=True), h5py.HardLink)

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            # What lies in one piece in this file has an offset in it.
            if item.id.get_offset() is None and (item.external or item.is_virtual):
                raise InputError(f"{name} is in another file")
            read_fn = functools.partial(item.__getitem__, ())
            found.append((_keras_name(name, item), item.shape, read_fn))

    (file["model_weights"] if inner else file).visititems(visit)
    return found


def _keras_name(name: str, dataset: Any) -> str:
    """Layer and variable of "layer/layer/kernel:0", or of "layers/conv2d_3/vars/0"."""
    *_, last = parts = name.removesuffix(":0").split("/")
    if not last.isdigit():
        return "/".join(parts[-2:])
    # Keras 3 numbers the variables and writes the layer's name beside them.
    layer = dataset.parent.attrs.get("name", "/".join(parts[:-2]))
    names = BATCH_NORM_VARIABLES if len(dataset.parent) == 4 else LINEAR_VARIABLES
    return f"{layer}/{names[int(last)]}" if int(last) < len(names) else f"{layer}/{last}"


def _read_safetensors(path: pathlib.Path) -> list[Found]:
    file = safetensors.safe_open(path, framework="numpy")
    return [
        (name, tuple(file.get_slice(name).get_shape()), functools.partial(file.get_tensor, name))
        for name in file.keys()  # noqa: SIM118
    ]


def _read_legacy_torch(path: pathlib.Path) -> list[Found]:
    return _of_torch(torch_files.from_legacy(path))


def _of_torch(tensors: dict[str, torch_files.Tensor]) -> list[Found]:
    return [(name, *tensor) for name, tensor in tensors.items()]


READERS = {
    rb"PK\x03\x04": _read_zip,
    rb"\x89HDF\r\n\x1a\n": _read_h5,
    re.escape(torch_files.LEGACY_MAGIC): _read_legacy_torch,
    rb".{8}\{": _read_safetensors,  # the length of a header in JSON
}
