"""Units of temperatures, and the check that frames are temperatures in the stated unit.

Every reader of frames calls :func:`check_temperatures`. It names the unit that the values look like and the option
that says so; only what the user states is converted.
"""

from __future__ import annotations

import numpy as np

from ..errors import UserError

# Unit -> factor and offset: stored value * factor + offset = °C.
UNITS = {
    "celsius": (1.0, 0.0),
    "kelvin": (1.0, -273.15),
    "decikelvin": (0.1, -273.15),
    "centikelvin": (0.01, -273.15),
    "decicelsius": (0.1, 0.0),
}
# Named in messages only; no option reads them.
_OTHER_UNITS = {
    "degrees Fahrenheit": (5 / 9, -160 / 9),
    "hundredths of a degree Celsius": (0.01, 0.0),
    "quarters of a degree Celsius": (0.25, 0.0),
}
# Medians in °C of scenes with people in them.
ROOM_RANGE = (-20.0, 60.0)
# Widest range in °C of scenes whose range nobody stated: kelvin and raw counts of a room are outside.
PLAUSIBLE_RANGE = (-100.0, 120.0)
# °C at and below which there is no temperature: what receivers write where nothing arrived.
_NOTHING = -273.0
# °C that a unit must give to be named as the likely one, and the most likely temperature.
_LIKELY_RANGE = (0.0, 50.0)
_ROOM = 22.0
# Values that are looked at, from frames spread over the recording.
_SAMPLE_FRAMES = 512
_SAMPLE_VALUES = 2_000_000
_MOST_VALUES = 20 * _SAMPLE_VALUES
_GRAY_SPAN = 128
# Values converted at once, which bounds the memory.
_BLOCK_VALUES = 1 << 22
# Distance of mean and standard deviation from 0 and 1 in standardized pictures.
_STANDARD = 0.01
# So many equal frames are no recording of a sensor, whose values always fluctuate.
_FROZEN_FRAMES = 10
# Share of pixels without a temperature that is worth a word.
_GAP_SHARE = 0.02


