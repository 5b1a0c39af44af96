"""RGB clips: windows, annotations, boxes, loaders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
import unittest
from pathlib import Path

import numpy as np
import torch
from clip_files import RATE, annotations, gray, image, person, write_clips, write_json, write_video
from temporary_folder import Folder
from thermal_files import small_cfg as thermal_cfg
from thermal_files import write_dataset

from alphaction.annotations.class_settings import resolve_classes
from alphaction.annotations.clip_annotations import read_clip_annotations, read_clip_boxes
from alphaction.annotations.json_files import stream_lists
from alphaction.config import get_cfg
from alphaction.config.paths_catalog import DatasetCatalog
from alphaction.dataset import make_data_loader
from alphaction.dataset.build import build_dataset, build_training_set
from alphaction.dataset.check import _class_table, check_sets, draw_batch
from alphaction.dataset.classes import check_classes
from alphaction.dataset.datasets import AVAVideoDataset
from alphaction.dataset.datasets.split_distance import split_distance
from alphaction.dataset.samplers import orientations
from alphaction.evaluation import Predictions, evaluate
from alphaction.evaluation.frame_ap import box_iou
from alphaction.evaluation.results import predictions_of
from alphaction.video.clips import MovieClips, read_frames


class WindowTest(Folder):
    """Which frames a window has: their brightness tells."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.root / "m"
        write_clips(self.folder, range(5))

    def values(self, second: int, before: int = 32, after: int = 31) -> tuple[list[int], str | None, bool]:
        window = MovieClips(self.folder).window(second, before, after)
        self.assertEqual(window.frames.shape, (before + 1 + after, 48, 64, 3))
        self.assertTrue((window.frames[:, 8:-8, 8:24, 2] > 200).all(), "RGB, blue on the left")
        return (
            [int(round(v)) for v in window.frames[:, 8:-8, 40:-8, 1].mean(axis=(1, 2))],
            window.damaged,
            window.at_end,
        )

    def close(self, found: list[int], wanted: list[int]) -> None:
        np.testing.assert_allclose(found, wanted, atol=2)

    def test_frames_around_the_keyframe(self) -> None:
        found, torn, at_end = self.values(2)
        everything = [gray(s, n) for s in range(5) for n in range(RATE)]
        self.close(found, everything[2 * RATE - 32 : 2 * RATE + 32])
        self.assertEqual((torn, at_end), (None, False))

    def test_frames_outside_are_not_kept(self) -> None:
        clips, wanted = MovieClips(self.folder), self.values(2)[0]
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        window = clips.window(2, 32, 31)
        self.assertLess(tracemalloc.get_traced_memory()[1], 2.2 * window.frames.nbytes)  # all five clips: 2.6
        self.close(self.values(2)[0], wanted)
        path = str(self.folder / "2.mp4")
        frames, count, rate = read_frames(path)
        self.assertEqual((len(frames), count, rate), (RATE, RATE, RATE))
        for part, kept in (({"first": 3}, frames[:3]), ({"tail": 3}, frames[-3:]), ({"tail": 99}, frames)):
            found, count, _ = read_frames(path, **part)
            np.testing.assert_array_equal(found, kept)
            self.assertEqual(count, RATE)

    def test_ends_are_repeated(self) -> None:
        found, _, at_end = self.values(0)
        self.close(found, [gray(0, 0)] * 32 + [gray(0, n) for n in range(25)] + [gray(1, n) for n in range(7)])
        self.assertTrue(at_end)
        found, _, at_end = self.values(4)
        self.close(found[-10:], [gray(4, 22), gray(4, 23)] + [gray(4, 24)] * 8)
        self.assertTrue(at_end)

    def test_a_missing_neighbor_ends_the_window(self) -> None:
        (self.folder / "1.mp4").unlink()
        found, torn, at_end = self.values(2)
        self.close(found[:33], [gray(2, 0)] * 33)
        self.assertEqual((torn, at_end), (None, True))

    def test_a_short_clip_repeats_its_last_frame(self) -> None:
        write_video(self.folder / "1.mp4", [gray(1, n) for n in range(10)])
        found, torn, at_end = self.values(2)
        self.close(
            found[:32], [gray(0, n) for n in range(18, 25)] + [gray(1, n) for n in range(10)] + [gray(1, 9)] * 15
        )
        self.assertEqual((Path(torn).name, at_end), ("1.mp4", False))

    def test_one_frame_less_is_whole(self) -> None:
        write_video(self.folder / "2.mp4", [gray(2, n) for n in range(24)])
        found, torn, _ = self.values(2)
        self.close(found[32:], [gray(2, n) for n in range(24)] + [gray(3, n) for n in range(8)])
        self.assertIsNone(torn)

    def test_a_clip_of_two_seconds_is_noted(self) -> None:
        write_video(self.folder / "2.mp4", [gray(2, n) for n in range(2 * RATE)])
        found, torn, _ = self.values(2)
        self.close(found[32:], [gray(2, n) for n in range(32)])
        self.assertEqual(Path(torn).name, "2.mp4")
        write_video(self.folder / "2.mp4", [gray(2, n) for n in range(RATE + 3)])
        self.assertIsNone(self.values(2)[1])

    def test_a_torn_file(self) -> None:
        (self.folder / "2.mp4").unlink()
        path = self.folder / "02.avi"
        write_video(path, [gray(2, n) for n in range(RATE)], codec="MJPG")
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
        arrived = len(read_frames(str(path))[0])
        self.assertIn(arrived, range(2, RATE - 1))
        found, torn, _ = self.values(2)
        self.assertEqual(Path(torn).name, "02.avi")
        self.close(found[32:], [gray(2, min(n, arrived - 1)) for n in range(RATE)] + [gray(3, n) for n in range(7)])

    def test_an_unreadable_keyframe_takes_its_neighbor(self) -> None:
        (self.folder / "2.mp4").write_bytes(b"")
        found, torn, _ = self.values(2)
        self.close(found[31:58], [gray(1, 24)] * 26 + [gray(3, 0)])
        self.assertEqual(Path(torn).name, "2.mp4")
        for name in ("1.mp4", "3.mp4"):
            (self.folder / name).write_bytes(b"no video")
        self.refused(r"m/2\.mp4 and those beside it cannot be read", MovieClips(self.folder).window, 2, 32, 31)

    def test_clips_of_another_size_are_scaled(self) -> None:
        write_video(self.folder / "3.mp4", [gray(3, n) for n in range(RATE)], size=(32, 24))
        self.close(self.values(2)[0][-5:], [gray(3, n) for n in range(2, 7)])

    def test_names(self) -> None:
        for name in ("0902.mp4", "0903.MKV", "904.webm", "09020.avi"):
            (self.root / "n").mkdir(exist_ok=True)
            (self.root / "n" / name).touch()
        for name in (".905.part.mp4", "906.txt", "x907.mp4", "-908.mp4"):
            (self.root / "n" / name).touch()
        clips = MovieClips(self.root / "n")
        self.assertEqual(clips.seconds.tolist(), [902, 903, 904, 9020])
        self.assertEqual(Path(clips.path(903)).name, "0903.MKV")
        self.assertIsNone(clips.path(905))
        self.assertEqual(Path(clips.expected_path(5)).name, "0005.mp4")


