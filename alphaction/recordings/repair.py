"""Putting damaged thermal frames together again.

A frame of 40x60 pixels travels row by row as five packets of 576, 576, 576, 576 and 96 pixels. Where a packet got lost,
the receiver wrote what came later right behind what came before, and filled the end of the frame with -273.2 °C: the
picture is shifted by 9.6 rows per packet and wrapped sideways. The number of pixels at the end tells how many packets
of which size are missing; which ones is decided by where the pixels that did arrive look most like the recording's
median picture and like the neighbouring frames. They are put back there, and only the true holes are filled in.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..errors import UserError

FRAME_SHAPE = (40, 60)
PIXELS = FRAME_SHAPE[0] * FRAME_SHAPE[1]
PACKETS = (576, 576, 576, 576, 96)
_STARTS = np.cumsum((0, *PACKETS))
# What a pixel can be; -273.2 (nothing arrived), NaN and infinities are not.
VALID_RANGE = (-100.0, 1000.0)
# Frames that the median picture is taken from, spread evenly over a long recording.
MEDIAN_FRAMES = 512
# Pixels that are looked at together when holes are filled, which bounds the memory for a long recording.
_FILL_ELEMENTS = 4_000_000


def _subsets_by_size() -> dict[int, list[tuple[int, ...]]]:
    """Missing pixels -> the sets of packets whose sizes add up to that."""
    subsets: dict[int, list[tuple[int, ...]]] = {}
    for count in range(1, len(PACKETS) + 1):
        for missing in combinations(range(len(PACKETS)), count):
            subsets.setdefault(sum(PACKETS[p] for p in missing), []).append(missing)
    return subsets


SUBSETS = _subsets_by_size()
_LOSSES = np.array([0, *sorted(SUBSETS)])


@dataclass(frozen=True)
class RepairReport:
    """What was wrong with the frames of one recording.

    Attributes:
        frames: number of frames.
        damaged_frames: frames that lost at least one packet.
        lost_packets: packets lost in all of them.
        dead_pixels: pixels without a temperature that no lost packet explains.
        hole_pixels: pixels that were filled in, lost and dead together.
    """

    frames: int = 0
    damaged_frames: int = 0
    lost_packets: int = 0
    dead_pixels: int = 0
    hole_pixels: int = 0

    def __add__(self, other: RepairReport) -> RepairReport:
        return RepairReport(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def repair_frames(raw: np.ndarray, median: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, RepairReport]:
    """Repair consecutive frames of one recording.

    Args:
        raw: [N, 40, 60] °C as received, N >= 1; not changed.
        median: [40, 60] picture of the scene, taken from ``raw`` when missing; needed where ``raw`` is only a part of a
            recording.

    Returns:
        frames float32 [N, 40, 60] °C without holes; mask bool [N, 40, 60], True where a pixel was filled in; counts.

    Raises:
        UserError: no frame holds a single valid pixel.
    """
    flat = np.array(raw, dtype=np.float32).reshape(-1, PIXELS)
    valid = valid_pixels(flat)
    flat[~valid] = 0.0  # so that no NaN or infinity enters the arithmetic; every one of these is filled in below
    if median is None:
        median = scene_median(flat, valid)
    scene = np.asarray(median, dtype=np.float32).reshape(PIXELS)
    lost = lost_pixels(valid)
    missing = find_missing(flat, valid, lost, scene)
    _put_back(flat, valid, missing)
    mask = ~valid
    _fill_holes(flat, valid, scene)
    report = RepairReport(
        len(flat), int((lost > 0).sum()), int(missing.sum()), int(mask.sum() - lost.sum()), int(mask.sum())
    )
    return flat.reshape(-1, *FRAME_SHAPE), mask.reshape(-1, *FRAME_SHAPE), report


def valid_pixels(frames: np.ndarray) -> np.ndarray:
    """True where a pixel holds a temperature: not NaN, not infinite, not -273.2 °C."""
    return (frames > VALID_RANGE[0]) & (frames < VALID_RANGE[1])


def lost_pixels(valid: np.ndarray) -> np.ndarray:
    """Pixels [N] that got lost with their packets: the invalid end of each frame, down to a whole number of packets.

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


