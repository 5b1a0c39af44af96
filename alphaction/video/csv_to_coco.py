"""AVA's CSV annotations -> the COCO style JSON that AVAVideoDataset reads (docs/video_data.md)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..annotations import entries
from ..annotations.ava_csv import csv_lines, read_label_map
from ..annotations.clip_annotations import keyframe_name
from ..annotations.seconds import Second, parse_second
from ..annotations.text import composed, find_path
from ..errors import UserError
from .clips import VIDEO_SUFFIXES, find_clips, open_video
from .coco_file import image_entry, pixel_box, write_coco
from .csv_rows import Box, Keyframe, read_keyframe, read_rows
from .movies import MovieFrames, find_movie
from .pictures import MoviePictures, find_series

logger = logging.getLogger(__name__)


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
        UserError: a file that cannot be read or written, a wrong row, boxes in another unit or convention, an
            unreadable video, or no video at all.
    """
    rows = read_rows(csv_file)
    persons = rows.persons
    if not persons:
        raise UserError(f"{csv_file} has no rows, expected movie, second, x1, y1, x2, y2, action id, person id.")
    if timestamps is not None:
        _add_seconds(persons, timestamps)
    left_out = set() if exclude is None else _read_exclusions(exclude)
    excluded = len(left_out & persons.keys())
    if exclude is not None and not excluded:
        logger.warning("%s: none of its %d keyframes is in %s, nothing is left out", exclude, len(left_out), csv_file)
    kept = {keyframe: boxes for keyframe, boxes in sorted(persons.items()) if keyframe not in left_out}
    names = {} if label_map is None else _read_names(label_map, csv_file, kept)
    kept, sizes, without_video = _with_video(kept, Path(videos), picture_fps, picture_start)
    if not kept:
        raise _no_video(videos, csv_file, sorted(persons.keys() - left_out))
    images = [image_entry(movie, second, sizes[movie]) for movie, second in kept]
    annotations = list(_annotations(kept, sizes))
    write_coco(out, images, annotations, names)
    labels = sum(len(annotation["action_ids"]) for annotation in annotations)
    return ConversionReport(
        len(kept), len(annotations), labels, excluded, rows.clipped, rows.without_area, without_video
    )


def _add_seconds(persons: dict[Keyframe, dict[Box, list[int]]], path: str | os.PathLike) -> None:
    """Add a keyframe at each second of a file to every movie."""
    seconds = [parse_second(row[0], f"{path} line {line}") for line, row in csv_lines(path)]
    for movie in sorted({movie for movie, _ in persons}):
        for second in seconds:
            persons.setdefault((movie, second), {})


def _read_exclusions(path: str | os.PathLike) -> set[Keyframe]:
    return {read_keyframe(path, line, row) for line, row in csv_lines(path)}


def _read_names(
    path: str | os.PathLike, csv_file: str | os.PathLike, kept: dict[Keyframe, dict[Box, list[int]]]
) -> dict[int, str]:
    """Names of a label map; says which actions have none."""
    names = read_label_map(path)
    nameless = sorted({number for boxes in kept.values() for ids in boxes.values() for number in ids} - names.keys())
    if nameless:
        logger.warning("%s: %d action ids have no name in %s, such as %d", csv_file, len(nameless), path, nameless[0])
    return names


def _no_video(videos: str | os.PathLike, csv_file: str | os.PathLike, keyframes: list[Keyframe]) -> UserError:
    movie, second = keyframes[0] if keyframes else ("none", 0)
    found = f"no video of the {len({movie for movie, _ in keyframes})} movies in {csv_file} (for example"
    found = f"{found} {entries.short(movie)})"
    suffix = ", and movies without the suffix of a file" if Path(movie).suffix.lower() in VIDEO_SUFFIXES else ""
    if keyframes and os.path.isdir(find_path(videos, movie)):
        clips = find_clips(videos, movie)
        if len(clips.seconds):
            found = (
                f"clips of {entries.short(movie)} at the seconds {clips.seconds[0]:g} to {clips.seconds[-1]:g}, none "
            )
            found += f"of the {len(keyframes)} keyframes in {csv_file} (for example {second:g})"
        elif find_series(clips.folder):
            found += ", but pictures whose rate is unknown (see --picture-fps and --picture-start)"
    return UserError(
        f"The folder {videos} has {found}, expected FOLDER/MOVIE/SECOND.mp4 or FOLDER/MOVIE.mkv{suffix}; correct "
        "--videos or the file."
    )


def _with_video(
    persons: dict[Keyframe, dict], folder: Path, picture_fps: float, picture_start: float
) -> tuple[dict[Keyframe, dict], dict[str, tuple[int, int]], dict[str, int]]:
    """The keyframes that have a video, frame sizes by movie, and how many keyframes of which movies have none."""
    files = {composed(path.stem): path for path in folder.glob("*") if path.suffix.lower() in VIDEO_SUFFIXES}
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

    def has(self, second: Second) -> bool:
        """Whether it has the keyframe."""
        return self.frames is None or bool(self.frames.has(np.array([second]))[0])


def _frames_of(folder: Path, movie: str, picture_fps: float, picture_start: float) -> _Video | None:
    if not os.path.isdir(find_path(folder, movie)):
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


def _annotations(persons: dict[Keyframe, dict[Box, list[int]]], sizes: dict[str, tuple[int, int]]) -> Iterable[dict]:
    number = 0
    for keyframe, boxes in persons.items():
        for corners, actions in boxes.items():
            bbox = pixel_box(corners, sizes[keyframe[0]])
            yield {"id": number, "image_id": keyframe_name(*keyframe), "bbox": bbox, "action_ids": sorted(actions)}
            number += 1
