"""AVA frame-mAP over arrays."""

from __future__ import annotations

import unittest

import numpy as np
from numpy.testing import assert_allclose

from alphaction.evaluation.frame_ap import Rows, average_precision, box_iou, frame_ap, mean_ap

BOX = (0.1, 0.1, 0.3, 0.5)
FAR = (0.6, 0.6, 0.9, 0.9)


def rows(*entries) -> Rows:
    """Entries (keyframe, box, class[, score])."""
    entries = [entry if len(entry) == 4 else (*entry, 1.0) for entry in entries]
    keys, boxes, classes, scores = zip(*entries, strict=True) if entries else ((), (), (), ())
    return Rows(np.array(keys, np.int64), np.array(boxes).reshape(-1, 4), np.array(classes, np.int64), np.array(scores))


def ap(truth: Rows, detections: Rows, **options) -> float:
    return frame_ap(truth, detections, [1], **options)[0]


def slow_ap(truth: Rows, detections: Rows, column: int) -> float:
    """The protocol word by word, with loops."""
    scored = []
    keyframes = list(dict.fromkeys(detections.keys.tolist()))
    for key in keyframes:
        boxes = truth.boxes[(truth.keys == key) & (truth.classes == column)]
        mine = detections.select((detections.keys == key) & (detections.classes == column))
        taken = set()
        for i in np.argsort(-mine.scores, kind="stable"):
            overlap = [box_iou(mine.boxes[i : i + 1], box[None])[0] for box in boxes]
            best = int(np.argmax(overlap)) if len(overlap) else -1
            hit = best >= 0 and overlap[best] >= 0.5 and best not in taken
            taken |= {best} if hit else set()
            scored.append((mine.scores[i], hit))
    scored.sort(key=lambda entry: -entry[0])
    hits = np.array([hit for _, hit in scored], float)
    count = np.count_nonzero(truth.classes == column)
    found = np.cumsum(hits)
    recall = np.concatenate([[0], found / count, [1]])
    precision = np.concatenate([[0], found / np.arange(1, len(hits) + 1), [0]])
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return float(np.sum(np.diff(recall) * precision[1:]))


class TestIou(unittest.TestCase):
    def test_continuous_corners(self):
        cases = [
            (BOX, BOX, 1.0),
            (BOX, FAR, 0.0),
            ((0, 0, 1, 1), (1, 0, 2, 1), 0.0),  # touching sides share nothing: no pixel is added
            ((0, 0, 2, 1), (1, 0, 3, 1), 1 / 3),
            ((0, 0, 1, 1), (0, 0, 1, 0.5), 0.5),
            ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),
            ((0.2, 0.2, 0.1, 0.3), (0.1, 0.2, 0.2, 0.3), 0.0),
        ]
        for first, second, expected in cases:
            with self.subTest(first=first, second=second):
                assert_allclose(box_iou(np.array([first]), np.array([second])), [expected], atol=1e-12)
        self.assertEqual(box_iou(np.zeros((0, 4)), np.zeros((0, 4))).shape, (0,))

    def test_half_overlap_is_a_hit(self):
        self.assertEqual(ap(rows((0, (0, 0, 1, 1), 1)), rows((0, (0, 0, 1, 0.5), 1, 0.3))), 1.0)
        self.assertEqual(ap(rows((0, (0, 0, 1, 1), 1)), rows((0, (0, 0, 1, 0.499), 1, 0.3))), 0.0)


