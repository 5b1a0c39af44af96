"""AVA's file formats: annotation and result CSV files, label map, exclusion list."""

from __future__ import annotations

import csv
import logging
import os
import re
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UserError
from .seconds import Second, format_second, parse_second
from .text import composed, open_text, read_text, short

logger = logging.getLogger(__name__)

_KIND = "AVA file"

_ROW = "movie, second, x1, y1, x2, y2, action id and a score or person id"


class Rows(NamedTuple):
    """One row per (box, class): the layout of an AVA CSV file.

    keys: int64 [R] keyframe codes. boxes: float [R, 4] x1, y1, x2, y2, continuous, any unit as long as truth and
    detections agree. classes: int [R]. scores: float [R]; not read for ground truth.
    """

    keys: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray

    def select(self, index: np.ndarray) -> Rows:
        """The rows of an index array or mask."""
        return Rows(*(field[index] for field in self))


class KeyframeCodes:
    """Integer codes for keyframes (movie, second), shared by the files of one evaluation."""

    def __init__(self) -> None:
        self._by_text: dict[tuple[str, str], int] = {}
        self._by_value: dict[tuple[str, Second], int] = {}

    def __len__(self) -> int:
        return len(self._by_value)

    def spell(self, code: int) -> str:
        """The keyframe of a code as "movie second", for messages."""
        movie, second = list(self._by_value)[code]
        return f"{short(movie)[1:-1]} {format_second(second)}"

    def code(self, movie: str, second: str) -> int:
        """Code of a keyframe as spelled in a file; "902", "0902" and "902.0" are the same second, "903.5" is another
        one.

        Raises:
            UserError: no second.
        """
        code = self._by_text.get((movie, second))
        if code is None:
            value = parse_second(second, f"The keyframe {short(movie)}")
            code = self._by_value.setdefault((composed(movie), value), len(self._by_value))
            self._by_text[movie, second] = code
        return code


def read_ava_csv(path: str | os.PathLike, codes: KeyframeCodes, scored: bool) -> Rows:
    """Rows `movie, second, x1, y1, x2, y2, action id[, score or person id]` of an AVA CSV file.

    With `scored` the eighth column is the score (1.0 where missing); else it is a person id and not read. Rows with
    two columns (keyframes without a person) are skipped. Raises UserError with file and line for anything else.
    """
    keys, classes, numbers = array("q"), array("q"), array("d")
    code, without_score = codes.code, 0
    for line, row in csv_lines(path):
        if len(row) == 2:
            continue
        try:
            movie, second, x1, y1, x2, y2, action = row[:7]
            keys.append(code(movie, second))
            classes.append(int(action))
            score = float(row[7]) if scored and len(row) > 7 else 1.0
            without_score += scored and len(row) < 8
            numbers.extend((float(x1), float(y1), float(x2), float(y2), score))
        except (ValueError, OverflowError):
            raise row_error(path, line, row, _ROW) from None
    if without_score:
        logger.warning("%s: %d of %d rows have no score and count as 1", path, without_score, len(keys))
    table = np.frombuffer(numbers, np.float64).reshape(-1, 5) if numbers else np.zeros((0, 5))
    if scored and not without_score and len(table) > 1 and (table[:, 4] == np.floor(table[:, 4])).all():
        logger.warning(
            "%s: the scores of all %d rows are whole numbers, as the person ids of a ground truth are",
            path,
            len(table),
        )
    if not np.isfinite(table).all():
        wrong = int(np.argmin(np.isfinite(table).all(axis=1)))
        raise UserError(
            f"{path}: the box or score {table[wrong].tolist()} in row {wrong + 1} of those with a person is not "
            "finite, expected numbers; correct or remove the row."
        )
    return Rows(np.array(keys, np.int64), table[:, :4], np.array(classes, np.int64), table[:, 4])


def read_exclusions(path: str | os.PathLike, codes: KeyframeCodes) -> np.ndarray:
    """Codes of the keyframes `movie, second` that the evaluation leaves out -> int64 [E]."""
    found = []
    for line, row in csv_lines(path):
        try:
            movie, second = row
            found.append(codes.code(movie, second))
        except ValueError:
            raise row_error(path, line, row, "movie, second") from None
    return np.array(found, np.int64)


