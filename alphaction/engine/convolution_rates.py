"""Rate of single convolutions in three and in two dimensions: ``alphaction benchmark --convolutions``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F

from ..modeling.backbone.convolution import Triple, conv3d

# Layer of SlowFast R50 4x16 at 256x384 -> channels in and out, clip size, kernel, dilation of height and width.
LAYERS: dict[str, tuple[int, int, Triple, Triple, int]] = {
    "slow res2, 1x3x3, 64 to 64 channels": (64, 64, (4, 63, 95), (1, 3, 3), 1),
    "slow res4, 3x1x1, 1024 to 256 channels": (1024, 256, (4, 16, 24), (3, 1, 1), 1),
    "slow res4, 1x1x1, 256 to 1024 channels": (256, 1024, (4, 16, 24), (1, 1, 1), 1),
    "fast res2, 3x1x1, 32 to 8 channels": (32, 8, (32, 63, 95), (3, 1, 1), 1),
    "slow res5, 1x3x3 dilated, 512 to 512 channels": (512, 512, (4, 16, 24), (1, 3, 3), 2),
}


def convolution_rows(repeats: int) -> Iterator[tuple[str, str]]:
    """GFLOP/s of each layer for one clip, without gradients: ``F.conv3d`` and ``conv3d`` of this package."""
    for title, (channels, out, size, kernel, dilation) in LAYERS.items():
        x = torch.ones(1, channels, *size).to(memory_format=torch.channels_last_3d)
        weight = torch.ones(out, channels, *kernel).to(memory_format=torch.channels_last_3d)
        padding = (kernel[0] // 2, dilation * (kernel[1] // 2), dilation * (kernel[2] // 2))
        options = (1, 1, 1), padding, (1, dilation, dilation)
        gflop = 2e-9 * weight.numel() * x[0, 0].numel()
        with torch.no_grad():
            seconds = [_shortest(partial(f, x, weight, None, *options), repeats) for f in (F.conv3d, conv3d)]
        yield title, " / ".join(f"{gflop / each:.0f}" for each in seconds) + " GFLOP/s"


def _shortest(function: Callable[[], object], repeats: int) -> float:
    """Processor seconds of the fastest of some calls, after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)
