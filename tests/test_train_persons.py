"""MODEL.TASK persons: training, resuming and testing the person detector."""

from __future__ import annotations

import json
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import numpy as np
import torch
from thermal_files import write_dataset
from torch_settings import one_thread

from alphaction.annotations.thermal_annotations import read_box_file
from alphaction.config import load_cfg
from alphaction.config.node import ConfigNode
from alphaction.engine.person_samples import PersonSamples
from alphaction.engine.person_scores import box_entries, person_scores
from alphaction.engine.persons import evaluate_person_checkpoint, train_persons
from alphaction.errors import UserError
from alphaction.persons import Detections
from alphaction.persons.detector import PersonDetector
from alphaction.recordings.sensor import SENSORS


class Case(unittest.TestCase):
    def setUp(self) -> None:
        one_thread(self.addCleanup)
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.root = write_dataset(self.folder / "set")

    def cfg(self, *settings: object, out: str = "out") -> ConfigNode:
        small = ["SOLVER.MAX_ITER", 4, "SOLVER.VIDEOS_PER_BATCH", 4, "SOLVER.EVAL_PERIOD", 2, "SOLVER.LOG_PERIOD", 2]
        places = ["DATASETS.THERMAL_ROOT", str(self.root), "OUTPUT_DIR", str(self.folder / out)]
        return load_cfg("thermal_persons", [*small, *places, *settings])


class Training(Case):
    def test_a_run_writes_checkpoints_scores_and_a_box_file(self):
        train_persons(self.cfg())
        out = self.folder / "out"
        self.assertTrue((out / "model_best.pth").is_file() and (out / "config.yaml").is_file())
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        self.assertEqual({row["group"] for row in rows}, {"train", "val"})
        scores = json.loads((out / "inference/thermal_action_val/persons.json").read_text())
        self.assertEqual(scores["persons"], 2)
        # The person of these recordings walks, so that no training is needed.
        self.assertEqual(scores["background"]["AP50"], 100)
        boxes = out / "inference/thermal_action_val/boxes.json"
        self.assertIsInstance(json.loads(boxes.read_text()), list)
        self.assertIsInstance(PersonDetector.from_checkpoint(out / "model_final.pth"), PersonDetector)

    def test_a_resumed_run_ends_where_an_uninterrupted_one_does(self):
        whole = train_persons(self.cfg(out="whole"), test_at_end=False, validate_in_training=False)
        train_persons(
            self.cfg("SOLVER.CHECKPOINT_PERIOD", 2, out="parts"), test_at_end=False, validate_in_training=False
        )
        last = self.folder / "parts/last_checkpoint"
        last.write_text("model_0000002.pth")
        resumed = train_persons(self.cfg(out="parts"), test_at_end=False, validate_in_training=False)
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=1e-6, msg=name)

    def test_weights_to_start_from(self):
        detector = train_persons(self.cfg(), test_at_end=False, validate_in_training=False)
        path = self.folder / "out/model_final.pth"
        scores = evaluate_person_checkpoint(self.cfg("MODEL.WEIGHT", str(path), out="test"), explicit_weight=True)
        again = evaluate_person_checkpoint(self.cfg())
        self.assertEqual(scores, again)
        self.assertFalse(detector.training)
        further = train_persons(
            self.cfg("MODEL.WEIGHT", str(path), "SOLVER.BASE_LR", 0.0, "SOLVER.MAX_ITER", 1, out="further"),
            test_at_end=False,
            validate_in_training=False,
        )
        torch.testing.assert_close(further.center.weight, detector.center.weight, rtol=0, atol=1e-6)

    def test_sensors_of_two_sizes_train_together(self):
        other = write_dataset(self.folder / "other", sensor=SENSORS["mlx90640"])
        catalog = {"other": {"ROOT": str(other), "ANN_FILE": "annotations/train.json"}}
        names = ("thermal_action_train", "other")
        train_persons(
            self.cfg("DATASETS.CATALOG", catalog, "DATASETS.TRAIN", names, "DATASETS.TEST", ("other",)),
        )
        self.assertTrue((self.folder / "out/inference/other/persons.json").is_file())


class Scores(Case):
    def test_perfect_missing_and_false_boxes(self):
        part = PersonSamples(self.cfg(), "thermal_action_train")
        perfect = [Detections(part.boxes(idx), np.ones(1)) for idx in range(len(part))]
        self.assertEqual(person_scores(part, perfect), {"AP50": 100.0, "recall": 1.0, "false": 0, "persons": len(part)})
        nothing = person_scores(part, [Detections.none()] * len(part))
        self.assertEqual((nothing["AP50"], nothing["recall"], nothing["false"]), (0.0, 0.0, 0))
        elsewhere = [Detections(one.boxes * 0.1, one.scores) for one in perfect]
        self.assertEqual(person_scores(part, elsewhere)["false"], len(part))

    def test_the_window_ends_at_the_keyframe(self):
        part = PersonSamples(self.cfg(), "thermal_action_train")
        for idx in range(len(part)):
            self.assertEqual(len(part.window(idx)), PersonDetector.reach + 1)
            np.testing.assert_array_equal(part.window(idx)[-1], part.dataset.picture(idx))

    def test_the_box_file_is_read_back(self):
        part = PersonSamples(self.cfg(), "thermal_action_train")
        found = [Detections(part.boxes(idx), np.ones(1)) for idx in range(len(part))]
        path = self.folder / "boxes.json"
        path.write_text(json.dumps(box_entries(part, found)))
        offsets, boxes, _ = read_box_file(path, "cxcywh", part.dataset.image_ids, (60, 40))
        np.testing.assert_array_equal(offsets, part.dataset.box_offsets)
        np.testing.assert_allclose(boxes, part.dataset.gt_boxes, atol=1e-5)


class Refused(Case):
    def test_rgb_several_processes_and_too_few_keyframes(self):
        rgb = {"clips": {"VIDEO_ROOT": str(self.root), "ANN_FILE": "x.json"}}
        for settings, message in (
            (("DATASETS.CATALOG", rgb, "DATASETS.TRAIN", ("clips",)), "clips has RGB clips"),
            (("SOLVER.VIDEOS_PER_BATCH", 50), "DATASETS.TRAIN has 8 keyframes, fewer"),
            (("DATASETS.TRAIN", ()), "DATASETS.TRAIN is empty"),
            (("MODEL.WEIGHT", "missing.pth"), "missing.pth does not exist"),
        ):
            with self.subTest(message), self.assertRaisesRegex(UserError, message):
                train_persons(self.cfg(*settings))
        with unittest.mock.patch.dict("os.environ", {"WORLD_SIZE": "2"}), self.assertRaisesRegex(UserError, "found 2"):
            train_persons(self.cfg())

    def test_nothing_to_test(self):
        with self.assertRaisesRegex(UserError, "There is nothing to test"):
            evaluate_person_checkpoint(self.cfg())


if __name__ == "__main__":
    unittest.main()
