"""Synthetic scenes: format, counts, splits, determinism and likeness to the real set."""

from __future__ import annotations

import io
import json
import os
import tempfile
import unittest
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path

import h5py
import numpy as np
from tool_scripts import load_tool

from alphaction.annotations.labels import THERMAL_CLASSES
from alphaction.errors import UserError
from alphaction.recordings.compare_sets import COMPARED, REAL_FIGURES, comparison_table, measure_set
from alphaction.synthetic import body
from alphaction.synthetic import plan as scenes_plan
from alphaction.synthetic.camera import Camera
from alphaction.synthetic.room import heat_prints
from alphaction.synthetic.scenes import make_recording, make_thermal_set
from alphaction.synthetic.sensor import SENSOR, arrival_times, lose_packets

REAL_ROOT = os.environ.get("ALPHACTION_THERMAL_ROOT")


def load(root: Path, split: str) -> dict:
    return json.loads((root / "annotations" / f"{split}.json").read_text())


def class_counts(document: dict) -> list[int]:
    counts = Counter(a["category_id"] for a in document["annotations"])
    return [counts[i] for i in range(14)]


class DefaultSet(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = make_thermal_set(Path(cls.folder.name) / "set", seed=0)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def test_keyframes_and_persons(self) -> None:
        train, val = load(self.root, "train"), load(self.root, "val")
        self.assertEqual([len(train["images"]), len(val["images"])], [314, 73])
        self.assertEqual([len(train["annotations"]), len(val["annotations"])], [405, 95])
        self.assertGreaterEqual(min(class_counts(train)), 8)
        self.assertGreaterEqual(min(class_counts(val)), 4)
        ids = [a["id"] for d in (train, val) for a in d["annotations"]]
        self.assertEqual(sorted(ids), list(range(500)))

    def test_validation_recordings_are_no_training_recordings(self) -> None:
        used = [{image["sensor_id"] for image in load(self.root, split)["images"]} for split in ("train", "val")]
        self.assertFalse(used[0] & used[1])
        self.assertEqual(len(used[0] | used[1]), 8)

    def test_recordings(self) -> None:
        damaged = 0
        for path in sorted((self.root / "frames").glob("*.h5")):
            with h5py.File(path) as file:
                self.assertEqual(sorted(file), ["frame_seqs", "frames", "timestamps"])
                frames, times = file["frames"], file["timestamps"][()]
                self.assertEqual((frames.dtype, frames.shape[1:], frames.chunks), (np.float32, (40, 60), (64, 40, 60)))
                self.assertEqual((frames.compression, frames.compression_opts), ("gzip", 4))
                self.assertTrue(480 <= len(frames) <= 508)
                self.assertEqual(times.dtype, np.int64)
                np.testing.assert_array_equal(times, file["frame_seqs"][()])
                self.assertGreater(np.diff(times).min(), 0)
                share = (frames[()] < -100).any(axis=(1, 2)).mean()
                damaged += share > 0
                self.assertTrue(share == 0 or 0.075 <= share <= 0.135, share)
        self.assertEqual(damaged, 4)

    def test_images_name_frames(self) -> None:
        for split in ("train", "val"):
            for image in load(self.root, split)["images"]:
                with h5py.File(self.root / "frames" / f"{image['sensor_id']}.h5") as file:
                    self.assertEqual(file["timestamps"][image["frame_idx"]], image["timestamp"])
                self.assertEqual(image["id"], f"{image['sensor_id']}_{image['timestamp']}")

    def test_boxes_hold_something_warm(self) -> None:
        figures = measure_set(self.root)
        self.assertGreater(figures["person contrast [°C]"], 4)
        for split in ("train", "val"):
            boxes = np.array([a["bbox"] for a in load(self.root, split)["annotations"]])
            self.assertTrue(((boxes[:, :2] > 0) & (boxes[:, :2] < 1) & (boxes[:, 2:] > 0.04)).all())
            self.assertTrue((boxes[:, :2] - boxes[:, 2:] / 2 > -1e-9).all())
            self.assertTrue((boxes[:, :2] + boxes[:, 2:] / 2 < 1 + 1e-9).all())

    def test_figures_are_those_of_the_real_set(self) -> None:
        figures = measure_set(self.root)
        for key in COMPARED:
            self.assertTrue(0.8 <= figures[key] / REAL_FIGURES[key] <= 1.2, f"{key}: {figures[key]:.3f}")

    @unittest.skipUnless(REAL_ROOT, "ALPHACTION_THERMAL_ROOT is not set")
    def test_recorded_figures_and_format_are_the_real_ones(self) -> None:
        for key, value in measure_set(REAL_ROOT).items():
            self.assertAlmostEqual(value / REAL_FIGURES[key], 1, delta=0.05, msg=key)
        real = Path(REAL_ROOT)
        for name in ("class_mapping.json", "train.json"):
            ours, theirs = (json.loads((r / "annotations" / name).read_text()) for r in (self.root, real))
            self.assertEqual(list(ours), list(theirs))
            for key in ("images", "annotations", "categories"):
                if key in theirs:
                    self.assertEqual(list(ours[key][0]), list(theirs[key][0]))
        ours, theirs = (sorted((r / "frames").glob("*.h5"))[0] for r in (self.root, real))
        with h5py.File(ours) as a, h5py.File(theirs) as b:
            self.assertEqual(set(a.attrs), set(b.attrs))
            for key in b:
                self.assertEqual(
                    (a[key].dtype, a[key].compression, a[key].chunks is None),
                    (b[key].dtype, b[key].compression, b[key].chunks is None),
                )
            for key in b.attrs:
                self.assertEqual(np.asarray(a.attrs[key]).dtype.kind, np.asarray(b.attrs[key]).dtype.kind, key)
        infos = [json.loads((r / "frames" / "sensor_info.json").read_text()) for r in (self.root, real)]
        self.assertEqual(*(list(next(iter(info.values()))) for info in infos))

    def test_comparison_is_printed(self) -> None:
        text = io.StringIO()
        with redirect_stdout(text):
            load_tool("compare_thermal_sets").main(["--b", str(self.root)])
        for key in COMPARED:
            self.assertIn(key, text.getvalue())
        self.assertIn("2.00", comparison_table({"x": 1.0}, {"x": 2.0}, ("a", "b")))
        with self.assertRaisesRegex(UserError, "train.json"):
            load_tool("compare_thermal_sets").main(["--b", str(self.root / "nothing")])

    def test_existing_folder_is_refused(self) -> None:
        before = (self.root / "annotations" / "train.json").read_bytes()
        with self.assertRaisesRegex(UserError, "exists"):
            load_tool("make_thermal_dataset").main(["--out", str(self.root)])
        self.assertEqual((self.root / "annotations" / "train.json").read_bytes(), before)
        with tempfile.TemporaryDirectory() as other:
            (Path(other) / "mine.txt").write_text("keep")
            with self.assertRaises(UserError):
                make_thermal_set(other, overwrite=True)
            self.assertEqual(os.listdir(other), ["mine.txt"])
            with self.assertRaisesRegex(UserError, "cannot be written"):
                make_thermal_set(Path(other) / "mine.txt" / "set")


class Plans(unittest.TestCase):
    def test_every_seed_has_a_plan(self):
        for seed in range(200):
            plans = scenes_plan.plan_recordings(np.random.default_rng([seed, 0]), False, False)
            self.assertEqual(sum(len(plan.first) for plan in plans), 387)


class OtherSets(unittest.TestCase):
    def test_real_counts_and_random_split(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = make_thermal_set(Path(folder) / "set", seed=1, real_counts=True)
            for split in ("train", "val"):
                self.assertEqual(class_counts(load(root, split)), list(scenes_plan.REAL_COUNTS[split]))
            make_thermal_set(root, seed=1, real_counts=True, random_split=True, overwrite=True)
            train, val = load(root, "train"), load(root, "val")
            self.assertEqual([len(train["images"]), len(val["images"])], [314, 73])
            self.assertEqual(
                np.add(class_counts(train), class_counts(val)).tolist(),
                np.add(*scenes_plan.REAL_COUNTS.values()).tolist(),
            )
            used = [{image["sensor_id"] for image in document["images"]} for document in (train, val)]
            self.assertEqual(used[0], used[1])
            self.assertEqual(os.listdir(folder), ["set"])

    def test_one_seed_one_recording(self) -> None:
        plan = scenes_plan.plan_recordings(np.random.default_rng(3), False, False)[0]
        (a, keys_a), (b, keys_b), (c, _) = (make_recording(plan, np.random.default_rng(s)) for s in (7, 7, 8))
        np.testing.assert_array_equal(a.frames, b.frames)
        np.testing.assert_array_equal(a.timestamps, b.timestamps)
        self.assertEqual(keys_a, keys_b)
        self.assertFalse(a.frames.shape == c.frames.shape and np.array_equal(a.frames, c.frames))
        labels = [person.category_id for key in keys_a for person in key.persons]
        self.assertEqual(sorted(labels), sorted(plan.first + plan.second))

    def test_counts_of_every_mode_add_up(self) -> None:
        for real in (False, True):
            self.assertEqual(scenes_plan.class_counts("train", real).sum(), 405)
            self.assertEqual(scenes_plan.class_counts("val", real).sum(), 95)
        self.assertEqual(len(THERMAL_CLASSES), scenes_plan.NUM_CLASSES)


class Parts(unittest.TestCase):
    def test_camera_there_and_back(self) -> None:
        camera = Camera(3.4, 33.0, (30.2, 19.7))
        x, y = camera.ground(0.5)
        pixels, scale = camera.project(np.stack([x, y, np.full_like(x, 0.5)], axis=-1))
        rows, columns = np.mgrid[0:40, 0:60] + 0.5
        np.testing.assert_allclose(pixels[..., 0], columns, atol=1e-3)
        np.testing.assert_allclose(pixels[..., 1], rows, atol=1e-3)
        self.assertGreater(camera.project(np.array([0.0, 0, 1.6]))[1], camera.project(np.array([0.0, 0, 0]))[1])

    def test_persons_cover_what_their_posture_says(self) -> None:
        rng = np.random.default_rng(0)
        build, camera = body.Build.draw(rng), Camera()
        poses = np.stack([body.STANDING, body.ON_BACK, body.CROUCHING])
        heat, cover = body.render_person(poses, build, camera, np.zeros(3), 18.0)
        length = [np.ptp(np.flatnonzero((c > 0.5).any(axis=0))) for c in cover]
        self.assertGreater(length[1], 1.5 * length[0])
        self.assertGreater(length[1], 1.5 * length[2])
        self.assertGreater((heat / np.maximum(cover, 1e-6))[cover > 0.99].min(), 19.0)
        outside, none = body.render_person(poses + [30, 0, 0], build, camera, np.zeros(3), 18.0)
        self.assertEqual(float(outside.max() + none.max()), 0.0)

    def test_mirrored_twice_is_the_same(self) -> None:
        np.testing.assert_array_equal(body.mirror(body.mirror(body.TWISTED)), body.TWISTED)

    def test_lost_packets_slide_forward(self) -> None:
        frames = np.tile(np.arange(2400, dtype=np.float32).reshape(40, 60), (50, 1, 1))
        damaged = lose_packets(frames, 0.2, np.random.default_rng(0))
        self.assertEqual(len(damaged), 10)
        for index in range(50):
            flat = frames[index].ravel()
            lost = int((flat < -100).sum())
            self.assertEqual(lost > 0, index in damaged)
            self.assertEqual(lost % SENSOR.packets[0], 0)
            kept = flat[: 2400 - lost]
            self.assertTrue((np.diff(kept) > 0).all())
            self.assertTrue((flat[2400 - lost :] < -100).all())

    def test_arrival_times(self) -> None:
        for stormy, longest in ((False, 0.7), (True, 5.5)):
            times = arrival_times(500, 1_000_000, stormy, np.random.default_rng(1))
            seconds = np.diff(times) / 1000
            self.assertEqual(times[0], 1_000_000)
            self.assertGreaterEqual(seconds.min(), 0.007)
            self.assertTrue(longest / 3 < seconds.max() < longest)
            self.assertTrue(5.5 < 1 / seconds.mean() < 6.2)

    def test_prints_stay_and_fade(self) -> None:
        contact = np.zeros((400, 40, 60), np.float32)
        contact[:100, 10, 10] = 1
        prints = heat_prints(contact)
        self.assertEqual(prints[:, 0, 0].max(), 0)
        self.assertGreater(prints[100, 10, 10], 1.5)
        self.assertTrue(0.2 < prints[399, 10, 10] / prints[100, 10, 10] < 0.6)


if __name__ == "__main__":
    unittest.main()
