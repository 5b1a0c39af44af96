"""Frames in memory with the windows of a recording: of an array, of a raw file, or the last ones of a stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from ..errors import UserError
from .clock import Clock
from .repair import repair_in_place
from .scene import Scene, scene_median
from .sensor import Sensor, default_sensor
from .units import PLAUSIBLE_RANGE, check_temperatures


class FrameSource(Protocol):
    """What :class:`ThermalRecording` and :class:`FrameSequence` have in common."""

    name: str

    def __len__(self) -> int:
        """Number of frames."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""

    @property
    def clock(self) -> Clock:
        """Rate and pauses."""

    @property
    def room(self) -> np.ndarray:
        """The picture without persons, float32 [h, w] °C."""

    def seconds(self, frame_idx: int | np.ndarray) -> float | np.ndarray:
        """Time of a frame in seconds."""

    def window(self, center: int, length: int = 64, fps: float = 0.0) -> np.ndarray:
        """Repaired frames around a keyframe, float32 [length, h, w] °C."""


class FrameSequence:
    """Consecutive frames of one sensor, repaired.

    Args:
        celsius: [N, h, w] °C as received or repaired, N >= 1; not changed.
        name: what errors and results call it.
        times: int64 [N] arrival times in ms; None: evenly spaced at ``rate``.
        rate: frames per second, used where times do not tell it; None: the sensor's, else 1.
        sensor: the sensor that sent them; by default the one of their shape.
        scene: the recording that the frames are a part of; computed from them by default.
        temperature_range: °C between which most pixels must be; None does not check.
        is_repaired: the frames have no holes.
        room: see :attr:`FrameSource.room`; computed from the frames by default.

    Raises:
        UserError: not frames of temperatures, other numbers of times, no valid pixel.
    """

    def __init__(
        self,
        celsius: np.ndarray,
        name: str = "the array",
        *,
        times: np.ndarray | None = None,
        rate: float | None = None,
        sensor: Sensor | None = None,
        scene: Scene | None = None,
        temperature_range: tuple[float, float] | None = PLAUSIBLE_RANGE,
        is_repaired: bool = False,
        room: np.ndarray | None = None,
    ) -> None:
        found = np.asarray(celsius)
        if found.ndim != 3 or not found.size or found.dtype.kind not in "iuf":
            raise UserError(
                f"{name} has the shape {list(found.shape)} and the type {found.dtype}, expected frames [T, rows, "
                "columns] in °C with at least one frame; pass one recording's frames."
            )
        self.name = name
        self.sensor = replace(sensor or default_sensor(found.shape[1:]), shape=found.shape[1:], unit="celsius")
        if temperature_range is not None:
            option = "INPUT.TEMPERATURE_MIN and TEMPERATURE_MAX"
            check_temperatures(name, found, *temperature_range, range_option=option)
        nominal = rate or self.sensor.rate or 1.0
        if times is None:
            # Rounding to whole ms must not make a rate of its own.
            times = np.round(np.arange(len(found)) * 1000.0 / nominal).astype(np.int64)
        elif times.shape != (len(found),):
            raise UserError(f"{name} has {len(found)} frames and {times.size} times, expected one time for each frame.")
        self.clock = Clock(times, nominal, packets=bool(self.sensor.packets))
        frames = np.array(found, dtype=np.float32)
        if not is_repaired:
            repair_in_place(frames, self.sensor, scene)
        frames.setflags(write=False)
        self.frames = frames
        self._room = room
        if room is not None and (np.shape(room) != self.shape or not np.isfinite(room).all()):
            raise UserError(
                f"The room of {name} has the shape {list(np.shape(room))} or is not finite, expected °C of the shape "
                f"{list(self.shape)}, that of the frames; make it from frames of the same sensor."
            )

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self.sensor.shape

    @property
    def room(self) -> np.ndarray:
        """The picture without persons float32 [h, w] °C, see :attr:`ThermalRecording.room`."""
        if self._room is None:
            self._room = scene_median(self.frames, np.ones(self.frames.shape, dtype=bool), self.sensor)
        return self._room

    def seconds(self, frame_idx: int | np.ndarray) -> float | np.ndarray:
        """Time of a frame in seconds, see :meth:`alphaction.recordings.clock.Clock.seconds`."""
        return self.clock.seconds(frame_idx)

    def window(self, center: int, length: int = 64, fps: float = 0.0) -> np.ndarray:
        """As :meth:`ThermalRecording.window`; a copy."""
        return self.frames[self.clock.window(center, length, fps)[0]]
