"""The training loop."""

from __future__ import annotations

import logging
import math
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ..checkpoints.checkpointer import ActionCheckpointer
from ..errors import UserError
from ..structures.bounding_box import BoxList
from ..structures.memory_pool import MemoryPool
from ..utils import processes
from ..utils.device import moment, peak_memory_mb
from ..utils.logs import MetricsWriter
from .train_state import TrainState

logger = logging.getLogger(__name__)


def do_train(
    cfg: Any,
    model: nn.Module,
    data_loader: Iterable,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
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
        clip_input: brings native clips to the network's input, on the device.
        validate: returns the validation mAP in percent; called every SOLVER.EVAL_PERIOD iterations and at the end.

    Raises:
        UserError: the loss or a weight is not finite; the weights on disk are those of the last good checkpoint.
    """
    last, solver = cfg.SOLVER.MAX_ITER, cfg.SOLVER
    progress = Progress(cfg, state.iteration, device)
    model.train()
    with tqdm(
        total=last,
        initial=state.iteration,
        unit="it",
        dynamic_ncols=True,
        desc="train",
        disable=not (processes.is_main() and sys.stderr.isatty()),
    ) as bar:
        for batch in data_loader:
            progress.data_arrived()
            rate = optimizer.param_groups[0]["lr"]
            values = train_step(cfg, model, clip_input, batch, device, state, optimizer, scheduler, checkpointer)
            state.iteration += 1
            progress.step_done(values, rate)
            bar.update()
            bar.set_postfix_str(f"loss {values['loss']:.3f}, lr {rate:.2g}", refresh=False)
            if state.iteration % solver.LOG_PERIOD == 0 or state.iteration == last:
                progress.report(state.iteration, metrics)
            validating = _due(state.iteration, solver.EVAL_PERIOD, last) and validate is not None
            saving = _due(state.iteration, solver.CHECKPOINT_PERIOD, last)
            if validating or saving:
                _check_weights(state.iteration, optimizer, checkpointer)
                if len(state.memory):
                    logger.info("Memory: %s", state.memory)
                    state.memory.reset_counts()
            if validating:
                _validate(model, validate, checkpointer, state, metrics)
                progress.restart_clock()
            if saving and state.iteration < last:
                checkpointer.save(f"model_{state.iteration:07d}", **state.state_dict(device))
                progress.restart_clock()
    checkpointer.save("model_final", **state.state_dict(device))


def train_step(
    cfg: Any,
    model: nn.Module,
    clip_input: nn.Module,
    batch: tuple,
    device: torch.device,
    state: TrainState,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    checkpointer: ActionCheckpointer,
) -> dict[str, float]:
    """One iteration: forward, backward, optimiser step, memory update.

    Returns:
        every loss and measure, and the weighted total as ``loss``, averaged over all processes.
    """
    slow, fast, boxes, objects, extras, _ = batch
    slow, fast = clip_input(slow.to(device, non_blocking=True)), clip_input(fast.to(device, non_blocking=True))
    boxes = [b.to(device) for b in boxes]
    objects = [o.to(device) for o in objects] if objects is not None else None
    losses, measures, pooled = model(slow, fast, boxes, objects, extras, state.memory, state.last_loss)
    bare = getattr(model, "module", model)
    total = sum(bare.loss_weights[name] * loss for name, loss in losses.items())
    named = {**losses, **measures, "loss": total}
    numbers = torch.stack([value.detach().float() for value in named.values()]).to("cpu", non_blocking=True)
    pooled = [b.to("cpu", non_blocking=True) for b in pooled]
    wait_for_copies = moment(device)
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    wait_for_copies()
    values = processes.mean_over_processes(dict(zip(named, numbers.tolist(), strict=True)))
    if not math.isfinite(values["loss"]):
        raise UserError(_non_finite(values, state.iteration, optimizer, checkpointer))
    if cfg.SOLVER.CLIP_NORM > 0:
        nn.utils.clip_grad_norm_(model.parameters(), cfg.SOLVER.CLIP_NORM)
    optimizer.step()
    scheduler.step()
    if bare.has_memory:
        remember(state.memory, pooled, extras, values["loss"])
    state.last_loss = values["loss"]
    return values


def remember(memory: MemoryPool, pooled: list[BoxList], extras: list[dict], loss_tag: float | None = None) -> None:
    """Put the persons of a batch, of all processes, into every process's memory.

    Args:
        pooled: one BoxList per clip with the field ``pooled_feature``, detached and on the CPU.
        extras: per clip ``movie_id``, ``timestamp`` (key) and ``second``.
        loss_tag: weighted total loss of the iteration, in training.
    """
    items = [
        ((extra["movie_id"], extra["timestamp"], extra["second"], b.size), (b.bbox, b.get_field("pooled_feature")))
        for extra, b in zip(extras, pooled, strict=True)
    ]
    for (movie, timestamp, second, size), (corners, features) in processes.exchange(items):
        boxes = BoxList(corners, size)
        boxes.add_field("pooled_feature", features)
        if loss_tag is not None:
            boxes.add_field("loss_tag", loss_tag)
        if len(boxes):
            memory.put(movie, timestamp, boxes, second)


def _due(iteration: int, period: int, last: int) -> bool:
    return iteration == last or (period > 0 and iteration % period == 0)


def _validate(
    model: nn.Module,
    validate: Callable[[], float | None],
    checkpointer: ActionCheckpointer,
    state: TrainState,
    metrics: MetricsWriter,
) -> None:
    score = validate()
    model.train()
    if score is None or not processes.is_main():
        return
    metrics.write(state.iteration, "val", {"mAP": score})
    if state.best is None or score > state.best:
        state.best = score
        checkpointer.save_weights("model_best", iteration=state.iteration, mAP=score)


def _check_weights(iteration: int, optimizer: torch.optim.Optimizer, checkpointer: ActionCheckpointer) -> None:
    """Refuse to go on from a step that has broken the weights though the loss before it was finite."""
    for name, value in checkpointer.model.state_dict().items():
        if not value.isfinite().all():
            raise UserError(_diverged(f"{name} is not finite after iteration {iteration}", optimizer, checkpointer))


def _non_finite(
    values: dict[str, float], iteration: int, optimizer: torch.optim.Optimizer, checkpointer: ActionCheckpointer
) -> str:
    names = [name for name, value in values.items() if name != "loss" and not math.isfinite(value)]
    return _diverged(
        f"The loss is {values['loss']} in iteration {iteration + 1} ({', '.join(names) or 'the weighted sum'})",
        optimizer,
        checkpointer,
    )


def _diverged(what: str, optimizer: torch.optim.Optimizer, checkpointer: ActionCheckpointer) -> str:
    last = checkpointer.last_checkpoint()
    kept = f"the last good checkpoint is {last}" if last else "no checkpoint has been written yet"
    return (
        f"{what} at learning rate {optimizer.param_groups[0]['lr']:.3g}; {kept}, so lower SOLVER.BASE_LR or set "
        "SOLVER.CLIP_NORM and start again."
    )


class Progress:
    """Turns the values of single iterations into log lines with throughput and remaining time."""

    def __init__(self, cfg: Any, iteration: int, device: torch.device) -> None:
        self.last, self.clips, self.device = cfg.SOLVER.MAX_ITER, cfg.SOLVER.VIDEOS_PER_BATCH, device
        self.iteration = iteration
        self.step_times: deque[float] = deque(maxlen=50)
        self.data_times: deque[float] = deque(maxlen=50)
        self.values: list[dict[str, float]] = []
        self.rate = 0.0
        self.restart_clock()

    def restart_clock(self) -> None:
        """Leave out what was done between two iterations."""
        self.clock = time.perf_counter()

    def data_arrived(self) -> None:
        """The loader has delivered a batch."""
        self.data_times.append(time.perf_counter() - self.clock)

    def step_done(self, values: dict[str, float], rate: float) -> None:
        """An iteration is complete."""
        now = time.perf_counter()
        self.step_times.append(now - self.clock)
        self.clock = now
        self.values.append(values)
        self.rate = rate

    def report(self, iteration: int, metrics: MetricsWriter) -> None:
        """Means since the last report."""
        mean = processes.mean_of(self.values)
        self.values.clear()
        step, data = statistics.median(self.step_times), statistics.median(self.data_times)
        memory = peak_memory_mb(self.device)
        eta = _clock(step * (self.last - iteration))
        parts = ", ".join(
            f"{name.removeprefix('loss_').removeprefix('accuracy_')}"
            f"{' acc' if name.startswith('accuracy_') else ''} {value:.4f}"
            for name, value in mean.items()
            if name != "loss"
        )
        logger.info(
            "iter %d/%d  loss %.4f (%s)  lr %.3g  %.2f clips/s  data %.3f s  %.0f MB  eta %s",
            iteration,
            self.last,
            mean["loss"],
            parts,
            self.rate,
            self.clips / step,
            data,
            memory,
            eta,
        )
        if processes.is_main():
            metrics.write(
                iteration,
                "train",
                {
                    **mean,
                    "lr": self.rate,
                    "clips_per_second": self.clips / step,
                    "data_seconds": data,
                    "memory_mb": memory,
                },
            )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
