"""The whole model on small inputs: training steps, missing persons, number formats, every shipped configuration."""

from __future__ import annotations

import unittest
from pathlib import Path

import torch
from small_model import make_batch, small_cfg, total_loss
from torch_settings import one_thread

from alphaction.config import load_cfg
from alphaction.modeling.detector import build_detection_model
from alphaction.solver import make_optimizer

CONFIG_FILES = sorted((Path(__file__).parents[1] / "config_files").glob("*.yaml"))
IA = "MODEL.IA_STRUCTURE"


def build(cfg, seed=0):
    torch.manual_seed(seed)
    return build_detection_model(cfg)


def train_step(model, batch, current_loss=None):
    losses, metrics, pooled = model(**batch, current_loss=current_loss)
    model.zero_grad()
    total_loss(model, losses).backward()
    return losses, metrics, pooled


class ShippedConfigTest(unittest.TestCase):
    """Dropout on, same seed, with and without anomaly detection: no error, the same result."""

    def setUp(self):
        one_thread(self.addCleanup)

    def test_one_step(self):
        for file in CONFIG_FILES:
            with self.subTest(config=file.name):
                cfg = load_cfg(str(file), ["MODEL.WEIGHT", ""])
                plain, checked = (self._step(cfg, anomaly) for anomaly in (False, True))
                self.assertEqual(plain.keys(), checked.keys())
                for name, value in plain.items():
                    difference = (value - checked[name]).abs().max().item() if value.numel() else 0.0
                    self.assertLessEqual(difference, 1e-4 * max(1.0, value.abs().max().item()), name)

    def _step(self, cfg, anomaly: bool) -> dict[str, torch.Tensor]:
        """Losses, gradients and entries after one step."""
        model = build(cfg)
        batch = make_batch(cfg, (2,), (1,) if model.has_objects else None)
        optimizer = make_optimizer(cfg, model)
        torch.manual_seed(1)
        with torch.autograd.set_detect_anomaly(anomaly):
            losses, _, pooled = train_step(model, batch, current_loss=3.0)
        self.assertEqual(len(pooled), 1 if cfg.MODEL.IA_STRUCTURE.ACTIVE else 0)
        grads = {f"grad {name}": p.grad.clone() for name, p in model.named_parameters()}
        optimizer.step()
        return {
            **{name: loss.detach() for name, loss in losses.items()},
            **grads,
            **{name: value.double() for name, value in model.state_dict().items()},
        }


class MissingPersonsTest(unittest.TestCase):
    STRUCTURES = (
        [],
        [f"{IA}.STRUCTURE", "serial", f"{IA}.I_BLOCK_LIST", ["P", "M"], f"{IA}.FUSION", "concat"],
        [f"{IA}.STRUCTURE", "parallel", f"{IA}.I_BLOCK_LIST", [["P", "O", "M"], ["P", "O", "M"]]],
        [f"{IA}.ACTIVE", False],
    )

    def test_training(self):
        for overrides in self.STRUCTURES:
            cfg = small_cfg(*overrides)
            model = build(cfg)
            for persons in ((2, 0), (0, 1), (0, 0)):
                with self.subTest(overrides=overrides, persons=persons):
                    objects = (0, 1) if model.has_objects else None
                    losses, metrics, pooled = train_step(model, make_batch(cfg, persons, objects))
                    self.assertEqual([len(b) for b in pooled], list(persons) if cfg.MODEL.IA_STRUCTURE.ACTIVE else [])
                    # Every parameter takes part, as distributed training needs.
                    for name, parameter in model.named_parameters():
                        self.assertIsNotNone(parameter.grad, name)
                        self.assertTrue(torch.isfinite(parameter.grad).all(), name)
                    if not any(persons):
                        self.assertEqual({loss.item() for loss in losses.values()}, {0.0})
                        self.assertEqual(metrics, {})
                        self.assertEqual(max(p.grad.abs().max().item() for p in model.parameters()), 0.0)

    def test_testing(self):
        for overrides in self.STRUCTURES:
            cfg = small_cfg(*overrides)
            model = build(cfg).eval()
            for persons in ((2, 0), (0, 0)):
                batch = make_batch(cfg, persons, (1, 0) if model.has_objects else None)
                with torch.no_grad():
                    results = model(**batch)
                    clips = batch.pop("slow"), batch.pop("fast")
                    pooled, objects = model(*clips, batch["boxes"], batch["objects"], part_forward=0)
                    two_stage = model(None, None, pooled, objects, batch["extras"], batch["memory"], part_forward=1)
                for first, second, count in zip(results, two_stage, persons, strict=True):
                    self.assertEqual(first.get_field("scores").shape, (count, 6))
                    torch.testing.assert_close(
                        first.get_field("scores"), second.get_field("scores"), rtol=1e-4, atol=1e-5
                    )
                    self.assertFalse(second.has_field("pooled_feature"))

    def test_a_clip_without_persons_changes_nothing_for_others(self):
        cfg = small_cfg()
        model = build(cfg).eval()
        batch = make_batch(cfg, (0, 2), (0, 1))
        alone = {key: value if key == "memory" else value[1:] for key, value in batch.items()}
        with torch.no_grad():
            found, expected = model(**batch)[1].get_field("scores"), model(**alone)[0].get_field("scores")
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


