"""One training iteration, on a model of one weight."""

from __future__ import annotations

import unittest
from unittest import mock

import torch
from torch import nn

from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.config import get_cfg
from alphaction.engine.train_state import TrainState
from alphaction.engine.trainer import TrainingRun
from alphaction.errors import UserError
from alphaction.solver import make_lr_scheduler, make_optimizer
from alphaction.structures.bounding_box import BoxList
from alphaction.utils.logs import MetricsWriter


class OneWeight(nn.Module):
    """Loss: weight x clip; remembers the clip."""

    has_memory = True
    loss_weights = {"loss_pose_action": 2.0}

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, slow, fast, boxes, objects, extras, memory, current_loss):
        pooled = [b.copy_with_fields(b.fields()) for b in boxes]
        for b in pooled:
            b.add_field("pooled_feature", slow.detach().reshape(1, 1, 1, 1, 1))
        self.last_loss = current_loss
        return {"loss_pose_action": (self.weight * slow).sum()}, {"accuracy_pose_action": torch.tensor(0.5)}, pooled


class TrainStep(unittest.TestCase):
    def setUp(self):
        self.cfg = get_cfg()
        self.cfg.merge_from_list(
            ["SOLVER.BASE_LR", 0.1, "SOLVER.WARMUP_ON", False, "SOLVER.MOMENTUM", 0.0, "SOLVER.WEIGHT_DECAY", 0.0]
        )
        self.model, self.state = OneWeight(), TrainState()
        self.optimizer = make_optimizer(self.cfg, self.model)
        self.scheduler = make_lr_scheduler(self.cfg, self.optimizer)

    def step(self, value: float, timestamp: int) -> dict[str, float]:
        batch = (
            torch.tensor([value]),
            torch.zeros(1),
            [BoxList([[0, 0, 9, 9]], (10, 10))],
            None,
            [{"movie_id": "m", "timestamp": timestamp, "second": float(timestamp)}],
            [0],
        )
        run = TrainingRun(
            self.cfg,
            self.model,
            self.optimizer,
            self.scheduler,
            ActionCheckpointer(self.model),
            nn.Identity(),
            torch.device("cpu"),
            self.state,
            MetricsWriter(None),
        )
        return run.step(batch)

    def test_a_step(self):
        self.assertEqual(self.step(3.0, 7), {"loss_pose_action": 3.0, "accuracy_pose_action": 0.5, "loss": 6.0})
        self.assertAlmostEqual(self.model.weight.item(), 1 - 0.1 * 6, places=6)
        self.assertIsNone(self.model.last_loss)
        self.assertEqual((self.state.last_loss, self.scheduler.last_epoch), (6.0, 1))
        remembered = self.state.memory["m"][7]
        self.assertEqual(remembered.get_field("pooled_feature").item(), 3.0)
        self.assertEqual(remembered.get_field("loss_tag"), 6.0)
        self.step(1.0, 8)
        self.assertEqual(self.model.last_loss, 6.0)

    def test_a_loss_that_is_not_finite_changes_nothing(self):
        self.step(3.0, 7)
        weight = self.model.weight.item()
        for value in (torch.nan, torch.inf):
            with self.assertRaisesRegex(UserError, r"loss is (nan|inf) in iteration 1 \(loss_pose_action\)"):
                self.step(value, 8)
            self.assertEqual(self.model.weight.item(), weight)
            self.assertEqual((self.state.last_loss, self.scheduler.last_epoch), (6.0, 1))
            self.assertEqual(list(self.state.memory["m"]), [7])

    def test_gradients_are_clipped_to_a_norm(self):
        self.cfg.SOLVER.CLIP_NORM = 0.5
        self.step(3.0, 7)
        self.assertAlmostEqual(self.model.weight.item(), 1 - 0.1 * 0.5, places=5)

    def test_copies_are_waited_for_off_cuda(self):
        """Only CUDA has a barrier; elsewhere a value read after a ``non_blocking`` copy may not have arrived."""
        found = []
        original = torch.Tensor.to

        def to(tensor, *args, **kwargs):
            found.append(kwargs.get("non_blocking", False))
            return original(tensor, *args, **kwargs)

        with mock.patch.object(torch.Tensor, "to", to):
            self.step(3.0, 7)
        self.assertGreater(len(found), 3)
        self.assertFalse(any(found))


if __name__ == "__main__":
    unittest.main()
