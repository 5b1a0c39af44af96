"""Which frames a clip takes and how its boxes are mirrored, for all kinds of clips.

Recorded behavior: transforms.json of ALPHACTION_PARITY_DIR (tests/README.md).
"""

from __future__ import annotations

import numpy as np
import torch


def temporal_crop(raw_frames: int, frame_num: int, sample_rate: int, offset: int = 0) -> np.ndarray:
    """Indices int [frame_num] of every ``sample_rate``-th frame around the middle of ``raw_frames`` frames.

    Indices beyond the ends repeat the end frames. ``offset`` shifts the start.
    """
    start = (raw_frames - frame_num * sample_rate) // 2 + (sample_rate - 1) // 2 + offset
    return np.clip(start + sample_rate * np.arange(frame_num), 0, raw_frames - 1)


def slow_fast_indices(
    frames: int, tau: int, alpha: int, slow_start: int | None = None, sampling: str = "center"
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the slow pathway (every ``tau``-th frame) and of the fast one (every ``tau / alpha``-th).

    Args:
        frames: frames of the clip, divisible by ``tau``.
        tau: INPUT.TAU.
        alpha: INPUT.ALPHA, divides ``tau``.
        slow_start: first frame of the slow pathway, 0..tau-1; None, as in testing: see ``sampling``.
        sampling: INPUT.SLOW_SAMPLING: "center" starts with the middle one of ``tau`` frames; "first" takes every
            ``alpha``-th of the fast pathway's frames, "linspace" evenly spread ones from the first to the last.
    """
    step = tau // alpha
    fast = np.arange((step - 1) // 2, frames, step)
    if slow_start is None and sampling == "first":
        return fast[::alpha], fast
    if slow_start is None and sampling == "linspace":
        return fast[np.linspace(0, len(fast) - 1, len(fast) // alpha).astype(np.int64)], fast
    return np.arange((tau - 1) // 2 if slow_start is None else slow_start, frames, tau), fast


def flip_corners(corners: np.ndarray, extent: float = 1.0, axis: int = 0) -> np.ndarray:
    """Mirror boxes in continuous coordinates.

    Args:
        corners: [N, 4], ``x1, y1, x2, y2``.
        extent: width of the frame, or its height for ``axis`` 1.
        axis: 0 mirrors left to right (x -> extent - x), 1 top to bottom (y -> extent - y).
    """
    mirrored = corners.copy()
    mirrored[:, axis] = extent - corners[:, axis + 2]
    mirrored[:, axis + 2] = extent - corners[:, axis]
    return mirrored


def draw_flip(probability: float, generator: torch.Generator | None) -> bool:
    """Whether to mirror; draws nothing where the probability is 0."""
    return probability > 0 and float(torch.rand((), generator=generator)) < probability


def draw_augmentation(
    flip_prob: float, slow_jitter: bool, tau: int, generator: torch.Generator | None
) -> tuple[bool, int | None]:
    """Whether to mirror a clip, and the first frame of its slow pathway (None: not drawn)."""
    flip = draw_flip(flip_prob, generator)
    return flip, int(torch.randint(tau, (), generator=generator)) if slow_jitter else None
