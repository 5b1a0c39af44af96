"""The processes of a ``torchrun``; every function also works in a single process."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from ..errors import UserError

JOIN_TIMEOUT = timedelta(minutes=5)
# Longer than the main process takes for a report while the others wait; the watch notices processes that are gone.
EXCHANGE_TIMEOUT = timedelta(hours=2)
WATCH_SECONDS = 2
# The exit of a process breaks the watch's connection at once. Only a machine that vanishes without closing it is
# noticed by this timeout, which is long because a process that is stopped or starved for a while must not end a run.
WATCH_TIMEOUT = timedelta(minutes=10)
# How much of the features of a test set is exchanged at once.
CHUNK_BYTES = 256 * 2**20

Value = TypeVar("Value")
Label = TypeVar("Label")

_watch: _Watch | None = None


def _has_joined() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Number of this process, 0 when alone."""
    return dist.get_rank() if _has_joined() else 0


def world_size() -> int:
    """How many processes work together."""
    return dist.get_world_size() if _has_joined() else 1


def is_main() -> bool:
    """Whether this process writes the files and the log."""
    return rank() == 0


def start(device: torch.device) -> torch.device:
    """Join the processes announced by the environment that ``torchrun`` sets, if there are any, and watch them.

    A process that has joined others must call ``stop`` before it exits.

    Returns:
        ``device``, with the index of this process's GPU where it is a GPU.

    Raises:
        UserError: more processes than GPUs, or the processes do not reach each other.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return device
    if device.type != "cpu":
        # LOCAL_RANK may be missing if the processes were started by hand on one machine.
        device = torch.device(device.type, int(os.environ.get("LOCAL_RANK", os.environ.get("RANK", "0"))))
        if device.index >= torch.cuda.device_count():
            raise UserError(
                f"Process {device.index} of this machine has no GPU of its own, there are "
                f"{torch.cuda.device_count()}; start as many processes as GPUs, or set MODEL.DEVICE cpu."
            )
        torch.cuda.set_device(device)
    # Also with GPUs, since objects and the memory's features are on the CPU, which NCCL does not support.
    _join("gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl")
    return device


def _join(backend: str) -> None:
    global _watch
    from torch.distributed.rendezvous import rendezvous  # not in every build of PyTorch

    found = {name: os.environ.get(name) for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT")}
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise UserError(
            f"WORLD_SIZE is {found['WORLD_SIZE']}, but {', '.join(missing)} is not set; start with "
            "torchrun, or set all of them for each process."
        )
    try:
        store, number, count = next(rendezvous("env://", timeout=JOIN_TIMEOUT))
        dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=EXCHANGE_TIMEOUT)
        _watch = _Watch()
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0][:160]
        raise UserError(
            f"Process {found['RANK']} of {found['WORLD_SIZE']} did not reach the others at "
            f"{found['MASTER_ADDR']}:{found['MASTER_PORT']} ({reason}); start all of them within "
            f"{JOIN_TIMEOUT.seconds // 60} minutes, with an address that all of them reach."
        ) from error


def stop() -> None:
    """Leave the processes once all of them have called this; one that exits without is gone to the others."""
    global _watch
    if _watch is None:
        return
    _watch.stop()
    # Up to PyTorch 2.7, a group that destroys its backend holds Python's lock while it waits for the backend's threads,
    # which may need the lock to free what they exchanged. The backend's own Python object does not hold it.
    groups = dist.group.WORLD, _watch.group
    backends = [group._get_backend(torch.device("cpu")) for group in groups if group is not None]
    _watch = None
    del groups  # or leaving this function would destroy them after their backends
    dist.destroy_process_group()
    del backends


def wait_for_watch(seconds: float) -> None:
    """After an error in an exchange: does not return if another process is gone, since the watch then exits."""
    if _watch is not None:
        _watch.wait(seconds)


class _Watch:
    """A thread that exits this process when another one is gone, wherever the main thread is or waits.

    Every few seconds all processes exchange, in a CPU group of their own, how many of them are leaving. The system
    closes the connections of a process that exits, however it exits, which breaks the exchange. Workers that load data
    are forked with these connections and keep them open until they exit too, within about five seconds.
    """

    def __init__(self) -> None:
        group = dist.new_group(backend="gloo", timeout=WATCH_TIMEOUT)
        assert isinstance(group, dist.ProcessGroup)  # all processes are members
        self.group = group
        # Process 0 hosts the store by which the others join, so none continues, and perhaps exits, before all joined.
        dist.all_reduce(torch.zeros(1), group=self.group)
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        leaving = torch.zeros(1)
        try:
            while leaving.item() < world_size():
                self._leaving.wait(WATCH_SECONDS)
                leaving = torch.tensor([float(self._leaving.is_set())])
                dist.all_reduce(leaving, group=self.group)
        except RuntimeError:
            print(
                f"error: Another of the {world_size()} processes is gone, or silent for "
                f"{WATCH_TIMEOUT.seconds // 60} minutes, so process {rank()} exits too; see the output of the one "
                "that exited first (none: it was killed, for example out of memory), and start again to resume from "
                "the last checkpoint.",
                file=sys.stderr,
                flush=True,
            )
            os._exit(1)
        # All know by now; one that is done here first may close its connections before the others are done.
        with contextlib.suppress(RuntimeError):
            dist.all_reduce(leaving, group=self.group)

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def stop(self) -> None:
        self._leaving.set()
        self._thread.join()


def gather_objects(value: Value) -> list[Value]:
    """``value`` of every process, in the order of their ranks, on every process."""
    if world_size() == 1:
        return [value]
    gathered = [value] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def exchange(
    items: Sequence[tuple[Label, tuple[torch.Tensor, ...]]], chunk_bytes: int = CHUNK_BYTES
) -> Iterator[tuple[Label, tuple[torch.Tensor, ...]]]:
    """Labeled tensors of every process, on every process: the first of each process, the second of each, and so on.

    Labels are exchanged once, as objects; the tensors are exchanged without pickling, at most about ``chunk_bytes`` at
    a time. All processes must consume the iterator to its end. Tensors of one exchange may be views of one table.

    Args:
        items: (label, tensors [n, ...]), float32 on the CPU. n is the same within an item, the other dimensions are the
            same for all items; processes may have different numbers of items, and none.
    """
    if world_size() == 1:
        yield from items
        return
    shapes = [tuple(tensor.shape[1:]) for tensor in items[0][1]] if items else []
    announced = gather_objects((shapes, [(label, len(tensors[0])) for label, tensors in items]))
    shapes = next((shapes for shapes, labels in announced if labels), [])
    widths = [math.prod(shape) for shape in shapes]
    limit = chunk_bytes // (4 * max(sum(widths), 1) * world_size())
    plans = [_portions([count for _, count in labels], limit) for _, labels in announced]
    for portions in itertools.zip_longest(*plans, fillvalue=slice(0)):
        parts = [labels[portion] for (_, labels), portion in zip(announced, portions, strict=True)]
        local = [tensors for _, tensors in items[portions[rank()]]]
        tables = _gather_tables(local, [sum(count for _, count in part) for part in parts], sum(widths))
        split = (table.split([count for _, count in part]) for part, table in zip(parts, tables, strict=True))
        turns = itertools.zip_longest(*map(zip, parts, split))
        for (label, _), rows in filter(None, itertools.chain.from_iterable(turns)):
            yield (
                label,
                tuple(
                    column.unflatten(1, shape) for column, shape in zip(rows.split(widths, dim=1), shapes, strict=True)
                ),
            )


def _portions(counts: list[int], limit: int) -> list[slice]:
    """Consecutive items with at most ``limit`` rows together, but at least one item."""
    portions, start, rows = [], 0, 0
    for index, count in enumerate(counts):
        if index > start and rows + count > limit:
            portions.append(slice(start, index))
            start, rows = index, 0
        rows += count
    return portions + [slice(start, len(counts))] if counts else []


def _gather_tables(local: list[tuple[torch.Tensor, ...]], counts: list[int], width: int) -> list[torch.Tensor]:
    """Tables [n, width] of all processes, n in ``counts``; this process has the rows of ``local``."""
    gathered = torch.zeros(len(counts), max(counts), width)
    if gathered.numel():
        padded, start = torch.zeros_like(gathered[0]), 0
        for tensors in local:
            rows = torch.cat([tensor.flatten(1) for tensor in tensors], dim=1)
            padded[start : start + len(rows)] = rows
            start += len(rows)
        dist.all_gather(list(gathered.unbind()), padded)
    return [table[:count] for table, count in zip(gathered, counts, strict=True)]


def share_buffers(module: torch.nn.Module) -> None:
    """Copy the main process's buffers to all: each process has updated running averages from its own clips."""
    if world_size() > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def mean_over_processes(values: dict[str, float]) -> dict[str, float]:
    """Named numbers averaged over the processes that have them: a batch without persons has no accuracy."""
    return mean_of(gather_objects(values))


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each name over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: sum(column) / len(column) for name, column in columns.items()}
