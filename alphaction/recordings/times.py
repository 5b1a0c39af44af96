"""Time of a recording's frames: units, clocks, rates, pauses and windows.

Frames arrive in bursts, and the network holds them up for seconds, although the sensor samples at a steady rate. Within
a stretch without pauses, the time of a frame is therefore its number over the mean rate. The median interval is no
measure of that rate: on the recordings that this was tried on, it gives 6 to 26 frames per second where the sensor has 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import UserError

# Arrival times this far apart are a pause. The network holds frames up for less than 5 s, whatever the sensor's rate.
PAUSE_MS = 10_000
# Mean frames per second of a thermal sensor; the same times read in another unit are outside.
FPS_RANGE = (0.5, 240.0)
# Name of a unit -> its length in ms, and what turns it into ms.
_UNITS = {
    "milliseconds": (1.0, ""),
    "seconds": (1e3, "multiply them by 1000"),
    "microseconds": (1e-3, "divide them by 1000"),
    "nanoseconds": (1e-6, "divide them by 1000000"),
}
_YEAR_MS = 366 * 86_400_000
_MAX_TIME = 2**62
# Times since 1970 from 2001 to 2100, in ms. In another unit the same numbers are far outside.
_DATES_MS = (0.98e12, 4.1e12)
# Times in whole seconds: at least this share of the frames has the time of the one before.
_SHARED_TIMES = 0.1


def time_unit(times: np.ndarray, recording: np.ndarray | None = None) -> str | None:
    """The unit that times are likely in.

    Args:
        times: numbers [N]; without ``recording``, one per frame in order.
        recording: int64 times in ms of the recording in whose span most of ``times`` lie.

    Returns:
        "milliseconds", "seconds", "microseconds", "nanoseconds", or None where no unit fits: that of a date in this
        century, if the times are one, in which the rate is a sensor's. Times that are all equal are in milliseconds.
    """
    if recording is not None:
        low, high = float(recording.min()) - PAUSE_MS, float(recording.max()) + PAUSE_MS
        for unit, (ms, _) in _UNITS.items():
            scaled = np.asarray(times, np.float64) * ms
            if len(scaled) and ((low <= scaled) & (scaled <= high)).mean() > 0.5:
                return unit
        return None
    steps = _steps(times)
    if not steps.any():
        return "milliseconds"
    middle = float(np.median(times))
    dated = [unit for unit, (ms, _) in _UNITS.items() if _DATES_MS[0] <= middle * ms <= _DATES_MS[1]]
    for unit in dated or _UNITS:
        scaled = steps * _UNITS[unit][0]
        near = scaled[scaled < PAUSE_MS]
        if (near > 0).sum() * 2 > (steps > 0).sum() and FPS_RANGE[0] <= 1000 / near.mean() <= FPS_RANGE[1]:
            return unit
    return None


def convert_hint(unit: str | None) -> str:
    """What turns times in a unit into ms."""
    return _UNITS[unit][1] if unit in _UNITS else "correct them"


def check_times(source: str, times: np.ndarray, frames: int) -> np.ndarray:
    """Times int64 [N] in ms, rounded to whole ones.

    Times from which frames cannot be found, such as equal ones, are accepted; see :func:`check_order`.

    Args:
        source: subject of the error's sentence.
        times: one number per frame.
        frames: how many frames there are.

    Raises:
        UserError: not one finite number for each frame, times that cannot be ms, or a clock that was set meanwhile.
    """
    if times.shape != (frames,) or times.dtype.kind not in "iuf":
        refuse_times(source, times.shape, times.dtype, frames)
    if not np.isfinite(times).all():
        raise UserError(f"{source} has 'timestamps' that are not finite, expected milliseconds; write them again.")
    if (np.abs(times.astype(np.float64)) > _MAX_TIME).any():
        raise UserError(f"{source} has 'timestamps' above 2**62, expected milliseconds; write them again.")
    whole = np.round(times).astype(np.int64) if times.dtype.kind == "f" else times.astype(np.int64)
    unit = time_unit(times)
    if unit != "milliseconds":
        steps = _steps(times)
        raise UserError(
            f"{source} has 'timestamps' that {f'look like {unit}' if unit else 'fit no unit'}: as milliseconds, they "
            f"give {1000 / np.median(steps[steps > 0]):.4g} frames per second, expected {FPS_RANGE[0]:g} to "
            f"{FPS_RANGE[1]:g}; {convert_hint(unit)}."
        )
    jumps = np.flatnonzero(_steps(whole) > _YEAR_MS)
    if len(jumps):
        before, after = whole[jumps[0]], whole[jumps[0] + 1]
        raise UserError(
            f"{source} has 'timestamps' that jump by {abs(float(after) - float(before)) / _YEAR_MS:.3g} years at frame "
            f"{jumps[0] + 1}, from {before} to {after}, as of a clock that was set while recording (an unset one counts "
            "from 1970), expected one clock for all frames; correct the times or remove these frames."
        )
    return whole


def _steps(times: np.ndarray) -> np.ndarray:
    """float64 [N - 1], distances of consecutive times."""
    exact = times if times.dtype.kind == "f" else times.astype(np.int64)
    return np.abs(np.diff(exact).astype(np.float64))


def clock_fault(times: np.ndarray) -> str | None:
    """Why frames cannot be found by their time, to follow "has 'timestamps' "; None where they can.

    Args:
        times: int64 [N] in ms.
    """
    steps = np.diff(times)
    if len(steps) and not steps.any():
        return "that are all equal"
    if (steps < 0).any():
        return f"that go back in time at frame {int(np.argmax(steps < 0)) + 1}"
    shared = int((steps == 0).sum())
    if shared > _SHARED_TIMES * len(steps) and not (steps % 1000).any():
        return f"in whole seconds ({shared} of {len(times)} frames have the time of the one before)"
    return None


def check_order(source: str, times: np.ndarray) -> None:
    """Check that frames can be found by their time.

    Args:
        source: subject of the error's sentence.
        times: int64 [N], from :func:`check_times`.

    Raises:
        UserError: decreasing times, times that are all equal, whole seconds.
    """
    fault = clock_fault(times)
    if fault:
        raise UserError(
            f"{source} has 'timestamps' {fault}, expected the time of each frame in milliseconds, by which annotations "
            "find it and which never decreases; correct the times, and sort the frames."
        )


def refuse_times(source: str, shape: tuple[int, ...], dtype: np.dtype, frames: int) -> None:
    """Raise UserError: these are not one number per frame."""
    number = f"{frames} frames and {shape[0]} times, " if len(shape) == 1 and shape[0] != frames else ""
    raise UserError(
        f"{source} has {number}'timestamps' of type {dtype} and shape {list(shape)}, expected one number of "
        "milliseconds per frame; write them again."
    )


def match_frames(source: str, times: np.ndarray, wanted: np.ndarray, tolerance_ms: int) -> list[int | str]:
    """The frame at each of some times, or why there is none.

    Args:
        source: subject of the error's sentence, such as "FILE has 'data_time'".
        times: int64 [N] in ms, which pass :func:`check_order`.
        wanted: int64 [R], the times of frames in ms.
        tolerance_ms: largest distance to the nearest frame; the interval between frames, where that is shorter.

    Raises:
        UserError: no frame is found because ``wanted`` are in another unit.
    """
    tolerance = min(tolerance_ms, 1000 / frames_per_second(times, FPS_RANGE[0]))
    nearest = np.array([np.argmin(np.abs(times - time)) for time in wanted], np.int64)
    near = np.abs(times[nearest] - wanted) <= tolerance
    if len(wanted) and not near.any():
        unit = time_unit(wanted, times)
        if unit not in ("milliseconds", None):
            raise UserError(
                f"{source} {wanted[0]} and {len(wanted) - 1} more that look like {unit}, expected milliseconds as the "
                f"'timestamps' {times[0]} to {times[-1]} of the recording; {convert_hint(unit)}."
            )
    outside = (wanted < times[0] - tolerance_ms) | (wanted > times[-1] + tolerance_ms)
    unmatched = f"record without a frame within {tolerance:.0f} ms"
    if len(wanted) and outside.all():
        distance = np.median(np.abs(times[nearest] - wanted)) / 1000
        unmatched += f" (all of a recording, a median of {distance:.0f} s outside its time: another clock or time zone)"
    shared = np.isin(times[nearest], times[1:][np.diff(times) == 0])
    return [
        unmatched if not ok else "record of a time that several frames have" if several else int(frame)
        for frame, ok, several in zip(nearest, near, shared, strict=True)
    ]


def rounded_times(times: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether times of frames are all whole seconds, although the frames are not."""
    return len(wanted) > 2 and not (wanted % 1000).any() and bool((~np.isin(wanted, times)).mean() > 0.5)


def segments(times: np.ndarray) -> np.ndarray:
    """First frame of each stretch without a pause, and the number of frames: int64 [S + 1].

    A clock that goes back by as much as a pause ends a stretch too.

    Args:
        times: int64 [N] in ms, N >= 1.
    """
    return np.concatenate([[0], np.flatnonzero(_steps(times) >= PAUSE_MS) + 1, [len(times)]]).astype(np.int64)


def frames_per_second(times: np.ndarray, nominal: float) -> float:
    """Mean rate within the stretches without pauses.

    Args:
        times: int64 [N] in ms, N >= 1.
        nominal: the rate where times do not tell: they are equal or run backwards, or each frame is a stretch.
    """
    starts = segments(times)
    milliseconds = float((times[starts[1:] - 1] - times[starts[:-1]]).sum())
    steps = len(times) - (len(starts) - 1)
    return steps / (milliseconds / 1000.0) if milliseconds > 0 else nominal


@dataclass(frozen=True)
class Clock:
    """When the frames of a recording were taken, and which of them a window consists of.

    Args:
        times: int64 [N] arrival times in ms, N >= 1.
        nominal: see :func:`frames_per_second`.
    """

    times: np.ndarray
    nominal: float

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
