"""Gradient accumulation and mixed precision: the step of the whole batch in float32, in parts or nearly."""

from __future__ import annotations

import unittest

import torch
from small_model import make_batch, small_cfg
from torch import nn
from torch_settings import one_thread

from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.config.validate import validate
from alphaction.dataset.transforms.clip_input import NativeClips
from alphaction.engine.accumulate import person_shares, split_batch, weighted_means
from alphaction.engine.train_state import TrainState
from alphaction.engine.trainer import TrainingRun
from alphaction.errors import UserError
from alphaction.modeling.detector import build_detection_model
from alphaction.solver import make_lr_scheduler, make_optimizer
from alphaction.structures.bounding_box import BoxList
from alphaction.utils.logs import MetricsWriter


class Parts(unittest.TestCase):
    def batch(self, *persons):
        boxes = [BoxList(torch.ones(count, 4), (9, 9)) for count in persons]
        clips = torch.arange(len(persons))
        extras = [{"second": i} for i in range(len(persons))]
        return clips, NativeClips(list(clips)), boxes, None, extras, clips.tolist()

    def test_split(self):
        whole = self.batch(1, 2, 3)
        self.assertEqual(split_batch(whole, 1), [whole])
        for count, sizes in ((2, [2, 1]), (3, [1, 1, 1]), (8, [1, 1, 1])):
            parts = split_batch(whole, count)
            self.assertEqual([len(part[2]) for part in parts], sizes)
            self.assertEqual([len(part[1]) for part in parts], sizes)
            self.assertEqual(sum((part[5] for part in parts), []), [0, 1, 2])
            self.assertEqual({part[3] for part in parts}, {None})

    def test_shares_are_those_of_the_persons_trained_on(self):
        parts = split_batch(self.batch(1, 12, 0, 4), 4)
        self.assertEqual(person_shares(parts, 5), [0.1, 0.5, 0.0, 0.4])
        self.assertEqual(person_shares(split_batch(self.batch(0, 0), 2), 5), [0.0, 0.0])

    def test_a_part_without_persons_has_no_accuracy(self):
        rows = [{"loss": 0.0}, {"loss": 2.0, "accuracy": 0.5}]
        self.assertEqual(weighted_means(rows, [0.0, 1.0]), {"loss": 2.0, "accuracy": 0.5})


class Step(unittest.TestCase):
    def setUp(self):
        one_thread(self.addCleanup)

    def step(self, *settings):
        """Values, gradients and pooled features in memory of one step on three clips, of which one has no persons."""
        cfg = small_cfg("INPUT.CHANNELS", 3, "SOLVER.CLIP_NORM", 0.0, *settings)
        torch.manual_seed(0)
        model = build_detection_model(cfg).train()
        model.head.augment_proposals = False
        given = make_batch(cfg, persons=(2, 0, 1), size=(48, 32))
        batch = (*(given[name] for name in ("slow", "fast", "boxes", "objects", "extras")), [0, 1, 2])
        optimizer = make_optimizer(cfg, model)
        run = TrainingRun(
            cfg,
            model,
            optimizer,
            make_lr_scheduler(cfg, optimizer),
            ActionCheckpointer(model),
            nn.Identity(),
            torch.device("cpu"),
            TrainState(memory=given["memory"]),
            MetricsWriter(None),
        )
        values = run.step(batch)
        return values, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]), run.state.memory

    def test_parts_equal_the_whole(self):
        expected_values, expected, expected_memory = self.step()
        for parts in (2, 3):
            values, found, memory = self.step("SOLVER.ACCUMULATE", parts)
            self.assertEqual(list(values), list(expected_values))
            for name, value in values.items():
                self.assertAlmostEqual(value, expected_values[name], places=4)
            self.assertEqual(len(memory), len(expected_memory))
            self.assertLess(((found - expected).norm() / expected.norm()).item(), 1e-4)

    def test_mixed_precision(self):
        expected_values, expected, _ = self.step()
        values, found, _ = self.step("SOLVER.AMP", True)
        self.assertEqual(found.dtype, torch.float32)
        self.assertNotEqual(values["loss"], expected_values["loss"])
        self.assertAlmostEqual(values["loss"] / expected_values["loss"], 1, delta=0.05)
        self.assertGreater(torch.cosine_similarity(found, expected, dim=0).item(), 0.95)

    def test_settings(self):
        for key, value in (("SOLVER.ACCUMULATE", 0), ("TEST.PRECISION", "half")):
            with self.assertRaisesRegex(UserError, f"{key} is"):
                validate(small_cfg(key, value))


if __name__ == "__main__":
    unittest.main()
