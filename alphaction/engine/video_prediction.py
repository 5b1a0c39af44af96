"""Persons and actions of RGB movies and cameras."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ..dataset.datasets.ava import memory_key
from ..dataset.transforms import VideoTransform
from ..dataset.transforms.clip_input import model_size
from ..dataset.transforms.video import resize
from ..persons import Detections, Tracker
from ..persons.follow import FoundPersons, followed
from ..predictions import Prediction
from ..structures.bounding_box import BoxList
from .load_model import LoadedModel
from .prediction_run import Keyframe, PredictionRun

# Frames per second of a clip where INPUT.FPS does not say: those of AVA's movies.
_AVA_FPS = 25.0

# Persons and objects of a frame [h, w, 3] RGB at a time in seconds.
VideoFinder = Callable[[np.ndarray, float], tuple[Detections, Detections]]


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A keyframe whose clip is not complete."""

    tick: int
    time: float
    size: tuple[int, int]
    persons: FoundPersons
    objects: Detections
    picture: np.ndarray | None


class VideoPrediction:
    """Samples of an RGB model, as ``AVAVideoDataset`` makes them, of frames with times.

    Clips have a rate of their own (INPUT.FPS, else 25): at each of its times, called a tick, the frame on screen is
    taken, whatever the rate of the movie.

    Args:
        loaded: the model.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded.optimized()
        keys = loaded.cfg.INPUT
        self.transform = VideoTransform.from_cfg(loaded.cfg, is_train=False)
        self.span, self.fps = keys.FRAME_NUM * keys.FRAME_SAMPLE_RATE, float(keys.FPS) or _AVA_FPS

    def movie(
        self,
        frames: Iterable[tuple[float, np.ndarray]],
        name: str,
        find: VideoFinder,
        interval: float,
        *,
        detect_every: int = 5,
        delay: float | None = None,
        keep_pictures: bool = False,
    ) -> Iterator[Prediction]:
        """Results of a movie in order.

        Args:
            frames: time in seconds and frame uint8 [h, w, 3] RGB.
            name: of the movie.
            find: finds persons and objects.
            interval: seconds from keyframe to keyframe.
            detect_every: persons are looked for at every so many ticks, besides the keyframes, to follow them.
            delay: seconds of a clip after its keyframe that are waited for, with a memory of earlier keyframes only, as
                for a camera; None: the whole clip, and a memory in both directions.
            keep_pictures: results have their frame.
        """
        look_ahead = delay is None
        batch = self.loaded.cfg.TEST.VIDEOS_PER_BATCH if look_ahead else 1
        run = PredictionRun(self.loaded, normalized=True, look_ahead=look_ahead, batch=min(batch, 4))
        after = self.span - self.span // 2 - 1
        after = after if delay is None else min(round(delay * self.fps), after)
        kept: deque[np.ndarray] = deque(maxlen=self.span)
        waiting: deque[_Waiting] = deque()
        tracker, tick, next_time = Tracker(), -1, 0.0
        for tick, (time, frame) in enumerate(_on_screen(frames, self.fps)):
            kept.append(self._scaled(frame))
            is_keyframe = time >= next_time - 1e-6
            if is_keyframe or tick % detect_every == 0:
                detections, objects = find(frame, time)
                tracks = tracker.update(time, detections)
                if is_keyframe:
                    next_time = next_time + interval if next_time + interval > time else time + interval
                    size = frame.shape[1], frame.shape[0]
                    persons = followed(detections, tracks, size)
                    waiting.append(_Waiting(tick, time, size, persons, objects, frame if keep_pictures else None))
            while waiting and waiting[0].tick + after <= tick:
                yield from self._add(run, name, waiting.popleft(), kept, tick)
        while waiting:
            yield from self._add(run, name, waiting.popleft(), kept, tick)
        yield from run.finish()

    def _scaled(self, frame: np.ndarray) -> np.ndarray:
        """The frame at the size of the network, at which a clip takes little memory."""
        height, width = frame.shape[:2]
        return resize(frame, model_size(height, width, self.transform.min_size, self.transform.max_size))

    def _add(
        self, run: PredictionRun, name: str, key: _Waiting, kept: deque[np.ndarray], newest: int
    ) -> Iterator[Prediction]:
        keyframe = Keyframe(
            name, key.tick, key.time, key.size, key.persons, key.picture, timestamp=memory_key(key.time)
        )
        boxes = _inclusive(key.persons.boxes, key.size)
        if not len(key.persons):
            yield from run.add(keyframe, torch.zeros(0), torch.zeros(0), boxes)
            return
        oldest = newest - len(kept) + 1
        wanted = np.clip(np.arange(self.span) - self.span // 2 + key.tick, oldest, newest) - oldest
        shape = kept[-1].shape  # a camera may change its size
        window = np.stack([_fit(kept[place], shape) for place in wanted.tolist()])
        things = None
        if self.loaded.model.has_objects:
            things = _inclusive(key.objects.boxes, key.size)
        slow, fast, placed, objects = self.transform(window, boxes, things)
        yield from run.add(keyframe, slow, fast, placed, objects)


def given_finder(boxes: Mapping[float, np.ndarray], interval: float) -> VideoFinder:
    """What finds the given boxes [N, 4], in pixels, of the nearest second within half an interval."""
    seconds = np.array(sorted(boxes), np.float64)

    def find(frame: np.ndarray, time: float) -> tuple[Detections, Detections]:
        if not len(seconds) or np.abs(seconds - time).min() > 0.5 * interval:
            return Detections.none(), Detections.none()
        second = float(seconds[np.abs(seconds - time).argmin()])
        size = frame.shape[1], frame.shape[0]
        found = FoundPersons.given(boxes[second], size, f"the movie at {second:g} s")
        return Detections(found.boxes, found.scores), Detections.none()

    return find


def _on_screen(frames: Iterable[tuple[float, np.ndarray]], fps: float) -> Iterator[tuple[float, np.ndarray]]:
    """The frame on screen at each tick, from the first frame's time on."""
    shown: np.ndarray | None = None
    start, tick, last = 0.0, 0, 0.0
    for time, frame in frames:
        if shown is None:
            start = time
        # A stalled camera shows nothing meanwhile; its clip goes on with what comes next.
        tick = max(tick, int((time - start - _LONGEST_STILL) * fps))
        while shown is not None and start + tick / fps < time - 1e-3 / fps:
            yield start + tick / fps, shown
            tick += 1
        shown, last = frame, time
    if shown is not None and start + tick / fps <= last + 1e-3 / fps:
        yield start + tick / fps, shown


# Seconds for which a frame stays on screen at most.
_LONGEST_STILL = 3.0


def _inclusive(boxes: np.ndarray, size: tuple[int, int]) -> BoxList:
    """Continuous corners in pixels as the inclusive ones of RGB data sets."""
    corners = boxes.reshape(-1, 4).astype(np.float32) - np.array([0, 0, 1, 1], np.float32)
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2])
    return BoxList(corners, size)


def _fit(frame: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return frame if frame.shape == shape else resize(frame, (shape[1], shape[0]))