class DetectorTest(unittest.TestCase):
    def test_batch_of_one(self):
        cfg = small_cfg("MODEL.BACKBONE.FROZEN_BN", False)
        losses, metrics, pooled = train_step(build(cfg), make_batch(cfg, (1,), (1,)))
        self.assertEqual(pooled[0].get_field("pooled_feature").shape, (1, 2304, 1, 1, 1))
        self.assertEqual(len(metrics), 3)

    def test_dropout_everywhere_leaves_what_the_backward_pass_needs(self):
        """In the classifier it follows a ReLU whose output the gradient is made from."""
        torch.manual_seed(0)
        for structure, blocks in (
            ("dense", ["P", "O", "M", "P", "O", "M"]),
            ("serial", ["P", "O", "M"]),
            ("parallel", [["P", "O", "M"]] * 2),
        ):
            cfg = small_cfg(
                f"{IA}.STRUCTURE",
                structure,
                f"{IA}.I_BLOCK_LIST",
                blocks,
                f"{IA}.DROPOUT",
                0.5,
                "MODEL.ROI_ACTION_HEAD.DROPOUT_RATE",
                0.5,
            )
            model = build(cfg)
            seen: list[torch.Tensor] = []
            model.roi_heads["action"].predictor.register_forward_pre_hook(
                lambda _module, args, seen=seen: seen.extend((args[0], args[0].clone()))
            )
            train_step(model, make_batch(cfg, (2, 1), (1, 1)), current_loss=3.0)
            self.assertTrue(torch.equal(*seen))
            for name, parameter in model.named_parameters():
                self.assertTrue(torch.isfinite(parameter.grad).all(), name)

    def test_frame_sampling(self):
        """FRAME_NUM 32 x FRAME_SAMPLE_RATE 2 is the 64-frame clip of every configuration."""
        cfg = small_cfg("INPUT.FRAME_NUM", 32, "INPUT.FRAME_SAMPLE_RATE", 2, f"{IA}.ACTIVE", False)
        batch = make_batch(cfg)
        self.assertEqual((batch["slow"].shape[2], batch["fast"].shape[2]), (4, 16))
        train_step(build(cfg), batch)

    def test_boxes_are_returned_as_given(self):
        cfg = small_cfg()
        batch = make_batch(cfg)
        with torch.no_grad():
            results = build(cfg).eval()(**batch)
        for result, given in zip(results, batch["boxes"], strict=True):
            self.assertEqual(result.bbox.tolist(), given.bbox.tolist())
            self.assertEqual(set(result.fields()), {"labels", "scores"})

    def test_extension_changes_pooling_only(self):
        cfg = small_cfg()
        model = build(cfg).eval()
        batch = make_batch(cfg)
        with torch.no_grad():
            first = model(batch["slow"], batch["fast"], batch["boxes"], part_forward=0)[0]
            model.roi_heads["action"].extend_scale = 0.0
            second = model(batch["slow"], batch["fast"], batch["boxes"], part_forward=0)[0]
        self.assertEqual(first[0].bbox.tolist(), second[0].bbox.tolist())
        self.assertFalse(torch.allclose(first[0].get_field("pooled_feature"), second[0].get_field("pooled_feature")))

    def test_kinds(self):
        self.assertTrue(build(small_cfg()).has_memory and build(small_cfg()).has_objects)
        model = build(small_cfg(f"{IA}.I_BLOCK_LIST", ["P"]))
        self.assertFalse(model.has_memory or model.has_objects)
        model = build(small_cfg(f"{IA}.ACTIVE", False))
        self.assertFalse(model.has_memory or model.has_objects)

    def test_first_iteration_is_not_penalised(self):
        cfg = small_cfg(f"{IA}.I_BLOCK_LIST", ["M"], f"{IA}.MAX_PER_SEC", 3)
        model = build(cfg)
        model.roi_heads["action"].augment_proposals = False
        batch = make_batch(cfg)
        with torch.no_grad():
            unknown, same, other = (
                total_loss(model, model(**batch, current_loss=loss)[0]).item() for loss in (None, 2.0, 50.0)
            )
        self.assertAlmostEqual(unknown / same, 1.0, delta=1e-4)
        self.assertNotAlmostEqual(unknown / other, 1.0, delta=1e-3)

    def test_one_pathway_and_i3d(self):
        for overrides, width in (
            (["MODEL.BACKBONE.SLOWFAST.FAST.ACTIVE", False], 2048),
            (["MODEL.BACKBONE.SLOWFAST.SLOW.ACTIVE", False], 256),
            (["MODEL.BACKBONE.CONV_BODY", "I3D-Resnet50"], 2048),
        ):
            cfg = small_cfg(*overrides, f"{IA}.DIM_IN", width)
            model = build(cfg)
            train_step(model, make_batch(cfg, (1, 1), (1, 1)))
            self.assertTrue(all(p.grad is not None for p in model.parameters()))

    def test_same_persons_in_another_order(self):
        cfg = small_cfg()
        model = build(cfg).eval()
        batch = make_batch(cfg, (2,), (1,))
        with torch.no_grad():
            scores = model(**batch)[0].get_field("scores")
            batch["boxes"] = [batch["boxes"][0][[1, 0]]]
            found = model(**batch)[0].get_field("scores")
        torch.testing.assert_close(found, scores[[1, 0]], rtol=1e-4, atol=1e-4)


