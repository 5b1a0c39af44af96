"""Frames and times in text files: CSV, and the dumps of the 40x60 sensor."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from ..annotations.text import is_number, open_text
from ..errors import UserError
from .raw_layout import RawFrames, RawOptions, row_layout
from .raw_times import counts_frames, is_time, to_milliseconds

_DUMP_HEADER = "ARRAYTYPE="
_DUMP_UNITS = {"(decik)": "decikelvin", "(centik)": "centikelvin"}
_DUMP_TIME = "t:"
# A line of a text file has at least so many numbers to be a frame; the smallest array has 8x8 pixels.
_LEAST_PIXELS = 64
_LONGEST_LINE = 20_000_000


def load_csv(path: Path, options: RawOptions) -> RawFrames:
    """One frame per line: a time or none, then the temperatures row by row.

    Cells are separated by comma, semicolon, tab or blanks; where another character separates, a comma is a decimal one.
    Lines that begin with # and a first line of words or of column numbers are skipped. Empty cells are dead pixels.

    Raises:
        UserError: names the line.
    """
    times: list[str] = []
    rows: list[np.ndarray] = []
    count = 0
    with_time, shape = False, (0, 0)
    for number, cells in _read_cells(path):
        if not rows:
            cells = cells[:-1] if cells[-1] == "" and len(cells) > 2 else cells
            count = len(cells)
            _to_numbers(path, number, cells[1:])
            with_time, shape = row_layout(path, count, options)
        elif len(cells) == count + 1 and cells[-1] == "":
            cells = cells[:-1]
        if len(cells) != count:
            raise UserError(
                f"{path} line {number} has {len(cells)} numbers, expected {count} as in the first: correct or remove "
                "the line."
            )
        if with_time:
            times.append(cells[0])
        rows.append(_to_numbers(path, number, cells[1:] if with_time else cells))
    if not rows:
        raise UserError(f"{path} has no frames, expected one per line: correct or remove the file.")
    frames = _whole_numbers(np.stack(rows)).reshape(-1, *shape)
    if not with_time:
        return RawFrames(frames)
    milliseconds = to_milliseconds(path, times, options.time_unit or "ms")
    return RawFrames(frames, milliseconds, counted=counts_frames(milliseconds, options.time_unit))


def load_dump(path: Path, options: RawOptions) -> RawFrames:
    """The 40x60 sensor's own export: a header, then per line the values of a frame and ``t:`` with seconds.

        ARRAYTYPE=14MBIT=12REFCAL=3T=YProtocolType=0(deciK)
        02953 02951 ... t: 1760482200.167

    The header states the unit. Other text files with a frame per line are read as CSV.

    Raises:
        UserError: names the line.
    """
    header = _first_line(path)
    if not header.startswith(_DUMP_HEADER) and _DUMP_TIME not in header:
        return load_csv(path, options)
    times: list[float] = []
    rows: list[np.ndarray] = []
    shape = (0, 0)
    for number, line in _lines(path):
        if line.startswith(_DUMP_HEADER):
            continue
        values, mark, seconds = line.partition(_DUMP_TIME)
        cells = values.split()
        if not rows:
            shape = row_layout(path, len(cells), options)[1]
        if len(cells) != shape[0] * shape[1]:
            raise UserError(
                f"{path} line {number} has {len(cells)} values, expected {shape[0] * shape[1]}: remove the line."
            )
        if rows and bool(mark) != bool(times):
            raise UserError(f"{path} line {number} {'has' if mark else 'has no'} time, unlike the first: correct it.")
        rows.append(_to_numbers(path, number, cells))
        if mark:
            times.append(_to_numbers(path, number, [seconds.strip()])[0] * 1000.0)
    if not rows:
        raise UserError(f"{path} has no frames, expected one per line: correct or remove the file.")
    unit = next((name for mark, name in _DUMP_UNITS.items() if mark in header.lower()), None)
    frames = _whole_numbers(np.stack(rows)).reshape(-1, *shape)
    return RawFrames(frames, np.array(times) if times else None, unit)


def load_times(path: Path, options: RawOptions) -> np.ndarray:
    """Times float64 [N] in ms of a text file with one per line; a first line of words is skipped.

    Raises:
        UserError: names the line.
    """
    found: list[str] = []
    columns = ""
    for number, line in _lines(path):
        cell = line.strip().strip('"')
        if is_time(cell):
            found.append(cell)
        elif found or number > 1:
            raise UserError(f"{path} line {number} is {cell[:50]!r}, expected one time per line: correct it.")
        elif any(mark in cell for mark in ",;\t"):
            columns = cell
    # A number of the frame and its time, not a decimal comma.
    first = [cell.partition(",")[0] for cell in found if "," in cell]
    if len(first) == len(found) > 1 and first in _numberings(len(first)):
        columns = columns or found[0]
    if columns:
        raise UserError(
            f"{path} has several columns ({columns[:50]!r}), expected one time per line: remove the others."
        )
    return to_milliseconds(path, found, options.time_unit or "ms")


def _numberings(count: int) -> tuple[list[str], list[str]]:
    return [str(number) for number in range(count)], [str(number) for number in range(1, count + 1)]


def is_frame_text(path: Path) -> bool:
    """Whether a text file begins as one with a frame per line does."""
    try:
        line = _first_line(path)
    except UserError:
        return False
    if line.startswith(_DUMP_HEADER):
        return True
    cells = _split(line, _delimiter(line))
    return len(cells) >= _LEAST_PIXELS and sum(map(is_number, cells)) >= len(cells) // 2


def _first_line(path: Path) -> str:
    return next((line for _, line in _lines(path)), "")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of the lines that are not blank."""
    with open_text(path, "recording") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), ""), 1):
            if line.strip():
                yield number, line


