"""Tensors of PyTorch's files, without PyTorch, and without running what is pickled in them.

A file of torch.save is a pickle, which may run any code when it is loaded, and the values of its
tensors beside it. The reader here knows tensors and dictionaries and refuses everything else. It
reads both formats: zip archives, and what torch.save wrote before PyTorch 1.6.
"""

import collections
import functools
import io
import mmap
import pathlib
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jax import numpy as jnp

from catpose.errors import InputError

# What begins a file from before PyTorch 1.6.
LEGACY_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
INDEX = "data.pkl"  # of a zip archive
# Keys under which training scripts keep a state dictionary; the last three an average over time.
WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "module",
    "model_ema",
    "state_dict_ema",
    "ema",
)
STORAGES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "BFloat16Storage": jnp.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


class Tensor(NamedTuple):
    """A tensor that is not read yet: its shape, and what reads its values."""

    shape: tuple[int, ...]
    read_fn: Callable[[], np.ndarray]


class Storage(NamedTuple):
    """Values in a row, of which tensors are windows.

    Attributes:
      dtype: of the values, in the file's byte order.
      count: how many there are.
      bytes_fn: reads them.
    """

    dtype: np.dtype
    count: int
    bytes_fn: Callable[[], bytes]


def from_zip(archive: zipfile.ZipFile) -> dict[str, Tensor]:
    """Tensors of a zip archive by their names, those of a wrapper behind its name and a dot.

    Raises:
      InputError: anything but tensors and dictionaries, or a tensor outside of its storage.
    """
    index = next(name for name in archive.namelist() if name.split("/")[-1] == INDEX)
    folder = index.removesuffix(INDEX)
    # So no storage takes more memory than the file.
    if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
        raise InputError("it is compressed, which torch.save does not do; unpack and save it anew")
    is_big = f"{folder}byteorder" in archive.namelist() and (
        archive.read(f"{folder}byteorder") == b"big"
    )
    # Windows of one storage follow each other.
    read = functools.lru_cache(maxsize=1)(lambda key: archive.read(f"{folder}data/{key}"))
    content, _ = _load(io.BytesIO(archive.read(index)), read, ">" if is_big else "<")
    return _named(content)


def from_legacy(path: pathlib.Path) -> dict[str, Tensor]:
    """As `from_zip`, of a file from before PyTorch 1.6.

    It is five pickles (magic number, version, machine, content, keys of the storages in their
    order) and each storage as its number of values and the values, little-endian everywhere.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    begins: dict[str, slice] = {}
    for _ in range(3):
        _load(mapped)
    content, storages = _load(mapped, lambda key: mapped[begins[key]])
    keys, _ = _load(mapped)
    for key in keys:
        storage, count = storages[key], int.from_bytes(mapped.read(8), "little")
        if count != storage.count:
            raise InputError(f"its storage {key} has {count} values, not {storage.count}")
        begin = mapped.tell()
        mapped.seek(begin + count * storage.dtype.itemsize)  # an error where the file ends before
        begins[key] = slice(begin, mapped.tell())
    return _named(content)


def _named(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        raise InputError(
            f"it holds a {type(content).__name__}, not a state dictionary; save model.state_dict()"
        )
    levels = {"": content}
    for _ in range(2):
        levels |= {
            f"{prefix}{wrapper}.": tree[wrapper]
            for prefix, tree in levels.items()
            for wrapper in WRAPPERS
            if isinstance(tree.get(wrapper), dict)
        }
    found = {
        f"{prefix}{name}": tensor
        for prefix, tree in levels.items()
        for name, tensor in tree.items()
        if isinstance(tensor, Tensor)
    }
    if not found:
        raise InputError(
            f"it has no tensors, nor under a key such as state_dict; its keys are "
            f"{', '.join(map(str, list(content)[:5]))}; save its state dictionary alone"
        )
    return found


def _load(
    stream: Any, read_fn: Callable[[str], bytes] | None = None, byte_order: str = "<"
) -> tuple[Any, dict[str, Storage]]:
    """The next pickle of a stream, and the storages that it names."""
    begin = stream.tell()
    for opcode, number, _ in pickletools.genops(stream):
        # Objects are numbered in turn; a number is a table of its size.
        if opcode.name in ("PUT", "LONG_BINPUT") and number > stream.tell():
            raise InputError("its pickle asks for far more memory than it needs")
    stream.seek(begin)
    unpickler = _TensorUnpickler(stream, read_fn, byte_order)
    return unpickler.load(), unpickler.storages


class _StorageType(str):
    """Name of a storage type; a string that a pickle cannot call."""


class _TensorUnpickler(pickle.Unpickler):
    """Unpickler that can make ordered dictionaries and tensors, and nothing else."""

    def __init__(self, stream, read_fn, byte_order):
        super().__init__(stream)
        self.storages: dict[str, Storage] = {}
        self._read_fn, self._byte_order = read_fn, byte_order

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _of_parameter
        if module == "torch" and name in STORAGES:
            return _StorageType(name)
        raise InputError(
            f"it asks for {module}.{name}, and only tensors are read: save model.state_dict() alone"
        )

    def persistent_load(self, pid):
        kind, storage, key, _, count, *view = pid
        if kind != "storage" or not isinstance(storage, _StorageType) or any(view):
            raise InputError(f"it refers to a {kind}; only tensors are read")
        dtype = np.dtype(STORAGES[storage]).newbyteorder(self._byte_order)
        self.storages[key] = Storage(dtype, count, functools.partial(self._read_fn, key))
        return self.storages[key]


def tensor(storage: Storage, offset: int, size: tuple, stride: tuple, *ignored: object) -> Tensor:
    """The tensor of a size at an offset of a storage, with strides in values.

    It replaces torch._utils._rebuild_tensor_v2 and takes its arguments, of which the rest is about
    gradients.

    Raises:
      InputError: the tensor would reach outside of its storage, or a number is not an int.
    """
    numbers = (storage.count, offset, *size, *stride)
    # Other types of numbers may overflow where they are multiplied.
    if not isinstance(storage, Storage) or any(type(n) is not int or n < 0 for n in numbers):
        raise InputError("a tensor has a size, stride or offset that is not a positive integer")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if 0 not in size and last >= storage.count:
        raise InputError(f"a tensor of shape {size} reaches outside its storage")

    def read() -> np.ndarray:
        if 0 in size:
            return np.zeros(size, storage.dtype)
        values = np.frombuffer(storage.bytes_fn(), storage.dtype, storage.count)
        strides = [s * storage.dtype.itemsize for s in stride]
        return np.lib.stride_tricks.as_strided(values[offset:], size, strides, writeable=False)

    return Tensor(tuple(size), read)


def _of_parameter(parameter: Any, *ignored: object) -> Any:
    """It replaces torch._utils._rebuild_parameter: a parameter is its tensor."""
    return parameter
