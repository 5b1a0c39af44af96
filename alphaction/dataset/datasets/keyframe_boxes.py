"""Person and object boxes of the keyframes of an RGB set."""

from __future__ import annotations

import logging
import os
from typing import NamedTuple

import numpy as np
import torch

from ...annotations.clip_annotations import ClipAnnotations, read_clip_boxes
from ...structures.bounding_box import BoxList
from .selection import select

logger = logging.getLogger(__name__)


class KeyframeBoxes(NamedTuple):
    """Boxes by keyframe.

    Attributes:
        offsets: int64 [K + 1]; boxes of keyframe k are rows offsets[k] .. offsets[k + 1] - 1.
        corners: float32 [N, 4], inclusive corners in pixels.
        scores: float32 [N], None where boxes have none.
    """

    offsets: np.ndarray
    corners: np.ndarray
    scores: np.ndarray | None = None

    def rows(self, idx: int) -> slice:
        """The rows of keyframe ``idx``."""
        return slice(self.offsets[idx], self.offsets[idx + 1])

    def box_list(self, idx: int, size: np.ndarray) -> BoxList:
        """Boxes of keyframe ``idx``, whose frame has the width and height ``size``; ``scores`` are a field."""
        rows = self.rows(idx)
        boxes = BoxList(torch.from_numpy(self.corners[rows].copy()), size.tolist())
        if self.scores is not None:
            boxes.add_field("scores", torch.from_numpy(self.scores[rows].copy()))
        return boxes


def read_keyframe_boxes(
    path: str | os.PathLike,
    annotations: ClipAnnotations,
    kept: np.ndarray,
    name: str,
    what: str,
    threshold: float = 0.0,
    keep_best: int | None = None,
) -> KeyframeBoxes:
    """Detected boxes of the keyframes ``kept`` (int [J]) of ``annotations``, see :func:`read_clip_boxes`.

    Args:
        name: the data set, for the log.
        what: "persons" or "objects"; of persons, other categories are left out.
    """
    offsets, corners, scores, unknown = read_clip_boxes(
        path, annotations, threshold, keep_best, objects=what == "objects"
    )
    found = KeyframeBoxes(*select(kept, offsets, corners, scores))
    logger.log(
        logging.INFO if len(found.corners) else logging.WARNING,
        "%s: %d %s from %s%s",
        name,
        len(found.corners),
        what,
        os.fspath(path),
        f", {unknown} of other keyframes not used" if unknown else "",
    )
    return found
