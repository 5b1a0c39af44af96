"""Intervals by bootstrap, and scores of persons pooled over folds."""

from __future__ import annotations

import unittest
from unittest import mock

import numpy as np
from evaluation_samples import perfect_predictions, random_dataset
from numpy.testing import assert_allclose, assert_array_equal

from alphaction.annotations.classes import exclusive_classes
from alphaction.evaluation import Predictions, bootstrap, evaluate_rows
from alphaction.evaluation.bootstrap import ap_samples, interval, mean_samples, resample, share_samples
from alphaction.evaluation.frame_ap import Ranking, average_precision
from alphaction.evaluation.persons import right_persons
from alphaction.evaluation.pooled_scores import pooled_scores
from alphaction.evaluation.results import truth_of


def ranking(seed: int, keyframes: int, persons: int, levels: int) -> Ranking:
    rng = np.random.default_rng(seed)
    keys, scores = rng.integers(0, keyframes, persons), rng.integers(0, levels, persons) / levels
    order = np.argsort(-scores, kind="stable")
    hits = rng.random(persons) < scores
    missed = rng.integers(0, keyframes, 3)
    return Ranking(keys[order], scores[order], hits[order], np.concatenate([keys[order][hits[order]], missed]))


def repeated(found: Ranking, weights: np.ndarray) -> float:
    """AP where each row occurs as often as its keyframe was drawn."""
    times = weights[found.keys].astype(int)
    truth = int(weights[found.truth_keys].sum())
    return average_precision(np.repeat(found.hits, times), np.repeat(found.scores, times), truth, group_ties=True)


class TestResample(unittest.TestCase):
    def test_recordings_are_drawn_whole(self):
        drawn = resample(["b", "a", "b", "c"], 10, replicates=200)
        self.assertEqual((drawn.unit, drawn.counts.shape), ("recordings", (200, 3)))
        assert_array_equal(drawn.unit_of, [1, 0, 1, 2])
        assert_array_equal(drawn.counts.sum(axis=1), 3)
        self.assertGreater(len(np.unique(drawn.counts, axis=0)), 5)

    def test_a_single_recording_is_resampled_by_keyframes(self):
        drawn = resample(["a"] * 7, 10, replicates=150)
        self.assertEqual((drawn.unit, drawn.counts.shape), ("keyframes", (150, 7)))
        assert_array_equal(drawn.unit_of, np.arange(7))

    def test_the_same_every_time(self):
        first, second = (resample(["a", "b", "c"], 5).counts for _ in range(2))
        assert_array_equal(first, second)

    def test_nothing_to_resample(self):
        for recordings in ([], ["a"]):
            self.assertIsNone(resample(recordings, 1))

    def test_fewer_samples_of_many_detections_and_none_of_too_many(self):
        with mock.patch.object(bootstrap, "BUDGET", 1_000):
            self.assertEqual(len(resample(["a", "b"], 8).counts), 125)
            self.assertIsNone(resample(["a", "b"], 11))