class StreamTest(Folder):
    def read(self, text: str) -> list:
        path = self.root / "a.json"
        path.write_text(text, encoding="utf-8")
        return list(stream_lists(str(path), "file"))

    def test_any_layout(self) -> None:
        document = {"info": {"a": [1, 2]}, "x": [{"n": 1.5, "s": 'é"]'}, [3]], "version": 12, "empty": [], "y": [7]}
        wanted = [("x", document["x"][0]), ("x", [3]), ("y", 7)]
        for indent in (None, 1):
            self.assertEqual(self.read(json.dumps(document, indent=indent)), wanted)
        self.assertEqual(self.read(' [1, {"a": 2}] '), [("", 1), ("", {"a": 2})])
        self.assertEqual(self.read("{}"), [])

    def test_entries_across_chunks(self) -> None:
        entries = [{"n": n, "text": "x" * (n % 70)} for n in range(60_000)]
        long = ["y" * 3_000_000]
        self.assertEqual([v for _, v in self.read(json.dumps({"a": entries, "b": long}))], entries + long)

    def test_torn_and_wrong(self) -> None:
        for text in ("", '{"a": [1, 2', '{"a": [1 2]}', '{"a" 1}', "{1: 2}", '{"a": [1]} x', '{"a": [tru]}'):
            with self.subTest(text):
                self.refused("a.json is not JSON", self.read, text)
        self.refused("neither an object nor a list", self.read, '"text"')
        for text in ("[" * 100_000, '{"a": ' + "[" * 100_000):
            self.refused("nested too deeply", self.read, text)
        self.refused("is not JSON .*, after entry 2 of a", self.read, '{"b": [1], "a": [1, 2, x]}')

    def test_what_has_to_be_there(self) -> None:
        def read(text: str) -> list:
            path = self.root / "a.json"
            path.write_text(text)
            return list(stream_lists(path, "file", ("a", "b"), ("c",)))

        self.assertEqual(read('\ufeff{"a": [1], "b": [], "c": null, "d": 5}'), [("a", 1)])
        for text in ("[]", "{}", '{"a": [1], "b": {}}'):
            self.refused("a.json lacks the lists 'a' and 'b'", read, text)
        self.refused("has 'c' that are not a list", read, '{"a": [], "b": [], "c": "x"}')
        self.refused("nowhere.json does not exist", lambda: list(stream_lists("nowhere.json", "file")))


