"""Samples are those of ThermalAVADataset, number by number, as far as the network's input."""

from __future__ import annotations

import json
import shutil
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import case
import h5py
import numpy as np
import torch
from mmaction.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate

from alphaction.dataset.datasets import ThermalAVADataset
from alphaction.dataset.transforms.clip_input import ClipInput
from alphaction.errors import UserError
from alphaction.recordings.temperature import to_unit
from mmaction2_thermal import ThermalActionDataset, ThermalClassWeights, ThermalHDF5Dataset
from mmaction2_thermal.datasets import majority


def roots() -> list[str]:
    """The synthetic set, and the real one where it is present."""
    return [root for root in (case.synthetic_root(), case.real_root()) if root]


def edited_set(folder: str, split: str, edit) -> str:
    """A copy of the synthetic set in which ``edit`` has changed the annotation tree of a split."""
    root = Path(folder, "set")
    shutil.copytree(case.synthetic_root(), root)
    path = root / "annotations" / f"{split}.json"
    tree = json.loads(path.read_text())
    edit(tree)
    path.write_text(json.dumps(tree))
    return str(root)


class Samples(unittest.TestCase):
    def test_windows_boxes_and_labels_are_those_of_the_core(self):
        for root in roots():
            for split in ("train", "val"):
                ours = ThermalActionDataset(
                    f"annotations/{split}.json",
                    [],
                    data_root=root,
                    data_prefix=dict(hdf5="frames"),
                    test_mode=split == "val",
                )
                core = ThermalAVADataset(root, f"{root}/annotations/{split}.json", split == "train", 64)
                self.assertEqual(len(ours), len(core))
                self.assertEqual(ours.metainfo["classes"], tuple(core.class_names))
                for k in range(len(core)):
                    video, boxes, _, sensor, frame = core[k]
                    found = ours[k]
                    self.assertEqual(
                        (found["video_id"], found["timestamp"], found["img_key"]), (sensor, frame, core.image_ids[k])
                    )
                    np.testing.assert_array_equal(np.repeat(found["array"], 3, axis=-1), video)
                    np.testing.assert_array_equal(found["gt_bboxes"], boxes.bbox.numpy())
                    np.testing.assert_array_equal(found["proposals"], boxes.bbox.numpy())
                    np.testing.assert_array_equal(found["gt_labels"], boxes.get_field("labels").numpy())

    def test_the_networks_input_is_that_of_the_core(self):
        for task in (case.RECOGNITION, case.DETECTION):
            cfg = case.load_config(task.format("r50"))
            dataset = DATASETS.build(cfg.test_dataloader.dataset)
            preprocessor = MODELS.build({**cfg.model.data_preprocessor, "type": "ActionDataPreprocessor"})
            sample = dataset[3]
            # One channel is passed on, three come out.
            self.assertEqual(sample["inputs"].shape[-4], 1)
            found = preprocessor(pseudo_collate([sample]))["inputs"].reshape(3, 32, 256, 384)
            core = ThermalAVADataset(case.synthetic_root(), f"{case.synthetic_root()}/annotations/val.json", False, 64)
            video, boxes, *_ = core[3]
            clip = torch.from_numpy(to_unit(video[::2, ..., 0], 5.0, 45.0))[None, None]
            normalize = cfg.model.data_preprocessor
            expected = ClipInput(256, 384, normalize.mean, normalize.std)(clip)[0]
            torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)
            boxes = boxes.bbox * 6.4
            torch.testing.assert_close(sample["data_samples"].gt_instances.bboxes, boxes, rtol=0, atol=1e-3)

    @unittest.skipUnless(case.real_root(), "ALPHACTION_THERMAL_ROOT is not set")
    def test_counts_of_the_real_set(self):
        for split, count in (("train", 314), ("val", 73)):
            for kind in (ThermalActionDataset, ThermalHDF5Dataset):
                self.assertEqual(len(kind(f"annotations/{split}.json", [], data_root=case.real_root())), count)

    def test_window_of_another_length_and_at_the_edge(self):
        def edit(tree):
            tree["images"][0]["frame_idx"] = 2

        with tempfile.TemporaryDirectory() as folder:
            root = edited_set(folder, "val", edit)
            dataset = ThermalActionDataset("annotations/val.json", [], data_root=root, frame_window=16, test_mode=True)
            array = dataset[0]["array"]
            self.assertEqual(array.shape, (16, 40, 60, 1))
            for frame in range(6):
                np.testing.assert_array_equal(array[frame], array[6])
            self.assertTrue((array[7] != array[6]).any())

    def test_no_sample_changes_the_recording(self):
        cfg = case.load_config(case.RECOGNITION.format("small"))
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        before = [dataset.get_data_info(k)["array"].copy() for k in range(4)]
        for _ in range(3):
            for k in range(4):
                dataset[k]
        for k in range(4):
            np.testing.assert_array_equal(dataset.get_data_info(k)["array"], before[k])

    def test_windows_of_another_rate(self):
        dataset = ThermalActionDataset("annotations/val.json", [], data_root=case.synthetic_root(), fps=3.0)
        info = dataset.get_data_info(5)
        expected = dataset.keyframes.recording(info["keyframe"]).window(info["timestamp"], 64, 3.0)
        np.testing.assert_array_equal(info["array"][..., 0], expected)
        self.assertTrue((expected != dataset.keyframes.recording(5).window(info["timestamp"], 64)).any())

    def test_another_sensor_with_other_classes(self):
        names = ("sit", "phone", "stand", "drink", "walk")

        def edit(tree):
            tree["images"] = [{**image, "width": 32, "height": 24} for image in tree["images"]]
            tree["categories"] = [{"id": n, "name": name, "exclusive": n % 2 == 0} for n, name in enumerate(names)]
            tree["annotations"] = [{**entry, "category_id": entry["category_id"] % 5} for entry in tree["annotations"]]

        cfg = case.load_config(case.DETECTION.format("small"))
        with tempfile.TemporaryDirectory() as folder:
            root = edited_set(folder, "val", edit)
            Path(root, "annotations", "class_mapping.json").unlink()
            for path in Path(root, "frames").glob("*.h5"):
                with h5py.File(path, "r+") as file:
                    small = file["frames"][:, 8:32, 14:46]
                    del file["frames"]
                    file["frames"] = small
            dataset = DATASETS.build({**cfg.test_dataloader.dataset, "data_root": root, "num_classes": len(names)})
            info, sample = dataset.get_data_info(3), dataset[3]
        self.assertEqual((info["array"].shape, info["img_shape"]), ((64, 24, 32, 1), (24, 32)))
        self.assertEqual((info["gt_labels"].shape[1], dataset.metainfo["classes"]), (5, names))
        width, height = sample["data_samples"].img_shape[::-1]
        self.assertEqual(tuple(sample["inputs"].shape[-2:]), (height, width))
        expected = info["gt_bboxes"] * np.array([width / 32, height / 24] * 2)
        np.testing.assert_allclose(sample["data_samples"].gt_instances.bboxes.numpy(), expected, rtol=1e-4)


