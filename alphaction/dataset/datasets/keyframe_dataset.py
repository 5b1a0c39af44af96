"""What thermal and RGB data sets have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch

from ...annotations.class_choice import ClassChoice
from ...annotations.classes import ClassList
from ...annotations.labels import unpack
from ...errors import UserError
from ...evaluation.dataset import GROUND_TRUTH
from ...structures.bounding_box import BoxList
from ..transforms.thermal import ThermalTransform
from ..transforms.video import VideoTransform

_Part = TypeVar("_Part", bound="KeyframeDataset")


class KeyframeDataset(torch.utils.data.Dataset):
    """Keyframes of an annotation file; the arguments and attributes are those of the two data sets."""

    transforms: ThermalTransform | VideoTransform | None
    box_source = GROUND_TRUTH
    num_classes: int
    classes: ClassList
    box_offsets: np.ndarray
    gt_packed: np.ndarray

    def __init__(
        self,
        ann_file: str | os.PathLike,
        frame_span: int,
        eval_file_paths: Mapping[str, str] | None,
        choice: ClassChoice,
        fps: float,
        name: str | None,
    ) -> None:
        self.name = name or os.path.splitext(os.path.basename(ann_file))[0]
        self.ann_file = os.fspath(ann_file)
        self.frame_span, self.fps = frame_span, fps
        self.eval_file_paths = dict(eval_file_paths or {})
        self.choice = choice

    @property
    def parts(self: _Part) -> list[_Part]:
        """The data sets that this one consists of: itself."""
        return [self]

    @property
    def normalized(self) -> bool:
        """Whether the clips are normalized already, see ``ClipInput``."""
        return self.transforms is not None and self.transforms.normalized

    @property
    def class_names(self) -> list[str]:
        """C names of the classes."""
        return list(self.classes.names)

    def gt_labels(self) -> np.ndarray:
        """Labels uint8 [M, C] of all annotated persons."""
        return unpack(self.gt_packed, len(self.classes))

    def window(self, idx: int) -> np.ndarray | None:
        """Temperatures around keyframe ``idx``, see ThermalAVADataset; None for RGB."""
        return None

    def _kept_keyframes(self, offsets: np.ndarray, remove_empty: bool) -> np.ndarray:
        """Numbers of the keyframes of the file that are used: all, or those with persons."""
        counts = np.diff(offsets)
        kept = np.flatnonzero(counts > 0) if remove_empty else np.arange(len(counts))
        if not len(kept):
            raise UserError(
                f"The annotation file {self.ann_file} has no persons in its {len(counts)} images, expected at least "
                "one; add annotations or name another file."
            )
        return kept

    def _add_labels(self, boxes: BoxList, idx: int) -> BoxList:
        """The persons of keyframe ``idx`` with their labels, where they are the annotated ones."""
        if self.box_source == GROUND_TRUTH:
            rows = slice(self.box_offsets[idx], self.box_offsets[idx + 1])
            boxes.add_field("labels", torch.from_numpy(unpack(self.gt_packed[rows], self.num_classes)))
        return boxes
