"""Rows of a clip in a fixed number of slots, and the memory around a clip in time (AIA, arXiv 2004.07485).

MODEL.IA_STRUCTURE.LENGTH gives the seconds before and after the clip, MEMORY_RATE the slots per second. Each slot takes
the keyframe nearest to its time, within half a slot (``MemoryPool.lookup``); the clip's own slot takes its current
persons. Empty slots are not masked: attention reads them as the bias of the reduction,
or as zero (``IAStructure``), plus the position of the slot.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from ....structures.bounding_box import BoxList
from ....structures.memory_pool import MemoryPool
from ...precision import at_least_float32


class ClipExtras(TypedDict, total=False):
    """Which keyframe a clip shows; a model with memory needs ``movie_id`` and ``timestamp``.

    ``timestamp`` is the key within the movie (frame index, or AVA's second), ``second`` its time in seconds (default:
    ``timestamp``).
    """

    movie_id: str
    timestamp: int
    second: float


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
    def of_counts(
        cls, counts: Sequence[int], width: int | None, device: torch.device, seeds: Sequence[str] | None = None
    ) -> Slots:
        """Clip k has ``counts[k]`` consecutive rows; where these exceed ``width``, a random subset gets the slots.

        Args:
            width: None: as many slots as the largest clip needs.
            seeds: one per clip, see ``subset``; None draws from torch's global generator.
        """
        if width is None:
            width = max(counts, default=0)
        rows, targets, start = [], [], 0
        for clip, count in enumerate(counts):
            chosen = subset(count, width, None if seeds is None else seeds[clip])
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


def subset(count: int, limit: int, seed: str | None = None) -> Tensor:
    """Indices of at most ``limit`` of ``count`` rows: all in order, or a random subset.

    Args:
        seed: None draws from torch's global generator, as training does. In testing the subset depends on this text
            alone, see ``keyframe_seed``.
    """
    if count <= limit:
        return torch.arange(count)
    # hash() differs from process to process.
    generator = None if seed is None else torch.Generator().manual_seed(zlib.crc32(seed.encode()))
    return torch.randperm(count, generator=generator)[:limit]


def keyframe_seed(extras: Sequence[ClipExtras] | None, clip: int, purpose: str) -> str:
    """Seed of a clip for ``subset`` in testing.

    It depends on the clip's keyframe and on ``purpose`` alone, so that neither the rest of the batch, nor the number of
    processes, nor an earlier evaluation changes a result. Clips without extras share a seed.
    """
    extra: ClipExtras = {} if extras is None else extras[clip]
    return f"{extra.get('movie_id')}/{extra.get('timestamp')}/{purpose}"


@dataclass(frozen=True)
class MemoryWindow:
    """Slots at second + k / rate for k = -before * rate .. after * rate, ``max_per_slot`` persons each.

    Attributes:
        before, after: seconds.
        rate: slots per second.
        penalty: in training, scale stored features by how much the loss has changed since they were stored.
    """

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
        extras: Sequence[ClipExtras] | None,
        pool: MemoryPool | None,
        training: bool,
        current_loss: float | None,
    ) -> tuple[Tensor, Slots]:
        """Remembered features of every clip, and where they belong.

        The slot of the clip itself takes its current persons, detached. Of more than ``max_per_slot`` persons a random
        subset is taken; in testing it is fixed for each keyframe and slot.

        Args:
            persons: [N, C] pooled features of the batch.
            counts: persons of each clip.
            extras: per clip; None only without a pool.
            pool: None is an empty pool.
            current_loss: total loss of the previous iteration; None: not known, nothing is scaled.

        Returns:
            features [R, C] in float32 (float64 for such ``persons``) and the ``Slots`` that arrange them to
            [clips, slots * max_per_slot, C].

        Raises:
            ValueError: a pool without extras.
        """
        current = at_least_float32(persons.detach())
        width = self.slots * self.max_per_slot
        rows, targets, stored = [], [], []
        start, next_row = 0, current.shape[0]

        def choose(clip: int, slot: int, count: int) -> Tensor:
            """Which of ``count`` persons take the slot; notes the slot's places as targets."""
            chosen = subset(count, self.max_per_slot, None if training else keyframe_seed(extras, clip, f"slot {slot}"))
            targets.append(clip * width + slot * self.max_per_slot + torch.arange(len(chosen)))
            return chosen

        for clip, count in enumerate(counts):
            rows.append(start + choose(clip, self.before * self.rate, count))
            start += count
            for slot, boxes in enumerate(self._lookup(pool, extras, clip)):
                if boxes is None or not len(boxes):
                    continue
                chosen = choose(clip, slot, len(boxes))
                factor = penalty_factor(boxes, current_loss) if training and self.penalty else 1.0
                stored.append(boxes.get_field("pooled_feature")[chosen].flatten(1) * factor)
                rows.append(next_row + torch.arange(len(chosen)))
                next_row += len(chosen)
        features = torch.cat([current, torch.cat(stored).to(current)]) if stored else current
        slots = Slots(torch.cat(rows).to(current.device), torch.cat(targets).to(current.device), len(counts), width)
        return features, slots

    def _lookup(self, pool: MemoryPool | None, extras: Sequence[ClipExtras] | None, clip: int) -> list[BoxList | None]:
        if pool is None:
            return []
        if extras is None:
            raise ValueError("extras are None, expected movie_id and timestamp of each clip to look up in the memory")
        extra = extras[clip]
        timestamp = extra["timestamp"]
        second = float(extra.get("second", timestamp))
        return pool.lookup(extra["movie_id"], second, self.before, self.after, self.rate, exclude=int(timestamp))


def penalty_factor(boxes: BoxList, current_loss: float | None) -> float:
    """min / max of the loss when the features were stored and the loss now; 1 where one is unknown or both are 0."""
    if current_loss is None or not boxes.has_field("loss_tag"):
        return 1.0
    tag = float(boxes.get_field("loss_tag"))
    low, high = sorted((tag, float(current_loss)))
    return low / high if high else 1.0
