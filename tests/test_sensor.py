"""Descriptions of sensors: presets, attributes of files, the set's own entry, and what is written."""

from __future__ import annotations

import json
import tempfile
import unittest
import unittest.mock
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from thermal_files import SENSOR, scene, write_recording

from alphaction.errors import UserError
from alphaction.recordings.hdf5 import RecordingFile
from alphaction.recordings.raw_files import read_recording
from alphaction.recordings.recording import ThermalRecording
from alphaction.recordings.sensor import SENSORS, Sensor, default_sensor, describe, find_sensor, read_sensor
from alphaction.recordings.thermal_set import Keyframe, Recording, write_thermal_set

LEPTON = replace(SENSORS["lepton2"], unit="celsius")


class DescriptionTest(unittest.TestCase):
    def test_presets(self) -> None:
        self.assertEqual(find_sensor("mlx90640").shape, (24, 32))
        self.assertEqual(sum(SENSORS["htpa60x40"].packets), 2400)
        with self.assertRaisesRegex(UserError, "'mlx' is unknown, expected one of htpa60x40, .*generic"):
            find_sensor("mlx")

    def test_frames_that_nothing_describes(self) -> None:
        self.assertEqual(default_sensor((40, 60)), SENSORS["htpa60x40"])
        self.assertEqual(default_sensor((60, 40)), Sensor((60, 40)))
        self.assertEqual(read_sensor("A", (24, 32), {}, {}), Sensor((24, 32)))

    def test_a_description_is_read_back(self) -> None:
        for preset in SENSORS.values():
            shape = preset.shape if preset.pixels else (5, 7)
            for sensor in (replace(preset, shape=shape), replace(preset, shape=shape, unit="kelvin", rate=3.0)):
                self.assertEqual(read_sensor("A", shape, describe(sensor), {}), sensor)
        own = Sensor((4, 6), 2.5, "celsius", (-20.0, 80.0), (12, 12), True)
        self.assertEqual(read_sensor("A", (4, 6), describe(own), {}), own)
        self.assertEqual(describe(SENSOR), {})

    def test_attributes_override_the_preset_and_the_set(self) -> None:
        found = read_sensor("A", (60, 80), {"sensor": b"lepton2", "rate": np.float32(4)}, {"sensor": "generic"})
        self.assertEqual(found, replace(SENSORS["lepton2"], rate=4.0))
        found = read_sensor("A", (60, 80), {"rate": 4}, {"sensor": "lepton2", "unit": "celsius", "rate": 5})
        self.assertEqual(found, replace(LEPTON, rate=4.0))

    def test_wrong_descriptions(self) -> None:
        for attributes, words in (
            ({"sensor": "lepton"}, "'lepton' is unknown"),
            ({"sensor": "lepton3"}, "of 24x32 pixels and names the sensor 'lepton3', expected 120x160"),
            ({"rate": 0}, "'rate' '0', expected frames per second"),
            ({"rate": "8 Hz"}, "'rate' '8 Hz', expected 1 number"),
            ({"valid_range": [3, 1]}, "'valid_range'.*a lower and a higher"),
            ({"valid_range": np.nan}, "'valid_range'.*2 numbers"),
            ({"packets": [700, 60]}, "'packets'.*add up to 768"),
            ({"packets": np.ones(768)}, "'packets'.*up to 12"),
            ({"packets": "x" * 5000}, "'packets'"),
        ):
            with self.subTest(words), self.assertRaisesRegex(UserError, words) as caught:
                read_sensor("The recording A", (24, 32), attributes, {})
            self.assertLess(len(str(caught.exception)), 500)


class FileTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "frames").mkdir()
        self.path = self.root / "frames" / "A.h5"

    def test_attributes_of_the_file(self) -> None:
        frames, _ = scene(40, shape=(60, 80))
        write_recording(self.path, frames, sensor=LEPTON)
        recording = ThermalRecording(self.path)
        self.assertEqual((recording.sensor, recording.shape), (LEPTON, (60, 80)))
        self.assertAlmostEqual(recording.fps, 8.7, delta=0.3)
        np.testing.assert_array_equal(recording.frames, frames)

    def test_entry_of_the_set(self) -> None:
        write_recording(self.path, scene(40, shape=(60, 80))[0])
        info = self.root / "dataset_info.json"
        for entry, expected in (
            ("generic", Sensor((60, 80))),
            ({"sensor": "lepton2", "unit": "celsius"}, LEPTON),
            (None, Sensor((60, 80))),
        ):
            info.write_text(json.dumps({"sensor": entry} if entry else {}))
            self.assertEqual(ThermalRecording(self.path).sensor, expected)
        info.write_text(json.dumps({"sensor": "seek"}))
        with self.assertRaisesRegex(UserError, "A.h5 .*'seek' is unknown"):
            len(ThermalRecording(self.path))

    def test_other_units(self) -> None:
        celsius, _ = scene(40, shape=(120, 160))
        kelvin = celsius.astype(np.float64) + 273.15
        integers = np.round(kelvin * 100).astype(np.uint16)
        for frames, attributes, unit in (
            (integers, {"unit": "centikelvin"}, "centikelvin"),
            (integers, {"sensor": "lepton3"}, "centikelvin"),
            (np.round(kelvin * 10).astype(np.int32), {"sensor": "lepton3", "unit": "decikelvin"}, "decikelvin"),
            (kelvin, {"unit": "kelvin"}, "kelvin"),
            (celsius, {"sensor": "lepton3"}, "celsius"),
        ):
            with self.subTest(attributes, dtype=frames.dtype):
                write_recording(self.path, frames)
                with h5py.File(self.path, "r+") as file:
                    file.attrs.update(attributes)
                recording, from_disk = ThermalRecording(self.path), ThermalRecording(self.path, 0)
                self.assertEqual(recording.sensor.unit, unit)
                np.testing.assert_allclose(recording.frames, celsius, atol=0.051)
                np.testing.assert_array_equal(from_disk.window(20, 8), recording.window(20, 8))
                np.testing.assert_array_equal(from_disk.window(20, 8, 2.0), recording.window(20, 8, 2.0))
                np.testing.assert_array_equal(read_recording(self.path).frames, recording.raw_frames())

    def test_units_that_are_refused(self) -> None:
        integers = np.round((scene(40, shape=(8, 8))[0] + 273.15) * 10).astype(np.uint16)
        for frames, attributes, words in (
            (integers, {}, "A.h5 has 'frames' of type uint16, .*the attribute 'unit'"),
            (integers, {"unit": "celsius"}, "of type uint16"),
            ((integers // 16).astype(np.uint8), {"unit": "decicelsius"}, "of type uint8"),
            (
                integers,
                {"unit": "x" * 999},
                "A.h5 has the sensor attribute 'unit' 'xxx.*expected one of celsius, kelvin",
            ),
            (integers, {"unit": "centikelvin"}, "A.h5 has a median of .* outside"),
        ):
            with self.subTest(words):
                write_recording(self.path, frames)
                with h5py.File(self.path, "r+") as file:
                    file.attrs.update(attributes)
                with self.assertRaisesRegex(UserError, words) as caught:
                    ThermalRecording(self.path).window(5)
                self.assertLess(len(str(caught.exception)), 500)

    def test_no_times_and_no_rate(self) -> None:
        with h5py.File(self.path, "w") as file:
            file["frames"] = scene(40, shape=(8, 8))[0]
        with self.assertRaisesRegex(UserError, "no 'timestamps' and does not name a rate"):
            len(ThermalRecording(self.path))
        with h5py.File(self.path, "a") as file:
            file.attrs["sensor"] = "amg8833"
        with self.assertLogs("alphaction", "WARNING") as log:
            self.assertAlmostEqual(ThermalRecording(self.path).fps, 10.0)
        self.assertIn("10 frames per second are assumed", log.output[0])

    def test_a_file_that_another_program_writes_to(self) -> None:
        write_recording(self.path, scene(40)[0])
        with mock_open_error(BlockingIOError(11, "unable")), self.assertRaisesRegex(UserError, "is in use") as caught:
            RecordingFile(self.path)
        self.assertNotIn("copy it again", str(caught.exception))

    def test_a_written_set_keeps_the_description(self) -> None:
        frames, _ = scene(40, shape=(60, 80))
        times = 1_700_000_000_000 + 115 * np.arange(40)
        plain, _ = scene(40)
        recordings = [Recording("A", frames, times, sensor=SENSORS["lepton2"]), Recording("B", plain, times)]
        keyframes = [Keyframe(name, 5, int(times[5])) for name in "AB"]
        root = write_thermal_set(self.root / "set", recordings, {"train": keyframes, "val": []})
        with h5py.File(root / "frames" / "A.h5") as file:
            self.assertEqual((file.attrs["sensor"], file.attrs["unit"]), ("lepton2", "celsius"))
            self.assertEqual((file.attrs["frame_height"], file.attrs["frame_width"]), (60, 80))
            self.assertEqual(file["frames"].chunks, (40, 60, 80))
        with h5py.File(root / "frames" / "B.h5") as file:
            self.assertFalse({"sensor", "unit", "rate"} & set(file.attrs))
        images = json.loads((root / "annotations" / "train.json").read_text())["images"]
        self.assertEqual([(i["width"], i["height"]) for i in images], [(80, 60), (60, 40)])
        self.assertEqual(read_recording(root / "frames" / "A.h5").sensor, LEPTON)
        np.testing.assert_array_equal(ThermalRecording(root / "frames" / "A.h5").frames, frames)


def mock_open_error(error: OSError) -> unittest.mock._patch:
    return unittest.mock.patch.object(h5py, "File", side_effect=error)


if __name__ == "__main__":
    unittest.main()
