"""Recordings in common formats: HDF5, NPY or CSV frames with times.

    NAME.h5 / NAME.hdf5   dataset `frames` [N, 40, 60] in °C and `timestamps` [N] in ms
    NAME.npy              frames [N, 40, 60] in °C (or [N, 2400]), times in NAME.times.npy or NAME.times.csv (one number
                          per line, ms)
    NAME.csv              one frame per line: time in ms, then 2400 temperatures in °C, row by row; a first line of
                          words is skipped

NAME is the recording's name, the `data_id` of annotation records. Frames are floating-point numbers. Times are
integers, or floats that are rounded to whole milliseconds. They never decrease and tell frames apart.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np

from ..errors import UserError, file_problem
from .hdf5 import RecordingFile, check_frame_format
from .holes import scene_median
from .packets import FRAME_SHAPE, PIXELS
from .thermal_set import Recording
from .times import check_order, check_times

_HDF5_SUFFIXES = (".h5", ".hdf5")
_SUFFIXES = (*_HDF5_SUFFIXES, ".npy", ".csv")


def find_recordings(folder: str | Path) -> dict[str, Path]:
    """Recordings in ``folder`` by name, sorted.

    Raises:
        UserError: no such folder, nothing readable in it, or one name twice.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder, expected one with .h5, .npy or .csv recordings: correct --frames.")
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
    """Arrival times int64 [N] in ms of a recording, without reading the frames of an HDF5 file.

    Raises:
        UserError: as :func:`read_recording`.
    """
    if _is_hdf5(path):
        with RecordingFile(path) as file:
            return _times_of(path, file)
    return read_recording(path).timestamps


def read_recording(path: Path, mac_address: str | None = None) -> Recording:
    """Read one recording; ``mac_address`` overrides the one in an HDF5 file.

    Raises:
        UserError: the file cannot be read, frames or times have the wrong shape, type, number or order, or the frames
            cannot be degrees Celsius.
    """
    source = f"The recording {path}"
    if _is_hdf5(path):
        with RecordingFile(path) as file:
            times = _times_of(path, file)
            frames = file.read_frames()
            mac_address = mac_address or file.mac_address
    else:
        frames, times = _load_npy_recording(path) if path.suffix.lower() == ".npy" else _load_csv_recording(path)
        check_frame_format(source, frames.shape, frames.dtype)
        frames, times = frames.astype(np.float32), check_times(source, times, len(frames))
        check_order(source, times)
    try:
        scene_median(frames, source=source)
    except UserError as error:
        raise UserError(f"{source} cannot be used: {error}") from error
    recording = Recording(path.stem, frames, times)
    if mac_address:
        recording.mac_address = mac_address
    return recording


def _is_hdf5(path: Path) -> bool:
    return path.suffix.lower() in _HDF5_SUFFIXES


def _times_of(path: Path, file: RecordingFile) -> np.ndarray:
    file.check_complete()
    times = file.read_timestamps()
    if times is None:
        raise UserError(
            f"{path} has no 'timestamps', expected one number (ms) per frame, by which annotations find their frame: "
            "add them."
        )
    check_order(f"The recording {path}", times)
    return times


def _load_npy_recording(path: Path) -> tuple[np.ndarray, np.ndarray]:
    frames, times = _load_npy(path), _load_times(path)
    if frames.ndim == 2 and frames.shape[1] == PIXELS:
        frames = frames.reshape(-1, *FRAME_SHAPE)
    return frames, times


def _load_csv_recording(path: Path) -> tuple[np.ndarray, np.ndarray]:
    table = _load_csv(path)
    if table.shape[1] != 1 + PIXELS:
        raise UserError(
            f"{path} has {table.shape[1]} numbers per line, expected a time and {PIXELS} temperatures: write one frame "
            "per line."
        )
    return table[:, 1:].reshape(-1, *FRAME_SHAPE), table[:, 0]


def _load_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} {file_problem(path) or f'could not be read ({error})'}, expected an array written by "
            "numpy.save: write it again."
        ) from None


def _load_csv(path: Path) -> np.ndarray:
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
            name = first.split(",")[0].strip()
            is_header = bool(name) and not _is_number(name)
            lines = file if is_header else chain([first], file)
            return np.loadtxt(lines, delimiter=",", ndmin=2, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} {file_problem(path) or f'could not be read ({error})'}, expected numbers separated by commas: "
            "correct the file."
        ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _load_times(path: Path) -> np.ndarray:
    for suffix, load in ((".times.npy", _load_npy), (".times.csv", _load_csv)):
        beside = path.with_name(path.stem + suffix)
        if beside.exists():
            return np.asarray(load(beside)).reshape(-1)
    raise UserError(
        f"{path} has no times, expected {path.stem}.times.npy or {path.stem}.times.csv beside it: "
        "write one number (ms) per frame there."
    )
