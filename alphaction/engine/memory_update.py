"""Filling the memory pool, in training after each iteration and in testing before the second stage."""

from __future__ import annotations

from collections.abc import Sequence

from ..dataset.collate_batch import Extras
from ..structures.bounding_box import BoxList
from ..structures.memory_pool import MemoryPool
from ..utils import processes


def update_memory(
    memory: MemoryPool,
    pooled: Sequence[BoxList],
    extras: Sequence[Extras],
    loss_tag: float | None = None,
) -> None:
    """Put the persons of a batch, of all processes, into every process's memory.

    Args:
        pooled: one BoxList per clip with the field ``pooled_feature``, detached and on the CPU.
        extras: place of each clip.
        loss_tag: weighted total loss of the iteration, in training.
    """
    items = [
        ((extra["movie_id"], extra["timestamp"], extra["second"], b.size), (b.bbox, b.get_field("pooled_feature")))
        for extra, b in zip(extras, pooled, strict=True)
    ]
    for (movie, timestamp, second, size), (corners, features) in processes.exchange(items):
        boxes = BoxList(corners, size)
        boxes.add_field("pooled_feature", features)
        if loss_tag is not None:
            boxes.add_field("loss_tag", loss_tag)
        if len(boxes):
            memory.put(movie, timestamp, boxes, second)
