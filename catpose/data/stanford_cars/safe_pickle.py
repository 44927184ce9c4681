"""Pickles that hold plain data, read without executing what is pickled in them.

A pickle is a program: to load it may run any code. The reader here makes numbers, strings, lists,
tuples, dictionaries, sets and arrays of numbers or text, and refuses everything else before it
exists. Arrays are put together from their bytes by code of this file, never by numpy's own
functions for pickles, which trust what they are given.
"""

import collections
import math
import os
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from catpose import errors
from catpose.data import guarded
from catpose.errors import InputError
from catpose.images import formats

# What an array may hold: truth values, integers, floats, complex numbers, bytes, text. No objects.
DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c8|c16|[SU]\d{1,4})")
NDARRAY = "numpy.ndarray"  # a name that a pickle may pass on and cannot call


def read(path: str | os.PathLike) -> Any:
    """The content of a pickle file of any protocol, text of Python 2 as `str`.

    Args:
      path: the file.

    Raises:
      InputError: no such file, no pickle, or one that asks for anything but plain data.
    """
    return guarded.read(_read, os.fspath(path))


def _read(path: str) -> Any:
    try:
        with open(path, "rb") as stream:
            if foreign := formats.foreign(stream.read(1024)):
                raise pickle.UnpicklingError(f"it is {foreign}")
            stream.seek(0)
            return _arrays_for_holders(_PlainUnpickler(stream, encoding="latin1").load(), {})
    except FileNotFoundError as error:
        raise InputError(f"no pickle {path}") from error
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes can make the machine of pickles raise anything
        raise InputError(
            f"cannot read {path} as a pickle of plain data: {errors.reason(error)}"
        ) from error


class _Maker:
    """A function that a pickle may call, and whose attributes it cannot set."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it sets the state of a function")


class _DtypeHolder:
    """Replaces a numpy.dtype: a type of numbers or text, whose byte order comes afterwards."""

    __slots__ = ("dtype",)

    def __init__(self, code: str, *ignored: Any):
        if not isinstance(code, str) or not DTYPE.fullmatch(code):
            raise pickle.UnpicklingError(f"it has an array of {str(code)[:40]!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        _, order, *described = state[:5]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in described):
            raise pickle.UnpicklingError("it has an array of records")
        self.dtype = self.dtype.newbyteorder(order)


class _ArrayHolder:
    """Replaces an array until its content has come."""

    __slots__ = ("array",)

    def __init__(self, *ignored: Any):
        self.array = np.zeros(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        self.array = _array(data, dtype, shape, "F" if fortran else "C")


def _array(data: Any, holder: Any, shape: Any, order: str = "C") -> np.ndarray:
    if not isinstance(holder, _DtypeHolder):
        raise pickle.UnpicklingError("it has an array without a type")
    if isinstance(data, str):  # bytes of Python 2
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray):
        raise pickle.UnpicklingError(f"it has an array made of a {type(data).__name__}")
    if math.prod(shape) * holder.dtype.itemsize != len(data):
        raise pickle.UnpicklingError(f"{len(data)} bytes are no array of shape {shape}")
    return np.frombuffer(data, holder.dtype).reshape(shape, order=order).copy()


def _encoded(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into old protocols."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it asks for the encoding {str(encoding)[:40]!r}")
    return text.encode("latin1")


MAKERS = {
    ("collections", "OrderedDict"): _Maker(collections.OrderedDict),
    ("builtins", "set"): _Maker(set),
    ("__builtin__", "set"): _Maker(set),
    ("_codecs", "encode"): _Maker(_encoded),
    ("builtins", "bytes"): _Maker(lambda: b""),
    ("__builtin__", "bytes"): _Maker(lambda: b""),
    ("numpy", "ndarray"): NDARRAY,
    ("numpy", "dtype"): _Maker(_DtypeHolder),
}
for _package in ("numpy.core", "numpy._core"):  # before and since numpy 2
    MAKERS |= {
        (f"{_package}.multiarray", "_reconstruct"): _Maker(_ArrayHolder),
        (f"{_package}.multiarray", "scalar"): _Maker(
            lambda holder, data: _array(data, holder, ())[()]
        ),
        (f"{_package}.numeric", "_frombuffer"): _Maker(_array),
    }


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler that knows the names in MAKERS, and nothing else."""

    def find_class(self, module, name):
        if (module, name) not in MAKERS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no plain data")
        return MAKERS[module, name]


def _arrays_for_holders(value: Any, done: dict[int, Any]) -> Any:
    """`value` with arrays in the place of what stood for them; shared parts stay shared."""
    if isinstance(value, _ArrayHolder):
        return value.array
    if isinstance(value, _Maker | _DtypeHolder):
        raise pickle.UnpicklingError("it holds a function or a type, which is no plain data")
    if not isinstance(value, dict | list | tuple):
        return value
    if id(value) not in done:
        if isinstance(value, dict):
            made = {key: _arrays_for_holders(item, done) for key, item in value.items()}
        else:
            made = type(value)(_arrays_for_holders(item, done) for item in value)
        done[id(value)] = made
    return done[id(value)]