def read_label_map(path: str | os.PathLike) -> dict[int, str]:
    """Class id -> name from a label map: blocks with `name: "..."` and `label_id: N` or `id: N`."""
    text = read_text(path, "label map")
    found: dict[int, str] = {}
    for block in re.findall(r"\{([^{}]*)\}", text):
        name = re.search(r"\bname:\s*([\"'])(.*?)\1", block)
        number = re.search(r"\b(?:label_id|id):\s*(\d{1,9})\b", block)
        if name and number:
            key, label = int(number.group(1)), name.group(2)
            if key in found or label in found.values():
                raise UserError(
                    f"The label map {path} has the id {key} or the name {short(label)} twice, expected each once; "
                    "correct it."
                )
            found[key] = label
    if not found:
        raise UserError(
            f'{path}: found no class, expected blocks like item {{ name: "stand" id: 12 }}; check the file.'
        )
    return found


def ava_result_rows(
    predictions: Iterable[tuple[np.ndarray, tuple[int, int], np.ndarray, dict]], action_thresh: float = 0.0
) -> Iterator[str]:
    """Lines (without line end) of an AVA result CSV, from model pixels; for the test of result_rows.json in parity.

    predictions: (boxes [n, 4] model pixels with inclusive corners, model size (w, h), scores [n, C], info with
    `movie`, `timestamp` in seconds, `width` and `height` of the video). Boxes are scaled to the video in float32 and
    written as x1/W, y1/H, (x2+1)/W, (y2+1)/H; class = column + 1; scores below the threshold are left out.
    """
    for boxes, size, scores, info in predictions:
        video = info["width"], info["height"]
        yield from keyframe_rows(
            to_fractions(boxes, size, video), scores, info["movie"], info["timestamp"], action_thresh
        )


def to_fractions(boxes: np.ndarray, model_size: ArrayLike, video_size: ArrayLike) -> np.ndarray:
    """Boxes [N, 4] in model pixels with inclusive corners -> float64 [N, 4] continuous fractions of the video's frame.

    The sizes are (width, height), one for all boxes or [N, 2].
    """
    video = np.tile(np.asarray(video_size, np.float64), 2)
    ratio = (video / np.tile(np.asarray(model_size, np.float64), 2)).astype(np.float32)
    scaled = np.asarray(boxes, np.float32).reshape(-1, 4) * ratio
    return (scaled.astype(np.float64) + [0, 0, 1, 1]) / video


def keyframe_rows(
    fractions: np.ndarray,
    scores: np.ndarray,
    movie: str,
    second: Second,
    action_thresh: float = 0.0,
    class_ids: np.ndarray | None = None,
) -> Iterator[str]:
    """Lines of one keyframe, see `ava_result_rows`; fractions [n, 4], scores [n, C], class_ids [C] where class n is
    not column n - 1."""
    movie = csv_cell(movie)
    for box, row in zip(fractions.tolist(), np.asarray(scores), strict=True):
        start = f"{movie},{format_second(second)}," + ",".join(f"{value:.5f}" for value in box)
        values = row.tolist()
        columns = np.flatnonzero(row >= action_thresh)
        numbers = columns + 1 if class_ids is None else class_ids[columns]
        for column, number in zip(columns.tolist(), numbers.tolist(), strict=True):
            yield f"{start},{number},{values[column]:.5f}"


def csv_cell(text: str) -> str:
    """A name as a cell of a CSV file, in quotes where it needs them."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def csv_lines(path: str | os.PathLike, kind: str = _KIND) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of a CSV file, without empty lines."""
    with open_text(path, kind, newline="") as file:
        lines = csv.reader(file)
        try:
            for row in lines:
                if row:
                    yield lines.line_num, row
        except csv.Error as error:
            raise UserError(
                f"The {kind} {path} line {lines.line_num} is not CSV ({error}), expected lines of a few cells; correct "
                "the line or name another file."
            ) from None


def row_error(path: str | os.PathLike, line: int, row: list[str], expected: str) -> UserError:
    """The error for a row that is not as expected; names what may be the matter with it."""
    text = ",".join(row)
    hint = "correct or remove the line"
    if text.count(";") > 2 or text.count("\t") > 2:
        hint = "the cells are separated by semicolons or tabs: write them with commas"
    elif line == 1 and len(row) > 2 and not any(map(_is_number, row[2:6])):
        hint = "it is a header: remove the line"
    return UserError(f"{path} line {line}: found {short(text)}, expected {expected}; {hint}.")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
