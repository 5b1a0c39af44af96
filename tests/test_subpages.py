"""Sensors that refresh one half of a chessboard per frame."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import numpy as np
from thermal_files import write_recording

from alphaction.recordings.recording import ThermalRecording
from alphaction.recordings.repair import repair_frames
from alphaction.recordings.sensor import SENSORS
from alphaction.recordings.subpages import chessboard, old_halves

SENSOR = SENSORS["mlx90640"]


def moving_edge(frames: int = 40, noise: float = 0.1, seed: int = 0) -> np.ndarray:
    """float32 [N, 24, 32] °C as a sensor would see it that refreshes all pixels: a warm edge moves to the right."""
    rng = np.random.default_rng(seed)
    columns = np.arange(32) + 0.5
    edge = 4 + 0.5 * np.arange(frames)
    picture = np.where(columns < edge[:, None], 26.0, 20.0)[:, None].repeat(24, axis=1)
    return (picture + rng.normal(0, noise, picture.shape)).astype(np.float32)


def as_sent(true: np.ndarray, stale: bool) -> np.ndarray:
    """What arrives: frame n refreshes half n % 2; the other half is the one before, or NaN."""
    sent, halves = true.copy(), chessboard(true.shape[1:])
    for number in range(len(true)):
        old = halves[1 - number % 2]
        sent[number, old] = true[number - 1, old] if stale and number else 21.0 if stale else np.nan
    return sent


def chess_contrast(frames: np.ndarray) -> float:
    """Mean difference in °C between the halves along the edge: of each pixel and its four neighbors' mean."""
    inner = frames[:, 1:-1, 1:-1]
    around = (frames[:, :-2, 1:-1] + frames[:, 2:, 1:-1]) / 2  # along the edge, which is vertical
    color = np.where(chessboard(frames.shape[1:])[0], 1.0, -1.0)[1:-1, 1:-1]
    return float(np.abs(((inner - around) * color).mean(axis=1)).max(axis=1).mean())


class SubpageTest(unittest.TestCase):
    def test_which_half_is_old(self) -> None:
        true = moving_edge(9)
        expected = [1, 0] * 4 + [1]
        for stale in (True, False):
            sent = as_sent(true, stale)
            self.assertEqual(old_halves(sent, np.isfinite(sent)).tolist(), expected)
        self.assertEqual(old_halves(true, np.isfinite(true)).tolist(), [-1] * 9)

    def test_a_repeated_subpage(self) -> None:
        sent = as_sent(moving_edge(9), True)
        sent[5] = sent[4]  # read twice: nothing new
        found = old_halves(sent, np.isfinite(sent))
        self.assertEqual(found[[3, 4, 5, 7]].tolist(), [0, 1, -1, 0])

    def test_a_moving_edge_shows_no_chess_pattern(self) -> None:
        true = moving_edge()
        limit = chess_contrast(true)
        for stale in (True, False):
            sent = as_sent(true, stale)
            frames, mask, report = repair_frames(sent, SENSOR)
            self.assertTrue(np.isfinite(frames).all())
            if stale:
                self.assertGreater(chess_contrast(sent), limit + 1.5)
            self.assertLess(chess_contrast(frames[1:-1]), limit + 0.3)
            self.assertLess(np.abs(frames - true)[1:-1].mean(), 0.2)
            self.assertEqual((report.half_frames, report.dead_pixels, report.damaged_frames), (40, 0, 0))
            self.assertFalse(mask.any())

    def test_new_pixels_and_still_details_stay(self) -> None:
        true = np.full((40, 24, 32), 20.0) + np.random.default_rng(1).normal(0, 0.1, (40, 24, 32))
        true[:, 10, 10] += 9.0
        true = true.astype(np.float32)
        for stale in (True, False):
            sent = as_sent(true, stale)
            frames, _, _ = repair_frames(sent, SENSOR)
            np.testing.assert_allclose(frames[1:, 10, 10], 29.0, atol=0.5)
            for number in (3, 8):
                new = chessboard((24, 32))[number % 2]
                np.testing.assert_array_equal(frames[number, new], true[number, new])

    def test_whole_frames_are_left_alone(self) -> None:
        true = moving_edge()
        frames, _, report = repair_frames(true, SENSOR)
        np.testing.assert_array_equal(frames, true)
        self.assertEqual(report.half_frames, 0)

    def test_dead_pixels_and_lost_frames(self) -> None:
        for stale in (True, False):
            sent = as_sent(moving_edge(), stale)
            sent[:, 5, 6] = -273.15
            sent[20] = np.nan
            frames, mask, report = repair_frames(sent, SENSOR)
            self.assertTrue((frames > 15).all() and (frames < 30).all())
            self.assertEqual((report.damaged_frames, report.dead_pixels), (1, 39))
            self.assertTrue(mask[20].all() and mask[:, 5, 6].all())

    def test_halves_of_zeros(self) -> None:
        true = moving_edge()
        sent = as_sent(true, False)
        sent[np.isnan(sent)] = 0
        frames, mask, report = repair_frames(sent, SENSOR)
        expected, _, _ = repair_frames(as_sent(true, False), SENSOR)
        np.testing.assert_array_equal(frames, expected)
        self.assertLess(np.abs(frames - true)[1:-1].mean(), 0.2)
        self.assertEqual((report.half_frames, report.dead_pixels, report.damaged_frames), (40, 0, 0))
        self.assertFalse(mask.any())
        # Left in the first frame only, as before the second subpage.
        sent = as_sent(true, True)
        sent[0, chessboard((24, 32))[1]] = 0
        frames, _, _ = repair_frames(sent, SENSOR)
        self.assertGreater(frames.min(), 15)

    def test_zeros_that_are_temperatures(self) -> None:
        frost = np.round(moving_edge() - 20.0)  # most pixels of both halves are at 0 °C
        frames, _, report = repair_frames(frost, SENSOR)
        np.testing.assert_array_equal(frames, frost)
        self.assertEqual(report.half_frames, 0)

    def test_windows_from_disk(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "A.h5"
            missing = as_sent(moving_edge(), False)
            for sent in (as_sent(moving_edge(), True), missing, np.nan_to_num(missing, nan=0.0)):
                write_recording(path, sent, sensor=SENSOR)
                kept, disk = ThermalRecording(path), ThermalRecording(path, 0)
                for center in (0, 13, 20, 39):
                    np.testing.assert_array_equal(disk.window(center, 8), kept.window(center, 8))
                self.assertEqual(disk.report, kept.report)


if __name__ == "__main__":
    unittest.main()
