"""Degrees Celsius -> the 0..1 range that the network's pixel mean and standard deviation are applied to (x 255)."""

from __future__ import annotations

import numpy as np


def to_unit(celsius: np.ndarray, minimum: float = 5.0, maximum: float = 45.0) -> np.ndarray:
    """Map ``minimum``..``maximum`` °C to 0..1 and clip what lies beyond.

    Args:
        celsius: temperatures of any shape, without NaN (see :func:`alphaction.recordings.repair.repair_frames`).
        minimum: INPUT.TEMPERATURE_MIN.
        maximum: INPUT.TEMPERATURE_MAX.

    Returns:
        a new float32 array of the same shape.
    """
    scale = np.float32(1.0 / (maximum - minimum))
    unit = np.multiply(celsius, scale, dtype=np.float32)
    np.subtract(unit, np.float32(minimum) * scale, out=unit)
    return np.clip(unit, 0.0, 1.0, out=unit)
