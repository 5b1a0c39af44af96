"""Persons followed from frame to frame: ByteTrack's two rounds (arXiv 2110.06864) with motion in seconds.

Seen from above, two persons who pass each other are one warm component for a while. Such a box says only that both are
inside it: both move on at their last velocity, kept within the box. The cost of a match is its negative log likelihood
instead of ByteTrack's overlap: after an absence, or at few frames per second, boxes of ten pixels no longer overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..errors import UserError
from .detections import Detections

# Standard deviations that follow, in lengths of a person (the square root of the box's area).
_CENTER = 0.1  # of a box's center
_INSIDE = 0.3  # of a person's center within a box that holds others too
_SPEED = 1.0  # of a new person's velocity, per second
_ACCELERATION = 1.0  # per second^1.5: after t seconds unseen a person is within this times sqrt(t^3 / 3)
# Share of a new box's size that a track takes over.
_RESIZE = 0.2
# Added to the cost of those who were not seen in the frame before.
_UNSEEN = 1.0
# A match lies within this many standard deviations.
_GATE = 3.0
_IMPOSSIBLE = 1e6


@dataclass(eq=False)
class _Track:
    """One person.

    Attributes:
        number: what ``Tracker.update`` returns.
        size: width and height [2] in pixels.
        state: [2, 2], center in pixels and velocity in pixels per second, of x and y.
        covariance: [2, 2, 2] of each axis.
        seen: time of the last match.
        matches: their number.
    """

    number: int
    size: np.ndarray
    state: np.ndarray
    covariance: np.ndarray
    seen: float
    matches: int = 1

    @classmethod
    def start(cls, number: int, box: np.ndarray, time_s: float) -> _Track:
        center, size = _center_and_size(box)
        covariance = np.tile(np.diag([_CENTER**2, _SPEED**2]), (2, 1, 1)) * size.prod()
        return cls(number, size, np.stack([center, np.zeros(2)], axis=1), covariance, time_s)

    @property
    def length(self) -> float:
        return float(np.sqrt(self.size.prod()))

    def predict(self, seconds: float) -> None:
        """Move on at constant velocity."""
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        noise = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        self.state = self.state @ step.T
        self.covariance = step @ self.covariance @ step.T + (_ACCELERATION * self.length) ** 2 * noise

    def distances(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Squared distances [N] of boxes [N, 4] in standard deviations, and costs [N]."""
        centers, sizes = _center_and_size(boxes)
        variance = self.covariance[:, 0, 0] + self._noise(sizes)
        squared = ((centers - self.state[:, 0]) ** 2 / variance).sum(axis=1)
        return squared, squared + np.log(variance / self.length**2).sum(axis=1)

    def is_inside(self, box: np.ndarray) -> bool:
        """Whether the center is."""
        center = self.state[:, 0]
        return bool((center >= box[:2]).all() and (center <= box[2:]).all())

    def update(self, box: np.ndarray) -> None:
        """Correct by the person's own box."""
        center, size = _center_and_size(box)
        self._correct(center - self.state[:, 0], self._noise(size))
        self.size = self.size + _RESIZE * (size - self.size)

    def stay_within(self, box: np.ndarray) -> None:
        """Correct by a box that holds others too: where the person fits in as predicted, it tells nothing."""
        center, size = _center_and_size(box)
        slack = np.maximum(size - self.size, 0.0) / 2
        difference = center - self.state[:, 0]
        outside = difference - np.clip(difference, -slack, slack)
        self._correct(outside, np.where(outside != 0, (_INSIDE * self.length) ** 2, np.inf))

    def _correct(self, difference: np.ndarray, variance: np.ndarray) -> None:
        """Correct each axis by a measured center with its variance (a Kalman filter)."""
        gain = self.covariance[:, :, 0] / (self.covariance[:, 0, 0] + variance)[:, None]
        self.state = self.state + gain * difference[:, None]
        self.covariance = self.covariance - gain[:, :, None] * self.covariance[:, :1, :]

    def _noise(self, sizes: np.ndarray) -> np.ndarray:
        """Variance of the centers of boxes: a side that is longer or shorter by d moves it by up to d / 2."""
        return (_CENTER * self.length) ** 2 + ((sizes - self.size) / 2) ** 2


