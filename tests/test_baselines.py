"""Baselines: scores without a picture."""

from __future__ import annotations

import os
import sys
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
from evaluation_samples import FakeDataset, box_list
from numpy.testing import assert_allclose

from alphaction.errors import UserError
from alphaction.evaluation import evaluate, format_report, gather, results
from alphaction.evaluation.baselines import BASELINES, Located, baseline_scores, box_numbers
from alphaction.evaluation.results import numbers_of

ROOT = os.environ.get("ALPHACTION_THERMAL_ROOT")
LEFT, RIGHT = (0.1, 0.1, 0.3, 0.4), (0.6, 0.1, 0.8, 0.4)
WIDE = (0.2, 0.2, 0.9, 0.3)


def located(*entries) -> Located:
    """Entries (recording, frame of a 6 Hz sensor, box)."""
    names, frames, boxes = zip(*entries, strict=True) if entries else ((), (), ())
    return Located(np.array(names, str), np.array(frames, np.float64) / 6, np.array(boxes, float).reshape(-1, 4))


def one_hot(*columns: int) -> np.ndarray:
    return np.eye(3, dtype=bool)[list(columns)]


class TestBaselines(unittest.TestCase):
    train = located(("A", 0, LEFT), ("A", 0, RIGHT), ("A", 40, LEFT), ("B", 0, WIDE))
    labels = one_hot(0, 1, 2, 2)

    def scores(self, *test) -> dict:
        return baseline_scores(self.train, self.labels, located(*test))

    def test_constant(self):
        scores = self.scores(("A", 3, LEFT), ("new", 9, WIDE))["constant"]
        assert_allclose(scores, [[0.25, 0.25, 0.5]] * 2)

    def test_frequencies_of_the_recording(self):
        scores = self.scores(("A", 3, LEFT), ("B", 500, LEFT), ("new", 9, WIDE))["recording"]
        assert_allclose(scores, [[1 / 3] * 3, [0, 0, 1], [0.25, 0.25, 0.5]])

    def test_nearest_keyframe_decides(self):
        scores = self.scores(("A", 5, LEFT), ("A", 36, LEFT), ("B", 5, LEFT), ("new", 0, LEFT))["nearest"]
        self.assertEqual(scores.argmax(axis=1).tolist(), [0, 2, 2, 2])
        assert_allclose(scores.sum(axis=1), 1)
        assert_allclose(scores[3], [0.25, 0.25, 0.5])

    def test_seconds_count_whatever_the_rate(self):
        # Both training keyframes overlap alike; one is 1 s before, the other 3 s after.
        train, labels = Located(np.array(["A", "A"]), np.array([9.0, 13.0]), np.array([LEFT, LEFT])), one_hot(0, 1)
        scores = baseline_scores(train, labels, Located(np.array(["A"]), np.array([10.0]), np.array([LEFT])))["nearest"]
        assert_allclose(scores[0, :2], [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])

    def test_best_overlap_decides_within_a_keyframe(self):
        shifted = tuple(np.array(RIGHT) + 0.03)
        scores = self.scores(("A", 1, shifted), ("A", 1, LEFT))["nearest"]
        self.assertEqual(scores.argmax(axis=1).tolist(), [1, 0])
        self.assertGreater(scores[0, 1], 0.99)

    def test_without_overlap_and_far_away_it_is_still_a_number(self):
        nowhere = (0.95, 0.95, 1.0, 1.0)
        scores = self.scores(("A", 1_000_000, nowhere))["nearest"]
        self.assertEqual(scores.argmax(axis=1).tolist(), [2])
        self.assertTrue(np.isfinite(scores).all())

    def test_no_boxes_to_score(self):
        for name, scores in self.scores().items():
            with self.subTest(baseline=name):
                self.assertEqual(scores.shape, (0, 3))

    def test_multi_label_frequencies(self):
        labels = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]], bool)
        scores = baseline_scores(self.train, labels, located(("A", 0, LEFT)))
        assert_allclose(scores["constant"], [[0.25, 1, 0]])


class TestForest(unittest.TestCase):
    def setUp(self):
        try:
            import sklearn  # noqa: F401
        except ImportError:
            self.skipTest("scikit-learn is not installed")
        rng = np.random.default_rng(0)
        self.boxes = np.array([LEFT, WIDE] * 30) + rng.normal(0, 0.01, (60, 4))
        self.places = Located(np.full(60, "A"), np.arange(60), self.boxes)

    def test_learns_the_shape_of_the_box(self):
        scores = baseline_scores(self.places, one_hot(*[0, 2] * 30), located(("B", 0, WIDE), ("B", 0, LEFT)))["forest"]
        self.assertEqual(scores.argmax(axis=1).tolist(), [2, 0])
        assert_allclose(scores[:, 1], 0)
        assert_allclose(scores.sum(axis=1), 1)

    def test_several_labels(self):
        labels = np.array([[1, 0, 0], [1, 0, 1]] * 30, bool)
        scores = baseline_scores(self.places, labels, located(("B", 0, WIDE), ("B", 0, LEFT)))["forest"]
        assert_allclose(scores[:, :2], [[1, 0], [1, 0]])
        self.assertGreater(scores[0, 2], 0.9)
        self.assertLess(scores[1, 2], 0.1)
        only = baseline_scores(self.places, np.array([[1, 0, 0], [0, 0, 0]] * 30, bool), located(("B", 0, LEFT)))[
            "forest"
        ]
        self.assertGreater(only[0, 0], 0.9)

    def test_same_every_time(self):
        labels, test = one_hot(*[0, 1, 2] * 20), located(("B", 0, WIDE))
        first, second = (baseline_scores(self.places, labels, test)["forest"] for _ in range(2))
        assert_allclose(first, second, atol=0)


