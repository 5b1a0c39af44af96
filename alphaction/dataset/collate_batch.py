"""Samples -> batch."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F


class BatchCollator:
    """Put the samples of a data set together.

    Clips of one size are stacked as they are when they are native (one channel: they are padded where they are scaled
    up, see ClipInput). Others are zero-padded at the right and below to the largest of the batch, rounded up to a
    multiple of ``size_divisible``; boxes keep their clip's size.
    """

    def __init__(self, size_divisible: int = 0) -> None:
        self.size_divisible = size_divisible

    def __call__(self, samples: list[tuple]) -> tuple[torch.Tensor, torch.Tensor, list, list | None, list[dict], list]:
        """[(slow, fast, boxes, objects, extras, idx), ...] -> (slow [B, C, Ts, H, W], fast [B, C, Tf, H, W], boxes per
        clip, object boxes per clip or None, extras per clip, ids)."""
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
        if self.size_divisible > 0 and clips[0].shape[0] != 1:
            height += -height % self.size_divisible
            width += -width % self.size_divisible
        return torch.stack([_pad(clip, height, width) for clip in clips])


def _pad(clip: torch.Tensor, height: int, width: int) -> Any:
    right, below = width - clip.shape[-1], height - clip.shape[-2]
    return F.pad(clip, (0, right, 0, below)) if right or below else clip
