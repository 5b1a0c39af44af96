"""Features of boxes: RoIAlign or RoI max-pooling of every frame, averaged over time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align, roi_pool

from ....structures.bounding_box import BoxList


class RoIPooler(nn.Module):
    """Region features, averaged over time, pathways concatenated on channels.

    Args:
        kind: ``"align3d"`` (RoIAlign without the half-pixel shift) or ``"pooling3d"`` (RoI max-pooling).
        resolution: cells per side.
        scale: feature cells per input pixel.
        sampling_ratio: samples per side of a cell, 0 adapts to the region (RoIAlign only).
        mean_before: average over time before pooling instead of after.
    """

    def __init__(self, kind: str, resolution: int, scale: float, sampling_ratio: int, mean_before: bool) -> None:
        super().__init__()
        if kind not in ("align3d", "pooling3d"):
            raise ValueError(f"kind of pooling is {kind!r}, expected 'align3d' or 'pooling3d'")
        self.kind = kind
        self.resolution = resolution
        self.scale = scale
        self.sampling_ratio = sampling_ratio
        self.mean_before = mean_before

    def forward(self, features: Sequence[Tensor | None], boxes: Sequence[BoxList]) -> Tensor:
        """[N, sum of C, resolution, resolution] in float32, N over all clips in order.

        Args:
            features: feature maps [B, C, T, H, W]; None is left out.
            boxes: one BoxList per clip, in pixels of the input.
        """
        rois = clip_boxes(boxes)
        return torch.cat([self._pool(x, rois) for x in features if x is not None], dim=1)

    def _pool(self, x: Tensor, rois: Tensor) -> Tensor:
        x = x.float()
        if self.mean_before:
            return self.pool_frames(x.mean(dim=2, keepdim=True), rois).squeeze(2)
        return self.pool_frames(x, rois).mean(dim=2)

    def pool_frames(self, x: Tensor, rois: Tensor) -> Tensor:
        """[N, C, T, resolution, resolution] of a feature map [B, C, T, H, W] and rois [N, 5] (clip, x1, y1, x2, y2)."""
        # Every channel is pooled alike, so frames may as well be channels.
        stacked = x.flatten(1, 2).contiguous()
        rois = rois.to(x)
        with torch.autocast(device_type=x.device.type, enabled=False):
            if self.kind == "align3d":
                pooled = roi_align(stacked, rois, self.resolution, self.scale, self.sampling_ratio, aligned=False)
            else:
                pooled = roi_pool(stacked, rois, self.resolution, self.scale)
        return pooled.unflatten(1, x.shape[1:3])


def clip_boxes(boxes: Sequence[BoxList]) -> Tensor:
    """[N, 5] rows (clip, x1, y1, x2, y2) of the boxes of a batch."""
    rows = [
        torch.cat([b.bbox.new_full((len(b), 1), clip), b.convert("xyxy").bbox], dim=1) for clip, b in enumerate(boxes)
    ]
    return torch.cat(rows)
