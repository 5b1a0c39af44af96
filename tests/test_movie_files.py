"""Movies of every format that PyAV reads -> clips; what is no movie is named."""

from __future__ import annotations

import io
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import clip_files
import cv2
import numpy as np
from clip_files import RATE, Movies, gray, grays, write_turned
from tool_scripts import load_tool

from alphaction.errors import UserError
from alphaction.video.clips import MovieClips
from alphaction.video.csv_to_coco import convert_csv
from alphaction.video.cut_videos import cut_movies


def write_movie(path: Path, seconds: int, form: str, codec: str, rate: int = RATE) -> None:
    """Each second brighter by 40."""
    clip_files.write_movie(path, seconds, (176, 144), rate, form, codec, brightness=lambda second, _: gray(second, 0))


class Tools(Movies):
    def command(self, *words: str) -> tuple[int, str]:
        out = io.StringIO()
        arguments = ["--movies", str(self.movies), "--out", str(self.clips), "--workers", "1", *words]
        with redirect_stdout(out), redirect_stderr(out):
            try:
                load_tool("process_ava_videos").main(arguments)
            except SystemExit as ended:
                return int(ended.code or 0), out.getvalue()
        return 0, out.getvalue()


class FormatsTest(Tools):
    def test_camcorders_telephones_and_others(self) -> None:
        for name, form, codec in (
            ("a.MTS", "mpegts", "libx264"),
            ("b.3gp", "3gp", "libx264"),
            ("c.vob", "vob", "mpeg2video"),
            ("d.wmv", "asf", "wmv2"),
            ("e.dat", "mpegts", "mpeg2video"),  # a suffix that says nothing
            ("f.gif", "gif", "gif"),
        ):
            write_movie(self.movies / name, 4, form, codec)
        report = cut_movies(self.movies, self.clips, 0, 4)
        self.assertEqual((report.made, report.missing, report.failed, report.others), (24, {}, {}, []))
        # Half of the movie: the beginning of the range is looked for.
        self.assertEqual(cut_movies(self.movies, self.root / "half", 2, 4).made, 12)
        for movie in "abcdef":
            for root, seconds in ((self.clips, [0, 1, 2, 3]), (self.root / "half", [2, 3])):
                clips = MovieClips(root / movie)
                with self.subTest(movie=movie, root=root.name):
                    self.assertEqual(clips.seconds.tolist(), seconds)
                    for second in seconds:
                        found = grays(clips.window(second, 0, RATE - 1).frames)
                        np.testing.assert_allclose(found, [20 + 40 * second] * RATE, atol=3)

    def test_other_files_are_named(self) -> None:
        write_movie(self.movies / "a.mp4", 1, "mp4", "libx264")
        (self.movies / "notes.txt").write_text("text\n" * 500)
        (self.movies / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n")
        (self.movies / "table.csv").write_text("1,2,3\n" * 500)
        (self.movies / "list.m3u8").write_text("#EXTM3U\n#EXTINF:5,\na.mp4\n#EXT-X-ENDLIST\n")
        (self.movies / "more").mkdir()
        cv2.imwrite(str(self.movies / "a.jpg"), np.zeros((48, 64, 3), np.uint8))
        status, said = self.command("--start", "0", "--end", "1")
        self.assertEqual(status, 0)
        self.assertIn("no movies, left out: a.jpg, a.srt, list.m3u8, more, notes.txt, table.csv", said)
        self.assertEqual([path.name for path in self.clips.iterdir()], ["a"])
        (self.movies / "a.mp4").unlink()
        with self.assertRaisesRegex(UserError, r"has no movies, only a.jpg, .*correct --movies"):
            cut_movies(self.movies, self.clips, 0, 1)

    def test_raw_streams_have_no_times(self) -> None:
        write_movie(self.movies / "a.h264", 2, "h264", "libx264")
        write_movie(self.movies / "b.m2v", 2, "mpeg2video", "mpeg2video")
        report = cut_movies(self.movies, self.clips, 0, 2)
        self.assertEqual(sorted(report.failed), ["a.h264", "b.m2v"])
        for reason in report.failed.values():
            self.assertIn("frames without times", reason)

    def test_a_movie_without_a_clip_is_a_failure(self) -> None:
        write_movie(self.movies / "a.mp4", 2, "mp4", "libx264")
        write_movie(self.movies / "b.mp4", 3, "mp4", "libx264")
        status, said = self.command("--start", "2", "--end", "4")
        self.assertEqual(status, 1)
        self.assertIn("failed: a.mp4: it has none of the seconds 2 to 3", said)
        self.assertNotIn("failed: b.mp4", said)

    def test_turned_movies_are_refused_and_their_size_is_upright(self) -> None:
        write_turned(self.movies / "a.mp4")
        status, said = self.command("--start", "0", "--end", "1")
        self.assertEqual(status, 1)
        self.assertRegex(said, "a.mp4 is stored turned by -?90 degrees")
        (self.root / "a.csv").write_text("a,0,0.1,0.2,0.5,0.8,1,0\n")
        convert_csv(self.root / "a.csv", self.movies, self.root / "o.json")
        self.assertIn('"width":64,"height":96', (self.root / "o.json").read_text())


class RateTest(Tools):
    def test_unusual_rates_are_said_and_mended(self) -> None:
        write_movie(self.movies / "a.mp4", 2, "mp4", "libx264", rate=60)
        self.assertIn("(a.mp4 60); 64 frames then last 1.07 s", self.command("--start", "0", "--end", "2")[1])
        self.assertEqual(MovieClips(self.clips / "a").rate, 60)
        self.clips = self.root / "slower"
        status, said = self.command("--start", "0", "--end", "2", "--fps", "30")
        self.assertEqual((status, "frames per second" in said), (0, False))
        clips = MovieClips(self.clips / "a")
        self.assertEqual(clips.rate, 30)
        window = clips.window(1, 30, 29)
        self.assertEqual((window.damaged, window.at_end), (None, False))
        np.testing.assert_allclose(grays(window.frames), [20] * 30 + [60] * 30, atol=3)

    def test_a_higher_rate_and_one_frame_more(self) -> None:
        write_movie(self.movies / "a.mp4", 2, "mp4", "libx264", rate=24)
        for fps in (25, 50):
            out = self.root / str(fps)
            cut_movies(self.movies, out, 0, 2, fps=fps)
            self.assertEqual(MovieClips(out / "a").rate, fps)
        for fps in (0.5, -1, 1000, float("nan")):
            with self.assertRaisesRegex(UserError, "correct --fps"):
                cut_movies(self.movies, self.clips, 0, 2, fps=fps)


if __name__ == "__main__":
    unittest.main()
