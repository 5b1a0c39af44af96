"""MemoryPool: look-ups in seconds, and its way through a checkpoint."""

from __future__ import annotations

import io
import os
import unittest
from pathlib import Path
from unittest import mock

import torch

from alphaction.config import get_cfg
from alphaction.engine.prepare import prepare_memory
from alphaction.structures.bounding_box import BoxList
from alphaction.structures.memory_pool import KEYFRAME_BYTES, MemoryPool

LOG = "alphaction.structures.memory_pool"


def through_a_file(pool: MemoryPool, **options) -> MemoryPool:
    stream = io.BytesIO()
    torch.save(pool.state_dict(), stream)
    stream.seek(0)
    other = MemoryPool(**options)
    other.put("gone", 1, persons(1))
    other.load_state_dict(torch.load(stream, weights_only=True))
    return other


def keys(pool: MemoryPool) -> list[tuple[str, int]]:
    return sorted((movie, timestamp) for movie in pool.movies() for timestamp in pool[movie])


def persons(value: float, count: int = 1, tag: float | None = None) -> BoxList:
    boxes = BoxList(torch.zeros(count, 4), (384, 256))
    boxes.add_field("pooled_feature", torch.full((count, 6, 1, 1, 1), float(value)))
    if tag is not None:
        boxes.add_field("loss_tag", tag)
    return boxes


def values(slots) -> list[float | None]:
    return [None if boxes is None else boxes.get_field("pooled_feature")[0, 0].item() for boxes in slots]


class LookupTest(unittest.TestCase):
    def test_whole_seconds(self):
        """Rate 1 on whole seconds: exactly the seconds of the window, never the own one."""
        pool = MemoryPool()
        for second in (900, 902, 903, 905, 909):
            pool.put("m", second, persons(second))
        pool.put("other", 904, persons(1))
        self.assertEqual(values(pool.lookup("m", 903, 3, 2)), [900, None, 902, None, None, 905])
        self.assertEqual(values(pool.lookup("m", 904, 1, 1)), [903, None, 905])
        self.assertEqual(values(pool.lookup("unknown", 904, 1, 1)), [None] * 3)

    def test_nearest_within_half_a_slot(self):
        pool = MemoryPool()
        for frame, second in ((1, 8.7), (2, 8.9), (3, 9.2), (4, 11.45), (5, 12.6)):
            pool.put("m", frame, persons(frame), second)
        # Slots at 8, 9, 10 (own), 11, 12: frame 5 is 0.6 s from 12, frame 2 is the nearest to 9.
        self.assertEqual(values(pool.lookup("m", 10.0, 2, 2)), [None, 2, None, 4, None])
        # Twice as many slots, 0.5 s apart, a quarter second each way.
        self.assertEqual(values(pool.lookup("m", 9.5, 1, 2, rate=2)), [1, 2, None, None, None, None, 4])

    def test_ties(self):
        pool = MemoryPool()
        pool.put("m", 1, persons(1), 8.75)
        pool.put("m", 2, persons(2), 9.25)
        self.assertEqual(values(pool.lookup("m", 10, 1, 0)), [1, None])
        # Halfway between two slots: one of them, not both.
        pool = MemoryPool()
        pool.put("m", 1, persons(1), 8.5)
        self.assertEqual(values(pool.lookup("m", 10, 2, 0)), [None, 1, None])

    def test_a_keyframe_fills_at_most_one_slot(self):
        generator = torch.Generator().manual_seed(0)
        for rate in (1, 2, 3):
            pool = MemoryPool()
            for frame, second in enumerate((torch.rand(40, generator=generator) * 30).tolist()):
                pool.put("m", frame, persons(frame), second)
            found = [v for v in values(pool.lookup("m", 15.0, 10, 10, rate)) if v is not None]
            self.assertEqual(len(found), len(set(found)))
            self.assertGreater(len(found), 8)

    def test_own_keyframe_fills_no_slot(self):
        """Even where its stored second and the clip's differ."""
        pool = MemoryPool()
        pool.put("m", 7, persons(7), 10.0)
        self.assertEqual(values(pool.lookup("m", 11.0, 2, 2)), [None, 7, None, None, None])
        self.assertEqual(values(pool.lookup("m", 11.0, 2, 2, exclude=7)), [None] * 5)

    def test_put_again_replaces(self):
        pool = MemoryPool()
        pool.put("m", 7, persons(1), 10.0)
        self.assertEqual(values(pool.lookup("m", 11, 1, 0)), [1, None])
        pool.put("m", 7, persons(2), 20.0)
        self.assertEqual(values(pool.lookup("m", 11, 1, 0)), [None, None])
        self.assertEqual(values(pool.lookup("m", 21, 1, 0)), [2, None])
        self.assertEqual(len(pool), 1)

    def test_filled_share(self):
        pool = MemoryPool()
        self.assertEqual(pool.filled_share, 0)
        pool.put("m", 1, persons(1))
        pool.lookup("m", 2, 2, 2)
        self.assertEqual(pool.filled_share, 0.25)
        pool.reset_counts()
        self.assertEqual(pool.filled_share, 0)


