"""Cutting movies into clips and converting AVA's CSV annotations."""

from __future__ import annotations

import io
import json
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import av
import clip_files
import cv2
import numpy as np
from clip_files import RATE, SIZE, Movies, gray
from tool_scripts import load_tool

from alphaction.errors import UserError
from alphaction.video.clips import MovieClips, read_frames
from alphaction.video.csv_to_coco import convert_csv
from alphaction.video.cut_videos import _runs, cut_clips, cut_movies, steady


def write_movie(path: Path, seconds: int, size: tuple[int, int] = SIZE, rate: int = RATE) -> None:
    clip_files.write_movie(path, seconds, size, rate, options={"crf": "5"})


class Tools(Movies):
    def refused_with(self, call, *words: str) -> None:
        with self.assertRaises(UserError) as caught:
            call()
        for word in words:
            self.assertIn(word, str(caught.exception))


class Cutting(Tools):
    def assert_seconds(self, folder: Path, seconds: list[int], first: int = 0) -> None:
        self.assertEqual(sorted(path.name for path in folder.iterdir()), sorted(f"{s}.mp4" for s in seconds))
        for second in seconds:
            frames, _, rate = read_frames(str(folder / f"{second}.mp4"))
            found = [int(round(frame.mean())) for frame in frames]
            self.assertEqual(rate, RATE)
            expected = [gray(second - first, frame) for frame in range(RATE)]
            np.testing.assert_allclose(found, expected, atol=2)

    def test_each_clip_holds_the_frames_of_its_second(self):
        write_movie(self.movies / "one.mp4", 5)
        report = cut_movies(self.movies, self.clips, 0, 5)
        self.assertEqual((report.made, report.present, report.missing, report.failed), (5, 0, {}, {}))
        self.assert_seconds(self.clips / "one", [0, 1, 2, 3, 4])

    def test_a_file_that_begins_in_the_midst_of_its_movie(self):
        write_movie(self.movies / "one.mp4", 4)
        report = cut_movies(self.movies, self.clips, 901, 903, offset=900)
        self.assertEqual(report.made, 2)
        self.assert_seconds(self.clips / "one", [901, 902], first=900)

    def test_finished_clips_are_kept_and_torn_ones_never_counted(self):
        write_movie(self.movies / "one.mp4", 3)
        cut_movies(self.movies, self.clips, 0, 3)
        kept = self.clips / "one" / "0.mp4"
        before = kept.stat().st_mtime_ns
        (self.clips / "one" / "1.mp4").unlink()
        (self.clips / "one" / ".1.part.mp4").write_bytes(b"half a clip")
        self.assertEqual(MovieClips(self.clips / "one").seconds.tolist(), [0, 2])
        report = cut_movies(self.movies, self.clips, 0, 3)
        self.assertEqual((report.made, report.present), (1, 2))
        self.assertEqual(kept.stat().st_mtime_ns, before)
        self.assert_seconds(self.clips / "one", [0, 1, 2])

    def test_a_broken_movie_is_named_and_the_others_go_on(self):
        write_movie(self.movies / "good.mp4", 2)
        (self.movies / "broken.mkv").write_bytes(b"no video")
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), self.assertRaises(SystemExit) as ended:
            load_tool("process_ava_videos").main(
                ["--movies", str(self.movies), "--out", str(self.clips), "--start", "0", "--end", "2", "--workers", "2"]
            )
        self.assertEqual(ended.exception.code, 1)
        self.assertIn("2 clips written", out.getvalue())
        self.assertIn("broken.mkv", err.getvalue().splitlines()[-1])
        self.assert_seconds(self.clips / "good", [0, 1])

    def test_a_movie_that_ends_early_says_which_seconds_are_missing(self):
        write_movie(self.movies / "short.mp4", 2)
        report = cut_movies(self.movies, self.clips, 1, 5)
        self.assertEqual((report.made, report.missing), (1, {"short.mp4": [2, 3, 4]}))
        self.assertEqual(cut_movies(self.movies, self.clips, 500, 502).missing, {"short.mp4": [500, 501]})

    def test_colors_stay_whatever_the_file_says_they_mean(self):
        red = np.full((48, 64, 3), (200, 40, 60), np.uint8)
        for space, limits in ((1, 1), (1, 2), (5, 1), (5, 2)):  # BT.709 and BT.601, limited and full range
            with self.subTest(space=space, range=limits):
                path = self.root / f"m{space}{limits}" / "one.mp4"
                path.parent.mkdir()
                with av.open(str(path), "w") as movie:
                    stream = movie.add_stream("libx264", rate=RATE, options={"crf": "1"})
                    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
                    stream.codec_context.colorspace, stream.codec_context.color_range = space, limits
                    for _ in range(RATE):
                        frame = av.VideoFrame.from_ndarray(red, format="rgb24")
                        movie.mux(
                            stream.encode(
                                frame.reformat(format="yuv420p", dst_colorspace=space, dst_color_range=limits)
                            )
                        )
                    movie.mux(stream.encode(None))
                out = self.root / f"c{space}{limits}"
                cut_movies(path.parent, out, 0, 1)
                before = read_frames(str(path))[0][0]
                np.testing.assert_allclose(before.mean((0, 1)), (60, 40, 200), atol=4)
                np.testing.assert_allclose(
                    read_frames(str(out / "one" / "0.mp4"))[0][0].mean((0, 1)), before.mean((0, 1)), atol=2
                )

    def test_seconds_with_lost_frames_are_named(self):
        write_movie(self.movies / "one.mp4", 2)
        report = cut_movies(self.movies, self.clips, 0, 3, offset=0.6)
        self.assertEqual((report.made, report.short), (3, {"one.mp4": [0, 2]}))
        self.assertEqual(cut_movies(self.movies, self.root / "whole", 0, 2).short, {})

    def test_slow_movies_lack_no_frames(self):
        write_movie(self.movies / "slow.mp4", 3, rate=4)
        self.assertEqual(cut_movies(self.movies, self.clips, 0, 3).short, {})

    def test_a_file_without_pictures_and_hidden_ones(self):
        write_movie(self.movies / "one.mp4", 1)
        (self.movies / "._one.mp4").write_bytes(b"what another system left")
        with av.open(str(self.movies / "sound.mp4"), "w") as movie:
            stream = movie.add_stream("aac", rate=44100)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
            frame.rate = 44100
            movie.mux(stream.encode(frame))
            movie.mux(stream.encode(None))
        report = cut_movies(self.movies, self.clips, 0, 1)
        self.assertEqual(report.made, 1)
        self.assertIn("has no pictures", report.failed["sound.mp4"])

    def test_frames_out_of_order_are_refused(self):
        with av.open(str(self.root / "one.avi"), "w") as movie:
            stream = movie.add_stream("libx264", rate=RATE, options={"bf": "3", "b-adapt": "0"})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for n in range(3 * RATE):
                picture = np.full((48, 64, 3), n, np.uint8)
                movie.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            movie.mux(stream.encode(None))
        self.refused_with(lambda: cut_clips(self.root / "one.avi", self.root, [0, 1]), "one.avi", "do not ascend")

    def test_odd_sizes_become_even(self):
        write_movie(self.movies / "one.mp4", 1, size=(66, 50))
        cut_movies(self.movies, self.clips, 0, 1, short_side=25)
        self.assertEqual(read_frames(str(self.clips / "one" / "0.mp4"))[0][0].shape, (24, 32, 3))

    def test_clips_are_scaled_down_and_never_up(self):
        write_movie(self.movies / "one.mp4", 1, size=(96, 64))
        cut_movies(self.movies, self.clips, 0, 1, short_side=32)
        self.assertEqual(read_frames(str(self.clips / "one" / "0.mp4"))[0][0].shape, (32, 48, 3))
        cut_movies(self.movies, self.root / "larger", 0, 1, short_side=500)
        self.assertEqual(read_frames(str(self.root / "larger" / "one" / "0.mp4"))[0][0].shape, (64, 96, 3))

    def test_a_varying_rate_becomes_steady(self):
        frames = [(7 + time, np.full((1, 1, 3), 10 * i, np.uint8)) for i, time in enumerate((0.0, 0.1, 0.5))]
        values = [int(frame[0, 0, 0]) for frame in steady(frames, 7, 10.0)]
        self.assertEqual(values, [0, 10, 10, 10, 10, 20, 20, 20, 20, 20])
        self.assertEqual(len(steady(frames, 7, 4.0)), 3)
        self.assertEqual(len(steady(frames, 7, 0.0)), 3)

    def test_tasks_are_short_and_gaps_begin_new_ones(self):
        self.assertEqual([len(piece) for piece in _runs(list(range(130)))], [60, 60, 10])
        self.assertEqual(_runs([1, 2, 5]), [[1, 2], [5]])

    def test_impossible_wishes(self):
        self.refused_with(lambda: cut_movies(self.root, self.clips, 5, 5), "5 to 5", "--start")
        self.refused_with(lambda: cut_movies(self.root, self.clips, 0, 5), "has no movies")
        self.refused_with(lambda: cut_movies(self.root / "none", self.clips, 0, 5), "none", "--movies")
        write_movie(self.movies / "one.mp4", 1)
        write_movie(self.movies / "one.avi", 1)
        self.refused_with(lambda: cut_movies(self.movies, self.clips, 0, 1), "several files called one")


