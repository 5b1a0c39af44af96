"""Losses of center points."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

# Standard deviation of a center's surroundings: of the box's side, and in cells.
_SPREAD, _LEAST_SPREAD = 0.1, 0.5
# Cells at least this near to a center learn the box.
_NEAR = 0.3
_BOX_WEIGHT = 2.0


def center_loss(centers: Tensor, distances: Tensor, boxes: list[Tensor], stride: int) -> dict[str, Tensor]:
    """``loss_center`` (focal loss that forgives cells near a center, arXiv 1904.07850) and ``loss_box`` (generalized
    IoU, arXiv 1902.09630, of cells near a center).

    Args:
        centers: logits [B, 1, H, W].
        distances: [B, 4, H, W] from a cell's center to the sides of its box, in pixels.
        boxes: of each sample, [N, 4] pixels.
        stride: pixels per cell.
    """
    heat, target, weight = _targets(centers, boxes, stride)
    probability = centers[:, 0].sigmoid()
    is_center = heat == 1
    found = (1 - probability) ** 2 * F.logsigmoid(centers[:, 0])
    others = (1 - heat) ** 4 * probability**2 * F.logsigmoid(-centers[:, 0])
    count = is_center.sum().clamp(min=1)
    loss = -torch.where(is_center, found, others).sum() / count
    near = weight > 0
    places = _cell_centers(centers, stride).expand(len(boxes), -1, -1, -1)[near]
    sides = distances.permute(0, 2, 3, 1)[near]
    predicted = torch.cat([places - sides[:, :2], places + sides[:, 2:]], dim=1)
    overlap = generalized_box_iou_loss(predicted, target[near], reduction="none")
    box_loss = (weight[near] * overlap).sum() / weight.sum().clamp(min=1)
    return {"loss_center": loss, "loss_box": _BOX_WEIGHT * box_loss}


def _cell_centers(like: Tensor, stride: int) -> Tensor:
    """x and y [H, W, 2] in pixels."""
    height, width = like.shape[-2:]
    rows = torch.arange(height, device=like.device, dtype=torch.float32)
    columns = torch.arange(width, device=like.device, dtype=torch.float32)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return (torch.stack([x, y], dim=-1) + 0.5) * stride


def _targets(like: Tensor, boxes: list[Tensor], stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Nearness to a center [B, H, W] (1 in its cell), box [B, H, W, 4] and weight [B, H, W] of the box loss."""
    places = _cell_centers(like, stride)
    height, width = like.shape[-2:]
    heat = places.new_zeros(len(boxes), height, width)
    target = places.new_zeros(len(boxes), height, width, 4)
    for sample, found in enumerate(boxes):
        for box in found.float():
            center, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
            spread = _SPREAD * size + _LEAST_SPREAD * stride
            near = torch.exp(-(((places - center) / spread) ** 2).sum(dim=-1) / 2)
            column, row = (center / stride).long().tolist()
            near[min(row, height - 1), min(column, width - 1)] = 1
            better = near > heat[sample]
            heat[sample][better] = near[better]
            target[sample][better] = box
    inside = (places >= target[..., :2]).all(dim=-1) & (places <= target[..., 2:]).all(dim=-1)
    return heat, target, torch.where((heat >= _NEAR) & inside, heat, 0.0)
