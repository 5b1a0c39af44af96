"""Thermal recordings as MMAction2 data sets, read by alphaction (formats: docs/thermal_data.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmaction.datasets import BaseActionDataset
from mmaction.registry import DATASETS
from mmengine.logging import MMLogger

from alphaction.annotations.labels import unpack
from alphaction.annotations.thermal_annotations import read_box_file
from alphaction.dataset.datasets import ThermalAVADataset
from alphaction.errors import UserError


class ThermalKeyframes(BaseActionDataset):
    """Base class for detection and recognition: a window of repaired frames around each keyframe, and its persons.

    Keyframes without persons are left out; the log gives their number.

    A sample enters the pipeline with

    * ``array`` float32 [frame_window, h, w, 1] repaired °C, read-only, ``total_frames``, ``start_index`` 0,
      ``modality``: what ``SampleFrames`` and ``ArrayDecode`` need. The keyframe is frame ``frame_window // 2``.
    * ``gt_bboxes`` float32 [N, 4] continuous ``x1, y1, x2, y2`` in pixels of the frame, ``gt_labels`` float32
      [N, num_classes] one-hot (several ones if a person has several labels), ``img_shape`` (h, w).
    * ``video_id`` the recording, ``timestamp`` the keyframe's frame index, ``img_key`` the image id.

    Args:
        ann_file: annotations; relative to ``data_root``.
        pipeline: transforms.
        data_root: folder of the data set.
        data_prefix: ``dict(hdf5=FOLDER)``, the folder of the recordings; relative to ``data_root``.
        frame_window: frames of a window.
        test_mode: as in MMAction2.
        num_classes: classes of the model, columns of ``gt_labels``: as many as the set has, or these padded to whole
            bytes; None takes the number of the set.
        cache_limit_mb: recordings that exceed this size together are read from disk window by window.
        fps: frames per second of a window, as INPUT.FPS; 0 takes consecutive frames.

    Raises:
        UserError: the folder, the recordings or the annotations are invalid.
    """

    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence[Any],
        data_root: str = "",
        data_prefix: Mapping[str, str] | None = None,
        frame_window: int = 64,
        test_mode: bool = False,
        num_classes: int | None = None,
        cache_limit_mb: float = 2048.0,
        fps: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.frame_window = frame_window
        self.cache_limit_mb = cache_limit_mb
        self.fps = fps
        super().__init__(
            ann_file,
            pipeline,
            data_root=data_root,
            data_prefix=dict(data_prefix or {"hdf5": "frames"}),
            test_mode=test_mode,
            num_classes=num_classes,
            modality="RGB",
            start_index=0,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Keyframes in MMEngine's form: names, boxes and labels, without frames."""
        folder = self.data_prefix.get("hdf5")
        if not folder or not os.path.isdir(folder):
            raise UserError(
                f"The folder of recordings {folder} (data_prefix hdf5) does not exist, expected a folder with a "
                "file NAME.h5 for each recording; set data_root, or the environment variable "
                "ALPHACTION_THERMAL_ROOT for the configurations of mmaction2_thermal."
            )
        self.keyframes = ThermalAVADataset(
            folder, self.ann_file, False, self.frame_window, cache_limit_mb=self.cache_limit_mb, fps=self.fps
        )
        # Load before worker processes are forked, so that they share the frames.
        self.keyframes.load()
        count = len(self.keyframes.classes)
        padded = 8 * self.keyframes.gt_packed.shape[1]
        if self.num_classes is None:
            self.num_classes = count
        elif self.num_classes not in (count, padded):
            raise UserError(
                f"num_classes is {self.num_classes}, but {self.ann_file} has {count} classes; make it {count}, in the "
                "heads of the configuration as well."
            )
        self._metainfo["classes"] = tuple(self.keyframes.class_names)
        return [self._entry(k) for k in range(len(self.keyframes))]

    def _with_persons(self, entries: list[dict], key: str) -> list[dict]:
        """Keyframes that have boxes under ``key``; the number of those without is logged."""
        kept = [entry for entry in entries if len(entry[key])]
        if len(kept) < len(entries):
            MMLogger.get_current_instance().info(
                f"{len(entries) - len(kept)} of {len(entries)} keyframes of "
                f"{self.ann_file} have no persons and are left out."
            )
        if not kept:
            raise UserError(
                f"{self.ann_file} has no persons in its {len(entries)} keyframes, expected at least one; "
                "use another file of annotations or detected boxes."
            )
        return kept

    def _entry(self, k: int) -> dict:
        source = self.keyframes
        rows = slice(source.box_offsets[k], source.box_offsets[k + 1])
        return {
            "keyframe": k,
            "video_id": source.recording(k).name,
            "timestamp": int(source.frame_idx[k]),
            "img_key": source.image_ids[k],
            "gt_bboxes": self._pixels(source.gt_boxes[rows], k),
            "gt_labels": unpack(source.gt_packed[rows], self.num_classes).astype(np.float32),
        }

    def _pixels(self, corners: np.ndarray, k: int) -> np.ndarray:
        """Fractions of keyframe k -> its pixels, float32 [N, 4]."""
        return corners * np.tile(self.keyframes.sizes[k], 2).astype(np.float32)

    def get_data_info(self, idx: int) -> dict:
        """One sample with its window of frames, see the docstring of the class."""
        info = super().get_data_info(idx)
        recording = self.keyframes.recording(info["keyframe"])
        array = recording.window(info["timestamp"], self.frame_window, self.fps)[..., None]
        return {**info, "array": array, "total_frames": len(array), "img_shape": recording.shape}


