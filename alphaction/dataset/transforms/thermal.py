"""A window of temperatures -> the two clips that the network reads, at the sensor's own size."""

from __future__ import annotations

import numpy as np
import torch

from ...config.node import ConfigNode
from ...recordings.temperature import to_unit
from .clip import draw_augmentation, draw_flip, flip_corners, slow_fast_indices, temporal_crop
from .clip_input import ClipInput, model_size


class ThermalTransform:
    """Cut, mirror, scale and split a window of repaired frames.

    Training mirrors with probability ``flip_prob`` and, with ``slow_jitter``, starts the slow pathway anywhere; testing
    does neither. Boxes are mirrored as fractions of the frame; ``ActionHead.make_proposals`` jitters them later. The
    clips stay native and one channel: scaling to the model's size happens on the device
    (:class:`~alphaction.dataset.transforms.clip_input.ClipInput`), except with ``clip_input``, which does it here.

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

    Attributes:
        normalized: whether the clips are normalized, see ``ClipInput``.
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
    ) -> None:
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
        )

    def __call__(
        self, window: np.ndarray, corners: np.ndarray, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[int, int]]:
        """Apply it to one keyframe.

        Args:
            window: float32 [T, h, w] °C around the keyframe; not changed.
            corners: [N, 4] continuous ``x1, y1, x2, y2`` as fractions of the frame.
            generator: source of randomness; None takes torch's own.

        Returns:
            slow float32 [1, Ts, h, w] and fast [1, Tf, h, w] in 0..1 (normalized [C, T, H, W] with ``clip_input``),
            boxes float32 [N, 4] in pixels of the model's input, that input's size (width, height) without padding.
        """
        frames, height, width = window.shape
        flip, slow_start = draw_augmentation(self.flip_prob, self.slow_jitter, self.tau, generator)
        vertical_flip = draw_flip(self.vertical_flip_prob, generator)
        picked = temporal_crop(frames, self.frame_num, self.sample_rate)
        slow_frames, fast_frames = slow_fast_indices(
            self.frame_num, self.tau, self.alpha, slow_start, self.slow_sampling
        )
        if flip:
            window, corners = window[:, :, ::-1], flip_corners(corners)
        if vertical_flip:
            window, corners = window[:, ::-1], flip_corners(corners, axis=1)
        slow = self._clip(window[picked[slow_frames]])
        fast = self._clip(window[picked[fast_frames]])
        size = model_size(height, width, self.min_size, self.max_size)
        boxes = torch.from_numpy(corners * np.array([*size, *size], dtype=np.float32))
        return slow, fast, boxes, size

    def _clip(self, frames: np.ndarray) -> torch.Tensor:
        clip = torch.from_numpy(to_unit(frames, *self.temperature))[None]
        return clip if self.clip_input is None else self.clip_input(clip[None])[0]

    def __repr__(self) -> str:
        return (
            f"ThermalTransform({self.frame_num} x {self.sample_rate} frames, tau {self.tau}, alpha {self.alpha}, "
            f"{self.temperature[0]:g}..{self.temperature[1]:g} °C, flip {self.flip_prob:g}, vertical flip "
            f"{self.vertical_flip_prob:g}, slow jitter {self.slow_jitter}, slow frames {self.slow_sampling})"
        )
