"""Where in the frame a person is, as a feature or as a prior of the classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....structures.bounding_box import BoxList


def box_fractions(boxes: Sequence[BoxList], annotated: bool) -> Tensor:
    """Corners [N, 4] of the boxes of a batch as fractions of the frame.

    Args:
        annotated: take the field ``place``, the fractions before training mirrored, shifted or transposed the frame, of
            boxes that have it.
    """
    rows = []
    for b in boxes:
        if annotated and b.has_field("place"):
            rows.append(cast(Tensor, b.get_field("place")))
        else:
            rows.append(b.convert("xyxy").bbox / b.bbox.new_tensor(b.size * 2))
    return torch.cat(rows)


class BoxGeometry(nn.Module):
    """Centre and size of boxes as fractions of the frame, embedded (MODEL.ROI_ACTION_HEAD.BOX_GEOMETRY).

    Args:
        annotated: see ``box_fractions``; in training only.
    """

    WIDTH = 64

    def __init__(self, annotated: bool) -> None:
        super().__init__()
        self.annotated = annotated
        self.fc = nn.Linear(4, self.WIDTH)
        nn.init.kaiming_uniform_(self.fc.weight, a=1)
        nn.init.zeros_(self.fc.bias)

    def forward(self, boxes: Sequence[BoxList]) -> Tensor:
        """[N, WIDTH] of the boxes of a batch."""
        corners = box_fractions(boxes, self.annotated and self.training).to(self.fc.weight)
        size = corners[:, 2:] - corners[:, :2]
        centre = (corners[:, 2:] + corners[:, :2]) / 2
        # Boxes are a few tenths of the frame wide: all four numbers are about -1 to 1.
        return F.relu(self.fc(torch.cat([2 * centre - 1, 4 * size - 1], dim=1)))


class PlacePrior(nn.Module):
    """Log-odds of each class by where in the frame a person is (MODEL.ROI_ACTION_HEAD.PLACE_PRIOR).

    What the network sees tells the pose; that a bed is in one corner of this room only its own annotations tell. A
    linear layer over Gaussian bumps learns that from a dozen situations, where finetuning would memorize them. The
    log-odds are added to the logits. They vanish at the start, and stay 0 far from all annotated persons.
    """

    COLUMNS, ROWS = 12, 8
    # Standard deviation of a bump over the distance to the next.
    SPREAD = 0.8
    # Adam moves all parameters by about the learning rate; log-odds have to move further than weights.
    GAIN = 30.0

    centres: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        x = (torch.arange(self.COLUMNS) + 0.5) / self.COLUMNS
        y = (torch.arange(self.ROWS) + 0.5) / self.ROWS
        self.register_buffer("centres", torch.cartesian_prod(x, y), persistent=False)
        self.weight = nn.Parameter(torch.zeros(num_classes, len(x) * len(y)))

    def forward(self, boxes: Sequence[BoxList]) -> Tensor:
        """Log-odds [N, num_classes] of the boxes of a batch."""
        corners = box_fractions(boxes, annotated=self.training).to(self.weight)
        centre = (corners[:, 2:] + corners[:, :2]) / 2
        distance = (centre[:, None] - self.centres) * corners.new_tensor([self.COLUMNS, self.ROWS]) / self.SPREAD
        # The bumps of an endless grid would sum to 1 everywhere.
        bumps = torch.exp(-distance.square().sum(dim=2) / 2) / (2 * math.pi * self.SPREAD**2)
        return bumps @ self.log_odds().T

    def log_odds(self) -> Tensor:
        """[num_classes, COLUMNS x ROWS], the weights of the bumps."""
        return self.GAIN * self.weight

    def penalty(self) -> Tensor:
        """Sum of squares of the log-odds, without which a few situations would make them certain."""
        return self.log_odds().square().sum()