def to_celsius(values: np.ndarray, unit: str) -> np.ndarray:
    """Temperatures float32 in °C of values [N, ...]; those that are float32 °C already are returned as they are.

    Raises:
        UserError: an unknown unit.
    """
    factor, offset = _unit(unit)
    if unit == "celsius":
        return values.astype(np.float32, copy=False)
    result = np.empty(values.shape, dtype=np.float32)
    length = max(_BLOCK_VALUES // max(int(np.prod(values.shape[1:])), 1), 1)
    for start in range(0, len(values), length):
        part = slice(start, start + length)
        result[part] = values[part].astype(np.float64) * factor + offset
    return result


def check_temperatures(
    source: str,
    values: np.ndarray,
    low: float = PLAUSIBLE_RANGE[0],
    high: float = PLAUSIBLE_RANGE[1],
    *,
    unit: str | None = None,
    range_option: str = "the temperature range",
    unit_option: str = "alphaction build-dataset --unit",
) -> None:
    """Check that frames are pictures of temperatures, most of which lie between ``low`` and ``high``.

    Args:
        source: subject of the error's sentence.
        values: [N, ...] as stored, N >= 1; some frames spread over a long recording are looked at.
        low: °C.
        high: °C.
        unit: key of UNITS; None where nothing states it, which makes floating-point values °C.
        range_option: what the user changes for a scene outside ``low``..``high``.
        unit_option: option that states the unit.

    Raises:
        UserError: 8-bit gray levels, integers without a unit, no temperature at all, the same temperature at all
            pixels of each frame, or most pixels outside the range; names the likely unit.
    """
    if values.dtype.kind not in "iuf":
        raise UserError(f"{source} has values of type {values.dtype}, expected temperatures; write numbers there.")
    sample = _sample(values)
    _refuse_gray(source, sample, unit)
    celsius = to_celsius(sample, unit or "celsius").astype(np.float64, copy=False)
    with np.errstate(invalid="ignore"):
        measured = np.isfinite(celsius) & (celsius > _NOTHING)
    if not measured.any():
        raise UserError(
            f"{source} holds no valid temperature in any frame"
            f"{f' when read as {unit}' if unit else ''}, expected degrees Celsius; record it again or state its unit."
        )
    if sample.dtype.kind in "iu" and unit is None:
        raise UserError(
            f"{source} has integers of type {sample.dtype} without a unit, expected degrees Celsius as floating-point "
            f"numbers or a stated unit; {_likely(sample[measured], unit_option)}."
        )
    _refuse_constant(source, celsius, measured)
    found = celsius[measured]
    outside = float(np.mean((found < low) | (found > high)))
    if outside > 0.5:
        middle = float(np.median(found))
        # A room may be colder than the range; then it is the range that has to change.
        advice = (
            "" if ROOM_RANGE[0] <= middle <= ROOM_RANGE[1] else f"{_likely(sample[measured], unit_option, unit)}, or "
        )
        raise UserError(
            f"{source} has a median of {middle:.1f} °C{f' when read as {unit}' if unit else ''} and {outside:.0%} of "
            f"its pixels outside {low:g}..{high:g} °C, expected most temperatures in that range; {advice}change "
            f"{range_option} for a scene that hot or cold."
        )


def describe_gaps(celsius: np.ndarray, low: float = ROOM_RANGE[0], high: float = ROOM_RANGE[1]) -> str:
    """What frames [N, ...] in °C lack, for a warning; "" where most of every frame are temperatures in the range.

    Of a large recording, some frames spread over it are looked at.
    """
    # Copies of a large recording would not fit in memory.
    pixels = celsius.reshape(len(celsius), -1) if celsius.size <= _MOST_VALUES else _sample(celsius)
    with np.errstate(invalid="ignore"):
        measured = np.isfinite(pixels) & (pixels > _NOTHING)
        outside = measured & ((pixels < low) | (pixels > high))
    counts = measured.sum(axis=1)
    least = np.where(measured, pixels, np.inf).min(axis=1)
    most = np.where(measured, pixels, -np.inf).max(axis=1)
    found = [
        (int((counts == 0).sum()), "without any temperature"),
        (int(((counts > 0) & (least == most)).sum()), "with the same temperature at every pixel"),
        (int((2 * outside.sum(axis=1) > pixels.shape[1]).sum()), f"mostly outside {low:g}..{high:g} °C"),
        (
            int(((counts > 0) & (2 * counts < pixels.shape[1])).sum()),
            "with temperatures at less than half of the pixels",
        ),
    ]
    parts = [f"{number} of {len(pixels)} frames {what}" for number, what in found if number]
    if len(pixels) >= _FROZEN_FRAMES and np.array_equal(pixels, np.broadcast_to(pixels[:1], pixels.shape)):
        parts.append("the same picture in each frame, as of a sensor that hangs")
    share = 1 - float(measured.mean())
    if not parts and share > _GAP_SHARE:
        parts = [f"{share:.0%} of the pixels without a temperature"]
    return ", ".join(parts)


def _unit(name: str) -> tuple[float, float]:
    if name not in UNITS:
        raise UserError(f"The unit is {name[:50]!r}, expected one of {', '.join(UNITS)}; state one of them.")
    return UNITS[name]


def _sample(values: np.ndarray) -> np.ndarray:
    """Some frames [n, pixels], spread evenly over the recording."""
    pixels = max(int(np.prod(values.shape[1:])), 1)
    count = min(len(values), _SAMPLE_FRAMES, max(_SAMPLE_VALUES // pixels, 16))
    picked = values if count == len(values) else values[np.linspace(0, len(values) - 1, count).astype(int)]
    return np.asarray(picked).reshape(count, -1)


def _refuse_gray(source: str, sample: np.ndarray, unit: str | None) -> None:
    what = ""
    if sample.dtype.itemsize == 1:
        what = f"8-bit gray levels (type {sample.dtype}),"
    elif sample.dtype.kind == "f" and unit is None:
        finite = sample[np.isfinite(sample)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        if low >= 0 and high <= 1 and low < high:
            what = "values between 0 and 1, as normalized pictures have,"
        elif low >= -1 and high <= 1 and low < high:
            what = "values between -1 and 1, as normalized pictures have,"
        elif low < high and abs(finite.mean(dtype=np.float64)) < _STANDARD > abs(finite.std(dtype=np.float64) - 1):
            what = "values of mean 0 and standard deviation 1, as standardized pictures have,"
        elif low >= 0 and high <= 255 and high - low >= _GRAY_SPAN and (finite == np.round(finite)).all():
            what = "whole numbers between 0 and 255, as 8-bit gray levels are,"
    if what:
        raise UserError(
            f"{source} has {what} expected temperatures; export radiometric values (16 bit or floating point)."
        )


def _refuse_constant(source: str, celsius: np.ndarray, measured: np.ndarray) -> None:
    least = np.where(measured, celsius, np.inf).min(axis=1)
    most = np.where(measured, celsius, -np.inf).max(axis=1)
    if (most <= least).all():
        value = float(np.median(celsius[measured]))
        raise UserError(
            f"{source} has the temperature {value:.1f} at every pixel of each frame, expected pictures; record it "
            "again."
        )


def _likely(stored: np.ndarray, unit_option: str, unit: str | None = None) -> str:
    """What the values look like and what to do, at most two guesses, the one nearest to room temperature first."""
    middle = float(np.median(stored))
    guesses = sorted(
        (abs(celsius - _ROOM), name, celsius)
        for name, (factor, offset) in {**UNITS, **_OTHER_UNITS}.items()
        if name != (unit or "") and _LIKELY_RANGE[0] < (celsius := middle * factor + offset) < _LIKELY_RANGE[1]
    )[:2]
    if not guesses:
        return f"the stored median {middle:.6g} fits no known unit, as raw counts do: export temperatures"
    names = " or ".join(f"{name} ({celsius:.1f} °C)" for _, name, celsius in guesses)
    options = " or ".join(name for _, name, _ in guesses if name in UNITS)
    # An option that gives the less likely temperature is no remedy.
    remedy = f"pass {unit_option} {options}" if guesses[0][1] in UNITS else "convert them to degrees Celsius"
    return f"the values look like {names}: {remedy}"
