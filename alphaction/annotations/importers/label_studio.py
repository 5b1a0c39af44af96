"""Label Studio's JSON export: a list of tasks.

    [{"data": {"image": "/data/upload/1/3f2a9b1c-NAME.png"},
      "annotations": [{"result": [{"id": "a", "type": "rectanglelabels", "original_width": 480, "original_height": 320,
        "value": {"x": 10.0, "y": 20.0, "width": 5.0, "height": 8.0, "rotation": 0, "rectanglelabels": ["standing"]}},
        {"id": "a", "type": "choices", "value": {"choices": ["phone"], "x": ...}}]}]}]

Boxes are percent of the picture from its top left corner; results with one ``id`` belong to one region. Of several
annotations of a task the last one counts. A task without an annotation was not labeled; an annotation without a
region is a picture without a person.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from .. import entries
from ..entries import EntryError
from ..json_files import read_json
from .actions import actions_of
from .names import parse_picture, uploaded_name
from .pictures import Attribute, Corners, Picture, Reading, Size, to_size
from .templates import ALSO

# Types whose values are names, under the key of the same name.
_NAME_TYPES = ("rectanglelabels", "labels", "choices", "taxonomy")
_RECTANGLES = ("rectanglelabels", "rectangle")
# Types that say something about the whole picture where they belong to no region.
_WHOLE = ("choices", "taxonomy", "textarea", "rating", "number", "datetime", "relation")


def read_label_studio(path: Path, reading: Reading) -> list[Picture]:
    """Pictures of an export.

    Raises:
        UserError: not a list of tasks, a number that is none, a box larger than its picture.
    """
    document = read_json(path, "Label Studio export")
    tasks = document if isinstance(document, list) else [document]
    pictures = []
    for number, task in enumerate(tasks, 1):
        where = f"{path.name}, task {number}"
        try:
            results = _results(task, reading, where)
            if results is not None:
                pictures.append(_read_task(task, results, reading, where))
        except EntryError as error:
            raise entries.in_file(os.fspath(path), f"task {number}", error) from None
    return pictures


def _results(task: object, reading: Reading, where: str) -> list[object] | None:
    """Results of the annotation of a task that counts, None where it has none."""
    found = entries.value(task, "annotations" if isinstance(task, dict) and "annotations" in task else "completions")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise EntryError(f"has 'annotations' {entries.short(found)}, expected a list of objects")
    given = [one for one in found if not one.get("was_cancelled") and not one.get("skipped")]
    if not given:
        reading.report.skip("task without an annotation", where)
        return None
    for _ in given[1:]:
        reading.report.skip("annotation of a task that was annotated again", where)
    last = max(range(len(given)), key=lambda n: (str(given[n].get("updated_at") or ""), n))
    results = entries.value(given[last], "result")
    if not isinstance(results, list):
        raise EntryError(f"has 'result' {entries.short(results)}, expected a list")
    return results


def _read_task(task: object, results: list[object], reading: Reading, where: str) -> Picture:
    picture = Picture(_picture_name(task), where)
    regions: dict[str, list[dict[str, object]]] = {}
    for number, result in enumerate(results):
        if not isinstance(result, dict):
            raise EntryError(f"has the result {entries.short(result)}, expected an object")
        regions.setdefault(str(result.get("id") or f"#{number}"), []).append(result)
    for parts in regions.values():
        _add_region(picture, parts, reading)
    return picture


def _picture_name(task: object) -> str:
    """The picture's name: ``file_upload``, else the value of ``data`` that is one."""
    data = entries.value(task, "data")
    values = list(data.values()) if isinstance(data, dict) else [data]
    if isinstance(task, dict) and task.get("file_upload"):
        values.insert(0, f"upload/{task['file_upload']}")
    names = [uploaded_name(value) for value in values if isinstance(value, str)]
    if not names:
        raise EntryError(f"has 'data' {entries.short(data)}, expected the address of a picture")
    return next((name for name in names if parse_picture(name)), names[0])


def _add_region(picture: Picture, parts: list[dict[str, object]], reading: Reading) -> None:
    shapes = [part for part in parts if part.get("type") in _RECTANGLES]
    where = picture.where
    if not shapes:
        kind = entries.short(str(parts[0].get("type")))
        if all(part.get("type") in _WHOLE for part in parts):
            reading.report.skip(f"result of type {kind} about the whole picture", where)
        else:
            reading.unusable(picture, f"region of type {kind}, expected a rectangle", where)
        return
    labels: list[str] = []
    attributes: list[Attribute] = []
    for part in parts:
        for kind in _NAME_TYPES:
            names = _names(_value(part).get(kind))
            if kind == "choices":
                key = str(part.get("from_name") or kind)
                several = key == ALSO or len(names) > 1
                attributes += [Attribute(key, name, "multiple" if several else "select") for name in names]
            else:
                labels += names
        if part.get("type") not in (*_NAME_TYPES, "rectangle"):
            reading.report.skip(f"result of type {entries.short(str(part.get('type')))}", where)
    shape = shapes[0]
    if shape.get("original_width") is not None:
        picture.size = to_size(shape.get("original_width"), shape.get("original_height"))
    corners = _corners(_value(shape), picture.size, reading, where)
    reading.add_box(picture, corners, actions_of(reading, labels, attributes, where), where)


def _value(part: dict[str, object]) -> dict[str, object]:
    found = part.get("value")
    if not isinstance(found, dict):
        raise EntryError(f"has a result with the value {entries.short(found)}, expected an object")
    return found


def _names(found: object) -> list[str]:
    """Names in a value: a list of names, or of paths through a taxonomy, whose ends count."""
    if found is None:
        return []
    if not isinstance(found, list):
        raise EntryError(f"has the labels {entries.short(found)}, expected a list")
    ends = [one[-1] if isinstance(one, list) and one else one for one in found]
    return [entries.check_name(one, "label") for one in ends]


def _corners(value: dict[str, object], size: Size | None, reading: Reading, where: str) -> Corners:
    x, y, width, height = (entries.to_number(value.get(key), key) / 100 for key in ("x", "y", "width", "height"))
    angle = math.radians(entries.to_number(value.get("rotation") or 0, "rotation"))
    if not math.degrees(angle) % 360:
        return x, y, x + width, y + height
    reading.report.skip("rotation of a box (the upright box around it is taken)", where)
    # It turns about the top left corner, in pixels.
    w, h = size or (1.0, 1.0)
    xs, ys = [], []
    for dx, dy in ((0.0, 0.0), (width * w, 0.0), (0.0, height * h), (width * w, height * h)):
        xs.append(x + (dx * math.cos(angle) - dy * math.sin(angle)) / w)
        ys.append(y + (dx * math.sin(angle) + dy * math.cos(angle)) / h)
    return min(xs), min(ys), max(xs), max(ys)
