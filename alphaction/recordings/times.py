"""Times of a recording's frames: units, faults of clocks, and the frame at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..config.validate import FPS_RANGE
from ..errors import UserError
from .stretches import PAUSE_MS, frames_per_second, interval_lengths

# Largest distance of an annotation's time to its frame.
TOLERANCE_MS = 100
# Factor by which whole milliseconds change the rate of a few frames: 1000 / 4 instead of 240.
_ROUNDING = 1.05


class TimeUnit(NamedTuple):
    """A unit of times: its length in ms, what turns it into ms, and its --time-unit, "" where none reads it."""

    milliseconds: float
    hint: str
    option: str = ""


TIME_UNITS = {
    "milliseconds": TimeUnit(1.0, "", "ms"),
    "seconds": TimeUnit(1e3, "multiply them by 1000", "s"),
    "microseconds": TimeUnit(1e-3, "divide them by 1000", "us"),
    "nanoseconds": TimeUnit(1e-6, "divide them by 1000000"),
}
_YEAR_MS = 366 * 86_400_000
_MAX_TIME = 2**62
# Numbers of frames are below; times since 1970 are not.
_MAX_NUMBER = 1e9
# Times since 1970 from 2010 to 2040, in ms. In another unit the same numbers are far outside.
_DATES_MS = (1.26e12, 2.2e12)
# Times in whole seconds: at least this share of the frames has the time of the one before.
_SHARED_TIMES = 0.1


def time_unit(times: np.ndarray, recording: np.ndarray | None = None) -> str | None:
    """The unit that times are likely in.

    Args:
        times: numbers [N]; without ``recording``, one per frame in order.
        recording: int64 times in ms of the recording, ascending, that ``times`` are from: the unit in which they are
            the times of most of its frames.

    Returns:
        "milliseconds", "seconds", "microseconds", "nanoseconds", or None where no unit fits: the one in which the rate
        is a sensor's; times that are a date of 2010 to 2040 in some unit are in no other. Times that are all equal are
        in milliseconds.
    """
    if recording is not None:
        counts = {unit: _frames_met(recording, np.unique(times) * length) for unit, (length, *_) in TIME_UNITS.items()}
        best = max(counts, key=counts.__getitem__)
        return best if counts[best] else None
    steps = interval_lengths(times)
    if not steps.any():
        return "milliseconds"
    start, stop = float(times.min()), float(times.max())
    low, high = FPS_RANGE[0] / _ROUNDING, FPS_RANGE[1] * _ROUNDING
    dated = [unit for unit, (length, *_) in TIME_UNITS.items() if _DATES_MS[0] <= start * length <= _DATES_MS[1]]
    for unit in dated if start > stop - start and dated else TIME_UNITS:
        scaled = steps * TIME_UNITS[unit].milliseconds
        near = scaled[scaled < PAUSE_MS]
        if (near > 0).sum() * 2 > (steps > 0).sum() and low <= 1000 / near.mean() <= high:
            return unit
    return None


def has_dates(times: np.ndarray) -> bool:
    """Whether times [N] in ms are dates, of 2010 to 2040, rather than counted from the start of a recording."""
    return bool(times.min() >= _DATES_MS[0] and times.max() <= _DATES_MS[1])


def _frames_met(recording: np.ndarray, times: np.ndarray) -> int:
    """How many frames are the nearest to some of these times within the recording."""
    within = (recording[0] - PAUSE_MS <= times) & (times <= recording[-1] + PAUSE_MS)
    return len(np.unique(_nearest(recording, times[within])))


def _nearest(ordered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Index of the value nearest to each of ``wanted``, the earlier one of two that are equally near."""
    after = np.searchsorted(ordered, wanted)
    before, after = np.maximum(after - 1, 0), np.minimum(after, len(ordered) - 1)
    return np.where(np.abs(ordered[before] - wanted) <= np.abs(ordered[after] - wanted), before, after)


def count_frames(times: np.ndarray) -> bool:
    """Whether numbers [N] are those of frames instead of times: whole, ascending, too near to be milliseconds."""
    if len(times) < 2 or times.dtype.kind not in "iuf" or not np.isfinite(times).all():
        return False
    steps = np.diff(times.astype(np.float64))
    whole = (times == np.round(times)).all() and (steps >= 1).all()
    return bool(whole and np.median(steps) < 1000 / (FPS_RANGE[1] * _ROUNDING) and times[-1] < _MAX_NUMBER)


def convert_hint(unit: str | None) -> str:
    """What turns times in a unit into ms."""
    return TIME_UNITS[unit].hint if unit in TIME_UNITS else "correct them"


