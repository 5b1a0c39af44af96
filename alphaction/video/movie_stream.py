"""A movie, a camera or a folder of pictures as a stream of frames with times; reading runs beside computing."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ..errors import UserError, file_problem, stand_in
from .clips import CLIP_FPS, open_video

logger = logging.getLogger(__name__)

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
# Frames that are read ahead.
_AHEAD = 32
# Rate of pictures, and of movies that state none.
DEFAULT_FPS = 25.0
_END = object()


class MovieStream:
    """Frames of one source, in order.

    Iterating opens it, reads ahead in a thread and yields ``(seconds, frame)``, frames uint8 [h, w, 3] RGB. A movie's
    times are those of its container, else number / rate; a camera's are those at which frames arrive.

    Args:
        source: a video file, a folder of pictures, the number of a camera or an address such as ``rtsp://...``.
        rate: frames per second of pictures, and of movies that state none.
        patience: seconds that an address is waited for when it stalls, at the start and later; it is then opened again.

    Attributes:
        name: of the source.
        is_live: whether it is a camera or an address.
        rate: frames per second, stated or assumed.
        count: frames of a movie as its file states them, 0 where that is not known.
        broken: frames so far that could not be decoded.
        interruptions: how often an address stalled and was taken up again.

    Raises:
        UserError: it does not exist, is no movie or has no frames; an address that does not answer for ``patience``.
    """

    def __init__(self, source: str | os.PathLike[str] | int, rate: float | None = None, patience: float = 60.0) -> None:
        self.source, self.patience = source if isinstance(source, int) else os.fspath(source), patience
        self.is_live = isinstance(self.source, int) or "://" in self.source
        self.broken = self.interruptions = 0
        self._pictures: list[Path] = []
        self.name, self.count, self.rate = "camera" if isinstance(source, int) else "stream", 0, rate or DEFAULT_FPS
        if isinstance(self.source, int):
            self.name = f"camera{self.source}"
        elif not self.is_live:
            self._look_at(Path(self.source), rate)

    def _look_at(self, path: Path, rate: float | None) -> None:
        self.name = path.name if path.is_dir() else path.stem
        if path.is_dir():
            names = sorted(path.iterdir(), key=lambda entry: (len(entry.stem), entry.name))
            self._pictures = [entry for entry in names if entry.suffix.lower() in PICTURE_SUFFIXES]
            self.count = len(self._pictures)
            if not self._pictures:
                raise UserError(f"The folder {path} has no pictures, expected frames such as 1.jpg; correct it.")
            return
        problem = file_problem(path) or (f"is {found}" if (found := stand_in(path)) else None)
        if problem:
            raise UserError(f"The video {path} {problem}, expected a video file; correct the path or copy it again.")
        video = open_video(str(path))
        stated = video.get(cv2.CAP_PROP_FPS) if video.isOpened() else 0.0
        has_frames = video.isOpened() and video.grab()
        self.count = max(int(video.get(cv2.CAP_PROP_FRAME_COUNT)), 0) if has_frames else 0
        video.release()
        if not has_frames:
            raise UserError(f"The video {path} has no readable frames, expected a video; copy or convert it again.")
        self.rate = stated if CLIP_FPS[0] <= stated <= CLIP_FPS[1] else rate or DEFAULT_FPS

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        """Start from the beginning; a camera or an address goes on from now."""
        waiting: queue.Queue[object] = queue.Queue(_AHEAD)
        stop = threading.Event()
        reader = threading.Thread(target=self._read_ahead, args=(waiting, stop), daemon=True)
        reader.start()
        try:
            while (item := waiting.get()) is not _END:
                if isinstance(item, BaseException):
                    raise item
                assert isinstance(item, tuple)
                yield item
        finally:
            stop.set()
            while reader.is_alive():  # it may wait to put its next frame
                try:
                    waiting.get_nowait()
                except queue.Empty:
                    reader.join(0.05)

    def _read_ahead(self, waiting: queue.Queue[object], stop: threading.Event) -> None:
        try:
            for item in self._read(stop):
                while not stop.is_set():
                    try:
                        waiting.put(item, timeout=0.1)
                        break
                    except queue.Full:
                        if self.is_live:  # what is old by now is not waited for
                            _drop_one(waiting)
                if stop.is_set():
                    return
            waiting.put(_END)
        except BaseException as error:  # handed to whoever iterates
            waiting.put(error)

    def _read(self, stop: threading.Event) -> Iterator[tuple[float, np.ndarray]]:
        if self._pictures:
            for number, path in enumerate(self._pictures):
                frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
                if frame is None:
                    self.broken += 1
                else:
                    yield number / self.rate, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        elif self.is_live:
            yield from self._read_live(stop)
        else:
            video = open_video(str(self.source))
            try:
                yield from self._decode(video, stop)
            finally:
                video.release()

    def _decode(self, video: cv2.VideoCapture, stop: threading.Event) -> Iterator[tuple[float, np.ndarray]]:
        number, last = 0, -1.0
        while not stop.is_set() and video.grab():
            stated = video.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
            # Containers without times state 0, or the same for all frames.
            second = stated if stated > last and (stated > 0 or number == 0) else max(number / self.rate, last + 1e-3)
            arrived, frame = video.retrieve()
            number += 1
            if not arrived or frame is None:
                self.broken += 1
                continue
            last = second
            yield second, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def _read_live(self, stop: threading.Event) -> Iterator[tuple[float, np.ndarray]]:
        begin = last_seen = time.monotonic()
        has_begun = is_said = False
        while not stop.is_set():
            video = self._open_live()
            while not stop.is_set() and video.isOpened():
                arrived, frame = video.read()
                if not arrived or frame is None:
                    break
                if is_said:
                    self.interruptions += 1
                    logger.warning("%s goes on after %.0f s", self.name, time.monotonic() - last_seen)
                last_seen, has_begun, is_said = time.monotonic(), True, False
                yield last_seen - begin, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            video.release()
            if stop.is_set():
                return
            if isinstance(self.source, int) and not has_begun:
                raise UserError(
                    f"Camera {self.source} cannot be opened or gives no frame, expected a camera there; connect it, "
                    "or choose another --camera."
                )
            if isinstance(self.source, int) or time.monotonic() - last_seen > self.patience:
                if not has_begun:
                    raise UserError(
                        f"The stream {self.source} gave no frame for {self.patience:g} s, expected a video stream; "
                        "check the address."
                    )
                return
            if has_begun and not is_said:
                logger.warning("%s has stalled; it is waited for up to %g s", self.name, self.patience)
            is_said = has_begun
            stop.wait(0.5)

    def _open_live(self) -> cv2.VideoCapture:
        if isinstance(self.source, int):
            return cv2.VideoCapture(self.source)
        milliseconds = int(min(max(self.patience / 4, 0.5), 10.0) * 1000)
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
        return cv2.VideoCapture(str(self.source), cv2.CAP_FFMPEG, limits)


def _drop_one(waiting: queue.Queue[object]) -> None:
    try:
        waiting.get_nowait()
    except queue.Empty:
        pass
