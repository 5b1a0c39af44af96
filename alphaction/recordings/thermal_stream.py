"""The last frames of a thermal stream, repaired as they arrive."""

from __future__ import annotations

import logging
import math
from collections import deque

import numpy as np

from .frame_sequence import FrameSequence
from .repair import repair_in_place
from .scene import Scene, read_scene
from .sensor import Sensor, default_sensor
from .units import PLAUSIBLE_RANGE, check_temperatures

_logger = logging.getLogger(__name__)
# Raw frames that a new one is repaired with, frames that the scene is computed from, and how many arrive until it is
# computed again.
_CONTEXT, _SCENE_FRAMES, _SCENE_EVERY = 8, 64, 256
# Seconds that a clock may go back before the stream counts as taken up again.
_CLOCK_BACK = 10.0


class ThermalStream:
    """A bounded number of frames of a stream.

    A frame that cannot be one (another shape or type, no temperature in it, no time, a time before the last frame's)
    is counted as broken and left out. Where the clock goes back by 10 seconds or more, or frames pause for
    ``longest_pause``, the stream was interrupted: what came before is forgotten.

    Args:
        length: frames that are kept.
        name: what results and messages call it.
        sensor: what sends them; by default the sensor of the first frame's shape.
        temperature_range: °C between which most pixels of the first frames must be.
        longest_pause: seconds.

    Attributes:
        frames: the last frames, float32 [h, w] °C, repaired.
        broken: number of broken frames.
        parts: how often the stream was taken up again.
    """

    def __init__(
        self,
        length: int,
        name: str = "stream",
        sensor: Sensor | None = None,
        temperature_range: tuple[float, float] = PLAUSIBLE_RANGE,
        longest_pause: float = 10.0,
    ) -> None:
        self.name, self.sensor, self.temperature_range = name, sensor, temperature_range
        self.longest_pause = longest_pause
        self.frames: deque[np.ndarray] = deque(maxlen=length)
        self.times: deque[float] = deque(maxlen=length)
        self.broken = self.parts = self.count = 0
        self._raw: deque[np.ndarray] = deque(maxlen=_CONTEXT)
        self._samples: deque[np.ndarray] = deque(maxlen=_SCENE_FRAMES)
        self._scene: Scene | None = None
        self._scene_due = 0

    def push(self, time: float, frame: object) -> bool:
        """Take a frame; False where it is broken.

        Raises:
            UserError: the first frame holds no temperatures in °C.
        """
        found = self._readable(time, frame)
        if found is None:
            self.broken += 1
            if self.broken == 1:
                _logger.warning("%s: a frame is broken and left out; others are counted", self.name)
            return False
        if self.times and not -_CLOCK_BACK < time - self.times[-1] < self.longest_pause:
            self._start_again()
        if not self.count:
            option = "INPUT.TEMPERATURE_MIN and TEMPERATURE_MAX"
            check_temperatures(f"{self.name}", found[None], *self.temperature_range, range_option=option)
        self._raw.append(found)
        self.frames.append(self._repair(found))
        self.times.append(float(time))
        self.count += 1
        return True

    def sequence(self) -> FrameSequence:
        """The frames with their times, to cut windows from."""
        milliseconds = np.round(np.array(self.times) * 1000.0).astype(np.int64)
        return FrameSequence(
            np.stack(list(self.frames)),
            self.name,
            times=milliseconds,
            sensor=self.sensor,
            temperature_range=None,
            is_repaired=True,
            room=None if self._scene is None else self._scene.median,
        )

    def place(self, time: float) -> int:
        """Place of the frame of that time among those that are kept; the nearest, if it is no longer kept."""
        return int(np.argmin(np.abs(np.array(self.times) - time)))

    def number(self, place: int) -> int:
        """Number of a kept frame since the stream began."""
        return self.count - len(self.frames) + place

    def _readable(self, time: float, frame: object) -> np.ndarray | None:
        try:
            found = np.asarray(frame, dtype=np.float32)
            moment = float(time)
        except (TypeError, ValueError):
            return None
        if found.ndim != 2 or not found.size or not math.isfinite(moment):
            return None
        if self.sensor is None:
            self.sensor = default_sensor(found.shape)
        low, high = self.sensor.valid_range
        is_frame = found.shape == self.sensor.shape and bool(((found > low) & (found < high)).any())
        is_late = bool(self.times) and -_CLOCK_BACK < moment - self.times[-1] <= 0
        return found if is_frame and not is_late else None

    def _start_again(self) -> None:
        _logger.warning("%s was interrupted and is taken up again", self.name)
        self.parts += 1
        for kept in (self.frames, self.times, self._raw):
            kept.clear()

    def _repair(self, frame: np.ndarray) -> np.ndarray:
        assert self.sensor is not None
        if self.count >= self._scene_due:
            self._samples.append(frame)
            self._scene = read_scene(np.stack(list(self._samples)), self.sensor)
            self._scene_due = self.count + min(max(len(self._samples) // 4, 1), _SCENE_EVERY)
        context = np.stack(list(self._raw))
        repair_in_place(context, self.sensor, self._scene)
        return context[-1].copy()
