"""Recordings in common formats, one file or folder per recording.

    NAME.h5 / NAME.hdf5   dataset `frames` [N, rows, columns] and `timestamps` [N]
    NAME.npy              frames [N, rows, columns] or [N, pixels]
    NAME.npz, NAME.mat    arrays `frames` and `timestamps` (MATLAB 5 to 7.3; frames may be the last axis there)
    NAME.csv              one frame per line: a time or none, then the temperatures row by row; separated by comma,
                          semicolon (with decimal comma), tab or blanks
    NAME.txt              the 40x60 sensor's export (ARRAYTYPE=..., tenths of kelvin, `t:` seconds), or as CSV
    NAME/                 folder of PNG (16 bit) or TIFF (16 bit or floating point), a frame each

NAME is the recording's name, the `data_id` of annotation records. Times that are not in the file are in
NAME.times.npy, NAME.times.csv or NAME.times.txt beside it, one per line, or at the end of the names of pictures, or
--rate gives them. They are numbers in ms (see --time-unit) or ISO 8601 times, never decrease and tell frames apart.
Values are °C in floating point unless --unit or the file states another unit, or --sensor for integers; they are
checked, and never converted without such a statement.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..annotations import entries
from ..annotations.text import composed, short_list
from ..errors import UserError
from .hdf5 import RecordingFile
from .raw_arrays import load_mat, load_npy, load_npz, read_npy
from .raw_layout import RawFrames, RawOptions, check_orientation
from .raw_pictures import list_pictures, load_pictures
from .raw_text import is_frame_text, load_csv, load_dump, load_times
from .raw_times import UNIT_OPTIONS, regular_times
from .thermal_set import Recording
from .times import TIME_UNITS, check_order, check_times, count_frames, time_unit
from .units import check_temperatures, describe_gaps, to_celsius

logger = logging.getLogger(__name__)

_HDF5_SUFFIXES = (".h5", ".hdf5")
_LOADERS: dict[str, Callable[[Path, RawOptions], RawFrames]] = {
    ".npy": load_npy,
    ".npz": load_npz,
    ".mat": load_mat,
    ".csv": load_csv,
    ".txt": load_dump,
}
SUFFIXES = (*_HDF5_SUFFIXES, *_LOADERS)
_TIMES_SUFFIXES = (".npy", ".csv", ".txt")


@dataclass
class FoundRecordings:
    """What a folder holds.

    Attributes:
        paths: recordings by name (in Unicode's composed form), sorted.
        unread: reason -> names of the other entries of the folder.
    """

    paths: dict[str, Path] = field(default_factory=dict)
    unread: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join(f"{reason}: {short_list(names)}" for reason, names in self.unread.items())


def find_recordings(folder: str | Path) -> FoundRecordings:
    """Recordings in ``folder``, and what is beside them and not read.

    Raises:
        UserError: no such folder, nothing readable in it, or one name twice.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"{folder} is not a folder, expected one with recordings (.h5, .npy, .csv, ...): correct the path."
        )
    found = FoundRecordings()
    try:
        entries_there = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(
            f"{folder} could not be listed ({error.strerror}), expected a folder of recordings: correct the path."
        ) from None
    for path in entries_there:
        name = composed(path.name if path.is_dir() else path.stem)
        reason = _why_unread(path, name)
        if reason is not None:
            found.unread.setdefault(reason, []).append(path.name)
        elif not _is_times(path):
            if name in found.paths:
                raise UserError(
                    f"{folder} holds {found.paths[name].name} and {path.name}, expected one file per recording: "
                    "rename or move one of them."
                )
            found.paths[name] = path
    for path in filter(_is_times, entries_there):
        if composed(path.stem.removesuffix(".times")) not in found.paths:
            found.unread.setdefault("times without a recording", []).append(path.name)
    if not found.paths:
        raise UserError(
            f"{folder} holds no recording, no .h5, .npy, .npz, .mat, .csv or .txt file and no folder of pictures"
            f"{f' ({found})' if found.unread else ''}, expected one per recording: correct the path."
        )
    return found


def read_times(path: Path, options: RawOptions | None = None) -> np.ndarray:
    """Arrival times int64 [N] in ms of a recording, without reading the frames of an HDF5 file.

    Raises:
        UserError: as :func:`read_recording`.
    """
    options = options or RawOptions()
    if _is_hdf5(path):
        with RecordingFile(path, raw=True) as file:
            return _times_of_hdf5(path, file, options)
    return _times(path, _load(path, options), options)


def read_recording(path: Path, mac_address: str | None = None, options: RawOptions | None = None) -> Recording:
    """Read one recording; ``mac_address`` overrides the one in an HDF5 file.

    Raises:
        UserError: the file cannot be read, frames or times have the wrong shape, type, number or order, or the frames
            are no temperatures in the stated unit.
    """
    options = options or RawOptions()
    if _is_hdf5(path):
        with RecordingFile(path, raw=True) as file:
            times = _times_of_hdf5(path, file, options)
            described = file.described
            unit = described.unit if described.unit != "celsius" else None
            raw = RawFrames(file.read_stored(), times, unit, file.mac_address, described)
    else:
        raw = _load(path, options)
        times = _times(path, raw, options)
    check_orientation(path, raw.frames.shape, options)
    sensor = options.sensor or raw.sensor
    unit = options.unit or raw.unit
    if unit is None and options.sensor and raw.frames.dtype.kind in "iu":
        unit = options.sensor.unit
    source = f"The recording {path}"
    check_temperatures(
        source,
        raw.frames,
        *options.temperature_range,
        unit=unit,
        range_option="--temperature-range",
        unit_option="--unit",
    )
    frames = to_celsius(raw.frames, unit or "celsius")
    gaps = describe_gaps(frames, *options.temperature_range)
    if gaps:
        logger.warning("%s has %s; they are kept as they are", source, gaps)
    if options.mirror:
        frames = np.ascontiguousarray(frames[:, :, ::-1])
    if sensor is not None:
        sensor = replace(sensor, shape=frames.shape[1:])
    recording = Recording(recording_name(path), frames, times, sensor=sensor)
    mac_address = mac_address or raw.mac_address
    if mac_address:
        recording.mac_address = mac_address
    return recording


