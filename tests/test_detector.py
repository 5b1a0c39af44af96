"""The whole model on small inputs: training steps, missing persons, number formats, every shipped configuration."""

from __future__ import annotations

import unittest
from pathlib import Path
from unittest import mock

import torch
from small_model import make_batch, small_cfg, total_loss
from torch_settings import one_thread

from alphaction.annotations.class_settings import resolve_classes
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
    """One step with dropout gives the same result with and without anomaly detection."""

    def setUp(self):
        one_thread(self.addCleanup)

    def test_one_step(self):
        for name, cfg in self.different_models().items():
            with self.subTest(config=name):
                plain, checked = (self._step(cfg, anomaly) for anomaly in (False, True))
                self.assertEqual(plain.keys(), checked.keys())
                for name, value in plain.items():
                    difference = (value - checked[name]).abs().max().item() if value.numel() else 0.0
                    self.assertLessEqual(difference, 1e-4 * max(1.0, value.abs().max().item()), name)

    @staticmethod
    def different_models() -> dict:
        """A shipped configuration for each pair of body and interaction structure."""
        models = {}
        for file in CONFIG_FILES:
            trains_all = ["SOLVER.BACKBONE_LR_FACTOR", 1, "SOLVER.HEAD_LR_FACTOR", 1]
            cfg = resolve_classes(load_cfg(str(file), ["MODEL.WEIGHT", "", *trains_all]))
            ia = cfg.MODEL.IA_STRUCTURE
            models.setdefault((cfg.MODEL.BACKBONE.CONV_BODY, ia.ACTIVE and ia.STRUCTURE), (file.name, cfg))
        return dict(models.values())

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
            **{name: value.detach() for name, value in model.named_parameters()},
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
                    # Distributed training needs a gradient of every parameter.
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
                    pooled = model.pool_features(batch["slow"], batch["fast"], batch["boxes"], batch["objects"])
                    two_stage = model.score(*pooled, batch["extras"], batch["memory"])
                for first, second, count in zip(results, two_stage, persons, strict=True):
                    self.assertEqual(first.get_field("scores").shape, (count, 6))
                    torch.testing.assert_close(
                        first.get_field("scores"), second.get_field("scores"), rtol=1e-4, atol=1e-5
                    )
                    self.assertFalse(second.has_field("pooled_feature"))

    def test_a_clip_without_persons_does_not_change_other_clips(self):
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

    def test_dropout_leaves_what_the_backward_pass_needs(self):
        """The classifier's dropout follows a ReLU, whose gradient is computed from its output."""
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
            model.head.predictor.register_forward_pre_hook(
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
            first = model.pool_features(batch["slow"], batch["fast"], batch["boxes"]).persons
            model.head.extend_scale = 0.0
            second = model.pool_features(batch["slow"], batch["fast"], batch["boxes"]).persons
        self.assertEqual(first[0].bbox.tolist(), second[0].bbox.tolist())
        self.assertFalse(torch.allclose(first[0].get_field("pooled_feature"), second[0].get_field("pooled_feature")))

    def test_memory_and_objects(self):
        self.assertTrue(build(small_cfg()).has_memory and build(small_cfg()).has_objects)
        model = build(small_cfg(f"{IA}.I_BLOCK_LIST", ["P"]))
        self.assertFalse(model.has_memory or model.has_objects)
        model = build(small_cfg(f"{IA}.ACTIVE", False))
        self.assertFalse(model.has_memory or model.has_objects)

    def test_first_iteration_is_not_penalised(self):
        cfg = small_cfg(f"{IA}.I_BLOCK_LIST", ["M"], f"{IA}.MAX_PER_SEC", 3)
        model = build(cfg)
        model.head.augment_proposals = False
        batch = make_batch(cfg)
        with torch.no_grad():
            unknown, same, other = (
                total_loss(model, model(**batch, current_loss=loss)[0]).item() for loss in (None, 2.0, 50.0)
            )
        self.assertAlmostEqual(unknown / same, 1.0, delta=1e-5)
        self.assertNotAlmostEqual(unknown / other, 1.0, delta=1e-4)

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


class CallTest(unittest.TestCase):
    """``forward`` is ``forward_train``, ``pool_features`` and ``score`` under AlphAction's signature."""

    def setUp(self):
        one_thread(self.addCleanup)

    def test_training(self):
        cfg = small_cfg()
        model, batch = build(cfg), make_batch(cfg, (1,), (1,), size=(64, 48))
        outputs = []
        for call in (model, model.forward_train):
            torch.manual_seed(5)
            outputs.append(call(**batch, current_loss=3.0))
        (losses, metrics, pooled), named = outputs
        self.assertEqual(losses, named.losses)
        self.assertEqual(metrics, named.metrics)
        feature = pooled[0].get_field("pooled_feature")
        self.assertTrue(torch.equal(feature, named.pooled[0].get_field("pooled_feature")))

    def test_testing(self):
        cfg = small_cfg()
        model, batch = build(cfg).eval(), make_batch(cfg, (2,), (1,), size=(64, 48))
        clips, boxes, objects = (batch["slow"], batch["fast"]), batch["boxes"], batch["objects"]
        rest = batch["extras"], batch["memory"]
        with torch.no_grad():
            everything = model(*clips, boxes, objects, *rest)
            persons, found_objects = model(*clips, boxes, objects, part_forward=0)
            named = model.pool_features(*clips, boxes, objects)
            second = model(None, None, persons, found_objects, *rest, part_forward=1)
            scored = model.score(named.persons, named.objects, *rest)
        for name, one, other in (
            ("pooled_feature", persons, named.persons),
            ("pooled_feature", found_objects, named.objects),
            ("scores", everything, second),
            ("scores", everything, scored),
        ):
            self.assertTrue(torch.equal(one[0].get_field(name), other[0].get_field(name)), name)

    def test_missing_clip(self):
        model = build(small_cfg()).eval()
        with self.assertRaisesRegex(ValueError, "the clip of a SlowFast pathway is None"):
            model.pool_features(None, None, [])


class OverfullTest(unittest.TestCase):
    """More persons than MAX_PERSON 4, objects than MAX_OBJECT 2 and remembered persons than MAX_PER_SEC 2."""

    def setUp(self):
        one_thread(self.addCleanup)
        cfg = small_cfg()
        self.model = build(cfg).eval()
        self.batch = make_batch(cfg, (7, 6, 5), (5, 4, 3), size=(64, 48))
        for boxes in self.batch["boxes"] + self.batch["objects"]:
            generator = torch.Generator().manual_seed(len(boxes))
            boxes.add_field("pooled_feature", torch.rand(len(boxes), 2304, 1, 1, 1, generator=generator))

    def scores(self, clips=(0, 1, 2), seed=0) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        persons, objects, extras = ([self.batch[key][k] for k in clips] for key in ("boxes", "objects", "extras"))
        with torch.no_grad():
            results = self.model.score(persons, objects, extras, self.batch["memory"])
        return [result.get_field("scores") for result in results]

    def test_evaluations_are_equal(self):
        """Nothing is drawn from the global generator, and its state does not matter."""
        first, second = self.scores(seed=1), self.scores(seed=2)
        state = torch.get_rng_state()
        torch.manual_seed(2)
        self.assertTrue(torch.equal(torch.get_rng_state(), state))
        for one, other in zip(first, second, strict=True):
            self.assertTrue(torch.equal(one, other))

    def test_results_do_not_depend_on_the_batch(self):
        together = self.scores()
        for clips in ((0,), (1,), (2, 0)):
            for clip, found in zip(clips, self.scores(clips), strict=True):
                torch.testing.assert_close(found, together[clip], rtol=1e-5, atol=1e-7)

    def test_subsets_differ_between_keyframes(self):
        """The same features get other scores for another keyframe, whose subset is another one."""
        extras = self.batch["extras"]
        before = self.scores((0,))[0]
        extras[0] = {**extras[0], "movie_id": "another"}
        with mock.patch.object(self.batch["memory"], "lookup", return_value=[]):
            other = self.scores((0,))[0]
            extras[0] = {**extras[0], "movie_id": "m"}
            same = self.scores((0,))[0]
        self.assertFalse(torch.allclose(other, same, rtol=1e-4, atol=1e-6))
        self.assertFalse(torch.allclose(before, same, rtol=1e-4, atol=1e-6))

    def test_training_draws_from_the_global_generator(self):
        self.model.train()
        for module in self.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        first, again, other = (self.scores(seed=seed)[0] for seed in (1, 1, 2))
        self.assertTrue(torch.equal(first, again))
        self.assertFalse(torch.allclose(first, other, rtol=1e-4, atol=1e-6))


class DoubleTest(unittest.TestCase):
    """A model in float64 computes in float64 throughout, and agrees with float32."""

    CASES = (
        [],
        [
            f"{IA}.STRUCTURE",
            "parallel",
            f"{IA}.I_BLOCK_LIST",
            [["P", "O", "M"]] * 2,
            "MODEL.ROI_ACTION_HEAD.POOLER_TYPE",
            "pooling3d",
            "MODEL.ROI_ACTION_HEAD.MEAN_BEFORE_POOLER",
            False,
            "MODEL.BACKBONE.SLOWFAST.SLOW.CONV3_NONLOCAL",
            True,
        ],
    )

    def test_forward_and_backward(self):
        for overrides in self.CASES:
            cfg = small_cfg("MODEL.ROI_ACTION_HEAD.DROPOUT_RATE", 0.0, *overrides)
            model, batch = build(cfg), make_batch(cfg, (2, 1), (1, 1), size=(64, 48))
            model.head.augment_proposals = False
            single = self.run_model(model, batch, torch.float32)
            double = self.run_model(model.double(), batch, torch.float64)
            for name, value in double.items():
                self.assertEqual(value.dtype, torch.float64, name)
                self.assertTrue(value.isfinite().all(), name)
            # Gradients of saturated attention underflow in float32; they are compared in test_reference_values.
            for name in [name for name in double if name.startswith("loss") or name == "scores"]:
                torch.testing.assert_close(single[name].double(), double[name], rtol=1e-2, atol=1e-3, msg=name)

    def run_model(self, model, batch: dict, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        batch = {**batch, "slow": batch["slow"].to(dtype), "fast": batch["fast"].to(dtype)}
        torch.manual_seed(0)
        model.train()
        losses, metrics, pooled = model.forward_train(**batch, current_loss=3.0)
        model.zero_grad()
        total_loss(model, losses).backward()
        found = {**losses, **metrics, "pooled": pooled[0].get_field("pooled_feature")}
        gradients = [p.grad.norm() for p in model.parameters()]
        self.assertEqual({g.dtype for g in gradients}, {dtype})
        with torch.no_grad():
            found["scores"] = model.eval()(**batch)[0].get_field("scores")
        return {name: value.detach() for name, value in found.items()} | {"gradients": torch.stack(gradients)}


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
            model.head.augment_proposals = False
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


class InPlaceTest(unittest.TestCase):
    def test_no_module_works_in_place(self):
        """But for the one function whose tensors autograd does not keep (tests/test_convolution.py)."""
        for file in (Path(__file__).parents[1] / "alphaction").rglob("*.py"):
            if file.parts[-3:] == ("modeling", "backbone", "convolution.py"):
                continue
            self.assertNotIn("inplace=True", file.read_text(), file)


if __name__ == "__main__":
    unittest.main()
