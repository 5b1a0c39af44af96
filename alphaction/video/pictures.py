"""Movies whose frames are pictures: ``<root>/<movie>/img_00001.jpg`` or ``<movie>_000001.jpg``, at a steady rate."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import PurePath

import cv2
import numpy as np

from ..annotations.text import read_text, short
from ..config.validate import FPS_RANGE
from ..errors import UserError
from .clips import Window, stack_frames

# In a movie's folder: the rate of its pictures, such as 25 or 30000/1001.
RATE_FILE = "fps.txt"
_NAME = re.compile(r"(?P<prefix>.*?)(?P<number>[0-9]{1,9})(?P<suffix>\.(?:jpg|jpeg|png))", re.IGNORECASE)
_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,9})?)(?:/([0-9]{1,9}))?")
# Beside the movie's own name; optical flow (flow_x_00001.jpg) is no picture.
_PREFIXES = {"", "img", "image", "frame"}
# Fraction of a frame by which a rounded time may be early.
_FRAME_CLOCK = 1e-3

# (prefix, digits, suffix) -> numbers.
Series = dict[tuple[str, int, str], list[int]]


class MoviePictures:
    """The pictures of one movie; its folder is listed once.

    Picture 1 (or 0 where there is one) is the frame at ``start``; a number that is missing shows the picture before it.

    Args:
        folder: where they are.
        rate: pictures per second.
        start: time of the first one in the movie, in seconds; AVA's frames begin at 900.
        series: what :func:`find_series` found there; None looks.

    Attributes:
        numbers: int32 [P], ascending.

    Raises:
        UserError: no pictures, or those of several series.
    """

    def __init__(
        self, folder: str | os.PathLike, rate: float, start: float = 0.0, series: Series | None = None
    ) -> None:
        self.folder, self.rate, self.start = os.fspath(folder), rate, start
        series = find_series(self.folder) if series is None else series
        if len(series) != 1:
            names = ", ".join(_spell(*key, min(numbers)) for key, numbers in list(series.items())[:3]) or "no pictures"
            raise UserError(
                f"The folder {self.folder} has {names}, expected one series of pictures such as img_00001.jpg; move "
                "the others away."
            )
        ((self._spelling, numbers),) = series.items()
        self.numbers = np.sort(np.array(numbers, np.int32))
        self._first = 0 if self.numbers[0] == 0 else 1

    def path(self, number: int) -> str:
        """The picture of a number, whether it is there or not."""
        return os.path.join(self.folder, _spell(*self._spelling, number))

    def number_at(self, seconds: np.ndarray | float) -> np.ndarray:
        """Number of the picture on screen at each time, int64."""
        frames = np.floor((np.asarray(seconds, np.float64) - self.start) * self.rate + _FRAME_CLOCK)
        return frames.astype(np.int64) + self._first

    def has(self, seconds: np.ndarray) -> np.ndarray:
        """Whether there is a picture of each of these times, bool [K]."""
        return np.isin(self.number_at(seconds), self.numbers)

    def expected_path(self, second: float) -> str:
        """Where the picture of this time should be."""
        return self.path(int(self.number_at(second)))

    def window(self, second: float, before: int, after: int, fps: float = 0.0) -> Window:
        """The keyframe at ``second``, ``before`` frames before it and ``after`` frames after it, as
        those of clips, see :class:`~alphaction.video.clips.MovieClips`.

        Raises:
            UserError: no picture of the window can be read.
        """
        steps = np.arange(-before, after + 1)
        wanted = self.number_at(second + steps / fps) if fps > 0 else self.number_at(second) + steps
        inside = np.clip(wanted, self.numbers[0], self.numbers[-1])
        shown = self.numbers[np.searchsorted(self.numbers, inside, side="right") - 1]
        damaged = [self.path(number) for number in inside[shown != inside].tolist()]
        pictures: dict[int, np.ndarray] = {}
        for number in np.unique(shown).tolist():
            picture = cv2.imread(self.path(number), cv2.IMREAD_COLOR)
            if picture is None:
                damaged.append(self.path(number))
            else:
                pictures[number] = picture
        if not pictures:
            raise UserError(
                f"The picture {self.path(int(shown[before]))} and those beside it cannot be read, expected JPEG or PNG "
                "files; extract them again or remove the keyframe."
            )
        readable = np.array(list(pictures))
        shown = readable[np.maximum(np.searchsorted(readable, shown, side="right") - 1, 0)]
        frames = [pictures[number] for number in shown.tolist()]
        at_end = bool((inside != wanted).any())
        return Window(stack_frames(frames, frames[before].shape), damaged[0] if damaged else None, at_end)

    def keyframe(self, second: float) -> np.ndarray:
        """The picture at ``second``, uint8 [h, w, 3] RGB."""
        return self.window(second, 0, 0).frames[0]


def find_series(folder: str | os.PathLike) -> Series:
    """Series of numbered pictures of a movie."""
    known = {*_PREFIXES, PurePath(folder).name.lower()}
    found: dict[tuple[str, int, str], list[int]] = defaultdict(list)
    with os.scandir(os.fspath(folder)) as entries:
        for match in (_NAME.fullmatch(entry.name) for entry in entries if entry.is_file()):
            if match and match["prefix"].rstrip("_-").lower() in known:
                found[match["prefix"], len(match["number"]), match["suffix"]].append(int(match["number"]))
    # Numbers that have outgrown their leading zeros belong to the same series.
    for key in sorted(found, key=lambda key: -key[1]):
        prefix, digits, suffix = key
        shorter = next((k for k in found if k[0] == prefix and k[2] == suffix and k[1] == digits - 1), None)
        if shorter is not None and min(found[key]) >= 10 ** (digits - 1):
            found[shorter] += found.pop(key)
    return dict(found)


def read_rate(folder: str | os.PathLike) -> float:
    """The rate in a movie's file ``fps.txt``, 0 where there is none.

    Raises:
        UserError: it holds no rate.
    """
    path = os.path.join(folder, RATE_FILE)
    if not os.path.lexists(path):
        return 0.0
    text = read_text(path, "file", "the pictures per second").strip()
    match = _RATE.fullmatch(text)
    rate = float(match[1]) / float(match[2] or 1) if match and float(match[2] or 1) else 0.0
    if not FPS_RANGE[0] <= rate <= FPS_RANGE[1]:
        raise UserError(
            f"{path} holds {short(text)}, expected the pictures per second, such as 25 or 30000/1001; correct it."
        )
    return rate


def _spell(prefix: str, digits: int, suffix: str, number: int) -> str:
    return f"{prefix}{number:0{digits}d}{suffix}"
