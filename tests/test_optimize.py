"""The optimized form of a detector: the scores of the plain one, which stays as it is."""

from __future__ import annotations

import unittest
from unittest import mock

import torch
from small_model import make_batch, small_cfg
from torch import nn
from torch_settings import one_thread

from alphaction.dataset.transforms.clip_input import ClipInput
from alphaction.modeling import optimize
from alphaction.modeling.backbone import build_backbone
from alphaction.modeling.backbone.convolution import Conv3d
from alphaction.modeling.detector import build_detection_model
from alphaction.modeling.optimize import FusedConv3d, OptimizedBackbone, optimize_for_inference

SLOWFAST = "MODEL.BACKBONE.SLOWFAST"


def make_model(cfg) -> nn.Module:
    """A detector in evaluation mode whose batch norms change something."""
    torch.manual_seed(0)
    model = build_detection_model(cfg).eval()
    for module in model.modules():
        if hasattr(module, "running_var"):
            with torch.no_grad():
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    return model


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


class Optimized(unittest.TestCase):
    def setUp(self):
        one_thread(self.addCleanup)

    def features(self, model, batch) -> list[torch.Tensor]:
        with torch.no_grad():
            persons = model.pool_features(batch["slow"], batch["fast"], batch["boxes"]).persons
        return torch.cat([b.get_field("pooled_feature") for b in persons])

    def test_equal_scores_and_the_model_stays(self):
        cfg = small_cfg(f"{SLOWFAST}.SLOW.CONV3_NONLOCAL", True, "MODEL.NONLOCAL.BN_INIT_GAMMA", 1.0)
        batch = make_batch(cfg, size=(48, 32))
        for frozen in (True, False):
            cfg.MODEL.BACKBONE.FROZEN_BN = frozen
            model = make_model(cfg)
            before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            optimized = optimize_for_inference(model)
            with torch.no_grad():
                expected, found = (
                    torch.cat([b.get_field("scores") for b in m(*batch.values())]) for m in (model, optimized)
                )
            self.assertLess(difference(found, expected), 1e-4)
            self.assertLess(difference(self.features(optimized, batch), self.features(model, batch)), 1e-4)
            self.assertEqual(list(model.state_dict()), list(before))
            for name, tensor in model.state_dict().items():
                self.assertTrue(torch.equal(tensor, before[name]), name)
            self.assertTrue(all(parameter.requires_grad for parameter in model.parameters()))

    def test_without_fused_convolutions(self):
        cfg = small_cfg()
        model, batch = make_model(cfg), make_batch(cfg, size=(48, 32))
        with mock.patch.object(optimize, "_has_onednn", return_value=False):
            optimized = optimize_for_inference(model)
        self.assertFalse([m for m in optimized.modules() if isinstance(m, FusedConv3d)])
        self.assertFalse([m for m in optimized.backbone.modules() if isinstance(m, nn.BatchNorm3d)])
        self.assertLess(difference(self.features(optimized, batch), self.features(model, batch)), 1e-4)

    def test_gray_clips(self):
        cfg = small_cfg("INPUT.PIXEL_STD", [57.0, 58.0, 60.0], "INPUT.MIN_SIZE_TEST", 36, "INPUT.MAX_SIZE_TEST", 70)
        model, batch = make_model(cfg), make_batch(cfg, size=(54, 36))
        clip_input = ClipInput.from_cfg(cfg, is_train=False)  # pads 54 x 36 to 64 x 48
        for name in ("slow", "fast"):
            batch[name] = clip_input(torch.rand(2, 1, batch[name].shape[2], 12, 18))
        expected = self.features(model, batch)
        self.assertLess(difference(self.features(optimize_for_inference(model, gray=True), batch), expected), 1e-4)

    def test_bfloat16(self):
        cfg = small_cfg()
        model, batch = make_model(cfg), make_batch(cfg, size=(48, 32))
        found = self.features(optimize_for_inference(model, "bfloat16"), batch)
        self.assertEqual(found.dtype, torch.float32)
        self.assertLess(difference(found, self.features(model, batch)), 0.05)
        with self.assertRaisesRegex(ValueError, "precision is 'int8', expected one of float32, bfloat16"):
            optimize_for_inference(model, "int8")

    def test_clips_of_changing_size(self):
        conv = Conv3d(3, 4, (1, 3, 3), padding=(0, 1, 1)).eval().requires_grad_(False)
        fused = FusedConv3d(conv)
        for size in (4, 6, 8, 4):
            x = torch.randn(2, 3, 2, size, size)
            torch.testing.assert_close(fused(x, relu=True), conv(x, relu=True), rtol=1e-5, atol=1e-5)

    def test_a_failing_compiler_is_warned_of_once(self):
        backbone = build_backbone(small_cfg(f"{SLOWFAST}.FAST.ACTIVE", False)).eval()
        failing = mock.Mock(side_effect=RuntimeError("No working C++ compiler\nmore"))
        with mock.patch.object(torch, "compile", return_value=failing):
            compiled = OptimizedBackbone(backbone, torch.float32, compile=True)
        clip = torch.randn(1, 3, 2, 32, 32)
        with self.assertLogs(optimize.logger, "WARNING") as logs:
            slow, fast = compiled(clip, None)
            compiled(clip, None)
        self.assertEqual(len(logs.output), 1)
        self.assertIn("torch.compile failed (No working C++ compiler)", logs.output[0])
        failing.assert_called_once()
        self.assertIsNone(fast)
        with torch.no_grad():
            torch.testing.assert_close(slow, backbone(clip, None)[0])


if __name__ == "__main__":
    unittest.main()
