"""Use a trained model: frames in, persons with their actions out.

predictor = ActionPredictor.from_checkpoint("model_best.pth")
found = predictor.predict_recording("room.h5")
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch

from .annotations.classes import ClassList
from .config.node import ConfigNode
from .engine.load_model import Classes, Config, LoadedModel, load_model
from .engine.thermal_prediction import ThermalPrediction
from .engine.video_prediction import VideoFinder, VideoPrediction, given_finder
from .errors import UserError
from .persons import BackgroundDetector
from .persons.detector import PersonDetector
from .persons.follow import ThermalDetector
from .persons.video_detector import VideoDetector
from .predictions import PredictedPerson, Prediction
from .recordings.frame_sequence import FrameSource
from .recordings.open_recording import open_recording
from .recordings.raw_layout import RawOptions
from .recordings.sensor import Sensor
from .recordings.thermal_stream import ThermalStream
from .video.movie_stream import MovieStream

__all__ = ["ActionPredictor", "PredictedPerson", "Prediction"]

logger = logging.getLogger(__name__)


class ActionPredictor:
    """Finds persons and scores their actions.

    It computes as testing does: on the same boxes, scores are those of ``test_net.py``. It sets up no logging and
    draws no random numbers; several predictors in a process do not know of each other.

    Args:
        loaded: a model, see :meth:`from_checkpoint`.
        detector: finds persons in thermal frames where no boxes are given; None: background subtraction.

    Attributes:
        interval: seconds from one result of a recording or stream to the next, unless stated otherwise: that of the
            memory's slots (MODEL.IA_STRUCTURE.MEMORY_RATE), without a memory 1.
    """

    def __init__(self, loaded: LoadedModel, detector: ThermalDetector | None = None) -> None:
        self._loaded = loaded
        self._detector: ThermalDetector = detector or BackgroundDetector()
        self._thermal_part: ThermalPrediction | None = None
        self.interval = 1.0 / loaded.cfg.MODEL.IA_STRUCTURE.MEMORY_RATE if loaded.model.has_memory else 1.0

    @classmethod
    def from_checkpoint(
        cls,
        path: str | os.PathLike[str],
        config: Config | None = None,
        classes: Classes | None = None,
        device: str | None = None,
        detector: ThermalDetector | str | os.PathLike[str] | None = None,
    ) -> ActionPredictor:
        """A predictor of the model in a checkpoint, whose configuration and classes are in the file.

        Args:
            path: checkpoint, such as ``model_best.pth``.
            config: for files without one: a configuration, its file, or the name of a shipped one.
            classes: for files without: names in the order of the columns, or a file with them.
            device: such as "cpu" or "cuda:1"; None takes the GPU where there is one.
            detector: see the class; or the checkpoint of a person detector (MODEL.TASK persons).

        Raises:
            UserError: no checkpoint, one that lacks what is not given, or one of another architecture, other classes
                or another task.
        """
        predictor = cls(load_model(path, config, classes, device))
        return predictor if detector is None else predictor.with_detector(detector)

    @property
    def classes(self) -> ClassList:
        """Classes of the scores' columns."""
        return self._loaded.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Their names."""
        return self._loaded.classes.names

    @property
    def cfg(self) -> ConfigNode:
        """Configuration of the model, frozen."""
        return self._loaded.cfg

    @property
    def kind(self) -> str:
        """What the model was trained on, "thermal" or "RGB"; "" where the file does not tell."""
        return self._loaded.trained.kind

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._loaded.device

    # ---- arrays

    def predict(
        self,
        celsius: np.ndarray,
        boxes: np.ndarray | None = None,
        *,
        times: np.ndarray | None = None,
        rate: float | None = None,
        keyframe: int | None = None,
        room: np.ndarray | None = None,
    ) -> Prediction:
        """Persons and actions in one frame of a window.

        Args:
            celsius: [T, h, w] °C as the sensor sends them, of any sensor and length; beyond the ends of the window the
                last frame is repeated, see INPUT.FRAME_NUM.
            boxes: [N, 4] ``x1, y1, x2, y2`` in continuous pixels of the frame; None: persons are found.
            times: [T] seconds of the frames, needed only where INPUT.FPS is set.
            rate: frames per second instead of ``times``.
            keyframe: number of the frame; None: T // 2, as in training.
            room: [h, w] °C without persons, for finding persons and for models with INPUT.CLIP_CHANNELS, which testing
                shows the median of the recording; None: computed from the window.

        Raises:
            UserError: no temperatures in °C, boxes outside of the frame, a model of RGB clips.
        """
        return self.predict_batch(
            [celsius],
            [boxes],
            times=None if times is None else [times],
            rate=rate,
            keyframe=keyframe,
            rooms=None if room is None else [room],
        )[0]

    def predict_batch(
        self,
        windows: Sequence[np.ndarray],
        boxes: Sequence[np.ndarray | None] | None = None,
        *,
        times: Sequence[np.ndarray] | None = None,
        rate: float | None = None,
        keyframe: int | None = None,
        rooms: Sequence[np.ndarray] | None = None,
    ) -> list[Prediction]:
        """:meth:`predict` of several windows at once, which do not know of each other."""
        return self._thermal.arrays(windows, boxes, times, rate, keyframe, rooms)

    # ---- recordings

    def predict_recording(
        self,
        path: str | os.PathLike[str],
        boxes: Mapping[int, np.ndarray] | None = None,
        *,
        interval: float | None = None,
        options: RawOptions | None = None,
    ) -> list[Prediction]:
        """Persons, tracks and actions at every interval of a recording, with the memory in both directions.

        Args:
            path: HDF5 file, or a raw format of :mod:`alphaction.recordings.raw_files`.
            boxes: frame -> boxes [N, 4] in pixels; these frames are scored instead. None: persons are found and
                followed.
            interval: seconds, see :attr:`interval`.
            options: what a raw file does not say.

        Raises:
            UserError: as :meth:`iter_recording`.
        """
        return list(self.iter_recording(path, boxes, interval=interval, options=options))

    def iter_recording(
        self,
        path: str | os.PathLike[str],
        boxes: Mapping[int, np.ndarray] | None = None,
        *,
        interval: float | None = None,
        options: RawOptions | None = None,
    ) -> Iterator[Prediction]:
        """:meth:`predict_recording` one by one, for recordings of any length.

        Raises:
            UserError: the recording cannot be read, has no such frame or is of no thermal sensor; boxes outside.
        """
        return self.iter_source(self.open_recording(path, options), boxes, interval=interval)

    def iter_source(
        self, source: FrameSource, boxes: Mapping[int, np.ndarray] | None = None, *, interval: float | None = None
    ) -> Iterator[Prediction]:
        """:meth:`iter_recording` of what :meth:`open_recording` returned."""
        wrong = [frame for frame in boxes or () if not 0 <= frame < len(source)]
        if wrong:
            raise UserError(
                f"Boxes are given for the frame {wrong[0]} of {source.name}, expected 0 to {len(source) - 1}; they are "
                "of another recording."
            )
        return self._thermal.recording(source, self._interval(interval), boxes)

    def open_recording(self, path: str | os.PathLike[str], options: RawOptions | None = None) -> FrameSource:
        """The recording at ``path``, repaired as training reads it.

        Raises:
            UserError: it cannot be read.
        """
        thermal = self._thermal  # refuses a model of RGB clips first
        source = open_recording(path, thermal.transform.temperature, options, self.cfg.DATASETS.CACHE_LIMIT_MB)
        thermal.check_size(source)
        return source

    # ---- streams

    def stream(
        self,
        frames: Iterable[tuple[float, np.ndarray]],
        *,
        interval: float | None = None,
        delay: float = 0.0,
        name: str = "stream",
        sensor: Sensor | None = None,
    ) -> Iterator[Prediction]:
        """Persons, tracks and actions of a stream as its frames arrive, with the memory of what was before.

        Memory is bounded, however long the stream lasts. A broken frame is left out.

        Args:
            frames: time in seconds and frame [h, w] °C, in order.
            interval: seconds, see :attr:`interval`.
            delay: seconds of the clip after the keyframe that are waited for; 0: the last frame stands for them.
            name: of the stream.
            sensor: what sends the frames; by default the sensor of their shape.
        """
        keys = self.cfg.INPUT
        span = keys.FRAME_NUM * keys.FRAME_SAMPLE_RATE
        # At a rate of INPUT.FPS the clip may need many more frames of a fast sensor.
        length = span + 16 if not keys.FPS else math.ceil((span / keys.FPS + delay) * _FASTEST) + 16
        thermal = self._thermal
        kept = ThermalStream(length, name, sensor, thermal.transform.temperature)
        return thermal.stream(frames, kept, self._interval(interval), delay)

    # ---- RGB movies

    def predict_video(
        self,
        path: str | os.PathLike[str],
        boxes: Mapping[float, np.ndarray] | None = None,
        *,
        detector: VideoDetector | None = None,
        interval: float | None = None,
        detect_every: int = 5,
    ) -> list[Prediction]:
        """Persons, tracks and actions at every interval of a movie, with the memory in both directions.

        Args:
            path: video file or folder of pictures.
            boxes: second -> boxes [N, 4] in pixels; None: persons are found.
            detector: finds them; None: torchvision's Faster R-CNN with its own weights.
            interval: seconds, see :attr:`interval`.
            detect_every: frames of a clip between detections, see ``VideoPrediction``.

        Raises:
            UserError: no movie, one without frames, a model of thermal recordings.
        """
        stream = MovieStream(path)
        return list(self.iter_video(stream, boxes, detector=detector, interval=interval, detect_every=detect_every))

    def iter_video(
        self,
        stream: MovieStream,
        boxes: Mapping[float, np.ndarray] | None = None,
        *,
        frames: Iterable[tuple[float, np.ndarray]] | None = None,
        detector: VideoDetector | None = None,
        interval: float | None = None,
        detect_every: int = 5,
        delay: float | None = None,
        keep_pictures: bool = False,
    ) -> Iterator[Prediction]:
        """:meth:`predict_video` one by one, also of a camera or an address.

        Args:
            stream: see :class:`MovieStream`.
            boxes, detector, interval, detect_every: see :meth:`predict_video`.
            frames: what to read instead of the stream, such as the same frames passed through something.
            delay: seconds of the clip after a keyframe that are waited for, with the memory of what was before; None:
                0 for a camera or an address, else the whole clip and the memory in both directions.
            keep_pictures: results have their frame.
        """
        if self.kind == "thermal":
            raise UserError(
                f"{self._loaded.path} was trained on thermal recordings, expected a model of RGB clips for "
                f"{stream.name}; name another checkpoint, or use predict_recording."
            )
        seconds = self._interval(interval)
        find = given_finder(boxes, seconds) if boxes is not None else self._video_finder(detector)
        if delay is None and stream.is_live:
            delay = 0.0
        return VideoPrediction(self._loaded).movie(
            stream if frames is None else frames,
            stream.name,
            find,
            seconds,
            detect_every=10**9 if boxes is not None else max(detect_every, 1),
            delay=delay,
            keep_pictures=keep_pictures,
        )

    def _video_finder(self, detector: VideoDetector | None) -> VideoFinder:
        finder = detector or VideoDetector(device=self._loaded.device)
        objects = self.cfg.MODEL.IA_STRUCTURE.MAX_OBJECT if self._loaded.model.has_objects else 0
        return lambda frame, time: finder.detect(frame, objects)

    # ---- parts

    def with_detector(self, detector: ThermalDetector | str | os.PathLike[str]) -> ActionPredictor:
        """A predictor with the same model that finds persons with another detector, see :meth:`from_checkpoint`."""
        if isinstance(detector, (str, os.PathLike)):
            with torch.random.fork_rng(devices=[]):  # building draws the initial weights
                detector = PersonDetector.from_checkpoint(detector)
        return ActionPredictor(self._loaded, detector)

    def only(self, names: Sequence[str]) -> ActionPredictor:
        """A predictor with the same model, which tells these classes only.

        Raises:
            UserError: a name that is not a class.
        """
        return ActionPredictor(self._loaded.only(names), self._detector)

    @property
    def _thermal(self) -> ThermalPrediction:
        if self.kind == "RGB":
            raise UserError(
                f"{self._loaded.path} was trained on RGB clips, expected a model of thermal recordings; name another "
                "checkpoint, or use predict_video."
            )
        if self._thermal_part is None:
            self._thermal_part = ThermalPrediction(self._loaded, self._detector)
        return self._thermal_part

    def _interval(self, interval: float | None) -> float:
        if interval is not None and not (math.isfinite(interval) and interval > 0):
            raise UserError(f"The interval is {interval} s, expected seconds above 0; correct it.")
        return interval or self.interval


# Frames per second of the fastest sensor whose clips are kept whole where INPUT.FPS is set.
_FASTEST = 30.0
