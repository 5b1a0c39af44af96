"""AVA's CSV annotations -> the COCO style JSON that AVAVideoDataset reads (docs/data.md)."""

from __future__ import annotations

import json
import logging
import os
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ..annotations import entries
from ..annotations.ava_csv import csv_lines, read_label_map, row_error
from ..annotations.boxes import LARGEST, check_convention
from ..annotations.clip_annotations import MAX_CLASSES, keyframe_name
from ..annotations.seconds import Second, parse_second
from ..annotations.text import composed, find_path
from ..errors import UserError
from ..utils.files import atomic_write
from .clips import VIDEO_SUFFIXES, find_clips, open_video

logger = logging.getLogger(__name__)

_EXPECTED = "movie, second, x1, y1, x2, y2 as fractions of the frame, action id from 1 and person id"

Box = tuple[float, float, float, float]
Keyframe = tuple[str, Second]


@dataclass
class ConversionReport:
    """What was written and what was left out.

    Attributes:
        keyframes, persons, labels: written.
        excluded: keyframes left out as excluded.
        clipped: rows whose boxes extend beyond the frame and were clipped.
        without_area: rows left out, since their boxes have no area inside the frame.
        without_video: movie -> keyframes left out, since there is no video of the movie or of that second.
    """

    keyframes: int
    persons: int
    labels: int
    excluded: int
    clipped: int
    without_area: int
    without_video: dict[str, int]

    def __str__(self) -> str:
        lines = [f"{self.keyframes} keyframes, {self.persons} persons, {self.labels} labels"]
        if self.excluded:
            lines.append(f"left out: {self.excluded} excluded keyframes")
        if self.clipped:
            lines.append(f"clipped: {self.clipped} rows whose boxes extend beyond the frame")
        if self.without_area:
            lines.append(f"left out: {self.without_area} rows whose boxes have no area")
        if self.without_video:
            shown = ", ".join(f"{movie} ({count})" for movie, count in list(self.without_video.items())[:5])
            more = f" and {len(self.without_video) - 5} more" if len(self.without_video) > 5 else ""
            lines.append(f"left out: {sum(self.without_video.values())} keyframes without a video, of {shown}{more}")
        return "\n".join(lines)


def convert_csv(
    csv_file: str | os.PathLike,
    videos: str | os.PathLike,
    out: str | os.PathLike,
    label_map: str | os.PathLike | None = None,
    exclude: str | os.PathLike | None = None,
    timestamps: str | os.PathLike | None = None,
) -> ConversionReport:
    """Write ``out``, with one annotation per person and keyframe that lists all their actions.

    Args:
        csv_file: rows ``movie, second, x1, y1, x2, y2, action id, person id`` with fractions of the frame; rows
            ``movie, second`` are keyframes without persons.
        videos: folder with the clips of each movie, or with the movies; the frame sizes come from there.
        label_map: class names (pbtxt); without it the categories are named by their ids.
        exclude: CSV of keyframes ``movie, second`` to leave out.
        timestamps: a text file with one second per line; every movie then has a keyframe at each, also where nobody is
            in sight, where detections are mistakes.

    Raises:
        UserError: a file that cannot be read or written, a wrong row, boxes in another unit or convention, an
            unreadable video, or no video at all.
    """
    rows = _read_rows(csv_file)
    persons = rows.persons
    if not persons:
        raise UserError(f"{csv_file} has no rows, expected movie, second, x1, y1, x2, y2, action id, person id.")
    if timestamps is not None:
        seconds = [parse_second(row[0], f"{timestamps} line {line}") for line, row in csv_lines(timestamps)]
        for movie in sorted({movie for movie, _ in persons}):
            for second in seconds:
                persons.setdefault((movie, second), {})
    left_out = (
        {
            (composed(row[0]), parse_second(row[1] if len(row) > 1 else "", f"{exclude} line {line}"))
            for line, row in csv_lines(exclude)
        }
        if exclude is not None
        else set()
    )
    excluded = len(left_out & persons.keys())
    if exclude is not None and not excluded:
        logger.warning("%s: none of its %d keyframes is in %s, nothing is left out", exclude, len(left_out), csv_file)
    kept = {keyframe: boxes for keyframe, boxes in sorted(persons.items()) if keyframe not in left_out}
    names = read_label_map(label_map) if label_map is not None else {}
    nameless = sorted({n for boxes in kept.values() for ids in boxes.values() for n in ids} - names.keys())
    if names and nameless:
        logger.warning(
            "%s: %d action ids have no name in %s, such as %d", csv_file, len(nameless), label_map, nameless[0]
        )
    kept, sizes, without_video = _with_video(kept, Path(videos))
    if not kept:
        example = next(iter(without_video), "none")
        suffix = ", and movies without the suffix of a file" if Path(example).suffix.lower() in VIDEO_SUFFIXES else ""
        raise UserError(
            f"The folder {videos} has no video of the {len(without_video)} movies in {csv_file} (for example "
            f"{entries.short(example)}), expected FOLDER/MOVIE/SECOND.mp4 or FOLDER/MOVIE.mkv{suffix}; correct "
            "--videos or the file."
        )
    document = {
        "images": [_image(keyframe, sizes) for keyframe in kept],
        "annotations": list(_annotations(kept, sizes)),
        "categories": [{"id": number, "name": name} for number, name in sorted(names.items())],
    }
    _write(Path(out), document)
    labels = sum(len(annotation["action_ids"]) for annotation in document["annotations"])
    return ConversionReport(
        len(kept), len(document["annotations"]), labels, excluded, rows.clipped, rows.without_area, without_video
    )


