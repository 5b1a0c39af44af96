"""Annotation records: JSON objects about one frame of one recording.

    {"data_id": "SL14_R1", "data_time": 1760482260170, "annotation_time": 1762428550157, "mac_address": "02:...",
     "annotations": [{"category": "person", "subcategory": "standing", "bbox": [cx, cy, w, h], "object_id": 0,
                      "attribute_obscured": "0%"}, ...]}

`data_id` names the recording, `data_time` (ms) the frame, `bbox` is normalized center-x, center-y, width, height;
`subcategory` is a class or a list of classes. Boxes of other categories than "person" (furniture, objects) are counted
and skipped; a record without a person is a keyframe without one. Where a frame was annotated more than once, the record
with the latest `annotation_time` counts. A file may hold one record per line, one record, or a list.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..annotations import entries
from ..annotations.boxes import check_convention, check_fractions
from ..annotations.importers.pictures import LabelOptions, Size
from ..annotations.importers.read import read_labels
from ..annotations.text import composed, read_text, short_name
from ..errors import UserError
from .build_report import BuildReport
from .record_classes import names_of
from .thermal_set import Person


class Record(NamedTuple):
    """An annotation record; ``where`` is its place, for messages. With ``frame_idx``, ``data_time`` does not count."""

    data_id: str
    data_time: int
    annotation_time: int
    mac_address: object
    annotations: list[object]
    where: str
    frame_idx: int | None = None
    size: Size | None = None


def read_records(path: str | Path, report: BuildReport, labels: LabelOptions) -> list[Record]:
    """Annotation records of a file or of all files in a folder, sorted by file name; labels of other tools first.

    Raises:
        UserError: nothing there, a line that is not JSON, or see :func:`read_labels`.
    """
    frames, files = read_labels(path, labels, report)
    records = [
        Record(frame.recording, frame.frame_idx, 0, None, frame.annotations(), frame.where, frame.frame_idx, frame.size)
        for frame in frames
    ]
    report.records += len(records)
    for file in files:
        for where, record in _parse(file):
            report.records += 1
            found = _to_record(record, where)
            if isinstance(found, str):
                report.skip(found, where)
            else:
                records.append(found)
    return records


def newest_records(records: list[Record], report: BuildReport) -> list[Record]:
    """Of the records about one frame, the one annotated last; a tie goes to the later one in the file."""
    newest: dict[tuple[str, int], Record] = {}
    for record in records:
        key = (record.data_id, record.data_time)
        other = newest.get(key)
        if other is None or record.annotation_time >= other.annotation_time:
            newest[key] = record
        if other is not None:
            older = other if newest[key] is record else record
            report.skip("record about a frame that was annotated again", older.where)
    return sorted(newest.values(), key=lambda record: (record.data_id, record.data_time))


def record_persons(record: Record, report: BuildReport) -> list[Person] | None:
    """Persons of a record, one for each of their classes; None where it has persons of which none can be used."""
    where = record.where
    names = report.classes.names
    persons: list[Person] = []
    there = False
    for entry in record.annotations:
        category = entry.get("category") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and category == "person":
            there = True
            persons += _to_persons(entry, where, report)
        elif isinstance(category, str) and category.casefold() != "person" and category not in names:
            report.other_categories[short_name(category[:40])] += 1
        else:
            there = True
            report.skip(f"annotation of category {entries.short(category)}, expected 'person'", where)
    return persons if persons or not there else None


def check_person_boxes(source: str, records: list[Record]) -> None:
    """Check the unit and the convention of the boxes of all persons, before those outside the picture are counted.

    Boxes of other tools' labels have been checked by their readers.

    Raises:
        UserError: a box in pixels or percent, or most boxes in another convention.
    """
    found: list[tuple[list[float], str]] = []
    for record in records:
        for entry in record.annotations if record.frame_idx is None else ():
            if isinstance(entry, dict) and entry.get("category") == "person":
                with contextlib.suppress(entries.EntryError):
                    found.append((entries.box(entry), record.where))
    boxes = np.array([box for box, _ in found], np.float64).reshape(-1, 4)
    check_fractions(lambda row: f"In {source}, {found[row][1]}", boxes, "cxcywh")
    check_convention(f"The annotation records {source}", boxes, "cxcywh")


def _to_record(record: object, where: str) -> Record | str:
    """The record, or why it cannot be used."""
    if not isinstance(record, dict) or not isinstance(record.get("annotations"), list):
        return "record without 'annotations'"
    name, time = record.get("data_id"), _whole(record.get("data_time"))
    if time is None and isinstance(record.get("data_time"), float):
        return "record whose 'data_time' has a fraction (seconds?), expected whole milliseconds"
    if not isinstance(name, str):
        return "record without a 'data_id' that is text"
    if time is None:
        what = "is text" if isinstance(record.get("data_time"), str) else "is no whole number"
        return f"record whose 'data_time' {what}, expected whole milliseconds"
    if "/" in name or "\\" in name or name in ("", ".", ".."):
        return f"record whose 'data_id' is no plain name ({short_name(name)})"
    annotated = _whole(record.get("annotation_time", 0))
    if annotated is None:
        return "record whose 'annotation_time' is not a whole number"
    name = composed(name)
    return Record(name, time, annotated, record.get("mac_address"), record["annotations"], where)


def _whole(value: object) -> int | None:
    """A time that is a whole number, also where it is written as 902.0 or in quotes."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and abs(value) < 2**62 else None


def _parse(file: Path) -> Iterator[tuple[str, object]]:
    """(where, record) for every record of a file."""
    text = read_text(file, "annotation file", "annotation records")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        yield from _parse_lines(file, text)
        return
    found = document if isinstance(document, list) else [document]
    yield from ((f"{file.name} entry {number}", record) for number, record in enumerate(found, 1))


def _parse_lines(file: Path, text: str) -> Iterator[tuple[str, object]]:
    # Not splitlines: a text may have U+2028 inside.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield f"{file.name} line {number}", json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{file} line {number} is not JSON ({error}), expected one JSON object per line: correct or remove the "
                "line."
            ) from None


def _to_persons(entry: Mapping[str, object], where: str, report: BuildReport) -> list[Person]:
    labels = [report.classes.names.index(name) for name in names_of(entry)]
    if not labels:
        report.skip(f"person of unknown subcategory ({entries.short(entry.get('subcategory'))})", where)
        return []
    try:
        cx, cy, w, h = map(float, entries.box(entry))
        obscured = entries.check_name(entry.get("attribute_obscured") or "0%", "attribute_obscured")
    except entries.EntryError as error:
        report.skip(f"person that {error}", where)
        return []
    if min(w, h) <= 0:
        report.skip("person without a box [cx, cy, w, h] of positive size", where)
        return []
    if max(abs(cx - 0.5) - w / 2, abs(cy - 0.5) - h / 2) >= 0.5:
        report.skip("person wholly outside the picture", where)
        return []
    object_id = entry.get("object_id")
    number = object_id if type(object_id) is int else 0
    return [Person((cx, cy, w, h), label, number, obscured) for label in labels]
