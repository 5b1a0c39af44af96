"""Exchanges between processes: two gloo processes, without a model."""

from __future__ import annotations

import os
import unittest
from datetime import timedelta
from unittest import mock

import torch
from process_group import CONTEXT, free_port, start

from alphaction.engine.memory_update import update_memory
from alphaction.engine.train_state import TrainState
from alphaction.errors import UserError
from alphaction.modeling.roi_heads.action_head.losses import ActionLoss, ClassGroups
from alphaction.structures.bounding_box import BoxList
from alphaction.structures.memory_pool import MemoryPool
from alphaction.utils import processes

CPU = torch.device("cpu")


def persons(values: list[float]) -> BoxList:
    boxes = BoxList(torch.zeros(len(values), 4), (96, 64))
    boxes.add_field("pooled_feature", torch.tensor(values).reshape(-1, 1, 1, 1, 1).expand(-1, 3, 1, 1, 1))
    return boxes


def stored(memory: MemoryPool) -> dict:
    return {
        (movie, time): boxes.get_field("pooled_feature")[:, 0].flatten().tolist()
        for movie in memory.movies()
        for time, boxes in memory[movie].items()
    }


def exchange(rank: int) -> dict:
    """What process ``rank`` has after each kind of exchange."""
    found = {}
    # Process 0 has two clips with three persons, process 1 one clip; then only process 1 has a clip.
    clips_here = [("m", 1, [1.0, 2.0]), ("m", 2, [3.0])] if rank == 0 else [("n", 1, [4.0])]
    for name, clips in (("both", clips_here), ("one", [] if rank == 0 else clips_here), ("none", [])):
        memory = MemoryPool("float16")
        update_memory(
            memory,
            [persons(values) for _, _, values in clips],
            [{"movie_id": m, "timestamp": t, "second": float(t)} for m, t, _ in clips],
            loss_tag=0.5,
        )
        found[name] = stored(memory)
        found[name + " dtype"] = {block.dtype for block in memory.state_dict()["blocks"]}
    # Portions of two rows: several exchanges, of which process 1 has none in the last.
    items = [
        ((rank, place), (torch.full((count, 4), float(rank)), torch.full((count, 2, 1), float(place))))
        for place, count in enumerate((1, 1, 2, 5, 0, 1) if rank == 0 else (0, 2))
    ]
    found["in turns"] = [
        (label, corners[:, 0].tolist(), rows.tolist())
        for label, (corners, rows) in processes.exchange(items, chunk_bytes=2 * 2 * 6 * 4)
    ]
    found["mean"] = processes.mean_over_processes({"loss": 2.0 * rank, **({"accuracy": 0.25} if rank else {})})

    # Person counts differ: the mean over processes of the losses is that of all persons together.
    loss = ActionLoss(ClassGroups(4, 2, 2, 0), 2.0, -1.0)
    logits, labels = torch.arange(16.0).reshape(4, 4) / 8, torch.eye(4, dtype=torch.uint8)
    rows = slice(0, 3) if rank == 0 else slice(3, 4)
    losses, _ = loss(logits[rows], labels[rows])
    found["losses"] = processes.mean_over_processes({name: value.item() for name, value in losses.items()})
    empty, _ = loss(logits[:0], labels[:0])
    found["no persons"] = [value.item() for value in empty.values()]

    norm = torch.nn.BatchNorm1d(2)
    norm.running_mean.fill_(rank + 1.0)
    processes.share_buffers(norm)
    found["buffers"] = norm.running_mean.tolist()

    torch.manual_seed(rank)
    state = TrainState().state_dict(CPU)
    expected = torch.rand(3).tolist()
    torch.manual_seed(99)
    TrainState().load_state_dict(state, CPU)
    found["random"], found["expected random"] = torch.rand(3).tolist(), expected
    return found


def answer(answers) -> None:
    processes.start(CPU)
    answers.put((processes.rank(), exchange(processes.rank())))
    processes.stop()


class TwoProcesses(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        answers = CONTEXT.Queue()
        workers = start(*[(answer, answers)] * 2)
        cls.found = dict(sorted(answers.get(timeout=300) for _ in workers))
        for worker in workers:
            worker.join(60)

    def both(self, name):
        self.assertEqual(self.found[0][name], self.found[1][name])
        return self.found[0][name]

    def test_memory_has_the_persons_of_all(self):
        self.assertEqual(self.both("both"), {("m", 1): [1, 2], ("m", 2): [3], ("n", 1): [4]})
        self.assertEqual(self.both("one"), {("n", 1): [4]})
        self.assertEqual(self.both("none"), {})
        self.assertEqual(self.both("both dtype"), {torch.float16})

    def test_items_come_in_turns_and_portions(self):
        expected = [
            ((rank, place), [float(rank)] * count, [[[float(place)]] * 2] * count)
            for rank, place, count in (
                (0, 0, 1),
                (1, 0, 0),
                (0, 1, 1),
                (1, 1, 2),
                (0, 2, 2),
                (0, 3, 5),
                (0, 4, 0),
                (0, 5, 1),
            )
        ]
        self.assertEqual(self.both("in turns"), expected)

    def test_means_are_over_the_processes_that_have_the_value(self):
        self.assertEqual(self.both("mean"), {"loss": 1.0, "accuracy": 0.25})

    def test_losses_with_different_numbers_of_persons(self):
        loss = ActionLoss(ClassGroups(4, 2, 2, 0), 2.0, -1.0)
        together, _ = loss(torch.arange(16.0).reshape(4, 4) / 8, torch.eye(4, dtype=torch.uint8))
        for name, value in self.both("losses").items():
            self.assertAlmostEqual(value, together[name].item(), places=6)
        self.assertEqual(self.both("no persons"), [0.0, 0.0])

    def test_buffers_are_those_of_the_main_process(self):
        self.assertEqual(self.both("buffers"), [1.0, 1.0])

    def test_each_continues_its_own_random_numbers(self):
        for rank in (0, 1):
            self.assertEqual(self.found[rank]["random"], self.found[rank]["expected random"])
        self.assertNotEqual(self.found[0]["random"], self.found[1]["random"])


class OneProcess(unittest.TestCase):
    def test_more_processes_than_gpus(self):
        with (
            mock.patch.dict(os.environ, WORLD_SIZE="4", LOCAL_RANK="3"),
            mock.patch("torch.cuda.device_count", return_value=2),
            self.assertRaisesRegex(UserError, "Process 3 .* no GPU of its own, there are 2"),
        ):
            processes.start(torch.device("cuda"))

    def test_processes_that_do_not_reach_each_other(self):
        place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        with mock.patch.dict(os.environ, place), self.assertRaisesRegex(UserError, "but RANK is not set"):
            processes.start(CPU)
        with (
            mock.patch.dict(os.environ, place, RANK="0"),
            mock.patch.object(processes, "JOIN_TIMEOUT", timedelta(seconds=1)),
            self.assertRaisesRegex(UserError, "Process 0 of 2 did not reach the others at 127.0.0.1:"),
        ):
            processes.start(CPU)


if __name__ == "__main__":
    unittest.main()
