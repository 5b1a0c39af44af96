"""The thermal annotation file as arrays, and detected boxes that belong to it (docs/thermal_data.md)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UserError
from . import entries
from .boxes import check_pixels, fraction_corners, log_clipped, warn_near_equal
from .class_choice import ALL_CLASSES, ClassChoice
from .classes import ClassList, classes_of
from .coco import Keyframe, merge_persons, pack_labels, read_classes, read_coco
from .detections import Detections, read_detections

_MAX_TIME = 2**62


@dataclass
class ThermalAnnotations:
    """Keyframes and the persons in them; K keyframes, M persons.

    Attributes:
        image_ids: K names.
        sensor_ids: the K recordings.
        frame_idx: int64 [K].
        stated_times: int64 [K, 2], ms in "timestamp" and in the image id; -1 where there are none.
        offsets: int64 [K + 1]; persons of keyframe k are rows offsets[k] .. offsets[k+1] - 1.
        boxes: float32 [M, 4] continuous ``x1, y1, x2, y2``, fractions of the frame, clipped to 0..1.
        packed: uint8 [M, ceil(C / 8)] packed labels.
        clipped: boxes that exceeded the frame.
        classes: C classes of the columns.
        objects: int64 [M], number of each person's ``object_id``, the same in all of the person's keyframes of a
            recording; -1 for none.
    """

    image_ids: list[str]
    sensor_ids: list[str]
    frame_idx: np.ndarray
    stated_times: np.ndarray
    offsets: np.ndarray
    boxes: np.ndarray
    packed: np.ndarray
    clipped: int
    classes: ClassList
    objects: np.ndarray


def read_annotations(ann_file: str | os.PathLike, choice: ClassChoice = ALL_CLASSES) -> ThermalAnnotations:
    """Read and check an annotation file.

    Boxes of one keyframe with identical coordinates are one person with several labels.

    Args:
        choice: which classes are used; persons who have none of them may be left out.

    Raises:
        UserError: see :func:`alphaction.annotations.coco.read_coco`; an unknown category, a box wholly outside the
            frame or without an area, class names that are wrong or occur twice.
    """
    stated_times: list[tuple[int, int]] = []

    def keyframe_of(entry: object) -> Keyframe:
        keyframe = thermal_keyframe(entry)
        stated_times.append(_stated_times(entry, keyframe.recording))
        return keyframe

    coco = read_coco(ann_file, keyframe_of)
    corners, clipped = fraction_corners(
        coco.boxes,
        "cxcywh",
        lambda row: f"In {coco.path}, entry {row + 1} of annotations",
        f"The annotation file {coco.path}",
    )
    log_clipped(coco.path, clipped, 0, len(corners))
    classes, columns = classes_of(coco.path, coco.categories)
    classes, columns = choice.choose(coco.path, classes, columns)
    packed = pack_labels(coco, columns, len(classes))
    kept = choice.kept_rows(coco.path, classes, packed)
    offsets, corners, packed, first = merge_persons(coco.owners[kept], corners[kept], packed[kept], len(coco.times))
    warn_near_equal(f"The annotation file {coco.path}", offsets, corners)
    return ThermalAnnotations(
        sorted(coco.rows, key=coco.rows.__getitem__),
        [coco.recordings[number] for number in coco.recording_of],
        coco.times.astype(np.int64),
        np.array(stated_times, np.int64).reshape(-1, 2),
        offsets,
        corners,
        packed,
        clipped,
        classes,
        coco.objects[kept][first],
    )


def read_thermal_classes(ann_file: str | os.PathLike, choice: ClassChoice = ALL_CLASSES) -> ClassList:
    """Only the classes of an annotation file, see :func:`read_annotations`."""
    path = os.fspath(ann_file)
    return choice.choose(path, *classes_of(path, read_classes(path)[0]))[0]


def thermal_keyframe(entry: object) -> Keyframe:
    """The keyframe of an entry of "images".

    Raises:
        EntryError: no recording or frame index.
    """
    # A frame index below 0 is compared with the recording's length later, as one above is.
    return Keyframe(entries.recording_name(entry, "sensor_id"), entries.whole(entry, "frame_idx", least=-(2**31)))


def _stated_times(entry: object, recording: str) -> tuple[int, int]:
    """Times in "timestamp" and in an id ``RECORDING_TIME``, -1 where there is none."""
    found = entry.get("timestamp") if isinstance(entry, dict) else None
    field = round(found) if isinstance(found, (int, float)) and 0 <= found < _MAX_TIME else -1
    digits = entries.identifier(entry, "id").removeprefix(f"{recording}_")
    is_time = digits.isascii() and digits.isdecimal() and len(digits) < 19
    return field, int(digits) if is_time and int(digits) < _MAX_TIME else -1


def read_box_file(
    box_file: str | os.PathLike,
    convention: str,
    image_ids: Sequence[str],
    frame_sizes: ArrayLike,
    threshold: float = 0.0,
    frames: Sequence[tuple[str, int]] = (),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read detected persons ``[{"image_id", "bbox", "score"}, ...]``, PySlowFast's CSV or MMAction2's PKL.

    Boxes of other keyframes are counted and not used. The keyframes of CSV and PKL files are "recording,frame index"
    or image ids.

    Args:
        box_file: the file, see :mod:`alphaction.annotations.box_formats`.
        convention: what "bbox" means in a JSON file, see TEST.BOX_CONVENTION.
        image_ids: the keyframes, in order.
        frame_sizes: width and height in pixels, of each keyframe [K, 2] or of all.
        threshold: boxes with a lower score are left out.
        frames: recording and frame index of the keyframes, in order; empty: only image ids tell a box's keyframe.

    Returns:
        offsets int64 [K + 1], boxes float32 [D, 4] as fractions (see :class:`ThermalAnnotations`), scores [D].

    Raises:
        UserError: see :func:`alphaction.annotations.detections.read_detections`; a box without an area inside the
            frame, boxes of another unit or convention, no box that reaches the threshold.
    """
    found = read_detections(box_file, _KeyframeFinder(image_ids, frames), threshold, persons_only=True, person=None)
    if found.total and not len(found.owners):
        raise UserError(
            f"The box file {box_file} has {found.total} boxes, none with a score of at least {threshold:g}; lower "
            "TEST.BOX_THRESH or write it again."
        )
    corners = _fractions_of(found, convention, np.broadcast_to(frame_sizes, (len(image_ids), 2))[found.owners])
    order = np.argsort(found.owners, kind="stable")
    offsets = np.searchsorted(found.owners[order], np.arange(len(image_ids) + 1))
    return offsets, corners[order], found.scores[order]


