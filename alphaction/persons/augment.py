"""Training samples of the person detector, varied in °C and in the sensor's own pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Share of samples whose room shows persons who hardly move, and whose room is the second before.
_STALE_ROOM, _RECENT_ROOM = 0.3, 0.1
# Standard deviation of the noise in °C, factor of what is warmer or colder than the room, and offset in °C.
_NOISE, _GAIN, _OFFSET = (0.05, 0.2), (0.75, 1.25), 3.0
# Furniture that was not there: standard deviation in °C, at the most, of a random picture with a value every 6 pixels.
_FURNITURE, _FURNITURE_PIXELS = 2.0, 6
# Largest shift as a share of the frame's sides, and the share of a person that must stay in view.
_SHIFT, _IN_VIEW = 0.2, 0.4


@dataclass
class Batch:
    """Samples of one size.

    Attributes:
        frames: [B, T, h, w] °C, the key frame last.
        rooms: [B, 2, h, w] °C, without persons: by a low quantile of time, and by the median.
        boxes: of each sample, [N, 4] pixels.
    """

    frames: Tensor
    rooms: Tensor
    boxes: list[Tensor]


def augment(batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Frames [B, T, h, w], room [B, h, w] and boxes of a varied batch; h and w may change places."""
    count = len(batch.boxes)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    chance = uniform(0, 1)
    room = torch.where((chance < _STALE_ROOM)[:, None, None], batch.rooms[:, 1], batch.rooms[:, 0])
    room = torch.where((chance > 1 - _RECENT_ROOM)[:, None, None], batch.frames[:, :-1].mean(dim=1), room)
    level = room.flatten(1).median(dim=1).values[:, None, None]
    gain, offset = uniform(*_GAIN, 1, 1), uniform(-_OFFSET, _OFFSET, 1, 1)
    frames = (level + offset)[:, None] + (batch.frames - level[:, None]) * gain[:, None]
    room = level + offset + (room - level) * gain
    height, width = room.shape[-2:]
    cells = (height // _FURNITURE_PIXELS + 2, width // _FURNITURE_PIXELS + 2)
    furniture = torch.randn(count, 1, *cells, generator=generator) * uniform(0, _FURNITURE, 1, 1, 1)
    furniture = F.interpolate(furniture, size=(height, width), mode="bilinear")
    frames, room = frames + furniture, room + furniture[:, 0]
    images, boxes = torch.cat([frames, room[:, None]], dim=1), list(batch.boxes)
    for sample, (flip_x, flip_y) in enumerate((uniform(0, 1, 2) < 0.5).tolist()):
        images[sample], boxes[sample] = _flip(images[sample], boxes[sample], flip_x, flip_y)
    for sample, (right, down) in enumerate(uniform(-_SHIFT, _SHIFT, 2).tolist()):
        images[sample], boxes[sample] = _shift(images[sample], boxes[sample], right, down)
    images[:, :-1] += torch.randn(batch.frames.shape, generator=generator) * uniform(*_NOISE, 1, 1, 1)
    if torch.rand((), generator=generator) < 0.5:
        images, boxes = images.transpose(2, 3), [found[:, [1, 0, 3, 2]] for found in boxes]
    return images[:, :-1], images[:, -1], boxes


def _flip(images: Tensor, boxes: Tensor, flip_x: bool, flip_y: bool) -> tuple[Tensor, Tensor]:
    height, width = images.shape[-2:]
    if flip_x:
        images, boxes = images.flip(-1), (boxes * boxes.new_tensor([-1, 1, -1, 1]))[:, [2, 1, 0, 3]]
        boxes = boxes + boxes.new_tensor([width, 0, width, 0])
    if flip_y:
        images, boxes = images.flip(-2), (boxes * boxes.new_tensor([1, -1, 1, -1]))[:, [0, 3, 2, 1]]
        boxes = boxes + boxes.new_tensor([0, height, 0, height])
    return images, boxes


def _shift(images: Tensor, boxes: Tensor, right: float, down: float) -> tuple[Tensor, Tensor]:
    """Move by shares of the sides in whole pixels: the border of the room, the last image, is repeated, and persons out
    of view are dropped."""
    height, width = images.shape[-2:]
    dx, dy = round(right * width), round(down * height)
    rows, columns = torch.arange(height) - dy, torch.arange(width) - dx
    outside = (rows != rows.clamp(0, height - 1))[:, None] | (columns != columns.clamp(0, width - 1))
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    moved = boxes + boxes.new_tensor([dx, dy, dx, dy])
    clipped = moved.clamp(min=0).minimum(moved.new_tensor([width, height] * 2))
    area, left = ((b[:, 2:] - b[:, :2]).prod(dim=1) for b in (moved, clipped))
    images = images[:, rows][:, :, columns]
    return torch.where(outside, images[-1:], images), clipped[left >= _IN_VIEW * area]