class StorageTest(unittest.TestCase):
    def test_features_are_detached(self):
        boxes = persons(1)
        boxes.add_field("pooled_feature", torch.ones(1, 6, 1, 1, 1, requires_grad=True) * 2)
        pool = MemoryPool()
        pool.put("m", 1, boxes)
        self.assertFalse(pool["m"][1].get_field("pooled_feature").requires_grad)

    def test_only_what_is_remembered_stays_in_memory(self):
        batch = torch.ones(100, 6, 1, 1, 1)
        boxes = BoxList(torch.zeros(1, 4), (384, 256))
        boxes.add_field("pooled_feature", batch[7:8])
        pool = MemoryPool()
        pool.put("m", 1, boxes)
        batch.zero_()
        feature = pool["m"][1].get_field("pooled_feature")
        self.assertEqual(feature.untyped_storage().nbytes(), (4 + 6) * 4)  # with the box
        self.assertEqual(feature.sum(), 6)

    def test_unknown_movie_is_empty(self):
        pool = MemoryPool()
        self.assertEqual(len(pool["m"]), 0)
        self.assertNotIn("m", pool)
        self.assertEqual(pool.movies(), [])

    def test_through_a_checkpoint(self):
        pool = MemoryPool()
        pool.put("a", 3, persons(3, count=2, tag=1.5), 0.5)
        pool.put("a", 9, persons(9, count=0), 1.5)
        pool.put("b", 12345, persons(4))
        other = through_a_file(pool)
        self.assertEqual(other.movies(), ["a", "b"])
        self.assertEqual([len(boxes) for boxes in other["a"].values()], [2, 0])
        self.assertEqual(other["a"][3].get_field("loss_tag"), 1.5)
        self.assertEqual(other["a"][3].size, (384, 256))
        self.assertFalse(other["b"][12345].has_field("loss_tag"))
        self.assertEqual(values(other.lookup("a", 1.5, 1, 0)), [3, None])
        self.assertTrue(torch.equal(other["a"][3].get_field("pooled_feature"), torch.full((2, 6, 1, 1, 1), 3.0)))

    def test_empty_pool_through_a_checkpoint(self):
        other = through_a_file(MemoryPool())
        self.assertEqual((len(other), other.movies(), other.megabytes), (0, [], 0))
        other.put("m", 1, persons(1))
        self.assertEqual(keys(other), [("m", 1)])

    def test_boxes_come_back_as_corners(self):
        boxes = BoxList([[10, 20, 30, 40]], (384, 256), mode="xywh")
        boxes.add_field("pooled_feature", torch.ones(1, 6, 1, 1, 1))
        pool = MemoryPool()
        pool.put("m", 1, boxes)
        self.assertEqual(pool["m"][1].bbox.tolist(), [[10, 20, 39, 59]])

    def test_features_of_another_width_are_refused(self):
        pool = MemoryPool()
        pool.put("m", 1, persons(1))
        other = BoxList(torch.zeros(1, 4), (384, 256))
        other.add_field("pooled_feature", torch.ones(1, 7, 1, 1, 1))
        with self.assertRaisesRegex(ValueError, "rows have 11 numbers, expected 10"):
            pool.put("m", 2, other)


