"""Folds side by side, each in a process of its own with one thread."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import alphaction

from ..errors import UserError
from .fold_run import PREDICTIONS

logger = logging.getLogger(__name__)

OUTPUT = "output.txt"
_POLL_SECONDS = 0.2
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class FoldRun:
    """One fold with one seed: its name for the log, and its folder, which holds its configuration."""

    name: str
    folder: Path

    @property
    def is_finished(self) -> bool:
        """Whether it has its predictions."""
        return (self.folder / PREDICTIONS).is_file()


@dataclass
class _Running:
    run: FoldRun
    process: subprocess.Popen[bytes]
    started: float


def core_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_folds(runs: Iterable[FoldRun], jobs: int, options: Sequence[str] = ()) -> dict[str, str]:
    """Run the folds that are not finished, ``jobs`` at a time; one that fails does not stop the others.

    Args:
        options: words for :mod:`alphaction.engine.fold_run`.

    Returns:
        name of each run that failed -> why.
    """
    runs = list(runs)
    waiting = deque(run for run in runs if not run.is_finished)
    if len(waiting) < len(runs):
        logger.info("%d of %d runs are finished and not run again", len(runs) - len(waiting), len(runs))
    running: list[_Running] = []
    failures: dict[str, str] = {}
    spent: list[float] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_start(waiting.popleft(), options))
            time.sleep(_POLL_SECONDS)
            for ended in [item for item in running if item.process.poll() is not None]:
                running.remove(ended)
                spent.append(time.monotonic() - ended.started)
                problem = _problem_of(ended)
                if problem:
                    failures[ended.run.name] = problem
                place = f"{len(runs) - len(waiting) - len(running)} of {len(runs)}: {ended.run.name}"
                left = _remaining(spent, len(waiting), len(running), jobs)
                if problem:
                    logger.error("%s failed after %s: %s%s", place, _minutes(spent[-1]), problem, left)
                else:
                    logger.info("%s finished after %s%s", place, _minutes(spent[-1]), left)
    finally:
        _stop(running)
    return failures


def failed_runs(failures: dict[str, str], total: int) -> UserError:
    """The error that says how many runs failed, and why the first did."""
    name, problem = next(iter(failures.items()))
    return UserError(
        f"{len(failures)} of {total} runs failed, the first is {name} ({problem.rstrip('.')}); correct that and give "
        "the same command again, which runs only the missing ones."
    )


def _start(run: FoldRun, options: Sequence[str]) -> _Running:
    package = str(Path(alphaction.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    logger.info("%s: started, progress in %s", run.name, run.folder / "log.txt")
    with open(run.folder / OUTPUT, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "alphaction.engine.fold_run", str(run.folder), "--with-parent", *options],
            stdin=subprocess.PIPE,  # closed when this process ends, however it ends
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
        )
    return _Running(run, process, time.monotonic())


def _stop(running: Sequence[_Running]) -> None:
    for item in running:
        item.process.terminate()
    for item in running:
        item.process.wait()


def _problem_of(ended: _Running) -> str:
    """Why a process failed, "" where it did not."""
    status, output = ended.process.returncode, ended.run.folder / OUTPUT
    if status == 0 and ended.run.is_finished:
        return ""
    if status < 0:
        cause = "; out of memory?" if -status == getattr(signal, "SIGKILL", 9) else ""
        return f"killed by signal {-status}{cause}"
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else ""
    return last.removeprefix("error: ") if last.startswith("error: ") else f"exit status {status}, see {output}: {last}"


def _remaining(spent: Sequence[float], waiting: int, running: int, jobs: int) -> str:
    """An estimate from the mean duration; those that run are counted as half done."""
    if not waiting + running:
        return ""
    left = (waiting + running / 2) * sum(spent) / len(spent) / min(jobs, waiting + running)
    return f"; about {_minutes(left)} left"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
