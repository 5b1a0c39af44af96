"""Label files of any tool -> labeled frames of recordings or movies."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...errors import UserError
from .. import entries
from ..boxes import check_convention, check_pixels
from ..entries import EntryError
from ..text import read_text, short_list
from .coco import read_coco_labels
from .cvat import read_cvat
from .label_studio import read_label_studio
from .names import base_name, parse_picture, parse_video
from .pictures import Box, LabelOptions, LabelReport, Picture, Reading, Size
from .recognize import RECORDS, find_label_files
from .sizes import picture_size
from .via import read_via
from .yolo import read_yolo

_READERS: dict[str, Callable[[Path, Reading], list[Picture]]] = {
    "cvat": read_cvat,
    "coco": read_coco_labels,
    "label-studio": read_label_studio,
    "via": read_via,
    "yolo": read_yolo,
}
# Unit and convention of the boxes of a format.
_BOXES = {
    "cvat": ("pixels", "xyxy"),
    "coco": ("pixels", "xywh"),
    "label-studio": ("percent", "xywh"),
    "via": ("pixels", "xywh"),
    "yolo": ("fractions", "cxcywh"),
}
# Fewer boxes that reach beyond their picture are only counted.
_FEW = 3


@dataclass
class LabeledFrame:
    """A labeled frame of a recording or movie.

    Attributes:
        recording: its name.
        frame_idx: number of the frame from 0.
        size: width and height in pixels of the picture that was labeled, None where nothing tells it.
        persons: corners ``x1, y1, x2, y2`` as fractions of the picture, the names of the person's actions, number of
            the person; none for a frame without a person.
        where: file and entry, for messages.
    """

    recording: str
    frame_idx: int
    size: Size | None
    persons: list[Box]
    where: str

    def annotations(self) -> list[object]:
        """The persons as entries of an annotation record (docs/thermal_data.md)."""
        found: list[object] = []
        for person in self.persons:
            x1, y1, x2, y2 = person.corners
            bbox = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
            entry = {"category": "person", "subcategory": list(person.actions), "bbox": bbox}
            found.append({**entry, "object_id": person.object_id})
        return found


def read_labels(path: str | Path, options: LabelOptions, report: LabelReport) -> tuple[list[LabeledFrame], list[Path]]:
    """Labeled frames of a file, YOLO's folder or a folder of files, in order of recording and frame.

    Returns:
        the frames, and the files of annotation records, which are left to their reader.

    Raises:
        UserError: nothing there, an entry that cannot be read, a file whose pictures name no recording and frame, or no
            box at all.
    """
    files, others = find_label_files(path, options.format)
    if others:
        report.skip(f"files beside the labels or records: {short_list(others)}", Path(path).name)
    records = [file for file, kind in files if kind == RECORDS]
    files = [(file, kind) for file, kind in files if kind != RECORDS]
    frames: dict[tuple[str, int], LabeledFrame] = {}
    empty = 0
    for file, kind in files:
        reading = Reading(options, report)
        pictures = _READERS[kind](file, reading)
        _check_boxes(file, kind, pictures, reading)
        reading.report_independent()
        if any(picture.boxes or picture.unusable for picture in pictures):
            _add_pictures(frames, file, pictures, options, report)
        else:
            empty += 1
            report.skip("file without a box", file.name)
    if files and empty == len(files):
        raise UserError(
            f"{path} has no box in any picture, expected the labels of persons: label some, or correct --annotations."
        )
    return [frames[key] for key in sorted(frames)], records


def _check_boxes(file: Path, kind: str, pictures: list[Picture], reading: Reading) -> None:
    """Raise UserError where most boxes of a file are in another unit or convention than its format's."""
    unit, convention = _BOXES[kind]
    corners = np.array(reading.corners).reshape(-1, 4)
    if convention != "xyxy":
        size = corners[:, 2:] - corners[:, :2]
        low = corners[:, :2] + size / 2 if convention == "cxcywh" else corners[:, :2]
        check_convention(os.fspath(file), np.concatenate([low, size], axis=1), convention)
    if len(corners) >= _FEW and 2 * reading.beyond > len(corners):
        raise UserError(
            f"{file} has {reading.beyond} of {len(corners)} boxes that reach beyond their picture, expected boxes "
            f"inside it, in {unit} as the format has them; correct the boxes or the sizes of the pictures."
        )
    if unit == "fractions":
        return
    sized = [
        (box.corners, (100.0, 100.0) if unit == "percent" else picture.size)
        for picture in pictures
        if unit == "percent" or picture.size is not None
        for box in picture.boxes
    ]
    if sized:
        sizes = np.array([size for _, size in sized], np.float64)
        boxes = np.array([box for box, _ in sized]) * np.tile(sizes, 2)
        check_pixels(os.fspath(file), boxes, "xyxy", sizes, unit)


