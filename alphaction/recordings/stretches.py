"""Stretches of a recording without pauses, and their rates.

Frames arrive in bursts, and the network holds them up for seconds, although the sensor samples at a steady rate. Within
a stretch without pauses, the time of a frame is therefore its number over the mean rate. The median interval is no
measure of that rate: on twelve recordings of a 6 Hz sensor it gives 6 to 26 frames per second, the mean 5.7 to 6.1.
"""

from __future__ import annotations

import numpy as np

# Arrival times this far apart are a pause, whatever the rate: the network holds frames up for less than 5 s.
PAUSE_MS = 10_000
# Where frames arrive steadily, so many intervals are a pause, and at least so many ms.
_PAUSE_INTERVALS, _SHORT_PAUSE_MS = 10, 1_000
# Frames arrive steadily if this share of the intervals is a third to three times the median; it is 0.57 to 0.85 on
# twelve recordings of a sensor that sends bursts.
_STEADY_SHARE = 0.97
# Frames on either side of a change of the rate, as many as a window has, and the least factor by which it changes. It
# stays below 1.8 where the network holds frames up.
_RATE_FRAMES, _RATE_FACTOR = 64, 2.0


def interval_lengths(times: np.ndarray) -> np.ndarray:
    """float64 [N - 1], distances of consecutive times."""
    exact = times if times.dtype.kind == "f" else times.astype(np.int64)
    return np.abs(np.diff(exact).astype(np.float64))


def pause_length(times: np.ndarray) -> float:
    """Shortest pause of a recording in ms: 10 s, or less where its frames arrive steadily.

    Args:
        times: int64 [N] in ms, N >= 1.
    """
    steps = interval_lengths(times)
    typical = float(np.median(steps)) if len(steps) else 0.0
    if typical and ((3 * steps >= typical) & (steps <= 3 * typical)).mean() >= _STEADY_SHARE:
        return min(max(_PAUSE_INTERVALS * typical, _SHORT_PAUSE_MS), PAUSE_MS)
    return PAUSE_MS


def segments(times: np.ndarray, pause_ms: float | None = None) -> np.ndarray:
    """First frame of each stretch without a pause, and the number of frames: int64 [S + 1].

    A clock that goes back by as much as a pause ends a stretch too.

    Args:
        times: int64 [N] in ms, N >= 1.
        pause_ms: shortest pause, by default :func:`pause_length`.
    """
    pauses = np.flatnonzero(interval_lengths(times) >= (pause_length(times) if pause_ms is None else pause_ms)) + 1
    return np.concatenate([[0], pauses, [len(times)]]).astype(np.int64)


def rate_changes(times: np.ndarray) -> np.ndarray:
    """Frames from which a stretch goes on at another rate: int64 [n].

    Args:
        times: int64 [N] in ms of one stretch, N >= 1.
    """
    if len(times) <= 2 * _RATE_FRAMES:
        return np.zeros(0, dtype=np.int64)
    spans = np.maximum(times[_RATE_FRAMES:] - times[:-_RATE_FRAMES], 1).astype(np.float64)
    factor = np.abs(np.log(spans[_RATE_FRAMES:] / spans[:-_RATE_FRAMES]))
    far = np.flatnonzero(factor >= np.log(_RATE_FACTOR))
    # Around a change, many frames have different rates on both sides; at the change, they differ most.
    near = np.split(far, np.flatnonzero(np.diff(far) > 1) + 1) if len(far) else []
    return np.array([run[np.argmax(factor[run])] + _RATE_FRAMES for run in near], dtype=np.int64)


def frames_per_second(times: np.ndarray, nominal: float, pause_ms: float | None = None) -> float:
    """Mean rate within the stretches without pauses.

    Args:
        times: int64 [N] in ms, N >= 1.
        nominal: the rate where times do not tell: they are equal or run backwards, or each frame is a stretch.
        pause_ms: see :func:`segments`.
    """
    starts = segments(times, pause_ms)
    milliseconds = float((times[starts[1:] - 1] - times[starts[:-1]]).sum())
    steps = len(times) - (len(starts) - 1)
    return steps / (milliseconds / 1000.0) if milliseconds > 0 else nominal
