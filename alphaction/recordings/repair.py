"""Raw frames of a recording -> frames without holes.

The steps, in :func:`repair_frames`:

1. Values outside the sensor's range, NaN among them, are holes (:mod:`.holes`). So are stuck pixels (:mod:`.scene`).
2. Where a sensor refreshes one half of its pixels per frame, the other half is estimated (:mod:`.subpages`).
3. Where a frame travels in packets and some were lost, the pixels that arrived move to their places (:mod:`.packets`).
4. Holes are filled. A sensor with packets loses large parts of a frame: they are filled from the nearest frames in
   which the pixel is valid. Other sensors have single dead pixels: they are filled from the neighbors in the same
   frame, except in frames without half of their pixels, which are filled over time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .holes import fill_from_neighbors, fill_over_time, valid_pixels
from .packets import find_lost_packets, lost_pixels, put_back
from .scene import Scene, read_scene
from .sensor import Sensor, default_sensor
from .subpages import drop_zeros, old_halves, renew_halves


@dataclass(frozen=True)
class RepairReport:
    """What was wrong with the frames of one recording.

    Attributes:
        frames: number of frames.
        damaged_frames: frames that lost at least one packet, or most of their pixels where frames arrive whole.
        lost_packets: packets lost in all of them.
        dead_pixels: pixels without a temperature that no damaged frame explains.
        hole_pixels: pixels that were filled in, lost and dead together.
        half_frames: frames of which one half only was new.
    """

    frames: int = 0
    damaged_frames: int = 0
    lost_packets: int = 0
    dead_pixels: int = 0
    hole_pixels: int = 0
    half_frames: int = 0

    def __add__(self, other: RepairReport) -> RepairReport:
        return RepairReport(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def repair_frames(
    raw: np.ndarray, sensor: Sensor | None = None, scene: Scene | None = None
) -> tuple[np.ndarray, np.ndarray, RepairReport]:
    """Repair consecutive frames of one recording.

    Args:
        raw: [N, h, w] °C as received, N >= 1; not changed.
        sensor: the sensor that sent them; by default the one of their shape.
        scene: the recording as a whole; computed from ``raw`` by default, needed where ``raw`` is only a part.

    Returns:
        frames float32 [N, h, w] °C without holes; mask bool [N, h, w], True where a pixel was filled in (not where the
        old half of a frame was estimated); counts.

    Raises:
        UserError: no frame holds a single valid pixel.
    """
    frames = np.array(raw, dtype=np.float32)
    mask, counts = repair_in_place(frames, sensor or default_sensor(raw.shape[1:]), scene)
    return frames, mask, total(counts)


def total(counts: np.ndarray) -> RepairReport:
    """The report of frames with ``counts`` [N, 5] from :func:`repair_in_place`."""
    return RepairReport(len(counts), *counts.sum(axis=0).tolist())


def repair_in_place(frames: np.ndarray, sensor: Sensor, scene: Scene | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Like :func:`repair_frames`, but changes ``frames`` float32 [N, h, w], of which large ones exist once only then.

    Returns:
        the mask; counts int64 [N, 5] of each frame: the fields of a report after ``frames``.
    """
    valid = valid_pixels(frames, sensor.valid_range)
    if sensor.subpages:
        drop_zeros(frames, valid)
    if scene is None:
        scene = read_scene(frames, sensor)
    valid &= ~scene.stuck
    frames[~valid] = 0.0  # keeps NaN and infinity out of the arithmetic; all of these are filled below
    half = np.full(len(frames), -1)
    if sensor.subpages:
        half = old_halves(frames, valid)
        renew_halves(frames, valid, half)
    flat, known = frames.reshape(len(frames), -1), valid.reshape(len(frames), -1)
    if sensor.packets:
        lost, missing = _place_packets(flat, known, scene, sensor.packets)
        mask = ~valid
        packets = missing.sum(axis=1)
    else:
        mask = ~valid
        holes = np.count_nonzero(~known, axis=1)
        lost, packets = np.where(2 * holes > sensor.pixels, holes, 0), np.zeros(len(frames), dtype=np.int64)
        whole = np.flatnonzero((lost == 0) & (holes > 0))
        repaired = frames[whole]
        fill_from_neighbors(repaired, valid[whole])
        frames[whole], valid[lost == 0] = repaired, True
    fill_over_time(flat, known, scene.median.reshape(-1))
    filled = np.count_nonzero(mask.reshape(known.shape), axis=1)
    return mask, np.stack([lost > 0, packets, filled - lost, filled, half >= 0], axis=1).astype(np.int64)


def _place_packets(
    flat: np.ndarray, valid: np.ndarray, scene: Scene, packets: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Move what arrived to its place, in place; lost pixels [N] and which packets were lost, bool [N, Q]."""
    lost = lost_pixels(valid, packets)
    missing = find_lost_packets(flat, valid, lost, scene.median.reshape(-1), packets)
    put_back(flat, valid, missing, packets)
    return lost, missing


def count_damaged(frames: np.ndarray, sensor: Sensor | None = None) -> int:
    """Number of frames [N, h, w] °C that lost at least one packet, or most pixels where frames arrive whole."""
    sensor = sensor or default_sensor(frames.shape[1:])
    valid = valid_pixels(frames, sensor.valid_range).reshape(len(frames), -1)
    if sensor.packets:
        return int(np.count_nonzero(lost_pixels(valid, sensor.packets)))
    threshold = 4 if sensor.subpages else 2  # every frame lacks one half where the other half is not sent
    return int(np.count_nonzero(threshold * np.count_nonzero(valid, axis=1) < sensor.pixels))
