"""Frames of any shape: repair, windows from disk, and the way into the network."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import torch
from test_classes import MIXED, TINY
from thermal_files import (
    FLOOR,
    annotation,
    image,
    lose_packets,
    scene,
    small_cfg,
    write_annotations,
    write_dataset,
    write_recording,
)
from torch_settings import one_thread

from alphaction.annotations.classes import THERMAL, ClassList, class_documents, exclusive_classes
from alphaction.cli import evaluate, train
from alphaction.dataset.datasets import ThermalAVADataset
from alphaction.dataset.transforms import ThermalTransform
from alphaction.dataset.transforms.clip_input import ClipInput
from alphaction.modeling.detector import ActionDetector
from alphaction.recordings.recording import ThermalRecording
from alphaction.recordings.repair import repair_frames
from alphaction.recordings.sensor import Sensor, find_sensor
from alphaction.structures.bounding_box import BoxList

SHAPES = ((8, 8), (24, 32), (32, 32), (64, 80), (120, 160))


class RepairTest(unittest.TestCase):
    def test_clean_frames_of_any_shape_stay_as_they_are(self) -> None:
        for shape in (*SHAPES, (1, 8), (60, 40), (480, 640)):
            with self.subTest(shape):
                clean, _ = scene(40 if shape[0] < 400 else 3, shape=shape)
                frames, mask, report = repair_frames(clean)
                np.testing.assert_array_equal(frames, clean)
                self.assertFalse(mask.any())
                self.assertEqual(report.hole_pixels, 0)

    def test_holes_are_filled_from_the_same_frame(self) -> None:
        clean, _ = scene(50, shape=(24, 32))
        damaged = clean.copy()
        damaged[20, 5:8, 6:9] = np.nan
        damaged[21, 0, 0] = -273.15
        frames, mask, report = repair_frames(damaged)
        self.assertEqual((report.damaged_frames, report.dead_pixels, report.hole_pixels), (0, 10, 10))
        np.testing.assert_array_equal(frames[~mask], clean[~mask])
        self.assertAlmostEqual(frames[21, 0, 0], np.median(clean[21, [0, 1, 1], [1, 0, 1]]), places=5)
        self.assertTrue(clean[20, 4:9, 5:10].min() <= frames[20, 6, 7] <= clean[20, 4:9, 5:10].max())

    def test_a_frame_without_most_of_its_pixels_is_filled_over_time(self) -> None:
        clean, _ = scene(50, shape=(24, 32))
        damaged = clean.copy()
        damaged[20] = np.nan
        damaged[30, :13] = -273.2
        frames, mask, report = repair_frames(damaged)
        self.assertEqual((report.damaged_frames, report.dead_pixels), (2, 0))
        np.testing.assert_allclose(frames[20], (clean[19] + clean[21]) / 2, rtol=1e-5)
        np.testing.assert_allclose(frames[30, :13], (clean[29, :13] + clean[31, :13]) / 2, rtol=1e-5)
        np.testing.assert_array_equal(frames[30, 13:], clean[30, 13:])

    def test_a_stuck_pixel_is_replaced(self) -> None:
        clean, _ = scene(50, shape=(24, 32))
        damaged = clean.copy()
        damaged[:, 3, 4] = 55.0
        frames, mask, report = repair_frames(damaged)
        self.assertEqual(report.dead_pixels, 50)
        self.assertTrue(mask[:, 3, 4].all())
        self.assertLess(np.abs(frames[:, 3, 4] - clean[:, 3, 4]).max(), 5.0)

    def test_pixels_of_an_even_or_coarse_picture_are_not_stuck(self) -> None:
        still = np.full((50, 8, 8), 20.0, np.float32)
        still[10:20, 3:5] = 26.0
        coarse = np.round(scene(50, shape=(8, 8), noise=0.05)[0])
        short = scene(20, shape=(8, 8))[0]
        short[:, 2, 2] = 30.0
        for frames in (still, coarse, short):
            np.testing.assert_array_equal(repair_frames(frames)[0], frames)

    def test_packets_of_another_sensor(self) -> None:
        sensor = Sensor((32, 32), packets=(400, 400, 224))
        clean, _ = scene(60, shape=(32, 32))
        damaged = clean.copy()
        for number in range(4, 60, 9):
            damaged[number] = lose_packets(clean[number], [number % 3], sensor.packets)
        frames, mask, report = repair_frames(damaged, sensor)
        self.assertEqual((report.damaged_frames, report.lost_packets), (7, 7))
        np.testing.assert_array_equal(frames[~mask], clean[~mask])

    def test_valid_range_of_the_sensor(self) -> None:
        hot, _ = scene(40, shape=(8, 8))
        hot[3, 4, 4] = 300.0
        self.assertEqual(repair_frames(hot)[2].hole_pixels, 0)
        self.assertEqual(repair_frames(hot, Sensor((8, 8), valid_range=(-20.0, 120.0)))[2].hole_pixels, 1)


class LargeRecordingTest(unittest.TestCase):
    """480x640 frames: windows read from disk."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "A.h5"
        base, _ = scene(1, shape=(480, 640))
        self.base = base[0].astype(np.float16)
        with h5py.File(self.path, "w") as file:
            frames = file.create_dataset("frames", (160, 480, 640), "f2", chunks=(32, 480, 640))
            for start in range(0, 160, 32):
                frames[start : start + 32] = np.repeat(self.base[None] + np.float16(start / 32), 32, axis=0)
            file["timestamps"] = 1_700_000_000_000 + np.arange(160) * 115

    def test_windows_and_scene(self) -> None:
        recording = ThermalRecording(self.path, 100)
        self.assertFalse(recording.cached)
        window = recording.window(48, 32)
        self.assertEqual((window.shape, window.dtype), ((32, 480, 640), np.float32))
        np.testing.assert_array_equal(window[0], (self.base + np.float16(1)).astype(np.float32))
        self.assertTrue(window.base is None)  # no larger array stays in memory with it
        self.assertEqual(recording.window(159, 4).shape, (4, 480, 640))
        with h5py.File(self.path, "a") as file:
            file["frames"][50, 5, 6] = np.nan
        damaged = ThermalRecording(self.path, 100).window(48, 32)
        self.assertTrue(np.isfinite(damaged).all())
        self.assertTrue(damaged.base is None)


