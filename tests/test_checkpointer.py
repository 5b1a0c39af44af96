"""Weight matching, checkpoints on disk, and files that are none."""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
import types
import unittest
from collections import OrderedDict, defaultdict, deque
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from two_layers import Net

from alphaction.checkpoints.checkpoint_file import DIGESTS, read_checkpoint, write_checkpoint
from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.checkpoints.optimizer_state import set_iteration
from alphaction.checkpoints.weights import match_keys, match_weights
from alphaction.config import get_cfg
from alphaction.errors import UserError
from alphaction.solver import make_lr_scheduler, make_optimizer

PARITY = os.environ.get("ALPHACTION_PARITY_DIR", "")


def training(net):
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: 0.5 ** (done // 2))


class Folder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)


class KeyMatching(unittest.TestCase):
    @unittest.skipUnless(PARITY, "ALPHACTION_PARITY_DIR is not set")
    def test_recorded_cases(self):
        recorded = json.loads((Path(PARITY) / "key_matching.json").read_text())
        for case in recorded["cases"]:
            with self.subTest(case["loaded"], no_head=case["no_head"]):
                self.assertEqual(match_keys(recorded["model_keys"], case["loaded"], case["no_head"]), case["result"])

    def test_longest_suffix_wins(self):
        self.assertEqual(match_keys(["a.b.c"], ["c", "b.c", "x.b.c"]), {"a.b.c": "b.c"})

    def test_nothing_loaded(self):
        self.assertEqual(match_keys(["a"], []), {"a": None})


class Loading(Folder):
    def test_report_counts_every_entry(self):
        net, other = Net(), Net()
        weights = {f"module.{key}": value for key, value in other.state_dict().items()}
        weights["module.roi_heads.old.weight"] = torch.zeros(1)
        weights["module.backbone.conv.weight"] = weights["module.backbone.conv.weight"].reshape(4, 2, 1)
        values, report = match_weights(net, weights, "some file")
        net.load_state_dict(values, strict=False)
        self.assertTrue(torch.equal(net.backbone["conv"].weight, other.backbone["conv"].weight))
        self.assertEqual(report.reshaped, ["backbone.conv.weight"])
        self.assertEqual(report.skipped, ["module.roi_heads.old.weight"])
        self.assertEqual((len(report.loaded), report.missing), (9, []))
        self.assertIn("1 skipped (module.roi_heads.old.weight)", str(report))

    def test_weights_that_were_rounded_are_refused(self):
        weights = Net().state_dict()
        for kind in (torch.int8, torch.complex64):
            changed = {**weights, "backbone.conv.weight": weights["backbone.conv.weight"].to(kind)}
            words = f"some file has backbone.conv.weight of type {kind}".replace("torch.", "")
            with self.assertRaisesRegex(UserError, words):
                match_weights(Net(), changed, "some file")
        halves = {key: value.half() if value.is_floating_point() else value for key, value in weights.items()}
        self.assertEqual(len(match_weights(Net(), halves, "some file")[1].missing), 0)

    def test_no_head_keeps_the_models_own_head_of_another_size(self):
        net, other = Net(3), Net(5)
        own = net.roi_heads["cls_score"].weight.clone()
        values, report = match_weights(net, other.state_dict(), "some file", no_head=True)
        net.load_state_dict(values, strict=False)
        self.assertTrue(torch.equal(net.roi_heads["cls_score"].weight, own))
        self.assertTrue(torch.equal(net.backbone["bn"].weight, other.backbone["bn"].weight))
        self.assertEqual(report.skipped, ["roi_heads.cls_score.weight", "roi_heads.cls_score.bias"])

    def test_head_of_another_size_is_refused_and_nothing_changes(self):
        net = Net(3)
        before = {key: value.clone() for key, value in net.state_dict().items()}
        torch.save(Net(5).state_dict(), self.folder / "other.pth")
        with self.assertRaisesRegex(UserError, r"cls_score.weight of shape \[5, 4\].*\[3, 4\].*--no-head"):
            ActionCheckpointer(net).load(self.folder / "other.pth", model_weight_only=True)
        self.assertTrue(all(torch.equal(before[key], value) for key, value in net.state_dict().items()))

    def test_another_architecture_is_refused(self):
        weights = Net().state_dict()
        with self.assertRaisesRegex(UserError, "another architecture.*backbone.conv2.weight"):
            match_weights(Net(), {**weights, "backbone.conv2.weight": torch.zeros(1)}, "some file")
        del weights["backbone.conv.bias"]
        with self.assertRaisesRegex(UserError, "another architecture.*backbone.conv.bias"):
            match_weights(Net(), weights, "some file")
        with self.assertRaisesRegex(
            UserError, r"none of the 9 entries .*it has 1 entry \(encoder.w\), expected .*backbone"
        ):
            match_weights(Net(), {"encoder.w": torch.zeros(1)}, "some file")

    def test_batch_counts_may_be_missing(self):
        weights = {k: v for k, v in Net().state_dict().items() if not k.endswith("num_batches_tracked")}
        self.assertEqual(match_weights(Net(), weights, "some file")[1].missing, [])

    def test_testing_needs_a_head(self):
        weights = {k: v for k, v in Net().state_dict().items() if "roi_heads" not in k}
        self.assertEqual(len(match_weights(Net(), weights, "some file")[1].missing), 2)
        with self.assertRaisesRegex(UserError, "lacks 2 entries of the action head"):
            match_weights(Net(), weights, "some file", need_head=True)


