"""Stems, residual and non-local blocks of the video backbones.

Papers: SlowFast (arXiv 1812.03982), non-local networks (arXiv 1711.07971). Tensors are [N, C, T, H, W].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrozenBatchNorm(nn.Module):
    """Batch norm as a fixed affine map per channel; its four vectors are buffers."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )

    def extra_repr(self) -> str:
        return f"{self.weight.numel()}, eps={self.eps}"


@dataclass(frozen=True)
class NormOptions:
    """How batch norms behave; ``init_gain`` is the first gain of the last norm of a residual branch."""

    frozen: bool = False
    eps: float = 1e-5
    momentum: float = 0.1
    init_gain: float = 0.0

    def make(self, channels: int, gain: float = 1.0) -> nn.Module:
        norm: nn.Module
        if self.frozen:
            norm = FrozenBatchNorm(channels, self.eps)
        else:
            norm = nn.BatchNorm3d(channels, eps=self.eps, momentum=self.momentum)
        with torch.no_grad():
            norm.weight.fill_(gain)
        return norm


@dataclass(frozen=True)
class NonLocalOptions:
    """Keys of MODEL.NONLOCAL."""

    norm: NormOptions = field(default_factory=NormOptions)
    use_norm: bool = True
    init_std: float = 0.01
    zero_init_out: bool = False
    bias: bool = True
    use_maxpool: bool = True
    use_softmax: bool = True
    use_scale: bool = True


def make_conv(
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    bias: bool = False,
) -> nn.Conv3d:
    """A 3-D convolution with kaiming-normal weights (fan in) and zero bias."""
    conv = nn.Conv3d(
        in_channels, out_channels, tuple(kernel), tuple(stride), tuple(padding), tuple(dilation), bias=bias
    )
    nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


class ConvNorm(nn.Module):
    """Convolution without bias, then batch norm."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        norm: NormOptions,
        stride: Sequence[int] = (1, 1, 1),
        padding: Sequence[int] = (0, 0, 0),
        dilation: Sequence[int] = (1, 1, 1),
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.conv = make_conv(in_channels, out_channels, kernel, stride, padding, dilation)
        self.bn = norm.make(out_channels, gain)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class Bottleneck(nn.Module):
    """conv kt x 1 x 1, conv 1 x 3 x 3 (with the spatial stride and dilation), conv 1 x 1 x 1, each with batch norm."""

    def __init__(
        self,
        in_channels: int,
        inner: int,
        out_channels: int,
        kernel_t: int,
        stride: int,
        dilation: int,
        norm: NormOptions,
    ) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, inner, (kernel_t, 1, 1), norm, padding=(kernel_t // 2, 0, 0))
        self.conv2 = ConvNorm(
            inner,
            inner,
            (1, 3, 3),
            norm,
            stride=(1, stride, stride),
            padding=(0, dilation, dilation),
            dilation=(1, dilation, dilation),
        )
        self.conv3 = ConvNorm(inner, out_channels, (1, 1, 1), norm, gain=norm.init_gain)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.conv3(x)


class ResidualBlock(nn.Module):
    """Bottleneck plus input, or plus a 1 x 1 x 1 convolution of it where the shape changes; then ReLU."""

    def __init__(
        self,
        in_channels: int,
        inner: int,
        out_channels: int,
        kernel_t: int,
        stride: int,
        dilation: int,
        norm: NormOptions,
    ) -> None:
        super().__init__()
        self.btnk = Bottleneck(in_channels, inner, out_channels, kernel_t, stride, dilation, norm)
        self.shortcut: nn.Module | None = None
        if in_channels != out_channels or stride != 1:
            self.shortcut = ConvNorm(in_channels, out_channels, (1, 1, 1), norm, stride=(1, stride, stride))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.shortcut is None else self.shortcut(x)
        return F.relu(identity + self.btnk(x))


class NonLocalBlock(nn.Module):
    """Every position attends to every other one of its group of frames (arXiv 1711.07971).

    Args:
        channels: of input and output; half of them inside.
        options: see ``NonLocalOptions``. Without softmax the products are divided by the number of positions.
        group: frames per group; 0: all frames together.
    """

    def __init__(self, channels: int, options: NonLocalOptions, group: int = 0) -> None:
        super().__init__()
        inner = channels // 2
        self.theta = nn.Conv3d(channels, inner, 1, bias=options.bias)
        self.phi = nn.Conv3d(channels, inner, 1, bias=options.bias)
        self.g = nn.Conv3d(channels, inner, 1, bias=options.bias)
        self.out = nn.Conv3d(inner, channels, 1, bias=options.bias)
        self.bn = options.norm.make(channels, options.norm.init_gain) if options.use_norm else nn.Identity()
        self.pool = nn.MaxPool3d((1, 2, 2)) if options.use_maxpool else nn.Identity()
        self.use_softmax = options.use_softmax
        self.scale = inner**-0.5 if options.use_scale else 1.0
        self.group = group
        for conv in (self.theta, self.phi, self.g, self.out):
            nn.init.normal_(conv.weight, std=options.init_std)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
        if options.zero_init_out:
            nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        clips, channels, frames, height, width = x.shape
        y = x
        if self.group:
            # [N, C, T, H, W] -> [N * T / group, C, group, H, W]
            y = x.unflatten(2, (-1, self.group)).transpose(1, 2).flatten(0, 1)
        pooled = self.pool(y)
        theta = self.theta(y).flatten(2).transpose(1, 2)
        phi = self.phi(pooled).flatten(2).transpose(1, 2)
        g = self.g(pooled).flatten(2).transpose(1, 2)
        if self.use_softmax:
            attended = F.scaled_dot_product_attention(theta, phi, g, scale=self.scale)
        else:
            attended = theta @ phi.transpose(1, 2) @ g / phi.shape[1]
        out = self.bn(self.out(attended.transpose(1, 2).unflatten(2, y.shape[2:])))
        if self.group:
            out = out.unflatten(0, (clips, -1)).transpose(1, 2).reshape(clips, channels, frames, height, width)
        return x + out


class ResidualStage(nn.Module):
    """Residual blocks ``res_0``, ``res_1``, ... with a non-local block ``nonlocal_i`` behind every second one.

    Args:
        kernels_t: temporal kernel of each block; its length is the number of blocks.
        stride: spatial, in the first block.
        dilation: of the 3 x 3 convolutions, in all blocks.
        nonlocal_options: None: no non-local blocks.
        nonlocal_group: see ``NonLocalBlock``.
    """

    def __init__(
        self,
        in_channels: int,
        inner: int,
        out_channels: int,
        kernels_t: Sequence[int],
        norm: NormOptions,
        stride: int = 1,
        dilation: int = 1,
        nonlocal_options: NonLocalOptions | None = None,
        nonlocal_group: int = 0,
    ) -> None:
        super().__init__()
        for i, kernel_t in enumerate(kernels_t):
            block = ResidualBlock(
                in_channels if i == 0 else out_channels,
                inner,
                out_channels,
                kernel_t,
                stride if i == 0 else 1,
                dilation,
                norm,
            )
            self.add_module(f"res_{i}", block)
            if nonlocal_options is not None and i % 2 == 1:
                self.add_module(f"nonlocal_{i}", NonLocalBlock(out_channels, nonlocal_options, nonlocal_group))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.children():
            x = block(x)
        return x


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
