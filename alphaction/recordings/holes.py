"""Fills pixels without a temperature: over time within a recording, and in the scene's median picture."""

from __future__ import annotations

import numpy as np

from ..errors import UserError
from .packets import FRAME_SHAPE, PIXELS, lost_pixels, nearest_valid, valid_pixels

# Frames that the median picture is computed from, spread evenly over a long recording.
MEDIAN_FRAMES = 512
# Pixels filled at once, which bounds the memory for a long recording.
_FILL_ELEMENTS = 4_000_000
# Median temperatures in °C that a room can have; kelvin, tenths and hundredths of a degree are outside.
_SCENE_RANGE = (-60.0, 100.0)


def scene_median(frames: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Per-pixel median float32 [2400] over (at most 512 of) the undamaged frames.

    A pixel that is never valid takes the median of its nearest valid neighbors in the picture. Without any undamaged
    frame, the damaged ones are used.

    Raises:
        UserError: no valid pixel at all, or a scene that cannot be degrees Celsius: far too hot or too cold, or the
            same everywhere.
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
        raise UserError("No frame holds a single valid temperature, expected degrees Celsius; record it again.")
    _check_plausible(scene)
    return _fill_picture(scene.reshape(FRAME_SHAPE)).reshape(PIXELS)


def _check_plausible(scene: np.ndarray) -> None:
    known = scene[~np.isnan(scene)]
    middle = float(np.median(known))
    if not _SCENE_RANGE[0] <= middle <= _SCENE_RANGE[1]:
        raise UserError(
            f"The scene's median temperature is {middle:.1f}, expected {_SCENE_RANGE[0]:g} to {_SCENE_RANGE[1]:g} "
            "degrees Celsius; convert the frames first (kelvin minus 273.15, raw counts by the sensor's formula)."
        )
    if known.min() == known.max():
        raise UserError(
            f"The scene has the temperature {middle:.1f} at every pixel, expected a picture; record it again."
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
    pixels, first, last = columns[places], before[rows, places], after[rows, places]
    share = (rows - first) / np.maximum(last - first, 1)
    share = np.where(first < 0, 1.0, np.where(last < 0, 0.0, share)).astype(np.float32)
    # Index -1 means no such frame; its weight is 0.
    filled = flat[first, pixels] * (1 - share) + flat[last, pixels] * share
    flat[rows, pixels] = np.where((first < 0) & (last < 0), scene[pixels], filled)


def _fill_picture(picture: np.ndarray) -> np.ndarray:
    """Fill NaN pixels with the median of their valid neighbors, from the edge of a hole inwards."""
    while np.isnan(picture).any():
        padded = np.pad(picture, 1, constant_values=np.nan)
        for row, column in np.argwhere(np.isnan(picture)):
            around = padded[row : row + 3, column : column + 3]
            if not np.isnan(around).all():
                picture[row, column] = np.nanmedian(around)
    return picture
