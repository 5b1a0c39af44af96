"""Recognizes the format of a label file by its content."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ...errors import UserError, file_problem, stand_in
from .. import entries
from ..text import marked_encoding, open_text
from .via import CSV_COLUMNS
from .yolo import class_file

# Annotation records (docs/thermal_data.md) are recognized here and read by the builder.
RECORDS = "records"
FORMATS = (RECORDS, "cvat", "coco", "label-studio", "via", "yolo")
_SUFFIXES = {".xml", ".json", ".jsonl", ".csv"}
_HEAD = 4096
_RECORD_KEYS = {"data_id", "data_time", "annotation_time", "annotations"}


def find_label_files(path: str | Path, format: str | None = None) -> tuple[list[tuple[Path, str]], list[str]]:
    """Files (or YOLO's folder) with their formats, and names of files in the folder that are of none.

    Raises:
        UserError: nothing there, an unknown ``format``, or a single file of no known format.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise UserError(f"--format is {entries.short(format)}, expected one of {', '.join(FORMATS)}: correct it.")
    if not path.is_dir():
        problem = file_problem(path)
        found, reason = (None, problem) if problem else (format, "") if format else recognize(path)
        if found is None:
            raise UserError(
                f"{path} {reason}, expected annotation records or labels in one of the formats {', '.join(FORMATS)}: "
                "correct --annotations, or name the format with --format."
            )
        return [(path, found)], []
    if format == "yolo" or format is None and class_file(path) and next(path.rglob("*.txt"), None):
        return [(path, "yolo")], []
    return _find_in_folder(path, format)


def _find_in_folder(folder: Path, format: str | None) -> tuple[list[tuple[Path, str]], list[str]]:
    files, others = [], []
    for file in sorted(folder.iterdir()):
        readable = file.suffix.lower() in _SUFFIXES and file.is_file() and not file.name.startswith(".")
        kind = recognize(file)[0] if readable else None
        if kind is None or format not in (None, kind):
            others.append(file.name)
        else:
            files.append((file, kind))
    if not files:
        texts = any(name.endswith(".txt") for name in others)
        raise UserError(
            f"{folder} holds no file of labels among its {len(others)} entries, expected one of the formats "
            f"{', '.join(FORMATS)}{' (of which yolo needs a classes.txt or data.yaml)' if texts else ''}: correct "
            "--annotations or --format."
        )
    return files, others


def recognize(path: Path) -> tuple[str | None, str]:
    """Format of a file, or None and what it is instead."""
    other = stand_in(path)
    if other == "an empty file" or other == "a Git LFS pointer":
        return None, f"is {other}"
    try:
        with open(path, "rb") as stream:
            begin = stream.read(_HEAD)
    except OSError as error:
        return None, f"cannot be read ({error.strerror})"
    head = begin.decode(marked_encoding(begin) or "utf-8", "replace").lstrip()
    if head.startswith("PK\x03\x04"):
        return None, "is a ZIP archive, to be unpacked first"
    if head.startswith("<"):
        if re.search(r"<annotations[\s/>]", head):
            return "cvat", ""
        root = re.search(r"<([^\s<>!?/]{1,40})", head)
        voc = " (Pascal VOC)" if "<annotation>" in head else ""
        return None, f"is XML with the root {entries.short(root[1] if root else '')}{voc}, not CVAT's"
    if head.startswith(("{", "[")):
        return _recognize_json(path)
    columns = [cell.strip('"# \r') for cell in head.split("\n")[0].split(",")]
    if set(CSV_COLUMNS) <= set(columns):
        return "via", ""
    # Records that are no JSON are refused by their reader, which tells the line.
    return (RECORDS, "") if path.suffix.lower() in (".json", ".jsonl") else (None, "is neither XML, JSON nor VIA's CSV")


def _recognize_json(path: Path) -> tuple[str | None, str]:
    try:
        with open_text(path, "label file") as stream:
            document = json.load(stream)
    except RecursionError:
        return None, "is nested too deeply"
    except (UserError, ValueError):
        return RECORDS, ""  # JSON lines
    if isinstance(document, dict):
        if {"images", "annotations"} <= document.keys():
            return "coco", ""
        if "_via_img_metadata" in document:
            return "via", ""
        if {"project", "metadata", "file"} <= document.keys():
            return None, "is a project of VIA 3, whose version 2 is read"
        values = list(document.values())
        if values and all(isinstance(value, dict) and {"filename", "regions"} <= value.keys() for value in values):
            return "via", ""
    return _recognize_entry(document[0] if isinstance(document, list) and document else document)


def _recognize_entry(entry: object) -> tuple[str | None, str]:
    keys = entry.keys() if isinstance(entry, dict) else set()
    if "data" in keys and keys & {"annotations", "completions"}:
        return "label-studio", ""
    if {"data", "predictions"} <= keys:
        return None, "holds predictions of Label Studio without annotations"
    if "image" in keys and "annotation_id" in keys:
        return None, "is Label Studio's short form (JSON-MIN), which drops fields"
    if {"name", "attributes"} <= keys:
        return None, "is a template of labels"
    if keys and not keys & _RECORD_KEYS:
        shown = ", ".join(entries.short(str(key)[:30]) for key in list(keys)[:5])
        return None, f"is JSON of another kind, with the keys {shown}"
    return RECORDS, ""