class NetworkInputTest(unittest.TestCase):
    """Each person's warmth lies inside its box at the network's input, to half a native pixel."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def dataset(self, **settings: object) -> ThermalAVADataset:
        return ThermalAVADataset(
            self.root,
            self.root / "annotations" / "train.json",
            True,
            64,
            transforms=ThermalTransform(64, 1, 8, 4, **settings),
        )

    def check(self, data: ThermalAVADataset, shape: tuple[int, int]) -> None:
        clip_input = ClipInput(256, 464, (0.0,), (255.0,))
        for idx in range(len(data)):
            _, fast, boxes, *_ = data[idx]
            # Frame 16 of the fast pathway is the keyframe.
            check_warmth(self, clip_input(fast[None])[0, 0, 16], boxes, shape)

    def test_warmth_is_inside_the_box(self) -> None:
        for shape in (*SHAPES, (40, 60), (60, 40)):
            for flip in (0.0, 1.0):
                with self.subTest(shape=shape, flip=flip):
                    write_still_set(self.root, {"A": shape})
                    data = self.dataset(flip_prob=flip)
                    self.assertEqual(data.sizes.tolist(), [[shape[1], shape[0]]] * len(data))
                    if not flip:
                        self.check(data, shape)
                    boxes = [data[idx][2] for idx in range(len(data))]
                    back = np.concatenate([b.bbox.numpy() / [*b.size, *b.size] for b in boxes])
                    if flip:
                        back = np.stack([1 - back[:, 2], back[:, 1], 1 - back[:, 0], back[:, 3]], axis=1)
                    np.testing.assert_allclose(back, data.gt_boxes, atol=1e-6)

    def test_windows_of_480x640(self) -> None:
        write_still_set(self.root, {"A": (480, 640)}, frames=3)
        self.check(self.dataset(), (480, 640))

    def test_recordings_of_different_sizes(self) -> None:
        write_still_set(self.root, {"A": (24, 32), "B": (64, 80)})
        data = self.dataset()
        self.assertEqual(data.frame_sizes.tolist(), [[32, 24], [80, 64]])
        self.assertEqual({tuple(size) for size in data.sizes}, {(32, 24), (80, 64)})
        for idx in range(len(data)):
            info, shape = data.get_video_info(idx), data.picture(idx).shape
            self.assertEqual((info["height"], info["width"]), shape)
            self.assertEqual(tuple(data.sizes[idx]), shape[::-1])
            self.assertEqual(tuple(data[idx][1].shape[-2:]), shape)

    def test_pixel_boxes_follow_each_recording(self) -> None:
        write_still_set(self.root, {"A": (24, 32), "B": (64, 80)})
        boxes = self.root / "boxes.json"
        boxes.write_text(
            '[{"image_id": "A_20", "bbox": [8, 6, 16, 12], "score": 1},'
            ' {"image_id": "B_20", "bbox": [8, 16, 16, 32], "score": 1}]'
        )
        ann = self.root / "annotations" / "train.json"
        data = ThermalAVADataset(self.root, ann, True, 64, boxes, box_convention="xyxy_pixel")
        found = {
            data.image_ids[idx]: (data[idx][1].bbox / torch.tensor(data.sizes[idx].tolist() * 2)).tolist()
            for idx in range(len(data))
        }
        self.assertEqual(found["A_20"], [[0.25, 0.25, 0.5, 0.5]])
        np.testing.assert_allclose(found["B_20"], [[0.1, 0.25, 0.2, 0.5]], atol=1e-6)

    def test_two_recordings_of_one_file_name(self) -> None:
        write_still_set(self.root, {"a": (24, 32)})
        (self.root / "frames" / "x").mkdir()
        write_recording(self.root / "frames" / "x" / "a.h5", scene(30, 1, shape=(24, 32))[0])
        box = (0.5, 0.5, 0.3, 0.3)
        write_annotations(
            self.root / "annotations" / "train.json",
            [image("a", 9), {**image("x", 9), "id": "x", "sensor_id": "x/a"}],
            [annotation(0, "a_9", box, 1), annotation(1, "x", box, 1)],
        )
        data = self.dataset()
        self.assertEqual([data.get_video_info(idx)["movie"] for idx in (0, 1)], ["a", "x/a"])
        self.assertEqual(sorted(data.recording_paths()), ["a", "x/a"])

    def test_the_set_of_a_sensor(self) -> None:
        write_dataset(self.root, sensor=Sensor((24, 32), 8.0), frames=40, keyframes=(5, 20, 35))
        data = self.dataset()
        self.assertEqual((data.recording(0).sensor.rate, len(data)), (8.0, 4))


class RunTest(unittest.TestCase):
    """The commands train and evaluate on a set of each shape; what enters the network is looked at on the way."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        one_thread(self.addCleanup)

    def run_commands(self, *shapes: tuple[int, int], classes: ClassList = THERMAL, sensor: str = "generic") -> None:
        """Two recordings of ``shapes`` to train on, two to evaluate on."""
        frames = 30 if shapes[0][0] < 400 else 3
        sizes = {}
        for split in ("train", "val"):
            of_split = {f"{split}_{name}": shape for name, shape in zip("AB", shapes * 2, strict=False)}
            write_still_set(self.root, of_split, frames, split, classes, sensor)
            sizes |= of_split
        cfg = small_cfg(self.root, *TINY, "SOLVER.MAX_ITER", 3, "OUTPUT_DIR", str(self.root / "out"))
        (self.root / "run.yaml").write_text(cfg.dump())
        forward, seen = ActionDetector.forward, []

        def look(
            model: ActionDetector, slow: torch.Tensor, fast: torch.Tensor, boxes: list, objects: None, extras: list,
            *rest: object, **others: object,
        ) -> object:  # fmt: skip
            for clip, persons, extra in zip(fast, boxes, extras, strict=True):
                # Frame 8 of the fast pathway is the first after the keyframe.
                check_warmth(self, clip[0, 8], persons, sizes[extra["movie_id"]])
                seen.append((model.training, extra["movie_id"]))
            return forward(model, slow, fast, boxes, objects, extras, *rest, **others)

        result = self.root / "out" / "inference" / "thermal_action_val" / "result.json"
        with mock.patch.object(ActionDetector, "forward", look), contextlib.redirect_stdout(io.StringIO()):
            train(["--config-file", str(self.root / "run.yaml")])
            trained = json.loads(result.read_text(encoding="utf-8"))
            result.unlink()
            evaluate(["--config-file", str(self.root / "run.yaml")])
        persons = 2 if frames < 20 else 4
        self.assertEqual(json.loads(result.read_text(encoding="utf-8")), trained)
        self.assertEqual((list(trained["ap"]), trained["persons"]), (list(classes.names), persons))
        self.assertEqual([training for training, _ in seen].count(True), 6)
        self.assertEqual({name for training, name in seen if not training}, {"val_A", "val_B"})

    def test_8x8_with_three_classes(self) -> None:
        self.run_commands((8, 8), classes=exclusive_classes("abc"), sensor="amg8833")

    def test_24x32_with_two_independent_classes(self) -> None:
        self.run_commands((24, 32), classes=MIXED, sensor="mlx90640")

    def test_32x32(self) -> None:
        self.run_commands((32, 32))

    def test_64x80_beside_24x32(self) -> None:
        self.run_commands((64, 80), (24, 32), classes=exclusive_classes(map(str, range(30))))

    def test_120x160_without_exclusive_classes(self) -> None:
        self.run_commands((120, 160), classes=ClassList(("a", "b", "c"), (False,) * 3))

    def test_480x640(self) -> None:
        self.run_commands((480, 640), classes=MIXED)


