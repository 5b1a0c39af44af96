"""Reading the index of a sample, and selecting keyframes with their rows."""

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
    """Split the index of a sample.

    Args:
        item: the number of a keyframe, negative ones counted from the end, or the number and the seed of its
            augmentation.
        size: number of keyframes.

    Returns:
        the number from 0, and the seed, None where only a number was given.

    Raises:
        IndexError: the keyframe does not exist.
    """
    idx, seed = item if isinstance(item, tuple) else (item, None)
    idx = int(idx)
    if not -size <= idx < size:
        raise IndexError(f"keyframe {idx} of {size}")
    return idx % size, seed