def _add_pictures(
    frames: dict[tuple[str, int], LabeledFrame],
    file: Path,
    pictures: list[Picture],
    options: LabelOptions,
    report: LabelReport,
) -> None:
    unnamed = 0
    for picture in pictures:
        place = _place(picture, file, options)
        if place is None:
            shown = base_name(picture.name)[:80]
            report.skip("picture whose name is not RECORDING__FRAME", f"{picture.where} ({shown})")
            unnamed += 1
        elif picture.unusable and not picture.boxes:
            report.skip("picture with boxes, none of which is a person with an action", picture.where)
        elif not picture.boxes and options.skip_empty:
            report.skip("picture without a box", picture.where)
        else:
            size = picture.size
            if size is None and options.need_size:
                size = picture_size(file, picture.name, options)
            _add_frame(frames, LabeledFrame(*place, size, merge_boxes(picture.boxes), picture.where), report)
    if unnamed == len(pictures):
        raise UserError(
            f"{file} has {unnamed} pictures such as {entries.short(base_name(pictures[0].name))}, none of them named "
            "RECORDING__FRAME (SL14_R1__000123.png) as by 'alphaction export-for-labelling': rename them in the file."
        )


def _add_frame(frames: dict[tuple[str, int], LabeledFrame], frame: LabeledFrame, report: LabelReport) -> None:
    """Of several pictures of a frame, the last one with persons counts."""
    key = (frame.recording, frame.frame_idx)
    other = frames.get(key)
    if other is not None:
        report.skip("picture of a frame that another picture shows", (frame if other.persons else other).where)
    if other is None or frame.persons or not other.persons:
        frames[key] = frame


def _place(picture: Picture, path: Path, options: LabelOptions) -> tuple[str, int] | None:
    """Recording and frame of a picture."""
    if picture.frame is None:
        found = parse_picture(picture.name)
    else:
        recording, start, step = parse_video(picture.name)
        listed = _frame_list(path, base_name(picture.name), options)
        if listed is None:
            found = recording, start + step * picture.frame
        else:
            found = (recording, listed[picture.frame]) if picture.frame < len(listed) else None
    if found is None:
        return None
    try:
        name = entries.check_recording_name(entries.check_name(found[0], "name"), "name")
    except EntryError:
        return None
    return name, found[1]


def _frame_list(path: Path, video: str, options: LabelOptions) -> list[int] | None:
    """Frames of a video as NAME.frames.txt lists them."""
    file = (options.pictures or path.parent) / f"{os.path.splitext(video)[0]}.frames.txt"
    if not file.is_file():
        return None
    try:
        lines = read_text(file, "list of frames").split("\n")
        return [entries.to_whole(line.strip(), "frame") for line in lines if line.strip()]
    except EntryError as error:
        raise UserError(f"{file} cannot be read ({str(error)[:120]}), expected a frame per line: correct it.") from None


def merge_boxes(boxes: list[Box]) -> list[Box]:
    """Boxes of a picture with the same corners are one person with all their actions."""
    merged: dict[tuple[float, ...], Box] = {}
    for box in boxes:
        other = merged.setdefault(box.corners, box)
        if other is not box:
            merged[box.corners] = replace(other, actions=tuple(dict.fromkeys(other.actions + box.actions)))
    return list(merged.values())
