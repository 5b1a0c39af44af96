"""The annotation file of one-second clips as arrays, and detected boxes that belong to it (docs/video_data.md)."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UserError
from . import entries
from .boxes import check_convention, check_fractions, check_pixels, inclusive_corners, log_clipped, warn_near_equal
from .class_choice import ALL_CLASSES, ClassChoice
from .classes import MAX_CLASSES, ClassList, category_names, from_categories, stated_flags
from .coco import (
    CocoFile,
    Keyframe,
    merge_persons,
    pack_labels,
    read_classes,
    read_coco,
)
from .detections import Detections, read_detections
from .entries import EntryError
from .labels import NUM_AVA_CLASSES, NUM_AVA_POSES, PERSON_NAMES
from .seconds import Second, as_second, format_second, second_of_file

logger = logging.getLogger(__name__)


@dataclass
class ClipAnnotations:
    """Keyframes and the persons in them; K keyframes, M persons.

    Attributes:
        movies: names.
        movie_of: int32 [K], movie of each keyframe.
        timestamps: int32 [K], its second; float64 where one of them is a fraction, a keyframe of its own.
        sizes: int32 [K, 2], width and height in pixels that its boxes refer to.
        offsets: int64 [K + 1]; persons of keyframe k are rows offsets[k] .. offsets[k+1] - 1.
        boxes: float32 [M, 4] inclusive corners in pixels, inside the frame.
        packed: uint8 [M, ceil(C / 8)] packed labels.
        classes: C classes of the columns.
        class_ids: int64 [C], their ids in the file; of a merged class the lowest.
        ava_ids: class ids are AVA's, column n - 1 for id n.
        clipped: boxes that exceeded the frame.
        dropped: boxes left out, since they have no area or lie wholly outside.
        rows: image id -> keyframe.
    """

    movies: list[str]
    movie_of: np.ndarray
    timestamps: np.ndarray
    sizes: np.ndarray
    offsets: np.ndarray
    boxes: np.ndarray
    packed: np.ndarray
    classes: ClassList
    class_ids: np.ndarray
    ava_ids: bool
    clipped: int
    dropped: int
    rows: dict[str, int]


def read_clip_annotations(
    ann_file: str | os.PathLike, ava_ids: bool = False, choice: ClassChoice = ALL_CLASSES
) -> ClipAnnotations:
    """Read and check an annotation file.

    Boxes of one keyframe with identical coordinates are one person with several labels. Where an annotation has
    ``action_ids`` the ids are AVA's, from 1, and id n is column n - 1; else the ids of ``categories`` in ascending
    order are columns 0, 1, ...

    Args:
        ava_ids: the ids are AVA's even though annotations have ``category_id``.
        choice: which classes are used; persons who have none of them may be left out.

    Raises:
        UserError: see :func:`alphaction.annotations.coco.read_coco`; annotations of unknown classes; boxes in another
            unit or convention; one class, while an attribute of the annotations has the actions.
    """
    coco = read_coco(ann_file, _keyframe_of, multi_label=True)
    ava_ids = ava_ids or coco.action_ids
    classes, columns = class_columns(coco.path, coco.categories, ava_ids, coco.used_ids)
    _check_fields(coco, classes.names)
    classes, columns = choice.choose(coco.path, classes, columns)
    first_ids = {column: number for number, column in sorted(columns.items(), reverse=True)}
    packed = pack_labels(coco, columns, len(classes))
    sizes, source = coco.sizes[coco.owners], f"The annotation file {coco.path}"
    check_pixels(source, coco.boxes, "xywh", sizes)
    check_convention(source, coco.boxes, "xywh", sizes)
    corners, inside, clipped = inclusive_corners(coco.boxes, sizes)
    log_clipped(coco.path, clipped, int(np.count_nonzero(~inside)), len(inside))
    keep = inside & choice.kept_rows(coco.path, classes, packed)
    offsets, corners, packed, _ = merge_persons(coco.owners[keep], corners[keep], packed[keep], len(coco.times))
    warn_near_equal(source, offsets, corners)
    return ClipAnnotations(
        coco.recordings,
        coco.recording_of,
        coco.times,
        coco.sizes,
        offsets,
        corners.astype(np.float32),
        packed,
        classes,
        np.array([first_ids[column] for column in range(len(classes))], np.int64),
        ava_ids,
        clipped,
        int(np.count_nonzero(~inside)),
        coco.rows,
    )


def _check_fields(coco: CocoFile, names: Sequence[str]) -> None:
    """Name fields that would change what the annotations mean and are not read."""
    for count, what in (
        (coco.crowds, "'iscrowd', a box around several persons; each is read as one person"),
        (coco.scores, "'score', as detections have; they are read as the truth"),
    ):
        if count:
            logger.warning("%s: %d annotations have %s", coco.path, count, what)
    attributes = [
        f"{entries.short(name)} ({', '.join(entries.short(value) for value in sorted(values)[:3])})"
        for name, values in coco.attributes.items()
        if len(values) > 1
    ]
    text = ", ".join(attributes[:3])
    if len(names) == 1 and attributes and names[0].lower() in PERSON_NAMES:
        raise UserError(
            f"The annotation file {coco.path} has only one class, {entries.short(names[0])}, while its annotations "
            f"have the attributes {text}, expected a category for each action; write the values of the attribute with "
            "the actions as categories."
        )
    if len(names) == 1:
        logger.log(
            logging.WARNING if names[0].lower() in PERSON_NAMES else logging.INFO,
            "%s has only one class, %s: there is nothing to tell apart",
            coco.path,
            entries.short(names[0]),
        )
    if attributes:
        logger.warning("%s: attributes of the annotations are not read: %s", coco.path, text)


def read_clip_classes(
    ann_file: str | os.PathLike, ava_ids: bool = False, choice: ClassChoice = ALL_CLASSES
) -> ClassList:
    """Only the classes of an annotation file, see :func:`read_clip_annotations`."""
    path = os.fspath(ann_file)
    categories, used, action_ids = read_classes(path)
    return choice.choose(path, *class_columns(path, categories, ava_ids or action_ids, used))[0]


def class_columns(
    path: str, categories: list[object], ava_ids: bool, used: Collection[int]
) -> tuple[ClassList, dict[int, int]]:
    """Classes, and class id -> column in the order of the columns; see :func:`read_clip_annotations`.

    AVA's ids are 1 to 80, or to the largest of ``categories`` (AVA's label map names 60 of 80) and of the ``used``
    ones, those of the annotations. Categories that name fewer than half of these are not actions (files with
    ``action_ids`` may have the one category "person") and give no names. Ids 1 to 14, AVA's poses, are exclusive where
    the categories do not state it.
    """
    if not ava_ids:
        if not categories:
            raise UserError(
                f'The annotation file {path} has no categories, expected {{"id", "name"}} of every class; add them.'
            )
        return from_categories(path, categories)
    names, flags = category_names(path, categories), stated_flags(path, categories)
    if 0 in names or 2 * len(names.keys() & set(used)) < len(used):
        names, flags = {}, {}
    count = max(max(names, default=NUM_AVA_CLASSES), max(used, default=0))
    if count > MAX_CLASSES:
        raise UserError(
            f"In {path}, the largest class id is {count}, expected AVA's ids, at most {MAX_CLASSES}; correct it."
        )
    ids = range(1, count + 1)
    classes = ClassList(
        tuple(names.get(n, f"action {n}") for n in ids), tuple(flags.get(n, n <= NUM_AVA_POSES) for n in ids)
    )
    return classes, {n: n - 1 for n in ids}


def read_clip_boxes(
    box_file: str | os.PathLike,
    annotations: ClipAnnotations,
    threshold: float = 0.0,
    keep_best: int | None = None,
    objects: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Detected persons or objects: a list ``[{"image_id", "bbox": [x, y, w, h], "score"}, ...]`` (COCO results),
    PySlowFast's CSV or MMAction2's PKL, see :mod:`alphaction.annotations.box_formats`.

    ``image_id`` is an image's id or "movie,second"; entries may have ``movie`` and ``timestamp`` instead.

    Args:
        threshold: boxes with a lower score are left out.
        keep_best: at most this many of each keyframe, those with the highest scores.
        objects: take all categories, not only persons.

    Returns:
        offsets int64 [K + 1], boxes float32 [D, 4] (inclusive corners in pixels), scores float32 [D], and the number of
        boxes of keyframes that the annotations do not have.

    Raises:
        UserError: see :func:`~alphaction.annotations.detections.read_detections`; no box that belongs to a keyframe,
            reaches the threshold and has an area, or none larger than a pixel.
    """
    found = read_detections(box_file, _KeyframeFinder(annotations), threshold, persons_only=not objects)
    sizes = annotations.sizes[found.owners]
    boxes = _pixels_of(found, sizes)
    corners, keep, clipped = inclusive_corners(boxes, sizes)
    owners, scores = found.owners[keep], found.scores[keep]
    if found.total and not keep.any():
        raise UserError(
            f"The box file {box_file} has {found.total} boxes, none with a score of at least {threshold:g} and an area "
            "inside the frame; lower TEST.BOX_THRESH or write it again."
        )
    log_clipped(box_file, clipped, int(np.count_nonzero(~keep)), len(keep))
    order = np.argsort(owners, kind="stable") if keep_best is None else np.lexsort((-scores, owners))
    if keep_best is not None:
        ranked = owners[order]
        order = order[np.arange(len(ranked)) - np.searchsorted(ranked, ranked) < keep_best]
    offsets = np.searchsorted(owners[order], np.arange(len(annotations.timestamps) + 1))
    return offsets, corners[keep][order].astype(np.float32), scores[order], found.unknown


