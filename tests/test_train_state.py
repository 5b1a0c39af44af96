"""What stands beside the weights of a checkpoint is checked where it is read, and a sentence names the file."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import torch

from alphaction.checkpoints.checkpoint_file import DIGESTS
from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.checkpoints.last_checkpoint import find_last_checkpoint, has_checkpoint
from alphaction.checkpoints.weights import check_settings
from alphaction.engine.train_state import TrainState, log_unused
from alphaction.errors import UserError
from alphaction.solver.optimizer import LRFactor
from alphaction.structures.bounding_box import BoxList
from alphaction.structures.memory_pool import MemoryPool

CPU = torch.device("cpu")
NAN = float("nan")


def pool() -> MemoryPool:
    memory = MemoryPool(channels=6)
    for movie, timestamp in (("a", 3), ("b", 3), ("a", 9)):
        boxes = BoxList(torch.zeros(2, 4), (384, 256))
        boxes.add_field("pooled_feature", torch.full((2, 6, 1, 1, 1), float(timestamp)))
        memory.put(movie, timestamp, boxes)
    return memory


class StateTest(unittest.TestCase):
    def state(self, **changes) -> dict:
        return {**TrainState(5, 0.5, 30.0, pool()).state_dict(CPU), **changes}

    def load(self, data: dict) -> TrainState:
        state = TrainState(memory=MemoryPool(channels=6))
        state.load_state_dict(data, CPU, "some/a.pth")
        return state

    def assert_refused(self, data: dict, pattern: str) -> None:
        before = torch.get_rng_state()
        with self.assertRaisesRegex(UserError, f"some/a.pth .*{pattern}.*(--transfer|earlier)"):
            self.load(data)
        self.assertTrue(torch.equal(torch.get_rng_state(), before))

    def test_through_a_dict(self):
        state = self.load(self.state())
        self.assertEqual((state.iteration, state.last_loss, state.best, len(state.memory)), (5, 0.5, 30.0, 3))

    def test_losses(self):
        for value in (NAN, float("inf"), "x", [1], True, torch.ones(1)):
            for key in ("last_loss", "best"):
                with self.subTest(key, value=value):
                    self.assert_refused(self.state(**{key: value}), key)

    def test_random_states(self):
        good = torch.get_rng_state()
        for value in (
            5,
            {"cpu": good},
            [5],
            [{}],
            [{"cpu": None}],
            [{"cpu": good[:-1]}],
            [{"cpu": good.float()}],
            [{"cpu": good}, {"cpu": good[None]}],
            [{"cpu": good.new_empty(0)}],
        ):
            with self.subTest(type(value)):
                self.assert_refused(self.state(random_states=value), "random state")

    def test_missing_parts_are_warned_of(self):
        with self.assertLogs("alphaction.engine", "WARNING") as logs:
            self.assertEqual(self.load({}).iteration, 0)
        self.assertIn("some/a.pth has no iteration, memory, random_states", logs.output[0])
        with self.assertNoLogs("alphaction.engine", "WARNING"):
            self.load(self.state())

    def test_a_process_without_random_state_is_warned_of(self):
        before = torch.get_rng_state()
        with (
            mock.patch("alphaction.utils.processes.rank", return_value=1),
            self.assertLogs("alphaction.engine", "WARNING") as logs,
        ):
            self.load(self.state())
        self.assertIn("some/a.pth has the random states of 1 process(es), none for process 1", logs.output[0])
        self.assertTrue(torch.equal(torch.get_rng_state(), before))

    def test_unused_parts_of_a_weight_file_are_logged(self):
        with self.assertLogs("alphaction.engine") as logs:
            log_unused(self.state(last_loss=None), "some/a.pth")
        self.assertIn("some/a.pth: not using its best, memory, random_states,", logs.output[0])
        with self.assertNoLogs("alphaction.engine"):
            log_unused({"iteration": 3}, "some/a.pth")

    def test_memory(self):
        for entry, value in (
            ("movies", ["a"]),
            ("movies", [1, 2]),
            ("movies", None),
            ("movie", torch.tensor([0, 1, 5])),
            ("movie", torch.tensor([0, 1])),
            ("movie", torch.tensor([0.0, 1.0, 0.0])),
            ("timestamps", torch.tensor([3, 3, 3])),
            ("timestamps", [3, 3, 9]),
            ("seconds", torch.tensor([0.0, NAN, 1.0], dtype=torch.float64)),
            ("loss_tags", torch.tensor([0.0, 1.0, float("inf")], dtype=torch.float64)),
            ("sizes", torch.zeros(3, 2, dtype=torch.float64)),
            ("sizes", torch.ones(3, 3, dtype=torch.float64)),
            ("counts", torch.tensor([2, 2, 1])),
            ("counts", torch.tensor([-2, 2, 6])),
            ("counts", torch.tensor([1 << 62, 1 << 62, 1 << 62])),
            ("rows", torch.tensor([0, 1, 2, 3, 4, 6])),
            ("rows", torch.tensor([0, 1, 2, 3, 4, 4])),
            ("rows", torch.tensor([-1, 1, 2, 3, 4, 5])),
            ("rows", torch.zeros(2, 3, dtype=torch.int64)),
            ("blocks", 5),
            ("blocks", [None]),
            ("blocks", [torch.zeros(6, 11)]),
            ("blocks", [torch.zeros(6, 4)]),
            ("blocks", [torch.zeros(6)]),
            ("blocks", [torch.zeros(6, 10, dtype=torch.float64)]),
            ("blocks", [torch.zeros(3, 10), torch.zeros(3, 9)]),
            ("blocks", [torch.full((6, 10), NAN)]),
            ("blocks", []),
        ):
            memory = pool().state_dict()
            memory[entry] = value
            with self.subTest(entry, value=value):
                self.assert_refused(self.state(memory=memory), "damaged memory")
                kept = pool()
                with self.assertRaises(UserError):
                    kept.load_state_dict(memory)
                self.assertEqual(len(kept), 3)
        for value in (5, [], {}, {**pool().state_dict(), "counts": None}):
            self.assert_refused(self.state(memory=value), "damaged memory")


class FileTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.path = self.folder / "a.pth"

    def run_of(self, steps: int = 0) -> ActionCheckpointer:
        torch.manual_seed(0)
        net = torch.nn.ModuleDict({"backbone": torch.nn.Linear(2, 2)})
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        factor = LRFactor(0, 1.0, False, 0, [2, 4], 0.1)
        run = ActionCheckpointer(net, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor), self.folder)
        for _ in range(steps):
            net["backbone"](torch.ones(1, 2)).sum().backward()
            optimizer.step()
            run.scheduler.step()
        return run

    def data(self) -> dict:
        run = self.run_of(3)
        run.info = {"class_names": ["a", "b"]}
        run.save("a", iteration=3)
        data = torch.load(self.path, weights_only=True)
        del data[DIGESTS]
        return data

    def assert_refused(self, data: dict, pattern: str, **options) -> None:
        torch.save(data, self.path)
        run = self.run_of()
        before = [value.clone() for value in run.model.state_dict().values()]
        with self.assertRaisesRegex(UserError, f"a.pth .*{pattern}"):
            run.load(self.path, **options)
        self.assertTrue(all(map(torch.equal, before, run.model.state_dict().values())))
        self.assertEqual(len(run.optimizer.state), 0)
        self.assertEqual(run.scheduler.last_epoch, 0)

    def test_iteration(self):
        for value in (-1, 10**12, 2.5, NAN, "3", [3], True, torch.tensor(3)):
            with self.subTest(value):
                self.assert_refused({**self.data(), "iteration": value}, "iteration.*whole number")

    def test_class_names(self):
        for value in ("ab", 5, ["a", 5], [None], {"a": 1}):
            for weights_only in (False, True):
                data = {**self.data(), "class_names": value, DIGESTS: {}}
                self.assert_refused(data, "class_names.*list of strings", model_weight_only=weights_only)

    def test_configuration(self):
        net = torch.nn.Module()
        net.backbone = torch.nn.Module()
        net.backbone.settings = {"MODEL.BACKBONE.STEM_POOL_PADDING": 0}
        tags = ("a: !!timestamp x", "a: !!int ''", "a: !!bool x")
        for value in (*tags, "a: [", "just words", "- 1", "\x00", "x" * 2_000_000, 5, ["a"], {"a": 1}):
            with self.subTest(str(value)[:20]), self.assertRaisesRegex(UserError, "a.pth has .* entry config"):
                check_settings(net, value, "a.pth")
        check_settings(net, "MODEL: {BACKBONE: {STEM_POOL_PADDING: 0}}", "a.pth")

    def test_optimizer(self):
        for change in (
            lambda o: o["param_groups"][0].update(lr="x"),
            lambda o: o["param_groups"][0].update(lr=NAN),
            lambda o: o["param_groups"][0].update(momentum=None),
            lambda o: o["param_groups"][0].update(weight_decay=-1.0),
            lambda o: o["param_groups"][0].update(nesterov="yes"),
            lambda o: o["param_groups"][0].update(params=[0, 0]),
            lambda o: o["param_groups"][0].update(params=["a", "b"]),
            lambda o: o["param_groups"][0].update(params=5),
            lambda o: o["state"].update({7: {"momentum_buffer": torch.ones(2)}}),
            lambda o: o["state"].update({0: 5}),
            lambda o: o["state"][0].update(momentum_buffer="x"),
            lambda o: o["state"][0].update(momentum_buffer=torch.full((2, 2), NAN)),
            lambda o: o["state"][0].update(momentum_buffer=torch.ones(3)),
            lambda o: o.update(state=[]),
            lambda o: o.update(param_groups={}),
        ):
            data = self.data()
            change(data["optimizer"])
            with self.subTest():
                self.assert_refused(data, "optimizer.*(--transfer|earlier)")

    def test_schedule(self):
        for change in (
            {"last_epoch": -1},
            {"last_epoch": 2.0},
            {"last_epoch": 10**12},
            {"base_lrs": ["x"]},
            {"base_lrs": [NAN]},
            {"base_lrs": [0.1, 0.1]},
            {"base_lrs": 0.1},
            {"lr_lambdas": [None]},
            {"lr_lambdas": [{"gamma": 1}]},
            {"lr_lambdas": []},
            {"_last_lr": "x"},
            {"_step_count": "x"},
        ):
            data = self.data()
            data["scheduler"].update(change)
            with self.subTest(change):
                self.assert_refused(data, "schedule.*--transfer")
        data = self.data()
        data["scheduler"]["lr_lambdas"][0]["steps"] = ["x"]
        self.assert_refused(data, "schedule.*--transfer")

    def test_attributes_of_the_schedule_are_not_replaced(self):
        data = self.data()
        data["scheduler"].update(step=5, optimizer=None)
        torch.save(data, self.path)
        run = self.run_of()
        run.load(self.path)
        run.optimizer.step()
        run.scheduler.step()
        self.assertEqual(run.scheduler.last_epoch, 4)

    def test_missing_states_are_warned_of_by_name(self):
        data = self.data()
        del data["optimizer"]
        torch.save(data, self.path)
        with self.assertLogs("alphaction.checkpoints", "WARNING") as logs:
            self.run_of().load(self.path)
        self.assertRegex(logs.output[0], "a.pth has no state for the optimizer; starting with a fresh one")
        del data["iteration"], data["scheduler"]
        torch.save(data, self.path)  # weights to start from
        with self.assertNoLogs("alphaction.checkpoints", "WARNING"):
            self.run_of().load(self.path)

    def test_without_a_note_the_newest_readable_checkpoint_is_taken(self):
        for name in ("model_zoo_r50.pth", "model_best.pth", "model_5.pth", "xmodel_0000009.pth"):
            torch.save({"model": {"a": torch.ones(1)}}, self.folder / name)
        self.assertFalse(has_checkpoint(self.folder))
        self.assertIsNone(find_last_checkpoint(self.folder))
        (self.folder / "model_0000006.pth").write_bytes(b"PK torn")
        self.assertTrue(has_checkpoint(self.folder))
        with self.assertRaisesRegex(UserError, "last_checkpoint is missing and none of 1 .*0000006.pth.*OUTPUT_DIR"):
            find_last_checkpoint(self.folder)
        run = self.run_of()
        for name in ("model_0000002", "model_0000004"):
            run.save(name)
        (self.folder / "last_checkpoint").unlink()
        with self.assertLogs("alphaction.checkpoints", "WARNING") as logs:
            self.assertEqual(run.last_checkpoint(), self.folder / "model_0000004.pth")
        self.assertRegex(logs.output[0], "last_checkpoint is missing.*, model_0000004.pth; 1 newer .*0000006.pth")
        run.save("model_final")
        (self.folder / "last_checkpoint").unlink()
        with self.assertLogs("alphaction.checkpoints", "WARNING"):
            self.assertEqual(run.last_checkpoint(), self.folder / "model_final.pth")

    def test_a_note_that_cannot_be_written(self):
        (self.folder / "last_checkpoint").mkdir()
        with self.assertRaisesRegex(UserError, "last_checkpoint cannot be written"):
            self.run_of().save("model_0000002")

    def test_the_note(self):
        self.assertIsNone(find_last_checkpoint(self.folder))
        (self.folder / "model_best.pth").touch()
        self.assertIsNone(find_last_checkpoint(self.folder))
        (self.folder / "model_0000004.pth").touch()
        note = self.folder / "last_checkpoint"
        for content in (b"", b" \n", bytes(17), b"\xff\xfe\x80abc", b"x" * 300, b"..", b"model_9.pth", b"a\nb"):
            note.write_bytes(content)
            with self.subTest(content[:8]), self.assertRaisesRegex(UserError, "last_checkpoint .*another OUTPUT_DIR"):
                find_last_checkpoint(self.folder)
        note.write_bytes(b"model_0000004.pth\n")
        self.assertEqual(find_last_checkpoint(self.folder), self.folder / "model_0000004.pth")
        note.unlink()
        note.mkdir()
        with self.assertRaisesRegex(UserError, "last_checkpoint is a folder"):
            find_last_checkpoint(self.folder)


if __name__ == "__main__":
    unittest.main()