def _with_video(
    persons: dict[Keyframe, dict], folder: Path
) -> tuple[dict[Keyframe, dict], dict[str, tuple[int, int]], dict[str, int]]:
    """The keyframes that have a video, frame sizes by movie, and how many keyframes of which movies have none."""
    files = {composed(path.stem): path for path in folder.glob("*") if path.suffix.lower() in VIDEO_SUFFIXES}
    videos = {
        movie: _Video(files[movie], None) if movie in files else _clips_of(folder, movie)
        for movie in dict.fromkeys(movie for movie, _ in persons)
    }
    kept, without = {}, dict.fromkeys(videos, 0)
    for (movie, second), boxes in persons.items():
        video = videos[movie]
        if video is not None and video.has(second):
            kept[movie, second] = boxes
        else:
            without[movie] += 1
    used = {movie for movie, _ in kept}
    sizes = {movie: frame_size(video.path) for movie, video in videos.items() if video and movie in used}
    return kept, sizes, {movie: count for movie, count in without.items() if count}


@dataclass
class _Video:
    """A video to take the frame size from; with clips, the seconds that have one."""

    path: Path
    seconds: frozenset[int] | None

    def has(self, second: Second) -> bool:
        """Whether it has the keyframe; one at a fraction lies in the clip of its whole second."""
        return self.seconds is None or int(second) in self.seconds


def _clips_of(folder: Path, movie: str) -> _Video | None:
    clips = find_clips(folder, movie) if os.path.isdir(find_path(folder, movie)) else None
    first = clips.path(int(clips.seconds[0])) if clips and len(clips.seconds) else None
    return _Video(Path(first), frozenset(clips.seconds.tolist())) if clips and first else None


def frame_size(path: Path) -> tuple[int, int]:
    """(width, height) of a video's frames.

    Raises:
        UserError: it cannot be read.
    """
    video = open_video(str(path))
    size = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    video.release()
    if min(size) < 1:
        raise UserError(
            f"{path} cannot be read as a video, expected the movie's frame size from it; cut or fetch it again."
        )
    return size


@dataclass
class _Rows:
    """Keyframe -> box (fractions, inside the frame) -> action ids; and how many rows had to be changed or left out."""

    persons: dict[Keyframe, dict[Box, list[int]]] = field(default_factory=dict)
    clipped: int = 0
    without_area: int = 0


def _read_rows(path: str | os.PathLike) -> _Rows:
    rows = _Rows()
    boxes = array("d")
    for line, row in csv_lines(path):
        box, action = _read_row(path, line, row, rows)
        if box is None:
            continue
        boxes.extend(box)
        x1, y1, x2, y2 = inside = tuple(min(max(corner, 0.0), 1.0) for corner in box)
        if not (x1 < x2 and y1 < y2):
            rows.without_area += 1
            continue
        rows.clipped += inside != box
        actions = rows.persons[_keyframe(path, line, row)].setdefault((x1, y1, x2, y2), [])
        if action not in actions:
            actions.append(action)
    check_convention(f"The boxes of {path}", np.array(boxes).reshape(-1, 4), "xyxy")
    return rows


def _read_row(path: str | os.PathLike, line: int, row: list[str], rows: _Rows) -> tuple[Box | None, int]:
    """Box and action of a row, None for a keyframe without a person; its keyframe is in ``rows`` afterwards."""
    is_empty = len(row) == 2 or len(row) > 6 and not any(row[2:7])
    box, action = None, 0
    if not is_empty:
        try:
            x1, y1, x2, y2 = (float(cell) for cell in row[2:6])
            box, action = (x1, y1, x2, y2), int(row[6])
        except (ValueError, IndexError):
            raise row_error(path, line, row, _EXPECTED) from None
    keyframe = _keyframe(path, line, row)
    if keyframe not in rows.persons:
        try:
            entries.check_recording_name(entries.check_name(row[0], "movie"), "movie")
            entries.check_name(keyframe_name(*keyframe), "movie,second")  # the id that our reader has to take
        except entries.EntryError as error:
            raise entries.in_file(os.fspath(path), f"line {line}", error) from None
    rows.persons.setdefault(keyframe, {})
    if box is None:
        return None, 0
    if not all(1 - LARGEST <= corner <= LARGEST for corner in box):  # NaN is refused too
        raise UserError(
            f"{path} line {line}: found the box {entries.short(','.join(row[2:6]))}, expected x1, y1, x2, y2 as "
            "fractions of the frame, not pixels; correct or remove the line."
        )
    if not 1 <= action <= MAX_CLASSES:
        raise UserError(
            f"{path} line {line}: found the action id {entries.short(action)}, expected AVA's, 1 to {MAX_CLASSES}; "
            "leave the action and the box empty for a keyframe without a person, or remove the line."
        )
    return box, action


def _keyframe(path: str | os.PathLike, line: int, row: list[str]) -> Keyframe:
    return composed(row[0]), parse_second(row[1] if len(row) > 1 else "", f"{path} line {line}")


def _image(keyframe: Keyframe, sizes: dict[str, tuple[int, int]]) -> dict:
    movie, second = keyframe
    width, height = sizes[movie]
    return {"id": keyframe_name(*keyframe), "movie": movie, "timestamp": second, "width": width, "height": height}


def _annotations(persons: dict[Keyframe, dict[Box, list[int]]], sizes: dict[str, tuple[int, int]]) -> Iterable[dict]:
    number = 0
    for keyframe, boxes in persons.items():
        width, height = sizes[keyframe[0]]
        for (x1, y1, x2, y2), actions in boxes.items():
            bbox = [round(value, 3) for value in (x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height)]
            yield {"id": number, "image_id": keyframe_name(*keyframe), "bbox": bbox, "action_ids": sorted(actions)}
            number += 1


def _write(path: Path, document: dict) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); name another file with --out.") from error
