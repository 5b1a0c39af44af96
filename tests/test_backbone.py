"""Backbones: shapes, pathways, options, frozen and live batch norm."""

from __future__ import annotations

import unittest

import torch
from small_model import small_cfg

from alphaction.errors import UserError
from alphaction.modeling.backbone import build_backbone
from alphaction.modeling.backbone.common_blocks import FrozenBatchNorm, NonLocalBlock, NonLocalOptions, NormOptions
from alphaction.modeling.backbone.slowfast import SlowFast

SLOWFAST = "MODEL.BACKBONE.SLOWFAST"


def clips(slow_frames=4, alpha=4, size=32, channels=3):
    torch.manual_seed(0)
    return torch.randn(1, channels, slow_frames, size, size), torch.randn(1, channels, alpha * slow_frames, size, size)


class FrozenBatchNormTest(unittest.TestCase):
    def test_equals_live_norm_in_evaluation(self):
        live = torch.nn.BatchNorm3d(3, eps=1e-3)
        for tensor in (live.weight, live.bias, live.running_mean, live.running_var):
            torch.nn.init.uniform_(tensor, 0.5, 1.5)
        frozen = FrozenBatchNorm(3, eps=1e-3)
        frozen.load_state_dict({k: v for k, v in live.state_dict().items() if k != "num_batches_tracked"})
        x = torch.randn(2, 3, 2, 4, 4)
        torch.testing.assert_close(frozen.train()(x), live.eval()(x))
        self.assertEqual(list(frozen.parameters()), [])


class NonLocalTest(unittest.TestCase):
    def block(self, group=0, **kwargs):
        torch.manual_seed(0)
        return NonLocalBlock(8, NonLocalOptions(NormOptions(init_gain=1.0), init_std=0.5, **kwargs), group).eval()

    def test_groups_are_independent(self):
        block = self.block(group=4)
        x = torch.randn(1, 8, 8, 4, 4)
        changed = x.clone()
        changed[:, :, 4:] += 1
        with torch.no_grad():
            torch.testing.assert_close(block(x)[:, :, :4], block(changed)[:, :, :4])
            self.assertFalse(torch.allclose(block(x)[:, :, 4:], block(changed)[:, :, 4:]))
            alone = block(x[:, :, :4])
            torch.testing.assert_close(alone, block(x)[:, :, :4])

    def test_by_definition(self):
        x = torch.randn(2, 8, 2, 4, 4)
        for use_softmax, use_scale in ((True, True), (True, False), (False, True)):
            block = self.block(use_maxpool=False, use_softmax=use_softmax, use_scale=use_scale, use_norm=False)
            with torch.no_grad():
                theta, phi, g = (conv(x).flatten(2) for conv in (block.theta, block.phi, block.g))
                products = torch.einsum("ncp,ncq->npq", theta, phi)
                weights = torch.softmax(products * (0.5 if use_scale else 1), 2) if use_softmax else products / 32
                found = torch.einsum("npq,ncq->ncp", weights, g).reshape(2, 4, 2, 4, 4)
                torch.testing.assert_close(block(x), x + block.out(found), rtol=1e-4, atol=1e-5)


