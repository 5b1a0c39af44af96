"""The files of predictions, written as the results come: JSON lines, CSV, video, timeline."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from ..annotations.ava_csv import csv_cell, keyframe_rows
from ..errors import UserError
from ..persons.follow import FoundPersons
from ..predictions import Prediction
from .drawing import FrameDrawer, boxes_between
from .timeline import Timeline
from .video_file import VideoFile

# Gives the frames up to a time that were not given yet: time and picture (alphaction.live.picture_feed).
Pictures = Callable[[float], Iterator[tuple[float, np.ndarray]]]
SUFFIXES = (".jsonl", ".csv", ".mp4", "_timeline.png", "_boxes.csv")


def prepare_folder(folder: Path, inputs: list[tuple[str, str | Path | None]], overwrite: bool) -> None:
    """Make the folder of the results.

    Args:
        inputs: name and file of each, None where it has no file.
        overwrite: files of other results are removed that have the names of these.

    Raises:
        UserError: it cannot be made, or holds another result and ``overwrite`` is False; two inputs have one name; a
            result would replace an input.
    """
    names = [name for name, _ in inputs]
    double = next((name for n, name in enumerate(names) if name in names[:n]), None)
    if double is not None:
        raise UserError(f"Two inputs have the name {double}, expected another for each; predict them one by one.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = sorted(path.name for path in folder.iterdir() if path.name.endswith(SUFFIXES))
    except OSError as error:
        raise UserError(
            f"The output folder {folder} cannot be made ({error.strerror or error}), expected a writable folder; "
            "choose another one with --out."
        ) from error
    if there and not overwrite:
        raise UserError(
            f"The output folder {folder} holds another result ({there[0]}), expected a new or empty folder; choose "
            "another --out, or pass --overwrite."
        )
    there_now = [folder / f"{name}{suffix}" for name in names for suffix in SUFFIXES]
    old = [path for path in there_now if path.exists()]
    for path, (_, file) in itertools.product(old, inputs):
        if file is not None and Path(file).exists() and path.samefile(file):
            raise UserError(f"The result {path} would replace the input {file}, expected another folder; choose --out.")
    for path in old:
        path.unlink()  # a video of the last time would not show these results


def open_text(path: Path) -> TextIO:
    """A text file, written line by line.

    Raises:
        UserError: it cannot be written.
    """
    try:
        return open(path, "w", encoding="utf-8", buffering=1, newline="")
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}), expected a file in a writable folder; choose "
            "another --out."
        ) from error


class PredictionFiles:
    """The files of one input; a context manager that completes them, also after an error or an interruption.

    Args:
        folder: where they go.
        name: of the input.
        interval: seconds between results.
        threshold: class scores below it are left out of the CSV file.
        pictures: frames of the video; None: no video.
        rate: its frames per second.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        interval: float,
        threshold: float,
        pictures: Pictures | None = None,
        rate: float = 6.0,
    ) -> None:
        self.folder, self.name, self.threshold = folder, name, threshold
        self.timeline = Timeline(interval)
        self.pictures, self.rate = pictures, rate
        self._json, self._csv = open_text(folder / f"{name}.jsonl"), open_text(folder / f"{name}.csv")
        self._drawer: FrameDrawer | None = None
        self._video: VideoFile | None = None
        self._previous: Prediction | None = None

    def add(self, prediction: Prediction) -> None:
        """Write one result."""
        self._json.write(json.dumps(prediction.to_dict(), ensure_ascii=False) + "\n")
        fractions = prediction.boxes / np.tile(np.maximum(prediction.size, 1), 2)
        second = round(prediction.time, 3)
        for row in keyframe_rows(fractions, prediction.scores, prediction.source, second, self.threshold):
            self._csv.write(f"{row}\r\n")
        self.timeline.add(prediction)
        if self.pictures is not None:
            for time, picture in self.pictures(prediction.time):
                self._draw(time, picture, prediction)
        self._previous = prediction

    def finish(self) -> None:
        """Draw the frames after the last result."""
        if self.pictures is not None and self._previous is not None:
            for time, picture in self.pictures(float("inf")):
                self._draw(time, picture, self._previous)

    def _draw(self, time: float, picture: np.ndarray, prediction: Prediction) -> None:
        if self._drawer is None:
            self._drawer = FrameDrawer(picture, prediction.class_names)
            self._video = VideoFile(self.folder / f"{self.name}.mp4", self._drawer.size, self.rate)
        assert self._video is not None
        before = self._previous
        if before is not None and before.time <= time < 0.5 * (before.time + prediction.time):
            prediction, before = before, prediction  # the nearer result says what is seen
        boxes = boxes_between(before, prediction, time)
        self._video.write(self._drawer.draw(picture, time, prediction, boxes))

    def close(self) -> None:
        """Complete the files."""
        self._json.close()
        self._csv.close()
        if self._video is not None:
            self._video.close()
        if self.timeline.results:
            self.timeline.picture(self.folder / f"{self.name}_timeline.png", self.name)

    def __enter__(self) -> PredictionFiles:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class BoxFile:
    """Found persons as a file for TEST.BOX_FILE: rows ``recording, frame, x1, y1, x2, y2, , score``, fractions."""

    def __init__(self, path: Path) -> None:
        self._file = open_text(path)

    def add(self, source: str, frame: int, size: tuple[int, int], persons: FoundPersons) -> None:
        """Write the persons of a frame."""
        for box, score in zip(persons.boxes / np.tile(size, 2), persons.scores, strict=True):
            corners = ",".join(f"{value:.5f}" for value in box.tolist())
            self._file.write(f"{csv_cell(source)},{frame},{corners},,{score:.5f}\r\n")

    def __enter__(self) -> BoxFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
