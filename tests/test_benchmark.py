"""The benchmark: a measuring process that dies ends it with a sentence and a status."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import unittest
from unittest import mock

from alphaction.engine import benchmark
from alphaction.errors import UserError


def die(*_: object) -> tuple:
    """As a process that the system ends for lack of memory."""
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return ()


def measure(name: str, *_: object) -> tuple[float, float, float]:
    if name == "failing":
        os.close(2)  # the traceback is of no interest here
        raise RuntimeError("failed")
    return 1.0, 2.0, 1e6 + os.getpid()


class OwnProcess(unittest.TestCase):
    def test_ava_ends_where_its_process_is_killed(self):
        with (
            mock.patch.object(benchmark, "measure_ava", die),
            mock.patch.object(benchmark, "ava_files", return_value=()),
            contextlib.redirect_stdout(io.StringIO()),
            self.assertRaisesRegex(UserError, r"\A.*process of die ended with status -?\d+ .*\Z"),
        ):
            benchmark.main(["--ava"])

    def test_a_configuration_that_fails_does_not_stop_the_others(self):
        with (
            mock.patch.object(benchmark, "measure_model", measure),
            contextlib.redirect_stdout(io.StringIO()) as printed,
            self.assertRaisesRegex(UserError, "1 of 2 configurations could not be measured: failing"),
        ):
            benchmark.print_models(["failing", "working"], "nowhere", 1, 1)
        failed, worked = printed.getvalue().splitlines()[-2:]
        self.assertIn("process of measure ended with status 1 and without a result", failed)
        name, forward_ms, step_ms, process = worked.split()
        self.assertEqual((name, forward_ms, step_ms), ("working", "1", "2"))
        self.assertNotEqual(int(process), 1e6 + os.getpid())


class Arguments(unittest.TestCase):
    def test_numbers_below_one_are_refused(self):
        for option in ("--repeats", "--batch"):
            with self.assertRaisesRegex(UserError, f"{option} is 0, expected a number of at least 1"):
                benchmark.main([option, "0"])


if __name__ == "__main__":
    unittest.main()
