"""SlowFast (arXiv 1812.03982) as in AlphAction: output stride 16, dilated res5, temporal lateral convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ...config.node import ConfigNode
from .common_blocks import (
    Backbone,
    NonLocalBlock,
    NonLocalOptions,
    NormOptions,
    ResidualBlock,
    StemOptions,
    conv_norm,
    make_conv,
    scale_width,
)

# Blocks of res2, res3, res4, res5.
DEPTHS: dict[int, tuple[int, int, int, int]] = {
    20: (1, 2, 2, 1),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
# Channels inside a block over those after it.
INNER_SHARE = 1 / 4
NONLOCAL_GROUP = 4


@dataclass(frozen=True)
class ResNetOptions:
    """Options that all pathways of a network share.

    Attributes:
        depth: 20, 50, 101 or 152.
        norm: batch norms, except those of non-local blocks.
        res5_dilation: of the 3 x 3 convolutions of res5.
        stage_widths: channels after res2..res5 of the slow pathway.
        stage_strides: spatial strides of res2..res5.
    """

    depth: int = 50
    norm: NormOptions = field(default_factory=NormOptions)
    nonlocal_block: NonLocalOptions = field(default_factory=NonLocalOptions)
    stem: StemOptions = field(default_factory=StemOptions)
    res5_dilation: int = 2
    stage_widths: Sequence[int] = (256, 512, 1024, 2048)
    stage_strides: Sequence[int] = (1, 2, 2, 1)

    @classmethod
    def from_cfg(cls, cfg: ConfigNode, depth: int) -> ResNetOptions:
        keys = cfg.MODEL.BACKBONE
        return cls(
            depth,
            NormOptions.from_cfg(keys),
            NonLocalOptions.from_cfg(cfg.MODEL.NONLOCAL),
            StemOptions.from_cfg(cfg),
            keys.RES5_DILATION,
            [scale_width(width, keys.WIDTH) for width in keys.STAGE_WIDTHS],
            tuple(keys.STAGE_STRIDES),
        )

    @property
    def spatial_stride(self) -> int:
        """Input pixels per feature cell."""
        return self.stem.spatial_stride * math.prod(self.stage_strides)

    def widths(self, factor: float) -> list[int]:
        """Channels after the stem and res2..res5 of a pathway with ``factor`` of the slow one's."""
        return [scale_width(width, factor) for width in (self.stem.width, *self.stage_widths)]


@dataclass(frozen=True)
class PathwayOptions:
    """One pathway.

    Attributes:
        width: factor of all channel counts, against the slow pathway.
        stem_kernel: temporal kernel of the stem.
        stage_kernels: temporal kernels of res2..res5.
        nonlocal_stages: which of res2..res5 have non-local blocks.
        group_nonlocal: non-local blocks of res3 attend within groups of 4 frames.
    """

    width: float
    stem_kernel: int
    stage_kernels: tuple[int, int, int, int]
    nonlocal_stages: tuple[bool, bool, bool, bool] = (False, False, False, False)
    group_nonlocal: bool = False


SLOW = PathwayOptions(width=1.0, stem_kernel=1, stage_kernels=(1, 1, 3, 3))
FAST = PathwayOptions(width=1 / 8, stem_kernel=5, stage_kernels=(3, 3, 3, 3))


class ResidualStage(nn.Module):
    """Residual blocks ``res_0``, ``res_1``, ... with a non-local block ``nonlocal_i`` after every second one.

    Args:
        stage: 0..3 for res2..res5.
        lateral_in: channels that another pathway adds to the input.
        kernels_t: temporal kernel of each block.
    """

    def __init__(
        self, stage: int, lateral_in: int, kernels_t: Sequence[int], shared: ResNetOptions, pathway: PathwayOptions
    ) -> None:
        super().__init__()
        widths = shared.widths(pathway.width)
        channels, out_channels = widths[stage] + lateral_in, widths[stage + 1]
        inner = scale_width(out_channels, INNER_SHARE)
        stride, dilation = shared.stage_strides[stage], shared.res5_dilation if stage == 3 else 1
        group = NONLOCAL_GROUP if pathway.group_nonlocal and stage == 1 else 0
        for i, kernel_t in enumerate(kernels_t):
            block = ResidualBlock(channels, inner, out_channels, kernel_t, stride, dilation, shared.norm)
            self.add_module(f"res_{i}", block)
            if pathway.nonlocal_stages[stage] and i % 2 == 1:
                self.add_module(f"nonlocal_{i}", NonLocalBlock(out_channels, shared.nonlocal_block, group))
            channels, stride = out_channels, 1

    def forward(self, x: Tensor) -> Tensor:
        for block in self.children():
            x = block(x)
        return x