def recording_name(path: Path) -> str:
    """The name of the recording in a file or folder, in Unicode's composed form."""
    return composed(path.name if path.is_dir() else path.stem)


def _is_hdf5(path: Path) -> bool:
    return path.suffix.lower() in _HDF5_SUFFIXES and not (path.is_dir() and list_pictures(path))


def _is_times(path: Path) -> bool:
    return path.stem.endswith(".times") and path.suffix.lower() in _TIMES_SUFFIXES and path.is_file()


def _why_unread(path: Path, name: str) -> str | None:
    """Why an entry of the folder is not read, None for recordings and times."""
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        return "hidden"
    if path.is_dir():
        if list_pictures(path):
            return None
        return "folders named like files" if suffix in SUFFIXES else "folders without PNG or TIFF pictures"
    if not path.is_file():
        return "no regular files"
    if suffix not in SUFFIXES:
        return "files of other formats"
    try:
        entries.check_name(name, "name")
    except entries.EntryError:
        return "files whose names cannot be printed"
    if suffix == ".txt" and not _is_times(path) and not is_frame_text(path):
        return "text without frames"
    return None


def _load(path: Path, options: RawOptions) -> RawFrames:
    raw = load_pictures(path, options) if path.is_dir() else _LOADERS[path.suffix.lower()](path, options)
    if not raw.frames.size:
        raise UserError(f"The recording {path} has no frames, expected at least one; remove it.")
    return raw


def _times(path: Path, raw: RawFrames, options: RawOptions) -> np.ndarray:
    """Checked times int64 [N] in ms: those of the file, of one beside it, or of the rate."""
    source = f"The recording {path}"
    beside = _times_beside(path, options)
    counted = raw.counted and beside is None
    if raw.times is not None and beside is not None and not raw.counted:
        raise UserError(
            f"{source} has times of its own and in a file {path.stem}.times beside it, expected one of them: remove "
            "the others."
        )
    times = raw.times if raw.times is not None and (counted or not raw.counted) else beside
    if times is not None and counted and options.rate is None:
        first, name = ", ".join(f"{number:g}" for number in times[:3]), recording_name(path)
        raise UserError(
            f"{path} has numbers that count the frames ({first}, ...) instead of times, expected {name}.times.npy or "
            f"{name}.times.csv beside it: write them, or pass --rate FRAMES_PER_SECOND, or "
            "--time-unit if the numbers are times."
        )
    if times is None:
        name = recording_name(path)
        times = regular_times(len(raw.frames), options.rate, path, f"{name}.times.npy or {name}.times.csv beside it")
    return _check_times(source, np.asarray(times), len(raw.frames), options, counted)


def _check_times(source: str, times: np.ndarray, frames: int, options: RawOptions, counted: bool = False) -> np.ndarray:
    """Checked times int64 [N] in ms of times in ms, or of numbers of frames where the rate is stated."""
    numbers = times.shape == (frames,) and times.dtype.kind in "iuf" and bool(np.isfinite(times).all())
    counted = numbers and options.time_unit in (None, "ms") and (counted or count_frames(times))
    if counted and options.rate:
        # A number that is missing is a frame that is missing.
        distance = (times - times[0]).astype(np.float64) / np.median(np.diff(times))
        times = np.round(distance * 1000.0 / options.rate).astype(np.int64)
    try:
        checked = check_times(source, times, frames)
    except UserError as error:
        unit = time_unit(times) if numbers else None
        option = TIME_UNITS[unit].option if unit else ""
        options_that_help = ["--rate FRAMES_PER_SECOND"] if counted else []
        options_that_help += [f"--time-unit {option}"] if option not in ("", "ms") else []
        if not options_that_help:
            raise
        raise UserError(f"{str(error).removesuffix('.')}, or pass {' or '.join(options_that_help)}.") from None
    check_order(source, checked)
    return checked


def _times_of_hdf5(path: Path, file: RecordingFile, options: RawOptions) -> np.ndarray:
    file.check_complete()
    times = file.read_stored_timestamps()
    if times is None and options.rate:
        times = regular_times(len(file), options.rate, path, "'timestamps'")
    if times is None:
        raise UserError(
            f"{path} has no 'timestamps', expected one number (ms) per frame, by which annotations find their frame: "
            "add them, or pass --rate FRAMES_PER_SECOND if the sensor is steady."
        )
    return _check_times(f"The recording {path}", _in_milliseconds(times, options), len(file), options)


def _in_milliseconds(times: np.ndarray, options: RawOptions) -> np.ndarray:
    known = options.time_unit in (None, "ms") or times.dtype.kind not in "iuf"
    return times if known else times * UNIT_OPTIONS[options.time_unit or "ms"]


def _times_beside(path: Path, options: RawOptions) -> np.ndarray | None:
    name = path.name if path.is_dir() else path.stem
    found = [beside for suffix in _TIMES_SUFFIXES if (beside := path.with_name(f"{name}.times{suffix}")).exists()]
    if len(found) > 1:
        raise UserError(f"{path} has {found[0].name} and {found[1].name}, expected one file of times: remove one.")
    if not found:
        return None
    if found[0].suffix.lower() != ".npy":
        return load_times(found[0], options)
    return _in_milliseconds(np.asarray(read_npy(found[0])).reshape(-1), options)
