"""Evaluation of a data set: persons, scores, files, pictures, report."""

from __future__ import annotations

import json
import os
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from evaluation_samples import FakeDataset, box_list, perfect_predictions, random_dataset
from numpy.testing import assert_allclose, assert_array_equal

from alphaction.errors import UserError
from alphaction.evaluation import Persons, Predictions, evaluate, format_report, gather, pool, score_fold
from alphaction.evaluation.coco_ap import coco_ap
from alphaction.evaluation.files import confident_persons
from alphaction.evaluation.frame_map import Rows, box_iou, frame_ap
from alphaction.evaluation.persons import match_boxes, person_scores
from alphaction.evaluation.results import predictions_of, truth_of

LEFT, RIGHT = (0.1, 0.1, 0.3, 0.4), (0.6, 0.1, 0.8, 0.4)


def small(box_source: str = "ground truth") -> FakeDataset:
    """Three keyframes, three persons; class c has none."""
    keyframes = [("A", 12, [(LEFT, [0])]), ("A", 10007, [(LEFT, [1]), (RIGHT, [0])]), ("B", 3, [])]
    return FakeDataset(keyframes, ["a", "b", "c"], box_source)


class TestMatchBoxes(unittest.TestCase):
    def match(self, truth: list, predicted: list) -> list[int]:
        """Lists of (keyframe, box)."""

        def arrays(entries):
            keys, boxes = zip(*entries, strict=True) if entries else ((), ())
            return np.array(keys, np.int64), np.array(boxes, float).reshape(-1, 4), np.ones((len(keys), 1))

        return match_boxes(Persons(*arrays(truth)), Predictions(*arrays(predicted))).tolist()

    def test_same_keyframe_only(self):
        self.assertEqual(self.match([(0, LEFT), (1, LEFT)], [(1, LEFT), (2, LEFT)]), [-1, 0])

    def test_best_overlap_first_and_one_to_one(self):
        near = (0.12, 0.1, 0.3, 0.4)
        self.assertEqual(self.match([(0, near), (0, LEFT)], [(0, LEFT)]), [-1, 0])
        self.assertEqual(self.match([(0, near), (0, LEFT)], [(0, LEFT), (0, near)]), [1, 0])
        self.assertEqual(self.match([(0, near), (0, LEFT)], [(0, LEFT), (0, RIGHT), (0, LEFT)]), [2, 0])

    def test_equal_boxes_pair_in_order(self):
        self.assertEqual(self.match([(0, LEFT)] * 3, [(0, LEFT)] * 3), [0, 1, 2])

    def test_below_half_is_no_match(self):
        self.assertEqual(self.match([(0, (0, 0, 1, 1))], [(0, (0, 0, 1, 0.49))]), [-1])
        self.assertEqual(self.match([(0, (0, 0, 1, 1))], [(0, (0, 0, 1, 0.5))]), [0])

    def test_nothing(self):
        self.assertEqual(self.match([], [(0, LEFT)]), [])
        self.assertEqual(self.match([(0, LEFT)], []), [-1])


class TestPersonScores(unittest.TestCase):
    def test_single_label(self):
        labels = np.eye(3, dtype=bool)[[0, 0, 0, 1]]
        scores = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.9, 0.1, 0], [0.3, 0.6, 0.1]])
        found = person_scores(labels, scores, np.array([True, True, False, True]))
        self.assertEqual(found["top1"], 0.5)
        assert_allclose(found["class_accuracy"], [1 / 3, 1, np.nan])
        assert_allclose(found["mean_class_accuracy"], 2 / 3)
        assert_array_equal(found["confusion"], [[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]])

    def test_several_labels(self):
        labels = np.array([[1, 1, 0], [0, 1, 1]], bool)
        found = person_scores(labels, np.array([[0.5, 0.9, 0.1], [0.9, 0.5, 0.1]]), np.ones(2, bool))
        self.assertEqual(found["top1"], 0.5)
        assert_allclose(found["class_accuracy"], [1, 1, 0])
        assert_array_equal(found["confusion"].sum(axis=1), [1, 2, 1])

    def test_persons_without_label_are_left_out(self):
        labels = np.array([[0, 0], [1, 0]], bool)
        found = person_scores(labels, np.array([[0.1, 0.9], [0.9, 0.1]]), np.ones(2, bool))
        self.assertEqual((found["top1"], found["confusion"].sum()), (1.0, 1))

    def test_nobody(self):
        found = person_scores(np.zeros((0, 2), bool), np.zeros((0, 2)), np.zeros(0, bool))
        self.assertTrue(np.isnan(found["top1"]) and np.isnan(found["mean_class_accuracy"]))


