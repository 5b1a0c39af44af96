"""How a frame travels, and where its pixels belong when packets are lost.

A frame of 40x60 pixels travels row by row as five packets of 576, 576, 576, 576 and 96 pixels. When a packet is lost,
the receiver appends the later packets directly to the earlier ones and fills the end of the frame with -273.2 °C: the
picture is shifted by 9.6 rows per packet and wrapped sideways. The number of missing pixels at the end tells how many
packets of which size were lost. Which ones is decided by comparing the pixels that arrived with the median picture of
the recording and with the neighboring frames.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

FRAME_SHAPE = (40, 60)
PIXELS = FRAME_SHAPE[0] * FRAME_SHAPE[1]
# Pixels of each packet.
PACKETS = (576, 576, 576, 576, 96)
_STARTS = np.cumsum((0, *PACKETS))
# Frames per second at which the sensor samples.
NOMINAL_FPS = 6.0
# What the receiver writes where nothing arrived, in °C.
LOST = -273.2
# Temperatures in °C that a pixel can have; LOST, NaN and infinities are outside.
VALID_RANGE = (-100.0, 1000.0)


def _subsets_by_size() -> dict[int, list[tuple[int, ...]]]:
    """Missing pixels -> the sets of packets whose sizes add up to that."""
    subsets: dict[int, list[tuple[int, ...]]] = {}
    for count in range(1, len(PACKETS) + 1):
        for missing in combinations(range(len(PACKETS)), count):
            subsets.setdefault(sum(PACKETS[p] for p in missing), []).append(missing)
    return subsets


SUBSETS = _subsets_by_size()
_LOSSES = np.array([0, *sorted(SUBSETS)])


def valid_pixels(frames: np.ndarray) -> np.ndarray:
    """True where a pixel holds a temperature: not NaN, not infinite, not -273.2 °C."""
    return (frames > VALID_RANGE[0]) & (frames < VALID_RANGE[1])


def lost_pixels(valid: np.ndarray) -> np.ndarray:
    """Number of pixels [N] lost with their packets: the invalid end of each frame, down to whole packets.

    Args:
        valid: bool [N, 2400].
    """
    lost = np.zeros(len(valid), dtype=np.int64)
    suspects = np.flatnonzero(~valid[:, -PACKETS[-1] :].any(axis=1))
    if len(suspects):
        backwards = valid[suspects, ::-1]
        tail = np.where(backwards.any(axis=1), backwards.argmax(axis=1), PIXELS)
        lost[suspects] = _LOSSES[np.searchsorted(_LOSSES, tail, side="right") - 1]
    return lost


def count_damaged(frames: np.ndarray) -> int:
    """Number of frames [N, 40, 60] that lost at least one packet."""
    return int(np.count_nonzero(lost_pixels(valid_pixels(frames.reshape(-1, PIXELS)))))


def find_lost_packets(flat: np.ndarray, valid: np.ndarray, lost: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """Decide which packets each frame lost.

    Args:
        flat: [N, 2400] °C as received.
        valid: bool [N, 2400].
        lost: [N] missing pixels, from :func:`lost_pixels`.
        scene: [2400] median picture.

    Returns:
        bool [N, 5].
    """
    missing = np.zeros((len(flat), len(PACKETS)), dtype=bool)
    before, after = nearest_valid(lost == 0)
    for size in np.unique(lost[lost > 0]):
        rows = np.flatnonzero(lost == size)
        costs = [_cost(flat, valid, rows, subset, scene, before, after) for subset in SUBSETS[int(size)]]
        best = np.argmin(costs, axis=0)
        for number, subset in enumerate(SUBSETS[int(size)]):
            missing[np.ix_(rows[best == number], subset)] = True
    return missing


def _cost(
    flat: np.ndarray,
    valid: np.ndarray,
    rows: np.ndarray,
    subset: tuple[int, ...],
    scene: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
) -> np.ndarray:
    """Distance [len(rows)] in °C between the pixels that arrived and the places they have if ``subset`` was lost."""
    target = _targets(subset)
    pixels = flat[rows, : len(target)]
    known = valid[rows, : len(target)]
    distance = np.abs(pixels - scene[target])
    for neighbor in (before[rows], after[rows]):
        # Without a whole frame on this side, compare with the scene instead.
        picture = np.where(neighbor[:, None] >= 0, flat[neighbor][:, target], scene[target])
        comparable = np.where(neighbor[:, None] >= 0, valid[neighbor][:, target], True)
        distance += np.where(comparable, np.abs(pixels - picture), 0)
    return np.where(known, distance, 0).sum(axis=1)


def _targets(subset: tuple[int, ...]) -> np.ndarray:
    """Positions in the frame of the pixels that arrived, in the order of arrival."""
    parts = [np.arange(_STARTS[p], _STARTS[p + 1]) for p in range(len(PACKETS)) if p not in subset]
    return np.concatenate(parts) if parts else np.arange(0)


def put_back(flat: np.ndarray, valid: np.ndarray, missing: np.ndarray) -> None:
    """Move the pixels that arrived to their positions, in place in ``flat`` and ``valid``."""
    for code in np.unique(missing[missing.any(axis=1)], axis=0):
        rows = np.flatnonzero((missing == code).all(axis=1))
        target = _targets(tuple(np.flatnonzero(code)))
        moved, known = flat[rows, : len(target)], valid[rows, : len(target)]
        valid[rows] = False
        flat[np.ix_(rows, target)] = moved
        valid[np.ix_(rows, target)] = known


def nearest_valid(valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest valid index before and after each position along the first axis, -1 where there is none."""
    count = len(valid)
    index = np.arange(count).reshape(-1, *([1] * (valid.ndim - 1)))
    before = np.maximum.accumulate(np.where(valid, index, -1), axis=0)
    after = np.minimum.accumulate(np.where(valid, index, count)[::-1], axis=0)[::-1]
    return before, np.where(after == count, -1, after)
