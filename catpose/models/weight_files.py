"""Read the arrays of a weight file by name, without the library that wrote it.

  .npz                 as they are named: "conv1_conv/kernel"
  .h5, .weights.h5     Keras, legacy and Keras 3: "conv1_conv/kernel", "conv1_bn/moving_mean"
  .safetensors         as they are named: "layer1.0.conv1.weight"
  .pth, .pt            PyTorch since 1.6, state dictionaries: "layer1.0.conv1.weight"

A .pth file is a pickle, which may run any code when it is loaded. The reader here knows tensors and
dictionaries and refuses everything else.
"""

import collections
import math
import pathlib
import pickle
import zipfile

import numpy as np
import safetensors.numpy
from jax import numpy as jnp

BATCH_NORM_VARIABLES = ("gamma", "beta", "moving_mean", "moving_variance")
LINEAR_VARIABLES = ("kernel", "bias")
# Wrappers that training scripts put around a state dictionary, and DataParallel's prefix.
WRAPPERS = ("state_dict", "model")
PARALLEL_PREFIX = "module."
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


def read(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """All arrays of a weight file, in the types they are stored in.

    Args:
      path: a file of one of the formats above; its ending says which.

    Raises:
      ValueError: the ending is unknown, or the file is not what its ending says, or a .pth file
        holds anything but tensors and dictionaries.
      FileNotFoundError: there is no such file.
    """
    path = pathlib.Path(path)
    if path.suffix not in READERS:
        raise ValueError(f"{path.name}: weights are read from {', '.join(READERS)} files")
    if not path.is_file():
        raise FileNotFoundError(f"there is no weight file {path}")
    return READERS[path.suffix](path)


def _read_npz(path):
    with np.load(path) as file:
        return dict(file)


def _read_h5(path):
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path.name} needs h5py: pip install catpose[keras]") from error

    with h5py.File(path) as file:
        # A whole model keeps its weights in a group of their own.
        root = file.get("model_weights", file)
        arrays = {}

        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                arrays[_keras_name(name, item)] = np.asarray(item)

        root.visititems(visit)
    return arrays


def _keras_name(name, dataset):
    """Layer and variable of "layer/layer/kernel:0", or of "layers/conv2d_3/vars/0"."""
    *_, last = parts = name.removesuffix(":0").split("/")
    if not last.isdigit():
        return "/".join(parts[-2:])
    # Keras 3 numbers the variables and writes the layer's name beside them.
    layer = dataset.parent.attrs.get("name", "/".join(parts[:-2]))
    names = BATCH_NORM_VARIABLES if len(dataset.parent) == 4 else LINEAR_VARIABLES
    return f"{layer}/{names[int(last)]}" if int(last) < len(names) else f"{layer}/{last}"


def _read_torch(path):
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path.name} is not in PyTorch's zip format (1.6 and later); write it anew with"
            " torch.save, or as .safetensors"
        )
    with zipfile.ZipFile(path) as archive:
        index = next((n for n in archive.namelist() if n.split("/", 1)[-1] == "data.pkl"), None)
        if index is None:
            raise ValueError(f"{path.name} was not written by torch.save: it has no data.pkl")
        with archive.open(index) as stream:
            content = _TensorUnpickler(stream, archive, index.removesuffix("data.pkl")).load()
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds a {type(content).__name__}, not a state dictionary")
    return {
        str(name).removeprefix(PARALLEL_PREFIX): array
        for name, array in content.items()
        if isinstance(array, np.ndarray)
    }


class _TensorUnpickler(pickle.Unpickler):
    """Unpickler that can make ordered dictionaries and arrays, and nothing else."""

    def __init__(self, stream, archive, prefix):
        super().__init__(stream)
        self._archive, self._prefix = archive, prefix
        names = archive.namelist()
        order = archive.read(prefix + "byteorder") if prefix + "byteorder" in names else b"little"
        self._byte_order = ">" if order == b"big" else "<"

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return rebuild_tensor
        if module == "torch" and name in STORAGES:
            return _Storage(name)
        raise ValueError(f"the file asks for {module}.{name}; only tensors are read")

    def persistent_load(self, pid):
        kind, storage, key, _, num_values = pid
        if kind != "storage" or not isinstance(storage, _Storage):
            raise ValueError(f"the file refers to {kind!r}; only tensors are read")
        dtype = np.dtype(STORAGES[storage]).newbyteorder(self._byte_order)
        return np.frombuffer(
            self._archive.read(f"{self._prefix}data/{key}"), dtype, count=num_values
        )


class _Storage(str):
    """Name of a storage type; a string that a pickle cannot call."""


def rebuild_tensor(
    storage: np.ndarray, offset: int, size: tuple, stride: tuple, *ignored: object
) -> np.ndarray:
    """The array of a size at an offset of a flat storage, with strides in elements.

    It replaces torch._utils._rebuild_tensor_v2 and takes its arguments, of which the rest is about
    gradients.

    Raises:
      ValueError: the array would reach outside its storage, or hold more values than it.
    """
    if math.prod(size) == 0:
        return np.zeros(size, storage.dtype)
    end = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    # An expanded tensor has strides of 0 and could be of any size; weights are not expanded.
    outside = min((offset, *size, *stride)) < 0 or end >= len(storage)
    if outside or math.prod(size) > len(storage):
        raise ValueError(f"a tensor of shape {size} reaches outside its storage")
    strides = [s * storage.itemsize for s in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides).copy()


READERS = {
    ".npz": _read_npz,
    ".h5": _read_h5,
    ".safetensors": safetensors.numpy.load_file,
    ".pth": _read_torch,
    ".pt": _read_torch,
}
