"""JSON files: small ones as a whole, large ones entry by entry, so that reading takes a few MB whatever the size."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from ..errors import UserError
from .text import open_text, short

_SPACE = re.compile(r"[ \t\n\r]*")
_CHUNK = 1 << 20
_MAX_REASON = 200
_DOCS = "docs/thermal_data.md (RGB clips: docs/video_data.md)"


def read_json(path: str | os.PathLike, kind: str) -> object:
    """The content of a JSON file.

    Args:
        path: the file.
        kind: what an error calls it.

    Raises:
        UserError: the file cannot be read or is not JSON.
    """
    with _reading(path, kind) as stream:
        return json.load(stream)


def stream_lists(
    path: str | os.PathLike, kind: str, required: Sequence[str] = (), optional: Sequence[str] = ()
) -> Iterator[tuple[str, object]]:
    """(key, entry) for every entry of every list at the top level of a JSON object, in the file's order.

    The entries of a file that is a list itself come with the key "". Values that are not lists are skipped.

    Args:
        path: the file.
        kind: what an error calls it.
        required: keys of lists that must be there; ("",) for a file that is a list.
        optional: keys that hold a list or null where they are there.

    Raises:
        UserError: the file cannot be read, is not JSON, is neither an object nor a list, or lacks a required list.
    """
    seen, number = "", 0
    found: set[str] = set()
    with _reading(path, kind, lambda: f", after entry {number} of {seen or 'the list'}" if number else "") as stream:
        text = _Text(stream)
        start = text.peek()
        if start and start not in "[{":
            raise UserError(
                f"The {kind} {path} holds neither an object nor a list, expected the format of {_DOCS}; write it again."
            )
        if "" in required and start == "{":
            raise UserError(
                f"The {kind} {path} holds an object, expected a list in the format of {_DOCS}; write it again."
            )
        for key in [""] if start == "[" else text.keys():
            if text.peek() != "[":
                value = text.value()
                if key in optional and value is not None:
                    raise UserError(
                        f"The {kind} {path} has {short(key)} that are not a list, expected the COCO style of {_DOCS}; "
                        "write it again."
                    )
                continue
            found.add(key)
            for count, entry in enumerate(text.entries(), 1):
                seen, number = key, count
                yield key, entry
        text.end()
    if not found.issuperset(required):
        raise UserError(
            f"The {kind} {path} lacks the lists {' and '.join(map(repr, required))}, expected the COCO style of "
            f"{_DOCS}; write it again."
        )


@contextlib.contextmanager
def _reading(path: str | os.PathLike, kind: str, place: Callable[[], str] = str) -> Iterator[TextIO]:
    """The open file; errors of reading and parsing become one sentence that tells the ``place``."""
    try:
        with open_text(path, kind, expected="a JSON file") as stream:
            yield stream
    except UserError:
        raise
    except RecursionError as error:
        raise UserError(
            f"The {kind} {path} is nested too deeply{place()}, expected the format of {_DOCS}; write it again."
        ) from error
    except ValueError as error:
        reason = (getattr(error, "msg", None) or str(error))[:_MAX_REASON]
        raise UserError(
            f"The {kind} {path} is not JSON ({reason}{place()}), expected the format of {_DOCS}; write it again."
        ) from error


class _Text:
    """The part of a JSON text that is read and not parsed yet. Raises ValueError where it is not JSON."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.text, self.at, self.ended = stream, "", 0, False
        self.decode = json.JSONDecoder().raw_decode

    def _more(self) -> None:
        # A value that does not fit is parsed again with twice as much text: a huge one costs at most twice the time.
        piece = self.stream.read(max(_CHUNK, len(self.text) - self.at))
        self.ended = not piece
        self.text, self.at = self.text[self.at :] + piece, 0

    def peek(self) -> str:
        """The next character that is not a space; "" at the end."""
        while True:
            space = _SPACE.match(self.text, self.at)
            self.at = space.end() if space else self.at
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

    def value(self) -> object:
        """The next value of any type."""
        self.peek()
        while True:
            try:
                value, end = self.decode(self.text, self.at)
                if end < len(self.text) or self.ended:  # a number at the end may continue in the next chunk
                    self.at = end
                    return value
            except json.JSONDecodeError:
                if self.ended:
                    raise
            self._more()

    def entries(self) -> Iterator[object]:
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
                raise ValueError(f"found {short(key)} where a key is expected")
            self.skip(":")
            yield key
            if self.skip(",}") == "}":
                return

    def end(self) -> None:
        if self.peek():
            raise ValueError(f"found {self.peek()!r} after the end")
