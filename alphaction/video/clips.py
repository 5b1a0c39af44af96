"""One-second clips of movies: ``<root>/<movie>/<second>.mp4``; the clip of second t starts with the frame at t.

OpenCV decodes them: the transforms need it anyway, its wheels contain FFmpeg's decoders for every platform, and reading
whole clips from their first frame needs nothing that PyAV would add.
"""

from __future__ import annotations

import os
from collections import deque
from typing import NamedTuple

import cv2
import numpy as np

from ..annotations.text import find_path
from ..errors import UserError

VIDEO_SUFFIXES = (
    *(".mp4", ".mkv", ".avi", ".webm", ".mov", ".m4v", ".mts", ".m2ts", ".ts", ".3gp", ".3g2", ".mpg", ".mpeg"),
    *(".wmv", ".asf", ".flv", ".f4v", ".vob", ".ogv", ".mxf"),
)
# Containers state other rates when they do not know it.
CLIP_FPS = (1.0, 240.0)
# A clip of more than this many times its rate is longer than a second, however it was cut.
_TOO_LONG = 1.5
# Fractions of a frame and of a second by which rounded times may be early.
_FRAME_CLOCK, _CLOCK = 1e-3, 1e-6


class Window(NamedTuple):
    """Frames around a keyframe.

    Attributes:
        frames: uint8 [T, h, w, 3] RGB.
        damaged: path of the first clip of the window that is damaged, short or longer than a second, None when all are
            whole.
        at_end: neighbors were missing, end frames are repeated instead.
    """

    frames: np.ndarray
    damaged: str | None
    at_end: bool


