"""What a raw recording is before it is a Recording: frames as stored, with the options that say what files do not.

A file may hold a frame as a row of pixels. Its rows and columns are those of the stated shape, else 40x60; nothing is
guessed from the number of pixels, since 768 are 24x32 as well as 32x24.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from ..errors import UserError, file_problem
from .sensor import SENSORS, Sensor
from .units import ROOM_RANGE

# Unit of times -> ms.
TIME_UNITS = {"ms": 1.0, "s": 1e3, "us": 1e-3}
# Numbers of frames are below; times in ms since 1970 are above.
_LARGEST_COUNT = 1e9
# Shape of a frame that is stored as a row of numbers without a stated one.
_DEFAULT_SHAPE = SENSORS["htpa60x40"].shape
# Named where frames have another number of pixels, or another order of the axes, than expected.
_SENSOR_SHAPES = {name: sensor.shape for name, sensor in SENSORS.items() if sensor.pixels}
_ISO_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?\Z")


@dataclass(frozen=True)
class RawOptions:
    """What raw files do not say themselves.

    Attributes:
        unit: unit of the values, a key of UNITS; None: °C, or what the file states.
        shape: rows and columns of a frame that is stored as a row of pixels; None: 40x60.
        rate: frames per second of recordings without times.
        time_unit: unit of times that are numbers, a key of TIME_UNITS; None: ms, unless the numbers count the frames.
        mirror: exchange left and right.
        temperature_range: °C between which most pixels must be.
        sensor: what sent the frames; its unit is that of integers without another one.
    """

    unit: str | None = None
    shape: tuple[int, int] | None = None
    rate: float | None = None
    time_unit: str | None = None
    mirror: bool = False
    temperature_range: tuple[float, float] = ROOM_RANGE
    sensor: Sensor | None = None


@dataclass
class RawFrames:
    """A recording as stored.

    Attributes:
        frames: [N, rows, columns] of any type and unit.
        times: [N] ms, None where the file has none.
        unit: unit that the file states.
        mac_address: address of the sensor that the file states.
        sensor: what sent the frames, as the file states.
        counted: the first numbers beside the frames where these count them, for messages.
    """

    frames: np.ndarray
    times: np.ndarray | None = None
    unit: str | None = None
    mac_address: str | None = None
    sensor: Sensor | None = None
    counted: str = ""


def with_sensor_shape(options: RawOptions) -> RawOptions:
    """Options whose shape is that of the sensor.

    Raises:
        UserError: another one is stated.
    """
    shape = options.sensor.shape if options.sensor and options.sensor.pixels else None
    if shape and options.shape not in (None, shape):
        raise UserError(
            f"--shape is {options.shape[0]} {options.shape[1]} but --sensor has {shape[0]}x{shape[1]} pixels, expected "
            "the same: leave one of them out."
        )
    return replace(options, shape=shape or options.shape)


def check_regular(path: Path) -> None:
    """Raise UserError unless ``path`` is a file that can be opened without waiting: no folder, FIFO or device."""
    problem = file_problem(path)
    if problem is not None:
        raise UserError(f"{path} {problem}, expected a file: put it there, or move this one away.")


def row_layout(path: Path, count: int, options: RawOptions) -> tuple[bool, tuple[int, int]]:
    """Whether a row of ``count`` numbers begins with a time, and the shape of its frame.

    Raises:
        UserError: another number of pixels than expected; names the sensors that have so many.
    """
    shape = options.shape or _DEFAULT_SHAPE
    pixels = shape[0] * shape[1]
    if count in (pixels, pixels + 1):
        return count > pixels, shape
    hints = [
        f"--sensor {name} has {rows * columns} pixels"
        for name, (rows, columns) in _SENSOR_SHAPES.items()
        if rows * columns in (count, count - 1) and options.shape is None
    ]
    raise UserError(
        f"{path} has {count} numbers per line, expected a time and {pixels} temperatures ({shape[0]}x{shape[1]}), or "
        f"the temperatures alone; {'; '.join(hints) or 'write one frame per line'}: pass --sensor NAME or --shape ROWS "
        "COLUMNS."
    )


def arrange(path: Path, array: np.ndarray, count: int | None, options: RawOptions, any_order: bool) -> np.ndarray:
    """An array of frames as [N, rows, columns].

    Args:
        path: named in errors.
        array: [N, rows, columns] or [N, pixels]; with ``any_order`` also [rows, columns, N] or [pixels, N].
        count: number of times, if known.
        options: the shape.
        any_order: the frames may be the last axis, as in MATLAB.

    Raises:
        UserError: another shape, or two possible orders.
    """
    shape = options.shape or (_DEFAULT_SHAPE if array.ndim == 2 else None)
    rest = None if shape is None else (shape if array.ndim == 3 else (shape[0] * shape[1],))
    if array.ndim in (2, 3):
        orders = [array, np.moveaxis(array, -1, 0)] if any_order else [array]
        fitting = [a for a in orders if (rest is None or a.shape[1:] == rest) and count in (None, len(a))]
        if len(fitting) > 1:
            fitting = [a for a in fitting if a.shape[1:] in _SENSOR_SHAPES.values()] or fitting
        if len(fitting) == 1:
            frames = fitting[0]
            return frames if frames.ndim == 3 else frames.reshape(-1, *(shape or _DEFAULT_SHAPE))
    order = "[N, rows, columns]" + (" or [rows, columns, N]" if any_order else "")
    pixels = f"{rest[0]}" if rest is not None and len(rest) == 1 else "pixels"
    raise UserError(
        f"{path} has frames of shape {list(array.shape)}{f' and {count} times' if count is not None else ''}, expected "
        f"{order} or [N, {pixels}]{f' of {shape[0]}x{shape[1]} pixels' if shape else ''}: pass --sensor NAME or "
        "--shape ROWS COLUMNS, or write the array in that order."
    )


def check_orientation(path: Path, shape: tuple[int, ...], options: RawOptions) -> None:
    """Raise UserError where frames [N, rows, columns] have another shape than stated, or look turned without one.

    Args:
        path: named in the error.
        shape: of the frames.
        options: ``shape`` confirms rows and columns.
    """
    known = {value: name for name, value in _SENSOR_SHAPES.items()}
    rows, columns = shape[1:]
    if options.shape not in (None, (rows, columns)):
        raise UserError(
            f"{path} has frames of {rows}x{columns} pixels, expected {options.shape[0]}x{options.shape[1]} as stated: "
            "correct --shape or --sensor."
        )
    if options.shape is not None or (rows, columns) in known:
        return
    for other, what in (((columns, rows), "turned"), (shape[:2], "as [rows, columns, N]")):
        if other in known:
            raise UserError(
                f"{path} has frames of shape {list(shape)}, which look like those of {known[other]} {what}, expected "
                f"[N, {other[0]}, {other[1]}]: write them so, or pass --shape {rows} {columns} if they are right."
            )


def to_milliseconds(path: Path, texts: Sequence[str], options: RawOptions) -> np.ndarray:
    """Times float64 [N] in ms of numbers or ISO 8601 times (UTC where they name no zone).

    Raises:
        UserError: text that is neither.
    """
    return np.array([_to_millisecond(path, text, options.time_unit or "ms") for text in texts], dtype=np.float64)


def counted_frames(texts: Sequence[str], options: RawOptions) -> str:
    """The first of some numbers in the order of the frames where they count the frames, else empty.

    Whole numbers below 1e9 with a common step are such, a few left out or not, unless the unit of times is stated: what
    looks like frame 0, 10, 20 is no frame each 10 ms.
    """
    if options.time_unit is not None or len(texts) < 2 or not all(map(is_number, texts)):
        return ""
    numbers = np.array([float(text.replace(",", ".")) for text in texts])
    if not (np.abs(numbers) < _LARGEST_COUNT).all() or (numbers != np.round(numbers)).any():
        return ""
    steps = np.diff(numbers).astype(np.int64)
    step = int(np.gcd.reduce(steps))
    if (steps <= 0).any() or 2 * int((steps == step).sum()) <= len(steps) or (len(steps) == 1 and step > 1):
        return ""
    return ", ".join(f"{number:g}" for number in numbers[:3])


def is_time(text: str) -> bool:
    """Whether text is a number or an ISO 8601 time."""
    return is_number(text) or _ISO_TIME.match(text.strip()) is not None


def is_number(text: str) -> bool:
    """Whether text is a number, with a decimal point or comma."""
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


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
            return float(text.replace(",", ".")) * TIME_UNITS[unit]
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
