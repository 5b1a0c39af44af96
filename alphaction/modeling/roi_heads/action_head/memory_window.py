"""Rows of a clip in a fixed number of slots, and the memory around it in time (AIA, arXiv 2004.07485)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ....structures.bounding_box import BoxList
from ....structures.memory_pool import MemoryPool


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


@dataclass(frozen=True)
class MemoryWindow:
    """Slots at second + k / rate for k = -before * rate .. after * rate, ``max_per_slot`` persons each."""

    before: int
    after: int
    rate: int
    max_per_slot: int
    penalty: bool

    @property
    def slots(self) -> int:
        return (self.before + self.after) * self.rate + 1

    def gather(
        self,
        persons: Tensor,
        counts: Sequence[int],
        extras: Sequence[dict] | None,
        pool: MemoryPool | None,
        training: bool,
        current_loss: float | None,
    ) -> tuple[Tensor, Slots]:
        """Remembered features of every clip, and where they belong.

        The clip's own slot takes its current persons, detached. In training, with ``penalty``, stored features are
        scaled by how much the loss changed since.

        Args:
            persons: [N, C] pooled features of the batch.
            counts: persons of each clip.
            extras: per clip ``movie_id``, ``timestamp`` and, where the seconds differ from it, ``second``.
            pool: None is an empty pool.
            current_loss: total loss of the last iteration; None: not known, nothing is scaled.

        Returns:
            features [R, C] and the ``Slots`` that arrange them to [clips, slots * max_per_slot, C].
        """
        own = persons.detach().float()
        width = self.slots * self.max_per_slot
        rows, targets, stored = [], [], []
        start, next_row = 0, own.shape[0]
        for clip, count in enumerate(counts):
            chosen = subset(count, self.max_per_slot)
            rows.append(start + chosen)
            targets.append(clip * width + self.before * self.rate * self.max_per_slot + torch.arange(len(chosen)))
            start += count
            for slot, boxes in enumerate(self._lookup(pool, extras, clip)):
                if boxes is None or not len(boxes):
                    continue
                chosen = subset(len(boxes), self.max_per_slot)
                factor = penalty_factor(boxes, current_loss) if training and self.penalty else 1.0
                stored.append(boxes.get_field("pooled_feature")[chosen].flatten(1) * factor)
                rows.append(next_row + torch.arange(len(chosen)))
                targets.append(clip * width + slot * self.max_per_slot + torch.arange(len(chosen)))
                next_row += len(chosen)
        features = torch.cat([own, torch.cat(stored).to(own.device)]) if stored else own
        slots = Slots(torch.cat(rows).to(own.device), torch.cat(targets).to(own.device), len(counts), width)
        return features, slots

    def _lookup(self, pool: MemoryPool | None, extras: Sequence[dict] | None, clip: int) -> list[BoxList | None]:
        if pool is None:
            return []
        if extras is None:
            raise ValueError("a memory look-up needs extras with movie_id and timestamp of every clip")
        extra = extras[clip]
        timestamp = extra["timestamp"]
        return pool.lookup(
            extra["movie_id"],
            float(extra.get("second", timestamp)),
            self.before,
            self.after,
            self.rate,
            exclude=int(timestamp),
        )


def penalty_factor(boxes: BoxList, current_loss: float | None) -> float:
    """min / max of the loss when the features were stored and the loss now; 1 where one is unknown or both are 0."""
    if current_loss is None or not boxes.has_field("loss_tag"):
        return 1.0
    tag = float(boxes.get_field("loss_tag"))
    low, high = sorted((tag, float(current_loss)))
    return low / high if high else 1.0
