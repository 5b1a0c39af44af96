"""Entries of box files: COCO results (JSON), PySlowFast's CSV, MMAction2's PKL.

Each reader yields the number of the entry and an object with ``image_id`` or ``movie`` and ``timestamp``, ``bbox`` and
``score``. CSV and PKL files have corners as fractions of the frame.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ..errors import UserError
from ..utils.array_pickle import ArrayUnpickler, PickledArray
from .ava_csv import csv_lines, row_error
from .json_files import stream_lists
from .text import check_file, short, short_name

_KIND = "box file"
# A keyframe with more boxes is a mistake, or an attempt to use up the memory.
_MOST_BOXES = 100_000

Entries = Iterator[tuple[int, object]]


class BoxFormat(NamedTuple):
    """A format of box files.

    Attributes:
        entries: path -> (number, entry).
        unit: what the number counts.
        convention: what "bbox" means where the format defines it, corners as fractions ("xyxy"); None: it does not.
        repeats: the same box may come several times, once for each of its actions.
    """

    entries: Callable[[str], Entries]
    unit: str
    convention: str | None = None
    repeats: bool = False


def format_of(path: str) -> BoxFormat:
    """The format by the file's suffix: .csv, .pkl or .pickle, else JSON."""
    return _FORMATS.get(os.path.splitext(path)[1].lower(), _JSON)


def _json_entries(path: str) -> Entries:
    for number, (_, entry) in enumerate(stream_lists(path, _KIND, ("",)), 1):
        yield number, entry


def _csv_entries(path: str) -> Entries:
    """Rows ``video, second, x1, y1, x2, y2, label, score``; the label, an action id or nothing, is not read."""
    expected = "video, second, x1, y1, x2, y2, label, score with corners as fractions"
    for line, row in csv_lines(path, _KIND):
        try:
            box, score = [float(cell) for cell in row[2:6]], float(row[7])
        except (ValueError, IndexError):
            raise row_error(path, line, row, expected) from None
        if not 0 <= score <= 1:  # AVA's annotations have the person id in this column
            raise UserError(
                f"{path} line {line}: found the score {short(row[7])}, expected one from 0 to 1; AVA's annotations are "
                "no box file: write scores in the eighth column."
            )
        yield line, {"movie": row[0], "timestamp": row[1], "bbox": box, "score": score}


def _pickle_entries(path: str) -> Entries:
    """``{"video,second": array [n, 5]}`` of x1, y1, x2, y2, score; without the fifth column the score is 1."""
    number = 0
    for key, value in _read_pickle(path).items():
        rows = value.value if isinstance(value, PickledArray) else value
        table = _as_table(rows)
        if not isinstance(key, str) or table is None:
            raise UserError(
                f"In the {_KIND} {path}, the entry {short(key)} is no array with 4 or 5 columns, expected "
                '{"video,second": [[x1, y1, x2, y2, score], ...]}; write it again.'
            )
        for *box, score in table.tolist():
            number += 1
            yield number, {"image_id": key, "bbox": box, "score": score}


def _as_table(rows: object) -> np.ndarray | None:
    """Boxes and scores float64 [n, 5], None where they are none."""
    try:
        table = np.asarray(rows, np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    if table.size == 0:
        return np.zeros((0, 5))
    if table.ndim != 2 or table.shape[1] not in (4, 5) or len(table) > _MOST_BOXES:
        return None
    return table if table.shape[1] == 5 else np.concatenate([table, np.ones((len(table), 1))], axis=1)


def _read_pickle(path: str) -> dict[object, object]:
    check_file(path, _KIND)
    try:
        with open(path, "rb") as file:
            found = ArrayUnpickler(file, os.path.getsize(path)).load()
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to ask for
        reason = short_name(str(error).split("\n")[0]) or "it ends too early"
        raise UserError(
            f"The {_KIND} {path} cannot be read ({type(error).__name__}: {reason}), expected a pickle of arrays; "
            "nothing in it was run: write it again."
        ) from error
    if not isinstance(found, dict):
        raise UserError(
            f"The {_KIND} {path} holds a value of type {type(found).__name__}, expected "
            '{"video,second": [[x1, y1, x2, y2, score], ...]} as MMAction2 writes it; write it again.'
        )
    return found


_JSON = BoxFormat(_json_entries, "entry")
_PICKLE = BoxFormat(_pickle_entries, "box", "xyxy")
_FORMATS = {".csv": BoxFormat(_csv_entries, "line", "xyxy", repeats=True), ".pkl": _PICKLE, ".pickle": _PICKLE}
