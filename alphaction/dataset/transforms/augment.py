"""Random changes of thermal training clips, in degrees Celsius and native pixels (INPUT.AUGMENT)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ...config.node import ConfigNode

# Sides of the squares that show the room, as shares of the short side of the frame.
_CUT_OUT_SHARES = (1 / 16, 1 / 5)


@dataclass(frozen=True)
class ThermalAugmentation:
    """Keys of INPUT.AUGMENT; whatever is 0 draws nothing.

    All methods draw from a generator; None is torch's own.
    """

    gain: float = 0.0
    offset: float = 0.0
    noise: float = 0.0
    time_shift: float = 0.0
    speed: float = 0.0
    pixel_shift: int = 0
    transpose_prob: float = 0.0
    cut_out: int = 0

    @classmethod
    def from_cfg(cls, keys: ConfigNode) -> ThermalAugmentation:
        """From INPUT.AUGMENT."""
        return cls(
            keys.GAIN,
            keys.OFFSET,
            keys.NOISE,
            keys.TIME_SHIFT,
            keys.SPEED,
            keys.PIXEL_SHIFT,
            keys.TRANSPOSE_PROB,
            keys.CUT_OUT,
        )

    @property
    def changes_temperatures(self) -> bool:
        """Whether gain, offset, noise or cut-out are used."""
        return bool(self.gain or self.offset or self.noise or self.cut_out)

    def draw_time(self, generator: torch.Generator | None) -> tuple[float, float]:
        """Seconds by which the window moves, and how many times as fast it runs."""
        shift = _between(-self.time_shift, self.time_shift, generator) if self.time_shift else 0.0
        speed = 2 ** _between(-self.speed, self.speed, generator) if self.speed else 1.0
        return shift, speed

    def change_temperatures(
        self, window: np.ndarray, room: np.ndarray | None, level: float, generator: torch.Generator | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """New frames [T, h, w] and room [h, w] °C of a scene of a ``level``; without a room, cut-outs show the level.

        The room changes with the frames, so that its difference from them does not, apart from noise.
        """
        gain = 2 ** _between(-self.gain, self.gain, generator) if self.gain else 1.0
        offset = self.offset * float(torch.randn((), generator=generator)) if self.offset else 0.0
        window = window * np.float32(gain) + np.float32(level - gain * level + offset)
        if room is not None:
            room = room * np.float32(gain) + np.float32(level - gain * level + offset)
        if self.noise:
            strength = _between(0.0, 2 * self.noise, generator)
            window += strength * torch.randn(window.shape, generator=generator).numpy()
        height, width = window.shape[1:]
        low, high = (max(round(share * min(height, width)), 1) for share in _CUT_OUT_SHARES)
        for _ in range(self.cut_out):
            side = _whole(low, high, generator)
            top, left = _whole(0, height - side, generator), _whole(0, width - side, generator)
            area = np.s_[top : top + side, left : left + side]
            window[:, area[0], area[1]] = level + offset if room is None else room[area]
        return window, room

    def draw_shift(
        self, corners: np.ndarray, size: tuple[int, int], generator: torch.Generator | None
    ) -> tuple[int, int]:
        """Pixels to the right and down by which the picture of ``size`` (width, height) may move so that the boxes
        ``corners`` [N, 4], fractions of it, stay inside."""
        if not self.pixel_shift:
            return 0, 0
        shifts = []
        for axis in (0, 1):
            room_before = corners[:, axis].min(initial=1.0) * size[axis]
            room_after = (1 - corners[:, axis + 2].max(initial=0.0)) * size[axis]
            least, most = -min(self.pixel_shift, int(room_before)), min(self.pixel_shift, int(room_after))
            shifts.append(_whole(least, most, generator))
        return shifts[0], shifts[1]


def shift_picture(clip: torch.Tensor, right: int, down: int) -> torch.Tensor:
    """A clip [..., h, w] moved by whole pixels; rows and columns at the edges repeat."""
    rows, columns = (
        (torch.arange(side) - shift).clamp(0, side - 1)
        for side, shift in zip(clip.shape[-2:], (down, right), strict=True)
    )
    return clip[..., rows[:, None], columns]


def _between(low: float, high: float, generator: torch.Generator | None) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _whole(low: int, high: int, generator: torch.Generator | None) -> int:
    """A whole number from ``low`` to ``high``, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))
