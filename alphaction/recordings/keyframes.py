"""Recordings of a data set's keyframes: opened, shared in memory, and compared with what the annotations state."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..annotations.text import find_path
from ..errors import UserError
from .recording import ThermalRecording
from .times import time_unit, wrong_frames

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Keyframes:
    """K keyframes of an annotation file.

    Attributes:
        ann_file: the file, for messages.
        image_ids: K names.
        recording_of: int64 [K], index of each one's recording.
        frame_idx: int64 [K], its frame.
        stated_times: int64 [K, 2], ms in "timestamp" and in the image id; -1 where there are none.
    """

    ann_file: str
    image_ids: Sequence[str]
    recording_of: np.ndarray
    frame_idx: np.ndarray
    stated_times: np.ndarray


def frames_folder(root: str) -> str:
    """``root/frames`` or ``root``.

    Raises:
        UserError: there is no such folder.
    """
    if not os.path.isdir(root):
        raise UserError(
            f"The data set folder {root} does not exist, expected one with frames/ and annotations/; make "
            "one with alphaction build-dataset or make-dataset, or set DATASETS.THERMAL_ROOT."
        )
    frames = os.path.join(root, "frames")
    return frames if os.path.isdir(frames) else root


# Training and validation sets of one folder use the same recordings, which are in memory once while either is used.
_open_recordings: weakref.WeakValueDictionary[tuple, ThermalRecording] = weakref.WeakValueDictionary()


def _shared_recording(
    path: str, name: str, cache_limit_mb: float, left: float, temperatures: tuple[float, float]
) -> ThermalRecording:
    """The recording that another data set of this process with the same settings uses, or a new one."""
    status = os.stat(path)
    key = (os.path.realpath(path), name, status.st_mtime_ns, status.st_size, cache_limit_mb, temperatures)
    recording = _open_recordings.get(key)
    if recording is None:
        recording = _open_recordings[key] = ThermalRecording(path, left, name, temperature_range=temperatures)
    return recording


def open_recordings(
    folder: str, names: list[str], ann_file: str, cache_limit_mb: float, temperatures: tuple[float, float]
) -> list[ThermalRecording]:
    """The recordings, of which as many are kept in memory, in order, as fit below the limit together.

    Args:
        folder: where their files are.
        names: of the recordings.
        ann_file: what names them, for messages.
        cache_limit_mb: of all recordings together.
        temperatures: see :class:`ThermalRecording`.

    Raises:
        UserError: a file is missing, see also :class:`ThermalRecording`.
    """
    found, left = [], cache_limit_mb
    for name in names:
        path = find_path(folder, f"{name}.h5")
        if not os.path.exists(path):
            raise UserError(
                f"The recording {path} is missing, expected one for the sensor {name!r} that {ann_file} "
                "names; put it there or remove its images."
            )
        recording = _shared_recording(path, name, cache_limit_mb, left, temperatures)
        if recording.cached:
            left -= recording.megabytes
        found.append(recording)
    return found


def check_frames(keyframes: Keyframes, recordings: Sequence[ThermalRecording]) -> None:
    """Raise UserError for a keyframe beyond the frames of its recording."""
    lengths = np.array([len(recording) for recording in recordings])
    frames, owners = keyframes.frame_idx, keyframes.recording_of
    wrong = np.flatnonzero((frames < 0) | (frames >= lengths[owners]))
    if len(wrong):
        k = wrong[0]
        raise UserError(
            f"In {keyframes.ann_file}, image {keyframes.image_ids[k]!r} has frame_idx {frames[k]}, but the recording "
            f"{recordings[owners[k]].path} has the frames 0..{lengths[owners[k]] - 1}; correct it."
        )


def warn_of_times(keyframes: Keyframes, recordings: Sequence[ThermalRecording]) -> None:
    """Warn of keyframes whose frame is not the one at the time that the annotations state."""
    for column, source in enumerate(("'timestamp'", "the time in the image id")):
        stated = keyframes.stated_times[:, column]
        wrong: list[int] = []
        for number, recording in enumerate(recordings):
            if not recording.clock.assumed:
                rows = np.flatnonzero(keyframes.recording_of == number)
                off = wrong_frames(recording.timestamps, keyframes.frame_idx[rows], stated[rows])
                wrong += rows[off].tolist()
        if not wrong:
            continue
        k = min(wrong)
        recording = recordings[keyframes.recording_of[k]]
        times, frame = recording.timestamps, keyframes.frame_idx[k]
        unit = time_unit(stated[keyframes.recording_of == keyframes.recording_of[k]], np.sort(times))
        _logger.warning(
            "In %s, 'frame_idx' and %s of %d of %d images belong to different frames, the first in %s: frame %d of %s "
            "is at %d, not at %d (frame %d)%s; the labels may be on the wrong frames: correct one of the two.",
            keyframes.ann_file,
            source,
            len(wrong),
            len(keyframes.image_ids),
            keyframes.image_ids[k],
            frame,
            recording.name,
            times[frame],
            stated[k],
            np.argmin(np.abs(times - stated[k])),
            "" if unit in ("milliseconds", None) else f", and the times look like {unit}",
        )
