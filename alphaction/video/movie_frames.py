"""Frames of a movie with their times, by second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError
from .movie_files import open_movie

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Seconds by which a frame may come early and still count for the whole second.
CLOCK = 1e-3
# FFmpeg's AVFMT_NOTIMESTAMPS: raw streams, whose times it only guesses.
_NO_TIMES = 0x80


def video_stream(movie: InputContainer) -> VideoStream:
    """The pictures of a movie that PyAV has opened.

    Raises:
        UserError: it has none, or they have no times.
    """
    if not movie.streams.video:
        raise UserError(f"{movie.name} has no pictures, expected a video; move it away.")
    if int(movie.format.flags) & _NO_TIMES:
        raise _without_times(movie)
    return movie.streams.video[0]


def frames_by_second(
    movie: InputContainer, stream: VideoStream, seconds: list[int], offset: float, short_side: int
) -> Iterator[tuple[int, list[tuple[float, VideoFrame]]]]:
    """(second, its frames with their times) for those of ascending ``seconds`` that have frames.

    Args:
        movie: opened by PyAV.
        stream: its :func:`video_stream`.
        offset, short_side: see :func:`~alphaction.video.cut_videos.cut_movies`.

    Raises:
        UserError: frames that have no times, are stored turned or whose times do not ascend.
    """
    wanted, end = set(seconds), seconds[-1] + 1
    current, last = -1, -float("inf")
    frames: list[tuple[float, VideoFrame]] = []
    for time, frame in _decode_from(movie, stream, seconds[0] - offset):
        if getattr(frame, "rotation", 0):
            raise UserError(
                f"{movie.name} is stored turned by {frame.rotation} degrees, expected upright pictures; "
                "rotate it first, for example with FFmpeg."
            )
        if time <= last:
            raise UserError(
                f"{movie.name} has frames whose times do not ascend ({time:.3f} s after {last:.3f} s), as "
                "in AVI files, which cannot hold them; convert it to mp4 or mkv first."
            )
        last = time
        # Containers keep times in small steps: a frame just before the whole second belongs to it.
        second = int(np.floor(time + offset + CLOCK))
        if second != current:
            if frames:
                yield current, frames
            current, frames = second, []
        if second >= end:
            return
        if second in wanted:
            frames.append((time + offset, _scaled(frame, short_side)))
    if frames:
        yield current, frames


def _decode_from(movie: InputContainer, stream: VideoStream, start: float) -> Iterator[tuple[float, VideoFrame]]:
    """(time in seconds of the file, frame) from a frame at or before ``start`` on."""
    # The container's index leads to a key frame near the time, with some files to one after it.
    for early in (1.0, 30.0) if start > 0 else ():
        target = max(start - early, 0.0) + _beginning(stream)
        movie.seek(int(target / (stream.time_base or 1)), stream=stream)
        decoded = _timed(movie, stream)
        first = next(decoded, None)
        if first is not None and first[0] <= start:
            yield first
            yield from decoded
            return
    # MPEG streams have no index: seeking to their beginning loses the first pictures, reading from it does not.
    with open_movie(Path(movie.name)) as again:
        yield from _timed(again, again.streams.video[0])


def _timed(movie: InputContainer, stream: VideoStream) -> Iterator[tuple[float, VideoFrame]]:
    for frame in movie.decode(stream):
        if frame.time is None:
            raise _without_times(movie)
        yield frame.time - _beginning(stream), frame


def _without_times(movie: InputContainer) -> UserError:
    return UserError(f"{movie.name} has frames without times, expected a video; convert it to mp4 or mkv first.")


def _beginning(stream: VideoStream) -> float:
    return float((stream.start_time or 0) * (stream.time_base or 1))


def _scaled(frame: VideoFrame, short_side: int) -> VideoFrame:
    """The frame with even sides (its color planes have half the size), scaled down where asked for."""
    ratio = min(short_side / min(frame.width, frame.height), 1.0) if short_side > 0 else 1.0
    width, height = (max(2 * round(side * ratio / 2), 2) for side in (frame.width, frame.height))
    return frame.reformat(width, height, "yuv420p", interpolation="AREA" if ratio < 1 else "BILINEAR")
