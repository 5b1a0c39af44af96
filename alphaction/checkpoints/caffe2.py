"""Caffe2 weight files (.pkl), which are pickles, read without running anything from them."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from ..errors import UserError
from ..utils.array_pickle import ArrayUnpickler, PickledArray
from .layer_names import blob_to_entry, foreign_zoo
from .unwrap import CONTAINERS

# Momenta and counters of the training run.
_NOT_WEIGHTS = ("_momentum", "lr", "model_iter", "cur_iter", "epoch")


def read_blobs(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Blob name -> weight of a Caffe2 file ``{"blobs": {name: array}}``; momenta and counters are left out.

    Raises:
        UserError: the file is damaged, holds anything but arrays and plain containers, or has no weights.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            data = ArrayUnpickler(file, path.stat().st_size).load()
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
    arrays = {
        name: value.value for name, value in blobs.items() if isinstance(value, PickledArray) and isinstance(name, str)
    }
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