class Proposals(unittest.TestCase):
    def test_detected_persons(self):
        root = case.synthetic_root()
        images = json.loads(Path(root, "annotations", "val.json").read_text())["images"]
        boxes = [
            {"image_id": images[1]["id"], "bbox": [0.5, 0.5, 0.2, 0.4], "score": 0.95},
            {"image_id": images[1]["id"], "bbox": [0.1, 0.1, 0.1, 0.1], "score": 0.79},
            {"image_id": images[2]["id"], "bbox": [0.25, 0.5, 0.5, 1.0], "score": 0.81},
        ]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "boxes.json")
            path.write_text(json.dumps(boxes))
            dataset = ThermalActionDataset(
                "annotations/val.json", [], data_root=root, test_mode=True, proposal_file=str(path)
            )
            rows = [f"{image['sensor_id']},{image['frame_idx']},0.4,0.3,0.6,0.7,,0.95\n" for image in images[1:3]]
            table = Path(folder, "boxes.csv")
            table.write_text("".join(rows))
            by_frame = ThermalActionDataset(
                "annotations/val.json", [], data_root=root, test_mode=True, proposal_file=str(table)
            )
        self.assertEqual([sample["img_key"] for sample in by_frame], [images[1]["id"], images[2]["id"]])
        # Keyframes without a detected person cannot be tested; the metric counts the persons there as missed.
        self.assertEqual([sample["img_key"] for sample in dataset], [images[1]["id"], images[2]["id"]])
        np.testing.assert_allclose(dataset[0]["proposals"], [[24, 12, 36, 28]], rtol=1e-6)
        np.testing.assert_allclose(dataset[1]["proposals"], [[0, 0, 30, 40]], rtol=1e-6)
        np.testing.assert_allclose(dataset[0]["scores"], [0.95])
        self.assertEqual([dataset[k]["keyframe"] for k in range(2)], [1, 2])
        self.assertEqual(len(dataset[0]["gt_bboxes"]), len(dataset[0]["gt_labels"]))


