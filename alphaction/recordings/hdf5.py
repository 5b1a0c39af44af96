"""The HDF5 file of a thermal recording, opened and checked; nothing else opens one for reading.

    frames      floating-point degrees Celsius [N, h, w], or numbers in another unit that an attribute states
    timestamps  arrival times in ms [N]

Attributes of the file may describe the sensor (:mod:`alphaction.recordings.sensor`). Both data sets are stored in the
file itself and complete: no links to other files, no virtual data sets, no chunks that were never written. The same
rules for frames and times hold for recordings in other formats (:mod:`alphaction.recordings.raw_files`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from types import TracebackType

import h5py
import numpy as np

from ..annotations.text import check_file
from ..errors import UserError, stand_in
from .hdf5_arrays import FRAMES_FORMAT, MAX_CHUNK_MB, check_chunk_size, check_written, find_array
from .sensor import KEYS, Sensor, read_sensor, set_description
from .times import check_times, refuse_times
from .units import to_celsius

# What h5py raises for damaged files, besides MemoryError.
_H5PY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)


class RecordingFile:
    """An open recording; use it in a ``with`` statement.

    Args:
        path: HDF5 file.
        sensor: the sensor, where it is known from an earlier access.
        raw: accept integers without a unit; the frames are read by :meth:`read_stored` then.

    Raises:
        UserError: the file is missing, is not HDF5, is locked or damaged, or its ``frames`` are missing or have the
            wrong shape or type.
    """

    def __init__(self, path: str | os.PathLike, sensor: Sensor | None = None, raw: bool = False) -> None:
        self.path = os.fspath(path)
        self._source = f"The recording {self.path}"  # subject of all errors
        self._sensor = sensor
        self._file = self._open()
        try:
            with self._reading():
                self._frames = find_array(self._source, self._file, "frames")
                kinds = "iuf" if raw or self._integers_with_unit() else "f"
                check_frame_format(self._source, self._frames.shape, self._frames.dtype, kinds)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> RecordingFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Number of frames."""
        return int(self._frames.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return int(self._frames.shape[1]), int(self._frames.shape[2])

    @property
    def described(self) -> Sensor:
        """The sensor and the unit of the frames, as the file or its set states.

        Raises:
            UserError: a description that is wrong.
        """
        with self._reading():
            attributes = {key: self._file.attrs[key] for key in KEYS if key in self._file.attrs}
        integers = self._frames.dtype.kind in "iu"
        return read_sensor(self._source, self.shape, attributes, set_description(self.path), integers)

    @property
    def sensor(self) -> Sensor:
        """The sensor and the unit of the frames, see :attr:`described`; found once."""
        if self._sensor is None:
            self._sensor = self.described
        return self._sensor

    def _integers_with_unit(self) -> bool:
        """Whether frames are integers in another unit than °C; those of 8 bits are gray levels."""
        dtype = self._frames.dtype
        return dtype.kind in "iu" and dtype.itemsize > 1 and self._frames.ndim == 3 and self.sensor.unit != "celsius"

    @property
    def chunk_length(self) -> int:
        """Number of frames that are stored together."""
        return int(self._frames.chunks[0]) if self._frames.chunks else 64

    @property
    def frame_bytes(self) -> int:
        """Stored size of a frame before compression."""
        return self.shape[0] * self.shape[1] * int(self._frames.dtype.itemsize)

    @property
    def mac_address(self) -> str | None:
        """The sensor's address, None where the file does not name it."""
        with self._reading():
            found = self._file.attrs.get("mac_address")
            return (found.decode() if isinstance(found, bytes) else str(found)) if found is not None else None

    def check_complete(self) -> None:
        """Check that all frames were written and none is stored in a chunk far larger than all of them.

        This walks the index of the chunks: do it once per recording, not for each window.

        Raises:
            UserError: parts are missing, or a chunk is too large.
        """
        with self._reading():
            check_written(self._source, self._frames, "frames")

    def read_frames(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Frames ``start`` to ``stop`` float32 [n, h, w] in °C, without repair.

        Raises:
            UserError: they cannot be read.
        """
        stop = len(self) if stop is None else stop
        self._check_length(stop)
        with self._reading():
            return to_celsius(self._frames[start:stop], self.sensor.unit)

    def read_stored(self) -> np.ndarray:
        """All frames [N, h, w] in the type and unit in which they are stored.

        Raises:
            UserError: they cannot be read.
        """
        with self._reading():
            return self._frames[:]

    def pick_frames(self, numbers: np.ndarray) -> np.ndarray:
        """The frames of these increasing numbers, float32 [n, h, w] in °C, without repair.

        They are read chunk by chunk: each is decompressed once, and nothing else of it is kept.

        Raises:
            UserError: they cannot be read, or the chunks are too large.
        """
        self._check_length(int(numbers[-1]) + 1)
        with self._reading():
            check_chunk_size(self._source, self._frames, "frames", MAX_CHUNK_MB)
            picked = np.empty((len(numbers), *self.shape), dtype=np.float32)
            edges = np.flatnonzero(np.diff(numbers // self.chunk_length)) + 1
            for rows in np.split(np.arange(len(numbers)), edges):
                first, last = numbers[rows[0]], numbers[rows[-1]]
                picked[rows] = to_celsius(self._frames[first : last + 1][numbers[rows] - first], self.sensor.unit)
        return picked

    def _check_length(self, stop: int) -> None:
        if stop > len(self):
            raise UserError(
                f"{self._source} has {len(self)} frames now, expected at least {stop} as before; it "
                "changed while it was in use: start again."
            )

    def read_timestamps(self) -> np.ndarray | None:
        """Arrival times int64 [N] in ms, None where the file has no ``timestamps``.

        Raises:
            UserError: they cannot be read, are incomplete or are not one time per frame, see
                :func:`alphaction.recordings.times.check_times`.
        """
        times = self.read_stored_timestamps()
        return None if times is None else check_times(self._source, times, len(self))

    def read_stored_timestamps(self) -> np.ndarray | None:
        """``timestamps`` [N] as stored, in any unit; None where the file has none.

        Raises:
            UserError: they cannot be read, are incomplete or not one per frame.
        """
        with self._reading():
            if "timestamps" not in self._file:
                return None
            found = find_array(self._source, self._file, "timestamps")
            if found.shape != (len(self),):
                refuse_times(self._source, found.shape, found.dtype, len(self))
            check_written(self._source, found, "timestamps")
            return found[:]

    def _open(self) -> h5py.File:
        check_file(self.path, "recording", "an HDF5 file with frames and timestamps")
        try:
            return h5py.File(self.path, "r")
        except (*_H5PY_ERRORS, MemoryError) as error:
            if _is_locked(error):
                raise UserError(
                    f"{self._source} is in use: another program has the HDF5 file open for writing or did "
                    "not close it; close it there, or clear its mark with h5clear -s. On a file system without locks, "
                    "set the environment variable HDF5_USE_FILE_LOCKING to FALSE."
                ) from error
            other = stand_in(self.path)
            if other is not None:
                raise UserError(
                    f"{self._source} is {other}, expected an HDF5 file with frames and timestamps; fetch or write it "
                    "again."
                ) from error
            raise UserError(
                f"{self._source} cannot be opened as HDF5 ({_one_line(error)}); it is truncated, unreadable "
                "or in another format: copy it again."
            ) from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except MemoryError as error:
            raise UserError(
                f"{self._source} does not fit in memory, expected one that does; split it or free some memory."
            ) from error
        except _H5PY_ERRORS as error:
            raise UserError(
                f"{self._source} is damaged: part of it cannot be read ({_one_line(error)}), or it is "
                "compressed with a filter that is not installed; copy it again, or write it with gzip."
            ) from error


def check_frame_format(source: str, shape: tuple[int, ...], dtype: np.dtype, kinds: str = "f") -> None:
    """Raise UserError unless frames of this shape and type are one or more pictures of temperatures.

    Args:
        source: subject of the error's sentence.
        shape: of all frames.
        dtype: of their values.
        kinds: characters of numpy's kinds that are accepted.
    """
    if len(shape) != 3 or not (shape[1] and shape[2]):
        raise UserError(
            f"{source} has 'frames' of shape {list(shape)}, expected {FRAMES_FORMAT}; write them as pictures."
        )
    if dtype.kind not in kinds:
        raise UserError(
            f"{source} has 'frames' of type {dtype}, expected {FRAMES_FORMAT}; convert raw sensor values to "
            "temperatures first, or state their unit as the attribute 'unit'."
        )
    if not shape[0]:
        raise UserError(f"{source} has no frames, expected {FRAMES_FORMAT} with N at least 1; remove it.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _is_locked(error: Exception) -> bool:
    """Whether HDF5 refused a file since another program writes to it (or was stopped while it did)."""
    # The HDF5 library marks files that are written to, too; its error has no number then.
    text = str(error)
    return isinstance(error, BlockingIOError) or "unable to lock file" in text or "already open for write" in text