class AnnotationTest(Folder):
    def read(self, document: object, **kwargs):
        return read_clip_annotations(write_json(self.root / "a.json", document), **kwargs)

    def test_persons_and_labels(self) -> None:
        found = self.read(
            annotations(
                [image("b", 3), image("a", 902), image("a", 12345)],
                [
                    person("a,0902", [10, 20, 30, 10], 80, 1),
                    person("b,0003", [0, 0, 64, 48], 9),
                    person("a,0902", [1, 2, 3, 4]),
                    person("a,0902", [10, 20, 30, 10], 3),
                ],
            )
        )
        self.assertEqual((found.movies, found.movie_of.tolist()), (["b", "a"], [0, 1, 1]))
        self.assertEqual(found.timestamps.tolist(), [3, 902, 12345])
        self.assertEqual(found.offsets.tolist(), [0, 1, 3, 3])
        self.assertEqual(found.boxes.tolist(), [[0, 0, 63, 47], [10, 20, 39, 29], [1, 2, 3, 5]])
        labels = np.unpackbits(found.packed, axis=1)
        self.assertEqual([np.flatnonzero(row).tolist() for row in labels], [[8], [0, 2, 79], []])
        self.assertEqual((len(found.classes.names), found.classes.names[8], found.ava_ids), (80, "action 9", True))

    def test_any_order_and_spelling(self) -> None:
        plain = {
            "categories": [{"id": 7, "name": "fall"}, {"id": 3, "name": "walk"}],
            "annotations": [{"image_id": 5, "bbox": [1, 1, 5, 5], "category_id": 7}],
            "info": {},
            "images": [{"id": 5, "file_name": "day/kitchen/0007.jpg", "width": 64.0, "height": 48}],
        }
        found = self.read(plain)
        self.assertEqual((found.movies, found.timestamps.tolist()), (["day/kitchen"], [7]))
        self.assertEqual((found.classes.names, found.ava_ids), (("walk", "fall"), False))
        self.assertEqual(found.packed.tolist(), [[0b01000000]])
        self.assertEqual(self.read(plain, ava_ids=True).classes.names[2:7:4], ("walk", "fall"))

    def test_categories_that_are_no_actions(self) -> None:
        images, persons = [image("a", 1)], [person("a,0001", [1, 1, 5, 5], 12, 17, 1)]
        for first in (0, 1):
            found = self.read(annotations(images, persons, ["person"], first))
            self.assertEqual(
                found.classes.names[:2] + found.classes.names[11:12], ("action 1", "action 2", "action 12")
            )
            self.assertEqual(
                (len(found.classes.names), np.flatnonzero(np.unpackbits(found.packed)).tolist()), (80, [0, 11, 16])
            )
        some = {**annotations(images, persons), "categories": [{"id": 12, "name": "stand"}, {"id": 17, "name": "lift"}]}
        self.assertEqual(self.read(some).classes.names[11::5], ("stand", "lift"))  # one of three has no name

    def test_boxes_that_poke_out_or_have_no_area(self) -> None:
        found = self.read(
            annotations(
                [image("a", 1)],
                [
                    person("a,0001", box, 1)
                    for box in ([-5, -5, 20, 20], [60, 40, 4, 8], [1, 1, 0, 5], [70, 1, 5, 5], [63.5, 47.5, 0.5, 0.5])
                ],
            )
        )
        self.assertEqual(found.boxes.tolist(), [[0, 0, 14, 14], [60, 40, 63, 47], [63, 47, 63, 47]])
        self.assertEqual((found.clipped, found.dropped), (1, 2))

    def test_sentences(self) -> None:
        good, one = image("a", 1), person("a,0001", [1, 1, 5, 5], 1)
        plain = {"image_id": "a,0001", "bbox": [1, 1, 5, 5], "category_id": 4}
        for words, images, persons, names in (
            ("has no images", [], [], []),
            ("entry 1 of images has 'width' 0, expected a whole number from 1", [{**good, "width": 0}], [], []),
            ("entry 1 of images has 'timestamp' -1.5, expected a second from 0", [{**good, "timestamp": -1.5}], [], []),
            ("entry 2 of images has no 'movie'", [good, {"id": 3, "width": 5, "height": 5}], [], []),
            ("entry 1 of images is 7", [7], [], []),
            ("image id 'a,0001' more than once", [good, good], [], []),
            ("keyframe a 1 more than once", [good, {**good, "id": "x"}], [], []),
            ("unknown image 'b,0001'", [good], [one, {**one, "image_id": "b,0001"}], []),
            ("entry 1 of annotations has 'bbox'", [good], [{**one, "bbox": [1, 2, 3]}], []),
            ("entry 1 of annotations has 'bbox'", [good], [{**one, "bbox": [1, 2, 3, "4"]}], []),
            ("entry 1 of annotations has no 'category_id'", [good], [{"image_id": "a,0001", "bbox": [1, 2, 3, 4]}], []),
            ("entry 1 of annotations is 'text'", [good], ["text"], []),
            ("class id 0, expected 1..80", [good], [{**one, "action_ids": [0]}], []),
            ("class id 4, expected one of 1, 2", [good], [plain], ["x", "y"]),
            ("has no categories", [good], [plain], []),
            ("the name 'x', expected each once", [good], [plain], ["x", "x"]),
            ("a category has 'name' 3", [good], [one], [3]),
            ("'bbox' .1e.300, 1, 2, 3", [good], [{**one, "bbox": [1e300, 1, 2, 3]}], []),
            ("'bbox' .True, 1, 2, 3", [good], [{**one, "bbox": [True, 1, 2, 3]}], []),
            ("largest class id is 100000000", [good], [{**one, "action_ids": [10**8]}], []),
            ("'action_ids' True", [good], [{**one, "action_ids": [True]}], []),
            ("'action_ids' 5, expected a list", [good], [{**one, "action_ids": 5}], []),
            ("'movie' '../up', expected a name below", [{**good, "movie": "../up"}], [], []),
            ("'movie' '/etc', expected a name below", [{**good, "movie": "/etc"}], [], []),
            (r"'movie' 'a.x00b', expected a name", [{**good, "movie": "a\0b"}], [], []),
            ("'id' None, expected a name", [{**good, "id": None}], [], []),
            (r"'id' '.ud800', expected a name", [{**good, "id": "\ud800"}], [], []),
            ("'id' 'xxx.{,120}, expected a name", [{**good, "id": "x" * 200_000}], [], []),
            ("a category has 'name' 'a.nb'", [good], [plain], ["a\nb"]),
            ("entry 1 of annotations has 'bbox' .*nan", [good], [{**one, "bbox": [1, float("nan"), 3, 4]}], []),
        ):
            with self.subTest(words):
                self.refused(words, self.read, annotations(images, persons, names))

    def test_seconds(self) -> None:
        images = [image("a", 1), {**image("a", 2), "timestamp": "0002.0"}, {**image("a", 3), "timestamp": 3.5}]
        found = self.read(annotations(images, [person("a,0003", [1, 1, 5, 5], 1)]))
        self.assertEqual(found.timestamps.tolist(), [1, 2, 3.5])
        self.assertEqual(self.read(annotations(images[:2], [], ["x"])).timestamps.dtype, np.int32)
        named = {"id": 1, "width": 64, "height": 48}
        self.assertEqual(
            self.read(annotations([{**named, "file_name": "m\\0902.mp4"}], [], ["x"])).timestamps.tolist(), [902]
        )
        for name in ("m/img_00001.jpg", "m/000001.png", "0902.jpg"):
            with self.subTest(name):
                document = annotations([{**named, "file_name": name}], [])
                self.refused("'file_name' .* counts frames.* 'movie' and 'timestamp'", self.read, document)

    def test_units_and_conventions(self) -> None:
        images = [image("a", second) for second in range(1, 5)]

        def document(box: list[float]) -> dict:
            persons = [person(entry["id"], [box[0] + n / 100, *box[1:]], 1) for n, entry in enumerate(images)]
            return annotations(images, persons)

        self.refused("4 of 4 boxes such as 0.4 x 0.5, .* not fractions", self.read, document([0.1, 0.2, 0.4, 0.5]))
        self.refused(r"4 of 4 boxes .* as .*corners .*\(xyxy\) they fit", self.read, document([30, 20, 50, 40]))
        with self.assertLogs("alphaction", "WARNING") as log:
            self.read(annotations(images, [person("a,0001", [50, 30, 40, 10], 1), person("a,0002", [99, 9, 9, 9], 1)]))
        self.assertIn("1 of 2 boxes extend beyond the frame and are clipped, 1 without an area", log.output[-1])

    def test_fields_that_change_the_meaning(self) -> None:
        one = annotations([image("a", 1)], [person("a,0001", [1, 1, 9, 9], 1, plain=True)] * 2, ["person"])
        with self.assertLogs("alphaction", "WARNING") as log:
            self.read(one)
        self.assertIn("only one class, 'person'", log.output[0])
        for entry, action in zip(one["annotations"], ("sit", "stand"), strict=True):
            one["annotations"][0 if action == "sit" else 1] = {**entry, "attributes": {"action": action, "track": 3}}
        self.refused(
            "only one class, 'person', .* attributes 'action' .'sit', 'stand'.*category for each", self.read, one
        )
        one["categories"][0]["name"] = "falling"
        one["annotations"][0]["iscrowd"] = 1
        one["annotations"][1]["score"] = 0.5
        with self.assertLogs("alphaction", "WARNING") as log:
            self.read(one)
        self.assertIn("1 annotations have 'iscrowd'", log.output[0])
        self.assertIn("1 annotations have 'score', as detections have", log.output[1])
        self.assertIn("attributes of the annotations are not read: 'action'", log.output[-1])

    def test_detected_boxes(self) -> None:
        images = [image("a", 1), image("a", 2), image("b", 2)]
        read = self.read(annotations(images, [person("a,0001", [1, 1, 5, 5], 1)]))
        box = {"bbox": [1, 2, 10, 10], "score": 0.5, "category_id": 1}
        path = write_json(
            self.root / "boxes.json",
            [
                {"image_id": "b,2", **box},
                {"movie": "a", "timestamp": 1, **box},
                {"image_id": "c,0001", **box},
                {"image_id": "a,0001", **box, "score": 0.9},
                {"image_id": "a,0001", **box, "score": 0.1},
                {"image_id": "a,0001", "bbox": [100, 2, 10, 10], "score": 0.9},
            ],
        )
        offsets, boxes, scores, unknown = read_clip_boxes(path, read, threshold=0.3)
        self.assertEqual((offsets.tolist(), unknown), ([0, 2, 2, 3], 1))
        self.assertEqual(boxes.tolist(), [[1, 2, 10, 11]] * 3)
        np.testing.assert_allclose(scores, [0.5, 0.9, 0.5])
        offsets, _, scores, _ = read_clip_boxes(path, read, keep_best=2)
        np.testing.assert_allclose(scores, [0.9, 0.5, 0.5])
        self.assertEqual(read_clip_boxes(write_json(path, []), read)[0].tolist(), [0, 0, 0, 0])
        small = {**box, "bbox": [0.1, 0.1, 0.4, 0.8], "image_id": "a,0001"}
        for words, document in (
            ("none of a keyframe", [{"image_id": "c,0001", **box}]),
            ("2 of 2 boxes such as 0.4 x 0.8, less than 2 pixels", [small] * 2),
            ("has 1 boxes, none with a score of at least 0.3", [{**small, "score": 0.2}]),
            ("1 boxes, none .* area inside", [{**small, "bbox": [100, 2, 9, 9]}]),
            ("entry 1 has 'bbox' 3", [{**box, "image_id": "a,0001", "bbox": 3}]),
            ("entry 1 has no 'score'", [{"image_id": "a,0001", "bbox": [1, 2, 3, 4]}]),
            ("entry 1 has no 'movie'", [{"bbox": [1, 2, 3, 4], "score": 1}]),
            ("'score' nan, expected a finite number", [{**box, "image_id": "a,0001", "score": float("nan")}]),
            ("'score' inf", [{**box, "image_id": "a,0001", "score": float("inf")}]),
            ("'score' True", [{**box, "image_id": "a,0001", "score": True}]),
            ("'image_id' None", [{**box, "image_id": None}]),
            ("holds an object, expected a list", {"a": [1]}),
            ("holds an object, expected a list", {}),
        ):
            with self.subTest(words):
                self.refused(words, read_clip_boxes, write_json(path, document), read, 0.3)

    def test_boxes_of_another_set(self) -> None:
        read = self.read(annotations([image("a", 1), image("a", 2)], [person("a,0001", [1, 1, 5, 5], 1)]))
        box = {"bbox": [1, 2, 10, 1], "score": 0.5}
        path = write_json(self.root / "boxes.json", [{"image_id": f"a,{second}", **box} for second in range(4)])
        with self.assertNoLogs("alphaction", "WARNING"):
            read_clip_boxes(path, read)
        write_json(path, [{"image_id": f"a,{second}", **box} for second in range(5)])
        with self.assertLogs("alphaction", "WARNING") as log:
            self.assertEqual(read_clip_boxes(path, read)[3], 3)
        self.assertIn("3 of its 5 boxes are of keyframes that the annotations do not have", log.output[0])


