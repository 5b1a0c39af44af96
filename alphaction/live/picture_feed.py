"""Frames for the video of the results, beside those that are predicted on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ..recordings.frame_sequence import FrameSource
from ..video.movie_stream import MovieStream

# Gives the frames up to a time that were not given yet: time and picture.
Pictures = Callable[[float], Iterator[tuple[float, np.ndarray]]]


def recorded_pictures(source: FrameSource) -> Pictures:
    """The frames of a recording up to a time that were not given yet."""
    place = 0

    def until(time: float) -> Iterator[tuple[float, np.ndarray]]:
        nonlocal place
        while place < len(source) and float(source.seconds(place)) <= time:
            place += 1
            yield float(source.seconds(place - 1)), source.window(place - 1, 1)[0]

    return until


def tee_pictures(
    frames: Iterable[tuple[float, np.ndarray]], keep: int = 128
) -> tuple[Iterator[tuple[float, np.ndarray]], Pictures]:
    """Frames that pass through, and what gives them again up to a time; of those not asked for, the last are kept."""
    passed: deque[tuple[float, np.ndarray]] = deque(maxlen=keep)

    def passing() -> Iterator[tuple[float, np.ndarray]]:
        for time, frame in frames:
            passed.append((time, frame))
            yield time, frame

    def until(time: float) -> Iterator[tuple[float, np.ndarray]]:
        while passed and passed[0][0] <= time:
            yield passed.popleft()

    return passing(), until


def movie_pictures(stream: MovieStream, rate: float | None) -> tuple[Iterator[tuple[float, np.ndarray]], Pictures]:
    """The frames to predict on, and those of the video: of a file, read a second time, since results come later."""
    if stream.is_live:
        return tee_pictures(_thinned(stream))
    again = _thinned(MovieStream(stream.source, rate))
    left: list[tuple[float, np.ndarray]] = []

    def until(time: float) -> Iterator[tuple[float, np.ndarray]]:
        while item := left.pop() if left else next(again, None):
            if item[0] > time:
                left.append(item)
                return
            yield item

    return iter(stream), until


def _thinned(frames: Iterable[tuple[float, np.ndarray]], rate: float = 25.0) -> Iterator[tuple[float, np.ndarray]]:
    """At most ``rate`` frames a second."""
    due = -1.0
    for time, frame in frames:
        if time >= due - 1e-3:
            due = max(due + 1 / rate, time - 1 / rate)
            yield time, frame
