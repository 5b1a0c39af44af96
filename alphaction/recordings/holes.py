"""Fills pixels without a temperature: over time within a recording, and in the scene's median picture."""

from __future__ import annotations

import logging

import numpy as np

from ..errors import UserError
from .packets import FRAME_SHAPE, PIXELS, VALID_RANGE, lost_pixels, nearest_valid, valid_pixels

# Frames that the median picture is computed from, spread evenly over a long recording.
MEDIAN_FRAMES = 512
# Pixels filled at once, which bounds the memory for a long recording.
_FILL_ELEMENTS = 4_000_000
# Median temperatures that rooms have in kelvin; raw counts and hundredths of a degree are above VALID_RANGE.
_KELVIN_RANGE = (230.0, 400.0)
# Median temperature in °C above which the frames may be tenths of a degree; a furnace is that hot.
_HOT = 120.0

_logger = logging.getLogger(__name__)


def scene_median(frames: np.ndarray, valid: np.ndarray | None = None, source: str = "The scene") -> np.ndarray:
    """Per-pixel median float32 [2400] over (at most 512 of) the undamaged frames.

    A pixel that is never valid takes the median of its nearest valid neighbors in the picture. Without any undamaged
    frame, the damaged ones are used. A scene so hot that tenths of a degree are likely is logged.

    Args:
        frames: [N, 40, 60] °C as received.
        valid: bool [N, 2400].
        source: what a warning calls the frames.

    Raises:
        UserError: no valid pixel at all, temperatures in kelvin or raw counts, or one temperature at every pixel of
            all frames.
    """
    flat = frames.reshape(-1, PIXELS)
    valid = valid_pixels(flat) if valid is None else valid
    whole = np.flatnonzero(lost_pixels(valid) == 0)
    picked = whole if len(whole) else np.arange(len(flat))
    if len(picked) > MEDIAN_FRAMES:
        picked = picked[np.linspace(0, len(picked) - 1, MEDIAN_FRAMES).astype(int)]
    columns = np.ascontiguousarray(flat[picked].T)
    known = valid[picked].all(axis=0)
    scene = np.full(PIXELS, np.nan, dtype=np.float32)
    scene[known] = np.median(columns[known], axis=1)
    for pixel in np.flatnonzero(valid[picked].any(axis=0) & ~known):
        scene[pixel] = np.median(columns[pixel][valid[picked, pixel]])
    if np.isnan(scene).all():
        _refuse_invalid(flat[picked])
    _check_plausible(scene, flat[picked], valid[picked], source)
    return _fill_picture(scene.reshape(FRAME_SHAPE)).reshape(PIXELS)


def _refuse_invalid(flat: np.ndarray) -> None:
    finite = flat[np.isfinite(flat)]
    middle = float(np.median(finite)) if len(finite) else 0.0
    if middle >= VALID_RANGE[1]:
        raise UserError(
            f"The frames have a median value of {middle:.0f}, expected degrees Celsius below {VALID_RANGE[1]:g}; they "
            "are raw counts or hundredths of a degree: convert them first."
        )
    raise UserError("No frame holds a single valid temperature, expected degrees Celsius; record it again.")


def _check_plausible(scene: np.ndarray, flat: np.ndarray, valid: np.ndarray, source: str) -> None:
    middle = float(np.nanmedian(scene))
    if _KELVIN_RANGE[0] <= middle <= _KELVIN_RANGE[1]:
        raise UserError(
            f"The scene's median temperature is {middle:.1f}, which is kelvin, expected degrees Celsius; subtract "
            "273.15 first."
        )
    values = flat[valid]
    if values.min() == values.max():
        raise UserError(
            f"The frames have the temperature {middle:.1f} at every pixel, expected a picture; record it again."
        )
    if middle > _HOT:
        _logger.warning(
            "%s has a median temperature of %.1f °C; if these are tenths of a degree, divide them by 10", source, middle
        )


def fill_holes(flat: np.ndarray, valid: np.ndarray, scene: np.ndarray) -> None:
    """Fill invalid pixels from the nearest frames where the same pixel is valid, weighted by their distance in time."""
    columns = np.flatnonzero(~valid.all(axis=0))
    at_once = max(_FILL_ELEMENTS // len(flat), 1)
    for start in range(0, len(columns), at_once):
        _fill_columns(flat, valid, scene, columns[start : start + at_once])


def _fill_columns(flat: np.ndarray, valid: np.ndarray, scene: np.ndarray, columns: np.ndarray) -> None:
    known = valid[:, columns]
    before, after = nearest_valid(known)
    rows, places = np.nonzero(~known)
    pixels, previous_valid, next_valid = columns[places], before[rows, places], after[rows, places]
    share = (rows - previous_valid) / np.maximum(next_valid - previous_valid, 1)
    share = np.where(previous_valid < 0, 1.0, np.where(next_valid < 0, 0.0, share)).astype(np.float32)
    # Index -1 means no such frame; its weight is 0.
    filled = flat[previous_valid, pixels] * (1 - share) + flat[next_valid, pixels] * share
    flat[rows, pixels] = np.where((previous_valid < 0) & (next_valid < 0), scene[pixels], filled)


def _fill_picture(picture: np.ndarray) -> np.ndarray:
    """Fill NaN pixels with the median of their valid neighbors, from the edge of a hole inwards."""
    while np.isnan(picture).any():
        padded = np.pad(picture, 1, constant_values=np.nan)
        for row, column in np.argwhere(np.isnan(picture)):
            around = padded[row : row + 3, column : column + 3]
            if not np.isnan(around).all():
                picture[row, column] = np.nanmedian(around)
    return picture