def small_set(root: Path, name: str = "set", movies: tuple[str, ...] = ("wide", "high"), classes: int = 3) -> dict:
    """Two movies of 5 seconds in both orientations with plain annotations -> its entry of DATASETS.CATALOG."""
    images, persons = [], []
    for number, movie in enumerate(movies):
        size = (64, 48) if number % 2 == 0 else (48, 64)
        write_clips(root / name / "clips" / movie, range(900, 905), size)
        for second in range(901, 904):
            images.append(image(movie, second, size))
            persons.append(person(images[-1]["id"], [4 + number, 5, 20, 30], 1 + len(persons) % classes, plain=True))
    ann_file = write_json(root / name / "a.json", annotations(images, persons, [f"c{n}" for n in range(classes)]))
    return {"ROOT": str(root / name), "VIDEO_ROOT": "clips", "ANN_FILE": ann_file.name}


def small_cfg(entries: dict[str, dict], *settings: object):
    cfg = get_cfg()
    cfg.merge_from_list(
        [
            "DATASETS.CATALOG",
            entries,
            "DATASETS.TRAIN",
            tuple(entries),
            "DATASETS.TEST",
            tuple(entries)[:1],
            "DATALOADER.NUM_WORKERS",
            0,
            "SOLVER.VIDEOS_PER_BATCH",
            3,
            "SOLVER.MAX_ITER",
            4,
            "INPUT.FRAME_NUM",
            64,
            "INPUT.FRAME_SAMPLE_RATE",
            1,
            "INPUT.TAU",
            16,
            "INPUT.ALPHA",
            8,
            "INPUT.MIN_SIZE_TRAIN",
            32,
            "INPUT.MIN_SIZE_TEST",
            32,
            "MODEL.ROI_ACTION_HEAD.NUM_CLASSES",
            0,
            *settings,
        ]
    )
    return resolve_classes(cfg)


