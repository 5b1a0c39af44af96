"""The core of all annotation readers: COCO style JSON -> columns, class labels, persons.

A data set's reader says which recording and time an image stands for, which classes there are and what its boxes mean;
everything else is here. Files are streamed: only the columns are kept.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import UserError
from . import entries
from .entries import EntryError
from .json_files import stream_lists
from .seconds import Second, as_array
from .text import short_name

# Attributes, and values of each, that are kept for a message.
_MAX_ATTRIBUTES = 20


class Keyframe(NamedTuple):
    """What an image stands for: recording or movie, frame index or second, and the size its boxes refer to."""

    recording: str
    time: Second
    width: int = 0
    height: int = 0


@dataclass
class CocoFile:
    """Columns of an annotation file: K images, N annotations, A class ids.

    Attributes:
        path: the file.
        recordings: names, in the order in which they appear.
        recording_of: int32 [K], recording of each image.
        times: int32 [K], its frame index or second; float64 where a second is a fraction.
        sizes: int32 [K, 2], width and height.
        rows: image id -> image.
        owners: int64 [N], image of each annotation.
        boxes: float64 [N, 4], finite, in the file's own convention.
        class_ids: int64 [A], class ids of all annotations, one after the other.
        id_counts: int64 [N], how many of them each annotation has.
        action_ids: whether an annotation has ``action_ids``, which are AVA's.
        categories: the entries of "categories", not checked.
        attributes: name -> some of its values, of the attributes with text that annotations have.
        crowds: annotations with ``iscrowd``, which are boxes around several persons.
        scores: annotations with ``score``, as detections have.
        objects: int64 [N], which ``object_id`` each annotation has, numbered from 0; -1 for none.
    """

    path: str
    recordings: list[str]
    recording_of: np.ndarray
    times: np.ndarray
    sizes: np.ndarray
    rows: dict[str, int]
    owners: np.ndarray
    boxes: np.ndarray
    class_ids: np.ndarray
    id_counts: np.ndarray
    action_ids: bool
    categories: list[object]
    attributes: dict[str, set[str]]
    crowds: int
    scores: int
    objects: np.ndarray

    @property
    def used_ids(self) -> set[int]:
        """Class ids that occur."""
        return set(np.unique(self.class_ids).tolist())


def read_coco(
    path: str | os.PathLike, keyframe_of: Callable[[object], Keyframe], multi_label: bool = False
) -> CocoFile:
    """Read and check an annotation file.

    Args:
        path: the file.
        keyframe_of: entry of "images" -> its keyframe; raises EntryError.
        multi_label: annotations may have ``action_ids``, a list, instead of ``category_id``.

    Raises:
        UserError: no such file, not JSON, no lists "images" and "annotations", missing or impossible entries, images or
            keyframes that occur twice, annotations of unknown images, no images at all.
    """
    path = os.fspath(path)
    images, annotations, categories = _Images(path), _Annotations(path, multi_label), []
    codes: dict[str, int] = {}
    for key, entry in stream_lists(path, "annotation file", ("images", "annotations"), ("categories",)):
        if key == "images":
            images.add(entry, keyframe_of, codes)
        elif key == "annotations":
            annotations.add(entry, codes)
        elif key == "categories":
            categories.append(entry)
    rows_of_codes = images.rows_of_codes(codes)
    owners = rows_of_codes[np.array(annotations.owners, np.int64)]
    if (owners < 0).any():
        number = int(np.argmax(owners < 0))
        raise UserError(
            f"In {path}, entry {number + 1} of annotations belongs to the unknown image "
            f"{entries.short(list(codes)[annotations.owners[number]])}, expected one of its {len(images.times)} "
            "images; the file is incomplete or was merged from two files."
        )
    return CocoFile(
        path,
        list(images.recordings),
        np.array(images.recording_of, np.int32),
        as_array(np.array(images.times)),
        np.array(images.sizes, np.int32).reshape(-1, 2),
        {image_id: int(rows_of_codes[code]) for image_id, code in codes.items()},
        owners,
        np.array(annotations.boxes).reshape(-1, 4),
        np.array(annotations.ids, np.int64),
        np.array(annotations.counts, np.int64),
        annotations.action_ids,
        categories,
        annotations.attributes,
        annotations.crowds,
        annotations.scores,
        np.array(annotations.objects, np.int64),
    )


def read_classes(path: str | os.PathLike) -> tuple[list[object], set[int], bool]:
    """Only what tells the classes of an annotation file: "categories", class ids that occur, whether they are AVA's.

    Raises:
        UserError: see :func:`read_coco`.
    """
    path = os.fspath(path)
    annotations, categories = _Annotations(path, multi_label=True), []
    for key, entry in stream_lists(path, "annotation file", optional=("categories",)):
        if key == "categories":
            categories.append(entry)
        elif key == "annotations":
            annotations.add(entry, {})
    return categories, set(annotations.ids), annotations.action_ids


class _Images:
    """The entries of "images" so far."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.recordings: dict[str, int] = {}
        self.recording_of, self.times, self.sizes, self.codes = array("i"), array("d"), array("i"), array("q")

    def add(self, entry: object, keyframe_of: Callable[[object], Keyframe], codes: dict[str, int]) -> None:
        try:
            image_id = entries.identifier(entry, "id")
            keyframe = keyframe_of(entry)
        except EntryError as error:
            raise entries.in_file(self.path, f"entry {len(self.codes) + 1} of images", error) from None
        self.codes.append(codes.setdefault(image_id, len(codes)))
        self.recording_of.append(self.recordings.setdefault(keyframe.recording, len(self.recordings)))
        self.times.append(keyframe.time)
        self.sizes.extend((keyframe.width, keyframe.height))

    def rows_of_codes(self, codes: Mapping[str, int]) -> np.ndarray:
        """Image of each code int64, -1 for ids that no image has."""
        count = len(self.codes)
        if not count:
            raise UserError(
                f"The annotation file {self.path} has no images, expected at least one keyframe; this split is empty: "
                "build it again or name another file."
            )
        rows = np.full(len(codes), -1, np.int64)
        rows[np.array(self.codes)] = np.arange(count)
        twice = np.flatnonzero(rows[np.array(self.codes)] != np.arange(count))
        if len(twice):
            found = entries.short(list(codes)[self.codes[twice[0]]])
            raise UserError(
                f"The annotation file {self.path} has the image id {found} more than once, expected once; remove one."
            )
        recordings, times = np.array(self.recording_of, np.int64), np.array(self.times)
        order = np.lexsort((times, recordings))
        same = (np.diff(recordings[order]) == 0) & (np.diff(times[order]) == 0)
        if same.any():
            row = order[np.argmax(same)]
            recording = short_name(list(self.recordings)[self.recording_of[row]])
            raise UserError(
                f"The annotation file {self.path} has the keyframe {recording} {self.times[row]:.15g} more than once, "
                "expected one image for each; remove one."
            )
        return rows