class Converting(Tools):
    ROWS = (
        "one,0902,0.1,0.2,0.5,0.9,12,0\n"
        "one,0902,0.1,0.2,0.5,0.9,80,0\n"
        "one,0902,0.6,0.2,0.9,0.9,12,1\n"
        "one,903,0.1,0.2,0.5,0.9,12,0\n"
        "two,0904\n"
    )

    def setUp(self) -> None:
        super().setUp()
        for second in (902, 903, 904):
            write_movie(self.clips / "one" / f"{second}.mp4", 1, size=(64, 48))
        write_movie(self.clips / "two.mp4", 1, size=(48, 64))
        (self.clips / "two.mp4").rename(self.clips / "two.MP4")

    def text(self, name: str, text: str) -> Path:
        path = self.root / name
        path.write_text(text, encoding="utf-8")
        return path

    def convert(self, rows: str = ROWS, **options) -> dict:
        self.report = convert_csv(self.text("a.csv", rows), self.clips, self.root / "out" / "a.json", **options)
        return json.loads((self.root / "out" / "a.json").read_text())

    def test_rows_of_one_person_become_one_annotation(self):
        found = self.convert()
        self.assertEqual(
            found["images"],
            [
                {"id": "one,0902", "movie": "one", "timestamp": 902, "width": 64, "height": 48},
                {"id": "one,0903", "movie": "one", "timestamp": 903, "width": 64, "height": 48},
                {"id": "two,0904", "movie": "two", "timestamp": 904, "width": 48, "height": 64},
            ],
        )
        self.assertEqual(
            [(a["image_id"], a["action_ids"]) for a in found["annotations"]],
            [("one,0902", [12, 80]), ("one,0902", [12]), ("one,0903", [12])],
        )
        np.testing.assert_allclose(found["annotations"][0]["bbox"], [6.4, 9.6, 25.6, 33.6])
        self.assertEqual((self.report.keyframes, self.report.persons, self.report.labels), (3, 3, 4))

    def test_exclusions_timestamps_and_names(self):
        found = self.convert(
            exclude=self.text("x.csv", "one,0903\nthree,0001\n"),
            timestamps=self.text("t.txt", "0902\n0903\n0904\n"),
            label_map=self.text("map.pbtxt", 'item { name: "stand" id: 12 }'),
        )
        self.assertEqual(
            [image["id"] for image in found["images"]], ["one,0902", "one,0904", "two,0902", "two,0903", "two,0904"]
        )
        self.assertEqual(found["categories"], [{"id": 12, "name": "stand"}])
        self.assertEqual(self.report.excluded, 1)

    def test_the_tool(self):
        out = io.StringIO()
        with redirect_stdout(out):
            load_tool("csv2COCO").main(
                [
                    "--csv",
                    str(self.text("a.csv", self.ROWS)),
                    "--videos",
                    str(self.clips),
                    "--out",
                    str(self.root / "b.json"),
                ]
            )
        self.assertIn("3 keyframes, 3 persons, 4 labels", out.getvalue())

    def test_wrong_rows_are_named_and_nothing_is_written(self):
        for row, word in (
            ("one,902,0.5,0.2,0.1,0.9,,0", "line 1"),
            ("one,902,a,0.2,0.1,0.9,12,0", "line 1"),
            ("one,902,0.1,0.2,0.3,0.9,x,0", "line 1"),
            ("one,902,0.1,0.2,0.3,0.9,0,0", "line 1"),
            ("one,x,0.1,0.2,0.3,0.9,1,0", "'x'"),
            ("one,inf,0.1,0.2,0.3,0.9,1,0", "'inf'"),
            ("../one,902,0.1,0.2,0.3,0.9,1,0", "below the data set's folder"),
            ("one", "line 1: found 'one', expected movie, second"),
            ("one,902,0.1,0.2,0.3,0.9,-1,0", "line 1: found the action id -1"),
            ("one,902,0.1,0.2,0.3,0.9,10001,0", "line 1: found the action id 10001"),
            (f"{'x' * 253},902,0.1,0.2,0.3,0.9,1,0", "expected a name of 1 to 255"),
            (
                "video,timestamp,x1,y1,x2,y2,action,person\none,902,0.1,0.2,0.3,0.9,1,0",
                "it is a header: remove the line",
            ),
            ("one;902;0.1;0.2;0.3;0.9;1;0", "the cells are separated by semicolons"),
            ("one.mp4,902,0.1,0.2,0.3,0.9,1,0", "movies without the suffix of a file"),
            (
                "one,902,0.5,0.6,0.3,0.2,1,0\n" * 2 + "one,902,0.6,0.5,0.3,0.2,1,0",
                "or x, y, width, height (xywh) they fit",
            ),
            ("one,902,10,20,300,90,1,0", "line 1: found the box '10,20,300,90', expected"),
            ("one,902,0.1,0.2,0.3,1.2,1,0", "fractions of the frame, not pixels"),
            ("one,902,0.1,0.2,nan,0.9,1,0", "fractions of the frame, not pixels"),
            ("one,-3,0.1,0.2,0.3,0.9,1,0", "line 1: found the second '-3', expected a number from 0"),
            ("", "no rows"),
            ("one,902,0.1,0.2,0.3,0.9,1,0.98", "is the score of a result file"),
            ("one,902000,0.1,0.2,0.3,0.9,1,0", "clips of 'one' at the seconds 902 to 904, none of the 1 keyframes"),
            ("three,902,0.1,0.2,0.3,0.9,1,0", "three"),
        ):
            with self.subTest(row):
                self.refused_with(lambda row=row: self.convert(row), word)
                self.assertFalse((self.root / "out").exists())

    def test_an_unreadable_video_is_named(self):
        (self.clips / "one" / "902.mp4").write_bytes(b"no video")
        self.refused_with(self.convert, "902.mp4", "frame size")

    def test_pictures_without_a_rate_are_named(self):
        (self.clips / "three").mkdir()
        for number in range(1, 4):
            cv2.imwrite(str(self.clips / "three" / f"img_{number:05d}.jpg"), np.zeros((8, 8, 3), np.uint8))
        rows = "three,1,0.1,0.2,0.3,0.9,1,0"
        self.refused_with(lambda: self.convert(rows), "pictures whose rate is unknown", "--picture-fps")

    def test_what_has_no_video_is_left_out_and_counted(self):
        (self.clips / "one" / "903.mp4").unlink()
        found = self.convert(self.ROWS + "three,0902,0.1,0.2,0.5,0.9,12,0\n")
        self.assertEqual([image["id"] for image in found["images"]], ["one,0902", "two,0904"])
        self.assertEqual(self.report.without_video, {"one": 1, "three": 1})
        self.assertIn("2 keyframes without a video, of one (1), three (1)", str(self.report))

    def test_boxes_are_clipped_and_those_without_area_counted(self):
        found = self.convert("one,902,-0.1,0.2,0.5,1.1,12,0\none,902,0.5,0.2,0.5,0.9,12,1\n")
        np.testing.assert_allclose([a["bbox"] for a in found["annotations"]], [[0, 9.6, 32, 38.4]])
        self.assertEqual((self.report.clipped, self.report.without_area), (1, 1))
        self.assertIn("clipped: 1 rows whose boxes extend beyond the frame", str(self.report))

    def test_seconds_of_any_spelling_and_fractions(self):
        box = "0.1,0.2,0.5,0.9"
        found = self.convert(f"one,902.0,{box},12,0\none,0902,{box},80,0\none,903.5,{box},12,0\none,905.5,{box},1,0\n")
        self.assertEqual(
            [(i["id"], i["timestamp"]) for i in found["images"]], [("one,0902", 902), ("one,0903.5", 903.5)]
        )
        self.assertEqual([a["action_ids"] for a in found["annotations"]], [[12, 80], [12]])
        self.assertEqual(self.report.without_video, {"one": 1})


if __name__ == "__main__":
    unittest.main()
