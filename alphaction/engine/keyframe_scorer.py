"""Scoring the keyframes of one recording in order of time, with a memory that forgets what no keyframe needs again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ..config.node import ConfigNode
from ..dataset.collate_batch import BatchCollator, Extras, Sample
from ..dataset.transforms.clip_input import ClipInput
from ..modeling.detector import ActionDetector
from ..structures.bounding_box import BoxList
from .prepare import prepare_memory

CPU = torch.device("cpu")


@dataclass
class _Pooled:
    """A keyframe whose persons are in the memory but not scored yet."""

    number: int
    persons: BoxList
    objects: BoxList | None
    extras: Extras


class KeyframeScorer:
    """Class scores of keyframes that arrive in order of time, by the code that evaluates a test set.

    ``inference`` keeps the features of a whole test set; this keeps those within MODEL.IA_STRUCTURE.LENGTH, so that
    its memory does not grow with the recording.

    Args:
        cfg: the configuration of the model.
        model: in evaluation mode, on ``device``.
        device: where it computes.
        clip_input: brings the clips to the network's input.
        look_ahead: read the memory in both directions: a keyframe is scored when those after it, as far as the memory
            reaches, have been added. Otherwise it is scored at once, from those before it.
    """

    def __init__(
        self, cfg: ConfigNode, model: ActionDetector, device: torch.device, clip_input: ClipInput, look_ahead: bool
    ) -> None:
        self.model, self.device, self.clip_input = model, device, clip_input
        self.look_ahead = look_ahead
        self.classes = cfg.MODEL.ROI_ACTION_HEAD.NUM_CLASSES
        normalized = clip_input.normalized
        self.collate = BatchCollator(cfg.DATALOADER.SIZE_DIVISIBILITY if normalized else 0, native=not normalized)
        self.memory = prepare_memory(cfg) if model.has_memory else None
        before, after = cfg.MODEL.IA_STRUCTURE.LENGTH
        half_slot = 0.5 / cfg.MODEL.IA_STRUCTURE.MEMORY_RATE
        self.before, self.after = before + half_slot, after + half_slot
        self.pending: deque[_Pooled] = deque()

    @torch.inference_mode()
    def add(self, samples: Sequence[Sample]) -> Iterator[tuple[int, BoxList]]:
        """Take the next keyframes, and score those that nothing later changes.

        Args:
            samples: as a data set gives them, in order of time.

        Yields:
            number of the sample, and its boxes in model pixels on the CPU with the field ``scores`` [n, NUM_CLASSES];
            in order.
        """
        for pooled in self._pool(samples):
            self.pending.append(pooled)
            if self.memory is not None and len(pooled.persons):
                extras = pooled.extras
                self.memory.put(extras["movie_id"], extras["timestamp"], pooled.persons, extras["second"])
            if not self.look_ahead:
                yield from self._score(len(self.pending))
        if self.look_ahead and self.pending:
            newest = self.pending[-1].extras["second"]
            waits = self.after if self.memory is not None else 0.0
            ready = sum(pooled.extras["second"] + waits <= newest for pooled in self.pending)
            yield from self._score(ready)

    @torch.inference_mode()
    def finish(self) -> Iterator[tuple[int, BoxList]]:
        """Score what is left at the end of the recording; see :meth:`add`."""
        yield from self._score(len(self.pending))

    def _pool(self, samples: Sequence[Sample]) -> list[_Pooled]:
        """Features of the keyframes; those without a person are not computed."""
        pooled = {sample[5]: _Pooled(sample[5], sample[2].copy_with_fields([]), None, sample[4]) for sample in samples}
        occupied = [sample for sample in samples if len(sample[2])]
        if occupied:
            slow, fast, boxes, objects, _, ids = self.collate(occupied)
            slow, fast = self.clip_input(slow.to(self.device)), self.clip_input(fast.to(self.device))
            placed = None if objects is None else [found.to(self.device) for found in objects if found is not None]
            persons, things = self.model.pool_features(slow, fast, [box.to(self.device) for box in boxes], placed)
            for place, number in enumerate(ids):
                pooled[number].persons = persons[place].to(CPU)
                pooled[number].objects = None if things is None else things[place].to(CPU)
        return list(pooled.values())

    def _score(self, count: int) -> Iterator[tuple[int, BoxList]]:
        """Scores of the first ``count`` pending keyframes."""
        ready = [self.pending.popleft() for _ in range(count)]
        occupied = [pooled for pooled in ready if len(pooled.persons)]
        scored: dict[int, BoxList] = {}
        if occupied:
            objects = [pooled.objects for pooled in occupied]
            found = self.model.score(
                [pooled.persons.to(self.device) for pooled in occupied],
                None if objects[0] is None else [one.to(self.device) for one in objects if one is not None],
                [{**pooled.extras} for pooled in occupied],
                self.memory,
            )
            scored = {pooled.number: boxes.to(CPU) for pooled, boxes in zip(occupied, found, strict=True)}
        for pooled in ready:
            if pooled.number not in scored:
                pooled.persons.add_field("scores", torch.zeros(0, self.classes))
            yield pooled.number, scored.get(pooled.number, pooled.persons)
        if ready and self.memory is not None:
            oldest = self.pending[0].extras["second"] if self.pending else ready[-1].extras["second"]
            self.memory.forget(ready[-1].extras["movie_id"], oldest - self.before)
