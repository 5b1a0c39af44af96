"""Native thermal clips -> the network's input, on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from ...config.node import ConfigNode
from ...errors import UserError

# Magnitude of a channel of INPUT.CLIP_CHANNELS that no temperatures in degrees Celsius reach.
_FARTHEST = 1e4


def model_size(height: int, width: int, min_size: int, max_size: int | None = None) -> tuple[int, int]:
    """Size ``(width, height)`` at which a frame enters the network.

    The short side becomes ``min_size``, unless the long one would exceed ``max_size``; with ``min_size`` 0 it stays.
    """
    if min_size == 0:
        return width, height
    short, long = min(height, width), max(height, width)
    if max_size is not None and long / short * min_size > max_size:
        min_size = int(round(max_size * short / long))
    if width < height:
        return min_size, int(min_size * height / width)
    return int(min_size * width / height), min_size


class NativeClips:
    """Native clips of different sizes in one batch: each is scaled alone, and padded afterwards (see ClipInput).

    It moves as a batch of one tensor does.

    Args:
        clips: [C, T, h, w] each.
    """

    def __init__(self, clips: Sequence[torch.Tensor]) -> None:
        self.clips = list(clips)

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.clips)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> NativeClips:
        """The clips on a device."""
        return NativeClips([clip.to(device, non_blocking=non_blocking) for clip in self.clips])

    def pin_memory(self) -> NativeClips:
        """The clips in page-locked memory; the loader calls it."""
        return NativeClips([clip.pin_memory() for clip in self.clips])


class ClipInput(nn.Module):
    """Scale native thermal clips, repeat them to as many channels as the network reads and normalize them.

    The channels of INPUT.CLIP_CHANNELS are scaled alone: they are made for the network.

    Clips that the data set's transform has normalized already (``dataset.normalized``: RGB clips, and thermal ones with
    INPUT.RESIZE_IN_LOADER) need a module made with ``normalized``, which returns them as they are. The number of
    channels of every clip is checked. Values are checked for the first native clip only, since reading them waits for
    the device.

    Bilinear means ``align_corners=False``: output pixel i looks at input position
    (i + 0.5) * input size / output size - 0.5, and positions beyond the first and last pixel center take that pixel.
    Frames larger than the result are antialiased, so that each of their pixels counts; others are not. A box in
    continuous native coordinates times the ratio of the sizes frames the same region of the result.

    Args:
        min_size: short side of the result in pixels; 0: that of the clip.
        max_size: upper bound of the long side.
        mean: of each channel, on the 0..255 scale; as many as the network reads.
        std: likewise.
        size_divisibility: the result is padded with zeros at the right and bottom to a multiple of this.
        normalized: clips are normalized already and are returned.
        is_computed: native clips have all channels of the network, see INPUT.CLIP_CHANNELS; then ``mean`` is 0 and
            ``std`` 255.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(
        self,
        min_size: int,
        max_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        size_divisibility: int = 1,
        normalized: bool = False,
        is_computed: bool = False,
    ) -> None:
        super().__init__()
        self.is_computed = is_computed
        self.min_size, self.max_size = min_size, max_size
        self.normalized = normalized
        self._values_checked = False
        self.size_divisibility = max(size_divisibility, 1)
        std_tensor = torch.tensor(std, dtype=torch.float32)
        mean_tensor = torch.tensor(mean, dtype=torch.float32)
        self.register_buffer("scale", (255.0 / std_tensor).view(-1, 1, 1, 1), persistent=False)
        self.register_buffer("shift", (-mean_tensor / std_tensor).view(-1, 1, 1, 1), persistent=False)

    @classmethod
    def from_cfg(cls, cfg: ConfigNode, is_train: bool, normalized: bool = False) -> ClipInput:
        """The module that ``cfg.INPUT`` and ``cfg.DATALOADER.SIZE_DIVISIBILITY`` describe.

        Args:
            cfg: the configuration.
            is_train: takes the size for training or for testing.
            normalized: clips are normalized already, as ``dataset.normalized`` of a loader's data set says.
        """
        keys, computed = cfg.INPUT, len(cfg.INPUT.CLIP_CHANNELS)
        # One channel is normalized as the green one, see StemOptions.
        channels = slice(None) if keys.CHANNELS == 3 else slice(1, 2)
        return cls(
            keys.MIN_SIZE_TRAIN if is_train else keys.MIN_SIZE_TEST,
            keys.MAX_SIZE_TRAIN if is_train else keys.MAX_SIZE_TEST,
            (0.0,) * computed or tuple(keys.PIXEL_MEAN)[channels],
            (255.0,) * computed or tuple(keys.PIXEL_STD)[channels],
            cfg.DATALOADER.SIZE_DIVISIBILITY,
            normalized,
            computed > 0,
        )

    def forward(self, clip: torch.Tensor | NativeClips) -> torch.Tensor:
        """Prepare a batch of clips. Those of different sizes are zero-padded at the right and below to the largest.

        The module follows the clip: where that is on another device, the buffers are copied there.

        Args:
            clip: [B, 1, T, h, w] in 0..1 ([B, C, T, h, w] with ``is_computed``), or NativeClips; or normalized
                clips, which are returned, for a module with ``normalized``.

        Returns:
            [B, C, T, H, W], normalized.

        Raises:
            UserError: a normalized clip of another number of channels than the network reads; a native one that does
                not have one channel (``is_computed``: all), or whose values are outside 0..1 or NaN.
        """
        if isinstance(clip, NativeClips):
            return stack_padded([self(one[None])[0] for one in clip.clips])
        if self.normalized:
            self._check_channels(clip)
            return clip
        self._check_native(clip)
        height, width = clip.shape[-2:]
        new_width, new_height = model_size(height, width, self.min_size, self.max_size)
        normalized = self._scaled(clip, (new_height, new_width))
        if not self.is_computed:
            normalized = torch.addcmul(self.shift.to(clip), normalized, self.scale.to(clip))
        return _pad(normalized, *(side + -side % self.size_divisibility for side in (new_height, new_width)))

    def _scaled(self, clip: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        height, width = clip.shape[-2:]
        if self.min_size == 0:
            return clip
        shrinks = size[0] < height or size[1] < width
        images = clip.flatten(1, 2)
        scaled = F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=shrinks)
        return scaled.unflatten(1, clip.shape[1:3])

    def _check_channels(self, clip: torch.Tensor) -> None:
        channels = len(self.scale)
        if clip.ndim < 4 or clip.shape[-4] != channels:
            raise UserError(
                f"ClipInput got a clip of the shape {list(clip.shape)}, expected normalized clips [B, {channels}, T, "
                "H, W]; make RGB clips with VideoTransform, and tell ClipInput.from_cfg with "
                "normalized=dataset.normalized."
            )

    def _check_native(self, clip: torch.Tensor) -> None:
        channels, limits, values = 1, (0.0, 1.0), "in 0..1"
        if self.is_computed:
            channels, limits, values = len(self.scale), (-_FARTHEST, _FARTHEST), "as INPUT.CLIP_CHANNELS says"
        is_native, found = clip.ndim == 5 and clip.shape[1] == channels, ""
        if is_native and not self._values_checked:
            low, high = torch.stack(clip.aminmax()).tolist()
            is_native, found = (
                low >= limits[0] and high <= limits[1],
                f" with values from {low:g} to {high:g}",
            )  # False for NaN
            self._values_checked = is_native
        if not is_native:
            raise UserError(
                f"ClipInput got a clip of the shape {list(clip.shape)}{found}, expected native thermal clips [B, "
                f"{channels}, T, h, w] {values}; make RGB clips with VideoTransform, which normalizes "
                "them, and tell ClipInput.from_cfg with normalized=dataset.normalized."
            )


def stack_padded(clips: Sequence[torch.Tensor], size_divisible: int = 1) -> torch.Tensor:
    """Clips [C, T, h, w] -> [B, C, T, H, W], zero-padded at the right and below to the largest ones.

    Args:
        size_divisible: H and W are rounded up to a multiple of this.
    """
    height, width = (max(clip.shape[axis] for clip in clips) for axis in (-2, -1))
    height, width = (side + -side % size_divisible for side in (height, width))
    return torch.stack([_pad(clip, height, width) for clip in clips])


def _pad(clip: torch.Tensor, height: int, width: int) -> torch.Tensor:
    right, below = width - clip.shape[-1], height - clip.shape[-2]
    return F.pad(clip, (0, right, 0, below)) if right or below else clip
