"""Fills pixels without a temperature: over time within a recording, and in the scene's median picture."""

from __future__ import annotations

import numpy as np

from ..errors import UserError
from .packets import FRAME_SHAPE, PIXELS, lost_pixels, nearest_valid, valid_pixels

# Frames that the median picture is computed from, spread evenly over a long recording.
MEDIAN_FRAMES = 512
# Pixels filled at once, which bounds the memory for a long recording.
_FILL_ELEMENTS = 4_000_000


def scene_median(frames: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Per-pixel median float32 [2400] over (at most 512 of) the undamaged frames.

    A pixel that is never valid takes the median of its nearest valid neighbors in the picture. Without any undamaged
    frame, the damaged ones are used.

    Args:
        frames: [N, 40, 60] °C as received.
        valid: bool [N, 2400].

    Raises:
        UserError: no valid pixel at all.
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
    return _fill_picture(scene.reshape(FRAME_SHAPE)).reshape(PIXELS)


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
