"""Command lines: launchers of several processes; mistakes are one line with exit status 2, before building."""

from __future__ import annotations

import importlib.util
import json
import os
import runpy
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import torch
from process_group import CONTEXT, free_port, redirect
from thermal_files import write_dataset

from alphaction.engine.launch import argument_parser, configure

ROOT = Path(__file__).resolve().parent.parent
DEMO = ["--config-file", "thermal_demo"]


def run(tool, *words):
    """What the command line ``python TOOL WORD ...`` prints, and its exit status."""
    with tempfile.TemporaryDirectory() as name:
        process = CONTEXT.Process(target=_run, args=(tool, list(map(str, words)), Path(name)))
        process.start()
        process.join(300)
        process.kill()
        output, errors = (Path(name, stream).read_text(encoding="utf-8") for stream in ("out", "err"))
    return subprocess.CompletedProcess([tool, *words], process.exitcode, output, errors)


def _run(tool, words, folder):
    redirect(folder / "out", folder / "err")
    os.chdir(ROOT)
    torch.set_num_threads(1)
    sys.argv = [tool, *words]
    runpy.run_path(tool, run_name="__main__")


class Arguments(unittest.TestCase):
    def test_the_old_launchers_argument_in_both_spellings_at_any_place(self):
        others = (
            ["--seed", "7", "SOLVER.BASE_LR", "0.5"],
            ["SOLVER.BASE_LR", "0.5", "--seed", "7", "SOLVER.MAX_ITER", "3"],
        )
        for spelling in ("--local_rank=1", "--local-rank=1", "--local_rank 1", "--local-rank 1"):
            for words in others:
                for place in (0, len(words)):
                    line = [*words[:place], *spelling.split(), *words[place:]]
                    with self.subTest(line=line), mock.patch.dict(os.environ):
                        os.environ.pop("LOCAL_RANK", None)
                        args = argument_parser("").parse_intermixed_args(line)
                        self.assertEqual(args.opts, [word for word in words if word not in ("--seed", "7")])
                        self.assertEqual(configure(args).SOLVER.SEED, 7)
                        self.assertEqual(os.environ["LOCAL_RANK"], "1")

    def test_the_environment_wins(self):
        with mock.patch.dict(os.environ, LOCAL_RANK="3"):
            configure(argument_parser("").parse_intermixed_args(["--local_rank=1"]))
            self.assertEqual(os.environ["LOCAL_RANK"], "3")


