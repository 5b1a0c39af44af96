"""Numbers that describe a person in a window of temperatures."""

from __future__ import annotations

import unittest

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from alphaction.evaluation.person_numbers import NUMBERS, PARTS, person_numbers, scene_level

BOX = (20.0, 10.0, 32.0, 18.0)


def window(length: int = 64, size: tuple[int, int] = (40, 60), scale: int = 1) -> np.ndarray:
    """A room of 17 °C with a warm ellipse in BOX."""
    y, x = np.mgrid[: size[0] * scale, : size[1] * scale] + 0.5
    center_x, center_y, radius_x, radius_y = 26 * scale, 14 * scale, 6 * scale, 4 * scale
    warm = ((x - center_x) / radius_x) ** 2 + ((y - center_y) / radius_y) ** 2 < 1
    return np.repeat((17 + 6.0 * warm).astype(np.float32)[None], length, axis=0)


def described(frames: np.ndarray, box: tuple[float, ...] = BOX, key: int | None = None) -> dict[str, float]:
    found = person_numbers(frames, np.array([box]), len(frames) // 2 if key is None else key)
    return dict(zip(NUMBERS, found[0].tolist(), strict=True))


class TestPersonNumbers(unittest.TestCase):
    def test_shape_and_names(self):
        found = person_numbers(window(), np.array([BOX, (0, 0, 5, 5)]), 32)
        self.assertEqual((found.dtype, found.shape), (np.float32, (2, len(NUMBERS))))
        self.assertEqual(len(set(NUMBERS)), len(NUMBERS))
        self.assertEqual(person_numbers(window(), np.zeros((0, 4)), 32).shape, (0, len(NUMBERS)))

    def test_place(self):
        found = described(window())
        wanted = {"box left": 20 / 60, "box top": 10 / 40, "box center x": 26 / 60, "box center y": 14 / 40}
        wanted |= {"box width": 12 / 60, "box height": 8 / 40, "box area": 96 / 2400, "box aspect": np.log(1.5)}
        for name, value in wanted.items():
            self.assertAlmostEqual(found[name], value, places=5, msg=name)

    def test_warmth_is_relative_to_the_scene(self):
        colder, warmer = (described(window() + offset) for offset in (0, 10))
        assert_allclose(list(colder.values()), list(warmer.values()), atol=1e-4)
        self.assertAlmostEqual(colder["heat maximum"], 6, places=3)
        self.assertAlmostEqual(colder["heat around"], 0, places=3)

    def test_motion_in_its_part_of_the_window(self):
        frames = window()
        frames[40:, 10:18, 20:32] += 3
        found = described(frames)
        course = [found[f"motion {part + 1}/{PARTS}"] for part in range(PARTS)]
        self.assertEqual(np.argmax(course), 5)
        assert_array_equal([value > 0 for value in course], [part == 5 for part in range(PARTS)])
        self.assertEqual(found["motion around mean"], 0)
        self.assertGreater(found["reach 6/8"], found["hot share 1/8"])
        self.assertAlmostEqual(found["motion drift"], 3, places=4)

    def test_a_person_who_comes_and_one_who_stays(self):
        frames = window()
        frames[:32] = 17  # nobody before the keyframe
        self.assertGreater(described(frames)["change mean"] + 0.1, described(window())["change mean"])
        self.assertGreater(described(frames)["heat 8/8"], described(frames)["heat 1/8"] + 2)

    def test_a_sensor_of_four_times_the_size(self):
        small, large = described(window(scale=1)), described(window(scale=4), tuple(4 * np.array(BOX)))
        for name in NUMBERS:
            self.assertAlmostEqual(small[name], large[name], delta=0.6, msg=name)
        for name in ("box left", "box area", "box long side", "box from edge", "heat 95 %"):
            self.assertAlmostEqual(small[name], large[name], places=3, msg=name)

    def test_windows_of_any_length_and_size_are_described(self):
        rng = np.random.default_rng(0)
        for length, size in ((1, (8, 8)), (3, (24, 32)), (64, (2, 3)), (16, (240, 320)), (7, (1, 1))):
            frames = rng.normal(20, 1, (length, *size)).astype(np.float32)
            height, width = size
            boxes = [(0, 0, width, height), (width - 0.5, height - 0.5, width, height), (0, 0, 0.2, height)]
            with self.subTest(length=length, size=size):
                found = person_numbers(frames, np.array(boxes), length // 2)
                self.assertTrue(np.isfinite(found).all())

    def test_the_window_is_not_changed(self):
        frames = window()
        frames.setflags(write=False)
        person_numbers(frames, np.array([BOX]), 32)

    def test_level_of_a_large_frame(self):
        frames = np.full((9, 300, 400), 21.5, np.float32)
        frames[:, :100] = 30
        self.assertEqual(scene_level(frames), 21.5)


if __name__ == "__main__":
    unittest.main()
