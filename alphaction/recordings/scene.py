"""What stays the same through a recording: its median picture, and pixels that are stuck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from .holes import fill_from_neighbors, valid_pixels
from .packets import lost_pixels
from .sensor import Sensor, default_sensor
from .subpages import drop_zeros

# Frames that the median picture is computed from, spread evenly over a long recording.
MEDIAN_FRAMES = 512
# Of a recording that is not kept in memory: size in MB of the frames that its scene is computed from, and of the chunks
# that are read for them. A few of each are read whatever their size.
_SCENE_MB, _READ_MB = 64, 320
_LEAST_FRAMES, _LEAST_CHUNKS = 32, 4
# Values sorted at once, which bounds the memory for large frames.
_MEDIAN_ELEMENTS = 4_000_000
# Frames through which a stuck pixel has one value, and the share of the others that vary meanwhile: in a short
# recording, or in whole degrees, live pixels have one value too.
_STUCK_FRAMES = 32
_VARYING_SHARE = 0.95


@dataclass(frozen=True)
class Scene:
    """A recording as a whole.

    Attributes:
        median: float32 [h, w] °C, the picture without persons.
        stuck: bool [h, w], pixels with one value through the recording while the others vary.
    """

    median: np.ndarray
    stuck: np.ndarray


def read_scene(frames: np.ndarray, sensor: Sensor | None = None) -> Scene:
    """The scene of (at most 512 of) the frames [N, h, w] °C as received.

    Args:
        frames: see above.
        sensor: the sensor that sent them; by default the one of their shape.

    Raises:
        UserError: see :func:`scene_median`.
    """
    sensor = sensor or default_sensor(frames.shape[1:])
    valid = valid_pixels(frames, sensor.valid_range)
    if sensor.subpages:
        drop_zeros(frames, valid)
    median = scene_median(frames, valid, sensor)
    stuck = np.zeros(sensor.shape, dtype=bool) if sensor.packets else _stuck_pixels(frames, valid)
    return Scene(median, stuck)


def _stuck_pixels(frames: np.ndarray, valid: np.ndarray) -> np.ndarray:
    picked = _spread(np.arange(len(frames)))
    if len(picked) < _STUCK_FRAMES:
        return np.zeros(frames.shape[1:], dtype=bool)
    first = np.zeros(frames.shape[1:], dtype=frames.dtype)
    seen, varies = np.zeros(first.shape, dtype=bool), np.zeros(first.shape, dtype=bool)
    for number in picked:
        first = np.where(valid[number] & ~seen, frames[number], first)
        seen |= valid[number]
        varies |= valid[number] & (frames[number] != first)
    stuck = seen & ~varies
    return stuck if varies.sum() >= _VARYING_SHARE * seen.sum() else np.zeros_like(stuck)


def scene_median(frames: np.ndarray, valid: np.ndarray | None = None, sensor: Sensor | None = None) -> np.ndarray:
    """Per-pixel median float32 [h, w] over (at most 512 of) the undamaged frames.

    A pixel that is never valid takes the median of its nearest valid neighbors in the picture. Without any undamaged
    frame, the damaged ones are used.

    Args:
        frames: [N, h, w] °C as received.
        valid: bool [N, h, w].
        sensor: the sensor that sent them; by default the one of their shape.

    Raises:
        UserError: no valid pixel at all.
    """
    sensor = sensor or default_sensor(frames.shape[1:])
    flat = frames.reshape(len(frames), -1)
    valid = valid_pixels(flat, sensor.valid_range) if valid is None else valid.reshape(flat.shape)
    whole = np.flatnonzero(lost_pixels(valid, sensor.packets) == 0)
    picked = _spread(whole if len(whole) else np.arange(len(flat)), sensor.subpages)
    scene = np.full(flat.shape[1], np.nan, dtype=np.float32)
    at_once = max(_MEDIAN_ELEMENTS // len(picked), 1)
    for start in range(0, len(scene), at_once):
        part = slice(start, start + at_once)
        scene[part] = _median(flat[picked, part], valid[picked, part])
    if np.isnan(scene).all():
        raise UserError("No frame holds a single valid temperature, expected degrees Celsius; record it again.")
    picture = scene.reshape(1, *frames.shape[1:])
    fill_from_neighbors(picture, ~np.isnan(picture))
    return picture[0]


def _spread(numbers: np.ndarray, pairs: bool = False) -> np.ndarray:
    """At most 512 of the numbers, evenly; with ``pairs``, each with its successor, so that both halves are there."""
    if len(numbers) <= MEDIAN_FRAMES:
        return numbers
    if pairs:
        places = np.linspace(0, len(numbers) - 2, MEDIAN_FRAMES // 2).astype(int)
        return numbers[np.unique([places, places + 1])]
    return numbers[np.linspace(0, len(numbers) - 1, MEDIAN_FRAMES).astype(int)]


def _median(flat: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Median over the valid values of each pixel, NaN where there are none."""
    columns = np.ascontiguousarray(flat.T)
    known = valid.all(axis=0)
    result = np.full(len(columns), np.nan, dtype=np.float32)
    result[known] = np.median(columns[known], axis=1)
    for pixel in np.flatnonzero(valid.any(axis=0) & ~known):
        result[pixel] = np.median(columns[pixel][valid[:, pixel]])
    return result


def spread_frames(count: int, chunk_length: int, frame_bytes: int, sensor: Sensor) -> np.ndarray:
    """Numbers of frames spread over a recording, few enough for memory, in few enough chunks to be read within seconds.

    Args:
        count: frames of the recording.
        chunk_length: frames that are stored, and read, together.
        frame_bytes: stored size of a frame.
        sensor: the sensor that sent them.
    """
    most = min(max(int(_SCENE_MB * 1e6) // (4 * sensor.pixels), _LEAST_FRAMES), MEDIAN_FRAMES)
    picked = np.arange(0, count, max(-(-count // most), 1))
    if sensor.subpages:  # pairs, so that both halves of the picture are there
        picked = np.unique([picked[::2], np.minimum(picked[::2] + 1, count - 1)])
    chunks = np.unique(picked // chunk_length)
    readable = max(int(_READ_MB * 1e6) // (chunk_length * frame_bytes), _LEAST_CHUNKS)
    if len(chunks) <= readable:
        return picked
    chunks = chunks[np.linspace(0, len(chunks) - 1, readable).astype(int)]
    per_chunk = min(max(most // readable, 1), chunk_length)
    inside = np.linspace(0, chunk_length - 1, per_chunk).astype(int)
    numbers = (chunks[:, None] * chunk_length + inside).reshape(-1)
    return numbers[numbers < count]
