"""Keys of the native recipe that have no file of their own: head, losses, sampling, optimizer, averaged weights."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from small_model import small_cfg
from torch import nn

from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.checkpoints.weights import refuse_frozen
from alphaction.config.validate import load_cfg
from alphaction.dataset.samplers import balance_weights
from alphaction.errors import UserError
from alphaction.modeling.roi_heads.action_head import build_action_head
from alphaction.modeling.roi_heads.action_head.action_head import jitter_boxes
from alphaction.modeling.roi_heads.action_head.losses import ActionLoss, ClassGroups, softmax_focal_loss
from alphaction.solver import WeightAverage, make_optimizer
from alphaction.structures.bounding_box import BoxList

HEAD = "MODEL.ROI_ACTION_HEAD"


class HeadTest(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        self.features = [torch.rand(2, 6, 1, 4, 6), torch.rand(2, 2, 4, 4, 6)]
        self.boxes = [BoxList([[1.0, 1.0, 9.0, 9.0], [12.0, 4.0, 20.0, 14.0]], (24, 16)), BoxList([], (24, 16))]

    def head(self, *overrides):
        keys = [f"{HEAD}.POOLER_SCALE", 0.0, "MODEL.IA_STRUCTURE.DIM_IN", 0, "MODEL.IA_STRUCTURE.DIM_OUT", 0]
        return build_action_head(small_cfg(*keys, *overrides), 8, 4)

    def test_scale_is_the_backbones(self):
        self.assertEqual(self.head().pooler.scale, 0.25)
        with self.assertRaisesRegex(UserError, "POOLER_SCALE is 0.0625, but .* per 4 pixels"):
            self.head(f"{HEAD}.POOLER_SCALE", 1 / 16)

    def test_widths_are_derived(self):
        ia = self.head(f"{HEAD}.CONTEXT", ("mean", "wide"), "MODEL.IA_STRUCTURE.FUSION", "add").feature_extractor
        self.assertEqual((ia.ia_structure.options.dim_in, ia.ia_structure.options.dim_out), (24, 24))
        with self.assertRaisesRegex(UserError, "DIM_IN is 9, but .* 8 channels"):
            self.head("MODEL.IA_STRUCTURE.DIM_IN", 9)

    def test_context(self):
        head = self.head(f"{HEAD}.CONTEXT", ("mean", "wide", "frame"))
        pooled = head.pool(self.features, self.boxes)
        self.assertEqual(pooled.shape, (2, 32))
        torch.testing.assert_close(pooled[:, :8], self.head().pool(self.features, self.boxes))
        self.assertTrue((pooled[:, 8:16] <= pooled[:, :8]).all())
        frame = torch.cat([x[0].mean(dim=(1, 2, 3)) for x in self.features])
        torch.testing.assert_close(pooled[:, 24:], frame.expand(2, 8))
        self.assertEqual(head.pool(self.features, self.boxes[1:] * 2).shape, (0, 32))
        with self.assertRaisesRegex(UserError, "CONTEXT"):
            load_cfg("", [f"{HEAD}.CONTEXT", ("scene",)])

    def test_a_batch_with_everything(self):
        keys = [f"{HEAD}.CONTEXT", ("frame",), f"{HEAD}.BOX_GEOMETRY", "annotated", f"{HEAD}.BOX_JITTER", 0.1]
        head = self.head(*keys, f"{HEAD}.MLP_DROPOUT", 0.5, f"{HEAD}.PLACE_PRIOR", 0.1)
        for boxes in self.boxes:
            boxes.add_field("labels", torch.ones(len(boxes), 6))
            boxes.add_field("place", boxes.bbox / 24)
        losses, _, _ = head.forward_train(self.features, self.boxes, None, None, None, None)
        sum(losses.values()).backward()
        self.assertGreater(head.feature_extractor.geometry.fc.weight.grad.abs().sum(), 0)
        self.assertGreater(head.place_prior.weight.grad.abs().sum(), 0)
        head.eval()
        persons, objects = head.pool_features(self.features, self.boxes, None)
        scores = [b.get_field("scores") for b in head.score(persons, objects, None, None)]
        self.assertEqual([s.shape for s in scores], [(2, 6), (0, 6)])

    def test_jitter(self):
        boxes = BoxList([[0.0, 2.0, 10.0, 16.0]] * 200, (24, 16))
        boxes.add_field("labels", torch.arange(200))
        moved = jitter_boxes(boxes, 0.1)
        self.assertEqual(moved.get_field("labels").tolist(), list(range(200)))
        self.assertTrue(0.05 < float((moved.bbox[:, 2] - 10).std() / 10) < 0.15)
        self.assertTrue((moved.bbox >= 0).all() and (moved.bbox[:, 3] <= 16).all())
        self.assertTrue((moved.bbox[:, 2:] >= moved.bbox[:, :2]).all())
        self.assertEqual(boxes.bbox[0].tolist(), [0.0, 2.0, 10.0, 16.0])


class LossTest(unittest.TestCase):
    def test_smoothing_is_that_of_cross_entropy(self):
        torch.manual_seed(0)
        logits, labels = torch.randn(5, 4), torch.tensor([0, 3, 1, -1, 2])
        found = softmax_focal_loss(logits, labels, gamma=0.0, alpha=-1.0, smoothing=0.2)
        expected = nn.functional.cross_entropy(logits, labels, reduction="none", label_smoothing=0.2, ignore_index=-1)
        torch.testing.assert_close(found, expected)

    def test_weights(self):
        loss = ActionLoss(ClassGroups(4, 3, 1, 0), 2.0, -1.0)
        torch.manual_seed(0)
        logits, labels = torch.randn(4, 4), torch.eye(4)[[0, 1, 2, 1]]
        plain = loss(logits, labels)[0]
        ones = loss(logits, labels, torch.ones(4))[0]
        some = loss(logits, labels, torch.tensor([1.0, 1.0, 0.0, 0.0]))[0]
        first = loss(logits[:2], labels[:2])[0]
        for name, value in plain.items():
            self.assertEqual(ones[name], value)
            torch.testing.assert_close(some[name], first[name])


class SamplingTest(unittest.TestCase):
    def test_the_rarest_class_counts(self):
        labels = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [1, 0]], np.uint8)
        offsets = np.array([0, 1, 2, 4, 4, 5])
        np.testing.assert_allclose(balance_weights(labels, offsets, 0.5), [0.5, 0.5, 1.0, 1.0, 0.5])
        np.testing.assert_allclose(balance_weights(labels, offsets, 0.0), np.ones(5))

    def test_persons_are_counted_within_recordings(self):
        labels = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [1, 0]], np.uint8)
        offsets, recordings = np.array([0, 1, 2, 4, 4, 5]), np.array([0, 0, 1, 1, 1])
        np.testing.assert_allclose(balance_weights(labels, offsets, 1.0, recordings), [0.5, 0.5, 1.0, 1.0, 0.5])
        one_person_a_recording = balance_weights(
            np.eye(1, dtype=np.uint8).repeat(5, 0), np.arange(6), 1.0, np.arange(5)
        )
        np.testing.assert_allclose(one_person_a_recording, np.ones(5))
        np.testing.assert_allclose(
            balance_weights(labels, offsets, 0.7, np.zeros(5, int)), balance_weights(labels, offsets, 0.7)
        )
        empty = balance_weights(np.zeros((0, 2), np.uint8), np.zeros(3, int), 0.7, np.array([0, 1]))
        np.testing.assert_allclose(empty, np.ones(2))


class OptimizerTest(unittest.TestCase):
    def step(self, model, optimizer):
        optimizer.zero_grad()
        model(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()

    def test_rates(self):
        model = nn.ModuleDict({"backbone": nn.Linear(1, 1), "head": nn.Linear(1, 1)})
        cfg = load_cfg("", ["SOLVER.BACKBONE_LR_FACTOR", 0.1, "SOLVER.BASE_LR", 1.0, "SOLVER.BIAS_LR_FACTOR", 2])
        rates = [group["lr"] for group in make_optimizer(cfg, model).param_groups]
        np.testing.assert_allclose(rates, [0.1, 0.2, 1.0, 2.0])

    def test_a_factor_of_zero_freezes(self):
        head = nn.ModuleDict({"fc1": nn.Linear(1, 1), "cls_score": nn.Linear(1, 1), "place_prior": nn.Linear(1, 1)})
        model = nn.ModuleDict({"backbone": nn.Linear(1, 1), "roi_heads": head})
        cfg = load_cfg("", ["SOLVER.BACKBONE_LR_FACTOR", 0.0, "SOLVER.HEAD_LR_FACTOR", 0.5, "SOLVER.BASE_LR", 1.0])
        rates = [group["lr"] for group in make_optimizer(cfg, model).param_groups]
        np.testing.assert_allclose(rates, [0.5, 1.0, 0.5, 1.0, 1.0, 2.0])
        frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
        self.assertEqual(frozen, ["backbone.weight", "backbone.bias"])

    def test_nothing_to_train_is_refused(self):
        cfg = load_cfg("", ["SOLVER.BACKBONE_LR_FACTOR", 0.0, "SOLVER.HEAD_LR_FACTOR", 0.0])
        with self.assertRaisesRegex(UserError, "HEAD_LR_FACTOR are 0, which leaves nothing to train"):
            make_optimizer(cfg, nn.ModuleDict({"backbone": nn.Linear(1, 1)}))

    def test_frozen_parameters_without_weights_are_refused(self):
        cfg = load_cfg("", ["SOLVER.BACKBONE_LR_FACTOR", 0.0])
        model = nn.ModuleDict({"backbone": nn.Linear(1, 1), "other": nn.Linear(1, 1)})
        optimizer = make_optimizer(cfg, model)
        refuse_frozen(model, ("backbone.weight", "backbone.bias"), "FILE")
        with self.assertRaisesRegex(
            UserError, "FILE gives no values to 1 parameters .such as backbone.bias. .* random"
        ):
            refuse_frozen(model, ("backbone.weight", "other.weight"), "FILE")
        self.assertEqual(len(optimizer.param_groups), 2)

    def test_optimizers_are_not_mixed_up(self):
        with tempfile.TemporaryDirectory() as folder:
            model = nn.Linear(3, 3)
            optimizers = {
                name: make_optimizer(load_cfg("", ["SOLVER.OPTIMIZER", name]), model) for name in ("sgd", "adamw")
            }
            for name, optimizer in optimizers.items():
                self.step(model, optimizer)
                path = ActionCheckpointer(model, optimizer, save_dir=folder).save(name)
                for other, loading in optimizers.items():
                    checkpointer = ActionCheckpointer(model, loading, save_dir=folder)
                    if other == name:
                        checkpointer.load(path)
                    else:
                        with self.assertRaisesRegex(UserError, "adamw"):
                            checkpointer.load(path)


class AverageTest(unittest.TestCase):
    def run_of(self, folder):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        optimizer = make_optimizer(load_cfg("", ["SOLVER.OPTIMIZER", "adamw", "SOLVER.BASE_LR", 0.1]), model)
        checkpointer = ActionCheckpointer(model, optimizer, save_dir=folder)
        checkpointer.average = WeightAverage(model, 0.5)
        return model, optimizer, checkpointer

    def steps(self, run, numbers):
        model, optimizer, checkpointer = run
        for number in numbers:
            optimizer.zero_grad()
            model(torch.tensor([[1.0, 2.0, number], [0.0, 1.0, 1.0]])).square().sum().backward()
            optimizer.step()
            checkpointer.average.update(number)

    def test_values(self):
        model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(model.weight)
        average = WeightAverage(model, 0.5)
        nn.init.ones_(model.weight)
        average.update(1)  # 2 / 11 of the old value is kept
        self.assertAlmostEqual(average.module.weight.item(), 9 / 11, places=6)
        average.update(10**6)
        self.assertAlmostEqual(average.module.weight.item(), 10 / 11, places=6)

    def test_a_resumed_run_is_the_same(self):
        with tempfile.TemporaryDirectory() as folder:
            whole, first, resumed = (self.run_of(Path(folder)) for _ in range(3))
            self.steps(whole, range(1, 7))
            self.steps(first, range(1, 4))
            path = first[2].save("half", iteration=3)
            resumed[2].load(path)
            self.steps(resumed, range(4, 7))
            for one, other in ((whole[0], resumed[0]), (whole[2].average.module, resumed[2].average.module)):
                torch.testing.assert_close(dict(one.state_dict()), dict(other.state_dict()), rtol=0, atol=0)

    def test_files_have_the_average(self):
        with tempfile.TemporaryDirectory() as folder:
            run = self.run_of(Path(folder))
            self.steps(run, range(1, 4))
            for path in (run[2].save("whole", iteration=3), run[2].save_weights("weights")):
                tested = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
                ActionCheckpointer(tested).load(path, model_weight_only=True)
                average = run[2].average.module.state_dict()
                torch.testing.assert_close(dict(tested.state_dict()), dict(average), rtol=0, atol=0)
            self.assertFalse(torch.equal(run[0][0].weight, run[2].average.module[0].weight))


if __name__ == "__main__":
    unittest.main()