class DatasetTest(Folder):
    @classmethod
    def setUpClass(cls) -> None:
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.made = Path(holder.name)
        cls.entry = small_set(cls.made)

    def setUp(self) -> None:
        super().setUp()
        self.clips = self.made / "set" / "clips"

    def dataset(self, document: object | None = None, **kwargs) -> AVAVideoDataset:
        path = self.made / "set" / "a.json" if document is None else write_json(self.root / "b.json", document)
        return AVAVideoDataset(self.clips, path, False, 64, **{"num_classes": None, **kwargs})

    def test_sample(self) -> None:
        dataset = build_dataset(small_cfg({"set": self.entry}), "set", is_train=True)
        slow, fast, boxes, objects, extras, idx = dataset[4, 7]
        self.assertEqual((tuple(slow.shape), tuple(fast.shape)), ((3, 4, 42, 32), (3, 32, 42, 32)))
        self.assertEqual((boxes.size, boxes.mode), ((32, 42), "xyxy"))
        self.assertEqual(boxes.get_field("labels").tolist(), [[0, 1, 0]])
        self.assertEqual((objects, extras, idx), (None, {"movie_id": "high", "timestamp": 902, "second": 902.0}, 4))
        for seed in range(7, 20):
            again = dataset[4, seed]
            same = torch.allclose(again[1], fast, atol=1e-4)
            self.assertEqual(torch.allclose(again[2].bbox, boxes.bbox, atol=1e-4), same)
            if not same:
                break
        self.assertTrue(seed > 7 and not same, "equal for the same seed, mirrored for another")
        self.assertEqual(dataset[-2][5], 4)
        self.assertRaises(IndexError, lambda: dataset[6])

    def test_without_transforms(self) -> None:
        video, boxes, idx, movie, second = self.dataset()[0]
        self.assertEqual((video.shape, video.dtype), ((64, 48, 64, 3), np.uint8))
        self.assertEqual((boxes.bbox.tolist(), boxes.size), ([[4, 5, 23, 34]], (64, 48)))
        self.assertEqual((idx, movie, second), (0, "wide", 901))

    def test_an_annotation_comes_back_as_it_was(self) -> None:
        boxes = [[3, 4, 6, 9], [10.25, 11.5, 7.5, 30.75], [0, 0, 64, 48]]
        document = annotations([image("wide", 901)], [person("wide,0901", box, 1) for box in boxes])
        cfg = small_cfg(
            {"set": {**self.entry, "ANN_FILE": str(write_json(self.root / "b.json", document))}},
            "INPUT.MIN_SIZE_TEST",
            37,
            "INPUT.MAX_SIZE_TEST",
            45,
        )
        dataset = build_dataset(cfg, "set", is_train=False)
        found = dataset[0][2]
        found.add_field("scores", torch.zeros(3, 80))
        back = predictions_of(dataset, {0: found}).boxes
        wanted = np.array([[x / 64, y / 48, (x + w) / 64, (y + h) / 48] for x, y, w, h in boxes])
        self.assertGreater(box_iou(back, wanted).min(), 0.9999)
        self.assertGreater(box_iou(dataset.gt_boxes, wanted).min(), 0.9999)

    def test_every_keyframe_needs_its_clip(self) -> None:
        document = annotations([image("wide", 901), image("wide", 906)], [person("wide,0901", [1, 1, 5, 5], 1)])
        self.refused(r"wide/906\.mp4 is missing \(1 of 2 keyframes", self.dataset, document)
        self.refused(r"clips/gone cannot be listed", self.dataset, annotations([image("gone", 1)], [], ["x"]))

    def test_keyframes_without_persons(self) -> None:
        document = annotations([image("wide", 901), image("high", 902)], [person("high,0902", [1, 1, 5, 5], 1)])
        self.assertEqual(len(self.dataset(document)), 2)
        path = write_json(self.root / "b.json", document)
        trained = AVAVideoDataset(self.clips, path, True, 64)
        self.assertEqual((trained.recordings, trained.image_ids), (["high"], ["high,0902"]))
        self.refused(
            "has no persons in its 1 images",
            AVAVideoDataset,
            self.clips,
            write_json(path, annotations([image("wide", 901)], [], ["x"])),
            True,
            64,
        )

    def test_classes_have_to_fit(self) -> None:
        self.assertEqual(self.dataset().num_classes, 3)
        self.refused("NUM_CLASSES is 80, but .*a.json has 3 classes", self.dataset, num_classes=80)
        ava = annotations([image("wide", 901)], [person("wide,0901", [1, 1, 5, 5], 12)], ["x"] * 0)
        self.assertEqual(self.dataset(ava, num_classes=80)[0][1].get_field("labels").shape, (1, 80))
        self.refused("NUM_CLASSES is 60, but .*has 80 classes", self.dataset, ava, num_classes=60)

    def test_detected_persons_and_objects(self) -> None:
        boxes = write_json(
            self.root / "boxes.json",
            [{"image_id": "wide,0901", "bbox": [1, 1, 8, 8], "score": s} for s in (0.2, 0.9, 0.8, 0.7)],
        )
        dataset = self.dataset(
            box_file=boxes,
            box_thresh=0.75,
            object_file=boxes,
            max_objects=3,
            transforms=lambda frames, persons, objects, generator: (0, 0, persons, objects),
        )
        _, _, persons, objects, _, _ = dataset[0]
        self.assertEqual((len(persons), persons.fields()), (2, []))
        np.testing.assert_allclose(objects.get_field("scores"), [0.9, 0.8, 0.7])
        self.assertEqual([len(found) for found in dataset[1][2:4]], [0, 0])
        self.assertIn("boxes.json", dataset.box_source)
        self.assertEqual(dataset.gt_labels().shape, (6, 3))

    def test_damage_is_counted_once_by_all_workers(self) -> None:
        root = self.root / "clips" / "m"
        write_clips(root, range(900, 905))
        write_video(root / "902.mp4", range(9))
        document = annotations(
            [image("m", s) for s in (900, 902, 904)],
            [person(f"m,{s:04d}", [1, 1, 5, 5], 1, plain=True) for s in (900, 902, 904)],
            ["x"],
        )
        entry = {"VIDEO_ROOT": str(root.parent), "ANN_FILE": str(write_json(self.root / "b.json", document))}
        cfg = small_cfg({"set": entry}, "DATALOADER.NUM_WORKERS", 2, "TEST.VIDEOS_PER_BATCH", 1)
        (loader,) = make_data_loader(cfg, is_train=False)
        for expected in (True, False):
            with (
                self.subTest(first=expected),
                (self.assertLogs if expected else self.assertNoLogs)("alphaction.dataset.build", "WARNING") as log,
            ):
                self.assertEqual([ids for *_, ids in loader], [[0], [1], [2]])
            if expected:
                self.assertIn(
                    "set: 2 keyframes with damaged, short or long clips and 2 without a neighboring clip", log.output[0]
                )

    def test_batches_of_one_orientation(self) -> None:
        cfg = small_cfg({"set": self.entry}, "SOLVER.MAX_ITER", 4)
        loader = make_data_loader(cfg, is_train=True)
        self.assertEqual(orientations(loader.dataset.sizes).tolist(), [0, 0, 0, 1, 1, 1])
        shapes = [tuple(batch[1].shape[-2:]) for batch in loader]
        self.assertEqual(sorted(set(shapes)), [(32, 48), (48, 32)])
        cfg = small_cfg({"set": self.entry}, "DATALOADER.ASPECT_RATIO_GROUPING", False, "SOLVER.VIDEOS_PER_BATCH", 6)
        slow, fast, boxes, *_ = next(iter(make_data_loader(cfg, is_train=True)))
        self.assertEqual(tuple(slow.shape), (6, 3, 4, 48, 48))
        self.assertEqual({b.size for b in boxes}, {(42, 32), (32, 42)})

    def test_looking_at_a_set(self) -> None:
        cfg = small_cfg({"set": self.entry})
        text = check_sets(cfg)
        self.assertIn("set: 6 keyframes, 6 persons (0 boxes clipped) in 2 movies", text)
        self.assertRegex(text, r"\nc1 +2 +2\n")
        self.assertIn("slow [3, 3, 4, ", draw_batch(cfg, self.root / "batch.png"))
        self.assertTrue((self.root / "batch.png").stat().st_size)

    def test_clips_of_keyframes_are_read(self) -> None:
        cfg = small_cfg({"set": small_set(self.root)})
        self.assertNotIn("keyframes that were read", check_sets(cfg))
        clips = self.root / "set" / "clips"
        (clips / "wide" / "902.mp4").write_bytes(b"<html>")
        self.assertRegex(
            check_sets(cfg), "1 of 6 keyframes that were read cannot be read .*902.mp4 is damaged, or does not last"
        )
        for second in range(900, 905):
            write_video(clips / "wide" / f"{second}.mp4", [99] * RATE, (48, 48))
        self.assertRegex(
            check_sets(cfg), "3 of 6 keyframes that were read have frames of another shape .*: 48x48, stated 64x48"
        )

    def test_classes_that_differ_are_refused_as_in_training(self) -> None:
        other = small_set(self.root, "other", ("third",))
        document = json.loads((self.root / "other" / "a.json").read_text())
        document["categories"][1]["name"] = "else"
        write_json(self.root / "other" / "a.json", document)
        for train, test in (("set", "other"), ("", "set other"), ("set other", "set")):
            cfg = small_cfg({"set": self.entry, "other": other})
            cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = tuple(train.split()), tuple(test.split())
            sentence = "expected sets of one kind with the same classes"
            if "other" in test:
                source = f"DATASETS.{'TRAIN' if train else 'TEST'} set"
                sentence = (
                    f"Class 2 of 3 is 'else' in the test set other and 'c1' in {source}, expected the same classes"
                )
            with self.subTest(train=train, test=test):
                self.refused(sentence, check_sets, cfg)

    def test_a_test_set_with_the_first_classes_only(self) -> None:
        fewer = small_set(self.root, "fewer", ("third",), classes=2)
        settings = ("MODEL.ROI_ACTION_HEAD.NUM_CLASSES", 0)
        train = build_dataset(small_cfg({"set": self.entry}), "set", is_train=True)
        test = build_dataset(resolve_classes(small_cfg({"fewer": fewer}, *settings)), "fewer", is_train=False)
        check_classes(train.class_names, "DATASETS.TRAIN set", test)
        self.assertRegex(_class_table([train, test]), r"\nc1 +2 +1\nc2 +2 +-$")

    def test_one_channel_is_for_thermal_sets(self) -> None:
        cfg = small_cfg({"set": self.entry}, "INPUT.CHANNELS", 1)
        self.refused("INPUT.CHANNELS is 1", build_dataset, cfg, "set", True)


