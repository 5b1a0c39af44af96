"""Thermal keyframes with persons in them, in the manner of AlphAction's AVA data set."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from ...annotations.ava_csv import csv_cell
from ...annotations.boxes import check_resolution
from ...annotations.class_choice import ALL_CLASSES, ClassChoice
from ...annotations.classes import class_count_error
from ...annotations.labels import unpack
from ...annotations.text import find_path
from ...annotations.thermal_annotations import read_annotations, read_box_file
from ...errors import UserError
from ...evaluation.dataset import GROUND_TRUTH, VideoInfo
from ...evaluation.persons import Predictions
from ...recordings.recording import ThermalRecording
from ...recordings.times import time_unit, wrong_frames
from ...recordings.units import PLAUSIBLE_RANGE
from ...structures.bounding_box import BoxList
from ..transforms.thermal import ThermalTransform
from .selection import number_and_seed, select

_logger = logging.getLogger(__name__)


class ThermalVideoInfo(VideoInfo):
    """Where a thermal keyframe comes from; ``frame_idx`` is its frame."""

    frame_idx: int


class ThermalAVADataset(torch.utils.data.Dataset):
    """Keyframes of thermal recordings: a window of frames, person boxes and their actions.

    Setting it up reads the annotations and each recording's length and times, no frames. Recordings are opened by the
    process that needs them; together they are kept in memory up to ``cache_limit_mb``, the rest is read from disk.

    Args:
        hdf5_root: folder of the data set or its ``frames`` folder; recording S is the file ``S.h5``.
        ann_file: annotations, see docs/data.md.
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
        clipped_boxes: how many of them reached beyond the frame.
        repeated_frames: how many frames of all windows repeat one at an end of a recording or at a pause.
        classes: C classes of the columns.
        class_names: their names.
        class_ids: int64 [C], 1 .. C, by which result files name them.
        box_source: "ground truth" or the box file.
        frame_sizes: int64 [R, 2], width and height of each recording's frames.
        kind: "thermal", see :class:`ConcatDataset`.
        time_unit: unit of ``timestamps``.
        frames_per_time_unit: frames of a thermal sensor in it.
        truth_source: empty, since the annotations are the only truth.

    Raises:
        UserError: classes that do not fit ``num_classes``, or a fault in the folder, the recordings, the annotations
            or the box file.
    """

    kind = "thermal"
    time_unit = "frames"
    frames_per_time_unit = 1.0
    truth_source = ""
    rate_note = ""

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
        self.name = name or os.path.splitext(os.path.basename(ann_file))[0]
        self.ann_file = os.fspath(ann_file)
        self.frame_span = frame_span
        self.eval_file_paths = dict(eval_file_paths or {})
        self.transforms = transforms
        self.fps = fps
        folder = _frames_folder(os.fspath(hdf5_root))
        self.choice = choice
        stated_times = self._read_annotations(remove_clips_without_annotations)
        self.num_classes = len(self.classes) if num_classes is None else num_classes
        if self.num_classes not in (len(self.classes), 8 * self.gt_packed.shape[1]):
            raise class_count_error(self.num_classes, self.ann_file, len(self.classes))
        temperatures = transforms.temperature if transforms else PLAUSIBLE_RANGE
        self.opened_recordings = _find_recordings(folder, self.recordings, self.ann_file, cache_limit_mb, temperatures)
        self._check_frames()
        self._compare_times(stated_times)
        self.repeated_frames = self._count_repeated()
        self.frame_sizes = np.array([recording.shape[::-1] for recording in self.opened_recordings], dtype=np.int64)
        box_sizes = np.repeat(self.sizes, np.diff(self.box_offsets), axis=0)
        check_resolution(f"The annotation file {self.ann_file}", self.gt_boxes, box_sizes)
        self.box_source = GROUND_TRUTH
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
        counts = np.diff(read.offsets)
        self._kept = np.flatnonzero(counts > 0) if remove_empty else np.arange(len(counts))
        if not len(self._kept):
            raise UserError(
                f"The annotation file {self.ann_file} has no persons in its {len(counts)} images, expected at least "
                "one; add annotations or name another file."
            )
        self._all_image_ids = read.image_ids
        self._all_frames = list(zip(read.sensor_ids, read.frame_idx.tolist(), strict=True))
        self.image_ids = [read.image_ids[k] for k in self._kept]
        sensors = [read.sensor_ids[k] for k in self._kept]
        self.recordings = sorted(set(sensors))
        number = {sensor: n for n, sensor in enumerate(self.recordings)}
        self.recording_of = np.array([number[sensor] for sensor in sensors], dtype=np.int64)
        self.frame_idx = read.frame_idx[self._kept]
        self.box_offsets, self.gt_boxes, self.gt_packed = select(self._kept, read.offsets, read.boxes, read.packed)
        self.clipped_boxes = read.clipped
        self.classes, self.class_names = read.classes, list(read.classes.names)
        self.class_ids = np.arange(1, len(self.classes) + 1)
        return read.stated_times[self._kept]

    def _all_sizes(self) -> np.ndarray:
        """int64 [images, 2], size of each image; the largest for those that are left out and have no recording."""
        sizes = np.tile(self.frame_sizes.max(axis=0), (len(self._all_image_ids), 1))
        sizes[self._kept] = self.sizes
        return sizes

    def _check_frames(self) -> None:
        lengths = np.array([len(recording) for recording in self.opened_recordings])
        wrong = np.flatnonzero((self.frame_idx < 0) | (self.frame_idx >= lengths[self.recording_of]))
        if len(wrong):
            k = wrong[0]
            recording = self.opened_recordings[self.recording_of[k]]
            raise UserError(
                f"In {self.ann_file}, image {self.image_ids[k]!r} has frame_idx {self.frame_idx[k]}, but "
                f"the recording {recording.path} has the frames 0..{len(recording) - 1}; correct it."
            )

    def _compare_times(self, stated: np.ndarray) -> None:
        """Warn of keyframes whose frame is not the one at the time that the annotations state."""
        for column, source in enumerate(("'timestamp'", "the time in the image id")):
            wrong = []
            for number, recording in enumerate(self.opened_recordings):
                if recording.clock.assumed:
                    continue
                rows = np.flatnonzero(self.recording_of == number)
                off = wrong_frames(recording.timestamps, self.frame_idx[rows], stated[rows, column])
                wrong += rows[off].tolist()
            if not wrong:
                continue
            k = min(wrong)
            times, time = self.recording(k).timestamps, stated[k, column]
            unit = time_unit(stated[self.recording_of == self.recording_of[k], column], np.sort(times))
            _logger.warning(
                "In %s, 'frame_idx' and %s of %d of %d images belong to different frames, the first in %s: frame %d of "
                "%s is at %d, not at %d (frame %d)%s; the labels may be on the wrong frames: correct one of the two.",
                self.ann_file,
                source,
                len(wrong),
                len(self),
                self.image_ids[k],
                self.frame_idx[k],
                self.recording(k).name,
                times[self.frame_idx[k]],
                time,
                np.argmin(np.abs(times - time)),
                "" if unit in ("milliseconds", None) else f", and the times look like {unit}",
            )

    def _count_repeated(self) -> int:
        """Frames of all windows that repeat one at an end of a recording or at a pause."""
        keyframes = zip(self.recording_of.tolist(), self.frame_idx.tolist(), strict=True)
        return sum(
            self.opened_recordings[number].clock.window(frame, self.frame_span, self.fps)[1]
            for number, frame in keyframes
        )

    def __len__(self) -> int:
        """Number of keyframes."""
        return len(self.image_ids)

    def __getitem__(self, item: int | tuple[int, int]) -> tuple:
        """One keyframe.

        Args:
            item: its number, or its number and the seed of its augmentation (as the training sampler gives them).

        Returns:
            With transforms ``(slow, fast, boxes, objects, extras, idx)``: the clips, a BoxList in pixels of the model's
            input with the field ``labels`` uint8 [N, num_classes] where persons are annotated ones, None, a dict with
            ``movie_id``, ``timestamp`` (frame index) and ``second``, the number.
            Without ``(video, boxes, idx, sensor_id, frame_idx)``: float32 [T, h, w, 3] repaired °C in three equal
            channels, a BoxList in the frame's own pixels, the number, the recording, the frame.
        """
        idx, seed = number_and_seed(item, len(self))
        recording, frame = self.recording(idx), int(self.frame_idx[idx])
        window = recording.window(frame, self.frame_span, self.fps)
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
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        slow, fast, boxes, size = self.transforms(window, corners, generator)
        extras = {"movie_id": recording.name, "timestamp": frame, "second": float(recording.seconds(frame))}
        return slow, fast, self._box_list(idx, boxes, size), None, extras, idx

    def _box_list(self, idx: int, boxes: torch.Tensor | np.ndarray, size: tuple[int, int]) -> BoxList:
        result = BoxList(boxes, size, mode="xyxy")
        if self.box_source == GROUND_TRUTH:
            rows = slice(self.box_offsets[idx], self.box_offsets[idx + 1])
            result.add_field("labels", torch.from_numpy(unpack(self.gt_packed[rows], self.num_classes)))
        return result

    @property
    def parts(self) -> list[ThermalAVADataset]:
        """The data sets that this one consists of: itself."""
        return [self]

    @property
    def normalized(self) -> bool:
        """Whether the clips are normalized already, see ``ClipInput``."""
        return self.transforms is not None and self.transforms.normalized

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

    def recording_paths(self) -> dict[str, str]:
        """Name of a recording -> its file."""
        files = [os.path.realpath(recording.path) for recording in self.opened_recordings]
        return dict(zip(self.recordings, files, strict=True))

    def gt_labels(self) -> np.ndarray:
        """Labels uint8 [M, C] of all annotated persons."""
        return unpack(self.gt_packed, len(self.classes))

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
            f"{f', {self.fps:g} frames per second' if self.fps else ''})"
        )


def _frames_folder(root: str) -> str:
    """``root/frames`` or ``root``."""
    if not os.path.isdir(root):
        raise UserError(
            f"The data set folder {root} does not exist, expected one with frames/ and annotations/; make "
            "one with alphaction make-dataset or set DATASETS.THERMAL_ROOT."
        )
    frames = os.path.join(root, "frames")
    return frames if os.path.isdir(frames) else root


# Training and validation sets of one folder use the same recordings, which are in memory once while either is used.
_open_recordings: weakref.WeakValueDictionary[tuple, ThermalRecording] = weakref.WeakValueDictionary()


def _shared_recording(
    path: str, name: str, cache_limit_mb: float, left: float, temperatures: tuple[float, float]
) -> ThermalRecording:
    """The recording that another data set of this process with the same settings uses, or a new one."""
    status = os.stat(path)
    key = (os.path.realpath(path), name, status.st_mtime_ns, status.st_size, cache_limit_mb, temperatures)
    recording = _open_recordings.get(key)
    if recording is None:
        recording = _open_recordings[key] = ThermalRecording(path, left, name, temperature_range=temperatures)
    return recording


def _find_recordings(
    folder: str, names: list[str], ann_file: str, cache_limit_mb: float, temperatures: tuple[float, float]
) -> list[ThermalRecording]:
    """The recordings, of which as many are kept in memory, in order, as fit below the limit together."""
    found, left = [], cache_limit_mb
    for name in names:
        path = find_path(folder, f"{name}.h5")
        if not os.path.exists(path):
            raise UserError(
                f"The recording {path} is missing, expected one for the sensor {name!r} that {ann_file} "
                "names; put it there or remove its images."
            )
        recording = _shared_recording(path, name, cache_limit_mb, left, temperatures)
        if recording.cached:
            left -= recording.megabytes
        found.append(recording)
    return found
