"""COCO JSON: "images" with file names and sizes, "annotations" with boxes, "categories".

``bbox`` is x, y, width, height in pixels of the image. The category is the label; ``attributes`` (as CVAT exports them)
and ``track_id`` are read as well. Unlike the files of docs/thermal_data.md, whose images name recording and frame,
those of a tool tell both by ``file_name``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from .. import entries
from ..classes import category_names
from ..coco import Keyframe, read_coco
from ..entries import EntryError
from ..json_files import stream_lists
from .actions import actions_of, free_texts
from .names import base_name
from .pictures import Attribute, Picture, Reading, scaled, to_size


def read_coco_labels(path: Path, reading: Reading) -> list[Picture]:
    """Pictures of a COCO file.

    Raises:
        UserError: see :func:`alphaction.annotations.coco.read_coco`; an image without a name or size, an unknown
            category, a box larger than its picture.
    """
    names: list[str] = []

    def keyframe_of(entry: object) -> Keyframe:
        names.append(entries.name(entry, "file_name"))
        size = to_size(entries.value(entry, "width"), entries.value(entry, "height"))
        # Each image is one of its own: which frame it shows, and that its name must tell, is checked later.
        return Keyframe("", len(names), round(size[0]), round(size[1]))

    coco = read_coco(path, keyframe_of)
    categories = category_names(coco.path, coco.categories)
    pictures = [
        Picture(name, f"{path.name}, image {entries.short(base_name(name))}", (float(size[0]), float(size[1])))
        for name, size in zip(names, coco.sizes.tolist(), strict=True)
    ]
    kinds = _kinds(path)
    for number, entry in enumerate(_stream_annotations(path)):
        picture = pictures[coco.owners[number]]
        where = f"{picture.where}, entry {number + 1} of annotations"
        label = categories.get(int(coco.class_ids[number]))
        if label is None:
            raise entries.in_file(
                os.fspath(path),
                f"entry {number + 1} of annotations",
                EntryError(f"has the category {coco.class_ids[number]}, expected one of 'categories'"),
            )
        if isinstance(entry, dict) and entry.get("iscrowd") in (1, True):
            reading.unusable(picture, "annotation of a crowd", where)
            continue
        attributes, object_id = _attributes(entry, kinds)
        x, y, width, height = coco.boxes[number].tolist()
        actions = actions_of(reading, [label], attributes, where)
        size = picture.size or (1.0, 1.0)
        reading.add_box(picture, scaled((x, y, x + width, y + height), size), actions, where, object_id)
    return pictures


def _stream_annotations(path: Path) -> Iterator[object]:
    return (entry for key, entry in stream_lists(path, "annotation file") if key == "annotations")


def _kinds(path: Path) -> dict[str, str]:
    """Kinds of the attributes, of which the format states none."""
    values: dict[str, Counter[str]] = {}
    for entry in _stream_annotations(path):
        for name, value, _ in _attributes(entry, {})[0]:
            if isinstance(value, str):
                values.setdefault(name, Counter())[value] += 1
    return free_texts(values)


def _attributes(entry: object, kinds: Mapping[str, str]) -> tuple[list[Attribute], int]:
    """Attributes of an annotation and the number of its track."""
    found = entry.get("attributes") if isinstance(entry, dict) else None
    attributes = found if isinstance(found, dict) else {}
    track = attributes.get("track_id", entry.get("track_id") if isinstance(entry, dict) else None)
    read = [
        Attribute(str(name), value if isinstance(value, bool) else str(value), kinds.get(str(name), ""))
        for name, value in attributes.items()
        if isinstance(value, (bool, str, int, float))
    ]
    return read, track if type(track) is int and 0 <= track < 2**31 else 0