class TestCoco(unittest.TestCase):
    def random_rows(self, ties: bool) -> tuple[Rows, Rows]:
        rng = np.random.default_rng(1)
        keys, column = np.repeat(np.arange(30), 2), rng.integers(0, 3, 60)
        box = np.tile([LEFT, RIGHT], (30, 1)).astype(float)
        found = box + rng.normal(0, 0.02, box.shape)
        scores = np.round(rng.random(60), 1 if ties else 9)
        return Rows(keys, box, column, scores), Rows(keys, found, rng.integers(0, 3, 60), scores)

    def test_grouping_changes_nothing_without_ties(self):
        truth, found = self.random_rows(ties=False)
        plain, grouped = (coco_ap(truth, found, 30, 4, group_ties) for group_ties in (False, True))
        self.assertTrue(0 < plain["AP"] < plain["AP50"] < 1)
        for name in plain:
            assert_allclose(grouped[name], plain[name], atol=1e-12)

    def test_grouped_scores_do_not_depend_on_the_order(self):
        truth, found = self.random_rows(ties=True)
        backwards = Rows(29 - found.keys, *found[1:])
        turned = Rows(29 - truth.keys, *truth[1:])
        forth, back = coco_ap(truth, found, 30, 3, True), coco_ap(turned, backwards, 30, 3, True)
        assert_allclose([back["AP"], back["AP50"]], [forth["AP"], forth["AP50"]], atol=1e-12)

    def test_ap50_is_close_to_ava(self):
        truth, found = self.random_rows(ties=False)
        assert_allclose(coco_ap(truth, found, 30, 3)["AP50"], np.nanmean(frame_ap(truth, found, range(3))), atol=0.02)

    def test_nothing(self):
        truth, found = self.random_rows(ties=False)
        nothing = truth.select(np.zeros(0, int))
        self.assertEqual(coco_ap(truth, nothing, 30, 3), {"AP": 0.0, "AP50": 0.0})
        self.assertTrue(np.isnan(coco_ap(nothing, found, 30, 3)["AP"]))


