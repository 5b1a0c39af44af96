"""Persons and actions of thermal recordings and streams."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch

from ..dataset.transforms import ThermalTransform
from ..persons import RunningRoom, Tracker, room_picture
from ..persons.follow import (
    DETECTIONS_PER_SECOND,
    REACH,
    FoundPersons,
    ThermalDetector,
    around,
    follow_persons,
    followed,
    inside,
)
from ..predictions import Prediction
from ..recordings.frame_sequence import FrameSource
from ..recordings.thermal_stream import ThermalStream
from ..structures.bounding_box import BoxList
from .load_model import LoadedModel
from .prediction_run import Keyframe, PredictionRun, fractions

logger = logging.getLogger(__name__)
Boxes = Mapping[int, np.ndarray]


class ThermalPrediction:
    """Samples of a thermal model, as ``ThermalAVADataset`` makes them, of any source of frames.

    Args:
        loaded: the model.
        detector: finds persons where no boxes are given.
    """

    def __init__(self, loaded: LoadedModel, detector: ThermalDetector) -> None:
        self.loaded, self.detector = loaded, detector
        keys = loaded.cfg.INPUT
        self.transform = ThermalTransform.from_cfg(loaded.cfg, is_train=False)
        self.span, self.fps = keys.FRAME_NUM * keys.FRAME_SAMPLE_RATE, float(keys.FPS)

    def windows(
        self, sources: list[FrameSource], frames: list[int], boxes: list[np.ndarray | None]
    ) -> list[Prediction]:
        """Independent keyframes, one of each source; without a memory of other times."""
        run = PredictionRun(self.loaded, self.transform.normalized, look_ahead=True, batch=len(sources))
        found: list[Prediction] = []
        for number, (source, frame, corners) in enumerate(zip(sources, frames, boxes, strict=True)):
            persons = self._persons(source, frame, corners)
            # Names of their own, so that no keyframe is in another's memory.
            found += self._add(run, source, frame, persons, f"{source.name}/{number}")
        return [*found, *run.finish()]

    def recording(
        self, source: FrameSource, interval: float, boxes: Boxes | None = None, start: float = 0.0
    ) -> Iterator[Prediction]:
        """Keyframes of a recording in order, with the memory in both directions.

        Args:
            source: the recording.
            interval: seconds from keyframe to keyframe.
            boxes: frame -> boxes [N, 4] in pixels; these frames are then the keyframes. None: persons are found and
                followed.
            start: seconds that are left out.
        """
        run = PredictionRun(
            self.loaded, self.transform.normalized, look_ahead=True, batch=self.loaded.cfg.TEST.VIDEOS_PER_BATCH
        )
        if boxes is not None:
            for frame in sorted(boxes):
                yield from self._add(run, source, frame, self._persons(source, frame, boxes[frame]))
        else:
            yield from self._follow(run, source, interval, start)
        yield from run.finish()

    def _follow(self, run: PredictionRun, source: FrameSource, interval: float, start: float) -> Iterator[Prediction]:
        for frame, is_keyframe, persons in follow_persons(source, self.detector, interval, start):
            if is_keyframe:
                yield from self._add(run, source, frame, persons)

    def stream(
        self, frames: Iterable[tuple[float, np.ndarray]], stream: ThermalStream, interval: float, delay: float
    ) -> Iterator[Prediction]:
        """Keyframes of a stream as they become complete, with the memory of earlier ones.

        Args:
            frames: time in seconds and frame [h, w] °C.
            stream: holds the last frames, and counts the broken ones.
            interval: seconds from keyframe to keyframe.
            delay: seconds of the clip after the keyframe that are waited for.
        """
        tracker, room, run, parts = Tracker(), RunningRoom(), self._streamed_run(), stream.parts
        waiting: deque[tuple[float, FoundPersons]] = deque()
        next_time, next_look = -math.inf, -math.inf
        for time, frame in frames:
            if not stream.push(time, frame):
                continue
            if stream.parts != parts:  # of a stream that was taken up again, nothing continues
                parts, next_time, next_look = stream.parts, -math.inf, -math.inf
                tracker, room, run = Tracker(), RunningRoom(), self._streamed_run()
                waiting.clear()
            room.update(time, stream.frames[-1])
            if time < next_look and time < next_time:
                continue
            next_look = time + 0.999 / DETECTIONS_PER_SECOND
            recent = np.stack([stream.frames[place] for place in range(-min(len(stream.frames), REACH + 1), 0)])
            detections = self.detector.detect(recent, len(recent) - 1, room.picture)
            persons = followed(detections, tracker.update(time, detections), frame.shape[::-1])
            if time >= next_time:
                next_time = next_time + interval if next_time + interval > time else time + interval
                waiting.append((time, persons))
            while waiting and waiting[0][0] + delay <= time:
                yield from self._add_streamed(run, stream, *waiting.popleft())
        while waiting:
            yield from self._add_streamed(run, stream, *waiting.popleft())

    def _streamed_run(self) -> PredictionRun:
        return PredictionRun(self.loaded, self.transform.normalized, look_ahead=False)

    def _add_streamed(
        self, run: PredictionRun, stream: ThermalStream, time: float, persons: FoundPersons
    ) -> Iterator[Prediction]:
        source, place = stream.sequence(), stream.place(time)
        size, picture = source.shape[::-1], source.frames[place]
        keyframe = Keyframe(stream.name, stream.number(place), time, size, persons, picture)
        yield from self._add_keyframe(run, source, place, keyframe)

    def _persons(self, source: FrameSource, frame: int, corners: np.ndarray | None) -> FoundPersons:
        """The given persons of a frame, else those that are found in it."""
        size = source.shape[::-1]
        if corners is not None:
            return FoundPersons.given(corners, size, f"{source.name}, frame {frame},")
        window, key = around(source, frame)
        room = room_picture(source.window(frame, max(self.span, 2), self.fps))
        detections = self.detector.detect(window, key, room)
        return FoundPersons(inside(detections.boxes, size), (None,) * len(detections), detections.scores)

    def _add(
        self, run: PredictionRun, source: FrameSource, frame: int, persons: FoundPersons, memory_key: str = ""
    ) -> Iterator[Prediction]:
        second = float(source.seconds(frame))
        picture = source.window(frame, 1)[0]
        keyframe = Keyframe(source.name, frame, second, source.shape[::-1], persons, picture, memory_key)
        yield from self._add_keyframe(run, source, frame, keyframe)

    def _add_keyframe(
        self, run: PredictionRun, source: FrameSource, frame: int, keyframe: Keyframe
    ) -> Iterator[Prediction]:
        if not len(keyframe.persons):  # a clip that nobody is in is not computed
            nothing = torch.zeros(0)
            yield from run.add(keyframe, nothing, nothing, BoxList([], keyframe.size))
            return
        window = source.window(frame, self.span, self.fps)
        corners = fractions(keyframe.persons.boxes, keyframe.size, keyframe.source)
        slow, fast, boxes, size = self.transform(window, corners)
        yield from run.add(keyframe, slow, fast, BoxList(boxes, size))
