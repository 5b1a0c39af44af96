"""The one place where a device is chosen and queried."""

from __future__ import annotations

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


def copies_asynchronously(device: torch.device) -> bool:
    """Whether copies to and from ``device`` may be ``non_blocking``: only CUDA has events that tell when they are done.

    On other devices, such as MPS, a value that is read right after such a copy may not have arrived.
    """
    return device.type == "cuda"


def copy_barrier(device: torch.device) -> Callable[[], None]:
    """A function that waits for the ``non_blocking`` copies from ``device`` that were started before this call.

    It does not wait for operations started later, so a copied value can be read while the GPU computes what follows.
    """
    if not copies_asynchronously(device):
        return lambda: None
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event.synchronize


def peak_memory_mb(device: torch.device) -> float | None:
    """Peak memory in MB: of the GPU if ``device`` is CUDA, else of this process; None where it is not known."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """States of the random generators that training draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Continue the random stream of ``random_state``."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
