"""Configurations can be read and built; the requirements stand in two places that agree."""

from __future__ import annotations

import os
import sys
import tempfile
import unittest
from pathlib import Path

import case
import torch
from mmaction.registry import DATASETS, METRICS, MODELS
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner, load_checkpoint

NAMES = [task.format(size) for task in (case.RECOGNITION, case.DETECTION) for size in ("r50", "small")]


def build(cfg):
    """The model of a configuration."""
    return MODELS.build(cfg.model)


class Configurations(unittest.TestCase):
    def test_there_are_no_others(self):
        self.assertEqual(sorted(path.stem for path in case.CONFIGS.glob("*.py")), sorted(NAMES))

    def test_data_sets_and_metrics(self):
        for name in NAMES:
            cfg = case.load_config(name)
            for split in ("train", "val", "test"):
                dataset = DATASETS.build(cfg[f"{split}_dataloader"].dataset)
                self.assertEqual(dataset.data_root, case.synthetic_root())
                sample = dataset[0]
                width, height = (384, 256) if "r50" in name else (96, 64)
                self.assertEqual(tuple(sample["inputs"].shape[-4:]), (1, 32, height, width))
            for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
                METRICS.build(evaluator)

    def test_the_data_root_without_the_variable(self):
        from mmengine.config import Config

        before = os.environ.pop("ALPHACTION_THERMAL_ROOT", None)
        try:
            for name in NAMES:
                self.assertEqual(Config.fromfile(case.CONFIGS / f"{name}.py").data_root, "data/thermal_action_dataset")
        finally:
            if before is not None:
                os.environ["ALPHACTION_THERMAL_ROOT"] = before

    def test_a_training_step_of_the_large_models(self):
        for task in (case.RECOGNITION, case.DETECTION):
            cfg = case.load_config(task.format("r50"))
            # The pixels are few, the model is the real one.
            cfg.train_dataloader.dataset.pipeline[-3].scale = (96, 64)
            model = build(cfg)
            dataset = DATASETS.build(cfg.train_dataloader.dataset)
            optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
            data = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
            self.assertEqual(data["inputs"].shape[-4], 3)
            loss, _ = model.parse_losses(model(**data, mode="loss"))
            optimizer.update_params(loss)
            self.assertTrue(loss.isfinite())
            rates = {group["lr"] for group in optimizer.param_groups}
            self.assertEqual(sorted(rates), [0.0005, 0.005])

    def test_the_recipe_of_the_recognizer(self):
        """The data set guide's settings, in the parts that MMEngine builds of the configuration."""
        cfg = case.load_config(case.RECOGNITION.format("r50"))
        with tempfile.TemporaryDirectory() as cfg.work_dir:
            runner = Runner.from_cfg(cfg)
            runner._train_loop = runner.build_train_loop(runner._train_loop)
            optimizer = runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
            rates = self.rates(optimizer, runner.build_param_scheduler(runner.param_schedulers), runner.max_iters)
            hooks = {type(hook).__name__: hook for hook in runner.hooks}
            backends = [type(backend).__name__ for backend in runner.visualizer._vis_backends.values()]
            runner.visualizer.close()
        self.assertIsInstance(optimizer.optimizer, torch.optim.SGD)
        names = {id(value): name for name, value in runner.model.named_parameters()}
        for group in optimizer.optimizer.param_groups:
            of_backbone = {names[id(value)].startswith("backbone.") for value in group["params"]}
            self.assertEqual(of_backbone, {group["initial_lr"] == 0.0005})
            self.assertEqual((group["momentum"], group["weight_decay"]), (0.9, 1e-4))
        self.assertEqual(runner.model.cls_head.dropout.p, 0.8)
        self.assertEqual(runner.max_epochs, 60)
        epoch = runner.max_iters // 60
        self.assertAlmostEqual(rates[0], 0.0005, places=9)
        self.assertAlmostEqual(rates[10 * epoch], 0.005, places=9)
        self.assertAlmostEqual(rates[35 * epoch], 0.0025, places=5)
        self.assertLess(rates[-1], 1e-5)
        self.assertIn("ThermalClassWeights", hooks)
        self.assertEqual((hooks["EarlyStoppingHook"].monitor, hooks["EarlyStoppingHook"].patience), ("acc/top1", 20))
        self.assertIn("TensorboardVisBackend", backends)

    @staticmethod
    def rates(optimizer, schedulers, count: int) -> list[float]:
        """The head's learning rate before each of ``count`` steps."""
        found = []
        for _ in range(count):
            found.append(max(group["lr"] for group in optimizer.optimizer.param_groups))
            for scheduler in schedulers:
                scheduler.step()
        return found

    def test_shorter_runs_and_seeds(self):
        """As README.md writes them."""
        cfg = case.load_config(case.RECOGNITION.format("r50"))
        cfg.merge_from_dict({"train_cfg.max_epochs": 30, "param_scheduler.1.T_max": 20, "param_scheduler.1.end": 30})
        self.assertEqual(
            (cfg.train_cfg.max_epochs, cfg.param_scheduler[1].T_max, cfg.param_scheduler[1].end), (30, 20, 30)
        )
        self.assertEqual(cfg.param_scheduler[1].type, "CosineAnnealingLR")
        for name in NAMES:
            # With one of its own, MMAction2's train.py takes no --seed.
            self.assertIsNone(case.load_config(name).get("randomness"))

    def test_a_kinetics_checkpoint_fills_the_backbone(self):
        kinetics = case.load_config(case.RECOGNITION.format("small"))
        kinetics.model.cls_head.num_classes = 400
        donor = build(kinetics)
        for task in (case.RECOGNITION, case.DETECTION):
            model = build(case.load_config(task.format("small")))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "kinetics.pth")
                torch.save({"state_dict": donor.state_dict(), "meta": {}}, path)
                load_checkpoint(model, str(path), map_location="cpu")
            for name, value in donor.backbone.state_dict().items():
                torch.testing.assert_close(model.backbone.state_dict()[name], value)


class Requirements(unittest.TestCase):
    @unittest.skipIf(sys.version_info < (3, 11), "Python 3.10 reads no TOML")
    def test_the_extra_is_the_file(self):
        import tomllib

        project = tomllib.loads((case.ROOT / "pyproject.toml").read_text())["project"]
        extra = set(project["optional-dependencies"].get("mmaction2", ()))
        if not extra:
            self.skipTest("pyproject.toml has no extra mmaction2")
        lines = (case.ROOT / "mmaction2_thermal" / "requirements.txt").read_text().splitlines()
        wanted = {line for line in lines if line and not line.startswith("#")}
        self.assertEqual(wanted - set(project["dependencies"]), extra)


if __name__ == "__main__":
    unittest.main()
