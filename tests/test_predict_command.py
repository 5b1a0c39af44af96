"""The command ``alphaction predict``: its files, also after an interruption, and what it refuses."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import thermal_files
from alphaction_command import run
from predictor_files import narrow_cfg, save_model
from temporary_folder import Folder
from torch_settings import one_thread

from alphaction.annotations.classes import exclusive_classes
from alphaction.dataset.build import build_dataset
from alphaction.predictions import PredictedPerson, Prediction
from alphaction.predictor import ActionPredictor
from alphaction.report.drawing import FrameDrawer, boxes_between
from alphaction.report.timeline import Timeline

CLASSES = exclusive_classes(("sit", "walk"))


def result(time: float, *persons: tuple[int | None, float, float], size: tuple[int, int] = (60, 40)) -> Prediction:
    """Persons (track, x, score of "sit") of 10x10 pixels."""
    found = [
        PredictedPerson(np.array([x, 5, x + 10, 15], np.float32), np.array([score, 1 - score], np.float32), track)
        for track, x, score in persons
    ]
    return Prediction(time, tuple(found), CLASSES, "room", int(time), None, size)


def frame_count(path: Path) -> int:
    video, count = cv2.VideoCapture(str(path)), 0
    while video.grab():
        count += 1
    video.release()
    return count


class Command(Folder):
    @classmethod
    def setUpClass(cls) -> None:
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        one_thread(cls.addClassCleanup)
        cls.set = thermal_files.write_dataset(Path(holder.name) / "set", ("A_R1",), frames=40, keyframes=(5, 20, 30))
        cls.recording = str(cls.set / "frames" / "A_R1.h5")
        cls.weights = str(cls.set / "model.pth")
        cls.cfg = narrow_cfg(cls.set)
        save_model(Path(cls.weights), cls.cfg)

    def predict(self, *words: str, out: str = "out") -> tuple[int, str, str]:
        return run("predict", "--device", "cpu", "--out", str(self.root / out), *words)

    def refuses(self, words: str, *arguments: str) -> None:
        status, _, err = self.predict(*arguments)
        self.assertEqual(status, 2, err)
        self.assertRegex(err.splitlines()[-1], words)


class ThermalFiles(Command):
    def test_the_files_of_a_recording(self):
        status, printed, err = self.predict(self.recording, "--weights", self.weights)
        self.assertEqual(status, 0, err)
        out = self.root / "out"
        self.assertEqual(
            sorted(path.name for path in out.iterdir()), ["A_R1.csv", "A_R1.jsonl", "A_R1.mp4", "A_R1_timeline.png"]
        )
        rows = [json.loads(line) for line in (out / "A_R1.jsonl").read_text().splitlines()]
        self.assertEqual(len(rows), 7)
        self.assertEqual(set(rows[3]["persons"][0]), {"box", "track", "detection", "actions", "scores"})
        with open(out / "A_R1.csv", newline="") as file:
            first = next(csv.reader(file))
        self.assertEqual((first[0], len(first)), ("A_R1", 8))
        self.assertTrue(all(0 <= float(cell) <= 1 for cell in first[2:6]))
        self.assertEqual(frame_count(out / "A_R1.mp4"), 40)
        self.assertIn("7 results from 0.0", printed)
        self.refuses(r"holds another result \(A_R1.csv\)", self.recording, "--weights", self.weights)
        status, _, err = self.predict(self.recording, "--weights", self.weights, "--overwrite", "--no-video")
        self.assertEqual(status, 0, err)
        self.assertFalse((out / "A_R1.mp4").exists(), "a video of other results")

    def test_results_do_not_replace_an_input(self):
        frames = thermal_files.scene(8)[0]
        path = self.root / "out" / "room.csv"
        path.parent.mkdir()
        np.savetxt(path, frames.reshape(8, -1), delimiter=",", fmt="%.2f")
        before = path.read_bytes()
        words = (str(path), "--weights", self.weights, "--shape", "40", "60", "--rate", "6", "--overwrite")
        self.refuses(r"room\.csv would replace the input", *words)
        self.assertEqual(path.read_bytes(), before)

    def test_an_interruption_leaves_whole_files(self):
        original = ActionPredictor.iter_source

        def interrupted(predictor: ActionPredictor, *args, **kwargs) -> Iterator[Prediction]:
            for number, found in enumerate(original(predictor, *args, **kwargs)):
                if number == 3:
                    raise KeyboardInterrupt
                yield found

        with mock.patch.object(ActionPredictor, "iter_source", interrupted):
            status, printed, _ = self.predict(self.recording, "--weights", self.weights)
        self.assertEqual(status, 130)
        self.assertIn("interrupted", printed)
        out = self.root / "out"
        self.assertEqual(len([json.loads(line) for line in (out / "A_R1.jsonl").read_text().splitlines()]), 3)
        self.assertGreater(frame_count(out / "A_R1.mp4"), 6)
        self.assertGreater((out / "A_R1_timeline.png").stat().st_size, 1000)

    def test_boxes_only_writes_a_box_file_for_testing(self):
        status, printed, err = self.predict(str(self.set), "--boxes-only")
        self.assertEqual(status, 0, err)
        path = self.root / "out" / "A_R1_boxes.csv"
        self.assertIn(f"TEST.BOX_FILE {path}", printed)
        cfg = narrow_cfg(self.set, "TEST.BOX_FILE", str(path), "TEST.BOX_THRESH", 0.0)
        dataset = build_dataset(cfg, "thermal_action_val", is_train=False)
        self.assertEqual(dataset.box_source, str(path))
        boxes = dataset[0][2].bbox
        self.assertEqual(len(boxes), 1)
        given, _, err = self.predict(self.recording, "--weights", self.weights, "--boxes", str(path), out="given")
        self.assertEqual(given, 0, err)
        rows = [json.loads(line) for line in (self.root / "given" / "A_R1.jsonl").read_text().splitlines()]
        self.assertGreater(len(rows), 30)

    def test_what_it_refuses(self):
        weights = ("--weights", self.weights)
        self.refuses("nothing to predict", *weights)
        self.refuses("found --camera", "--camera", "0", "--boxes-only")
        self.refuses("--score-threshold is nan", self.recording, *weights, "--score-threshold", "nan")
        (self.root / "nobody").mkdir()
        self.refuses("holds no recording.*correct the path", str(self.root / "nobody"), *weights)
        self.refuses("--weights is missing", self.recording)
        self.refuses("nothing.h5 does not exist", str(self.root / "nothing.h5"), *weights)
        self.refuses("--camera 3 gives RGB frames", "--camera", "3", *weights)
        self.refuses("the class 'fly'", self.recording, *weights, "--classes", "fly")
        self.refuses("Two inputs have the name A_R1", self.recording, self.recording, *weights)
        self.refuses("has no configuration|does not exist", self.recording, "--weights", str(self.root / "no.pth"))


class Pictures(Folder):
    def test_persons_are_drawn_where_they_are(self):
        picture = np.full((40, 60), 18.0)
        drawer = FrameDrawer(picture, CLASSES.names)
        found = result(1.0, (1, 20, 0.9))
        empty = drawer.draw(picture, 1.0, None, np.zeros((0, 4)))
        drawn = drawer.draw(picture, 1.0, found, found.boxes)
        self.assertEqual(drawn.shape[:2], drawer.size[::-1])
        self.assertTrue(all(side % 2 == 0 for side in drawer.size))
        changed = np.argwhere((drawn != empty).any(axis=2)) / drawer.zoom
        self.assertLess(abs(changed[:, 0].max() - 15), 0.5)
        self.assertGreater(changed[:, 1].min(), 19.5)

    def test_frames_of_any_kind_and_size(self):
        for shape in ((8, 8), (120, 160), (480, 640, 3), (1080, 1920, 3)):
            picture = np.zeros(shape, np.uint8 if len(shape) == 3 else np.float32)
            drawer = FrameDrawer(picture, CLASSES.names)
            found = result(0.0, (None, 0, 0.2), size=shape[1::-1])
            self.assertEqual(drawer.draw(picture, 0.0, found, found.boxes).shape, (*drawer.size[::-1], 3))
            self.assertLessEqual(max(drawer.size), 1400)

    def test_boxes_between_two_results(self):
        before, after = result(0.0, (1, 10, 0.9)), result(1.0, (1, 20, 0.9), (2, 40, 0.9))
        self.assertEqual(boxes_between(before, after, 0.25)[:, 0].tolist(), [12.5, 40])
        self.assertEqual(boxes_between(after, before, 0.25)[:, 0].tolist(), [12.5])
        self.assertEqual(boxes_between(None, after, 0.25)[:, 0].tolist(), [20, 40])

    def test_a_timeline_joins_equal_neighbors(self):
        timeline = Timeline(1.0)
        for time in range(6):
            timeline.add(result(float(time), (7, 10, 0.9 if time < 4 else 0.1)))
        self.assertEqual([(s.column, s.start, s.end) for s in timeline.stretches], [(0, 0, 4), (1, 4, 6)])
        self.assertIn("track 7: 6 s, sit 67%, walk 33%", timeline.summary())
        timeline.picture(self.root / "timeline.png", "room")
        self.assertGreater((self.root / "timeline.png").stat().st_size, 1000)

    def test_a_timeline_of_an_endless_stream_stays_small(self):
        timeline = Timeline(1.0)
        with mock.patch("alphaction.report.timeline._MOST_STRETCHES", 10):
            for time in range(100):
                timeline.add(result(float(time), (time, 10, 0.9)))
        self.assertEqual(len(timeline.stretches), 10)
        self.assertEqual(timeline.left_out, 90)
        self.assertEqual(Timeline(1.0).summary(), "no results")
