"""Classifier of the action head."""

from __future__ import annotations

from torch import Tensor, nn


class FCPredictor(nn.Module):
    """Dropout and one linear layer: [N, dim] -> logits [N, num_classes]."""

    def __init__(self, dim: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.cls_score = nn.Linear(dim, num_classes)
        nn.init.normal_(self.cls_score.weight, std=0.01)
        nn.init.zeros_(self.cls_score.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.cls_score(self.dropout(x))
