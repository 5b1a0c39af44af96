"""Interaction aggregation: slots, memory window, blocks and their connections."""

from __future__ import annotations

import dataclasses
import math
import unittest
from unittest import mock

import torch
from small_model import small_cfg

from alphaction.errors import UserError
from alphaction.modeling.roi_heads.action_head.interaction import IAOptions, InteractionBlock, build_ia_structure
from alphaction.modeling.roi_heads.action_head.memory_window import (
    MemoryWindow,
    Slots,
    keyframe_seed,
    penalty_factor,
    subset,
)
from alphaction.structures.bounding_box import BoxList
from alphaction.structures.memory_pool import MemoryPool

CPU = torch.device("cpu")


def options(*overrides) -> IAOptions:
    return IAOptions.from_cfg(small_cfg("MODEL.IA_STRUCTURE.DIM_IN", 8, *overrides).MODEL.IA_STRUCTURE)


class SlotsTest(unittest.TestCase):
    def test_arrange_and_collect(self):
        x = torch.arange(8.0).reshape(4, 2)
        slots = Slots.of_counts([1, 0, 3], 4, CPU)
        arranged = slots.arrange(x, filler=torch.tensor([-1.0, -2.0]))
        self.assertEqual(arranged.shape, (3, 4, 2))
        self.assertEqual(arranged[0].tolist(), [[0, 1], [-1, -2], [-1, -2], [-1, -2]])
        self.assertEqual(arranged[1].tolist(), [[-1, -2]] * 4)
        self.assertTrue(torch.equal(slots.collect(arranged), x))
        self.assertEqual(Slots.of_counts([1, 0, 3], None, CPU).width, 3)

    def test_too_many_rows(self):
        torch.manual_seed(0)
        x = torch.arange(6.0).reshape(6, 1) + 1
        seen = set()
        for _ in range(20):
            arranged = Slots.of_counts([1, 5], 2, CPU).arrange(x).squeeze(2)
            self.assertEqual(arranged[0].tolist(), [1, 0])
            self.assertEqual(len(set(arranged[1].tolist())), 2)
            seen.update(arranged[1].tolist())
        self.assertEqual(seen, {2, 3, 4, 5, 6})

    def test_no_rows(self):
        slots = Slots.of_counts([0, 0], None, CPU)
        self.assertEqual(slots.collect(slots.arrange(torch.zeros(0, 3))).shape, (0, 3))

    def test_subset(self):
        self.assertEqual(subset(3, 3).tolist(), [0, 1, 2])
        self.assertEqual(len(set(subset(9, 4).tolist())), 4)

    def test_subset_of_a_seed(self):
        """It depends on the seed alone, and different seeds draw different subsets."""
        torch.manual_seed(0)
        state = torch.get_rng_state()
        drawn = [subset(9, 4, f"m/{timestamp}").tolist() for timestamp in range(200)]
        self.assertTrue(torch.equal(torch.get_rng_state(), state))
        torch.manual_seed(1)
        self.assertEqual([subset(9, 4, f"m/{timestamp}").tolist() for timestamp in range(200)], drawn)
        # Each row is in 4 / 9 of the subsets: 89 of 200, standard deviation 7.
        for row in range(9):
            self.assertLess(abs(sum(row in rows for rows in drawn) - 89), 35)

    def test_seed_of_a_keyframe(self):
        extras = [{"movie_id": "m", "timestamp": 1}, {"movie_id": "m", "timestamp": 2}]
        seeds = {keyframe_seed(extras, clip, purpose) for clip in (0, 1) for purpose in ("persons", "slot 3")}
        self.assertEqual(len(seeds), 4)
        self.assertEqual(keyframe_seed(extras[1:], 0, "persons"), keyframe_seed(extras, 1, "persons"))
        self.assertEqual(keyframe_seed(None, 0, "persons"), keyframe_seed(None, 1, "persons"))


