"""Where a run writes what it says: console, log.txt, metrics.jsonl, TensorBoard."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .files import atomic_write


class _BesideProgressBar(logging.Handler):
    """Prints records above a progress bar instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()


def set_up_logging(log_file: Path | None, is_main: bool = True) -> logging.Logger:
    """Send the package's records of the main process to the console and, appended, to ``log_file``."""
    logger = logging.getLogger("alphaction")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = False
    logger.setLevel(logging.INFO if is_main else logging.ERROR)
    handlers: list[logging.Handler] = [_BesideProgressBar()]
    if is_main and log_file is not None:
        handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
    if len(handlers) > 1:
        handlers[1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return logger


class MetricsWriter:
    """Appends one JSON line per call to ``metrics.jsonl`` and, on request, the same numbers to TensorBoard.

    Args:
        output_dir: None in processes that write nothing.
        use_tensorboard: write events below ``tensorboard/``.
        start_iter: completed iterations; what a run that broke off wrote of later ones is dropped.
    """

    def __init__(self, output_dir: Path | None, use_tensorboard: bool = False, start_iter: int = 0) -> None:
        self.path = output_dir / "metrics.jsonl" if output_dir else None
        self.events = None
        if output_dir and use_tensorboard:
            from tensorboardX import SummaryWriter

            self.events = SummaryWriter(str(output_dir / "tensorboard"), purge_step=start_iter + 1)
        if self.path and self.path.exists():
            self._forget_after(start_iter)

    def _forget_after(self, iteration: int) -> None:
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["iteration"] <= iteration]
        with atomic_write(self.path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")

    def write(self, iteration: int, group: str, values: dict[str, Any]) -> None:
        """``values`` of ``group`` ("train", "val") after ``iteration`` completed iterations."""
        if self.path:
            with open(self.path, "a", encoding="utf-8") as stream:
                stream.write(json.dumps({"iteration": iteration, "group": group, **values}) + "\n")
        if self.events:
            for name, value in values.items():
                if isinstance(value, (int, float)):
                    self.events.add_scalar(f"{group}/{name}", value, iteration)

    def close(self) -> None:
        """Flush the TensorBoard events."""
        if self.events:
            self.events.close()
