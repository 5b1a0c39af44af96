"""Features of persons at other times of the same movie (AIA, arXiv 2004.07485)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from .bounding_box import BoxList


class MovieMemory(Mapping[int, BoxList]):
    """Keyframes of one movie: timestamp -> BoxList with the field ``pooled_feature``."""

    def __init__(self) -> None:
        self._boxes: dict[int, BoxList] = {}
        self._seconds: dict[int, float] = {}
        self._order: tuple[np.ndarray, list[int]] | None = None

    def put(self, timestamp: int, boxes: BoxList, second: float) -> None:
        if self._seconds.get(timestamp) != second:
            self._order = None
        self._boxes[timestamp] = boxes
        self._seconds[timestamp] = second

    def __getitem__(self, timestamp: int) -> BoxList:
        return self._boxes[int(timestamp)]

    def __iter__(self) -> Iterator[int]:
        return iter(self._boxes)

    def __len__(self) -> int:
        return len(self._boxes)

    def second(self, timestamp: int) -> float:
        """When the keyframe is, in seconds."""
        return self._seconds[int(timestamp)]

    def nearest(self, centers: np.ndarray, half_width: float) -> list[int | None]:
        """Timestamp of the keyframe nearest to each center (seconds) in [center - half_width, center + half_width).

        The interval is half open so that a keyframe fills one slot at most; of two equally near the earlier is taken.
        """
        if not self._boxes:
            return [None] * len(centers)
        if self._order is None:
            timestamps = sorted(self._seconds, key=self._seconds.__getitem__)
            self._order = np.array([self._seconds[t] for t in timestamps]), timestamps
        seconds, timestamps = self._order
        after = np.searchsorted(seconds, centers)
        before = np.clip(after - 1, 0, None)
        after = np.clip(after, None, len(seconds) - 1)
        best = np.where(centers - seconds[before] <= seconds[after] - centers, before, after)
        # A center below all keyframes has before == after == 0.
        offset = seconds[best] - centers
        inside = (offset >= -half_width) & (offset < half_width)
        return [timestamps[i] if ok else None for i, ok in zip(best, inside, strict=True)]


class MemoryPool:
    """movie -> timestamp -> BoxList with ``pooled_feature`` [n, C, 1, 1, 1] and, in training, ``loss_tag``.

    Everything is kept detached, in float32 and on the CPU: a pool of all of AVA would not fit on a GPU.

    Attributes:
        asked_slots, filled_slots: how many slots ``lookup`` was asked for and could fill, since ``reset_counts``.
    """

    def __init__(self) -> None:
        self._movies: dict[str, MovieMemory] = {}
        self.reset_counts()

    def put(self, movie: str, timestamp: int, boxes: BoxList, second: float | None = None) -> None:
        """Remember the persons of a keyframe, in place of what was known of it.

        Args:
            timestamp: key within the movie (frame index, or AVA's second).
            boxes: with the field ``pooled_feature``; ``loss_tag`` (a float) is kept when there is one.
            second: when that is, in seconds; None: at ``timestamp`` seconds.
        """
        # Copies: what is given is often a view of all persons of a batch, which would stay in memory as a whole.
        kept = BoxList(boxes.bbox.detach().to("cpu", copy=True), boxes.size, boxes.mode)
        kept.add_field("pooled_feature",
                       boxes.get_field("pooled_feature").detach().to("cpu", torch.float32, copy=True))
        if boxes.has_field("loss_tag"):
            kept.add_field("loss_tag", float(boxes.get_field("loss_tag")))
        timestamp = int(timestamp)
        memory = self._movies.setdefault(movie, MovieMemory())
        memory.put(timestamp, kept, float(timestamp if second is None else second))

    def __getitem__(self, movie: str) -> MovieMemory:
        """Keyframes of a movie; an empty mapping for one that was never seen."""
        return self._movies.get(movie) or MovieMemory()

    def __contains__(self, movie: str) -> bool:
        return movie in self._movies

    def __len__(self) -> int:
        """Number of keyframes."""
        return sum(len(memory) for memory in self._movies.values())

    def movies(self) -> list[str]:
        return list(self._movies)

    def lookup(self, movie: str, second: float, before: int, after: int, rate: int = 1,
               exclude: int | None = None) -> list[BoxList | None]:
        """What is remembered around a moment, oldest slot first.

        Slot k = -before * rate .. after * rate is at ``second + k / rate`` and takes the keyframe nearest to it within
        half a slot. For keyframes on whole seconds and rate 1 that is the keyframe of exactly that second.

        Args:
            before, after: seconds.
            rate: slots per second.
            exclude: timestamp of the clip's own keyframe, which fills no slot.

        Returns:
            ``(before + after) * rate + 1`` entries; the own slot (index ``before * rate``) is always None.
        """
        steps = np.arange(-before * rate, after * rate + 1)
        memory = self[movie]
        found = memory.nearest(second + steps / rate, 0.5 / rate)
        found[before * rate] = None
        slots = [memory[t] if t is not None and t != exclude else None for t in found]
        self.asked_slots += len(slots) - 1
        self.filled_slots += sum(slot is not None for slot in slots)
        return slots

    @property
    def filled_share(self) -> float:
        """Share of the asked slots that could be filled (own slots not counted); 0 before the first look-up."""
        return self.filled_slots / self.asked_slots if self.asked_slots else 0.0

    def reset_counts(self) -> None:
        self.asked_slots = self.filled_slots = 0

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Tensors only: per movie timestamps, seconds, loss tags (NaN: none), person counts, sizes, boxes, features."""
        return {movie: _pack(memory) for movie, memory in self._movies.items() if len(memory)}

    def load_state_dict(self, state: dict[str, dict[str, Tensor]]) -> None:
        """Replace the contents with those of ``state_dict``."""
        self._movies = {}
        for movie, packed in state.items():
            counts = packed["counts"].tolist()
            rows = zip(packed["timestamps"].tolist(), packed["seconds"].tolist(), packed["loss_tags"].tolist(),
                       packed["sizes"].tolist(), packed["boxes"].split(counts), packed["features"].split(counts),
                       strict=True)
            for timestamp, second, loss_tag, size, bbox, features in rows:
                boxes = BoxList(bbox, size)
                boxes.add_field("pooled_feature", features)
                if loss_tag == loss_tag:
                    boxes.add_field("loss_tag", loss_tag)
                self.put(movie, timestamp, boxes, second)


def _pack(memory: MovieMemory) -> dict[str, Tensor]:
    entries = [boxes.convert("xyxy") for boxes in memory.values()]
    tags = [boxes.get_field("loss_tag") if boxes.has_field("loss_tag") else float("nan") for boxes in entries]
    return {
        "timestamps": torch.tensor(list(memory), dtype=torch.int64),
        "seconds": torch.tensor([memory.second(t) for t in memory], dtype=torch.float64),
        "loss_tags": torch.tensor(tags, dtype=torch.float64),
        "counts": torch.tensor([len(boxes) for boxes in entries], dtype=torch.int64),
        "sizes": torch.tensor([list(boxes.size) for boxes in entries], dtype=torch.float64),
        "boxes": torch.cat([boxes.bbox for boxes in entries]),
        "features": torch.cat([boxes.get_field("pooled_feature") for boxes in entries]),
    }
