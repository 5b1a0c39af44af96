"""A window of temperatures -> the two clips that the network reads, at the sensor's own size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...config.node import ConfigNode
from ...recordings.temperature import to_unit
from .augment import ThermalAugmentation, shift_picture
from .clip import draw_augmentation, draw_flip, flip_corners, slow_fast_indices, temporal_crop
from .clip_channels import clip_channels, scene_level
from .clip_input import ClipInput, model_size


class ThermalTransform:
    """Cut, mirror, scale and split a window of repaired frames.

    Training mirrors with probability ``flip_prob`` and, with ``slow_jitter``, starts the slow pathway anywhere; testing
    does neither, nor anything of ``augmentation``. Boxes are mirrored as fractions of the frame;
    ``ActionHead.make_proposals`` jitters them later. The clips stay native, with one channel or those of ``channels``:
    scaling to the model's size happens on the device (:class:`~alphaction.dataset.transforms.clip_input.ClipInput`),
    except with ``clip_input``, which does it here.

    Args:
        frame_num: frames of a clip.
        sample_rate: distance between them.
        tau: every ``tau``-th of these frames goes to the slow pathway.
        alpha: frames of the fast pathway per frame of the slow one.
        temperature: °C that become 0 and 1.
        min_size: short side of a clip in the network, in pixels.
        max_size: upper bound of the long side.
        flip_prob: probability of mirroring left to right.
        slow_jitter: random start of the slow pathway.
        clip_input: scales the clips up in the loader.
        vertical_flip_prob: probability of mirroring top to bottom; seen from a ceiling no direction is up.
        slow_sampling: frames of the slow pathway without jitter, see ``slow_fast_indices``.
        channels: INPUT.CLIP_CHANNELS, see ``clip_channels``; (): the temperatures.
        augmentation: of training; its change of the window's time is made by whoever cuts the window.

    Attributes:
        normalized: whether the clips are normalized, see ``ClipInput``.
        needs_room: whether it has to be told the picture of the room.
    """

    def __init__(
        self,
        frame_num: int,
        sample_rate: int,
        tau: int,
        alpha: int,
        temperature: tuple[float, float] = (5.0, 45.0),
        min_size: int = 256,
        max_size: int = 464,
        flip_prob: float = 0.0,
        slow_jitter: bool = False,
        clip_input: ClipInput | None = None,
        vertical_flip_prob: float = 0.0,
        slow_sampling: str = "center",
        channels: Sequence[str] = (),
        augmentation: ThermalAugmentation | None = None,
    ) -> None:
        self.channels, self.needs_room = tuple(channels), len(channels) > 0
        self.augmentation = augmentation or ThermalAugmentation()
        self.frame_num, self.sample_rate = frame_num, sample_rate
        self.tau, self.alpha = tau, alpha
        self.temperature = temperature
        self.min_size, self.max_size = min_size, max_size
        self.flip_prob, self.vertical_flip_prob, self.slow_jitter = flip_prob, vertical_flip_prob, slow_jitter
        self.slow_sampling = slow_sampling
        self.clip_input = clip_input
        self.normalized = clip_input is not None

    @classmethod
    def from_cfg(cls, cfg: ConfigNode, is_train: bool) -> ThermalTransform:
        """The transform that ``cfg.INPUT`` describes."""
        keys = cfg.INPUT
        return cls(
            keys.FRAME_NUM,
            keys.FRAME_SAMPLE_RATE,
            keys.TAU,
            keys.ALPHA,
            temperature=(keys.TEMPERATURE_MIN, keys.TEMPERATURE_MAX),
            min_size=keys.MIN_SIZE_TRAIN if is_train else keys.MIN_SIZE_TEST,
            max_size=keys.MAX_SIZE_TRAIN if is_train else keys.MAX_SIZE_TEST,
            flip_prob=keys.FLIP_PROB if is_train else 0.0,
            vertical_flip_prob=keys.VERTICAL_FLIP_PROB if is_train else 0.0,
            slow_jitter=is_train and keys.SLOW_JITTER,
            slow_sampling=keys.SLOW_SAMPLING,
            clip_input=ClipInput.from_cfg(cfg, is_train) if keys.RESIZE_IN_LOADER else None,
            channels=keys.CLIP_CHANNELS,
            augmentation=ThermalAugmentation.from_cfg(keys.AUGMENT) if is_train else None,
        )

    def __call__(
        self,
        window: np.ndarray,
        corners: np.ndarray,
        generator: torch.Generator | None = None,
        room: np.ndarray | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[int, int]]:
        """Apply it to one keyframe.

        Args:
            window: float32 [T, h, w] °C around the keyframe; not changed.
            corners: [N, 4] continuous ``x1, y1, x2, y2`` as fractions of the frame.
            generator: source of randomness; None takes torch's own.
            room: float32 [h, w] °C, the picture without persons, where ``needs_room``.

        Returns:
            slow float32 [C, Ts, h, w] and fast [C, Tf, h, w], one channel in 0..1 or those of ``channels`` (normalized
            [C, T, H, W] with ``clip_input``), boxes float32 [N, 4] in pixels of the model's input, that input's size
            (width, height) without padding.

        Raises:
            ValueError: no room, though the channels need it.
        """
        flip, slow_start = draw_augmentation(self.flip_prob, self.slow_jitter, self.tau, generator)
        vertical_flip = draw_flip(self.vertical_flip_prob, generator)
        level = None if room is None else scene_level(room)
        if self.augmentation.changes_temperatures:
            level = scene_level(window) if level is None else level
            window, room = self.augmentation.change_temperatures(window, room, level, generator)
        picked = temporal_crop(len(window), self.frame_num, self.sample_rate)
        slow_frames, fast_frames = slow_fast_indices(
            self.frame_num, self.tau, self.alpha, slow_start, self.slow_sampling
        )
        slow, fast = (self._sample(window, room, level, picked[frames]) for frames in (slow_frames, fast_frames))
        slow, fast, corners = self._move(slow, fast, corners, generator)
        if flip:
            slow, fast, corners = slow.flip(3), fast.flip(3), flip_corners(corners)
        if vertical_flip:
            slow, fast, corners = slow.flip(2), fast.flip(2), flip_corners(corners, axis=1)
        height, width = slow.shape[2:]
        size = model_size(height, width, self.min_size, self.max_size)
        boxes = torch.from_numpy(corners * np.array([*size, *size], dtype=np.float32))
        if self.clip_input is not None:
            slow, fast = self.clip_input(slow[None])[0], self.clip_input(fast[None])[0]
        return slow, fast, boxes, size

    def _sample(
        self, window: np.ndarray, room: np.ndarray | None, level: float | None, frames: np.ndarray
    ) -> torch.Tensor:
        """The clip [C, F, h, w] of these frames of the window."""
        if not self.needs_room:
            return torch.from_numpy(to_unit(window[frames], *self.temperature))[None]
        if room is None:
            raise ValueError(f"the clip channels {self.channels} need a picture of the room, expected room [h, w]")
        stride = self.sample_rate * self.tau // self.alpha
        return clip_channels(self.channels, window, room, frames, stride, level)

    def _move(
        self, slow: torch.Tensor, fast: torch.Tensor, corners: np.ndarray, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
        """Shift the clips by whole pixels, and exchange their rows and columns, with the boxes."""
        height, width = slow.shape[2:]
        right, down = self.augmentation.draw_shift(corners, (width, height), generator)
        if right or down:
            slow, fast = shift_picture(slow, right, down), shift_picture(fast, right, down)
            corners = corners + np.array([right / width, down / height] * 2, dtype=np.float32)
        if draw_flip(self.augmentation.transpose_prob, generator):
            slow, fast = slow.transpose(2, 3).contiguous(), fast.transpose(2, 3).contiguous()
            corners = corners[:, [1, 0, 3, 2]]
        return slow, fast, corners

    def __repr__(self) -> str:
        seen = " ".join(self.channels) or "{:g}..{:g} °C".format(*self.temperature)
        return (
            f"ThermalTransform({self.frame_num} x {self.sample_rate} frames, tau {self.tau}, alpha {self.alpha}, "
            f"{seen}, flip {self.flip_prob:g}, vertical flip "
            f"{self.vertical_flip_prob:g}, slow jitter {self.slow_jitter}, slow frames {self.slow_sampling})"
        )
