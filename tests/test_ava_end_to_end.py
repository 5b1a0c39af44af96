"""A synthetic AVA set of a few seconds, from movies to the report, and a custom RGB set."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import yaml
from clip_files import RATE, annotations, gray, image, person, write_json, write_video
from tool_scripts import load_tool
from torch_settings import one_thread

from alphaction.annotations.class_settings import resolve_classes
from alphaction.checkpoints.checkpoint_file import read_checkpoint
from alphaction.config import load_cfg
from alphaction.dataset.build import build_dataset
from alphaction.engine.evaluate import evaluate_checkpoint
from alphaction.engine.finetune import finetune
from alphaction.errors import UserError
from alphaction.evaluation.official import METRIC, evaluate_ava

MOVIES = {"wide": (64, 48), "high": (48, 64)}
SECONDS = 9
# Fractions of the frame; two persons in every keyframe.
LEFT, RIGHT = (0.1, 0.2, 0.45, 0.9), (0.5, 0.1, 0.9, 0.8)
# R50 4x16 with dense serial IA of few channels on 32x42 pixels.
SETTINGS = {
    "MODEL": {
        "DEVICE": "cpu",
        "WEIGHT": "",
        "BACKBONE": {
            "FROZEN_BN": True,
            "BN_INIT_GAMMA": 0.2,
            "SLOWFAST": {"SLOW": {"CONV3_NONLOCAL": False, "CONV4_NONLOCAL": False}},
        },
        "ROI_ACTION_HEAD": {
            "FEATURE_EXTRACTOR": "2MLPFeatureExtractor",
            "MEAN_BEFORE_POOLER": True,
            "MLP_HEAD_DIM": 32,
        },
        "IA_STRUCTURE": {
            "ACTIVE": True,
            "STRUCTURE": "dense",
            "I_BLOCK_LIST": ["P", "O", "M", "P", "O", "M"],
            "DIM_INNER": 16,
            "DIM_OUT": 2304,
            "FUSION": "add",
            "LENGTH": (3, 3),
            "MAX_OBJECT": 2,
            "LAYER_NORM": True,
            "USE_ZERO_INIT_CONV": False,
        },
    },
    "INPUT": {
        "FRAME_NUM": 64,
        "FRAME_SAMPLE_RATE": 1,
        "TAU": 16,
        "ALPHA": 8,
        "MIN_SIZE_TRAIN": 32,
        "MIN_SIZE_TEST": 32,
        "SLOW_JITTER": True,
        "COLOR_JITTER": True,
    },
    "DATALOADER": {"NUM_WORKERS": 0},
    "SOLVER": {
        "BASE_LR": 0.001,
        "WARMUP_ITERS": 2,
        "STEPS": (2,),
        "MAX_ITER": 2,
        "LOG_PERIOD": 1,
        "EVAL_PERIOD": 0,
        "CHECKPOINT_PERIOD": 0,
        "VIDEOS_PER_BATCH": 2,
    },
    "TEST": {"VIDEOS_PER_BATCH": 4, "ACTION_THRESH": 0.0, "OVERLAYS": 2},
}


def quietly(call, *args, **kwargs):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return call(*args, **kwargs)


def cut(folder: Path, clips: Path) -> None:
    for movie, size in MOVIES.items():
        write_video(folder / f"{movie}.mkv", [gray(s % 5, n) for s in range(SECONDS) for n in range(RATE)], size)
    quietly(
        load_tool("process_ava_videos").main,
        ["--movies", str(folder), "--out", str(clips), "--start", "0", "--end", str(SECONDS), "--workers", "1"],
    )


def write_settings(path: Path, **changes: dict) -> Path:
    settings = {**SETTINGS, "OUTPUT_DIR": str(path.with_suffix("")), **changes}
    plain = yaml.safe_load(json.dumps(settings))  # tuples become lists, which the keys accept
    path.write_text(yaml.safe_dump(plain))
    return path


class Made(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.root = Path(holder.name)
        one_thread(cls.addClassCleanup)

    def rows(self, out: Path) -> list[dict]:
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        return [row for row in rows if row["group"] == "train"]


class MadeUpAVA(Made):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        ava = cls.ava = cls.root / "AVA"
        cut(cls.root / "movies", ava / "clips" / "trainval")
        cls.write_files()
        cls.config = write_settings(
            cls.root / "run.yaml",
            DATASETS={"AVA_ROOT": str(ava), "TRAIN": ["ava_video_train_v2.2"], "TEST": ["ava_video_val_v2.2"]},
        )
        path = Path(__file__).resolve().parents[1] / "train_net.py"
        spec = importlib.util.spec_from_file_location("train_net_script", path)
        train_net = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(train_net)
        with mock.patch.object(sys, "argv", ["train_net.py", "--config-file", str(cls.config)]):
            quietly(train_net.main)
        cls.results = cls.root / "run" / "inference" / "ava_video_val_v2.2"

    @classmethod
    def write_files(cls) -> None:
        """AVA's CSV files, label map and exclusions; annotations from them; persons and objects of detectors."""
        files, boxes = cls.ava / "annotations", cls.ava / "boxes"
        files.mkdir()
        label_map = files / "ava_action_list_v2.2_for_activitynet_2019.pbtxt"
        label_map.write_text(
            "".join(f'item {{ name: "action {n} (named)" id: {n} }}\n' for n in range(1, 81) if n != 2)
        )
        for split, movies, seconds in (("train", ("wide", "high"), (2, 3)), ("val", ("high",), (5, 8))):
            rows = [
                f"{movie},{second:04d},{','.join(map(str, box))},{action},{number}"
                for movie in movies
                for second in seconds
                for number, box in enumerate((LEFT, RIGHT))
                for action in (12 - number, 17 + second, 80)
            ]
            (files / f"ava_{split}_v2.2.csv").write_text("\n".join(rows) + "\n")
            (files / f"ava_{split}_excluded_timestamps_v2.2.csv").write_text("high,0008\n" if split == "val" else "")
            quietly(
                load_tool("csv2COCO").main,
                [
                    "--csv",
                    str(files / f"ava_{split}_v2.2.csv"),
                    "--videos",
                    str(cls.ava / "clips" / "trainval"),
                    "--out",
                    str(files / f"ava_{split}_v2.2.json"),
                    "--labelmap",
                    str(label_map),
                ],
            )
            found = []
            for movie in movies:
                width, height = MOVIES[movie]
                for second in seconds:
                    for x1, y1, x2, y2 in (LEFT, RIGHT):
                        bbox = [x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height]
                        found.append({"image_id": f"{movie},{second:04d}", "bbox": bbox, "score": 0.9})
            write_json(boxes / f"ava_{split}_det_person_bbox.json", found)
            write_json(boxes / f"ava_{split}_det_object_bbox.json", found[1:] + found[1:])

    def test_two_iterations_with_all_losses(self) -> None:
        rows = self.rows(self.root / "run")
        self.assertEqual([row["iteration"] for row in rows], [1, 2])
        self.assertLessEqual({"loss_pose_action", "loss_object_interaction", "loss_person_interaction"}, rows[0].keys())
        names = read_checkpoint(self.root / "run" / "model_final.pth")["class_names"]
        self.assertEqual((len(names), names[1], names[79]), (80, "action 2", "action 80 (named)"))

    def test_objects(self) -> None:
        state = read_checkpoint(self.root / "run" / "model_final.pth")["model"]
        self.assertTrue(any("O_block_2" in name for name in state))
        dataset = build_dataset(load_cfg(str(self.config)), "ava_video_train_v2.2", is_train=True)
        self.assertEqual([len(dataset[n][3]) for n in range(len(dataset))], [2, 2, 2, 2])

    def test_another_box_file(self) -> None:
        built_in = self.ava / "boxes" / "ava_val_det_person_bbox.json"
        other = write_json(self.root / "other.json", json.loads(built_in.read_text())[1:])
        chosen = load_cfg(str(self.config), ["TEST.BOX_FILE", str(other)])
        missing = load_cfg(str(self.config), ["TEST.BOX_FILE", str(self.root / "none.json")])
        dataset = build_dataset(chosen, "ava_video_val_v2.2", is_train=False)
        self.assertEqual((dataset.box_source, len(dataset._boxes.corners)), (str(other), 3))
        with self.assertRaisesRegex(UserError, "needs .*none.json .* or correct TEST.BOX_FILE"):
            build_dataset(missing, "ava_video_val_v2.2", is_train=False)
        moved = built_in.rename(self.root / "moved.json")
        try:
            self.assertEqual(build_dataset(chosen, "ava_video_val_v2.2", is_train=False).box_source, str(other))
            with self.assertRaisesRegex(UserError, r"needs .*person_bbox.json .*TEST.BOX_FILE names .*AVA_ROOT"):
                build_dataset(load_cfg(str(self.config)), "ava_video_val_v2.2", is_train=False)
        finally:
            moved.rename(built_in)
        self.assertEqual(build_dataset(missing, "ava_video_train_v2.2", is_train=True).box_source, "ground truth")

    def test_faulty_files_of_the_evaluation_are_refused_before_it(self) -> None:
        files = self.ava / "annotations"
        good = {
            "csv": files / "ava_val_v2.2.csv",
            "exclude": files / "ava_val_excluded_timestamps_v2.2.csv",
            "labels": files / "ava_action_list_v2.2_for_activitynet_2019.pbtxt",
        }
        for kind, text, words in (
            ("csv", "high,0005,0.1,0.", "line 1: found 'high,0005,0.1,0.'"),
            ("exclude", "high", "line 1: found 'high', expected movie, second"),
            ("labels", "", "found no class"),
        ):
            torn = self.root / f"torn.{kind}"
            torn.write_text(text)
            chosen = {**good, kind: torn}
            entry = {
                "ROOT": str(self.ava),
                "VIDEO_ROOT": "clips/trainval",
                "ANN_FILE": "annotations/ava_val_v2.2.json",
                "CSV_GT_FILE": str(chosen["csv"]),
                "EXCLUSION_FILE": str(chosen["exclude"]),
                "LABELMAP_FILE": str(chosen["labels"]),
                "OBJECT_FILE": "boxes/ava_val_det_object_bbox.json",
            }
            cfg = load_cfg(str(self.config), ["DATASETS.CATALOG", {"torn": entry}])
            with self.subTest(kind), self.assertRaisesRegex(UserError, f"torn.{kind}.*{words}"):
                build_dataset(cfg, "torn", is_train=False)
            build_dataset(cfg, "torn", is_train=True)

    def test_official_evaluation(self) -> None:
        results = json.loads((self.results / "result.json").read_text())
        self.assertEqual(
            {path.name for path in self.results.iterdir()}, {"result.csv", "result.json", "predictions.pth"}
        )
        files = self.ava / "annotations"
        again = evaluate_ava(
            files / "ava_val_v2.2.csv",
            self.results / "result.csv",
            files / "ava_action_list_v2.2_for_activitynet_2019.pbtxt",
            files / "ava_val_excluded_timestamps_v2.2.csv",
        )
        self.assertAlmostEqual(results["mAP"], 100 * again[METRIC], places=9)
        self.assertGreater(results["mAP"], 0)
        self.assertEqual((results["classes_with_ground_truth"], results["keyframes"], results["persons"]), (4, 2, 4))
        self.assertEqual(results["persons_per_class"]["action 80 (named)"], 2)  # the other two keyframes' are excluded
        self.assertIn("ava_val_det_person_bbox.json", results["box_source"])
        log = (self.root / "run" / "log.txt").read_text(encoding="utf-8")
        self.assertIn("evaluated against AVA's files: ava_val_v2.2.csv, 79 classes of", log)
        self.assertIn("without the 1 keyframes of ava_val_excluded_timestamps_v2.2.csv", log)
        self.assertIn("without a neighboring clip", log)

    def test_result_rows(self) -> None:
        text = (self.results / "result.csv").read_bytes().decode()
        lines = text.split("\r\n")
        self.assertEqual(len(lines) - 1, 2 * 2 * 80)  # keyframes x persons x classes
        self.assertTrue(lines[0].startswith("high,0005,0.10000,0.20000,0.45000,0.90000,1,0."), lines[0])