class NumberFormatTest(unittest.TestCase):
    """Memory format and reduced precision change speed, not results."""

    def setUp(self):
        one_thread(self.addCleanup)

    def losses_and_gradients(self, model, batch, autocast=False):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            losses, _, pooled = model(**batch)
        for value in [*losses.values(), *(b.get_field("pooled_feature") for b in pooled)]:
            self.assertEqual(value.dtype, torch.float32)
        model.zero_grad()
        total_loss(model, losses).backward()
        total = torch.stack([p.grad.norm() for p in model.parameters()]).norm().item()
        return {name: loss.item() for name, loss in losses.items()}, total

    def test_channels_last_and_autocast(self):
        for overrides in ([], ["MODEL.BACKBONE.FROZEN_BN", False]):
            cfg = small_cfg(*overrides)
            model = build(cfg)
            model.roi_heads["action"].augment_proposals = False
            batch = make_batch(cfg, (2, 1), (1, 0))
            expected, norm = self.losses_and_gradients(model, batch)
            model = model.to(memory_format=torch.channels_last_3d)
            for key in ("slow", "fast"):
                batch[key] = batch[key].contiguous(memory_format=torch.channels_last_3d)
            for autocast, tolerance in ((False, 1e-3), (True, 0.1)):
                found, found_norm = self.losses_and_gradients(model, batch, autocast)
                for name, value in expected.items():
                    self.assertAlmostEqual(found[name] / value, 1.0, delta=tolerance, msg=name)
                self.assertAlmostEqual(found_norm / norm, 1.0, delta=5 * tolerance)

    def test_autocast_in_testing(self):
        cfg = small_cfg()
        model = build(cfg).eval()
        batch = make_batch(cfg, (2, 0), (1, 0))
        with torch.no_grad():
            expected = model(**batch)[0].get_field("scores")
            with torch.autocast("cpu", torch.bfloat16):
                found = model(**batch)[0].get_field("scores")
        self.assertEqual(found.dtype, torch.float32)
        torch.testing.assert_close(found, expected, rtol=0.1, atol=0.05)


if __name__ == "__main__":
    unittest.main()
