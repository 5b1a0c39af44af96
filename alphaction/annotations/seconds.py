"""The time of a keyframe in seconds: one parser for AVA's ids, CSV, JSON and file names.

``902``, ``0902``, ``902.0`` and 902 are the same second. ``903.5`` is a keyframe of its own and never becomes 903.
"""

from __future__ import annotations

import os
import re

import numpy as np

from ..errors import UserError
from .text import short

# Whole seconds are int, fractions float; 902 == 902.0, and both have the same hash.
Second = int | float

_SPELLING = re.compile(r"[0-9]{1,10}(\.[0-9]{0,20})?")
_LIMIT = 2**31
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
# AVA's pictures of keyframes are called 0902.jpg; longer numbers that begin with 0 count frames.
_DIGITS = 4


def as_second(found: object) -> Second | None:
    """The second that a value of a file says, a number or text: int where it is whole, else float.

    None for anything else: no number, below 0, 2**31 and more.
    """
    number: object = found
    if isinstance(found, str):
        text = found.strip()
        number = float(text) if _SPELLING.fullmatch(text) else None
    if not isinstance(number, (int, float)) or isinstance(number, bool) or not 0 <= number < _LIMIT:
        return None  # NaN, too
    return int(number) if number == int(number) else float(number)


def parse_second(found: object, where: str) -> Second:
    """See :func:`as_second`.

    Args:
        where: file and place, for the error.

    Raises:
        UserError: no second.
    """
    second = as_second(found)
    if second is None:
        raise UserError(
            f"{where}: found the second {short(found)}, expected a number from 0, such as 902, 0902 or 903.5; correct "
            "or remove the line."
        )
    return second


def second_of_file(name: str) -> Second | None:
    """The second that a file's name says, ``0902.mp4`` or ``902.jpg``; None for other names.

    The number of a picture such as ``img_00001.jpg`` or ``000001.png`` counts frames and is no second.
    """
    stem, suffix = os.path.splitext(name)
    if suffix.lower() in PICTURE_SUFFIXES and len(stem) > _DIGITS and stem.startswith("0") and "." not in stem:
        return None
    return as_second(stem)


def format_second(second: Second) -> str:
    """A second as AVA's files spell it, with at least four digits before the point: ``0902``, ``0903.5``."""
    if second == int(second):
        return f"{int(second):04d}"
    whole, _, fraction = np.format_float_positional(second, trim="-").partition(".")
    return f"{int(whole):04d}.{fraction}"


def as_array(seconds: np.ndarray) -> np.ndarray:
    """Seconds or frame numbers of many keyframes, float64, -> int32 where all are whole, else as they are."""
    whole = seconds.astype(np.int32)
    return whole if (whole == seconds).all() else seconds
