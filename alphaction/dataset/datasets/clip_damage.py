"""Counting the keyframes of an RGB set whose clips have flaws."""

from __future__ import annotations

import logging

import torch

from ...video.clips import Window

logger = logging.getLogger(__name__)

_DAMAGED, _AT_END = 1, 2


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
