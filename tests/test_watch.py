"""A process that exits before its work is done makes the others exit with one sentence, wherever they are."""

from __future__ import annotations

import os
import signal
import tempfile
import time
import unittest
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from process_group import CONTEXT, redirect, start
from thermal_files import small_cfg, write_dataset

from alphaction.checkpoints.checkpoint_file import read_checkpoint
from alphaction.engine.finetune import finetune
from alphaction.errors import UserError
from alphaction.utils import processes
from alphaction.utils.command import run_command

# Seconds; the others exit within one, on a busy machine within minutes.
PATIENCE = 240


def exchange() -> None:
    """Waits for a process that is late."""
    processes.gather_objects(1)


def work() -> None:
    """Takes long, or stands for an exchange that does not notice."""
    time.sleep(600)


def mistake() -> None:
    raise UserError("no such file")


def bug() -> None:
    raise KeyError("nothing")


def short() -> None:
    time.sleep(0.5)


def nothing() -> None:
    pass


def join_and(body: Callable, joined, patience: timedelta) -> None:
    processes.WATCH_TIMEOUT = patience
    processes.start(torch.device("cpu"))
    joined.release()
    body()


def as_command(folder: Path, function: Callable, *arguments: object) -> None:
    """Call ``function`` as a tool does; output goes to files in ``folder``."""
    redirect(folder / f"{os.environ['RANK']}.out", folder / f"{os.environ['RANK']}.err")
    run_command(lambda: function(*arguments))


class Ends(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def start(self, *commands: tuple) -> list[BaseProcess]:
        members = start(*((as_command, self.folder, *words) for words in commands))
        for member in members:
            self.addCleanup(member.kill)
        return members

    def joined(self, *bodies: Callable, patience: timedelta = processes.WATCH_TIMEOUT) -> list[BaseProcess]:
        joined = CONTEXT.Semaphore(0)
        members = self.start(*((join_and, body, joined, patience) for body in bodies))
        for _ in members:
            self.assertTrue(joined.acquire(timeout=300))
        return members

    def end(self, member: BaseProcess, rank: int) -> tuple[int | None, str]:
        """Exit status and what the process printed as an error. Libraries may print warnings of their own."""
        member.join(PATIENCE)
        text = (self.folder / f"{rank}.err").read_text(encoding="utf-8")
        lines = text.splitlines()
        first = next((i for i, line in enumerate(lines) if line.startswith(("error: ", "Traceback"))), len(lines))
        return member.exitcode, "\n".join(lines[first:])

    def assert_exits_too(self, member: BaseProcess, rank: int) -> None:
        status, errors = self.end(member, rank)
        self.assertEqual(status, 1, errors)
        self.assertRegex(
            errors.splitlines()[-1], f"^error: Another of the .* is gone, .* so process {rank} exits too; "
        )
        self.assertNotIn("Traceback", errors)

    def test_a_killed_process_wherever_the_others_are(self):
        working, waiting, killed = self.joined(work, exchange, work)
        killed.kill()
        self.assert_exits_too(working, 0)
        self.assert_exits_too(waiting, 1)

    def test_a_mistake_that_only_one_process_finds(self):
        working, mistaken = self.joined(work, mistake)
        self.assertEqual(self.end(mistaken, 1), (2, "error: no such file"))
        self.assert_exits_too(working, 0)

    def test_an_error_in_the_program(self):
        broken, waiting = self.joined(bug, exchange)
        status, errors = self.end(broken, 0)
        self.assertEqual(status, 1)
        self.assertIn("KeyError: 'nothing'", errors)
        self.assert_exits_too(waiting, 1)

    def test_processes_wait_for_each_other_at_the_end(self):
        for rank, member in enumerate(self.joined(short, nothing, short)):
            self.assertEqual(self.end(member, rank), (0, ""))
        done, _ = self.joined(nothing, mistake)
        self.assert_exits_too(done, 0)

    def test_silence(self):
        """A process that is stopped for a while ends nothing; one that never continues does."""
        for continues in (True, False):
            members = self.joined(short, short, patience=timedelta(seconds=60 if continues else 3))
            os.kill(members[1].pid, signal.SIGSTOP)
            if continues:
                time.sleep(processes.WATCH_SECONDS + 1)
                os.kill(members[1].pid, signal.SIGCONT)
                for rank, member in enumerate(members):
                    self.assertEqual(self.end(member, rank), (0, ""))
            else:
                self.assert_exits_too(members[0], 0)

    def test_training_while_a_checkpoint_is_written(self):
        """With workers that load data, which inherit what the process has opened before."""
        write_dataset(self.folder / "set")
        out = self.folder / "out"
        cfg = small_cfg(
            self.folder / "set",
            "MODEL.DEVICE",
            "cpu",
            "INPUT.MIN_SIZE_TRAIN",
            32,
            "SOLVER.MAX_ITER",
            100000,
            "SOLVER.CHECKPOINT_PERIOD",
            1,
            "SOLVER.EVAL_PERIOD",
            0,
            "DATALOADER.NUM_WORKERS",
            1,
            "OUTPUT_DIR",
            str(out),
        )
        main, other = self.start((finetune, cfg), (finetune, cfg))
        deadline = time.monotonic() + 300
        while not list(out.glob("model_0000002.pth.*.tmp")):
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(main.exitcode, "exited by itself")
            time.sleep(0.01)
        main.kill()
        self.assert_exits_too(other, 1)
        kept = sorted(out.glob("*.pth"))
        self.assertIn(out / (out / "last_checkpoint").read_text(), kept)
        for path in kept:
            self.assertEqual(read_checkpoint(path)["iteration"], int(path.stem[-7:]))


if __name__ == "__main__":
    unittest.main()
