"""Reading and repairing thermal recordings."""

from __future__ import annotations

import glob
import os
import pickle
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
from thermal_files import lose_packets, real_root, scene, write_recording

from alphaction.errors import UserError
from alphaction.recordings.hdf5 import RecordingFile
from alphaction.recordings.holes import scene_median
from alphaction.recordings.packets import (
    LOST,
    NOMINAL_FPS,
    PACKETS,
    PIXELS,
    SUBSETS,
    find_lost_packets,
    lost_pixels,
    valid_pixels,
)
from alphaction.recordings.raw_files import read_recording
from alphaction.recordings.recording import ThermalRecording, repair_frames
from alphaction.recordings.temperature import to_unit


def injected(frames: np.ndarray, packets: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of which a share lost that many packets, and which: bool [N, 5]."""
    rng = np.random.default_rng(seed)
    damaged, truth = frames.copy(), np.zeros((len(frames), len(PACKETS)), dtype=bool)
    for n in np.flatnonzero(rng.random(len(frames)) < share):
        missing = rng.choice(len(PACKETS), packets, replace=False)
        truth[n, missing] = True
        damaged[n] = lose_packets(frames[n], missing)
    return damaged, truth


def found_packets(frames: np.ndarray) -> np.ndarray:
    flat = frames.reshape(-1, PIXELS)
    valid = valid_pixels(flat)
    return find_lost_packets(flat, valid, lost_pixels(valid), scene_median(flat))


class RepairTest(unittest.TestCase):
    def test_clean_frames_stay_as_they_are(self) -> None:
        clean, _ = scene(40)
        frames, mask, report = repair_frames(clean)
        np.testing.assert_array_equal(frames, clean)
        self.assertFalse(mask.any())
        self.assertEqual((report.frames, report.damaged_frames, report.hole_pixels), (40, 0, 0))

    def test_31_subsets(self) -> None:
        self.assertEqual(sum(len(subsets) for subsets in SUBSETS.values()), 31)
        self.assertEqual(sum(PACKETS), PIXELS)

    def test_single_losses(self) -> None:
        clean, _ = scene(300, seed=3)
        damaged, truth = injected(clean, 1, 0.15, seed=1)
        rows = truth.any(axis=1)
        right = (found_packets(damaged)[rows] == truth[rows]).all(axis=1)
        self.assertGreaterEqual(right.mean(), 0.98)
        frames, mask, report = repair_frames(damaged)
        self.assertLessEqual(np.abs(frames - clean)[rows].mean(), 0.3)
        self.assertEqual(report.damaged_frames, rows.sum())
        self.assertEqual(report.lost_packets, rows.sum())
        self.assertEqual(report.hole_pixels, mask.sum())
        self.assertEqual(report.dead_pixels, 0)
        np.testing.assert_array_equal(frames[~mask], clean[~mask])  # what arrived is back where it was

    def test_several_losses(self) -> None:
        clean, _ = scene(300, seed=4)
        for packets in (2, 3, 4):
            damaged, truth = injected(clean, packets, 0.2, seed=packets)
            rows = truth.any(axis=1)
            self.assertGreaterEqual((found_packets(damaged)[rows] == truth[rows]).all(axis=1).mean(), 0.95)
            self.assertLessEqual(np.abs(repair_frames(damaged)[0] - clean)[rows].mean(), 0.4)

    def test_losses_in_a_row_and_at_both_ends(self) -> None:
        clean, _ = scene(60)
        damaged = clean.copy()
        for n in (0, 1, 2, 30, 31, 32, 33, 58, 59):
            damaged[n] = lose_packets(clean[n], [n % 4])
        frames, mask, report = repair_frames(damaged)
        self.assertEqual(report.damaged_frames, 9)
        np.testing.assert_array_equal(frames[~mask], clean[~mask])
        self.assertLess(np.abs(frames - clean)[mask].mean(), 1.0)

    def test_frame_with_nothing_valid_is_filled_from_its_neighbors(self) -> None:
        clean, _ = scene(30)
        damaged = clean.copy()
        damaged[10] = LOST
        damaged[11] = np.nan
        frames, mask, report = repair_frames(damaged)
        self.assertTrue(mask[10:12].all())
        np.testing.assert_allclose(frames[10], clean[9] * 2 / 3 + clean[12] / 3, rtol=1e-5)
        self.assertEqual((report.damaged_frames, report.lost_packets), (2, 10))

    def test_first_and_last_frame_lost(self) -> None:
        clean, _ = scene(10)
        damaged = clean.copy()
        damaged[[0, 9]] = LOST
        frames, _, _ = repair_frames(damaged)
        np.testing.assert_array_equal(frames[0], clean[1])
        np.testing.assert_array_equal(frames[9], clean[8])

    def test_dead_pixels(self) -> None:
        clean, _ = scene(50)
        damaged = clean.copy()
        damaged[:, 12, 13] = np.nan  # always
        damaged[:, 39, 59] = LOST  # always, where the end of a frame is looked for
        damaged[20, 5, 6] = np.inf  # once
        damaged[25] = lose_packets(damaged[25], [0])  # the dead pixels slide along
        frames, mask, report = repair_frames(damaged)
        self.assertTrue(np.isfinite(frames).all())
        self.assertGreater(frames.min(), 0)
        self.assertTrue(mask[:, 12, 13].all() and mask[:, 39, 59].all() and mask[20, 5, 6])
        self.assertEqual((report.damaged_frames, report.lost_packets), (1, 1))
        self.assertEqual(report.dead_pixels, 50 + 50 + 1)
        np.testing.assert_array_equal(frames[25][~mask[25]], clean[25][~mask[25]])
        self.assertLess(abs(frames[20, 5, 6] - clean[20, 5, 6]), 2.0)
        self.assertLess(np.abs(frames[:, 12, 13] - clean[:, 12, 13]).mean(), 3.0)

    def test_hole_in_place_is_not_taken_for_a_shift(self) -> None:
        clean, _ = scene(20)
        damaged = clean.copy()
        damaged[7, 10:20] = LOST
        frames, mask, report = repair_frames(damaged)
        self.assertEqual(report.damaged_frames, 0)
        self.assertEqual(report.dead_pixels, 600)
        np.testing.assert_array_equal(frames[~mask], clean[~mask])

    def test_every_frame_damaged(self) -> None:
        clean, _ = scene(30)
        damaged = np.stack([lose_packets(frame, [n % 4]) for n, frame in enumerate(clean)])
        frames, _, _ = repair_frames(damaged)
        self.assertTrue(np.isfinite(frames).all())
        self.assertGreater(frames.min(), -50)

    def test_one_frame(self) -> None:
        clean, _ = scene(1)
        np.testing.assert_array_equal(repair_frames(clean)[0], clean)
        self.assertGreater(repair_frames(lose_packets(clean[0], [1])[None])[0].min(), -50)

    def test_nothing_valid_at_all(self) -> None:
        for value in (LOST, np.nan):
            with self.assertRaisesRegex(UserError, "valid temperature"):
                repair_frames(np.full((3, 40, 60), value, dtype=np.float32))

    def test_input_is_not_changed(self) -> None:
        damaged, _ = injected(scene(20)[0], 1, 0.5, seed=0)
        before = damaged.copy()
        repair_frames(damaged)
        np.testing.assert_array_equal(damaged, before)


class TemperatureTest(unittest.TestCase):
    def test_window_and_clip(self) -> None:
        unit = to_unit(np.array([-20.0, 5.0, 25.0, 45.0, 300.0]))
        np.testing.assert_allclose(unit, [0, 0, 0.5, 1, 1], atol=1e-6)
        self.assertEqual(unit.dtype, np.float32)


class RecordingTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "A_R1.h5"
        self.clean, _ = scene(150)
        self.raw = self.clean.copy()
        for n in range(3, 150, 10):
            self.raw[n] = lose_packets(self.clean[n], [n % 4])
        write_recording(self.path, self.raw)

    def test_reads_and_repairs(self) -> None:
        recording = ThermalRecording(self.path)
        self.assertEqual(recording.name, "A_R1")
        self.assertEqual(len(recording), 150)
        np.testing.assert_array_equal(recording.raw_frames(), self.raw)
        self.assertEqual(recording.frames.dtype, np.float32)
        self.assertEqual(recording.report.damaged_frames, 15)
        self.assertEqual(recording.mask.sum(), 15 * 576)
        np.testing.assert_array_equal(recording.frames[~recording.mask], self.clean[~recording.mask])
        self.assertIs(recording.frames, recording.frames)  # read once
        recording.close()
        self.assertEqual(recording.frames.shape, (150, 40, 60))

    def test_window(self) -> None:
        recording = ThermalRecording(self.path)
        frames = recording.frames
        np.testing.assert_array_equal(recording.window(70), frames[38:102])
        np.testing.assert_array_equal(recording.window(32, 64)[0], frames[0])
        first = recording.window(0)
        self.assertEqual(first.shape, (64, 40, 60))
        np.testing.assert_array_equal(first[:33], np.broadcast_to(frames[0], (33, 40, 60)))
        np.testing.assert_array_equal(first[33:], frames[1:32])
        last = recording.window(149)
        np.testing.assert_array_equal(last[:33], frames[117:150])
        np.testing.assert_array_equal(last[33:], np.broadcast_to(frames[149], (31, 40, 60)))
        np.testing.assert_array_equal(recording.window(10, 1), frames[10:11])
        np.testing.assert_array_equal(recording.window(10, 3), frames[9:12])

    def test_cached_frames_cannot_be_written_to(self) -> None:
        with self.assertRaises(ValueError):
            ThermalRecording(self.path).window(70)[0] = 0

    def test_windows_from_disk_equal_cached_ones(self) -> None:
        cached, disk = ThermalRecording(self.path), ThermalRecording(self.path, cache_limit_mb=0.5)
        self.assertTrue(cached.cached)
        self.assertFalse(disk.cached)
        for center in (0, 5, 31, 70, 118, 149):
            np.testing.assert_array_equal(disk.window(center), cached.window(center))
        np.testing.assert_array_equal(disk.frames, cached.frames)

    def test_long_recording_from_disk(self) -> None:
        path = self.folder / "long.h5"
        write_recording(path, np.tile(self.clean, (8, 1, 1)))
        disk = ThermalRecording(path, cache_limit_mb=0)
        np.testing.assert_array_equal(disk.window(700), np.tile(self.clean, (8, 1, 1))[668:732])

    def test_seconds_are_frames_over_the_mean_fps(self) -> None:
        write_recording(self.path, self.raw, np.concatenate([[0, 8, 16], np.linspace(4000, 29800, 147)]).astype(int))
        recording = ThermalRecording(self.path)
        self.assertAlmostEqual(recording.fps, 149 / 29.8)
        self.assertAlmostEqual(recording.seconds(10), 10 / recording.fps)
        np.testing.assert_allclose(recording.seconds(np.array([0, 5])), [0, 5 / recording.fps])

    def test_timestamps_that_say_nothing(self) -> None:
        write_recording(self.path, self.raw, np.zeros(150, dtype=np.int64))
        self.assertEqual(ThermalRecording(self.path).fps, NOMINAL_FPS)
        with h5py.File(self.path, "a") as file:
            del file["timestamps"]
        with self.assertLogs("alphaction", "WARNING"):
            self.assertAlmostEqual(ThermalRecording(self.path).fps, NOMINAL_FPS, places=2)

    def test_pickle_leaves_the_frames_behind(self) -> None:
        recording = ThermalRecording(self.path)
        frames = recording.frames
        data = pickle.dumps(recording)
        self.assertLess(len(data), 10_000)
        np.testing.assert_array_equal(pickle.loads(data).frames, frames)

    def test_half_precision_frames(self) -> None:
        write_recording(self.path, self.clean.astype(np.float16))
        self.assertEqual(ThermalRecording(self.path).frames.dtype, np.float32)

    def refuse(self, sentence: str) -> None:
        with self.assertRaisesRegex(UserError, sentence) as caught:
            ThermalRecording(self.path).frames  # noqa: B018
        self.assertIn(str(self.path), str(caught.exception))
        with self.assertRaisesRegex(UserError, sentence):
            ThermalRecording(self.path, cache_limit_mb=0).window(0)

    def test_missing_file(self) -> None:
        self.path.unlink()
        self.refuse("does not exist")

    def test_no_hdf5(self) -> None:
        self.path.write_text("frames")
        self.refuse("cannot be opened as HDF5")

    def test_truncated(self) -> None:
        self.path.write_bytes(self.path.read_bytes()[:20_000])
        self.refuse("cannot be opened as HDF5")

    def test_damaged(self) -> None:
        with h5py.File(self.path) as file:
            chunk = file["frames"].id.get_chunk_info(1)
        data = bytearray(self.path.read_bytes())
        data[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
        self.path.write_bytes(data)
        self.refuse("is damaged: part of it cannot be read")

    def test_no_frames(self) -> None:
        with h5py.File(self.path, "w") as file:
            file["pictures"] = self.raw
        self.refuse("has no 'frames' .found pictures.")

    def test_wrong_shape(self) -> None:
        write_recording(self.path, self.raw[:, :32])
        self.refuse(r"shape \[150, 32, 60\]")

    def test_wrong_type(self) -> None:
        write_recording(self.path, self.raw.astype(np.int16))
        self.refuse("type int16")

    def test_empty(self) -> None:
        write_recording(self.path, self.raw[:0], np.zeros(0, dtype=np.int64))
        self.refuse("has no frames")

    def test_wrong_timestamps(self) -> None:
        write_recording(self.path, self.raw, np.arange(9))
        self.refuse("timestamps")
        write_recording(self.path, self.raw, np.full(150, np.nan))
        self.refuse("'timestamps' that are not finite")
        with h5py.File(self.path, "a") as file:
            del file["timestamps"]
            file.create_group("timestamps")
        with self.assertRaisesRegex(UserError, "'timestamps' that are not a data set"):
            len(ThermalRecording(self.path))

    def test_nothing_valid(self) -> None:
        write_recording(self.path, np.full((5, 40, 60), LOST, dtype=np.float32))
        self.refuse("cannot be repaired: No frame")


class FileTest(unittest.TestCase):
    """Damaged and foreign HDF5 files: read rightly, or one sentence."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "A_R1.h5"
        self.frames, _ = scene(100)
        self.times = 1_700_000_000_000 + 167 * np.arange(100)

    def write(self, frames: object = None, times: object = None, **options: object) -> None:
        with h5py.File(self.path, "w") as file:
            file.create_dataset("frames", data=self.frames if frames is None else frames, **options)
            file.create_dataset("timestamps", data=self.times if times is None else times)

    def refuse(self, words: str) -> None:
        for limit in (2048.0, 0.0):
            with self.assertRaisesRegex(UserError, words) as caught:
                ThermalRecording(self.path, limit).window(5)
            self.assertIn(str(self.path), str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))
        with self.assertRaisesRegex(UserError, words):
            read_recording(self.path)

    def test_float_frames_of_any_width_and_byte_order(self) -> None:
        for kind in ("<f8", ">f4", "g"):
            self.write(self.frames.astype(kind))
            for limit in (2048.0, 0.0):
                np.testing.assert_array_equal(ThermalRecording(self.path, limit).frames, self.frames)
            np.testing.assert_array_equal(read_recording(self.path).frames, self.frames)

    def test_frames_of_other_kinds(self) -> None:
        for frames, words in (
            (self.frames.astype(np.complex64), "type complex64"),
            (self.frames > 20, "type bool"),
            (self.frames.transpose(0, 2, 1), r"shape \[100, 60, 40\]"),
            (self.frames.reshape(100, -1), r"shape \[100, 2400\]"),
            (h5py.Empty("f4"), "not a data set with values"),
            (1.0, r"shape \[\]"),
        ):
            with self.subTest(words):
                self.write(frames)
                self.refuse(words)

    def test_temperatures_that_are_not_celsius(self) -> None:
        self.write(self.frames + 273.15)
        self.refuse("median temperature is 29.*kelvin")
        self.write(self.frames * 100)
        self.refuse("median value of .*raw counts or hundredths")
        self.write(np.full_like(self.frames, 20))
        self.refuse("20.0 at every pixel")

    def test_hot_and_cold_scenes(self) -> None:
        for offset in (-95, 450, 900):
            self.write(self.frames - np.median(self.frames) + offset)
            for limit in (2048.0, 0.0):
                self.assertAlmostEqual(np.median(ThermalRecording(self.path, limit).window(50)), offset, delta=2)

    def test_what_may_be_tenths_of_a_degree_is_logged(self) -> None:
        self.write(self.frames * 10)
        for limit in (2048.0, 0.0):
            with self.assertLogs("alphaction", "WARNING") as log:
                ThermalRecording(self.path, limit).window(50)
            self.assertIn(str(self.path), log.output[0])
            self.assertIn("tenths of a degree", log.output[0])

    def test_an_even_room_with_a_person(self) -> None:
        frames = np.full((100, 40, 60), 20.0, np.float32)
        for number in range(20, 50):
            frames[number, 10:14, number] = 26.0
        self.write(frames)
        for limit in (2048.0, 0.0):
            np.testing.assert_array_equal(ThermalRecording(self.path, limit).window(35), frames[3:67])
        np.testing.assert_array_equal(read_recording(self.path).frames, frames)

    def test_a_clock_that_steps_back(self) -> None:
        times = self.times.copy()
        times[50:] -= 400
        self.write(times=times)
        with self.assertLogs("alphaction", "WARNING") as log:
            recording = ThermalRecording(self.path)
            self.assertAlmostEqual(recording.fps, 99_000 / float(times[-1] - times[0]))
        self.assertEqual(len(log.output), 1)
        self.assertIn(str(self.path), log.output[0])
        np.testing.assert_array_equal(recording.window(50), self.frames[18:82])
        with self.assertRaisesRegex(UserError, "back in time at frame"):
            read_recording(self.path)
        self.write(times=self.times[::-1])
        self.refuse("run backwards")

    def test_equal_times_find_no_frame(self) -> None:
        self.write(times=np.full(100, 5))
        with self.assertRaisesRegex(UserError, "all equal"):
            read_recording(self.path)
        self.write(self.frames[:1], np.array([5]))
        self.assertEqual(read_recording(self.path).timestamps.tolist(), [5])

    def test_the_chunk_index_is_read_once(self) -> None:
        write_recording(self.path, self.frames)
        recording = ThermalRecording(self.path, 0)
        recording.window(5)
        with mock.patch.object(RecordingFile, "check_complete") as check:
            recording.window(50)
            check.assert_not_called()

    def test_the_frames_are_read_once_for_the_report(self) -> None:
        write_recording(self.path, self.frames)
        recording = ThermalRecording(self.path, 0)
        frames = recording.frames
        with mock.patch.object(RecordingFile, "read_frames") as read:
            self.assertEqual(recording.report.frames, len(frames))
            read.assert_not_called()

    def test_faults_of_the_program_are_not_hidden(self) -> None:
        write_recording(self.path, self.frames)
        for fault, expected in ((AttributeError, AttributeError), (MemoryError, UserError)):
            with RecordingFile(self.path) as file, mock.patch.object(h5py.Dataset, "__getitem__", side_effect=fault):
                with self.assertRaises(expected) as caught:
                    file.read_frames()
        self.assertIn("does not fit in memory", str(caught.exception))

    def test_impossible_times(self) -> None:
        def changed(index: int, value: int) -> np.ndarray:
            times = self.times.copy()
            times[index] = value
            return times

        for times, words in (
            (changed(0, 0), "jump by .* years at frame 1,"),
            (changed(-1, 2**61), "jump by .* years at frame 99,"),
            (self.times / 1000, "look like seconds"),
            (np.full(100, 2**64 - 1, np.uint64), "above 2"),
            (np.linspace(0, 1e300, 100), "above 2"),
            (self.times % 2 == 0, "timestamps' of type bool"),
            (np.array([b"5"] * 100), "timestamps' of type .S1"),
            (self.times[:, None], r"shape \[100, 1\]"),
            (self.times[:-1], "100 frames and 99 times"),
        ):
            with self.subTest(words):
                self.write(times=times)
                self.refuse(words)

    def test_fractions_of_milliseconds_are_rounded(self) -> None:
        self.write(times=self.times + 0.75)
        np.testing.assert_array_equal(ThermalRecording(self.path).timestamps, self.times + 1)
        np.testing.assert_array_equal(read_recording(self.path).timestamps, self.times + 1)

    def test_frames_that_were_never_written(self) -> None:
        for count in (100, 10**9):  # only declared: nothing of this size may be allocated
            for chunks in (None, (64, 40, 60)):
                with h5py.File(self.path, "w") as file:
                    frames = file.create_dataset("frames", (count, 40, 60), "f4", chunks=chunks, fillvalue=20.0)
                    if chunks and count == 100:
                        frames[:64] = self.frames[:64]
                    file.create_dataset("timestamps", data=self.times)
                self.refuse("parts were never written")

    def test_huge_chunks(self) -> None:
        for count, words, disk in (
            (5, "chunks of 576 MB", "chunks of 576 MB"),
            (60_000, "is damaged", "chunks of 576 MB"),  # as large as all frames: read where they are kept in memory
        ):
            with h5py.File(self.path, "w") as file:
                frames = file.create_dataset(
                    "frames",
                    (count, 40, 60),
                    "f4",
                    chunks=(60_000, 40, 60),
                    maxshape=(None, 40, 60),
                    compression="gzip",
                )
                frames.id.write_direct_chunk((0, 0, 0), b"x")
            for limit, expected in ((2048.0, words), (0.0, disk)):
                with self.assertRaisesRegex(UserError, expected), self.assertLogs("alphaction", "WARNING"):
                    ThermalRecording(self.path, limit).window(3)

    def test_links(self) -> None:
        other = self.folder / "other.h5"
        write_recording(other, self.frames)
        layout = h5py.VirtualLayout(self.frames.shape, "f4")
        layout[:] = h5py.VirtualSource(str(other), "frames", self.frames.shape)
        raw = self.folder / "raw.bin"
        raw.write_bytes(self.frames.tobytes())

        def link(target: object):
            return lambda file: file.__setitem__("frames", target)

        def over_two_links(file: h5py.File) -> None:
            file["elsewhere"] = h5py.ExternalLink(str(other), "/")
            file["frames"] = h5py.SoftLink("/elsewhere/frames")

        for add, words in (
            (link(h5py.ExternalLink(str(other), "/frames")), "link to another file"),
            (link(h5py.ExternalLink("/nowhere.h5", "/frames")), "link to another file"),
            (over_two_links, "link to another file"),
            (link(h5py.SoftLink("/nowhere")), "not in the file"),
            (link(h5py.SoftLink("/frames")), "not in the file"),
            (lambda file: file.create_virtual_dataset("frames", layout), "values are in other files"),
            (
                lambda file: file.create_dataset(
                    "frames", self.frames.shape, "f4", external=[(str(raw), 0, h5py.h5f.UNLIMITED)]
                ),
                "values are in other files",
            ),
        ):
            with self.subTest(words):
                with h5py.File(self.path, "w") as file:
                    file["timestamps"] = self.times
                    add(file)
                self.refuse(words)

    def test_links_within_the_file(self) -> None:
        with h5py.File(self.path, "w") as file:
            file["data/frames"] = self.frames
            file["data/alias"] = h5py.SoftLink("frames")
            file["data/times"] = self.times
            file["frames"] = h5py.SoftLink("/data/alias")
            file["timestamps"] = h5py.SoftLink("data/times")
        np.testing.assert_array_equal(read_recording(self.path).frames, self.frames)
        np.testing.assert_array_equal(ThermalRecording(self.path).timestamps, self.times)

    def test_not_a_file(self) -> None:
        self.path.mkdir()
        self.refuse("is a folder, expected an HDF5 file")
        self.path.rmdir()
        if hasattr(os, "mkfifo"):
            os.mkfifo(self.path)  # opening it would wait forever
            self.refuse("not a regular file")

    def test_flipped_bits(self) -> None:
        write_recording(self.path, self.frames)
        good = ThermalRecording(self.path).frames.copy()
        with h5py.File(self.path) as file:
            chunks = [file["frames"].id.get_chunk_info(n) for n in range(file["frames"].id.get_num_chunks())]
        data, rng = self.path.read_bytes(), np.random.default_rng(0)
        # Of each chunk the zlib header and checksum, which refuse every change; elsewhere a change may not matter.
        certain = [place for c in chunks for place in (c.byte_offset, c.byte_offset + c.size - 1)]
        for place in (*certain, *rng.integers(0, len(data), 40).tolist()):
            damaged = bytearray(data)
            damaged[place] ^= 1 << int(rng.integers(8))
            self.path.write_bytes(damaged)
            try:
                found = ThermalRecording(self.path).frames
            except UserError:
                continue
            self.assertNotIn(place, certain)
            np.testing.assert_array_equal(found, good)

    def test_recording_that_shrinks_while_it_is_used(self) -> None:
        write_recording(self.path, self.frames)
        for limit in (2048.0, 0.0):
            recording = ThermalRecording(self.path, limit)
            len(recording)
            write_recording(self.path, self.frames[:30])
            with self.assertRaisesRegex(UserError, "changed while it was in use"):
                recording.window(80)
            write_recording(self.path, self.frames)


