"""Slow: the demonstration keeps its promise, the large model at full size, torchrun itself (ALPHACTION_SLOW=1)."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import torch
from parity import PARITY_DIR, rules
from thermal_files import real_root, write_dataset

ROOT = Path(__file__).resolve().parent.parent
SLOW = os.environ.get("ALPHACTION_SLOW") == "1"


def run(*words, timeout=3600):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, env=environment, capture_output=True, text=True,
                          timeout=timeout)


@unittest.skipUnless(SLOW, "ALPHACTION_SLOW=1 runs it")
class FullSize(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def results(self, out):
        return json.loads((out / "inference" / "thermal_action_val" / "result.json").read_text())

    def test_demonstration_beats_its_floors_on_recordings_not_trained_on(self):
        made = run("tools/make_thermal_dataset.py", "--out", self.folder / "set")
        self.assertEqual(made.returncode, 0, made.stderr)
        done = run("train_net.py", "--config-file", "config_files/thermal_demo.yaml", "--transfer", "--no-head",
                   "DATASETS.THERMAL_ROOT", self.folder / "set", "OUTPUT_DIR", self.folder / "out")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nothing of it was trained on", done.stdout)
        results = self.results(self.folder / "out")
        self.assertEqual(results["classes_with_ground_truth"], 14)
        self.assertGreaterEqual(results["mAP"], 2 * results["floors"]["constant"]["mAP"])
        self.assertGreater(results["mAP"], results["floors"]["forest"]["mAP"])
        size = sum(path.stat().st_size for path in (self.folder / "out").rglob("*") if path.is_file())
        self.assertLess(size, 2e9)
        self.assertEqual(sorted(path.name for path in (self.folder / "out").glob("*.pth")),
                         ["model_best.pth", "model_final.pth"])

    @unittest.skipUnless(PARITY_DIR, "ALPHACTION_PARITY_DIR is not set")
    @unittest.skipUnless(real_root(), "ALPHACTION_THERMAL_ROOT is not set")
    def test_r101_at_full_size_from_an_alphaction_checkpoint(self):
        recorded = json.loads((Path(PARITY_DIR) / "state_dict.json").read_text())
        entries = recorded["configs"]["resnet101_8x8f_denseserial"]["variants"]["frozen_bn_true"]["entries"]
        weights = rules().state_dict([entry[:2] for entry in entries], 1)
        torch.save({"model": {f"module.{name}": torch.from_numpy(value) for name, value in weights.items()},
                    "iteration": 110000}, self.folder / "alphaction.pth")
        done = run("train_net.py", "--config-file", "config_files/thermal_resnet101_8x8f_denseserial.yaml",
                   "--transfer", "--no-head", "DATASETS.THERMAL_ROOT", real_root(), "OUTPUT_DIR", self.folder / "out",
                   "MODEL.WEIGHT", self.folder / "alphaction.pth", "SOLVER.MAX_ITER", 1, "SOLVER.EVAL_PERIOD", 0,
                   "SOLVER.VIDEOS_PER_BATCH", 2, "TEST.VIDEOS_PER_BATCH", 1)
        self.assertEqual(done.returncode, 0, done.stderr)
        head = sum(name.startswith("roi_heads") for name in weights)
        self.assertIn(f"{len(weights) - head} loaded", done.stdout)
        results = self.results(self.folder / "out")
        self.assertEqual((results["keyframes"], results["predictions"]), (73, 95))

    def torchrun(self, *words, module="torch.distributed.run"):
        """Arguments of a run with two processes on a small set."""
        if not (self.folder / "set").exists():
            write_dataset(self.folder / "set")
        return ["-m", module, "--nproc_per_node=2", "--master_port=29517", "train_net.py", "--config-file",
                "config_files/thermal_demo.yaml", "DATASETS.THERMAL_ROOT", self.folder / "set", "MODEL.DEVICE", "cpu",
                "SOLVER.VIDEOS_PER_BATCH", 2, "SOLVER.MAX_ITER", 2, "SOLVER.LOG_PERIOD", 1, "SOLVER.EVAL_PERIOD", 0,
                *words]

    def test_both_launchers_train_and_a_mistake_ends_all_processes(self):
        for module in ("torch.distributed.run", "torch.distributed.launch"):
            if importlib.util.find_spec(module) is None:
                continue  # the older one is to go
            out = self.folder / module
            done = run(*self.torchrun("OUTPUT_DIR", out, module=module), timeout=600)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.results(out)["predictions"], 2)
        # A process that waits for ever runs into the time limit.
        failed = run(*self.torchrun("OUTPUT_DIR", self.folder / "bad", "DATASETS.TRAIN", "('nobody',)"), timeout=120)
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("nobody", failed.stderr)

    @unittest.skipUnless(Path("/proc/self/environ").exists(), "no /proc here")
    def test_torchrun_ends_when_one_process_is_killed(self):
        out = self.folder / "out"
        words = self.torchrun("OUTPUT_DIR", out, "SOLVER.CHECKPOINT_PERIOD", 2, "SOLVER.MAX_ITER", 100000)
        launcher = subprocess.Popen([sys.executable, *map(str, words)], cwd=ROOT, stderr=subprocess.PIPE, text=True,
                                    env={**os.environ, "PYTHONPATH": str(ROOT)})
        self.addCleanup(launcher.communicate)
        self.addCleanup(launcher.terminate)
        deadline = time.monotonic() + 120
        while not (out / "model_0000002.pth").exists():
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(launcher.poll(), "ended by itself")
            time.sleep(0.2)
        children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
        (second,) = [child for child in children if b"\0RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes()]
        os.kill(int(second), signal.SIGKILL)
        _, errors = launcher.communicate(timeout=60)
        self.assertNotEqual(launcher.returncode, 0)
        self.assertIn("SIGKILL", errors)


if __name__ == "__main__":
    unittest.main()