class Labels(unittest.TestCase):
    def test_majority(self):
        one_hot = np.eye(14, dtype=np.float32)
        self.assertEqual(majority(one_hot[[3, 1, 1]]), 1)
        self.assertEqual(majority(one_hot[[5]]), 5)
        # A tie: the person annotated first; of one person with two labels, the lower number.
        self.assertEqual(majority(one_hot[[3, 1]]), 3)
        self.assertEqual(majority(one_hot[[1, 3]]), 1)
        self.assertEqual(majority(one_hot[[2, 7, 7, 2, 1]]), 2)
        self.assertEqual(majority(one_hot[[9]] + one_hot[[4]]), 4)

    def test_labels_and_weights_of_the_set(self):
        for root in roots():
            dataset = ThermalHDF5Dataset("annotations/train.json", [], data_root=root)
            labels = [dataset[k]["label"] for k in range(len(dataset))]
            self.assertEqual(dataset.labels().tolist(), labels)
            for k in range(len(dataset)):
                persons = dataset[k]["gt_labels"].sum(axis=0)
                self.assertEqual(persons[labels[k]], persons.max())
            weights = dataset.get_class_weights().numpy()
            self.assertEqual((weights.dtype, weights.shape), (np.float32, (14,)))
            counts = np.bincount(labels, minlength=14)
            # Each class that occurs weighs the same in total, and a keyframe 1 on average.
            total = len(labels) / np.count_nonzero(counts)
            np.testing.assert_allclose((weights * counts)[counts > 0], total, rtol=1e-5)
            self.assertTrue((weights[counts == 0] == 0).all())

    def test_the_hook_finds_the_set_in_its_wrappers(self):
        from mmengine.dataset import RepeatDataset

        dataset = ThermalHDF5Dataset("annotations/train.json", [], data_root=case.synthetic_root())
        for wrapped in (dataset, RepeatDataset(dataset, 2)):
            loss = SimpleNamespace(class_weight=None)
            runner = SimpleNamespace(
                model=SimpleNamespace(cls_head=SimpleNamespace(loss_cls=loss)),
                logger=mock.Mock(),
                train_dataloader=SimpleNamespace(dataset=wrapped),
            )
            ThermalClassWeights().before_train(runner)
            torch.testing.assert_close(loss.class_weight, dataset.get_class_weights())

    def test_keyframes_without_persons(self):
        def edit(tree):
            first = tree["images"][0]["id"]
            tree["annotations"] = [entry for entry in tree["annotations"] if entry["image_id"] != first]

        with tempfile.TemporaryDirectory() as folder:
            root = edited_set(folder, "val", edit)
            count = len(json.loads(Path(root, "annotations", "val.json").read_text())["images"])
            arguments = dict(ann_file="annotations/val.json", pipeline=[], data_root=root)
            for kind in (ThermalActionDataset, ThermalHDF5Dataset):
                for test_mode in (False, True):
                    self.assertEqual(len(kind(**arguments, test_mode=test_mode)), count - 1)
            self.assertEqual(len(ThermalHDF5Dataset(**arguments, test_mode=True).labels()), count - 1)


class Mistakes(unittest.TestCase):
    def test_they_are_one_sentence(self):
        with self.assertRaisesRegex(UserError, "^The folder of recordings nowhere/frames .* set data_root"):
            ThermalHDF5Dataset("annotations/train.json", [], data_root="nowhere")
        with self.assertRaisesRegex(UserError, "^num_classes is 13, but .* has 14 classes"):
            ThermalHDF5Dataset("annotations/train.json", [], data_root=case.synthetic_root(), num_classes=13)
        with self.assertRaisesRegex(UserError, "test.json does not exist"):
            ThermalActionDataset("annotations/test.json", [], data_root=case.synthetic_root())

    def test_more_classes_than_the_set_has(self):
        dataset = ThermalHDF5Dataset("annotations/train.json", [], data_root=case.synthetic_root(), num_classes=16)
        self.assertEqual(dataset[0]["gt_labels"].shape[1], 16)
        self.assertEqual(len(dataset.get_class_weights()), 16)


if __name__ == "__main__":
    unittest.main()
