"""What a data set offers to the evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypedDict

import numpy as np

from ..annotations.class_choice import ClassChoice
from ..annotations.classes import ClassList
from .persons import Predictions

GROUND_TRUTH = "ground truth"


class VideoInfo(TypedDict):
    """Where a keyframe comes from.

    Attributes:
        movie: recording or movie.
        timestamp: frame index of a thermal recording, second of a movie.
        width, height: of the frame that the boxes refer to.
        image_id: name of the keyframe.
        second: time in the recording.
    """

    movie: str
    timestamp: float
    width: int
    height: int
    image_id: str
    second: float


class EvaluationDataset(Protocol):
    """K keyframes with M annotated persons of C classes.

    Keyframes are numbered 0 .. K - 1. Boxes are ``x1, y1, x2, y2`` in continuous coordinates, as fractions of the
    frame's width and height, unless stated otherwise.
    """

    @property
    def classes(self) -> ClassList:
        """C classes, in the order of the label columns."""

    @property
    def class_names(self) -> Sequence[str]:
        """Their names."""

    @property
    def class_ids(self) -> np.ndarray:
        """int [C], the ids by which result.csv names them."""

    @property
    def choice(self) -> ClassChoice:
        """Which classes of the annotations these are."""

    @property
    def image_ids(self) -> Sequence[str]:
        """K names of keyframes."""

    @property
    def box_offsets(self) -> np.ndarray:
        """int64 [K + 1]; the persons of keyframe k are rows ``box_offsets[k]`` to ``box_offsets[k + 1] - 1``."""

    @property
    def gt_boxes(self) -> np.ndarray:
        """float [M, 4], annotated boxes."""

    def gt_labels(self) -> np.ndarray:
        """Labels uint8 [M, C] of the annotated persons."""

    @property
    def recordings(self) -> Sequence[str]:
        """R names of recordings or movies."""

    @property
    def recording_of(self) -> np.ndarray:
        """int [K], index into ``recordings`` of each keyframe."""

    @property
    def timestamps(self) -> np.ndarray:
        """int [K], time of each keyframe within its recording in ``time_unit``; float where seconds are fractions."""

    @property
    def time_unit(self) -> str:
        """ "frames" (of a thermal sensor) or "seconds"."""

    @property
    def keyframe_seconds(self) -> np.ndarray:
        """float64 [K], time of each keyframe within its recording in seconds."""

    @property
    def box_source(self) -> str:
        """ "ground truth", or the box file whose persons are tested instead."""

    @property
    def truth_source(self) -> str:
        """What reports name as the source of the truth; "" where only one is possible."""

    @property
    def eval_file_paths(self) -> Mapping[str, str]:
        """AVA's own files to evaluate against, see ``official.read_official_files``; empty: annotations do."""

    def get_video_info(self, idx: int) -> VideoInfo:
        """Where keyframe ``idx`` comes from."""

    def picture(self, idx: int) -> np.ndarray:
        """Keyframe ``idx`` to draw: uint8 [h, w, 3] RGB, or float [h, w] temperatures in °C."""

    def window(self, idx: int) -> np.ndarray | None:
        """float32 [T, h, w] °C, the frames around keyframe ``idx``, which is frame T // 2; None for RGB."""

    def to_fractions(self, pixels: np.ndarray, sizes: np.ndarray, keyframes: np.ndarray) -> np.ndarray:
        """Convert boxes from the pixels of the model's input to fractions of the frame.

        Args:
            pixels: float [P, 4], boxes as the detector returned them.
            sizes: float [P, 2], width and height of the model's input for each box.
            keyframes: int [P], keyframe of each box.

        Returns:
            float64 [P, 4].
        """

    def result_rows(self, predicted: Predictions, action_thresh: float) -> Iterator[str]:
        """Lines of result.csv, with their line end, for all scores of at least ``action_thresh``."""
