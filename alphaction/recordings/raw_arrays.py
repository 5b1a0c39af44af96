"""Frames in array files: NPY, NPZ and MAT. No file can run code: pickled objects are refused."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from ..annotations.text import check_file
from ..errors import UserError, stand_in
from .raw_layout import RawFrames, RawOptions, arrange
from .raw_times import UNIT_OPTIONS

_CONVERT_MAT = """
import sys
import numpy
import scipy.io
found = scipy.io.loadmat(sys.argv[1], appendmat=False)
numbers = {"array " + name: v for name, v in found.items() if isinstance(v, numpy.ndarray) and v.dtype.kind in "iufb"}
numpy.savez(sys.argv[2], **numbers)
"""
_MAT_SECONDS = 600
_TIME_NAMES = ("timestamps", "times", "time", "t")


def load_npy(path: Path, options: RawOptions) -> RawFrames:
    """Frames [N, rows, columns] or [N, pixels]; times are in a file beside."""
    return RawFrames(arrange(path, read_npy(path), None, options, any_order=False))


def read_npy(path: Path) -> np.ndarray:
    """The array of an NPY file, mapped into memory.

    Raises:
        UserError: not an array written by numpy.save, or one of Python objects.
    """
    check_file(path, "array file")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # see load_mat
        raise _unreadable(path, error, "an array of numbers written by numpy.save") from None


def load_npz(path: Path, options: RawOptions) -> RawFrames:
    """``frames`` and ``timestamps`` of an NPZ file, or its only arrays that can be these."""
    check_file(path, "array file")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            named = "frames" in file.files
            names = [name for name in file.files if not named or name in ("frames", *_TIME_NAMES)]
            arrays = {name: file[name] for name in names}
    except Exception as error:  # see load_mat
        raise _unreadable(path, error, "arrays of numbers written by numpy.savez") from None
    return _pick(path, arrays, options, any_order=False)


def load_mat(path: Path, options: RawOptions) -> RawFrames:
    """``frames`` and ``timestamps`` of a MATLAB file, or its only arrays that can be these.

    Frames may be the first axis or, as MATLAB's users have them, the last. Version 7.3 is HDF5.
    """
    check_file(path, "array file")
    try:
        arrays = _read_mat73(path) if h5py.is_hdf5(path) else _read_mat5(path)
    except UserError:
        raise
    except Exception as error:  # for damaged files, these libraries raise their own classes and most built-in ones
        raise _unreadable(path, error, "a MATLAB file with arrays of numbers") from None
    return _pick(path, arrays, options, any_order=True)


def _read_mat5(path: Path) -> dict[str, np.ndarray]:
    """Arrays of numbers of a MATLAB file of versions 5 to 7.

    scipy reads them in a process of its own, which a damaged file can crash.
    """
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        done = subprocess.run(
            [sys.executable, "-c", _CONVERT_MAT, str(path.resolve()), str(arrays)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_MAT_SECONDS,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise ValueError(lines[-1] if done.returncode > 0 and lines else "it is damaged")
        with np.load(arrays, allow_pickle=False) as file:
            return {name.removeprefix("array "): file[name] for name in file.files}


def _read_mat73(path: Path) -> dict[str, np.ndarray]:
    arrays = {}
    with h5py.File(path, "r") as file:
        for name in file:
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                raise UserError(f"{path} has {name[:50]!r} in another file, expected its values in it: copy them.")
            value = file[name]
            if not isinstance(value, h5py.Dataset) or value.dtype.kind not in "iufb" or value.shape is None:
                continue
            if value.is_virtual or value.external:
                raise UserError(f"{path} has {name[:50]!r} in other files, expected its values in it: copy them.")
            # MATLAB's first axis is HDF5's last.
            arrays[name] = value[()].T
    return arrays


def _pick(path: Path, arrays: Mapping[str, np.ndarray], options: RawOptions, any_order: bool) -> RawFrames:
    times = next((_flat(arrays[name]) for name in _TIME_NAMES if name in arrays and _is_row(arrays[name])), None)
    pictures = [name for name, value in arrays.items() if value.ndim >= 2 and not _is_row(value)]
    name = "frames" if "frames" in arrays else pictures[0] if len(pictures) == 1 else None
    if name is None:
        found = ", ".join(f"{key[:30]} {list(value.shape)}" for key, value in list(arrays.items())[:5])
        raise UserError(f"{path} has the arrays {found or 'none'}, expected 'frames' and 'timestamps': name them so.")
    frames = arrange(path, arrays[name], None if times is None else len(times), options, any_order)
    if times is not None:
        times = times * UNIT_OPTIONS[options.time_unit or "ms"] if times.dtype.kind in "iuf" else times
    return RawFrames(frames, times)


def _is_row(value: np.ndarray) -> bool:
    """Whether an array is a list of numbers; MATLAB has no arrays of one dimension."""
    return value.ndim == 1 or (value.ndim == 2 and 1 in value.shape)


def _flat(value: np.ndarray) -> np.ndarray:
    return value.reshape(-1)


def _unreadable(path: Path, error: BaseException, expected: str) -> UserError:
    # Of a file that holds something else, numpy says that it is a pickle to be trusted.
    other = stand_in(path)
    if other is not None:
        return UserError(f"{path} is {other}, expected {expected}: fetch or write it again.")
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(f"{path} could not be read ({reason}), expected {expected}: write it again.")
