"""Samplers and loaders: the same stream whatever the workers, processes and interruptions."""

from __future__ import annotations

import collections
import json
import os
import tempfile
import unittest
from unittest import mock

import h5py
import numpy as np
import torch
from thermal_files import small_cfg, write_dataset
from torch.utils.data import DataLoader

from alphaction.dataset import make_data_loader
from alphaction.dataset.collate_batch import BatchCollator
from alphaction.dataset.samplers import TestShard, TrainBatches, repeat_factors
from alphaction.errors import UserError


class TrainBatchesTest(unittest.TestCase):
    def test_every_sample_once_per_pass(self) -> None:
        batches = list(TrainBatches(np.zeros(12), 4, 6))
        self.assertEqual(len(batches), 6)
        for start in (0, 3):
            seen = [index for batch in batches[start : start + 3] for index, _ in batch]
            self.assertEqual(sorted(seen), list(range(12)))
        self.assertNotEqual([i for i, _ in batches[0]], [i for i, _ in batches[3]])

    def test_incomplete_batches_are_left_out(self) -> None:
        batches = list(TrainBatches(np.zeros(10), 4, 50))
        self.assertTrue(all(len({index for index, _ in batch}) == 4 for batch in batches))
        seen = collections.Counter(index for batch in batches for index, _ in batch)
        self.assertEqual(len(seen), 10)

    def test_resume(self) -> None:
        whole = list(TrainBatches(np.zeros(10), 3, 20, seed=5))
        for start in (0, 1, 7, 19, 20, 25):
            rest = TrainBatches(np.zeros(10), 3, 20, start_iter=start, seed=5)
            self.assertEqual(list(rest), whole[start:])
            self.assertEqual(len(rest), len(whole[start:]))

    def test_seed(self) -> None:
        first, same, other = (list(TrainBatches(np.zeros(10), 5, 4, seed=seed)) for seed in (1, 1, 2))
        self.assertEqual(first, same)
        self.assertNotEqual(first, other)
        seeds = [seed for batch in first for _, seed in batch]
        self.assertEqual(len(set(seeds)), len(seeds))

    def test_processes_share_each_batch(self) -> None:
        whole = list(TrainBatches(np.zeros(11), 4, 9))
        parts = [list(TrainBatches(np.zeros(11), 4, 9, rank=rank, world_size=2)) for rank in (0, 1)]
        for iteration, batch in enumerate(whole):
            self.assertEqual(sorted(parts[0][iteration] + parts[1][iteration]), sorted(batch))
            self.assertEqual(len(parts[0][iteration]), 2)

    def test_groups_do_not_mix(self) -> None:
        groups = np.arange(20) % 3 == 0
        batches = list(TrainBatches(groups, 3, 12))
        self.assertTrue(all(len({bool(groups[index]) for index, _ in batch}) == 1 for batch in batches))
        self.assertEqual(TrainBatches(groups, 3, 12).batches_per_epoch, 2 + 4)
        kinds = [bool(groups[batch[0][0]]) for batch in batches]
        self.assertNotEqual(kinds, sorted(kinds))