class MemoryWindowTest(unittest.TestCase):
    def setUp(self):
        self.window = MemoryWindow(before=2, after=1, rate=1, max_per_slot=2, penalty=True)
        self.pool = MemoryPool()
        for second, count, tag in ((8, 1, 2.0), (9, 3, 8.0), (10, 2, 1.0)):
            boxes = BoxList(torch.zeros(count, 4), (10, 10))
            boxes.add_field("pooled_feature", torch.full((count, 1, 1, 1, 1), float(second)))
            boxes.add_field("loss_tag", tag)
            self.pool.put("m", second, boxes)
        self.persons = torch.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
        self.extras = [{"movie_id": "m", "timestamp": 10}, {"movie_id": "m", "timestamp": 9}]

    def gather(self, training=False, loss=None, pool=None):
        features, slots = self.window.gather(self.persons, [1, 2], self.extras, pool or self.pool, training, loss)
        self.assertFalse(features.requires_grad)
        return slots.arrange(features).squeeze(2).tolist()

    def test_slots(self):
        """Oldest first; the slot of the clip itself has the current features; no more rows than fit."""
        self.assertEqual(self.gather(), [[8, 0, 9, 9, 1, 0, 0, 0], [0, 0, 8, 0, 2, 3, 10, 10]])

    def test_pool_without_extras(self):
        with self.assertRaisesRegex(ValueError, "extras are None, expected movie_id and timestamp"):
            self.window.gather(self.persons, [1, 2], None, self.pool, False, None)

    def test_penalty(self):
        self.assertEqual(
            self.gather(training=True, loss=4.0), [[4, 0, 4.5, 4.5, 1, 0, 0, 0], [0, 0, 4, 0, 2, 3, 2.5, 2.5]]
        )
        unscaled = self.gather()
        self.assertEqual(self.gather(training=True, loss=None), unscaled)
        self.assertEqual(self.gather(training=False, loss=4.0), unscaled)

    def test_penalty_factor(self):
        boxes = BoxList([], (10, 10))
        self.assertEqual(penalty_factor(boxes, 1.0), 1.0)
        for tag, loss, factor in (
            (0.0, 0.0, 1.0),
            (0.0, 2.0, 0.0),
            (2.0, 0.0, 0.0),
            (2.0, 8.0, 0.25),
            (8.0, 2.0, 0.25),
        ):
            boxes.add_field("loss_tag", tag)
            self.assertEqual(penalty_factor(boxes, loss), factor)
        self.assertEqual(penalty_factor(boxes, None), 1.0)

    def test_seconds_differ_from_keys(self):
        """Keys are frame indices, slots are seconds."""
        pool = MemoryPool()
        boxes = BoxList(torch.zeros(1, 4), (10, 10))
        boxes.add_field("pooled_feature", torch.ones(1, 1, 1, 1, 1) * 7)
        pool.put("m", 60, boxes, second=9.0)
        self.extras = [{"movie_id": "m", "timestamp": 66, "second": 10.1}, {"movie_id": "x", "timestamp": 60}]
        self.assertEqual(self.gather(pool=pool), [[0, 0, 7, 0, 1, 0, 0, 0], [0, 0, 0, 0, 2, 3, 0, 0]])

    def test_without_pool(self):
        features, slots = self.window.gather(self.persons, [1, 2], None, None, True, 1.0)
        found = slots.arrange(features).squeeze(2).tolist()
        self.assertEqual(found, [[0, 0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 2, 3, 0, 0]])

    def test_overfull_takes_random_persons_in_training(self):
        torch.manual_seed(0)
        boxes = BoxList(torch.zeros(3, 4), (10, 10))
        boxes.add_field("pooled_feature", torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1, 1))
        self.pool.put("m", 9, boxes)
        seen = {tuple(self.gather(training=True)[0][2:4]) for _ in range(50)}
        self.assertEqual(seen, {(a, b) for a in (1, 2, 3) for b in (1, 2, 3) if a != b})
        tested = {tuple(self.gather()[0][2:4]) for _ in range(10)}
        self.assertEqual(len(tested), 1)
        self.assertLessEqual(tested, seen)


