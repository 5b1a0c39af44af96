"""Blocks of the video backbones: stem, batch norm, residual and non-local blocks. Tensors are [N, C, T, H, W].

Papers: SlowFast (arXiv 1812.03982), non-local networks (arXiv 1711.07971).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...config.node import ConfigNode
from .convolution import Conv3d, Triple, finish, triple

# Channels after the stem of the slow pathway, before MODEL.BACKBONE.WIDTH.
STEM_WIDTH = 64


def scale_width(channels: int, factor: float) -> int:
    """``channels`` times ``factor``, at least one."""
    return max(int(channels * factor), 1)


class Backbone(nn.Module):
    """Base of the backbones.

    Attributes:
        out_channels: channels of all feature maps together.
        stride: input pixels per feature cell.
        settings: configuration key -> value, as ``build_backbone`` found it; empty for a backbone built without one.
            Loading weights compares them with the settings that the weights were trained with.
    """

    out_channels: int
    stride: int

    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, object] = {}


class FrozenBatchNorm(nn.Module):
    """Batch norm as a fixed affine map per channel; its four vectors are buffers."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

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


def fixed_affine(norm: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Scale and shift per channel that ``norm`` applies to every input; None for batch norm that is live."""
    if isinstance(norm, nn.BatchNorm3d) and norm.training or not isinstance(norm, (nn.BatchNorm3d, FrozenBatchNorm)):
        return None
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return scale, torch.addcmul(norm.bias, mean, scale, value=-1)


def conv_norm(conv: Conv3d, norm: nn.Module, x: Tensor, add: Tensor | None = None, relu: bool = False) -> Tensor:
    """``norm(conv(x)) + add`` of a convolution without bias, rectified.

    On CPUs, a norm that is fixed becomes part of the convolution: that saves passes over the result, and in training
    the copy of it that batch norm keeps for its gradient.
    """
    if isinstance(norm, nn.Identity):
        return conv(x, add=add, relu=relu)
    affine = fixed_affine(norm) if x.device.type == "cpu" else None
    if affine is not None:
        return conv(x, *affine, add, relu)
    return finish(norm(conv(x)), add, relu)


@dataclass(frozen=True)
class NormOptions:
    """Batch norm.

    Attributes:
        frozen: a fixed affine map instead of live batch norm.
        init_gain: initial weight of the last norm of a residual branch.
    """

    frozen: bool = False
    eps: float = 1e-5
    momentum: float = 0.1
    init_gain: float = 0.0

    @classmethod
    def from_cfg(cls, keys: ConfigNode) -> NormOptions:
        """From MODEL.BACKBONE or MODEL.NONLOCAL."""
        return cls(keys.FROZEN_BN, keys.BN_EPSILON, keys.BN_MOMENTUM, keys.BN_INIT_GAMMA)

    def make(self, channels: int, gain: float = 1.0) -> nn.Module:
        norm: FrozenBatchNorm | nn.BatchNorm3d
        if self.frozen:
            norm = FrozenBatchNorm(channels, self.eps)
        else:
            norm = nn.BatchNorm3d(channels, eps=self.eps, momentum=self.momentum)
        with torch.no_grad():
            norm.weight.fill_(gain)
        return norm


@dataclass(frozen=True)
class NonLocalOptions:
    """Non-local blocks; see the keys of MODEL.NONLOCAL."""

    norm: NormOptions = field(default_factory=NormOptions)
    use_norm: bool = True
    init_std: float = 0.01
    zero_init_out: bool = False
    bias: bool = True
    use_maxpool: bool = True
    use_softmax: bool = True
    use_scale: bool = True

    @classmethod
    def from_cfg(cls, keys: ConfigNode) -> NonLocalOptions:
        """From MODEL.NONLOCAL."""
        return cls(
            NormOptions.from_cfg(keys),
            keys.USE_BN,
            keys.CONV_INIT_STD,
            keys.USE_ZERO_INIT_CONV,
            not keys.NO_BIAS,
            keys.USE_MAXPOOL,
            keys.USE_SOFTMAX,
            keys.USE_SCALE,
        )


@dataclass(frozen=True)
class StemOptions:
    """Input of a backbone and the max-pool of its stems.

    Attributes:
        channels: 3 for RGB clips, 1 for thermal clips, or as many as INPUT.CLIP_CHANNELS names.
            One channel is the green one of a gray RGB clip, unless ``is_computed``.
        gains, offsets: with one such channel, channel c of that RGB clip is ``gains[c] * clip + offsets[c]``, since
            each channel is normalized with a mean and standard deviation of its own.
        pool_padding: spatial padding of the max-pool.
        width: output channels.
        kernel, stride: of the convolution in space.
        pool: whether the max-pool follows.
        is_computed: the channels are those of INPUT.CLIP_CHANNELS.
    """

    channels: int = 3
    gains: tuple[float, ...] = (1.0, 1.0, 1.0)
    offsets: tuple[float, ...] = (0.0, 0.0, 0.0)
    pool_padding: int = 0
    width: int = STEM_WIDTH
    kernel: int = 7
    stride: int = 2
    pool: bool = True
    is_computed: bool = False

    @classmethod
    def from_cfg(cls, cfg: ConfigNode) -> StemOptions:
        """From the whole configuration."""
        gains, offsets = cls.gray_factors(cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD)
        keys = cfg.MODEL.BACKBONE
        return cls(
            len(cfg.INPUT.CLIP_CHANNELS) or cfg.INPUT.CHANNELS,
            gains,
            offsets,
            keys.STEM_POOL_PADDING,
            scale_width(STEM_WIDTH, keys.WIDTH),
            keys.STEM_KERNEL,
            keys.STEM_STRIDE,
            keys.STEM_POOL,
            len(cfg.INPUT.CLIP_CHANNELS) > 0,
        )

    @staticmethod
    def gray_factors(mean: Sequence[float], std: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """``gains`` and ``offsets`` of gray clips that were normalized with INPUT.PIXEL_MEAN and PIXEL_STD."""
        return tuple(std[1] / s for s in std), tuple((mean[1] - m) / s for m, s in zip(mean, std, strict=True))

    @property
    def spatial_stride(self) -> int:
        """Input pixels per cell after the stem."""
        return self.stride * (2 if self.pool else 1)

    def make_conv(self, out_channels: int, kernel_t: int, stride_t: int = 1) -> Conv3d:
        """The convolution with a temporal kernel and stride, padded by half its kernel."""
        kernel, stride = (kernel_t, self.kernel, self.kernel), (stride_t, self.stride, self.stride)
        padding = (kernel_t // 2, self.kernel // 2, self.kernel // 2)
        conv = make_conv(self.channels, out_channels, kernel, stride, padding)
        is_gray = self.channels == 1 and not self.is_computed
        return OneChannelConv(conv, self.gains, self.offsets) if is_gray else conv

    def make_pool(self, kernel_t: int = 1) -> nn.Module:
        """ReLU and 3 x 3 max-pool with spatial stride 2 over non-overlapping groups of ``kernel_t`` frames; without the
        max-pool in space, that in time remains."""
        if not self.pool:
            return nn.ReLU() if kernel_t == 1 else ReLUPool((kernel_t, 1, 1), (kernel_t, 1, 1))
        return ReLUPool((kernel_t, 3, 3), (kernel_t, 2, 2), (0, self.pool_padding, self.pool_padding))


class ReLUPool(nn.MaxPool3d):
    """Max-pool of the ReLU of the input, computed as ReLU of the max-pool, which has fewer elements and is equal."""

    def forward(self, x: Tensor) -> Tensor:
        return finish(super().forward(x), relu=True)


class OneChannelConv(Conv3d):
    """Stem convolution for one-channel clips that reproduces an RGB stem exactly.

    On a gray RGB clip the RGB convolution equals the convolution of one channel with the weights sum_c gains[c] w_c,
    plus that of a clip of ones with sum_c offsets[c] w_c. The second term varies in space because the ones end where
    the zero padding begins; the buffer ``constant`` holds its weights, and is absent where all offsets are 0.

    Attributes:
        of_gray_clips: clips are gray RGB clips, of which the green channel is read.
    """

    constant: Tensor | None
    of_gray_clips = False

    def __init__(self, conv: Conv3d, gains: Sequence[float], offsets: Sequence[float]) -> None:
        kernel, stride, padding = triple(conv.kernel_size), triple(conv.stride), triple(conv.padding)
        super().__init__(1, conv.out_channels, kernel, stride, padding, bias=False)
        self.weight = conv.weight
        self.gains, self.offsets = tuple(gains), tuple(offsets)
        self.register_buffer("constant", torch.zeros_like(conv.weight) if any(offsets) else None)

    def from_rgb(self, weight: Tensor) -> dict[str, Tensor]:
        """State-dict entries of this module that reproduce the RGB stem ``weight`` [out, 3, kt, kh, kw]."""

        def summed(factors: tuple[float, ...]) -> Tensor:
            return torch.einsum("octhw,c->othw", weight, weight.new_tensor(factors))[:, None]

        entries = {"weight": summed(self.gains)}
        return entries if self.constant is None else {**entries, "constant": summed(self.offsets)}

    def fold(self, scale: Tensor, shift: Tensor) -> None:
        super().fold(scale, shift)
        if self.constant is not None:
            self.constant = self.constant * scale.view(-1, 1, 1, 1, 1)

    def operands(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x[:, 1:2] if self.of_gray_clips else x
        if self.constant is None:
            return x, self.weight
        weight = torch.cat([self.weight, self.constant.to(self.weight.dtype)], dim=1)
        return torch.cat([x, _clip_area(x).expand_as(x)], dim=1), weight


def _clip_area(x: Tensor) -> Tensor:
    """1 inside the clips [N, 1, T, H, W], 0 in the zero padding at their right and bottom: [N, 1, 1, H, W]."""
    filled = (x != 0).any(dim=2)[:, 0]
    rows, columns = (filled.any(dim=dim).to(x.dtype).flip(1).cummax(dim=1).values.flip(1) for dim in (2, 1))
    return (rows[:, :, None] * columns[:, None, :])[:, None, None]


def make_conv(
    in_channels: int,
    out_channels: int,
    kernel: Triple,
    stride: Triple = (1, 1, 1),
    padding: Triple = (0, 0, 0),
    dilation: Triple = (1, 1, 1),
    bias: bool = False,
) -> Conv3d:
    """A 3-D convolution with Kaiming-normal weights (fan in) and zero bias."""
    conv = Conv3d(in_channels, out_channels, kernel, stride, padding, dilation, bias=bias)
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
        kernel: Triple,
        norm: NormOptions,
        stride: Triple = (1, 1, 1),
        padding: Triple = (0, 0, 0),
        dilation: Triple = (1, 1, 1),
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.conv = make_conv(in_channels, out_channels, kernel, stride, padding, dilation)
        self.bn = norm.make(out_channels, gain)

    def forward(self, x: Tensor, add: Tensor | None = None, relu: bool = False) -> Tensor:
        """Plus ``add``, rectified."""
        return conv_norm(self.conv, self.bn, x, add, relu)


class Bottleneck(nn.Module):
    """Convolutions kt x 1 x 1, 1 x 3 x 3 (with the spatial stride and dilation) and 1 x 1 x 1, each with batch norm."""

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
        around = (0, dilation, dilation)
        self.conv2 = ConvNorm(
            inner, inner, (1, 3, 3), norm, (1, stride, stride), padding=around, dilation=(1, dilation, dilation)
        )
        self.conv3 = ConvNorm(inner, out_channels, (1, 1, 1), norm, gain=norm.init_gain)

    def forward(self, x: Tensor, identity: Tensor) -> Tensor:
        """ReLU of the bottleneck plus ``identity``."""
        x = self.conv1(x, relu=True)
        x = self.conv2(x, relu=True)
        return self.conv3(x, identity, relu=True)


class ResidualBlock(nn.Module):
    """ReLU of bottleneck plus input; a 1 x 1 x 1 convolution of the input where the shape changes."""

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
        return self.btnk(x, identity)


class NonLocalBlock(nn.Module):
    """Every position attends to all positions of its group of frames (arXiv 1711.07971).

    Args:
        channels: of input and output; half of them inside.
        options: without softmax, products are divided by the number of positions.
        group: frames per group; 0: all frames together.
    """

    def __init__(self, channels: int, options: NonLocalOptions, group: int = 0) -> None:
        super().__init__()
        inner = channels // 2
        self.theta = Conv3d(channels, inner, 1, bias=options.bias)
        self.phi = Conv3d(channels, inner, 1, bias=options.bias)
        self.g = Conv3d(channels, inner, 1, bias=options.bias)
        self.out = Conv3d(inner, channels, 1, bias=options.bias)
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
