"""Native one-channel clips -> the network's input, on the device."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


def model_size(height: int, width: int, min_size: int, max_size: int | None = None) -> tuple[int, int]:
    """Size ``(width, height)`` at which a frame enters the network.

    The short side becomes ``min_size``, unless the long one would exceed ``max_size``.
    """
    short, long = min(height, width), max(height, width)
    if max_size is not None and long / short * min_size > max_size:
        min_size = int(round(max_size * short / long))
    if width < height:
        return min_size, int(min_size * height / width)
    return int(min_size * width / height), min_size


class ClipInput(nn.Module):
    """Scale thermal clips up, repeat them to as many channels as the network reads and normalise them.

    Bilinear means ``align_corners=False`` without antialiasing: output pixel i looks at input position
    (i + 0.5) * input size / output size - 0.5, and positions beyond the first and last pixel centre take that pixel.
    A box in continuous native coordinates times the ratio of the sizes frames the same thing in the result.

    Args:
        min_size: short side of the result in pixels.
        max_size: what the long side may be at most.
        mean: of each channel, on the 0..255 scale; as many as the network reads.
        std: likewise.
        size_divisibility: the result is padded with zeros at the right and bottom to a multiple of this.
        done_before: clips come from the loader as the network reads them, and are returned.
    """

    def __init__(
        self,
        min_size: int,
        max_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        size_divisibility: int = 1,
        done_before: bool = False,
    ) -> None:
        super().__init__()
        self.min_size, self.max_size = min_size, max_size
        self.done_before = done_before
        self.size_divisibility = max(size_divisibility, 1)
        std_tensor = torch.tensor(std, dtype=torch.float32)
        mean_tensor = torch.tensor(mean, dtype=torch.float32)
        self.register_buffer("scale", (255.0 / std_tensor).view(-1, 1, 1, 1), persistent=False)
        self.register_buffer("shift", (-mean_tensor / std_tensor).view(-1, 1, 1, 1), persistent=False)

    @classmethod
    def from_cfg(cls, cfg: Any, is_train: bool, in_loader: bool = False) -> ClipInput:
        """The module that ``cfg.INPUT`` and ``cfg.DATALOADER.SIZE_DIVISIBILITY`` describe.

        Args:
            in_loader: the one that INPUT.RESIZE_IN_LOADER puts there, before that on the device.
        """
        keys = cfg.INPUT
        # One channel is normalised as the green one, see StemOptions.
        channels = slice(None) if keys.CHANNELS == 3 else slice(1, 2)
        return cls(
            keys.MIN_SIZE_TRAIN if is_train else keys.MIN_SIZE_TEST,
            keys.MAX_SIZE_TRAIN if is_train else keys.MAX_SIZE_TEST,
            tuple(keys.PIXEL_MEAN)[channels],
            tuple(keys.PIXEL_STD)[channels],
            cfg.DATALOADER.SIZE_DIVISIBILITY,
            keys.RESIZE_IN_LOADER and not in_loader,
        )

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """[B, 1, T, h, w] in 0..1 -> [B, C, T, H, W] normalised; an RGB clip is normalised already and is returned.

        The module follows the clip: where that is on another device, the buffers are copied there.
        """
        if self.done_before or clip.shape[1] == 3:
            return clip
        height, width = clip.shape[-2:]
        new_width, new_height = model_size(height, width, self.min_size, self.max_size)
        scaled = F.interpolate(clip[:, 0], size=(new_height, new_width), mode="bilinear", align_corners=False)
        scale, shift = self.scale.to(clip), self.shift.to(clip)
        normalised = torch.addcmul(shift, scaled[:, None], scale)
        right, below = -new_width % self.size_divisibility, -new_height % self.size_divisibility
        return F.pad(normalised, (0, right, 0, below)) if right or below else normalised
