"""Files of detected boxes (COCO results), for thermal recordings and clips alike."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import entries
from .entries import EntryError
from .json_files import stream_lists


@dataclass
class Detections:
    """Detected boxes with a score of at least the threshold, of keyframes that the annotations have.

    Attributes:
        owners: int64 [D], image of each box.
        boxes: float64 [D, 4] as in the file.
        scores: float32 [D].
        numbers: int64 [D], entry of the file, from 1.
        total: entries of the file.
        unknown: how many of them belong to other keyframes.
        first_unknown: message for the first of these, or None.
    """

    owners: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    numbers: np.ndarray
    total: int
    unknown: int
    first_unknown: str | None


def read_detections(path: str | os.PathLike, find: Callable[[object], int], threshold: float) -> Detections:
    """Read detected boxes: a list ``[{"image_id", "bbox", "score"}, ...]`` (COCO results).

    Args:
        path: the file.
        find: entry -> image, -1 for a keyframe that the annotations do not have; raises EntryError.
        threshold: boxes with a lower score are left out.

    Raises:
        UserError: no such file, not JSON, not a list, wrong entries.
    """
    path = os.fspath(path)
    owners, boxes, scores, numbers = array("q"), array("d"), array("d"), array("q")
    total = unknown = 0
    first_unknown: str | None = None
    for total, (_, entry) in enumerate(stream_lists(path, "box file", ("",)), 1):
        try:
            score, box, owner = entries.number(entry, "score"), entries.box(entry), find(entry)
        except EntryError as error:
            raise entries.in_file(path, f"entry {total}", error) from None
        if owner < 0:
            unknown += 1
            image_id = entry.get("image_id") if isinstance(entry, dict) else None
            first_unknown = first_unknown or (
                f"In {path}, entry {total} belongs to the unknown image {entries.short(image_id)}"
            )
        elif score >= threshold:
            owners.append(owner)
            boxes.extend(box)
            scores.append(score)
            numbers.append(total)
    return Detections(
        np.array(owners, np.int64),
        np.array(boxes).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(numbers, np.int64),
        total,
        unknown,
        first_unknown,
    )
