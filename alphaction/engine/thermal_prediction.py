"""Persons and actions of thermal recordings and streams."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch

from ..dataset.transforms import ThermalTransform
from ..errors import UserError
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
from ..recordings.frame_sequence import FrameSequence, FrameSource
from ..recordings.thermal_stream import ThermalStream
from ..structures.bounding_box import BoxList
from .load_model import LoadedModel
from .prediction_run import Keyframe, PredictionRun, fractions

logger = logging.getLogger(__name__)
# Score from which a box is a person where there is no track to tell; the tracker begins tracks from it on.
_SURE = 0.5

Boxes = Mapping[int, np.ndarray]


class ThermalPrediction:
    """Samples of a thermal model, as ``ThermalAVADataset`` makes them, of any source of frames.

    Args:
        loaded: the model.
        detector: finds persons where no boxes are given.
    """

    def __init__(self, loaded: LoadedModel, detector: ThermalDetector) -> None:
        self.detector = detector
        self._sizes_warned: set[tuple[int, int]] = set()
        keys = loaded.cfg.INPUT
        self.transform = ThermalTransform.from_cfg(loaded.cfg, is_train=False)
        self.loaded = loaded.optimized(gray=not self.transform.normalized and not loaded.cfg.INPUT.CLIP_CHANNELS)
        self.span, self.fps = keys.FRAME_NUM * keys.FRAME_SAMPLE_RATE, float(keys.FPS)

    def arrays(
        self,
        windows: Sequence[np.ndarray],
        boxes: Sequence[np.ndarray | None] | None,
        times: Sequence[np.ndarray] | None,
        rate: float | None,
        keyframe: int | None,
        rooms: Sequence[np.ndarray] | None = None,
    ) -> list[Prediction]:
        """One keyframe of each window; see ``ActionPredictor.predict``."""
        count = len(windows)
        given: list[np.ndarray | None] = [None] * count if boxes is None else list(boxes)
        clocks = [None] * count if times is None else [_milliseconds(seconds) for seconds in times]
        pictures = count if rooms is None else len(rooms)
        if len(given) != count or len(clocks) != count or pictures != count:
            raise UserError(
                f"There are {count} windows, {len(given)} entries of boxes, {len(clocks)} of times and {pictures} of "
                "rooms, expected one for each window; pass None for a window without boxes."
            )
        sources: list[FrameSource] = []
        for window, clock in zip(windows, clocks, strict=True):
            name = "The window" if count == 1 else f"Window {len(sources) + 1}"
            temperatures = self.transform.temperature
            room = None if rooms is None else np.asarray(rooms[len(sources)], np.float32)
            sequence = FrameSequence(
                window, name, times=clock, rate=rate or self.fps, temperature_range=temperatures, room=room
            )
            self.check_size(sequence)
            sources.append(sequence)
        frames = [len(source) // 2 if keyframe is None else keyframe for source in sources]
        for source, frame in zip(sources, frames, strict=True):
            if not 0 <= frame < len(source):
                raise UserError(
                    f"{source.name} has the frames 0..{len(source) - 1}, not the keyframe {frame}; correct it."
                )
        return self.windows(sources, frames, given, rooms)

    def windows(
        self,
        sources: list[FrameSource],
        frames: list[int],
        boxes: list[np.ndarray | None],
        rooms: Sequence[np.ndarray] | None = None,
    ) -> list[Prediction]:
        """Independent keyframes, one of each source; without a memory of other times."""
        run = PredictionRun(self.loaded, self.transform.normalized, look_ahead=True, batch=len(sources))
        found: list[Prediction] = []
        for number, (source, frame, corners) in enumerate(zip(sources, frames, boxes, strict=True)):
            persons = self._persons(source, frame, corners, None if rooms is None else rooms[number])
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

    def _persons(
        self, source: FrameSource, frame: int, corners: np.ndarray | None, room: np.ndarray | None = None
    ) -> FoundPersons:
        """The given persons of a frame, else those that are found in it before the room, by default that around it."""
        size = source.shape[::-1]
        if corners is not None:
            return FoundPersons.given(corners, size, f"{source.name}, frame {frame},")
        window, key = around(source, frame)
        if room is None:
            room = room_picture(source.window(frame, max(self.span, 2), self.fps))
        detections = self.detector.detect(window, key, room)
        sure = detections.select(np.flatnonzero(detections.scores >= _SURE))
        return FoundPersons(inside(sure.boxes, size), (None,) * len(sure), sure.scores)

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
        room = source.room if self.transform.needs_room else None
        slow, fast, boxes, size = self.transform(window, corners, None, room)
        yield from run.add(keyframe, slow, fast, BoxList(boxes, size))

    def check_size(self, source: FrameSource) -> None:
        """Say once where the model was trained on frames of other sizes."""
        size, known = source.shape[::-1], self.loaded.trained.sizes
        if known and size not in known and size not in self._sizes_warned:
            self._sizes_warned.add(size)
            logger.warning(
                "%s has frames of %dx%d pixels, the model of %s was trained on %s of another sensor; train it on this "
                "one for good results",
                source.name,
                *size,
                self.loaded.path,
                ", ".join(f"{width}x{height}" for width, height in known),
            )


def _milliseconds(seconds: np.ndarray) -> np.ndarray:
    found = np.asarray(seconds, np.float64)
    if not np.isfinite(found).all():
        raise UserError("The times have NaN or infinity, expected seconds; correct them.")
    return np.round(found * 1000.0).astype(np.int64)