class ConcatTest(Folder):
    def test_two_sets_as_one(self) -> None:
        entries = {"one": small_set(self.root, "one"), "two": small_set(self.root, "two", ("third",))}
        cfg = small_cfg(entries)
        dataset = build_training_set(cfg)
        parts = dataset.parts
        self.assertEqual([part.name for part in parts], ["one", "two"])
        self.assertEqual([part.parts for part in parts], [[part] for part in parts])
        self.assertEqual((len(dataset), dataset.name, dataset.class_names), (9, "one + two", ["c0", "c1", "c2"]))
        self.assertEqual(dataset.recordings, ["wide", "high", "third"])
        self.assertEqual(dataset.recording_of.tolist(), [0] * 3 + [1] * 3 + [2] * 3)
        self.assertEqual(dataset.box_offsets.tolist(), list(range(10)))
        np.testing.assert_array_equal(dataset.gt_labels()[6:], parts[1].gt_labels())
        np.testing.assert_array_equal(dataset.gt_boxes[6:], parts[1].gt_boxes)
        sample, own = dataset[7, 5], parts[1][1, 5]
        self.assertEqual((sample[5], sample[4]), (7, own[4]))
        torch.testing.assert_close(sample[1], own[1])
        self.assertEqual((dataset[-1][5], dataset.get_video_info(8)["image_id"]), (8, "third,0903"))
        self.assertRaises(IndexError, lambda: dataset[9])
        np.testing.assert_array_equal(dataset.picture(7), parts[1].picture(1))
        keys, pixels = np.array([0, 7]), np.array([[4.0, 5, 23, 34], [8, 10, 47, 69]])
        boxes = dataset.to_fractions(pixels, np.array([[64.0, 48], [128, 96]]), keys)
        np.testing.assert_allclose(boxes, dataset.gt_boxes[keys], atol=0.02)
        found = [
            Predictions(key, box, np.full((1, 3), 0.5)) for key, box in zip(keys[:, None], boxes[:, None], strict=True)
        ]
        apart = [*parts[0].result_rows(found[0], 0), *parts[1].result_rows(found[1]._replace(keys=np.array([1])), 0)]
        together = Predictions(*map(np.concatenate, zip(*found, strict=True)))
        self.assertEqual(list(dataset.result_rows(together, 0)), apart)
        self.assertEqual((dataset.normalized, dataset.report_damage()), (True, ""))
        loader = make_data_loader(small_cfg(entries, "DATALOADER.REPEAT_THRESHOLD", 0.5), is_train=True)
        self.assertEqual(len(list(loader)), 4)

    def test_several_poses_of_a_person_are_counted(self) -> None:
        two = [person("wide,0902", [1, 1, 9, 9], n, plain=True) for n in (1, 3)]
        one = [person("wide,0902", [2, 1, 9, 9], 3, plain=True), person("wide,0901", [1, 1, 9, 9], 2, plain=True)]
        images = [image("wide", second) for second in (903, 901, 902)]
        cfg = small_cfg({"set": small_set(self.root)})
        write_json(self.root / "set" / "a.json", annotations(images, one, "abc"))
        with self.assertNoLogs("alphaction.dataset.classes", "WARNING"):
            build_training_set(cfg)
        write_json(self.root / "set" / "a.json", annotations(images, one + two, "abc"))
        with self.assertLogs("alphaction.dataset.classes", "WARNING") as log:
            build_training_set(cfg)
        self.assertIn(
            "set: 1 of 3 persons have several of the 3 pose classes (the first in the image wide,0902)", log.output[0]
        )

    def test_thermal_sets(self) -> None:
        cfg = thermal_cfg(write_dataset(self.root), "DATASETS.TRAIN", ("thermal_action_train", "thermal_action_val"))
        dataset = build_training_set(cfg)
        self.assertEqual((len(dataset), len(dataset.recordings), len(dataset.opened_recordings)), (10, 2, 2))
        self.assertEqual(orientations(dataset.sizes).tolist(), [0] * 10)
        slow, *_, extras, ids = next(iter(make_data_loader(cfg, is_train=True)))
        self.assertEqual(tuple(slow.shape), (2, 1, 8, 40, 60))
        self.assertEqual([dataset.get_video_info(n)["timestamp"] for n in ids], [e["timestamp"] for e in extras])
        val = build_dataset(cfg, "thermal_action_val", is_train=False)
        self.assertIn("a median of 0 frames from the nearest training keyframe", split_distance(dataset, val))
        scores = evaluate(val, {}, train_dataset=dataset)
        self.assertEqual(scores["baselines"]["nearest"]["mAP"], 100)  # it has seen them
        both = small_cfg({"set": small_set(self.root, classes=14)}, "DATASETS.THERMAL_ROOT", str(self.root))
        both.DATASETS.TRAIN = ("thermal_action_train", "set")
        self.refused(
            r"\(thermal, 14 classes sitting .. other\) and set \(RGB, 14 classes c0 .. c13\)", build_training_set, both
        )

    def test_sets_that_do_not_go_together(self) -> None:
        entries = {"one": small_set(self.root, "one"), "two": small_set(self.root, "two", ("third",), classes=2)}
        cfg = small_cfg(entries)
        self.refused("NUM_CLASSES is 3, but .*two/a.json has 2 classes", build_training_set, cfg)
        document = json.loads((self.root / "one" / "a.json").read_text())
        document["categories"][0]["name"] = "other"
        renamed = {**entries["one"], "ANN_FILE": str(write_json(self.root / "renamed.json", document))}
        self.refused(
            "expected sets of one kind with the same classes",
            build_training_set,
            small_cfg({"one": entries["one"], "renamed": renamed}),
        )
        again = {"one": entries["one"], "again": entries["one"]}
        self.refused("has the keyframe wide 901 twice", build_training_set, small_cfg(again))
        copy = {"one": entries["one"], "copy": small_set(self.root, "copy")}
        self.refused("two different recordings named wide", build_training_set, small_cfg(copy))
        cfg = small_cfg({"one": entries["one"]})
        cfg.DATASETS.TRAIN = ("one", "one")
        self.refused("each once", build_training_set, cfg)


