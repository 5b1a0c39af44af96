"""Thermal keyframes with persons in them, in the manner of AlphAction's AVA data set."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from ...annotations.ava_csv import csv_cell
from ...annotations.boxes import check_resolution
from ...annotations.class_choice import ALL_CLASSES, ClassChoice
from ...annotations.classes import class_count_error
from ...annotations.thermal_annotations import read_annotations, read_box_file
from ...evaluation.dataset import VideoInfo
from ...evaluation.persons import Predictions
from ...recordings.clock import describe_rates
from ...recordings.keyframes import Keyframes, check_frames, frames_folder, open_recordings, warn_of_times
from ...recordings.recording import ThermalRecording
from ...recordings.units import PLAUSIBLE_RANGE
from ...structures.bounding_box import BoxList
from ..transforms.thermal import ThermalTransform
from .keyframe_dataset import KeyframeDataset
from .selection import number_and_seed, select

_logger = logging.getLogger(__name__)


class ThermalVideoInfo(VideoInfo):
    """Where a thermal keyframe comes from; ``frame_idx`` is its frame."""

    frame_idx: int


class ThermalAVADataset(KeyframeDataset):
    """Keyframes of thermal recordings: a window of frames, person boxes and their actions.

    Setting it up reads the annotations and each recording's length and times, no frames. Recordings are opened by the
    process that needs them; together they are kept in memory up to ``cache_limit_mb``, the rest is read from disk.

    Args:
        hdf5_root: folder of the data set or its ``frames`` folder; recording S is the file ``S.h5``.
        ann_file: annotations, see docs/thermal_data.md.
        remove_clips_without_annotations: leave out keyframes without persons.
        frame_span: frames of a window; a 64-frame window has 32 before the keyframe and 31 after it.
        box_file: detected persons to use instead of the annotated ones, for testing.
        eval_file_paths: kept as given; empty, the annotations are the truth.
        box_thresh: detected persons with a lower score are left out.
        action_thresh: not used, kept for AlphAction's order of arguments; see
            :func:`alphaction.evaluation.evaluate`.
        transforms: makes the clips of a window; None returns the window itself.
        box_convention: what the box file's "bbox" means, see TEST.BOX_CONVENTION.
        num_classes: columns of the label tensor: as many as the set has classes, or these padded to whole bytes (16 for
            14, as in checkpoints of padded heads); None takes the number of classes.
        choice: classes that are used.
        cache_limit_mb: see above.
        fps: frames per second of a window, see INPUT.FPS; 0 takes consecutive frames.
        name: what logs call it.

    Attributes:
        recordings: names of the recordings, R of them.
        opened_recordings: their :class:`ThermalRecording`.
        recording_of: int64 [K], recording of each keyframe.
        frame_idx: int64 [K], its frame.
        image_ids: K names.
        box_offsets: int64 [K + 1]; persons of keyframe k are rows box_offsets[k] .. box_offsets[k+1] - 1.
        gt_boxes: float32 [M, 4] continuous ``x1, y1, x2, y2`` as fractions of the frame, clipped to 0..1.
        gt_packed: uint8 [M, ceil(C / 8)] packed labels.
        object_ids: int64 [M], the same number for one person in all keyframes of a recording; -1 where none is given.
        person_weight: of all persons in the losses.
        clipped_boxes: how many of the boxes reached beyond the frame.
        repeated_frames: how many frames of all windows repeat one at an end of a recording or at a pause.
        gap_windows: how many windows have a gap, see :meth:`alphaction.recordings.clock.Clock.has_gap`.
        classes: C classes of the columns.
        class_names: their names.
        class_ids: int64 [C], 1 .. C, by which result files name them.
        box_source: "ground truth" or the box file.
        frame_sizes: int64 [R, 2], width and height of each recording's frames.
        kind: "thermal", see :class:`ConcatDataset`.
        time_unit: unit of ``timestamps``.
        truth_source: empty, since the annotations are the only truth.
        rate_note: what is to say about recordings of different rates, "" where all are alike.

    Raises:
        UserError: classes that do not fit ``num_classes``, or a fault in the folder, the recordings, the annotations
            or the box file.
    """

    transforms: ThermalTransform | None
    kind = "thermal"
    time_unit = "frames"
    truth_source = ""
    person_weight = 1.0

    def __init__(
        self,
        hdf5_root: str | os.PathLike,
        ann_file: str | os.PathLike,
        remove_clips_without_annotations: bool,
        frame_span: int,
        box_file: str | os.PathLike | None = None,
        eval_file_paths: Mapping[str, str] | None = None,
        box_thresh: float = 0.0,
        action_thresh: float = 0.0,
        transforms: ThermalTransform | None = None,
        *,
        box_convention: str = "cxcywh",
        num_classes: int | None = None,
        choice: ClassChoice = ALL_CLASSES,
        cache_limit_mb: float = 2048.0,
        fps: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(ann_file, frame_span, eval_file_paths, choice, fps, name)
        self.transforms = transforms
        folder = frames_folder(os.fspath(hdf5_root))
        stated_times = self._read_annotations(remove_clips_without_annotations)
        self.num_classes = len(self.classes) if num_classes is None else num_classes
        if self.num_classes not in (len(self.classes), 8 * self.gt_packed.shape[1]):
            raise class_count_error(self.num_classes, self.ann_file, len(self.classes))
        temperatures = transforms.temperature if transforms else PLAUSIBLE_RANGE
        self.opened_recordings = open_recordings(folder, self.recordings, self.ann_file, cache_limit_mb, temperatures)
        keyframes = Keyframes(self.ann_file, self.image_ids, self.recording_of, self.frame_idx, stated_times)
        check_frames(keyframes, self.opened_recordings)
        warn_of_times(keyframes, self.opened_recordings)
        self.repeated_frames, self.gap_windows = self._count_repeated()
        self.rate_note = "" if fps else describe_rates(self.opened_recordings, frame_span)
        if self.rate_note:
            _logger.warning("%s: %s", self.name, self.rate_note)
        self.frame_sizes = np.array([recording.shape[::-1] for recording in self.opened_recordings], dtype=np.int64)
        box_sizes = np.repeat(self.sizes, np.diff(self.box_offsets), axis=0)
        check_resolution(f"The annotation file {self.ann_file}", self.gt_boxes, box_sizes)
        self._offsets, self._boxes = self.box_offsets, self.gt_boxes
        if box_file:
            self.box_source = os.fspath(box_file)
            self._offsets, self._boxes, _ = read_box_file(
                box_file, box_convention, self._all_image_ids, self._all_sizes(), box_thresh, self._all_frames
            )
            self._offsets, self._boxes = select(self._kept, self._offsets, self._boxes)

    def _read_annotations(self, remove_empty: bool) -> np.ndarray:
        """Sets the arrays of keyframes and persons; returns the times [K, 2] that the annotations state, see
        :class:`ThermalAnnotations`."""
        read = read_annotations(self.ann_file, self.choice)
        self._kept = self._kept_keyframes(read.offsets, remove_empty)
        self._all_image_ids = read.image_ids
        self._all_frames = list(zip(read.sensor_ids, read.frame_idx.tolist(), strict=True))
        self.image_ids = [read.image_ids[k] for k in self._kept]
        sensors = [read.sensor_ids[k] for k in self._kept]
        self.recordings = sorted(set(sensors))
        number = {sensor: n for n, sensor in enumerate(self.recordings)}
        self.recording_of = np.array([number[sensor] for sensor in sensors], dtype=np.int64)
        self.frame_idx = read.frame_idx[self._kept]
        self.box_offsets, self.gt_boxes, self.gt_packed, self.object_ids = select(
            self._kept, read.offsets, read.boxes, read.packed, read.objects
        )
        self.clipped_boxes = read.clipped
        self.classes = read.classes
        self.class_ids = np.arange(1, len(self.classes) + 1)
        return read.stated_times[self._kept]

    def _all_sizes(self) -> np.ndarray:
        """int64 [images, 2], size of each image; the largest for those that are left out and have no recording."""
        sizes = np.tile(self.frame_sizes.max(axis=0), (len(self._all_image_ids), 1))
        sizes[self._kept] = self.sizes
        return sizes

    def _count_repeated(self) -> tuple[int, int]:
        """Frames of all windows that repeat one at an end of a recording or at a pause; windows with a gap."""
        repeated, gaps = 0, 0
        for number, frame in zip(self.recording_of.tolist(), self.frame_idx.tolist(), strict=True):
            clock = self.opened_recordings[number].clock
            frames, count = clock.window(frame, self.frame_span, self.fps)
            repeated, gaps = repeated + count, gaps + clock.has_gap(frames)
        return repeated, gaps

    def __len__(self) -> int:
        """Number of keyframes."""
        return len(self.image_ids)

    def __getitem__(self, item: int | tuple[int, int]) -> tuple:
        """One keyframe.

        Args:
            item: its number, or its number and the seed of its augmentation (as the training sampler gives them).

        Returns:
            With transforms ``(slow, fast, boxes, objects, extras, idx)``: the clips, a BoxList in pixels of the model's
            input with the field ``labels`` uint8 [N, num_classes] where persons are annotated ones and, with a seed,
            ``place`` float32 [N, 4], the fractions of the frame before the transforms, None, a dict with
            ``movie_id``, ``timestamp`` (frame index) and ``second``, the number.
            Without ``(video, boxes, idx, sensor_id, frame_idx)``: float32 [T, h, w, 3] repaired °C in three equal
            channels, a BoxList in the frame's own pixels, the number, the recording, the frame.
        """
        idx, seed = number_and_seed(item, len(self))
        recording, frame = self.recording(idx), int(self.frame_idx[idx])
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        window = self._augmented_window(recording, frame, generator)
        corners = self._boxes[self._offsets[idx] : self._offsets[idx + 1]]
        if self.transforms is None:
            height, width = recording.shape
            pixels = corners * np.array([width, height] * 2, dtype=np.float32)
            return (
                np.repeat(window[..., None], 3, axis=-1),
                self._box_list(idx, pixels, (width, height)),
                idx,
                recording.name,
                frame,
            )
        room = recording.room if self.transforms.needs_room else None
        slow, fast, boxes, size = self.transforms(window, corners, generator, room)
        extras = {"movie_id": recording.name, "timestamp": frame, "second": float(recording.seconds(frame))}
        box_list = self._box_list(idx, boxes, size)
        if seed is not None:  # in training the transform moves the boxes
            box_list.add_field("place", torch.from_numpy(corners.copy()))
        if self.person_weight != 1:
            box_list.add_field("weight", torch.full((len(box_list),), self.person_weight))
        return slow, fast, box_list, None, extras, idx

    def _augmented_window(
        self, recording: ThermalRecording, frame: int, generator: torch.Generator | None
    ) -> np.ndarray:
        """The frames around keyframe ``frame``, in training at another time and speed."""
        fps = self.fps
        if self.transforms is not None:
            seconds, speed = self.transforms.augmentation.draw_time(generator)
            if seconds:
                frame = min(max(frame + round(seconds * recording.fps), 0), len(recording) - 1)
            if speed != 1:
                fps = (fps or recording.fps) / speed
        return recording.window(frame, self.frame_span, fps)

    def _box_list(self, idx: int, boxes: torch.Tensor | np.ndarray, size: tuple[int, int]) -> BoxList:
        return self._add_labels(BoxList(boxes, size, mode="xyxy"), idx)

    @property
    def sizes(self) -> np.ndarray:
        """int [K, 2], width and height of each keyframe."""
        return self.frame_sizes[self.recording_of]

    def recording(self, idx: int) -> ThermalRecording:
        """The recording of keyframe ``idx``."""
        return self.opened_recordings[self.recording_of[idx]]

    @property
    def timestamps(self) -> np.ndarray:
        """int64 [K], key of each keyframe in the memory: its frame index."""
        return self.frame_idx

    @property
    def keyframe_seconds(self) -> np.ndarray:
        """float64 [K], time of each keyframe within its recording in seconds."""
        seconds = np.empty(len(self))
        for number, recording in enumerate(self.opened_recordings):
            here = self.recording_of == number
            seconds[here] = recording.seconds(self.frame_idx[here])
        return seconds

    def recording_paths(self) -> dict[str, str]:
        """Name of a recording -> its file."""
        files = [os.path.realpath(recording.path) for recording in self.opened_recordings]
        return dict(zip(self.recordings, files, strict=True))

    def get_video_info(self, idx: int) -> ThermalVideoInfo:
        """Where keyframe ``idx`` comes from; ``timestamp`` is the memory's key, a frame index."""
        frame, recording = int(self.frame_idx[idx]), self.recording(idx)
        height, width = recording.shape
        return {
            "width": width,
            "height": height,
            "movie": recording.name,
            "timestamp": frame,
            "frame_idx": frame,
            "image_id": self.image_ids[idx],
            "second": float(recording.seconds(frame)),
        }

    def window(self, idx: int) -> np.ndarray:
        """Frames around keyframe ``idx``, which is frame T // 2: float32 [T, h, w] repaired °C; do not write to it."""
        return self.recording(idx).window(int(self.frame_idx[idx]), self.frame_span, self.fps)

    def picture(self, idx: int) -> np.ndarray:
        """Keyframe ``idx``, float32 [h, w] repaired °C."""
        return self.recording(idx).window(int(self.frame_idx[idx]), 1)[0]

    def to_fractions(self, pixels: np.ndarray, sizes: np.ndarray, keyframes: np.ndarray) -> np.ndarray:
        """Boxes [P, 4] in the model's pixels, with inputs of ``sizes`` [P, 2] -> fractions of the frame; boxes of this
        set are continuous in both."""
        return pixels / np.tile(sizes, 2)

    def result_rows(self, predicted: Predictions, action_thresh: float) -> Iterator[str]:
        """Lines ``recording, frame index, x1, y1, x2, y2, class id from 1, score``; continuous corners as fractions."""
        for key, box, column, score in zip(*predicted.rows(action_thresh), strict=True):
            x1, y1, x2, y2 = box
            yield (
                f"{csv_cell(self.recordings[self.recording_of[key]])},{self.frame_idx[key]},"
                f"{x1:.5f},{y1:.5f},{x2:.5f},{y2:.5f},{column + 1},{score:.6f}\n"
            )

    def report_damage(self) -> str:
        """Nothing: damaged frames are repaired, and counted by the recordings."""
        return ""

    def load(self) -> None:
        """Read the recordings that are kept in memory now, so that forked workers share them."""
        for recording in self.opened_recordings:
            recording.load()

    def close(self) -> None:
        """Free the memory of the frames; the next sample reads them again."""
        for recording in self.opened_recordings:
            recording.close()

    def __repr__(self) -> str:
        repeated = (
            f", {self.repeated_frames} of {len(self) * self.frame_span} window frames repeated at ends and pauses"
        )
        return (
            f"ThermalAVADataset({self.name}: {len(self)} keyframes, {len(self.gt_boxes)} persons "
            f"({self.clipped_boxes} boxes clipped) in {len(self.recordings)} recordings, boxes from "
            f"{self.box_source}{repeated if self.repeated_frames else ''}"
            f"{f', {self.gap_windows} windows with gaps' if self.gap_windows else ''}"
            f"{f', {self.fps:g} frames per second' if self.fps else ''})"
        )
