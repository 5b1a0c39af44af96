"""Keyframes of one recording or movie -> predictions, in batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..annotations.boxes import fraction_corners
from ..dataset.collate_batch import Extras, Sample
from ..dataset.transforms.clip_input import ClipInput
from ..persons.follow import FoundPersons
from ..predictions import PredictedPerson, Prediction
from ..structures.bounding_box import BoxList
from .keyframe_scorer import KeyframeScorer
from .load_model import LoadedModel

logger = logging.getLogger(__name__)


def fractions(boxes: np.ndarray, size: tuple[int, int], source: str) -> np.ndarray:
    """Corners float32 [N, 4] in pixels as fractions of the frame, as data sets have them."""
    return fraction_corners(boxes.astype(np.float64) / np.array([*size, *size]), "xyxy", lambda row: source)[0]


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A frame whose persons are to be scored.

    Attributes:
        source: name of the recording or movie.
        frame: its number there.
        second: its time.
        size: width and height in pixels.
        persons: who is there.
        picture: see :class:`Prediction`.
        memory_key: keyframes with another one are not in each other's memory; "": the source.
        timestamp: the memory's key there; None: ``frame``.
    """

    source: str
    frame: int
    second: float
    size: tuple[int, int]
    persons: FoundPersons
    picture: np.ndarray | None = None
    memory_key: str = ""
    timestamp: int | None = None

    @property
    def extras(self) -> Extras:
        """What the memory needs."""
        timestamp = self.frame if self.timestamp is None else self.timestamp
        return {"movie_id": self.memory_key or self.source, "timestamp": timestamp, "second": self.second}


class PredictionRun:
    """Batches keyframes of one recording, scores them and puts the results together.

    Args:
        loaded: the model.
        normalized: the clips are normalized already, see ``ClipInput``.
        look_ahead: read the memory in both directions, see ``KeyframeScorer``.
        batch: keyframes that are computed together.
    """

    def __init__(self, loaded: LoadedModel, normalized: bool, look_ahead: bool, batch: int = 1) -> None:
        self.loaded, self.batch = loaded, batch
        clip_input = ClipInput.from_cfg(loaded.cfg, is_train=False, normalized=normalized).to(loaded.device)
        self.scorer = KeyframeScorer(loaded.cfg, loaded.model, loaded.device, clip_input, look_ahead)
        self._waiting: list[Sample] = []
        self._keyframes: dict[int, Keyframe] = {}
        self._number = 0
        self._warned = False

    def add(
        self, keyframe: Keyframe, slow: torch.Tensor, fast: torch.Tensor, boxes: BoxList, objects: BoxList | None = None
    ) -> Iterator[Prediction]:
        """Take the next keyframe, with its clips and boxes as a transform makes them; yield what is complete."""
        self._warn_of_many(keyframe)
        self._keyframes[self._number] = keyframe
        self._waiting.append((slow, fast, boxes, objects, keyframe.extras, self._number))
        self._number += 1
        if len(self._waiting) >= self.batch:
            yield from self._flush()

    def finish(self) -> Iterator[Prediction]:
        """Yield the rest."""
        yield from self._flush()
        yield from map(self._complete, self.scorer.finish())

    def _flush(self) -> Iterator[Prediction]:
        samples, self._waiting = self._waiting, []
        yield from map(self._complete, self.scorer.add(samples))

    def _complete(self, scored: tuple[int, BoxList]) -> Prediction:
        number, boxes = scored
        keyframe = self._keyframes.pop(number)
        columns = list(self.loaded.columns or range(len(self.loaded.classes)))
        rows = boxes.get_field("scores")[:, columns].float().numpy()
        found = keyframe.persons
        persons = tuple(
            PredictedPerson(box, row, track, float(score))
            for box, row, track, score in zip(found.boxes, rows, found.tracks, found.scores, strict=True)
        )
        return Prediction(
            keyframe.second,
            persons,
            self.loaded.classes,
            keyframe.source,
            keyframe.frame,
            keyframe.picture,
            keyframe.size,
        )

    def _warn_of_many(self, keyframe: Keyframe) -> None:
        ia = self.loaded.cfg.MODEL.IA_STRUCTURE
        if ia.ACTIVE and len(keyframe.persons) > ia.MAX_PERSON and not self._warned:
            self._warned = True
            logger.warning(
                "%s has %d persons at %.1f s, more than MODEL.IA_STRUCTURE.MAX_PERSON %d: each is scored, but only %d "
                "of them are seen by the others",
                keyframe.source,
                len(keyframe.persons),
                keyframe.second,
                ia.MAX_PERSON,
                ia.MAX_PERSON,
            )
