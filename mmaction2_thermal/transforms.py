"""Transforms for thermal clips, for use with MMAction2's SampleFrames, ArrayDecode, FormatShape, PackActionInputs.

MMAction2's other image transforms need three 8-bit channels (0.16 °C per step, while the sensor noise is 0.24 °C),
count the last pixel of a box as inside it (a fifth of a person at 60x40), or keep persons that a crop has removed. The
transforms here work on floating-point images with any number of channels, apply the same change to all frames of a
clip, and transform ``gt_bboxes`` and ``proposals`` in continuous coordinates. A random change that would hide a person
is drawn again.

``imgs`` is a list or an array [T] of images float32 [h, w, C]; input images are not modified.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mmaction.datasets.transforms import RandomResizedCrop, Resize
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from alphaction.dataset.transforms.clip import flip_corners
from alphaction.recordings.temperature import to_unit

GRAY = 255.0
_BOXES = ("gt_bboxes", "proposals")
_ATTEMPTS = 10


@TRANSFORMS.register_module()
class ScaleTemperature(BaseTransform):
    """Degrees Celsius -> gray levels 0..255, clipped.

    One channel is enough: ``ActionDataPreprocessor`` expands it to three on the device when it subtracts three means.

    Args:
        minimum: temperature in °C that becomes 0.
        maximum: temperature in °C that becomes 255.
        channels: 3 for MMAction2 transforms that need three.
    """

    def __init__(self, minimum: float = 5.0, maximum: float = 45.0, channels: int = 1) -> None:
        self.minimum, self.maximum, self.channels = minimum, maximum, channels

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``imgs``."""
        gray = to_unit(np.asarray(results["imgs"]), self.minimum, self.maximum) * np.float32(GRAY)
        return {**results, "imgs": np.repeat(gray, self.channels, axis=-1) if self.channels > 1 else gray}


@TRANSFORMS.register_module()
class ThermalRandomResizedCrop(RandomResizedCrop):
    """Random crop in which all persons stay visible; ``ThermalResize`` then resizes it.

    Args:
        area_range: fraction of the image area.
        aspect_ratio_range: width over height.
        min_visible: fraction of each person's box that must remain; if ten draws fail, the image is not cropped.
    """

    def __init__(
        self,
        area_range: tuple[float, float] = (0.5, 1.0),
        aspect_ratio_range: tuple[float, float] = (1.35, 1.65),
        min_visible: float = 0.8,
    ) -> None:
        super().__init__(area_range, aspect_ratio_range)
        self.min_visible = min_visible

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``imgs``, ``img_shape`` and the boxes."""
        for _ in range(_ATTEMPTS):
            left, top, right, bottom = self.get_crop_bbox(
                results["img_shape"], self.area_range, self.aspect_ratio_range
            )
            if (covered(results["gt_bboxes"], (left, top, right, bottom)) >= self.min_visible).all():
                break
        else:
            return results
        size = np.array([right - left, bottom - top] * 2, dtype=np.float32)
        shift = np.array([left, top] * 2, dtype=np.float32)
        boxes = {key: np.clip(results[key] - shift, 0, size) for key in _BOXES if key in results}
        return {
            **results,
            **_without_empty(boxes, results),
            "img_shape": (bottom - top, right - left),
            "imgs": np.asarray(results["imgs"])[:, top:bottom, left:right],
        }


def _without_empty(boxes: dict[str, np.ndarray], results: dict[str, Any]) -> dict[str, np.ndarray]:
    """Leave out proposals outside the crop; annotated persons are never outside."""
    if "proposals" in boxes:
        left = ((boxes["proposals"][:, 2:] - boxes["proposals"][:, :2]) > 0).all(axis=1)
        boxes["proposals"] = boxes["proposals"][left]
        if "scores" in results:
            boxes["scores"] = results["scores"][left]
    return boxes


@TRANSFORMS.register_module()
class ThermalFlip(BaseTransform):
    """Mirror left to right and top to bottom; from the ceiling, no direction is up.

    Args:
        horizontal: probability of mirroring left to right.
        vertical: probability of mirroring top to bottom.
    """

    def __init__(self, horizontal: float = 0.5, vertical: float = 0.0) -> None:
        self.horizontal, self.vertical = horizontal, vertical

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``imgs`` and the boxes."""
        height, width = results["img_shape"]
        results = {**results, "imgs": np.asarray(results["imgs"])}
        for axis, extent, probability in ((0, width, self.horizontal), (1, height, self.vertical)):
            if np.random.rand() < probability:
                results["imgs"] = np.flip(results["imgs"], axis=2 - axis)
                results.update({key: flip_corners(results[key], extent, axis) for key in _BOXES if key in results})
        return results


