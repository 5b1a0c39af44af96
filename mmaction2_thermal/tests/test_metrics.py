"""The metric says what the core's evaluation says."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import case
import numpy as np
import torch
from mmengine.structures import InstanceData

from alphaction.dataset.datasets import ThermalAVADataset
from alphaction.evaluation import evaluate
from alphaction.structures.bounding_box import BoxList
from mmaction2_thermal import ThermalClassWeights, ThermalMeanAP


class MeanAP(unittest.TestCase):
    def setUp(self):
        self.root = case.synthetic_root()
        self.ann_file = f"{self.root}/annotations/val.json"
        self.truth = ThermalAVADataset(self.root, self.ann_file, False, 64)
        self.rng = np.random.default_rng(0)

    def samples(self, scores) -> list[dict]:
        """Data samples as MMEngine gives them, with the annotated boxes; ``scores``: labels [N, 14] -> [N, 14]."""
        offsets, labels = self.truth.box_offsets, self.truth.gt_labels()
        found = []
        for k in range(len(self.truth)):
            rows = slice(offsets[k], offsets[k + 1])
            instances = InstanceData(
                bboxes=torch.from_numpy(self.truth.gt_boxes[rows]),
                scores=torch.from_numpy(scores(labels[rows])).float(),
            )
            found.append({"img_key": self.truth.image_ids[k], "pred_instances": instances.to_dict()})
        return found

    def metric(self, samples: list[dict], **arguments) -> dict[str, float]:
        metric = ThermalMeanAP(self.root, self.ann_file, **arguments)
        for start in range(0, len(samples), 3):
            metric.process(None, samples[start : start + 3])
        return metric.evaluate(len(samples))

    def test_the_truth_is_perfect(self):
        self.assertEqual(
            self.metric(self.samples(lambda labels: labels * 0.9)),
            {
                "thermal/mAP": 100,
                "thermal/top1": 100,
                "thermal/mean_class_accuracy": 100,
                "thermal/coco_AP": 100,
                "thermal/coco_AP50": 100,
            },
        )

    def test_guesses_score_as_in_the_core(self):
        samples = self.samples(lambda labels: self.rng.uniform(size=labels.shape))
        predictions = {}
        for k, sample in enumerate(samples):
            instances = sample["pred_instances"]
            predictions[k] = BoxList(instances["bboxes"] * torch.tensor([384.0, 256, 384, 256]), (384, 256))
            predictions[k].add_field("scores", instances["scores"])
        for threshold in (0.0, 0.7):
            expected = evaluate(self.truth, predictions, action_thresh=threshold)
            found = self.metric(samples, action_thr=threshold)
            self.assertAlmostEqual(found["thermal/mAP"], expected["mAP"], places=6)
            self.assertAlmostEqual(found["thermal/top1"], expected["top1"], places=6)
            self.assertAlmostEqual(found["thermal/mean_class_accuracy"], expected["mean_class_accuracy"], places=6)
            self.assertAlmostEqual(found["thermal/coco_AP50"], expected["coco"]["AP50"], places=6)
            self.assertLess(found["thermal/mAP"], 60)

    def test_keyframes_without_prediction_are_missed(self):
        samples = self.samples(lambda labels: labels * 0.9)
        self.assertLess(self.metric(samples[::2])["thermal/top1"], 80)

    def test_baselines_and_files(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch("mmaction2_thermal.metrics.MMLogger") as logger:
            self.metric(
                self.samples(lambda labels: labels * 0.9),
                output_dir=folder,
                train_ann_file=f"{self.root}/annotations/train.json",
                proposal_file="my_boxes.json",
            )
            self.assertTrue(Path(folder, "result.csv").is_file())
        text = logger.get_current_instance().info.call_args.args[0]
        self.assertIn("boxes: my_boxes.json", text)
        self.assertIn("constant", text)


class ClassWeights(unittest.TestCase):
    def test_they_reach_the_loss(self):
        from mmaction.models import CrossEntropyLoss

        runner = mock.Mock()
        runner.model = torch.nn.Module()
        runner.model.cls_head = torch.nn.Module()
        runner.model.cls_head.loss_cls = loss = CrossEntropyLoss()
        scores, labels = torch.randn(4, 14), torch.tensor([1, 3, 3, 2])
        weights = torch.arange(14.0)
        runner.train_dataloader.dataset = mock.Mock(spec=["get_class_weights"])
        runner.train_dataloader.dataset.get_class_weights.return_value = weights
        ThermalClassWeights().before_train(runner)
        expected = torch.nn.functional.cross_entropy(scores, labels, weights)
        torch.testing.assert_close(loss(scores, labels), expected)


if __name__ == "__main__":
    unittest.main()
