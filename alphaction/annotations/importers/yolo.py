"""YOLO's folder: a text file per picture, and the names of the classes.

    classes.txt, obj.names, _darknet.labels      a name in each line
    data.yaml, dataset.yaml                      names: [standing, sitting] or {0: standing, 1: sitting}
    labels/RECORDING__000123.txt                 CLASS CX CY WIDTH HEIGHT, fractions of the picture

The text files may be in folders below. Lines with the same box are one person with several actions. An empty text file
is a picture without a person; a picture without a text file was not labeled.
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from ...errors import UserError
from .. import entries
from ..entries import EntryError
from ..text import open_text
from .actions import actions_of
from .pictures import Picture, Reading

CLASS_FILES = ("classes.txt", "obj.names", "_darknet.labels", "data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
_LISTS = ("train.txt", "val.txt", "valid.txt", "test.txt")
_MAX_BYTES = 1 << 20


def class_file(folder: Path) -> Path | None:
    """The file with the names of the classes in a folder."""
    return next((folder / name for name in CLASS_FILES if (folder / name).is_file()), None)


def read_yolo(folder: Path, reading: Reading) -> list[Picture]:
    """Pictures of a folder.

    Raises:
        UserError: no names, a line of another form, a class without a name, numbers that are no fractions.
    """
    named = class_file(folder)
    if named is None:
        raise UserError(f"{folder} has none of {', '.join(CLASS_FILES)}, expected the names of the classes; add one.")
    names = _class_names(named)
    skipped = {named.name, *_LISTS}
    files = sorted(p for p in folder.rglob("*.txt") if p.name not in skipped and not p.name.startswith((".", "README")))
    if not files:
        raise UserError(f"{folder} has no text files of boxes, expected one per picture; correct --annotations.")
    return [_read_file(file, folder, names, reading) for file in files]


def _class_names(path: Path) -> dict[int, str]:
    text = _text(path)
    found: object = [line.strip() for line in text.split("\n")]
    if path.suffix in (".yaml", ".yml"):
        try:
            document = yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            reason = " ".join(str(error).split())[:120]
            raise UserError(f"{path} is not YAML ({reason}), expected YOLO's data file; correct it.") from None
        found = document.get("names") if isinstance(document, dict) else None
    elif isinstance(found, list):
        while found and not found[-1]:
            found.pop()
    found = dict(enumerate(found)) if isinstance(found, list) else found
    pairs = found if isinstance(found, dict) else {}
    try:
        names = {entries.to_whole(number, "id"): entries.check_name(name, "name") for number, name in pairs.items()}
    except EntryError as error:
        raise entries.in_file(os.fspath(path), "a class", error) from None
    if not names:
        raise UserError(f"{path} names no class, expected one per line or 'names'; correct it.")
    return names


def _text(path: Path) -> str:
    with open_text(path, "label file", expected="a text file of YOLO") as file:
        text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise UserError(f"{path} has more than {_MAX_BYTES} characters, expected a text file of YOLO; remove it.")
    return text


def _read_file(file: Path, folder: Path, names: dict[int, str], reading: Reading) -> Picture:
    shown = file.relative_to(folder).as_posix()
    picture = Picture(file.name, f"{folder.name}/{shown}")
    for line, text in enumerate(_text(file).split("\n"), 1):
        cells = text.split()
        if not cells:
            continue
        where = f"{picture.where} line {line}"
        try:
            if len(cells) < 5 or len(cells) > 6:
                raise EntryError(f"has {len(cells)} numbers, expected CLASS CX CY WIDTH HEIGHT")
            if len(cells) == 6:
                reading.report.skip("sixth number of a line (a score or a track)", where)
            number = entries.to_whole(cells[0], "class")
            if number not in names:
                raise EntryError(f"has the class {number}, expected one of the {len(names)} that the folder names")
            cx, cy, width, height = (entries.to_number(cell, "box") for cell in cells[1:5])
            if max(cx, cy, width, height) > 1.5:
                shown_box = " ".join(cells[1:5])[:80]
                raise EntryError(f"has the box {shown_box}, expected fractions of the picture, not pixels")
        except EntryError as error:
            raise entries.in_file(os.fspath(folder), f"{shown} line {line}", error) from None
        corners = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
        reading.add_box(picture, corners, actions_of(reading, [names[number]], [], where), where)
    return picture
