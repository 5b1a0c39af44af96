"""Frames of sensors that refresh one half of their pixels at a time, those of one color of a chessboard (MLX90640).

A frame holds one new half. The other half is that of the frame before, or has no values, or zeros. Where something
moves, two halves of different times make a chess pattern. The half that is not new is therefore estimated for the time
of the new one: each of its pixels becomes the median of its own reading before, its own reading after, and the median
of its up to four neighbors, all of which are new. A pixel that does not change keeps its value, whatever its neighbors
are; at an edge that moves, the neighbors decide on which side the pixel is.
"""

from __future__ import annotations

import numpy as np

from .packets import nearest_valid

# A half is stale if less than one tenth as many of its pixels changed as of the other half: a driver that corrects
# single pixels changes some of them.
_CHANGED_RATIO = 10
# Share of invalid pixels above which a half was not sent, and below which the other one was.
_MISSING, _SENT = 0.9, 0.5


def chessboard(shape: tuple[int, int]) -> np.ndarray:
    """bool [2, h, w], the pixels of each half."""
    color = np.indices(shape).sum(axis=0) % 2
    return np.stack([color == 0, color == 1])


def drop_zeros(frames: np.ndarray, valid: np.ndarray) -> None:
    """Make halves of zeros invalid, in place in ``valid``: drivers leave them where the half was not sent yet.

    Args:
        frames: [N, h, w] °C.
        valid: bool [N, h, w].
    """
    halves = chessboard(frames.shape[1:])
    zeros = _count(frames == 0, halves) / halves.sum(axis=(1, 2))
    for half in (0, 1):
        unsent = (zeros[:, half] > _MISSING) & (zeros[:, 1 - half] < _SENT)
        valid[unsent] &= ~halves[half]


def old_halves(frames: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Which half of each frame is not new: int64 [N], 0 or 1, or -1 where both are (or seem to be) new.

    Args:
        frames: [N, h, w].
        valid: bool [N, h, w].
    """
    halves = chessboard(frames.shape[1:])
    changed = np.zeros((len(frames), 2), dtype=np.int64)
    changed[1:] = _count((frames[1:] != frames[:-1]) & valid[1:] & valid[:-1], halves)
    # The first frame has none before it: its new half is the one that the second frame does not refresh.
    if len(frames) > 1:
        changed[0] = changed[1, ::-1]
    missing = _count(~valid, halves) / halves.sum(axis=(1, 2))
    old = np.full(len(frames), -1, dtype=np.int64)
    for half in (0, 1):
        stale = changed[:, half] * _CHANGED_RATIO < changed[:, 1 - half]
        absent = (missing[:, half] > _MISSING) & (missing[:, 1 - half] < _SENT)
        old[(stale & (missing < _SENT).all(axis=1)) | absent] = half
    return old


def _count(pixels: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """int64 [N, 2], how many pixels of each half are set."""
    return np.stack([np.count_nonzero(pixels & half, axis=(1, 2)) for half in halves], axis=1)


def renew_halves(frames: np.ndarray, valid: np.ndarray, old: np.ndarray) -> None:
    """Estimate the half of each frame that is not new, in place in ``frames`` and ``valid``.

    Args:
        frames: [N, h, w] °C.
        valid: bool [N, h, w].
        old: [N], from :func:`old_halves`.
    """
    halves = chessboard(frames.shape[1:])
    new = valid.copy()
    for half in (0, 1):
        new[old == half] &= ~halves[half]
    before, after = nearest_valid(new)
    for number in np.flatnonzero(old >= 0):
        half = halves[old[number]]
        rows, columns = np.nonzero(half)
        candidates = np.full((3, len(rows)), np.nan, dtype=np.float32)
        for candidate, nearest in zip(candidates, (before[number], after[number]), strict=False):
            there = nearest[half] >= 0
            candidate[there] = frames[nearest[half][there], rows[there], columns[there]]
        # At the start of the recording, the old half of the first frame is the reading before.
        first = np.isnan(candidates[0]) & valid[number, rows, columns]
        candidates[0, first] = frames[number, rows[first], columns[first]]
        # Without a reading on one side, the one on the other side counts twice and is taken.
        for here, other in ((0, 1), (1, 0)):
            candidates[here] = np.where(np.isnan(candidates[here]), candidates[other], candidates[here])
        candidates[2] = _neighbors(frames[number], new[number])[half]
        known = ~np.isnan(candidates[0])  # others are dead and stay holes
        frames[number, rows[known], columns[known]] = np.nanmedian(candidates[:, known], axis=0)
        valid[number, rows[known], columns[known]] = True


def _neighbors(frame: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Median of the up to four new neighbors of each pixel [h, w], NaN where there are none."""
    padded = np.pad(np.where(new, frame, np.nan), 1, constant_values=np.nan)
    around = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    result = np.full(frame.shape, np.nan, dtype=frame.dtype)
    known = ~np.isnan(around).all(axis=0)
    result[known] = np.nanmedian(around[:, known], axis=0)
    return result
