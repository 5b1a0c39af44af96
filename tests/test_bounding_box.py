"""BoxList: recorded operations and edge cases."""

from __future__ import annotations

import unittest

import parity
import torch

from alphaction.structures.bounding_box import FLIP_LEFT_RIGHT, FLIP_TOP_BOTTOM, BoxList

FLIPS = {"FLIP_LEFT_RIGHT": FLIP_LEFT_RIGHT, "FLIP_TOP_BOTTOM": FLIP_TOP_BOTTOM}


def from_record(record: dict) -> BoxList:
    boxes = BoxList(record["boxes"], record["size"], record["mode"])
    for name, values in record["fields"].items():
        boxes.add_field(name, torch.tensor(values))
    return boxes


@parity.needs_parity
class RecordedTest(unittest.TestCase):
    def test_operations(self):
        for i, case in enumerate(parity.load_json("boxlist.json")["cases"]):
            # The thermal path does not follow the original's reading of annotations.
            if case["op"] == "thermal_annotation_to_xyxy":
                continue
            with self.subTest(case=i, op=case["op"], args=case["args"]):
                given = from_record(case["input"])
                found = self._apply(given, case)
                if isinstance(case["output"], list):
                    torch.testing.assert_close(found, torch.tensor(case["output"]), rtol=1e-5, atol=1e-4)
                else:
                    self._compare(found, case["output"])
                if "input_after" in case:
                    self._compare(given, case["input_after"])

    def _apply(self, boxes: BoxList, case: dict):
        op, args = case["op"], case["args"]
        if op == "transpose":
            return boxes.transpose(FLIPS[args[0]])
        if op == "index":
            return boxes[args[0]]
        if op == "clip_to_image":
            return boxes.clip_to_image(**args[0])
        if op == "random_aug":
            uniforms = [case["uniforms"][name] for name in ("xmin", "ymin", "xmax", "ymax")]
            return boxes.random_aug(*args, uniforms=torch.tensor(uniforms).T)
        return getattr(boxes, op)(*args)

    def _compare(self, found: BoxList, expected: dict) -> None:
        torch.testing.assert_close(found.bbox, torch.tensor(expected["boxes"]).reshape(-1, 4), rtol=1e-5, atol=1e-4)
        self.assertEqual([float(v) for v in found.size], expected["size"])
        self.assertEqual(found.mode, expected["mode"])
        self.assertEqual(set(found.fields()), set(expected["fields"]))
        for name, values in expected["fields"].items():
            torch.testing.assert_close(found.get_field(name), torch.tensor(values))


class BoxListTest(unittest.TestCase):
    def setUp(self):
        self.boxes = BoxList([[0, 0, 9, 19], [10, 5, 29, 14]], (60, 40))
        self.boxes.add_field("labels", torch.tensor([[1, 0], [0, 1]]))
        self.boxes.add_field("loss_tag", 0.5)

    def test_every_operation_on_no_boxes(self):
        empty = BoxList([], (60, 40))
        for found in (
            empty.resize((30, 40)),
            empty.transpose(0),
            empty.transpose(1),
            empty.crop((0, 0, 9, 9)),
            empty.extend(0.1),
            empty.random_aug(0.2, 0.1, 0.1, 0.05),
            empty.clip_to_image(),
            empty.top_k(3),
            empty.convert("xywh"),
            empty.to("cpu"),
            empty[[]],
        ):
            self.assertEqual(found.bbox.shape, (0, 4))
        self.assertEqual(empty.area().shape, (0,))

    def test_fields_follow_indexing(self):
        picked = self.boxes[[1]]
        self.assertEqual(picked.get_field("labels").tolist(), [[0, 1]])
        self.assertEqual(picked.get_field("loss_tag"), 0.5)
        self.assertEqual(self.boxes[[False, True]].bbox.tolist(), [[10, 5, 29, 14]])
        self.assertEqual(self.boxes[:1].get_field("labels").tolist(), [[1, 0]])

    def test_top_k_without_scores(self):
        first = self.boxes.top_k(1)
        self.assertEqual(first.bbox.tolist(), [[0, 0, 9, 19]])
        self.assertEqual((first.get_field("labels").tolist(), first.get_field("loss_tag")), ([[1, 0]], 0.5))
        self.boxes.add_field("scores", torch.tensor([0.1, 0.9]))
        self.assertEqual(self.boxes.top_k(1).get_field("labels").tolist(), [[0, 1]])

    def test_inclusive_corners(self):
        self.assertEqual(self.boxes.area().tolist(), [200, 200])
        self.assertEqual(self.boxes.convert("xywh").bbox.tolist(), [[0, 0, 10, 20], [10, 5, 20, 10]])
        mirrored = self.boxes.transpose(FLIP_LEFT_RIGHT)
        self.assertEqual(mirrored.bbox.tolist(), [[50, 0, 59, 19], [30, 5, 49, 14]])
        self.assertTrue(torch.equal(mirrored.transpose(FLIP_LEFT_RIGHT).bbox, self.boxes.bbox))

    def test_random_aug_stays_within_its_bounds(self):
        torch.manual_seed(0)
        box = BoxList([[100.0, 100.0, 199.0, 299.0]] * 1000, (1000, 1000))
        moved = box.random_aug(0.2, 0.1, 0.1, 0.05).bbox - box.bbox
        low, high = torch.tensor([-20, -20, -10, -10]), torch.tensor([10, 10, 20, 20])
        self.assertTrue(((moved >= low - 1e-3) & (moved <= high + 1e-3)).all())
        self.assertTrue((moved.amax(0) - moved.amin(0) > 0.9 * (high - low)).all())

    def test_operations_do_not_change_their_input(self):
        before = self.boxes.bbox.clone()
        self.boxes.extend(0.5)
        self.boxes.random_aug(0.2, 0.1, 0.1, 0.05)
        self.boxes.crop((0, 0, 5, 5))
        self.boxes.resize((600, 400))
        self.assertTrue(torch.equal(self.boxes.bbox, before))

    def test_wrong_shape_or_mode(self):
        with self.assertRaises(ValueError):
            BoxList(torch.zeros(2, 5), (60, 40))
        with self.assertRaises(ValueError):
            BoxList(torch.zeros(2, 4), (60, 40), mode="cxcywh")


if __name__ == "__main__":
    unittest.main()
