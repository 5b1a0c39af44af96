"""Where a run logs: console, log.txt, metrics.jsonl, TensorBoard."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..errors import UserError
from .files import atomic_write

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

logger = logging.getLogger(__name__)
PACKAGE = logging.getLogger("alphaction")
_handlers: list[logging.Handler] = []


class _ConsoleHandler(logging.Handler):
    """Prints records above a progress bar instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            tqdm.write(self.format(record), file=sys.stdout)
            sys.stdout.flush()
        except Exception:  # a console that lacks a letter or is closed ends no training
            self.handleError(record)


def set_up_logging(log_file: Path | None, is_main: bool = True) -> None:
    """Send the package's records of the main process to the console and, appended, to ``log_file``.

    A further call replaces the handlers of the former one. Handlers of the caller, on this logger or the root, stay and
    get the records as well; where one of them prints to the console already, none is added for it.

    Raises:
        UserError: ``log_file`` cannot be written.
    """
    while _handlers:
        handler = _handlers.pop()
        PACKAGE.removeHandler(handler)
        handler.close()
    PACKAGE.setLevel(logging.INFO if is_main else logging.ERROR)
    if not any(map(_prints, PACKAGE.handlers + (logging.getLogger().handlers if PACKAGE.propagate else []))):
        _add_handler(_ConsoleHandler(), logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    if is_main and log_file is not None:
        try:
            handler = logging.FileHandler(log_file, encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"The log {log_file} cannot be written ({error.strerror or error}), expected a file; remove what is in "
                "the way or choose another OUTPUT_DIR."
            ) from error
        _add_handler(handler, logging.Formatter("%(asctime)s %(levelname)s %(message)s"))


@contextlib.contextmanager
def only_errors() -> Iterator[None]:
    """Suppress the package's warnings and information meanwhile, where they would repeat what was logged before."""
    level = PACKAGE.level
    PACKAGE.setLevel(logging.ERROR)
    try:
        yield
    finally:
        PACKAGE.setLevel(level)


def _prints(handler: logging.Handler) -> bool:
    consoles = [stream for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) if stream]
    return isinstance(handler, logging.StreamHandler) and handler.stream in consoles and handler.level <= logging.INFO


def _add_handler(handler: logging.Handler, formatter: logging.Formatter) -> None:
    handler.setFormatter(formatter)
    PACKAGE.addHandler(handler)
    _handlers.append(handler)


class MetricsWriter:
    """Appends one JSON line per call to ``metrics.jsonl`` and, on request, the same numbers to TensorBoard.

    A ``metrics.jsonl`` that cannot be written or read does not stop training: a warning names it.

    Args:
        output_dir: None in processes that write nothing.
        use_tensorboard: write events below ``tensorboard/``.
        start_iter: completed iterations; lines of an interrupted run about later ones are dropped.

    Raises:
        UserError: ``tensorboard/`` cannot be written.
    """

    def __init__(self, output_dir: Path | None, use_tensorboard: bool = False, start_iter: int = 0) -> None:
        self.path = output_dir / "metrics.jsonl" if output_dir else None
        self.events: SummaryWriter | None = None
        if output_dir and use_tensorboard:
            self.events = _open_events(output_dir / "tensorboard", start_iter)
        if self.path and self.path.exists():
            self._drop_after(self.path, start_iter)

    def _drop_after(self, path: Path, iteration: int) -> None:
        """Keep the readable lines up to ``iteration``; an unfinished last line is what an interrupted run leaves."""
        try:
            *lines, _ = path.read_bytes().split(b"\n")
            found = [(line, _iteration_of(line)) for line in lines]
            kept = [line + b"\n" for line, number in found if number is not None and number <= iteration]
            with atomic_write(path) as temporary:
                temporary.write_bytes(b"".join(kept))
        except OSError as error:
            self._give_up(error)
            return
        damaged = [place for place, (_, number) in enumerate(found, 1) if number is None]
        if damaged:
            logger.warning(
                "%s: %d of %d lines are not JSON objects with an iteration (the first is line %d) and were dropped; "
                "training continues",
                path,
                len(damaged),
                len(lines),
                damaged[0],
            )

    def _give_up(self, error: OSError) -> None:
        logger.warning(
            "%s cannot be written (%s), expected a file; training continues without it, remove what is in the way to "
            "have metrics again",
            self.path,
            error.strerror or error,
        )
        self.path = None

    def write(self, iteration: int, group: str, values: Mapping[str, float]) -> None:
        """``values`` of ``group`` ("train", "val") after ``iteration`` completed iterations."""
        if self.path:
            try:
                with open(self.path, "a", encoding="utf-8") as stream:
                    stream.write(json.dumps({"iteration": iteration, "group": group, **values}) + "\n")
            except OSError as error:
                self._give_up(error)
        if self.events:
            for name, value in values.items():
                self.events.add_scalar(f"{group}/{name}", value, iteration)

    def close(self) -> None:
        """Flush the TensorBoard events."""
        if self.events:
            self.events.close()


def _open_events(folder: Path, start_iter: int) -> SummaryWriter:
    from tensorboardX import SummaryWriter

    try:
        return SummaryWriter(str(folder), purge_step=start_iter + 1)
    except OSError as error:
        raise UserError(
            f"The TensorBoard events {folder} cannot be written ({error.strerror or error}), expected a folder; remove "
            "what is in the way or leave --use-tfboard out."
        ) from error


def _iteration_of(line: bytes) -> int | None:
    """The iteration that a line of ``metrics.jsonl`` is about, None for a damaged line."""
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    iteration = row.get("iteration") if isinstance(row, dict) else None
    return iteration if type(iteration) is int else None
