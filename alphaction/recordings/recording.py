"""One thermal recording: read, repaired and cut into windows.

The file's format is in :mod:`alphaction.recordings.hdf5`, see also docs/data.md.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from .clock import Clock
from .hdf5 import RecordingFile
from .holes import MEDIAN_FRAMES, fill_holes, scene_median
from .packets import FRAME_SHAPE, NOMINAL_FPS, PIXELS, find_lost_packets, lost_pixels, put_back, valid_pixels
from .times import clock_fault

# Frames read on either side of a window from disk, so that its first and last frames have whole neighbors too.
_MARGIN = 8

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RepairReport:
    """What was wrong with the frames of one recording.

    Attributes:
        frames: number of frames.
        damaged_frames: frames that lost at least one packet.
        lost_packets: packets lost in all of them.
        dead_pixels: pixels without a temperature that no lost packet explains.
        hole_pixels: pixels that were filled in, lost and dead together.
    """

    frames: int = 0
    damaged_frames: int = 0
    lost_packets: int = 0
    dead_pixels: int = 0
    hole_pixels: int = 0

    def __add__(self, other: RepairReport) -> RepairReport:
        return RepairReport(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def repair_frames(
    raw: np.ndarray, median: np.ndarray | None = None, source: str = "The scene"
) -> tuple[np.ndarray, np.ndarray, RepairReport]:
    """Repair consecutive frames of one recording.

    Args:
        raw: [N, 40, 60] °C as received, N >= 1; not changed.
        median: [40, 60] picture of the scene; computed from ``raw`` by default, needed where ``raw`` is only a part of
            a recording.
        source: what a warning calls the frames.

    Returns:
        frames float32 [N, 40, 60] °C without holes; mask bool [N, 40, 60], True where a pixel was filled in; counts.

    Raises:
        UserError: no frame holds a single valid pixel, or the scene cannot be degrees Celsius.
    """
    flat = np.array(raw, dtype=np.float32).reshape(-1, PIXELS)
    valid = valid_pixels(flat)
    if median is None:
        median = scene_median(flat, valid, source)
    flat[~valid] = 0.0  # keeps NaN and infinity out of the arithmetic; all of these are filled below
    scene = np.asarray(median, dtype=np.float32).reshape(PIXELS)
    lost = lost_pixels(valid)
    missing = find_lost_packets(flat, valid, lost, scene)
    put_back(flat, valid, missing)
    mask = ~valid
    fill_holes(flat, valid, scene)
    report = RepairReport(
        len(flat), int((lost > 0).sum()), int(missing.sum()), int(mask.sum() - lost.sum()), int(mask.sum())
    )
    return flat.reshape(-1, *FRAME_SHAPE), mask.reshape(-1, *FRAME_SHAPE), report


class ThermalRecording:
    """A recording; its file is opened for each access and closed again.

    No file stays open between calls, since HDF5 handles do not survive a fork. Up to ``cache_limit_mb`` the repaired
    frames are read once and kept. They belong to the process: worker processes that are forked after the first access
    share the parent's memory; a pickled recording (spawned workers) drops the frames and reads them again on first
    use. A larger recording is never kept: each window is read from disk (only the HDF5 chunks it touches) and repaired
    against the scene's median picture, which is computed once per process from some 512 frames spread over the file.

    Args:
        path: HDF5 file.
        cache_limit_mb: size in MB (as float32) up to which the frames are kept in memory.
    """

    FRAME_SHAPE = FRAME_SHAPE

    def __init__(self, path: str | os.PathLike, cache_limit_mb: float = 2048.0) -> None:
        self.path = os.fspath(path)
        self.cache_limit_mb = cache_limit_mb
        self.name = Path(self.path).stem
        self._clock: Clock | None = None
        self._cache: tuple[np.ndarray, np.ndarray, RepairReport] | None = None
        self._report: RepairReport | None = None
        self._median: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"ThermalRecording({self.path!r})"

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.timestamps)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_cache": None, "_report": None, "_median": None}

    # ---- time

    @property
    def timestamps(self) -> np.ndarray:
        """Arrival times int64 [N] in ms; read with the file's other metadata, without the frames.

        Raises:
            UserError: see :meth:`raw_frames`; impossible times.
        """
        return self.clock.times

    @property
    def clock(self) -> Clock:
        """Rate and pauses; see :attr:`timestamps` for errors."""
        if self._clock is None:
            self._clock = self._read_clock()
        return self._clock

    @property
    def fps(self) -> float:
        """Mean number of frames per second without pauses; the sensor samples steadily although frames arrive in
        bursts."""
        return self.clock.fps

    def seconds(self, frame_idx: int | np.ndarray) -> float | np.ndarray:
        """Time of a frame (or of an array of frames) in seconds: its index over the mean rate, and the pauses before
        it."""
        return self.clock.seconds(frame_idx)

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
        """bool [N, 40, 60], True where a pixel did not arrive and was filled."""
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
            UserError: the file is missing, not HDF5, truncated or damaged, has no ``frames``, or they are incomplete or
                have the wrong shape or type.
        """
        with RecordingFile(self.path) as file:
            file.check_complete()
            return file.read_frames()

    def window(self, center: int, length: int = 64, fps: float = 0.0) -> np.ndarray:
        """Repaired frames ``center - length // 2`` up to ``center + length - length // 2 - 1``.

        Args:
            center: frame index of the keyframe, 0..N-1.
            length: number of frames.
            fps: frames per second of the window, 0 for the recording's own; see
                :meth:`alphaction.recordings.clock.Clock.window`.

        Returns:
            float32 [length, 40, 60] in °C; beyond the ends of the recording and beyond a pause, the last frame before
            is repeated. A view of the cached frames where possible: do not write to it.
        """
        wanted, _ = self.clock.window(center, length, fps)
        start, stop = int(wanted[0]), int(wanted[-1]) + 1
        if self.cached:
            frames, offset = self.frames, 0
        else:
            offset, end = max(start - _MARGIN, 0), min(stop + _MARGIN, len(self))
            scene = self._scene()
            with RecordingFile(self.path) as file:
                raw = file.read_frames(offset, end)
            frames = repair_frames(raw, scene)[0]
        if (np.diff(wanted) == 1).all():
            return frames[start - offset : stop - offset]
        return frames[wanted - offset]

    def load(self) -> None:
        """Read and repair the frames now if they fit the cache; call it before worker processes are forked."""
        if self.cached:
            self._repaired()

    def close(self) -> None:
        """Free the memory; the next access reads again."""
        self._cache = self._report = self._median = None

    def _repaired(self) -> tuple[np.ndarray, np.ndarray, RepairReport]:
        if self._cache is not None:
            return self._cache
        with RecordingFile(self.path) as file:
            raw = file.read_frames(0, len(self))
        try:
            repaired = repair_frames(raw, source=f"The recording {self.path}")
        except UserError as error:
            raise self._cannot_repair(error) from error
        self._report = repaired[2]
        if self.cached:
            for array in repaired[:2]:
                array.setflags(write=False)
            self._cache = repaired
        return repaired

    def _scene(self) -> np.ndarray:
        """Median picture of a recording that is not kept in memory."""
        if self._median is None:
            count = len(self)
            step = max(count // MEDIAN_FRAMES, 1)
            picked = np.arange(0, count, step)
            with RecordingFile(self.path) as file:
                file.check_chunks()
                chunks = picked // file.chunk_length
                # Chunk by chunk: each is decompressed once, and only the picked frames are kept.
                parts = [
                    file.read_frames(rows[0], rows[-1] + 1)[rows - rows[0]]
                    for rows in np.split(picked, np.flatnonzero(np.diff(chunks)) + 1)
                ]
            try:
                self._median = scene_median(np.concatenate(parts), source=f"The recording {self.path}")
            except UserError as error:
                raise self._cannot_repair(error) from error
        return self._median

    def _cannot_repair(self, error: UserError) -> UserError:
        return UserError(f"The recording {self.path} cannot be repaired: {error}")

    def _read_clock(self) -> Clock:
        with RecordingFile(self.path) as file:
            file.check_complete()
            count, times = len(file), file.read_timestamps()
        if times is None:
            fault, assumed = "no 'timestamps'", True
            times = np.round(np.arange(count) * 1000.0 / NOMINAL_FPS).astype(np.int64)
        else:
            found, assumed = clock_fault(times), bool((times == times[0]).all())
            fault = f"'timestamps' {found}" if found else ""
        clock = Clock(times, NOMINAL_FPS, assumed)
        if fault:
            _logger.warning("The recording %s has %s; %.3g frames per second are assumed.", self.path, fault, clock.fps)
        if len(clock.pauses):
            _logger.warning("The recording %s has %s; no window spans one.", self.path, clock.describe_pauses())
        return clock
