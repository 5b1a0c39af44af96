"""The processes of a ``torchrun``; every function also works in a single process that has none."""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.distributed as dist

from ..errors import UserError


def rank() -> int:
    """Number of this process, 0 when alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes work together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this process writes the files and the log."""
    return rank() == 0


def start(device: torch.device) -> torch.device:
    """Join the process group that ``torchrun`` announces in the environment, if there is one.

    Returns:
        ``device``, with the index of this process's GPU where it is a GPU.

    Raises:
        UserError: more processes than GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return device
    if device.type == "cpu":
        dist.init_process_group("gloo")
        return device
    local = torch.device(device.type, int(os.environ.get("LOCAL_RANK", "0")))
    if local.index >= torch.cuda.device_count():
        raise UserError(f"Process {local.index} of this machine has no GPU of its own, there are "
                        f"{torch.cuda.device_count()}; start as many processes as GPUs, or set MODEL.DEVICE cpu.")
    torch.cuda.set_device(local)
    # Features that wait for the second stage of testing are on the CPU, where NCCL does not reach.
    dist.init_process_group("cpu:gloo,cuda:nccl")
    return local


def stop() -> None:
    """Leave the process group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def gather_objects(value: Any) -> list[Any]:
    """``value`` of every process, in the order of their numbers, on every process."""
    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def gather_rows(rows: torch.Tensor) -> list[torch.Tensor]:
    """Tensors of every process that agree in all dimensions but the first; the values are not pickled.

    Args:
        rows: ``[n, ...]``, n may differ between processes; where it is 0 the other dimensions do not matter.
    """
    if world_size() == 1:
        return [rows]
    shapes = gather_objects(tuple(rows.shape))
    trailing = next((shape[1:] for shape in shapes if shape[0]), tuple(rows.shape[1:]))
    padded = rows.new_zeros((max(shape[0] for shape in shapes), *trailing))
    if rows.shape[0]:
        padded[: rows.shape[0]] = rows
    gathered = [torch.empty_like(padded) for _ in shapes]
    dist.all_gather(gathered, padded)
    return [part[: shape[0]] for part, shape in zip(gathered, shapes, strict=True)]


def share_buffers(module: torch.nn.Module) -> None:
    """Give every process the main one's buffers: each updates running averages from its own clips."""
    if world_size() > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def mean_over_processes(values: dict[str, torch.Tensor]) -> dict[str, float]:
    """Named scalars averaged over the processes that have them, as floats: a batch without persons has no accuracy."""
    if not values:
        own: dict[str, float] = {}
    else:
        own = dict(zip(values, torch.stack([v.detach().float() for v in values.values()]).tolist(), strict=True))
    return mean_of(gather_objects(own))


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each name over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: sum(column) / len(column) for name, column in columns.items()}
