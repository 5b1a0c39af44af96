"""Predictions on RGB sets: AVA's own files and annotations as truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from clip_files import annotations, image, person, write_clips, write_json

from alphaction.annotations.ava_csv import KeyframeCodes, read_ava_csv
from alphaction.annotations.class_choice import ClassChoice
from alphaction.dataset.datasets import AVAVideoDataset
from alphaction.errors import UserError
from alphaction.evaluation import baselines, evaluate, format_report, row_scores
from alphaction.evaluation.frame_ap import Rows, ap_of, frame_ap, rankings_of_scores
from alphaction.evaluation.official import CLASS_METRIC, METRIC, evaluate_ava
from alphaction.structures.bounding_box import BoxList

SIZES = {"wide": (64, 48), "high": (48, 64)}


def detections(dataset: AVAVideoDataset, seed: int, digits: int, classes: int) -> dict[int, BoxList]:
    """Boxes near the annotated ones, scaled as for the network, with random scores of few digits (many are equal)."""
    rng = np.random.default_rng(seed)
    found = {}
    for k in range(len(dataset)):
        boxes = dataset._persons(k)
        moved = torch.cat([boxes.bbox + torch.from_numpy(rng.normal(0, 3, (len(boxes), 4))).float()] * 2)
        result = BoxList(moved, boxes.size).resize([32, 40])
        result.add_field("scores", torch.from_numpy(np.round(rng.random((len(moved), classes)), digits)).float())
        found[k] = result
    return found


class PerClassTest(unittest.TestCase):
    def test_the_same_as_rows(self) -> None:
        rng = np.random.default_rng(3)
        keys = np.sort(rng.integers(0, 20, 90))
        boxes = np.concatenate([corner := rng.random((90, 2)) * 0.3, corner + 0.5], axis=1)
        boxes[:3, 2] = boxes[:3, 0]  # no area
        scores = np.round(rng.random((90, 5)), 1)
        truth = Rows(keys[::2], boxes[::2] + 0.05, rng.integers(1, 8, 45), np.ones(45))
        box, column = np.nonzero(scores >= 0.3)
        rows = Rows(keys[box], boxes[box], column + 1, scores[box, column])
        for excluded in (None, np.array([3, 7])):
            wanted = frame_ap(truth, rows, range(1, 10), excluded=excluded)
            found = ap_of(rankings_of_scores(truth, keys, boxes, scores, range(1, 10), 0.3, excluded=excluded), False)
            np.testing.assert_allclose(found, wanted, atol=1e-12)
        self.assertGreater(np.nanmean(wanted), 0)
        self.assertEqual(wanted[5], 0)  # a class beyond the columns
        self.assertTrue(np.isnan(wanted[8]))


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = Path(holder.name)

    def dataset(self, plain: bool, **kwargs) -> AVAVideoDataset:
        rng = np.random.default_rng(0)
        images = [image(movie, second, size) for movie, size in SIZES.items() for second in range(900, 906)]
        persons = []
        for one in images:
            for _ in range(rng.integers(1, 4)):
                x, y = (rng.random(2) * [one["width"], one["height"]] * 0.5).round(2)
                ids = (rng.choice(4, 1 if plain else 2, replace=False) + 1).tolist()
                persons.append(person(one["id"], [x, y, 20, 22], *ids, plain=plain))
        for movie, size in SIZES.items():
            write_clips(self.root / "clips" / movie, range(900, 906), size)
        path = write_json(self.root / "a.json", annotations(images, persons, ["w", "x", "y", "z"]))
        return AVAVideoDataset(self.root / "clips", path, False, 64, num_classes=None, **kwargs)


class OfficialTest(Folder):
    def files(self, dataset: AVAVideoDataset) -> dict[str, str]:
        sizes = dict(zip(dataset.image_ids, dataset.sizes.tolist(), strict=True))
        rows = []
        for one in json.loads((self.root / "a.json").read_text())["annotations"]:
            width, height = sizes[one["image_id"]]
            x, y, w, h = one["bbox"]
            rows += [
                f"{one['image_id']},{x / width},{y / height},{(x + w) / width},{(y + h) / height},{n},0"
                for n in one["action_ids"]
            ]
        (self.root / "g.csv").write_text("\n".join(rows))
        (self.root / "l.pbtxt").write_text("".join(f'item {{ name: "class {n}" id: {n} }}\n' for n in (1, 2, 4, 9)))
        (self.root / "x.csv").write_text("wide,0903\nhigh,905\n")
        return {
            "csv_gt_file": str(self.root / "g.csv"),
            "labelmap_file": str(self.root / "l.pbtxt"),
            "exclusion_file": str(self.root / "x.csv"),
        }

    def test_the_same_as_the_written_file(self) -> None:
        dataset = self.dataset(plain=False)
        dataset.eval_file_paths = self.files(dataset)
        for thresh, digits, exclude in ((0.0, 7, True), (0.4, 1, True), (0.4, 7, False)):
            if not exclude:
                del dataset.eval_file_paths["exclusion_file"]
            found = detections(dataset, int(10 * thresh), digits, classes=6)
            out = self.root / "out"
            scores = evaluate(dataset, found, out, action_thresh=thresh, overlays=3)
            wanted = evaluate_ava(
                *list(dataset.eval_file_paths.values())[:1],
                out / "result.csv",
                self.root / "l.pbtxt",
                self.root / "x.csv" if exclude else None,
            )
            with self.subTest(thresh=thresh, digits=digits):
                self.assertAlmostEqual(scores["mAP"], 100 * wanted[METRIC], places=9)
                self.assertTrue(5 < scores["mAP"] < 95, "nothing is decided by chance alone")
                for number in (1, 2, 4):
                    self.assertAlmostEqual(
                        scores["ap"][f"class {number}"], 100 * wanted[f"{CLASS_METRIC}class {number}"], places=9
                    )
                self.assertIsNone(scores["ap"]["class 9"])
                self.assertEqual("excluded" in scores["evaluation"] or "x.csv" in scores["evaluation"], exclude)
                self.assertEqual(sorted(scores["files"]), ["predictions.pth", "result.csv", "result.json"])
        report = format_report(scores, "val")
        self.assertIn("evaluated against AVA's files: g.csv, 4 classes of l.pbtxt\n", report)
        self.assertNotIn("baselines", report.lower())
        self.assertNotIn("top-1", report)

    def test_chosen_classes(self) -> None:
        files = self.files(self.dataset(plain=False))
        dataset = self.dataset(plain=False, eval_file_paths=files, choice=ClassChoice(("y", "x")))
        self.assertEqual((dataset.class_ids.tolist(), dataset.gt_labels().shape[1]), ([3, 2], 2))
        dataset = self.dataset(plain=False, eval_file_paths=files, choice=ClassChoice(("z", "x")))
        scores = evaluate(dataset, detections(dataset, 3, 7, classes=2), self.root / "out")
        (self.root / "some.pbtxt").write_text('item { name: "class 2" id: 2 } item { name: "class 4" id: 4 }')
        wanted = evaluate_ava(
            self.root / "g.csv", self.root / "out" / "result.csv", self.root / "some.pbtxt", self.root / "x.csv"
        )
        self.assertAlmostEqual(scores["mAP"], 100 * wanted[METRIC], places=9)
        self.assertEqual(list(scores["ap"]), ["class 2", "class 4"])
        with self.assertRaisesRegex(UserError, "CLASS_MAP merges classes, but a is evaluated by AVA's own files"):
            self.dataset(plain=False, eval_file_paths=files, choice=ClassChoice((), (("xy", ("x", "y")),)))

    def test_no_predictions(self) -> None:
        dataset = self.dataset(plain=False)
        dataset.eval_file_paths = self.files(dataset)
        scores = evaluate(dataset, {}, self.root / "out")
        self.assertEqual((scores["mAP"], scores["predictions"]), (0.0, 0))
        self.assertEqual((self.root / "out" / "result.csv").read_text(), "")

    def test_predictions_are_kept_where_a_file_is_faulty(self) -> None:
        dataset = self.dataset(plain=False)
        dataset.eval_file_paths = self.files(dataset)
        found, out = detections(dataset, 1, 5, classes=4), self.root / "out"
        wanted = evaluate(dataset, found)["mAP"]
        truth = self.root / "g.csv"
        whole = truth.read_text()
        for torn, words in ((whole + "\nwide,0903,0.1", "g.csv line .*'wide,0903,0.1'"), (None, "g.csv")):
            truth.write_text(torn) if torn else truth.unlink()
            with self.subTest(words), self.assertRaisesRegex(UserError, words):
                evaluate(dataset, found, out, action_thresh=0.0)
            self.assertEqual({path.name for path in out.iterdir()}, {"predictions.pth", "result.csv"})
        truth.write_text(whole + "\nwide,0903,0.1,0.1,0.5,0.5,2000000000,0\nwide,0903,0.1,0.1,0.5,0.5,-1,0")
        again = evaluate_ava(truth, out / "result.csv", self.root / "l.pbtxt", self.root / "x.csv")
        self.assertAlmostEqual(100 * again[METRIC], wanted, places=9)
        self.assertAlmostEqual(evaluate(dataset, found)["mAP"], wanted, places=9)

    def test_perfect_predictions(self) -> None:
        dataset = self.dataset(plain=False)
        dataset.eval_file_paths = self.files(dataset)
        found = {}
        for k in range(len(dataset)):
            boxes = dataset._persons(k)
            found[k] = boxes.resize((41, 33)).copy_with_fields([])
            found[k].add_field("scores", boxes.get_field("labels").float())
        self.assertEqual(evaluate(dataset, found)["mAP"], 100)


class AnnotationTest(Folder):
    def test_everything_the_thermal_report_has(self) -> None:
        dataset = self.dataset(plain=True)
        found = detections(dataset, 1, 5, classes=4)
        scores = evaluate(dataset, found, self.root / "out", train_dataset=dataset, overlays=2)
        self.assertEqual(
            sorted(scores["files"]), ["confusion.png", "overlays.png", "predictions.pth", "result.csv", "result.json"]
        )
        self.assertLessEqual({"constant", "recording", "nearest"}, scores["baselines"].keys())
        self.assertEqual(list(scores["persons_per_class"]), ["w", "x", "y", "z"])
        self.assertIn("evaluated against the annotations", format_report(scores))
        self.assertIsNotNone(scores["coco"]["AP50"])
        # The near past of the same place says more than the movie's mix: its second is 2 s away from 1/e.
        self.assertGreater(scores["baselines"]["nearest"]["mAP"], scores["baselines"]["constant"]["mAP"])
        # result.csv is AVA's format: evaluated from it, the same mAP.
        truth = self.root / "g.csv"
        boxes, owners = dataset.gt_boxes, np.repeat(np.arange(len(dataset)), np.diff(dataset.box_offsets))
        truth.write_text(
            "".join(
                f"{dataset.image_ids[k]},{','.join(map(repr, box))},{column + 1},0\n"
                for k, box, row in zip(owners, boxes.tolist(), dataset.gt_labels(), strict=True)
                for column in np.flatnonzero(row)
            )
        )
        names = self.root / "l.pbtxt"
        names.write_text("".join(f'item {{ name: "{name}" id: {n} }}\n' for n, name in enumerate("wxyz", 1)))
        self.assertAlmostEqual(
            100 * evaluate_ava(truth, self.root / "out" / "result.csv", names)[METRIC], scores["mAP"], places=2
        )

    def test_result_rows_have_the_ids_of_the_categories(self) -> None:
        write_clips(self.root / "clips" / 'a "b", c', [3])
        document = annotations([image('a "b", c', 3)], [person('a "b", c,0003', [1, 1, 9, 9], 5, plain=True)])
        document["categories"] = [{"id": 5, "name": "fall"}, {"id": 2, "name": "sit"}, {"id": 0, "name": "walk"}]
        dataset = AVAVideoDataset(
            self.root / "clips", write_json(self.root / "a.json", document), False, 64, num_classes=None
        )
        self.assertEqual((dataset.class_names, dataset.class_ids.tolist()), (["walk", "sit", "fall"], [0, 2, 5]))
        boxes = BoxList(torch.tensor([[1.0, 1, 9, 9]]), (64, 48))
        boxes.add_field("scores", torch.tensor([[0.2, 0.1, 0.9]]))
        scores = evaluate(dataset, {0: boxes}, self.root / "out", action_thresh=0.15)
        self.assertEqual(scores["ap"], {"walk": None, "sit": None, "fall": 100.0})
        found = read_ava_csv(self.root / "out" / "result.csv", codes := KeyframeCodes(), scored=True)
        self.assertEqual(found.classes.tolist(), [0, 5])
        self.assertEqual(codes.code('a "b", c', "3"), found.keys[0])
        self.assertEqual(len(codes), 1)

    def test_too_few_classes(self) -> None:
        dataset = self.dataset(plain=True)
        with self.assertRaisesRegex(UserError, "wide,0900 have 3 classes, expected at least the 4"):
            evaluate(dataset, detections(dataset, 1, 5, classes=3))

    def test_what_does_not_scale_is_left_out(self) -> None:
        dataset = self.dataset(plain=True)
        found = detections(dataset, 1, 5, classes=4)
        whole = evaluate(dataset, found, train_dataset=dataset)
        with (
            mock.patch.object(row_scores, "COCO_CELLS", 10),
            mock.patch.object(baselines, "FOREST_PERSONS", 10),
            mock.patch.object(baselines, "PAIRS", 7),
        ):
            scores = evaluate(dataset, found, train_dataset=dataset)
        self.assertEqual(scores["coco"], {"AP": None, "AP50": None})
        self.assertNotIn("forest", scores["baselines"])
        self.assertIn("forest", whole["baselines"])
        self.assertAlmostEqual(scores["baselines"]["nearest"]["mAP"], whole["baselines"]["nearest"]["mAP"], places=9)
        self.assertAlmostEqual(scores["mAP"], whole["mAP"], places=9)
        format_report(scores)


def large_problem(root: Path) -> tuple[AVAVideoDataset, dict[int, BoxList]]:
    """57,000 keyframes, 140,000 persons, 1.5 million scores of at least 0.3."""
    rng = np.random.default_rng(0)
    images, persons, rows = [], [], []
    for m in range(64):
        folder = root / "clips" / f"m{m}"
        folder.mkdir(parents=True)
        for second in range(902, 1793):
            (folder / f"{second}.mp4").touch()
            images.append(image(f"m{m}", second, (640, 360)))
            for _ in range(rng.integers(1, 5)):
                x, y = rng.random(2) * 0.6
                ids = (rng.choice(80, 2, replace=False) + 1).tolist()
                persons.append(person(images[-1]["id"], [x * 640, y * 360, 192, 108], *ids))
                rows += [f"{images[-1]['id']},{x:.3f},{y:.3f},{x + 0.3:.3f},{y + 0.3:.3f},{n},0" for n in ids]
    (root / "g.csv").write_text("\n".join(rows))
    (root / "l.pbtxt").write_text("".join(f'item {{ name: "c{n}" id: {n} }}\n' for n in range(1, 81)))
    dataset = AVAVideoDataset(
        root / "clips",
        write_json(root / "a.json", annotations(images, persons)),
        False,
        64,
        eval_file_paths={"csv_gt_file": str(root / "g.csv"), "labelmap_file": str(root / "l.pbtxt")},
    )
    found = {}
    for k in range(len(dataset)):
        found[k] = dataset._persons(k).resize((455, 256)).copy_with_fields([])
        found[k].bbox += 4 * torch.randn(found[k].bbox.shape)
        found[k].add_field("scores", torch.rand(len(found[k]), 80) ** 8)
    return dataset, found


@unittest.skipUnless(os.environ.get("ALPHACTION_SLOW") == "1", "slow: ALPHACTION_SLOW=1")
class SpeedTest(Folder):
    def test_ava_val_size(self) -> None:
        """From 57,000 keyframes' predictions in memory to the mAP and the files: at most 2 GB."""
        program = "import sys; sys.path[:0] = sys.argv[2:]; import test_evaluation_rgb as t; t.measure(sys.argv[1])"
        tests = Path(__file__).resolve().parent
        found = subprocess.run(
            [sys.executable, "-c", program, str(self.root), str(tests)],
            cwd=tests.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        rows, seconds, megabytes, score = map(float, found)
        self.assertGreater(rows, 1_500_000)
        print(f"{rows:.0f} rows: {seconds:.1f} s, {megabytes:.0f} MB")
        self.assertLess(megabytes, 2000)
        self.assertGreater(score, 0)


def measure(root: str) -> None:
    """Print rows, seconds, peak memory in MB of this process, and mAP."""
    import resource  # not on Windows

    dataset, found = large_problem(Path(root))
    rows = sum(int((boxes.get_field("scores") >= 0.3).sum()) for boxes in found.values())
    start = time.perf_counter()
    scores = evaluate(dataset, found, Path(root) / "out", action_thresh=0.3, overlays=8)
    seconds = time.perf_counter() - start
    print(rows, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, scores["mAP"])


if __name__ == "__main__":
    unittest.main()
