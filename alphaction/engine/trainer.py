"""The training loop."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from ..checkpoints.checkpointer import ActionCheckpointer
from ..config.node import ConfigNode
from ..errors import UserError
from ..modeling.detector import ActionDetector
from ..structures.bounding_box import BoxList
from ..utils import processes
from ..utils.device import copies_asynchronously, copy_barrier
from ..utils.logs import MetricsWriter
from .accumulate import person_shares, split_batch, weighted_means
from .memory_update import update_memory
from .progress import Progress, progress_bar
from .train_state import TrainState

logger = logging.getLogger(__name__)


def do_train(
    cfg: ConfigNode,
    model: nn.Module,
    data_loader: Iterable[tuple],
    optimizer: torch.optim.Optimizer,
    scheduler: LRScheduler,
    checkpointer: ActionCheckpointer,
    clip_input: nn.Module,
    device: torch.device,
    state: TrainState,
    metrics: MetricsWriter,
    validate: Callable[[], float | None] | None = None,
) -> None:
    """Train from ``state.iteration`` to SOLVER.MAX_ITER.

    Args:
        model: the detector, possibly wrapped in ``DistributedDataParallel``.
        data_loader: yields the remaining batches, one per iteration.
        scheduler: stepped once after each iteration.
        clip_input: brings native clips to the network's input, on the device.
        validate: returns the validation mAP in percent; called every SOLVER.EVAL_PERIOD iterations and at the end.

    Raises:
        UserError: the loss or a weight is not finite; the weights on disk are those of the last good checkpoint.
    """
    run = TrainingRun(cfg, model, optimizer, scheduler, checkpointer, clip_input, device, state, metrics, validate)
    run.train(data_loader)


@dataclass(eq=False)
class TrainingRun:
    """Everything that takes part in training; ``do_train`` explains the fields.

    Attributes:
        detector: the model without a data parallel wrapper.
    """

    cfg: ConfigNode
    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: LRScheduler
    checkpointer: ActionCheckpointer
    clip_input: nn.Module
    device: torch.device
    state: TrainState
    metrics: MetricsWriter
    validate: Callable[[], float | None] | None = None

    def __post_init__(self) -> None:
        self.detector = cast(ActionDetector, getattr(self.model, "module", self.model))
        self.non_blocking = copies_asynchronously(self.device)

    def train(self, data_loader: Iterable[tuple]) -> None:
        """Train on the batches of ``data_loader`` and save the final checkpoint."""
        state, solver = self.state, self.cfg.SOLVER
        progress = Progress(self.cfg, self.device)
        self.model.train()
        with progress_bar("train", "it", solver.MAX_ITER, initial=state.iteration) as bar:
            for batch in data_loader:
                progress.data_arrived()
                lr = self.lr
                values = self.step(batch)
                state.iteration += 1
                progress.step_done(values, lr)
                bar.update()
                bar.set_postfix_str(f"loss {values['loss']:.3f}, lr {lr:.2g}", refresh=False)
                if self._is_due(solver.LOG_PERIOD):
                    progress.report(state.iteration, self.metrics)
                validate = self.validate if self._is_due(solver.EVAL_PERIOD) else None
                is_saving = self._is_due(solver.CHECKPOINT_PERIOD)
                if validate or is_saving:
                    self._check_weights()
                    self._log_memory()
                if validate:
                    self._run_validation(validate)
                    progress.restart_clock()
                if is_saving and state.iteration < solver.MAX_ITER:
                    self._save_checkpoint(f"model_{state.iteration:07d}")
                    progress.restart_clock()
        self._save_checkpoint("model_final")

    def step(self, batch: tuple) -> dict[str, float]:
        """One iteration: forward, backward, optimizer step, memory update.

        Returns:
            every loss and measure, and the weighted total as ``loss``, averaged over all processes.
        """
        state, extras = self.state, batch[4]
        self.optimizer.zero_grad(set_to_none=True)
        parts = split_batch(batch, self.cfg.SOLVER.ACCUMULATE)
        shares = person_shares(parts, self.cfg.MODEL.ROI_ACTION_HEAD.PROPOSAL_PER_CLIP)
        rows: list[dict[str, float]] = []
        pooled: list[BoxList] = []
        for number, (part, share) in enumerate(zip(parts, shares, strict=True), start=1):
            with self._synchronized(number == len(parts)):
                row, boxes = self._backward(part, share)
            rows.append(row)
            pooled += boxes
        values = processes.mean_over_processes(weighted_means(rows, shares))
        self._check_loss(values)
        if self.cfg.SOLVER.CLIP_NORM > 0:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.cfg.SOLVER.CLIP_NORM)
        self.optimizer.step()
        self.scheduler.step()
        if self.checkpointer.average is not None:
            self.checkpointer.average.update(state.iteration + 1)
        if self.detector.has_memory:
            update_memory(state.memory, pooled, extras, values["loss"])
        state.last_loss = values["loss"]
        return values

    def _synchronized(self, is_last: bool) -> AbstractContextManager[None]:
        """Processes exchange gradients after the last part of a batch only."""
        no_sync = getattr(self.model, "no_sync", nullcontext)
        return nullcontext() if is_last else no_sync()

    def _backward(self, batch: tuple, share: float) -> tuple[dict[str, float], list[BoxList]]:
        """Add the gradients of ``share`` times the loss of a batch.

        Returns:
            every loss and measure, and the weighted total as ``loss``; the boxes trained on with their features.
        """
        state = self.state
        slow, fast, boxes, objects, extras, _ = batch
        slow, fast = (self.clip_input(clip.to(self.device, non_blocking=self.non_blocking)) for clip in (slow, fast))
        boxes = [b.to(self.device) for b in boxes]
        objects = [o.to(self.device) for o in objects] if objects is not None else None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.cfg.SOLVER.AMP):
            losses, measures, pooled = self.model(slow, fast, boxes, objects, extras, state.memory, state.last_loss)
        weighted = [self.detector.loss_weights[name] * loss for name, loss in losses.items()]
        total = sum(weighted, torch.zeros((), device=self.device))
        named = {**losses, **measures, "loss": total}
        numbers = torch.stack([value.detach().float() for value in named.values()])
        numbers = numbers.to("cpu", non_blocking=self.non_blocking)
        pooled = [b.to("cpu", non_blocking=self.non_blocking) for b in pooled]
        wait_for_copies = copy_barrier(self.device)
        (total if share == 1 else total * share).backward()
        wait_for_copies()
        return dict(zip(named, numbers.tolist(), strict=True)), pooled

    @property
    def lr(self) -> float:
        """Learning rate of the first parameter group."""
        return self.optimizer.param_groups[0]["lr"]

    def _is_due(self, period: int) -> bool:
        """Whether something that is done every ``period`` iterations, and at the end, is done after this one."""
        iteration = self.state.iteration
        return iteration == self.cfg.SOLVER.MAX_ITER or (period > 0 and iteration % period == 0)

    def _run_validation(self, validate: Callable[[], float | None]) -> None:
        """Validate, and keep the weights if they are the best so far."""
        state, score = self.state, validate()
        self.model.train()
        if score is None or not processes.is_main():
            return
        self.metrics.write(state.iteration, "val", {"mAP": score})
        if state.best is None or score > state.best:
            state.best = score
            self.checkpointer.save_weights("model_best", iteration=state.iteration, mAP=score)

    def _save_checkpoint(self, name: str) -> None:
        """Write a checkpoint from which training can continue."""
        self.checkpointer.save(name, **self.state.state_dict(self.device))

    def _log_memory(self) -> None:
        """Log how full the memory is."""
        if len(self.state.memory):
            logger.info("Memory: %s", self.state.memory)
            self.state.memory.reset_counts()

    def _check_loss(self, values: dict[str, float]) -> None:
        """Refuse to step on a loss that is not finite."""
        if math.isfinite(values["loss"]):
            return
        names = [name for name, value in values.items() if name != "loss" and not math.isfinite(value)]
        where = f"in iteration {self.state.iteration + 1} ({', '.join(names) or 'the weighted sum'})"
        raise self._diverged(f"The loss is {values['loss']} {where}")

    def _check_weights(self) -> None:
        """Refuse to continue after a step that has broken the weights though the loss before it was finite."""
        for name, value in self.detector.state_dict().items():
            if not value.isfinite().all():
                raise self._diverged(f"{name} is not finite after iteration {self.state.iteration}")

    def _diverged(self, reason: str) -> UserError:
        """The error that says ``reason``, which checkpoint is good and what to do."""
        last_path = self.checkpointer.last_checkpoint()
        kept = f"the last good checkpoint is {last_path}" if last_path else "no checkpoint has been written yet"
        return UserError(
            f"{reason} at learning rate {self.lr:.3g}; {kept}, so lower SOLVER.BASE_LR or set SOLVER.CLIP_NORM and "
            "start again."
        )
