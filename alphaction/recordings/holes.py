"""Fills pixels without a temperature: over time within a recording, or from the neighbors in the picture.

Frames are [N, h, w], or flat [N, P] with P = h * w.
"""

from __future__ import annotations

import numpy as np

from .packets import nearest_valid

# Pixels filled at once, which bounds the memory for a long recording.
_FILL_ELEMENTS = 4_000_000
_AROUND = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column)


def valid_pixels(frames: np.ndarray, valid_range: tuple[float, float]) -> np.ndarray:
    """True where a pixel holds a temperature: not NaN, not infinite, not what stands for a lost one."""
    return (frames > valid_range[0]) & (frames < valid_range[1])


def fill_over_time(flat: np.ndarray, valid: np.ndarray, scene: np.ndarray) -> None:
    """Fill invalid pixels from the nearest frames where the same pixel is valid, weighted by their distance in time.

    A pixel that is valid in no frame takes its value in ``scene`` [P].
    """
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


def fill_from_neighbors(frames: np.ndarray, valid: np.ndarray) -> None:
    """Fill invalid pixels with the median of their up to 8 valid neighbors, from the edge of a hole inwards.

    Args:
        frames: [N, h, w], changed in place.
        valid: bool [N, h, w]; every frame has at least one valid pixel.
    """
    known = valid.copy()
    holes = np.argwhere(~known)
    while len(holes):
        values = np.full((len(_AROUND), len(holes)), np.nan, dtype=np.float32)
        for number, offset in enumerate(_AROUND):
            values[number] = _neighbors(frames, known, holes, offset)
        ready = ~np.isnan(values).all(axis=0)
        place = tuple(holes[ready].T)
        frames[place] = np.nanmedian(values[:, ready], axis=0)
        known[place] = True
        holes = holes[~ready]


def _neighbors(frames: np.ndarray, known: np.ndarray, holes: np.ndarray, offset: tuple[int, int]) -> np.ndarray:
    """Value of the pixel at ``offset`` from each hole [H, 3], NaN where it is outside or invalid itself."""
    height, width = frames.shape[1:]
    rows, columns = holes[:, 1] + offset[0], holes[:, 2] + offset[1]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    place = holes[:, 0], rows.clip(0, height - 1), columns.clip(0, width - 1)
    return np.where(inside & known[place], frames[place], np.nan)
