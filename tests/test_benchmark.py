"""The benchmark: a measuring process that dies ends it with a sentence and a status."""

from __future__ import annotations

import contextlib
import io
import signal
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from thermal_files import scene, write_recording
from torch_settings import one_thread

from alphaction.engine import benchmark
from alphaction.engine.measure import in_own_process, memory_mb
from alphaction.errors import UserError


class OwnProcess(unittest.TestCase):
    def test_ava_ends_where_its_process_is_killed(self):
        kill = getattr(signal, "SIGKILL", signal.SIGTERM)
        with (
            mock.patch.object(benchmark, "measure_ava", signal.raise_signal),
            mock.patch.object(benchmark, "ava_files", return_value=kill),
            contextlib.redirect_stdout(io.StringIO()),
            self.assertRaisesRegex(UserError, rf"\AThe process of raise_signal ended with status -{kill:d} .*\Z"),
        ):
            benchmark.main(["--ava"])

    def test_a_configuration_that_fails_does_not_stop_the_others(self):
        results = [UserError("It ended with status 1."), (1.0, 2.0, 3.0)]
        with (
            mock.patch.object(benchmark, "in_own_process", side_effect=results),
            contextlib.redirect_stdout(io.StringIO()) as printed,
            self.assertRaisesRegex(UserError, "1 of 2 configurations could not be measured: failing"),
        ):
            benchmark.print_models(["failing", "working"], "nowhere", 1, 1)
        failed, worked = printed.getvalue().splitlines()[-2:]
        self.assertEqual(failed, "  failing: It ended with status 1.")
        self.assertEqual(worked.split(), ["working", "1", "2", "3"])


class Memory(unittest.TestCase):
    @unittest.skipUnless(Path("/proc/self/status").exists(), "the system does not tell the peak of one program")
    def test_the_process_that_starts_a_measurement_does_not_count(self):
        large = np.ones(60_000_000)
        del large
        before = memory_mb(torch.device("cpu"))
        self.assertLess(in_own_process(memory_mb, torch.device("cpu")), before - 200)


class Recording(unittest.TestCase):
    def test_rows(self):
        one_thread(self.addCleanup)
        with (
            mock.patch.object(benchmark, "write_recording", lambda path, _: write_recording(path, scene(80)[0])),
            mock.patch.object(benchmark, "in_own_process", lambda function, *arguments: function(*arguments)),
        ):
            rows = dict(benchmark.recording_rows(1, 1))
        self.assertEqual([value.split()[1] for value in rows.values()], ["GB", "ms", "s", "ms", "ms", "MB"])

    def test_no_room(self):
        with (
            mock.patch.object(benchmark.shutil, "disk_usage", return_value=mock.Mock(free=10**9)),
            self.assertRaisesRegex(UserError, "needs 1604 MB in .* which has 1000 MB left"),
        ):
            benchmark.write_recording(Path("recording.h5"), 5)


class Arguments(unittest.TestCase):
    def test_numbers_below_one_are_refused(self):
        for option in ("--repeats", "--batch", "--recording"):
            with self.assertRaisesRegex(UserError, f"{option} is 0, expected a number of at least 1"):
                benchmark.main([option, "0"])


if __name__ == "__main__":
    unittest.main()
