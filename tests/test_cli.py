"""The ``alphaction`` command: what it lists, refuses and passes on, and that the scripts call the same functions."""

from __future__ import annotations

import runpy
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

from alphaction_command import run

import alphaction
from alphaction import cli

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = [ROOT / "train_net.py", ROOT / "test_net.py", *sorted((ROOT / "tools").glob("*.py"))]
WITHOUT_TORCH = """
import runpy, sys
sys.argv = ["alphaction", *sys.argv[1:]]
try:
    runpy.run_module("alphaction", run_name="__main__")
finally:
    assert "torch" not in sys.modules
"""
COMMANDS_WITHOUT_TORCH = (
    "build-dataset",
    "make-dataset",
    "compare-datasets",
    "download-weights",
    "process-videos",
    "csv-to-coco",
    "export-for-labelling",
    "labels-to-coco",
)


def run_without_torch(*words: str) -> subprocess.CompletedProcess:
    """``alphaction WORDS`` in a process of its own, whose exit status is 1 if it has imported torch."""
    line = [sys.executable, "-c", WITHOUT_TORCH, *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


class Settings(unittest.TestCase):
    def test_settings_may_follow_an_option_of_several_words(self):
        words = ["--seeds", "0,2", "--recordings", "R1", "MY.R2", "SOLVER.BASE_LR", "3", "OUTPUT_DIR", "x"]
        with (
            mock.patch("alphaction.engine.launch.load_cfg") as load,
            mock.patch("alphaction.engine.launch.resolve_classes"),
            mock.patch("alphaction.engine.launch.check_weight_file"),
            mock.patch("alphaction.engine.cross_validation.cross_validate") as validate,
        ):
            status, _, err = run("cross-validate", *words)
        self.assertEqual(status, 0, err)
        self.assertEqual(load.call_args.args[1], ["SOLVER.BASE_LR", "3", "OUTPUT_DIR", "x"])
        protocol = validate.call_args.args[1]
        self.assertEqual((protocol.seeds, protocol.recordings), ((0, 2), ["R1", "MY.R2"]))

    def test_options_of_a_cross_validation_that_contradict_each_other_are_refused(self):
        for words in (["--sessions", "f.json"], ["--seed", "1", "--seeds", "2"], ["--seeds", "-1"], ["--jobs", "0"]):
            with self.subTest(words):
                status, _, err = run("cross-validate", *words)
                self.assertEqual(status, 2)
                self.assertIn(words[0], err)


class Overview(unittest.TestCase):
    def test_help_lists_each_command_with_a_line(self):
        status, out, _ = run("--help")
        self.assertEqual(status, 0)
        for name, (_, line) in cli.COMMANDS.items():
            self.assertRegex(out, rf"(?m)^  {name} +{line}$")
        self.assertEqual(run()[:2], (0, out))

    def test_version(self):
        self.assertEqual(run("--version"), (0, f"alphaction {alphaction.__version__}\n", ""))

    def test_an_unknown_command_is_refused_with_the_nearest_name(self):
        self.assertNotIn("did you mean", run("Foo")[2])
        for word, nearest in (("trian", "train"), ("make_dataset", "make-dataset"), ("benchmarks", "benchmark")):
            status, out, err = run(word, "--seed", "1")
            self.assertEqual((status, out), (2, ""))
            self.assertEqual(len(err.splitlines()), 1)
            self.assertIn(f"'{word}'; did you mean {nearest}?", err)

    def test_neither_help_nor_version_nor_a_refusal_needs_torch(self):
        for word, status in (("--help", 0), ("--version", 0), ("trian", 2)):
            done = run_without_torch(word)
            self.assertEqual(done.returncode, status, done.stderr)


class Commands(unittest.TestCase):
    def test_each_command_explains_itself(self):
        for name in cli.COMMANDS:
            with self.subTest(name):
                status, out, _ = run(name, "--help")
                self.assertEqual(status, 0)
                self.assertTrue(out.startswith("usage: "))

    def test_commands_that_need_no_torch_do_not_import_it(self):
        for name in COMMANDS_WITHOUT_TORCH:
            with self.subTest(name):
                done = run_without_torch(name, "--help")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue(done.stdout.startswith("usage: "), done.stdout)
        done = run_without_torch("compare-datasets", "--b", "none")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr, r"\Aerror: .*none.*\n\Z")
        done = run_without_torch("download-weights")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_scripts_and_commands_are_the_same_functions(self):
        functions = {function for function, _ in cli.COMMANDS.values()}
        scripts = {runpy.run_path(str(path))["main"] for path in SCRIPTS}
        # python -m alphaction.evaluation is the other one of evaluate-ava.
        self.assertEqual(scripts, functions - {cli.evaluate_ava})
        self.assertEqual(len(scripts), len(SCRIPTS))

    def test_a_mistake_is_one_sentence_and_status_2(self):
        missing = ["--gt", "none.csv", "--detections", "none.csv", "--labelmap", "none.pbtxt"]
        for words in (["compare-datasets", "--b", "none"], ["evaluate-ava", *missing]):
            status, out, err = run(*words)
            self.assertEqual((status, out), (2, ""))
            self.assertRegex(err, r"\Aerror: .*none.*\n\Z")


class Exports(unittest.TestCase):
    def test_each_name_is_found_and_listed(self):
        for name in alphaction.__all__:
            self.assertIsNotNone(getattr(alphaction, name))
            self.assertIn(name, dir(alphaction))

    def test_other_names_are_not(self):
        with self.assertRaisesRegex(AttributeError, "no_such_name"):
            _ = alphaction.no_such_name


class Pipe(unittest.TestCase):
    @unittest.skipIf(sys.platform == "win32", "needs a POSIX shell")
    def test_a_reader_that_has_enough(self):
        script = f'"{sys.executable}" -m alphaction download-weights | true; exit ${{PIPESTATUS[0]}}'
        done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True)
        self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
