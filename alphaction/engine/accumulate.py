"""Gradient accumulation: a batch in parts whose gradients add up to those of the whole (SOLVER.ACCUMULATE)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..dataset.transforms.clip_input import NativeClips
from ..utils import processes


def split_batch(batch: tuple, count: int) -> list[tuple]:
    """The clips of a batch of the loader in ``count`` parts of nearly equal size, without empty ones."""
    clips = len(batch[2])
    if count == 1 or clips < 2:
        return [batch]
    size = math.ceil(clips / count)
    return [tuple(_clips(item, start, start + size) for item in batch) for start in range(0, clips, size)]


def _clips(item: object, start: int, stop: int) -> object:
    """Some clips of one entry of a batch."""
    if item is None:
        return None
    return NativeClips(item.clips[start:stop]) if isinstance(item, NativeClips) else item[start:stop]  # type: ignore[index]


def person_shares(parts: Sequence[tuple], persons_per_clip: int) -> list[float]:
    """Of each part, the share of the batch's persons: losses are means over persons, so these are its weights.

    Args:
        persons_per_clip: as many persons of a clip are trained on at most.
    """
    if len(parts) == 1:
        return [1.0]
    counts = {str(i): float(sum(min(len(b), persons_per_clip) for b in part[2])) for i, part in enumerate(parts)}
    # The loss of a process is divided by the mean number of persons over the processes.
    means = list(processes.mean_over_processes(counts).values())
    return [mean / (sum(means) or 1.0) for mean in means]


def weighted_means(rows: Sequence[dict[str, float]], shares: Sequence[float]) -> dict[str, float]:
    """Losses and measures of the whole batch from those of its parts; a part without persons has no measures."""
    if len(rows) == 1:
        return rows[0]
    names = dict.fromkeys(name for row in rows for name in row)
    means = {}
    for name in names:
        known = [(row[name], share) for row, share in zip(rows, shares, strict=True) if name in row]
        total = sum(share for _, share in known)
        means[name] = sum(value * share for value, share in known) / (total or 1.0)
    return means