def check_times(source: str, times: np.ndarray, frames: int) -> np.ndarray:
    """Times int64 [N] in ms, rounded to whole ones.

    Times by which frames cannot be found, such as equal ones, are accepted; see :func:`check_order`.

    Args:
        source: subject of the error's sentence.
        times: one number per frame.
        frames: how many frames there are.

    Raises:
        UserError: not one finite number for each frame, times that cannot be ms or run backwards, or a clock that was
            set by years meanwhile.
    """
    if times.shape != (frames,) or times.dtype.kind not in "iuf":
        refuse_times(source, times.shape, times.dtype, frames)
    if not np.isfinite(times).all():
        raise UserError(f"{source} has 'timestamps' that are not finite, expected milliseconds; write them again.")
    if (np.abs(times.astype(np.float64)) > _MAX_TIME).any():
        raise UserError(f"{source} has 'timestamps' above 2**62, expected milliseconds; write them again.")
    if times.dtype.kind == "f" and times.dtype.itemsize < 8 and len(times) > 1:
        step = float(np.spacing(np.abs(times).max()))
        if not step < np.median(interval_lengths(times)):
            raise UserError(
                f"{source} has 'timestamps' of type {times.dtype}, which tells such times apart only by {step:g}, "
                "expected the time of each frame; write them again as float64 or int64."
            )
    whole = np.round(times).astype(np.int64) if times.dtype.kind == "f" else times.astype(np.int64)
    unit = time_unit(times)
    if unit != "milliseconds" and count_frames(times):
        raise UserError(
            f"{source} has 'timestamps' {times[0]:g}, {times[1]:g} to {times[-1]:g} that count the frames, or are "
            "whole seconds, expected milliseconds; write the time of each frame."
        )
    if unit != "milliseconds":
        steps = interval_lengths(times)
        raise UserError(
            f"{source} has 'timestamps' that {f'look like {unit}' if unit else 'fit no unit'}: as milliseconds, they "
            f"give {1000 / np.median(steps[steps > 0]):.4g} frames per second, expected {FPS_RANGE[0]:g} to "
            f"{FPS_RANGE[1]:g}; {convert_hint(unit)}."
        )
    _check_clock(source, whole)
    return whole


def _check_clock(source: str, times: np.ndarray) -> None:
    """Raise UserError where times run backwards or jump by years."""
    back = int((np.diff(times) < 0).sum())
    if back * 2 > len(times):
        raise UserError(
            f"{source} has 'timestamps' that run backwards, from {times[0]} to {times[-1]}, expected times that never "
            "decrease; reverse the frames or correct the times."
        )
    jumps = np.flatnonzero(interval_lengths(times) > _YEAR_MS)
    if len(jumps):
        before, after = times[jumps[0]], times[jumps[0] + 1]
        raise UserError(
            f"{source} has 'timestamps' that jump by {abs(float(after) - float(before)) / _YEAR_MS:.3g} years at frame "
            f"{jumps[0] + 1}, from {before} to {after}, as of a clock that was set while recording (until then it "
            "counts from 1970), expected one clock for all frames; correct the times or remove these frames."
        )


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
        UserError: ``wanted`` are in another unit.
    """
    tolerance = min(tolerance_ms, 1000 / frames_per_second(times, FPS_RANGE[0]))
    numbers = np.unique(wanted)
    if (
        len(numbers) > 1
        and 0 <= numbers[0]
        and numbers[-1] < len(times)
        and max(_frames_met(times, numbers * unit.milliseconds) for unit in TIME_UNITS.values()) < len(numbers)
    ):
        raise UserError(
            f"{source} {wanted[0]} and {len(wanted) - 1} more that look like numbers of its {len(times)} frames, "
            f"expected milliseconds as the 'timestamps' {times[0]} to {times[-1]} of the recording; write the times of "
            "these frames."
        )
    unit = time_unit(wanted, times)
    if unit not in ("milliseconds", None):
        raise UserError(
            f"{source} {wanted[0]} and {len(wanted) - 1} more that look like {unit}, expected milliseconds as the "
            f"'timestamps' {times[0]} to {times[-1]} of the recording; {convert_hint(unit)}."
        )
    nearest = _nearest(times, wanted)
    near = np.abs(times[nearest] - wanted) <= tolerance
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


def wrong_frames(times: np.ndarray, frames: np.ndarray, stated: np.ndarray) -> np.ndarray:
    """Which annotated frames are not the ones at their stated times: bool [K].

    Args:
        times: int64 [N] in ms.
        frames: int64 [K], frame numbers.
        stated: int64 [K], their times in ms; negative where none is stated. Frame numbers instead of times (as in image
            ids that count frames) are no times.
    """
    known = (stated >= 0) & (stated != frames)
    ordered = np.sort(times)
    nearest = np.abs(ordered[_nearest(ordered, stated)] - stated)
    distance = np.abs(times[frames] - stated)
    return known & ((distance > nearest + 1) | (distance > TOLERANCE_MS))
