"""A predictor scores as testing does, and leaves the process as it was."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import thermal_files
import torch
from predictor_files import MEMORY, SPAN, narrow_cfg, save_model
from temporary_folder import Folder
from torch_settings import one_thread

from alphaction import ActionPredictor
from alphaction.dataset import make_data_loader
from alphaction.engine.inference import inference
from alphaction.recordings.recording import ThermalRecording

CPU = torch.device("cpu")
BATCH = "TEST.VIDEOS_PER_BATCH"
KEYFRAMES = (5, 20, 26, 32, 60, 75)
# Channels against the room of the recording, at the sensor's own size, which is padded to whole cells.
CHANNELS = ("INPUT.CLIP_CHANNELS", ("relative", "foreground", "motion"), "INPUT.MIN_SIZE_TEST", 0)
PRIOR = ("MODEL.ROI_ACTION_HEAD.PLACE_PRIOR", 0.1)


def crowd(root: Path) -> None:
    """More persons in some keyframes of the validation set, up to more than the limits, and none in one."""
    path = root / "annotations" / "val.json"
    images, persons = [], []
    for number, frame in enumerate(KEYFRAMES):
        images.append(thermal_files.image("A_R1", frame))
        for one in range((1, 0, 2, 5, 1, 1)[number]):
            box = (0.15 + 0.15 * one, 0.3 + 0.1 * one, 0.2, 0.25)
            persons.append(thermal_files.annotation(len(persons), images[-1]["id"], box, one))
    thermal_files.write_annotations(path, images, persons)


class Predicted(Folder):
    """A data set, and for each configuration a checkpoint of its model, its predictor and what testing gives."""

    @classmethod
    def setUpClass(cls) -> None:
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        one_thread(cls.addClassCleanup)
        cls.set = thermal_files.write_dataset(Path(holder.name) / "set", ("A_R1",))
        cls.recording = cls.set / "frames" / "A_R1.h5"
        crowd(cls.set)
        cls.predictors: dict[tuple, ActionPredictor] = {}
        cls.references: dict[tuple, tuple] = {}

    def predictor(self, *settings: object) -> ActionPredictor:
        if settings not in self.predictors:
            path = self.set / f"model{len(self.predictors)}.pth"
            save_model(path, narrow_cfg(self.set, *settings))
            self.predictors[settings] = ActionPredictor.from_checkpoint(path, device="cpu")
        return self.predictors[settings]

    def reference(self, *settings: object) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
        """Boxes in pixels of the frame and scores that testing gives, by frame."""
        if settings not in self.references:
            self.references[settings] = self._test(settings)
        return self.references[settings]

    def _test(self, settings: tuple) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
        predictor = self.predictor(*settings)
        loader = make_data_loader(predictor.cfg, is_train=False)[0]
        dataset = loader.dataset
        boxes, scores = {}, {}
        for index, found in inference(predictor.cfg, predictor._loaded.model, loader, CPU).items():
            frame = int(dataset.frame_idx[index])
            rows = slice(dataset.box_offsets[index], dataset.box_offsets[index + 1])
            boxes[frame] = dataset.gt_boxes[rows] * np.array([60, 40, 60, 40])
            scores[frame] = found.get_field("scores").numpy()
        return boxes, scores

    def assert_close(self, found: np.ndarray, expected: np.ndarray) -> None:
        self.assertEqual(found.shape, expected.shape)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


class SameScores(Predicted):
    def test_one_keyframe_or_a_batch_of_any_number_of_persons(self):
        boxes, scores = self.reference()
        predictor = self.predictor()
        recording = ThermalRecording(self.recording)
        windows = [recording.window(frame, SPAN) for frame in KEYFRAMES]
        single = [predictor.predict(window, boxes[f]) for window, f in zip(windows, KEYFRAMES, strict=True)]
        batch = predictor.predict_batch(windows, [boxes[frame] for frame in KEYFRAMES])
        for found in (single, batch):
            for one, frame in zip(found, KEYFRAMES, strict=True):
                self.assert_close(one.scores, scores[frame])
                np.testing.assert_allclose(one.boxes, boxes[frame], atol=1e-4)
        self.assertEqual([len(one.persons) for one in batch], [1, 0, 2, 5, 1, 1])

    def test_a_recording_with_memory_both_ways(self):
        for size in (1, 16):
            with self.subTest(batch=size):
                boxes, scores = self.reference(*MEMORY)
                predictor = self.predictor(*MEMORY) if size == 16 else self.predictor(*MEMORY, BATCH, size)
                found = predictor.predict_recording(self.recording, boxes)
                self.assertEqual([one.frame for one in found], list(KEYFRAMES))
                for one in found:
                    self.assert_close(one.scores, scores[one.frame])

    def test_the_memory_changes_scores_and_a_stream_has_that_of_before_only(self):
        boxes, scores = self.reference(*MEMORY)
        predictor = self.predictor(*MEMORY)
        alone = predictor.predict(ThermalRecording(self.recording).window(26, SPAN), boxes[26])
        self.assertGreater(np.abs(alone.scores - scores[26]).max(), 1e-4)

    def test_a_model_at_a_fixed_rate(self):
        boxes, scores = self.reference("INPUT.FPS", 3.0)
        predictor = self.predictor("INPUT.FPS", 3.0)
        for one in predictor.predict_recording(self.recording, boxes):
            self.assert_close(one.scores, scores[one.frame])
        recording = ThermalRecording(self.recording)
        times = (recording.timestamps - recording.timestamps[0]) / 1000.0
        found = predictor.predict(recording.frames, boxes[32], times=times, keyframe=32)
        self.assert_close(found.scores, scores[32])

    def test_raw_formats_are_read_as_recordings(self):
        recording = ThermalRecording(self.recording)
        raw = self.root / "raw"
        raw.mkdir()
        np.save(raw / "A_R1.npy", recording.raw_frames())
        np.save(raw / "A_R1.times.npy", recording.timestamps)
        for settings in ((), CHANNELS):
            boxes, scores = self.reference(*settings)
            for one in self.predictor(*settings).predict_recording(raw / "A_R1.npy", boxes):
                self.assert_close(one.scores, scores[one.frame])

    def test_channels_against_the_room(self):
        boxes, scores = self.reference(*CHANNELS, *PRIOR)
        predictor = self.predictor(*CHANNELS, *PRIOR)
        recording = ThermalRecording(self.recording)
        found = predictor.predict_recording(self.recording, boxes)
        self.assertEqual([one.frame for one in found], list(KEYFRAMES))
        for one in found:
            self.assert_close(one.scores, scores[one.frame])
            window = recording.window(one.frame, SPAN)
            alone = predictor.predict(window, boxes[one.frame], room=recording.room)
            self.assert_close(alone.scores, scores[one.frame])

    def test_a_place_prior_reads_the_place_in_the_frame(self):
        settings = (*CHANNELS, *PRIOR, "DATALOADER.SIZE_DIVISIBILITY", 32)
        boxes, _ = self.reference(*settings)
        predictor = self.predictor(*settings)
        plain = ActionPredictor.from_checkpoint(predictor._loaded.path, device="cpu")
        plain._loaded.model.head.place_prior.weight.data.zero_()
        log_odds = predictor._loaded.model.head.place_prior.log_odds().detach().numpy().reshape(-1, 12, 8)
        pairs = [one.predict_recording(self.recording, boxes) for one in (predictor, plain)]
        for found, without in zip(*pairs, strict=True):
            corners = boxes[found.frame] / np.array([60, 40, 60, 40])
            x, y = ((corners[:, side] + corners[:, side + 2]) / 2 for side in (0, 1))
            columns, rows = (
                np.exp(-(((place[:, None] * cells - np.arange(cells) - 0.5) / 0.8) ** 2) / 2)
                for place, cells in ((x, 12), (y, 8))
            )
            expected = np.einsum("cxy,nx,ny->nc", log_odds, columns, rows) / (2 * np.pi * 0.8**2)
            added = np.log(found.scores) - np.log(without.scores)
            # The scores are a softmax, which does not see what all classes have in common.
            np.testing.assert_allclose(added - added[:, :1], expected - expected[:, :1], atol=1e-3)


class Surroundings(Predicted):
    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.predictor()._loaded.path)
        self.window = ThermalRecording(self.recording).window(32, 64)
        self.boxes = np.array([[10.0, 10, 20, 20]])

    def test_two_predictors_do_not_disturb_each_other(self):
        other_path = self.root / "other.pth"
        save_model(other_path, narrow_cfg(self.set, "INPUT.MIN_SIZE_TEST", 48), seed=1)
        first = self.predictor()
        alone = first.predict(self.window, self.boxes).scores
        second = ActionPredictor.from_checkpoint(other_path, device="cpu")
        streams = [
            one.stream(((n / 6, frame) for n, frame in enumerate(self.window)), interval=2.0) for one in (first, second)
        ]
        for _ in zip(*streams, strict=True):
            pass
        np.testing.assert_array_equal(first.predict(self.window, self.boxes).scores, alone)
        self.assertFalse(np.allclose(second.predict(self.window, self.boxes).scores, alone, atol=1e-4))

    def test_logging_random_numbers_and_threads_stay(self):
        def state() -> tuple:
            loggers = [logging.getLogger(), logging.getLogger("alphaction")]
            handlers = [(logger.level, list(logger.handlers)) for logger in loggers]
            numbers = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()
            return handlers, numbers, torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype()

        before = state()
        predictor = ActionPredictor.from_checkpoint(self.path, device="cpu")
        predictor.predict(self.window)
        predictor.predict_recording(self.recording)
        results = predictor.stream((n / 6, frame) for n, frame in enumerate(self.window))
        next(results)  # one that is under way must not leave gradients switched off
        self.assertEqual(state(), before)

    def test_the_package_imports_without_torch(self):
        code = "import sys, alphaction, alphaction.predictions; sys.exit('torch' in sys.modules)"
        self.assertEqual(subprocess.run([sys.executable, "-c", code]).returncode, 0)


class FoundPersons(Predicted):
    def test_a_person_is_found_and_followed_through_a_recording(self):
        predictor = self.predictor()
        _, truth = thermal_files.scene(80)
        found = predictor.predict_recording(self.recording, interval=1.0)
        self.assertEqual(len(found), 14)
        hits, tracks = 0, set()
        for one in found:
            center = truth[one.frame, :2] * [60, 40]
            for person in one.persons:
                x1, y1, x2, y2 = person.box
                if x1 < center[0] < x2 and y1 < center[1] < y2:
                    hits += 1
                    tracks.add(person.track)
        self.assertGreaterEqual(hits, 12)
        self.assertEqual(len(tracks), 1)
        self.assertEqual(found[3].to_dict()["source"], "A_R1")
        found[3].plot(self.root / "frame.png")
        self.assertGreater((self.root / "frame.png").stat().st_size, 1000)

    def test_one_who_does_not_move_is_found_before_a_given_room(self):
        room = np.full((40, 60), 20.0, np.float32)
        window = np.repeat(room[None], SPAN, axis=0)
        window[:, 10:18, 20:32] += 6.0
        predictor = self.predictor()
        self.assertEqual(predictor.predict(window).persons, ())
        found = predictor.predict(window, room=room)
        np.testing.assert_array_equal(found.boxes, [[20, 10, 32, 18]])

    def test_nobody_is_found_in_an_empty_room(self):
        predictor = self.predictor()
        rng = np.random.default_rng(0)
        room = 17 + np.sin(np.arange(60) / 9)[None, None] + rng.normal(0, 0.24, (64, 40, 60))
        self.assertEqual(predictor.predict(room).persons, ())
        self.assertEqual(predictor.predict(room).scores.shape, (0, 14))


class Streams(Predicted):
    def setUp(self) -> None:
        super().setUp()
        self.memory_predictor = self.predictor(*MEMORY)
        self.frames = ThermalRecording(self.recording).raw_frames()

    def test_one_result_for_each_interval(self):
        found = list(self.memory_predictor.stream((n / 6, frame) for n, frame in enumerate(self.frames)))
        np.testing.assert_allclose([one.time for one in found], np.arange(14), atol=0.2)

    def test_a_result_waits_for_the_delay_and_no_longer(self):
        seen = 0

        def arriving():
            nonlocal seen
            for n, frame in enumerate(self.frames):
                seen = n / 6
                yield n / 6, frame

        for delay in (0.0, 2.0):
            waited = [seen - one.time for one in self.memory_predictor.stream(arriving(), delay=delay)]
            self.assertTrue(all(delay <= seconds < delay + 0.2 for seconds in waited[:10]), waited)

    def test_broken_frames_are_left_out(self):
        def arriving():
            for n, frame in enumerate(self.frames):
                yield n / 6, frame
                yield n / 6 + 0.01, (None, np.zeros((3, 3)), "frame", np.full((40, 60), np.nan))[n % 4]

        whole = list(self.memory_predictor.stream((n / 6, frame) for n, frame in enumerate(self.frames)))
        with self.assertLogs("alphaction", "WARNING") as logs:
            found = list(self.memory_predictor.stream(arriving()))
        self.assertEqual([one.time for one in found], [one.time for one in whole])
        self.assertEqual(sum("broken" in line for line in logs.output), 1)

    def test_a_stream_that_is_taken_up_again_starts_afresh(self):
        times = [*np.arange(40) / 6, *(1000 + np.arange(40) / 6)]
        with self.assertLogs("alphaction", "WARNING") as logs:
            found = list(self.memory_predictor.stream(zip(times, self.frames, strict=True)))
        self.assertTrue(any("taken up again" in line for line in logs.output))
        self.assertEqual([one.time for one in found if one.time > 500][0], 1000)
        first = list(self.memory_predictor.stream(zip(times[40:], self.frames[40:], strict=True)))
        again = [one for one in found if one.time >= 1000]
        self.assertEqual([one.time for one in again], [one.time for one in first])

    def test_memory_is_bounded(self):
        from alphaction.engine.keyframe_scorer import KeyframeScorer

        sizes = []
        pool, original = [], KeyframeScorer.__init__

        def watched(scorer, *args, **kwargs):
            original(scorer, *args, **kwargs)
            pool.append(scorer)

        def arriving():
            for n in range(300):
                if pool:
                    sizes.append((len(pool[0].memory), len(pool[0].pending)))
                yield n / 6, self.frames[n % len(self.frames)]

        KeyframeScorer.__init__ = watched
        self.addCleanup(setattr, KeyframeScorer, "__init__", original)
        list(self.memory_predictor.stream(arriving()))
        self.assertLessEqual(max(count for count, _ in sizes), 6)  # LENGTH is 4 s before
        self.assertEqual(max(pending for _, pending in sizes), 0)
