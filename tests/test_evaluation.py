"""Evaluation of a data set: persons, scores, files, pictures, report."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from evaluation_samples import FakeDataset, box_list, perfect_predictions, random_dataset
from numpy.testing import assert_allclose, assert_array_equal
from pycocotools.cocoeval import COCOeval

from alphaction.annotations.classes import ClassList
from alphaction.annotations.decisions import decided_classes
from alphaction.errors import UserError
from alphaction.evaluation import Persons, Predictions, evaluate, format_report, gather, pool, score, score_fold
from alphaction.evaluation.coco_ap import coco_ap
from alphaction.evaluation.frame_ap import Rows, box_iou, frame_ap
from alphaction.evaluation.overlays import HIT, MISSED, MISTAKE, NOBODY, choose_panels, overlay_picture
from alphaction.evaluation.persons import f1_scores, match_boxes, person_scores
from alphaction.evaluation.pictures import confusion_picture
from alphaction.evaluation.results import predictions_of, truth_of
from alphaction.utils.figures import NAME_WIDTH, class_labels

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
        self.assertEqual(found.top1, 0.5)
        assert_allclose(found.class_accuracy, [1 / 3, 1, np.nan])
        assert_allclose(found.mean_class_accuracy, 2 / 3)
        assert_array_equal(found.confusion, [[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]])

    def test_several_labels(self):
        labels = np.array([[1, 1, 0], [0, 1, 1]], bool)
        found = person_scores(labels, np.array([[0.5, 0.9, 0.1], [0.9, 0.5, 0.1]]), np.ones(2, bool))
        self.assertEqual(found.top1, 0.5)
        assert_allclose(found.class_accuracy, [1, 1, 0])
        assert_array_equal(found.confusion.sum(axis=1), [1, 2, 1])

    def test_persons_without_label_are_left_out(self):
        labels = np.array([[0, 0], [1, 0]], bool)
        found = person_scores(labels, np.array([[0.1, 0.9], [0.9, 0.1]]), np.ones(2, bool))
        self.assertEqual((found.top1, found.confusion.sum()), (1.0, 1))

    def test_nobody(self):
        found = person_scores(np.zeros((0, 2), bool), np.zeros((0, 2)), np.zeros(0, bool))
        self.assertTrue(np.isnan(found.top1) and np.isnan(found.mean_class_accuracy))


class TestCoco(unittest.TestCase):
    def random_rows(self, ties: bool) -> tuple[Rows, Rows]:
        rng = np.random.default_rng(1)
        keys, column = np.repeat(np.arange(30), 2), rng.integers(0, 3, 60)
        box = np.tile([LEFT, RIGHT], (30, 1)).astype(float)
        found = box + rng.normal(0, 0.02, box.shape)
        scores = np.round(rng.random(60), 1 if ties else 9)
        return Rows(keys, box, column, scores), Rows(keys, found, rng.integers(0, 3, 60), scores)

    def test_as_pycocotools_without_ties(self):
        truth, found = self.random_rows(ties=False)
        with mock.patch("pycocotools.cocoeval.COCOeval.evaluate", autospec=True, side_effect=COCOeval.evaluate) as run:
            result = coco_ap(truth, found, 30, 4)
        evaluation = run.call_args.args[0]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()
        precision = evaluation.eval["precision"][:, :, :3, 0, 0]
        self.assertTrue(0 < result["AP"] < result["AP50"] < 1)
        assert_allclose([result["AP"], result["AP50"]], [precision.mean(), precision[0].mean()], atol=1e-12)

    def test_equal_scores_do_not_depend_on_the_order(self):
        truth, found = self.random_rows(ties=True)
        backwards = Rows(29 - found.keys, *found[1:])
        turned = Rows(29 - truth.keys, *truth[1:])
        forth, back = coco_ap(truth, found, 30, 3), coco_ap(turned, backwards, 30, 3)
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
        for boxes, value in (([LEFT], np.nan), ([(0, 0, np.inf, 1)], 0.5)):
            with self.assertRaisesRegex(UserError, "not finite"):
                evaluate(small(), {0: box_list(boxes, [[value] * 3])})

    def test_no_predictions(self):
        empty = {0: box_list([], np.zeros((0, 3))), 2: box_list([], np.zeros((0, 16)))}
        for predictions in ({}, empty):
            results = evaluate(small(), predictions, train_dataset=small())
            self.assertEqual((results["mAP"], results["top1"], results["coco"]["AP"]), (0, 0, 0))
            self.assertEqual(results["keyframes_without_prediction"], 2)
            self.assertGreater(results["baselines"]["constant"]["mAP"], 0)
            self.assertIn("2 keyframes without predictions", format_report(results))

    def test_empty_split(self):
        nobody = FakeDataset([], ["a", "b"])
        for dataset in (nobody, FakeDataset([("A", 1, [])], ["a", "b"])):
            results = evaluate(dataset, {}, train_dataset=small_two())
            self.assertIsNone(results["mAP"])
            self.assertIsNone(results["baselines"]["constant"]["top1"])
            self.assertIn("mAP over 0 classes", format_report(results))
        self.assertEqual(evaluate(small_two(), {}, train_dataset=nobody)["baselines"], {})

    def test_classes_that_only_the_training_set_has(self):
        # As columns of a model beyond those of the test set, which check_classes allows.
        train = FakeDataset([("A", 12, [(LEFT, [0])]), ("A", 30, [(RIGHT, [3]), (LEFT, [1])])], ["a", "b", "c", "d"])
        results = evaluate(small(), perfect_predictions(small()), train_dataset=train)
        self.assertEqual(set(results["baselines"]["constant"]["ap"]), {"a", "b", "c"})

    def test_other_class_names_in_training(self):
        with self.assertRaisesRegex(UserError, "DATASETS.TRAIN has the classes a, b, expected .*a, b, c"):
            evaluate(small(), {}, train_dataset=small_two())

    def test_several_labels_per_person(self):
        dataset = FakeDataset([("A", 1, [(LEFT, [0, 1])]), ("A", 2, [(LEFT, [1])])], ["a", "b"])
        results = evaluate(dataset, perfect_predictions(dataset), train_dataset=dataset)
        self.assertEqual((results["mAP"], results["persons"], results["top1"]), (100, 2, 100))
        self.assertEqual(results["persons_per_class"], {"a": 1, "b": 2})

    def test_the_threshold_of_the_file_changes_no_score(self):
        # A threshold for the model alone would be another rule than that of the baselines.
        dataset = FakeDataset([("A", 1, [(LEFT, [0])])], ["a", "b"])
        predictions = {0: box_list([LEFT], [[0.3, 0.7]])}
        self.assertEqual(evaluate(dataset, predictions, action_thresh=0.5)["mAP"], 100)

    def test_model_and_baselines_have_one_rule(self):
        dataset = random_dataset(3, 30, 4)
        share = dataset.gt_labels().mean(axis=0)
        found = perfect_predictions(dataset)
        for boxes in found.values():
            boxes.add_field("scores", torch.from_numpy(np.tile(share, (len(boxes), 1))))
        results = evaluate(dataset, found, train_dataset=dataset)
        constant = results["baselines"]["constant"]
        for key in ("mAP", "ap", "top1", "mean_class_accuracy"):
            self.assertEqual(results[key], constant[key], key)
        assert_allclose(results["mAP"], 100 * share.mean(), rtol=1e-6)

    def test_detected_boxes(self):
        dataset = small("boxes.json")
        found = {1: box_list([RIGHT, (0.0, 0.6, 0.2, 0.9)], [[0.9, 0.05, 0.05]] * 2)}
        results = evaluate(dataset, found, train_dataset=small())
        self.assertEqual((results["box_source"], results["predictions"]), ("boxes.json", 2))
        assert_allclose(results["top1"], 100 / 3)
        assert_array_equal(results["confusion"]["counts"], [[1, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
        # The baselines stand on the same two boxes, so they cannot find more than the one person either.
        assert_allclose(results["baselines"]["nearest"]["top1"], 100 / 3)

    def test_groups_of_classes(self):
        names = ["standing", "walking", "sitting", "lying down-lying with risk"]
        persons = [[0], [1], [2], [3], [3]]
        dataset = FakeDataset([(f"R{k % 3}", k, [(LEFT, columns)]) for k, columns in enumerate(persons)], names)
        scores = [[0.1, 0.9, 0, 0], [0.3, 0.3, 0.4, 0], [0, 0, 0.6, 0.4], [0, 0, 0, 1], [0.3, 0.3, 0, 0.4]]
        results = evaluate(dataset, {k: box_list([LEFT], [row]) for k, row in enumerate(scores)}, train_dataset=dataset)
        accuracy = {"sitting": 100, "standing, walking, leaning": 100, "lying": 50}
        self.assertEqual(results["groups"]["accuracy"], accuracy)
        assert_allclose([results["groups"]["top1"], results["groups"]["balanced"]], [80, 250 / 3])
        self.assertEqual(results["top1"], 60)
        self.assertEqual(results["persons_per_group"], {"sitting": 1, "standing, walking, leaning": 2, "lying": 2})
        self.assertEqual(results["baselines"]["constant"]["groups"]["top1"], 40)
        self.assertEqual(results["intervals"]["unit"], "recordings")
        report = format_report(results)
        self.assertRegex(report, r"\nstanding, walking, leaning +2\* +100.0 ")
        self.assertRegex(report, r"\ntop-1 of groups +80.0 .*\n  95 % interval +[\d.]+-100.0\nbalanced accuracy")

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
        self.assertEqual(set(together["baselines"]), set(apart[0]["baselines"]))
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

    def test_scored_predictions_are_not_scored_again(self):
        dataset, found = small(), {1: box_list([RIGHT], [[0.25, 0.75, 0.1]])}
        wanted = evaluate(dataset, found, self.folder, dataset, 0.2)
        scored = score(dataset, found, 0.2)
        self.assertEqual(scored.results["baselines"], {})
        with (
            mock.patch("alphaction.evaluation.gather", side_effect=AssertionError),
            mock.patch("alphaction.evaluation.score_fold", side_effect=AssertionError),
        ):
            self.assertEqual(evaluate(dataset, scored, self.folder, dataset, 0.2), wanted)
        self.assertEqual((scored.results["baselines"], "files" in scored.results), ({}, False))
        self.assertNotEqual(wanted["baselines"], {})

    def test_rows_are_those_of_the_data_set(self):
        evaluate(small(), {1: box_list([RIGHT], [[0.25, 0.75, 0.1]])}, self.folder, action_thresh=0.2)
        lines = (self.folder / "result.csv").read_text().splitlines()
        self.assertEqual([line.rsplit("],", 1)[1] for line in lines], ["0,0.25", "1,0.75"])
        self.assertTrue(all(line.startswith("A_10007,[") for line in lines))

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
        found = perfect_predictions(dataset)
        dataset.image_ids = []
        with self.assertRaises(IndexError):
            evaluate(dataset, found, self.folder)
        self.assertEqual((self.folder / "result.csv").read_bytes(), before)
        self.assertEqual([name for name in os.listdir(self.folder) if name.endswith(".tmp")], [])

    def test_a_picture_that_fails_costs_nothing_but_itself(self):
        dataset = small()
        evaluate(dataset, perfect_predictions(dataset), self.folder, overlays=2)
        with (
            mock.patch.object(dataset, "picture", side_effect=OSError("the recording is gone"), create=True),
            self.assertLogs("alphaction.evaluation", "WARNING") as log,
        ):
            results = evaluate(dataset, perfect_predictions(dataset), self.folder, overlays=2)
        self.assertRegex("\n".join(log.output), "overlays.png could not be drawn .*the recording is gone")
        written = {"result.csv", "result.json", "predictions.pth", "confusion.png"}
        self.assertEqual(set(os.listdir(self.folder)), written, "a sheet of another evaluation would mislead")
        self.assertEqual(set(results["files"]), written)
        stored = json.loads((self.folder / "result.json").read_text())
        self.assertEqual(stored, {key: value for key, value in results.items() if key != "files"})

    def test_class_names_of_any_script(self):
        names = [
            "\u8dcc\u5012",
            "\u7ad9\u7acb",
            "\u0633\u0642\u0648\u0637",
            "\U0001f600 fall",
            "\ud800",
            "\x00",
            "",
            "plain",
        ]
        names += ["$\\frac{1}{$", "^_{}", "two\nlines", "very long " * 300]
        dataset = FakeDataset([("\u8dcc $x", k, [(LEFT, [k]), (RIGHT, [k])]) for k in range(len(names))], names)
        found = perfect_predictions(dataset)
        for key in found:  # one of two is a mistake
            found[key].get_field("scores")[1] = torch.roll(found[key].get_field("scores")[1], 1)
        with (
            warnings.catch_warnings(),
            self.assertNoLogs("alphaction", "WARNING"),
            self.assertNoLogs("matplotlib", "WARNING"),
        ):
            warnings.filterwarnings("error", message="Glyph")
            results = evaluate(dataset, found, self.folder, overlays=20)
        self.assertLessEqual({"confusion.png", "overlays.png"}, set(results["files"]))


class TestClassLabels(unittest.TestCase):
    def test_what_the_font_has_stays(self):
        names = ["sitting", "\u00e9t\u00e9 $5 \\alpha", "transition-lying on the bed transition"]
        self.assertEqual(class_labels(names), names)

    def test_what_the_font_lacks_is_replaced(self):
        names = ["\u8dcc\u5012", "\u7ad9", "\u8dcc\u5012 (fall)", "a\nb", ""]
        self.assertEqual(class_labels(names), ["class 1", "class 2", "class 3: ? (fall)", "a b", "class 5"])

    def test_long_names_are_told_apart(self):
        labels = class_labels(["x" * 100 + "a", "x" * 100 + "b"])
        self.assertEqual(len(set(labels)), 2)
        self.assertEqual({len(label) for label in labels}, {NAME_WIDTH})

    def test_dollars_are_drawn(self):
        confusion = {"rows": ["$x$"], "columns": ["$x$", "no box"], "counts": [[1, 0]]}
        with tempfile.TemporaryDirectory() as folder, mock.patch("matplotlib.mathtext.MathTextParser.parse") as parse:
            confusion_picture(confusion, Path(folder) / "confusion.png")
        parse.assert_not_called()


class TestIndependentClasses(unittest.TestCase):
    """Columns 0 and 2 are exclusive, 1 and 3 independent."""

    classes = ClassList(("sit", "phone", "stand", "drink"), (True, False, True, False))

    def dataset(self) -> FakeDataset:
        persons = [[0, 1, 3], [2], [0, 1], [1]]
        keyframes = [("A", 9 * k, [(LEFT, columns)]) for k, columns in enumerate(persons)]
        return FakeDataset(keyframes, list(self.classes.names), classes=self.classes)

    def test_f1(self):
        labels = np.array([[1, 1], [1, 0], [0, 1], [1, 0]], bool)
        scores = np.array([[0.5, 0.2], [0.9, 0.1], [0.6, 0.8], [0.9, 0.9]])
        found = np.array([True, True, True, False])
        assert_allclose(f1_scores(labels, scores, found), [4 / 6, 2 / 3])
        self.assertTrue(np.isnan(f1_scores(np.zeros((1, 1), bool), np.ones((1, 1)), np.ones(1, bool))[0]))

    def test_decided_classes(self):
        scores = np.array([[0.3, 0.5, 0.2, 0.4], [0.6, 0.1, 0.7, 0.9]])
        assert_array_equal(decided_classes(scores, self.classes), [[1, 1, 0, 0], [0, 0, 1, 1]])
        either = ClassList(("a", "b"), (False, False))
        assert_array_equal(decided_classes(np.array([[0.2, 0.4]]), either), [[0, 0]])

    def test_scores_of_each_kind(self):
        dataset = self.dataset()
        results = evaluate(dataset, perfect_predictions(dataset), train_dataset=dataset)
        self.assertEqual((results["mAP"], results["top1"], results["mean_f1"]), (100, 100, 100))
        self.assertEqual(list(results["class_accuracy"]), ["sit", "stand"])
        # The fourth person has no exclusive class.
        self.assertEqual(results["confusion"]["counts"], [[2, 0, 0], [0, 1, 0]])
        constant = results["baselines"]["constant"]
        assert_allclose([constant["top1"], constant["f1"]["phone"], constant["f1"]["drink"]], [200 / 3, 600 / 7, 0])
        report = format_report(results)
        self.assertRegex(report, r"\nmean F1 of independent classes +100.0 ")
        self.assertRegex(report, r"independent classes\nof annotated .*, they lower the AP\nphone +3\* +100.0 +85.7")

    def test_only_independent_classes(self):
        either = ClassList(("a", "b"), (False, False))
        dataset = FakeDataset([("A", 1, [(LEFT, [0, 1])]), ("A", 2, [(LEFT, [])])], ["a", "b"], classes=either)
        with tempfile.TemporaryDirectory() as folder:
            results = evaluate(dataset, perfect_predictions(dataset), folder, dataset, overlays=2)
        self.assertEqual((results["mAP"], results["top1"], results["mean_f1"]), (100, None, 100))
        self.assertEqual(set(results["files"]), {"result.csv", "result.json", "predictions.pth", "overlays.png"})
        self.assertNotIn("top-1", format_report(results))

    def test_sheet_of_keyframes(self):
        dataset = self.dataset()
        found = perfect_predictions(dataset)
        found[0] = box_list([LEFT], [[0.9, 0.8, 0.1, 0.2]])  # without its drink
        panels = {one.key: one.persons[0] for one in choose_panels(gather(dataset, found), 9)}
        drawn = {key: (one.outcome, one.predicted, one.truth) for key, one in panels.items()}
        self.assertEqual(drawn[0], (MISTAKE, "sit + phone", "sit + phone + drink"))
        self.assertEqual(drawn[1], (HIT, "stand", "stand"))
        self.assertEqual(drawn[3][0], HIT, "no exclusive class to be wrong about")


class TestOverlays(unittest.TestCase):
    def test_most_confident_first_hits_before_mistakes(self):
        keyframes = [("A", frame, [(LEFT, [0])]) for frame in range(4)]
        dataset = FakeDataset(keyframes, ["a", "b"])
        scores = [[0.6, 0.4], [0.2, 0.8], [0.9, 0.1], [0.3, 0.7]]
        fold = gather(dataset, {k: box_list([LEFT], [row]) for k, row in enumerate(scores)})
        chosen = [(one.key, one.persons[0].predicted, one.persons[0].outcome) for one in choose_panels(fold, 2)]
        self.assertEqual(chosen, [(2, "a", HIT), (0, "a", HIT), (1, "b", MISTAKE), (3, "b", MISTAKE)])
        self.assertEqual([one.key for one in choose_panels(fold, 1)], [2, 1])

    def crowd(self) -> tuple[FakeDataset, dict]:
        """A hit, a mistake, a more confident hit, a box that is nobody, and a person without a box."""
        low, middle, missed = (0.1, 0.6, 0.3, 0.9), (0.35, 0.1, 0.55, 0.4), (0.6, 0.6, 0.8, 0.9)
        dataset = FakeDataset(
            [("A", 1, [(LEFT, [0]), (RIGHT, [0]), (low, [1]), (missed, [0, 1])]), ("A", 2, [(LEFT, [1])])], ["a", "b"]
        )
        scores = [[0.7, 0.1], [0.2, 0.6], [0.1, 0.8], [0.5, 0.4]]
        return dataset, {0: box_list([LEFT, RIGHT, low, middle], scores), 1: box_list([LEFT], [[0.1, 0.75]])}

    def test_a_keyframe_has_all_its_persons(self):
        dataset, found = self.crowd()
        first, second, third = choose_panels(gather(dataset, found), 5)
        self.assertEqual((first.key, second.key, third.key), (0, 1, 0), "once among the hits, once among the mistakes")
        drawn = [(one.outcome, one.predicted, one.truth, round(one.score, 3)) for one in first.persons]
        self.assertEqual(
            drawn,
            [
                (HIT, "b", "b", 0.8),
                (HIT, "a", "a", 0.7),
                (MISTAKE, "b", "a", 0.6),
                (NOBODY, "a", "", 0.5),
                (MISSED, "", "a + b", 0.0),
            ],
        )
        self.assertEqual([one.outcome for one in third.persons], [MISTAKE, HIT, HIT, NOBODY, MISSED])
        assert_allclose([one.box for one in second.persons], [LEFT], atol=1e-6)

    def test_every_person_is_on_the_sheet(self):
        from matplotlib.axes import Axes

        dataset, found = self.crowd()
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(Axes, "add_patch") as drawn:
            overlay_picture(dataset, choose_panels(gather(dataset, found), 1), Path(folder) / "overlays.png")
        corners = {
            tuple(np.round(call.args[0].get_bbox().extents / [60, 40, 60, 40], 3)) for call in drawn.call_args_list
        }
        self.assertEqual(len(corners), 5)
        self.assertEqual(len(drawn.call_args_list), 10, "five persons, for a hit and for a mistake")
        widths = sorted({call.args[0].get_linewidth() for call in drawn.call_args_list})
        thick = [call for call in drawn.call_args_list if call.args[0].get_linewidth() == widths[-1]]
        self.assertEqual(len(thick), 2, "the chosen one of each")


class TestImports(unittest.TestCase):
    def test_the_evaluation_knows_no_data_set(self):
        import alphaction.evaluation

        below = {"annotations", "config", "errors", "structures", "utils"}
        for path in Path(alphaction.evaluation.__file__).parent.glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.level == 2:
                    self.assertIn((node.module or "").split(".")[0], below, path.name)
                if isinstance(node, ast.ImportFrom) and node.level == 0 or isinstance(node, ast.Import):
                    self.assertNotIn("alphaction", ast.unparse(node), path.name)


class TestReport(unittest.TestCase):
    def test_columns_line_up_and_fit(self):
        names = ["sitting", "transition-lying on the bed transition", "a class name longer than its column is wide"]
        places = [(LEFT, RIGHT)[k % 3 == 0] for k in range(6)]
        dataset = FakeDataset([("A" if k < 4 else "B", 9 * k, [(places[k], [k % 3])]) for k in range(6)], names)
        text = format_report(evaluate(dataset, perfect_predictions(dataset), train_dataset=dataset), "some set")
        lines = text.splitlines()
        self.assertEqual(lines[0], "some set: 6 keyframes, 6 persons, 6 predictions, boxes: ground truth")
        self.assertLessEqual(max(map(len, lines)), 100)
        header = next(line for line in lines if "persons" in line and "model" in line)
        for start in ("sitting", "transition", "a class", "mAP over 3 classes", "top-1"):
            row = next(line for line in lines if line.startswith(start))
            self.assertEqual(len(row), len(header), row)
            self.assertEqual(row[: header.index("model") + 5].split()[-1], "100.0")
        for baseline in ("constant", "recording", "nearest", "forest", "numbers"):
            self.assertIn(baseline, header)

    def test_absent_classes_and_absent_baselines_are_named(self):
        text = format_report(evaluate(small(), perfect_predictions(small())))
        self.assertRegex(text, r"Classes without persons, left out of the mean: c\.")
        self.assertIn("No baselines", text)
        self.assertNotIn("nearest", text)

    def test_nothing_is_printed_twice(self):
        # Of recordings that were not trained on, two baselines have nothing to say; COCO AP repeats the mAP.
        train, test = random_dataset(0, 20, 3), random_dataset(1, 20, 3)
        train.recordings = ["other 1", "other 2"]
        results = evaluate(test, perfect_predictions(test), train_dataset=train)
        text = format_report(results)
        header = text.splitlines()[2]
        self.assertNotRegex(header, "recording|nearest")
        self.assertIn("The same as constant, not shown: recording, nearest.", text)
        self.assertNotIn("COCO", text)
        self.assertIn("COCO AP", format_report({**results, "box_source": "boxes.json"}))

    def test_few_persons_are_marked(self):
        keyframes = [("A", k, [(LEFT, [0] if k < 10 else [1])]) for k in range(19)]
        dataset = FakeDataset(keyframes, ["a", "b"])
        text = format_report(evaluate(dataset, perfect_predictions(dataset)))
        self.assertRegex(text, r"\na +10  ")
        self.assertRegex(text, r"\nb +9\* ")
        self.assertIn("* fewer than 10 persons", text)
        self.assertIn("19 keyframes, of one recording, drawn 1000 times", text)


if __name__ == "__main__":
    unittest.main()
