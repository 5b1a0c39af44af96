"""Samples -> batch."""

from __future__ import annotations

from typing import TypedDict

import torch
from torch.nn import functional as F

from ..structures.bounding_box import BoxList


class Extras(TypedDict):
    """Place of a sample: recording or movie, the memory's key in it, and the time in seconds."""

    movie_id: str
    timestamp: int
    second: float


# slow, fast, boxes, objects or None, extras, keyframe
Sample = tuple[torch.Tensor, torch.Tensor, BoxList, BoxList | None, Extras, int]
Batch = tuple[torch.Tensor, torch.Tensor, list[BoxList], list[BoxList | None] | None, list[Extras], list[int]]


class BatchCollator:
    """Put the samples of a data set together.

    Clips of one size are stacked as they are; others are zero-padded at the right and below to the largest of the
    batch. Boxes keep their clip's size.

    Args:
        size_divisible: the padded size is rounded up to a multiple of this; 0 for clips that are not normalized yet,
            which ClipInput pads after scaling.
    """

    def __init__(self, size_divisible: int = 0) -> None:
        self.size_divisible = size_divisible

    def __call__(self, samples: list[Sample]) -> Batch:
        """Samples -> slow [B, C, Ts, H, W], fast [B, C, Tf, H, W], boxes per clip, objects per clip or None, extras per
        clip, keyframes."""
        slow, fast, boxes, objects, extras, ids = zip(*samples, strict=True)
        return (
            self.stack(slow),
            self.stack(fast),
            list(boxes),
            None if all(found is None for found in objects) else list(objects),
            list(extras),
            list(ids),
        )

    def stack(self, clips: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Clips [C, T, h, w] -> [B, C, T, H, W]."""
        height, width = (max(clip.shape[axis] for clip in clips) for axis in (-2, -1))
        if self.size_divisible > 0:
            height += -height % self.size_divisible
            width += -width % self.size_divisible
        return torch.stack([_pad(clip, height, width) for clip in clips])


def _pad(clip: torch.Tensor, height: int, width: int) -> torch.Tensor:
    right, below = width - clip.shape[-1], height - clip.shape[-2]
    return F.pad(clip, (0, right, 0, below)) if right or below else clip