class OwnSet(Made):
    def test_plain_annotations_two_training_sets_and_as_many_classes_as_there_are(self) -> None:
        cut(self.root / "movies", self.root / "clips")
        for name, movie, seconds in (("first", "wide", (2, 4)), ("second", "high", (2, 4)), ("val", "wide", (5, 6))):
            size = MOVIES[movie]
            images = [image(movie, second, size) for second in seconds]
            persons = [
                person(one["id"], [5, 6 + n, 20, 30], 4 + 3 * (n % 2), plain=True) for n, one in enumerate(images)
            ]
            document = {
                **annotations(images, persons),
                "categories": [{"id": 7, "name": "fall"}, {"id": 4, "name": "walk"}],
            }
            write_json(self.root / f"{name}.json", document)
        entries = {
            name: {"VIDEO_ROOT": str(self.root / "clips"), "ANN_FILE": str(self.root / f"{name}.json")}
            for name in ("first", "second", "val")
        }
        model = json.loads(json.dumps(SETTINGS["MODEL"]))
        model["ROI_ACTION_HEAD"]["NUM_CLASSES"] = 0
        model["IA_STRUCTURE"]["MAX_OBJECT"] = 0
        config = write_settings(
            self.root / "own.yaml",
            MODEL=model,
            DATASETS={"CATALOG": entries, "TRAIN": ["first", "second"], "TEST": ["val"]},
        )
        trained = quietly(finetune, resolve_classes(load_cfg(str(config))))
        self.assertEqual(trained.roi_heads["action"].predictor.cls_score.weight.shape[0], 2)
        self.assertEqual(len(self.rows(self.root / "own")), 2)
        folder = self.root / "own" / "inference" / "val"
        self.assertEqual(
            {path.name for path in folder.iterdir()},
            {"result.csv", "result.json", "predictions.pth", "confusion.png", "overlays.png"},
        )
        results = json.loads((folder / "result.json").read_text())
        self.assertEqual(results["persons_per_class"], {"walk": 1, "fall": 1})
        self.assertEqual((results["persons"], results["predictions"]), (2, 2))
        self.assertIn("val.json", results["evaluation"])
        self.assertLessEqual({"constant", "recording", "nearest"}, results["baselines"].keys())
        log = (self.root / "own" / "log.txt").read_text(encoding="utf-8")
        self.assertIn("evaluated against the annotations", log)
        self.assertIn("1 of 1 recordings are also in first + second", log)
        self.assertIn("a median of 1.5 seconds from the nearest training keyframe", log)
        self.check_class_order(config)

    def check_class_order(self, config: Path) -> None:
        """The same clips with the ids of the two classes exchanged: refused before anything is computed."""
        document = json.loads((self.root / "val.json").read_text())
        document["categories"] = [{"id": 4, "name": "fall"}, {"id": 7, "name": "walk"}]
        write_json(self.root / "swapped.json", document)
        weight, bare = str(self.root / "own" / "model_final.pth"), str(self.root / "bare.pth")
        torch.save({"model": read_checkpoint(weight)["model"]}, bare)

        def settings(name: str, weight: str = "", *train: str) -> Any:
            return resolve_classes(
                load_cfg(
                    str(config),
                    [
                        "OUTPUT_DIR",
                        str(self.root / name),
                        "MODEL.WEIGHT",
                        weight,
                        "DATASETS.TRAIN",
                        train,
                        "DATASETS.CATALOG.val.ANN_FILE",
                        str(self.root / "swapped.json"),
                    ],
                )
            )

        words = "Class 1 of 2 is 'fall' in the test set val and 'walk' in "
        with mock.patch("alphaction.engine.evaluate.inference", side_effect=AssertionError("too late")):
            with self.assertRaisesRegex(UserError, words + ".*model_final.pth, .* give .*swapped.json the ids"):
                quietly(evaluate_checkpoint, settings("tested", weight), explicit_weight=True)
            with self.assertRaisesRegex(UserError, words + "DATASETS.TRAIN first, "):
                quietly(evaluate_checkpoint, settings("bare_train", bare, "first"), explicit_weight=True)
        with self.assertRaisesRegex(UserError, words + "DATASETS.TRAIN first, "):
            quietly(finetune, settings("trained", "", "first"))
        self.assertFalse((self.root / "trained" / "model_final.pth").exists())
        # A file that does not say its classes is believed.
        results = quietly(evaluate_checkpoint, settings("bare", bare), explicit_weight=True)
        self.assertEqual(results["val"]["persons_per_class"], {"fall": 1, "walk": 1})


if __name__ == "__main__":
    unittest.main()
