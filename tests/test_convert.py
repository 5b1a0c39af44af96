"""Weights of the other model zoos: every entry finds its place, and the features are the source's."""

from __future__ import annotations

import contextlib
import io
import shlex
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import torch
import zoo_files
from small_model import small_cfg
from tool_scripts import load_tool
from torch import nn

from alphaction.checkpoints.checkpoint_file import read_checkpoint
from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.checkpoints.convert import ALPHAS, convert, convert_file
from alphaction.checkpoints.model_zoo import CHECKPOINTS
from alphaction.config import get_cfg, load_cfg
from alphaction.engine.launch import argument_parser, configure
from alphaction.errors import UserError
from alphaction.modeling.backbone import build_backbone

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorchvideo.models.hub import slowfast as hub
except ImportError:
    hub = None
needs_pytorchvideo = unittest.skipIf(hub is None, "pytorchvideo is not installed (pip install .[zoo])")
MODEL = "MODEL.BACKBONE."
# What the zoos' SlowFast models do at the points in which they differ.
TABLE_KEYS = (
    MODEL + "STEM_POOL_PADDING",
    MODEL + "SLOWFAST.LATERAL_RELU",
    MODEL + "RES5_DILATION",
    "INPUT.SLOW_SAMPLING",
    "INPUT.PIXEL_MEAN",
    "INPUT.PIXEL_STD",
)
TABLE = {"MMAction2": (1, False, 1, "first", [123.675, 116.28, 103.53], [58.395, 57.12, 57.375])}
TABLE |= {
    zoo: (1, True, 2, "linspace", [0.45 * 255] * 3, [0.225 * 255] * 3) for zoo in zoo_files.ZOOS if zoo != "MMAction2"
}


def on_meta(shapes):
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def own_backbone(result, *changes):
    """Our backbone for converted weights, in double precision, with the settings of the conversion and ``changes``."""
    cfg = get_cfg()
    cfg.merge_from_list([word for item in result.settings.items() for word in item])
    cfg.merge_from_list(["INPUT.ALPHA", 4, *changes])
    backbone = build_backbone(cfg).double().eval()
    backbone.load_state_dict({name.removeprefix("backbone."): value for name, value in result.weights.items()})
    return backbone


