"""A pickle reader that takes no more memory than the file has bytes."""

from __future__ import annotations

import pickle
from typing import IO, Any


def _load_bytearray(unpickler: Any) -> None:
    """As the base class, which reserves the declared bytes before it reads them."""
    unpickler.append(bytearray(unpickler.read(int.from_bytes(unpickler.read(8), "little"))))


class BoundedUnpickler(pickle._Unpickler):
    """``pickle.Unpickler`` in Python, since the one in C reserves as much as a pickle says; reads Python 2's too.

    Subclasses define ``find_class``: this one makes nothing that a pickle names.

    Args:
        size: bytes of the file; a pickle that declares more is refused.

    Raises:
        pickle.UnpicklingError, Exception: on ``load``, whatever the bytes of a damaged pickle happen to hit.
    """

    dispatch = {**pickle._Unpickler.dispatch, pickle.BYTEARRAY8[0]: _load_bytearray}

    def __init__(self, stream: IO[bytes], size: int) -> None:
        super().__init__(_BoundedStream(stream, size), encoding="latin1")

    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


class _BoundedStream:
    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream, self.size, self.readline = stream, size, stream.readline

    def read(self, count: int) -> bytes:
        if count > self.size:
            raise pickle.UnpicklingError(f"it declares {count} bytes, the file has {self.size}")
        return self.stream.read(count)
