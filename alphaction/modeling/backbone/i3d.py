"""Inflated ResNet (I3D body of non-local networks, arXiv 1711.07971): one pathway that reads the fast clip."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .common_blocks import RGB_STEM, NonLocalOptions, NormOptions, ResidualStage, StemOptions
from .slowfast import DEPTHS, INNER_WIDTHS, NONLOCAL_GROUP, STAGE_STRIDES, STAGE_WIDTHS, STEM_WIDTH


class I3D(nn.Module):
    """I3D-Resnet50 / 101 / 152.

    Args:
        depth: 50, 101 or 152.
        sparse: the stem's pool keeps every frame.
        nonlocal_stages: non-local blocks in (res3, res4).
        group_nonlocal: those of res3 in groups of 4 frames.
        stem, res5_dilation: as in ``SlowFast``.

    Attributes:
        out_channels: 2048.
    """

    def __init__(
        self,
        depth: int,
        sparse: bool,
        norm: NormOptions,
        nonlocal_options: NonLocalOptions,
        nonlocal_stages: tuple[bool, bool] = (True, True),
        group_nonlocal: bool = False,
        stem: StemOptions = RGB_STEM,
        res5_dilation: int = 2,
    ) -> None:
        super().__init__()
        self.conv1 = stem.make_conv(STEM_WIDTH, (5, 7, 7), (2, 2, 2))
        self.bn1 = norm.make(STEM_WIDTH)
        self.maxpool1 = stem.make_pool(1 if sparse else 2)
        self.maxpool2 = nn.MaxPool3d((2, 1, 1), (2, 1, 1))
        with_nonlocal = (False, *nonlocal_stages, False)
        channels = STEM_WIDTH
        for i, blocks in enumerate(DEPTHS[depth]):
            stage = ResidualStage(
                channels,
                INNER_WIDTHS[i],
                STAGE_WIDTHS[i],
                _kernels_t(i, blocks),
                norm,
                stride=STAGE_STRIDES[i],
                dilation=res5_dilation if i == 3 else 1,
                nonlocal_options=nonlocal_options if with_nonlocal[i] else None,
                nonlocal_group=NONLOCAL_GROUP if group_nonlocal and i == 1 else 0,
            )
            self.add_module(f"res_nl{i + 1}", stage)
            channels = STAGE_WIDTHS[i]
        self.out_channels = channels

    def forward(self, slow: Tensor | None, fast: Tensor) -> tuple[None, Tensor]:
        """(None, features [N, 2048, T', H/16, W/16]) of the fast clip [N, C, T, H, W], T' = T / 8 (sparse: T / 4)."""
        x = self.maxpool1(F.relu(self.bn1(self.conv1(fast))))
        x = self.maxpool2(self.res_nl1(x))
        return None, self.res_nl4(self.res_nl3(self.res_nl2(x)))


def _kernels_t(stage: int, blocks: int) -> list[int]:
    """Temporal kernels: everywhere in res2, in even blocks of res3 and res4, in odd blocks of res5."""
    if stage == 0:
        return [3] * blocks
    first = 1 if stage == 3 else 0
    return [3 if i % 2 == first else 1 for i in range(blocks)]