class Names(unittest.TestCase):
    def test_every_entry_of_every_zoo(self):
        for zoo in zoo_files.ZOOS:
            for depth, kernel, res4, written in (
                (50, 5, 99, 538),
                (50, 7, 99, 538),
                (101, 5, 99, 1048),
                (101, 5, 6, 1048),
            ):
                with self.subTest(zoo, depth=depth, kernel=kernel, res4=res4):
                    entries = zoo_files.entries(zoo, depth, kernel, res4)
                    result = convert(on_meta(entries), "some.pth", "8x8")
                    self.assertEqual((result.zoo, result.read, len(result.weights)), (zoo, len(entries), written))
                    self.assertEqual(result.settings[MODEL + "CONV_BODY"], f"Slowfast-Resnet{depth}")
                    self.assertEqual(result.settings[MODEL + "SLOWFAST.LATERAL_KERNEL"], kernel)
                    self.assertEqual(
                        (len(result.folded), len(result.unbiased)), (0, 4) if zoo == "MMAction2" else (4, 0)
                    )
                    self.assertEqual(len(result.padded), 2 * 17 if res4 == 6 else 0)
                    self.assertEqual((result.head, result.counters), ([], []))

    def test_settings_of_the_table(self):
        for zoo, row in TABLE.items():
            settings = convert(on_meta(zoo_files.entries(zoo)), "some.pth", "4x16").settings
            self.assertEqual(tuple(settings[key] for key in TABLE_KEYS), row, zoo)
            self.assertEqual(
                [settings[f"INPUT.{key}"] for key in ("FRAME_NUM", "FRAME_SAMPLE_RATE", "TAU", "ALPHA")], [64, 1, 16, 8]
            )

    def test_settings_go_with_every_shipped_configuration(self):
        files = sorted((Path(__file__).parents[1] / "config_files").glob("*.yaml"))
        files = [file for file in files if load_cfg(str(file)).MODEL.TASK == "actions"]
        self.assertTrue(files)
        for zoo in zoo_files.ZOOS:
            for frames in (None, *ALPHAS):
                settings = convert(on_meta(zoo_files.entries(zoo)), "some.pth", frames).settings
                for file in files:
                    with self.subTest(zoo, frames=frames, file=file.name):
                        cfg = load_cfg(str(file), [word for item in settings.items() for word in item])
                        self.assertEqual(cfg.INPUT.SLOW_JITTER, zoo == "MMAction2")

    def test_the_same_layer_has_the_same_place_whatever_the_zoo_calls_it(self):
        reference = None
        for zoo in ("PyTorchVideo", "PySlowFast", "PySlowFast (Caffe2)"):
            entries = zoo_files.entries(zoo)
            weights = {name: torch.full(shape, float(i)) for i, (name, shape) in enumerate(entries.items())}
            found = {name: float(value.flatten()[0]) for name, value in convert(weights, zoo, "4x16").weights.items()}
            reference = reference or found
            self.assertEqual(found, reference)
        # MMAction2 has no norms after the laterals, which come last; the others are in the same order.
        entries = zoo_files.entries("MMAction2")
        weights = {name: torch.full(shape, float(i)) for i, (name, shape) in enumerate(entries.items())}
        for name, value in convert(weights, "some.pth", "4x16").weights.items():
            if "Tconv" not in name:
                self.assertEqual(float(value.flatten()[0]), reference[name], name)
            elif name.endswith("bias"):
                self.assertEqual(float(value.abs().max()), 0)

    @needs_pytorchvideo
    def test_our_list_of_pytorchvideos_names_is_theirs(self):
        for make, args in (
            (hub.slowfast_r50, (50, 7)),
            (hub.slowfast_r101, (101, 5)),
            (hub.slowfast_16x8_r101_50_50, (101, 5, 6)),
        ):
            with torch.device("meta"):
                state = make().state_dict()
            theirs = {
                name: tuple(value.shape)
                for name, value in state.items()
                if not name.startswith("blocks.6.") and "num_batches" not in name
            }
            self.assertEqual(theirs, zoo_files.entries("PyTorchVideo", *args))

    def test_heads_counters_and_prefixes_are_left_out_by_name(self):
        for zoo, heads in (
            ("MMAction2", ["cls_head.fc_cls.weight", "roi_head.bbox_head.fc_cls.bias"]),
            ("PySlowFast", ["head.projection.weight"]),
            ("PySlowFast (Caffe2)", ["pred_w", "pred_b"]),
            ("PyTorchVideo", ["blocks.6.proj.weight"]),
        ):
            weights = on_meta({**zoo_files.entries(zoo), **dict.fromkeys(heads, (400, 2304))})
            counter = next(iter(weights)).replace("weight", "num_batches_tracked")
            if zoo != "PySlowFast (Caffe2)":
                weights[counter] = torch.empty((), device="meta")
            for prefix in ("", "module."):
                result = convert({prefix + name: value for name, value in weights.items()}, "some.pth", "4x16")
                self.assertEqual(result.head, heads)
                self.assertEqual(len(result.counters), int(zoo != "PySlowFast (Caffe2)"))
        detection = {f"model.{name}": value for name, value in on_meta(zoo_files.entries("PyTorchVideo")).items()}
        result = convert({**detection, "detection_head.proj.weight": torch.empty(80, 2304)}, "some.pyth", "8x8")
        self.assertEqual((result.zoo, result.head), ("PyTorchVideo", ["detection_head.proj.weight"]))

    def test_frames_from_the_files_name_or_the_option(self):
        weights = on_meta(zoo_files.entries("PySlowFast"))
        for name, option, frames in (
            ("SLOWFAST_4x16_R50.pkl", None, (64, 16, 8)),
            ("SLOWFAST_32x2_R101_50_50.pkl", None, (64, 8, 4)),
            ("SLOWFAST_64x2_R101_50_50.pkl", None, (128, 8, 4)),
            ("a_4x16.pth", "8x8", (64, 8, 4)),
            ("slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb_20220818-1cb6dfc8.pth", None, (64, 8, 4)),
            ("slowfast_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb_20220906.pth", None, (64, 16, 8)),
        ):
            settings = convert(weights, f"8x8/{name}", option).settings
            self.assertEqual(tuple(settings[f"INPUT.{key}"] for key in ("FRAME_NUM", "TAU", "ALPHA")), frames, name)
        result = convert(weights, "slowfast.pth")
        self.assertNotIn("INPUT.TAU", result.settings)
        self.assertIn("give --frames", str(result))

    def test_our_own_names(self):
        with torch.device("meta"):
            state = build_backbone(small_cfg("INPUT.ALPHA", 8)).state_dict()
        weights = {f"module.backbone.{name}": value for name, value in state.items()}
        weights["module.roi_heads.action.predictor.cls_score.bias"] = torch.empty(3, device="meta")
        result = convert(weights, "resnet50_4x16f_baseline.pth")
        self.assertEqual((result.zoo, len(result.weights), len(result.head)), ("AlphAction", 538, 1))
        self.assertEqual(result.settings["INPUT.PIXEL_MEAN"], get_cfg().INPUT.PIXEL_MEAN)
        self.assertEqual(result.settings["INPUT.ALPHA"], 8)

    def test_the_document_lists_every_checkpoint_and_setting(self):
        text = (Path(__file__).resolve().parents[1] / "docs" / "model_zoo.md").read_text(encoding="utf-8")
        for entry in CHECKPOINTS:
            self.assertIn(f"| `{entry.name}` | {entry.model} | {entry.data} | {entry.score}", text)
        for key in TABLE_KEYS:
            self.assertIn(f"| `{key}` |", text)

    def test_refusals_name_an_entry(self):
        entries = zoo_files.entries("PySlowFast")
        stem, attention = "s1.pathway0_stem.conv.weight", "s4.pathway0_nonlocal6.conv_theta.weight"

        def without(part):
            return {name: shape for name, shape in entries.items() if part not in name}

        for weights, words in (
            ({**entries, "s2.pathway0_se.weight": (1,)}, ("1 entries", "s2.pathway0_se.weight")),
            ({**entries, attention: (512, 1024, 1, 1, 1)}, ("1 entries", attention)),
            (
                {**zoo_files.entries("PySlowFast (Caffe2)"), "nonlocal_conv4_1_g_w": (512, 1024, 1, 1, 1)},
                ("1 entries", "nonlocal_conv4_1_g_w"),
            ),
            (without("s5.pathway1_res2"), ("no value for 15",)),
            (without("s3_fuse.bn.running_var"), ("no place for", "Tconv3.bn")),
            (without("s4.pathway0_res5"), ("(3, 4, 5, 3)",)),
            ({**entries, stem: (64, 3, 3, 7, 7)}, ("[64, 3, 3, 7, 7]", "[64, 3, 1, 7, 7]")),
            ({"fc.weight": (3, 3)}, ("none of the names", "fc.weight")),
            ({}, ("none of the names",)),
        ):
            with self.subTest(words), self.assertRaises(UserError) as caught:
                convert(on_meta(weights), "x.pth", "4x16")
            for word in ("x.pth", "nothing was converted", *words):
                self.assertIn(word, str(caught.exception))
        lateral_norm = {**zoo_files.entries("MMAction2"), "backbone.slow_path.conv1_lateral.bn.weight": (16,)}
        with self.assertRaisesRegex(UserError, "conv1_lateral.bn.weight"):
            convert(on_meta(lateral_norm), "x.pth", "4x16")