@TRANSFORMS.register_module()
class ThermalBrightnessContrast(BaseTransform):
    """Random brightness and contrast, the same for the whole clip.

    Args:
        brightness: largest shift, as a fraction of the range of gray levels.
        contrast: largest relative change of the differences from the mean of the clip.
    """

    def __init__(self, brightness: float = 0.1, contrast: float = 0.2) -> None:
        self.brightness, self.contrast = brightness, contrast

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``imgs``."""
        imgs = np.asarray(results["imgs"])
        shift = np.float32(np.random.uniform(-self.brightness, self.brightness) * GRAY)
        factor = np.float32(1 + np.random.uniform(-self.contrast, self.contrast))
        mean = imgs.mean(dtype=np.float64).astype(np.float32)
        return {**results, "imgs": np.clip((imgs - mean) * factor + mean + shift, 0, np.float32(GRAY))}


@TRANSFORMS.register_module()
class ThermalRandomErasing(BaseTransform):
    """Fill a random rectangle, the same in all frames, with the median of the clip; persons stay visible.

    Args:
        probability: probability of filling a rectangle.
        area_range: fraction of the image area.
        aspect_ratio_range: width over height.
        max_hidden: fraction of each person's box that may be filled; if ten draws fail, nothing is filled.
    """

    def __init__(
        self,
        probability: float = 0.25,
        area_range: tuple[float, float] = (0.02, 0.2),
        aspect_ratio_range: tuple[float, float] = (0.5, 2.0),
        max_hidden: float = 0.2,
    ) -> None:
        self.probability = probability
        self.area_range, self.aspect_ratio_range = area_range, aspect_ratio_range
        self.max_hidden = max_hidden

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``imgs``."""
        if np.random.rand() >= self.probability:
            return results
        for _ in range(_ATTEMPTS):
            left, top, right, bottom = RandomResizedCrop.get_crop_bbox(
                results["img_shape"], self.area_range, self.aspect_ratio_range
            )
            if (covered(results["gt_bboxes"], (left, top, right, bottom)) <= self.max_hidden).all():
                imgs = np.array(results["imgs"])
                imgs[:, top:bottom, left:right] = np.median(imgs)
                return {**results, "imgs": imgs}
        return results


@TRANSFORMS.register_module()
class ThermalResize(Resize):
    """MMAction2's ``Resize`` (bilinear, pixel centers at halves) for images with any number of channels.

    Args:
        scale: (width, height) of the result.
    """

    def __init__(self, scale: tuple[int, int]) -> None:
        super().__init__(tuple(scale), keep_ratio=False)

    def _resize_imgs(self, imgs: Any, new_w: int, new_h: int) -> list[np.ndarray]:
        # OpenCV drops the last axis of one-channel images.
        return [img.reshape(new_h, new_w, -1) for img in super()._resize_imgs(imgs, new_w, new_h)]


def covered(boxes: np.ndarray, rectangle: tuple[int, int, int, int]) -> np.ndarray:
    """Fraction of each box [N, 4] that the rectangle ``left, top, right, bottom`` covers, 0..1 [N]."""
    low = np.maximum(boxes[:, :2], rectangle[:2])
    high = np.minimum(boxes[:, 2:], rectangle[2:])
    return np.clip(high - low, 0, None).prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
