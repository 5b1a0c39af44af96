"""Units of temperatures and the check that frames are temperatures."""

from __future__ import annotations

import unittest
from unittest import mock

import numpy as np
from room_frames import room, stored

from alphaction.errors import UserError
from alphaction.recordings import units
from alphaction.recordings.packets import LOST
from alphaction.recordings.units import ROOM_RANGE, UNITS, check_temperatures, describe_gaps, to_celsius

SHAPES = ((8, 8), (24, 32), (40, 60))


class ToCelsius(unittest.TestCase):
    def test_every_unit(self) -> None:
        for unit in UNITS:
            found = to_celsius(stored(room(), unit), unit)
            self.assertEqual(found.dtype, np.float32)
            np.testing.assert_allclose(found, room(), atol=1e-4)

    def test_integers(self) -> None:
        np.testing.assert_allclose(
            to_celsius(np.array([2952, 3031], np.uint16), "decikelvin"), [22.05, 29.95], atol=1e-5
        )
        np.testing.assert_allclose(to_celsius(np.array([29515], np.int32), "centikelvin"), [22.0], atol=1e-5)

    def test_celsius_stays_as_it_is(self) -> None:
        frames = room().astype(np.float32)
        self.assertIs(to_celsius(frames, "celsius"), frames)

    def test_unknown_unit(self) -> None:
        with self.assertRaisesRegex(UserError, "'rankine', expected one of celsius, kelvin"):
            to_celsius(room(), "rankine")


