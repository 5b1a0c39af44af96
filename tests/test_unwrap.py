"""Weights as people save them: where in a file, and with what in front of their names."""

from __future__ import annotations

import itertools
import tempfile
import unittest
from pathlib import Path

import torch
import zoo_files
from torch.optim.swa_utils import AveragedModel
from two_layers import Net

from alphaction.checkpoints.checkpoint_file import read_checkpoint
from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.checkpoints.convert import convert
from alphaction.checkpoints.unwrap import find_weights, plain_names
from alphaction.checkpoints.weights import match_weights
from alphaction.errors import UserError

WRAPS = ("module.", "_orig_mod.", "model.", "net.", "ema.", "ema_model.")
OURS = ("backbone.slow.conv1.weight", "backbone.fast.conv1.weight", "roi_heads.action.predictor.cls_score.weight")


def put(prefix: str, names) -> dict[str, torch.Tensor]:
    return {prefix + name: torch.zeros(1) for name in names}


class Names(unittest.TestCase):
    def test_one_two_and_three_wraps_in_front_of_every_zoos_names(self):
        for zoo in (*zoo_files.ZOOS, "ours"):
            entries = list(zoo_files.entries(zoo)) if zoo in zoo_files.ZOOS else OURS
            names = set(entries)
            # Of PyTorchVideo's own names some begin with "model.": it stays, and the converter reads both.
            alike = {f"model.{name}" for name in names} if zoo == "PyTorchVideo" else names
            for prefix in map(
                "".join, itertools.chain.from_iterable(itertools.product(WRAPS, repeat=n) for n in (1, 2))
            ):
                with self.subTest(zoo, prefix=prefix):
                    found = plain_names(prefix + name for name in entries)
                    self.assertTrue(set(found) in (names, alike), next(iter(found)))
                    self.assertTrue(list(found.values()) == [prefix + name for name in entries])
        prefix = "module.ema.module._orig_mod.model."
        self.assertEqual(list(plain_names(prefix + name for name in OURS)), list(OURS))

    def test_a_prefix_that_belongs_to_the_names_stays(self):
        detector = [f"model.{name}" for name in zoo_files.entries("PyTorchVideo")] + ["detection_head.proj.weight"]
        for prefix in ("", "module.", "model.", "_orig_mod.model."):
            with self.subTest(prefix):
                names = [prefix + name for name in detector]
                self.assertTrue(list(plain_names(names)) == detector)
                weights = {
                    f"{prefix}model.{name}": torch.empty(shape, device="meta")
                    for name, shape in zoo_files.entries("PyTorchVideo").items()
                }
                weights[f"{prefix}detection_head.proj.weight"] = torch.empty(80, 2304, device="meta")
                result = convert(weights, "x", "8x8")
                self.assertEqual((result.zoo, len(result.weights)), ("PyTorchVideo", 538))
                self.assertEqual(result.head, ["detection_head.proj.weight"])

    def test_wraps_inside_the_names(self):
        names = {
            "backbone._orig_mod.slow.conv1.weight": "backbone.slow.conv1.weight",
            "backbone.module.fast.conv1.weight": "backbone.fast.conv1.weight",
            "roi_heads._checkpoint_wrapped_module.x.weight": "roi_heads.x.weight",
        }
        self.assertEqual(plain_names(names), {plain: name for name, plain in names.items()})

    def test_counters_of_averaged_models(self):
        for prefix, counters in (
            ("module.", ["n_averaged"]),
            ("module.module.", ["module.n_averaged"]),
            ("ema_model.", ["initted", "step"]),
            ("model.", ["num_updates", "decay"]),
        ):
            with self.subTest(prefix):
                self.assertEqual(list(plain_names([*counters, *(prefix + name for name in OURS)])), list(OURS))

    def test_of_two_copies_one_is_taken(self):
        for first, second in (
            ("", "ema."),
            ("model.", "ema."),
            ("model.", "ema.module."),
            ("online_model.", "ema_model."),
        ):
            for order in (1, -1):
                with self.subTest(first=first, second=second, order=order):
                    names = [first + name for name in OURS] + [second + name for name in OURS]
                    self.assertEqual(set(plain_names(names[::order]).values()), {first + name for name in OURS})

    def test_names_beside_the_wrapped_ones(self):
        """As Lightning saves a loss with weights."""
        names = ["criterion.weight", *(f"model.{name}" for name in OURS)]
        self.assertEqual(set(plain_names(names)), {"criterion.weight", *OURS})
        self.assertEqual(list(plain_names(["model.a.weight", "b.weight"])), ["model.a.weight", "b.weight"])

    def test_the_converter_takes_all_wraps(self):
        for zoo in zoo_files.ZOOS[:1]:
            shapes = zoo_files.entries(zoo)
            for prefix in ("module.", "model.", "module.model.", "_orig_mod.", "module._orig_mod.", "ema.module."):
                weights = {prefix + name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
                weights["n_averaged"] = torch.tensor(3)
                with self.subTest(zoo, prefix=prefix):
                    result = convert(weights, "x", "8x8")
                    self.assertEqual((result.zoo, len(result.weights), result.left_out), (zoo, 538, 1))
                    self.assertIn("1 entries left out", str(result))


class Files(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name) / "a.pth"
        torch.manual_seed(0)
        self.net = Net()
        self.weights = self.net.state_dict()

    def assert_loads(self, data):
        torch.save(data, self.path)
        net = Net()
        ActionCheckpointer(net).load(self.path, model_weight_only=True, need_head=True)
        for name, value in net.state_dict().items():
            self.assertTrue(torch.equal(value, self.weights[name]), name)

    def test_containers(self):
        for key in ("model", "state_dict", "model_state", "model_state_dict", "net", "ema", "ema_state_dict", "module"):
            for data in (
                {key: self.weights, "epoch": 3, "optimizer_state_dict": {}},
                {"state_dict": {key: self.weights, "decay": 0.9}},
                {key: {f"module.{name}": value for name, value in self.weights.items()}},
            ):
                with self.subTest(key, keys=list(data)):
                    self.assert_loads(data)

    def test_an_averaged_model(self):
        averaged = AveragedModel(self.net)
        averaged.update_parameters(self.net)
        self.assert_loads({"model": averaged.state_dict()})
        self.assert_loads(averaged.state_dict())

    def test_of_two_containers_the_first_counts_and_it_is_said(self):
        with self.assertLogs("alphaction.checkpoints") as logs:
            self.assert_loads({"ema": Net().state_dict(), "model": self.weights})
        self.assertIn("the weights under model are read, not those under ema", "".join(logs.output))

    def test_the_container_with_recognized_names_is_taken(self):
        few, many = {"mean": torch.ones(1)}, {f"x.{n}": torch.ones(1) for n in range(20)}
        self.assert_loads({"model": few, "state_dict": self.weights})
        self.assert_loads({"model": many, "state_dict": {"net": self.weights, "mean": torch.ones(1)}})
        keys, weights = find_weights({"model": few, "ema": {"state_dict": many}, "scale": torch.ones(1)})
        self.assertEqual((keys, len(weights)), (("ema", "state_dict"), 20))

    def test_containers_that_hold_each_other(self):
        data: dict = {"epoch": 3}
        data["model"] = data["state_dict"] = data["net"] = data["ema"] = data
        self.assertIsNone(find_weights(data))

    def test_what_has_no_weights_says_what_it_has(self):
        torch.save({"epoch": 3, "hyper_parameters": {"lr": 1}, "model": {}, 5: None, "x" * 500: 1}, self.path)
        with self.assertRaises(UserError) as caught:
            read_checkpoint(self.path)
        said = str(caught.exception)
        self.assertIn("it holds 5 entries (epoch, hyper_parameters, model, a value of type int, ...)", said)
        self.assertIn("state_dict", said)
        self.assertLess(len(said), 600)

    def test_unknown_names_are_listed_and_the_backbone_is_not_blamed(self):
        weights = {f"detector.{name}": value for name, value in self.weights.items()}
        with self.assertRaises(UserError) as caught:
            match_weights(Net(), weights, "some.pth")
        said = str(caught.exception)
        self.assertIn("some.pth has none of the 9 entries", said)
        self.assertIn("9 entries (detector.backbone.conv.weight, ", said)
        self.assertNotIn("MODEL.BACKBONE", said)
        with self.assertRaisesRegex(UserError, r"9 entries \(detector.backbone.conv.weight.*nothing was converted"):
            convert(weights, "some.pth")


if __name__ == "__main__":
    unittest.main()
