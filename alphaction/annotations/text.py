"""Text files of any system: byte order marks, line ends, names whose accents are composed or decomposed.

Every reader of JSON, JSON lines, CSV and label maps opens its files here.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import reprlib
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TextIO

from ..errors import UserError, file_problem

# Longest quote of a value, and of a list of names, in a message (characters).
MAX_QUOTE, MAX_LIST = 120, 200
# UTF-32's mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextlib.contextmanager
def open_text(
    path: str | os.PathLike, kind: str, newline: str | None = None, expected: str = "a text file"
) -> Iterator[TextIO]:
    """Open a text file for reading: UTF-8 with or without a byte order mark, UTF-16 or UTF-32 with one.

    Lines end with LF, CR LF or CR. Other separators, such as U+2028 inside a JSON string, do not end a line as long as
    the lines come from the file and not from ``str.splitlines``.

    Args:
        path: the file.
        kind: what an error calls it, such as "annotation file".
        newline: "" keeps the line ends, as the csv module needs it.
        expected: what an error says that it should be.

    Raises:
        UserError: on opening or while it is read: no such file, a folder, a pipe or device, or not text.
    """
    try:
        encoding = _encoding(path, kind, expected)
        with open(path, encoding=encoding, newline=newline) as file:
            yield file
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"The {kind} {path} cannot be read ({reason}), expected {expected}; put it there or correct the path."
        ) from error
    except UnicodeError as error:
        reason = getattr(error, "reason", "wrong bytes")
        raise UserError(
            f"The {kind} {path} is not a text file ({reason}), expected UTF-8, or UTF-16 with a byte order mark; save "
            "it again as UTF-8 or name another file."
        ) from error


def read_text(path: str | os.PathLike, kind: str, expected: str = "a text file") -> str:
    """The whole text of a file, see :func:`open_text`."""
    with open_text(path, kind, expected=expected) as file:
        return file.read()


def check_file(path: str | os.PathLike, kind: str, expected: str = "a file") -> None:
    """Raise UserError for anything but a file of the disk; opening a pipe would wait for its writer."""
    problem = file_problem(path)
    if problem is not None:
        raise UserError(f"The {kind} {path} {problem}, expected {expected}; put it there or correct the path.")


def _encoding(path: str | os.PathLike, kind: str, expected: str) -> str:
    check_file(path, kind, expected)
    with open(path, "rb") as file:
        head = file.read(4)
    encoding = marked_encoding(head)
    if encoding is None and len(head) > 1 and 0 < head.count(0) < len(head):
        raise UserError(
            f"The {kind} {path} is not UTF-8 (it begins like UTF-16 without a byte order mark), expected UTF-8, or "
            "UTF-16 with the mark; save it again as UTF-8."
        )
    return encoding or "utf-8"


def marked_encoding(head: bytes) -> str | None:
    """The encoding that the byte order mark at the beginning of a file tells, None without one."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC): names that look the same are the same, whichever system wrote them."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def find_path(folder: str | os.PathLike, name: str) -> str:
    """Path of the file or folder ``name`` below ``folder``, also where the disk has it decomposed, as macOS writes it.

    The result need not exist.
    """
    path = os.path.join(folder, name)
    if name.isascii() or os.path.lexists(path):
        return path
    path = os.fspath(folder)
    for part in name.split("/"):
        path = os.path.join(path, next((other for other in _listed(path) if composed(other) == composed(part)), part))
    return path


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def is_number(text: str) -> bool:
    """Whether text is a number, with a decimal point or comma."""
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def short(found: object) -> str:
    """At most 120 characters of a value's repr."""
    text = _SHORT.repr(found)
    return text if len(text) <= MAX_QUOTE else text[: MAX_QUOTE - 3] + "..."


def short_name(name: str) -> str:
    """A name as :func:`short` shows it, without the quotes."""
    return short(name)[1:-1]


def short_list(names: Sequence[str]) -> str:
    """Names for a message, at most 200 characters."""
    shown = ", ".join(map(short_name, names))
    return shown if len(shown) <= MAX_LIST else f"{shown[: MAX_LIST - 20]} ... ({len(names)})"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100
