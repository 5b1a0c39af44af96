"""Floating-point precision of steps that half precision is too coarse for."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32, or in float64 if it is; autocast makes outputs of convolutions and products half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
