"""One thermal recording: read, repaired and cut into windows.

The file's format is in :mod:`alphaction.recordings.hdf5`, see also docs/thermal_data.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import UserError
from .clock import Clock, make_clock
from .hdf5 import RecordingFile
from .repair import RepairReport, repair_in_place, total
from .scene import Scene, read_scene, scene_median, spread_frames
from .sensor import Sensor
from .units import PLAUSIBLE_RANGE, check_temperatures

# Frames read on either side of a window from disk, so that its first and last frames have whole neighbors too.
_MARGIN = 8
# Size in MB of the frames that are repaired at once where all of them are needed.
_BLOCK_MB = 128


class ThermalRecording:
    """A recording; its file is opened for each access and closed again.

    No file stays open between calls, since HDF5 handles do not survive a fork. Up to ``cache_limit_mb`` the repaired
    frames are read once and kept. They belong to the process: worker processes that are forked after the first access
    share the parent's memory; a pickled recording (spawned workers) drops the frames and reads them again on first
    use. A larger recording is never kept: each window is read from disk (only the HDF5 chunks it touches) and repaired
    against the scene, which is computed once per process from at most 512 frames spread over the file, fewer where
    frames are large.

    Args:
        path: HDF5 file.
        cache_limit_mb: size in MB (as float32) up to which the frames are kept in memory.
        name: what it is called; by default the file's name without the suffix.
        temperature_range: °C between which most pixels must be, INPUT.TEMPERATURE_MIN and TEMPERATURE_MAX where a
            network sees the frames; see :func:`alphaction.recordings.units.check_temperatures`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        cache_limit_mb: float = 2048.0,
        name: str | None = None,
        *,
        temperature_range: tuple[float, float] = PLAUSIBLE_RANGE,
    ) -> None:
        self.path = os.fspath(path)
        self.cache_limit_mb = cache_limit_mb
        self.name = name or Path(self.path).stem
        self.temperature_range = temperature_range
        self._clock: Clock | None = None
        self._sensor: Sensor | None = None
        self._cache: tuple[np.ndarray, np.ndarray] | None = None
        self._report: RepairReport | None = None
        self._scene: Scene | None = None
        self._room: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"ThermalRecording({self.path!r})"

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.timestamps)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_cache": None, "_report": None, "_scene": None, "_room": None}

    # ---- sensor

    @property
    def sensor(self) -> Sensor:
        """What recorded the frames.

        Raises:
            UserError: see :meth:`raw_frames`; a description of the sensor that is wrong.
        """
        if self._sensor is None:
            self._clock = self._read_clock()
        assert self._sensor is not None
        return self._sensor

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self.sensor.shape

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
        """Time of a frame (or of an array of frames) in seconds, see
        :meth:`alphaction.recordings.clock.Clock.seconds`."""
        return self.clock.seconds(frame_idx)

    # ---- frames

    @property
    def cached(self) -> bool:
        """Whether the frames fit below the limit and are kept in memory."""
        return self.megabytes <= self.cache_limit_mb

    @property
    def megabytes(self) -> float:
        """Size of all frames in memory."""
        return len(self) * self.sensor.pixels * 4 / 1e6

    @property
    def frames(self) -> np.ndarray:
        """Repaired frames float32 [N, h, w] in °C, read-only."""
        return self._repaired()[0]

    @property
    def mask(self) -> np.ndarray:
        """bool [N, h, w], True where a pixel did not arrive and was filled."""
        return self._repaired()[1]

    @property
    def report(self) -> RepairReport:
        """Counts of what was repaired."""
        if self._report is None:
            self._report = sum((report for _, report in self.blocks()), RepairReport())
        return self._report

    @property
    def room(self) -> np.ndarray:
        """The picture without persons float32 [h, w] in °C: the median of each pixel over the recording."""
        if self._room is None:
            if self.cached:
                frames = self.frames
                self._room = scene_median(frames, np.ones(frames.shape, dtype=bool), self.sensor)
            else:
                self._room = self._read_scene().median
        return self._room

    def blocks(self) -> Iterator[tuple[np.ndarray, RepairReport]]:
        """Repaired frames and counts, part after part, for recordings that do not fit in memory.

        Yields:
            float32 [n, h, w] in °C and the counts of these frames; all of them at once if they are kept in memory.
        """
        if self.cached:
            frames = self.frames
            assert self._report is not None
            yield frames, self._report
            return
        length = max(int(_BLOCK_MB * 1e6) // (4 * self.sensor.pixels), 2 * _MARGIN)
        for start in range(0, len(self), length):
            frames, counts = self._read_part(start, min(start + length, len(self)))
            yield frames, total(counts)

    def raw_frames(self) -> np.ndarray:
        """Frames float32 [N, h, w] in °C as in the file, without repair.

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
            float32 [length, h, w] in °C; beyond the ends of the recording and beyond a pause, the last frame before
            is repeated. A view of the cached frames where possible: do not write to it.
        """
        wanted, _ = self.clock.window(center, length, fps)
        numbers, places = np.unique(wanted, return_inverse=True)
        start, stop = int(numbers[0]), int(numbers[-1]) + 1
        if self.cached:
            frames, places = self.frames[start:stop], wanted - start
        else:
            frames = self._read_numbers(numbers)
        return frames if np.array_equal(places, np.arange(len(frames))) else frames[places]

    def load(self) -> None:
        """Read and repair the frames now if they fit the cache; call it before worker processes are forked."""
        if self.cached:
            self._repaired()

    def close(self) -> None:
        """Free the memory; the next access reads again."""
        self._cache = self._report = self._scene = self._room = None

    def _repaired(self) -> tuple[np.ndarray, np.ndarray]:
        if self._cache is not None:
            return self._cache
        with RecordingFile(self.path, self.sensor) as file:
            frames = file.read_frames(0, len(self))
        self._check_temperatures(frames)
        try:
            mask, counts = repair_in_place(frames, self.sensor)
        except UserError as error:
            raise self._cannot_repair(error) from error
        self._report = total(counts)
        if self.cached:
            for array in (frames, mask):
                array.setflags(write=False)
            self._cache = frames, mask
        return frames, mask

    def _read_numbers(self, numbers: np.ndarray) -> np.ndarray:
        """Repaired frames of these increasing numbers from disk."""
        start, stop, sensor = int(numbers[0]), int(numbers[-1]) + 1, self.sensor
        # Single frames that need no repair are read alone.
        if stop - start > len(numbers) and not (sensor.packets or sensor.subpages or self._read_scene().stuck.any()):
            with RecordingFile(self.path, sensor) as file:
                frames = file.pick_frames(numbers)
            if _all_valid(frames, sensor):
                return frames
        frames = self._read_part(start, stop)[0]
        return frames if len(frames) == len(numbers) else frames[numbers - start]

    def _read_part(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames ``start`` to ``stop`` from disk, repaired, and the counts of each."""
        scene, sensor = self._read_scene(), self.sensor
        # Frames that arrive whole seldom need their neighbors: those are read in a second step then.
        margins = (_MARGIN,) if sensor.packets or sensor.subpages or scene.stuck.any() else (0, _MARGIN)
        with RecordingFile(self.path, sensor) as file:
            for margin in margins:
                first, last = max(start - margin, 0), min(stop + margin, len(self))
                frames = file.read_frames(first, last)
                if margin == 0 and _all_valid(frames, sensor):
                    return frames, np.zeros((len(frames), 5), dtype=np.int64)
        _, counts = repair_in_place(frames, sensor, scene)
        inner = slice(start - first, stop - first)
        return frames[inner].copy(), counts[inner]

    def _read_scene(self) -> Scene:
        """The scene of a recording that is not kept in memory."""
        if self._scene is None:
            with RecordingFile(self.path, self.sensor) as file:
                picked = file.pick_frames(spread_frames(len(self), file.chunk_length, file.frame_bytes, self.sensor))
            self._check_temperatures(picked)
            try:
                self._scene = read_scene(picked, self.sensor)
            except UserError as error:
                raise self._cannot_repair(error) from error
        return self._scene

    def _check_temperatures(self, raw: np.ndarray) -> None:
        check_temperatures(
            f"The recording {self.path}",
            raw,
            *self.temperature_range,
            range_option="INPUT.TEMPERATURE_MIN and TEMPERATURE_MAX",
        )

    def _cannot_repair(self, error: UserError) -> UserError:
        return UserError(f"The recording {self.path} cannot be repaired: {error}")

    def _read_clock(self) -> Clock:
        with RecordingFile(self.path, self._sensor) as file:
            file.check_complete()
            count, times = len(file), file.read_timestamps()
            self._sensor = file.sensor
        sensor = self._sensor
        return make_clock(f"The recording {self.path}", count, times, sensor.rate, bool(sensor.packets))


def _all_valid(frames: np.ndarray, sensor: Sensor) -> bool:
    # Comparisons with NaN are False. The extremes alone take a fraction of the time of comparing each pixel.
    low, high = sensor.valid_range
    return bool(frames.min() > low and frames.max() < high)
