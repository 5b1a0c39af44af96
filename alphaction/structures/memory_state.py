"""The state of a memory pool as checkpoints hold it, checked before it is used."""

from __future__ import annotations

from typing import Any, TypedDict, cast

import torch
from torch import Tensor

from ..errors import UserError

# Entry of a pool's state per keyframe -> its dtype.
_COLUMNS = {
    "movie": torch.int64,
    "timestamps": torch.int64,
    "seconds": torch.float64,
    "loss_tags": torch.float64,
    "sizes": torch.float64,
    "counts": torch.int64,
}


class MemoryState(TypedDict):
    """A memory pool as tensors and names: K keyframes in the order in which they were put, R persons."""

    movies: list[str]
    movie: Tensor  # int64 [K], number of each keyframe's movie
    timestamps: Tensor  # int64 [K]
    seconds: Tensor  # float64 [K]
    loss_tags: Tensor  # float64 [K], NaN for none
    sizes: Tensor  # float64 [K, 2], width and height
    counts: Tensor  # int64 [K], persons of each keyframe
    rows: Tensor  # int64 [R], row of each person, counted over all blocks
    blocks: list[Tensor]  # float [*, 4 + features]: x1, y1, x2, y2, features


def check_state(state: object, channels: int | None, source: str) -> MemoryState:
    """A state as ``MemoryPool.state_dict`` writes it.

    Raises:
        UserError: it is not one.
    """

    def require(holds: bool, what: str, expected: str) -> None:
        if not holds:
            raise UserError(
                f"{source} has a damaged memory: {what}, expected {expected}; copy it again, or take only its weights "
                "with --transfer."
            )

    require(isinstance(state, dict), f"a value of type {type(state).__name__}", "a dict")
    entries: dict[str, Any] = dict(state) if isinstance(state, dict) else {}
    for name, dtype in {**_COLUMNS, "rows": torch.int64}.items():
        value, dims = entries.get(name), 2 if name == "sizes" else 1
        found = isinstance(value, Tensor) and value.dtype is dtype and value.dim() == dims
        require(found, f"the entry {name} is {_describe(value)}", f"{dims} dimension(s) of {dtype}")
    movies, blocks = entries.get("movies", ()), entries.get("blocks", ())
    counts, rows, sizes = entries["counts"], entries["rows"], entries["sizes"]
    require(isinstance(movies, list) and all(isinstance(m, str) for m in movies), "its movies", "a list of names")
    lengths = {name: len(entries[name]) for name in _COLUMNS}
    require(len(set(lengths.values())) == 1, f"columns of {sorted(set(lengths.values()))} keyframes", "one length")
    require(sizes.shape[1] == 2, "sizes that are not pairs", "widths and heights")
    require(bool((counts >= 0).all()) and _sum(counts) == len(rows), "counts that do not add up", f"{len(rows)} rows")
    inside = bool(((entries["movie"] >= 0) & (entries["movie"] < len(movies))).all())
    require(inside, "a keyframe of an unknown movie", f"one of {len(movies)}")
    keyframes = set(zip(entries["movie"].tolist(), entries["timestamps"].tolist(), strict=True))
    require(len(keyframes) == lengths["movie"], "two states of one keyframe", "one")
    finite = bool(entries["seconds"].isfinite().all()) and not bool(entries["loss_tags"].isinf().any())
    require(finite, "seconds or loss tags that are not finite", "finite ones")
    require(bool((sizes.isfinite() & (sizes > 0)).all()), "sizes that are not positive", "sizes of pictures")
    require(isinstance(blocks, list), "its blocks", "a list")
    for block in blocks:
        good = isinstance(block, Tensor) and block.dim() == 2 and block.dtype in (torch.float16, torch.float32)
        require(good, f"a block that is {_describe(block)}", "two dimensions of float16 or float32")
        same = block.shape[1] == blocks[0].shape[1] > 4 and channels in (None, block.shape[1] - 4)
        wanted = channels if channels is not None else max(blocks[0].shape[1] - 4, 1)
        require(same, f"features of {block.shape[1] - 4} channels", f"{wanted}, as the model has")
        require(bool(block.isfinite().all()), "features that are not finite", "finite ones")
    total = sum(len(block) for block in blocks)
    known = bool(((rows >= 0) & (rows < total)).all()) and len(rows.unique()) == len(rows)
    require(known, "rows that are not there or that two keyframes share", f"numbers below {total}")
    return cast(MemoryState, entries)


def _sum(counts: Tensor) -> int:
    return sum(counts.tolist())  # without overflow


def _describe(value: object) -> str:
    return (
        f"{list(value.shape)[:8]} of {value.dtype}"
        if isinstance(value, Tensor)
        else f"a value of type {type(value).__name__}"
    )