@DATASETS.register_module()
class ThermalActionDataset(ThermalKeyframes):
    """Detection: the actions of each person.

    In addition to the entries of :class:`ThermalKeyframes`, a sample has ``proposals`` float32 [P, 4]: the persons to
    classify, in pixels of the frame. They are the annotated persons, or those of a file of detected boxes, then with
    ``scores`` [P]. Keyframes without proposals are left out, because ``AVARoIHead`` needs at least one;
    :class:`~mmaction2_thermal.ThermalMeanAP` counts the persons missed there. Training also leaves out keyframes
    without annotated persons.

    Args:
        proposal_file: detected boxes (docs/thermal_data.md); relative to ``data_root``.
        proposal_convention: meaning of its "bbox", as TEST.BOX_CONVENTION.
        person_det_score_thr: boxes with a lower score are left out, as with TEST.BOX_THRESH.
        args, kwargs: as for :class:`ThermalKeyframes`.
    """

    def __init__(
        self,
        *args: Any,
        proposal_file: str | None = None,
        proposal_convention: str = "cxcywh",
        person_det_score_thr: float = 0.8,
        **kwargs: Any,
    ) -> None:
        self.proposal_file = proposal_file
        self.proposal_convention = proposal_convention
        self.person_det_score_thr = person_det_score_thr
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """See :meth:`ThermalKeyframes.load_data_list`."""
        entries = super().load_data_list()
        if not (self.test_mode and self.proposal_file):
            entries = self._with_persons(entries, "gt_bboxes")
        if not self.proposal_file:
            return [{**entry, "proposals": entry["gt_bboxes"].copy()} for entry in entries]
        offsets, corners, scores = read_box_file(
            os.path.join(self.data_root, self.proposal_file),
            self.proposal_convention,
            self.keyframes.image_ids,
            self.keyframes.sizes,
            self.person_det_score_thr,
            [(self.keyframes.recording(k).name, frame) for k, frame in enumerate(self.keyframes.frame_idx.tolist())],
        )
        for entry in entries:
            rows = slice(offsets[entry["keyframe"]], offsets[entry["keyframe"] + 1])
            entry.update(proposals=self._pixels(corners[rows], entry["keyframe"]), scores=scores[rows])
        return self._with_persons(entries, "proposals")


@DATASETS.register_module()
class ThermalHDF5Dataset(ThermalKeyframes):
    """Recognition: one ``label`` per keyframe, the action of most of its persons.

    In a tie, the action of the person annotated first is used. Only exclusive classes count; keyframes without any are
    left out.
    """

    def load_data_list(self) -> list[dict]:
        """See :meth:`ThermalKeyframes.load_data_list`."""
        entries = self._with_persons(super().load_data_list(), "gt_bboxes")
        columns = np.array(self.keyframes.classes.exclusive_columns, np.int64)
        if not len(columns):
            raise UserError(
                f"{self.ann_file} has no exclusive classes, expected some for recognition, which gives a keyframe one; "
                "use the detection configuration."
            )
        labeled = [entry for entry in entries if entry["gt_labels"][:, columns].any()]
        if len(labeled) < len(entries):
            MMLogger.get_current_instance().info(
                f"{len(entries) - len(labeled)} of {len(entries)} keyframes of {self.ann_file} have no person with an "
                "exclusive class and are left out."
            )
        return [{**entry, "label": int(columns[majority(entry["gt_labels"][:, columns])])} for entry in labeled]

    def labels(self) -> np.ndarray:
        """Labels int64 [K]."""
        # get_data_info of this class would read frames.
        read = super(ThermalKeyframes, self).get_data_info
        return np.array([read(k)["label"] for k in range(len(self))], dtype=np.int64)

    def get_class_weights(self) -> torch.Tensor:
        """Class weights float32 [num_classes] that give rare classes a larger share of the loss.

        A class with n of N keyframes has the weight N / (n * number of classes that occur), so the mean over keyframes
        is 1 and each class that occurs has the same total; a class that does not occur has 0. MMAction2's cross entropy
        divides the loss of a batch by the sum of its weights, so a rare class still counts less than a frequent one.
        """
        counts = np.bincount(self.labels(), minlength=self.num_classes).astype(np.float64)
        shares = counts * np.count_nonzero(counts)
        weights = np.divide(counts.sum(), shares, out=np.zeros_like(counts), where=counts > 0)
        return torch.from_numpy(weights.astype(np.float32))


def majority(labels: np.ndarray) -> int:
    """The class with the most persons; in a tie, that of the person annotated first, then the lowest number.

    Args:
        labels: one-hot [N, C] in the order of the annotations, N at least 1.
    """
    persons = labels.sum(axis=0)
    first = np.argmax(labels > 0, axis=0)
    return int(np.lexsort((first, -persons))[0])
