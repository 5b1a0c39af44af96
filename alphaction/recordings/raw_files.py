"""Reads a person's own recordings: HDF5, NPY or CSV frames with times.

    NAME.h5 / NAME.hdf5   dataset `frames` [N, 40, 60] in °C and `timestamps` [N] in ms
    NAME.npy              frames [N, 40, 60] in °C (or [N, 2400]), times in NAME.times.npy or NAME.times.csv (one number
                          per line, ms)
    NAME.csv              one frame per line: time in ms, then 2400 temperatures in °C, row by row; a first line of
                          words is skipped

NAME is the recording's name, which the annotators' lines carry as `data_id`. Times are integers, or floats that are
rounded to whole milliseconds, and never decrease.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from ..errors import UserError
from .thermal_set import FRAME_SHAPE, Recording

_PIXELS = FRAME_SHAPE[0] * FRAME_SHAPE[1]
_SUFFIXES = (".h5", ".hdf5", ".npy", ".csv")


def find_recordings(folder: str | Path) -> dict[str, Path]:
    """Recordings in ``folder`` by name, sorted.

    Raises:
        UserError: no such folder, nothing readable in it, or one name twice.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder, expected one with .h5, .npy or .csv recordings: correct --frames.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _SUFFIXES or path.stem.endswith(".times"):
            continue
        if path.stem in found:
            raise UserError(
                f"{folder} holds {found[path.stem].name} and {path.name}, expected one file per recording: "
                "rename or move one of them."
            )
        found[path.stem] = path
    if not found:
        raise UserError(f"{folder} holds no .h5, .npy or .csv file, expected one per recording: correct --frames.")
    return found


def read_times(path: Path) -> np.ndarray:
    """Arrival times int64 [N] ms of a recording, without reading the frames of an HDF5 file.

    Raises:
        UserError: as :func:`read_recording`.
    """
    if path.suffix.lower() in (".h5", ".hdf5"):
        with _open(path) as file:
            return _checked_times(path, _dataset(path, file, "timestamps")[()])
    return read_recording(path).timestamps


def read_recording(path: Path, mac_address: str | None = None) -> Recording:
    """Read one recording; ``mac_address`` wins over the one in an HDF5 file.

    Raises:
        UserError: the file cannot be read, or frames and times have the wrong shape, number or order.
    """
    suffix = path.suffix.lower()
    if suffix in (".h5", ".hdf5"):
        with _open(path) as file:
            frames, times = (_dataset(path, file, key)[()] for key in ("frames", "timestamps"))
            mac_address = mac_address or str(file.attrs.get("mac_address", "")) or None
    elif suffix == ".npy":
        frames, times = _load_npy(path), _read_times_beside(path)
    else:
        table = _load_csv(path)
        if table.shape[1] != 1 + _PIXELS:
            raise UserError(
                f"{path} has {table.shape[1]} numbers per line, expected a time and {_PIXELS} "
                "temperatures: write one frame per line."
            )
        times, frames = table[:, 0], table[:, 1:]
    frames, times = _checked_frames(path, frames), _checked_times(path, times)
    if len(frames) != len(times):
        raise UserError(
            f"{path} has {len(frames)} frames and {len(times)} times, expected as many: "
            "add or remove what is too few or too many."
        )
    recording = Recording(path.stem, frames, times)
    if mac_address:
        recording.mac_address = mac_address
    return recording


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UserError(
            f"{path} could not be opened as HDF5 ({error}), expected a whole HDF5 file: copy it again or leave it out."
        ) from None


def _dataset(path: Path, file: h5py.File, key: str) -> h5py.Dataset:
    if not isinstance(file.get(key), h5py.Dataset):
        raise UserError(
            f"{path} has no dataset '{key}' (found: {', '.join(sorted(file)) or 'nothing'}), expected "
            "'frames' and 'timestamps': add it."
        )
    return file[key]


def _load_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} could not be read ({error}), expected an array written by numpy.save: write it again."
        ) from None


def _load_csv(path: Path) -> np.ndarray:
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline().split(",")[0].strip()
        header = int(bool(first) and not _is_number(first))
        return np.loadtxt(path, delimiter=",", skiprows=header, ndmin=2, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} could not be read ({error}), expected numbers separated by commas: correct the file."
        ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_times_beside(path: Path) -> np.ndarray:
    for suffix, load in ((".times.npy", _load_npy), (".times.csv", _load_csv)):
        beside = path.with_name(path.stem + suffix)
        if beside.exists():
            return np.asarray(load(beside)).reshape(-1)
    raise UserError(
        f"{path} has no times, expected {path.stem}.times.npy or {path.stem}.times.csv beside it: "
        "write one number (ms) per frame there."
    )


def _checked_frames(path: Path, frames: np.ndarray) -> np.ndarray:
    frames = np.asarray(frames)
    if frames.dtype.kind not in "fiu":
        raise UserError(f"{path} has frames of type {frames.dtype}, expected numbers (°C): write them as float32.")
    if frames.ndim == 2 and frames.shape[1] == _PIXELS:
        frames = frames.reshape(-1, *FRAME_SHAPE)
    if frames.ndim != 3 or frames.shape[1:] != FRAME_SHAPE or not len(frames):
        raise UserError(
            f"{path} has frames of shape {list(frames.shape)}, expected [N, {FRAME_SHAPE[0]}, "
            f"{FRAME_SHAPE[1]}] with N > 0: bring them into this shape."
        )
    return frames.astype(np.float32)


def _checked_times(path: Path, times: np.ndarray) -> np.ndarray:
    times = np.asarray(times)
    if times.ndim != 1 or not len(times) or times.dtype.kind not in "fiu" or not np.isfinite(times).all():
        raise UserError(
            f"{path} has times of shape {list(times.shape)} and type {times.dtype}, expected one finite "
            "number (ms) per frame: correct the times."
        )
    times = np.round(times).astype(np.int64) if times.dtype.kind == "f" else times.astype(np.int64)
    if (np.diff(times) < 0).any():
        at = int(np.flatnonzero(np.diff(times) < 0)[0]) + 1
        raise UserError(f"{path} goes back in time at frame {at}, expected times that never decrease: sort the frames.")
    return times