class CatalogTest(Folder):
    def test_ava(self) -> None:
        cfg = get_cfg()
        cfg.DATASETS.AVA_ROOT = str(self.root)
        entry = DatasetCatalog.get("ava_video_val_v2.2", cfg)
        self.assertEqual(entry["factory"], "AVAVideoDataset")
        self.assertEqual(
            entry["args"],
            {
                "video_root": str(self.root / "clips" / "trainval"),
                "ava_ids": True,
                "ann_file": str(self.root / "annotations" / "ava_val_v2.2_min.json"),
            },
        )
        self.assertEqual(Path(entry["box_file"]).name, "ava_val_det_person_bbox.json")
        self.assertEqual(Path(entry["object_file"]).name, "ava_val_det_object_bbox.json")
        self.assertEqual(
            {key: Path(path).name for key, path in entry["eval_file_paths"].items()},
            {
                "csv_gt_file": "ava_val_v2.2.csv",
                "labelmap_file": "ava_action_list_v2.2_for_activitynet_2019.pbtxt",
                "exclusion_file": "ava_val_excluded_timestamps_v2.2.csv",
            },
        )
        write_json(self.root / "annotations" / "ava_train_v2.2.json", {})
        entry = DatasetCatalog.get("ava_video_train_v2.2", cfg)
        self.assertEqual((Path(entry["args"]["ann_file"]).name, entry["box_file"]), ("ava_train_v2.2.json", None))

    def test_registered_sets(self) -> None:
        cfg = get_cfg()
        cfg.merge_from_list(
            [
                "DATASETS.CATALOG",
                {
                    "ward": {"ROOT": "/w", "ANN_FILE": "a.json", "BOX_FILE": "b.json"},
                    "kitchen": {"VIDEO_ROOT": "clips", "ANN_FILE": "/k/a.json"},
                    "hall": {
                        "ROOT": "/h",
                        "VIDEO_ROOT": "clips",
                        "ANN_FILE": "a.json",
                        "CSV_GT_FILE": "/x/g.csv",
                        "LABELMAP_FILE": "l.pbtxt",
                    },
                },
            ]
        )
        self.assertEqual(DatasetCatalog.get("ward", cfg)["box_file"], "/w/b.json")
        entry = DatasetCatalog.get("kitchen", cfg)
        self.assertEqual(entry["args"], {"video_root": "clips", "ann_file": "/k/a.json", "ava_ids": False})
        entry = DatasetCatalog.get("hall", cfg)
        self.assertEqual(entry["args"], {"video_root": "/h/clips", "ann_file": "/h/a.json", "ava_ids": True})
        self.assertEqual(entry["eval_file_paths"], {"csv_gt_file": "/x/g.csv", "labelmap_file": "/h/l.pbtxt"})

    def test_wrong_entries(self) -> None:
        good = {"VIDEO_ROOT": "v", "ANN_FILE": "a"}
        for words, entry in (
            ("CATALOG.x is {'VIDEO_ROOT': 'v'}", {"VIDEO_ROOT": "v"}),
            ("CATALOG.x is 3", 3),
            ("CATALOG.x.BOX_FIEL is 'b', expected BOX_FILE", {**good, "BOX_FIEL": "b"}),
            ("CATALOG.x.OBJECT_FILE is 3, expected a path", {**good, "OBJECT_FILE": 3}),
            (
                "CATALOG.x.OBJECT_FILE is 'o', expected VIDEO_ROOT beside it",
                {"ROOT": "r", "ANN_FILE": "a", "OBJECT_FILE": "o"},
            ),
            ("CATALOG.x.VIDEO_ROT is 'v', expected VIDEO_ROOT;", {"ROOT": "r", "ANN_FILE": "a", "VIDEO_ROT": "v"}),
            ("has CSV_GT_FILE, expected CSV_GT_FILE and LABEL", {**good, "CSV_GT_FILE": "c"}),
        ):
            cfg = get_cfg()
            cfg.DATASETS.CATALOG["x"] = entry
            with self.subTest(words):
                self.refused(words, DatasetCatalog.get, "x", cfg)

    def test_files_are_looked_for_at_once(self) -> None:
        entry = {**small_set(self.root), "OBJECT_FILE": "objects.json", "BOX_FILE": "persons.json"}
        cfg = small_cfg({"set": entry})
        self.refused(
            r"set needs .*set/persons.json \(detected persons.* or correct DATASETS.CATALOG.set",
            build_dataset,
            cfg,
            "set",
            False,
        )
        build_dataset(cfg, "set", is_train=True)  # no object blocks
        cfg.merge_from_list(["MODEL.IA_STRUCTURE.ACTIVE", True, "MODEL.IA_STRUCTURE.MAX_OBJECT", 2])
        self.refused(r"needs .*set/objects.json \(detected objects", build_dataset, cfg, "set", True)
        entry = {**small_set(self.root), "CSV_GT_FILE": "g.csv", "LABELMAP_FILE": "l.pbtxt"}
        cfg = small_cfg({"set": entry}, "MODEL.ROI_ACTION_HEAD.NUM_CLASSES", 80)
        self.refused(r"needs .*set/g.csv \(AVA's ground truth", build_dataset, cfg, "set", False)
        self.assertEqual(build_dataset(cfg, "set", is_train=True).num_classes, 80)

        cfg.DATASETS.AVA_ROOT = str(self.root)
        self.refused(
            r"needs .*ava_val_v2.2_min.json \(annotations\), .*correct DATASETS.AVA_ROOT",
            build_dataset,
            cfg,
            "ava_video_val_v2.2",
            False,
        )

    def test_object_blocks_need_objects(self) -> None:
        with_objects = {**small_set(self.root, "one"), "OBJECT_FILE": "objects.json"}
        write_json(self.root / "one" / "objects.json", [])
        entries = {"one": with_objects, "two": small_set(self.root, "two", ("third",))}
        ia = ("MODEL.IA_STRUCTURE.ACTIVE", True, "MODEL.IA_STRUCTURE.MAX_OBJECT", 2)
        self.refused(
            "O blocks, but the data set two has no OBJECT_FILE, .* under DATASETS.CATALOG.two, or .*MAX_OBJECT",
            build_training_set,
            small_cfg(entries, *ia),
        )
        parallel = ("MODEL.IA_STRUCTURE.I_BLOCK_LIST", [["P", "M"], ["O", "M"]])
        self.refused("two has no OBJECT_FILE", build_dataset, small_cfg(entries, *ia, *parallel), "two", False)
        without = small_cfg(entries, *ia, "MODEL.IA_STRUCTURE.I_BLOCK_LIST", ["P", "M"])
        for cfg in (without, small_cfg(entries, *ia[:2])):
            objects = next(iter(make_data_loader(cfg, is_train=True)))[3]
            self.assertIsNone(objects)
        objects = next(iter(make_data_loader(small_cfg({"one": with_objects}, *ia), is_train=True)))[3]
        self.assertEqual([len(found) for found in objects], [0, 0, 0])
        cfg = thermal_cfg(write_dataset(self.root / "thermal"), *ia)
        self.refused(
            "thermal set thermal_action_train has no OBJECT_FILE, .*; set MODEL.IA_STRUCTURE.MAX_OBJECT to 0",
            build_training_set,
            cfg,
        )

    def test_the_sets_own_box_file_wins(self) -> None:
        entry = {**small_set(self.root), "BOX_FILE": "persons.json"}
        box = {"image_id": "wide,0901", "bbox": [1, 1, 8, 8], "score": 0.9}
        own = write_json(self.root / "set" / "persons.json", [box])
        other = write_json(self.root / "other.json", [box] * 2)
        for chosen, wanted in ((entry, own), (small_set(self.root), other)):
            cfg = small_cfg({"set": chosen}, "TEST.BOX_FILE", str(other))
            with self.assertLogs("alphaction", "INFO") as logs:
                dataset = build_dataset(cfg, "set", is_train=False)
            self.assertEqual(dataset.box_source, str(wanted))
            self.assertEqual("not on TEST.BOX_FILE" in "".join(logs.output), wanted is own)


