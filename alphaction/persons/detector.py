"""A small network that finds persons in thermal frames at the sensor's own size: centers with four distances.

Each cell of a map of half the frame's size says whether a person's center is in it (CenterNet, arXiv 1904.07850) and
how far the sides of the box are from it (FCOS, arXiv 1904.01355).
"""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms

from ..checkpoints.checkpoint_file import check_finite, read_checkpoint
from ..checkpoints.unwrap import list_names
from ..errors import UserError
from .center_loss import center_loss
from .detections import Detections, check_window
from .room import room_picture

# °C that become 1; a person is about this much warmer than a room. Hotter and colder objects are clipped.
_UNIT = 5.0
_CLIP = (-2.0, 3.0)
# Pixels per cell of the output, and pixels to which frames are padded.
STRIDE, _DIVISOR = 2, 8
# Pixels of a distance whose logarithm is 0.
_DISTANCE = 4.0
_PRIOR = 0.02  # share of cells with a center, roughly
_MAX_PERSONS = 50


class PersonDetector(nn.Module):
    """Finds persons in a frame from it, the second before, and the room without persons.

    Args:
        width: channels at half the frame's size.
    """

    # Frames before the key frame that are looked at.
    reach = 6

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        middle, wide = 2 * width, 3 * width
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), _conv(3 * 4, width), _Residual(width))
        self.down4 = nn.Sequential(_conv(width, middle, stride=2), _Residual(middle))
        self.down8 = nn.Sequential(_conv(middle, wide, stride=2), _Residual(wide))
        self.up4, self.merge4 = _conv(wide, middle, kernel=1), _conv(middle, middle)
        self.up2, self.merge2 = _conv(middle, width, kernel=1), _conv(width, width)
        self.center = nn.Conv2d(width, 1, 1)
        self.distances = nn.Conv2d(width, 4, 1)
        nn.init.constant_(self.center.bias, float(np.log(_PRIOR / (1 - _PRIOR))))  # type: ignore[arg-type]

    @classmethod
    def from_checkpoint(cls, path: str | os.PathLike) -> PersonDetector:
        """The detector of a file that ``alphaction train`` wrote, in evaluation mode.

        Raises:
            UserError: not a checkpoint, a damaged one, or one of another task.
        """
        detector = cls()
        load_weights(detector, path)
        return detector.eval()

    def forward(self, frames: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of centers [B, 1, H, W] and distances [B, 4, H, W] (left, top, right, bottom) in pixels.

        Args:
            frames: [B, reach + 1, h, w] °C, the key frame last.
            room: [B, h, w] °C without persons.
        """
        x = prepare(frames, room)
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % _DIVISOR, 0, -height % _DIVISOR), mode="replicate")
        fine = self.stem(x)
        middle = self.down4(fine)
        middle = self.merge4(middle + F.interpolate(self.up4(self.down8(middle)), scale_factor=2.0))
        fine = self.merge2(fine + F.interpolate(self.up2(middle), scale_factor=2.0))
        rows, columns = -(-height // STRIDE), -(-width // STRIDE)
        fine = fine[..., :rows, :columns]
        return self.center(fine), _DISTANCE * self.distances(fine).clamp(-5, 5).exp()

    def loss(self, frames: Tensor, room: Tensor, boxes: list[Tensor]) -> dict[str, Tensor]:
        """Losses of a batch by name, see :func:`center_loss`.

        Args:
            frames, room: see :meth:`forward`.
            boxes: of each sample, [N, 4] pixels.
        """
        centers, distances = self(frames, room)
        return center_loss(centers, distances, boxes, STRIDE)

    @torch.no_grad()
    def find(self, frames: Tensor, room: Tensor, threshold: float = 0.05) -> list[Detections]:
        """Persons of each sample with a score of at least ``threshold``; see :meth:`forward`."""
        height, width = frames.shape[-2:]
        logits, distances = self(frames, room)
        scores = logits[:, 0].sigmoid()
        peaks = scores == F.max_pool2d(scores, 3, stride=1, padding=1)
        owner, row, column = torch.nonzero(peaks & (scores >= threshold), as_tuple=True)
        scores = scores[owner, row, column]
        centers = torch.stack([column, row], dim=1) * STRIDE + STRIDE / 2
        sides = distances[owner, :, row, column]
        boxes = torch.cat([centers - sides[:, :2], centers + sides[:, 2:]], dim=1)
        boxes = boxes.clamp(min=0).minimum(boxes.new_tensor([width, height] * 2))
        kept = batched_nms(boxes, scores, owner, 0.5)
        found = []
        for sample in range(len(frames)):
            rows = kept[owner[kept] == sample][:_MAX_PERSONS]
            found.append(Detections(boxes[rows].float().cpu().numpy(), scores[rows].float().cpu().numpy()))
        return found

    def detect(self, celsius: np.ndarray, key: int, room: np.ndarray | None = None) -> Detections:
        """Persons in frame ``key`` of a window, see :meth:`BackgroundDetector.detect`.

        The six frames before are used; where the window begins later, its first one stands for them.
        """
        celsius = check_window(celsius, key, room)
        room = room_picture(celsius) if room is None else np.asarray(room, np.float32)
        parameter = next(self.parameters())
        frames = torch.from_numpy(recent_frames(celsius, key, self.reach)).to(parameter.device)
        return self.find(frames[None], torch.from_numpy(room).to(parameter.device)[None])[0]


def load_weights(detector: PersonDetector, path: str | os.PathLike) -> None:
    """Weights of a checkpoint in any precision, see :meth:`PersonDetector.from_checkpoint`."""
    weights, own = read_checkpoint(path)["model"], detector.state_dict()
    assert isinstance(weights, dict)
    if {name: value.shape for name, value in weights.items()} != {name: value.shape for name, value in own.items()}:
        raise UserError(
            f"{path} is no person detector: it has {list_names(weights)}, expected {list_names(own)}; name a file that "
            "was trained with MODEL.TASK persons."
        )
    check_finite(weights, str(path))
    detector.load_state_dict(weights)


def recent_frames(celsius: np.ndarray, key: int, reach: int) -> np.ndarray:
    """Frames ``key - reach`` to ``key`` of [T, h, w] as float32 [reach + 1, h, w]; the first one is repeated."""
    return np.ascontiguousarray(celsius[np.arange(key - reach, key + 1).clip(min=0)], dtype=np.float32)


def prepare(frames: Tensor, room: Tensor) -> Tensor:
    """Three channels [B, 3, h, w]: the key frame above the room's level, what is warmer than the room, and the change
    within a second, about -1 to 1."""
    key = frames[:, -1]
    level = room.flatten(1).median(dim=1).values[:, None, None]
    warmer = frames[:, -2:].mean(dim=1) - room
    warmer = warmer - warmer.flatten(1).median(dim=1).values[:, None, None]
    change = key - frames[:, : frames.shape[1] // 2].mean(dim=1)
    return (torch.stack([key - level, warmer, change], dim=1) / _UNIT).clamp(*_CLIP)


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.second(self.first(x))))
