"""AVA's CSV annotations -> the COCO style JSON that AVAVideoDataset reads (docs/data.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2

from ...errors import UserError
from ..evaluation.ava_csv import csv_lines, read_label_map
from .clips import VIDEO_SUFFIXES, find_clips, open_video

Box = tuple[float, float, float, float]
Keyframe = tuple[str, int]


@dataclass
class ConversionReport:
    """Counts of what was written, and how many keyframes were left out as excluded."""

    keyframes: int
    persons: int
    labels: int
    excluded: int


def convert_csv(csv_file: str | os.PathLike, videos: str | os.PathLike, out: str | os.PathLike,
                label_map: str | os.PathLike | None = None, exclude: str | os.PathLike | None = None,
                timestamps: str | os.PathLike | None = None) -> ConversionReport:
    """Write ``out``, with one annotation per person and keyframe that lists all his actions.

    Args:
        csv_file: rows ``movie, second, x1, y1, x2, y2, action id, person id`` with fractions of the frame; rows
            ``movie, second`` are keyframes without persons.
        videos: folder with the clips of each movie, or with the movies; the frame sizes come from there.
        label_map: class names (pbtxt); without it the categories are named by their ids.
        exclude: CSV of keyframes ``movie, second`` to leave out.
        timestamps: a text file with one second per line; every movie then has a keyframe at each, also where nobody is
            in sight, where detections are mistakes.

    Raises:
        UserError: a file that cannot be read or written, a wrong row, or a movie without a readable video.
    """
    persons = _read_persons(csv_file)
    if not persons:
        raise UserError(f"{csv_file} has no rows, expected movie, second, x1, y1, x2, y2, action id, person id.")
    if timestamps is not None:
        seconds = [_whole(row[0], timestamps, line) for line, row in csv_lines(timestamps)]
        for movie in sorted({movie for movie, _ in persons}):
            for second in seconds:
                persons.setdefault((movie, second), {})
    left_out = {(row[0], _whole(row[1], exclude, line)) for line, row in csv_lines(exclude) if len(row) > 1} \
        if exclude is not None else set()
    excluded = len(left_out & persons.keys())
    kept = {keyframe: boxes for keyframe, boxes in sorted(persons.items()) if keyframe not in left_out}
    names = read_label_map(label_map) if label_map is not None else {}
    sizes = {movie: frame_size(videos, movie) for movie in sorted({movie for movie, _ in kept})}
    document = {
        "images": [_image(keyframe, sizes) for keyframe in kept],
        "annotations": list(_annotations(kept, sizes)),
        "categories": [{"id": number, "name": name} for number, name in sorted(names.items())],
    }
    _write(Path(out), document)
    labels = sum(len(annotation["action_ids"]) for annotation in document["annotations"])
    return ConversionReport(len(kept), len(document["annotations"]), labels, excluded)


def frame_size(videos: str | os.PathLike, movie: str) -> tuple[int, int]:
    """(width, height) of a movie's frames, from one of its clips or from the movie itself.

    Raises:
        UserError: neither can be read.
    """
    files = [Path(videos) / f"{movie}{suffix}" for suffix in VIDEO_SUFFIXES]
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        clips = find_clips(videos, movie)
        if not len(clips.seconds):
            raise UserError(f"The folder {clips.folder} has no clips, expected videos such as 902.mp4; make them with "
                            "tools/process_ava_videos.py.")
        path = Path(clips.path(int(clips.seconds[0])))
    video = open_video(str(path))
    size = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    video.release()
    if min(size) < 1:
        raise UserError(f"{path} cannot be read as a video, expected the frame size of {movie} from it; make it anew.")
    return size


def image_id(keyframe: Keyframe) -> str:
    """``movie,second``: names the keyframe itself, so that no box file of another set can fit by chance."""
    return f"{keyframe[0]},{keyframe[1]:04d}"


def _read_persons(path: str | os.PathLike) -> dict[Keyframe, dict[Box, list[int]]]:
    """Keyframe -> box (fractions) -> action ids."""
    persons: dict[Keyframe, dict[Box, list[int]]] = {}
    for line, row in csv_lines(path):
        boxes = persons.setdefault((row[0], _whole(row[1] if len(row) > 1 else "", path, line)), {})
        if len(row) == 2 or len(row) > 6 and not any(row[2:7]):
            continue
        try:
            x1, y1, x2, y2 = (float(cell) for cell in row[2:6])
            if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
                raise ValueError("no box")
            actions = boxes.setdefault((x1, y1, x2, y2), [])
            number = int(row[6])
        except (ValueError, IndexError):
            raise UserError(f"{path} line {line}: found {','.join(row)!r}, expected movie, second, x1, y1, x2, y2 as "
                            "fractions of the frame, action id and person id; correct or remove the line.") from None
        if number not in actions:
            actions.append(number)
    return persons


def _whole(cell: str, path: str | os.PathLike, line: int) -> int:
    try:
        return int(float(cell))
    except ValueError:
        raise UserError(f"{path} line {line}: found the second {cell!r}, expected a number; correct or remove the "
                        "line.") from None


def _image(keyframe: Keyframe, sizes: dict[str, tuple[int, int]]) -> dict:
    movie, second = keyframe
    width, height = sizes[movie]
    return {"id": image_id(keyframe), "movie": movie, "timestamp": second, "width": width, "height": height}


def _annotations(persons: dict[Keyframe, dict[Box, list[int]]], sizes: dict[str, tuple[int, int]]) -> Iterable[dict]:
    number = 0
    for keyframe, boxes in persons.items():
        width, height = sizes[keyframe[0]]
        for (x1, y1, x2, y2), actions in boxes.items():
            bbox = [round(value, 3) for value in (x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height)]
            yield {"id": number, "image_id": image_id(keyframe), "bbox": bbox, "action_ids": sorted(actions)}
            number += 1


def _write(path: Path, document: dict) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); name another file with --out.") from error
    finally:
        temporary.unlink(missing_ok=True)
