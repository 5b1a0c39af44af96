"""One thermal recording: an HDF5 file of 40x60 frames, read, repaired and cut into windows.

File: ``frames`` float [N, 40, 60] °C, ``timestamps`` int64 [N] arrival times in ms (see docs/data.md).
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import h5py
import numpy as np

from ..errors import UserError
from .repair import FRAME_SHAPE, MEDIAN_FRAMES, RepairReport, repair_frames, scene_median

# Frames per second of the sensor, for files whose timestamps say nothing.
NOMINAL_RATE = 6.0
# Frames read on either side of a window from disk, so that its first and last frames have whole neighbours too.
_MARGIN = 8

_logger = logging.getLogger(__name__)


class ThermalRecording:
    """A recording that is opened when something of it is asked for, and closed again at once.

    No file stays open between calls, since HDF5 handles do not survive a fork. Up to ``cache_limit_mb`` the repaired
    frames are read once and kept. They belong to the process: worker processes that are forked after the first access
    share the parent's memory; a pickled recording (spawned workers) leaves the frames behind and reads them again on
    first use. A larger recording is never kept: each window is read from disk (only the HDF5 chunks it touches) and
    repaired against the scene's median picture, which is computed once per process from 512 frames spread over the
    file.

    Args:
        path: HDF5 file.
        cache_limit_mb: size in MB (as float32) up to which the frames are kept in memory.
    """

    FRAME_SHAPE = FRAME_SHAPE

    def __init__(self, path: str | os.PathLike, cache_limit_mb: float = 2048.0) -> None:
        self.path = os.fspath(path)
        self.cache_limit_mb = cache_limit_mb
        self.name = Path(self.path).stem
        self._timestamps: np.ndarray | None = None
        self._forget()

    def _forget(self) -> None:
        self._frames: np.ndarray | None = None
        self._mask: np.ndarray | None = None
        self._report: RepairReport | None = None
        self._median: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"ThermalRecording({self.path!r})"

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.timestamps)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_frames": None, "_mask": None, "_report": None, "_median": None}

    # ---- time

    @property
    def timestamps(self) -> np.ndarray:
        """Arrival times int64 [N] in ms; read with the file's other metadata, without the frames.

        Raises:
            UserError: see :meth:`raw_frames`.
        """
        if self._timestamps is None:
            with self._open() as file:
                self._timestamps = self._read_timestamps(file)
        return self._timestamps

    @property
    def rate(self) -> float:
        """Mean number of frames per second; the sensor samples steadily although frames arrive in bursts."""
        times = self.timestamps
        duration = (float(times[-1]) - float(times[0])) / 1000.0
        return (len(times) - 1) / duration if duration > 0 else NOMINAL_RATE

    def seconds(self, frame_idx: int | np.ndarray) -> float | np.ndarray:
        """Time of a frame (or of an array of frames) in seconds: its index over the mean rate."""
        return frame_idx / self.rate

    # ---- frames

    @property
    def cached(self) -> bool:
        """Whether the frames fit below the limit and are kept in memory."""
        return self.megabytes <= self.cache_limit_mb

    @property
    def megabytes(self) -> float:
        """Size of all frames in memory."""
        return len(self) * FRAME_SHAPE[0] * FRAME_SHAPE[1] * 4 / 1e6

    @property
    def frames(self) -> np.ndarray:
        """Repaired frames float32 [N, 40, 60] in °C, read-only."""
        return self._repaired()[0]

    @property
    def mask(self) -> np.ndarray:
        """bool [N, 40, 60], True where a pixel did not arrive and was filled in."""
        return self._repaired()[1]

    @property
    def report(self) -> RepairReport:
        """Counts of what was repaired."""
        if self._report is None:
            self._report = self._repaired()[2]
        return self._report

    def raw_frames(self) -> np.ndarray:
        """Frames float32 [N, 40, 60] in °C exactly as in the file.

        Raises:
            UserError: the file is missing, is no HDF5 file, is truncated or torn, has no ``frames``, or they have the
                wrong shape or type.
        """
        with self._open() as file:
            return self._read(file, 0, len(self._frames_of(file)))

    def window(self, center: int, length: int = 64) -> np.ndarray:
        """Repaired frames ``center - length // 2`` up to ``center + length - length // 2 - 1``.

        Args:
            center: frame index of the keyframe, 0..N-1.
            length: number of frames.

        Returns:
            float32 [length, 40, 60] in °C; where the recording ends, its end frame is repeated. A view of the cached
            frames where possible: do not write to it.
        """
        start = center - length // 2
        stop = start + length
        count = len(self)
        if self.cached:
            frames, offset, end = self.frames, 0, count
        else:
            offset, end = max(start - _MARGIN, 0), min(stop + _MARGIN, count)
            scene = self._scene()
            with self._open() as file:
                frames = repair_frames(self._read(file, offset, end), scene)[0]
        if start >= 0 and stop <= count:
            return frames[start - offset : stop - offset]
        return frames[np.clip(np.arange(start, stop), 0, count - 1) - offset]

    def load(self) -> None:
        """Read and repair the frames now, if they are to be kept; call it before worker processes are forked."""
        if self.cached:
            self._repaired()

    def close(self) -> None:
        """Give the memory back; the next access reads again."""
        self._forget()

    def _repaired(self) -> tuple[np.ndarray, np.ndarray, RepairReport]:
        if self._frames is not None:
            return self._frames, self._mask, self._report
        try:
            frames, mask, report = repair_frames(self.raw_frames())
        except UserError as error:
            raise self._cannot_repair(error) from error
        if self.cached:
            frames.setflags(write=False)
            mask.setflags(write=False)
            self._frames, self._mask, self._report = frames, mask, report
        return frames, mask, report

    def _scene(self) -> np.ndarray:
        """Median picture of a recording that is not kept in memory."""
        if self._median is None:
            count = len(self)
            step = max(count // MEDIAN_FRAMES, 1)
            with self._open() as file:
                frames = self._frames_of(file)
                block = frames.chunks[0] if frames.chunks else 64
                # Chunk by chunk: each is decompressed once, and only the picked frames are kept.
                parts = [
                    self._read(file, first, min(first + block, count))[-first % step :: step]
                    for first in range(0, count, block)
                ]
            try:
                self._median = scene_median(np.concatenate(parts))
            except UserError as error:
                raise self._cannot_repair(error) from error
        return self._median

    def _cannot_repair(self, error: UserError) -> UserError:
        return UserError(f"The recording {self.path} cannot be repaired: {error}")

    # ---- file

    def _open(self) -> h5py.File:
        try:
            return h5py.File(self.path, "r")
        except FileNotFoundError as error:
            raise UserError(
                f"The recording {self.path} does not exist, expected an HDF5 file with frames and "
                "timestamps; put it there or correct the folder."
            ) from error
        except OSError as error:
            raise UserError(
                f"The recording {self.path} cannot be opened as HDF5 ({_one_line(error)}); it is "
                "truncated, unreadable or of another format: copy it again."
            ) from error

    def _frames_of(self, file: h5py.File) -> h5py.Dataset:
        expected = f"expected floating-point degrees Celsius [N, {FRAME_SHAPE[0]}, {FRAME_SHAPE[1]}]"
        if "frames" not in file or not isinstance(file["frames"], h5py.Dataset):
            raise UserError(
                f"The recording {self.path} has no 'frames' (found {', '.join(file) or 'nothing'}), "
                f"{expected}; write them under that name."
            )
        frames = file["frames"]
        if frames.ndim != 3 or frames.shape[1:] != FRAME_SHAPE:
            raise UserError(
                f"The recording {self.path} has 'frames' of shape {list(frames.shape)}, {expected}; "
                "only this sensor's frames can be read."
            )
        if frames.dtype.kind != "f":
            raise UserError(
                f"The recording {self.path} has 'frames' of type {frames.dtype}, {expected}; "
                "convert raw sensor values to temperatures first."
            )
        if not len(frames):
            raise UserError(f"The recording {self.path} has no frames, {expected} with N at least 1; remove it.")
        return frames

    def _read_timestamps(self, file: h5py.File) -> np.ndarray:
        count = len(self._frames_of(file))
        if "timestamps" not in file:
            _logger.warning(
                "The recording %s has no 'timestamps'; %g frames per second are assumed.", self.path, NOMINAL_RATE
            )
            return np.round(np.arange(count) * 1000.0 / NOMINAL_RATE).astype(np.int64)
        found = file["timestamps"]
        if not isinstance(found, h5py.Dataset) or found.shape != (count,) or found.dtype.kind not in "iuf":
            what = f"{found.dtype} {list(found.shape)}" if isinstance(found, h5py.Dataset) else "that are no data set"
            raise UserError(
                f"The recording {self.path} has 'timestamps' {what}, expected one number of milliseconds "
                f"for each of its {count} frames; write them anew."
            )
        try:
            times = found[:]
        except OSError as error:
            raise self._torn(error) from error
        if not np.isfinite(times).all():
            raise UserError(
                f"The recording {self.path} has 'timestamps' that are not finite, expected milliseconds; "
                "write them anew."
            )
        return times.astype(np.int64)

    def _read(self, file: h5py.File, start: int, stop: int) -> np.ndarray:
        try:
            return self._frames_of(file)[start:stop].astype(np.float32, copy=False)
        except OSError as error:
            raise self._torn(error) from error

    def _torn(self, error: OSError) -> UserError:
        return UserError(
            f"The recording {self.path} is torn, a part of it cannot be read ({_one_line(error)}), "
            "expected a complete HDF5 file; copy it again."
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