def _center_and_size(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of boxes [..., 4]; no side is 0."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2, np.maximum(boxes[..., 2:] - boxes[..., :2], 1e-3)


class Tracker:
    """Numbers persons, the same person alike in each frame.

    Detections of at least ``high`` are matched first, with all tracks; others then with tracks that were seen in the
    frame before. Everything is deterministic.

    Args:
        high: score from which a detection starts a track.
        low: detections below are ignored.
        absence: seconds for which a person who is not seen is remembered; a sixth of it after a single detection, which
            is often a mistake.
    """

    def __init__(self, high: float = 0.5, low: float = 0.1, absence: float = 3.0) -> None:
        if not 0 <= low <= high <= 1 or not absence >= 0:
            raise UserError(
                f"The tracker has low {low}, high {high} and absence {absence}, expected 0 <= low <= high <= 1 and at "
                "least 0 seconds; correct them."
            )
        self.high, self.low, self.absence = high, low, absence
        self._tracks: list[_Track] = []
        self._time: float | None = None
        self._count = 0

    def update(self, time_s: float, detections: Detections) -> np.ndarray:
        """Numbers int64 [N] of the persons of a frame, from 1 on; -1 for a detection that belongs to none.

        Args:
            time_s: time of the frame in seconds; it increases from call to call.
            detections: its persons.

        Raises:
            UserError: the time is before that of the last frame, or is not finite.
        """
        before = time_s if self._time is None else self._time
        if not 0 <= time_s - before < np.inf:
            raise UserError(
                f"The time of a frame is {time_s} s after one at {before} s, expected times that increase; start a new "
                "Tracker for another recording."
            )
        self._time = time_s
        self._tracks = [track for track in self._tracks if time_s - track.seen <= self._patience(track, before) + 1e-6]
        for track in self._tracks:
            track.predict(time_s - before)
        boxes = detections.boxes.astype(np.float64)
        is_high, is_low = detections.scores >= self.high, detections.scores >= self.low
        pairs = _assign(self._tracks, boxes, np.flatnonzero(is_high), before)
        recent = [track for track in self._tracks if track.seen == before and track not in pairs.values()]
        pairs |= _assign(recent, boxes, np.flatnonzero(is_low & ~is_high), before)
        self._correct(pairs, boxes, time_s)
        for row in np.flatnonzero(is_high).tolist():
            if row not in pairs:
                self._count += 1
                pairs[row] = _Track.start(self._count, boxes[row], time_s)
                self._tracks.append(pairs[row])
        return np.array([pairs[row].number if row in pairs else -1 for row in range(len(boxes))], np.int64)

    def _patience(self, track: _Track, before: float) -> float:
        """Seconds for which a track that is not seen is remembered; ``before`` is the time of the last frame."""
        return self.absence if track.matches > 1 or track.seen == before else self.absence / 6

    def _correct(self, pairs: dict[int, _Track], boxes: np.ndarray, time_s: float) -> None:
        """Correct all tracks by the boxes that they are in: their own, or one that holds others too."""
        hidden: dict[int, list[_Track]] = {row: [] for row in pairs}
        for track in self._tracks:
            if track not in pairs.values():
                around = [row for row in pairs if track.is_inside(boxes[row])]
                if around:
                    hidden[min(around, key=lambda row: track.distances(boxes[[row]])[1][0])].append(track)
        for row, track in pairs.items():
            if hidden[row]:
                for member in (track, *hidden[row]):
                    member.stay_within(boxes[row])
            else:
                track.update(boxes[row])
            track.seen, track.matches = time_s, track.matches + 1


def _assign(tracks: list[_Track], boxes: np.ndarray, rows: np.ndarray, before: float) -> dict[int, _Track]:
    """The likeliest assignment of the boxes ``rows`` to tracks, row -> track; ``before`` is the last frame's time."""
    if not tracks or not len(rows):
        return {}
    squared, cost = np.stack([track.distances(boxes[rows]) for track in tracks], axis=1)
    cost += [[0.0 if track.seen == before else _UNSEEN] for track in tracks]
    possible = squared <= _GATE**2
    assigned = zip(*linear_sum_assignment(np.where(possible, cost, _IMPOSSIBLE)), strict=True)
    return {int(rows[column]): tracks[index] for index, column in assigned if possible[index, column]}