@unittest.skipUnless(real_root(), "ALPHACTION_THERMAL_ROOT is not set: no real recordings")
class RealRecordingsTest(unittest.TestCase):
    def setUp(self) -> None:
        files = sorted(glob.glob(os.path.join(real_root(), "frames", "*.h5")))
        self.raw = {os.path.basename(path): ThermalRecording(path).raw_frames() for path in files}

    def test_damaged_frames_become_like_the_others(self) -> None:
        before, after, others = [], [], []
        for raw in self.raw.values():
            valid = valid_pixels(raw.reshape(-1, PIXELS))
            rows = lost_pixels(valid) > 0
            frames, mask, report = repair_frames(raw)
            self.assertEqual(report.damaged_frames, rows.sum())
            self.assertGreater(frames.min(), 0)
            if rows.any():
                scene = scene_median(raw).reshape(40, 60)
                arrived = valid.reshape(raw.shape)[rows]
                before.append(np.abs(raw[rows] - scene)[arrived])
                after.append(np.abs(frames[rows] - scene)[~mask[rows]])
                others.append(np.abs(frames[~rows] - scene).reshape(-1))
        if not before:
            self.skipTest("no damaged recordings in this set")
        before, after, others = (np.median(np.concatenate(part)) for part in (before, after, others))
        self.assertGreater(before, 0.8)
        self.assertLess(after, 0.25)
        self.assertLess(abs(after - others), 0.05)

    def test_losses_injected_into_clean_recordings(self) -> None:
        right, errors = [], []
        for seed, raw in enumerate(self.raw.values()):
            if not valid_pixels(raw).all():
                continue
            damaged, truth = injected(raw, 1, 0.1, seed)
            rows = truth.any(axis=1)
            right.append((found_packets(damaged)[rows] == truth[rows]).all(axis=1))
            errors.append(np.abs(repair_frames(damaged)[0] - raw)[rows].mean())
        if not right:
            self.skipTest("no clean recordings in this set")
        self.assertGreaterEqual(np.concatenate(right).mean(), 0.98)
        self.assertLessEqual(np.mean(errors), 0.3)


if __name__ == "__main__":
    unittest.main()
