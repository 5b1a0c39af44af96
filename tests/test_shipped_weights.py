"""Weights for distribution: found by name, slimmed, and those of thermal_native that come with the package."""

from __future__ import annotations

import logging
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import torch
import yaml
from thermal_files import write_dataset
from torch import nn
from torch_settings import one_thread

from alphaction.annotations.class_settings import resolve_classes
from alphaction.annotations.labels import THERMAL_CLASSES
from alphaction.checkpoints.checkpoint_file import read_checkpoint, write_checkpoint
from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.checkpoints.slim import slim_checkpoint
from alphaction.config.find_config import find_weight_file
from alphaction.config.validate import load_cfg
from alphaction.engine.finetune import finetune
from alphaction.errors import UserError
from alphaction.modeling.detector import build_detection_model

FOLDER = Path(__file__).resolve().parent.parent / "alphaction" / "weights"
SHIPPED = FOLDER / "thermal_native.pth"
PRIOR = "roi_heads.action.place_prior.weight"


class Finding(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.shipped = self.folder / "package" / "weights" / "some.pth"
        self.shipped.parent.mkdir(parents=True)
        self.shipped.touch()
        package = mock.patch("importlib.resources.files", return_value=self.folder / "package")
        package.start()
        self.addCleanup(package.stop)

    def test_a_name(self):
        self.assertEqual(find_weight_file("some"), str(self.shipped))
        self.assertEqual(load_cfg("", ["MODEL.WEIGHT", "some"]).MODEL.WEIGHT, str(self.shipped))

    def test_paths_and_unknown_names_stay(self):
        for name in ("", "other", "some.pth", "data/some", "./some", str(self.shipped)):
            self.assertEqual(find_weight_file(name), name)

    def test_a_file_of_that_name_comes_first_but_no_folder(self):
        Path("some").mkdir()  # such as an OUTPUT_DIR
        self.assertEqual(find_weight_file("some"), str(self.shipped))
        Path("some").rmdir()
        Path("some").touch()
        self.assertEqual(find_weight_file("some"), "some")


class Slim(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        torch.manual_seed(0)

    def test_what_is_kept(self):
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        checkpointer = ActionCheckpointer(model, torch.optim.SGD(model.parameters(), 0.1), save_dir=self.folder)
        kept = {"class_names": ["a", "b"], "exclusive": [True, False], "input": {"kind": ""}}
        config = "DATASETS: {THERMAL_ROOT: somewhere}\nINPUT: {TAU: 16}\nMODEL: {WEIGHT: ''}\nOUTPUT_DIR: out\n"
        checkpointer.info = {**kept, "config": config}
        path = checkpointer.save("whole", iteration=3, unaveraged=model.state_dict())
        slim_checkpoint(path, self.folder / "slim.pth")
        found = read_checkpoint(self.folder / "slim.pth")
        self.assertEqual(set(found) - {"alphaction_sha256"}, {"model", "config", *kept})
        self.assertEqual(yaml.safe_load(found["config"]), {"INPUT": {"TAU": 16}, "MODEL": {"WEIGHT": ""}})
        self.assertEqual({key: found[key] for key in kept}, kept)
        for name, value in model.state_dict().items():
            half = found["model"][name]
            self.assertEqual(half.dtype, torch.float16 if value.is_floating_point() else value.dtype)
            torch.testing.assert_close(half, value.to(half.dtype), rtol=0, atol=0)

    def test_it_loads_into_the_model(self):
        model, other = nn.Linear(4, 4), nn.Linear(4, 4)
        write_checkpoint({"model": model.state_dict()}, self.folder / "bare.pth")
        slim_checkpoint(self.folder / "bare.pth", self.folder / "slim.pth")
        ActionCheckpointer(other).load(self.folder / "slim.pth", model_weight_only=True)
        self.assertEqual(other.weight.dtype, torch.float32)
        torch.testing.assert_close(other.weight, model.weight, rtol=1e-3, atol=1e-3)

    def test_other_files_are_refused(self):
        (self.folder / "text").write_text("no weights")
        for name in ("text", "missing"):
            with self.assertRaises(UserError):
                slim_checkpoint(self.folder / name, self.folder / "slim.pth")
        self.assertFalse((self.folder / "slim.pth").exists())


@unittest.skipUnless(SHIPPED.is_file(), f"{SHIPPED} does not exist")
class Shipped(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.folder = Path(holder.name)
        write_dataset(cls.folder / "set")
        one_thread(cls.addClassCleanup)

    def cfg(self, name, *settings):
        keys = ["DATASETS.THERMAL_ROOT", str(self.folder / "set"), "OUTPUT_DIR", str(self.folder / name)]
        keys += ["MODEL.DEVICE", "cpu", "SOLVER.MAX_ITER", 1, "SOLVER.VIDEOS_PER_BATCH", 2, "DATASETS.TEST", ()]
        return resolve_classes(load_cfg("thermal_native", [*keys, *settings]))

    def train(self, *args, **options):
        return finetune(self.cfg(*args), transfer=True, use_tensorboard=False, test_at_end=False, **options)

    def test_they_are_small(self):
        self.assertLessEqual(sum(path.stat().st_size for path in FOLDER.iterdir()), 4 * 2**20)

    def test_they_are_those_of_the_configuration(self):
        cfg = self.cfg("load")
        self.assertEqual(Path(cfg.MODEL.WEIGHT), SHIPPED)
        model = build_detection_model(cfg)
        before = {name: value.clone() for name, value in model.named_parameters()}
        with self.assertNoLogs("alphaction", logging.WARNING):
            rest = ActionCheckpointer(model).load(cfg.MODEL.WEIGHT, model_weight_only=True, need_head=True)
        self.assertEqual(rest["class_names"], list(THERMAL_CLASSES))
        for name, value in model.named_parameters():
            self.assertEqual(torch.equal(value, before[name]), name == PRIOR, name)
        torch.testing.assert_close(model.head.place_prior.weight, torch.zeros(14, 96))

    def test_training_changes_the_place_prior_alone(self):
        self.train("run")
        shipped, trained = (read_checkpoint(path)["model"] for path in (SHIPPED, self.folder / "run/model_final.pth"))
        self.assertGreater(trained.pop(PRIOR).abs().sum(), 0)
        for name, value in trained.items():
            if not name.endswith("num_batches_tracked"):
                torch.testing.assert_close(value, shipped[name].to(value.dtype).reshape(value.shape), rtol=0, atol=0)

    def test_other_classes_never_train_with_a_frozen_head(self):
        three = ("DATASETS.CLASSES", ("sitting", "standing", "walking"))
        with self.assertRaisesRegex(UserError, "cls_score.* --no-head"):
            self.train("three", *three)
        with self.assertRaisesRegex(UserError, "gives no values to 6 parameters .*fc1.*stay random"):
            self.train("three", *three, no_head=True)
        with self.assertRaisesRegex(UserError, "HEAD_LR_FACTOR 0 keeps the head .*Class 1 of 14"):
            self.train("renamed", "DATASETS.CLASSES", THERMAL_CLASSES[::-1])
        with self.assertRaisesRegex(UserError, 'WEIGHT "" gives no values to .* backbone'):
            self.train("scratch", "MODEL.WEIGHT", "")
        model = self.train("head", *three, "SOLVER.HEAD_LR_FACTOR", 1.0, "SOLVER.BACKBONE_LR_FACTOR", 0.1, no_head=True)
        self.assertEqual(model.head.predictor.cls_score.weight.shape, (3, 128))


if __name__ == "__main__":
    unittest.main()
