"""SlowFast (arXiv 1812.03982) as AlphAction uses it: output stride 16, dilated res5, temporal lateral convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .common_blocks import RGB_STEM, NonLocalOptions, NormOptions, ResidualStage, StemOptions, make_conv

# Blocks of res2, res3, res4, res5.
DEPTHS: dict[int, tuple[int, int, int, int]] = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# Channels behind the stem, res2, res3, res4 and res5 of the slow pathway, and inside the blocks of res2..res5.
STEM_WIDTH = 64
STAGE_WIDTHS = (256, 512, 1024, 2048)
INNER_WIDTHS = (64, 128, 256, 512)
STAGE_STRIDES = (1, 2, 2, 1)
NONLOCAL_GROUP = 4


class Lateral(nn.Module):
    """Time-strided convolution that brings fast features to the slow frame rate, with twice the channels."""

    def __init__(self, channels: int, alpha: int, kernel_t: int, relu: bool) -> None:
        super().__init__()
        self.conv = make_conv(channels, 2 * channels, (kernel_t, 1, 1), (alpha, 1, 1), (kernel_t // 2, 0, 0), bias=True)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.relu(x) if self.relu else x


class Pathway(nn.Module):
    """One pathway: stem and four residual stages.

    Args:
        depth: 50, 101 or 152.
        width: factor of all channel counts; the fast pathway has BETA = 1/8.
        stem_kernel_t: temporal kernel of the stem.
        stage_kernels_t: temporal kernel of res2..res5.
        lateral_in: channels that the other pathway adds behind the stem, res2, res3 and res4.
        norm: batch norms of the residual path.
        nonlocal_stages: which of res2..res5 get non-local blocks.
        group_nonlocal: non-local blocks of res3 work on groups of 4 frames.
        stem: what comes in and how the stem pools it.
        res5_dilation: of the 3 x 3 convolutions in res5, whose stride is 1.
    """

    def __init__(
        self,
        depth: int,
        width: float,
        stem_kernel_t: int,
        stage_kernels_t: Sequence[int],
        lateral_in: Sequence[int],
        norm: NormOptions,
        nonlocal_options: NonLocalOptions,
        nonlocal_stages: Sequence[bool] = (False, False, False, False),
        group_nonlocal: bool = False,
        stem: StemOptions = RGB_STEM,
        res5_dilation: int = 2,
    ) -> None:
        super().__init__()
        channels = int(STEM_WIDTH * width)
        self.conv1 = stem.make_conv(channels, (stem_kernel_t, 7, 7), (1, 2, 2))
        self.bn1 = norm.make(channels)
        self.maxpool1 = stem.make_pool()
        for i, blocks in enumerate(DEPTHS[depth]):
            out_channels = int(STAGE_WIDTHS[i] * width)
            stage = ResidualStage(
                channels + lateral_in[i],
                int(INNER_WIDTHS[i] * width),
                out_channels,
                [stage_kernels_t[i]] * blocks,
                norm,
                stride=STAGE_STRIDES[i],
                dilation=res5_dilation if i == 3 else 1,
                nonlocal_options=nonlocal_options if nonlocal_stages[i] else None,
                nonlocal_group=NONLOCAL_GROUP if group_nonlocal and i == 1 else 0,
            )
            self.add_module(f"res_nl{i + 1}", stage)
            channels = out_channels
        self.out_channels = channels

    def stem(self, x: Tensor) -> Tensor:
        return self.maxpool1(F.relu(self.bn1(self.conv1(x))))

    def stages(self) -> list[nn.Module]:
        return [self.res_nl1, self.res_nl2, self.res_nl3, self.res_nl4]


class SlowFast(nn.Module):
    """Slow and fast pathway with lateral connections from fast to slow, or one of them alone.

    Args:
        depth: 50, 101 or 152.
        alpha: fast frames per slow frame.
        beta: fast channels over slow channels.
        norm, nonlocal_options: see there.
        slow, fast: whether the pathway exists; one alone has no lateral connections.
        slow_nonlocal, fast_nonlocal: non-local blocks in (res3, res4).
        slow_group_nonlocal, fast_group_nonlocal: those of res3 in groups of 4 frames.
        stem: what comes in and how the stems pool it.
        lateral_kernel_t: temporal kernel of the lateral convolutions.
        lateral_relu: ReLU behind the lateral convolutions.
        res5_dilation: of the 3 x 3 convolutions in res5.

    Attributes:
        out_channels: channels of the slow and the fast features together.
    """

    def __init__(
        self,
        depth: int,
        alpha: int,
        beta: float,
        norm: NormOptions,
        nonlocal_options: NonLocalOptions,
        slow: bool = True,
        fast: bool = True,
        slow_nonlocal: tuple[bool, bool] = (False, False),
        fast_nonlocal: tuple[bool, bool] = (False, False),
        slow_group_nonlocal: bool = False,
        fast_group_nonlocal: bool = False,
        stem: StemOptions = RGB_STEM,
        lateral_kernel_t: int = 5,
        lateral_relu: bool = False,
        res5_dilation: int = 2,
    ) -> None:
        super().__init__()
        fast_widths = [int(width * beta) for width in (STEM_WIDTH, *STAGE_WIDTHS[:3])]
        self.slow = self.fast = None
        if slow:
            lateral_in = [2 * width for width in fast_widths] if fast else [0] * 4
            self.slow = Pathway(
                depth,
                1.0,
                1,
                (1, 1, 3, 3),
                lateral_in,
                norm,
                nonlocal_options,
                (False, *slow_nonlocal, False),
                slow_group_nonlocal,
                stem,
                res5_dilation,
            )
        if fast:
            self.fast = Pathway(
                depth,
                beta,
                5,
                (3, 3, 3, 3),
                [0] * 4,
                norm,
                nonlocal_options,
                (False, *fast_nonlocal, False),
                fast_group_nonlocal,
                stem,
                res5_dilation,
            )
        if slow and fast:
            for i, width in enumerate(fast_widths):
                self.fast.add_module(f"Tconv{i + 1}", Lateral(width, alpha, lateral_kernel_t, lateral_relu))
        self.out_channels = sum(pathway.out_channels for pathway in (self.slow, self.fast) if pathway is not None)

    def forward(self, slow: Tensor | None, fast: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Feature maps at 1/16 of the resolution.

        Args:
            slow, fast: [N, C, Ts, H, W] and [N, C, Tf, H, W] with C as in ``stem``, normalised, Tf = alpha * Ts. That
                of a pathway which does not exist is ignored.

        Returns:
            [N, 2048, Ts, H/16, W/16] and [N, 256, Tf, H/16, W/16]; None for a pathway that does not exist.
        """
        laterals: list[Tensor] = []
        if self.fast is not None:
            fast, behind = self._run_fast(fast)
            if self.slow is not None:
                tconvs = (self.fast.Tconv1, self.fast.Tconv2, self.fast.Tconv3, self.fast.Tconv4)
                laterals = [tconv(x) for tconv, x in zip(tconvs, behind, strict=True)]
        else:
            fast = None
        return self._run_slow(slow, laterals) if self.slow is not None else None, fast

    def _run_fast(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        behind = []
        x = self.fast.stem(x)
        for stage in self.fast.stages():
            behind.append(x)
            x = stage(x)
        return x, behind

    def _run_slow(self, x: Tensor, laterals: list[Tensor]) -> Tensor:
        x = self.slow.stem(x)
        for i, stage in enumerate(self.slow.stages()):
            x = stage(torch.cat([x, laterals[i]], dim=1) if laterals else x)
        return x
