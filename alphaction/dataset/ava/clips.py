"""One-second clips of movies: ``<root>/<movie>/<second>.mp4``; the clip of second t starts with the frame at t.

OpenCV decodes them: the transforms need it anyway, its wheels bring FFmpeg's decoders along for every platform, and
reading whole clips from their first frame on needs nothing that PyAV would add.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import cv2
import numpy as np

from ...errors import UserError

VIDEO_SUFFIXES = (".mp4", ".mkv", ".avi", ".webm", ".mov", ".m4v")
# Rates outside are what containers say when they do not know.
_RATES = (1.0, 240.0)
# A clip of more than this many times its rate is longer than a second, however it was cut.
_TOO_LONG = 1.5


class Window(NamedTuple):
    """Frames around a keyframe.

    Attributes:
        frames: uint8 [T, h, w, 3] RGB.
        torn: path of the first clip of the window that is torn, short or longer than a second, None when all are whole.
        at_end: neighbours were missing, end frames stand in for them.
    """

    frames: np.ndarray
    torn: str | None
    at_end: bool


class MovieClips:
    """The clips of one movie; its folder is listed once. Hidden files (half-written ones) do not count.

    Attributes:
        folder: where they are.
        seconds: int32 [S], the seconds that have a clip, ascending.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = os.fspath(folder)
        names = sorted(name for name in os.listdir(self.folder) if _second(name) is not None)
        seconds, first = np.unique(np.array([_second(name) for name in names], np.int64), return_index=True)
        self.seconds = seconds.astype(np.int32)
        self._names = np.array([names[i].encode() for i in first], dtype=np.bytes_)

    def path(self, second: int) -> str | None:
        """The clip of a second, None where there is none."""
        place = int(np.searchsorted(self.seconds, second))
        if place == len(self.seconds) or self.seconds[place] != second:
            return None
        return os.path.join(self.folder, self._names[place].decode())

    def expected_path(self, second: int) -> str:
        """Where the clip of a second should be, spelled as the movie's others are."""
        stem, suffix = os.path.splitext(self._names[0].decode()) if len(self.seconds) else ("", ".mp4")
        width = len(stem) if stem.startswith("0") else 0
        return os.path.join(self.folder, f"{second:0{width}d}{suffix}")

    def window(self, second: int, before: int, after: int) -> Window:
        """The keyframe at ``second``, ``before`` frames before it and ``after`` frames after it.

        Clips t - 1, t - 2, ... and t + 1, ... give as many frames as are needed. A clip with fewer frames than its
        rate promises repeats its last one; where neighbours are missing or unreadable the end frame is repeated.

        Raises:
            UserError: neither the keyframe's clip nor one beside it can be read.
        """
        torn: list[str] = []
        earlier, later = [], self._frames(second, torn)
        if not later:
            later = self._stand_in(second, torn)
        step, at_end = 1, False
        while len(later) < after + 1:
            found = self._frames(second + step, torn)
            if not found:
                later += [later[-1]] * (after + 1 - len(later))
                at_end = True
            later += found
            step += 1
        step = 1
        while len(earlier) < before:
            found = self._frames(second - step, torn)
            if not found:
                found = [(earlier or later)[0]] * (before - len(earlier))
                at_end = True
            earlier = found + earlier
            step += 1
        chosen = earlier[len(earlier) - before:] + later[:after + 1]
        return Window(_stack(chosen, later[0].shape), torn[0] if torn else None, at_end)

    def keyframe(self, second: int) -> np.ndarray:
        """The first frame of a clip, uint8 [h, w, 3] RGB."""
        return self.window(second, 0, 0).frames[0]

    def _frames(self, second: int, torn: list[str]) -> list[np.ndarray]:
        """BGR frames of a clip, none where it is missing; torn and short ones are filled up; these and long ones are
        noted."""
        path = self.path(second)
        if path is None:
            return []
        frames, rate = read_frames(path)
        promised = round(rate) if rate else len(frames)
        # One frame less is what cutting at whole seconds leaves of 29.97 frames per second.
        if not frames or len(frames) < promised - 1:
            torn.append(path)
            frames += frames[-1:] * (promised - len(frames))
        elif len(frames) > _TOO_LONG * promised + 1:
            torn.append(path)
        return frames

    def _stand_in(self, second: int, torn: list[str]) -> list[np.ndarray]:
        """What an unreadable keyframe's clip is replaced by: the frame next to it, for as long as a clip is."""
        for neighbour, place in ((second - 1, -1), (second + 1, 0)):
            frames = self._frames(neighbour, torn)
            if frames:
                return [frames[place]] * len(frames)
        raise UserError(f"The clip {self.path(second)} and those beside it cannot be read, expected videos; cut the "
                        "movie anew with tools/process_ava_videos.py or remove the clip's keyframe.")


def find_clips(root: str | os.PathLike, movie: str) -> MovieClips:
    """The clips of a movie below ``root``.

    Raises:
        UserError: there is no such folder.
    """
    folder = os.path.join(root, movie)
    try:
        return MovieClips(folder)
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be listed ({error.strerror}), expected the clips of the movie "
                        f"{movie} as {os.path.join(folder, 'SECOND.mp4')}; make them with tools/process_ava_videos.py "
                        "or remove the movie's images.") from error


def open_video(path: str) -> cv2.VideoCapture:
    """A video opened by FFmpeg, decoded by one thread; loaders have processes. ``isOpened`` tells whether it worked."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # torn files are counted here, not narrated by FFmpeg
    return cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])


def read_frames(path: str) -> tuple[list[np.ndarray], float]:
    """All frames uint8 [h, w, 3] BGR that can be decoded, and the rate that the file states (0: none)."""
    video = open_video(path)
    rate = video.get(cv2.CAP_PROP_FPS) if video.isOpened() else 0.0
    frames = []
    while True:
        arrived, frame = video.read()
        if not arrived:
            break
        frames.append(frame)
    video.release()
    return frames, rate if _RATES[0] <= rate <= _RATES[1] else 0.0


def _second(name: str) -> int | None:
    """The second of a clip's file name, None for other files."""
    stem, suffix = os.path.splitext(name)
    return int(stem) if suffix.lower() in VIDEO_SUFFIXES and stem.isascii() and stem.isdecimal() else None


def _stack(frames: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """BGR frames, of which some may have another size, -> uint8 [T, h, w, 3] RGB."""
    window = np.empty((len(frames), *shape), np.uint8)
    for frame, place in zip(frames, window, strict=True):
        if frame.shape != shape:
            frame = cv2.resize(frame, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=place)
    return window
