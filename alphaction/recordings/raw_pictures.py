"""Frames as folders of pictures: one-channel PNG of 16 bits, or TIFF of 16 bits or floating point."""

from __future__ import annotations

import math
import re
from pathlib import Path

import cv2
import numpy as np

from ..annotations.text import check_file
from ..errors import UserError, stand_in
from .raw_layout import RawFrames, RawOptions
from .raw_times import UNIT_OPTIONS, counts_frames, to_milliseconds

PICTURE_SUFFIXES = (".png", ".tif", ".tiff")
_NUMBER_AT_END = re.compile(r"\d+(?:\.\d+)?\Z")
_DATE_AT_END = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[T_-](\d\d)[-_.]?(\d\d)[-_.]?(\d\d)(?:[-_.](\d{1,9}))?\Z")


def list_pictures(folder: Path) -> list[Path]:
    """Pictures of a folder; numbers in their names are ordered by value, so that 10 follows 9."""
    names = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted((path for path in names if path.suffix.lower() in PICTURE_SUFFIXES), key=_natural)


def load_pictures(folder: Path, options: RawOptions) -> RawFrames:
    """The pictures of a folder in the order of their names; a TIFF may have several pages.

    The number or the date at the end of each name (20260131_120000_250) is a time, unless the names count the frames.

    Raises:
        UserError: names the picture that is unreadable, in color, or of another size than the first.
    """
    paths = list_pictures(folder)
    frames: list[np.ndarray] = []
    for path in paths:
        for picture in _read_pages(path):
            if picture.ndim != 2:
                raise UserError(
                    f"{path} has {picture.shape[2]} channels, expected one channel with temperatures: colored pictures "
                    "hold none; export 16-bit or floating-point pictures."
                )
            if frames and (picture.shape, picture.dtype) != (frames[0].shape, frames[0].dtype):
                raise UserError(
                    f"{path} has {picture.shape[0]}x{picture.shape[1]} pixels of type {picture.dtype}, expected "
                    f"{frames[0].shape[0]}x{frames[0].shape[1]} of type {frames[0].dtype} as in {paths[0].name}: move "
                    "it away."
                )
            frames.append(picture)
    if not frames:
        raise UserError(f"{folder} holds no pictures, expected PNG or TIFF with a frame each: put them there.")
    times, counted = _times_of_names(paths, options) if len(frames) == len(paths) else (None, False)
    return RawFrames(np.stack(frames), times, counted=counted)


def _read_pages(path: Path) -> list[np.ndarray]:
    check_file(path, "picture")
    try:
        data = np.fromfile(path, dtype=np.uint8)
        if path.suffix.lower() == ".png":
            picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
            pages = [] if picture is None else [picture]
        else:
            pages = list(cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED)[1] or ()) if data.size else []
    except (OSError, cv2.error, MemoryError):
        pages = []
    if not pages:
        other = stand_in(path)
        raise UserError(
            f"{path} {f'is {other}' if other else 'could not be read'}, expected a PNG or TIFF picture: write it again."
        )
    return [np.asarray(page) for page in pages]


def _times_of_names(paths: list[Path], options: RawOptions) -> tuple[np.ndarray | None, bool]:
    """Times float64 [N] in ms at the end of the names, None where they have none or count all frames; whether they are
    numbers that count the frames, some of which are missing."""
    unit = options.time_unit or "ms"
    dates = [_DATE_AT_END.search(path.stem) for path in paths]
    if all(dates):
        texts = ["{}-{}-{}T{}:{}:{}.{}".format(*match.groups(default="0")) for match in dates if match]
        return to_milliseconds(paths[0].parent, texts, unit), False
    matches = [_NUMBER_AT_END.search(path.stem) for path in paths]
    numbers = np.array([float(match[0]) for match in matches if match is not None])
    # Numbers that go back belong to names of several parts.
    if (
        len(numbers) < len(paths)
        or (np.diff(numbers) < 0).any()
        or (len(numbers) > 1 and (np.diff(numbers) == 1).all())
    ):
        return None, False
    return numbers * UNIT_OPTIONS[unit], counts_frames(numbers, options.time_unit, math.inf)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]