def check_warmth(case: unittest.TestCase, shown: torch.Tensor, boxes: BoxList, shape: tuple[int, int]) -> None:
    """Fail unless what is warm near the first person is inside its box, to half a pixel of the sensor.

    A pixel of ``shown`` counts as inside where part of it is, which matters where those are larger.

    Args:
        case: reports the failure.
        shown: a frame [H, W] as the network sees it, padded or not.
        boxes: of that frame.
        shape: rows and columns of the sensor.
    """
    width, height = boxes.size
    frame = shown[:height, :width].numpy()
    case.assertEqual(frame.shape, (height, width))
    x1, y1, x2, y2 = boxes.bbox[0].tolist()
    pixel_y, pixel_x = height / shape[0], width / shape[1]
    rows, columns = np.mgrid[:height, :width] + 0.5
    y_off, x_off = np.abs(rows - (y1 + y2) / 2) - (y2 - y1) / 2, np.abs(columns - (x1 + x2) / 2) - (x2 - x1) / 2
    hot = frame.max(initial=frame.min(), where=(y_off < 0) & (x_off < 0))
    # Three pixels of the sensor or of the frame, whichever are larger.
    near = (y_off < 3 * max(pixel_y, 1)) & (x_off < 3 * max(pixel_x, 1))
    warm = near & (frame > (np.median(frame) + hot) / 2)
    case.assertTrue(warm.any())
    for low, high, found, pixel in ((y1, y2, rows[warm], pixel_y), (x1, x2, columns[warm], pixel_x)):
        case.assertGreaterEqual(found.min() + 0.5, low - pixel / 2)
        case.assertLessEqual(found.max() - 0.5, high + pixel / 2)


