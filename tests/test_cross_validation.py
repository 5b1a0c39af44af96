"""Folds in processes: finished ones are not run again, settings never mix, and all are scored together."""

from __future__ import annotations

import json
import os
from unittest import mock

import numpy as np
from thermal_files import write_dataset
from thermal_runs import Runs

from alphaction.config import load_cfg
from alphaction.engine.cross_validation import Protocol, cross_validate
from alphaction.engine.cross_validation_table import format_tables
from alphaction.engine.fold_processes import FoldRun, run_folds
from alphaction.engine.fold_run import _exit_with_parent, read_predictions, run_fold
from alphaction.errors import UserError

ONE_STEP = ("SOLVER.MAX_ITER", 1, "SOLVER.VIDEOS_PER_BATCH", 1, "SOLVER.EVAL_PERIOD", 1)


def run_here(runs, *_):
    """In place of ``run_folds``: the same in this process."""
    for run in runs:
        if not run.is_finished:
            run_fold(load_cfg(run.folder / "fold.yaml"))
    return {}


def fail(*_, **__):
    raise AssertionError("a process was started")


class CrossValidationTest(Runs):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = cross_validate(cls.cfg(cls, "folds", *ONE_STEP), Protocol(seeds=(0, 1), recordings=["A_R1"]))
        cls.out = cls.folder / "folds"
        cls.stored = (cls.out / "cross_validation.json").read_bytes()

    def refused(self, words, *args, **kwargs):
        with self.assertRaisesRegex(UserError, words):
            cross_validate(*args, **kwargs)

    def test_files_and_logs(self):
        self.assertEqual(json.loads(self.stored), self.results)
        self.assertEqual(
            (self.out / "cross_validation.md").read_text(encoding="utf-8").strip(), format_tables(self.results)
        )
        log = (self.out / "log.txt").read_text(encoding="utf-8")
        self.assertIn("without A_R1, seed 1 finished", log)
        self.assertNotIn("iter 1/1", log)
        for seed in (0, 1):
            folder = self.out / "without_A_R1" / f"seed_{seed}"
            self.assertIn("iter 1/1", (folder / "log.txt").read_text(encoding="utf-8"))
            self.assertIn("1 thread", (folder / "log.txt").read_text(encoding="utf-8"))
            self.assertEqual(list(folder.glob("*.pth")), [])  # neither checkpoints nor a best one by the left-out fold
        self.assertEqual(list(self.out.glob("without_A_R2")), [])

    def test_a_fold_does_not_see_what_is_left_out(self):
        cfg = load_cfg(self.out / "without_A_R1" / "seed_0" / "fold.yaml")
        self.assertEqual(cfg.DATASETS.TRAIN, ("thermal_action_train_kept", "thermal_action_val_kept"))
        for part, expected in (("kept", {"A_R2"}), ("left_out", {"A_R1"})):
            files = list((self.out / "without_A_R1").glob(f"*_{part}.json"))
            images = [image for file in files for image in json.loads(file.read_text(encoding="utf-8"))["images"]]
            self.assertEqual(({image["sensor_id"] for image in images}, len(images)), (expected, 5))

    def test_results(self):
        results = self.results
        self.assertEqual((results["keyframes"], results["persons"], results["predictions"]), (5, 5, 5))
        self.assertEqual(results["left_out"], "recording")
        self.assertEqual(list(results["seeds"]), ["0", "1"])
        top1 = [scores["top1"] for scores in results["seeds"].values()]
        self.assertAlmostEqual(results["mean"]["top1"], sum(top1) / 2)
        self.assertAlmostEqual(results["spread"]["top1"], abs(top1[0] - top1[1]) / 2**0.5)
        self.assertEqual([fold["train_persons"] for fold in results["folds"]], [5])
        self.assertIn("constant", results["baselines"])

    def test_finished_folds_are_not_run_again_and_missing_ones_are(self):
        cfg = self.cfg("folds", *ONE_STEP)
        with mock.patch("subprocess.Popen", fail):
            again = cross_validate(cfg, Protocol(seeds=(1, 0), recordings=["A_R1"]))
        self.assertEqual(again["mean"], self.results["mean"])
        with mock.patch("alphaction.engine.cross_validation.run_folds", run_here):
            both = cross_validate(cfg, Protocol())
        self.assertEqual((both["keyframes"], list(both["seeds"])), (10, ["0"]))
        self.assertEqual(both["seeds"]["0"]["intervals"]["units"], 2)

    def test_other_settings_are_refused_before_anything_changes(self):
        before = {path: path.read_bytes() for path in self.out.rglob("*.json")}
        chosen = Protocol(recordings=["A_R1"])
        self.refused("SOLVER.BASE_LR 0.001, found 0.002", self.cfg("folds", *ONE_STEP, "SOLVER.BASE_LR", 0.002), chosen)
        cfg = self.cfg("folds", *ONE_STEP)
        self.refused("dropped around a left-out recording 6.0, found 7", cfg, Protocol(margin=7.0))
        self.refused("left out.A_R1 'A_R1', found", cfg, Protocol("session", self.sessions({"A_R1": "x", "A_R2": "y"})))
        self.refused("--no-head False, found True", cfg, Protocol(no_head=True))
        other = write_dataset(self.folder / "other", ("A_R1", "A_R2"), keyframes=(5, 20, 41, 60, 75))
        self.refused("THERMAL_ROOT|SHA-256", self.cfg("folds", *ONE_STEP, "DATASETS.THERMAL_ROOT", str(other)), chosen)
        self.assertEqual({path: path.read_bytes() for path in self.out.rglob("*.json")}, before)
        free = self.cfg("folds", *ONE_STEP, "SOLVER.LOG_PERIOD", 7, "TEST.OVERLAYS", 0)
        with mock.patch("subprocess.Popen", fail):
            cross_validate(free, chosen)

    def sessions(self, content):
        path = self.folder / "sessions.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    def test_what_is_refused(self):
        cfg = self.cfg("refused", *ONE_STEP)
        self.refused("not of nobody", cfg, Protocol(recordings=["nobody"]))
        with mock.patch.dict(os.environ, WORLD_SIZE="2"):
            self.refused("found WORLD_SIZE 2", cfg)
        self.refused("TEST.BOX_FILE is b.json", self.cfg("refused", "TEST.BOX_FILE", "b.json"))

    def test_a_recording_name_that_leaves_the_folder_is_refused(self):
        root = write_dataset(self.folder / "escape")
        for file in (root / "annotations").glob("*.json"):
            document = json.loads(file.read_text(encoding="utf-8"))
            for image in document.get("images", ()):
                image["sensor_id"] = "a/../../../escaped"
            file.write_text(json.dumps(document), encoding="utf-8")
        self.refused("sensor_id", self.cfg("deep/out", "DATASETS.THERMAL_ROOT", str(root)))
        self.assertEqual(
            [path for path in (self.folder / "deep").rglob("*") if path.is_dir()], [self.folder / "deep" / "out"]
        )

    def test_baselines_only(self):
        cfg = self.cfg("folds", *ONE_STEP, "SOLVER.BASE_LR", 5.0)
        folders = sorted(path for path in self.out.iterdir() if path.is_dir())
        with mock.patch("alphaction.engine.cross_validation.run_folds", fail):
            results = cross_validate(cfg, Protocol(baselines_only=True))
        self.assertEqual((results["seeds"], results["mean"]["mAP"]), ({}, None))
        self.assertEqual(results["keyframes"], 10)
        self.assertTrue((self.out / "baselines.md").is_file())
        self.assertEqual(sorted(path for path in self.out.iterdir() if path.is_dir()), folders)

    def test_a_fold_that_fails_does_not_stop_the_others(self):
        folders = [self.folder / "failing" / name for name in ("none", "done")]
        for folder in folders:
            folder.mkdir(parents=True)
        (folders[1] / "predictions.npz").touch()
        with self.assertLogs("alphaction.engine.fold_processes", "INFO") as logs:
            failures = run_folds([FoldRun(folder.name, folder) for folder in folders], jobs=2)
        self.assertEqual(list(failures), ["none"])
        self.assertRegex(failures["none"], "^The configuration file .*none/fold.yaml does not exist")
        self.assertIn("1 of 2 runs are finished", logs.output[0])

    def test_seeds_that_are_complete_are_reported_when_others_fail(self):
        def half(runs, *_):
            runs = list(runs)
            run_here(runs[:2])
            return {run.name: "out of luck." for run in runs[2:]}

        cfg = self.cfg("half", *ONE_STEP)
        with mock.patch("alphaction.engine.cross_validation.run_folds", half):
            self.refused(
                r"2 of 4 runs failed, the first is without A_R1, seed 3 \(out of luck\)", cfg, Protocol(seeds=(2, 3))
            )
        stored = json.loads((self.folder / "half" / "cross_validation.json").read_text(encoding="utf-8"))
        self.assertEqual(list(stored["seeds"]), ["2"])

    def test_an_interrupted_fold_goes_on_and_may_keep_its_weights(self):
        with mock.patch("alphaction.engine.cross_validation.run_folds", side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                cross_validate(self.cfg("interrupted", *ONE_STEP))
        folder = self.folder / "interrupted" / "without_A_R2" / "seed_0"
        cfg = load_cfg(folder / "fold.yaml")
        with mock.patch("alphaction.engine.fold_run.inference", side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                run_fold(cfg)
        weights = (folder / "model_final.pth").read_bytes()
        run_fold(cfg, keep_checkpoints=True)
        self.assertEqual((folder / "model_final.pth").read_bytes(), weights)
        self.assertTrue(FoldRun("", folder).is_finished)
        self.assertIn("nothing to train", (folder / "log.txt").read_text(encoding="utf-8"))

    def test_predictions(self):
        path = self.out / "without_A_R1" / "seed_0" / "predictions.npz"
        frames = (5, 20, 40, 60, 75)
        keyframe_of = {("A_R1", frame): number for number, frame in enumerate(frames)}
        found = read_predictions(path, keyframe_of)
        self.assertEqual(
            (found.keys.tolist(), found.scores.shape, found.boxes.shape), ([0, 1, 2, 3, 4], (5, 14), (5, 4))
        )
        self.assertTrue(np.isfinite(found.scores).all())
        bad = self.folder / "bad.npz"
        for content in (path.read_bytes()[:100], b""):
            bad.write_bytes(content)
            with self.assertRaisesRegex(UserError, "bad.npz cannot be read .*remove it"):
                read_predictions(bad, keyframe_of)
        with self.assertRaisesRegex(UserError, "cannot be read"):
            read_predictions(path, {("A_R1", 5): 0})

    def test_a_process_ends_with_the_one_that_started_it(self):
        with mock.patch("os.read", side_effect=[b"x", b""]), mock.patch("os._exit") as leave:
            _exit_with_parent()
        leave.assert_called_once_with(1)


class TableTest(Runs):
    def test_baselines_that_repeat_the_constant_and_missing_ones(self):
        results = cross_validate(self.cfg("table", *ONE_STEP), Protocol(baselines_only=True))
        results["baselines"]["forest"] = {"missing": "scikit-learn not installed"}
        table = format_tables(results)
        self.assertIn("| constant |", table)
        self.assertIn("| forest | scikit-learn not installed |", table)
        self.assertNotIn("| nearest |", table)
        self.assertNotIn("model", table)
