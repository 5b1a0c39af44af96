"""ThermalAVADataset: keyframes, boxes, labels, bad input, a real batch."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import timeit
import unittest
from pathlib import Path

import numpy as np
import torch
from thermal_files import (
    FLOOR,
    PERSON,
    annotation,
    image,
    real_root,
    small_cfg,
    write_annotations,
    write_dataset,
    write_recording,
)

from alphaction.annotations import entries
from alphaction.annotations.labels import THERMAL_CLASSES
from alphaction.config.paths_catalog import DatasetCatalog
from alphaction.dataset import make_data_loader
from alphaction.dataset.datasets import ConcatDataset, ThermalAVADataset
from alphaction.dataset.datasets.split_distance import nearest_gaps, split_distance
from alphaction.dataset.transforms import ThermalTransform
from alphaction.dataset.transforms.clip_input import ClipInput
from alphaction.errors import UserError
from alphaction.evaluation import Predictions


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes, row by row, in continuous coordinates."""
    size = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(axis=1)
    return size / ((a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - size)


class Folder(unittest.TestCase):
    """A data set of two recordings with five keyframes each."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = write_dataset(folder.name)
        self.ann_file = self.root / "annotations" / "train.json"

    def dataset(self, **settings: object) -> ThermalAVADataset:
        return ThermalAVADataset(
            **{
                "hdf5_root": self.root,
                "ann_file": self.ann_file,
                "frame_span": 64,
                "remove_clips_without_annotations": True,
                **settings,
            }
        )


class SampleTest(Folder):
    def test_attributes(self) -> None:
        data = self.dataset()
        self.assertEqual((len(data), data.recordings), (8, ["A_R1", "A_R2"]))
        self.assertEqual(data.recording_of.tolist(), [0] * 4 + [1] * 4)
        self.assertEqual(data.frame_idx.tolist(), [5, 20, 40, 60] * 2)
        self.assertEqual(data.image_ids[0], "A_R1_5")
        self.assertEqual(data.box_offsets.tolist(), list(range(9)))
        self.assertEqual(data.gt_boxes.dtype, np.float32)
        self.assertEqual(data.gt_packed.shape, (8, 2))
        self.assertEqual(data.gt_labels().argmax(axis=1).tolist(), [0, 1, 2, 3, 5, 6, 7, 8])
        self.assertEqual((data.box_source, len(data.class_names)), ("ground truth", 14))
        self.assertEqual(data.frame_sizes.tolist(), [[60, 40], [60, 40]])
        self.assertIn("8 keyframes", repr(data))

    def test_frames_folder_as_root(self) -> None:
        self.assertEqual(len(self.dataset(hdf5_root=self.root / "frames")), 8)

    def test_parts(self) -> None:
        data = self.dataset()
        self.assertEqual(data.parts, [data])
        self.assertEqual(ConcatDataset([data]).parts, [data])

    def test_video_info(self) -> None:
        info = self.dataset().get_video_info(1)
        self.assertEqual(
            {key: info[key] for key in info if key != "second"},
            {"width": 60, "height": 40, "movie": "A_R1", "timestamp": 20, "frame_idx": 20, "image_id": "A_R1_20"},
        )
        self.assertAlmostEqual(info["second"], 20 / 6, delta=0.1)

    def test_what_the_evaluation_asks(self) -> None:
        data = self.dataset()
        np.testing.assert_array_equal(data.picture(6), data.recording(6).frames[40])
        self.assertEqual(data.sizes.tolist(), [[60, 40]] * 8)
        fractions = data.to_fractions(np.array([[96.0, 64, 192, 128]]), np.array([[384.0, 256]]), np.array([6]))
        np.testing.assert_array_equal(fractions, [[0.25, 0.25, 0.5, 0.5]])
        data.recordings[1] = 'ward "B", 2'
        found = Predictions(np.array([6]), np.array([[0.6, 0.1, 0.8, 0.4]]), np.array([[0.25, 0.75, 0.1]]))
        name = '"ward ""B"", 2"'
        self.assertEqual(
            list(data.result_rows(found, 0.2)),
            [
                f"{name},40,0.60000,0.10000,0.80000,0.40000,1,0.250000\n",
                f"{name},40,0.60000,0.10000,0.80000,0.40000,2,0.750000\n",
            ],
        )

    def test_recordings_of_one_name_in_two_folders(self) -> None:
        (self.root / "frames" / "x").mkdir()
        shutil.copy(self.root / "frames" / "A_R1.h5", self.root / "frames" / "x" / "A_R1.h5")
        images = [image(sensor, 20) for sensor in ("A_R1", "x/A_R1")]
        persons = [annotation(n, entry["id"], [0.5, 0.5, 0.2, 0.2], 1) for n, entry in enumerate(images)]
        write_annotations(self.ann_file, images, persons)
        data = self.dataset()
        self.assertEqual([data.get_video_info(idx)["movie"] for idx in range(2)], ["A_R1", "x/A_R1"])
        self.assertEqual(([data[idx][3] for idx in range(2)], len(data.recording_paths())), (["A_R1", "x/A_R1"], 2))

    def test_without_transforms(self) -> None:
        data = self.dataset()
        video, boxes, idx, sensor, frame = data[6]
        self.assertEqual((video.shape, video.dtype), ((64, 40, 60, 3), np.float32))
        np.testing.assert_array_equal(video[..., 0], data.recording(6).frames[8:72])
        np.testing.assert_array_equal(video[..., 0], video[..., 2])
        self.assertEqual((idx, sensor, frame), (6, "A_R2", 40))
        self.assertEqual(boxes.size, (60, 40))
        np.testing.assert_allclose(boxes.bbox.numpy(), data.gt_boxes[6:7] * [60, 40, 60, 40], rtol=1e-6)

    def test_with_transforms(self) -> None:
        data = self.dataset(transforms=ThermalTransform(64, 1, 8, 4), num_classes=16)
        slow, fast, boxes, objects, extras, idx = data[2]
        self.assertEqual((slow.shape, fast.shape), ((1, 8, 40, 60), (1, 32, 40, 60)))
        self.assertEqual(slow.dtype, torch.float32)
        self.assertEqual((boxes.size, boxes.mode), ((384, 256), "xyxy"))
        labels = boxes.get_field("labels")
        self.assertEqual((labels.dtype, labels.shape, labels[0].nonzero().tolist()), (torch.uint8, (1, 16), [[2]]))
        self.assertIsNone(objects)
        self.assertEqual((extras["movie_id"], extras["timestamp"], idx), ("A_R1", 40, 2))
        self.assertAlmostEqual(extras["second"], data.get_video_info(2)["second"])
        np.testing.assert_allclose(boxes.bbox.numpy(), data.gt_boxes[2:3] * [384, 256, 384, 256], rtol=1e-6)
        window = data.recording(2).window(40)
        np.testing.assert_allclose(slow[0].numpy(), (window[3::8] - 5) / 40, atol=1e-6)
        np.testing.assert_allclose(fast[0].numpy(), (window[0::2] - 5) / 40, atol=1e-6)

    def test_negative_and_wrong_numbers(self) -> None:
        data = self.dataset()
        self.assertEqual(data[-1][2], 7)
        with self.assertRaises(IndexError):
            data[8]

    def test_pickle_and_close(self) -> None:
        data = self.dataset(transforms=ThermalTransform(64, 1, 8, 4))
        first = data[0]
        data.close()
        copy = pickle.loads(pickle.dumps(data))
        torch.testing.assert_close(copy[0][1], first[1], rtol=0, atol=0)
        self.assertLess(len(pickle.dumps(data)), 20_000)

    def test_sets_of_one_folder_share_recordings(self) -> None:
        train, val = self.dataset(), self.dataset(ann_file=self.root / "annotations" / "val.json")
        self.assertIs(train.recording(0), val.recording(0))

    def test_above_the_memory_limit(self) -> None:
        kept, disk = self.dataset(), self.dataset(cache_limit_mb=1)
        self.assertEqual([r.cached for r in disk.opened_recordings], [True, False])
        for idx in range(8):
            np.testing.assert_array_equal(kept[idx][0], disk[idx][0])

    def test_several_labels_and_empty_keyframes(self) -> None:
        images = [image("A_R1", n) for n in (3, 4, 5)]
        box, other = (0.5, 0.5, 0.2, 0.2), (0.2, 0.2, 0.1, 0.1)
        write_annotations(
            self.ann_file,
            images,
            [
                annotation(0, "A_R1_5", box, 3),
                annotation(1, "A_R1_3", box, 2),
                annotation(2, "A_R1_5", other, 1),
                annotation(3, "A_R1_5", box, 9),
            ],
        )
        data = self.dataset()
        self.assertEqual((len(data), data.image_ids, data.box_offsets.tolist()), (2, ["A_R1_3", "A_R1_5"], [0, 1, 3]))
        self.assertEqual([np.flatnonzero(row).tolist() for row in data.gt_labels()], [[2], [3, 9], [1]])
        data = self.dataset(remove_clips_without_annotations=False, transforms=ThermalTransform(64, 1, 8, 4))
        self.assertEqual((len(data), data.box_offsets.tolist()), (3, [0, 1, 1, 3]))
        boxes = data[1][2]
        self.assertEqual((len(boxes), tuple(boxes.get_field("labels").shape)), (0, (0, 14)))

    def test_box_beyond_the_frame_is_clipped_and_counted(self) -> None:
        write_annotations(
            self.ann_file,
            [image("A_R1", 3)],
            [annotation(0, "A_R1_3", (0.05, 0.5, 0.2, 0.2), 3), annotation(1, "A_R1_3", (0.5, 0.5, 0.2, 0.2), 3)],
        )
        data = self.dataset()
        self.assertEqual(data.clipped_boxes, 1)
        np.testing.assert_allclose(data.gt_boxes[0], [0, 0.4, 0.15, 0.6], atol=1e-6)

    def test_boxes_survive_the_way_there_and_back(self) -> None:
        raw = json.loads(self.ann_file.read_text())["annotations"]
        center = np.array([a["bbox"] for a in raw])
        wanted = np.concatenate([center[:, :2] - center[:, 2:] / 2, center[:, :2] + center[:, 2:] / 2], axis=1)
        for flip in (0.0, 1.0):
            data = self.dataset(transforms=ThermalTransform(64, 1, 8, 4, flip_prob=flip))
            boxes = [data[idx][2] for idx in range(len(data))]
            back = np.concatenate([b.bbox.numpy() / [*b.size, *b.size] for b in boxes])
            if flip:
                back = np.stack([1 - back[:, 2], back[:, 1], 1 - back[:, 0], back[:, 3]], axis=1)
            self.assertGreater(iou(back, wanted).min(), 0.99)

    def test_class_names(self) -> None:
        mapping = self.root / "annotations" / "class_mapping.json"
        names = [*THERMAL_CLASSES[:2], "hopping", *THERMAL_CLASSES[3:]]
        mapping.write_text(json.dumps({"class_to_id": {name: n for n, name in enumerate(names)}}))
        with self.assertLogs("alphaction.annotations.classes", "WARNING") as logs:
            self.assertEqual(self.dataset().class_names, names)
        self.assertRegex(logs.output[0], "class_mapping.json calls the class 2 'hopping', .*train.json 'walking'")
        mapping.unlink()
        self.assertEqual(self.dataset().class_names[2], "walking")

    def test_split_distance(self) -> None:
        train, val = self.dataset(), self.dataset(ann_file=self.root / "annotations" / "val.json")
        self.assertEqual(nearest_gaps(train, val).tolist(), [15, 15])
        line = split_distance(train, val)
        self.assertNotIn("overlap in time", line)
        self.assertIn("2 of 2 recordings", line)
        self.assertIn("median of 15 frames", line)
        self.assertEqual(line.count("\n"), 0)

    def test_split_distance_where_rates_differ(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = write_dataset(folder.name, recordings=("B_R1", "B_R2"))
        for name, rate in (("B_R1", 5), ("B_R2", 30)):
            times = 1_600_000_000_000 + rate * 10_000_000 + np.round(np.arange(80) * 1000 / rate).astype(np.int64)
            write_recording(root / "frames" / f"{name}.h5", np.full((80, 40, 60), 17, dtype=np.float32), times)
        train, val = (
            ThermalAVADataset(root, root / "annotations" / f"{split}.json", True, 64) for split in ("train", "val")
        )
        np.testing.assert_allclose(nearest_gaps(train, val, seconds=True), [15 / 5, 15 / 30], rtol=0.01)
        self.assertRegex(split_distance(train, val), "median of 1.7 seconds .*at least 0.5, at most 3.0")

    def test_split_distance_of_other_recordings(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        other = write_dataset(folder.name, recordings=("B_R1", "B_R2"))
        times = 1_600_000_000_000 + np.arange(80) * 170
        for name, shift in (("B_R1", 0), ("B_R2", 30 * 170)):  # 50 frames of one stream in both
            write_recording(other / "frames" / f"{name}.h5", np.full((80, 40, 60), 17, dtype=np.float32), times + shift)
        val = ThermalAVADataset(other, other / "annotations" / "val.json", True, 64)
        self.assertIn("no overlap with the training set", split_distance(self.dataset(), val))
        train = ThermalAVADataset(other, other / "annotations" / "train.json", True, 64)
        self.assertIn("at most 50 frames (B_R1 and B_R2)", split_distance(train, val))


class BoxFileTest(Folder):
    def write(self, boxes: object) -> Path:
        path = self.root / "boxes.json"
        path.write_text(json.dumps(boxes))
        return path

    def test_conventions_and_threshold(self) -> None:
        wanted = [0.25, 0.3, 0.5, 0.7]
        forms = {
            "cxcywh": [0.375, 0.5, 0.25, 0.4],
            "xyxy": wanted,
            "cxcywh_pixel": [22.5, 20, 15, 16],
            "xyxy_pixel": [15, 12, 30, 28],
            "xywh_pixel": [15, 12, 15, 16],
        }
        for convention, bbox in forms.items():
            path = self.write(
                [
                    {"image_id": "A_R1_20", "bbox": bbox, "score": 0.9},
                    {"image_id": "A_R1_20", "bbox": bbox, "score": 0.2},
                    {"image_id": "A_R1_5", "bbox": bbox, "score": 0.7},
                ]
            )
            data = self.dataset(
                box_file=path, box_thresh=0.5, box_convention=convention, transforms=ThermalTransform(64, 1, 8, 4)
            )
            counts = [len(data[idx][2]) for idx in range(len(data))]
            self.assertEqual(counts, [1, 1, 0, 0, 0, 0, 0, 0], convention)
            np.testing.assert_allclose(data[1][2].bbox[0].numpy() / [384, 256, 384, 256], wanted, atol=1e-6)
            self.assertFalse(data[1][2].has_field("labels"))
            self.assertEqual(data.box_source, str(path))
            self.assertEqual(len(data.gt_boxes), 8)  # still there for the evaluation

    def test_keyframes_without_annotation_are_left_out_here_too(self) -> None:
        tree = json.loads(self.ann_file.read_text())
        write_annotations(self.ann_file, tree["images"], tree["annotations"][1:])
        path = self.write(
            [
                {"image_id": key, "bbox": [0.5, 0.5, size, 0.2], "score": 1.0}
                for key, size in (("A_R1_5", 0.1), ("A_R1_20", 0.2), ("A_R2_60", 0.3))
            ]
        )
        data = self.dataset(box_file=path)
        self.assertEqual(len(data), 7)
        np.testing.assert_allclose(data[0][1].bbox[0].numpy(), [24, 16, 36, 24], atol=1e-4)
        np.testing.assert_allclose(data[6][1].bbox[0].numpy(), [21, 16, 39, 24], atol=1e-4)

    def test_bad_files(self) -> None:
        good = {"image_id": "A_R1_20", "bbox": [0.5, 0.5, 0.2, 0.2], "score": 0.9}
        for boxes, sentence in (
            ({}, "expected a list"),
            ([{**good, "image_id": "nobody"}], "unknown image 'nobody'"),
            ([{**good, "bbox": [1, 2, 3]}], "four numbers"),
            (
                [{**good, "bbox": [22.5, 20, 15, 16]}],
                "BOX_CONVENTION cxcywh: the box .* has a side above 1, expected fractions .* not pixels",
            ),
            ([{**good, "score": "high"}], "'score' 'high'"),
            ([{**good, "score": float("nan")}], "'score' nan"),
            ([{"image_id": "A_R1_20", "score": 1}], "no 'bbox'"),
        ):
            with self.assertRaisesRegex(UserError, sentence):
                self.dataset(box_file=self.write(boxes))
        with self.assertRaisesRegex(UserError, "none.json does not exist, expected a JSON file"):
            self.dataset(box_file=self.root / "none.json")
        with self.assertRaisesRegex(UserError, "has 1 boxes, none with a score of at least 0.95"):
            self.dataset(box_file=self.write([good]), box_thresh=0.95)
        for convention in ("cxcywh_pixel", "xyxy_pixel", "xywh_pixel"):
            with self.assertRaisesRegex(UserError, "less than 2 pixels wide and high, expected pixels, not fractions"):
                self.dataset(box_file=self.write([good]), box_convention=convention)
        with self.assertRaisesRegex(UserError, "TEST.BOX_CONVENTION"):
            self.dataset(box_file=self.write([good]), box_convention="yxyx")


class BadInputTest(Folder):
    def refuse(self, sentence: str, **settings: object) -> None:
        with self.assertRaisesRegex(UserError, sentence) as caught:
            self.dataset(**settings)
        self.assertNotIn("\n", str(caught.exception))

    def change(self, group: str, number: int, **values: object) -> None:
        tree = json.loads(self.ann_file.read_text())
        tree[group][number].update(values)
        self.ann_file.write_text(json.dumps(tree))

    def test_missing_root(self) -> None:
        self.refuse("folder .*nowhere does not exist", hdf5_root=self.root / "nowhere")

    def test_missing_recording(self) -> None:
        (self.root / "frames" / "A_R2.h5").unlink()
        self.refuse("A_R2.h5 is missing, expected one for the sensor 'A_R2'")

    def test_broken_recording(self) -> None:
        (self.root / "frames" / "A_R2.h5").write_text("no")
        self.refuse("cannot be opened as HDF5")

    def test_missing_annotations(self) -> None:
        self.ann_file.unlink()
        self.refuse("train.json does not exist")

    def test_no_json(self) -> None:
        self.ann_file.write_text('{"images": [')
        self.refuse("train.json is not JSON")

    def test_other_json(self) -> None:
        for text in ("[]", "{}", '{"images": {}, "annotations": []}'):
            self.ann_file.write_text(text)
            self.refuse("lacks the lists 'images' and 'annotations'")

    def test_missing_entry(self) -> None:
        tree = json.loads(self.ann_file.read_text())
        del tree["images"][3]["frame_idx"]
        self.ann_file.write_text(json.dumps(tree))
        self.refuse("entry 4 of images has no 'frame_idx'")

    def test_wrong_type(self) -> None:
        self.change("images", 2, frame_idx="seven")
        self.refuse("entry 3 of images has 'frame_idx' 'seven', expected a whole number")

    def test_category(self) -> None:
        for category in (-1, 14):
            self.change("annotations", 1, category_id=category)
            self.refuse(f"entry 2 of annotations has the class id {category}, expected 0..13")

    def test_frame_beyond_the_recording(self) -> None:
        for frame in (-1, 80):
            self.change("images", 4, frame_idx=frame)
            self.refuse(f"'A_R2_5' has frame_idx {frame}, but the recording .*A_R2.h5 has the frames 0..79")

    def test_boxes(self) -> None:
        for bbox, sentence in (
            ([1.2, 0.5, 0.2, 0.2], "lies wholly outside"),
            ([0.5, 0.5, 0.0, 0.2], "has no area"),
            ([0.5, 0.5, -0.1, 0.2], "has no area"),
            ([0.5, float("nan"), 0.1, 0.2], "are finite"),
            ([0.5, 0.5, 0.1], "expected four numbers"),
            ([0.5, 0.5, 0.1, "x"], "four numbers"),
        ):
            self.change("annotations", 5, bbox=bbox)
            self.refuse(sentence)

    def test_numbers_beyond_64_bits(self) -> None:
        self.change("annotations", 5, bbox=[10**400, 0.5, 0.1, 0.1])
        self.refuse("four numbers")
        self.change("annotations", 5, category_id=2**63)
        self.refuse("four numbers|'category_id'")
        self.change("images", 2, frame_idx=-(2**63))
        self.refuse("'frame_idx'")

    def test_class_mapping(self) -> None:
        mapping = self.root / "annotations" / "class_mapping.json"
        for content, sentence in (
            ("{", "is not JSON"),
            ("[1]", "no 'class_to_id'"),
            ('{"class_to_id": ["a"]}', "no 'class_to_id'"),
            ('{"class_to_id": {}}', "no 'class_to_id'"),
            ('{"class_to_id": {"standing": 0, "up": 3}}', "class id 1, expected one of 0, 3"),
            ('{"class_to_id": {"a": 1}, "independent": "a"}', "'independent' 'a', expected a list"),
            (
                '{"class_to_id": {"sit": 1}, "independent": ["sitt"]}',
                "has under 'independent' the class 'sitt'.*'sit'\\?",
            ),
            ('{"class_to_id": {"up": true}}', "a category has 'id' True"),
            ('{"class_to_id": {"up": 1, "down": 1}}', "two categories have the id 1"),
            ('{"class_to_id": {"": 1}}', "a category has 'name' ''"),
            ('{"class_to_id": {"\\ud800": 1}}', "a category has 'name'"),
        ):
            mapping.write_text(content)
            self.refuse(sentence)
        mapping.unlink()
        tree = json.loads(self.ann_file.read_text())
        self.ann_file.write_text(json.dumps({**tree, "categories": None}))
        self.assertEqual(self.dataset().class_names[13], "other")

    def test_another_number_of_classes(self) -> None:
        for columns in (13, 15, 80):
            self.refuse(f"NUM_CLASSES is {columns}, but .* has 14 classes", num_classes=columns)

    def test_names_that_are_no_files_of_the_set(self) -> None:
        for name in ("../A_R2", "/etc/passwd", "a\0b", "", None, "x" * 300):
            self.change("images", 4, sensor_id=name)
            self.refuse("entry 5 of images has 'sensor_id'")

    def test_one_frame_twice(self) -> None:
        tree = json.loads(self.ann_file.read_text())
        self.change("images", 1, frame_idx=tree["images"][0]["frame_idx"])
        self.refuse("keyframe A_R1 5 more than once")

    def test_names_with_any_space(self) -> None:
        for name in ("a\u00a0b", "a\u3000b", "\u8dcc \U0001fae8"):
            self.assertEqual(entries.check_name(name, "id"), name)
        for name in ("a\nb", "a\x7fb", "a\u0085b", "\ud800", "a\u2028b", "a\u2029b"):
            with self.assertRaisesRegex(entries.EntryError, "printable characters"):
                entries.check_name(name, "id")

    def test_duplicate_image(self) -> None:
        self.change("images", 1, id="A_R1_5")
        self.refuse("image id 'A_R1_5' more than once")

    def test_unknown_image(self) -> None:
        self.change("annotations", 1, image_id="C_R1_5")
        self.refuse("entry 2 of annotations belongs to the unknown image 'C_R1_5'")

    def test_empty_split(self) -> None:
        write_annotations(self.ann_file, [], [])
        self.refuse("has no images")
        write_annotations(self.ann_file, [image("A_R1", 3)], [])
        self.refuse("has no persons in its 1 images, expected at least one; add annotations or name another file.$")


class CatalogTest(unittest.TestCase):
    def test_thermal_root(self) -> None:
        cfg = small_cfg("somewhere")
        entry = DatasetCatalog.get("thermal_action_val", cfg)
        self.assertEqual(entry["factory"], "ThermalAVADataset")
        self.assertEqual(
            entry["args"], {"hdf5_root": "somewhere", "ann_file": os.path.join("somewhere", "annotations/val.json")}
        )
        self.assertIn("data/thermal_action_dataset", DatasetCatalog.get("thermal_action_train")["args"]["ann_file"])

    def test_registered_sets(self) -> None:
        cfg = small_cfg("x", "DATASETS.CATALOG.ward", {"ROOT": "/w", "ANN_FILE": "a.json"})
        self.assertEqual(DatasetCatalog.get("ward", cfg)["args"], {"hdf5_root": "/w", "ann_file": "/w/a.json"})
        cfg = small_cfg("x", "DATASETS.CATALOG.ward", {"ROOT": "/w"})
        with self.assertRaisesRegex(UserError, "DATASETS.CATALOG.ward is"):
            DatasetCatalog.get("ward", cfg)

    def test_unknown_name(self) -> None:
        with self.assertRaisesRegex(UserError, "'nothing' in DATASETS is unknown.*thermal_action_train"):
            DatasetCatalog.get("nothing", small_cfg("x"))


class BatchTest(Folder):
    """What really reaches the network."""

    def batches(self, root: str | os.PathLike, *settings: object) -> tuple:
        cfg = small_cfg(root, "SOLVER.VIDEOS_PER_BATCH", 8, "SOLVER.MAX_ITER", 3, *settings)
        loader = make_data_loader(cfg, is_train=True)
        return loader, ClipInput.from_cfg(cfg, is_train=True, normalized=loader.dataset.normalized)

    def contrasts(self, root: str | os.PathLike) -> np.ndarray:
        """Normalized input inside each person's box at the keyframe (warm quarter) minus the median of the picture."""
        found = []
        loader, clip_input = self.batches(root)
        for _, fast, boxes, *_ in loader:
            video = clip_input(fast)
            self.assertTrue(torch.isfinite(video).all())
            self.assertGreater(float(video.std()), 0.05)  # not all the same, not all zero
            # -273.2 °C becomes 0; a few noisy pixels may be below 5 °C, a lost packet is a quarter of a frame.
            self.assertLess(float((fast == 0).float().mean(dim=(1, 3, 4)).max()), 0.01)
            for clip, persons in zip(video, boxes, strict=True):
                frame = clip[0, 16, : persons.size[1], : persons.size[0]]
                for x1, y1, x2, y2 in persons.bbox.round().int().tolist():
                    found.append(float(torch.quantile(frame[y1:y2, x1:x2], 0.75) - frame.median()))
        return np.array(found)

    def test_contrast_inside_the_persons_box(self) -> None:
        found = self.contrasts(self.root)
        wanted = PERSON / 40 * 255 / 57.375  # 32 gray levels, 0.56 standard deviations
        self.assertAlmostEqual(wanted, 0.5556, places=3)
        np.testing.assert_allclose(found, wanted, atol=0.15)

    def test_gray_levels(self) -> None:
        loader, clip_input = self.batches(self.root)
        fast = next(iter(loader))[1]
        gray = clip_input(fast) * torch.tensor([57.375] * 3).view(3, 1, 1, 1) + torch.tensor(
            [122.7717, 115.9465, 102.9801]
        ).view(3, 1, 1, 1)
        self.assertAlmostEqual(float(gray[:, 0, :, :64, :96].median()), (FLOOR - 5) / 40 * 255, delta=8)
        torch.testing.assert_close(gray[:, 0], gray[:, 2], rtol=0, atol=1e-4)

    def test_loader_and_device_agree(self) -> None:
        native, clip_input = self.batches(self.root)
        resized, again = self.batches(self.root, "INPUT.RESIZE_IN_LOADER", True)
        for one, other in zip(native, resized, strict=True):
            for pathway in (0, 1):
                torch.testing.assert_close(clip_input(one[pathway]), again(other[pathway]), rtol=0, atol=1e-6)
            torch.testing.assert_close(one[2][0].bbox, other[2][0].bbox)

    @unittest.skipUnless(real_root(), "ALPHACTION_THERMAL_ROOT is not set: no real recordings")
    def test_contrast_in_the_real_set(self) -> None:
        found = self.contrasts(real_root())
        self.assertGreater(np.median(found), 0.4)
        self.assertGreater((found > 0.2).mean(), 0.9)


@unittest.skipUnless(os.environ.get("ALPHACTION_SLOW") == "1", "ALPHACTION_SLOW is not 1: the machine may be busy")
class SpeedTest(unittest.TestCase):
    """Prints what tools/benchmark.py measures in detail."""

    def test_seconds(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = real_root() or write_dataset(folder)

            def set_up() -> ThermalAVADataset:
                return ThermalAVADataset(
                    root, Path(root, "annotations", "train.json"), True, 64, transforms=ThermalTransform(64, 1, 8, 4)
                )

            data = set_up()
            slow, fast = data[0][:2]
            self.assertLessEqual(slow.nbytes + fast.nbytes, 400_000)
            ready = min(timeit.repeat(set_up, number=1, repeat=5))
            window = min(timeit.repeat(lambda: data.recording(0).window(40), number=100, repeat=5)) / 100
            sample = min(timeit.repeat(lambda: data[0], number=20, repeat=5)) / 20
            print(f"set-up {ready:.3f} s, window {window * 1e6:.0f} us, sample {sample * 1e6:.0f} us")


class DebugScriptTest(Folder):
    def run_script(self, *arguments: str) -> subprocess.CompletedProcess:
        script = Path(__file__).resolve().parents[1] / "debug" / "test_thermal_labels.py"
        environment = {**os.environ, "PYTHONPATH": str(script.parents[1]), "PYTHONIOENCODING": "utf-8"}
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def test_labels_are_printed(self) -> None:
        done = self.run_script("--root", str(self.root))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"standing +1 +0")
        self.assertIn("equal; spare bits set: 0 of 2", done.stdout)
        self.assertIn("A_R1_5: frame 5", done.stdout)

    def test_sentence_without_traceback(self) -> None:
        done = self.run_script("--root", str(self.root / "nowhere"))
        self.assertEqual(done.returncode, 2)
        self.assertNotIn("Traceback", done.stderr)
        self.assertRegex(done.stderr.splitlines()[-1], "^error: .*does not exist")


@unittest.skipUnless(real_root(), "ALPHACTION_THERMAL_ROOT is not set: no real recordings")
class RealSetTest(unittest.TestCase):
    def setUp(self) -> None:
        cfg = small_cfg(real_root(), "SOLVER.VIDEOS_PER_BATCH", 16)
        self.train = make_data_loader(cfg, is_train=True).dataset
        self.val = make_data_loader(cfg, is_train=False)[0].dataset

    def test_every_keyframe_and_person(self) -> None:
        for split, data in (("train", self.train), ("val", self.val)):
            tree = json.loads(Path(real_root(), "annotations", f"{split}.json").read_text())
            self.assertEqual(len(data), len({a["image_id"] for a in tree["annotations"]}))
            self.assertEqual(data.gt_labels().sum(), len(tree["annotations"]))
            self.assertEqual(len(data.gt_boxes), data.box_offsets[-1])
            for idx in range(len(data)):
                slow, fast, boxes, _, _, number = data[idx]
                self.assertEqual(number, idx)
                self.assertEqual(len(boxes), data.box_offsets[idx + 1] - data.box_offsets[idx])
                self.assertTrue(torch.isfinite(slow).all())
                # A few noisy pixels are below 5 °C; a lost packet would be a quarter of a frame.
                self.assertLess(float((fast == 0).float().mean(dim=(0, 2, 3)).max()), 0.01)

    def test_annotations_survive_the_way_there_and_back(self) -> None:
        tree = json.loads(Path(real_root(), "annotations", "val.json").read_text())
        row = {image_id: idx for idx, image_id in enumerate(self.val.image_ids)}
        for note in tree["annotations"]:
            boxes = self.val[row[note["image_id"]]][2]
            x, y, w, h = note["bbox"]
            wanted = np.array([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]]).clip(0, 1)
            back = boxes.bbox.numpy() / [*boxes.size, *boxes.size]
            self.assertGreater(iou(back, np.repeat(wanted, len(back), axis=0)).max(), 0.99)


if __name__ == "__main__":
    unittest.main()
