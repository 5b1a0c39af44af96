"""MemoryPool: look-ups in seconds, and its way through a checkpoint."""

from __future__ import annotations

import io
import unittest

import torch

from alphaction.structures.bounding_box import BoxList
from alphaction.structures.memory_pool import MemoryPool


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
        self.assertEqual(feature.untyped_storage().nbytes(), 6 * 4)
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
        stream = io.BytesIO()
        torch.save(pool.state_dict(), stream)
        stream.seek(0)
        other = MemoryPool()
        other.put("gone", 1, persons(1))
        other.load_state_dict(torch.load(stream, weights_only=True))
        self.assertEqual(other.movies(), ["a", "b"])
        self.assertEqual([len(boxes) for boxes in other["a"].values()], [2, 0])
        self.assertEqual(other["a"][3].get_field("loss_tag"), 1.5)
        self.assertEqual(other["a"][3].size, (384, 256))
        self.assertFalse(other["b"][12345].has_field("loss_tag"))
        self.assertEqual(values(other.lookup("a", 1.5, 1, 0)), [3, None])
        self.assertTrue(torch.equal(other["a"][3].get_field("pooled_feature"), torch.full((2, 6, 1, 1, 1), 3.0)))

    def test_empty_pool_through_a_checkpoint(self):
        other = MemoryPool()
        other.load_state_dict(MemoryPool().state_dict())
        self.assertEqual(len(other), 0)


if __name__ == "__main__":
    unittest.main()
