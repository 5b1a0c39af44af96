"""The thermal annotation file as arrays, and detected boxes that belong to it (docs/data.md)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from . import entries
from .boxes import fraction_corners, refuse_fractions
from .coco import Keyframe, category_names, merge_persons, pack_labels, read_coco
from .detections import read_detections
from .json_files import read_json
from .labels import NUM_THERMAL_CLASSES, THERMAL_CLASSES

_MAX_TIME = 2**62
_COLUMNS = {number: number for number in range(NUM_THERMAL_CLASSES)}


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
        packed: uint8 [M, 2] packed labels.
        clipped: boxes that exceeded the frame.
        class_names: 14 names.
    """

    image_ids: list[str]
    sensor_ids: list[str]
    frame_idx: np.ndarray
    stated_times: np.ndarray
    offsets: np.ndarray
    boxes: np.ndarray
    packed: np.ndarray
    clipped: int
    class_names: list[str]


def read_annotations(ann_file: str | os.PathLike) -> ThermalAnnotations:
    """Read and check an annotation file.

    Boxes of one keyframe with identical coordinates are one person with several labels.

    Raises:
        UserError: see :func:`alphaction.annotations.coco.read_coco`; a category outside 0..13, a box wholly outside the
            frame or without an area, class names that are wrong or occur twice.
    """
    stated_times: list[tuple[int, int]] = []

    def keyframe_of(entry: object) -> Keyframe:
        keyframe = thermal_keyframe(entry)
        stated_times.append(_stated_times(entry, keyframe.recording))
        return keyframe

    coco = read_coco(ann_file, keyframe_of)
    corners, clipped = fraction_corners(
        coco.boxes, "cxcywh", lambda row: f"In {coco.path}, entry {row + 1} of annotations"
    )
    packed = pack_labels(coco, _COLUMNS, NUM_THERMAL_CLASSES)
    offsets, corners, packed = merge_persons(coco.owners, corners, packed, len(coco.times))
    return ThermalAnnotations(
        sorted(coco.rows, key=coco.rows.__getitem__),
        [coco.recordings[number] for number in coco.recording_of],
        coco.times.astype(np.int64),
        np.array(stated_times, np.int64).reshape(-1, 2),
        offsets,
        corners,
        packed,
        clipped,
        _class_names(coco.path, coco.categories),
    )


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
    frame_size: tuple[int, int],
    threshold: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read detected persons ``[{"image_id", "bbox", "score"}, ...]``.

    Args:
        box_file: JSON file.
        convention: what "bbox" means, see TEST.BOX_CONVENTION.
        image_ids: the keyframes, in order.
        frame_size: (width, height) of a frame in pixels.
        threshold: boxes with a lower score are left out.

    Returns:
        offsets int64 [K + 1], boxes float32 [D, 4] as fractions (see :class:`ThermalAnnotations`), scores [D].

    Raises:
        UserError: see :func:`alphaction.annotations.detections.read_detections`; an image id that the annotations
            lack, a box without an area inside the frame, no box that reaches the threshold.
    """
    rows = {image_id: row for row, image_id in enumerate(image_ids)}
    found = read_detections(box_file, lambda entry: rows.get(entries.identifier(entry, "image_id"), -1), threshold)
    if found.first_unknown is not None:
        raise UserError(
            f"{found.first_unknown}, expected one of the {len(rows)} keyframes; the file belongs to another split or "
            "set."
        )
    if found.total and not len(found.owners):
        raise UserError(
            f"The box file {box_file} has {found.total} boxes, none with a score of at least {threshold:g}; lower "
            "TEST.BOX_THRESH or write it again."
        )
    boxes = found.boxes
    if convention.endswith("_pixel"):
        refuse_fractions(box_file, boxes[:, 2:] - boxes[:, :2] if convention == "xyxy_pixel" else boxes[:, 2:])
        boxes = boxes / np.tile(np.asarray(frame_size, np.float64), 2)
    corners, _ = fraction_corners(
        boxes,
        convention.removesuffix("_pixel"),
        lambda row: f"In {box_file}, entry {found.numbers[row]} read as TEST.BOX_CONVENTION {convention}",
    )
    order = np.argsort(found.owners, kind="stable")
    offsets = np.searchsorted(found.owners[order], np.arange(len(image_ids) + 1))
    return offsets, corners[order], found.scores[order]


def _class_names(path: str, categories: list[object]) -> list[str]:
    """Names from class_mapping.json beside the file, else from the file's categories, else the thermal defaults."""
    source = os.path.join(os.path.dirname(path), "class_mapping.json")
    if os.path.exists(source):
        mapping = read_json(source, "class mapping")
        ids = mapping.get("class_to_id") if isinstance(mapping, dict) else None
        if not isinstance(ids, dict):
            raise UserError(
                f"The class mapping {source} has no 'class_to_id', expected {{name: id}} there; write it again or "
                "remove the file."
            )
        categories = [{"name": name, "id": number} for name, number in ids.items()]
    else:
        source = path
    names = list(THERMAL_CLASSES)
    for number, name in category_names(source, categories).items():
        if number < len(names):
            names[number] = name
    # Results are kept by name: two classes with one name would become one.
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"{source} gives the name {twice!r} to two of the classes 0..{len(names) - 1}, expected another for each; "
            "name them all."
        )
    return names