def scene_median(frames: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Per-pixel median float32 [2400] over (at most 512 of) the undamaged frames.

    A pixel that is never valid takes the median of its nearest valid neighbours in the picture. Without any undamaged
    frame the damaged ones have to do.

    Raises:
        UserError: there is no valid pixel at all.
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


def find_missing(flat: np.ndarray, valid: np.ndarray, lost: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """Which packets each frame lost.

    Args:
        flat: [N, 2400] °C as received.
        valid: bool [N, 2400].
        lost: [N] missing pixels, see :func:`lost_pixels`.
        scene: [2400] median picture.

    Returns:
        bool [N, 5].
    """
    missing = np.zeros((len(flat), len(PACKETS)), dtype=bool)
    before, after = _nearest(lost == 0)
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
    """How little the pixels that arrived fit if ``subset`` was lost: mean distance [len(rows)] in °C."""
    target = _targets(subset)
    pixels = flat[rows, : len(target)]
    known = valid[rows, : len(target)]
    distance = np.abs(pixels - scene[target])
    for neighbour in (before[rows], after[rows]):
        # Where there is no whole frame on this side, the scene stands in for it.
        picture = np.where(neighbour[:, None] >= 0, flat[neighbour][:, target], scene[target])
        fine = np.where(neighbour[:, None] >= 0, valid[neighbour][:, target], True)
        distance += np.where(fine, np.abs(pixels - picture), 0)
    return np.where(known, distance, 0).sum(axis=1)


def _targets(subset: tuple[int, ...]) -> np.ndarray:
    """Where the pixels that arrived belong, in the order of arrival."""
    parts = [np.arange(_STARTS[p], _STARTS[p + 1]) for p in range(len(PACKETS)) if p not in subset]
    return np.concatenate(parts) if parts else np.arange(0)


def _put_back(flat: np.ndarray, valid: np.ndarray, missing: np.ndarray) -> None:
    """Move what arrived to where it belongs, in ``flat`` and ``valid``."""
    for code in np.unique(missing[missing.any(axis=1)], axis=0):
        rows = np.flatnonzero((missing == code).all(axis=1))
        target = _targets(tuple(np.flatnonzero(code)))
        moved, known = flat[rows, : len(target)], valid[rows, : len(target)]
        valid[rows] = False
        flat[np.ix_(rows, target)] = moved
        valid[np.ix_(rows, target)] = known


def _nearest(good: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest good index before and after each position along the first axis, -1 where there is none."""
    count = len(good)
    index = np.arange(count).reshape(-1, *([1] * (good.ndim - 1)))
    before = np.maximum.accumulate(np.where(good, index, -1), axis=0)
    after = np.minimum.accumulate(np.where(good, index, count)[::-1], axis=0)[::-1]
    return before, np.where(after == count, -1, after)


def _fill_holes(flat: np.ndarray, valid: np.ndarray, scene: np.ndarray) -> None:
    """Fill invalid pixels from the nearest frames where the same pixel is valid, weighted by their distance in time."""
    columns = np.flatnonzero(~valid.all(axis=0))
    at_once = max(_FILL_ELEMENTS // len(flat), 1)
    for start in range(0, len(columns), at_once):
        _fill_columns(flat, valid, scene, columns[start : start + at_once])


def _fill_columns(flat: np.ndarray, valid: np.ndarray, scene: np.ndarray, columns: np.ndarray) -> None:
    known = valid[:, columns]
    before, after = _nearest(known)
    rows, places = np.nonzero(~known)
    pixels, first, last = columns[places], before[rows, places], after[rows, places]
    share = (rows - first) / np.maximum(last - first, 1)
    share = np.where(first < 0, 1.0, np.where(last < 0, 0.0, share)).astype(np.float32)
    # Index -1 stands for "no such frame"; its weight is 0.
    filled = flat[first, pixels] * (1 - share) + flat[last, pixels] * share
    flat[rows, pixels] = np.where((first < 0) & (last < 0), scene[pixels], filled)


def _fill_picture(picture: np.ndarray) -> np.ndarray:
    """Fill NaN pixels with the median of their valid neighbours, from the rim of a hole inwards."""
    while np.isnan(picture).any():
        padded = np.pad(picture, 1, constant_values=np.nan)
        for row, column in np.argwhere(np.isnan(picture)):
            around = padded[row : row + 3, column : column + 3]
            if not np.isnan(around).all():
                picture[row, column] = np.nanmedian(around)
    return picture