def write_still_set(
    root: Path,
    shapes: dict[str, tuple[int, int]],
    frames: int = 30,
    split: str = "train",
    classes: ClassList = THERMAL,
    sensor: str | None = None,
) -> None:
    """A split whose persons stand still and fill whole pixels: a warm rectangle at each keyframe, which is its box."""
    (root / "frames").mkdir(exist_ok=True)
    (root / "annotations").mkdir(exist_ok=True)
    images, annotations = [], []
    for name, shape in shapes.items():
        height, width = shape
        video = np.random.default_rng(0).normal(FLOOR, 0.2, (frames, *shape)).astype(np.float32)
        for number, keyframe in enumerate((1,) if frames < 20 else (1, 20)):
            top, left = height // 4 + number, width // 2 - number
            tall, wide = max(height // 4, 2), max(width // 6, 2)
            video[keyframe - 1 : keyframe + 2, top : top + tall, left : left + wide] += 12.0
            box = ((left + wide / 2) / width, (top + tall / 2) / height, wide / width, tall / height)
            images.append({**image(name, keyframe, shape), "id": f"{name}_{keyframe}"})
            # The first person has one class, the second one an independent class beside it where there are some.
            first = (classes.exclusive_columns + classes.independent_columns)[number]
            for column in (first, *classes.independent_columns[:number]):
                annotations.append(annotation(len(annotations), f"{name}_{keyframe}", box, column))
        described = replace(find_sensor(sensor), shape=shape, unit="celsius") if sensor else None
        write_recording(root / "frames" / f"{name}.h5", video, sensor=described)
    document = {"images": images, "annotations": annotations, "categories": class_documents(classes)[0]}
    (root / "annotations" / f"{split}.json").write_text(json.dumps(document))


if __name__ == "__main__":
    unittest.main()
