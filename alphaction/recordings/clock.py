"""When the frames of a recording were taken, and which of them a window consists of."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import UserError
from .times import PAUSE_MS, clock_fault, frames_per_second, segments

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Clock:
    """Rate, pauses and windows of one recording.

    Args:
        times: int64 [N] arrival times in ms, N >= 1.
        nominal: see :func:`frames_per_second`.
        assumed: whether the times are not the recording's own, which has none or the same for all frames.
    """

    times: np.ndarray
    nominal: float
    assumed: bool = False

    @cached_property
    def fps(self) -> float:
        """See :func:`frames_per_second`."""
        return frames_per_second(self.times, self.nominal)

    @cached_property
    def starts(self) -> np.ndarray:
        """See :func:`segments`."""
        return segments(self.times)

    @cached_property
    def pauses(self) -> np.ndarray:
        """float64 [S - 1], seconds from the last frame of a stretch to the first of the next; at least a pause's
        length where the clock went back."""
        first = self.starts[1:-1]
        return np.maximum(self.times[first] - self.times[first - 1], PAUSE_MS) / 1000.0

    def seconds(self, frame: int | np.ndarray) -> float | np.ndarray:
        """Time of a frame (or of an array of frames): its number over the rate, and the pauses before it."""
        if not len(self.pauses):
            return frame / self.fps
        waited = np.concatenate([[0.0], np.cumsum(self.pauses - 1 / self.fps)])
        return frame / self.fps + waited[np.searchsorted(self.starts[1:-1], frame, side="right")]

    def window(self, center: int, length: int, fps: float = 0.0) -> tuple[np.ndarray, int]:
        """The frames of a window, ``length // 2`` of them before the center, within the stretch of the center.

        Args:
            center: frame number of the keyframe.
            length: number of frames.
            fps: frames per second of the window; at each of its times, the frame nearest in time is taken. 0:
                consecutive frames.

        Returns:
            frame numbers int64 [length], ascending; how many of them repeat an end of the stretch.
        """
        first, stop = self.stretch(center)
        wanted = np.arange(length) - length // 2
        if fps:
            wanted = np.floor(wanted * (self.fps / fps) + 0.5).astype(np.int64)
        wanted += center
        frames = np.clip(wanted, first, stop - 1)
        return frames, int((frames != wanted).sum())

    def stretch(self, frame: int) -> tuple[int, int]:
        """First frame of the stretch that a frame is in, and the first frame after it."""
        number = int(np.searchsorted(self.starts, frame, side="right")) - 1
        return int(self.starts[number]), int(self.starts[number + 1])

    def describe_pauses(self) -> str:
        """How many pauses there are and the longest, "" without any."""
        if not len(self.pauses):
            return ""
        longest = int(np.argmax(self.pauses))
        return (
            f"{len(self.pauses)} pauses of at least {PAUSE_MS / 1000:g} s (or the clock was set), the longest of "
            f"{self.pauses[longest]:.0f} s before frame {self.starts[longest + 1]}"
        )


def make_clock(source: str, count: int, times: np.ndarray | None, rate: float | None) -> Clock:
    """The clock of a recording; logs what its times lack, and its pauses.

    Args:
        source: subject of the error's sentence.
        count: frames of the recording.
        times: int64 [count] in ms, None where it has none.
        rate: the sensor's nominal frames per second, None where nothing states it.

    Raises:
        UserError: neither times that tell frames apart nor a rate.
    """
    fault = "no 'timestamps'" if times is None else clock_fault(times)
    if fault and times is not None:
        fault = f"'timestamps' {fault}"
    assumed = times is None or bool((times == times[0]).all())
    if rate is None and (times is None or assumed and count > 1):
        raise UserError(
            f"{source} has {fault} and does not name a rate, expected milliseconds [N]; write them, or the attribute "
            "'rate' in frames per second."
        )
    rate = rate or 1.0
    if times is None:
        times = np.round(np.arange(count) * 1000.0 / rate).astype(np.int64)
    clock = Clock(times, rate, assumed)
    if fault:
        _logger.warning("%s has %s; %.3g frames per second are assumed.", source, fault, clock.fps)
    if len(clock.pauses):
        _logger.warning("%s has %s; no window spans one.", source, clock.describe_pauses())
    return clock