class ClassesTest(Folder):
    def test_as_many_as_the_set_has(self) -> None:
        cfg = small_cfg({"set": small_set(self.root, classes=2)})
        head = cfg.MODEL.ROI_ACTION_HEAD
        self.assertEqual(
            (
                head.NUM_CLASSES,
                head.NUM_PERSON_MOVEMENT_CLASSES,
                head.NUM_OBJECT_MANIPULATION_CLASSES,
                head.NUM_PERSON_INTERACTION_CLASSES,
            ),
            (2, 2, 0, 0),
        )
        self.assertIs(resolve_classes(cfg), cfg)
        cfg = get_cfg()
        cfg.merge_from_list(["MODEL.ROI_ACTION_HEAD.NUM_CLASSES", 0, "DATASETS.TEST", ("thermal_action_val",)])
        cfg.freeze()
        resolved = resolve_classes(cfg)
        self.assertEqual((resolved.MODEL.ROI_ACTION_HEAD.NUM_CLASSES, resolved.is_frozen()), (14, True))
        self.assertEqual(cfg.MODEL.ROI_ACTION_HEAD.NUM_CLASSES, 0)
        cfg = get_cfg()
        cfg.MODEL.ROI_ACTION_HEAD.NUM_CLASSES = 0
        self.refused("NUM_CLASSES is 0, as many as the data set has, but", resolve_classes, cfg)

    def test_testing_needs_no_training_annotations(self) -> None:
        cfg = get_cfg()
        gone = {"VIDEO_ROOT": "clips", "ANN_FILE": str(self.root / "gone.json")}
        cfg.merge_from_list(
            [
                "MODEL.ROI_ACTION_HEAD.NUM_CLASSES",
                0,
                "DATASETS.TRAIN",
                ("gone",),
                "DATASETS.TEST",
                ("set",),
                "DATASETS.CATALOG",
                {"gone": gone, "set": small_set(self.root, classes=2)},
            ]
        )
        self.assertEqual(resolve_classes(cfg).MODEL.ROI_ACTION_HEAD.NUM_CLASSES, 2)
        cfg.DATASETS.TEST = ()
        self.refused("gone.json does not exist", resolve_classes, cfg)


def write_large(root: Path, movies: int, persons_per_keyframe: float, seconds: int = 897) -> Path:
    """An annotation file as large as AVA's, and empty files as clips."""
    rng = np.random.default_rng(0)
    images = [image(f"movie_{m:04d}", 902 + s, (640, 360)) for m in range(movies) for s in range(seconds)]
    for m in range(movies):
        (root / "clips" / f"movie_{m:04d}").mkdir(parents=True)
        for s in range(899, 904 + seconds):
            (root / "clips" / f"movie_{m:04d}" / f"{s}.mp4").touch()
    owners = np.sort(rng.integers(0, len(images), int(len(images) * persons_per_keyframe)))
    boxes = np.round(rng.uniform(20, 250, (len(owners), 4)), 2).tolist()
    ids = rng.integers(1, 81, (len(owners), 3)).tolist()
    persons = [
        person(images[k]["id"], box, *set(numbers)) for k, box, numbers in zip(owners.tolist(), boxes, ids, strict=True)
    ]
    return write_json(root / "a.json", annotations(images, persons))


class MemoryTest(Folder):
    def test_index_is_a_few_arrays(self) -> None:
        path = write_large(self.root, 2, 3.65)
        dataset = AVAVideoDataset(self.root / "clips", path, False, 64)
        total = 0
        for value in vars(dataset).values():
            self.assertFalse(isinstance(value, (list, dict)) and len(value) > 80, "no list per keyframe or person")
            total += value.nbytes if isinstance(value, (np.ndarray, torch.Tensor)) else 0
        total += sum(clips.seconds.nbytes + clips._names.nbytes for clips in dataset.clips)
        self.assertLess(total / len(dataset) * 230_000, 80e6)

    @unittest.skipUnless(os.environ.get("ALPHACTION_SLOW") == "1", "slow: ALPHACTION_SLOW=1")
    def test_ava_train_size(self) -> None:
        """230,000 keyframes and 840,000 boxes: at most 150 MB more in the process after set-up."""
        path = write_large(self.root, 257, 3.65)
        program = """if True:
            import sys
            from alphaction.dataset.datasets import AVAVideoDataset
            def resident():
                with open("/proc/self/status") as file:
                    return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))
            before = resident()
            dataset = AVAVideoDataset(sys.argv[1], sys.argv[2], True, 64)
            print(resident() - before, len(dataset), len(dataset.gt_packed))
        """
        found = subprocess.run(
            [sys.executable, "-c", program, str(self.root / "clips"), str(path)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        print(f"{found[1]} keyframes, {found[2]} persons: {float(found[0]):.0f} MB")
        self.assertGreater(int(found[1]), 220_000)
        self.assertGreater(int(found[2]), 839_000)
        self.assertLess(float(found[0]), 150)


if __name__ == "__main__":
    unittest.main()
