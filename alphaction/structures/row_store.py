"""Storage of many rows of numbers of one width, added and released one by one."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

BLOCK_ROWS = 2048


class RowStore:
    """Rows in blocks: it grows without copying what is there, and freed rows are used again.

    Args:
        dtype: "float32" or "float16", in which rows are kept.
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self._width = 0
        self._blocks: list[np.ndarray] = []
        self._free: list[int] = []
        # Rows from here on were never used.
        self._top = 0

    def row_bytes(self, width: int) -> int:
        """Bytes of a row of ``width`` numbers."""
        return width * self.dtype.itemsize

    @property
    def used_bytes(self) -> int:
        """Bytes of the rows in use."""
        return (self._top - len(self._free)) * self.row_bytes(self._width)

    def add(self, rows: np.ndarray) -> array:
        """Store a copy of ``rows`` [n, width]; values beyond the range of the dtype are clipped.

        Returns:
            the number of each row, for ``read`` and ``release``.

        Raises:
            ValueError: the rows in the store have another width.
        """
        if rows.shape[1] != self._width:
            if self._top:
                raise ValueError(f"rows have {rows.shape[1]} numbers, expected {self._width} as the stored rows have")
            self._width = rows.shape[1]
        if rows.dtype != self.dtype:
            largest = np.finfo(self.dtype).max
            rows = rows.clip(-largest, largest)
        numbers = array("I", [self._next() for _ in range(len(rows))])
        for number, row in zip(numbers, rows, strict=True):
            self._blocks[number // BLOCK_ROWS][number % BLOCK_ROWS] = row
        return numbers

    def _next(self) -> int:
        if self._free:
            return self._free.pop()
        if self._top == len(self._blocks) * BLOCK_ROWS:
            self._blocks.append(np.empty((BLOCK_ROWS, self._width), self.dtype))
        self._top += 1
        return self._top - 1

    def read(self, numbers: Sequence[int]) -> np.ndarray:
        """Rows in float32 [n, width]."""
        found = np.empty((len(numbers), self._width), np.float32)
        for place, number in enumerate(numbers):
            found[place] = self._blocks[number // BLOCK_ROWS][number % BLOCK_ROWS]
        return found

    def release(self, numbers: Sequence[int]) -> None:
        """Free rows for reuse."""
        self._free.extend(numbers)

    def blocks(self) -> list[Tensor]:
        """All rows by number, freed ones too, without a copy.

        Only the used part of a last, incomplete block is copied, since ``torch.save`` would write all of it.
        """
        full, rest = divmod(self._top, BLOCK_ROWS)
        views = [torch.from_numpy(block) for block in self._blocks]
        return views[:full] + ([views[full][:rest].clone()] if rest else [])

    def take_over(self, blocks: list[Tensor], numbers: np.ndarray) -> np.ndarray:
        """Add the rows ``numbers`` of another store's ``blocks()``; the list is emptied block by block.

        Returns:
            the new number of each.
        """
        moved = np.zeros(len(numbers), np.int64)
        start = 0
        while blocks:
            block = blocks.pop(0)
            inside = np.flatnonzero((numbers >= start) & (numbers < start + len(block)))
            moved[inside] = self.add(block.numpy()[numbers[inside] - start])
            start += len(block)
        return moved
