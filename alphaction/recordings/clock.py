"""When the frames of a recording were taken, and which of them a window consists of."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from ..errors import UserError
from .stretches import PAUSE_MS, frames_per_second, pause_length, rate_changes, segments
from .times import clock_fault

# A stretch of fewer frames does not tell a rate where they arrive in bursts.
_LEAST_FRAMES = 64
# A window has a gap if its frames arrived over this many times the seconds that they were taken in. It is at most 1.36
# where the network holds frames up.
_GAP_FACTOR = 1.5
# Rates of two recordings that differ by this factor are named.
_RATES_FACTOR = 1.5

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Clock:
    """Rate, pauses and windows of one recording.

    Args:
        times: int64 [N] arrival times in ms, N >= 1.
        nominal: see :func:`frames_per_second`.
        assumed: whether the times are not the recording's own, which has none or the same for all frames.
        packets: whether frames arrive in packets, which the network holds up.
    """

    times: np.ndarray
    nominal: float
    assumed: bool = False
    packets: bool = False

    @cached_property
    def pause_ms(self) -> float:
        """Shortest pause, see :func:`pause_length`."""
        return PAUSE_MS if self.packets else pause_length(self.times)

    @cached_property
    def fps(self) -> float:
        """See :func:`frames_per_second`."""
        return frames_per_second(self.times, self.nominal, self.pause_ms)

    @cached_property
    def starts(self) -> np.ndarray:
        """See :func:`segments`."""
        return segments(self.times, self.pause_ms)

    @cached_property
    def pauses(self) -> np.ndarray:
        """float64 [S - 1], seconds from the last frame of a stretch to the first of the next; at least a pause's
        length where the clock went back."""
        first = self.starts[1:-1]
        return np.maximum(self.times[first] - self.times[first - 1], self.pause_ms) / 1000.0

    @cached_property
    def changes(self) -> np.ndarray:
        """int64 [n], frames from which a stretch goes on at another rate, see :func:`rate_changes`."""
        stretches = zip(self.starts[:-1], self.starts[1:], strict=True)
        return np.concatenate([first + rate_changes(self.times[first:stop]) for first, stop in stretches])

    @cached_property
    def _rates(self) -> list[tuple[int, int, float]]:
        """First frame, last frame and frames per second of each part with a rate of its own; at a change, the last
        frame is the first one of the next part."""
        parts = []
        edges = np.union1d(self.starts, self.changes).tolist()
        for first, stop in zip(edges[:-1], edges[1:], strict=True):
            last = stop if stop in self.changes else stop - 1
            duration = float(self.times[last] - self.times[first]) / 1000.0
            known = last - first + 1 >= _LEAST_FRAMES and duration > 0
            parts.append((first, last, (last - first) / duration if known else self.fps))
        return parts

    @cached_property
    def _smooth(self) -> np.ndarray:
        """float64 [N], seconds of the frames: evenly spaced within each part, and the pauses."""
        steps = np.zeros(len(self.times))
        for first, last, rate in self._rates:
            steps[first + 1 : last + 1] = 1 / rate
        steps[self.starts[1:-1]] = self.pauses
        return np.cumsum(steps)

    def seconds(self, frame: int | np.ndarray) -> float | np.ndarray:
        """Time of a frame (or of an array of frames): its number over the rate, and the pauses before it."""
        return frame / self.fps if len(self._rates) == 1 else self._smooth[frame]

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
            wanted = self._resample(wanted, center, fps)
        wanted += center
        frames = np.clip(wanted, first, stop - 1)
        return frames, int((frames != wanted).sum())

    def _resample(self, wanted: np.ndarray, center: int, fps: float) -> np.ndarray:
        """Frames, counted from the center, nearest to the times ``wanted`` / ``fps`` from it; beyond the ends of the
        stretch, the rate there goes on."""
        if len(self._rates) == 1:
            return np.floor(wanted * (self.fps / fps) + 0.5).astype(np.int64)
        first, stop = self.stretch(center)
        seconds, numbers = self._smooth[first:stop], np.arange(first, stop, dtype=np.float64)
        beyond = (len(wanted) + 1) / fps
        rates = [rate for start, last, rate in self._rates if first <= start and last <= stop]
        seconds = np.concatenate([[seconds[0] - beyond], seconds, [seconds[-1] + beyond]])
        numbers = np.concatenate([[first - beyond * rates[0]], numbers, [stop - 1 + beyond * rates[-1]]])
        found = np.interp(self._smooth[center] + wanted / fps, seconds, numbers)
        return np.floor(found - center + 0.5).astype(np.int64)

    def has_gap(self, frames: np.ndarray) -> bool:
        """Whether a window has a gap that is too short, or too uncertain, to be a pause.

        Args:
            frames: its frame numbers, ascending.
        """
        first, last = int(frames[0]), int(frames[-1])
        arrived = float(self.times[last] - self.times[first]) / 1000.0
        return arrived > _GAP_FACTOR * float(self.seconds(last) - self.seconds(first))

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
            f"{len(self.pauses)} pauses of at least {self.pause_ms / 1000:.3g} s (or the clock was set), the longest "
            f"of {self.pauses[longest]:.0f} s before frame {self.starts[longest + 1]}"
        )

    def describe_changes(self) -> str:
        """Where the rate changes within a stretch, and from what to what the first time; "" where it does not."""
        if not len(self.changes):
            return ""
        frame = int(self.changes[0])
        before, after = (next(rate for *ends, rate in self._rates if ends[end] == frame) for end in (1, 0))
        return (
            f"{len(self.changes)} changes of its rate, the first from {before:.3g} to {after:.3g} frames per second at "
            f"frame {frame}"
        )


class HasRate(Protocol):
    """A recording with its mean rate."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def fps(self) -> float:
        """Frames per second."""


def describe_rates(recordings: Sequence[HasRate], frames: int) -> str:
    """What is to say about recordings of different rates; "" where the fastest is less than 1.5 times the slowest.

    Args:
        recordings: any number of them.
        frames: of a window.
    """
    ordered = sorted(recordings, key=lambda recording: recording.fps)
    if not ordered or ordered[-1].fps < _RATES_FACTOR * ordered[0].fps:
        return ""
    slow, fast = ordered[0], ordered[-1]
    return (
        f"{len(ordered)} recordings have {slow.fps:.3g} ({slow.name[:50]}) to {fast.fps:.3g} ({fast.name[:50]}) frames "
        f"per second; {frames} frames then last {frames / slow.fps:.1f} to {frames / fast.fps:.1f} s: set INPUT.FPS"
    )


def make_clock(source: str, count: int, times: np.ndarray | None, rate: float | None, packets: bool = False) -> Clock:
    """The clock of a recording; logs what its times lack, its pauses and changes of its rate.

    Args:
        source: subject of the error's sentence.
        count: frames of the recording.
        times: int64 [count] in ms, None where it has none.
        rate: the sensor's nominal frames per second, None where nothing states it.
        packets: see :class:`Clock`.

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
    clock = Clock(times, rate, assumed, packets)
    if fault:
        _logger.warning("%s has %s; %.3g frames per second are assumed.", source, fault, clock.fps)
    if len(clock.pauses):
        _logger.warning("%s has %s; no window spans one.", source, clock.describe_pauses())
    if len(clock.changes):
        changes = clock.describe_changes()
        _logger.warning("%s has %s; windows of consecutive frames last differently, set INPUT.FPS.", source, changes)
    return clock
