"""Rows that belong to the clips of a batch, arranged in a fixed number of slots per clip."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Slots:
    """Which row sits in which slot.

    Args:
        rows: int64 [R], rows of the flat tensor that have a slot.
        targets: int64 [R], clip * width + slot of each.
        clips: number of clips.
        width: slots per clip.
    """

    def __init__(self, rows: Tensor, targets: Tensor, clips: int, width: int) -> None:
        self.rows = rows
        self.targets = targets
        self.clips = clips
        self.width = width

    @classmethod
    def of_counts(cls, counts: Sequence[int], width: int | None, device: torch.device) -> Slots:
        """Clip k has ``counts[k]`` consecutive rows; where that is more than ``width``, a random subset gets the slots.

        ``width`` None: as many as the largest clip needs.
        """
        if width is None:
            width = max(counts, default=0)
        rows, targets, start = [], [], 0
        for clip, count in enumerate(counts):
            chosen = subset(count, width)
            rows.append(start + chosen)
            targets.append(clip * width + torch.arange(len(chosen)))
            start += count
        return cls(torch.cat(rows).to(device), torch.cat(targets).to(device), len(counts), width)

    def arrange(self, x: Tensor, filler: Tensor | None = None) -> Tensor:
        """[rows, C] -> [clips, width, C]; unused slots hold ``filler`` [C], or zero."""
        total = self.clips * self.width
        base = x.new_zeros(total, x.shape[1]) if filler is None else filler.to(x.dtype).expand(total, -1)
        return base.index_copy(0, self.targets, x[self.rows]).unflatten(0, (self.clips, self.width))

    def collect(self, y: Tensor) -> Tensor:
        """[clips, width, C] -> [R, C], the inverse of ``arrange`` where every row has a slot."""
        return y.flatten(0, 1)[self.targets]


def subset(count: int, limit: int) -> Tensor:
    """Indices of at most ``limit`` of ``count`` things: all in order, or a random subset."""
    return torch.randperm(count)[:limit] if count > limit else torch.arange(count)
