"""Boxes of persons in one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import UserError


@dataclass(frozen=True)
class Detections:
    """Persons found in one frame.

    Attributes:
        boxes: float32 [N, 4] ``x1, y1, x2, y2``, continuous pixels of the frame: the first pixel reaches from 0 to 1.
        scores: float32 [N], 0 to 1.

    Raises:
        UserError: other shapes, or values that are not finite.
    """

    boxes: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        boxes, scores = np.asarray(self.boxes, np.float32), np.asarray(self.scores, np.float32)
        if boxes.shape != (len(scores), 4) or scores.ndim != 1:
            raise UserError(
                f"Detections have boxes of shape {list(boxes.shape)} and scores of shape {list(scores.shape)}, "
                "expected [N, 4] and [N]; pass one box and one score for each person."
            )
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise UserError(
                "Detections have boxes or scores with NaN or infinity, expected finite ones; drop those boxes."
            )
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scores", scores)

    def __len__(self) -> int:
        """Number of persons."""
        return len(self.scores)

    @classmethod
    def none(cls) -> Detections:
        """No person."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32))

    def select(self, rows: np.ndarray) -> Detections:
        """The persons of a bool [N] mask or of row numbers."""
        return Detections(self.boxes[rows], self.scores[rows])


def check_window(celsius: np.ndarray, key: int, room: np.ndarray | None = None) -> np.ndarray:
    """The window float32 [T, h, w], checked.

    Raises:
        UserError: it is no window of finite temperatures, has no frame ``key``, or ``room`` has another shape.
    """
    celsius = np.asarray(celsius, np.float32)
    if celsius.ndim != 3 or not celsius.size:
        raise UserError(
            f"The window has the shape {list(celsius.shape)}, expected frames [T, h, w] in °C; pass the frames around "
            "the key frame."
        )
    if not 0 <= key < len(celsius):
        raise UserError(f"The key frame is {key}, expected 0 to {len(celsius) - 1}, a frame of the window; correct it.")
    if not np.isfinite(celsius).all():
        raise UserError(
            "The window has pixels with NaN or infinity, expected degrees Celsius; repair the frames first "
            "(alphaction.recordings.repair)."
        )
    if room is not None and room.shape != celsius.shape[1:]:
        raise UserError(
            f"The picture of the room has the shape {list(room.shape)}, expected {list(celsius.shape[1:])}, that of "
            "the frames; make it from frames of the same sensor."
        )
    return celsius
