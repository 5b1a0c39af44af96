"""The comparison with PyTorchVideo: its rows run, and its table has the ratios."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
import unittest
from unittest import mock

from small_model import small_cfg
from torch_settings import one_thread

from alphaction.engine import benchmark, peers
from alphaction.errors import UserError


def small_configuration(depth, frozen=True):
    keys = "MODEL.ROI_ACTION_HEAD."
    sizes = [
        word for split in ("TRAIN", "TEST") for word in (f"INPUT.MIN_SIZE_{split}", 32, f"INPUT.MAX_SIZE_{split}", 48)
    ]
    classes = [f"{keys}NUM_CLASSES", 14, f"{keys}NUM_PERSON_MOVEMENT_CLASSES", 14]
    none = [f"{keys}NUM_OBJECT_MANIPULATION_CLASSES", 0, f"{keys}NUM_PERSON_INTERACTION_CLASSES", 0]
    return small_cfg(*sizes, *classes, *none, "MODEL.BACKBONE.FROZEN_BN", frozen, "MODEL.DEVICE", "cpu")


class Rows(unittest.TestCase):
    def setUp(self):
        one_thread(self.addCleanup)

    def test_ours_run(self):
        with mock.patch.object(peers, "configuration", small_configuration):
            for title in ("plain", "plain, live batch norm", "mixed precision", "optimized, bf16"):
                with self.subTest(title):
                    make, kind = peers.ROWS[title]
                    forward, step = make(50, kind)
                    forward()
                    self.assertEqual(step is None, "optimized" in title)
                    if step:
                        step()

    def test_the_peer_runs(self):
        if importlib.util.find_spec("pytorchvideo") is None:
            self.skipTest("pytorchvideo is not installed (pip install .[zoo])")
        with mock.patch.object(peers, "configuration", small_configuration):
            for call in peers.peer_calls(50, "channels last"):
                call()

    def test_without_the_peer(self):
        with (
            mock.patch.object(peers.importlib, "import_module", side_effect=ImportError("none")),
            self.assertRaisesRegex(UserError, "cannot be imported .none.; install it with pip install"),
        ):
            peers.peer_calls(50, "contiguous")


class Table(unittest.TestCase):
    def printed(self, *arguments, results):
        with (
            mock.patch.object(peers, "in_own_process", side_effect=results),
            contextlib.redirect_stdout(io.StringIO()) as printed,
        ):
            benchmark.main(["--peers", *arguments])
        return printed.getvalue().splitlines()

    def test_ratios_are_of_the_best_peer(self):
        results = [(1.0, 3.0, 4000.0), (2.0, 2.0, 3000.0), (0.5, 1.0, 1500.0), (0.25, math.nan, 500.0)]
        lines = self.printed("--rows", "plain", "optimized", results=results)
        self.assertEqual(lines[-4], "| PyTorchVideo | 1.000 | 3.000 | 1.00 x | 0.67 x | 4000 | 133 % |")
        self.assertEqual(lines[-2], "| plain | 0.500 | 1.000 | 2.00 x | 2.00 x | 1500 | 50 % |")
        self.assertEqual(lines[-1], "| optimized | 0.250 |  | 4.00 x |  | 500 |  |")
        self.assertIn("threads", lines[0])

    def test_a_row_that_fails_does_not_stop_the_others(self):
        results = [(1.0, 3.0, 4000.0), (2.0, 2.0, 3000.0), UserError("It ended."), (0.25, math.nan, 500.0)]
        with self.assertRaisesRegex(UserError, "1 of 4 rows could not be measured: plain"):
            self.printed("--rows", "plain", "optimized", results=results)

    def test_without_any_peer(self):
        with self.assertRaisesRegex(UserError, "No row of the peer could be measured"):
            self.printed("--rows", "plain", results=[UserError("It ended."), UserError("It ended.")])

    def test_numbers(self):
        for option in ("repeats", "threads"):
            with self.assertRaisesRegex(UserError, f"--{option} is 0"):
                benchmark.main(["--peers", f"--{option}", "0"])


if __name__ == "__main__":
    unittest.main()
