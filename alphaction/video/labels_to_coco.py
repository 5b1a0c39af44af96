"""Labels of RGB movies from a labeling tool -> the COCO style JSON that AVAVideoDataset reads (docs/data.md)."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..annotations.classes import read_class_file
from ..annotations.importers.pictures import LabelOptions, LabelReport
from ..annotations.importers.read import LabeledFrame, read_labels
from ..errors import UserError
from ..utils.files import write_text


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
    names = list(options.classes or sorted(report.persons))
    independent = report.independent if listed is None else set(listed.independent)
    document = {
        "images": [_image(frame, fps) for frame in frames],
        "annotations": _annotations(frames, fps, {name: number for number, name in enumerate(names, 1)}),
        "categories": [_category(number, name, name in independent) for number, name in enumerate(names, 1)],
    }
    report.keyframes, report.empty = len(frames), sum(not frame.persons for frame in frames)
    Path(os.path.abspath(out)).parent.mkdir(parents=True, exist_ok=True)
    write_text(Path(out), json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    return report


def _category(number: int, name: str, independent: bool) -> dict[str, object]:
    return {"id": number, "name": name, **({"exclusive": False} if independent else {})}


def _second(frame: LabeledFrame, fps: float) -> int | float:
    second = round(frame.frame_idx / fps, 6)
    return int(second) if second.is_integer() else second


def _image_id(frame: LabeledFrame, fps: float) -> str:
    second = _second(frame, fps)
    whole, dot, fraction = str(second).partition(".")
    return f"{frame.recording},{whole.zfill(4)}{dot}{fraction}"


def _size(frame: LabeledFrame) -> tuple[int, int]:
    assert frame.size is not None  # need_size
    return round(frame.size[0]), round(frame.size[1])


def _image(frame: LabeledFrame, fps: float) -> dict[str, object]:
    width, height = _size(frame)
    return {
        "id": _image_id(frame, fps),
        "movie": frame.recording,
        "timestamp": _second(frame, fps),
        "width": width,
        "height": height,
    }


def _annotations(frames: list[LabeledFrame], fps: float, ids: dict[str, int]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for frame in frames:
        width, height = _size(frame)
        for person in frame.persons:
            x1, y1, x2, y2 = person.corners
            box = [round(v, 3) for v in (x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height)]
            for action in person.actions:
                entry: dict[str, object] = {"id": len(found), "image_id": _image_id(frame, fps), "bbox": box}
                found.append({**entry, "category_id": ids[action]})
    return found
