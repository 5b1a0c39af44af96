"""Focal losses and metrics."""

from __future__ import annotations

import unittest

import parity
import torch
from torch_settings import one_thread

from alphaction.modeling.roi_heads.action_head.losses import (
    ActionLoss,
    ClassGroups,
    set_accuracy,
    sigmoid_focal_loss,
    softmax_focal_loss,
)


@parity.needs_parity
class RecordedFocalLossTest(unittest.TestCase):
    def setUp(self):
        one_thread(self.addCleanup)

    def test_values_and_gradients(self):
        file = parity.load_json("focal_loss.json")
        targets = torch.tensor(file["sigmoid_targets"])
        labels = torch.tensor(file["softmax_labels"])
        for case in file["cases"]:
            gamma, alpha = case["gamma"], case["alpha"]
            with self.subTest(gamma=gamma, alpha=alpha, kind="sigmoid"):
                logits = torch.tensor(file["logits"], requires_grad=True)
                loss = sigmoid_focal_loss(logits, targets, gamma, alpha)
                self._check(logits, loss, file["upstream_gradient_sigmoid"], case["sigmoid_loss"], case["sigmoid_grad"])
            with self.subTest(gamma=gamma, alpha=alpha, kind="softmax"):
                logits = torch.tensor(file["logits"], requires_grad=True)
                loss = softmax_focal_loss(logits, labels, gamma, alpha)
                self._check(logits, loss, file["upstream_gradient_softmax"], case["softmax_loss"], case["softmax_grad"])

    def _check(self, logits, loss, upstream, expected_loss, expected_grad) -> None:
        (loss * torch.tensor(upstream)).sum().backward()
        self._close(loss.detach(), expected_loss)
        self._close(logits.grad, expected_grad)

    def _close(self, found: torch.Tensor, expected: list) -> None:
        self.assertTrue(torch.isfinite(found).all())
        flat = [value for row in expected for value in (row if isinstance(row, list) else [row])]
        for value, target in zip(found.flatten().tolist(), flat, strict=True):
            # null: the original gave NaN; any finite value passes.
            if target is not None:
                self.assertLessEqual(abs(value - target), 1e-5 + 1e-4 * abs(target))


class FocalLossTest(unittest.TestCase):
    def test_sigmoid_gamma_zero_is_cross_entropy(self):
        torch.manual_seed(0)
        logits, targets = torch.randn(5, 7), torch.rand(5, 7).round()
        expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        torch.testing.assert_close(sigmoid_focal_loss(logits, targets, 0.0, -1), expected, rtol=1e-5, atol=1e-6)

    def test_softmax_by_definition(self):
        torch.manual_seed(0)
        logits, labels = torch.randn(5, 7).double(), torch.tensor([0, 6, 3, 3, 1])
        p = logits.softmax(1)[range(5), labels]
        torch.testing.assert_close(softmax_focal_loss(logits, labels, 1.5, -1), -((1 - p) ** 1.5) * p.log())
        torch.testing.assert_close(softmax_focal_loss(logits, labels, 0.0, -1), -p.log())

    def test_gradients_stay_finite(self):
        for gamma in (0.0, 0.5, 2.0):
            for saturated in (1e4, -1e4, 0.0):
                logits = torch.tensor([[saturated, -saturated, 0.0]], requires_grad=True)
                loss = sigmoid_focal_loss(logits, torch.tensor([[1, 0, 1]]), gamma, 0.25).sum()
                for label in (0, 1):
                    loss = loss + softmax_focal_loss(logits, torch.tensor([label]), gamma, -1).sum()
                loss.backward()
                self.assertTrue(torch.isfinite(loss) and torch.isfinite(logits.grad).all(), (gamma, saturated))

    def test_one_pose_class(self):
        logits = torch.zeros(2, 1, requires_grad=True)
        softmax_focal_loss(logits, torch.tensor([0, 0]), 2.0, -1).sum().backward()
        self.assertEqual(logits.grad.tolist(), [[0.0], [0.0]])


class ActionLossTest(unittest.TestCase):
    def test_groups(self):
        loss = ActionLoss(ClassGroups(6, 3, 2, 1), 2.0, -1.0)
        labels = torch.tensor([[0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]], dtype=torch.uint8)
        logits = torch.tensor([[0.0, 9.0, 0.0, 1.0, 1.0, -1.0], [9.0, 0.0, 0.0, -1.0, -1.0, 1.0]])
        losses, metrics = loss(logits, labels)
        self.assertEqual(set(losses), {"loss_pose_action", "loss_object_interaction", "loss_person_interaction"})
        self.assertEqual(
            {name: value.item() for name, value in metrics.items()},
            {"accuracy_pose_action": 1.0, "accuracy_object_interaction": 0.75, "accuracy_person_interaction": 0.5},
        )

    def test_groups_that_do_not_exist_have_no_loss(self):
        for groups in (ClassGroups(14, 14, 0, 0), ClassGroups(14, 14, 49, 17)):
            losses, metrics = ActionLoss(groups, 2.0, -1.0)(torch.zeros(2, 14), torch.zeros(2, 14, dtype=torch.uint8))
            self.assertEqual(set(losses), {"loss_pose_action"})
            self.assertEqual(set(metrics), {"accuracy_pose_action"})

    def test_mean_over_persons(self):
        loss = ActionLoss(ClassGroups(4, 2, 2, 0), 2.0, -1.0)
        torch.manual_seed(0)
        logits, labels = torch.randn(1, 4), torch.tensor([[1, 0, 0, 1]])
        one, _ = loss(logits, labels)
        three, _ = loss(logits.repeat(3, 1), labels.repeat(3, 1))
        for name in one:
            torch.testing.assert_close(one[name], three[name])

    def test_no_persons(self):
        logits = torch.zeros(0, 6, requires_grad=True)
        losses, metrics = ActionLoss(ClassGroups(6, 3, 2, 1), 2.0, -1.0)(logits, torch.zeros(0, 6))
        self.assertEqual([value.item() for value in losses.values()], [0.0] * 3)
        self.assertEqual(metrics, {})
        sum(losses.values()).backward()
        self.assertEqual(logits.grad.shape, (0, 6))

    def test_pose_label_ties(self):
        """Several poses: the lowest; none: pose 0."""
        logits = torch.tensor([[0.0, 9.0, 0.0], [9.0, 0.0, 0.0]])
        labels = torch.tensor([[0, 1, 1], [0, 0, 0]], dtype=torch.uint8)
        _, metrics = ActionLoss(ClassGroups(3, 3, 0, 0), 2.0, -1.0)(logits, labels)
        self.assertEqual(metrics["accuracy_pose_action"].item(), 1.0)

    def test_set_accuracy(self):
        self.assertEqual(set_accuracy(torch.tensor([[-1.0, -1.0]]), torch.tensor([[0, 0]])).item(), 1.0)
        self.assertEqual(set_accuracy(torch.tensor([[1.0, -1.0]]), torch.tensor([[0, 1]])).item(), 0.0)
        self.assertEqual(set_accuracy(torch.tensor([[1.0, 1.0]]), torch.tensor([[0, 1]])).item(), 0.5)


if __name__ == "__main__":
    unittest.main()
