"""Slow: the demonstration keeps its promise, the large model at full size (ALPHACTION_SLOW=1)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import torch
from parity import PARITY_DIR, rules
from thermal_files import real_root

ROOT = Path(__file__).resolve().parent.parent
SLOW = os.environ.get("ALPHACTION_SLOW") == "1"


def run(*words, timeout=3600):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout
    )


@unittest.skipUnless(SLOW, "ALPHACTION_SLOW=1 runs it")
class FullSize(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def results(self, out):
        return json.loads((out / "inference" / "thermal_action_val" / "result.json").read_text())

    def test_demonstration_beats_its_baselines_on_recordings_not_trained_on(self):
        made = run("tools/make_thermal_dataset.py", "--out", self.folder / "set")
        self.assertEqual(made.returncode, 0, made.stderr)
        done = run(
            "train_net.py",
            "--config-file",
            "config_files/thermal_demo.yaml",
            "--transfer",
            "--no-head",
            "DATASETS.THERMAL_ROOT",
            self.folder / "set",
            "OUTPUT_DIR",
            self.folder / "out",
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("no overlap with the training set", done.stdout)
        results = self.results(self.folder / "out")
        self.assertEqual(results["classes_with_ground_truth"], 14)
        self.assertGreaterEqual(results["mAP"], 2 * results["baselines"]["constant"]["mAP"])
        self.assertGreater(results["mAP"], results["baselines"]["forest"]["mAP"])
        size = sum(path.stat().st_size for path in (self.folder / "out").rglob("*") if path.is_file())
        self.assertLess(size, 2e9)
        self.assertEqual(
            sorted(path.name for path in (self.folder / "out").glob("*.pth")), ["model_best.pth", "model_final.pth"]
        )

    @unittest.skipUnless(PARITY_DIR, "ALPHACTION_PARITY_DIR is not set")
    @unittest.skipUnless(real_root(), "ALPHACTION_THERMAL_ROOT is not set")
    def test_r101_at_full_size_from_an_alphaction_checkpoint(self):
        recorded = json.loads((Path(PARITY_DIR) / "state_dict.json").read_text())
        entries = recorded["configs"]["resnet101_8x8f_denseserial"]["variants"]["frozen_bn_true"]["entries"]
        weights = rules().state_dict([entry[:2] for entry in entries], 1)
        torch.save(
            {
                "model": {f"module.{name}": torch.from_numpy(value) for name, value in weights.items()},
                "iteration": 110000,
            },
            self.folder / "alphaction.pth",
        )
        done = run(
            "train_net.py",
            "--config-file",
            "config_files/thermal_resnet101_8x8f_denseserial.yaml",
            "--transfer",
            "--no-head",
            "DATASETS.THERMAL_ROOT",
            real_root(),
            "OUTPUT_DIR",
            self.folder / "out",
            "MODEL.WEIGHT",
            self.folder / "alphaction.pth",
            "SOLVER.MAX_ITER",
            1,
            "SOLVER.EVAL_PERIOD",
            0,
            "SOLVER.VIDEOS_PER_BATCH",
            2,
            "TEST.VIDEOS_PER_BATCH",
            1,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        head = sum(name.startswith("roi_heads") for name in weights)
        self.assertIn(f"{len(weights) - head} loaded", done.stdout)
        results = self.results(self.folder / "out")
        self.assertEqual((results["keyframes"], results["predictions"]), (73, 95))


if __name__ == "__main__":
    unittest.main()
