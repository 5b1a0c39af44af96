"""Both small configurations through MMAction2's own train and test scripts: two epochs, resumed, tested."""

from __future__ import annotations

import json
import random
import re
import tempfile
import unittest
from pathlib import Path

import case
import numpy as np
import torch
from mmaction.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate
from mmengine.runner import CheckpointLoader, Runner


def scalars(folder: str) -> list[dict]:
    """What MMEngine logged, all runs in a work folder together."""
    lines = [
        line for path in sorted(Path(folder).glob("*/vis_data/scalars.json")) for line in path.read_text().splitlines()
    ]
    return [json.loads(line) for line in lines]


def score(output: str, name: str) -> float:
    """The last value of a metric in a log."""
    return float(re.findall(rf"{re.escape(name)}: ([\d.]+)", output)[-1])


class Run(unittest.TestCase):
    """``self.train(...)`` and ``self.evaluate(...)`` of ``self.config`` in a folder of its own."""

    config = ""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = folder.name

    def train(self, epochs: int, *options: str) -> str:
        return case.command(
            "train",
            self.config,
            "--work-dir",
            self.out,
            "--seed",
            "0",
            *options,
            "--cfg-options",
            f"train_cfg.max_epochs={epochs}",
            "default_hooks.logger.interval=1",
            "train_dataloader.dataset.indices=48",
        )

    def evaluate(self, checkpoint: str, *options: str) -> str:
        return case.command(
            "test",
            self.config,
            str(Path(self.out, checkpoint)),
            "--work-dir",
            self.out,
            *(("--cfg-options", *options) if options else ()),
        )

    def train_on_real_recordings(self):
        """Two epochs in this process, which needs no second one to start; returns the last epoch's metrics."""
        cfg = case.load_config(Path(self.config).stem, case.real_root())
        cfg.work_dir = self.out
        cfg.randomness = dict(seed=0)
        cfg.train_cfg.max_epochs = 2
        cfg.train_dataloader.dataset.indices = 48
        cfg.default_hooks.logger.interval = 1
        Runner.from_cfg(cfg).train()
        losses = [entry["loss"] for entry in scalars(self.out) if "loss" in entry]
        self.assertLess(losses[-1], 0.9 * losses[0])
        self.learnt(1, 2)
        return scalars(self.out)[-1]

    def learnt(self, first: int, last: int):
        """Check that training changed every parameter between two epochs."""
        before, after = (
            CheckpointLoader.load_checkpoint(str(Path(self.out, f"epoch_{epoch}.pth")), "cpu", logger=None)[
                "state_dict"
            ]
            for epoch in (first, last)
        )
        for name, value in before.items():
            if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
                self.assertFalse(torch.equal(value, after[name]), name)

    def train_resume_and_test(self, *names: str) -> str:
        """Returns the log of the training."""
        started = self.train(2)
        self.learnt(1, 2)
        first = scalars(self.out)
        losses = [entry["loss"] for entry in first if "loss" in entry]
        self.assertTrue(losses and torch.tensor(losses).isfinite().all())
        self.assertEqual(sum(names[0] in entry for entry in first), 2)
        self.assertTrue(list(Path(self.out).glob("*/vis_data/events.out.tfevents.*")), "TensorBoard")
        self.train(3, "--resume")
        again = [entry for entry in scalars(self.out)[len(first) :] if "loss" in entry]
        self.assertEqual({entry["epoch"] for entry in again}, {3})
        log = self.evaluate("epoch_3.pth")
        last = [entry for entry in scalars(self.out) if names[0] in entry]
        for name in names:
            self.assertAlmostEqual(score(log, name), last[-1][name], places=3)
        return started


class Recognition(Run):
    config = str(case.CONFIGS / "slowfast_small_thermal_recognition.py")

    def test_two_epochs_resumed_and_tested(self):
        self.assertIn("Class weights of the loss", self.train_resume_and_test("acc/top1", "acc/top5", "acc/mean1"))

    @unittest.skipUnless(case.real_root(), "ALPHACTION_THERMAL_ROOT is not set")
    def test_real_recordings(self):
        self.assertGreater(self.train_on_real_recordings()["acc/top5"], 0.5)


class Detection(Run):
    config = str(case.CONFIGS / "slowfast_small_thermal_detection.py")

    def test_two_epochs_resumed_and_tested(self):
        self.train_resume_and_test("thermal/mAP", "thermal/top1", "thermal/mean_class_accuracy", "thermal/coco_AP50")
        self.detected_persons()

    def detected_persons(self):
        tree = json.loads(Path(case.synthetic_root(), "annotations", "val.json").read_text())
        # The first keyframe goes without a person, the others have what was annotated, shifted by a pixel.
        boxes = [
            {"image_id": entry["image_id"], "bbox": [entry["bbox"][0] + 1 / 60, *entry["bbox"][1:]], "score": 1.0}
            for entry in tree["annotations"]
            if entry["image_id"] != tree["images"][0]["id"]
        ]
        path = Path(self.out, "boxes.json")
        path.write_text(json.dumps(boxes))
        log = self.evaluate(
            "epoch_3.pth", f"test_dataloader.dataset.proposal_file={path}", f"test_evaluator.proposal_file={path}"
        )
        self.assertIn(f"boxes: {path}", log)
        self.assertIn("1 keyframe without predictions", log)
        self.assertGreater(score(log, "thermal/mAP"), 0)

    def test_a_training_step_with_detected_persons(self):
        """Some of which are no persons and some far off: the annotated ones are learnt from all the same."""
        tree = json.loads(Path(case.synthetic_root(), "annotations", "train.json").read_text())
        path = Path(self.out, "boxes.json")
        path.write_text(
            json.dumps(
                [{"image_id": image["id"], "bbox": [0.2, 0.2, 0.1, 0.1], "score": 1.0} for image in tree["images"]]
            )
        )
        cfg = case.load_config(case.DETECTION.format("small"))
        cfg.train_dataloader.dataset.proposal_file = str(path)
        model, dataset = MODELS.build(cfg.model), DATASETS.build(cfg.train_dataloader.dataset)
        # A random crop may leave a detected person outside.
        random.seed(0)
        np.random.seed(0)
        data = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
        self.assertEqual(len(data["data_samples"][0].proposals), 1)
        loss, _ = model.parse_losses(model(**data, mode="loss"))
        self.assertTrue(loss.isfinite() and loss > 0)

    @unittest.skipUnless(case.real_root(), "ALPHACTION_THERMAL_ROOT is not set")
    def test_real_recordings(self):
        self.assertGreater(self.train_on_real_recordings()["thermal/mAP"], 5)


if __name__ == "__main__":
    unittest.main()
