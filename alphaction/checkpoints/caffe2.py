"""Caffe2 weight files (.pkl), which are pickles, read without running anything from them.

A pickle names functions that build its objects. Here such a name leads to a small function below that only records the
arguments; numpy is called with checked values afterwards, since its own functions trust a pickle. A pickle can also set
attributes of the objects it gets, so it gets none on which an attribute would matter.
"""

from __future__ import annotations

import functools
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ..errors import UserError
from .bounded_pickle import BoundedUnpickler
from .layer_names import blob_to_entry, foreign_zoo
from .unwrap import CONTAINERS

# Momenta and counters of the training run.
_NOT_WEIGHTS = ("_momentum", "lr", "model_iter", "cur_iter", "epoch")


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


class _Array:
    """A numpy array as pickled."""

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


class _Unpickler(BoundedUnpickler):
    """Knows numpy arrays, numpy numbers and plain containers."""

    def find_class(self, module: str, name: str) -> object:
        module = module.replace("numpy._core", "numpy.core").replace("__builtin__", "builtins")
        if (module, name) in _PLAIN:
            return _PLAIN[module, name]
        if (module, name) in _CALLED:
            return functools.partial(_CALLED[module, name])  # its own each time, so that nothing set on it stays
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, not a numpy array or a plain container")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _frombuffer(data: object, dtype: Any, shape: Any, order: object) -> _Array:
    array = _Array()
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
    ("numpy", "ndarray"): _Array,
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


def read_blobs(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Blob name -> weight of a Caffe2 file ``{"blobs": {name: array}}``; momenta and counters are left out.

    Raises:
        UserError: the file is damaged, holds anything but arrays and plain containers, or has no weights.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            data = _Unpickler(file, path.stat().st_size).load()
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to ask for
        reason = str(error).split("\n")[0][:160] or "it ends too early"
        if isinstance(error, KeyError):  # a byte that begins no instruction
            reason = "not a pickle"
        raise UserError(
            f"{path} is not a readable checkpoint of torch.save or Caffe2 ({type(error).__name__}: {reason}); "
            "nothing in it was run: fetch or train it again."
        ) from error
    blobs = data
    if isinstance(data, dict):
        blobs = next((data[key] for key in ("blobs", *CONTAINERS) if key in data), data)
    if not isinstance(blobs, dict):
        raise UserError(
            f"{path} holds a value of type {type(data).__name__}, expected Caffe2's: a dict with an entry 'blobs'."
        )
    arrays = {name: value.value for name, value in blobs.items() if isinstance(value, _Array) and isinstance(name, str)}
    weights = {
        name: torch.from_numpy(array)
        for name, array in arrays.items()
        if array is not None and array.dtype.kind == "f" and not name.endswith(_NOT_WEIGHTS)
    }
    if not weights:
        raise UserError(f"{path} has no weights: none of its {len(blobs)} blobs is an array of floating point numbers.")
    return weights


def read_caffe2(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Weights of a Caffe2 file under our names where it is an I3D body, under its own names where it is a SlowFast.

    Raises:
        UserError: as :func:`read_blobs`.
    """
    blobs = read_blobs(path)
    if foreign_zoo(blobs) is not None:
        return blobs
    return {blob_to_entry(name) or name: value for name, value in blobs.items()}