@needs_pytorchvideo
class Features(unittest.TestCase):
    """Random weights and running statistics in double precision: ours against PyTorchVideo's own modules."""

    def source(self, make):
        torch.manual_seed(0)
        model = make().double().eval()
        for name, value in model.state_dict().items():
            if value.dim() == 1 and "proj" not in name:
                value.copy_(
                    0.5 + torch.rand_like(value)
                    if "running_var" in name or "weight" in name
                    else 0.3 * torch.randn_like(value)
                )
        return model

    def features(self, blocks, size=64):
        torch.manual_seed(1)
        slow, fast = (torch.randn(1, 3, frames, size, size, dtype=torch.float64) for frames in (2, 8))
        with torch.no_grad():
            found = [slow, fast]
            for block in blocks[:5]:
                found = block(found)
        return slow, fast, found

    def relative(self, found, wanted):
        return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, wanted, strict=True))

    def compare(self, model, blocks, weights, *off):
        """Ours with the converted settings, and with each of ``off`` (key, value) changed."""
        result = convert(weights, "x_8x8.pyth")
        self.assertEqual((result.read, len(result.weights)), (len(zoo_files.entries(result.zoo)), 538))
        slow, fast, wanted = self.features(blocks)
        with torch.no_grad():
            self.assertLess(self.relative(own_backbone(result)(slow, fast), wanted), 1e-11)
            for change in off:
                self.assertGreater(self.relative(own_backbone(result, *change)(slow, fast), wanted), 0.05, change)

    def test_slowfast_r50_detection(self):
        model = self.source(hub.slowfast_r50_detection)
        self.compare(
            model,
            model.model.blocks,
            model.state_dict(),
            (MODEL + "STEM_POOL_PADDING", 0),
            (MODEL + "SLOWFAST.LATERAL_RELU", False),
            (MODEL + "RES5_DILATION", 1),
        )

    def test_slowfast_r50_with_res5_as_detection_has_it(self):
        model = self.source(hub.slowfast_r50)
        for module in model.blocks[4].modules():  # classification has stride 2 there
            if isinstance(module, nn.Conv3d):
                module.stride = (1, 1, 1)
                if module.kernel_size[1] == 3:
                    module.padding, module.dilation = (0, 2, 2), (1, 2, 2)
        self.compare(model, model.blocks, model.state_dict())

    def test_mmaction2s_points_on_the_same_modules(self):
        model = self.source(hub.slowfast_r50_detection)
        for block in model.model.blocks[:4]:
            block.multipathway_fusion.norm = block.multipathway_fusion.activation = nn.Identity()
        for module in model.model.blocks[4].modules():
            if isinstance(module, nn.Conv3d) and module.kernel_size[1] == 3:
                module.padding, module.dilation = (0, 1, 1), (1, 1, 1)
        state = {name: value for name, value in model.model.state_dict().items() if "num_batches" not in name}
        theirs = [name for name in zoo_files.entries("PyTorchVideo", 50, 7) if "fusion.norm" not in name]
        names = zoo_files.entries("MMAction2", 50, 7)
        weights = {name: state[other] for name, other in zip(names, theirs, strict=True)}
        self.compare(
            model,
            model.model.blocks,
            weights,
            (MODEL + "SLOWFAST.LATERAL_RELU", True),
            (MODEL + "RES5_DILATION", 2),
            (MODEL + "STEM_POOL_PADDING", 0),
        )

    def test_short_kernels_of_r101_50_50(self):
        model = self.source(hub.slowfast_16x8_r101_50_50)
        for module in model.blocks[4].modules():
            if isinstance(module, nn.Conv3d):
                module.stride = (1, 1, 1)
                if module.kernel_size[1] == 3:
                    module.padding, module.dilation = (0, 2, 2), (1, 2, 2)
        result = convert(model.state_dict(), "SLOWFAST_16x8_R101_50_50.pyth")
        self.assertEqual(len(result.padded), 34)
        slow, fast, wanted = self.features(model.blocks, size=32)
        with torch.no_grad():
            self.assertLess(self.relative(own_backbone(result)(slow, fast), wanted), 1e-11)


