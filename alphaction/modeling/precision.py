"""Floating-point precision of what must not be computed in half precision."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32; float64 stays float64. Undoes what autocast did to outputs of convolutions and products."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