class TestSamples(unittest.TestCase):
    def test_ap_is_that_of_the_repeated_rows(self):
        for seed, levels in ((0, 5), (1, 1000), (2, 1)):
            found = ranking(seed, 12, 60, levels)
            drawn = resample(np.arange(12) // 2, 60, replicates=100)
            wanted = [repeated(found, counts[drawn.unit_of]) for counts in drawn.counts]
            with self.subTest(levels=levels), mock.patch.object(bootstrap, "_AT_ONCE", 500):
                assert_allclose(ap_samples(found, drawn), wanted, atol=1e-12)

    def test_no_hits_and_no_truth(self):
        drawn = resample(["a", "b", "c"], 2, replicates=300)
        nothing = Ranking(np.zeros(0, int), np.zeros(0), np.zeros(0, bool), np.array([2]))
        samples = ap_samples(nothing, drawn)
        assert_array_equal(np.isnan(samples), drawn.counts[:, 2] == 0)
        self.assertEqual(set(samples[~np.isnan(samples)]), {0.0})
        mistakes = Ranking(np.array([0, 1]), np.array([0.5, 0.4]), np.zeros(2, bool), np.zeros(0, int))
        self.assertTrue(np.isnan(ap_samples(mistakes, drawn)).all())

    def test_shares(self):
        drawn = resample(["a", "b"], 2, replicates=100)
        right = np.array([[True, False], [False, False]])
        total = np.array([[True, False], [True, False]])
        shares = share_samples(right, total, np.array([0, 1]), drawn)
        assert_allclose(shares[:, 0], drawn.counts[:, 0] / 2)
        self.assertTrue(np.isnan(shares[:, 1]).all())
        assert_allclose(mean_samples(shares), shares[:, 0])

    def test_interval(self):
        assert_allclose(interval(np.append(np.linspace(0, 1, 1001), np.nan)), [2.5, 97.5])
        self.assertIsNone(interval(np.array([np.nan])))


class TestPooledScores(unittest.TestCase):
    def setUp(self):
        rng = np.random.default_rng(0)
        self.truth = rng.integers(0, 4, 80)
        self.labels = np.eye(5, dtype=bool)[self.truth]
        self.scores = rng.random((80, 5)) + 0.5 * self.labels
        self.recordings = np.repeat(["r1", "r2", "r3", "r4"], [10, 30, 15, 25])

    def test_by_hand(self):
        found = pooled_scores(self.scores, self.labels, self.recordings, {"low": [0, 1], "high": [2, 3, 4]})
        best = self.scores.argmax(axis=1)
        self.assertAlmostEqual(found["top1"], 100 * np.mean(best == self.truth))
        accuracy = [100 * np.mean(best[self.truth == c] == c) for c in range(4)]
        assert_allclose(found["class_accuracy"][:4], accuracy)
        self.assertIsNone(found["class_accuracy"][4])
        self.assertIsNone(found["ap"][4])
        self.assertAlmostEqual(found["mAP"], np.mean(found["ap"][:4]))
        self.assertAlmostEqual(found["mean_class_accuracy"], np.mean(accuracy))
        low = self.scores[:, :2].sum(axis=1) > self.scores[:, 2:].sum(axis=1)
        right = low == (self.truth < 2)
        self.assertAlmostEqual(found["groups"]["top1"], 100 * right.mean())
        by_group = [100 * right[(self.truth < 2) == is_low].mean() for is_low in (True, False)]
        assert_allclose(list(found["groups"]["accuracy"].values()), by_group)
        self.assertAlmostEqual(found["groups"]["balanced"], np.mean(by_group))
        self.assertEqual(found["persons"], np.bincount(self.truth, minlength=5).tolist())

    def test_intervals_hold_the_scores(self):
        found = pooled_scores(self.scores, self.labels, self.recordings, {"low": [0, 1], "high": [2, 3]})
        intervals = found["intervals"]
        self.assertEqual((intervals["unit"], intervals["units"], intervals["replicates"]), ("recordings", 4, 1000))
        values = {name: found[name] for name in ("mAP", "top1", "mean_class_accuracy")}
        values |= {"group_top1": found["groups"]["top1"], "group_balanced": found["groups"]["balanced"]}
        for name, value in values.items():
            low, high = intervals[name]
            self.assertTrue(low <= value <= high and 0 < high - low < 40, name)

    def test_recordings_that_are_alike_have_narrow_intervals(self):
        four = [np.concatenate([part[:20]] * 4) for part in (self.scores, self.labels)]
        intervals = pooled_scores(*four, np.repeat(["r1", "r2", "r3", "r4"], 20))["intervals"]
        for name in ("mAP", "top1", "mean_class_accuracy"):
            assert_allclose(*intervals[name], atol=1e-9)
        by_person = pooled_scores(*four, ["one"] * 80)["intervals"]
        self.assertEqual(by_person["unit"], "keyframes")
        self.assertGreater(np.diff(by_person["top1"]).item(), 5)

    def test_the_same_numbers_as_the_evaluation_of_boxes(self):
        dataset = random_dataset(1, 40, 5)
        truth = truth_of(dataset)
        predicted = Predictions(truth.keys, truth.boxes, self._scores_for(truth.labels))
        names = np.array(dataset.recordings)[dataset.recording_of]
        classes, groups = exclusive_classes(dataset.class_names), {"a": [0, 3], "b": [1, 2, 4]}
        wanted = evaluate_rows(truth, predicted, classes, groups, names)
        found = pooled_scores(predicted.scores, truth.labels, names[truth.keys], groups)
        for name in ("mAP", "top1", "mean_class_accuracy", "groups", "intervals"):
            self.assertEqual(found[name], wanted[name], name)
        assert_allclose(found["ap"], list(wanted["ap"].values()))

    def _scores_for(self, labels: np.ndarray) -> np.ndarray:
        return np.round(np.random.default_rng(2).random(labels.shape) + 0.3 * labels, 1)

    def test_without_intervals_and_without_persons(self):
        self.assertNotIn("intervals", pooled_scores(self.scores, self.labels, self.recordings, replicates=0))
        empty = pooled_scores(np.zeros((0, 3)), np.zeros((0, 3), bool), [], {"a": [0], "b": [1]})
        self.assertEqual([empty[name] for name in ("mAP", "top1", "mean_class_accuracy")], [None] * 3)
        self.assertNotIn("intervals", empty)

    def test_persons_with_several_labels_or_none(self):
        labels = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0]], bool)
        scores = np.array([[0.5, 0.9, 0.6], [0.9, 0.1, 0.1], [0.9, 0.5, 0.1]])
        right, among = right_persons(labels, scores, np.array([True, True, True]))
        self.assertEqual(right.tolist(), [True, False, False])
        self.assertEqual(among.tolist(), [[False, True, False], [False] * 3, [False] * 3])
        self.assertEqual(pooled_scores(scores, labels, ["a", "a", "b"])["top1"], 50)


class TestEvaluation(unittest.TestCase):
    def test_persons_without_a_box_widen_nothing_but_count(self):
        dataset = random_dataset(4, 30, 3)
        found = perfect_predictions(dataset)
        truth = truth_of(dataset)
        keep = truth.keys != 5
        scores = np.concatenate([found[k].get_field("scores").numpy() for k in found]).astype(float)
        predicted = Predictions(truth.keys[keep], truth.boxes[keep], scores[keep])
        names = np.array(dataset.recordings)[dataset.recording_of]
        result = evaluate_rows(truth, predicted, exclusive_classes(dataset.class_names), {}, names)
        low, high = result["intervals"]["top1"]
        self.assertTrue(low <= result["top1"] <= high)
        self.assertLess(result["top1"], 100)
        self.assertNotIn("groups", result)


if __name__ == "__main__":
    unittest.main()
