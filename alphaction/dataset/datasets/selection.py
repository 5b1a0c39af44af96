"""Rows that belong to keyframes, by offsets."""

from __future__ import annotations

import numpy as np


def select(kept: np.ndarray, offsets: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rows of the kept keyframes only: new offsets and columns.

    Args:
        kept: int [J], keyframes.
        offsets: int [K + 1]; keyframe k has the rows offsets[k] .. offsets[k + 1] - 1 of each column.
    """
    counts = np.diff(offsets)[kept]
    new_offsets = np.concatenate([[0], np.cumsum(counts)])
    rows = np.repeat(offsets[kept] - new_offsets[:-1], counts) + np.arange(new_offsets[-1])
    return new_offsets, *(column[rows] for column in columns)