def _pixels_of(found: Detections, sizes: np.ndarray) -> np.ndarray:
    """Boxes ``x, y, w, h`` in pixels of frames of ``sizes`` [D, 2]."""
    source = f"The box file {found.path}"
    if found.format.convention is None:
        check_pixels(source, found.boxes, "xywh", sizes)
        check_convention(source, found.boxes, "xywh", sizes)
        return found.boxes
    check_fractions(found.name, found.boxes, found.format.convention)
    check_convention(source, found.boxes, found.format.convention)
    low, high = found.boxes[:, :2] * sizes, found.boxes[:, 2:] * sizes
    return np.concatenate([low, high - low], axis=1)


def keyframe_name(movie: str, second: Second) -> str:
    """``movie,second``: names the keyframe itself, so that no box file of another set can match by chance."""
    return f"{movie},{format_second(second)}"


def _keyframe_of(entry: Any) -> Keyframe:
    """The keyframe of an image: ``movie`` and ``timestamp``, or a ``file_name`` such as movie/0902.jpg."""
    width, height = (entries.whole(entry, key, least=1) for key in ("width", "height"))
    if "movie" in entry or "file_name" not in entry:
        return Keyframe(entries.recording_name(entry, "movie"), entries.second(entry, "timestamp"), width, height)
    folder, file = os.path.split(entries.name(entry, "file_name").replace("\\", "/"))
    second = second_of_file(file)
    if second is None or not folder:
        raise EntryError(
            f"has 'file_name' {entries.short(entry['file_name'])}, expected one such as movie/0902.jpg with the second "
            "(a number such as that of img_00001.jpg counts frames), or 'movie' and 'timestamp'"
        )
    return Keyframe(entries.check_recording_name(folder, "file_name"), second, width, height)


class _KeyframeFinder:
    """Entry of a box file -> its keyframe, -1 for one that the annotations do not have."""

    def __init__(self, annotations: ClipAnnotations) -> None:
        self.annotations = annotations
        self.by_keyframe: dict[tuple[str, Second], int] = {}

    def __call__(self, entry: Any) -> int:
        if "image_id" not in entry:
            return self._find(entries.recording_name(entry, "movie"), entries.second(entry, "timestamp"))
        image_id = entries.identifier(entry, "image_id")
        row = self.annotations.rows.get(image_id, -1)
        if row < 0 and "movie" in entry:
            row = self._find(entries.recording_name(entry, "movie"), entries.second(entry, "timestamp"))
        elif row < 0:
            movie, _, text = image_id.rpartition(",")
            second = as_second(text)
            if movie and second is not None:
                row = self._find(movie, second)
        return row

    def _find(self, movie: str, second: Second) -> int:
        if not self.by_keyframe:
            movies = self.annotations.movies
            pairs = zip(self.annotations.movie_of.tolist(), self.annotations.timestamps.tolist(), strict=True)
            self.by_keyframe = {(movies[number], time): row for row, (number, time) in enumerate(pairs)}
        return self.by_keyframe.get((movie, second), -1)
