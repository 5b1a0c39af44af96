"""Annotations of one-second clips (COCO style JSON, see docs/data.md) as arrays."""

from __future__ import annotations

import os
from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UserError
from .clip_boxes import WRONG, inclusive_corners, movie_and_second, whole
from .json_stream import stream_lists
from .labels import NUM_AVA_CLASSES


@dataclass
class ClipAnnotations:
    """Keyframes and the persons in them; K keyframes, M persons.

    Attributes:
        movies: names.
        movie_of: int32 [K], movie of each keyframe.
        timestamps: int32 [K], its second.
        sizes: int32 [K, 2], width and height in pixels that its boxes refer to.
        offsets: int64 [K + 1]; persons of keyframe k are rows offsets[k] .. offsets[k+1] - 1.
        boxes: float32 [M, 4] inclusive corners in pixels, inside the frame.
        packed: uint8 [M, ceil(C / 8)] packed labels.
        class_names: C names.
        class_ids: int64 [C], their ids in the file.
        ava_ids: class ids are AVA's, column n - 1 for id n.
        clipped: boxes that poked out of the frame.
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
    class_names: list[str]
    class_ids: np.ndarray
    ava_ids: bool
    clipped: int
    dropped: int
    rows: dict[str, int]


def read_clip_annotations(ann_file: str | os.PathLike, ava_ids: bool = False) -> ClipAnnotations:
    """Read and check an annotation file.

    Boxes of one keyframe with identical coordinates are one person with several labels. Where an annotation has
    ``action_ids`` the ids are AVA's, from 1, and id n is column n - 1; else the ids of ``categories`` in ascending
    order are columns 0, 1, ...

    Args:
        ava_ids: the ids are AVA's though they stand in ``category_id``.

    Raises:
        UserError: no such file, not JSON, missing or impossible entries, keyframes that occur twice, annotations of
            unknown images or classes, no images at all.
    """
    path = os.fspath(ann_file)
    images, persons, categories = _Images(path), _Persons(path, ava_ids), []
    codes: dict[str, int] = {}
    for key, entry in stream_lists(path, "annotation file"):
        if key == "images":
            images.add(entry, codes)
        elif key == "annotations":
            persons.add(entry, codes)
        elif key == "categories":
            categories.append(entry)
    rows_of_codes = images.rows_of_codes(codes)
    owners = rows_of_codes[np.array(persons.owners, np.int64)]
    if (owners < 0).any():
        number = int(np.argmax(owners < 0))
        raise UserError(
            f"In {path}, entry {number + 1} of annotations belongs to the unknown image "
            f"{list(codes)[persons.owners[number]]!r}, expected one of its "
            f"{len(images.timestamps)} images; the file is torn or put together from two."
        )
    names, columns = class_columns(path, categories, persons.ava_ids, set(persons.ids))
    packed = persons.pack(columns, len(names))
    sizes = np.array(images.sizes, np.int32).reshape(-1, 2)
    corners, keep, clipped = inclusive_corners(np.array(persons.boxes).reshape(-1, 4), sizes[owners], path)
    offsets, corners, packed = _merge_persons(owners[keep], corners[keep], packed[keep], len(sizes))
    return ClipAnnotations(
        list(images.movies),
        np.array(images.movie_of, np.int32),
        np.array(images.timestamps, np.int32),
        sizes,
        offsets,
        corners.astype(np.float32),
        packed,
        names,
        np.array(list(columns), np.int64),
        persons.ava_ids,
        clipped,
        int(np.count_nonzero(~keep)),
        {image_id: int(rows_of_codes[code]) for image_id, code in codes.items()},
    )


def read_class_names(ann_file: str | os.PathLike, ava_ids: bool = False) -> list[str]:
    """Only the class names of an annotation file, see :func:`read_clip_annotations`."""
    path, categories = os.fspath(ann_file), []
    persons = _Persons(path, ava_ids)
    for key, entry in stream_lists(path, "annotation file"):
        if key == "categories":
            categories.append(entry)
        elif key == "annotations":
            persons.add(entry, {})
    return class_columns(path, categories, persons.ava_ids, set(persons.ids))[0]


def class_columns(
    path: str, categories: list, ava_ids: bool, used: Collection[int]
) -> tuple[list[str], dict[int, int]]:
    """Class names, and class id -> column, both in the order of the columns; see :func:`read_clip_annotations`.

    AVA's ids are 1 to 80, or to the largest of ``categories`` (AVA's label map names 60 of 80) and of the ``used``
    ones, those of the annotations. Categories that name fewer than half of these are no actions (files with
    ``action_ids`` may have the one category "person") and give no names.
    """
    names: dict[int, str] = {}
    for entry in categories:
        try:
            number, name = whole(entry["id"]), entry["name"]
        except WRONG:
            number, name = -1, None
        if not isinstance(name, str) or number < 0:
            raise UserError(f"In {path}, a category is {entry!r}, expected a name and an id from 0; correct it.")
        if number in names or name in names.values():
            raise UserError(
                f"In {path}, two categories have the id {number} or the name {name!r}, expected each once; "
                "correct them."
            )
        names[number] = name
    if ava_ids:
        if 0 in names or 2 * len(names.keys() & used) < len(used):
            names = {}
        count = max(max(names, default=NUM_AVA_CLASSES), max(used, default=0))
        return [names.get(n, f"action {n}") for n in range(1, count + 1)], {n: n - 1 for n in range(1, count + 1)}
    if not names:
        raise UserError(
            f'The annotation file {path} has no categories, expected {{"id", "name"}} of every class; add them.'
        )
    ids = sorted(names)
    return [names[number] for number in ids], {number: column for column, number in enumerate(ids)}


class _Images:
    """The entries of "images" so far."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.movies: dict[str, int] = {}
        self.movie_of, self.timestamps, self.sizes, self.codes = array("i"), array("i"), array("i"), array("q")

    def add(self, entry: Any, codes: dict[str, int]) -> None:
        try:
            movie, second = movie_and_second(entry)
            size = whole(entry["width"]), whole(entry["height"])
            if min(size) < 1:
                raise ValueError("a size below 1")
            code = codes.setdefault(str(entry["id"]), len(codes))
            self.timestamps.append(second)
        except WRONG:
            raise UserError(
                f"In {self.path}, entry {len(self.codes) + 1} of images is {entry!r}, expected id, movie, "
                "timestamp (whole seconds), width and height, or a file_name such as movie/0902.mp4; "
                "correct it."
            ) from None
        self.sizes.extend(size)
        self.codes.append(code)
        self.movie_of.append(self.movies.setdefault(movie, len(self.movies)))

    def rows_of_codes(self, codes: Mapping[str, int]) -> np.ndarray:
        """Keyframe of each code int64, -1 for ids that no image has."""
        count = len(self.codes)
        if not count:
            raise UserError(
                f"The annotation file {self.path} has no images, expected at least one keyframe; name another file."
            )
        rows = np.full(len(codes), -1, np.int64)
        rows[np.array(self.codes)] = np.arange(count)
        twice = np.flatnonzero(rows[np.array(self.codes)] != np.arange(count))
        if len(twice):
            raise UserError(
                f"The annotation file {self.path} has the image id "
                f"{list(codes)[self.codes[twice[0]]]!r} more than once, expected each once; remove one."
            )
        keyframes = np.array(self.movie_of, np.int64) << 32 | np.array(self.timestamps, np.int64)
        _, first, counts = np.unique(keyframes, return_index=True, return_counts=True)
        if (counts > 1).any():
            row = first[np.argmax(counts > 1)]
            raise UserError(
                f"The annotation file {self.path} has the keyframe {list(self.movies)[self.movie_of[row]]} "
                f"{self.timestamps[row]} more than once, expected one image for each; remove one."
            )
        return rows