class Reading(Folder):
    def test_missing_file(self):
        with self.assertRaisesRegex(UserError, 'a.pth does not exist.*MODEL.WEIGHT ""'):
            read_checkpoint(self.folder / "a.pth")

    def test_what_is_no_checkpoint(self):
        torch.save([1, 2], self.folder / "list.pth")
        (self.folder / "text.pth").write_text("not a checkpoint")
        (self.folder / "empty.pth").touch()
        torch.save({"model": Net().state_dict()}, self.folder / "torn.pth")
        torn = (self.folder / "torn.pth").read_bytes()
        (self.folder / "torn.pth").write_bytes(torn[: len(torn) // 2])
        for name in ("list", "text", "empty", "torn"):
            with self.subTest(name), self.assertRaisesRegex(UserError, rf"{name}.pth is not a (readable )?checkpoint"):
                read_checkpoint(self.folder / f"{name}.pth")

    def test_code_in_a_file_is_not_run(self):
        class Evil:
            def __reduce__(self):
                return (os.mkdir, (str(marker),))

        marker = self.folder / "was_run"
        (self.folder / "evil.pth").write_bytes(pickle.dumps({"model": Evil()}))
        with self.assertRaises(UserError):
            read_checkpoint(self.folder / "evil.pth")
        self.assertFalse(marker.exists())

    def test_foreign_objects_beside_the_weights(self):
        """AlphAction pickles its memory pool; MMAction2 a log with numpy arrays."""
        module = types.ModuleType("somebody_else")

        class Pool:
            def __init__(self):
                self.cache = defaultdict(dict)

        class Config(dict):
            pass

        pool, config = Pool(), Config(rate=0.1)
        pool.cache["movie"][902] = Pool()
        config.frozen = True
        marker = self.folder / "was_run"

        class Evil:
            def __reduce__(self):
                return eval, (f"open({str(marker)!r}, 'w')",)

        for cls in (Pool, Config):
            setattr(module, cls.__name__, cls)
            cls.__module__, cls.__qualname__ = module.__name__, cls.__name__
        content = {
            "model": Net().state_dict(),
            "person_pool": pool,
            "cfg": config,
            "iteration": 7,
            "log": {"loss": np.arange(3.0), "last": np.float64(2), "step": np.int64(3)},
            "evil": Evil(),
            "more": [range(3), Path("a"), ValueError("b"), Pool, (1, [2])],
        }
        content["more"].append(content)  # they may hold each other
        with mock.patch.dict(sys.modules, {module.__name__: module}):
            for legacy in (False, True):
                torch.save(content, self.folder / f"{legacy}.pth", _use_new_zipfile_serialization=not legacy)
        for legacy in (False, True):
            with self.subTest(legacy=legacy), self.assertLogs("alphaction") as logs:
                data = read_checkpoint(self.folder / f"{legacy}.pth")
                for name, value in content["model"].items():
                    self.assertTrue(torch.equal(data["model"][name], value), name)
                self.assertEqual(
                    (data["iteration"], type(data["person_pool"]), dict(data["cfg"])), (7, dict, {"rate": 0.1})
                )
                self.assertEqual(data["log"], {"loss": None, "last": None, "step": None})
                self.assertEqual(data["more"][2:5], [{}, None, (1, [2])])
                self.assertIs(data["more"][5]["person_pool"], data["person_pool"])
                for name in ("objects other than tensors", "builtins.eval", "somebody_else.Pool"):
                    self.assertIn(name, logs.output[0])
                self.assertFalse(marker.exists())

    def test_foreign_objects_that_the_system_would_run_are_refused(self):
        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(marker),)

        marker = self.folder / "was_run"
        torch.save({"model": Net().state_dict(), "x": Evil()}, self.folder / "evil.pth")
        with self.assertRaisesRegex(UserError, "evil.pth is not a readable checkpoint.*posix.mkdir"):
            read_checkpoint(self.folder / "evil.pth")
        self.assertFalse(marker.exists())
        whole = (self.folder / "evil.pth").read_bytes()
        for length in (50, len(whole) // 2, len(whole) - 30):
            (self.folder / "torn.pth").write_bytes(whole[:length])
            with self.assertRaisesRegex(UserError, "torn.pth is not a readable checkpoint"):
                read_checkpoint(self.folder / "torn.pth")

    def test_functions_are_not_even_looked_up(self):
        class Evil:
            def __reduce__(self):
                return getattr, ("os", "system")

        torch.save({"model": Net().state_dict(), "x": Evil()}, self.folder / "a.pth")
        with self.assertLogs("alphaction") as logs:
            self.assertEqual(read_checkpoint(self.folder / "a.pth")["x"], {})
        self.assertIn("builtins.getattr", logs.output[0])

    def test_objects_with_the_items_of_a_list_are_refused(self):
        torch.save({"model": Net().state_dict(), "x": deque([1, 2])}, self.folder / "a.pth")
        with self.assertRaisesRegex(
            UserError, "a.pth is not a readable checkpoint: besides tensors.*collections.deque"
        ):
            read_checkpoint(self.folder / "a.pth")

    def test_attributes_that_hide_a_method_are_dropped(self):
        weights = OrderedDict(Net().state_dict())
        names = list(weights)
        weights["backbone.conv.weight"].numel = weights.get = weights.keys = torch._utils._rebuild_parameter
        outer = OrderedDict(model=weights)
        outer.get = outer.keys = torch._utils._rebuild_parameter
        torch.save(outer, self.folder / "a.pth")
        net = Net()
        ActionCheckpointer(net).load(self.folder / "a.pth")
        read = read_checkpoint(self.folder / "a.pth")
        self.assertEqual((type(read["model"]), list(read["model"])), (dict, names))
        self.assertEqual(vars(read["model"]["backbone.conv.weight"]), {})

    def test_weights_that_are_none(self):
        state = Net().state_dict()
        for key, value in (
            ("roi_heads.cls_score.bias", "x"),
            (1, torch.ones(1)),
            ("a.b", {"c": torch.ones(1)}),
            ("backbone.conv.bias", torch.ones(4).to_sparse()),
        ):
            torch.save({"model": {**state, key: value}}, self.folder / "a.pth")
            with (
                self.subTest(key),
                self.assertRaisesRegex(UserError, f"under ({key!r}|a key of type int) its weights have a"),
            ):
                read_checkpoint(self.folder / "a.pth")

    def test_bare_and_wrapped_state_dicts(self):
        net = Net()
        for data in (net.state_dict(), {"model": net.state_dict()}, {"state_dict": net.state_dict(), "epoch": 3}):
            torch.save(data, self.folder / "a.pth")
            read = read_checkpoint(self.folder / "a.pth")["model"]
            self.assertEqual(list(read), list(net.state_dict()))

    def test_a_file_of_torch_with_the_name_of_a_pickle(self):
        for legacy in (False, True):
            torch.save(
                {"model_state": Net().state_dict()}, self.folder / "a.pkl", _use_new_zipfile_serialization=not legacy
            )
            with self.subTest(legacy=legacy):
                self.assertEqual(list(read_checkpoint(self.folder / "a.pkl")["model"]), list(Net().state_dict()))


class Checkpointer(Folder):
    def step(self, net, optimizer, scheduler):
        net(torch.ones(3, 2) * torch.tensor([1.0, 2.0]) + torch.arange(3.0)[:, None]).square().sum().backward()
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()

    def test_a_run_that_went_through_a_file_goes_on_as_if_it_had_not(self):
        torch.manual_seed(0)
        net = Net()
        optimizer, scheduler = training(net)
        for _ in range(3):
            self.step(net, optimizer, scheduler)
        saver = ActionCheckpointer(net, optimizer, scheduler, self.folder)
        saver.save("model_0000003", iteration=3)
        other = Net()
        loader = ActionCheckpointer(other, *training(other), self.folder)
        rest = loader.load(loader.last_checkpoint())
        self.assertEqual(rest["iteration"], 3)
        for _ in range(2):
            self.step(net, optimizer, scheduler)
            self.step(other, loader.optimizer, loader.scheduler)
        for a, b in zip(net.parameters(), other.parameters(), strict=True):
            self.assertTrue(torch.equal(a, b))
        self.assertEqual(loader.optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["lr"])

    def test_adjusting_keeps_the_configured_rates_and_the_momentum(self):
        net = Net()
        optimizer, scheduler = training(net)
        for _ in range(3):
            self.step(net, optimizer, scheduler)
        ActionCheckpointer(net, optimizer, scheduler, self.folder).save("a")
        other = Net()
        new = torch.optim.SGD(other.parameters(), 1.0, momentum=0.9)
        schedule = torch.optim.lr_scheduler.LambdaLR(new, lambda it: 0.1**it)
        ActionCheckpointer(other, new, schedule, self.folder).load(self.folder / "a.pth", adjust_scheduler=True)
        self.assertAlmostEqual(new.param_groups[0]["lr"], 0.001)
        first = next(iter(other.parameters()))
        self.assertTrue(
            torch.equal(
                new.state[first]["momentum_buffer"], optimizer.state[next(iter(net.parameters()))]["momentum_buffer"]
            )
        )

    def test_momentum_of_parameters_that_are_named_by_their_address(self):
        """As torch before 1.5 wrote it."""
        net = Net()
        optimizer, scheduler = training(net)
        self.step(net, optimizer, scheduler)
        state = optimizer.state_dict()
        (group,) = state["param_groups"]
        old = {
            "state": {140_000_000_000_000 - key: entry for key, entry in state["state"].items()},
            "param_groups": [
                {key: group[key] for key in ("lr", "momentum", "dampening", "weight_decay", "nesterov")}
                | {"params": [140_000_000_000_000 - key for key in group["params"]]}
            ],
        }
        torch.save({"model": net.state_dict(), "optimizer": old}, self.folder / "a.pth")
        for adjust in (False, True):
            other = Net()
            loader = ActionCheckpointer(other, *training(other), self.folder)
            loader.load(self.folder / "a.pth", adjust_scheduler=adjust)
            for mine, theirs in zip(other.parameters(), net.parameters(), strict=True):
                self.assertTrue(
                    torch.equal(
                        loader.optimizer.state[mine]["momentum_buffer"], optimizer.state[theirs]["momentum_buffer"]
                    )
                )
            self.step(other, loader.optimizer, loader.scheduler)

    def test_momentum_of_another_head_is_refused(self):
        net = Net(5)
        optimizer, scheduler = training(net)
        self.step(net, optimizer, scheduler)
        ActionCheckpointer(net, optimizer, scheduler, self.folder).save("a")
        other = Net(3)
        loader = ActionCheckpointer(other, *training(other), self.folder)
        with self.assertRaisesRegex(UserError, r"momentum of shape \[5, 4\].*\[3, 4\].*--transfer"):
            loader.load(self.folder / "a.pth", no_head=True)

    def test_states_of_another_kind_are_refused(self):
        for other in (
            {"optimizer": {}},
            {"optimizer": [1]},
            {"optimizer": {"param_groups": [3], "state": {}}},
            {"scheduler": {"x": 1}},
            {"scheduler": 3},
        ):
            torch.save({"model": Net().state_dict(), **other}, self.folder / "a.pth")
            net = Net()
            with self.subTest(other), self.assertRaisesRegex(UserError, "another kind of optimizer.*--transfer"):
                ActionCheckpointer(net, *training(net), self.folder).load(self.folder / "a.pth")

    def test_weights_only_takes_no_optimizer(self):
        net = Net()
        optimizer, scheduler = training(net)
        self.step(net, optimizer, scheduler)
        saver = ActionCheckpointer(net, optimizer, scheduler, self.folder)
        other = Net()
        loader = ActionCheckpointer(other, *training(other), self.folder)
        for info in ({}, {"class_names": ["a", "b"]}):
            saver.info = info
            saver.save("a", iteration=7)
            self.assertEqual(loader.load(self.folder / "a.pth", model_weight_only=True), info)
        self.assertEqual(len(loader.optimizer.state), 0)

    def test_slim_file_has_weights_and_information_only(self):
        net = Net()
        saver = ActionCheckpointer(net, *training(net), self.folder)
        saver.info = {"class_names": ["a", "b"]}
        data = read_checkpoint(saver.save_weights("model_best", mAP=50.0))
        self.assertEqual(set(data), {"model", "class_names", "mAP", DIGESTS})
        self.assertIsNone(saver.last_checkpoint())

    def test_a_write_that_breaks_off_leaves_the_former_file(self):
        path = self.folder / "a.pth"
        write_checkpoint({"model": {"w": torch.ones(1)}}, path)
        with mock.patch("torch.save", side_effect=OSError(28, "No space left on device")):
            with self.assertRaisesRegex(UserError, "No space left"):
                write_checkpoint({}, path)
        self.assertEqual(read_checkpoint(path)["model"]["w"], torch.ones(1))
        self.assertEqual([p.name for p in self.folder.iterdir()], ["a.pth"])

    def test_a_full_disk_is_said_in_a_sentence(self):
        # What torch.save says itself, since it writes through a stream of its own.
        with mock.patch("torch.save", side_effect=RuntimeError("[enforce fail at inline_container.cc:671]\nframe 0")):
            with self.assertRaisesRegex(UserError, r"a.pth cannot be written \(\[enforce fail.*\]\); free space"):
                write_checkpoint({}, self.folder / "a.pth")
        with self.assertRaisesRegex(UserError, "none/a.pth cannot be written"):
            write_checkpoint({}, self.folder / "none" / "a.pth")
        with mock.patch("torch.save", side_effect=RuntimeError("CUDA error: device-side assert triggered")):
            with self.assertRaisesRegex(RuntimeError, "^CUDA error"):
                write_checkpoint({}, self.folder / "a.pth")

    def test_stored_schedule_goes_on_unless_adjusted(self):
        def make(rate, steps):
            net, cfg = Net(), get_cfg()
            cfg.merge_from_list(["SOLVER.BASE_LR", rate, "SOLVER.STEPS", steps, "SOLVER.WARMUP_ON", False])
            optimizer = make_optimizer(cfg, net)
            return ActionCheckpointer(net, optimizer, make_lr_scheduler(cfg, optimizer), self.folder)

        stored = make(1e-3, (3, 5))
        for _ in range(4):
            self.step(stored.model, stored.optimizer, stored.scheduler)
        stored.save("a")
        for adjust, rates in ((False, (1e-4, 1e-5)), (True, (8e-3, 8e-3))):
            resumed = make(8e-3, (6,))
            with self.subTest(adjust=adjust), self.assertLogs("alphaction") as logs:
                resumed.load(self.folder / "a.pth", adjust_scheduler=adjust)
                self.assertEqual(any("--adjust-lr" in line for line in logs.output), not adjust)
                self.assertAlmostEqual(resumed.optimizer.param_groups[0]["lr"], rates[0])
                self.step(resumed.model, resumed.optimizer, resumed.scheduler)
                self.assertAlmostEqual(resumed.optimizer.param_groups[0]["lr"], rates[1])

    def test_schedule_of_another_kind_gives_its_iteration(self):
        net = Net()
        optimizer, scheduler = training(net)
        foreign = {"milestones": [1], "gamma": 0.1, "warmup_iters": 500, "last_epoch": 4, "base_lrs": [0.1]}
        torch.save(
            {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": foreign, "iteration": 4},
            self.folder / "a.pth",
        )
        ActionCheckpointer(net, optimizer, scheduler, self.folder).load(self.folder / "a.pth")
        self.assertEqual(scheduler.last_epoch, 4)
        self.assertAlmostEqual(optimizer.param_groups[0]["lr"], 0.025)

    def test_schedule_and_training_continue_at_one_iteration(self):
        net = Net()
        optimizer, scheduler = training(net)
        set_iteration(scheduler, optimizer, 5000)
        data = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
        for changes, expected, warning in (
            ({"iteration": 3}, 3, "iteration 3 but a schedule at 5000"),
            ({}, 5000, "no iteration; continuing at that of its schedule, 5000"),
            ({"iteration": 3, "scheduler": None}, 3, "no state for the schedule"),
        ):
            for adjust in (False, True):
                torch.save({**data, **changes}, self.folder / "a.pth")
                run = ActionCheckpointer(Net(), *training(Net()))
                with self.subTest(changes, adjust=adjust), self.assertLogs("alphaction", "WARNING") as logs:
                    found = run.load(self.folder / "a.pth", adjust_scheduler=adjust)["iteration"]
                    self.assertEqual((found, run.scheduler.last_epoch), (expected, expected))
                    self.assertEqual(run.optimizer.param_groups[0]["lr"], 0.1 * 0.5 ** (expected // 2))
                    self.assertIn(warning, "".join(logs.output))

    def test_entries_beside_foreign_weights_are_not_required_to_be_ours(self):
        net = Net()
        net.backbone.settings = {"MODEL.BACKBONE.STEM_POOL_PADDING": 1}
        for beside in ({"config": {"lr": 1}}, {"config": "/some/path.py"}, {"class_names": {"a": 1}}, {"sha256": "af"}):
            torch.save({"model": Net().state_dict(), **beside}, self.folder / "a.pth")
            with self.subTest(beside), self.assertLogs("alphaction") as logs:
                found = ActionCheckpointer(net).load(self.folder / "a.pth", model_weight_only=True, no_head=True)
                self.assertEqual(found, {})
                if "sha256" not in beside:
                    self.assertRegex("".join(logs.output), f"WARNING.*{next(iter(beside))}.*that entry is not used")

    def test_weights_that_are_not_finite(self):
        for key, is_used in (("backbone.conv.bias", True), ("roi_heads.mask", False)):
            state = {**Net().state_dict(), key: torch.tensor([0.0, 1, 2, -float("inf")])}
            torch.save({"model": state}, self.folder / "a.pth")
            run = ActionCheckpointer(Net())
            if is_used:
                with self.assertRaisesRegex(UserError, r"1 entry \(backbone.conv.bias.*allow_non_finite=True"):
                    run.load(self.folder / "a.pth")
                self.assertTrue(run.model.backbone["conv"].bias.isfinite().all())
                run.load(self.folder / "a.pth", allow_non_finite=True)
                self.assertFalse(run.model.backbone["conv"].bias.isfinite().all())
            else:
                run.load(self.folder / "a.pth")

    def test_note_with_the_path_of_another_place(self):
        (self.folder / "model_0000009.pth").touch()
        (self.folder / "last_checkpoint").write_text("data/output/elsewhere/model_0000009.pth\n")
        found = ActionCheckpointer(Net(), save_dir=self.folder).last_checkpoint()
        self.assertEqual(found, self.folder / "model_0000009.pth")

    def test_note_that_names_a_lost_file(self):
        (self.folder / "last_checkpoint").write_text("model_0000009.pth")
        with self.assertRaisesRegex(UserError, "names model_0000009.pth, which does not exist"):
            ActionCheckpointer(Net(), save_dir=self.folder).last_checkpoint()

    def test_only_the_main_process_writes(self):
        ActionCheckpointer(Net(), save_dir=self.folder, save_to_disk=False).save("a")
        self.assertEqual(list(self.folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