def by_definition(block: InteractionBlock, query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """One person's block output: query [C], keys [S, C]; AIA's formula, person by person."""

    def linear(conv, x):
        return x @ conv.weight.flatten(1).T + conv.bias

    k, v = linear(block.key, keys), linear(block.value, keys)
    if block.temporal_position_k is not None:
        per_second = keys.shape[0] // block.temporal_position_k.shape[0]
        k = k + block.temporal_position_k.flatten(1).repeat_interleave(per_second, dim=0)
        v = v + block.temporal_position_v.flatten(1).repeat_interleave(per_second, dim=0)
    weights = torch.softmax(k @ linear(block.query, query) / math.sqrt(block.dim_inner), dim=0)
    found = weights @ v
    if block.layer_norm:
        found = (found - found.mean()) / torch.sqrt(found.var(unbiased=False) + 1e-5)
    out = linear(block.out, found.clamp(min=0))
    return out + (query if block.shortcut is None else linear(block.shortcut, query))


class InteractionBlockTest(unittest.TestCase):
    def options(self, **kwargs):
        return dataclasses.replace(options(), dim_inner=6, init_std=0.5, **kwargs)

    def test_against_the_definition(self):
        torch.manual_seed(0)
        persons = Slots.of_counts([2, 0, 3], None, CPU)
        clip_of = [0, 0, 2, 2, 2]
        for dim_out, layer_norm, positions in ((6, True, 2), (9, False, 0), (6, False, 4)):
            block = InteractionBlock(self.options(layer_norm=layer_norm, zero_init_out=False), dim_out, positions)
            for parameter in block.parameters():
                torch.nn.init.normal_(parameter)
            query, keys = torch.randn(5, 6), torch.randn(3, 8, 6)
            found = block(query, keys, persons)
            for i, clip in enumerate(clip_of):
                torch.testing.assert_close(found[i], by_definition(block, query[i], keys[clip]), rtol=1e-4, atol=1e-5)

    def test_starts_as_the_identity(self):
        block = InteractionBlock(self.options(layer_norm=True, zero_init_out=True), 6, 2)
        query = torch.randn(1, 6)
        found = block(query, torch.randn(1, 4, 6), Slots.of_counts([1], None, CPU))
        self.assertTrue(torch.equal(found, query))


class StructureTest(unittest.TestCase):
    """Compared with plain code for one clip at a time."""

    def setUp(self):
        torch.manual_seed(0)
        self.counts, self.object_counts = [2, 0, 1], [1, 2, 0]
        self.persons, self.objects = torch.randn(3, 8), torch.randn(3, 8)
        self.memory_rows = torch.randn(4, 8)
        self.memory_slots = Slots(torch.arange(4), torch.tensor([0, 3, 11, 29]), 3, 10)

    def build(self, *overrides):
        model = build_ia_structure(options(*overrides)).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
        with mock.patch.object(MemoryWindow, "gather", return_value=(self.memory_rows, self.memory_slots)):
            found = model(self.persons, self.counts, self.objects, self.object_counts)
        return model, found

    def reference_inputs(self, model, clip: int):
        def linear(conv, x):
            return x @ conv.weight.flatten(1).T + conv.bias

        rows, objects = {0: [0, 1], 2: [2]}[clip], {0: [0], 2: []}[clip]
        memory = torch.zeros(10, 8)
        for row, target in zip(self.memory_rows, [0, 3, 11, 29], strict=True):
            if target // 10 == clip:
                memory[target % 10] = row
        arranged = torch.zeros(2, 8)
        arranged[: len(objects)] = self.objects[objects]
        return (
            linear(model.person_dim_reduce, self.persons[rows]),
            linear(model.person_key_dim_reduce, self.persons[rows]),
            linear(model.object_dim_reduce, arranged),
            linear(model.mem_dim_reduce, memory),
            rows,
        )

    def call(self, block, letter, query, person_key, objects, memory):
        keys = {"O": objects, "M": memory}.get(letter)
        if letter == "P":
            keys = torch.zeros(4, person_key.shape[1])
            keys[: len(person_key)] = person_key
        return torch.stack([by_definition(block, q, keys) for q in query])

    def test_dense(self):
        model, found = self.build("MODEL.IA_STRUCTURE.I_BLOCK_LIST", ["P", "M", "P", "O"])
        for clip in (0, 2):
            query, key, objects, memory, rows = self.reference_inputs(model, clip)
            y1 = self.call(model.P_block_1, "P", query, key, objects, memory)
            y2 = self.call(model.M_block_1, "M", y1, y1, objects, memory)
            w = torch.softmax(model.dense_params["2"].flatten(1), 0)
            q3 = w[0] * y1 + w[1] * y2
            y3 = self.call(model.P_block_2, "P", q3, q3, objects, memory)
            w = torch.softmax(model.dense_params["3"].flatten(1), 0)
            q4 = w[0] * y1 + w[1] * y2 + w[2] * y3
            y4 = self.call(model.O_block_1, "O", q4, q4, objects, memory)
            torch.testing.assert_close(found[rows], y4, rtol=1e-4, atol=1e-4)

    def test_serial(self):
        model, found = self.build(
            "MODEL.IA_STRUCTURE.STRUCTURE", "serial", "MODEL.IA_STRUCTURE.I_BLOCK_LIST", ["O", "P", "M"]
        )
        for clip in (0, 2):
            query, key, objects, memory, rows = self.reference_inputs(model, clip)
            y = self.call(model.O_block_1, "O", query, key, objects, memory)
            y = self.call(model.P_block_1, "P", y, y, objects, memory)
            y = self.call(model.M_block_1, "M", y, y, objects, memory)
            torch.testing.assert_close(found[rows], y, rtol=1e-4, atol=1e-4)

    def test_parallel(self):
        model, found = self.build(
            "MODEL.IA_STRUCTURE.STRUCTURE",
            "parallel",
            "MODEL.IA_STRUCTURE.I_BLOCK_LIST",
            [["P", "P", "M"], ["O", "M", "P"]],
        )
        for clip in (0, 2):
            query, key, objects, memory, rows = self.reference_inputs(model, clip)
            a = self.call(model.P_block_1, "P", query, key, objects, memory)
            b = self.call(model.P_block_2, "P", query, a, objects, memory)
            c = self.call(model.M_block_1, "M", query, b, objects, memory)
            y = self.call(model.O_block_1, "O", a, b, objects, memory)
            y = y + self.call(model.M_block_2, "M", b, b, objects, memory)
            y = y + self.call(model.P_block_3, "P", c, b, objects, memory)
            torch.testing.assert_close(found[rows], y, rtol=1e-4, atol=1e-4)

    def test_dense_starts_at_the_latest_output(self):
        model = build_ia_structure(options())
        weights = torch.softmax(model.dense_params["3"].flatten(1), 0)
        torch.testing.assert_close(weights[:, 0], torch.tensor([1e-5, 1e-5, 1.0]), rtol=1e-3, atol=1e-4)

    def test_left_out_blocks(self):
        model = build_ia_structure(options("MODEL.IA_STRUCTURE.MAX_OBJECT", 0))
        names = [name for name, _ in model.named_children()]
        self.assertNotIn("object_dim_reduce", names)
        self.assertFalse([name for name in names if name.startswith("O_")])
        self.assertEqual(list(model.dense_params), ["2", "3"])

    def test_slots_per_second(self):
        model = build_ia_structure(options("MODEL.IA_STRUCTURE.MEMORY_RATE", 3))
        self.assertEqual(model.M_block_1.temporal_position_k.shape, (13, 1, 16, 1, 1, 1))

    def test_refused(self):
        for overrides, sentence in (
            (["MODEL.IA_STRUCTURE.I_BLOCK_LIST", ["O"], "MODEL.IA_STRUCTURE.MAX_OBJECT", 0], "at least one block"),
            (
                ["MODEL.IA_STRUCTURE.STRUCTURE", "parallel", "MODEL.IA_STRUCTURE.I_BLOCK_LIST", [["P"], ["P", "M"]]],
                "equal length",
            ),
        ):
            with self.assertRaisesRegex(UserError, sentence):
                build_ia_structure(options(*overrides))


if __name__ == "__main__":
    unittest.main()
