"""Training state saved with a checkpoint, beyond weights, optimizer and schedule."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from ..checkpoints.checkpoint_file import CheckpointExtras
from ..errors import UserError
from ..structures.memory_pool import MemoryPool
from ..utils import processes
from ..utils.device import random_state, restore_random_state

logger = logging.getLogger(__name__)


@dataclass
class TrainState:
    """What one iteration, and one run, hands to the next.

    The order of the data is not part of it: ``samplers.order.TrainBatches`` derives it from SOLVER.SEED and iteration.

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

    def state_dict(self, device: torch.device) -> dict[str, object]:
        """Tensors and plain numbers for a checkpoint. All processes must call it: each has its own random numbers."""
        return {
            "iteration": self.iteration,
            "last_loss": self.last_loss,
            "best": self.best,
            "memory": self.memory.state_dict(),
            "random_states": processes.gather_objects(random_state(device)),
        }

    def load_state_dict(self, data: CheckpointExtras, device: torch.device, source: str = "the checkpoint") -> None:
        """Continue from a checkpoint.

        Parts that a foreign checkpoint lacks keep their values, with a warning, as do the random numbers of a process
        that did not exist then.

        Args:
            data: rest of a checkpoint, as ``ActionCheckpointer.load`` returns it.
            source: file of the checkpoint, for messages.

        Raises:
            UserError: a part is damaged.
        """
        missing = [key for key in ("iteration", "memory", "random_states") if data.get(key) is None]
        if missing:
            logger.warning("%s has no %s; continuing without", source, ", ".join(missing))
        last_loss, best = (_finite_or_none(data.get(key), key, source) for key in ("last_loss", "best"))
        stored = data.get("random_states")
        states = None if stored is None else _check_random_states(stored, source)
        if data.get("memory") is not None:
            self.memory.load_state_dict(data["memory"], source)
        if states is not None and processes.rank() >= len(states):
            logger.warning(
                "%s has the random states of %d process(es), none for process %d, which follows SOLVER.SEED",
                source,
                len(states),
                processes.rank(),
            )
        elif states is not None:
            try:
                restore_random_state(states[processes.rank()], device)
            except (RuntimeError, TypeError) as error:  # of another size than this version of torch has
                raise _damaged_random_state(source, str(error).split("\n")[0][:80]) from error
        self.iteration = data.get("iteration") or 0
        self.last_loss, self.best = last_loss, best


def log_unused(data: Mapping[str, object], source: str) -> None:
    """Log which parts of a checkpoint a run does not take over when it starts from it as MODEL.WEIGHT."""
    unused = [key for key in ("best", "last_loss", "memory", "random_states") if data.get(key) is not None]
    if unused:
        logger.info(
            "MODEL.WEIGHT %s: not using its %s, which only a run that resumes in its OUTPUT_DIR takes over",
            source,
            ", ".join(unused),
        )


def _finite_or_none(value: object, key: str, source: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        found = value if isinstance(value, float) else f"a value of type {type(value).__name__}"
        raise UserError(
            f"{source} has {found} as {key}, expected a finite number; name an earlier checkpoint, or take only its "
            "weights with --transfer."
        )
    return float(value)


def _check_random_states(states: object, source: str) -> list[dict[str, torch.Tensor]]:
    if not isinstance(states, list):
        raise _damaged_random_state(source, f"a value of type {type(states).__name__} instead of a list")
    expected = torch.get_rng_state()
    for state in states:
        if not isinstance(state, dict) or "cpu" not in state:
            raise _damaged_random_state(source, "an entry without 'cpu'")
        if not all(isinstance(v, torch.Tensor) and v.dtype is torch.uint8 and v.dim() == 1 for v in state.values()):
            raise _damaged_random_state(source, "an entry that is not a row of bytes")
        if state["cpu"].shape != expected.shape:
            raise _damaged_random_state(source, f"{len(state['cpu'])} bytes, {len(expected)} are expected")
    return states


def _damaged_random_state(source: str, problem: str) -> UserError:
    return UserError(
        f"{source} has a damaged random state: {problem}; copy it again, or take only its weights with --transfer."
    )