class _Annotations:
    """The entries of "annotations" so far."""

    def __init__(self, path: str, multi_label: bool) -> None:
        self.path, self.multi_label = path, multi_label
        self.action_ids, self.crowds, self.scores = False, 0, 0
        self.attributes: dict[str, set[str]] = {}
        self.owners, self.boxes, self.ids, self.counts = array("q"), array("d"), array("q"), array("i")
        self.objects, self.object_codes = array("q"), dict[object, int]()

    def add(self, entry: object, codes: dict[str, int]) -> None:
        try:
            image_id = entries.identifier(entry, "image_id")
            self.boxes.extend(entries.box(entry))
            ids = entry.get("action_ids") if self.multi_label and isinstance(entry, dict) else None
            if ids is None:
                self.ids.append(entries.whole(entry, "category_id", least=-(2**31)))
                self.counts.append(1)
            elif isinstance(ids, list):
                self.action_ids = True
                self.ids.extend([entries.to_whole(number, "action_ids", least=-(2**31)) for number in ids])
                self.counts.append(len(ids))
            else:
                raise EntryError(f"has 'action_ids' {entries.short(ids)}, expected a list of whole numbers")
        except EntryError as error:
            raise entries.in_file(self.path, f"entry {len(self.owners) + 1} of annotations", error) from None
        self.owners.append(codes.setdefault(image_id, len(codes)))
        fields = entry if isinstance(entry, dict) else {}
        found = fields.get("object_id")
        is_id = type(found) in (int, str)
        self.objects.append(self.object_codes.setdefault(found, len(self.object_codes)) if is_id else -1)
        self.crowds += bool(fields.get("iscrowd"))
        self.scores += "score" in fields
        found = fields.get("attributes")
        for name, text in found.items() if isinstance(found, dict) else ():
            if isinstance(text, str) and len(self.attributes) < _MAX_ATTRIBUTES:
                values = self.attributes.setdefault(name, set())
                if len(values) < _MAX_ATTRIBUTES:
                    values.add(text[:100])


def pack_labels(coco: CocoFile, columns: Mapping[int, int], classes: int) -> np.ndarray:
    """Packed labels uint8 [N, ceil(classes / 8)] of the annotations.

    Args:
        columns: class id -> column, -1 for a class that is not used.
        classes: number of columns.

    Raises:
        UserError: an annotation of a class that ``columns`` lacks.
    """
    known = np.array(sorted(columns), np.int64)
    place = np.minimum(np.searchsorted(known, coco.class_ids), len(known) - 1)
    entry = np.repeat(np.arange(len(coco.owners)), coco.id_counts)
    wrong = np.flatnonzero(known[place] != coco.class_ids)
    if len(wrong):
        raise UserError(
            f"In {coco.path}, entry {entry[wrong[0]] + 1} of annotations has the class id {coco.class_ids[wrong[0]]}, "
            f"expected {_describe_ids(known)}; correct it."
        )
    column = np.array([columns[number] for number in known.tolist()])[place]
    used = column >= 0
    entry, column = entry[used], column[used]
    packed = np.zeros((len(coco.owners), -(-classes // 8)), np.uint8)
    np.bitwise_or.at(packed, (entry, column >> 3), (128 >> (column & 7)).astype(np.uint8))
    return packed


def _describe_ids(known: np.ndarray) -> str:
    if len(known) > 2 and known[-1] - known[0] == len(known) - 1:
        return f"{known[0]}..{known[-1]}"
    return f"one of {', '.join(map(str, known[:20]))}{', ...' if len(known) > 20 else ''}"


def merge_persons(
    owners: np.ndarray, corners: np.ndarray, packed: np.ndarray, images: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Annotations -> persons: identical boxes of an image are one person with several labels.

    Returns:
        offsets int64 [images + 1], the persons of image k are rows offsets[k] .. offsets[k + 1] - 1; their corners and
        packed labels, in the file's order within each image; the first annotation of each.
    """
    if not len(owners):
        return np.zeros(images + 1, np.int64), corners, packed, np.zeros(0, np.int64)
    order = np.lexsort((*corners.T, owners))
    new = np.diff(owners[order], prepend=-1) != 0
    new[1:] |= (corners[order[1:]] != corners[order[:-1]]).any(axis=1)
    starts = np.flatnonzero(new)
    labels = np.bitwise_or.reduceat(packed[order], starts, axis=0)
    first = np.minimum.reduceat(order, starts)
    place = np.lexsort((first, owners[first]))
    first = first[place]
    return np.searchsorted(owners[first], np.arange(images + 1)), corners[first], labels[place], first
