"""Keyframes of RGB movies, one-second clips or pictures on disk, in the manner of AlphAction's AVA data set."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from ...annotations.ava_csv import keyframe_rows, to_fractions
from ...annotations.class_choice import ALL_CLASSES, ClassChoice
from ...annotations.classes import class_count_error
from ...annotations.clip_annotations import ClipAnnotations, keyframe_name, read_clip_annotations
from ...annotations.labels import NUM_AVA_CLASSES
from ...errors import UserError
from ...evaluation.dataset import VideoInfo
from ...evaluation.persons import Predictions
from ...recordings.recording import ThermalRecording
from ...structures.bounding_box import BoxList
from ...video.movies import find_keyframe_movies
from ...video.rates import describe_rates
from ..transforms.video import VideoTransform
from .clip_damage import ClipDamage
from .keyframe_boxes import KeyframeBoxes, read_keyframe_boxes
from .keyframe_dataset import KeyframeDataset
from .selection import number_and_seed, select

logger = logging.getLogger(__name__)


class AVAVideoDataset(KeyframeDataset):
    """Keyframes of movies: a window of frames, person boxes and their actions, object boxes.

    Setting it up reads the annotations and lists the clips of each movie; videos are decoded when a sample is read. The
    index is a few numpy arrays (some 50 MB for all of AVA) that forked workers share.

    Args:
        video_root: folder of the movies' folders; the clip of second t is ``<movie>/<t>.mp4`` (leading zeros and other
            common suffixes are read as well) and starts with the frame at t. A movie may also be a folder of pictures,
            see :class:`~alphaction.video.pictures.MoviePictures`.
        ann_file: annotations, see docs/video_data.md.
        remove_clips_without_annotations: leave out keyframes without persons.
        frame_span: frames of a window; a 64-frame window has 32 before the keyframe and 31 after it.
        box_file: detected persons to use instead of the annotated ones, for testing.
        eval_file_paths: ``csv_gt_file`` and ``labelmap_file``, and possibly ``exclusion_file``: AVA's own files, by
            which :func:`alphaction.evaluation.evaluate` then scores; without them it takes the annotations.
        box_thresh: detected persons with a lower score are left out.
        action_thresh: not used, kept for AlphAction's order of arguments; see
            :func:`alphaction.evaluation.evaluate`.
        transforms: makes the clips of a window; None returns the window itself.
        object_file: detected objects.
        num_classes: columns of the label tensor. Sets with AVA's action ids may have fewer classes, others must have
            exactly as many; None takes the number that the annotations have.
        max_objects: objects of a keyframe, those with the best scores; None keeps all.
        ava_ids: the class ids are AVA's from 1 even where annotations have no ``action_ids``; always so with
            ``eval_file_paths``.
        choice: classes that are used.
        fps: frames per second of a window, see INPUT.FPS; 0 takes the frames as they come.
        picture_fps: pictures per second of movies that are pictures without a file ``fps.txt``; 0: unknown.
        picture_start: time of their first picture in seconds.
        name: what logs call it.

    Attributes:
        recordings: names of the movies, R of them.
        recording_of: int32 [K], movie of each keyframe.
        timestamps: int32 [K], its second; float64 in sets with keyframes at fractions of a second.
        sizes: int32 [K, 2], width and height of the frame that the boxes refer to.
        box_offsets: int64 [K + 1]; annotated persons of keyframe k are rows box_offsets[k] .. box_offsets[k+1] - 1.
        gt_packed: uint8 [M, ceil(C / 8)] packed labels.
        classes: C classes of the columns.
        class_names: their names.
        class_ids: int64 [C], their ids in the annotations, by which result files name them; of merged ones the lowest.
        box_source: "ground truth" or the box file.
        kind: "RGB", see :class:`ConcatDataset`.
        time_unit: unit of ``timestamps``.
        opened_recordings: empty; thermal sets have some.
        rate_note: note about unusual frame rates of the movies, "" without any.

    Raises:
        UserError: a fault in the folder, the annotations or the box files, a keyframe without a clip, or classes that
            do not fit ``num_classes``.
    """

    transforms: VideoTransform | None
    kind = "RGB"
    time_unit = "seconds"
    opened_recordings: list[ThermalRecording] = []

    def __init__(
        self,
        video_root: str | os.PathLike,
        ann_file: str | os.PathLike,
        remove_clips_without_annotations: bool,
        frame_span: int,
        box_file: str | os.PathLike | None = None,
        eval_file_paths: Mapping[str, str] | None = None,
        box_thresh: float = 0.0,
        action_thresh: float = 0.0,
        transforms: VideoTransform | None = None,
        object_file: str | os.PathLike | None = None,
        *,
        num_classes: int | None = NUM_AVA_CLASSES,
        max_objects: int | None = None,
        ava_ids: bool = False,
        choice: ClassChoice = ALL_CLASSES,
        fps: float = 0.0,
        picture_fps: float = 0.0,
        picture_start: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(ann_file, frame_span, eval_file_paths, choice, fps, name)
        self.video_root, self.transforms = os.fspath(video_root), transforms
        ava_ids = ava_ids or bool(self.eval_file_paths)
        if self.eval_file_paths and choice.merge:
            raise UserError(
                f"DATASETS.CLASS_MAP merges classes, but {self.name} is evaluated by AVA's own files, expected their "
                "classes; leave it empty (DATASETS.CLASSES may choose some), or register the set without CSV_GT_FILE."
            )
        read = read_clip_annotations(self.ann_file, ava_ids, self.choice)
        kept = self._take(read, remove_clips_without_annotations)
        self.num_classes = len(self.class_names) if num_classes is None else num_classes
        may_exceed = read.ava_ids and not self.choice
        if self.num_classes != len(self.classes) and not (may_exceed and self.num_classes > len(self.classes)):
            raise class_count_error(self.num_classes, self.ann_file, len(self.classes))
        self.clips = find_keyframe_movies(
            self.video_root,
            self.recordings,
            self.recording_of,
            self.timestamps,
            self.ann_file,
            picture_fps,
            picture_start,
        )
        self.rate_note = "" if fps else self._describe_rates()
        self._boxes = KeyframeBoxes(self.box_offsets, self.gt_pixels)
        if box_file:
            self.box_source = os.fspath(box_file)
            persons = read_keyframe_boxes(box_file, read, kept, self.name, "persons", box_thresh)
            self._boxes = persons._replace(scores=None)
        self._objects = None
        if object_file:
            self._objects = read_keyframe_boxes(object_file, read, kept, self.name, "objects", keep_best=max_objects)
        self._damage = ClipDamage(len(self))
        del read
        _release_memory()

    def _take(self, read: ClipAnnotations, remove_empty: bool) -> np.ndarray:
        """Keep what is needed of the annotations, and return the keyframes that are kept."""
        kept = self._kept_keyframes(read.offsets, remove_empty)
        used, self.recording_of = np.unique(read.movie_of[kept], return_inverse=True)
        self.recording_of = self.recording_of.astype(np.int32)
        self.recordings = [read.movies[movie] for movie in used]
        self.timestamps, self.sizes = read.timestamps[kept], read.sizes[kept]
        self.box_offsets, self.gt_pixels, self.gt_packed = select(kept, read.offsets, read.boxes, read.packed)
        self.classes, self.class_ids = read.classes, read.class_ids
        self.clipped_boxes = read.clipped
        return kept

    def _describe_rates(self) -> str:
        rates = {name: clips.rate for name, clips in zip(self.recordings, self.clips, strict=True)}
        note = describe_rates(rates, self.frame_span)
        if note:
            logger.warning("%s: %s", self.name, note)
        return note

    def __len__(self) -> int:
        """Number of keyframes."""
        return len(self.timestamps)

    def __getitem__(self, item: int | tuple[int, int]) -> tuple:
        """One keyframe.

        Args:
            item: its number, or its number and the seed of its augmentation (as the training sampler gives them).

        Returns:
            With transforms ``(slow, fast, boxes, objects, extras, idx)``: the clips, a BoxList in pixels of the model's
            input with the field ``labels`` uint8 [N, num_classes] where persons are annotated ones, likewise objects
            with ``scores`` (None without an object file), a dict with ``movie_id``, ``timestamp`` (see
            :func:`memory_key`) and ``second``, the number.
            Without ``(video, boxes, idx, movie, timestamp)``: uint8 [T, h, w, 3] RGB and a BoxList in pixels of the
            annotations' frame size.
        """
        idx, seed = number_and_seed(item, len(self))
        frames, boxes = self._window(idx), self._persons(idx)
        movie, second = self.recordings[self.recording_of[idx]], self.timestamps[idx].item()
        if self.transforms is None:
            return frames, boxes, idx, movie, second
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        objects = None if self._objects is None else self._objects.box_list(idx, self.sizes[idx])
        slow, fast, boxes, objects = self.transforms(frames, boxes, objects, generator)
        extras = {"movie_id": movie, "timestamp": memory_key(second), "second": float(second)}
        return slow, fast, boxes, objects, extras, idx

    def _window(self, idx: int) -> np.ndarray:
        before = self.frame_span // 2
        second = self.timestamps[idx].item()
        clips = self.clips[self.recording_of[idx]]
        window = clips.window(second, before, self.frame_span - before - 1, self.fps)
        self._damage.note(idx, window)
        return window.frames

    def _persons(self, idx: int) -> BoxList:
        return self._add_labels(self._boxes.box_list(idx, self.sizes[idx]), idx)

    @property
    def image_ids(self) -> list[str]:
        """ "movie,second" of every keyframe."""
        return [
            keyframe_name(self.recordings[movie], second)
            for movie, second in zip(self.recording_of.tolist(), self.timestamps.tolist(), strict=True)
        ]

    @property
    def gt_boxes(self) -> np.ndarray:
        """float64 [M, 4]: annotated boxes as fractions of the frame, ``x1 / W, y1 / H, (x2 + 1) / W, (y2 + 1) / H``."""
        owners = np.repeat(np.arange(len(self)), np.diff(self.box_offsets))
        return (self.gt_pixels + np.array([0.0, 0, 1, 1])) / np.tile(self.sizes, 2)[owners]

    def recording_paths(self) -> dict[str, str]:
        """Name of a movie -> folder of its clips."""
        return {movie: os.path.realpath(clips.folder) for movie, clips in zip(self.recordings, self.clips, strict=True)}

    @property
    def keyframe_seconds(self) -> np.ndarray:
        """float64 [K], time of each keyframe within its movie in seconds."""
        return self.timestamps.astype(np.float64)

    def get_video_info(self, idx: int) -> VideoInfo:
        """Where keyframe ``idx`` comes from; ``timestamp`` is its second."""
        width, height = self.sizes[idx].tolist()
        movie, timestamp = self.recordings[self.recording_of[idx]], self.timestamps[idx].item()
        return {
            "width": width,
            "height": height,
            "movie": movie,
            "timestamp": timestamp,
            "image_id": keyframe_name(movie, timestamp),
            "second": float(timestamp),
        }

    def picture(self, idx: int) -> np.ndarray:
        """Keyframe ``idx``, uint8 [h, w, 3] RGB."""
        return self.clips[self.recording_of[idx]].keyframe(self.timestamps[idx].item())

    @property
    def truth_source(self) -> str:
        """The annotation file, as reports name it unless AVA's own files are evaluated against."""
        return f"the annotations {self.ann_file}"

    def to_fractions(self, pixels: np.ndarray, sizes: np.ndarray, keyframes: np.ndarray) -> np.ndarray:
        """Boxes [P, 4] with inclusive corners in the model's pixels, with inputs of ``sizes`` [P, 2] -> continuous
        fractions of the frames of ``keyframes`` [P]."""
        return to_fractions(pixels, sizes, self.sizes[keyframes])

    def result_rows(self, predicted: Predictions, action_thresh: float) -> Iterator[str]:
        """Lines of AVA's result file, see ``keyframe_rows``, with the class ids of the annotations."""
        keys, first = np.unique(predicted.keys, return_index=True)
        ends = np.append(first, len(predicted.keys))[1:]
        for key, start, end in zip(keys.tolist(), first, ends, strict=True):
            movie, second = self.recordings[self.recording_of[key]], self.timestamps[key].item()
            boxes, scores = predicted.boxes[start:end], predicted.scores[start:end]
            for row in keyframe_rows(boxes, scores, movie, second, action_thresh, self.class_ids):
                yield f"{row}\r\n"

    def report_damage(self) -> str:
        """How many keyframes read so far, by this process and its workers, had damaged clips or lacked a neighboring
        one; "" where nothing is new since the previous call."""
        report = self._damage.report()
        return f"{self.name}: {report}" if report else ""

    def load(self) -> None:
        """Nothing is kept in memory; clips are decoded by the process that needs them."""

    def close(self) -> None:
        """Nothing is kept open."""

    def __repr__(self) -> str:
        return (
            f"AVAVideoDataset({self.name}: {len(self)} keyframes, {len(self.gt_packed)} persons "
            f"({self.clipped_boxes} boxes clipped) in {len(self.recordings)} movies, boxes from "
            f"{self.box_source})"
        )


def memory_key(second: float) -> int:
    """Key of a keyframe in the memory: the whole second, or the negative microsecond of one between, so that neither is
    taken for the other."""
    return int(second) if second == int(second) else -round(second * 1e6)


def _release_memory() -> None:
    """Return freed memory to the system where the C library can: after a file as large as AVA's, glibc keeps over
    100 MB, since arrays that stay lie above it."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
