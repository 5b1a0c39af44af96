"""Keyframes of one recording or movie -> predictions, in batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from ..annotations.boxes import fraction_corners
from ..dataset.collate_batch import Extras, Sample
from ..dataset.transforms.clip_input import ClipInput
from ..errors import UserError
from ..predictions import PredictedPerson, Prediction
from ..structures.bounding_box import BoxList
from .keyframe_scorer import KeyframeScorer
from .load_model import LoadedModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FoundPersons:
    """The persons of one frame, who are to be scored.

    Attributes:
        boxes: float32 [N, 4], continuous pixels inside the frame.
        tracks: N numbers, None where persons are not followed.
        scores: float32 [N] of the boxes.
    """

    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    tracks: tuple[int | None, ...] = ()
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def __len__(self) -> int:
        """Number of persons."""
        return len(self.boxes)

    @classmethod
    def given(cls, boxes: np.ndarray, size: tuple[int, int], source: str) -> FoundPersons:
        """Boxes that the caller names.

        Args:
            boxes: [N, 4] ``x1, y1, x2, y2``, continuous pixels of the frame; what exceeds it is cut off.
            size: width and height of the frame.
            source: what an error calls them.

        Raises:
            UserError: another shape, or a box that is not finite, has no area or lies outside the frame.
        """
        found = np.asarray(boxes, np.float64)
        if found.size == 0:
            return cls()
        if found.ndim != 2 or found.shape[1] != 4 or not np.isfinite(found).all():
            raise UserError(
                f"The boxes of {source} have the shape {list(found.shape)} or are not finite, expected [N, 4] with x1, "
                "y1, x2, y2 in pixels of the frame; correct them."
            )
        inside = np.clip(found, 0, np.array([*size, *size]))
        empty = (inside[:, 2:] <= inside[:, :2]).any(axis=1)
        if empty.any():
            row = int(np.argmax(empty))
            raise UserError(
                f"Box {row + 1} of {source} is {found[row].tolist()}, expected x1, y1, x2, y2 with an area inside the "
                f"frame of {size[0]} x {size[1]} pixels; correct or remove it."
            )
        return cls(inside.astype(np.float32), (None,) * len(found), np.ones(len(found), np.float32))


def fractions(boxes: np.ndarray, size: tuple[int, int], source: str) -> np.ndarray:
    """Corners float32 [N, 4] in pixels as fractions of the frame, as data sets have them."""
    return fraction_corners(boxes.astype(np.float64) / np.array([*size, *size]), "xyxy", lambda row: source)[0]


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A frame whose persons are to be scored.

    Attributes:
        source: name of the recording or movie.
        frame: its number there, the memory's key.
        second: its time.
        size: width and height in pixels.
        persons: who is there.
        picture: see :class:`Prediction`.
        memory_key: keyframes with another one are not in each other's memory; "": the source.
    """

    source: str
    frame: int
    second: float
    size: tuple[int, int]
    persons: FoundPersons
    picture: np.ndarray | None = None
    memory_key: str = ""

    @property
    def extras(self) -> Extras:
        """What the memory needs."""
        return {"movie_id": self.memory_key or self.source, "timestamp": self.frame, "second": self.second}


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
        rows = boxes.get_field("scores")[:, : len(self.loaded.classes)].float().numpy()
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
