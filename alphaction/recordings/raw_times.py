"""Times of raw recordings: numbers in any unit, ISO 8601 times, or a steady rate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from ..annotations.text import is_number
from ..errors import UserError
from .times import TIME_UNITS

# --time-unit -> its length in ms.
UNIT_OPTIONS = {unit.option: unit.milliseconds for unit in TIME_UNITS.values() if unit.option}
# Numbers of frames are below, times in ms since 1970 above.
_LARGEST_COUNT = 1e9
# Milliseconds between frames of the fastest thermal arrays, 64 per second; counts have smaller steps.
_SHORTEST_INTERVAL = 1000 / 64
_ISO_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?\Z")


def to_milliseconds(path: Path, texts: Sequence[str], unit: str) -> np.ndarray:
    """Times float64 [N] in ms of numbers in a unit of UNIT_OPTIONS, or of ISO 8601 times (UTC where they name no
    zone).

    Raises:
        UserError: text that is neither.
    """
    return np.array([_to_millisecond(path, text, unit) for text in texts], dtype=np.float64)


def counts_frames(numbers: np.ndarray, unit: str | None, largest_step: float = _SHORTEST_INTERVAL) -> bool:
    """Whether numbers [N] without a stated unit, in the order of the frames, count these.

    Whole numbers below 1e9 with a common step do, a few left out or not: 0, 10, 20 are no frame each 10 ms. Steps above
    ``largest_step`` are milliseconds: 0, 125, 250.
    """
    if unit is not None or len(numbers) < 2 or not (np.abs(numbers) < _LARGEST_COUNT).all():
        return False
    steps = np.diff(numbers).astype(np.int64)
    if (numbers != np.round(numbers)).any() or (steps <= 0).any():
        return False
    step = np.gcd.reduce(steps)
    return bool(step <= largest_step and 2 * (steps == step).sum() > len(steps) and (len(steps) > 1 or step == 1))


def is_time(text: str) -> bool:
    """Whether text is a number or an ISO 8601 time."""
    return is_number(text) or _ISO_TIME.match(text.strip()) is not None


def regular_times(count: int, rate: float | None, path: Path, places: str) -> np.ndarray:
    """Times int64 [N] in ms from 0 at a steady rate.

    Raises:
        UserError: no rate; ``places`` tells where times could be.
    """
    if rate is None:
        raise UserError(
            f"{path} has no times, expected {places}: write them, or pass --rate FRAMES_PER_SECOND if the sensor is "
            "steady."
        )
    return np.round(np.arange(count) * 1000.0 / rate).astype(np.int64)


def _to_millisecond(path: Path, text: str, unit: str) -> float:
    match = _ISO_TIME.match(text.strip())
    try:
        if match is None:
            return float(text.replace(",", ".")) * UNIT_OPTIONS[unit]
        date, clock, fraction, zone = match.groups()
        zone = {None: "+0000", "Z": "+0000"}.get(zone, (zone or "").replace(":", ""))
        whole = datetime.strptime(f"{date} {clock} {zone}", "%Y-%m-%d %H:%M:%S %z")
        seconds = (whole - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds()
        return seconds * 1000.0 + float(f"0.{fraction or 0}") * 1000.0
    except ValueError:
        raise UserError(
            f"{path} has the time {text[:50]!r}, expected a number or a time such as 2026-01-31T12:00:00.250: correct "
            "it."
        ) from None
