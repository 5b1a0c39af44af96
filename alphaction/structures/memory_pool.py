"""Features of persons at other times of the same movie (AIA, arXiv 2004.07485)."""

from __future__ import annotations

import logging
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from .bounding_box import BoxList
from .memory_state import MemoryState, check_state
from .row_store import RowStore

logger = logging.getLogger(__name__)
# Bytes of a keyframe besides its rows, in objects and entries of dicts (measured).
KEYFRAME_BYTES = 700


@dataclass(slots=True)
class _Keyframe:
    second: float
    rows: array
    size: tuple[float, float]
    loss_tag: float | None


class MovieMemory(Mapping[int, BoxList]):
    """Keyframes of one movie: timestamp -> BoxList with the field ``pooled_feature``, made when it is asked for."""

    def __init__(self, store: RowStore) -> None:
        self._store = store
        self._keyframes: dict[int, _Keyframe] = {}
        self._order: tuple[np.ndarray, list[int]] | None = None

    def put(self, timestamp: int, keyframe: _Keyframe) -> None:
        self._keyframes[timestamp] = keyframe
        self._order = None

    def drop(self, timestamp: int) -> None:
        self._store.release(self._keyframes.pop(timestamp).rows)
        self._order = None

    def keyframe(self, timestamp: int) -> _Keyframe:
        return self._keyframes[timestamp]

    def __getitem__(self, timestamp: int) -> BoxList:
        keyframe = self._keyframes[int(timestamp)]
        rows = torch.from_numpy(self._store.read(keyframe.rows))
        boxes = BoxList(rows[:, :4], keyframe.size)
        boxes.add_field("pooled_feature", rows[:, 4:, None, None, None])
        if keyframe.loss_tag is not None:
            boxes.add_field("loss_tag", keyframe.loss_tag)
        return boxes

    def __contains__(self, timestamp: object) -> bool:
        return timestamp in self._keyframes

    def __iter__(self) -> Iterator[int]:
        return iter(self._keyframes)

    def __len__(self) -> int:
        return len(self._keyframes)

    def second(self, timestamp: int) -> float:
        """Time of the keyframe in seconds."""
        return self._keyframes[int(timestamp)].second

    def nearest(self, centers: np.ndarray, half_width: float) -> list[int | None]:
        """Timestamp of the keyframe nearest to each center (seconds) in [center - half_width, center + half_width).

        The interval is half open so that a keyframe fills one slot at most; of two equally near the earlier is taken.
        """
        if not self._keyframes:
            return [None] * len(centers)
        if self._order is None:
            timestamps = sorted(self._keyframes, key=self.second)
            self._order = np.array([self.second(t) for t in timestamps]), timestamps
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

    Everything is stored detached and on the CPU: a pool of all of AVA would not fit on a GPU. Reading gives float32.

    Args:
        dtype: "float32", or "float16": half the space; features beyond 65504 are clipped.
        limit_mb: size at which the keyframes that were put first are dropped; 0: no limit.
        channels: width of the features that ``load_state_dict`` accepts; None: any.

    Attributes:
        asked_slots, filled_slots: slots that ``lookup`` was asked for, and could fill, since ``reset_counts``.
    """

    def __init__(self, dtype: str = "float32", limit_mb: float = 0, channels: int | None = None) -> None:
        self.limit_mb, self.channels = limit_mb, channels
        self._store = RowStore(dtype)
        self._movies: dict[str, MovieMemory] = {}
        # Keys in the order in which they were put.
        self._ages: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._has_warned = False
        self.reset_counts()

    def put(self, movie: str, timestamp: int, boxes: BoxList, second: float | None = None) -> None:
        """Store the persons of a keyframe, replacing earlier ones of the same keyframe.

        Args:
            timestamp: key within the movie (frame index, or AVA's second).
            boxes: with the field ``pooled_feature``; ``loss_tag`` (a float) is stored if there is one.
            second: time of the keyframe in seconds; None: ``timestamp`` seconds.

        Raises:
            ValueError: the stored features have another width.
        """
        features = boxes.get_field("pooled_feature").detach().to("cpu", torch.float32).flatten(1)
        rows = torch.cat([boxes.convert("xyxy").bbox.detach().cpu(), features], dim=1).numpy()
        timestamp = int(timestamp)
        second = float(timestamp if second is None else second)
        tag = float(boxes.get_field("loss_tag")) if boxes.has_field("loss_tag") else None
        if (movie, timestamp) in self._ages:
            self._drop(movie, timestamp)
        self._make_room(len(rows), rows.shape[1])
        self._add(movie, timestamp, _Keyframe(second, self._store.add(rows), boxes.size, tag))

    def forget(self, movie: str, before: float) -> None:
        """Drop the keyframes of a movie that were before that second; ``put`` must have been in order of time."""
        for name, timestamp in [*self._ages]:
            if name == movie and self[movie].second(timestamp) >= before:
                return
            if name == movie:
                self._drop(movie, timestamp)

    def _add(self, movie: str, timestamp: int, keyframe: _Keyframe) -> None:
        if movie not in self._movies:
            self._movies[movie] = MovieMemory(self._store)
        self._movies[movie].put(timestamp, keyframe)
        self._ages[movie, timestamp] = None

    def _drop(self, movie: str, timestamp: int) -> None:
        del self._ages[movie, timestamp]
        self._movies[movie].drop(timestamp)
        if not self._movies[movie]:
            del self._movies[movie]

    def _make_room(self, count: int, width: int) -> None:
        needed = KEYFRAME_BYTES + count * self._store.row_bytes(width)
        while self.limit_mb and self._ages and self._bytes() + needed > self.limit_mb * 2**20:
            self._warn_once()
            self._drop(*next(iter(self._ages)))

    def _warn_once(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "The memory has reached %g MB (MODEL.IA_STRUCTURE.MEMORY_LIMIT_MB) with %d keyframes; the "
                "oldest are dropped from now on",
                self.limit_mb,
                len(self),
            )

    def __getitem__(self, movie: str) -> MovieMemory:
        """Keyframes of a movie; an empty mapping for an unknown one."""
        return self._movies.get(movie) or MovieMemory(self._store)

    def __contains__(self, movie: str) -> bool:
        return movie in self._movies

    def __len__(self) -> int:
        """Number of keyframes."""
        return len(self._ages)

    def movies(self) -> list[str]:
        return list(self._movies)

    def _bytes(self) -> int:
        return self._store.used_bytes + len(self._ages) * KEYFRAME_BYTES

    @property
    def megabytes(self) -> float:
        """Size of the pool."""
        return self._bytes() / 2**20

    def lookup(
        self, movie: str, second: float, before: int, after: int, rate: int = 1, exclude: int | None = None
    ) -> list[BoxList | None]:
        """Stored persons around a time, oldest slot first.

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

    def __str__(self) -> str:
        return f"{len(self)} keyframes, {self.megabytes:.1f} MB, {100 * self.filled_share:.0f} % of the slots filled"

    def state_dict(self) -> MemoryState:
        """The contents for a checkpoint. The blocks are those of the pool itself, not copies."""
        entries = [(movie, timestamp, self._movies[movie].keyframe(timestamp)) for movie, timestamp in self._ages]
        numbers = {movie: number for number, movie in enumerate(self._movies)}
        rows = np.fromiter((row for _, _, keyframe in entries for row in keyframe.rows), np.int64)
        return {
            "movies": list(numbers),
            "movie": torch.tensor([numbers[movie] for movie, _, _ in entries], dtype=torch.int64),
            "timestamps": torch.tensor([timestamp for _, timestamp, _ in entries], dtype=torch.int64),
            "seconds": torch.tensor([keyframe.second for _, _, keyframe in entries], dtype=torch.float64),
            "loss_tags": torch.tensor(
                [float("nan") if keyframe.loss_tag is None else keyframe.loss_tag for _, _, keyframe in entries],
                dtype=torch.float64,
            ),
            "sizes": torch.tensor([keyframe.size for _, _, keyframe in entries], dtype=torch.float64).reshape(-1, 2),
            "counts": torch.tensor([len(keyframe.rows) for _, _, keyframe in entries], dtype=torch.int64),
            "rows": torch.from_numpy(rows),
            "blocks": self._store.blocks(),
        }

    def load_state_dict(self, state: object, source: str = "the state") -> None:
        """Replace the contents with those of ``state_dict``, in this pool's precision and within its limit.

        ``state["blocks"]`` is emptied in the process, so that large pools are not in memory twice.

        Args:
            source: where the state is from, for messages.

        Raises:
            UserError: the state is damaged, or its features are of another width; the contents are as before.
        """
        checked = check_state(state, self.channels, source)
        self._store, self._movies = RowStore(self._store.dtype.name), {}
        self._ages.clear()
        counts, blocks = checked["counts"].numpy(), checked["blocks"]
        first = self._first_that_fits(counts, blocks[0].shape[1] if blocks else 0)
        rows = checked["rows"].numpy()[counts[:first].sum() :]
        moved = self._store.take_over(blocks, rows)
        starts = np.cumsum(counts[first:]) - counts[first:]
        columns = [checked[name][first:].tolist() for name in ("movie", "timestamps", "seconds", "loss_tags", "sizes")]
        for start, count, movie, timestamp, second, tag, size in zip(starts, counts[first:], *columns, strict=True):
            keyframe = _Keyframe(
                second, array("I", moved[start : start + count].tolist()), tuple(size), tag if tag == tag else None
            )
            self._add(checked["movies"][movie], timestamp, keyframe)

    def _first_that_fits(self, counts: np.ndarray, width: int) -> int:
        """Number of the oldest keyframe from which on all fit into the limit."""
        if not self.limit_mb:
            return 0
        sizes = (counts * self._store.row_bytes(width) + KEYFRAME_BYTES)[::-1].cumsum()
        first = len(counts) - int(np.searchsorted(sizes, self.limit_mb * 2**20, side="right"))
        if first:
            self._warn_once()
        return first
