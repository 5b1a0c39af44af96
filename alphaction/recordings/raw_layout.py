"""Raw recordings: frames as stored, the options for what files do not state, and the shape of a frame.

A file may hold a frame as a row of pixels. Its rows and columns are those of the stated shape, else 40x60; nothing is
guessed from the number of pixels, since 768 are 24x32 as well as 32x24.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from .sensor import SENSORS, Sensor
from .units import ROOM_RANGE

_MAX_SIDE = 10_000
# Shape of a frame that is stored as a row of numbers without a stated one.
_DEFAULT_SHAPE = SENSORS["htpa60x40"].shape
# Named where frames have another number of pixels, or another order of the axes, than expected.
_SENSOR_SHAPES = {name: sensor.shape for name, sensor in SENSORS.items() if sensor.pixels}


@dataclass(frozen=True)
class RawOptions:
    """What raw files do not say themselves.

    Attributes:
        unit: unit of the values, a key of UNITS; None: °C, or what the file states.
        shape: rows and columns of a frame that is stored as a row of pixels; None: those of ``sensor``, else 40x60.
        rate: frames per second of recordings without times.
        time_unit: unit of times that are numbers, a key of :data:`~alphaction.recordings.raw_times.UNIT_OPTIONS`; None:
            ms, unless the numbers count the frames.
        mirror: exchange left and right.
        temperature_range: °C between which most pixels must be.
        sensor: the sensor that sent the frames; its unit is that of integers for which no other is stated.

    Raises:
        UserError: a shape that is not the sensor's, or a shape, rate or range that is impossible.
    """

    unit: str | None = None
    shape: tuple[int, int] | None = None
    rate: float | None = None
    time_unit: str | None = None
    mirror: bool = False
    temperature_range: tuple[float, float] = ROOM_RANGE
    sensor: Sensor | None = None

    def __post_init__(self) -> None:
        shape = self.sensor.shape if self.sensor and self.sensor.pixels else None
        if shape and self.shape not in (None, shape):
            raise UserError(
                f"--shape is {self.shape[0]} {self.shape[1]} but --sensor has {shape[0]}x{shape[1]} pixels, expected "
                "the same: leave one of them out."
            )
        object.__setattr__(self, "shape", shape or self.shape)
        if self.shape is not None and not all(1 <= side <= _MAX_SIDE for side in self.shape):
            raise UserError(f"--shape is {self.shape}, expected rows and columns from 1 to {_MAX_SIDE}: correct it.")
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise UserError(f"--rate is {self.rate}, expected frames per second above 0: correct it.")
        low, high = self.temperature_range
        if not low < high:
            raise UserError(f"--temperature-range is {low:g} {high:g}, expected a lower and a higher °C: correct it.")


@dataclass
class RawFrames:
    """A recording as stored.

    Attributes:
        frames: [N, rows, columns] of any type and unit.
        times: [N] ms, None where the file has none.
        unit: unit that the file states.
        mac_address: address of the sensor that the file states.
        sensor: the sensor, if the file states it.
        counted: whether ``times`` are numbers that count the frames.
    """

    frames: np.ndarray
    times: np.ndarray | None = None
    unit: str | None = None
    mac_address: str | None = None
    sensor: Sensor | None = None
    counted: bool = False


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
        if len(orders) == 1 and (rest is None or array.shape[1:] == rest):
            raise UserError(
                f"{path} has {len(array)} frames of shape {list(array.shape[1:])} and {count} times, expected one time "
                "per frame: write both again."
            )
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