class Mistakes(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def refused(self, tool, *words, says):
        result = run(tool, *words)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        self.assertEqual(len(lines), 1, result.stderr)
        for word in says:
            self.assertIn(word, lines[0])

    def test_unknown_key(self):
        self.refused("train_net.py", *DEMO, "SOLVER.BASE_RL", "1", says=("SOLVER.BASE_RL", "did you mean"))

    def test_missing_weight_file_says_how_to_do_without(self):
        for tool in ("train_net.py", "test_net.py"):
            self.refused(
                tool,
                *DEMO,
                "MODEL.WEIGHT",
                "nowhere.pth",
                "OUTPUT_DIR",
                self.folder / "out",
                says=("MODEL.WEIGHT nowhere.pth does not exist", "alphaction download-weights", 'MODEL.WEIGHT ""'),
            )
        self.assertFalse((self.folder / "out").exists())

    def test_a_folder_as_weight_file(self):
        self.refused(
            "train_net.py",
            *DEMO,
            "MODEL.WEIGHT",
            self.folder,
            "OUTPUT_DIR",
            self.folder / "out",
            says=(f"MODEL.WEIGHT {self.folder} is a folder, expected a checkpoint file",),
        )

    def test_nothing_to_test(self):
        self.refused("test_net.py", *DEMO, "OUTPUT_DIR", self.folder, says=("nothing to test", "train first"))

    def test_output_folder_that_cannot_be_written(self):
        (self.folder / "file").touch()
        self.refused("train_net.py", *DEMO, "OUTPUT_DIR", self.folder / "file" / "out", says=("OUTPUT_DIR", "written"))

    def test_missing_data_set(self):
        self.refused(
            "train_net.py",
            *DEMO,
            "OUTPUT_DIR",
            self.folder,
            "DATASETS.THERMAL_ROOT",
            self.folder / "none",
            says=("none does not exist", "DATASETS.THERMAL_ROOT"),
        )

    def test_no_configuration(self):
        self.refused("train_net.py", "OUTPUT_DIR", self.folder, says=("DATASETS.TRAIN is empty",))

    def test_unknown_configuration_of_the_benchmark(self):
        self.refused("tools/benchmark.py", "--configs", "thermal_nothing", says=("thermal_nothing", "thermal_demo"))

    def test_tool_without_configuration(self):
        self.refused("tools/compare_thermal_sets.py", "--b", self.folder, says=("train.json",))

    def test_device_that_does_not_exist(self):
        self.refused(
            "train_net.py",
            *DEMO,
            "OUTPUT_DIR",
            self.folder,
            "MODEL.DEVICE",
            "cuda:99",
            says=("MODEL.DEVICE 'cuda:99'",),
        )

    def test_file_that_is_not_a_checkpoint(self):
        write_dataset(self.folder / "set")
        (self.folder / "bad.pth").write_text("no checkpoint")
        self.refused(
            "test_net.py",
            *DEMO,
            "OUTPUT_DIR",
            self.folder / "out",
            "DATASETS.THERMAL_ROOT",
            self.folder / "set",
            "MODEL.WEIGHT",
            self.folder / "bad.pth",
            says=("bad.pth is not a readable",),
        )

    def test_check_tool_draws_a_batch(self):
        write_dataset(self.folder / "set")
        result = run(
            "tools/check_thermal_dataset.py",
            *DEMO,
            "DATASETS.THERMAL_ROOT",
            self.folder / "set",
            "SOLVER.VIDEOS_PER_BATCH",
            "2",
            "--picture",
            self.folder / "batch.png",
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("persons per class", result.stdout)
        self.assertIn("slow [2, 3, 4, 64, 96]", result.stdout)
        self.assertEqual((self.folder / "batch.png").read_bytes()[:4], b"\x89PNG")

    def test_shapes_of_a_training_iteration_are_printed(self):
        result = run(
            "debug/debug_training_shapes.py",
            "DATASETS.THERMAL_ROOT",
            self.folder / "none",
            "MODEL.DEVICE",
            "cpu",
            "INPUT.MIN_SIZE_TRAIN",
            "32",
            "MODEL.IA_STRUCTURE.DIM_INNER",
            "16",
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("none does not exist; using a small synthetic set.", result.stdout)
        self.assertRegex(result.stdout, r"slow +\[2, 1, 4, 40, 60\] +min")  # as the loader gives it
        self.assertRegex(result.stdout, r"slow +\[2, 3, 4, 32, 48\] +min")  # as the network sees it
        self.assertRegex(result.stdout, r"cls_score +\[2, 14\]")
        self.assertRegex(result.stdout, r"predictor.cls_score +[1-9.]+")  # a gradient


class Launchers(unittest.TestCase):
    def launch(self, launcher, *words):
        line = [sys.executable, "-m", launcher, "--nproc_per_node=2", f"--master_port={free_port()}", "train_net.py"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [*line, *DEMO, *map(str, words)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
        )

    def test_torchrun_trains_and_tests(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_dataset(folder / "set")
            result = self.launch(
                "torch.distributed.run",
                "--skip-val-in-train",
                "DATASETS.THERMAL_ROOT",
                folder / "set",
                "OUTPUT_DIR",
                folder / "out",
                "MODEL.DEVICE",
                "cpu",
                "SOLVER.VIDEOS_PER_BATCH",
                2,
                "SOLVER.MAX_ITER",
                1,
                "INPUT.MIN_SIZE_TRAIN",
                32,
                "INPUT.MIN_SIZE_TEST",
                32,
                "TEST.OVERLAYS",
                0,
            )
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn(", 2 processes, output in", result.stdout)
            written = folder / "out" / "inference" / "thermal_action_val" / "result.json"
            self.assertEqual(json.loads(written.read_text())["predictions"], 2)

    @unittest.skipUnless(importlib.util.find_spec("torch.distributed.launch"), "this PyTorch has no old launcher")
    def test_the_old_launcher_and_a_mistake(self):
        with tempfile.TemporaryDirectory() as folder:
            result = self.launch("torch.distributed.launch", "DATASETS.TRAIN", "('nobody',)", "OUTPUT_DIR", folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("error: The data set 'nobody' in DATASETS is unknown", result.stderr)


if __name__ == "__main__":
    unittest.main()
