"""Persons as what is warmer than the room, without training: background subtraction and connected components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .detections import Detections, check_window
from .room import room_picture

# Larger sensors are smoothed to about this many pixels, in which a person is one component.
_PIXELS = 40 * 60
_CONNECTED = np.ones((3, 3), bool)


@dataclass(frozen=True)
class BackgroundDetector:
    """Finds persons as warm components.

    Attributes:
        threshold: °C by which a pixel of a person is warmer than the room.
        peak: °C by which its warmest part is.
        smallest, largest: share of the frame's pixels that a person covers.
    """

    threshold: float = 1.2
    peak: float = 2.0
    smallest: float = 0.006
    largest: float = 0.4

    def detect(self, celsius: np.ndarray, key: int, room: np.ndarray | None = None) -> Detections:
        """Persons in frame ``key`` of a window.

        Args:
            celsius: [T, h, w] repaired °C.
            key: number of the frame in the window.
            room: the room [h, w] without persons, see :mod:`alphaction.persons.room`; by default that of the window,
                which shows persons who do not move meanwhile.

        Raises:
            UserError: see :func:`check_window`.
        """
        celsius = check_window(celsius, key, room)
        excess = celsius[max(key - 1, 0) : key + 2].mean(axis=0) - (room_picture(celsius) if room is None else room)
        # A sensor that warms up shifts all pixels alike.
        excess -= np.median(excess)
        smooth = ndimage.uniform_filter(excess, max(round(np.sqrt(excess.size / _PIXELS)), 1))
        labels, count = ndimage.label(smooth > self.threshold, _CONNECTED)
        if not count:
            return Detections.none()
        numbers = np.arange(1, count + 1)
        share = ndimage.sum_labels(np.ones_like(excess), labels, numbers) / excess.size
        mean, most = ndimage.mean(excess, labels, numbers), ndimage.maximum(smooth, labels, numbers)
        boxes = np.array([(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(labels)], np.float32)
        # Warm and large components come first; those at both limits have 0.5.
        scores = np.sqrt(mean / (mean + self.threshold) * share / (share + self.smallest))
        kept = (share >= self.smallest) & (share <= self.largest) & (most >= self.peak)
        return Detections(boxes, scores).select(np.flatnonzero(kept))
