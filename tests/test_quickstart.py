"""thermal_quickstart.sh: which commands it runs, with a stand-in for Python that only records them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Writes its arguments to calls.txt; `-m venv` copies it into .venv, or fails if there is a file "no_venv".
STAND_IN = """#!/usr/bin/env bash
echo "$*" >>calls.txt
case "$*" in
    "-m venv"*)
        mkdir -p .venv/bin
        cp "${BASH_SOURCE[0]}" .venv/bin/python
        [ ! -e no_venv ] ;;
    "-m pip install"*) [ ! -e no_install ] ;;
    *--out*) mkdir -p "${@: -1}" ;;
esac
"""
DEMO = "--config-file config_files/thermal_demo.yaml"
TRAIN = f"train_net.py {DEMO} --transfer --no-head --skip-final-test --use-tfboard"
FINAL = "MODEL.WEIGHT data/output/thermal_demo/model_final.pth"


class QuickstartTest(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name) / "a clone"
        self.folder.mkdir()
        for name in ("thermal_quickstart.sh", "pyproject.toml"):
            shutil.copyfile(ROOT / name, self.folder / name)  # not the mode: the clone may be read-only
        self.python = self.folder / "my python"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)
        self.out = self.folder / "data" / "output" / "thermal_demo"

    def run_job(self, *words: str, status: int = 0) -> str:
        """Standard output and error."""
        done = subprocess.run(
            ["bash", str(self.folder / "thermal_quickstart.sh"), *words],
            cwd=self.folder.parent,
            env={**os.environ, "PYTHON": str(self.python)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def calls(self) -> list[str]:
        """What Python was asked to do since the last call, questions about itself left out."""
        path = self.folder / "calls.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith(("-c", "--version", "-m pip --version"))]

    def finish(self, out: Path) -> None:
        out.mkdir(parents=True)
        for name in ("model_final.pth", "model_best.pth", "last_checkpoint", "model_best.pth.1-a.tmp", "mine.txt"):
            (out / name).touch()

    def test_train_from_nothing_and_again(self) -> None:
        self.run_job("train")
        install = "-m pip install --quiet --disable-pip-version-check -e .[dev]"
        make = "tools/make_thermal_dataset.py --out data/thermal_action_dataset"
        test = f"test_net.py {DEMO} {FINAL}"
        self.assertEqual(self.calls(), ["-m venv --clear .venv", install, make, TRAIN, test])
        self.run_job("train")
        self.assertEqual(self.calls(), [TRAIN, test])
        self.finish(self.out)
        self.assertIn("train --fresh", self.run_job("train"))
        self.assertEqual(self.calls(), [test])
        self.run_job("train", "--fresh")
        self.assertEqual(self.calls(), [TRAIN, test])
        self.assertEqual([path.name for path in self.out.iterdir()], ["mine.txt"])

    def test_settings(self) -> None:
        (self.folder / "my set").mkdir()
        settings = ["DATASETS.THERMAL_ROOT", "my set", "OUTPUT_DIR", "my out", "MODEL.WEIGHT", "start.pth"]
        self.run_job("train", "--", *settings)
        said = " ".join(settings)
        # The trained model is tested, not the weights that training started from.
        self.assertEqual(
            self.calls()[2:], [f"{TRAIN} {said}", f"test_net.py {DEMO} {said} MODEL.WEIGHT my out/model_final.pth"]
        )
        self.finish(self.folder / "my out")
        self.assertIn("finished run is in my out", self.run_job("train", "--", *settings))

    def test_eval(self) -> None:
        self.assertIn("thermal_demo/model_best.pth does not exist; train first", self.run_job("eval", status=2))
        self.assertIn("other.pth does not exist", self.run_job("eval", "other.pth", status=2))
        self.assertIn("is a folder; name a file", self.run_job("eval", ".", status=2))
        self.assertIn("x.pth does not exist", self.run_job("eval", "--", "MODEL.WEIGHT", "x.pth", status=2))
        self.assertEqual(self.calls(), [])
        self.finish(self.out)
        (self.folder / "data" / "thermal_action_dataset").mkdir()
        self.run_job("eval")
        self.assertEqual(self.calls()[2:], [f"test_net.py {DEMO} MODEL.WEIGHT data/output/thermal_demo/model_best.pth"])
        self.run_job("eval", str(self.out / "mine.txt"), "--", "TEST.OVERLAYS", "0")
        self.assertEqual(self.calls(), [f"test_net.py {DEMO} TEST.OVERLAYS 0 MODEL.WEIGHT {self.out / 'mine.txt'}"])

    def test_environment_that_cannot_be_created(self) -> None:
        (self.folder / "no_venv").touch()
        self.assertIn("install python3-venv", self.run_job("data", status=2))
        self.assertFalse((self.folder / ".venv").exists())
        (self.folder / "no_venv").unlink()
        self.run_job("data")

    def test_interrupted_installation(self) -> None:
        (self.folder / "no_install").touch()
        self.assertIn("the installation failed", self.run_job("data", status=2))
        (self.folder / "no_install").unlink()
        self.calls()
        self.run_job("data")
        self.assertTrue(self.calls()[0].startswith("-m pip install"))
        with (self.folder / "pyproject.toml").open("a") as file:
            file.write("# newer\n")
        self.run_job("data")
        self.assertTrue(self.calls()[0].startswith("-m pip install"))
        self.run_job("data")
        self.assertEqual(self.calls(), [])

    def test_mistakes(self) -> None:
        for words, sentence in (
            (["dance"], "dance is not a job"),
            (["train", "--slow"], "train does not know --slow"),
            (["train", "SOLVER.MAX_ITER", "3"], "settings come after --"),
            (["train", "--", "SOLVER.MAX_ITER"], "are 1 words, expected pairs"),
            (["test", "--", "a", "b"], "takes no settings"),
        ):
            self.assertIn(sentence, self.run_job(*words, status=2))
        self.assertEqual(self.calls(), [])
        message = self.run_job("data", "--", "DATASETS.THERMAL_ROOT", "nowhere", status=2)
        self.assertIn("DATASETS.THERMAL_ROOT nowhere does not exist", message)

    def test_help(self) -> None:
        for words in ([], ["help"]):
            text = self.run_job(*words)
            for job in ("train", "test", "data", "check", "eval", "tensorboard"):
                self.assertIn(f"\n  {job} ", text)


if __name__ == "__main__":
    unittest.main()