class MovieClips:
    """The clips of one movie; its folder is listed once. Hidden files (half-written ones) do not count.

    Attributes:
        folder: where they are.
        seconds: int32 [S], the seconds that have a clip, ascending.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = os.fspath(folder)
        with os.scandir(self.folder) as entries:
            names = sorted(entry.name for entry in entries if _second(entry.name) is not None and entry.is_file())
        seconds, first = np.unique(np.array([_second(name) for name in names], np.int64), return_index=True)
        self.seconds = seconds.astype(np.int32)
        self._names = np.array([names[i].encode() for i in first], dtype=np.bytes_)

    @property
    def rate(self) -> float:
        """Frames per second that the first clip states, 0 where it states none."""
        return frame_rate(self.path(int(self.seconds[0])) or "") if len(self.seconds) else 0.0

    def has(self, seconds: np.ndarray) -> np.ndarray:
        """Whether there is a clip with each of these times, bool [K]."""
        return np.isin(np.floor(seconds), self.seconds)

    def path(self, second: int) -> str | None:
        """The clip of a second, None where there is none."""
        place = int(np.searchsorted(self.seconds, second))
        if place == len(self.seconds) or self.seconds[place] != second:
            return None
        return os.path.join(self.folder, self._names[place].decode())

    def expected_path(self, second: float) -> str:
        """Where the clip with this time should be, spelled as the movie's others are."""
        stem, suffix = os.path.splitext(self._names[0].decode()) if len(self.seconds) else ("", ".mp4")
        width = len(stem) if stem.startswith("0") else 0
        return os.path.join(self.folder, f"{int(second):0{width}d}{suffix}")

    def window(self, second: float, before: int, after: int, fps: float = 0.0) -> Window:
        """The keyframe at ``second``, ``before`` frames before it and ``after`` frames after it.

        Clips t - 1, t - 2, ... and t + 1, ... give as many frames as are needed. A clip with fewer frames than its
        rate promises repeats its last one; where neighbors are missing or unreadable the end frame is repeated.

        Args:
            second: a fraction takes the frame that is on screen then.
            fps: frames per second of the window, each the one on screen at its time; 0 takes consecutive frames.

        Raises:
            UserError: neither the keyframe's clip nor one beside it can be read.
        """
        damaged: list[str] = []
        if fps > 0:
            earlier, later, at_end = self._resampled(second + np.arange(-before, after + 1) / fps, before, damaged)
        else:
            whole = int(second)
            skipped = self._frames_until(second) if second > whole else 0
            later, cut_after = self._later(whole, skipped + after + 1, damaged)
            earlier, at_end = [], cut_after
            if before > skipped:
                earlier, cut_before = self._earlier(whole, before - skipped, later[0], damaged)
                at_end |= cut_before
            else:
                del later[: skipped - before]
        shape, frames = later[0].shape, earlier + later
        del earlier, later  # stack_frames frees frames one by one
        return Window(stack_frames(frames, shape), damaged[0] if damaged else None, at_end)

    def _frames_until(self, second: float) -> int:
        """Frames of its clip before the one on screen at ``second``; 0 where the clip cannot be read."""
        path = self.path(int(second)) or ""
        return int((second - int(second)) * (frame_rate(path) or read_frames(path, 0)[1]) + _FRAME_CLOCK)

    def _resampled(
        self, times: np.ndarray, keyframe: int, damaged: list[str]
    ) -> tuple[list[np.ndarray], list[np.ndarray], bool]:
        """BGR frames on screen at ascending times: those in clips before that of the keyframe, and the others; and
        whether end frames are repeated."""
        clip_of = np.floor(times + _CLOCK).astype(np.int64)
        center = int(clip_of[keyframe])
        later = self._on_screen(center, times[clip_of == center], damaged)
        later = later or self._substitute(center, damaged)[:1] * int(np.count_nonzero(clip_of == center))
        wanted_later = int(np.count_nonzero(clip_of >= center))
        for second in np.unique(clip_of[clip_of > center]).tolist():
            found = self._on_screen(second, times[clip_of == second], damaged)
            if not found:
                break
            later += found
        earlier: list[np.ndarray] = []
        for second in np.unique(clip_of[clip_of < center])[::-1].tolist():
            found = self._on_screen(second, times[clip_of == second], damaged)
            if not found:
                break
            earlier = found + earlier
        more, fewer = wanted_later - len(later), len(times) - wanted_later - len(earlier)
        earlier = (earlier or later)[:1] * fewer + earlier
        return earlier, later + later[-1:] * more, more + fewer > 0

    def _on_screen(self, second: int, times: np.ndarray, damaged: list[str]) -> list[np.ndarray]:
        """BGR frames of the clip of ``second`` on screen at these times of it, none where it cannot be read."""
        frames, rate = self._read(second, damaged)
        places = np.floor((times - second) * rate + _FRAME_CLOCK).astype(np.int64)
        return [frames[min(max(place, 0), len(frames) - 1)] for place in places.tolist()] if frames else []

    def _later(self, second: int, count: int, damaged: list[str]) -> tuple[list[np.ndarray], bool]:
        """``count`` BGR frames from the keyframe on, and whether the last one is repeated for missing ones."""
        frames = self._frames(second, damaged, first=count) or self._substitute(second, damaged)[:count]
        while len(frames) < count:
            second += 1
            found = self._frames(second, damaged, first=count - len(frames))
            if not found:
                return frames + frames[-1:] * (count - len(frames)), True
            frames += found
        return frames, False

    def _earlier(
        self, second: int, count: int, keyframe: np.ndarray, damaged: list[str]
    ) -> tuple[list[np.ndarray], bool]:
        """``count`` BGR frames before the keyframe, and whether the first one is repeated for missing ones."""
        frames: list[np.ndarray] = []
        while len(frames) < count:
            second -= 1
            found = self._frames(second, damaged, tail=count - len(frames))
            if not found:
                return [(frames or [keyframe])[0]] * (count - len(frames)) + frames, True
            frames = found + frames
        return frames, False

    def keyframe(self, second: float) -> np.ndarray:
        """The frame at ``second``, uint8 [h, w, 3] RGB."""
        return self.window(second, 0, 0).frames[0]

    def _frames(
        self, second: int, damaged: list[str], first: int | None = None, tail: int | None = None
    ) -> list[np.ndarray]:
        """BGR frames of a clip or its ``first`` or ``tail`` ones, none where it is missing; see :meth:`_read`."""
        return self._read(second, damaged, first, tail)[0]

    def _read(
        self, second: int, damaged: list[str], first: int | None = None, tail: int | None = None
    ) -> tuple[list[np.ndarray], int]:
        """BGR frames of a clip or its ``first`` or ``tail`` ones, and how many it has in a second.

        Damaged and short clips are padded with their last frame; these and long ones are added to ``damaged``.
        """
        path = self.path(second)
        if path is None:
            return [], 0
        frames, count, fps = read_frames(path, first, tail)
        promised = round(fps) if fps else count
        # One frame less is what cutting at whole seconds leaves of 29.97 frames per second.
        if not count or count < promised - 1:
            damaged.append(path)
            frames += frames[-1:] * (promised - count)
        elif count > _TOO_LONG * promised + 1:
            damaged.append(path)
        return frames[:first] if tail is None else frames[-tail:], promised

    def _substitute(self, second: int, damaged: list[str]) -> list[np.ndarray]:
        """Frames in place of an unreadable clip of a keyframe: the frame next to it, for the length of a clip."""
        for neighbor, place in ((second - 1, -1), (second + 1, 0)):
            frames = self._frames(neighbor, damaged)
            if frames:
                return [frames[place]] * len(frames)
        raise UserError(
            f"The clip {self.path(second)} and those beside it cannot be read, expected videos; cut the "
            "movie again with alphaction process-videos or remove the clip's keyframe."
        )


