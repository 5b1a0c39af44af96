"""The HDF5 file of a thermal recording, opened and checked; nothing else opens one for reading.

    frames      floating-point degrees Celsius [N, 40, 60]
    timestamps  arrival times in ms [N], never decreasing

Both are stored in the file itself and complete: no links, no virtual data sets, no chunks that were never written. The
same rules for frames and times hold for recordings in other formats (:mod:`alphaction.recordings.raw_files`).
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
from collections.abc import Iterator
from types import TracebackType

import h5py
import numpy as np

from ..errors import UserError
from .packets import FRAME_SHAPE

_FORMAT = f"floating-point degrees Celsius [N, {FRAME_SHAPE[0]}, {FRAME_SHAPE[1]}]"
# Mean numbers of frames per second that times in ms can give; times in seconds or microseconds are outside.
_RATE_RANGE = (0.01, 1000.0)
_MAX_TIME = 2**62
# A chunk is decompressed as a whole for every window that touches it.
_MAX_CHUNK_MB = 512


class RecordingFile:
    """An open recording; use it in a ``with`` statement.

    Args:
        path: HDF5 file.

    Raises:
        UserError: the file is missing, is not HDF5, or is damaged, or its ``frames`` are missing, incomplete, or have
            the wrong shape or type.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)
        self._file = self._open()
        try:
            with self._reading():
                self._frames = self._dataset("frames")
                check_frame_format(f"The recording {self.path}", self._frames.shape, self._frames.dtype)
                self._check_complete(self._frames, "frames")
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
    def chunk_length(self) -> int:
        """Number of frames that are stored together."""
        return int(self._frames.chunks[0]) if self._frames.chunks else 64

    @property
    def mac_address(self) -> str | None:
        """The sensor's address, None where the file does not name it."""
        with self._reading():
            found = self._file.attrs.get("mac_address")
            return (found.decode() if isinstance(found, bytes) else str(found)) if found is not None else None

    def read_frames(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Frames ``start`` to ``stop`` float32 [n, 40, 60] in °C exactly as stored.

        Raises:
            UserError: they cannot be read.
        """
        stop = len(self) if stop is None else stop
        if stop > len(self):
            raise UserError(
                f"The recording {self.path} has {len(self)} frames now, expected at least {stop} as before; it "
                "changed while it was in use: start again."
            )
        with self._reading():
            return self._frames[start:stop].astype(np.float32, copy=False)

    def read_timestamps(self) -> np.ndarray | None:
        """Arrival times int64 [N] in ms, None where the file has no ``timestamps``.

        Raises:
            UserError: they cannot be read or are not one time per frame, see :func:`check_times`.
        """
        with self._reading():
            if "timestamps" not in self._file:
                return None
            found = self._dataset("timestamps")
            if found.shape != (len(self),):
                _refuse_times(f"The recording {self.path}", found.shape, found.dtype, len(self))
            self._check_complete(found, "timestamps")
            times = found[:]
        return check_times(f"The recording {self.path}", times, len(self))

    def _open(self) -> h5py.File:
        try:
            if not stat.S_ISREG(os.stat(self.path).st_mode):
                raise UserError(
                    f"The recording {self.path} cannot be opened as HDF5, it is not a regular file; put a recording "
                    "there."
                )
            return h5py.File(self.path, "r")
        except FileNotFoundError as error:
            raise UserError(
                f"The recording {self.path} does not exist, expected an HDF5 file with frames and timestamps; put it "
                "there or correct the folder."
            ) from error
        except (OSError, RuntimeError, MemoryError) as error:
            raise UserError(
                f"The recording {self.path} cannot be opened as HDF5 ({_one_line(error)}); it is truncated, unreadable "
                "or in another format: copy it again."
            ) from error

    def _dataset(self, name: str) -> h5py.Dataset:
        kind = self._file.get(name, getclass=True, getlink=True)
        if kind is None:
            raise UserError(
                f"The recording {self.path} has no {name!r} (found {', '.join(self._file) or 'nothing'}), expected "
                f"{_FORMAT} as 'frames' and milliseconds [N] as 'timestamps'; write them under these names."
            )
        found = self._file[name] if kind is h5py.HardLink else None
        if found is None or isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
            raise UserError(
                f"The recording {self.path} has {name!r} that link to other data, expected them in the file itself; "
                "copy them into it."
            )
        if not isinstance(found, h5py.Dataset) or found.shape is None:
            raise UserError(
                f"The recording {self.path} has {name!r} that are not a data set with values, expected an array; "
                "write it again."
            )
        return found

    def _check_complete(self, dataset: h5py.Dataset, name: str) -> None:
        if dataset.chunks:
            expected = math.prod(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
            complete = dataset.id.get_num_chunks() == expected
            megabytes = math.prod(dataset.chunks) * dataset.dtype.itemsize / 1e6
            if megabytes > _MAX_CHUNK_MB:
                raise UserError(
                    f"The recording {self.path} has {name!r} in chunks of {megabytes:.0f} MB, expected at most "
                    f"{_MAX_CHUNK_MB} MB; write them again in chunks of 64 frames."
                )
        else:
            complete = dataset.id.get_storage_size() >= dataset.size * dataset.dtype.itemsize
        if not complete:
            raise UserError(
                f"The recording {self.path} has {name!r} of shape {list(dataset.shape)}, of which parts were never "
                "written, expected all of them; copy or record it again."
            )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # h5py raises errors of many kinds for damaged files
            raise UserError(
                f"The recording {self.path} is torn, a part of it cannot be read ({_one_line(error)}), expected a "
                "complete HDF5 file; copy it again."
            ) from error


def check_frame_format(source: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise UserError unless frames of this shape and type are one or more pictures of the sensor.

    Args:
        source: subject of the error's sentence.
    """
    if len(shape) != 3 or tuple(shape[1:]) != FRAME_SHAPE:
        raise UserError(
            f"{source} has 'frames' of shape {list(shape)}, expected {_FORMAT}; only this sensor's frames can be read."
        )
    if dtype.kind != "f":
        raise UserError(
            f"{source} has 'frames' of type {dtype}, expected {_FORMAT}; convert raw sensor values to temperatures "
            "first."
        )
    if not shape[0]:
        raise UserError(f"{source} has no frames, expected {_FORMAT} with N at least 1; remove it.")


def check_times(source: str, times: np.ndarray, frames: int) -> np.ndarray:
    """Times int64 [N] in ms, rounded to whole ones.

    Times that are all equal say nothing about the rate and are accepted.

    Args:
        source: subject of the error's sentence.
        times: one number per frame.
        frames: how many frames there are.

    Raises:
        UserError: not one finite number for each frame, decreasing times, or times that cannot be ms.
    """
    if times.shape != (frames,) or times.dtype.kind not in "iuf":
        _refuse_times(source, times.shape, times.dtype, frames)
    if not np.isfinite(times).all():
        raise UserError(f"{source} has 'timestamps' that are not finite, expected milliseconds; write them again.")
    if (np.abs(times.astype(np.float64)) > _MAX_TIME).any():
        raise UserError(f"{source} has 'timestamps' above 2**62, expected milliseconds; write them again.")
    whole = np.round(times).astype(np.int64) if times.dtype.kind == "f" else times.astype(np.int64)
    if (whole[1:] < whole[:-1]).any():
        at = int(np.argmax(whole[1:] < whole[:-1])) + 1
        raise UserError(
            f"{source} has 'timestamps' that go back in time at frame {at}, expected times that never decrease; sort "
            "the frames or correct the times."
        )
    duration = (float(whole[-1]) - float(whole[0])) / 1000.0
    rate = (frames - 1) / duration if duration > 0 else None
    if rate is not None and not _RATE_RANGE[0] <= rate <= _RATE_RANGE[1]:
        raise UserError(
            f"{source} has 'timestamps' that give {rate:.3g} frames per second, expected milliseconds at "
            f"{_RATE_RANGE[0]:g} to {_RATE_RANGE[1]:g} frames per second; correct the times."
        )
    return whole


def _refuse_times(source: str, shape: tuple[int, ...], dtype: np.dtype, frames: int) -> None:
    number = f"{frames} frames and {shape[0]} times, " if len(shape) == 1 and shape[0] != frames else ""
    raise UserError(
        f"{source} has {number}'timestamps' of type {dtype} and shape {list(shape)}, expected one number of "
        "milliseconds per frame; write them again."
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
