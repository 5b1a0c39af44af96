"""A window of RGB frames -> the two clips that the network reads, as AlphAction makes them.

Recorded behavior: transforms.json and .npz of ALPHACTION_PARITY_DIR (tests/README.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch

from ...config.node import ConfigNode
from ...errors import UserError
from ...structures.bounding_box import FLIP_LEFT_RIGHT, BoxList
from .clip import draw_augmentation, slow_fast_indices, temporal_crop
from .clip_input import model_size

_HSV = ("hue", "sat", "val")


class VideoTransform:
    """Cut, scale, change the colors, mirror, normalize and split a window of frames.

    Args:
        frame_num: frames of a clip.
        sample_rate: distance between them.
        tau: every ``tau``-th of these frames goes to the slow pathway.
        alpha: frames of the fast pathway per frame of the slow one.
        min_size: short side of a clip in pixels.
        max_size: upper bound of the long side.
        mean: per channel on the 0..255 scale.
        std: likewise.
        to_bgr: reverse the channels; mean and std stay in place.
        flip_prob: probability of mirroring.
        slow_jitter: random start of the slow pathway.
        color_bounds: largest shift of hue, saturation and value in OpenCV's 8-bit units, None for no shift.
        slow_sampling: frames of the slow pathway without jitter, see ``slow_fast_indices``.

    Attributes:
        normalized: the clips are normalized, see ``ClipInput``.
    """

    normalized = True

    def __init__(
        self,
        frame_num: int,
        sample_rate: int,
        tau: int,
        alpha: int,
        min_size: int,
        max_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        to_bgr: bool = False,
        flip_prob: float = 0.0,
        slow_jitter: bool = False,
        color_bounds: Mapping[str, int] | None = None,
        slow_sampling: str = "center",
    ) -> None:
        self.frame_num, self.sample_rate = frame_num, sample_rate
        self.tau, self.alpha = tau, alpha
        self.min_size, self.max_size = min_size, max_size
        self.mean, self.std = (torch.tensor(value).view(3, 1, 1, 1) for value in (mean, std))
        self.to_bgr = to_bgr
        self.flip_prob, self.slow_jitter, self.slow_sampling = flip_prob, slow_jitter, slow_sampling
        self.color_bounds = color_bounds

    @classmethod
    def from_cfg(cls, cfg: ConfigNode, is_train: bool) -> VideoTransform:
        """The transform that ``cfg.INPUT`` describes.

        Raises:
            UserError: the network is to read one channel or computed ones, or clips of their own size.
        """
        keys = cfg.INPUT
        size = "MIN_SIZE_TRAIN" if is_train else "MIN_SIZE_TEST"
        for key, value, use in (("CLIP_CHANNELS", keys.CLIP_CHANNELS, "()"), (size, keys[size] or 0, "256")):
            if bool(value) == (key == "CLIP_CHANNELS"):
                raise UserError(
                    f"INPUT.{key} is {value!r}, for thermal recordings, but the clips are RGB; set it to {use}."
                )
        if keys.CHANNELS != 3:
            raise UserError(
                f"INPUT.CHANNELS is {keys.CHANNELS}, but the clips are RGB; one channel is for thermal "
                "recordings, so set INPUT.CHANNELS 3."
            )
        jitter = is_train and keys.COLOR_JITTER
        return cls(
            keys.FRAME_NUM,
            keys.FRAME_SAMPLE_RATE,
            keys.TAU,
            keys.ALPHA,
            keys.MIN_SIZE_TRAIN if is_train else keys.MIN_SIZE_TEST,
            keys.MAX_SIZE_TRAIN if is_train else keys.MAX_SIZE_TEST,
            tuple(keys.PIXEL_MEAN),
            tuple(keys.PIXEL_STD),
            keys.TO_BGR,
            keys.FLIP_PROB if is_train else 0.0,
            is_train and keys.SLOW_JITTER,
            color_bounds(keys.HUE_JITTER, keys.SAT_JITTER, keys.VAL_JITTER) if jitter else None,
            keys.SLOW_SAMPLING,
        )

    def __call__(
        self,
        frames: np.ndarray,
        boxes: BoxList,
        objects: BoxList | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, BoxList, BoxList | None]:
        """Apply it, with random numbers from ``generator`` (None: torch's own); see :meth:`apply`."""
        flip, slow_start = draw_augmentation(self.flip_prob, self.slow_jitter, self.tau, generator)
        shifts = self.color_bounds and {
            name: int(torch.randint(-bound, bound + 1, (), generator=generator))
            for name, bound in self.color_bounds.items()
        }
        return self.apply(frames, boxes, objects, flip, slow_start, shifts)

    def apply(
        self,
        frames: np.ndarray,
        boxes: BoxList,
        objects: BoxList | None,
        flip: bool,
        slow_start: int | None,
        shifts: Mapping[str, int] | None,
    ) -> tuple[torch.Tensor, torch.Tensor, BoxList, BoxList | None]:
        """The transform with given random numbers.

        Args:
            frames: uint8 [T, h, w, 3] RGB.
            boxes: persons in pixels of the frames.
            objects: likewise; mirrored and scaled with the frames.
            flip: mirror left to right.
            slow_start: first frame of the slow pathway, None as ``slow_sampling`` says.
            shifts: see :func:`shift_colors`.

        Returns:
            slow float32 [3, Ts, H, W], fast [3, Tf, H, W], boxes and objects in pixels of these.

        Raises:
            TypeError: the frames are not uint8.
        """
        if frames.dtype != np.uint8:
            raise TypeError(f"frames are {frames.dtype}, expected uint8")
        picked = temporal_crop(len(frames), self.frame_num, self.sample_rate)
        slow, fast = slow_fast_indices(self.frame_num, self.tau, self.alpha, slow_start, self.slow_sampling)
        _, height, width, _ = frames.shape
        size = model_size(height, width, self.min_size, self.max_size)
        # Frames that neither pathway reads are not scaled; a frame that both read, or that is repeated, is scaled once.
        needed, rows = np.unique(picked[np.concatenate([slow, fast])], return_inverse=True)
        scaled = [resize(frame, size) for frame in frames[needed]]
        if shifts:
            scaled = [shift_colors(frame, shifts) for frame in scaled]
        video = np.stack(scaled)
        if flip:
            video = video[:, :, ::-1]
        if self.to_bgr:
            video = video[..., ::-1]
        clip = torch.from_numpy(np.ascontiguousarray(video.transpose(3, 0, 1, 2))).float()
        clip = (clip - self.mean) / self.std
        slow_clip, fast_clip = clip[:, rows[: len(slow)]], clip[:, rows[len(slow) :]]
        return slow_clip, fast_clip, _place(boxes, size, flip), None if objects is None else _place(objects, size, flip)


def resize(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale a frame to ``size`` (width, height), bilinear on 8 bits."""
    if (frame.shape[1], frame.shape[0]) == tuple(size):
        return frame
    return cv2.resize(frame, tuple(size), interpolation=cv2.INTER_LINEAR)


def color_bounds(hue: float, sat: float, val: float) -> dict[str, int]:
    """INPUT.HUE_JITTER (degrees), SAT_JITTER and VAL_JITTER (fractions) in OpenCV units: hue 0..179, others 0..255."""
    return {"hue": int(hue / 2 + 0.5), "sat": int(sat * 255 + 0.5), "val": int(val * 255 + 0.5)}


def shift_colors(frame: np.ndarray, shifts: Mapping[str, int]) -> np.ndarray:
    """Add to hue (which wraps around), saturation and value (which are clipped) of an RGB frame uint8 [h, w, 3]."""
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV).astype(np.int16)
    hsv += np.array([shifts.get(name, 0) for name in _HSV], dtype=np.int16)
    hsv[..., 0] %= 180
    np.clip(hsv[..., 1:], 0, 255, out=hsv[..., 1:])
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


def _place(boxes: BoxList, size: tuple[int, int], flip: bool) -> BoxList:
    boxes = boxes.resize(size)
    return boxes.transpose(FLIP_LEFT_RIGHT) if flip else boxes
