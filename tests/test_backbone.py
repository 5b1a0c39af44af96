"""Backbones: shapes, pathways, options, frozen and live batch norm."""

from __future__ import annotations

import unittest
from pathlib import Path

import torch
from small_model import small_cfg

from alphaction.checkpoints.weights import match_weights
from alphaction.config import load_cfg
from alphaction.config.validate import CONV_BODIES
from alphaction.dataset.transforms.clip_input import ClipInput
from alphaction.errors import UserError
from alphaction.modeling.backbone import build_backbone, slowfast_r50_4x16, slowfast_r101_8x8
from alphaction.modeling.backbone.common_blocks import (
    FrozenBatchNorm,
    NonLocalBlock,
    NonLocalOptions,
    NormOptions,
    StemOptions,
)

SLOWFAST = "MODEL.BACKBONE.SLOWFAST"
CONFIG_FILES = Path(__file__).parents[1] / "config_files"


def clips(slow_frames=4, alpha=4, size=32, channels=3):
    torch.manual_seed(0)
    return torch.randn(1, channels, slow_frames, size, size), torch.randn(1, channels, alpha * slow_frames, size, size)


class FrozenBatchNormTest(unittest.TestCase):
    def test_equals_live_norm_in_evaluation(self):
        torch.manual_seed(0)
        live = torch.nn.BatchNorm3d(3, eps=1e-3)
        for tensor in (live.weight, live.bias, live.running_mean, live.running_var):
            torch.nn.init.uniform_(tensor, 0.5, 1.5)
        frozen = FrozenBatchNorm(3, eps=1e-3)
        frozen.load_state_dict({k: v for k, v in live.state_dict().items() if k != "num_batches_tracked"})
        x = torch.randn(2, 3, 2, 4, 4)
        torch.testing.assert_close(frozen.train()(x), live.eval()(x), rtol=1e-5, atol=1e-5)
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
            torch.testing.assert_close(block(x)[:, :, :4], block(changed)[:, :, :4], rtol=1e-4, atol=1e-5)
            self.assertFalse(torch.allclose(block(x)[:, :, 4:], block(changed)[:, :, 4:]))
            alone = block(x[:, :, :4])
            torch.testing.assert_close(alone, block(x)[:, :, :4], rtol=1e-4, atol=1e-5)

    def test_by_definition(self):
        torch.manual_seed(1)
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

    def test_fast_pathway_does_not_depend_on_the_slow_one(self):
        both = build_backbone(small_cfg()).eval()
        alone = build_backbone(small_cfg(f"{SLOWFAST}.SLOW.ACTIVE", False)).eval()
        alone.load_state_dict(
            {k: v for k, v in both.state_dict().items() if k.startswith("fast.") and "Tconv" not in k}
        )
        with torch.no_grad():
            torch.testing.assert_close(alone(*clips())[1], both(*clips())[1], rtol=1e-4, atol=1e-5)

    def test_shapes_of_the_other_zoos(self):
        backbone = build_backbone(
            small_cfg(
                "MODEL.BACKBONE.STEM_POOL_PADDING",
                1,
                "MODEL.BACKBONE.RES5_DILATION",
                1,
                f"{SLOWFAST}.LATERAL_KERNEL",
                7,
                f"{SLOWFAST}.LATERAL_RELU",
                True,
            )
        ).eval()
        self.assertEqual(backbone.fast.Tconv1.conv.weight.shape[2], 7)
        self.assertEqual(backbone.slow.res_nl4.res_1.btnk.conv2.conv.dilation, (1, 1, 1))
        with torch.no_grad():
            laterals = backbone.fast.Tconv1(torch.randn(1, 8, 16, 4, 4))
            slow, fast = backbone(*clips(size=65))
        self.assertEqual(laterals.min(), 0)
        # With padding the stem's pool rounds up: 65 -> 33 -> 17 -> 9 -> 5; without: 65 -> 33 -> 16 -> 8 -> 4.
        self.assertEqual((slow.shape[2:], fast.shape[2:]), ((4, 5, 5), (16, 5, 5)))

    def test_every_body_of_the_table(self):
        blocks = {"20": (1, 2, 2, 1), "50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}
        for body in CONV_BODIES:
            with torch.device("meta"):
                backbone = build_backbone(small_cfg("MODEL.BACKBONE.CONV_BODY", body))
            pathway = backbone.slow if body.startswith("Slowfast") else backbone
            found = tuple(
                sum("res_" in name for name, _ in getattr(pathway, f"res_nl{i}").named_children()) for i in range(1, 5)
            )
            self.assertEqual(found, blocks[body.removesuffix("-Sparse").split("Resnet")[1]], body)

    def test_named_variants(self):
        """They are the networks of the configurations with those names."""
        for variant, file in (
            (slowfast_r50_4x16, "resnet50_4x16f_baseline.yaml"),
            (slowfast_r101_8x8, "resnet101_8x8f_baseline.yaml"),
        ):
            cfg = load_cfg(str(CONFIG_FILES / file), ["MODEL.BACKBONE.FROZEN_BN", False])
            with torch.device("meta"):
                expected, found = build_backbone(cfg), variant()
            self.assertEqual(str(found), str(expected))
            self.assertEqual(list(found.state_dict()), list(expected.state_dict()))
            self.assertEqual((found.out_channels, found.settings), (2304, {}))

    def test_native(self):
        """Narrow and without the first strides: whole frames of any sensor, one feature cell for 4 x 4 pixels."""
        native = [
            "MODEL.BACKBONE.CONV_BODY", "Slowfast-Resnet20", "MODEL.BACKBONE.WIDTH", 0.125,
            "MODEL.BACKBONE.STAGE_WIDTHS", (256, 512, 1024, 1024), "MODEL.BACKBONE.STEM_KERNEL", 5,
            "MODEL.BACKBONE.STEM_POOL", False, "MODEL.BACKBONE.STAGE_STRIDES", (1, 2, 1, 1),
            "MODEL.BACKBONE.SLOWFAST.BETA", 0.5, "INPUT.CLIP_CHANNELS", ("relative", "motion"),
        ]  # fmt: skip
        backbone = build_backbone(small_cfg(*native))
        self.assertEqual((backbone.stride, backbone.out_channels), (4, 128 + 64))
        self.assertEqual(backbone.slow.conv1.weight.shape, (8, 2, 1, 5, 5))
        self.assertEqual(backbone.fast.conv1.weight.shape, (4, 2, 5, 5, 5))
        for size in ((8, 8), (24, 32), (40, 60), (120, 160)):
            slow, fast = backbone(torch.randn(1, 2, 1, *size), torch.randn(1, 2, 4, *size))
            cells = tuple(side // 4 for side in size)
            self.assertEqual((slow.shape[1:], fast.shape[1:]), ((128, 1, *cells), (64, 4, *cells)))

    def test_settings(self):
        settings = build_backbone(small_cfg("MODEL.BACKBONE.CONV_BODY", "I3D-Resnet50")).settings
        self.assertEqual((settings["MODEL.BACKBONE.CONV_BODY"], settings["INPUT.TAU"]), ("I3D-Resnet50", 16))

    def test_initial_gain(self):
        backbone = build_backbone(small_cfg("MODEL.BACKBONE.FROZEN_BN", False, "MODEL.BACKBONE.BN_INIT_GAMMA", 0.0))
        self.assertEqual(backbone.slow.res_nl3.res_1.btnk.conv3.bn.weight.abs().max(), 0)
        self.assertEqual(backbone.slow.res_nl3.res_1.btnk.conv2.bn.weight.min(), 1)
        self.assertEqual(backbone.fast.Tconv2.conv.bias.abs().max(), 0)

    def test_refused(self):
        for overrides, sentence in (
            ([f"{SLOWFAST}.LATERAL", "maxpool"], "LATERAL is 'maxpool'"),
            (["MODEL.BACKBONE.CONV_BODY", "VGG"], "CONV_BODY is 'VGG'"),
            (["MODEL.BACKBONE.CONV_BODY", "Slowfast-Resnet50-Sparse"], "CONV_BODY is"),
            (["MODEL.BACKBONE.STEM_POOL_PADDING", 2], "PADDING is 2, expected 0 or 1"),
            (["MODEL.BACKBONE.RES5_DILATION", 0], "RES5_DILATION is 0"),
            ([f"{SLOWFAST}.LATERAL_KERNEL", 4], "LATERAL_KERNEL is 4, expected an odd number"),
            ([f"{SLOWFAST}.SLOW.ACTIVE", False, f"{SLOWFAST}.FAST.ACTIVE", False], "at least one pathway"),
        ):
            with self.assertRaisesRegex(UserError, sentence):
                build_backbone(small_cfg(*overrides))


class OneChannelTest(unittest.TestCase):
    """A one-channel stem gives the same features for thermal clips as an RGB stem for three equal channels."""

    MEAN, STD = (127.5, 25.5, 63.75), (63.75, 51.0, 42.5)  # 255 / std and mean / std are exact in float32

    def pair(self, mean, std, body="Slowfast-Resnet50", size=(52, 60)):
        """Features (RGB, one channel) of the same two clips, and the one-channel model and its report."""
        keys = [
            "INPUT.PIXEL_MEAN",
            list(mean),
            "INPUT.PIXEL_STD",
            list(std),
            "MODEL.BACKBONE.CONV_BODY",
            body,
            "INPUT.MIN_SIZE_TEST",
            size[0],
            "INPUT.MAX_SIZE_TEST",
            200,
            "MODEL.BACKBONE.BN_INIT_GAMMA",
            1.0,
        ]
        torch.manual_seed(1)
        clips = [torch.rand(2, 1, frames, 13, 15, dtype=torch.float64) for frames in (2, 8)]
        clips[0][0, :, :, :4], clips[1][0, :, :, :4] = 0, 0  # the lowest temperature of a clip is not taken for padding
        models, features = [], []
        for channels in (3, 1):
            cfg = small_cfg(*keys, "INPUT.CHANNELS", channels)
            model = torch.nn.ModuleDict({"backbone": build_backbone(cfg)}).double().eval()
            if models:
                values, report = match_weights(model, models[0].state_dict(), "an RGB model")
                model.load_state_dict(values, strict=False)
            clip_input = ClipInput.from_cfg(cfg, is_train=False).double()
            with torch.no_grad():
                inputs = [clip_input(clip) for clip in clips]
                features.append([f for f in model["backbone"](*inputs) if f is not None])
            self.assertEqual(inputs[0].shape[1], channels)
            models.append(model)
        return features, models[1], report

    def assert_equal_features(self, features):
        for rgb, gray in zip(*features, strict=True):
            self.assertLess(float((rgb - gray).abs().max() / rgb.abs().max()), 1e-10)

    def test_equal_to_rgb_with_any_normalization(self):
        # 13x15 becomes 52x60, which is padded to 64x64: the clip ends before the network's input does.
        for body in ("Slowfast-Resnet50", "I3D-Resnet50"):
            features, model, report = self.pair(self.MEAN, self.STD, body)
            self.assert_equal_features(features)
            constants = [name for name in report.summed if name.endswith("conv1.constant")]
            self.assertEqual(len(constants), 2 if body.startswith("Slow") else 1)
            self.assertGreater(min(float(model.get_buffer(name).abs().max()) for name in constants), 0.01)

    def test_same_mean_and_std_need_no_constant(self):
        features, model, report = self.pair((110.0,) * 3, (57.375,) * 3)
        self.assert_equal_features(features)
        self.assertEqual([name for name in model.state_dict() if "constant" in name], [])
        self.assertEqual(report.summed, ["backbone.slow.conv1.weight", "backbone.fast.conv1.weight"])
        self.assertIn("2 of them summed over RGB", str(report))

    def test_weights_of_a_one_channel_model(self):
        _, model, _ = self.pair(self.MEAN, self.STD)
        other = torch.nn.ModuleDict(
            {
                "backbone": build_backbone(
                    small_cfg(
                        "INPUT.PIXEL_MEAN", list(self.MEAN), "INPUT.PIXEL_STD", list(self.STD), "INPUT.CHANNELS", 1
                    )
                )
            }
        ).double()
        values, report = match_weights(other, model.state_dict(), "own")
        other.load_state_dict(values, strict=False)
        self.assertEqual(report.summed, [])
        for name, value in other.state_dict().items():
            self.assertTrue(torch.equal(value, model.state_dict()[name]), name)

    def test_other_channels_or_normalization_are_refused(self):
        _, model, _ = self.pair(self.MEAN, self.STD)
        for keys, sentence in (
            ((), r"conv1.weight of shape \[64, 1, 1, 7, 7\].*set INPUT.CHANNELS 1"),
            (("INPUT.CHANNELS", 1, "INPUT.PIXEL_MEAN", [1.0, 1.0, 1.0]), "conv1.constant.*INPUT.PIXEL_MEAN"),
        ):
            other = torch.nn.ModuleDict({"backbone": build_backbone(small_cfg(*keys))})
            with self.assertRaisesRegex(UserError, sentence):
                match_weights(other, model.state_dict(), "a thermal model")

    def test_gradients_reach_the_weights_only(self):
        conv = StemOptions(1, (1.0, 1.0, 1.0), (0.1, 0.0, 0.0)).make_conv(4, 3)
        conv(torch.randn(1, 1, 3, 8, 8)).square().sum().backward()
        self.assertGreater(float(conv.weight.grad.abs().sum()), 0)
        self.assertEqual([name for name, _ in conv.named_parameters()], ["weight"])


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
        kernels = [
            [block.btnk.conv1.conv.kernel_size[0] for name, block in stage.named_children() if "res" in name]
            for stage in stages
        ]
        self.assertEqual(kernels, [[3, 3, 3], [3, 1, 3, 1], [3, 1] * 11 + [3], [1, 3, 1]])


if __name__ == "__main__":
    unittest.main()