def _read_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of the lines with frames."""
    lines = ((number, line) for number, line in _lines(path) if not line.startswith("#"))
    first = next(lines, None)
    if first is None:
        return
    second = next(lines, None)
    # The separator is told by a line with frames; a header may be a single word.
    delimiter = _delimiter((second or first)[1])
    head = [] if _is_header(path, _split(first[1], delimiter)) else [first]
    for number, line in chain(head, [second] if second else [], lines):
        yield number, _split(line, delimiter)


def _delimiter(line: str) -> str | None:
    for character in (";", "\t"):
        if character in line:
            return character
    cells = line.strip().split(",")
    blanks_inside = any(len(cell.split()) > 1 for cell in cells[1:])
    return "," if len(cells) > 1 and not blanks_inside else None


def _split(line: str, delimiter: str | None) -> list[str]:
    line = line.rstrip("\r\n")
    if delimiter is None:
        return line.split()
    if '"' in line:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
    return [cell.strip() for cell in line.split(delimiter)]


def _is_header(path: Path, cells: list[str]) -> bool:
    """Whether the first line names columns, by words or by their numbers, instead of having values."""
    rest = cells[1:]
    numbers = [str(index) for index in range(len(rest) + 1)]
    if len(rest) > 1 and (rest in (numbers[:-1], numbers[1:]) or cells == numbers):
        return True
    if is_time(cells[0]):
        return False
    if len(rest) >= _LEAST_PIXELS and sum(map(is_number, rest)) > len(rest) // 2:
        raise UserError(
            f"{path} begins with {cells[0][:50]!r} and {len(rest)} values, expected a time or a line of column names: "
            "correct the first line."
        )
    return True


def _to_numbers(path: Path, number: int, cells: Iterable[str]) -> np.ndarray:
    cells = list(cells)
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        pass
    try:
        return np.array([float(cell.replace(",", ".")) if cell else np.nan for cell in cells])
    except ValueError:
        wrong = next(cell for cell in cells if cell and not is_number(cell))
        raise UserError(
            f"{path} line {number} has {wrong[:50]!r}, expected numbers separated by commas, semicolons, tabs or "
            "blanks: correct the line."
        ) from None


def _whole_numbers(values: np.ndarray) -> np.ndarray:
    """Values as integers where all are whole, as they then may be raw values in any unit."""
    whole = np.isfinite(values).all() and (np.abs(values) < 2**31).all() and (values == np.round(values)).all()
    return values.astype(np.int32) if whole else values