class SizeTest(unittest.TestCase):
    def setUp(self):
        # Small blocks, so that few rows fill several.
        patch = mock.patch("alphaction.structures.row_store.BLOCK_ROWS", 4)
        patch.start()
        self.addCleanup(patch.stop)

    def test_half_precision(self):
        single, half = MemoryPool(), MemoryPool("float16")
        for pool in (single, half):
            pool.put("m", 1, persons(1 / 3, count=2))
            pool.put("m", 2, persons(1e6))
            pool.put("m", 3, persons(-1e6))
        feature = half["m"][1].get_field("pooled_feature")
        self.assertEqual(feature.dtype, torch.float32)
        self.assertEqual(feature.shape, (2, 6, 1, 1, 1))
        torch.testing.assert_close(feature, torch.full_like(feature, 1 / 3), rtol=5e-4, atol=0)
        self.assertFalse(torch.equal(feature, torch.full_like(feature, 1 / 3)))
        self.assertEqual(values(half.lookup("m", 2.5, 1, 1, rate=2)), [None, 65504, None, -65504, None])
        extra = 3 * KEYFRAME_BYTES / 2**20
        self.assertAlmostEqual(single.megabytes - extra, 4 * 10 * 4 / 2**20)
        self.assertAlmostEqual(half.megabytes - extra, 4 * 10 * 2 / 2**20)

    def test_precision_and_age_survive_a_checkpoint(self):
        pool = MemoryPool("float16")
        for timestamp in range(7):
            pool.put("ab"[timestamp % 2], timestamp, persons(timestamp / 3, count=timestamp % 3, tag=float(timestamp)))
        pool.put("a", 0, persons(9))  # the youngest now
        state = pool.state_dict()
        self.assertEqual({block.dtype for block in state["blocks"]}, {torch.float16})
        # Room for three of them and a bit.
        limit = (3 * (KEYFRAME_BYTES + 2 * 20) + 40) / 2**20
        with self.assertLogs(LOG, "WARNING"):
            other = through_a_file(pool, dtype="float16", limit_mb=limit)
        self.assertEqual(keys(other), [("a", 0), ("a", 6), ("b", 5)])
        for movie, timestamp in keys(other):
            found, given = other[movie][timestamp], pool[movie][timestamp]
            self.assertTrue(torch.equal(found.get_field("pooled_feature"), given.get_field("pooled_feature")))
            self.assertEqual(found.has_field("loss_tag"), given.has_field("loss_tag"))
        for timestamp in (20, 21):
            other.put("c", timestamp, persons(1, count=2))
        self.assertEqual(keys(other), [("a", 0), ("c", 20), ("c", 21)])
        self.assertEqual(
            values(through_a_file(pool).lookup("b", 6.0, 1, 0))[0],
            pool["b"][5].get_field("pooled_feature")[0, 0].item(),
        )

    def test_the_oldest_are_forgotten_and_it_is_said_once(self):
        row = 10 * 4
        pool = MemoryPool(limit_mb=(3 * KEYFRAME_BYTES + 5 * row) / 2**20)
        with self.assertLogs(LOG, "WARNING") as log:
            for timestamp in range(40):
                pool.put("m", timestamp, persons(timestamp, count=1 + timestamp % 2))
                self.assertLessEqual(pool.megabytes, pool.limit_mb)
                self.assertEqual(keys(pool), [("m", t) for t in range(max(timestamp - 2, 0), timestamp + 1)])
            pool.put("m", 37, persons(37))  # again: not the oldest any more
            pool.put("n", 1, persons(1))
        self.assertEqual(keys(pool), [("m", 37), ("m", 39), ("n", 1)])
        self.assertEqual(values(pool.lookup("m", 38, 1, 1)), [37, None, 39])
        self.assertEqual(len(log.output), 1)
        self.assertIn("MEMORY_LIMIT_MB", log.output[0])
        # Rows of what was forgotten are used again.
        self.assertLessEqual(sum(len(block) for block in pool.state_dict()["blocks"]), 8)
        self.assertEqual(len(through_a_file(pool)), 3)

    def test_a_movie_whose_keyframes_are_forgotten_is_unknown(self):
        pool = MemoryPool(limit_mb=1.5 * KEYFRAME_BYTES / 2**20)
        pool.put("m", 1, persons(1))
        pool.put("n", 1, persons(1, count=1000))  # larger than the limit: the latest is kept all the same
        self.assertEqual(pool.movies(), ["n"])
        self.assertEqual(len(pool["n"][1]), 1000)

    def test_no_copy_on_the_way_into_a_checkpoint_nor_out_of_it(self):
        pool = MemoryPool()
        for timestamp in range(6):
            pool.put("m", timestamp, persons(timestamp))
        state = pool.state_dict()
        self.assertEqual([len(block) for block in state["blocks"]], [4, 2])
        state["blocks"][0][0, 4:] = 77
        self.assertEqual(pool["m"][0].get_field("pooled_feature")[0, 0].item(), 77)
        self.assertEqual(state["blocks"][1].untyped_storage().nbytes(), 2 * 10 * 4)  # all that torch.save would write
        MemoryPool().load_state_dict(state)
        self.assertEqual(state["blocks"], [])

    def test_configured(self):
        cfg = get_cfg()
        cfg.merge_from_list(["MODEL.IA_STRUCTURE.MEMORY_DTYPE", "float16", "MODEL.IA_STRUCTURE.MEMORY_LIMIT_MB", 7])
        pool = prepare_memory(cfg)
        pool.put("m", 1, persons(1 / 3))
        self.assertNotEqual(pool["m"][1].get_field("pooled_feature")[0, 0].item(), torch.tensor(1 / 3).item())
        self.assertEqual(pool.limit_mb, 7)

    def test_in_words(self):
        pool = MemoryPool()
        for timestamp in (1, 2):
            pool.put("m", timestamp, persons(1))
        pool.lookup("m", 2, 1, 1)
        self.assertEqual(str(pool), "2 keyframes, 0.0 MB, 50 % of the slots filled")


