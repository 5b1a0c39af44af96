"""Where the pixels of a frame belong when it travels in packets and some are lost.

A frame travels row by row; one of htpa60x40 as five packets of 576, 576, 576, 576 and 96 pixels. When a packet is lost,
the receiver appends the later packets directly to the earlier ones and fills the end of the frame with -273.2 °C: the
picture is shifted by 9.6 rows per packet and wrapped sideways. The number of missing pixels at the end tells how many
packets of which size were lost. Which ones is decided by comparing the pixels that arrived with the median picture of
the recording and with the neighboring frames.

``packets`` is :attr:`alphaction.recordings.sensor.Sensor.packets`, of which there are Q; a frame has P pixels.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np

# What the receiver writes where nothing arrived, in °C.
LOST = -273.2


@cache
def subsets_by_size(packets: tuple[int, ...]) -> dict[int, list[tuple[int, ...]]]:
    """Missing pixels -> the sets of packets whose sizes add up to that."""
    subsets: dict[int, list[tuple[int, ...]]] = {}
    for count in range(1, len(packets) + 1):
        for missing in combinations(range(len(packets)), count):
            subsets.setdefault(sum(packets[p] for p in missing), []).append(missing)
    return subsets


def lost_pixels(valid: np.ndarray, packets: tuple[int, ...] | None) -> np.ndarray:
    """Number of pixels [N] lost with their packets: the invalid end of each frame, down to whole packets.

    Args:
        valid: bool [N, P], pixels within ``Sensor.valid_range``.
        packets: sizes; None for frames that arrive whole, which lose nothing.
    """
    lost = np.zeros(len(valid), dtype=np.int64)
    if packets is None:
        return lost
    suspects = np.flatnonzero(~valid[:, -min(packets) :].any(axis=1))
    if len(suspects):
        losses = np.array([0, *sorted(subsets_by_size(packets))])
        backwards = valid[suspects, ::-1]
        tail = np.where(backwards.any(axis=1), backwards.argmax(axis=1), valid.shape[1])
        lost[suspects] = losses[np.searchsorted(losses, tail, side="right") - 1]
    return lost


def find_lost_packets(
    flat: np.ndarray, valid: np.ndarray, lost: np.ndarray, scene: np.ndarray, packets: tuple[int, ...]
) -> np.ndarray:
    """Decide which packets each frame lost.

    Args:
        flat: [N, P] °C as received.
        valid: bool [N, P].
        lost: [N] missing pixels, from :func:`lost_pixels`.
        scene: [P] median picture.
        packets: sizes.

    Returns:
        bool [N, Q].
    """
    missing = np.zeros((len(flat), len(packets)), dtype=bool)
    before, after = nearest_valid(lost == 0)
    for size in np.unique(lost[lost > 0]):
        rows = np.flatnonzero(lost == size)
        subsets = subsets_by_size(packets)[int(size)]
        targets = [_targets(subset, packets) for subset in subsets]
        costs = [_cost(flat, valid, rows, target, scene, before, after) for target in targets]
        best = np.argmin(costs, axis=0)
        for number, subset in enumerate(subsets):
            missing[np.ix_(rows[best == number], subset)] = True
    return missing


def _cost(
    flat: np.ndarray,
    valid: np.ndarray,
    rows: np.ndarray,
    target: np.ndarray,
    scene: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
) -> np.ndarray:
    """Distance [len(rows)] in °C between the pixels that arrived and the scene at the places ``target``."""
    pixels = flat[rows, : len(target)]
    known = valid[rows, : len(target)]
    distance = np.abs(pixels - scene[target])
    for neighbor in (before[rows], after[rows]):
        # Without a whole frame on this side, compare with the scene instead.
        picture = np.where(neighbor[:, None] >= 0, flat[neighbor][:, target], scene[target])
        comparable = np.where(neighbor[:, None] >= 0, valid[neighbor][:, target], True)
        distance += np.where(comparable, np.abs(pixels - picture), 0)
    return np.where(known, distance, 0).sum(axis=1)


def _targets(subset: tuple[int, ...], packets: tuple[int, ...]) -> np.ndarray:
    """Positions in the frame of the pixels that arrived without ``subset``, in the order of arrival."""
    starts = np.cumsum((0, *packets))
    parts = [np.arange(starts[p], starts[p + 1]) for p in range(len(packets)) if p not in subset]
    return np.concatenate(parts) if parts else np.arange(0)


def put_back(flat: np.ndarray, valid: np.ndarray, missing: np.ndarray, packets: tuple[int, ...]) -> None:
    """Move the pixels that arrived to their positions, in place in ``flat`` and ``valid``; ``missing`` is [N, Q]."""
    for code in np.unique(missing[missing.any(axis=1)], axis=0):
        rows = np.flatnonzero((missing == code).all(axis=1))
        target = _targets(tuple(np.flatnonzero(code)), packets)
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
