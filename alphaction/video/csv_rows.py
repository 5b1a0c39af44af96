"""Rows of AVA's annotation CSV by keyframe and person."""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, field

import numpy as np

from ..annotations import entries
from ..annotations.ava_csv import csv_lines, row_error
from ..annotations.boxes import LARGEST, check_convention
from ..annotations.classes import MAX_CLASSES
from ..annotations.clip_annotations import keyframe_name
from ..annotations.seconds import Second, parse_second
from ..annotations.text import composed
from ..errors import UserError

_EXPECTED = "movie, second, x1, y1, x2, y2 as fractions of the frame, action id from 1 and person id"

Box = tuple[float, float, float, float]
Keyframe = tuple[str, Second]


@dataclass
class ActionRows:
    """Rows of a file.

    Attributes:
        persons: keyframe -> box (fractions, inside the frame) -> action ids.
        clipped: rows whose boxes extended beyond the frame.
        without_area: rows that are left out, since their boxes have no area inside it.
    """

    persons: dict[Keyframe, dict[Box, list[int]]] = field(default_factory=dict)
    clipped: int = 0
    without_area: int = 0


def read_rows(path: str | os.PathLike) -> ActionRows:
    """Read and check the rows ``movie, second, x1, y1, x2, y2, action id, person id`` of a file; rows ``movie, second``
    are keyframes without persons.

    Raises:
        UserError: a wrong row, boxes in another unit or convention.
    """
    rows = ActionRows()
    boxes = array("d")
    for line, row in csv_lines(path):
        box, action = _read_row(path, line, row, rows)
        if box is None:
            continue
        boxes.extend(box)
        x1, y1, x2, y2 = inside = tuple(min(max(corner, 0.0), 1.0) for corner in box)
        if not (x1 < x2 and y1 < y2):
            rows.without_area += 1
            continue
        rows.clipped += inside != box
        actions = rows.persons[read_keyframe(path, line, row)].setdefault((x1, y1, x2, y2), [])
        if action not in actions:
            actions.append(action)
    check_convention(f"The boxes of {path}", np.array(boxes).reshape(-1, 4), "xyxy")
    return rows


def _read_row(path: str | os.PathLike, line: int, row: list[str], rows: ActionRows) -> tuple[Box | None, int]:
    """Box and action of a row, None for a keyframe without a person; its keyframe is in ``rows`` afterwards."""
    is_empty = len(row) == 2 or len(row) > 6 and not any(row[2:7])
    box, action = None, 0
    if not is_empty:
        try:
            x1, y1, x2, y2 = (float(cell) for cell in row[2:6])
            box, action = (x1, y1, x2, y2), int(row[6])
        except (ValueError, IndexError):
            raise row_error(path, line, row, _EXPECTED) from None
    keyframe = read_keyframe(path, line, row)
    if keyframe not in rows.persons:
        try:
            entries.check_recording_name(entries.check_name(row[0], "movie"), "movie")
            entries.check_name(keyframe_name(*keyframe), "movie,second")  # the id that our reader has to take
        except entries.EntryError as error:
            raise entries.in_file(os.fspath(path), f"line {line}", error) from None
    rows.persons.setdefault(keyframe, {})
    if box is None:
        return None, 0
    if not all(1 - LARGEST <= corner <= LARGEST for corner in box):  # NaN is refused too
        raise UserError(
            f"{path} line {line}: found the box {entries.short(','.join(row[2:6]))}, expected x1, y1, x2, y2 as "
            "fractions of the frame, not pixels; correct or remove the line."
        )
    if len(row) > 7 and _is_score(row[7]):
        raise UserError(
            f"{path} line {line}: found the person id {entries.short(row[7])}, expected a whole number or none; a "
            "fraction there is the score of a result file, which is no ground truth: name another file."
        )
    if not 1 <= action <= MAX_CLASSES:
        raise UserError(
            f"{path} line {line}: found the action id {entries.short(action)}, expected AVA's, 1 to {MAX_CLASSES}; "
            "leave the action and the box empty for a keyframe without a person, or remove the line."
        )
    return box, action


def _is_score(cell: str) -> bool:
    try:
        return not float(cell or 0).is_integer()
    except ValueError:
        return False


def read_keyframe(path: str | os.PathLike, line: int, row: list[str]) -> Keyframe:
    """Movie and second of a row."""
    return composed(row[0]), parse_second(row[1] if len(row) > 1 else "", f"{path} line {line}")
