"""Frames of a room for arrays of any size, in any unit."""

from __future__ import annotations

import numpy as np

from alphaction.recordings.units import UNITS


def room(shape: tuple[int, int] = (24, 32), frames: int = 30, base: float = 22.0) -> np.ndarray:
    """Frames float64 [N, h, w] °C of a room with a warm spot."""
    pictures = base + np.random.default_rng(0).normal(0, 0.3, (frames, *shape))
    pictures[:, 2:4, 2:4] += 8
    return pictures


def stored(celsius: np.ndarray, unit: str) -> np.ndarray:
    """The same temperatures as a file in ``unit`` has them."""
    factor, offset = UNITS[unit]
    return (celsius - offset) / factor
