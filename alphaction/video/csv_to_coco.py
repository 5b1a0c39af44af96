"""AVA's CSV annotations -> the COCO style JSON that AVAVideoDataset reads (docs/data.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..annotations import entries
from ..annotations.ava_csv import csv_lines, read_label_map
from ..annotations.clip_annotations import keyframe_name
from ..errors import UserError
from ..utils.files import atomic_write
from .clips import VIDEO_SUFFIXES, open_video
from .movies import MovieFrames, find_movie
from .pictures import MoviePictures

# A box may extend beyond the frame by this fraction of it.
_BEYOND = 0.1

Box = tuple[float, float, float, float]
Keyframe = tuple[str, int]


@dataclass
class ConversionReport:
    """What was written and what was left out.

    Attributes:
        keyframes, persons, labels: written.
        excluded: keyframes left out as excluded.
        without_area: rows left out, since their boxes have no area inside the frame.
        without_video: movie -> keyframes left out, since there is no video of the movie or of that second.
    """

    keyframes: int
    persons: int
    labels: int
    excluded: int
    without_area: int
    without_video: dict[str, int]

    def __str__(self) -> str:
        lines = [f"{self.keyframes} keyframes, {self.persons} persons, {self.labels} labels"]
        if self.excluded:
            lines.append(f"left out: {self.excluded} excluded keyframes")
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
    picture_fps: float = 0.0,
    picture_start: float = 0.0,
) -> ConversionReport:
    """Write ``out``, with one annotation per person and keyframe that lists all their actions.

    Args:
        csv_file: rows ``movie, second, x1, y1, x2, y2, action id, person id`` with fractions of the frame; rows
            ``movie, second`` are keyframes without persons.
        videos: folder with the clips or pictures of each movie, or with the movies; the frame sizes come from there.
        label_map: class names (pbtxt); without it the categories are named by their ids.
        exclude: CSV of keyframes ``movie, second`` to leave out.
        timestamps: a text file with one second per line; every movie then has a keyframe at each, also where nobody is
            in sight, where detections are mistakes.
        picture_fps, picture_start: see :func:`find_movie`.

    Raises:
        UserError: a file that cannot be read or written, a wrong row, an unreadable video, or no video at all.
    """
    persons, without_area = _read_persons(csv_file)
    if not persons:
        raise UserError(f"{csv_file} has no rows, expected movie, second, x1, y1, x2, y2, action id, person id.")
    if timestamps is not None:
        seconds = [_whole(row[0], timestamps, line) for line, row in csv_lines(timestamps)]
        for movie in sorted({movie for movie, _ in persons}):
            for second in seconds:
                persons.setdefault((movie, second), {})
    left_out = (
        {(row[0], _whole(row[1], exclude, line)) for line, row in csv_lines(exclude) if len(row) > 1}
        if exclude is not None
        else set()
    )
    excluded = len(left_out & persons.keys())
    kept = {keyframe: boxes for keyframe, boxes in sorted(persons.items()) if keyframe not in left_out}
    names = read_label_map(label_map) if label_map is not None else {}
    kept, sizes, without_video = _with_video(kept, Path(videos), picture_fps, picture_start)
    if not kept:
        raise UserError(
            f"The folder {videos} has no video of the {len(without_video)} movies in {csv_file} (for "
            f"example {next(iter(without_video), 'none')}), expected FOLDER/MOVIE/SECOND.mp4 or "
            "FOLDER/MOVIE.mkv; correct --videos."
        )
    document = {
        "images": [_image(keyframe, sizes) for keyframe in kept],
        "annotations": list(_annotations(kept, sizes)),
        "categories": [{"id": number, "name": name} for number, name in sorted(names.items())],
    }
    _write(Path(out), document)
    labels = sum(len(annotation["action_ids"]) for annotation in document["annotations"])
    return ConversionReport(len(kept), len(document["annotations"]), labels, excluded, without_area, without_video)


def _with_video(
    persons: dict[Keyframe, dict], folder: Path, picture_fps: float, picture_start: float
) -> tuple[dict[Keyframe, dict], dict[str, tuple[int, int]], dict[str, int]]:
    """The keyframes that have a video, frame sizes by movie, and how many keyframes of which movies have none."""
    files = {path.stem: path for path in folder.glob("*") if path.suffix.lower() in VIDEO_SUFFIXES}
    videos = {
        movie: _Video(files[movie], None) if movie in files else _frames_of(folder, movie, picture_fps, picture_start)
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
    """A video or picture to take the frame size from; with clips or pictures, these."""

    path: Path
    frames: MovieFrames | None

    def has(self, second: float) -> bool:
        return self.frames is None or bool(self.frames.has(np.array([second]))[0])


def _frames_of(folder: Path, movie: str, picture_fps: float, picture_start: float) -> _Video | None:
    if not (folder / movie).is_dir():
        return None
    frames = find_movie(folder, movie, picture_fps, picture_start)
    if isinstance(frames, MoviePictures):
        return _Video(Path(frames.path(int(frames.numbers[0]))), frames)
    first = frames.path(int(frames.seconds[0])) if len(frames.seconds) else None
    return _Video(Path(first), frames) if first else None


def frame_size(path: Path) -> tuple[int, int]:
    """(width, height) of a video's frames or of a picture, upright.

    Raises:
        UserError: it cannot be read.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.suffix.lower() not in VIDEO_SUFFIXES else None
    if picture is not None:
        return picture.shape[1], picture.shape[0]
    video = open_video(str(path))
    size = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    video.release()
    if min(size) < 1:
        raise UserError(
            f"{path} cannot be read as a video, expected the movie's frame size from it; cut or fetch it again."
        )
    return size