class WorkerErrorTest(unittest.TestCase):
    def test_a_sentence_stays_a_sentence(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = write_dataset(os.path.join(folder, "set"))
            for path in (root / "frames").glob("*.h5"):
                with h5py.File(path, "r+") as file:
                    file["frames"][...] = file["frames"][()] + 273.15
            for workers, limit in ((0, 2048), (1, 2048), (1, 0)):
                cfg = small_cfg(root, "DATALOADER.NUM_WORKERS", workers, "DATASETS.CACHE_LIMIT_MB", limit)
                for is_train in (True, False):
                    with self.assertRaisesRegex(UserError, r"\AThe recording [^\n]+look like kelvin[^\n]+\Z"):
                        loaders = make_data_loader(cfg, is_train)
                        next(iter(loaders if is_train else loaders[0]))


class RepeatsTest(unittest.TestCase):
    def test_factors(self) -> None:
        # Class 0 in 4 of 4 keyframes, class 1 in 1 of 4; the last keyframe has two persons, the second has none.
        labels = np.array([[1, 0], [1, 0], [1, 0], [0, 1]])
        np.testing.assert_allclose(repeat_factors(labels, np.array([0, 1, 1, 2, 4]), 0.75), [1, 1, 1, 3**0.5])
        np.testing.assert_array_equal(repeat_factors(labels, np.array([0, 1, 1, 2, 4]), 0.01), np.ones(4))

    def test_samples_come_as_often_as_asked(self) -> None:
        repeats = np.array([1.0, 3.0, 1.0, 1.0, 2.0, 1.0, 1.0])
        batches = TrainBatches(np.array([0, 0, 0, 0, 1, 1, 1]), 1, 7 * 300, repeats=repeats)
        counts = np.bincount([index for batch in batches for index, _ in batch], minlength=7) / 300
        np.testing.assert_allclose(counts, [4 / 6, 2, 4 / 6, 4 / 6, 1.5, 0.75, 0.75], atol=0.05)

    def test_equal_repeats_give_every_sample_once_per_pass(self) -> None:
        batches = TrainBatches(np.array([0, 1, 0, 0, 1, 0]), 2, 30, repeats=np.full(6, 2.0))
        counts = np.bincount([index for batch in batches for index, _ in batch])
        np.testing.assert_array_equal(counts, np.full(6, 10))


class TestShardTest(unittest.TestCase):
    def test_exactly_once(self) -> None:
        shards = [list(TestShard(11, rank, 3)) for rank in range(3)]
        self.assertEqual(sorted(sum(shards, [])), list(range(11)))
        self.assertEqual([len(TestShard(11, rank, 3)) for rank in range(3)], [4, 4, 3])
        self.assertEqual(list(TestShard(1, 1, 2)), [])


def summary(loader: DataLoader) -> list[tuple]:
    """Everything random about each batch."""
    return [(ids, fast.double().sum().item(), [b.bbox.tolist() for b in boxes]) for _, fast, boxes, _, _, ids in loader]


class LoaderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = write_dataset(cls.folder.name)
        cls.jitter = ("INPUT.SLOW_JITTER", True)

    def test_training_batches(self) -> None:
        loader = make_data_loader(small_cfg(self.root), is_train=True)
        self.assertEqual(len(loader), 6)
        slow, fast, boxes, objects, extras, ids = next(iter(loader))
        self.assertEqual((tuple(slow.shape), tuple(fast.shape)), ((2, 1, 8, 40, 60), (2, 1, 32, 40, 60)))
        self.assertEqual((len(boxes), objects, len(extras), len(ids)), (2, None, 2, 2))
        self.assertEqual(boxes[0].get_field("labels").shape, (1, 14))
        self.assertEqual(loader.dataset.get_video_info(ids[0])["movie"], extras[0]["movie_id"])

    def test_resumed_run_and_any_number_of_workers(self) -> None:
        whole = summary(make_data_loader(small_cfg(self.root, *self.jitter), is_train=True))
        self.assertEqual(len(whole), 6)
        torch.manual_seed(99)  # the stream does not depend on it
        for workers, start in ((0, 3), (2, 2)):
            cfg = small_cfg(self.root, *self.jitter, "DATALOADER.NUM_WORKERS", workers)
            self.assertEqual(summary(make_data_loader(cfg, is_train=True, start_iter=start)), whole[start:])
        other = summary(make_data_loader(small_cfg(self.root, *self.jitter, "SOLVER.SEED", 1), is_train=True))
        self.assertNotEqual(other, whole)

    def test_loading_does_not_move_the_models_random_numbers(self) -> None:
        torch.manual_seed(0)
        wanted = torch.rand(3)
        torch.manual_seed(0)
        next(iter(make_data_loader(small_cfg(self.root, *self.jitter), is_train=True)))
        torch.testing.assert_close(torch.rand(3), wanted, rtol=0, atol=0)

    def test_spawned_workers(self) -> None:
        dataset = make_data_loader(small_cfg(self.root), is_train=True).dataset
        batches = TrainBatches(np.zeros(len(dataset)), 2, 2)
        spawned = DataLoader(
            dataset, batch_sampler=batches, collate_fn=BatchCollator(), num_workers=1, multiprocessing_context="spawn"
        )
        own = DataLoader(dataset, batch_sampler=batches, collate_fn=BatchCollator())
        self.assertEqual(summary(spawned), summary(own))

    def test_forked_workers_read_from_disk(self) -> None:
        settings = ("DATASETS.CACHE_LIMIT_MB", 0, "SOLVER.MAX_ITER", 2)
        one = summary(make_data_loader(small_cfg(self.root, *settings), is_train=True))
        cfg = small_cfg(self.root, *settings, "DATALOADER.NUM_WORKERS", 2)
        self.assertEqual(summary(make_data_loader(cfg, is_train=True)), one)

    def test_testing_visits_everything_once(self) -> None:
        cfg = small_cfg(
            self.root, "DATASETS.TEST", ("thermal_action_val", "thermal_action_train"), "TEST.VIDEOS_PER_BATCH", 3
        )
        loaders = make_data_loader(cfg, is_train=False)
        for loader, size in zip(loaders, (2, 8), strict=True):
            self.assertEqual([n for batch in loader for n in batch[5]], list(range(size)))
            self.assertEqual(loader.dataset.transforms.flip_prob, 0)

    def test_testing_with_two_processes(self) -> None:
        cfg = small_cfg(self.root, "DATASETS.TEST", ("thermal_action_train",))
        seen = []
        for rank in (0, 1):
            with (
                mock.patch("alphaction.utils.processes.rank", return_value=rank),
                mock.patch("alphaction.utils.processes.world_size", return_value=2),
            ):
                seen += [n for batch in make_data_loader(cfg, False, is_distributed=True)[0] for n in batch[5]]
        self.assertEqual(sorted(seen), list(range(8)))

    def test_box_file(self) -> None:
        path = os.path.join(self.root, "boxes.json")
        with open(path, "w", encoding="utf-8") as stream:
            json.dump([{"image_id": "A_R1_75", "bbox": [15, 12, 30, 28], "score": 0.9}], stream)
        cfg = small_cfg(self.root, "TEST.BOX_FILE", path, "TEST.BOX_CONVENTION", "xyxy_pixel")
        boxes = next(iter(make_data_loader(cfg, is_train=False)[0]))[2]
        self.assertEqual([len(b) for b in boxes], [1, 0])
        self.assertEqual(make_data_loader(cfg, is_train=True).dataset.box_source, "ground truth")

    def test_sentences(self) -> None:
        with self.assertRaisesRegex(UserError, "8 clips, fewer than a batch of SOLVER.VIDEOS_PER_BATCH 9"):
            make_data_loader(small_cfg(self.root, "SOLVER.VIDEOS_PER_BATCH", 9), is_train=True)
        with self.assertRaisesRegex(UserError, r"DATASETS.TRAIN is \(\)"):
            make_data_loader(small_cfg(self.root, "DATASETS.TRAIN", ()), is_train=True)
        with (
            mock.patch("alphaction.utils.processes.world_size", return_value=2),
            self.assertRaisesRegex(UserError, "2 processes cannot share evenly"),
        ):
            make_data_loader(small_cfg(self.root, "SOLVER.VIDEOS_PER_BATCH", 3), is_train=True, is_distributed=True)


if __name__ == "__main__":
    unittest.main()
