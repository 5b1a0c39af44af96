"""What a person sees of a running loop: log lines with throughput and remaining time, progress bars."""

from __future__ import annotations

import logging
import statistics
import sys
import time
from collections import deque
from collections.abc import Iterable

import torch
from tqdm import tqdm

from ..config.node import ConfigNode
from ..utils import processes
from ..utils.device import peak_memory_mb
from ..utils.logs import MetricsWriter

logger = logging.getLogger(__name__)


class Progress:
    """Turns the values of single iterations into log lines with throughput and remaining time."""

    def __init__(self, cfg: ConfigNode, device: torch.device) -> None:
        self.max_iter, self.clips, self.device = cfg.SOLVER.MAX_ITER, cfg.SOLVER.VIDEOS_PER_BATCH, device
        # The only group of independent classes, as of every head whose groups are from the set, need not be of objects.
        self.one_group = cfg.MODEL.ROI_ACTION_HEAD.NUM_PERSON_INTERACTION_CLASSES == 0
        self.step_times: deque[float] = deque(maxlen=50)
        self.data_times: deque[float] = deque(maxlen=50)
        self.values: list[dict[str, float]] = []
        self.lr = 0.0
        self.restart_clock()

    def restart_clock(self) -> None:
        """Leave out the time since the last iteration."""
        self.clock = time.perf_counter()

    def data_arrived(self) -> None:
        """The loader has delivered a batch."""
        self.data_times.append(time.perf_counter() - self.clock)

    def step_done(self, values: dict[str, float], lr: float) -> None:
        """An iteration is complete."""
        now = time.perf_counter()
        self.step_times.append(now - self.clock)
        self.clock = now
        self.values.append(values)
        self.lr = lr

    def report(self, iteration: int, metrics: MetricsWriter) -> None:
        """Log and write the means since the last report."""
        mean = processes.mean_of(self.values)
        self.values.clear()
        step, data = statistics.median(self.step_times), statistics.median(self.data_times)
        memory = peak_memory_mb(self.device)
        logger.info(
            "iter %d/%d  loss %.4f (%s)  lr %.3g  %.2f clips/s  data %.3f s%s  eta %s",
            iteration,
            self.max_iter,
            mean["loss"],
            ", ".join(f"{self._short(name)} {value:.4f}" for name, value in mean.items() if name != "loss"),
            self.lr,
            self.clips / step,
            data,
            "" if memory is None else f"  {memory:.0f} MB",
            _clock(step * (self.max_iter - iteration)),
        )
        if processes.is_main():
            speed = {"lr": self.lr, "clips_per_second": self.clips / step, "data_seconds": data}
            metrics.write(iteration, "train", {**mean, **speed, **({} if memory is None else {"memory_mb": memory})})

    def _short(self, name: str) -> str:
        """Name for a log line: loss_pose_action -> pose_action, accuracy_pose_action -> pose_action acc."""
        kind, _, rest = name.partition("_")
        if self.one_group and rest == "object_interaction":
            rest = "independent"
        return {"loss": rest, "accuracy": f"{rest} acc"}.get(kind, name)


def progress_bar(title: str, unit: str, total: int, batches: Iterable | None = None, initial: int = 0) -> tqdm:
    """A bar on the terminal of the main process, over ``batches`` or updated by the caller."""
    return tqdm(
        batches,
        total=total,
        initial=initial,
        desc=title,
        unit=unit,
        leave=batches is None,
        dynamic_ncols=True,
        disable=not (processes.is_main() and sys.stderr.isatty()),
    )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
