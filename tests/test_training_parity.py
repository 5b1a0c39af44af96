"""Training against numbers recorded from AlphAction: losses, metrics, gradients, two optimizer steps."""

from __future__ import annotations

import unittest
from unittest import mock

import numpy as np
import parity
import torch
from torch_settings import one_thread

from alphaction.modeling.detector import build_detection_model
from alphaction.modeling.roi_heads.action_head.memory_window import MemoryWindow
from alphaction.solver import make_lr_scheduler, make_optimizer


@parity.needs_parity
class TrainingTest(unittest.TestCase):
    def setUp(self):
        one_thread(self.addCleanup)

    def test_cases(self):
        file = parity.load_json("train.json")
        for name, case in file["cases"].items():
            with self.subTest(case=name):
                Case(self, file["scenario"], case, file["seed"]).check()


class Case:
    """One recorded training case."""

    def __init__(self, test: unittest.TestCase, scenario: dict, case: dict, seed: int) -> None:
        self.test, self.scenario, self.case, self.seed = test, scenario, case, seed
        self.cfg = parity.make_cfg(case["config"], case["overrides"])
        self.model = build_detection_model(self.cfg)
        parity.load_weights(self.model, seed)
        self.model.roi_heads["action"].augment_proposals = False
        self.parameters = dict(self.model.named_parameters())
        self.noise = case["kernel_noise_relative"]

    def check(self) -> None:
        optimizer = make_optimizer(self.cfg, self.model)
        scheduler = make_lr_scheduler(self.cfg, optimizer)
        total, outputs = self.forward()
        self.check_losses(total, outputs)
        total.backward()
        self.check_gradients()
        self.check_buffers()
        self.check_step(optimizer, self.case["step"], "change_l2")
        scheduler.step()
        if "second_iteration" not in self.case:
            return
        optimizer.zero_grad()
        second = self.case["second_iteration"]
        total, _ = self.forward()
        self.close(total.item(), second["total_loss"], self.tolerance("second_total_loss"), "second total loss")
        total.backward()
        changes = {name: {"change_l2": value} for name, value in second["change_l2"].items()}
        self.check_step(optimizer, changes, "second_change_l2")

    def forward(self):
        tau, alpha = self.cfg.INPUT.TAU, self.cfg.INPUT.ALPHA
        slow, fast = parity.make_inputs(self.scenario, tau, alpha, self.seed)
        boxes = parity.make_boxes(self.scenario["persons"], self.scenario["sizes"])
        keys = self.cfg.MODEL.ROI_ACTION_HEAD
        pose = keys.NUM_PERSON_MOVEMENT_CLASSES
        for k, b in enumerate(boxes):
            labels = parity.rules().labels(f"labels/{k}", len(b), pose, keys.NUM_CLASSES - pose, self.seed)
            b.add_field("labels", torch.from_numpy(labels))
        objects = pool = None
        if self.model.has_objects:
            objects = parity.make_boxes(self.scenario["objects"], self.scenario["sizes"])
        if self.model.has_memory:
            pool = parity.make_pool(self.scenario["pool"], self.seed, self.scenario["loss_tags"])
        original = MemoryWindow.gather
        logits = []

        def gather(window, *args, **kwargs):
            features, slots = original(window, *args, **kwargs)
            self.memory = slots.arrange(features).sum(dim=2)
            return features, slots

        predictor = self.model.roi_heads["action"].predictor
        handle = predictor.register_forward_hook(lambda _module, _args, out: logits.append(out))
        with mock.patch.object(MemoryWindow, "gather", gather):
            losses, metrics, pooled = self.model(
                slow,
                fast,
                boxes,
                objects,
                parity.make_extras(self.scenario),
                pool,
                current_loss=self.scenario["cur_loss"],
            )
        handle.remove()
        self.test.assertEqual(len(pooled), len(boxes) if self.cfg.MODEL.IA_STRUCTURE.ACTIVE else 0)
        total = sum(self.model.loss_weights[name] * loss for name, loss in losses.items())
        return total, (logits[0], losses, metrics)

    def check_losses(self, total, outputs) -> None:
        logits, losses, metrics = outputs
        expected = np.array(self.case["logits"])
        difference = parity.max_difference(logits.detach().numpy(), expected)
        tolerance = max(parity.TOLERANCE, 10 * self.noise["total_loss"])
        self.test.assertLessEqual(difference, tolerance * np.abs(expected).max())
        self.test.assertEqual(set(losses), set(self.case["losses"]))
        self.test.assertEqual(set(metrics), set(self.case["metrics"]))
        self.test.assertEqual(self.model.loss_weights, self.case["weights"])
        for name, value in self.case["losses"].items():
            self.close(losses[name].item(), value, tolerance, name)
        for name, value in self.case["metrics"].items():
            self.test.assertAlmostEqual(metrics[name].item(), value, places=5, msg=name)
        self.close(total.item(), self.case["total_loss"], self.tolerance("total_loss"), "total loss")
        if "memory_slot_sums" in self.case:
            expected = np.array(self.case["memory_slot_sums"])
            limit = parity.TOLERANCE * np.abs(expected).max()
            self.test.assertLessEqual(parity.max_difference(self.memory.numpy(), expected), limit)

    def check_gradients(self) -> None:
        without = sorted(name for name, p in self.parameters.items() if p.grad is None)
        self.test.assertEqual(without, sorted(self.case["no_grad_parameters"]))
        for name, expected in self.case["grad"].items():
            grad = self.parameters[name].grad.flatten()
            self.close(grad.norm().item(), expected["l2"], self.tolerance("grad_l2"), name)
            self.close_samples(grad, expected["sample"], self.tolerance("grad_sample_max_abs_over_max"), name)
        total = torch.stack([p.grad.norm() for p in self.parameters.values() if p.grad is not None]).norm().item()
        self.close(total, self.case["total_grad_l2"], self.tolerance("total_grad_l2"), "total gradient")

    def check_buffers(self) -> None:
        buffers = dict(self.model.named_buffers())
        for name, expected in self.case.get("buffers_after", {}).items():
            if isinstance(expected, dict):
                buffer = buffers[name].flatten()
                self.close(buffer.norm().item(), expected["l2"], parity.TOLERANCE, name)
                self.close_samples(buffer, expected["sample"], parity.TOLERANCE, name)
            else:
                self.test.assertEqual(buffers[name].item(), expected)

    def check_step(self, optimizer, changes: dict, kind: str) -> None:
        before = {name: self.parameters[name].detach().clone() for name in changes}
        groups = {id(group["params"][0]): group for group in optimizer.param_groups}
        for name, expected in changes.items():
            for key in ("lr", "weight_decay"):
                if key in expected:
                    self.test.assertAlmostEqual(groups[id(self.parameters[name])][key], expected[key], msg=name)
        optimizer.step()
        for name, expected in changes.items():
            change = (self.parameters[name].detach() - before[name]).double().norm().item()
            self.close(change, expected["change_l2"], self.tolerance(kind), f"{kind} of {name}")

    def tolerance(self, kind: str) -> float:
        """The README's bound; noise per parameter is a single draw, so the largest of a kind counts."""
        noise = self.noise.get(kind, 0.0)
        return max(1e-3, 10 * (max(noise.values(), default=0.0) if isinstance(noise, dict) else noise))

    def close_samples(self, flat: torch.Tensor, expected: list, tolerance: float, name: str) -> None:
        found = np.array([flat[(k * flat.numel()) // len(expected)].item() for k in range(len(expected))])
        difference = np.abs(found - np.array(expected)).max()
        self.test.assertLessEqual(difference, tolerance * np.abs(expected).max(), name)

    def close(self, found: float, expected: float, tolerance: float, name: str) -> None:
        self.test.assertLessEqual(abs(found - expected), tolerance * abs(expected), f"{name}: {found}, {expected}")


if __name__ == "__main__":
    unittest.main()
