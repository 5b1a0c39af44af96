"""VGG Image Annotator, version 2: project or annotations as JSON, annotations as CSV.

    {"NAME.png12345": {"filename": "NAME.png", "size": 12345, "file_attributes": {"width": "480", "height": "320"},
       "regions": [{"shape_attributes": {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40},
                    "region_attributes": {"action": "standing", "also": {"phone": true}}}]}}

A project has that under ``_via_img_metadata``, and the attributes' kinds under ``_via_attributes``. The CSV has a line
per region with the same objects in columns. Boxes are pixels; VIA does not save the size of a picture, so that it comes
from the file attributes ``width`` and ``height``, which ``alphaction export-for-labelling`` writes, else from the
picture.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...errors import UserError
from .. import entries
from ..ava_csv import csv_lines
from ..entries import EntryError
from ..json_files import read_json
from .actions import actions_of, free_texts
from .names import base_name
from .pictures import Attribute, Picture, Reading, Size, scaled, to_size
from .sizes import picture_size

CSV_COLUMNS = ("filename", "region_count", "region_shape_attributes", "region_attributes")
Kinds = Mapping[str, str]


def read_via(path: Path, reading: Reading) -> list[Picture]:
    """Pictures of a project, or of annotations exported as JSON or CSV.

    Raises:
        UserError: entries of another form, a picture whose size nothing tells, a box larger than its picture.
    """
    return (_read_csv if path.suffix.lower() == ".csv" else _read_json)(path, reading)


def _read_json(path: Path, reading: Reading) -> list[Picture]:
    document = read_json(path, "VIA file")
    kinds: dict[str, str] = {}
    if isinstance(document, dict) and "_via_img_metadata" in document:
        kinds = _kinds(document)
        document = document["_via_img_metadata"]
    if not isinstance(document, dict):
        raise UserError(f"The VIA file {path} holds no object with pictures, expected VIA 2's JSON; export it again.")
    kinds = kinds or _likely_kinds(document)
    pictures = []
    for number, entry in enumerate(document.values(), 1):
        try:
            regions = entries.value(entry, "regions")
            if isinstance(regions, dict):  # VIA 1
                regions = list(regions.values())
            if not isinstance(regions, list):
                raise EntryError(f"has 'regions' {entries.short(regions)}, expected a list")
            name, attributes = entries.name(entry, "filename"), _object(entry, "file_attributes")
            picture = Picture(name, f"{path.name}, picture {entries.short(base_name(name))}", _stated_size(attributes))
            for region in regions:
                _add_region(path, picture, region, kinds, reading)
            pictures.append(picture)
        except EntryError as error:
            raise entries.in_file(os.fspath(path), f"picture {number}", error) from None
    return pictures


def _read_csv(path: Path, reading: Reading) -> list[Picture]:
    pictures: dict[str, Picture] = {}
    for line, row in _rows(path):
        try:
            name = entries.check_name(row.get("filename"), "filename")
            where = f"{path.name}, picture {entries.short(base_name(name))}"
            size = _stated_size(_cell(row, "file_attributes"))
            picture = pictures.setdefault(name, Picture(name, where, size))
            if entries.to_whole(row.get("region_count") or "1", "region_count") == 0:
                continue
            region = {key: _cell(row, f"region_{key}") for key in ("shape_attributes", "attributes")}
            region["region_attributes"] = region.pop("attributes")
            _add_region(path, picture, region, {}, reading)
        except EntryError as error:
            raise entries.in_file(os.fspath(path), f"line {line}", error) from None
    return list(pictures.values())


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and cells by column."""
    lines = csv_lines(path, "label file")
    columns = [name.lstrip("#").strip() for name in next(lines, (0, []))[1]]
    missing = [name for name in CSV_COLUMNS if name not in columns]
    if missing:
        raise UserError(f"{path} lacks the column {missing[0]!r}, expected VIA's CSV; export it again.")
    for line, cells in lines:
        yield line, dict(zip(columns, cells, strict=False))


def _cell(row: Mapping[str, str], key: str) -> dict[str, object]:
    try:
        found = json.loads(row.get(key) or "{}")
    except (ValueError, RecursionError):
        raise EntryError(f"has {key!r} {entries.short(row.get(key))}, expected a JSON object") from None
    if not isinstance(found, dict):
        raise EntryError(f"has {key!r} {entries.short(found)}, expected a JSON object")
    return found


def _object(entry: object, key: str) -> dict[str, object]:
    found = entry.get(key) if isinstance(entry, dict) else None
    return found if isinstance(found, dict) else {}


def _kinds(project: Mapping[str, object]) -> dict[str, str]:
    """Kind of each region attribute of a project."""
    regions = _object(project.get("_via_attributes"), "region")
    return {name: str(_object(regions, name).get("type", "")) for name in regions}


def _likely_kinds(pictures: Mapping[str, object]) -> dict[str, str]:
    """Kinds of the region attributes of annotations, which state none."""
    values: dict[str, Counter[str]] = {}
    for picture in pictures.values():
        regions = picture.get("regions") if isinstance(picture, dict) else None
        for region in regions.values() if isinstance(regions, dict) else regions if isinstance(regions, list) else ():
            for name, value in _object(region, "region_attributes").items():
                if isinstance(value, str):
                    values.setdefault(name, Counter())[value] += 1
    return free_texts(values)


def _add_region(path: Path, picture: Picture, region: object, kinds: Kinds, reading: Reading) -> None:
    shape = entries.value(region, "shape_attributes")
    kind = entries.value(shape, "name")
    if kind != "rect":
        reading.unusable(picture, f"region of shape {entries.short(kind)}, expected 'rect'", picture.where)
        return
    x, y, width, height = (entries.to_number(entries.value(shape, key), key) for key in ("x", "y", "width", "height"))
    if picture.size is None:
        picture.size = picture_size(path, picture.name, reading.options)
    actions = actions_of(reading, [], _attributes(_object(region, "region_attributes"), kinds), picture.where)
    reading.add_box(picture, scaled((x, y, x + width, y + height), picture.size), actions, picture.where)


def _attributes(found: Mapping[str, object], kinds: Kinds) -> list[Attribute]:
    read = []
    for name, value in found.items():
        if isinstance(value, dict):  # a checkbox: option -> whether it is chosen
            read += [Attribute(name, option, "multiple") for option, chosen in value.items() if chosen]
        elif isinstance(value, (str, int, float)):
            read.append(Attribute(name, value if isinstance(value, bool) else str(value), kinds.get(name, "")))
    return read


def _stated_size(file_attributes: Mapping[str, object]) -> Size | None:
    width, height = file_attributes.get("width"), file_attributes.get("height")
    return to_size(width, height) if width and height else None
