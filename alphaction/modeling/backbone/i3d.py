"""Inflated ResNet (I3D body of non-local networks, arXiv 1711.07971): one pathway that reads the fast clip."""

from __future__ import annotations

from torch import Tensor, nn

from .common_blocks import Backbone, conv_norm
from .slowfast import DEPTHS, PathwayOptions, ResidualStage, ResNetOptions


class I3D(Backbone):
    """I3D-Resnet50, 101 or 152.

    Args:
        sparse: the stem's pool keeps every frame.
        nonlocal_stages: which of res2..res5 have non-local blocks.
        group_nonlocal: non-local blocks of res3 attend within groups of 4 frames.

    Attributes:
        out_channels: 2048 with the default widths.
    """

    def __init__(
        self,
        shared: ResNetOptions,
        sparse: bool = False,
        nonlocal_stages: tuple[bool, bool, bool, bool] = (False, True, True, False),
        group_nonlocal: bool = False,
    ) -> None:
        super().__init__()
        channels, *_, self.out_channels = shared.widths(1.0)
        self.conv1 = shared.stem.make_conv(channels, kernel_t=5, stride_t=2)
        self.bn1 = shared.norm.make(channels)
        self.maxpool1 = shared.stem.make_pool(1 if sparse else 2)
        self.maxpool2 = nn.MaxPool3d((2, 1, 1), (2, 1, 1))
        # The temporal kernels alternate within res3..res5.
        options = PathwayOptions(1.0, 5, (3, 3, 3, 3), nonlocal_stages, group_nonlocal)
        self.res_nl1, self.res_nl2, self.res_nl3, self.res_nl4 = (
            ResidualStage(i, 0, _kernels_t(i, blocks), shared, options) for i, blocks in enumerate(DEPTHS[shared.depth])
        )
        self.stride = shared.spatial_stride

    def forward(self, slow: Tensor | None, fast: Tensor) -> tuple[None, Tensor]:
        """(None, features [N, 2048, T', H/16, W/16]) of the fast clip [N, C, T, H, W], T' = T / 8 (sparse: T / 4)."""
        x = self.maxpool1(conv_norm(self.conv1, self.bn1, fast))
        x = self.maxpool2(self.res_nl1(x))
        return None, self.res_nl4(self.res_nl3(self.res_nl2(x)))


def _kernels_t(stage: int, blocks: int) -> list[int]:
    """Temporal kernels: 3 in all blocks of res2, in even blocks of res3 and res4, in odd blocks of res5; else 1."""
    if stage == 0:
        return [3] * blocks
    first = 1 if stage == 3 else 0
    return [3 if i % 2 == first else 1 for i in range(blocks)]
