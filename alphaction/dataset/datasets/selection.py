"""What the data sets share: which keyframe is asked for, and the rows that belong to keyframes, by offsets."""

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


def number_and_seed(item: int | tuple[int, int], size: int) -> tuple[int, int | None]:
    """What a data set of ``size`` keyframes is asked for: the keyframe's number, counted from the front, and the seed
    of its augmentation, None where only a number was given.

    Raises:
        IndexError: there is no such keyframe.
    """
    idx, seed = item if isinstance(item, tuple) else (item, None)
    idx = int(idx)
    if not -size <= idx < size:
        raise IndexError(f"keyframe {idx} of {size}")
    return idx % size, seed
