"""Recordings and annotation records become a data set."""

from __future__ import annotations

import io
import json
import os
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path

import h5py
import numpy as np
from thermal_files import lose_packets
from tool_scripts import load_tool

from alphaction.annotations.classes import ClassList, exclusive_classes
from alphaction.annotations.labels import unpack
from alphaction.annotations.thermal_annotations import read_annotations
from alphaction.errors import UserError
from alphaction.recordings.build_set import build_thermal_set
from alphaction.recordings.raw_files import read_recording
from alphaction.recordings.raw_layout import RawOptions

REAL_ROOT = os.environ.get("ALPHACTION_THERMAL_ROOT")
REAL_RECORDS = os.environ.get("ALPHACTION_THERMAL_ANNOTATIONS")


def person(subcategory: str = "standing", bbox=(0.5, 0.5, 0.2, 0.2), **more) -> dict:
    return {"category": "person", "subcategory": subcategory, "bbox": list(bbox), "object_id": 0, **more}


def record(name: str, time: int, *annotations: dict, at: int = 1) -> dict:
    return {"data_id": name, "data_time": time, "annotation_time": at, "annotations": list(annotations)}


class Base(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.frames = self.folder / "frames"
        self.frames.mkdir()
        self.records_file = self.folder / "records.jsonl"
        self.out = self.folder / "out"
        self.pictures = np.random.default_rng(0).normal(18, 1, (20, 40, 60)).astype(np.float32)

    def add_hdf5(self, name: str, start: int, **datasets) -> None:
        with h5py.File(self.frames / f"{name}.h5", "w") as file:
            file["frames"] = datasets.get("frames", self.pictures)
            file["timestamps"] = datasets.get("timestamps", start + 167 * np.arange(20))

    def write(self, *records: dict) -> None:
        self.records_file.write_text("\n".join(json.dumps(entry) for entry in records))

    def build(self, **options):
        return build_thermal_set(self.frames, self.records_file, self.out, **options)

    def document(self, split: str) -> dict:
        return json.loads((self.out / "annotations" / f"{split}.json").read_text())

    def refused(self, *words: str, **options) -> None:
        with self.assertRaises(UserError) as caught:
            self.build(**options)
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertFalse(self.out.exists())


class Build(Base):
    def two_recordings(self) -> None:
        self.add_hdf5("A", 10_000)
        self.add_hdf5("B", 90_000)
        starts = (("A", 10_000), ("B", 90_000))
        self.write(*(record(name, start + 167 * i, person()) for name, start in starts for i in range(0, 20, 4)))

    def test_split_by_recording(self) -> None:
        self.two_recordings()
        report = self.build(val_share=0.4)
        used = [{image["sensor_id"] for image in self.document(split)["images"]} for split in ("train", "val")]
        self.assertEqual(sorted(map(len, used)), [1, 1])
        self.assertFalse(used[0] & used[1])
        self.assertIn("0 of 1 validation recordings", str(report))

    def test_random_split_prints_leakage(self) -> None:
        self.two_recordings()
        report = self.build(split="random")
        self.assertEqual((report.keyframes["train"], report.keyframes["val"]), (8, 2))
        self.assertIn("2 of 2 validation recordings", str(report))
        self.assertIn("a median of 4", str(report))

    def test_a_rate_that_is_not_used_is_named(self) -> None:
        self.two_recordings()
        self.assertNotIn("--rate", str(self.build(split="random")))
        text = str(self.build(split="random", options=RawOptions(rate=8), overwrite=True))
        self.assertIn("--rate 8 is not used for A, B, which have times: those of A give 5.99 frames per second", text)
        np.save(self.frames / "C.npy", self.pictures)
        with self.records_file.open("a") as file:
            file.write("\n" + json.dumps(record("C", 250, person())))
        text = str(self.build(split="random", options=RawOptions(rate=8), overwrite=True))
        self.assertIn("not used for A, B, which", text)

    def test_overlapping_times_are_printed(self) -> None:
        self.add_hdf5("A", 10_000)
        self.add_hdf5("B", 12_000)
        self.write(record("A", 10_000, person()), record("B", 12_000, person()))
        self.assertIn("overlap in time: A and B", str(self.build(val_share=0.5)))

    def test_npy_and_csv_give_what_hdf5_gives(self) -> None:
        times = np.round(5_000 + 166.7 * np.arange(20)).astype(np.int64)
        self.add_hdf5("H", 5_000, timestamps=times)
        np.save(self.frames / "N.npy", self.pictures)
        np.save(self.frames / "N.times.npy", times)
        np.save(self.frames / "M.npy", self.pictures.reshape(20, -1))
        (self.frames / "M.times.csv").write_text("time\n" + "\n".join(map(str, times)))
        table = np.column_stack([times, self.pictures.reshape(20, -1)])
        np.savetxt(self.frames / "C.csv", table, delimiter=",", fmt="%.9g", header="time,pixels", comments="")
        for file in ("H.h5", "N.npy", "M.npy", "C.csv"):
            recording = read_recording(self.frames / file)
            np.testing.assert_array_equal(recording.timestamps, times)
            np.testing.assert_array_equal(recording.frames, self.pictures)
        (self.frames / "B.csv").write_bytes(b"\xef\xbb\xbf" + (self.frames / "C.csv").read_bytes().split(b"\n", 1)[1])
        np.save(self.frames / "T.npy", self.pictures)
        (self.frames / "T.times.csv").write_text("\n".join(map(str, times)), encoding="utf-8-sig")
        for file in ("B.csv", "T.npy"):  # with a byte order mark and without a first line of words
            recording = read_recording(self.frames / file)
            np.testing.assert_array_equal(recording.timestamps, times)
            np.testing.assert_array_equal(recording.frames, self.pictures)
        self.write(*(record(name, 5_000, person()) for name in "HNMC"))
        self.build(val_share=0.25)
        with h5py.File(self.out / "frames" / "C.h5") as file:
            np.testing.assert_array_equal(file["frames"][()], self.pictures)

    def test_what_cannot_be_used_is_counted_and_named(self) -> None:
        self.two_recordings()
        records = [json.loads(text) for text in self.records_file.read_text().splitlines()]
        records += [
            record("A", 10_000 + 167, person(None)),
            record("A", 99_000, person()),
            record("Z", 10_000, person()),
            record("A", 10_000 + 334, {"category": "furniture", "subcategory": "chair", "bbox": [0.5, 0.5, 1, 1]}),
            record("A", 10_000 + 501, person(bbox=(0.5, 0.5, 0, 0.1))),
            {"data_id": "A", "annotations": []},
            {"x": 1},
            record("A", 10_000 + 835, person(bbox=(10**400, 0.5, 0.1, 0.1)), at=2),
            record("A", 10_000 + 1002, person(bbox=("0.5", 0.5, 0.1, 0.1)), at=2),
            {**record("A", 10_000 + 1169, person()), "annotation_time": "noon"},
            record("A", 10**30, person()),
            {**record("A", 10_000 + 1503, person()), "mac_address": "\ud800"},
            record("B", 90_167, person(bbox=(1.4, 0.5, 0.2, 0.2)), person()),
        ]
        self.write(*records)
        report = self.build(split="random")
        self.assertEqual(report.keyframes["train"] + report.keyframes["val"], 12)
        self.assertEqual(report.negatives["train"] + report.negatives["val"], 1)
        text = str(report)
        for part in (
            "person of unknown subcategory (None)",
            "furniture 1",
            "without a frame within 100 ms",
            "recording without frames (Z)",
            "positive size",
            "expected four numbers",
            "'annotation_time' is not a whole number",
            "'mac_address' that is not text",
            "without 'annotations'",
            "'data_time'",
            "wholly outside",
            "records.jsonl line 11",
        ):
            self.assertIn(part, text)
        self.assertEqual(report.unused["record without a usable person"], 4)

    def test_classes_of_the_records(self) -> None:
        self.two_recordings()
        with self.records_file.open("a") as file:
            file.write("\n" + json.dumps(record("B", 90_167, person("hopping"))))
        report = self.build(split="random")
        self.assertIn("2 classes: 'hopping', 'standing'", str(report))
        self.assertEqual([entry["name"] for entry in self.document("val")["categories"]], ["hopping", "standing"])

    def test_a_list_of_classes(self) -> None:
        self.two_recordings()
        with self.records_file.open("a") as file:
            file.write("\n" + json.dumps(record("A", 10_167, person(["standing", "phone"]))))
        classes = ClassList(("phone", "standing", "sitting"), (False, True, True))
        report = self.build(split="random", classes=classes)
        self.assertEqual(report.persons["train"] + report.persons["val"], 11, "one person with two classes")
        root = self.out / "annotations"
        mapping = json.loads((root / "class_mapping.json").read_text())
        self.assertEqual((mapping["classes"][0], mapping["independent"]), ("phone", ["phone"]))
        found = [read_annotations(root / f"{split}.json") for split in ("train", "val")]
        self.assertEqual([one.classes for one in found], [classes] * 2)
        labels = np.concatenate([unpack(one.packed, 3) for one in found])
        self.assertEqual(sorted(labels.tolist()), [[0, 1, 0]] * 10 + [[1, 1, 0]])

    def test_misspelled_classes(self) -> None:
        self.two_recordings()
        known = exclusive_classes(("stand", "sit"))
        self.refused("records.jsonl line 1 names the class 'standing'", "did you mean 'stand'?", classes=known)
        records = [json.loads(text) for text in self.records_file.read_text().splitlines()]
        for name, other in (("Standing", "standing"), ("standin", "standing"), ("siting", "sitting")):
            self.write(*records, record("A", 10_167, person(name)))
            self.refused(f"line 11 names the class '{name}' (1 x), which looks like '{other}' misspelled", "--classes")
        self.write(*records, record("A", 10_167, person("siting")))
        self.build(split="random", classes=exclusive_classes(("standing", "siting")))

    def test_names_that_look_the_same_or_join_others(self) -> None:
        self.two_recordings()
        records = [json.loads(text) for text in self.records_file.read_text().splitlines()]
        self.write(*records, record("A", 10_167, person("standing\u200b")))
        self.refused("which looks like 'standing' misspelled")
        for name in ("standing,sitting", "sitting; standing", "standing + sitting"):
            self.write(*records, record("A", 10_167, person(name)))
            self.refused("which joins the names of other classes", "expected a list of names", "--classes")

    def test_latest_annotation_of_a_frame_counts(self) -> None:
        self.two_recordings()
        with self.records_file.open("a") as file:
            for at, name in ((9, "sitting"), (5, "walking")):
                file.write("\n" + json.dumps(record("A", 10_000, person(name), at=at)))
        report = self.build(split="random")
        found = [
            a for split in ("train", "val") for a in self.document(split)["annotations"] if a["image_id"] == "A_10000"
        ]
        self.assertEqual([a["category_name"] for a in found], ["sitting"])
        self.assertEqual(sum(report.unused.values()), 2)

    def test_damaged_frames_are_counted(self) -> None:
        self.two_recordings()
        damaged = self.pictures.copy()
        for frame in (3, 4, 17):
            damaged[frame] = lose_packets(damaged[frame], [1])
        damaged[7, 3, 3] = np.nan  # a dead pixel, not a lost packet
        self.add_hdf5("B", 90_000, frames=damaged)
        self.build(split="random")
        sensors = json.loads((self.out / "frames" / "sensor_info.json").read_text())
        self.assertEqual({name: entry["corrupted_frames"] for name, entry in sensors.items()}, {"A": 0, "B": 3})
        self.assertEqual(json.loads((self.out / "dataset_info.json").read_text())["frames"]["corrupted_frames"], 3)
        with h5py.File(self.out / "frames" / "B.h5") as file:
            self.assertEqual(file.attrs["corrupted_count"], 3)

    def test_frames_without_a_person_are_kept(self) -> None:
        self.two_recordings()
        with self.records_file.open("a") as file:
            for extra in ([], [{"category": "furniture", "subcategory": "chair", "bbox": [0.5, 0.5, 1, 1]}]):
                file.write("\n" + json.dumps(record("A", 10_000 + 167 * (1 + len(extra)), *extra)))
        report = self.build(split="random")
        self.assertEqual(sum(report.negatives.values()), 2)
        self.assertIn("without a person)", str(report))
        self.assertFalse(report.unused)
        images = {image["id"] for split in ("train", "val") for image in self.document(split)["images"]}
        self.assertLessEqual({"A_10167", "A_10334"}, images)

    def test_other_arrays_units_and_classes(self) -> None:
        pictures = np.round((self.pictures[:, :24, :32].astype(np.float64) + 273.15) * 100).astype(np.uint16)
        for name, start in (("A", 10_000), ("B", 90_000)):
            np.save(self.frames / f"{name}.npy", pictures.reshape(20, -1))
            np.save(self.frames / f"{name}.times.npy", start + 125 * np.arange(20))
        pose_and_more = person(["falls", "phones"], (0.25, 0.5, 0.2, 0.2))
        self.write(record("A", 10_000, pose_and_more), record("B", 90_125, person("falls")))
        options = RawOptions("centikelvin", (24, 32))
        classes = ClassList(("falls", "sits", "phones"), (True, True, False))
        report = self.build(val_share=0.5, options=options, classes=classes)
        self.assertEqual(sum(report.persons.values()), 2)
        documents = [self.document(split) for split in ("train", "val")]
        for document in documents:
            self.assertEqual([category["name"] for category in document["categories"]], ["falls", "sits", "phones"])
            self.assertEqual({(i["width"], i["height"]) for i in document["images"]}, {(32, 24)})
        labels = [(a["image_id"], a["category_id"], a["category_name"]) for d in documents for a in d["annotations"]]
        expected = [("A_10000", 0, "falls"), ("A_10000", 2, "phones"), ("B_90125", 0, "falls")]
        self.assertEqual(sorted(labels), expected)
        with h5py.File(self.out / "frames" / "A.h5") as file:
            np.testing.assert_allclose(file["frames"][()], self.pictures[:, :24, :32], atol=0.006)
            self.assertEqual((file.attrs["frame_height"], file.attrs["frame_width"]), (24, 32))
        self.assertEqual(json.loads((self.out / "dataset_info.json").read_text())["annotations"]["total_classes"], 3)

    def test_what_is_not_read_is_named(self) -> None:
        self.two_recordings()
        self.add_hdf5("C", 500_000)
        (self.frames / "A.txt").write_text("camera 3\n")
        (self.frames / "old").mkdir()
        folder = self.folder / "records"
        folder.mkdir()
        self.records_file.rename(folder / "all.jsonl")
        (folder / "more.xml").write_text("<a/>")
        text = str(build_thermal_set(self.frames, folder, self.out))
        for part in ("without frames: A.txt", "pictures: old", "without a keyframe: C", "records: more.xml"):
            self.assertIn(part, text)

    def test_records_of_other_systems(self) -> None:
        self.add_hdf5("Ku\u0308che", 10_000)
        self.add_hdf5("B", 90_000)
        entry = {**record("K\u00fcche", 10_000, person()), "note": "a\u2028b", "data_time": 10_000.0}
        lines = [json.dumps(line, ensure_ascii=False) for line in (entry, record("B", 90_000, person()))]
        self.records_file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
        report = self.build(val_share=0.5)
        self.assertEqual((sum(report.persons.values()), sum(report.unused.values())), (2, 0))
        self.assertTrue((self.out / "frames" / "K\u00fcche.h5").is_file())

    def test_one_json_list_is_read_like_lines(self) -> None:
        self.two_recordings()
        records = [json.loads(text) for text in self.records_file.read_text().splitlines()]
        self.records_file.write_text(json.dumps(records, indent=1))
        self.assertEqual(self.build().records, 10)

    def test_existing_data_stay(self) -> None:
        self.two_recordings()
        self.out.mkdir()
        (self.out / "precious").write_text("x")
        for overwrite in (False, True):
            with self.assertRaises(UserError):
                self.build(overwrite=overwrite)
        self.assertEqual(os.listdir(self.out), ["precious"])
        for target in (self.frames, self.folder, self.frames / "set"):
            with self.assertRaises(UserError):
                build_thermal_set(self.frames, self.records_file, target, overwrite=True)
        self.assertEqual(sorted(os.listdir(self.frames)), ["A.h5", "B.h5"])


class BadInput(Base):
    def test_sentences(self) -> None:
        self.write(record("A", 10_000, person()), record("A", 11_000, person()))
        self.refused("no .h5")
        self.add_hdf5("A", 10_000)
        self.refused("split would be empty", "two annotated recordings")
        self.refused("--split", split="day")
        self.refused("--val-share", val_share=1.5)
        self.records_file.write_text("{broken")
        self.refused("records.jsonl line 1", "JSON")
        self.write(record("Z", 1, person()))
        self.refused("no usable keyframe", "recording without frames (Z)")
        self.records_file.unlink()
        self.refused("records.jsonl does not exist, expected annotation records")
        if hasattr(os, "mkfifo"):
            os.mkfifo(self.records_file)  # opening it would wait forever
            self.refused("is not a regular file")

    def test_units_and_conventions_of_boxes(self) -> None:
        self.add_hdf5("A", 10_000)
        self.add_hdf5("B", 90_000)
        for bbox, words in (
            ((50, 50, 20, 20), "not pixels or percent (6 of 6"),
            ((20, 12, 9, 15), "not pixels or percent (6 of 6"),
            ((0.05, 0.05, 0.2, 0.6), "x, y, width, height (xywh)"),
        ):
            starts = (("A", 10_000), ("B", 90_000))
            self.write(*(record(name, start + 334 * i, person(bbox=bbox)) for name, start in starts for i in range(3)))
            self.refused(words)

    def test_times_of_records_that_are_no_milliseconds(self) -> None:
        self.add_hdf5("A", 10_000)
        for time, words in (
            (str(10_167), "split would be empty"),
            ("2026-01-31T12:00:00", "is text"),
            (None, "no whole"),
        ):
            self.write(record("A", time, person()))
            self.refused(words)

    def test_errors_carry_the_counts(self) -> None:
        self.add_hdf5("A", 10_000)
        self.add_hdf5("B", 90_000)
        (self.frames / "C.seq").write_text("x")
        self.write(
            *(record("A", 10_000 + 167 * i, person("")) for i in range(3)),
            record("B", 90_000, {"category": "Person", "subcategory": "standing", "bbox": [0.5, 0.5, 0.2, 0.2]}),
            record("B", 90_167, {"category": "chair", "bbox": [0.5, 0.5, 0.2, 0.2]}),
            record("../B", 90_000, person()),
        )
        self.refused(
            "The train split would have no person",
            "of 6 records",
            "3 x person of unknown subcategory ('')",
            "1 x record whose 'data_id' is no plain name (../B)",
            "1 x annotation of category 'Person', expected 'person'",
            "1 boxes of other categories than person (chair 1)",
            "files of other formats C.seq",
        )

    def test_persons_far_below_a_pixel(self) -> None:
        for name, start in (("A", 10_000), ("B", 90_000)):
            self.add_hdf5(name, start)
        tiny = person(bbox=(0.5, 0.5, 0.005, 0.01))
        self.write(record("A", 10_000, tiny), record("B", 90_000, tiny))
        self.refused("has 2 of 2 boxes such as 0.3 x 0.4 pixels of the sensor", "check the unit of the labels")

    def test_a_split_without_persons(self) -> None:
        self.add_hdf5("A", 10_000)
        self.add_hdf5("B", 90_000)
        self.write(record("A", 10_000, person()), record("B", 90_000))
        self.refused("split would have no person", "2 records")

    def test_bad_options(self) -> None:
        for word, options in (
            ("--rate is -8", {"rate": -8.0}),
            ("--rate is nan", {"rate": float("nan")}),
            ("--temperature-range is 60 20", {"temperature_range": (60.0, 20.0)}),
            ("--shape is (0, 32)", {"shape": (0, 32)}),
        ):
            with self.assertRaises(UserError) as caught:
                RawOptions(**options)
            self.assertIn(word, str(caught.exception))

    def test_scenes_outside_the_range(self) -> None:
        self.add_hdf5("A", 10_000, frames=self.pictures + 100)
        self.add_hdf5("B", 90_000, frames=self.pictures + 100)
        self.write(record("A", 10_000, person()), record("B", 90_000, person()))
        self.refused("A.h5 has a median of 118", "-20..60", "--temperature-range")
        self.build(options=RawOptions(temperature_range=(50, 150)))

    def test_bad_recordings(self) -> None:
        self.write(record("A", 10_000, person()))
        times = 10_000 + 167 * np.arange(20)
        for words, change in (
            (("shape [20, 2400]",), {"frames": np.zeros((20, 2400))}),
            (("20 frames and 19 times",), {"timestamps": times[:19]}),
            (("run backwards",), {"timestamps": times[::-1]}),
            (("back in time", "frame 5"), {"timestamps": np.where(np.arange(20) < 5, times, times - 200)}),
            (("type",), {"frames": np.full((20, 40, 60), b"x")}),
        ):
            self.add_hdf5("A", 10_000, **change)
            with self.assertRaises(UserError) as caught:
                read_recording(self.frames / "A.h5")
            for word in words:
                self.assertIn(word, str(caught.exception))
        for words, frames in (
            ("look like kelvin.*--unit kelvin", self.pictures + 273.15 + 9),
            ("same|at every pixel", np.full_like(self.pictures, 20)),
        ):
            self.add_hdf5("A", 10_000, frames=frames)
            with self.assertRaisesRegex(UserError, words):
                read_recording(self.frames / "A.h5")
        with h5py.File(self.frames / "A.h5", "w") as file:
            file["pictures"] = self.pictures
        self.refused("has no 'frames'", "pictures")
        with h5py.File(self.frames / "A.h5", "w") as file:
            file["frames"] = self.pictures
        self.refused("has no 'timestamps'")
        (self.frames / "A.h5").write_bytes(b"no HDF5")
        self.refused("A.h5", "HDF5")
        (self.frames / "A.h5").unlink()
        np.save(self.frames / "A.npy", self.pictures)
        self.refused("no times", "A.times.npy")
        (self.frames / "A.csv").write_text("1,2,3")
        self.refused("one file per recording")
        (self.frames / "A.npy").unlink()
        self.refused("3 numbers per line")
        (self.frames / "A.csv").write_text("1,2,x")
        self.refused("numbers separated by commas")

    def test_tool_refuses_with_one_sentence_and_explains_the_formats(self) -> None:
        with self.assertRaisesRegex(UserError, r"\A.*\Z"):
            load_tool("build_thermal_dataset").main(
                ["--frames", str(self.frames), "--annotations", str(self.records_file), "--out", str(self.out)]
            )
        with redirect_stdout(io.StringIO()) as text, self.assertRaises(SystemExit):
            load_tool("build_thermal_dataset").main(["--help"])
        for word in ("NAME.times.csv", "data_time", "center-x", "--unit", "--temperature-range"):
            self.assertIn(word, text.getvalue())


@unittest.skipUnless(REAL_ROOT and REAL_RECORDS, "ALPHACTION_THERMAL_ROOT or ALPHACTION_THERMAL_ANNOTATIONS is not set")
class RealSet(unittest.TestCase):
    def test_records_and_frames_give_the_real_set(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "set"
            report = build_thermal_set(Path(REAL_ROOT) / "frames", REAL_RECORDS, out, split="random")
            self.assertFalse(report.unused)
            documents = [
                [json.loads((Path(root) / "annotations" / f"{split}.json").read_text()) for split in ("train", "val")]
                for root in (out, REAL_ROOT)
            ]
            for key in ("images", "annotations"):
                ours, theirs = (
                    {entry["id"]: entry for document in pair for entry in document[key]} for pair in documents
                )
                self.assertEqual(ours, theirs)
            for path in sorted((out / "frames").glob("*.h5")):
                with h5py.File(path) as a, h5py.File(Path(REAL_ROOT) / "frames" / path.name) as b:
                    for name in b:
                        np.testing.assert_array_equal(a[name][()], b[name][()])


if __name__ == "__main__":
    unittest.main()
