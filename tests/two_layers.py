"""A small model with the names by which the loader tells backbone and head apart."""

from __future__ import annotations

import torch
from torch import nn


class Net(nn.Module):
    """One layer with batch norm and a head."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({"conv": nn.Linear(2, 4), "bn": nn.BatchNorm1d(4)})
        self.roi_heads = nn.ModuleDict({"cls_score": nn.Linear(4, classes)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.roi_heads["cls_score"](self.backbone["bn"](self.backbone["conv"](x)))