class Detector(nn.Module):
    """A backbone and a head of one layer, as the loader sees a model."""

    def __init__(self, cfg):
        super().__init__()
        self.backbone = build_backbone(cfg)
        self.roi_heads = nn.ModuleDict({"action": nn.Linear(2, 2)})


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.folder = Path(holder.name)
        cls.source, cls.out = cls.folder / "SLOWFAST_8x8_R50.pyth", cls.folder / "my weights" / "converted.pth"
        cls.out.parent.mkdir()
        torch.manual_seed(0)
        weights = {name: torch.rand(shape) for name, shape in zoo_files.entries("PySlowFast", 50, 7).items()}
        torch.save({"model_state": weights, "epoch": 3}, cls.source)
        cls.printed = cls.run_tool(cls, cls.source, "--out", cls.out)

    def run_tool(self, *words):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            load_tool("convert_weights").main([str(word) for word in words])
        return printed.getvalue()

    def load(self, cfg, path=None):
        model = Detector(cfg)
        ActionCheckpointer(model).load(path or self.out, model_weight_only=True, no_head=True)
        return model

    def test_what_the_tool_prints(self):
        for words in (
            "PySlowFast, Slowfast-Resnet50: 550 backbone entries read, 538 written",
            "4 lateral convolutions with their norm folded",
            "frames x distance: 8x8",
            f"{self.out} and {self.out.with_suffix('.yaml')} written",
        ):
            self.assertIn(words, self.printed)

    def test_the_command_it_prints_is_one(self):
        (line,) = (line for line in self.printed.splitlines() if "alphaction train" in line)
        yours = next(iter(sorted((Path(__file__).parents[1] / "config_files").glob("resnet50_*.yaml"))))
        command, name, *words = shlex.split(line.replace("YOURS.yaml", shlex.quote(str(yours))))
        self.assertEqual((command, name), ("alphaction", "train"))
        parser = argument_parser("")
        for option in ("--transfer", "--no-head"):
            parser.add_argument(option, action="store_true")
        cfg = configure(parser.parse_args(words))
        self.assertEqual(
            (cfg.MODEL.WEIGHT, cfg.INPUT.SLOW_SAMPLING, cfg.INPUT.TAU, cfg.INPUT.SLOW_JITTER),
            (str(self.out), "linspace", 8, False),
        )
        self.assertEqual(cfg.MODEL.BACKBONE.STEM_POOL_PADDING, 1)
        self.assertEqual(cfg.MODEL.ROI_ACTION_HEAD, load_cfg(str(yours)).MODEL.ROI_ACTION_HEAD)

    def test_file_and_settings_load_together(self):
        cfg = load_cfg(str(self.out.with_suffix(".yaml")))
        self.assertEqual((cfg.INPUT.TAU, cfg.INPUT.ALPHA, cfg.INPUT.SLOW_SAMPLING), (8, 4, "linspace"))
        with self.assertNoLogs("alphaction", "WARNING"):
            model = self.load(cfg)
        stored = read_checkpoint(self.out)["model"]
        self.assertEqual(len(stored), 538)
        for name, value in stored.items():
            self.assertTrue(torch.equal(model.state_dict()[name], value), name)

    def test_other_settings_are_refused_by_name(self):
        with self.assertRaises(UserError) as caught:
            self.load(small_cfg())
        for words in (
            "converted.pth is of another architecture",
            "it was made for",
            "MODEL.BACKBONE.STEM_POOL_PADDING 1",
            "MODEL.BACKBONE.SLOWFAST.LATERAL_RELU True",
            "MODEL.BACKBONE.SLOWFAST.LATERAL_KERNEL 7",
            "the configuration has 0, 5, False",
        ):
            self.assertIn(words, str(caught.exception))

    def test_another_input_is_warned_of(self):
        cfg = load_cfg(str(self.out.with_suffix(".yaml")), ["INPUT.SLOW_SAMPLING", "center"])
        with self.assertLogs("alphaction", "WARNING") as logs:
            self.load(cfg)
        self.assertIn("was made for INPUT.SLOW_SAMPLING linspace, the configuration has center", logs.output[0])

    def test_what_a_run_was_trained_for_goes_with_its_weights(self):
        cfg = small_cfg("INPUT.FRAME_NUM", 64, "INPUT.FRAME_SAMPLE_RATE", 1)
        saver = ActionCheckpointer(Detector(cfg), save_dir=self.folder)
        saver.info = {"config": cfg.dump()}
        path = saver.save_weights("trained")
        with self.assertNoLogs("alphaction", "WARNING"):
            self.load(cfg, path)
        for key, value in (("INPUT.ALPHA", 8), (MODEL + "BN_EPSILON", 1e-3)):
            changed = cfg.clone()
            changed.merge_from_list([key, value])
            with self.subTest(key), self.assertRaisesRegex(UserError, f"was made for {key}.*configuration has {value}"):
                self.load(changed, path)
        for key, value in (
            ("INPUT.TAU", 8),
            ("INPUT.FRAME_NUM", 32),
            ("INPUT.FRAME_SAMPLE_RATE", 2),
            ("INPUT.FPS", 8.0),
            ("INPUT.TEMPERATURE_MIN", 10.0),
            ("INPUT.TEMPERATURE_MAX", 30.0),
        ):
            changed = cfg.clone()
            changed.merge_from_list([key, value])
            with self.subTest(key), self.assertLogs("alphaction", "WARNING") as logs:
                self.load(changed, path)
            self.assertRegex(logs.output[0], f"was made for {key} .*, the configuration has {value};")

    def test_finetuned_weights_keep_their_settings(self):
        cfg = load_cfg(str(self.out.with_suffix(".yaml")))
        saver = ActionCheckpointer(Detector(cfg), save_dir=self.folder)
        saver.info = {"config": cfg.dump()}
        path = saver.save_weights("finetuned")
        self.load(cfg, path)
        with self.assertRaisesRegex(UserError, "STEM_POOL_PADDING 1"):
            self.load(small_cfg(), path)

    def test_weights_without_settings_are_taken_for_alphactions(self):
        torch.save({"model": read_checkpoint(self.out)["model"]}, self.folder / "bare.pth")
        with self.assertLogs("alphaction", "WARNING") as logs:
            self.load(load_cfg(str(self.out.with_suffix(".yaml"))), self.folder / "bare.pth")
        self.assertIn("seems to be made for MODEL.BACKBONE.STEM_POOL_PADDING 0", logs.output[0])

    def test_a_foreign_file_as_weight_names_the_tool(self):
        with self.assertRaisesRegex(
            UserError,
            "weights of PySlowFast under its names; convert it with alphaction convert-weights .*SLOWFAST_8x8_R50.pyth",
        ):
            self.load(small_cfg(), self.source)

    def test_only_converted_weights_must_be_finite(self):
        data = torch.load(self.source, weights_only=True)
        out = self.folder / "finite.pth"
        for name, is_used in (("head.projection.bias", False), ("s1.pathway0_stem.bn.bias", True)):
            state = {**data["model_state"], name: torch.full((64,), float("nan"))}
            torch.save({"model_state": state}, self.folder / "SLOWFAST_8x8_broken.pyth")
            with self.subTest(name):
                if is_used:
                    with self.assertRaisesRegex(UserError, "NaN or infinity in 1 entry .backbone.slow.bn1.bias"):
                        convert_file(self.folder / "SLOWFAST_8x8_broken.pyth", out, overwrite=True)
                else:
                    convert_file(self.folder / "SLOWFAST_8x8_broken.pyth", out)

    def test_settings_that_cannot_be_written(self):
        (self.folder / "new.yaml").mkdir()
        with self.assertRaisesRegex(UserError, "new.yaml cannot be written"):
            convert_file(self.source, self.folder / "new.pth", overwrite=True)

    def test_nothing_is_replaced_unasked_and_nothing_half_written(self):
        with self.assertRaisesRegex(UserError, "converted.pth exists.*--overwrite"):
            self.run_tool(self.source, "--out", self.out)
        with self.assertRaisesRegex(UserError, "--out is .*x.yaml, expected"):
            self.run_tool(self.source, "--out", self.folder / "x.yaml")
        with self.assertRaisesRegex(UserError, "converted.pth is a checkpoint of this project"):
            self.run_tool(self.out, "--out", self.folder / "again.pth")
        with self.assertRaisesRegex(UserError, "none.pkl does not exist, expected a weight file"):
            self.run_tool(self.folder / "none.pkl", "--out", self.folder / "again.pth")
        with mock.patch("torch.save", side_effect=OSError(28, "No space left on device")):
            with self.assertRaisesRegex(UserError, "No space left"):
                self.run_tool(self.source, "--out", self.folder / "full.pth")
        self.assertEqual(list(self.folder.glob("full*")), [])


if __name__ == "__main__":
    unittest.main()
