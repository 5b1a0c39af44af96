"""A thermal recording of any format, repaired."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UserError, file_problem
from .frame_sequence import FrameSequence, FrameSource
from .raw_files import SUFFIXES, read_recording
from .raw_layout import RawOptions
from .recording import ThermalRecording
from .units import PLAUSIBLE_RANGE


def open_recording(
    path: str | os.PathLike[str],
    temperatures: tuple[float, float] = PLAUSIBLE_RANGE,
    options: RawOptions | None = None,
    cache_limit_mb: float = 2048.0,
) -> FrameSource:
    """A thermal recording, repaired as training reads it.

    Args:
        path: HDF5 file, or a raw format of :mod:`alphaction.recordings.raw_files`.
        temperatures: °C between which most pixels must be.
        options: what a raw file does not say; HDF5 files without any describe themselves.
        cache_limit_mb: see :class:`ThermalRecording`.

    Raises:
        UserError: it cannot be read.
    """
    place = Path(path)
    if not place.exists():
        raise UserError(f"The recording {place} {file_problem(place)}, expected a thermal recording; correct the path.")
    if place.suffix.lower() in (".h5", ".hdf5") and options is None:
        recording = ThermalRecording(place, cache_limit_mb, temperature_range=temperatures)
        len(recording)  # reads the file's metadata, so that it is refused here
        return recording
    if not place.is_dir() and place.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"{place} is no thermal recording, expected one of {', '.join(SUFFIXES)} or a folder of 16-bit pictures; "
            "convert it, or use a model of RGB clips for a video."
        )
    raw = read_recording(place, options=options)
    return FrameSequence(raw.frames, raw.name, times=raw.timestamps, sensor=raw.sensor, temperature_range=temperatures)
