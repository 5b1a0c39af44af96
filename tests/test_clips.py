"""Windows of one-second clips: by time, and at fractions of a second."""

from __future__ import annotations

import struct
import unittest
from pathlib import Path

import cv2
import numpy as np
from clip_files import RATE, gray, grays, write_clips, write_turned, write_video
from temporary_folder import Folder

from alphaction.video.clips import MovieClips, frame_rate
from alphaction.video.csv_to_coco import frame_size
from alphaction.video.rates import describe_rates


class ResampledTest(Folder):
    """The frame on screen at each time; brightness tells second and frame."""

    def window(self, *arguments: float, folder: str = "m") -> tuple[list[int], str | None, bool]:
        window = MovieClips(self.root / folder).window(*arguments)
        return grays(window.frames), window.damaged, window.at_end

    def close(self, found: list[int], wanted: list[int]) -> None:
        np.testing.assert_allclose(found, wanted, atol=2)

    def test_a_window_lasts_as_long_at_any_rate(self) -> None:
        for rate in (10, 25, 60):
            for second in range(5):
                values = [20 + 40 * second + 30 * n / rate for n in range(rate)]
                write_video(self.root / f"r{rate}" / f"{second}.mp4", map(round, values), rate=rate)
            found, damaged, at_end = self.window(2, 16, 15, 10, folder=f"r{rate}")
            wanted = [20 + 40 * (t // 10) + 3 * (t % 10) for t in range(20 - 16, 20 + 16)]
            with self.subTest(rate=rate):
                np.testing.assert_allclose(found, wanted, atol=3)
                self.assertEqual((damaged, at_end), (None, False))

    def test_the_clips_own_rate_gives_their_frames(self) -> None:
        write_clips(self.root / "m", range(5))
        own, plain = self.window(2, 32, 31, RATE), self.window(2, 32, 31)
        self.assertEqual(own, plain)

    def test_a_higher_rate_repeats_frames(self) -> None:
        write_clips(self.root / "m", range(3))
        found = self.window(1, 4, 3, 2 * RATE)[0]
        self.close(found, [gray(0, 23), gray(0, 23), gray(0, 24), gray(0, 24), *np.repeat([gray(1, 0), gray(1, 1)], 2)])

    def test_ends_and_missing_clips(self) -> None:
        write_clips(self.root / "m", (0, 1, 2, 4))
        found, damaged, at_end = self.window(1, 15, 5, 5)
        self.close(found[:11], [gray(0, 0)] * 11)
        self.assertEqual((damaged, at_end), (None, True))
        found, damaged, at_end = self.window(2, 5, 12, 5)
        self.close(found[-8:], [gray(2, 20)] * 8)
        self.assertTrue(at_end)

    def test_short_and_unreadable_clips(self) -> None:
        write_clips(self.root / "m", range(4))
        write_video(self.root / "m" / "1.mp4", [gray(1, n) for n in range(10)])
        found, damaged, at_end = self.window(2, 5, 4, 5)
        self.close(found, [gray(1, n) for n in (0, 5, 9, 9, 9)] + [gray(2, n) for n in (0, 5, 10, 15, 20)])
        self.assertEqual((Path(str(damaged)).name, at_end), ("1.mp4", False))
        (self.root / "m" / "2.mp4").write_bytes(b"no video")
        found, damaged, at_end = self.window(2, 5, 9, 5)
        self.close(found[5:], [gray(1, 9)] * 5 + [gray(3, n) for n in (0, 5, 10, 15, 20)])
        self.assertEqual((Path(str(damaged)).name, at_end), ("2.mp4", False))


class FractionTest(Folder):
    def test_the_frame_on_screen(self) -> None:
        write_clips(self.root / "m", range(4))
        clips = MovieClips(self.root / "m")
        everything = [gray(second, n) for second in range(4) for n in range(RATE)]
        for second, number in ((1.5, 37), (1.52, 38), (1.999, 49), (2.04, 51), (2.0, 50)):
            for before, after in ((20, 11), (3, 2), (0, 0), (37, 20)):
                with self.subTest(second=second, before=before):
                    window = clips.window(second, before, after)
                    wanted = everything[number - before : number + after + 1]
                    np.testing.assert_allclose(grays(window.frames), wanted, atol=2)
                    self.assertFalse(window.at_end)
        np.testing.assert_allclose(grays(clips.window(1.5, 1, 1, 5).frames), [gray(1, n) for n in (7, 12, 17)], atol=2)
        self.assertEqual(clips.has(np.array([0, 0.5, 3.99, 4.0])).tolist(), [True, True, True, False])
        self.assertEqual(Path(clips.expected_path(4.5)).name, "4.mp4")

    def test_ends_are_repeated(self) -> None:
        write_clips(self.root / "m", range(2))
        window = MovieClips(self.root / "m").window(0.2, 8, 2)
        np.testing.assert_allclose(grays(window.frames), [gray(0, max(n, 0)) for n in range(-3, 8)], atol=2)
        self.assertTrue(window.at_end)


class RateTest(Folder):
    def test_what_a_clip_states(self) -> None:
        write_clips(self.root / "m", [3], rate=60)
        self.assertEqual(MovieClips(self.root / "m").rate, 60)
        (self.root / "none.mp4").touch()
        self.assertEqual((frame_rate(str(self.root / "none.mp4")), frame_rate("")), (0, 0))

    def test_unusual_rates_are_said(self) -> None:
        self.assertEqual(describe_rates({"a": 25, "b": 20, "c": 35, "d": 0, "e": 29.97}), "")
        note = describe_rates({"a": 25, "b": 60, "c": 15})
        for words in ("2 of 3 movies", "b 60, c 15", "1.07 s", "INPUT.FPS 30", "--fps 30"):
            self.assertIn(words, note)


class TurnedTest(Folder):
    def test_clips_are_upright_and_so_is_their_size(self) -> None:
        for second in range(3):
            write_turned(self.root / "m" / f"{second}.mp4")
        for fps in (0.0, 5.0):
            frames = MovieClips(self.root / "m").window(1, 4, 3, fps).frames
            self.assertEqual(frames.shape, (8, 96, 64, 3))
            self.assertGreater(frames[4, :8].mean(), 200)
            self.assertLess(frames[4, -8:].mean(), 40)
        self.assertEqual(frame_size(self.root / "m" / "1.mp4"), (64, 96))

    def test_pictures_of_telephones_are_upright(self) -> None:
        """A JPEG file whose EXIF data say that it is to be turned."""
        picture = np.full((64, 96, 3), 20, np.uint8)
        _, encoded = cv2.imencode(".jpg", picture)
        exif = b"Exif\0\0" + struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
        content = encoded.tobytes()
        path = self.root / "img_00001.jpg"
        path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:])
        self.assertEqual(frame_size(path), (64, 96))


if __name__ == "__main__":
    unittest.main()