class _Persons:
    """The entries of "annotations" so far."""

    def __init__(self, path: str, ava_ids: bool) -> None:
        self.path, self.ava_ids = path, ava_ids
        self.owners, self.boxes, self.ids, self.counts = array("q"), array("d"), array("q"), array("i")

    def add(self, entry: Any, codes: dict[str, int]) -> None:
        try:
            x, y, w, h = entry["bbox"]
            self.boxes.extend((x, y, w, h))
            ids = entry.get("action_ids")
            if ids is None:
                ids = (entry["category_id"],)
            else:
                self.ava_ids = True
            self.ids.extend(ids)
            self.counts.append(len(ids))
            self.owners.append(codes.setdefault(str(entry["image_id"]), len(codes)))
        except (*WRONG, AttributeError):
            raise UserError(
                f"In {self.path}, entry {len(self.owners) + 1} of annotations is {entry!r}, expected "
                "image_id, four numbers as bbox, and action_ids or category_id; correct it."
            ) from None

    def pack(self, columns: Mapping[int, int], classes: int) -> np.ndarray:
        """Packed labels uint8 [N, ceil(classes / 8)] of the entries."""
        ids = np.array(self.ids, np.int64)
        known = np.array(sorted(columns), np.int64)
        place = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        entry = np.repeat(np.arange(len(self.counts)), np.array(self.counts, np.int64))
        wrong = np.flatnonzero(known[place] != ids)
        if len(wrong):
            expected = f"1..{known[-1]}" if self.ava_ids else f"one of {', '.join(map(str, known[:20]))}"
            raise UserError(
                f"In {self.path}, entry {entry[wrong[0]] + 1} of annotations has the class id "
                f"{ids[wrong[0]]}, expected {expected} as categories say; correct it."
            )
        column = np.array([columns[number] for number in known.tolist()])[place]
        packed = np.zeros((len(self.counts), -(-classes // 8)), np.uint8)
        np.bitwise_or.at(packed, (entry, column >> 3), (128 >> (column & 7)).astype(np.uint8))
        return packed


def _merge_persons(
    owners: np.ndarray, corners: np.ndarray, packed: np.ndarray, keyframes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Annotations -> persons in the file's order within each keyframe: offsets [K + 1], corners and labels."""
    if not len(owners):
        return np.zeros(keyframes + 1, np.int64), corners, packed
    order = np.lexsort((*corners.T, owners))
    new = np.diff(owners[order], prepend=-1) != 0
    new[1:] |= (corners[order[1:]] != corners[order[:-1]]).any(axis=1)
    starts = np.flatnonzero(new)
    labels = np.bitwise_or.reduceat(packed[order], starts, axis=0)
    first = np.minimum.reduceat(order, starts)
    place = np.lexsort((first, owners[first]))
    first = first[place]
    return np.searchsorted(owners[first], np.arange(keyframes + 1)), corners[first], labels[place]
