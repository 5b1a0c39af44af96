"""Weights cross over: MMAction2's SlowFast, converted, computes the same here."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import case
import torch
from mmaction.registry import MODELS
from mmengine.runner import Runner

from alphaction.checkpoints.convert import Conversion, convert, convert_file
from alphaction.config import get_cfg
from alphaction.dataset.transforms.clip import slow_fast_indices
from alphaction.modeling.backbone.backbone import build_backbone

# Frames of the slow pathway x distance -> resample_rate, speed_ratio and fusion_kernel of MMAction2's configurations,
# which read 32 frames, every second one of 64.
SETTINGS = {"4x16": (8, 8, 5), "8x8": (4, 4, 7)}


def slowfast(frames: str, seed: int) -> torch.nn.Module:
    """ResNet3dSlowFast R50 as in detection, in double precision, with random weights and statistics."""
    cfg = case.load_config(case.DETECTION.format("r50")).model.backbone
    rate, ratio, kernel = SETTINGS[frames]
    cfg.update(resample_rate=rate, speed_ratio=ratio)
    cfg.slow_pathway.fusion_kernel = kernel
    model = MODELS.build(cfg).double().eval()
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if name.endswith(("running_var", "bn.weight")):
            value.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.2, generator=generator)
        elif name.endswith("weight"):
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
    return model


def difference(theirs: torch.nn.Module, result: Conversion) -> float:
    """Largest difference of the features of both pathways, relative to the largest feature."""
    cfg = get_cfg()
    cfg.merge_from_list([word for item in result.settings.items() for word in item])
    ours = build_backbone(cfg).double().eval()
    ours.load_state_dict({name.removeprefix("backbone."): value for name, value in result.weights.items()})
    window = torch.randn(2, 3, 64, 48, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    keys = cfg.INPUT
    slow, fast = slow_fast_indices(keys.FRAME_NUM, keys.TAU, keys.ALPHA, sampling=keys.SLOW_SAMPLING)
    with torch.no_grad():
        expected = theirs(window[:, :, ::2])
        found = ours(window[:, :, slow], window[:, :, fast])
    assert all(reference.std() > 1e-3 for reference in expected)
    return max(
        ((feature - reference).abs().max() / reference.abs().max()).item()
        for feature, reference in zip(found, expected, strict=True)
    )


class Features(unittest.TestCase):
    def test_random_weights(self):
        for seed, frames in enumerate(SETTINGS):
            theirs = slowfast(frames, seed)
            weights = {f"backbone.{name}": value for name, value in theirs.state_dict().items()}
            weights.update({"cls_head.fc_cls.weight": torch.zeros(14, 2304), "cls_head.fc_cls.bias": torch.zeros(14)})
            self.assertLess(difference(theirs, convert(weights, "slowfast.pth", frames)), 2e-8)

    def test_a_model_that_was_finetuned_there(self):
        """A step of training, and the file as MMEngine writes it, with optimizer, logs and all."""
        cfg = case.load_config(case.DETECTION.format("r50"))
        loader = cfg.train_dataloader
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.indices = 2
        loader.dataset.pipeline[-3].scale = (96, 64)
        cfg.update(val_cfg=None, val_dataloader=None, val_evaluator=None, custom_hooks=[], visualizer=None)
        cfg.default_hooks.checkpoint.save_best = None
        cfg.train_cfg = dict(by_epoch=True, max_epochs=1)
        with tempfile.TemporaryDirectory() as folder:
            cfg.work_dir = folder
            runner = Runner.from_cfg(cfg)
            runner.train()
            result = convert_file(Path(folder, "epoch_1.pth"), Path(folder, "converted.pth"), "8x8")
            written = torch.load(Path(folder, "converted.pth"))["model"]
        self.assertEqual(result.zoo, "MMAction2")
        torch.testing.assert_close(written, result.weights, rtol=0, atol=0)
        self.assertLess(difference(runner.model.backbone.double().eval(), result), 2e-8)


if __name__ == "__main__":
    unittest.main()
