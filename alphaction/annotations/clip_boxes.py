"""Boxes of one-second clips: AlphAction's pixel convention, and the files of detectors.

A box ``[x, y, w, h]`` has the inclusive corners x, y, x + w - 1, y + h - 1.
"""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .json_stream import stream_lists

if TYPE_CHECKING:
    from .clip_annotations import ClipAnnotations

logger = logging.getLogger(__name__)

# What reading an entry raises where it is not as expected.
WRONG = (KeyError, TypeError, ValueError, OverflowError)
# A box may poke out this far (pixels) by rounding.
_TOLERANCE = 0.01
# No detector gives only boxes with shorter sides (pixels); a file of fractions has no others.
_SHORTEST = 2.0


def read_clip_boxes(
    box_file: str | os.PathLike, annotations: ClipAnnotations, threshold: float = 0.0, keep_best: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Detected persons or objects: a list ``[{"image_id", "bbox": [x, y, w, h], "score"}, ...]`` (COCO results).

    ``image_id`` is an image's id or "movie,second"; entries may have ``movie`` and ``timestamp`` instead.

    Args:
        threshold: boxes with a lower score are left out.
        keep_best: at most this many of each keyframe, those with the highest scores.

    Returns:
        offsets int64 [K + 1], boxes float32 [D, 4] (inclusive corners in pixels), scores float32 [D], and the number of
        boxes of keyframes that the annotations do not have.

    Raises:
        UserError: no such file, not JSON, wrong entries, or not one box that belongs to a keyframe, reaches the
            threshold and has an area, or none larger than a pixel.
    """
    path = os.fspath(box_file)
    find = _KeyframeFinder(annotations)
    owners, boxes, scores, number = array("q"), array("d"), array("d"), 0
    for key, entry in stream_lists(path, "box file"):
        if key:
            raise UserError(
                f"The box file {path} holds an object with {key!r}, expected a list of "
                '{"image_id", "bbox", "score"}; write it anew.'
            )
        number += 1
        try:
            score, (x, y, w, h) = float(entry["score"]), entry["bbox"]
            row = find(entry)
            if score >= threshold or score != score:
                boxes.extend((x, y, w, h))
                owners.append(row)
                scores.append(score)
        except WRONG:
            raise UserError(
                f"In {path}, entry {number} is {entry!r}, expected image_id, four numbers as bbox and a "
                "score; correct it."
            ) from None
    if number and not find.found:
        raise UserError(
            f"The box file {path} has {number} boxes, none of a keyframe of the annotations, expected "
            "image ids such as theirs; it belongs to another set."
        )
    owner, score = np.array(owners, np.int64), np.array(scores, np.float32)
    if not np.isfinite(score).all():
        raise UserError(f"The box file {path} has a score that is not finite, expected numbers; correct it.")
    known = owner >= 0
    owner, score, box = owner[known], score[known], np.array(boxes).reshape(-1, 4)[known]
    corners, keep, _ = inclusive_corners(box, annotations.sizes[owner], path)
    if number and not keep.any():
        raise UserError(
            f"The box file {path} has {number} boxes, none with a score of at least {threshold:g} and an "
            "area inside the frame; lower TEST.BOX_THRESH or write it anew."
        )
    if number and (box[keep, 2:] < _SHORTEST).all():
        raise UserError(
            f"The box file {path} has only boxes like {box[keep][0].tolist()}, less than {_SHORTEST:g} "
            "pixels wide and high, expected x, y, width, height in pixels, not fractions; write it anew."
        )
    if 2 * find.unknown > number:
        logger.warning(
            "%s: %d of its %d boxes are of keyframes that the annotations do not have; is it another set's?",
            path,
            find.unknown,
            number,
        )
    owner, score, corners = owner[keep], score[keep], corners[keep].astype(np.float32)
    order = np.argsort(owner, kind="stable") if keep_best is None else np.lexsort((-score, owner))
    if keep_best is not None:
        ranked = owner[order]
        order = order[np.arange(len(ranked)) - np.searchsorted(ranked, ranked) < keep_best]
    offsets = np.searchsorted(owner[order], np.arange(len(annotations.timestamps) + 1))
    return offsets, corners[order], score[order], find.unknown


def inclusive_corners(boxes: np.ndarray, sizes: np.ndarray, path: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Boxes [N, 4] ``x, y, w, h`` -> inclusive corners inside frames of the ``sizes`` [N, 2] (width, height).

    Returns:
        corners float64 [N, 4]; bool [N], False for boxes without an area inside the frame; how many poked out.

    Raises:
        UserError: a number that is not finite.
    """
    finite = np.isfinite(boxes).all(axis=1)
    if not finite.all():
        number = int(np.argmin(finite))
        raise UserError(
            f"In {path}, box {number + 1} is {boxes[number].tolist()}, expected finite numbers; correct or remove it."
        )
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    inside_low, inside_high = np.clip(low, 0, sizes), np.clip(high, 0, sizes)
    keep = (boxes[:, 2:] > 0).all(axis=1) & (inside_high > inside_low).all(axis=1)
    poking = (np.abs(inside_low - low) > _TOLERANCE) | (np.abs(inside_high - high) > _TOLERANCE)
    first = np.minimum(inside_low, sizes - 1)
    corners = np.concatenate([first, np.maximum(inside_high - 1, first)], axis=1)
    return corners, keep, int(np.count_nonzero(poking.any(axis=1) & keep))


def keyframe_name(movie: str, second: int) -> str:
    """``movie,second``: names the keyframe itself, so that no box file of another set can fit by chance."""
    return f"{movie},{second:04d}"


def movie_and_second(entry: Mapping[str, Any], image_id: Any = None) -> tuple[str, int]:
    """Which keyframe an entry of a JSON file is about; ``("", -1)`` where an image id does not say it."""
    if "movie" in entry:
        movie, second = entry["movie"], whole(entry["timestamp"])
    elif image_id is not None:
        movie, _, second = str(image_id).rpartition(",")
        if not movie or not second.strip().isdecimal():
            return "", -1
    else:
        movie, second = os.path.split(entry["file_name"])
        second = os.path.splitext(second)[0]
    if not isinstance(movie, str) or not movie or int(second) < 0:
        raise ValueError("no movie or no second")
    return movie, int(second)


def whole(value: Any) -> int:
    """A whole number, whatever its type; ValueError or TypeError for anything else."""
    if isinstance(value, bool) or int(value) != float(value):
        raise ValueError("no whole number")
    return int(value)


class _KeyframeFinder:
    """Entry of a box file -> its keyframe, -1 for one that the annotations do not have."""

    def __init__(self, annotations: ClipAnnotations) -> None:
        self.annotations = annotations
        self.by_id = annotations.rows
        self.by_keyframe: dict[tuple[str, int], int] = {}
        self.found = self.unknown = 0

    def __call__(self, entry: Mapping[str, Any]) -> int:
        image_id = entry.get("image_id")
        row = self.by_id.get(str(image_id), -1) if image_id is not None else -1
        if row < 0:
            row = self._keyframes().get(movie_and_second(entry, image_id), -1)
        if row < 0:
            self.unknown += 1
        else:
            self.found += 1
        return row

    def _keyframes(self) -> dict[tuple[str, int], int]:
        if not self.by_keyframe:
            movies = self.annotations.movies
            pairs = zip(self.annotations.movie_of.tolist(), self.annotations.timestamps.tolist(), strict=True)
            self.by_keyframe = {(movies[movie], second): row for row, (movie, second) in enumerate(pairs)}
        return self.by_keyframe
