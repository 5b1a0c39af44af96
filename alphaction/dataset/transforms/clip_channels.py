"""Channels that a network sees of a window of temperatures, at the sensor's own size (INPUT.CLIP_CHANNELS)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

# Degrees Celsius that become 1. A person is some 5 °C above a room.
RELATIVE_SCALE = 4.0
FOREGROUND_SCALE = 3.0
# Mean and spread in °C of the change of a pixel from frame to frame that sees noise and persons.
MOTION_MEAN, MOTION_SCALE = 0.27, 0.67


def scene_level(room: np.ndarray) -> float:
    """The level in °C of a scene [..., h, w]: its median, which persons hardly change."""
    return float(np.median(room))


def clip_channels(
    names: Sequence[str],
    window: np.ndarray,
    room: np.ndarray,
    frames: np.ndarray,
    stride: int = 1,
    level: float | None = None,
) -> torch.Tensor:
    """The channels of the sampled frames of a window.

    "relative" is the sampled frame against the scene's level; "foreground" against the room, averaged over the
    ``stride`` frames around it; "motion" is the mean absolute change from one frame to the next over these, so that
    frames that are sampled ``stride`` apart miss no movement.

    Args:
        names: of INPUT.CLIP_CHANNELS.
        window: float32 [T, h, w] °C, consecutive frames.
        room: float32 [h, w] °C, the picture without persons.
        frames: int [F], sampled frames of the window.
        stride: window frames that each of them stands for.
        level: °C of the scene; None: that of the room.

    Returns:
        float32 [len(names), F, h, w], about 0 for an empty room and 1 for a person.
    """
    level = scene_level(room) if level is None else level
    around = frames[:, None] - (stride - 1) // 2 + np.arange(stride)
    around = around.clip(0, len(window) - 1)
    channels = []
    for name in names:
        if name == "relative":
            channels.append((window[frames] - level) / RELATIVE_SCALE)
        elif name == "foreground":
            channels.append((window[around].mean(axis=1) - room) / FOREGROUND_SCALE)
        elif name == "motion":
            change = np.abs(np.diff(window, axis=0, prepend=window[:1]))
            channels.append((change[around].mean(axis=1) - MOTION_MEAN) / MOTION_SCALE)
        else:
            raise ValueError(f"the clip channel is {name!r}, expected 'relative', 'foreground' or 'motion'")
    return torch.from_numpy(np.stack(channels).astype(np.float32, copy=False))
