"""The HDF5 file of a thermal recording, opened and checked; nothing else opens one for reading.

    frames      floating-point degrees Celsius [N, h, w]
    timestamps  arrival times in ms [N]

Attributes of the file may describe the sensor (:mod:`alphaction.recordings.sensor`). Both data sets are stored in the
file itself and complete: no links to other files, no virtual data sets, no chunks that were never written. The same
rules for frames and times hold for recordings in other formats (:mod:`alphaction.recordings.raw_files`).
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from types import TracebackType

import h5py
import numpy as np

from ..annotations.json_files import read_json
from ..errors import UserError, file_problem, stand_in
from .sensor import KEYS, Sensor, read_sensor
from .times import check_times, refuse_times

_FORMAT = "floating-point degrees Celsius [N, rows, columns]"
# A chunk is decompressed as a whole for every window that touches it.
_MAX_CHUNK_MB = 512
# What h5py raises for damaged files, besides MemoryError.
_H5PY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)
# Soft links followed on the way to a data set; more are a circle.
_MAX_LINKS = 16


class RecordingFile:
    """An open recording; use it in a ``with`` statement.

    Args:
        path: HDF5 file.
        sensor: what sent the frames, where that is known from an earlier access.
        raw: accept integers and any unit; the frames are read by :meth:`read_stored` then.

    Raises:
        UserError: the file is missing, is not HDF5, is locked or damaged, or its ``frames`` are missing or have the
            wrong shape or type.
    """

    def __init__(self, path: str | os.PathLike, sensor: Sensor | None = None, raw: bool = False) -> None:
        self.path = os.fspath(path)
        self._sensor = sensor
        self._file = self._open()
        try:
            with self._reading():
                self._frames = self._dataset("frames")
                check_frame_format(
                    f"The recording {self.path}", self._frames.shape, self._frames.dtype, "iuf" if raw else "f"
                )
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
        """What sent the frames, and their unit, as the file or its set says.

        Raises:
            UserError: a description that is wrong.
        """
        with self._reading():
            attributes = {key: self._file.attrs[key] for key in KEYS if key in self._file.attrs}
        return read_sensor(f"The recording {self.path}", self.shape, attributes, _set_description(self.path))

    @property
    def sensor(self) -> Sensor:
        """What sent the frames, which are degrees Celsius.

        Raises:
            UserError: a description that is wrong, or another unit.
        """
        if self._sensor is None:
            found = self.described
            if found.unit != "celsius":
                raise UserError(
                    f"The recording {self.path} has the unit {found.unit[:200]!r}, expected celsius; convert the "
                    "frames, as alphaction build-dataset does."
                )
            self._sensor = found
        return self._sensor

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
            self._check_complete(self._frames, "frames")

    def read_frames(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Frames ``start`` to ``stop`` float32 [n, h, w] in °C exactly as stored.

        Raises:
            UserError: they cannot be read.
        """
        stop = len(self) if stop is None else stop
        self._check_length(stop)
        with self._reading():
            return self._frames[start:stop].astype(np.float32, copy=False)

    def read_stored(self) -> np.ndarray:
        """All frames [N, h, w] in the type and unit in which they are stored.

        Raises:
            UserError: they cannot be read.
        """
        with self._reading():
            return self._frames[:]

    def pick_frames(self, numbers: np.ndarray) -> np.ndarray:
        """The frames of these increasing numbers, float32 [n, h, w] in °C exactly as stored.

        They are read chunk by chunk: each is decompressed once, and nothing else of it is kept.

        Raises:
            UserError: they cannot be read, or the chunks are too large.
        """
        self._check_length(int(numbers[-1]) + 1)
        with self._reading():
            self._check_chunk_size(self._frames, "frames", _MAX_CHUNK_MB)
            picked = np.empty((len(numbers), *self.shape), dtype=np.float32)
            edges = np.flatnonzero(np.diff(numbers // self.chunk_length)) + 1
            for rows in np.split(np.arange(len(numbers)), edges):
                first, last = numbers[rows[0]], numbers[rows[-1]]
                picked[rows] = self._frames[first : last + 1][numbers[rows] - first]
        return picked

    def _check_length(self, stop: int) -> None:
        if stop > len(self):
            raise UserError(
                f"The recording {self.path} has {len(self)} frames now, expected at least {stop} as before; it "
                "changed while it was in use: start again."
            )

    def read_timestamps(self) -> np.ndarray | None:
        """Arrival times int64 [N] in ms, None where the file has no ``timestamps``.

        Raises:
            UserError: they cannot be read, are incomplete or are not one time per frame, see
                :func:`alphaction.recordings.times.check_times`.
        """
        times = self.read_stored_timestamps()
        return None if times is None else check_times(f"The recording {self.path}", times, len(self))

    def read_stored_timestamps(self) -> np.ndarray | None:
        """``timestamps`` [N] as stored, in any unit; None where the file has none.

        Raises:
            UserError: they cannot be read, are incomplete or not one per frame.
        """
        with self._reading():
            if "timestamps" not in self._file:
                return None
            found = self._dataset("timestamps")
            if found.shape != (len(self),):
                refuse_times(f"The recording {self.path}", found.shape, found.dtype, len(self))
            self._check_complete(found, "timestamps")
            return found[:]

    def _open(self) -> h5py.File:
        problem = file_problem(self.path)  # opening a pipe would wait forever
        if problem:
            raise UserError(
                f"The recording {self.path} {problem}, expected an HDF5 file with frames and timestamps; put it there "
                "or correct the folder."
            )
        try:
            return h5py.File(self.path, "r")
        except (*_H5PY_ERRORS, MemoryError) as error:
            if _is_locked(error):
                raise UserError(
                    f"The recording {self.path} is in use: another program has the HDF5 file open for writing or did "
                    "not close it; close it there, or clear its mark with h5clear -s. On a file system without locks, "
                    "set the environment variable HDF5_USE_FILE_LOCKING to FALSE."
                ) from error
            other = stand_in(self.path)
            if other is not None:
                raise UserError(
                    f"The recording {self.path} is {other}, expected an HDF5 file with frames and timestamps; fetch or "
                    "write it again."
                ) from error
            raise UserError(
                f"The recording {self.path} cannot be opened as HDF5 ({_one_line(error)}); it is truncated, unreadable "
                "or in another format: copy it again."
            ) from error

    def _dataset(self, name: str) -> h5py.Dataset:
        found = self._find(self._file, name, _MAX_LINKS)
        if found is None:
            raise UserError(
                f"The recording {self.path} has no {name!r} (found {', '.join(self._file) or 'nothing'}), expected "
                f"{_FORMAT} as 'frames' and milliseconds [N] as 'timestamps'; write them under these names."
            )
        if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
            raise UserError(
                f"The recording {self.path} has {name!r} whose values are in other files, expected them in the file "
                "itself; copy them into it."
            )
        if not isinstance(found, h5py.Dataset) or found.shape is None:
            raise UserError(
                f"The recording {self.path} has {name!r} that are not a data set with values, expected an array; "
                "write it again."
            )
        return found

    def _find(self, start: h5py.Group, path: str, links: int) -> h5py.HLObject | None:
        """The object at a path over hard and soft links; None where the first name is unknown.

        Raises:
            UserError: a link to another file, or one that leads nowhere.
        """
        found: h5py.HLObject = start.file if path.startswith("/") else start
        for part in path.split("/"):
            if part in ("", "."):
                continue
            link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
            if link is None:
                return None
            if isinstance(link, h5py.ExternalLink):
                raise UserError(
                    f"The recording {self.path} has {part!r} that link to another file, expected them in the file "
                    "itself; copy them into it."
                )
            if not isinstance(link, h5py.SoftLink):
                found = found[part]
                continue
            target = self._find(found, link.path, links - 1) if links else None
            if target is None:
                raise UserError(
                    f"The recording {self.path} has {part!r} that link to {link.path!r}, which is not in the file, "
                    "expected the data there; write it again."
                )
            found = target
        return found

    def _check_complete(self, dataset: h5py.Dataset, name: str) -> None:
        if dataset.chunks:
            expected = math.prod(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
            complete = dataset.id.get_num_chunks() == expected
            self._check_chunk_size(dataset, name, dataset.size * dataset.dtype.itemsize / 1e6 + _MAX_CHUNK_MB)
        else:
            complete = dataset.id.get_storage_size() >= dataset.size * dataset.dtype.itemsize
        if not complete:
            raise UserError(
                f"The recording {self.path} has {name!r} of shape {list(dataset.shape)}, of which parts were never "
                "written, expected all of them; copy or record it again."
            )

    def _check_chunk_size(self, dataset: h5py.Dataset, name: str, limit: float) -> None:
        megabytes = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize / 1e6
        if megabytes > limit:
            raise UserError(
                f"The recording {self.path} has {name!r} in chunks of {megabytes:.0f} MB, expected at most "
                f"{limit:.0f} MB; write them again in chunks of 64 frames."
            )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except MemoryError as error:
            raise UserError(
                f"The recording {self.path} does not fit in memory, expected one that does; split it or free some "
                "memory."
            ) from error
        except _H5PY_ERRORS as error:
            raise UserError(
                f"The recording {self.path} is damaged: part of it cannot be read ({_one_line(error)}), or it is "
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
        raise UserError(f"{source} has 'frames' of shape {list(shape)}, expected {_FORMAT}; write them as pictures.")
    if dtype.kind not in kinds:
        raise UserError(
            f"{source} has 'frames' of type {dtype}, expected {_FORMAT}; convert raw sensor values to temperatures "
            "first."
        )
    if not shape[0]:
        raise UserError(f"{source} has no frames, expected {_FORMAT} with N at least 1; remove it.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _is_locked(error: Exception) -> bool:
    """Whether HDF5 refused a file since another program writes to it (or was stopped while it did)."""
    # The HDF5 library marks files that are written to, too; its error has no number then.
    text = str(error)
    return isinstance(error, BlockingIOError) or "unable to lock file" in text or "already open for write" in text


def _set_description(path: str) -> Mapping[str, object]:
    """The entry "sensor" of the dataset_info.json of the set that a recording belongs to, empty without one."""
    folder = os.path.dirname(path)
    for place in (folder, os.path.dirname(folder) if os.path.basename(folder) == "frames" else None):
        info = os.path.join(place, "dataset_info.json") if place is not None else ""
        if info and os.path.isfile(info):
            content = read_json(info, "data set information")
            found = content.get("sensor") if isinstance(content, dict) else None
            if isinstance(found, dict):
                return found
            return {} if found is None else {"sensor": found}
    return {}