def _fractions_of(found: Detections, convention: str, sizes: np.ndarray) -> np.ndarray:
    """Corners float32 [D, 4] as fractions of the frame, of which ``sizes`` [D, 2] are width and height."""
    source, boxes = f"The box file {found.path}", found.boxes
    convention = found.format.convention or convention
    read_as = f" read as TEST.BOX_CONVENTION {convention}" if found.format.convention is None else ""
    plain = convention.removesuffix("_pixel")
    if plain != convention:
        check_pixels(source, boxes, plain, sizes)
        boxes = boxes / np.tile(sizes.astype(np.float64), 2)
    corners, clipped = fraction_corners(boxes, plain, lambda row: found.name(row) + read_as, source)
    log_clipped(found.path, clipped, 0, len(corners))
    return corners


class _KeyframeFinder:
    """Entry of a box file -> its keyframe, -1 for one that the annotations do not have."""

    def __init__(self, image_ids: Sequence[str], frames: Sequence[tuple[str, int]]) -> None:
        self.rows = {image_id: row for row, image_id in enumerate(image_ids)}
        self.by_frame = {frame: row for row, frame in enumerate(frames)}

    def __call__(self, entry: object) -> int:
        if isinstance(entry, dict) and "image_id" not in entry and "movie" in entry:
            return self.by_frame.get((entries.name(entry, "movie"), entries.whole(entry, "timestamp")), -1)
        image_id = entries.identifier(entry, "image_id")
        row = self.rows.get(image_id, -1)
        if row < 0:
            recording, _, frame = image_id.rpartition(",")
            row = self.by_frame.get((recording, int(frame)), -1) if frame.isdecimal() and len(frame) < 10 else -1
        return row