class Lateral(nn.Module):
    """Time-strided convolution of fast features to the slow frame rate, with twice the channels."""

    def __init__(self, channels: int, alpha: int, kernel_t: int, relu: bool) -> None:
        super().__init__()
        self.conv = make_conv(channels, 2 * channels, (kernel_t, 1, 1), (alpha, 1, 1), (kernel_t // 2, 0, 0), bias=True)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x, relu=self.relu)


class Pathway(nn.Module):
    """Stem and four residual stages of one pathway.

    Args:
        laterals_in: channels that the other pathway adds to the input of res2..res5.
    """

    def __init__(
        self, shared: ResNetOptions, options: PathwayOptions, laterals_in: Sequence[int] = (0, 0, 0, 0)
    ) -> None:
        super().__init__()
        channels, *_, self.out_channels = shared.widths(options.width)
        self.conv1 = shared.stem.make_conv(channels, options.stem_kernel)
        self.bn1 = shared.norm.make(channels)
        self.maxpool1 = shared.stem.make_pool()
        self.res_nl1, self.res_nl2, self.res_nl3, self.res_nl4 = (
            ResidualStage(i, laterals_in[i], [options.stage_kernels[i]] * blocks, shared, options)
            for i, blocks in enumerate(DEPTHS[shared.depth])
        )

    def stem(self, x: Tensor) -> Tensor:
        return self.maxpool1(conv_norm(self.conv1, self.bn1, x))

    def stages(self) -> list[ResidualStage]:
        return [self.res_nl1, self.res_nl2, self.res_nl3, self.res_nl4]


class SlowFast(Backbone):
    """Slow and fast pathway with lateral connections from fast to slow, or one pathway without any.

    Args:
        slow, fast: None leaves a pathway out.
        alpha: fast frames per slow frame.
        lateral_kernel: temporal kernel of the lateral convolutions.
        lateral_relu: ReLU after the lateral convolutions.

    Attributes:
        out_channels: channels of the slow and the fast features together.
    """

    def __init__(
        self,
        shared: ResNetOptions,
        slow: PathwayOptions | None,
        fast: PathwayOptions | None,
        alpha: int,
        lateral_kernel: int = 5,
        lateral_relu: bool = False,
    ) -> None:
        super().__init__()
        widths = shared.widths(fast.width)[:4] if fast else [0] * 4
        self.slow = Pathway(shared, slow, [2 * width for width in widths]) if slow else None
        self.fast = Pathway(shared, fast) if fast else None
        if self.slow and self.fast:
            for i, width in enumerate(widths):
                self.fast.add_module(f"Tconv{i + 1}", Lateral(width, alpha, lateral_kernel, lateral_relu))
        self.out_channels = sum(pathway.out_channels for pathway in (self.slow, self.fast) if pathway)
        self.stride = shared.spatial_stride

    def forward(self, slow: Tensor | None, fast: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Feature maps at 1/16 of the resolution (with the default strides).

        Args:
            slow, fast: normalized clips [N, C, Ts, H, W] and [N, C, Tf, H, W] with C as in ``StemOptions`` and
                Tf = alpha * Ts. The clip of a pathway that does not exist is ignored.

        Returns:
            [N, 2048, Ts, H/16, W/16] and [N, 256, Tf, H/16, W/16]; None for a pathway that does not exist.
        """
        fast_features, laterals = self._run_fast(fast)
        return self._run_slow(slow, laterals), fast_features

    def _run_fast(self, x: Tensor | None) -> tuple[Tensor | None, list[Tensor]]:
        """Fast features, and the lateral inputs of the slow res2..res5."""
        if self.fast is None:
            return None, []
        x = self.fast.stem(_existing(x))
        stage_inputs = []
        for stage in self.fast.stages():
            stage_inputs.append(x)
            x = stage(x)
        if self.slow is None:
            return x, []
        return x, [self.fast.get_submodule(f"Tconv{i + 1}")(y) for i, y in enumerate(stage_inputs)]

    def _run_slow(self, x: Tensor | None, laterals: list[Tensor]) -> Tensor | None:
        if self.slow is None:
            return None
        x = self.slow.stem(_existing(x))
        for i, stage in enumerate(self.slow.stages()):
            x = stage(torch.cat([x, laterals[i]], dim=1) if laterals else x)
        return x


def _existing(clip: Tensor | None) -> Tensor:
    if clip is None:
        raise ValueError("the clip of a SlowFast pathway is None, expected a tensor for each pathway of the network")
    return clip


def slowfast_r50_4x16() -> SlowFast:
    """SlowFast R50 4x16: of 64 frames, every 16th for the slow pathway and every second for the fast one."""
    return SlowFast(ResNetOptions(depth=50), SLOW, FAST, alpha=8)


def slowfast_r101_8x8() -> SlowFast:
    """SlowFast R101 8x8: of 64 frames, every 8th for the slow pathway and every second for the fast one."""
    return SlowFast(ResNetOptions(depth=101), SLOW, FAST, alpha=4)
