"""Video files, written frame by frame: by PyAV where it is installed, else by OpenCV."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import UserError


class VideoFile:
    """An MP4 file; a context manager that completes it whatever happens.

    Args:
        path: to write.
        size: width and height, even numbers.
        rate: frames per second.

    Raises:
        UserError: it cannot be written.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate: float) -> None:
        self.path, self.size = path, size
        self._container: Any = None
        self._stream: Any = None
        self._writer: cv2.VideoWriter | None = None
        if importlib.util.find_spec("av") is not None and self._open_av(rate):
            return
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
        if not writer.isOpened():
            raise UserError(f"The video {path} cannot be written, expected a writable folder; choose another --out.")
        self._writer = writer

    def _open_av(self, rate: float) -> bool:
        """Whether PyAV can write H.264, which browsers show."""
        import av

        try:
            container = av.open(str(self.path), "w")
            stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001))
        except (OSError, ValueError, av.FFmpegError):  # a build without that encoder
            return False
        stream.width, stream.height, stream.pix_fmt = *self.size, "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast"}
        self._container, self._stream = container, stream
        return True

    def write(self, frame: np.ndarray) -> None:
        """Add a frame uint8 [h, w, 3] RGB."""
        if self._writer is not None:
            self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            return
        import av

        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Write what a player needs to open the file."""
        if self._writer is not None:
            self._writer.release()
        elif self._container is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._container = None

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
