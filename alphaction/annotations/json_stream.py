"""Large JSON files entry by entry, so that reading one takes a few MB whatever its size."""

from __future__ import annotations

import ctypes
import json
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from ..errors import UserError

_SPACE = re.compile(r"[ \t\n\r]*")
_CHUNK = 1 << 20


def stream_lists(path: str, kind: str) -> Iterator[tuple[str, Any]]:
    """(key, entry) for every entry of every list at the top level of a JSON object, in the file's order.

    The entries of a file that is a list itself come with the key "". Other values are passed over.

    Args:
        path: the file.
        kind: what an error calls it.

    Raises:
        UserError: the file cannot be read, is not JSON, or is neither an object nor a list.
    """
    place = "its beginning"
    try:
        with open(path, encoding="utf-8") as stream:
            text = _Text(stream)
            start = text.peek()
            if start not in "[{":
                raise UserError(
                    f"The {kind} {path} holds neither an object nor a list, expected the format of "
                    "docs/data.md; write it anew."
                )
            for key in [""] if start == "[" else text.keys():
                if text.peek() != "[":
                    text.value()
                    continue
                for number, entry in enumerate(text.entries()):
                    place = f"entry {number + 1} of {key or 'the list'}"
                    yield key, entry
            text.end()
    except OSError as error:
        raise UserError(
            f"The {kind} {path} cannot be read ({error.strerror}), expected a JSON file; put it there or "
            "correct the path."
        ) from error
    except UserError:
        raise
    except ValueError as error:
        what = getattr(error, "msg", None) or error
        raise UserError(
            f"The {kind} {path} is not JSON ({what}, after {place}), expected the format of docs/data.md; "
            "write it anew."
        ) from error


def give_memory_back() -> None:
    """Return what reading has freed to the system, as far as the C library can: glibc keeps over 100 MB after a file as
    large as AVA's, since arrays that stay lie above it."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


class _Text:
    """A window on a JSON text: what is read of the file and not used yet. Raises ValueError where it is not JSON."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.text, self.at, self.ended = stream, "", 0, False
        self.decode = json.JSONDecoder().raw_decode

    def _more(self) -> None:
        # A value that does not fit is tried again with twice as much text, so that a huge one costs no more than twice.
        piece = self.stream.read(max(_CHUNK, len(self.text) - self.at))
        self.ended = not piece
        self.text, self.at = self.text[self.at :] + piece, 0

    def peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            self.at = _SPACE.match(self.text, self.at).end()
            if self.at < len(self.text):
                return self.text[self.at]
            if self.ended:
                return ""
            self._more()

    def skip(self, expected: str) -> str:
        """Step over the next character, one of ``expected``."""
        found = self.peek()
        if not found or found not in expected:
            raise ValueError(f"found {found!r}, expected {' or '.join(expected)}" if found else "it ends too early")
        self.at += 1
        return found

    def value(self) -> Any:
        """The next value, whatever it is."""
        self.peek()
        while True:
            try:
                value, end = self.decode(self.text, self.at)
                if end < len(self.text) or self.ended:  # a number at the end of the window may go on behind it
                    self.at = end
                    return value
            except json.JSONDecodeError:
                if self.ended:
                    raise
            self._more()

    def entries(self) -> Iterator[Any]:
        """Values of the list that starts here."""
        self.skip("[")
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            yield self.value()
            if self.skip(",]") == "]":
                return

    def keys(self) -> Iterator[str]:
        """Keys of the object that starts here; the caller reads each one's value."""
        self.skip("{")
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise ValueError(f"found {key!r} where a key is expected")
            self.skip(":")
            yield key
            if self.skip(",}") == "}":
                return

    def end(self) -> None:
        if self.peek():
            raise ValueError(f"found {self.peek()!r} behind the end")