def find_clips(root: str | os.PathLike, movie: str) -> MovieClips:
    """The clips of a movie below ``root``.

    Raises:
        UserError: there is no such folder.
    """
    folder = find_path(root, movie)
    try:
        return MovieClips(folder)
    except OSError as error:
        raise UserError(
            f"The folder {folder} cannot be listed ({error.strerror}), expected the clips of the movie "
            f"{movie} as {os.path.join(folder, 'SECOND.mp4')}; make them with alphaction process-videos "
            "or remove the movie's images."
        ) from error


def open_video(path: str) -> cv2.VideoCapture:
    """A video opened by FFmpeg, decoded by one thread; loaders have processes. ``isOpened`` tells whether it worked."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # damaged files are counted here, FFmpeg need not report them
    return cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])


def read_frames(path: str, first: int | None = None, tail: int | None = None) -> tuple[list[np.ndarray], int, float]:
    """Frames uint8 [h, w, 3] BGR of a video: all, or only its ``first`` or ``tail`` ones; how many can be decoded, and
    the rate that the file states (0: none)."""
    video = open_video(path)
    fps = _stated_rate(video)
    frames: deque[np.ndarray] = deque(maxlen=tail)
    count = 0
    while video.grab():
        if first is None or count < first:
            arrived, frame = video.retrieve()
            if not arrived:
                break
            frames.append(frame)
        count += 1
    video.release()
    return list(frames), count, fps


def frame_rate(path: str) -> float:
    """Frames per second that a video states, 0 where it states none or cannot be read."""
    video = open_video(path)
    fps = _stated_rate(video)
    video.release()
    return fps


def _stated_rate(video: cv2.VideoCapture) -> float:
    fps = video.get(cv2.CAP_PROP_FPS) if video.isOpened() else 0.0
    return fps if CLIP_FPS[0] <= fps <= CLIP_FPS[1] else 0.0


def _second(name: str) -> int | None:
    """The second of a clip's file name, None for other files."""
    stem, suffix = os.path.splitext(name)
    return int(stem) if suffix.lower() in VIDEO_SUFFIXES and stem.isascii() and stem.isdecimal() else None


def stack_frames(frames: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """BGR frames, of which some may have another size, -> uint8 [T, h, w, 3] RGB; empties the list, since both together
    would need twice the memory."""
    window = np.empty((len(frames), *shape), np.uint8)
    frames.reverse()
    for place in window:
        frame = frames.pop()
        if frame.shape != shape:
            frame = cv2.resize(frame, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=place)
    return window
