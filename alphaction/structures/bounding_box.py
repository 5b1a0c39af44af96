"""Boxes of one image and the fields that go with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, overload

import numpy as np
import torch
from torch import Tensor

FLIP_LEFT_RIGHT = 0
FLIP_TOP_BOTTOM = 1

# Selects boxes: a slice, indices, or one boolean per box.
Selection = slice | Sequence[int] | Sequence[bool] | Tensor | np.ndarray


class BoxList:
    """Boxes in the pixel frame of one image, and fields that go with them.

    Corners are inclusive, as in AlphAction: a box over a whole 160 x 128 image is ``0, 0, 159, 127``, a box's width is
    ``x2 - x1 + 1``. In mode ``"xyxy"`` a row is ``x1, y1, x2, y2``, in mode ``"xywh"`` ``x1, y1, width, height``.

    Args:
        bbox: float [N, 4], tensor, array or nested list; an empty list is zero boxes.
        image_size: ``(width, height)`` of the image in pixels.
        mode: ``"xyxy"`` or ``"xywh"``.

    Attributes:
        bbox: float32 tensor [N, 4].
        size: ``(width, height)``.
        mode: see above.
    """

    def __init__(self, bbox: Tensor | np.ndarray | Sequence, image_size: Sequence[float], mode: str = "xyxy") -> None:
        device = bbox.device if isinstance(bbox, Tensor) else torch.device("cpu")
        bbox = torch.as_tensor(bbox, dtype=torch.float32, device=device)
        if bbox.numel() == 0:
            bbox = bbox.reshape(0, 4)
        if bbox.ndim != 2 or bbox.shape[1] != 4:
            raise ValueError(f"boxes have the shape {list(bbox.shape)}, expected [N, 4]")
        if mode not in ("xyxy", "xywh"):
            raise ValueError(f"box mode is {mode!r}, expected 'xyxy' or 'xywh'")
        self.bbox = bbox
        self.size = (image_size[0], image_size[1])
        self.mode = mode
        self._fields: dict[str, object] = {}

    # ---- fields
    def add_field(self, name: str, value: object) -> None:
        """Attach ``value``. Tensors whose first dimension is N follow indexing, anything else is carried along."""
        self._fields[name] = value

    @overload
    def get_field(self, name: Literal["scores", "labels", "pooled_feature"]) -> Tensor: ...
    @overload
    def get_field(self, name: Literal["loss_tag"]) -> float: ...
    @overload
    def get_field(self, name: str) -> object: ...
    def get_field(self, name: str) -> object:
        """The value of a field; the signatures say the types of the package's own fields.

        Raises:
            KeyError: the field does not exist.
        """
        return self._fields[name]

    def has_field(self, name: str) -> bool:
        return name in self._fields

    def fields(self) -> list[str]:
        return list(self._fields)

    def copy_with_fields(self, names: str | Iterable[str]) -> BoxList:
        """The same boxes with only the named fields.

        Raises:
            KeyError: a field does not exist.
        """
        result = BoxList(self.bbox, self.size, self.mode)
        for name in [names] if isinstance(names, str) else names:
            result.add_field(name, self._fields[name])
        return result

    # ---- container
    def __len__(self) -> int:
        return self.bbox.shape[0]

    def __getitem__(self, item: Selection) -> BoxList:
        """The selected boxes; their fields follow."""
        if isinstance(item, (list, tuple)):
            dtype = torch.bool if len(item) and isinstance(item[0], bool) else torch.long
            item = torch.tensor(item, dtype=dtype, device=self.bbox.device)
        result = BoxList(self.bbox[item], self.size, self.mode)
        for name, value in self._fields.items():
            if isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == len(self):
                value = value[item]
            result.add_field(name, value)
        return result

    def to(self, device: torch.device | str | int, non_blocking: bool = False) -> BoxList:
        """The boxes and every field that can move, on ``device``."""
        result = BoxList(self.bbox.to(device, non_blocking=non_blocking), self.size, self.mode)
        for name, value in self._fields.items():
            result.add_field(name, value.to(device, non_blocking=non_blocking) if hasattr(value, "to") else value)
        return result

    def __repr__(self) -> str:
        return (
            f"BoxList(boxes={len(self)}, image={self.size[0]}x{self.size[1]}, mode={self.mode}, fields={self.fields()})"
        )

    # ---- geometry
    def convert(self, mode: str) -> BoxList:
        """The same boxes in another mode; a box of width 0 or less becomes one pixel wide in ``"xyxy"``."""
        if mode == self.mode:
            return self._with_boxes(self.bbox)
        start = self.bbox[:, :2]
        if mode == "xywh":
            return self._with_boxes(torch.cat([start, self.bbox[:, 2:] - start + 1], dim=1), mode=mode)
        return self._with_boxes(torch.cat([start, start + (self.bbox[:, 2:] - 1).clamp(min=0)], dim=1), mode=mode)

    def resize(self, size: Sequence[float]) -> BoxList:
        """Boxes in the image scaled to ``size`` (width, height).

        With equal ratios the numbers are multiplied in the box's mode, with unequal ones as corners.
        """
        ratio_w, ratio_h = (new / old for new, old in zip(size, self.size, strict=True))
        if ratio_w == ratio_h:
            return self._with_boxes(self.bbox * ratio_w, size=size)
        corners = self.convert("xyxy")
        factors = self.bbox.new_tensor([ratio_w, ratio_h, ratio_w, ratio_h])
        return corners._with_boxes(corners.bbox * factors, size=size).convert(self.mode)

    def transpose(self, method: int) -> BoxList:
        """Mirror: ``FLIP_LEFT_RIGHT`` (0) maps x to width - 1 - x, ``FLIP_TOP_BOTTOM`` (1) y to height - y (sic)."""
        if method not in (FLIP_LEFT_RIGHT, FLIP_TOP_BOTTOM):
            raise ValueError(f"flip method is {method!r}, expected 0 (left-right) or 1 (top-bottom)")
        corners = self.convert("xyxy")
        x1, y1, x2, y2 = corners.bbox.unbind(dim=1)
        if method == FLIP_LEFT_RIGHT:
            x1, x2 = self.size[0] - 1 - x2, self.size[0] - 1 - x1
        else:
            y1, y2 = self.size[1] - y2, self.size[1] - y1
        return corners._with_boxes(torch.stack([x1, y1, x2, y2], dim=1)).convert(self.mode)

    def crop(self, box: Sequence[float]) -> BoxList:
        """Boxes in the part ``box`` = (x1, y1, x2, y2) of the image, clamped to its 0..width and 0..height."""
        width, height = box[2] - box[0], box[3] - box[1]
        corners = self.convert("xyxy")
        moved = corners.bbox - corners.bbox.new_tensor([box[0], box[1], box[0], box[1]])
        return corners._with_boxes(_clamp(moved, width, height), size=(width, height)).convert(self.mode)

    def extend(self, scale: float | Sequence[float]) -> BoxList:
        """Enlarge by the fractions ``scale`` = (of width, of height), or one for both, and clip to the image."""
        scale_x, scale_y = (scale, scale) if isinstance(scale, (int, float)) else _pair(scale)
        corners = self.convert("xyxy")
        x1, y1, x2, y2 = corners.bbox.unbind(dim=1)
        dx, dy = (x2 - x1 + 1) * scale_x / 2, (y2 - y1 + 1) * scale_y / 2
        moved = corners._with_boxes(torch.stack([x1 - dx, y1 - dy, x2 + dx, y2 + dy], dim=1))
        return moved.clip_to_image(remove_empty=False).convert(self.mode)

    def random_aug(
        self, x_out: float, x_in: float, y_out: float, y_in: float, uniforms: Tensor | None = None
    ) -> BoxList:
        """Move every side at random, then clip to the image.

        With u uniform in 0..1 the left side moves by width * ((x_out + x_in) u - x_out), the right one by
        width * ((x_out + x_in) u - x_in), and likewise vertically; a box stays at least two pixels wide and high.

        Args:
            uniforms: [N, 4], the draws for x1, y1, x2, y2; None draws them.
        """
        corners = self.convert("xyxy")
        x1, y1, x2, y2 = corners.bbox.unbind(dim=1)
        if uniforms is None:
            uniforms = torch.rand_like(corners.bbox)
        u = uniforms.to(corners.bbox).unbind(dim=1)
        width, height = x2 - x1 + 1, y2 - y1 + 1
        x1 = x1 + width * ((x_out + x_in) * u[0] - x_out)
        y1 = y1 + height * ((y_out + y_in) * u[1] - y_out)
        x2 = torch.maximum(x2 + width * ((x_out + x_in) * u[2] - x_in), x1 + 1)
        y2 = torch.maximum(y2 + height * ((y_out + y_in) * u[3] - y_in), y1 + 1)
        moved = corners._with_boxes(torch.stack([x1, y1, x2, y2], dim=1))
        return moved.clip_to_image(remove_empty=False).convert(self.mode)

    def clip_to_image(self, remove_empty: bool = True) -> BoxList:
        """Clamp corners to 0..width-1 and 0..height-1, **in this BoxList**, and return it, or its non-empty boxes."""
        corners = _clamp(self.convert("xyxy").bbox, self.size[0] - 1, self.size[1] - 1)
        self.bbox = BoxList(corners, self.size).convert(self.mode).bbox
        return self.remove_empty() if remove_empty else self

    def remove_empty(self) -> BoxList:
        """The boxes with x2 > x1 and y2 > y1."""
        box = self.convert("xyxy").bbox
        return self[(box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])]

    def area(self) -> Tensor:
        """[N] square pixels, corners inclusive."""
        box = self.convert("xywh").bbox
        return box[:, 2] * box[:, 3]

    def top_k(self, k: int) -> BoxList:
        """The k boxes with the highest ``scores``, in ascending order; without that field the first k boxes."""
        if not self.has_field("scores"):
            return self[:k]
        order = torch.argsort(self.get_field("scores"), stable=True)
        return self[order[max(len(self) - k, 0) :]]

    def _with_boxes(self, bbox: Tensor, size: Sequence[float] | None = None, mode: str | None = None) -> BoxList:
        result = BoxList(bbox, size or self.size, mode or self.mode)
        result._fields.update(self._fields)
        return result


def _clamp(corners: Tensor, x_max: float, y_max: float) -> Tensor:
    limit = corners.new_tensor([x_max, y_max, x_max, y_max])
    return torch.minimum(corners.clamp(min=0), limit)


def _pair(scale: Sequence[float]) -> tuple[float, float]:
    return (scale[0], scale[0]) if len(scale) == 1 else (scale[0], scale[1])
