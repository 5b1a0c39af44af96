"""Duration and memory of calls."""

from __future__ import annotations

import math
import multiprocessing
import re
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from ..errors import UserError
from ..utils.device import peak_memory_mb


def memory_mb(device: torch.device) -> float:
    """Peak memory in MB, NaN where it is not known."""
    # The peak that the system counts includes the process that started this one, but for Linux's VmHWM.
    status = Path("/proc/self/status")
    if device.type == "cpu" and status.exists():
        found = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return int(found[1]) / 2**10
    peak = peak_memory_mb(device)
    return math.nan if peak is None else peak


def median_ms(function: Callable[[], object], repeats: int) -> float:
    """Median duration of a call in milliseconds, after one warm-up call."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def in_own_process(function: Callable[..., tuple], *arguments: object) -> tuple:
    """Call ``function`` in a new process, so that its peak memory is that of the measurement alone.

    Raises:
        UserError: the process ended without a result.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_result, args=(sender, function, *arguments))
    process.start()
    sender.close()  # so that the death of the child ends the pipe
    try:
        return receiver.recv()
    except (EOFError, OSError):
        process.join()
        raise UserError(
            f"The process of {function.__name__} ended with status {process.exitcode} and without a result, expected a "
            "measurement; see its message above, and where there is none (status -9) use a machine with more memory."
        ) from None
    finally:
        receiver.close()
        process.join()


def _send_result(sender: Connection, function: Callable[..., tuple], *arguments: object) -> None:
    sender.send(function(*arguments))
