"""PySlowFast itself (1.0 of the package index): its names, its reading of Caffe2's names, its features."""

from __future__ import annotations

import sys
import types
import unittest
import warnings

import torch
import zoo_files

from alphaction.checkpoints.convert import convert
from alphaction.checkpoints.layer_names import blob_to_entry
from alphaction.config import get_cfg
from alphaction.modeling.backbone import build_backbone

# It imports Detectron2 for a head that is not used here.
_DETECTRON = {name: types.ModuleType(name) for name in ("detectron2", "detectron2.layers")}
_DETECTRON["detectron2.layers"].ROIAlign = object
sys.modules.update(_DETECTRON)
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from slowfast.config.defaults import get_cfg as their_cfg
        from slowfast.models.video_model_builder import SlowFastModel
        from slowfast.utils.c2_model_loading import get_name_convert_func
except ImportError:
    SlowFastModel = None
finally:
    for _name in _DETECTRON:  # mock.patch.dict would also forget what was imported meanwhile
        del sys.modules[_name]
# Depth, lateral kernel, ALPHA, blocks of res4 with a temporal kernel of 3: R50 8x8, R50 4x16, R101_50_50.
CASES = ((50, 7, 4, 6), (50, 5, 8, 6), (101, 5, 4, 6))


def build(depth, kernel, alpha, res4):
    """Their model as its published configurations for AVA describe it, in double precision, with random statistics."""
    cfg = their_cfg()
    cfg.MODEL.ARCH, cfg.RESNET.DEPTH, cfg.DATA.NUM_FRAMES = "slowfast", depth, 32
    cfg.SLOWFAST.ALPHA, cfg.SLOWFAST.BETA_INV = alpha, 8
    cfg.SLOWFAST.FUSION_CONV_CHANNEL_RATIO, cfg.SLOWFAST.FUSION_KERNEL_SZ = 2, kernel
    cfg.RESNET.STRIDE_1X1 = False
    cfg.RESNET.NUM_BLOCK_TEMP_KERNEL = [[3, 3], [4, 4], [res4, res4], [3, 3]]
    cfg.RESNET.SPATIAL_DILATIONS = [[1, 1], [1, 1], [1, 1], [2, 2]]
    cfg.RESNET.SPATIAL_STRIDES = [[1, 1], [2, 2], [2, 2], [1, 1]]
    cfg.NONLOCAL.LOCATION, cfg.NONLOCAL.GROUP = [[[], []]] * 4, [[1, 1]] * 4
    torch.manual_seed(0)
    model = SlowFastModel(cfg).double().eval()
    for name, value in model.state_dict().items():
        if value.dim() == 1 and "head" not in name:
            value.copy_(
                0.5 + torch.rand_like(value)
                if "running_var" in name or "weight" in name
                else 0.3 * torch.randn_like(value)
            )
    return model


def features(model, slow, fast):
    found = model.s1_fuse(model.s1([slow, fast]))
    found = model.s2_fuse(model.s2(found))
    found = [getattr(model, f"pathway{i}_pool")(clip) for i, clip in enumerate(found)]
    return model.s5(model.s4_fuse(model.s4(model.s3_fuse(model.s3(found)))))


@unittest.skipIf(SlowFastModel is None, "PySlowFast is not installed (pip install .[zoo])")
class PySlowFast(unittest.TestCase):
    def test_names_and_features(self):
        for case in CASES:
            depth, kernel, alpha, res4 = case
            model = build(*case)
            state = model.state_dict()
            names = {
                name: tuple(value.shape)
                for name, value in state.items()
                if "num_batches" not in name and not name.startswith("head.")
            }
            self.assertEqual(names, zoo_files.entries("PySlowFast", depth, kernel, res4))
            result = convert(state, "SLOWFAST_8x8.pyth")
            self.assertEqual(
                (len(result.weights), result.head),
                (538 if depth == 50 else 1048, ["head.projection.weight", "head.projection.bias"]),
            )
            cfg = get_cfg()
            cfg.merge_from_list([word for item in result.settings.items() for word in item])
            cfg.merge_from_list(["INPUT.ALPHA", alpha])
            ours = build_backbone(cfg).double().eval()
            ours.load_state_dict({name.removeprefix("backbone."): value for name, value in result.weights.items()})
            slow, fast = (torch.randn(1, 3, frames, 64, 48, dtype=torch.float64) for frames in (2, 2 * alpha))
            with torch.no_grad():
                wanted, found = features(model, slow.clone(), fast.clone()), ours(slow, fast)
            for a, b in zip(found, wanted, strict=True):
                self.assertLess(float((a - b).abs().max() / b.abs().max()), 1e-11, case)

    def test_names_of_caffe2(self):
        theirs = get_name_convert_func()
        for depth, kernel, _, res4 in CASES:
            blobs = zoo_files.entries("PySlowFast (Caffe2)", depth, kernel, res4)
            self.assertEqual(
                {theirs(blob): shape for blob, shape in blobs.items()},
                zoo_files.entries("PySlowFast", depth, kernel, res4),
            )
        # Ours of a blob of a non-local block and theirs, apart from the names of the stage.
        for layer in ("theta_w", "phi_b", "g_w", "out_b", "bn_s", "bn_riv"):
            ours, other = blob_to_entry(f"nonlocal_conv4_5_{layer}"), theirs(f"nonlocal_conv4_5_{layer}")
            self.assertEqual(
                ours, other.replace("s4.pathway0_nonlocal5.", "backbone.res_nl3.nonlocal_5.").replace("conv_", "")
            )


if __name__ == "__main__":
    unittest.main()
