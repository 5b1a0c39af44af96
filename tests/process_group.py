"""Processes that work together, for tests; cheap to start, being forked from one that has imported what they need."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch_settings import apply_environment

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["alphaction.engine.finetune"])


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(*members: tuple[Any, ...]) -> list[BaseProcess]:
    """One process per (function, argument, ...), which calls it with the environment that torchrun sets."""
    port = free_port()
    started = [
        CONTEXT.Process(target=_member, args=(rank, len(members), port, *words)) for rank, words in enumerate(members)
    ]
    for process in started:
        process.start()
    return started


def redirect(output: Path, errors: Path) -> None:
    """Send what this process prints, and its own processes do, to two files."""
    for path, number in ((output, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)


def _member(rank: int, count: int, port: int, function: Callable, *arguments: Any) -> None:
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    apply_environment()
    function(*arguments)
