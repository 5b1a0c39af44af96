"""What a predictor refuses, in one sentence each."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import thermal_files
import torch
from predictor_files import MEMORY, SPAN, narrow_cfg, save_model
from temporary_folder import Folder
from torch_settings import one_thread

from alphaction import ActionPredictor
from alphaction.annotations.labels import THERMAL_CLASSES
from alphaction.checkpoints.checkpointer import ActionCheckpointer
from alphaction.config import load_cfg
from alphaction.engine.load_model import load_model
from alphaction.persons.detector import PersonDetector


class BadCheckpoints(Folder):
    def setUp(self) -> None:
        super().setUp()
        self.cfg = narrow_cfg(Path("set"))
        self.path = self.root / "model.pth"

    def load(self, *args, **kwargs):
        return load_model(self.path, *args, device="cpu", **kwargs)

    def test_no_configuration(self):
        save_model(self.path, self.cfg, config=None)
        self.refused("has no configuration.*--config-file", self.load)
        found = self.load(self.cfg)
        self.assertEqual(found.classes.names, THERMAL_CLASSES)

    def test_a_configuration_file_for_a_file_without(self):
        save_model(self.path, self.cfg, config=None, input=None)
        (self.root / "model.yaml").write_text(self.cfg.dump())
        self.assertEqual(self.load(self.root / "model.yaml").trained.kind, "thermal")

    def test_no_classes(self):
        save_model(self.path, self.cfg, class_names=None, exclusive=None)
        self.refused("no class names, expected those of its 14 columns", self.load)
        self.assertEqual(self.load(classes=THERMAL_CLASSES).classes.names, THERMAL_CLASSES)
        self.assertEqual(self.load(classes=THERMAL_CLASSES[:12]).classes.names, THERMAL_CLASSES[:12])
        self.refused("15 classes are given.*14 columns", self.load, classes=[str(n) for n in range(15)])

    def test_other_classes(self):
        save_model(self.path, self.cfg)
        others = [*THERMAL_CLASSES[:3], "flying", *THERMAL_CLASSES[4:]]
        self.refused("Class 4 of .* 'lying down-lying with risk' and 'flying'", self.load, classes=others)

    def test_a_number_of_classes_from_the_names(self):
        save_model(self.path, self.cfg, config=None)
        settings = self.cfg.clone()
        settings.MODEL.ROI_ACTION_HEAD.NUM_CLASSES = 0
        self.assertEqual(self.load(settings).cfg.MODEL.ROI_ACTION_HEAD.NUM_CLASSES, 14)
        save_model(self.path, self.cfg, config=None, class_names=None, exclusive=None)
        self.refused("NUM_CLASSES is 0 and .* has no class names", self.load, settings)

    def test_another_architecture(self):
        save_model(self.path, self.cfg)
        self.refused("another architecture", self.load, narrow_cfg(Path("set"), "INPUT.ALPHA", 2))
        self.refused("action.feature_extractor.fc1.weight of shape", self.load, narrow_cfg(Path("set"), *MEMORY))

    def test_another_task(self):
        torch.save({"backbone.body.conv1.weight": torch.zeros(3)}, self.path)
        self.refused("has no configuration", self.load)
        self.refused("none of the .* entries of the configured model", self.load, self.cfg)

    def test_a_file_of_a_later_version(self):
        save_model(self.path, self.cfg, config=self.cfg.dump() + "NEW_KEY: 1\n")
        self.refused("configuration in .* is not of this version: .*NEW_KEY", self.load)

    def test_damaged_input_entry(self):
        save_model(self.path, self.cfg, input=[3])
        self.refused("entry 'input'", self.load)

    def test_a_model_of_clips(self):
        save_model(self.path, self.cfg, input={"kind": "RGB", "sizes": []})
        predictor = ActionPredictor.from_checkpoint(self.path, device="cpu")
        self.refused("trained on RGB clips", predictor.predict, np.full((16, 40, 60), 20.0))

    def test_shipped_configurations_load_by_name(self):
        save_model(self.path, self.cfg)
        self.refused("another architecture", self.load, "thermal_resnet101_8x8f_baseline")
        self.assertTrue(load_cfg("thermal_demo"))


class BadFrames(Folder):
    @classmethod
    def setUpClass(cls) -> None:
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        one_thread(cls.addClassCleanup)
        path = Path(holder.name) / "model.pth"
        save_model(path, narrow_cfg(Path(holder.name), *MEMORY))
        cls.predictor = ActionPredictor.from_checkpoint(path, device="cpu")
        cls.window = thermal_files.scene(SPAN)[0]

    def test_windows(self):
        predict = self.predictor.predict
        self.refused("kelvin", predict, self.window + 273.15)
        self.refused(r"shape \[40, 60\]", predict, self.window[0])
        self.refused("type object|type <U", predict, np.full((2, 40, 60), "x"))
        self.refused("no valid temperature", predict, np.full((2, 40, 60), np.nan))
        self.refused("0..15, not the keyframe 16", predict, self.window, keyframe=SPAN)
        self.refused("16 frames and 3 times", predict, self.window, times=np.arange(3))
        self.refused("NaN or infinity", predict, self.window, times=np.full(SPAN, np.nan))
        batch = self.predictor.predict_batch
        self.refused("1 windows, 2 entries", batch, [self.window], [None, None])
        self.refused("2 windows, .* 1 of rooms", batch, [self.window] * 2, rooms=[self.window[0]])
        self.refused(r"room of .* shape \[40, 59\]", predict, self.window, room=self.window[0, :, 1:])
        self.refused("room of .* not finite", predict, self.window, room=np.full((40, 60), np.nan))

    def test_a_person_detector_is_no_model_of_actions_but_finds_persons(self):
        path = self.root / "persons.pth"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            checkpointer = ActionCheckpointer(PersonDetector(), save_dir=self.root)
        checkpointer.info = {"config": load_cfg("thermal_persons").dump()}
        checkpointer.save_weights("persons")
        self.refused("was trained for MODEL.TASK persons", load_model, path)
        state = torch.get_rng_state()
        predictor = self.predictor.with_detector(path)
        self.assertTrue(torch.equal(torch.get_rng_state(), state))
        self.assertIsInstance(predictor.predict(self.window).persons, tuple)
        self.refused("is no person detector", self.predictor.with_detector, self.predictor._loaded.path)

    def test_boxes(self):
        predict = self.predictor.predict
        self.refused(r"Box 2 of .*60 x 40 pixels", predict, self.window, np.array([[0, 0, 9, 9], [60, 0, 70, 9]]))
        self.refused("Box 1", predict, self.window, np.array([[5, 5, 5, 9]]))
        self.refused("not finite", predict, self.window, np.array([[0, 0, np.nan, 9]]))
        self.refused(r"shape \[4\]", predict, self.window, np.array([0, 0, 9, 9]))
        whole = predict(self.window, np.array([[-5, -5, 70, 50]]))
        np.testing.assert_array_equal(whole.boxes, [[0, 0, 60, 40]])

    def test_more_persons_than_the_limit_are_scored_and_said(self):
        boxes = np.array([[n, n, n + 9, n + 9] for n in range(5)])
        with self.assertLogs("alphaction", "WARNING") as logs:
            found = self.predictor.predict(self.window, boxes)
        self.assertEqual(len(found.persons), 5)
        self.assertIn("5 persons at", logs.output[0])
        self.assertIn("MAX_PERSON 3", logs.output[0])

    def test_another_sensor_is_said_once(self):
        other = thermal_files.scene(SPAN, shape=(24, 32))[0]
        with self.assertLogs("alphaction", "WARNING") as logs:
            self.predictor.predict(other, np.array([[3, 3, 9, 9]]))
            self.predictor.predict(other, np.array([[3, 3, 9, 9]]))
        self.assertEqual(len(logs.output), 1)
        self.assertIn("32x24 pixels, the model of", logs.output[0])

    def test_recordings(self):
        read = self.predictor.predict_recording
        self.refused("nothing.h5 does not exist", read, self.root / "nothing.h5")
        (self.root / "empty.h5").write_bytes(b"")
        self.refused("empty.h5", read, self.root / "empty.h5")
        thermal_files.write_recording(self.root / "room.h5", thermal_files.scene(20)[0])
        self.refused("frame 20 of .*expected 0 to 19", read, self.root / "room.h5", {20: np.zeros((0, 4))})
        self.refused("interval is -1", read, self.root / "room.h5", interval=-1)

    def test_a_stream_without_temperatures(self):
        self.assertEqual(list(self.predictor.stream([])), [])
        kelvin = ((n, frame + 273.15) for n, frame in enumerate(self.window))
        self.refused("kelvin", list, self.predictor.stream(kelvin))
