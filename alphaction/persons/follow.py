"""Persons found and followed through a recording. It imports without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..errors import UserError
from ..recordings.frame_sequence import FrameSource
from .detections import Detections
from .room import room_picture
from .tracker import Tracker

# Persons are looked for at most so many times a second: they are followed from frame to frame.
DETECTIONS_PER_SECOND = 8.0
# Frames on either side that a detector is shown.
REACH = 6
# Seconds of a recording that share a picture of the room, and the frames that it is made from.
_ROOM_SECONDS, _ROOM_FRAMES = 1024.0, 128


class ThermalDetector(Protocol):
    """What finds persons in temperatures, such as :class:`BackgroundDetector`."""

    def detect(self, celsius: np.ndarray, key: int, room: np.ndarray | None = None) -> Detections:
        """Persons in frame ``key`` of a window [T, h, w] °C of a room [h, w]."""


@dataclass(frozen=True, eq=False)
class FoundPersons:
    """The persons of one frame, who are to be scored.

    Attributes:
        boxes: float32 [N, 4], continuous pixels inside the frame.
        tracks: N numbers, None where persons are not followed.
        scores: float32 [N] of the boxes.
    """

    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    tracks: tuple[int | None, ...] = ()
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def __len__(self) -> int:
        """Number of persons."""
        return len(self.boxes)

    @classmethod
    def given(cls, boxes: np.ndarray, size: tuple[int, int], source: str) -> FoundPersons:
        """Boxes that the caller names.

        Args:
            boxes: [N, 4] ``x1, y1, x2, y2``, continuous pixels of the frame; what exceeds it is cut off.
            size: width and height of the frame.
            source: what an error calls them.

        Raises:
            UserError: another shape, or a box that is not finite, has no area or lies outside the frame.
        """
        found = np.asarray(boxes, np.float64)
        if found.size == 0:
            return cls()
        if found.ndim != 2 or found.shape[1] != 4 or not np.isfinite(found).all():
            raise UserError(
                f"The boxes of {source} have the shape {list(found.shape)} or are not finite, expected [N, 4] with x1, "
                "y1, x2, y2 in pixels of the frame; correct them."
            )
        inside = np.clip(found, 0, np.array([*size, *size]))
        empty = (inside[:, 2:] <= inside[:, :2]).any(axis=1)
        if empty.any():
            row = int(np.argmax(empty))
            raise UserError(
                f"Box {row + 1} of {source} is {found[row].tolist()}, expected x1, y1, x2, y2 with an area inside the "
                f"frame of {size[0]} x {size[1]} pixels; correct or remove it."
            )
        return cls(inside.astype(np.float32), (None,) * len(found), np.ones(len(found), np.float32))


def follow_persons(
    source: FrameSource, detector: ThermalDetector, interval: float, start: float = 0.0
) -> Iterator[tuple[int, bool, FoundPersons]]:
    """Persons found and followed through a recording.

    Args:
        source: the recording.
        detector: finds them.
        interval: seconds from keyframe to keyframe.
        start: seconds that are left out.

    Yields:
        frame, whether it is a keyframe, and the persons who belong to a track; at most 8 frames a second.
    """
    seconds = np.asarray(source.seconds(np.arange(len(source))))
    keyframes = set(_firsts(seconds, interval).tolist())
    looked_at = np.union1d(_firsts(seconds, 1 / DETECTIONS_PER_SECOND), sorted(keyframes))
    tracker, rooms = Tracker(), _Rooms(source, seconds)
    for frame in looked_at[seconds[looked_at] >= start].tolist():
        window, key = around(source, frame)
        detections = detector.detect(window, key, rooms.at(frame))
        tracks = tracker.update(float(seconds[frame]), detections)
        yield frame, frame in keyframes, followed(detections, tracks, source.shape[::-1])


def around(source: FrameSource, frame: int) -> tuple[np.ndarray, int]:
    """Some frames around one, and its place in them."""
    return source.window(frame, 2 * REACH + 1), REACH


def inside(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.clip(boxes, 0, np.array([*size, *size], np.float32)).astype(np.float32)


def followed(detections: Detections, tracks: np.ndarray, size: tuple[int, int]) -> FoundPersons:
    """The detections that belong to a track."""
    rows = np.flatnonzero(tracks >= 0)
    return FoundPersons(
        inside(detections.boxes[rows], size), tuple(int(tracks[row]) for row in rows), detections.scores[rows]
    )


class _Rooms:
    """The picture of the room around a frame of a recording, made anew for each part of it."""

    def __init__(self, source: FrameSource, seconds: np.ndarray) -> None:
        self.source, self.seconds = source, seconds
        self.part, self.picture = -1, np.zeros(0, np.float32)

    def at(self, frame: int) -> np.ndarray:
        """float32 [h, w] °C."""
        part = int(self.seconds[frame] // _ROOM_SECONDS)
        if part != self.part:
            first, last = np.searchsorted(self.seconds, [part * _ROOM_SECONDS, (part + 1) * _ROOM_SECONDS])
            if (last - first) < _ROOM_FRAMES:  # the end of a recording is too short for a room of its own
                first = max(last - _ROOM_FRAMES, 0)
            spread = np.unique(np.linspace(first, last - 1, _ROOM_FRAMES).astype(int)).tolist()
            frames = np.concatenate([self.source.window(number, 1) for number in spread])
            self.part, self.picture = part, room_picture(frames)
        return self.picture


def _firsts(seconds: np.ndarray, interval: float) -> np.ndarray:
    """First frame of each interval that has one."""
    # Rates are rounded: a frame may be a trifle before the interval that it starts.
    _, first = np.unique(np.floor((seconds - seconds[0]) / interval + 1e-6).astype(np.int64), return_index=True)
    return first
