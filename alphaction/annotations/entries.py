"""Checked values of an entry of a JSON file: names, whole numbers, seconds, boxes.

Each function raises :class:`EntryError`, whose text continues the sentence "In FILE, entry N of LIST".
"""

from __future__ import annotations

import unicodedata

from ..errors import UserError
from .seconds import Second, as_second
from .text import composed, short

_MAX_WHOLE = 2**31 - 1
_MAX_LENGTH = 255
# Larger coordinates are errors in any unit; smaller ones cannot overflow.
_MAX_COORDINATE = 1e9
# Unicode categories that no name has: control characters, surrogates, line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}


class EntryError(ValueError):
    """What is wrong with an entry: "has 'width' 0, expected a whole number from 1"."""


def in_file(path: str, where: str, error: EntryError) -> UserError:
    """The UserError for an EntryError."""
    return UserError(f"In {path}, {where} {error}; correct it.")


def value(entry: object, key: str) -> object:
    """``entry[key]``."""
    if not isinstance(entry, dict):
        raise EntryError(f"is {short(entry)}, expected an object with {key!r}")
    if key not in entry:
        raise EntryError(f"has no {key!r}, expected one in every entry")
    return entry[key]


def whole(entry: object, key: str, least: int = 0, most: int = _MAX_WHOLE) -> int:
    """A whole number; a float or a string of digits that says one will do."""
    return to_whole(value(entry, key), key, least, most)


def to_whole(found: object, key: str, least: int = 0, most: int = _MAX_WHOLE) -> int:
    """See :func:`whole`."""
    number = found
    if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) < 20:
        number = int(found)
    elif isinstance(found, float) and found.is_integer():
        number = int(found)
    if type(number) is not int or not least <= number <= most:
        bounds = f" from {least}" if least in (0, 1) else ""
        raise EntryError(f"has {key!r} {short(found)}, expected a whole number{bounds} below 2**31")
    return number


def second(entry: object, key: str) -> Second:
    """A keyframe's time in seconds, see :func:`~alphaction.annotations.seconds.as_second`."""
    found = as_second(value(entry, key))
    if found is None:
        raise EntryError(f"has {key!r} {short(value(entry, key))}, expected a second from 0 below 2**31")
    return found


def number(entry: object, key: str) -> float:
    """A number that float32 can hold."""
    found = value(entry, key)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not -3e38 < found < 3e38:
        raise EntryError(f"has {key!r} {short(found)}, expected a finite number")
    return float(found)


def to_number(found: object, key: str) -> float:
    """A finite number of a usual size; text that says one will do."""
    number: object = found
    if isinstance(found, str) and len(found) < 40 and found.isascii() and "_" not in found:
        try:
            number = float(found)
        except ValueError:
            number = None
    if type(number) not in (int, float) or not -_MAX_COORDINATE < number < _MAX_COORDINATE:  # type: ignore[operator]
        raise EntryError(f"has {key!r} {short(found)}, expected a finite number")
    return float(number)  # type: ignore[arg-type]


def box(entry: object) -> list[float]:
    """Four finite numbers in "bbox"."""
    found = value(entry, "bbox")
    if isinstance(found, list) and len(found) == 4:
        for coordinate in found:
            if type(coordinate) not in (int, float) or not -_MAX_COORDINATE < coordinate < _MAX_COORDINATE:
                break
        else:
            return found
    raise EntryError(f"has 'bbox' {short(found)}, expected four numbers that are finite")


def identifier(entry: object, key: str) -> str:
    """An id, text or whole number, as text."""
    found = value(entry, key)
    if type(found) is int and abs(found) < 2**63:
        return str(found)
    return check_name(found, key)


def name(entry: object, key: str) -> str:
    """Text that can be printed and written to any file."""
    return check_name(value(entry, key), key)


def check_name(found: object, key: str) -> str:
    """See :func:`name`; the name is returned in composed form."""
    if not isinstance(found, str) or not 0 < len(found) <= _MAX_LENGTH or not is_printable(found):
        raise EntryError(f"has {key!r} {short(found)}, expected a name of 1 to {_MAX_LENGTH} printable characters")
    return composed(found)


def is_printable(text: str) -> bool:
    """Whether text has no control characters, surrogates and line separators; the same with every Unicode table."""
    return not any(unicodedata.category(mark) in _UNPRINTABLE for mark in text)


def recording_name(entry: object, key: str) -> str:
    """The name of a recording or movie, which is also its path below the data set's folder."""
    return check_recording_name(name(entry, key), key)


def check_recording_name(found: str, key: str) -> str:
    """See :func:`recording_name`."""
    parts = found.replace("\\", "/").split("/")
    if "" in parts or "." in parts or ".." in parts:
        raise EntryError(f"has {key!r} {short(found)}, expected a name below the data set's folder")
    return found
