"""Where the frames of movies are: one-second clips or pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..errors import UserError
from .clips import MovieClips, find_clips
from .pictures import MoviePictures, find_series, read_rate

MovieFrames = MovieClips | MoviePictures


def find_movie(root: str | os.PathLike, movie: str, rate: float = 0.0, start: float = 0.0) -> MovieFrames:
    """The frames of a movie below ``root``: clips, or pictures where their rate is known.

    Args:
        root: folder of the movies' folders.
        movie: its name.
        rate: pictures per second of movies without a file ``fps.txt``; 0: unknown.
        start: time of the first picture in seconds.

    Raises:
        UserError: there is no such folder; clips and pictures, or pictures of several series in it.
    """
    clips = find_clips(root, movie)
    rate = read_rate(clips.folder) or rate
    series = find_series(clips.folder) if rate else {}
    if not series:
        return clips
    if len(clips.seconds):
        raise UserError(
            f"The folder {clips.folder} has clips and pictures, expected one of them; move the others away, or leave "
            "out the rate of the pictures."
        )
    return MoviePictures(clips.folder, rate, start, series)


def find_keyframe_movies(
    root: str | os.PathLike,
    movies: Sequence[str],
    movie_of: np.ndarray,
    seconds: np.ndarray,
    ann_file: str,
    rate: float = 0.0,
    start: float = 0.0,
) -> list[MovieFrames]:
    """The frames of each movie below ``root``, where every keyframe has its clip or picture.

    Args:
        movie_of: int [K], movie of each keyframe.
        seconds: [K], its second.
        ann_file: where the keyframes are from, for messages.
        rate, start: of pictures, see :func:`find_movie`.

    Raises:
        UserError: a movie without a folder, or a keyframe without a clip or picture.
    """
    found = [find_movie(root, movie, rate, start) for movie in movies]
    missing, example, remedy = 0, "", ""
    for movie, frames in enumerate(found):
        wanted = seconds[movie_of == movie]
        absent = wanted[~frames.has(wanted)]
        if len(absent) and not missing:
            example, remedy = frames.expected_path(float(absent[0])), _remedy(frames)
        missing += len(absent)
    if missing:
        raise UserError(
            f"The clip {example} is missing ({missing} of {len(seconds)} keyframes of {ann_file} have none), expected "
            f"one for every keyframe; {remedy} or remove such images from the annotations."
        )
    return found


def _remedy(frames: MovieFrames) -> str:
    """What to do where a movie lacks the clip of a keyframe."""
    if isinstance(frames, MoviePictures):
        return "correct PICTURE_FPS and PICTURE_START of the set in DATASETS.CATALOG"
    if len(frames.seconds) or not find_series(frames.folder):
        return "make it with alphaction process-videos"
    return "its folder has pictures: name their rate with PICTURE_FPS in DATASETS.CATALOG or in the file MOVIE/fps.txt"