class Check(unittest.TestCase):
    def refused(self, values: np.ndarray, words: str, **options: object) -> None:
        with self.assertRaisesRegex(UserError, words) as caught:
            check_temperatures("The recording A", values, *ROOM_RANGE, **options)
        self.assertRegex(str(caught.exception), r"\AThe recording A [^\n]+\Z")

    def test_temperatures_in_a_stated_unit_pass(self) -> None:
        for shape in SHAPES:
            for unit in UNITS:
                values = stored(room(shape), unit)
                check_temperatures("A", values, *ROOM_RANGE, unit=unit)
                if unit not in ("celsius", "kelvin"):
                    check_temperatures("A", np.round(values).astype(np.uint16), *ROOM_RANGE, unit=unit)

    def test_the_likely_unit_is_named(self) -> None:
        for unit in ("kelvin", "decikelvin", "centikelvin", "decicelsius"):
            for values in (stored(room(), unit), np.round(stored(room(), unit)).astype(np.uint16)):
                with self.subTest(unit, type=values.dtype):
                    self.refused(values, f"look like .*{unit} .*--unit .*{unit}", unit_option="--unit")

    def test_units_without_an_option(self) -> None:
        self.refused(room() * 1.8 + 32, "look like degrees Fahrenheit .22")
        self.refused(room() * 100, "look like hundredths of a degree Celsius .*: convert")
        self.refused(np.round(room() * 4), "look like quarters of a degree Celsius .22")
        # An option that gives a less likely temperature is not proposed.
        for values in (room() * 1.8 + 32, np.round(room() * 4)):
            self.refused(values, ": convert them to degrees Celsius")

    def test_a_wrong_unit_is_named_too(self) -> None:
        self.refused(room(), "when read as kelvin.*look like celsius", unit="kelvin")
        self.refused(stored(room(), "centikelvin"), "look like centikelvin", unit="decikelvin")

    def test_raw_counts(self) -> None:
        self.refused(np.random.default_rng(0).integers(7000, 9000, (5, 8, 8)), "no known unit.*raw counts")

    def test_integers_need_a_unit(self) -> None:
        self.refused(
            np.round(room()).astype(np.int16),
            "integers of type int16 without a unit.*pass --u celsius",
            unit_option="--u",
        )

    def test_gray_levels(self) -> None:
        gray = np.clip((room() - 15) * 12, 0, 255).astype(np.uint8)
        self.refused(gray, "8-bit gray levels")
        self.refused(gray, "8-bit gray levels", unit="celsius")
        self.refused(gray / 255.0, "between 0 and 1")
        wide = np.arange(64.0).reshape(1, 8, 8) * 4
        self.refused(wide, "between 0 and 255")

    def test_normalized_pictures(self) -> None:
        values = room()
        share = (values - values.min()) / (values.max() - values.min())
        self.refused(share, "values between 0 and 1, as normalized pictures")
        self.refused(2 * share - 1, "values between -1 and 1, as normalized pictures")
        self.refused((values - values.mean()) / values.std(), "mean 0 and standard deviation 1")
        check_temperatures("A", values - values.mean(), *ROOM_RANGE)  # a frosty scene

    def test_constant_pictures(self) -> None:
        self.refused(np.full((5, 8, 8), 20.0), "20.0 at every pixel")
        each = np.broadcast_to(np.linspace(15, 25, 5)[:, None, None], (5, 8, 8)).copy()
        self.refused(each, "at every pixel of each frame")
        each[:, 0] = LOST  # lost pixels make no picture
        self.refused(each, "at every pixel of each frame")
        each[3, 2, 2] = 30
        check_temperatures("A", each, *ROOM_RANGE)

    def test_most_pixels_outside_the_range(self) -> None:
        self.refused(room(base=-35.0), "100% of its pixels outside -20..60 °C.*, or change R for", range_option="R")
        with self.assertRaisesRegex(UserError, "in that range; change R for a scene that hot or cold") as caught:
            check_temperatures("A", room(base=-10.0), 5.0, 45.0, range_option="R")
        self.assertNotIn("look like", str(caught.exception))
        half = room()
        half[:, :10] = 70.0  # 10 of 24 rows
        check_temperatures("A", half, *ROOM_RANGE)
        half[:, :14] = 70.0
        self.refused(half, "58% of its pixels")

    def test_holes_do_not_count(self) -> None:
        values = room()
        values[:, :20] = LOST
        values[:, 20, 4:] = np.nan
        check_temperatures("A", values, *ROOM_RANGE)
        for nothing in (LOST, np.nan, np.inf):
            self.refused(np.full((3, 8, 8), nothing), "no valid temperature")
        kelvin = stored(room(), "kelvin")
        kelvin[:, :20] = 0
        check_temperatures("A", kelvin, *ROOM_RANGE, unit="kelvin")

    def test_gaps_of_single_frames_are_described(self) -> None:
        frames = np.array(room(frames=20), np.float32)
        self.assertEqual(describe_gaps(frames), "")
        for change, words in (
            (np.nan, "3 of 20 frames without any temperature"),
            (LOST, "3 of 20 frames without any temperature"),
            (0.0, "3 of 20 frames with the same temperature at every pixel"),
            (frames[:3] + 273.15, "3 of 20 frames mostly outside -20..60 °C"),
        ):
            changed = frames.copy()
            changed[:3] = change
            self.assertEqual(describe_gaps(changed), words)
        warm = np.where(frames > np.quantile(frames, 0.9), np.inf, frames)
        self.assertRegex(describe_gaps(warm), "10% of the pixels without a temperature")
        self.assertRegex(describe_gaps(np.repeat(frames[:1], 20, 0)), "same picture in each frame.*hangs")

    def test_a_long_recording_is_sampled(self) -> None:
        frames = np.lib.stride_tricks.as_strided(room(frames=1), (10**6, 24, 32), (0, 256, 8))
        check_temperatures("A", frames, *ROOM_RANGE)


class ConversionTest(unittest.TestCase):
    def test_parts_give_the_same_values(self) -> None:
        values = np.random.default_rng(0).integers(2700, 3200, (7, 4, 6)).astype(np.uint16)
        expected = (values.astype(np.float64) * 0.1 - 273.15).astype(np.float32)
        for block in (1, 48, 50, 1 << 22):
            with mock.patch.object(units, "_BLOCK_VALUES", block):
                np.testing.assert_array_equal(units.to_celsius(values, "decikelvin"), expected)
                np.testing.assert_array_equal(units.to_celsius(values[:, 0, 0], "decikelvin"), expected[:, 0, 0])
                self.assertEqual(units.to_celsius(values[:0], "decikelvin").shape, (0, 4, 6))


if __name__ == "__main__":
    unittest.main()
