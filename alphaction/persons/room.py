"""The room without persons: what a pixel shows when nobody warms it.

Persons are warmer than a room and move now and then, so the room is a low quantile of each pixel over time. The median
would show a person who lies in one place for half of the time; the quantile shows the floor below.
"""

from __future__ import annotations

import numpy as np

from ..errors import UserError
from ..recordings.recording import ThermalRecording

# Share of the time during which a pixel shows the bare room at the least.
QUANTILE = 0.15
# Frames that a picture is made from, spread evenly over a recording.
_MAX_FRAMES = 256
# Pixels sorted at once, which bounds the memory for large frames.
_SORTED_ELEMENTS = 4_000_000


def room_picture(frames: np.ndarray, quantile: float = QUANTILE) -> np.ndarray:
    """The room float32 [h, w] of the repaired frames [N, h, w] °C, of at most 256 of them."""
    frames = frames[_spread(len(frames))]
    rank = int(quantile * len(frames))
    flat = np.asarray(frames, np.float32).reshape(len(frames), -1)
    picture = np.empty(flat.shape[1], np.float32)
    at_once = max(_SORTED_ELEMENTS // len(flat), 1)
    for start in range(0, len(picture), at_once):
        part = slice(start, start + at_once)
        picture[part] = np.partition(flat[:, part], rank, axis=0)[rank]
    return picture.reshape(frames.shape[1:])


def recording_room(recording: ThermalRecording, quantile: float = QUANTILE) -> np.ndarray:
    """The room float32 [h, w] of a recording, of which only the needed frames are read."""
    frames = [recording.window(int(number), 1)[0] for number in _spread(len(recording))]
    return room_picture(np.stack(frames), quantile)


def _spread(count: int) -> np.ndarray:
    """At most 256 numbers of frames."""
    return np.unique(np.linspace(0, count - 1, min(count, _MAX_FRAMES)).astype(int))


class RunningRoom:
    """The room of a stream.

    Frames are sampled densely at first, so that a person who was there from the beginning leaves the picture soon, and
    ever more thinly, so that one who lies still enters it only after most of ``seconds``.

    Args:
        seconds: time that the picture looks back, at the most.
        samples: frames that are kept.
    """

    def __init__(self, seconds: float = 1024.0, samples: int = 64) -> None:
        self._longest = seconds / samples
        self._count = samples
        self._interval = min(0.5, self._longest)
        self._samples: list[np.ndarray] = []
        self._last = -np.inf
        self._picture: np.ndarray | None = None

    def update(self, time_s: float, frame: np.ndarray) -> None:
        """See the repaired ``frame`` [h, w] °C at ``time_s``; times increase.

        Raises:
            UserError: another shape than before.
        """
        if self._samples and self._samples[0].shape != np.shape(frame):
            raise UserError(
                f"The stream changed from frames of shape {list(self._samples[0].shape)} to {list(np.shape(frame))}, "
                "expected one sensor; start a new RunningRoom."
            )
        if time_s - self._last < self._interval:
            return
        self._samples.append(np.array(frame, np.float32))
        self._last, self._picture = time_s, None
        if len(self._samples) > self._count:
            if self._interval < self._longest:
                self._interval = min(2 * self._interval, self._longest)
                del self._samples[1::2]
            else:
                del self._samples[0]

    @property
    def picture(self) -> np.ndarray:
        """float32 [h, w] °C.

        Raises:
            UserError: no frame was seen yet.
        """
        if not self._samples:
            raise UserError("The room of the stream is unknown, expected at least one frame; call update first.")
        if self._picture is None:
            self._picture = room_picture(np.stack(self._samples))
        return self._picture
