"""The one place where a device is chosen and asked about itself."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

import torch

from ..errors import UserError


def choose_device(name: str) -> torch.device:
    """The device of MODEL.DEVICE; "auto" takes CUDA where there is a GPU, else the CPU.

    Raises:
        UserError: the device does not exist here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"MODEL.DEVICE {name!r} cannot be used here ({reason}); set auto, cpu or cuda:N.") from error
    return device


def copy_barrier(device: torch.device) -> Callable[[], None]:
    """A function that waits until ``device`` has done all that it was given up to now, and not for what comes later.

    With it a value that was copied with ``non_blocking`` is read while the GPU is busy with the next operations; read
    right away it would leave the GPU without any.
    """
    if device.type != "cuda":
        return lambda: None
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event.synchronize


def peak_memory_mb(device: torch.device) -> float:
    """Most memory this process has held so far, in MB: on the GPU where it is one, else of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """State of the random generators that training draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Go on with the random stream of ``random_state``."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
