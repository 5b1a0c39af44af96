"""Samples -> batch."""

from __future__ import annotations

from typing import TypedDict

import torch

from ..structures.bounding_box import BoxList
from .transforms.clip_input import NativeClips, stack_padded


class Extras(TypedDict):
    """Place of a sample: recording or movie, the memory's key in it, and the time in seconds."""

    movie_id: str
    timestamp: int
    second: float


# slow, fast, boxes, objects or None, extras, keyframe
Sample = tuple[torch.Tensor, torch.Tensor, BoxList, BoxList | None, Extras, int]
Clips = torch.Tensor | NativeClips
Batch = tuple[Clips, Clips, list[BoxList], list[BoxList | None] | None, list[Extras], list[int]]


class BatchCollator:
    """Put the samples of a data set together.

    Clips of one size are stacked as they are. Others are zero-padded at the right and below to the largest of the
    batch: normalized ones here, native ones by ClipInput, after it has scaled each. Boxes keep their clip's size.

    Args:
        size_divisible: the padded size is rounded up to a multiple of this; 0 leaves it as it is.
        native: the clips are not normalized yet, see ClipInput.
    """

    def __init__(self, size_divisible: int = 0, native: bool = False) -> None:
        self.size_divisible, self.native = size_divisible, native

    def __call__(self, samples: list[Sample]) -> Batch:
        """Samples -> slow [B, C, Ts, H, W], fast [B, C, Tf, H, W] (NativeClips where native ones differ in size), boxes
        per clip, objects per clip or None, extras per clip, keyframes."""
        slow, fast, boxes, objects, extras, ids = zip(*samples, strict=True)
        return (
            self._join(slow),
            self._join(fast),
            list(boxes),
            None if all(found is None for found in objects) else list(objects),
            list(extras),
            list(ids),
        )

    def _join(self, clips: tuple[torch.Tensor, ...]) -> Clips:
        if self.native and len({clip.shape[-2:] for clip in clips}) > 1:
            return NativeClips(clips)
        return self.stack(clips)

    def stack(self, clips: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Clips [C, T, h, w] -> [B, C, T, H, W]."""
        return stack_padded(clips, max(self.size_divisible, 1))
