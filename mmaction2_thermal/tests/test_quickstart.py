"""quickstart.sh and run_tests.sh: which commands they run, with a stand-in for Python that only writes them down."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import case

# Writes its arguments to calls.txt; `-m venv` puts another one into the environment.
STAND_IN = """#!/usr/bin/env bash
echo "$*" >>calls.txt
case "$*" in
    "-c import torch"*) echo 2 ;;
    "-c import sys"*) [ ! -e too_new ] ;;
    "-m pip --version" | "-m ensurepip") [ ! -e no_pip ] ;;
    "-m venv"*) mkdir -p "${@: -1}/bin"; cp "${BASH_SOURCE[0]}" "${@: -1}/bin/python" ;;
    "-m pip install"*) [ ! -e no_install ] ;;
    *--out*) mkdir -p "${@: -1}" ;;
esac
"""
SMALL, LARGE = "slowfast_small_thermal_recognition", "slowfast_r50_thermal_detection"


class Scripts(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name) / "a clone"
        shutil.copytree(
            case.ROOT / "mmaction2_thermal",
            self.folder / "mmaction2_thermal",
            ignore=shutil.ignore_patterns(".venv", "tests", "__pycache__"),
        )
        for path in (self.folder, *self.folder.rglob("*")):  # the clone that was copied may be read-only
            path.chmod(path.stat().st_mode | 0o200)
        self.python = self.folder / "my python"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)

    def run_job(self, *words: str, status: int = 0, script: str = "quickstart.sh", **variables: str) -> str:
        """Standard output and error."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("ALPHACTION_THERMAL_ROOT", "MMACTION2_ENV")
        }
        done = subprocess.run(
            ["bash", str(self.folder / "mmaction2_thermal" / script), *words],
            text=True,
            cwd=self.folder.parent,
            env={**environment, "PYTHON": str(self.python), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def calls(self) -> list[str]:
        """What Python was asked to do since the last call, questions about itself left out."""
        path = self.folder / "calls.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith(("-c", "--version", "-m pip --version"))]

    def ready(self):
        """Make the environment and the data set."""
        self.run_job("check")
        self.calls()

    def test_environment_and_data_set_are_made_once(self):
        self.run_job("check")
        calls = self.calls()
        self.assertTrue(calls[0].startswith("-m venv --clear "))
        self.assertTrue(calls[1].startswith("-m pip install "))
        self.assertIn("-r mmaction2_thermal/requirements.txt", calls[1])
        self.assertEqual(calls[2], "tools/make_thermal_dataset.py --out data/thermal_action_dataset")
        self.assertIn("DATASETS.THERMAL_ROOT data/thermal_action_dataset", calls[3])
        self.run_job("check")
        self.assertEqual(len(self.calls()), 1)
        requirements = self.folder / "mmaction2_thermal" / "requirements.txt"
        requirements.write_text(requirements.read_text() + "more\n")
        self.run_job("check")
        self.assertTrue(self.calls()[0].startswith("-m pip install"))

    def test_an_installation_that_fails_is_done_again(self):
        (self.folder / "no_install").touch()
        self.assertIn("the installation failed", self.run_job("check", status=2))
        (self.folder / "no_install").unlink()
        self.calls()
        self.ready()

    def test_a_folder_with_other_things_is_left_alone(self):
        kept = self.folder.parent / "mine" / "thesis.txt"
        kept.parent.mkdir()
        kept.write_text("all of it")
        self.assertIn(
            f"MMACTION2_ENV {kept.parent} contains other files; name an empty folder.",
            self.run_job("check", status=2, MMACTION2_ENV="mine"),
        )
        self.assertEqual(self.calls(), [])
        self.assertEqual(kept.read_text(), "all of it")
        # An environment that lost its Python is made again, an empty folder is as good as none.
        kept.rename(kept.with_name("pyvenv.cfg"))
        self.run_job("check", MMACTION2_ENV="mine")
        self.assertEqual(self.calls()[0], f"-m venv --clear {kept.parent}")

    def test_an_environment_without_pip(self):
        self.ready()
        (self.folder / "no_pip").touch()
        self.assertIn("has no pip; delete that folder", self.run_job("check", status=2))
        self.assertEqual(self.calls()[-1:], ["-m ensurepip"])
        self.assertTrue((self.folder / "mmaction2_thermal" / ".venv" / "bin" / "python").exists())

    def test_a_python_that_mmaction2_does_not_run_on(self):
        (self.folder / "too_new").touch()
        tools = self.folder.parent / "tools"
        tools.mkdir()
        for name in ("bash", "dirname", "ls"):
            (tools / name).symlink_to(shutil.which(name))
        self.assertIn("no Python from 3.10 to 3.13 was found", self.run_job("check", status=2, PATH=str(tools)))

    def test_training(self):
        self.ready()
        self.run_job("train", "--", "--cfg-options", "a=1")
        out = f"data/output/mmaction2/{SMALL}"
        start = f"-m mmaction2_thermal train mmaction2_thermal/configs/{SMALL}.py --work-dir {out}"
        self.assertEqual(self.calls(), [f"{start} --cfg-options a=1"])
        (self.folder / out).mkdir(parents=True)
        (self.folder / out / "last_checkpoint").touch()
        self.assertIn("Resuming the run", self.run_job("train"))
        self.assertEqual(self.calls(), [f"{start} --resume"])
        self.run_job("train", "--fresh")
        self.assertEqual(self.calls(), [start])
        self.assertFalse((self.folder / out).exists())

    def test_kinetics_weights_and_several_gpus(self):
        self.ready()
        start = (
            f"-m mmaction2_thermal train mmaction2_thermal/configs/{LARGE}.py --work-dir data/output/mmaction2/{LARGE}"
        )
        self.assertIn("training from scratch", self.run_job("train", LARGE))
        self.assertEqual(self.calls(), [start])
        self.run_job("weights")
        self.assertIn("mmaction2_r50_8x8_k400", self.calls()[0])
        weights = self.folder / "data/models/pretrained_models/slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb_1-2.pth"
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.touch()
        self.run_job("train", LARGE, "--gpus", "2", "--", "--amp")
        self.assertEqual(
            self.calls(),
            [
                f"-m torch.distributed.run --nproc_per_node=2 {start} --cfg-options "
                f"load_from={weights.relative_to(self.folder)} --amp --launcher pytorch"
            ],
        )

    def test_more_gpus_than_there_are(self):
        self.ready()
        last = self.folder / "data/output/mmaction2" / SMALL / "last_checkpoint"
        last.parent.mkdir(parents=True)
        last.touch()
        for words in (["train", "--fresh"], ["test"]):
            last.with_name("best_1.pth").touch()
            self.assertIn("--gpus is 3, and PyTorch finds 2", self.run_job(*words, "--gpus", "3", status=2))
        self.assertEqual(self.calls(), [])
        self.assertTrue(last.exists())

    def test_testing(self):
        self.ready()
        self.assertIn("train first", self.run_job("test", status=2))
        best = self.folder / "data/output/mmaction2" / SMALL / "best_acc_top1_epoch_3.pth"
        best.parent.mkdir(parents=True)
        best.touch()
        self.run_job("test")
        self.assertIn(f"test mmaction2_thermal/configs/{SMALL}.py {best.relative_to(self.folder)}", self.calls()[0])

    def test_mistakes(self):
        for words in (["fly"], ["train", "nothing"], ["train", "--gpus", "many"], ["train", "--amp"], ["check", "x"]):
            self.assertIn("error: ", self.run_job(*words, status=2))
        self.assertIn("does not exist", self.run_job("check", status=2, ALPHACTION_THERMAL_ROOT="nowhere"))
        self.assertIn("usage: ", self.run_job("help"))

    def test_tests_in_an_environment_elsewhere(self):
        self.run_job("-x", script="run_tests.sh", MMACTION2_ENV="else where")
        calls = self.calls()
        # Relative to the folder that the script is called from, which is not the clone.
        self.assertEqual(calls[0], f"-m venv --clear {self.folder.parent / 'else where'}")
        self.assertEqual(calls[-1], "-m pytest -rs mmaction2_thermal/tests -x")
        self.assertFalse((self.folder / "mmaction2_thermal" / ".venv").exists())

    def test_relative_names_are_those_of_the_callers_folder(self):
        root = self.folder.parent / "my set"
        root.mkdir()
        self.run_job("check", ALPHACTION_THERMAL_ROOT="my set", PYTHON=f"{self.folder.name}/my python")
        self.assertIn(f"DATASETS.THERMAL_ROOT {root} ", self.calls()[-1])


if __name__ == "__main__":
    unittest.main()
