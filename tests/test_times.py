"""Times of frames: units, clocks, rates, pauses, annotated times, windows at a given rate."""

from __future__ import annotations

import json
import os
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np
from thermal_files import (
    annotation,
    image,
    real_root,
    scene,
    small_cfg,
    write_annotations,
    write_dataset,
    write_recording,
)

from alphaction.config.validate import load_cfg
from alphaction.dataset.build import build_dataset
from alphaction.dataset.check import check_sets
from alphaction.dataset.datasets import ThermalAVADataset
from alphaction.dataset.datasets.concat import ConcatDataset
from alphaction.errors import UserError
from alphaction.recordings.build_set import build_thermal_set
from alphaction.recordings.clock import Clock
from alphaction.recordings.recording import ThermalRecording
from alphaction.recordings.stretches import frames_per_second, segments
from alphaction.recordings.times import (
    check_order,
    check_times,
    clock_fault,
    count_frames,
    match_frames,
    rounded_times,
    time_unit,
    wrong_frames,
)

T0 = 1_760_482_200_000
HOUR = 3_600_000
YEAR = 366 * 86_400_000


def steady(fps: float, count: int = 200, start: int = T0) -> np.ndarray:
    """Arrival times in ms."""
    return start + np.round(np.arange(count) * 1000 / fps).astype(np.int64)


def bursts(count: int = 300) -> np.ndarray:
    """Arrival times of frames that are sampled at 6 Hz and arrive four at a time, 8 ms apart."""
    frame = np.arange(count)
    return T0 + frame // 4 * 667 + frame % 4 * 8


