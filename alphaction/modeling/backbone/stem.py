"""The first convolution of a pathway, for RGB clips and for one-channel (thermal) ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .common_blocks import make_conv


@dataclass(frozen=True)
class StemOptions:
    """Input of a backbone and what its stems do with it.

    ``channels`` 1: a clip is the green channel of a grey RGB clip, and colour channel c of that RGB clip would be
    ``gains[c] * clip + offsets[c]``, since each channel is normalised with its own mean and standard deviation.
    """

    channels: int = 3
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offsets: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pool_padding: int = 0  # spatial, of the max-pool

    @classmethod
    def from_cfg(cls, cfg: Any) -> StemOptions:
        mean, std = cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD
        gains = tuple(std[1] / s for s in std)
        offsets = tuple((mean[1] - m) / s for m, s in zip(mean, std, strict=True))
        return cls(cfg.INPUT.CHANNELS, gains, offsets, cfg.MODEL.BACKBONE.STEM_POOL_PADDING)

    def make_conv(self, out_channels: int, kernel: Sequence[int], stride: Sequence[int]) -> nn.Conv3d:
        """The convolution, padded by half its kernel."""
        conv = make_conv(self.channels, out_channels, kernel, stride, [k // 2 for k in kernel])
        return conv if self.channels == 3 else OneChannelConv(conv, self.gains, self.offsets)

    def make_pool(self, kernel_t: int = 1) -> nn.MaxPool3d:
        """3 x 3 max-pool with spatial stride 2, over ``kernel_t`` frames each."""
        return nn.MaxPool3d((kernel_t, 3, 3), (kernel_t, 2, 2), (0, self.pool_padding, self.pool_padding))


RGB_STEM = StemOptions()


class OneChannelConv(nn.Conv3d):
    """A stem for one-channel clips that can take the weights of an RGB stem over exactly.

    For a grey RGB clip the sum over its channels is that of one channel with weights sum_c gains[c] w_c, plus that of
    a clip of ones with weights sum_c offsets[c] w_c. The second sum depends on the place, because ones end where the
    zeros of the padding begin; the buffer ``constant`` holds its weights. Where all offsets are 0 there is none.
    """

    def __init__(self, conv: nn.Conv3d, gains: Sequence[float], offsets: Sequence[float]) -> None:
        super().__init__(1, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, bias=False)
        self.weight = conv.weight
        self.gains, self.offsets = tuple(gains), tuple(offsets)
        self.register_buffer("constant", torch.zeros_like(conv.weight) if any(offsets) else None)

    def from_rgb(self, weight: Tensor) -> dict[str, Tensor]:
        """Own entries with which a grey clip gives what the RGB stem ``weight`` [out, 3, kt, kh, kw] gives."""

        def summed(factors: tuple[float, ...]) -> Tensor:
            return torch.einsum("octhw,c->othw", weight, weight.new_tensor(factors))[:, None]

        entries = {"weight": summed(self.gains)}
        return entries if self.constant is None else {**entries, "constant": summed(self.offsets)}

    def forward(self, x: Tensor) -> Tensor:
        if self.constant is None:
            return super().forward(x)
        both = torch.cat([x, _inside(x).expand_as(x)], dim=1)
        return F.conv3d(
            both, torch.cat([self.weight, self.constant.to(self.weight.dtype)], dim=1), None, self.stride, self.padding
        )


def _inside(x: Tensor) -> Tensor:
    """1 inside the clips [N, 1, T, H, W] and 0 in the zeros at their right and bottom, [N, 1, 1, H, W]."""
    filled = (x != 0).any(dim=2)[:, 0]
    rows, columns = (filled.any(dim=dim).to(x.dtype).flip(1).cummax(dim=1).values.flip(1) for dim in (2, 1))
    return (rows[:, :, None] * columns[:, None, :])[:, None, None]
