"""Settings of PyTorch that tests share."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch


def one_thread(add_cleanup: Callable) -> None:
    """One thread until ``add_cleanup`` (``addCleanup`` or ``addClassCleanup`` of a test case) restores the number.

    With several, float32 sums are rounded in an order that depends on their number.
    """
    add_cleanup(torch.set_num_threads, torch.get_num_threads())
    torch.set_num_threads(1)


def apply_environment() -> None:
    """Switch oneDNN off in this process where ``ALPHACTION_NO_ONEDNN=1``; PyTorch has no variable of its own for it."""
    if os.environ.get("ALPHACTION_NO_ONEDNN") == "1":
        torch.backends.mkldnn.set_flags(False)
