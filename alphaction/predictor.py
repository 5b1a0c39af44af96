"""Use a trained model: frames in, persons with their actions out.

predictor = ActionPredictor.from_checkpoint("model_best.pth")
found = predictor.predict_recording("room.h5")
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from .annotations.classes import ClassList
from .config.node import ConfigNode
from .engine.load_model import Classes, Config, LoadedModel, load_model
from .engine.thermal_prediction import ThermalPrediction
from .engine.video_prediction import VideoFinder, VideoPrediction, given_finder
from .errors import UserError, file_problem
from .persons import BackgroundDetector
from .persons.follow import ThermalDetector
from .persons.video_detector import VideoDetector
from .predictions import PredictedPerson, Prediction
from .recordings.frame_sequence import FrameSequence, FrameSource
from .recordings.raw_files import SUFFIXES, read_recording
from .recordings.raw_layout import RawOptions
from .recordings.recording import ThermalRecording
from .recordings.sensor import Sensor
from .recordings.thermal_stream import ThermalStream
from .recordings.units import PLAUSIBLE_RANGE
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
        self._sizes_warned: set[tuple[int, int]] = set()
        self.interval = 1.0 / loaded.cfg.MODEL.IA_STRUCTURE.MEMORY_RATE if loaded.model.has_memory else 1.0

    @classmethod
    def from_checkpoint(
        cls,
        path: str | os.PathLike[str],
        config: Config | None = None,
        classes: Classes | None = None,
        device: str | None = None,
        detector: ThermalDetector | None = None,
    ) -> ActionPredictor:
        """A predictor of the model in a checkpoint, whose configuration and classes are in the file.

        Args:
            path: checkpoint, such as ``model_best.pth``.
            config: for files without one: a configuration, its file, or the name of a shipped one.
            classes: for files without: names in the order of the columns, or a file with them.
            device: such as "cpu" or "cuda:1"; None takes the GPU where there is one.
            detector: see the class.

        Raises:
            UserError: no checkpoint, one that lacks what is not given, or one of another architecture, other classes
                or another task.
        """
        return cls(load_model(path, config, classes, device), detector)

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
    ) -> Prediction:
        """Persons and actions in one frame of a window.

        Args:
            celsius: [T, h, w] °C as the sensor sends them, of any sensor and length; beyond the ends of the window the
                last frame is repeated, see INPUT.FRAME_NUM.
            boxes: [N, 4] ``x1, y1, x2, y2`` in continuous pixels of the frame; None: persons are found.
            times: [T] seconds of the frames, needed only where INPUT.FPS is set.
            rate: frames per second instead of ``times``.
            keyframe: number of the frame; None: T // 2, as in training.

        Raises:
            UserError: no temperatures in °C, boxes outside of the frame, a model of RGB clips.
        """
        return self.predict_batch(
            [celsius], [boxes], times=None if times is None else [times], rate=rate, keyframe=keyframe
        )[0]

    def predict_batch(
        self,
        windows: Sequence[np.ndarray],
        boxes: Sequence[np.ndarray | None] | None = None,
        *,
        times: Sequence[np.ndarray] | None = None,
        rate: float | None = None,
        keyframe: int | None = None,
    ) -> list[Prediction]:
        """:meth:`predict` of several windows at once, which do not know of each other."""
        thermal, count = self._thermal, len(windows)
        given: list[np.ndarray | None] = [None] * count if boxes is None else list(boxes)
        clocks = [None] * count if times is None else [_milliseconds(seconds) for seconds in times]
        if len(given) != count or len(clocks) != count:
            raise UserError(
                f"There are {count} windows, {len(given)} entries of boxes and {len(clocks)} of times, expected one "
                "for each window; pass None for a window without boxes."
            )
        rate = rate or float(self.cfg.INPUT.FPS) or None
        sources: list[FrameSource] = []
        for window, clock in zip(windows, clocks, strict=True):
            name = "The window" if count == 1 else f"Window {len(sources) + 1}"
            sources.append(FrameSequence(window, name, times=clock, rate=rate, temperature_range=self._temperatures))
            self._check_size(sources[-1])
        frames = [len(source) // 2 if keyframe is None else keyframe for source in sources]
        for source, frame in zip(sources, frames, strict=True):
            if not 0 <= frame < len(source):
                raise UserError(
                    f"{source.name} has the frames 0..{len(source) - 1}, not the keyframe {frame}; correct it."
                )
        return thermal.windows(sources, frames, given)

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
        _ = self._thermal  # refuses a model of RGB clips first
        source = open_recording(path, self._temperatures, options, self.cfg.DATASETS.CACHE_LIMIT_MB)
        self._check_size(source)
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
        kept = ThermalStream(length, name, sensor, self._temperatures)
        return self._thermal.stream(frames, kept, self._interval(interval), delay)

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

    @property
    def _temperatures(self) -> tuple[float, float]:
        return self.cfg.INPUT.TEMPERATURE_MIN, self.cfg.INPUT.TEMPERATURE_MAX

    def _interval(self, interval: float | None) -> float:
        if interval is not None and not (math.isfinite(interval) and interval > 0):
            raise UserError(f"The interval is {interval} s, expected seconds above 0; correct it.")
        return interval or self.interval

    def _check_size(self, source: FrameSource) -> None:
        size, known = source.shape[::-1], self._loaded.trained.sizes
        if known and size not in known and size not in self._sizes_warned:
            self._sizes_warned.add(size)
            logger.warning(
                "%s has frames of %dx%d pixels, the model of %s was trained on %s of another sensor; train it on this "
                "one for good results",
                source.name,
                *size,
                self._loaded.path,
                ", ".join(f"{width}x{height}" for width, height in known),
            )


def open_recording(
    path: str | os.PathLike[str],
    temperatures: tuple[float, float] = PLAUSIBLE_RANGE,
    options: RawOptions | None = None,
    cache_limit_mb: float = 2048.0,
) -> FrameSource:
    """A thermal recording, repaired as training reads it.

    Args:
        path: HDF5 file, or a raw format of :mod:`alphaction.recordings.raw_files`.
        temperatures: °C between which most pixels must be.
        options: what a raw file does not say; HDF5 files without any describe themselves.
        cache_limit_mb: see :class:`ThermalRecording`.

    Raises:
        UserError: it cannot be read.
    """
    place = Path(path)
    if not place.exists():
        raise UserError(f"The recording {place} {file_problem(place)}, expected a thermal recording; correct the path.")
    if place.suffix.lower() in (".h5", ".hdf5") and options is None:
        recording = ThermalRecording(place, cache_limit_mb, temperature_range=temperatures)
        len(recording)  # reads the file's metadata, so that it is refused here
        return recording
    if not place.is_dir() and place.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"{place} is no thermal recording, expected one of {', '.join(SUFFIXES)} or a folder of 16-bit pictures; "
            "convert it, or use a model of RGB clips for a video."
        )
    raw = read_recording(place, options=options)
    return FrameSequence(raw.frames, raw.name, times=raw.timestamps, sensor=raw.sensor, temperature_range=temperatures)


def _milliseconds(seconds: np.ndarray) -> np.ndarray:
    found = np.asarray(seconds, np.float64)
    if not np.isfinite(found).all():
        raise UserError("The times have NaN or infinity, expected seconds; correct them.")
    return np.round(found * 1000.0).astype(np.int64)


# Frames per second of the fastest sensor whose clips are kept whole where INPUT.FPS is set.
_FASTEST = 30.0