class SlowFastTest(unittest.TestCase):
    def test_feature_shapes(self):
        with torch.no_grad():
            slow, fast = build_backbone(small_cfg()).eval()(*clips(size=64))
        # The stem's pool has no padding: 64 -> 32 -> 15 -> 8 -> 4.
        self.assertEqual(slow.shape, (1, 2048, 4, 4, 4))
        self.assertEqual(fast.shape, (1, 256, 16, 4, 4))

    def test_one_pathway(self):
        slow_clip, fast_clip = clips()
        for active, channels in (("SLOW", 2048), ("FAST", 256)):
            off = {"SLOW": "FAST", "FAST": "SLOW"}[active]
            backbone = build_backbone(small_cfg(f"{SLOWFAST}.{off}.ACTIVE", False)).eval()
            self.assertEqual(backbone.out_channels, channels)
            self.assertFalse([name for name in backbone.state_dict() if "Tconv" in name])
            with torch.no_grad():
                slow, fast = backbone(slow_clip, None) if active == "SLOW" else backbone(None, fast_clip)
            self.assertIsNone(fast if active == "SLOW" else slow)
            self.assertEqual((slow if active == "SLOW" else fast).shape[1], channels)

    def test_fast_pathway_alone_equals_that_beside_a_slow_one(self):
        both = build_backbone(small_cfg()).eval()
        alone = build_backbone(small_cfg(f"{SLOWFAST}.SLOW.ACTIVE", False)).eval()
        alone.load_state_dict({k: v for k, v in both.state_dict().items()
                               if k.startswith("fast.") and "Tconv" not in k})
        with torch.no_grad():
            self.assertTrue(torch.equal(both(*clips())[1], alone(*clips())[1]))

    def test_room_for_other_shapes(self):
        """Constructor arguments that no configuration key uses yet."""
        norm = NormOptions(frozen=True)
        backbone = SlowFast(50, 4, 1 / 8, norm, NonLocalOptions(), in_channels=1, stem_pool_padding=1,
                            lateral_kernel_t=7, lateral_relu=True, res5_dilation=1).eval()
        self.assertEqual(backbone.fast.Tconv1.conv.weight.shape[2], 7)
        with torch.no_grad():
            slow, fast = backbone(*clips(size=64, channels=1))
        self.assertEqual((slow.shape[2:], fast.shape[2:]), ((4, 4, 4), (16, 4, 4)))

    def test_initial_gain(self):
        backbone = build_backbone(small_cfg("MODEL.BACKBONE.FROZEN_BN", False, "MODEL.BACKBONE.BN_INIT_GAMMA", 0.0))
        self.assertEqual(backbone.slow.res_nl3.res_1.btnk.conv3.bn.weight.abs().max(), 0)
        self.assertEqual(backbone.slow.res_nl3.res_1.btnk.conv2.bn.weight.min(), 1)
        self.assertEqual(backbone.fast.Tconv2.conv.bias.abs().max(), 0)

    def test_refused(self):
        for overrides, sentence in (([f"{SLOWFAST}.LATERAL", "maxpool"], "LATERAL is 'maxpool'"),
                                    (["MODEL.BACKBONE.CONV_BODY", "VGG"], "CONV_BODY is 'VGG'"),
                                    ([f"{SLOWFAST}.SLOW.ACTIVE", False, f"{SLOWFAST}.FAST.ACTIVE", False],
                                     "at least one pathway")):
            with self.assertRaisesRegex(UserError, sentence):
                build_backbone(small_cfg(*overrides))


class I3DTest(unittest.TestCase):
    def test_shapes(self):
        for body, frames in (("I3D-Resnet50", 2), ("I3D-Resnet50-Sparse", 4)):
            backbone = build_backbone(small_cfg("MODEL.BACKBONE.CONV_BODY", body)).eval()
            with torch.no_grad():
                slow, fast = backbone(None, clips()[1])
            self.assertIsNone(slow)
            self.assertEqual(fast.shape, (1, 2048, frames, 2, 2))
            self.assertEqual(backbone.out_channels, 2048)

    def test_temporal_kernels(self):
        with torch.device("meta"):
            backbone = build_backbone(small_cfg("MODEL.BACKBONE.CONV_BODY", "I3D-Resnet101"))
        stages = (backbone.res_nl1, backbone.res_nl2, backbone.res_nl3, backbone.res_nl4)
        kernels = [[block.btnk.conv1.conv.kernel_size[0] for name, block in stage.named_children() if "res" in name]
                   for stage in stages]
        self.assertEqual(kernels, [[3, 3, 3], [3, 1, 3, 1], [3, 1] * 11 + [3], [1, 3, 1]])


if __name__ == "__main__":
    unittest.main()
