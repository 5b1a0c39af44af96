"""Pickles of numpy arrays, numbers and plain containers, read without running anything from them.

A pickle names functions that build its objects. Here such a name leads to a small function below that only records the
arguments; numpy is called with checked values afterwards, since its own functions trust a pickle. A pickle can also set
attributes of the objects it gets, so it gets none on which an attribute would matter.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from .bounded_pickle import BoundedUnpickler


class _Dtype:
    """A numpy dtype as pickled: a code such as "f4", and its byte order in the state."""

    def __init__(self, code: object = None, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def resolve(self) -> np.dtype:
        """Raises: TypeError, ValueError: not a plain kind of number."""
        dtype = np.dtype(str(self.code))
        if dtype.kind not in "biuf" or dtype.itemsize > 8 or dtype.names is not None or dtype.subdtype is not None:
            raise ValueError(f"an array of {self.code!r}, expected numbers")
        return dtype.newbyteorder("<" if self.order == "<" else ">" if self.order == ">" else "=")


class PickledArray:
    """A numpy array as pickled; ``value`` is the array, None where the pickle gives no content."""

    def __init__(self, *_: object) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        self.fill(data, dtype, shape, "F" if fortran else "C")

    def fill(self, data: object, dtype: Any, shape: Any, order: Literal["C", "F"]) -> None:
        if not isinstance(data, (str, bytes, bytearray)):  # a number would be a size
            raise ValueError(f"an array of a value of type {type(data).__name__}, expected bytes")
        data = data.encode("latin1") if isinstance(data, str) else data  # Python 2 has no bytes
        array = np.frombuffer(data, dtype=dtype.resolve()).reshape(tuple(int(n) for n in shape), order=order)
        self.value = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")


class ArrayUnpickler(BoundedUnpickler):
    """Knows numpy arrays, which it returns as :class:`PickledArray`, numpy numbers and plain containers."""

    def find_class(self, module: str, name: str) -> object:
        module = module.replace("numpy._core", "numpy.core").replace("__builtin__", "builtins")
        if (module, name) in _PLAIN:
            return _PLAIN[module, name]
        if (module, name) in _CALLED:
            return functools.partial(_CALLED[module, name])  # its own each time, so that nothing set on it stays
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, not a numpy array or a plain container")


def _reconstruct(*_: object) -> PickledArray:
    return PickledArray()


def _frombuffer(data: object, dtype: Any, shape: Any, order: object) -> PickledArray:
    array = PickledArray()
    array.fill(data, dtype, shape, "F" if order == "F" else "C")
    return array


def _scalar(dtype: Any, data: object) -> object:
    value = _frombuffer(data, dtype, (), "C").value
    return None if value is None else value.item()


def _encode(text: object, encoding: object) -> bytes:
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise pickle.UnpicklingError(f"it asks for text in {encoding!r}")
    return text.encode("latin1")


def _bytes(data: object = b"", encoding: object = "latin-1") -> bytes:
    return data if isinstance(data, bytes) else _encode(data, encoding)


# Classes without attributes to set: built in, or with a __setstate__ of their own. An OrderedDict would take any, also
# one called "get".
_PLAIN = {
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): _Dtype,
    ("collections", "OrderedDict"): dict,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
}
_CALLED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytes,
}