def _read_persons(path: str | os.PathLike) -> tuple[dict[Keyframe, dict[Box, list[int]]], int]:
    """Keyframe -> box (fractions, inside the frame) -> action ids; and how many rows had a box without an area."""
    persons: dict[Keyframe, dict[Box, list[int]]] = {}
    without_area = 0
    for line, row in csv_lines(path):
        keyframe = row[0], _whole(row[1] if len(row) > 1 else "", path, line)
        if keyframe not in persons:
            try:
                entries.check_recording_name(entries.check_name(row[0], "movie"), "movie")
            except entries.EntryError as error:
                raise entries.in_file(os.fspath(path), f"line {line}", error) from None
        boxes = persons.setdefault(keyframe, {})
        if len(row) == 2 or len(row) > 6 and not any(row[2:7]):
            continue
        try:
            corners = [float(cell) for cell in row[2:6]]
            x1, y1, x2, y2 = (min(max(corner, 0.0), 1.0) for corner in corners)
            number = int(row[6])
            if number < 1:
                raise ValueError("AVA's action ids start at 1")
        except (ValueError, IndexError):
            raise UserError(
                f"{path} line {line}: found {','.join(row)!r}, expected movie, second, x1, y1, x2, y2 as "
                "fractions of the frame, action id and person id; correct or remove the line."
            ) from None
        if not all(-_BEYOND <= corner <= 1 + _BEYOND for corner in corners):  # NaN is refused too
            raise UserError(
                f"{path} line {line}: found the box {','.join(row[2:6])}, expected x1, y1, x2, y2 as fractions of the "
                "frame, not pixels; correct or remove the line."
            )
        if not (x1 < x2 and y1 < y2):
            without_area += 1
            continue
        actions = boxes.setdefault((x1, y1, x2, y2), [])
        if number not in actions:
            actions.append(number)
    return persons, without_area


def _whole(cell: str, path: str | os.PathLike, line: int) -> int:
    try:
        second = int(float(cell))
        if second < 0:
            raise ValueError("seconds start at 0")
    except (ValueError, OverflowError):
        raise UserError(
            f"{path} line {line}: found the second {cell!r}, expected a number from 0; correct or remove the line."
        ) from None
    return second


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
