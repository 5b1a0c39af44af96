"""What a training run keeps in its checkpoints beside weights and optimiser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from ..structures.memory_pool import MemoryPool
from ..utils import processes
from ..utils.device import random_state, restore_random_state


@dataclass
class TrainState:
    """What goes on from one iteration, and one run, to the next beside weights and optimiser.

    Attributes:
        iteration: completed iterations.
        last_loss: weighted total loss of the last iteration over all processes, None before the first.
        best: best validation mAP so far in percent, None before the first validation; known to the main process only.
        memory: features of the persons seen so far.
    """

    iteration: int = 0
    last_loss: float | None = None
    best: float | None = None
    memory: MemoryPool = field(default_factory=MemoryPool)

    def state_dict(self, device: torch.device) -> dict[str, Any]:
        """For a checkpoint: tensors and plain numbers only. To be called in all processes: each has random numbers of
        its own."""
        return {
            "iteration": self.iteration,
            "last_loss": self.last_loss,
            "best": self.best,
            "memory": self.memory.state_dict(),
            "random_states": processes.gather_objects(random_state(device)),
        }

    def load_state_dict(self, data: dict[str, Any], device: torch.device) -> None:
        """Go on where ``data`` was written; parts that a foreign checkpoint lacks keep their values, as do the random
        numbers of a process that was not there then."""
        self.iteration = int(data.get("iteration", 0))
        self.last_loss, self.best = data.get("last_loss"), data.get("best")
        if "memory" in data:
            self.memory.load_state_dict(data["memory"])
        if processes.rank() < len(data.get("random_states", ())):
            restore_random_state(data["random_states"][processes.rank()], device)
