"""Counting the keyframes of an RGB set whose clips have flaws."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import numpy as np
import torch

from ...errors import UserError
from ...video.clips import Window
from ...video.movies import MovieFrames

logger = logging.getLogger(__name__)

_DAMAGED, _AT_END = 1, 2
# Keyframes that a check reads, and by how much the shape of their frames may differ from the stated one.
_CHECKED = 500
_OTHER_SHAPE = 0.03


class ClipDamage:
    """Flaws of the clips of the keyframes read so far, by this process and its workers.

    Args:
        size: number of keyframes.

    Attributes:
        flaws: uint8 [K], shared with worker processes.
    """

    def __init__(self, size: int) -> None:
        self.flaws = torch.zeros(size, dtype=torch.uint8).share_memory_()
        self._reported = 0

    def note(self, idx: int, window: Window) -> None:
        """Remember the flaws of keyframe ``idx``; the first damaged clip is logged."""
        if window.damaged and not (self.flaws & _DAMAGED).any():
            logger.warning(
                "%s is damaged or missing, or does not last a second: the frame before stands in for a missing one, a "
                "long clip is taken as it is; further ones are only counted",
                window.damaged,
            )
        self.flaws[idx] |= _DAMAGED * bool(window.damaged) | _AT_END * window.at_end

    def report(self) -> str:
        """How many keyframes had damaged clips or lacked a neighboring one; "" where nothing is new since the previous
        call."""
        damaged, at_end = (int(torch.count_nonzero(self.flaws & bit)) for bit in (_DAMAGED, _AT_END))
        if damaged + at_end == self._reported:
            return ""
        self._reported = damaged + at_end
        return (
            f"{damaged} keyframes with damaged, short or long clips and {at_end} without a neighboring clip; the "
            "nearest frame stands in for missing ones"
        )


def check_keyframes(
    name: str, clips: Sequence[MovieFrames], movie_of: np.ndarray, seconds: np.ndarray, sizes: np.ndarray
) -> list[str]:
    """Read the frame of each keyframe, of many keyframes some that are spread evenly, and say what is wrong.

    Args:
        name: of the set, for the lines.
        clips: of each movie.
        movie_of: int [K], movie of each keyframe.
        seconds: [K], its second.
        sizes: int [K, 2], width and height of the frame that its boxes refer to.
    """
    picked = np.unique(np.linspace(0, len(seconds) - 1, min(len(seconds), _CHECKED)).astype(int)).tolist()
    damaged: list[str] = []
    turned: list[str] = []
    for idx in picked:
        movie, second = clips[movie_of[idx]], seconds[idx].item()
        try:
            window = movie.window(second, 0, 0)
        except UserError as error:
            damaged.append(str(error))
            continue
        if window.damaged:
            damaged.append(f"{window.damaged} is damaged, or does not last a second")
        height, width = window.frames.shape[1:3]
        stated = sizes[idx].tolist()
        if abs(math.log(width / height) - math.log(stated[0] / stated[1])) > _OTHER_SHAPE:
            turned.append(f"{movie.folder} at {second:g}: {width}x{height}, stated {stated[0]}x{stated[1]}")
    lines = []
    for found, what in (
        (damaged, "cannot be read as they should"),
        (turned, "have frames of another shape than the annotations state, on which their boxes would be elsewhere"),
    ):
        if found:
            lines.append(
                f"{name}: {len(found)} of {len(picked)} keyframes that were read {what}; the first: {found[0]}"
            )
    return lines
