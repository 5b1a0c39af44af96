"""A process that ends before its work is done takes the others down with a sentence, wherever they are."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from thermal_files import write_dataset

from alphaction.utils.checkpoint import read_checkpoint

ROOT = Path(__file__).resolve().parent.parent
MEMBER = """
import sys, time, torch
from alphaction.engine.launch import run_command
from alphaction.errors import UserError
from alphaction.utils import processes

def main():
    processes.start(torch.device("cpu"))
    print("joined", flush=True)
    {}

run_command(main)
"""
# An exchange for which the other is late, work that takes long (or an exchange that does not notice), two ways to fail.
EXCHANGE, WORK = "processes.gather_objects(1)", "time.sleep(200)"
MISTAKE, BUG = "raise UserError('no such file')", "{}['nothing']"
# Well below the minute in which the others are to end.
PATIENCE = 40


def start(rank: int, count: int, port: int, *words: object) -> subprocess.Popen:
    """Process ``rank`` of ``count``, started by hand."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RANK": str(rank),
                   "WORLD_SIZE": str(count), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    return subprocess.Popen([sys.executable, *map(str, words)], cwd=ROOT, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Ends(unittest.TestCase):
    def group(self, *commands: list) -> list[subprocess.Popen]:
        port = free_port()
        members = [start(rank, len(commands), port, *words) for rank, words in enumerate(commands)]
        for member in members:
            self.addCleanup(member.communicate)
            self.addCleanup(member.kill)
        return members

    def joined(self, *bodies: str) -> list[subprocess.Popen]:
        members = self.group(*(["-c", MEMBER.format(body)] for body in bodies))
        for member in members:
            self.assertEqual(member.stdout.readline(), "joined\n")
        return members

    def end(self, member: subprocess.Popen) -> tuple[int, str]:
        _, errors = member.communicate(timeout=PATIENCE)
        return member.returncode, errors

    def survives_not(self, member: subprocess.Popen, rank: int, lost: int) -> None:
        status, errors = self.end(member)
        self.assertEqual(status, 1, errors)
        self.assertIn(f"is gone, so process {rank} ends too; see the output of process {lost} (", errors)
        self.assertNotIn("Traceback", errors)

    def test_a_killed_one_wherever_the_others_are(self):
        working, waiting, killed = self.joined(WORK, EXCHANGE, WORK)
        killed.send_signal(signal.SIGKILL)
        self.survives_not(working, 0, 2)
        self.survives_not(waiting, 1, 2)

    def test_a_mistake_that_only_one_finds(self):
        working, mistaken = self.joined(WORK, MISTAKE)
        self.assertEqual(self.end(mistaken), (2, "error: no such file\n"))
        self.survives_not(working, 0, 1)

    def test_an_error_in_the_program(self):
        broken, waiting = self.joined(BUG, EXCHANGE)
        status, errors = self.end(broken)
        self.assertEqual(status, 1)
        self.assertIn("KeyError: 'nothing'", errors)
        self.survives_not(waiting, 1, 0)

    def test_who_is_done_may_go(self):
        for member in self.joined("time.sleep(0.5)", "", "time.sleep(1)"):
            self.assertEqual(self.end(member), (0, ""))

    def test_training_while_a_checkpoint_is_written(self):
        """With workers that load data, which hold what a process has opened before them."""
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        folder = Path(holder.name)
        write_dataset(folder / "set")
        words = ["train_net.py", "--config-file", "config_files/thermal_demo.yaml", "DATASETS.THERMAL_ROOT",
                 folder / "set", "MODEL.DEVICE", "cpu", "SOLVER.VIDEOS_PER_BATCH", 2, "INPUT.MIN_SIZE_TRAIN", 32,
                 "INPUT.MIN_SIZE_TEST", 32, "SOLVER.LOG_PERIOD", 1, "SOLVER.EVAL_PERIOD", 0, "SOLVER.MAX_ITER", 100000,
                 "SOLVER.CHECKPOINT_PERIOD", 1, "DATALOADER.NUM_WORKERS", 1, "OUTPUT_DIR", folder / "out"]
        main, other = self.group(words, words)
        deadline = time.monotonic() + 120
        while not (folder / "out" / "model_0000002.pth.tmp").exists():
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(main.poll(), "ended by itself")
            time.sleep(0.01)
        main.kill()
        self.survives_not(other, 1, 0)
        kept = sorted((folder / "out").glob("*.pth"))
        self.assertIn(folder / "out" / (folder / "out" / "last_checkpoint").read_text(), kept)
        for path in kept:
            self.assertEqual(read_checkpoint(path)["iteration"], int(path.stem[-7:]))


if __name__ == "__main__":
    unittest.main()