class TestFrameAp(unittest.TestCase):
    def test_one_keyframe(self):
        self.assertEqual(ap(rows((7, BOX, 1)), rows((7, BOX, 1, 0.2))), 1.0)

    def test_duplicates_are_false_positives(self):
        truth = rows((0, BOX, 1), (1, BOX, 1))
        once = rows((0, BOX, 1, 0.9), (1, BOX, 1, 0.5))
        twice = rows((0, BOX, 1, 0.9), (0, BOX, 1, 0.8), (1, BOX, 1, 0.5))
        self.assertEqual(ap(truth, once), 1.0)
        assert_allclose(ap(truth, twice), 0.5 + 0.5 * 2 / 3)

    def test_second_best_truth_is_not_tried(self):
        near = (0.1, 0.1, 0.3, 0.45)
        truth = rows((0, BOX, 1), (0, near, 1))
        found = rows((0, BOX, 1, 0.9), (0, BOX, 1, 0.8))
        self.assertEqual(ap(truth, found), 0.5)

    def test_highest_score_takes_the_truth_whatever_the_row_order(self):
        truth = rows((0, BOX, 1), (1, BOX, 1))
        found = [(0, BOX, 1, 0.1), (0, BOX, 1, 0.9), (1, BOX, 1, 0.5)]
        self.assertEqual(ap(truth, rows(*found)), 1.0)
        self.assertEqual(ap(truth, rows(*found[::-1])), 1.0)

    def test_keyframe_without_truth_counts_against(self):
        assert_allclose(ap(rows((0, BOX, 1)), rows((5, BOX, 1, 0.9), (0, BOX, 1, 0.5))), 0.5)

    def test_missing_pieces(self):
        self.assertEqual(ap(rows((0, BOX, 1)), rows()), 0.0)
        self.assertTrue(np.isnan(ap(rows(), rows((0, BOX, 1, 0.5)))))
        self.assertTrue(np.isnan(ap(rows(), rows())))
        self.assertTrue(np.isnan(mean_ap(np.array([np.nan]))))
        assert_allclose(mean_ap(np.array([np.nan, 0.5, 0.1])), 0.3)

    def test_no_class_at_all(self):
        self.assertEqual(len(frame_ap(rows((0, BOX, 1)), rows(), [])), 0)

    def test_other_classes_are_ignored(self):
        truth, found = rows((0, BOX, 1), (0, BOX, 9)), rows((0, BOX, 9, 0.9), (0, BOX, 1, 0.5), (0, FAR, 77, 0.9))
        assert_allclose(frame_ap(truth, found, [1, 2]), [1.0, np.nan])

    def test_boxes_without_area_are_no_detections(self):
        flat = (0.1, 0.2, 0.1, 0.4)
        self.assertEqual(ap(rows((0, BOX, 1)), rows((0, flat, 1, 0.9), (0, BOX, 1, 0.5))), 1.0)

    def test_excluded_keyframes(self):
        truth = rows((0, BOX, 1), (1, BOX, 1))
        found = rows((0, BOX, 1, 0.5), (1, FAR, 1, 0.9))
        self.assertEqual(ap(truth, found), 0.25)
        self.assertEqual(ap(truth, found, excluded=np.array([1, 44])), 1.0)

    def test_equal_scores(self):
        truth = rows((0, BOX, 1), (1, BOX, 1))
        found = rows((0, FAR, 1, 0.5), (0, BOX, 1, 0.5), (1, BOX, 1, 0.5), (1, FAR, 1, 0.5))
        assert_allclose(ap(truth, found), 2 / 3)  # in the order of the rows
        assert_allclose(ap(truth, found, group_ties=True), 0.5)
        backwards = found.select(np.arange(4)[::-1])
        assert_allclose(ap(truth, backwards, group_ties=True), 0.5)

    def test_grouping_changes_nothing_without_ties(self):
        hits, scores = np.array([1, 0, 1, 1, 0], bool), np.array([0.9, 0.8, 0.7, 0.6, 0.5])
        assert_allclose(average_precision(hits, scores, 4, True), average_precision(hits, scores, 4))

    def test_equals_the_protocol_word_by_word(self):
        rng = np.random.default_rng(0)
        for case in range(20):
            spots = np.array([BOX, (0.12, 0.1, 0.33, 0.5), (0.15, 0.2, 0.3, 0.5), FAR])

            def draw(number, rng=rng, spots=spots):
                boxes = spots[rng.integers(4, size=number)] + rng.normal(0, 0.02, (number, 4))
                scores = rng.integers(1, 12, number) / 12
                return Rows(rng.integers(0, 9, number), boxes, rng.integers(0, 2, number), scores)

            truth, found = draw(20), draw(80)
            expected = [slow_ap(truth, found, column) for column in (0, 1)]
            with self.subTest(case=case):
                assert_allclose(frame_ap(truth, found, [0, 1]), expected, atol=1e-12)


if __name__ == "__main__":
    unittest.main()