@unittest.skipUnless(os.environ.get("ALPHACTION_SLOW") == "1", "ALPHACTION_SLOW=1 runs it (4 GB)")
@unittest.skipUnless(Path("/proc/self/statm").exists(), "no /proc here")
class AvaSizeTest(unittest.TestCase):
    def test_half_precision_of_all_training_keyframes(self):
        """230,000 keyframes with 840,000 persons of 2304 features: what the pool says is what the process takes."""

        def resident() -> float:
            return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

        features, before = torch.rand(7, 2304, 1, 1, 1), resident()
        pool = MemoryPool("float16")
        for number in range(230_000):
            boxes = BoxList(torch.zeros(3 + int(number % 23 >= 8), 4), (384, 256))
            boxes.add_field("pooled_feature", features[: len(boxes)])
            boxes.add_field("loss_tag", number / 7)
            pool.put(f"movie {number // 898}", 902 + number % 898, boxes)
        taken = resident() - before
        print(f"{pool}; the process grew by {taken:.0f} MB")
        self.assertAlmostEqual(taken / pool.megabytes, 1.0, delta=0.05)
        self.assertLess(taken, 4200)
        state = pool.state_dict()
        del pool
        MemoryPool("float16").load_state_dict(state)
        self.assertLess(resident() - before, 4200)


if __name__ == "__main__":
    unittest.main()
