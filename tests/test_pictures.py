"""Movies whose frames are pictures."""

from __future__ import annotations

import json
import unittest
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from clip_files import annotations, image, person, write_clips, write_json
from temporary_folder import Folder

from alphaction.annotations.class_settings import resolve_classes
from alphaction.config import get_cfg
from alphaction.config.node import ConfigNode
from alphaction.config.paths_catalog import DatasetCatalog
from alphaction.dataset import make_data_loader
from alphaction.dataset.build import build_dataset, build_training_set
from alphaction.dataset.check import check_sets
from alphaction.dataset.datasets import AVAVideoDataset
from alphaction.dataset.datasets.ava import memory_key
from alphaction.video.csv_to_coco import convert_csv
from alphaction.video.movies import find_movie
from alphaction.video.pictures import MoviePictures, read_rate

SIZE = (64, 48)


def write_pictures(folder: Path, numbers: Iterable[int], name: str = "img_{:05d}.jpg") -> None:
    """Pictures of one brightness each: their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        cv2.imwrite(str(folder / name.format(number)), np.full((SIZE[1], SIZE[0], 3), number, np.uint8))


class WindowTest(Folder):
    def values(self, pictures: MoviePictures, *arguments: float) -> tuple[list[int], str | None, bool]:
        window = pictures.window(*arguments)
        return [int(round(frame.mean())) for frame in window.frames], window.damaged, window.at_end

    def test_frames_around_the_keyframe(self) -> None:
        write_pictures(self.root / "m", range(1, 101))
        pictures = MoviePictures(self.root / "m", 25)
        self.assertEqual(self.values(pictures, 2, 3, 2), ([48, 49, 50, 51, 52, 53], None, False))
        self.assertEqual(self.values(pictures, 2.06, 1, 1), ([51, 52, 53], None, False))
        self.assertEqual(self.values(pictures, 2, 2, 2, 5), ([41, 46, 51, 56, 61], None, False))
        self.assertEqual(self.values(pictures, 0, 2, 2), ([1, 1, 1, 2, 3], None, True))
        self.assertEqual(self.values(pictures, 3.96, 1, 2), ([99, 100, 100, 100], None, True))
        self.assertEqual(pictures.has(np.array([0, 3.96, 4.0])).tolist(), [True, True, False])
        self.assertEqual(int(pictures.keyframe(2).mean()), 51)
        self.assertEqual((pictures.rate, Path(pictures.expected_path(4)).name), (25, "img_00101.jpg"))

    def test_the_first_picture_may_be_0_and_the_movie_start_later(self) -> None:
        write_pictures(self.root / "zero", range(60))
        self.assertEqual(self.values(MoviePictures(self.root / "zero", 10), 2, 1, 1)[0], [19, 20, 21])
        write_pictures(self.root / "m", range(1, 61))
        pictures = MoviePictures(self.root / "m", 10, 900)
        self.assertEqual(self.values(pictures, 902, 1, 1)[0], [20, 21, 22])
        self.assertEqual(pictures.has(np.array([899, 900, 905.9, 906])).tolist(), [False, True, True, False])

    def test_missing_and_unreadable_pictures(self) -> None:
        write_pictures(self.root / "m", (*range(1, 20), *range(23, 40)))
        pictures = MoviePictures(self.root / "m", 10)
        found, damaged, at_end = self.values(pictures, 2, 3, 3)
        self.assertEqual(
            (found, Path(str(damaged)).name, at_end), ([18, 19, 19, 19, 19, 23, 24], "img_00020.jpg", False)
        )
        (self.root / "m" / "img_00018.jpg").write_bytes(b"no picture")
        self.assertEqual(self.values(pictures, 1.7, 1, 1)[0], [17, 17, 19])
        (self.root / "m" / "img_00017.jpg").write_bytes(b"")
        self.refused("img_00018.jpg and those beside it cannot be read", pictures.window, 1.7, 1, 0)

    def test_spellings(self) -> None:
        for name, movie in (
            ("{:06d}.PNG", "a"),
            ("clip.7_{:06d}.jpg", "clip.7"),
            ("frame{:04d}.jpeg", "b"),
            ("image_{}.jpg", "c"),
            ("-5KQ66BBWC4_{:06d}.jpg", "-5KQ66BBWC4"),
            ("img_{:02d}.jpg", "d"),
        ):
            write_pictures(self.root / movie, range(1, 121), name)
            write_pictures(self.root / movie, range(1, 4), "flow_x_{:05d}.jpg")
            write_pictures(self.root / movie, range(1, 4), "._img_{:05d}.jpg")
            pictures = MoviePictures(self.root / movie, 20)
            with self.subTest(name):
                self.assertEqual(self.values(pictures, 5, 92, 19)[0], list(range(9, 121)))

    def test_folders_that_are_refused(self) -> None:
        write_pictures(self.root / "two", [1, 2])
        write_pictures(self.root / "two", [1, 2], "frame_{}.jpg")
        self.refused("two has .*expected one series of pictures", MoviePictures, self.root / "two", 25)
        write_pictures(self.root / "both", [1, 2])
        write_clips(self.root / "both", [0])
        self.refused("both has clips and pictures", find_movie, self.root, "both", 25)
        self.assertEqual(find_movie(self.root, "both").has(np.array([0])).tolist(), [True])
        self.refused("gone cannot be listed", find_movie, self.root, "gone", 25)

    def test_the_rate_of_a_folder(self) -> None:
        write_pictures(self.root / "m", range(1, 9))
        self.assertEqual(read_rate(self.root / "m"), 0)
        for text, rate in (("25", 25), ("30000/1001\n", 29.97), ("\ufeff12.5", 12.5)):
            (self.root / "m" / "fps.txt").write_text(text, encoding="utf-8")
            self.assertAlmostEqual(find_movie(self.root, "m", 99).rate, rate, places=2)
        for text in ("", "fast", "0", "-5", "1e9", "nan", "1/0", "1e99999999", "9" * 150):
            (self.root / "m" / "fps.txt").write_text(text)
            with self.subTest(text):
                self.refused(r"m/fps.txt holds '.*expected the pictures per second", read_rate, self.root / "m")
        (self.root / "m" / "fps.txt").write_bytes(b"\xff\xfe2\x005\x00")
        self.assertEqual(read_rate(self.root / "m"), 25)
        (self.root / "m" / "fps.txt").write_bytes(b"\xff25")
        self.refused("fps.txt is not a text file", read_rate, self.root / "m")
        (self.root / "m" / "fps.txt").unlink()
        (self.root / "m" / "fps.txt").mkdir()
        self.refused("fps.txt is a folder, expected the pictures", read_rate, self.root / "m")


class DatasetTest(Folder):
    def entry(self, movies: Iterable[str] = ("m",), seconds: Iterable[float] = (1, 2), **more: object) -> dict:
        images = [image(movie, second, SIZE) for movie in movies for second in seconds]
        persons = [person(one["id"], [4, 5, 20, 30], 1, plain=True) for one in images]
        ann_file = write_json(self.root / "a.json", annotations(images, persons, ["walk"]))
        return {"VIDEO_ROOT": str(self.root / "movies"), "ANN_FILE": str(ann_file), **more}

    def configured(self, entry: dict, *settings: object) -> ConfigNode:
        cfg = get_cfg()
        keys = {"FRAME_NUM": 8, "FRAME_SAMPLE_RATE": 1, "TAU": 4, "ALPHA": 2, "FLIP_PROB": 0.0}
        cfg.merge_from_list([word for key, value in keys.items() for word in (f"INPUT.{key}", value)])
        sets = ("DATASETS.CATALOG", {"set": entry}, "DATASETS.TRAIN", ("set",), "DATASETS.TEST", ("set",))
        small = ("INPUT.MIN_SIZE_TRAIN", 48, "INPUT.MIN_SIZE_TEST", 48, "INPUT.PIXEL_MEAN", [0.0] * 3)
        more = ("INPUT.PIXEL_STD", [1.0] * 3, "DATALOADER.NUM_WORKERS", 0, "SOLVER.VIDEOS_PER_BATCH", 2)
        cfg.merge_from_list([*sets, *small, *more, "MODEL.ROI_ACTION_HEAD.NUM_CLASSES", 0, *settings])
        return resolve_classes(cfg)

    def test_pictures_beside_clips(self) -> None:
        write_pictures(self.root / "movies" / "m", range(1, 91))
        write_clips(self.root / "movies" / "n", range(4))
        cfg = self.configured(self.entry("mn", PICTURE_FPS=25))
        (loader,) = make_data_loader(cfg, is_train=False)
        fast = {ids[0]: fast[0] for _, fast, *_, ids in self.single(loader)}
        np.testing.assert_allclose(fast[0].mean(dim=(0, 2, 3)), [22, 24, 26, 28], atol=0.6)
        self.assertEqual(len(fast), 4)
        self.assertEqual(build_training_set(cfg).picture(1).shape, (48, 64, 3))

    @staticmethod
    def single(loader) -> list:
        """Batches of one."""
        return [
            tuple(part[k : k + 1] if part is not None else None for part in b) for b in loader for k in range(len(b[5]))
        ]

    def test_windows_by_time(self) -> None:
        write_pictures(self.root / "movies" / "m", range(1, 201))
        cfg = self.configured(self.entry(PICTURE_FPS=60), "INPUT.FPS", 10)
        dataset = build_dataset(cfg, "set", is_train=True)
        slow, fast, *_ = dataset[1]
        np.testing.assert_allclose(fast.mean(dim=(0, 2, 3)), [97, 109, 121, 133], atol=0.6)
        self.assertEqual(dataset.rate_note, "")

    def test_unusual_rates_are_said(self) -> None:
        write_pictures(self.root / "movies" / "m", range(1, 201))
        cfg = self.configured(self.entry(PICTURE_FPS=60))
        with self.assertLogs("alphaction", "WARNING") as log:
            text = check_sets(cfg)
        for said in (log.output[0], text):
            self.assertRegex(said, r"1 of 1 movies .*\(m 60\); 8 frames then last 0.13 s.*INPUT.FPS 30")
        with self.assertNoLogs("alphaction.dataset.datasets", "WARNING"):
            build_training_set(self.configured(self.entry(PICTURE_FPS=60), "INPUT.FPS", 30))
            build_training_set(self.configured(self.entry(PICTURE_FPS=25)))

    def test_without_a_rate_pictures_are_no_clips(self) -> None:
        write_pictures(self.root / "movies" / "m", range(1, 91))
        cfg = self.configured(self.entry())
        self.refused(r"m/1.mp4 is missing .*PICTURE_FPS in DATASETS.CATALOG", build_training_set, cfg)
        (self.root / "movies" / "m" / "fps.txt").write_text("25")
        self.assertEqual(len(build_training_set(cfg)), 2)
        cfg = self.configured(self.entry(PICTURE_START=900))
        self.refused(
            r"m/img_-?\d+.jpg is missing \(2 of 2.*correct PICTURE_FPS and PICTURE_START", build_training_set, cfg
        )

    def test_names_of_clips_that_tell_no_second(self) -> None:
        write_clips(self.root / "movies" / "m", range(3), name="video_1_second_{}.mp4")
        self.refused("m/1.mp4 is missing", build_training_set, self.configured(self.entry()))

    def test_keyframes_at_fractions_of_a_second(self) -> None:
        write_pictures(self.root / "movies" / "m", range(1, 91))
        cfg = self.configured(self.entry(seconds=(1, 2), PICTURE_FPS=25))
        dataset = build_dataset(cfg, "set", is_train=False)
        dataset.timestamps = np.array([1.0, 1.52])
        (*_, extras, _), (*_, other, _) = dataset[0], dataset[1]
        self.assertEqual(extras, {"movie_id": "m", "timestamp": 1, "second": 1.0})
        self.assertEqual(other, {"movie_id": "m", "timestamp": -1_520_000, "second": 1.52})
        self.assertEqual(int(dataset.picture(1).mean()), 39)
        self.assertEqual([memory_key(second) for second in (902, 902.0, 902.5)], [902, 902, -902_500_000])

    def test_keys_of_the_catalog(self) -> None:
        good = {"VIDEO_ROOT": "v", "ANN_FILE": "a"}
        cfg = get_cfg()
        cfg.DATASETS.CATALOG["x"] = {**good, "ROOT": "/r", "PICTURE_FPS": 30, "PICTURE_START": 900}
        args = DatasetCatalog.get("x", cfg)["args"]
        self.assertEqual((args["video_root"], args["picture_fps"], args["picture_start"]), ("/r/v", 30.0, 900.0))
        for key, value in (("PICTURE_FPS", "30"), ("PICTURE_FPS", 0), ("PICTURE_FPS", True), ("PICTURE_START", -1)):
            cfg.DATASETS.CATALOG["x"] = {**good, key: value}
            self.refused(f"x.{key} is {value!r}, expected a number from", DatasetCatalog.get, "x", cfg)
        cfg.DATASETS.CATALOG["x"] = {"ROOT": "r", "ANN_FILE": "a", "PICTURE_FPS": 30}
        self.refused("PICTURE_FPS is 30, expected VIDEO_ROOT beside it", DatasetCatalog.get, "x", cfg)

    def test_csv_files_take_the_size_of_the_pictures(self) -> None:
        write_pictures(self.root / "movies" / "m", range(1, 91))
        csv, out = self.root / "a.csv", self.root / "o.json"
        csv.write_text("m,901,0.1,0.2,0.5,0.8,1,0\nm,1200,0.1,0.2,0.5,0.8,1,0\n")
        report = convert_csv(csv, self.root / "movies", out, picture_fps=25, picture_start=900)
        self.assertEqual((report.keyframes, report.without_video), (1, {"m": 1}))
        found = json.loads(out.read_text())["images"]
        self.assertEqual([(one["timestamp"], one["width"], one["height"]) for one in found], [(901, 64, 48)])
        dataset = AVAVideoDataset(
            self.root / "movies", out, True, 8, num_classes=None, picture_fps=25, picture_start=900
        )
        self.assertEqual(int(dataset[0][0][4].mean()), 26)


if __name__ == "__main__":
    unittest.main()
