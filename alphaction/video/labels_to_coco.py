"""Labels of RGB movies from a labeling tool -> the COCO style JSON that AVAVideoDataset reads (docs/video_data.md)."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..annotations.classes import read_class_file
from ..annotations.importers.pictures import LabelOptions, LabelReport
from ..annotations.importers.read import LabeledFrame, read_labels
from ..annotations.seconds import Second
from ..errors import UserError
from .coco_file import image_entry, pixel_box, write_coco


@dataclass
class MovieLabelReport(LabelReport):
    """What was written, beside the counts of what was not used.

    Attributes:
        keyframes: with persons or without.
        empty: keyframes without a person.
        persons: class -> how many persons have it.
    """

    keyframes: int = 0
    empty: int = 0
    persons: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        classes = ", ".join(f"{name} {count}" for name, count in sorted(self.persons.items()))
        head = f"{self.keyframes} keyframes, {self.empty} of them without a person; {classes}"
        unused = super().__str__()
        return f"{head}\n{unused}" if unused else head


def convert_labels(
    annotations: str | Path,
    out: str | Path,
    fps: float,
    classes: str | Path | None = None,
    options: LabelOptions | None = None,
) -> MovieLabelReport:
    """Write ``out``: a keyframe for each labeled picture, an annotation for each person and action.

    Args:
        annotations: labels whose pictures are named MOVIE__FRAME, or of videos.
        out: JSON file.
        fps: frame F is at second F / fps.
        classes: file with the names of the classes; None: those of the labels, sorted.
        options: what the labels do not say.

    Raises:
        UserError: see :func:`read_labels`; no person at all, a picture without a size, an impossible ``fps``.
    """
    if not (math.isfinite(fps) and 0 < fps <= 1000):
        raise UserError(f"--fps is {fps}, expected frames per second above 0: correct it.")
    options, report = replace(options or LabelOptions(), need_size=True), MovieLabelReport()
    listed = read_class_file(classes) if classes is not None else None
    if listed is not None:
        options = replace(options, classes=listed.names)
    frames, records = read_labels(annotations, options, report)
    if records:
        raise UserError(
            f"{records[0]} holds annotation records or JSON of another kind, expected labels of CVAT, COCO, Label "
            "Studio, VIA or YOLO: export it again."
        )
    for frame in frames:
        report.persons.update(action for person in frame.persons for action in person.actions)
    if not report.persons:
        raise UserError(f"{annotations} gave no person with an action, expected at least one: check it.\n{report}")
    names = dict(enumerate(options.classes or sorted(report.persons), 1))
    ids = {name: number for number, name in names.items()}
    images, found = [], []
    for frame in frames:
        size = _size(frame)
        images.append(image_entry(frame.recording, _second(frame, fps), size))
        for person in frame.persons:
            entry = {"image_id": images[-1]["id"], "bbox": pixel_box(person.corners, size)}
            found += [{**entry, "category_id": ids[action]} for action in person.actions]
    independent = report.independent if listed is None else listed.independent
    write_coco(out, images, [{"id": number, **entry} for number, entry in enumerate(found)], names, independent)
    report.keyframes, report.empty = len(frames), sum(not frame.persons for frame in frames)
    return report


def _second(frame: LabeledFrame, fps: float) -> Second:
    second = round(frame.frame_idx / fps, 6)
    return int(second) if second.is_integer() else second


def _size(frame: LabeledFrame) -> tuple[int, int]:
    assert frame.size is not None  # need_size
    return round(frame.size[0]), round(frame.size[1])