class TestWithoutScikitLearn(unittest.TestCase):
    def test_the_row_says_so(self):
        train = FakeDataset([("A", 0, [(LEFT, [0])])], ["x", "y"])
        # What is imported within patch.dict is forgotten after it, and compiled modules cannot be loaded twice.
        evaluate(train, {})
        with mock.patch.dict(sys.modules, {"sklearn": None, "sklearn.ensemble": None}):
            found = evaluate(train, {}, train_dataset=train)
        for name in ("forest", "numbers"):
            self.assertEqual(found["baselines"][name], {"missing": "scikit-learn not installed"})
            self.assertIn(f"{name}: scikit-learn not installed", format_report(found))


class TestNumbers(unittest.TestCase):
    """Boxes that say nothing, on persons whose warmth tells their class."""

    def setUp(self):
        try:
            import sklearn  # noqa: F401
        except ImportError:
            self.skipTest("scikit-learn is not installed")
        self.train, self.test = (
            FakeDataset([(f"{name}{k % 2}", k, [(LEFT, [k % 3])]) for k in range(30)], ["x", "y", "z"]) for name in "AB"
        )

    def test_it_sees_the_picture(self):
        baselines = evaluate(self.test, {}, train_dataset=self.train)["baselines"]
        self.assertEqual(baselines["numbers"]["top1"], 100)
        self.assertLess(baselines["forest"]["top1"], 50)

    def test_detected_boxes(self):
        self.test.box_source = "boxes.json"
        found = {4: box_list([RIGHT, LEFT], [[0.2, 0.5, 0.3]] * 2)}
        fold = gather(self.test, found, self.train)
        predicted = fold.baselines["numbers"]
        assert_allclose(predicted.boxes, [RIGHT, LEFT], atol=1e-6)
        self.assertEqual(predicted.scores[1].argmax(), 1)
        nothing = gather(self.test, {}, self.train).baselines["numbers"]
        self.assertEqual(nothing.scores.shape, (0, 3))

    def test_only_where_there_are_temperatures(self):
        with mock.patch.object(FakeDataset, "window", return_value=None):
            self.assertNotIn("numbers", evaluate(self.test, {}, train_dataset=self.train)["baselines"])
            with self.assertRaisesRegex(UserError, "B0_0 has no temperatures"):
                numbers_of(self.test, np.array([0]), np.array([LEFT]))

    def test_too_many_persons(self):
        with mock.patch.object(results, "NUMBERS_PERSONS", 29):
            self.assertNotIn("numbers", evaluate(self.test, {}, train_dataset=self.train)["baselines"])


class TestBoxNumbers(unittest.TestCase):
    def test_center_size_area(self):
        assert_allclose(box_numbers(np.array([[0.1, 0.2, 0.5, 0.4]])), [[0.3, 0.3, 0.4, 0.2, 0.08]])
        self.assertEqual(box_numbers(np.zeros((0, 4))).shape, (0, 5))


@unittest.skipUnless(ROOT, "ALPHACTION_THERMAL_ROOT is not set")
class TestRealSet(unittest.TestCase):
    """Properties of any thermal set; the published numbers of the real one only where it is the real one."""

    @classmethod
    def setUpClass(cls):
        from alphaction.dataset.datasets import ThermalAVADataset

        files = [Path(ROOT) / "annotations" / f"{split}.json" for split in ("train", "val")]
        cls.train, cls.val = (ThermalAVADataset(ROOT, file, True, 64) for file in files)
        cls.results = evaluate(cls.val, {}, train_dataset=cls.train)

    def test_constant_is_the_share_of_each_class(self):
        labels = self.val.gt_labels()
        share = 100 * labels.mean(axis=0)
        constant = self.results["baselines"]["constant"]
        assert_allclose(constant["mAP"], share[share > 0].mean())
        assert_allclose(constant["top1"], share[self.train.gt_labels().sum(axis=0).argmax()])
        assert_allclose(constant["coco"]["AP50"], constant["mAP"], atol=0.5)

    def test_recorded_numbers(self):
        if (len(self.train), len(self.val), len(self.val.gt_boxes)) != (314, 73, 95):
            self.skipTest("another set than the one the numbers were measured on")
        wanted = {"constant": (12.5, 54.7, 0.1), "nearest": (82.0, 90.5, 1), "forest": (70, 86, 4)}
        wanted["numbers"] = (71, 85, 8)
        for name, (mean, top1, within) in wanted.items():
            found = self.results["baselines"][name]
            if "missing" in found:
                continue
            with self.subTest(baseline=name):
                assert_allclose([found["mAP"], found["top1"]], [mean, top1], atol=within)
        constant, recording, nearest = (self.results["baselines"][name]["mAP"] for name in BASELINES[:3])
        self.assertTrue(constant < recording < nearest)

    def test_every_baseline_is_there(self):
        self.assertEqual(tuple(self.results["baselines"]), BASELINES)


if __name__ == "__main__":
    unittest.main()