class Unit(unittest.TestCase):
    def test_every_unit_at_every_rate_from_any_start(self) -> None:
        for fps in (0.5, 1, 4, 6, 8.7, 30, 60, 120, 240):
            for start in (0, 5_000, T0):
                times = steady(fps, start=start)
                for unit, factor in (("seconds", 1000), ("milliseconds", 1), ("microseconds", 1 / 1000)):
                    self.assertEqual(time_unit(times / factor), unit, (fps, start))
                self.assertEqual(time_unit(times * 1_000_000), "nanoseconds")
                self.assertEqual(time_unit(times[::-1]), "milliseconds")

    def test_a_picture_per_minute_is_not_a_sensor_in_another_unit(self) -> None:
        for factor in (1, 1 / 1000, 1000):
            self.assertIsNone(time_unit(steady(1 / 60) * factor))

    def test_pauses_bursts_and_whole_seconds_do_not_hide_it(self) -> None:
        times = np.concatenate([bursts(), bursts() + HOUR])
        self.assertEqual(time_unit(times), "milliseconds")
        self.assertEqual(time_unit(times * 1000), "microseconds")
        self.assertEqual(time_unit(times / 1000), "seconds")
        self.assertEqual(time_unit(times // 1000), "seconds")

    def test_rates_that_no_sensor_has(self) -> None:
        for times in (steady(0.4), steady(300), steady(1 / 60), steady(1 / 3600), steady(1 / 60) // 1000):
            self.assertIsNone(time_unit(times))
            with self.assertRaisesRegex(UserError, "A has 'timestamps' that fit no unit: .* expected 0.5 to 240"):
                check_times("A", times, len(times))

    def test_refusals_name_the_unit_and_what_to_do(self) -> None:
        for times, words in (
            (steady(6) / 1000, "look like seconds: .* 5988 frames per second, .*; multiply them by 1000"),
            (steady(6) // 1000, "look like seconds"),
            (steady(30) * 1000, "look like microseconds: .*; divide them by 1000"),
            (steady(30) * 1_000_000, "look like nanoseconds: .*; divide them by 1000000"),
        ):
            with self.assertRaisesRegex(UserError, words):
                check_times("A", times, len(times))

    def test_times_of_annotations_by_the_span_of_the_recording(self) -> None:
        times = steady(6)
        for unit, factor in (("seconds", 1000), ("milliseconds", 1), ("microseconds", 1 / 1000)):
            self.assertEqual(time_unit(times[5::40] / factor, times), unit)
        self.assertEqual(time_unit(times[5::40] // 1000, times), "seconds")
        self.assertIsNone(time_unit(times[5::40] - 10 * HOUR, times))


class FaultsOfClocks(unittest.TestCase):
    def test_numbers_that_count_the_frames(self) -> None:
        for numbers in (np.arange(50), np.arange(1, 51), np.arange(0, 100, 2), np.delete(np.arange(50), 7)):
            self.assertTrue(count_frames(numbers))
            with self.assertRaisesRegex(UserError, "count the frames, or are whole seconds"):
                check_times("A", numbers.astype(np.float64), len(numbers))
        for times in (125 * np.arange(50), np.arange(50) / 8, T0 + np.arange(50), np.zeros(50), np.zeros(1)):
            self.assertFalse(count_frames(times))

    def test_a_type_too_small_for_the_times(self) -> None:
        for times in (steady(8), steady(8) / 1000):
            with self.assertRaisesRegex(UserError, "type float32, which tells such times apart only by"):
                check_times("A", times.astype(np.float32), len(times))
        np.testing.assert_array_equal(check_times("A", (steady(8) - T0).astype(np.float32), 200), steady(8) - T0)

    def test_a_clock_that_was_set_while_recording(self) -> None:
        for times in (
            np.concatenate([[0], steady(6)[1:]]),
            np.concatenate([steady(6, 50, 12_000), steady(6, 50)]),
            np.concatenate([steady(6, 50), steady(6, 50, 0)]),
            np.concatenate([steady(6, 50), steady(6, 50, T0 + 2 * YEAR)]),
        ):
            at = int(np.argmax(np.abs(np.diff(times)))) + 1
            with self.assertRaisesRegex(UserError, f"jump by .* years at frame {at}, .*1970"):
                check_times("A", times, len(times))
        relative = steady(6, start=0)
        np.testing.assert_array_equal(check_times("A", relative, 200), relative)

    def test_times_that_run_backwards(self) -> None:
        for times in (steady(6)[::-1], steady(6, start=0)[::-1], bursts()[::-1]):
            with self.assertRaisesRegex(UserError, "A has 'timestamps' that run backwards"):
                check_times("A", times, len(times))

    def test_frames_that_cannot_be_found(self) -> None:
        back = steady(6)
        back[70:] -= 400
        for times, words in (
            (np.full(9, 5), "all equal"),
            (back, "back in time at frame 70"),
            (np.concatenate([steady(6, 50), steady(6, 50, T0 - HOUR)]), "back in time at frame 50"),
            (steady(6) // 1000 * 1000, "in whole seconds .166 of 200 frames"),
            (steady(1.5) // 1000 * 1000, "in whole seconds"),
        ):
            times = check_times("A", times, len(times))
            self.assertRegex(clock_fault(times) or "", words)
            with self.assertRaisesRegex(UserError, f"A has 'timestamps' .*{words}"):
                check_order("A", times)
        for times in (steady(6), steady(1), bursts(), np.array([5]), steady(30) // 100 * 100):
            self.assertIsNone(clock_fault(check_times("A", times, len(times))))


class Rate(unittest.TestCase):
    def test_bursts_and_pauses(self) -> None:
        pause = bursts()
        pause[150:] += HOUR
        for times, fps in (
            (steady(6), 6),
            (steady(0.5), 0.5),
            (steady(240), 240),
            (bursts(), 6),
            (pause, 6),
            (np.concatenate([steady(30), steady(30, start=T0 - HOUR)]), 30),
            (np.concatenate([steady(8, 9, T0 + k * HOUR) for k in range(50)]), 8),
            (steady(6) // 1000 * 1000, 6),
        ):
            self.assertAlmostEqual(frames_per_second(times, 1.0), fps, delta=0.02 * fps)

    def test_without_pauses_the_mean_from_first_to_last(self) -> None:
        times = bursts()
        self.assertEqual(frames_per_second(times, 1.0), 299 / ((float(times[-1]) - float(times[0])) / 1000.0))
        clock = Clock(times, 1.0)
        np.testing.assert_array_equal(clock.seconds(np.arange(300)), np.arange(300) / clock.fps)

    def test_times_that_say_nothing(self) -> None:
        for times in (np.array([7]), np.full(20, 7), steady(6)[::-1]):
            self.assertEqual(frames_per_second(times, 6.5), 6.5)


class Pauses(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.times = np.concatenate([steady(6, 60), steady(6, 90, T0 + HOUR)])

    def test_stretches(self) -> None:
        self.assertEqual(segments(self.times).tolist(), [0, 60, 150])
        self.assertEqual(segments(np.array([3])).tolist(), [0, 1])
        for times, gaps in (
            (bursts(), ((4_600, 1), (9_999, 1), (10_000, 2), (-10_000, 2), (-400, 1))),
            (steady(6), ((1_600, 1), (1_700, 2), (-1_700, 2), (-400, 1))),
            (steady(30), ((999, 1), (1_000, 2))),
            (steady(0.5), ((9_999, 1), (10_000, 2))),
        ):
            for gap, count in gaps:
                later = times.copy()
                later[100:] += times[99] - times[100] + gap
                self.assertEqual(len(segments(later)) - 1, count, gap)

    def test_bursts_of_a_fast_sensor_are_no_pauses(self) -> None:
        frame = np.arange(3000)
        for length in (2, 8, 30):
            times = T0 + frame // length * round(1000 * length / 25) + frame % length
            self.assertEqual(segments(times).tolist(), [0, 3000], length)

    def test_gaps_of_a_steady_sensor(self) -> None:
        times = steady(30, 1800)
        for frame in range(300, 1800, 300):
            times[frame:] += 9_000
        clock = Clock(times, 1.0)
        self.assertEqual((len(clock.pauses), len(clock.changes)), (5, 0))
        self.assertAlmostEqual(clock.fps, 30, delta=0.01)
        frames, repeated = clock.window(310, 64)
        self.assertEqual((frames[0], repeated), (300, 22))
        frames, repeated = clock.window(450, 64, 10)
        self.assertEqual((frames[0], frames[-1], repeated), (450 - 96, 450 + 93, 0))
        np.testing.assert_allclose(clock.seconds(np.arange(1800)), (times - T0) / 1000, atol=0.05)

    def test_packets_are_held_up_by_the_network(self) -> None:
        times = steady(6)
        times[100:] += 9_000
        self.assertEqual(len(Clock(times, 1.0).pauses), 1)
        self.assertEqual(len(Clock(times, 1.0, packets=True).pauses), 0)

    def test_gaps_that_the_network_may_have_made_are_counted(self) -> None:
        times = bursts(300)
        times[152:] += 8_000
        clock = Clock(times, 1.0)
        self.assertEqual((len(clock.pauses), clock.describe_changes()), (0, ""))
        found = [clock.has_gap(clock.window(center, 64)[0]) for center in (60, 120, 150, 183, 200)]
        self.assertEqual(found, [False, False, True, True, False])
        self.assertFalse(clock.has_gap(np.array([5])))

    def test_seconds_pass_during_a_pause(self) -> None:
        clock = Clock(self.times, 1.0)
        np.testing.assert_allclose(clock.seconds(np.arange(150)), (self.times - T0) / 1000, atol=0.01)
        self.assertAlmostEqual(clock.seconds(60) - clock.seconds(59), HOUR / 1000 - 59 / 6, places=1)
        back = Clock(np.concatenate([self.times[60:], self.times[:60]]), 1.0)
        self.assertTrue((np.diff(back.seconds(np.arange(150))) > 0).all())
        self.assertGreaterEqual(back.seconds(90) - back.seconds(89), 1.6)  # the shortest pause at 6 Hz

    def test_windows_stay_within_their_stretch_and_count(self) -> None:
        clock = Clock(self.times, 1.0)
        for center in (0, 20, 59, 60, 61, 100, 149):
            low, high = (0, 59) if center < 60 else (60, 149)
            wanted = np.arange(center - 32, center + 32)
            frames, repeated = clock.window(center, 64)
            np.testing.assert_array_equal(frames, np.clip(wanted, low, high))
            self.assertEqual(repeated, ((wanted < low) | (wanted > high)).sum())
        video = np.random.default_rng(0).normal(20, 1, (150, 40, 60)).astype(np.float32)
        write_recording(self.root / "A.h5", video, self.times)
        for limit in (2048, 0):
            recording = ThermalRecording(self.root / "A.h5", limit)
            with self.assertLogs("alphaction", "WARNING") as log:
                window = recording.window(55)
            self.assertRegex(log.output[0], "A.h5 has 1 pauses .* longest of 3590 s before frame 60")
            np.testing.assert_array_equal(window, video[np.clip(np.arange(23, 87), 0, 59)])
            np.testing.assert_array_equal(recording.window(70, 5), video[68:73])

    def test_sets_and_their_check_say_so(self) -> None:
        write_dataset(self.root, ("A",), frames=150, keyframes=(20, 58, 70, 100), damaged=False)
        with h5py.File(self.root / "frames" / "A.h5", "r+") as file:
            file["timestamps"][...] = self.times
        data = ThermalAVADataset(self.root, self.root / "annotations" / "train.json", True, 64)
        # Frames before 0 and from 60 on, from 60 on, before 60.
        self.assertEqual(data.repeated_frames, 12 + 30 + 22)
        self.assertIn("64 of 192 window frames repeated at ends and pauses", repr(data))
        data = ThermalAVADataset(self.root, self.root / "annotations" / "val.json", True, 64)
        self.assertNotIn("repeated", repr(data))
        text = check_sets(small_cfg(self.root))
        self.assertRegex(text, "A: 1 pauses of at least 10 s .*; no window spans one")
        self.assertIn("64 of 192 window frames repeated", text)


class Rates(unittest.TestCase):
    def setUp(self) -> None:
        self.times = np.concatenate([steady(4, 400), steady(30, 400, T0 + 100_000)])

    def test_a_change_within_a_recording(self) -> None:
        clock = Clock(self.times, 1.0)
        self.assertEqual((clock.changes.tolist(), len(clock.pauses)), ([400], 0))
        self.assertEqual(
            clock.describe_changes(), "1 changes of its rate, the first from 4 to 30 frames per second at frame 400"
        )
        np.testing.assert_allclose(clock.seconds(np.arange(800)), (self.times - T0) / 1000, atol=0.01)
        for center in (200, 390, 400, 420, 650):
            frames, repeated = clock.window(center, 64, 10)
            wanted = clock.seconds(center) + np.arange(-32, 32) / 10
            self.assertEqual((frames[32], repeated), (center, 0))
            self.assertLess(np.abs(clock.seconds(frames) - wanted).max(), 0.13)
        frames, repeated = clock.window(799, 64, 10)
        self.assertEqual((frames[-1], repeated), (799, 31))
        frames, repeated = clock.window(0, 64, 2)
        self.assertEqual((frames[0], repeated), (0, 32))

    def test_stretches_of_different_rates(self) -> None:
        times = np.concatenate([steady(8, 400), steady(12, 400, T0 + HOUR), steady(12, 20, T0 + 2 * HOUR)])
        clock = Clock(times, 1.0)
        for center, rate in ((200, 8), (600, 12), (810, clock.fps)):
            frames, _ = clock.window(center, 9, 4)
            self.assertEqual(frames[4], center)
            self.assertLess(abs(clock.seconds(frames[5]) - clock.seconds(center) - 1 / 4), 0.5001 / rate)
        self.assertAlmostEqual(float(clock.seconds(200) - clock.seconds(100)), 12.5, places=2)
        self.assertAlmostEqual(float(clock.seconds(600) - clock.seconds(500)), 100 / 12, places=2)

    def test_no_change(self) -> None:
        late = bursts()
        late[150:] += 4_600
        for times in (np.array([T0]), np.full(300, T0), bursts(), late, steady(30, 128), steady(6)[::-1]):
            self.assertEqual(len(Clock(times, 6.0).changes), 0)
            self.assertEqual(Clock(times, 6.0).describe_changes(), "")

    def test_the_log_and_the_check_name_them(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = write_dataset(folder, ("A",), frames=800, keyframes=(100, 390, 600, 700), damaged=False)
            with h5py.File(root / "frames" / "A.h5", "r+") as file:
                file["timestamps"][...] = self.times
            with self.assertLogs("alphaction", "WARNING") as log:
                self.assertEqual(len(ThermalRecording(root / "frames" / "A.h5")), 800)
            self.assertRegex(log.output[0], "A.h5 has 1 changes of its rate, .* last differently, set INPUT.FPS")
            self.assertRegex(check_sets(small_cfg(root)), "A: 1 changes of its rate, the first from 4 to 30")

    def test_recordings_of_different_rates(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = write_dataset(folder, ("A", "B"), damaged=False)
            train = root / "annotations" / "train.json"
            for rate, note in (
                (8.5, ""),
                (9.1, "2 recordings have 6 .A. to 9.1 .B. frames per second; 64 frames then"),
            ):
                for name, fps in (("A", 6), ("B", rate)):
                    with h5py.File(root / "frames" / f"{name}.h5", "r+") as file:
                        file["timestamps"][...] = steady(fps, 80)
                os.utime(root / "frames" / "B.h5", (rate, rate))  # opened recordings are shared while unchanged
                self.assertRegex(ThermalAVADataset(root, train, True, 64).rate_note, note or "^$")
                self.assertEqual(ThermalAVADataset(root, train, True, 64, fps=6).rate_note, "")
            with self.assertLogs("alphaction", "WARNING") as log:
                text = check_sets(small_cfg(root))
            self.assertIn("last 10.7 to 7.0 s: set INPUT.FPS", log.output[0])
            self.assertIn("last 10.7 to 7.0 s: set INPUT.FPS", text)
            self.assertNotIn("set INPUT.FPS", check_sets(small_cfg(root, "INPUT.FPS", 6.0)))

    def test_sets_of_different_rates(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            roots = [write_dataset(Path(folder) / name, (name,), damaged=False) for name in ("A", "B")]
            with h5py.File(roots[1] / "frames" / "B.h5", "r+") as file:
                file["timestamps"][...] = steady(30, 80)
            parts = [ThermalAVADataset(root, root / "annotations" / "train.json", True, 64) for root in roots]
            self.assertEqual([part.rate_note for part in parts], ["", ""])
            with self.assertLogs("alphaction", "WARNING") as log:
                ConcatDataset(parts)
            self.assertRegex(log.output[0], "2 recordings have .*(A).* to 30 .B. frames per second")


class Builder(unittest.TestCase):
    def test_matches(self) -> None:
        times = steady(6)
        self.assertEqual(match_frames("A", times, times[[3, 90]] + 20, 100), [3, 90])
        self.assertRegex(str(match_frames("A", times, times[:1] - 101, 100)[0]), "without a frame within 100 ms")
        # Three frames of a fast sensor lie within 100 ms.
        fast = steady(30)
        self.assertEqual(match_frames("A", fast, fast[[3]] + 15, 100), [3])
        self.assertRegex(str(match_frames("A", fast, fast[-1:] + 50, 100)[0]), "without a frame within 33 ms")
        shared = fast // 100 * 100
        self.assertRegex(str(match_frames("A", shared, shared[[6]], 100)[0]), "time that several frames have")
        self.assertEqual(match_frames("A", np.array([T0]), np.array([T0 + 90]), 100), [0])

    def test_other_units_and_clocks(self) -> None:
        times = steady(6)
        for wanted, unit in ((times[::30] // 1000, "seconds"), (times[::30] * 1000, "microseconds")):
            with self.assertRaisesRegex(UserError, f"A has 'data_time' .* look like {unit}, expected milliseconds"):
                match_frames("A has 'data_time'", times, wanted, 100)
        # From the start of the recording, all of these are near its first frame if they were ms.
        with self.assertRaisesRegex(UserError, "look like seconds"):
            match_frames("A", times - T0, np.arange(1, 30), 100)
        for start in (0, T0):
            with self.assertRaisesRegex(UserError, "A 0 and 9 more that look like numbers of its 200 frames"):
                match_frames("A", times - T0 + start, np.arange(0, 60, 6), 100)
        self.assertEqual(match_frames("A", times - T0, np.array([0, 167, 333]), 100), [0, 1, 2])
        self.assertEqual(match_frames("A", times - T0, np.array([5]), 100), [0])
        reasons = match_frames("A", times, times[::30] + 2 * HOUR, 100)
        self.assertRegex(str(reasons[0]), "a median of 71.. s outside its time: another clock or time zone")

    def test_rounded_times(self) -> None:
        times = steady(6, start=T0 + 37)
        self.assertTrue(rounded_times(times, times[5::30] // 1000 * 1000))
        self.assertFalse(rounded_times(times, times[5::30]))
        self.assertFalse(rounded_times(steady(10), steady(10)[::10]))

    def test_both_sides_through_the_builder(self) -> None:
        video, boxes = scene(60)
        for frame_factor, record_factor, words in (
            (1, 1, None),
            (1 / 1000, 1 / 1000, "look like seconds"),
            (1 / 1000, 1, "look like seconds"),
            (1, 1 / 1000, "has a fraction .seconds|look like seconds"),
            (1, "whole", "records of A have 'data_time' .* look like seconds"),
            ("whole", "whole", "look like seconds"),
            ("whole ms", "whole ms", "in whole seconds"),
            (1000, 1000, "look like microseconds"),
            (1, 1000, "look like microseconds"),
        ):
            with self.subTest((frame_factor, record_factor)), tempfile.TemporaryDirectory() as folder:
                frames, lines = Path(folder) / "raw", []
                frames.mkdir()
                for name, start in (("A", T0), ("B", T0 + HOUR)):
                    times = steady(6, 60, start)
                    np.save(frames / f"{name}.npy", video)
                    np.save(frames / f"{name}.times.npy", _in_unit(times, frame_factor))
                    for k in range(0, 60, 7):
                        person = {"category": "person", "subcategory": "standing", "bbox": boxes[k].tolist()}
                        time = _in_unit(times, record_factor)[k].item()
                        lines.append({"data_id": name, "data_time": time, "annotations": [person]})
                (Path(folder) / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
                build = (frames, Path(folder) / "a.jsonl", Path(folder) / "set")
                if words is None:
                    self.assertFalse(build_thermal_set(*build).unused)
                    continue
                with self.assertRaisesRegex(UserError, words):
                    build_thermal_set(*build)
                self.assertFalse((Path(folder) / "set").exists())


def _in_unit(times: np.ndarray, factor: float | str) -> np.ndarray:
    if factor == "whole":
        return times // 1000
    return times // 1000 * 1000 if factor == "whole ms" else times if factor == 1 else times * factor


class StatedTimes(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = write_dataset(folder.name, ("A", "B"), damaged=False)
        self.times = {name: ThermalRecording(self.root / "frames" / f"{name}.h5").timestamps for name in "AB"}

    def read(self, shift: int = 0, field: int | None = 0, factor: float = 1, in_id: int | None = 0) -> None:
        """A set whose images state the times of their frames: ``shift`` frames later, None for none, in another
        unit."""
        images, annotations = [], []
        for name in "AB":
            for k in (5, 30, 60):
                entry = image(name, k)
                del entry["timestamp"]
                if field is not None:
                    entry["timestamp"] = float(self.times[name][k + shift] * factor) + field
                if in_id is not None:
                    entry["id"] = f"{name}_{self.times[name][k + shift] + in_id}"
                images.append(entry)
                annotations.append(annotation(len(annotations), entry["id"], (0.5, 0.5, 0.2, 0.2), 1))
        path = self.root / "annotations" / "stated.json"
        write_annotations(path, images, annotations)
        ThermalAVADataset(self.root, path, True, 64)

    def test_agreement_is_silent(self) -> None:
        with self.assertNoLogs("alphaction", "WARNING"):
            self.read()
            self.read(field=None)
            self.read(in_id=None)
            self.read(in_id=1)
            # Ids that count frames, as write_dataset's.
            ThermalAVADataset(self.root, self.root / "annotations" / "train.json", True, 64)

    def test_recordings_without_times_are_not_compared(self) -> None:
        for change in (lambda file: None, lambda file: file.create_dataset("timestamps", data=np.full(80, 9))):
            for name in "AB":
                with h5py.File(self.root / "frames" / f"{name}.h5", "r+") as file:
                    del file["timestamps"]
                    change(file)
            with self.assertLogs("alphaction", "WARNING") as log:
                self.read()
            self.assertEqual(len(log.output), 2)
            self.assertNotIn("frame_idx", "".join(log.output))
            for name in "AB":
                write_recording(self.root / "frames" / f"{name}.h5", scene(80)[0])

    def test_disagreement_is_counted_and_named(self) -> None:
        for change, words in (
            ({"shift": 1}, r"'frame_idx' and 'timestamp' of 6 of 6 images .* frame 5 of A is at .* \(frame 6\)"),
            ({"shift": -1, "field": None}, r"the time in the image id of 6 of 6 images .* \(frame 4\)"),
            ({"field": 10 * HOUR}, "'timestamp' of 6 of 6 images"),
            ({"in_id": 10 * HOUR}, "the time in the image id of 6 of 6 images"),
            ({"factor": 1 / 1000}, "'timestamp' of 6 of 6 images .* look like seconds"),
        ):
            with self.subTest(change), self.assertLogs("alphaction", "WARNING") as log:
                self.read(**change)
            self.assertRegex(log.output[0], words)

    def test_only_the_frame_nearest_in_time_is_right(self) -> None:
        times = bursts(40)
        frames = np.arange(40)
        self.assertFalse(wrong_frames(times, frames, times).any())
        self.assertFalse(wrong_frames(times, frames, np.full(40, -1)).any())
        self.assertTrue(wrong_frames(times, frames[1:], times[:-1]).all())
        self.assertTrue(wrong_frames(times, frames[:1], times[:1] - 101).all())


@unittest.skipUnless(real_root(), "ALPHACTION_THERMAL_ROOT is not set")
class RealSet(unittest.TestCase):
    def test_nothing_changes(self) -> None:
        root = Path(real_root() or "")
        for split in ("train", "val"):
            with self.assertNoLogs("alphaction", "WARNING"):
                data = ThermalAVADataset(root, root / "annotations" / f"{split}.json", True, 64)
            self.assertEqual((data.repeated_frames, data.gap_windows, data.rate_note), (0, 0, ""))
            for recording in data.opened_recordings:
                times = recording.timestamps
                # The median interval gives 6 to 26.
                self.assertTrue(5.6 < recording.fps < 6.1)
                self.assertEqual(recording.fps, (len(times) - 1) / ((float(times[-1]) - float(times[0])) / 1000.0))
                self.assertEqual(recording.seconds(97), 97 / recording.fps)
                self.assertEqual((len(recording.clock.pauses), len(recording.clock.changes)), (0, 0))
                for fps in (3.0, 8.0):
                    wanted = 200 + np.floor(np.arange(-32, 32) * (recording.fps / fps) + 0.5).astype(np.int64)
                    np.testing.assert_array_equal(recording.clock.window(200, 64, fps)[0], wanted)
                self.assertIsNone(clock_fault(times))


class WindowsByTime(unittest.TestCase):
    def test_the_same_seconds_at_every_rate(self) -> None:
        for rate in (4, 6, 7.3, 12, 30):
            clock = Clock(steady(rate, 2000), 1.0)
            for fps in (2, 4, 6, 25):
                frames, repeated = clock.window(1000, 64, fps)
                taken = clock.seconds(frames) - clock.seconds(1000)
                np.testing.assert_allclose(taken, np.arange(-32, 32) / fps, atol=0.5001 / clock.fps)
                self.assertEqual((frames[32], repeated), (1000, 0))

    def test_the_recording_s_own_rate_changes_nothing(self) -> None:
        clock = Clock(bursts(), 1.0)
        for center in (0, 100, 299):
            for fps in (0, clock.fps):
                frames, repeated = clock.window(center, 64, fps)
                wanted = np.arange(center - 32, center + 32)
                np.testing.assert_array_equal(frames, np.clip(wanted, 0, 299))
                self.assertEqual(repeated, ((wanted < 0) | (wanted > 299)).sum())

    def test_ends_and_pauses_repeat(self) -> None:
        times = np.concatenate([steady(30, 300), steady(30, 300, T0 + HOUR)])
        frames, repeated = Clock(times, 1.0).window(240, 64, 10)
        self.assertEqual(frames[[0, 32, 51, 52, 63]].tolist(), [144, 240, 297, 299, 299])
        self.assertEqual(repeated, 64 - 52)

    def test_from_file_to_sample(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = write_dataset(folder, ("A",), frames=300, keyframes=(10, 150, 160), damaged=False)
            with h5py.File(root / "frames" / "A.h5", "r+") as file:
                file["timestamps"][...] = steady(30, 300)
            plain = ThermalAVADataset(root, root / "annotations" / "train.json", True, 64, fps=7.5)
            self.assertIn("7.5 frames per second", repr(plain))
            from_disk = ThermalRecording(root / "frames" / "A.h5", 0)
            for k, frame in enumerate((10, 150)):
                wanted = np.clip(frame + 4 * np.arange(-32, 32), 0, 299)
                np.testing.assert_allclose(plain.recording(k).fps, 30, rtol=1e-4)
                np.testing.assert_array_equal(plain[k][0][..., 0], plain.recording(k).frames[wanted])
                np.testing.assert_allclose(from_disk.window(frame, 64, 7.5), plain[k][0][..., 0], atol=1e-4)
            data = build_dataset(small_cfg(root, "INPUT.FPS", 7.5), "thermal_action_train", is_train=True)
            self.assertEqual((data.fps, data.repeated_frames), (7.5, plain.repeated_frames))
            unchanged = build_dataset(small_cfg(root), "thermal_action_train", is_train=True)
            self.assertEqual(unchanged.fps, 0)

    def test_key(self) -> None:
        for fps in (0, 0.5, 25, 240):
            self.assertEqual(load_cfg(opts=["INPUT.FPS", fps]).INPUT.FPS, fps)
        for fps in (-1.0, 0.4, 241.0, float("nan"), float("inf")):
            with self.assertRaisesRegex(UserError, "INPUT.FPS is .* expected 0.5 to 240"):
                load_cfg(opts=["INPUT.FPS", fps])


if __name__ == "__main__":
    unittest.main()