class TestEvaluate(unittest.TestCase):
    def test_perfect(self):
        results = evaluate(small(), perfect_predictions(small()))
        self.assertEqual([results[key] for key in ("mAP", "top1", "mean_class_accuracy")], [100, 100, 100])
        assert_allclose([results["coco"]["AP"], results["coco"]["AP50"]], 100)
        self.assertEqual(results["ap"], {"a": 100.0, "b": 100.0, "c": None})
        self.assertEqual(results["persons_per_class"], {"a": 2, "b": 1, "c": 0})
        counts = ("keyframes", "persons", "predictions", "keyframes_without_prediction", "classes_with_ground_truth")
        self.assertEqual([results[key] for key in counts], [3, 3, 3, 0, 2])

    def test_padded_columns_are_ignored(self):
        self.assertEqual(evaluate(small(), perfect_predictions(small(), columns=16))["top1"], 100)

    def test_boxes_return_from_model_pixels(self):
        dataset = random_dataset(0, 20, 3)
        boxes = predictions_of(dataset, perfect_predictions(dataset)).boxes
        self.assertGreater(box_iou(boxes, truth_of(dataset).boxes).min(), 0.999)

    def test_too_few_columns(self):
        with self.assertRaisesRegex(UserError, "A_12 have 2 classes, expected at least the 3"):
            evaluate(small(), {0: box_list([LEFT], [[0.1, 0.9]])})

    def test_scores_that_are_no_numbers(self):
        for boxes, score in (([LEFT], np.nan), ([(0, 0, np.inf, 1)], 0.5)):
            with self.assertRaisesRegex(UserError, "not finite"):
                evaluate(small(), {0: box_list(boxes, [[score] * 3])})

    def test_no_predictions(self):
        empty = {0: box_list([], np.zeros((0, 3))), 2: box_list([], np.zeros((0, 16)))}
        for predictions in ({}, empty):
            results = evaluate(small(), predictions, train_dataset=small())
            self.assertEqual((results["mAP"], results["top1"], results["coco"]["AP"]), (0, 0, 0))
            self.assertEqual(results["keyframes_without_prediction"], 2)
            self.assertGreater(results["floors"]["constant"]["mAP"], 0)
            self.assertIn("2 keyframes without any", format_report(results))

    def test_empty_split(self):
        nobody = FakeDataset([], ["a", "b"])
        for dataset in (nobody, FakeDataset([("A", 1, [])], ["a", "b"])):
            results = evaluate(dataset, {}, train_dataset=small_two())
            self.assertIsNone(results["mAP"])
            self.assertIsNone(results["floors"]["constant"]["top1"])
            self.assertIn("mAP over 0 classes", format_report(results))
        self.assertEqual(evaluate(small_two(), {}, train_dataset=nobody)["floors"], {})

    def test_other_class_names_in_training(self):
        with self.assertRaisesRegex(UserError, "DATASETS.TRAIN has the classes a, b, expected .*a, b, c"):
            evaluate(small(), {}, train_dataset=small_two())

    def test_several_labels_per_person(self):
        dataset = FakeDataset([("A", 1, [(LEFT, [0, 1])]), ("A", 2, [(LEFT, [1])])], ["a", "b"])
        results = evaluate(dataset, perfect_predictions(dataset), train_dataset=dataset)
        self.assertEqual((results["mAP"], results["persons"], results["top1"]), (100, 2, 100))
        self.assertEqual(results["persons_per_class"], {"a": 1, "b": 2})

    def test_threshold_removes_rows(self):
        dataset = FakeDataset([("A", 1, [(LEFT, [0])])], ["a", "b"])
        predictions = {0: box_list([LEFT], [[0.3, 0.7]])}
        self.assertEqual(evaluate(dataset, predictions)["mAP"], 100)
        self.assertEqual(evaluate(dataset, predictions, action_thresh=0.5)["mAP"], 0)

    def test_detected_boxes(self):
        dataset = small("boxes.json")
        found = {1: box_list([RIGHT, (0.0, 0.6, 0.2, 0.9)], [[0.9, 0.05, 0.05]] * 2)}
        results = evaluate(dataset, found, train_dataset=small())
        self.assertEqual((results["box_source"], results["predictions"]), ("boxes.json", 2))
        assert_allclose(results["top1"], 100 / 3)
        assert_array_equal(results["confusion"]["counts"], [[1, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
        # The floors stand on the same two boxes, so they cannot find more than the one person either.
        assert_allclose(results["floors"]["nearest"]["top1"], 100 / 3)

    def test_pooled_folds(self):
        data = [random_dataset(seed, 12, 3) for seed in (1, 2)]
        rng = np.random.default_rng(0)
        predictions = []
        for dataset in data:
            found = perfect_predictions(dataset)
            for boxes in found.values():
                scores = torch.from_numpy(rng.random(tuple(boxes.get_field("scores").shape)))
                boxes.add_field("scores", scores + boxes.get_field("scores") / 2)
            predictions.append(found)
        folds = [gather(data[k], predictions[k], data[1 - k]) for k in (0, 1)]
        together = score_fold(pool(folds))
        self.assertEqual(together["keyframes"], 24)
        self.assertEqual(together["persons"], sum(len(dataset.gt_boxes) for dataset in data))
        apart = [score_fold(fold) for fold in folds]
        weighted = sum(one["top1"] * one["persons"] for one in apart) / together["persons"]
        assert_allclose(together["top1"], weighted)
        self.assertEqual(set(together["floors"]), set(apart[0]["floors"]))
        rows = [fold.truth.rows() for fold in folds], [fold.predicted.rows() for fold in folds]
        joined = [Rows(*map(np.concatenate, zip(a, Rows(b.keys + 12, *b[1:]), strict=True))) for a, b in rows]
        assert_allclose(together["mAP"], 100 * np.mean(frame_ap(*joined, range(3))))
        alone = score_fold(pool(folds[:1]))
        self.assertEqual(alone.keys(), apart[0].keys())
        for name in ("mAP", "top1", "mean_class_accuracy"):
            assert_allclose(alone[name], apart[0][name], atol=1e-9)


def small_two() -> FakeDataset:
    return FakeDataset([("A", 12, [(LEFT, [0])]), ("A", 30, [(LEFT, [1])])], ["a", "b"])


class TestFiles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "inference" / "set"

    def test_everything_is_written(self):
        results = evaluate(small(), perfect_predictions(small()), self.folder, small(), overlays=4)
        names = {"result.csv", "result.json", "predictions.pth", "confusion.png", "overlays.png"}
        self.assertEqual(set(os.listdir(self.folder)), names)
        self.assertEqual(set(results["files"]), names)
        stored = json.loads((self.folder / "result.json").read_text())
        self.assertEqual(stored, {key: value for key, value in results.items() if key != "files"})

    def test_rows(self):
        evaluate(small(), {1: box_list([RIGHT], [[0.25, 0.75, 0.1]])}, self.folder, action_thresh=0.2)
        lines = (self.folder / "result.csv").read_text().splitlines()
        self.assertEqual(
            lines,
            [
                "A,10007,0.60000,0.10000,0.80000,0.40000,1,0.250000",
                "A,10007,0.60000,0.10000,0.80000,0.40000,2,0.750000",
            ],
        )

    def test_predictions_load_without_code(self):
        evaluate(small(), {1: box_list([RIGHT], [[0.25, 0.75, 0.1]])}, self.folder)
        stored = torch.load(self.folder / "predictions.pth", weights_only=True)
        self.assertEqual(stored["image_ids"][stored["keyframe"][0]], "A_10007")
        assert_allclose(stored["boxes"].numpy(), [RIGHT], atol=1e-6)
        assert_allclose(stored["scores"].numpy(), [[0.25, 0.75, 0.1]])

    def test_nothing_to_show(self):
        evaluate(FakeDataset([], ["a"]), {}, self.folder, overlays=2)
        self.assertEqual((self.folder / "result.csv").read_text(), "")
        self.assertGreater((self.folder / "overlays.png").stat().st_size, 1000)

    def test_pictures_show_something(self):
        import cv2

        dataset = small()
        predictions = perfect_predictions(dataset)
        predictions[0] = box_list([(0.12, 0.1, 0.33, 0.42)], [[0.1, 0.8, 0.1]])
        evaluate(dataset, predictions, self.folder, overlays=3)
        for name in ("confusion.png", "overlays.png"):
            picture = cv2.imread(str(self.folder / name))
            with self.subTest(picture=name):
                self.assertGreater(min(picture.shape[:2]), 200)
                self.assertGreater(len(np.unique(picture.reshape(-1, 3), axis=0)), 20)
        b, g, r = np.moveaxis(picture.astype(int), 2, 0)
        self.assertGreater(np.count_nonzero((abs(r - 0xFF) < 8) & (abs(g - 0x5A) < 8) & (abs(b - 0x5A) < 8)), 50)
        self.assertGreater(np.count_nonzero((abs(r - 0x35) < 8) & (abs(g - 0xD0) < 8) & (abs(b - 0x7F) < 8)), 50)

    def test_folder_that_cannot_be_written(self):
        self.folder.parent.mkdir()
        self.folder.write_text("a file")
        with self.assertRaisesRegex(UserError, "expected a folder that can be written"):
            evaluate(small(), {}, self.folder)

    def test_a_write_that_fails_leaves_the_old_file(self):
        evaluate(small(), perfect_predictions(small()), self.folder)
        before = (self.folder / "result.csv").read_bytes()
        dataset = small()
        dataset.recordings = []
        with self.assertRaises(IndexError):
            evaluate(dataset, perfect_predictions(dataset), self.folder)
        self.assertEqual((self.folder / "result.csv").read_bytes(), before)
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith(".")], [])


class TestConfidentPersons(unittest.TestCase):
    def test_most_confident_first_hits_before_mistakes(self):
        keyframes = [("A", frame, [(LEFT, [0])]) for frame in range(4)]
        dataset = FakeDataset(keyframes, ["a", "b"])
        scores = [[0.6, 0.4], [0.2, 0.8], [0.9, 0.1], [0.3, 0.7]]
        fold = gather(dataset, {k: box_list([LEFT], [row]) for k, row in enumerate(scores)})
        chosen = [(one["key"], one["predicted"], one["hit"]) for one in confident_persons(fold, 2)]
        self.assertEqual(chosen, [(2, "a", True), (0, "a", True), (1, "b", False), (3, "b", False)])
        self.assertEqual([one["key"] for one in confident_persons(fold, 1)], [2, 1])


class TestReport(unittest.TestCase):
    def test_columns_line_up_and_fit(self):
        names = ["sitting", "transition-lying on the bed transition", "a class name longer than its column is wide"]
        dataset = FakeDataset([("A", k, [(LEFT, [k % 3])]) for k in range(6)], names)
        text = format_report(evaluate(dataset, perfect_predictions(dataset), train_dataset=dataset), "some set")
        lines = text.splitlines()
        self.assertEqual(lines[0], "some set: 6 keyframes, 6 persons, 6 predictions, boxes: ground truth")
        self.assertLessEqual(max(map(len, lines)), 100)
        header = next(line for line in lines if "persons" in line and "model" in line)
        for start in ("sitting", "transition", "a class", "mAP over 3 classes", "top-1", "COCO"):
            row = next(line for line in lines if line.startswith(start))
            self.assertEqual(len(row), len(header), row)
            self.assertEqual(row[: header.index("model") + 5].split()[-1], "100.0")
        for floor in ("constant", "recording", "nearest", "forest"):
            self.assertIn(floor, header)

    def test_absent_classes_and_absent_floors_are_named(self):
        text = format_report(evaluate(small(), perfect_predictions(small())))
        self.assertRegex(text, r"Without a person here, left out of the mean: c\.")
        self.assertIn("No floors", text)
        self.assertNotIn("nearest", text)


if __name__ == "__main__":
    unittest.main()
