"""Whether the labels of a set fit its recordings and one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..annotations import entries
from ..annotations.boxes import fraction_corners, near_equal_boxes, near_equal_text
from ..annotations.classes import ClassList
from ..annotations.importers.pictures import Size
from ..errors import UserError
from .annotation_records import Record
from .thermal_set import Keyframe

# Width over height of a labeled picture and of its frame may differ by this part, as of pictures that were stretched to
# a common size.
_ASPECT_MARGIN = 0.1


class LabeledPicture(NamedTuple):
    """Place of a labeled picture, for messages, and its width and height."""

    where: str
    size: Size


def check_boxes(annotations: str | Path, keyframes: list[Keyframe]) -> np.ndarray:
    """Corners float32 [N, 4] of all labels of all persons, as fractions.

    Raises:
        UserError: a box without an area, as the reader of the set does.
    """
    persons = [(keyframe, person) for keyframe in keyframes for person in keyframe.persons]
    return fraction_corners(
        np.array([person.bbox for _, person in persons], np.float64).reshape(-1, 4),
        "cxcywh",
        lambda row: f"In {annotations}, the record of {persons[row][0].image_id}",
    )[0]


def labeled_pictures(records: Iterable[Record]) -> dict[str, list[LabeledPicture]]:
    """Recording -> its labeled pictures whose size is known."""
    found: dict[str, list[LabeledPicture]] = {}
    for record in records:
        if record.size is not None:
            found.setdefault(record.data_id, []).append(LabeledPicture(record.where, record.size))
    return found


def check_pictures(pictures: Sequence[LabeledPicture], name: str, frame: Size) -> list[str]:
    """A line about labeled pictures of a recording that have another shape than the whole frame: boxes are right on
    stretched pictures, wrong on a part of the frame.

    Args:
        pictures: of the recording.
        name: its name.
        frame: width and height of its frames.

    Raises:
        UserError: a picture of a turned frame.
    """
    other = [picture for picture in pictures if not _fits(picture.size, frame)]
    for where, size in other:
        if _fits(size[::-1], frame):
            raise UserError(
                f"{where} was drawn on a picture of {_shown(size)}, as of a turned frame, expected the whole frame of "
                f"{entries.short(name)}, {frame[0]:g} wide and {frame[1]:g} high: label the pictures of "
                "export-for-labelling, or correct the size in the file."
            )
    if not other:
        return []
    return [
        f"{len(other)} pictures of {entries.short(name)} have another shape than its frames, {frame[0]:g} wide and "
        f"{frame[1]:g} high, such as {_shown(other[0].size)} of {other[0].where}: boxes are right if these are whole "
        "frames, stretched"
    ]


def _fits(size: Size, frame: Size) -> bool:
    fitting = size[1] * frame[0] / frame[1]
    return abs(size[0] - fitting) <= max(_ASPECT_MARGIN * min(size[0], fitting), 1)


def _shown(size: Size) -> str:
    return f"{size[0]:g}x{size[1]:g} pixels"


def describe_groups(classes: ClassList, keyframes: Iterable[Keyframe]) -> list[str]:
    """Lines about persons who have several of the exclusive classes, or none of them."""
    exclusive = set(classes.exclusive_columns)
    if not exclusive:
        return []
    several: list[str] = []
    without: list[str] = []
    persons = 0
    for keyframe in keyframes:
        labels: dict[tuple[float, ...], set[int]] = {}
        for person in keyframe.persons:
            labels.setdefault(person.bbox, set()).add(person.category_id)
        persons += len(labels)
        for found in labels.values():
            poses = [entries.short(classes.names[column]) for column in sorted(found & exclusive)]
            if len(poses) > 1:
                several.append(f"{' and '.join(poses[:3])} in {keyframe.image_id}")
            elif not poses:
                without.append(f"{entries.short(classes.names[min(found)])} in {keyframe.image_id}")
    lines = []
    if several:
        lines.append(
            f"warning: {len(several)} of {persons} persons have several exclusive classes, such as {several[0]}; "
            "training uses the one with the lowest id: state with --classes class_mapping.json which ones are "
            "'independent', or correct the labels"
        )
    if without:
        lines.append(
            f"warning: {len(without)} of {persons} persons have none of the exclusive classes, such as {without[0]}"
        )
    return lines


def describe_near_equal(keyframes: list[Keyframe], corners: np.ndarray) -> list[str]:
    """A line about persons with nearly the same box; ``corners`` are those of all labels of all persons."""
    owners = np.repeat(np.arange(len(keyframes)), [len(keyframe.persons) for keyframe in keyframes])
    boxes = np.unique(np.column_stack([owners, corners]), axis=0)
    near = near_equal_boxes(boxes[:, 0], boxes[:, 1:])
    if not near.any():
        return []
    return [f"warning: {near_equal_text(near)}: see {keyframes[int(boxes[np.argmax(near), 0])].image_id}"]
