"""Transforms for thermal clips, to be mixed with MMAction2's SampleFrames, ArrayDecode, FormatShape, PackActionInputs.

MMAction2's other image transforms want three 8-bit channels (0.16 °C per step, where the sensor's noise is 0.24 °C),
count the last pixel of a box as inside it (a fifth of a person at 60x40), or keep persons that a crop has cut away.
These work on floating-point images of any number of channels, the same for all frames of a clip, and move ``gt_bboxes``
and ``proposals`` along in continuous coordinates. Where something might hide a person, it is drawn anew.

``imgs`` is a list or an array [T] of images float32 [h, w, C]; images that come in are not changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mmaction.datasets.transforms import RandomResizedCrop, Resize
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from alphaction.dataset.transforms.clip import flip_corners
from alphaction.recordings.temperature import to_unit

GREY = 255.0
_BOXES = ("gt_bboxes", "proposals")
_ATTEMPTS = 10


@TRANSFORMS.register_module()
class ScaleTemperature(BaseTransform):
    """Degrees Celsius -> grey levels 0..255, clipped.

    One channel is enough: ``ActionDataPreprocessor`` makes three of it, on the device, when it takes off three means.

    Args:
        minimum: °C that become 0.
        maximum: °C that become 255.
        channels: 3 for those of MMAction2's transforms that need as many.
    """

    def __init__(self, minimum: float = 5.0, maximum: float = 45.0, channels: int = 1) -> None:
        self.minimum, self.maximum, self.channels = minimum, maximum, channels

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``imgs``."""
        grey = to_unit(np.asarray(results["imgs"]), self.minimum, self.maximum) * np.float32(GREY)
        return {**results, "imgs": np.repeat(grey, self.channels, axis=-1) if self.channels > 1 else grey}


@TRANSFORMS.register_module()
class ThermalRandomResizedCrop(RandomResizedCrop):
    """Cut a random part out in which everybody stays visible; ``ThermalResize`` then brings it to size.

    Args:
        area_range: part of the image's area.
        aspect_ratio_range: width over height.
        min_visible: part of each person's box that has to be left; where ten draws do not find that, nothing is cut.
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
    """Leave out proposals that were cut away; annotated persons never are."""
    if "proposals" in boxes:
        left = ((boxes["proposals"][:, 2:] - boxes["proposals"][:, :2]) > 0).all(axis=1)
        boxes["proposals"] = boxes["proposals"][left]
        if "scores" in results:
            boxes["scores"] = results["scores"][left]
    return boxes


@TRANSFORMS.register_module()
class ThermalFlip(BaseTransform):
    """Mirror left to right, and top to bottom: seen from a ceiling no direction is up.

    Args:
        horizontal: probability of left to right.
        vertical: probability of top to bottom.
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
    """A warmer or colder room, stronger or weaker differences; the same for the whole clip.

    Args:
        brightness: largest shift, as a part of the whole range of grey levels.
        contrast: largest change of the differences from the clip's mean, as a part of them.
    """

    def __init__(self, brightness: float = 0.1, contrast: float = 0.2) -> None:
        self.brightness, self.contrast = brightness, contrast

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``imgs``."""
        imgs = np.asarray(results["imgs"])
        shift = np.float32(np.random.uniform(-self.brightness, self.brightness) * GREY)
        factor = np.float32(1 + np.random.uniform(-self.contrast, self.contrast))
        mean = imgs.mean(dtype=np.float64).astype(np.float32)
        return {**results, "imgs": np.clip((imgs - mean) * factor + mean + shift, 0, np.float32(GREY))}


@TRANSFORMS.register_module()
class ThermalRandomErasing(BaseTransform):
    """Fill a random rectangle, the same in all frames, with the clip's median, but not over the persons.

    Args:
        probability: of doing so.
        area_range: part of the image's area.
        aspect_ratio_range: width over height.
        max_hidden: part of each person's box that may be filled; where ten draws do not find that, nothing is.
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
    """MMAction2's ``Resize`` (bilinear, pixel centres at halves) for images of any number of channels.

    Args:
        scale: width and height of the result.
    """

    def __init__(self, scale: tuple[int, int]) -> None:
        super().__init__(tuple(scale), keep_ratio=False)

    def _resize_imgs(self, imgs: Any, new_w: int, new_h: int) -> list[np.ndarray]:
        # OpenCV returns images of one channel without the last axis.
        return [img.reshape(new_h, new_w, -1) for img in super()._resize_imgs(imgs, new_w, new_h)]


def covered(boxes: np.ndarray, rectangle: tuple[int, int, int, int]) -> np.ndarray:
    """Which part of each box [N, 4] the rectangle ``left, top, right, bottom`` covers, 0..1 [N]."""
    low = np.maximum(boxes[:, :2], rectangle[:2])
    high = np.minimum(boxes[:, 2:], rectangle[2:])
    return np.clip(high - low, 0, None).prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
