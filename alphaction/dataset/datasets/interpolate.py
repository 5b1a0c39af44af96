"""Training keyframes between annotated ones (DATASETS.INTERPOLATE)."""

from __future__ import annotations

import copy

import numpy as np

from ...errors import UserError
from .ava import AVAVideoDataset
from .concat import ConcatDataset
from .thermal_ava import ThermalAVADataset


def with_frames_between(dataset: ThermalAVADataset | AVAVideoDataset | ConcatDataset, weight: float) -> ConcatDataset:
    """The annotated keyframes, then those between them, see :func:`frames_between`.

    Args:
        dataset: of thermal recordings.
        weight: of the persons of these frames in the losses; annotated ones have 1.

    Raises:
        UserError: an RGB set, or one whose annotations have no persons that are followed from keyframe to keyframe.
    """
    parts, between = list(dataset.parts), []
    for part in parts:
        if not isinstance(part, ThermalAVADataset):
            raise UserError(
                f"DATASETS.INTERPOLATE is {weight:g}, but {part.name} is an RGB set, expected thermal ones; set it 0."
            )
        found = frames_between(part, weight)
        if found is not None:
            between.append(found)
    if not between:
        raise UserError(
            f"DATASETS.INTERPOLATE is {weight:g}, but {dataset.name} has no frames between two keyframes with the same "
            "action and overlapping boxes of one object_id; add object_id to the annotations or set the key to 0."
        )
    return ConcatDataset([*parts, *between])


def frames_between(dataset: ThermalAVADataset, weight: float) -> ThermalAVADataset | None:
    """The frames between two keyframes in which one person has the same actions and overlapping boxes.

    Such a person is taken to have these actions, and a box between the two, in all frames between. Keyframes
    themselves are left out.

    Returns:
        a copy of the data set with these frames as its keyframes, which shares the recordings; None without any.
    """
    rows = _between_rows(dataset)
    keys = dataset.recording_of * _KEY + dataset.frame_idx
    rows = [row for row in rows if row[0] * _KEY + row[1] not in set(keys.tolist())]
    if not rows:
        return None
    rows.sort(key=lambda row: row[:2])
    places = np.array([row[:2] for row in rows], dtype=np.int64)
    unique, starts = np.unique(places, axis=0, return_index=True)
    result = copy.copy(dataset)
    result.name = f"{dataset.name}, frames between"
    result.person_weight = weight
    result.recording_of, result.frame_idx = unique[:, 0], unique[:, 1]
    result.image_ids = [f"{dataset.recordings[number]}, frame {frame}" for number, frame in unique.tolist()]
    result.box_offsets = result._offsets = np.append(starts, len(rows))
    result.gt_boxes = result._boxes = np.stack([row[2] for row in rows]).astype(np.float32)
    result.gt_packed = np.stack([dataset.gt_packed[row[3]] for row in rows])
    result.repeated_frames, result.gap_windows, result.clipped_boxes = 0, 0, 0
    return result


_KEY = 2**40
# Recording, frame, box, and the person whose labels it has.
_Row = tuple[int, int, np.ndarray, int]


def _between_rows(dataset: ThermalAVADataset) -> list[_Row]:
    keyframe = np.repeat(np.arange(len(dataset)), np.diff(dataset.box_offsets))
    recording, frame, objects = dataset.recording_of[keyframe], dataset.frame_idx[keyframe], dataset.object_ids
    order = np.lexsort((frame, objects, recording))
    order = order[objects[order] >= 0]
    rows: list[_Row] = []
    for one, other in zip(order[:-1], order[1:], strict=True):
        first, last = int(frame[one]), int(frame[other])
        same = recording[one] == recording[other] and objects[one] == objects[other] and last > first
        if not same or not np.array_equal(dataset.gt_packed[one], dataset.gt_packed[other]):
            continue
        start, end = dataset.gt_boxes[one], dataset.gt_boxes[other]
        if (np.minimum(start[2:], end[2:]) <= np.maximum(start[:2], end[:2])).any():
            continue
        for number in range(first + 1, last):
            share = (number - first) / (last - first)
            rows.append((int(recording[one]), number, (1 - share) * start + share * end, int(one)))
    return rows
