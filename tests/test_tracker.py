"""The tracker: one number per person through crossings and absences."""

from __future__ import annotations

import unittest

import numpy as np
from crossing_scenes import FRAMES, Crossing, crossing, seconds
from scipy.optimize import linear_sum_assignment

from alphaction.errors import UserError
from alphaction.persons import BackgroundDetector, Detections, Tracker

FPS = 6.0


def persons(*centers: tuple[float, float], score: float = 0.9, side: float = 10.0) -> Detections:
    """Square boxes around centers."""
    places = np.array(centers, np.float32).reshape(-1, 2)
    return Detections(np.concatenate([places - side / 2, places + side / 2], axis=1), np.full(len(places), score))


def walk(time: float) -> tuple[float, float]:
    """Where somebody is who walks at 8 pixels per second."""
    return 5 + 8 * time, 20.0


def found(scene: Crossing, frame: int) -> Detections:
    window = scene.frames[max(frame - 1, 0) : frame + 2]
    return BackgroundDetector().detect(window, min(frame, 1), scene.room)


def numbers_of_persons(scene: Crossing, boxes: list[Detections], every: int = 1) -> np.ndarray:
    """Numbers [frames, 2] that the tracker gives to the two persons, 0 where they are not two boxes."""
    tracker, result = Tracker(), []
    for frame, time in list(enumerate(seconds()))[::every]:
        detections = boxes[frame]
        numbers = tracker.update(time, detections)
        row = np.zeros(2, int)
        if len(detections) > 1:
            centers = (detections.boxes[:, :2] + detections.boxes[:, 2:]) / 2
            distance = np.linalg.norm(scene.centers[frame][:, None] - centers, axis=2)
            for person, box in zip(*linear_sum_assignment(distance), strict=True):
                if distance[person, box] < 6:
                    row[person] = numbers[box]
        result.append(row)
    return np.array(result)


def count_switches(numbers: np.ndarray) -> int:
    return sum(int(np.count_nonzero(np.diff(column[column > 0]))) for column in numbers.T)


class Crossings(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.scenes = [crossing(seed) for seed in range(24)]
        cls.boxes = [[found(scene, frame) for frame in range(FRAMES)] for scene in cls.scenes]

    def test_fewer_switches_than_a_tenth_of_the_crossings(self):
        for every in (1, 3):  # 6 and 2 frames per second
            with self.subTest(every=every):
                numbers = [numbers_of_persons(*pair, every) for pair in zip(self.scenes, self.boxes, strict=True)]
                self.assertTrue(all((column > 0).any() for rows in numbers for column in rows.T))
                self.assertLess(sum(map(count_switches, numbers)), len(self.scenes) / 10)

    def test_persons_are_one_component_meanwhile(self):
        middle = [len(boxes) for scene in self.boxes for boxes in scene[15:33]]
        self.assertGreater(middle.count(1), 3 * len(self.scenes))

    def test_two_trackers_number_alike(self):
        first, second = (numbers_of_persons(self.scenes[5], self.boxes[5]) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_somebody_who_lies_is_passed(self):
        tracker = Tracker()
        for time in np.arange(40) / FPS:
            x = 5 + 8 * time
            both = persons((x, 20), (30, 20))
            if abs(x - 30) < 10:
                both = Detections([[min(x, 30) - 5, 15, max(x, 30) + 5, 25]], [0.9])
            numbers = tracker.update(time, both)
            if len(both) == 2:
                self.assertEqual(numbers.tolist(), [1, 2])


class Absence(unittest.TestCase):
    def numbers(self, absent: float, tracker: Tracker) -> list[int]:
        """Numbers of somebody who walks for 2 s, is not found for ``absent`` seconds, and is found again."""
        before = [tracker.update(time, persons(walk(time)))[0] for time in np.arange(13) / FPS]
        gap = np.arange(13, 12 + round(absent * FPS)) / FPS
        self.assertTrue(all(len(tracker.update(time, Detections.none())) == 0 for time in gap))
        back = 2 + absent
        return [*map(int, before), int(tracker.update(back, persons(walk(back)))[0])]

    def test_three_seconds_are_survived(self):
        self.assertEqual(set(self.numbers(3.0, Tracker())), {1})

    def test_a_longer_absence_is_not(self):
        self.assertEqual(self.numbers(3.5, Tracker())[-1], 2)
        self.assertEqual(set(self.numbers(3.5, Tracker(absence=4.0))), {1})

    def test_a_person_elsewhere_is_another_one(self):
        tracker = Tracker()
        for time in np.arange(12) / FPS:
            tracker.update(time, persons((10, 10)))
        self.assertEqual(tracker.update(2.0, persons((50, 30))).tolist(), [2])

    def test_one_false_detection_is_forgotten_soon(self):
        tracker = Tracker()
        tracker.update(0.0, persons((30, 20)))
        for time in (0.2, 0.4, 0.6):
            tracker.update(time, Detections.none())
        self.assertEqual(tracker.update(0.8, persons((30, 20))).tolist(), [2])

    def test_one_frame_per_second_is_enough(self):
        tracker = Tracker()
        numbers = {int(tracker.update(time, persons((10 + 3 * time, 20)))[0]) for time in np.arange(10.0)}
        self.assertEqual(numbers, {1})


class Rounds(unittest.TestCase):
    def test_a_low_score_continues_a_track_and_starts_none(self):
        tracker = Tracker(high=0.5, low=0.1)
        self.assertEqual(tracker.update(0.0, persons((10, 10), score=0.3)).tolist(), [-1])
        self.assertEqual(tracker.update(0.2, persons((10, 10))).tolist(), [1])
        self.assertEqual(tracker.update(0.4, persons((10.5, 10), score=0.3)).tolist(), [1])
        self.assertEqual(tracker.update(0.6, persons((10.5, 10), score=0.05)).tolist(), [-1])

    def test_a_high_score_comes_first(self):
        tracker = Tracker()
        tracker.update(0.0, persons((10, 10)))
        both = Detections([[5, 5, 15, 15], [6, 5, 16, 15]], [0.3, 0.9])
        self.assertEqual(tracker.update(0.2, both).tolist(), [-1, 1])

    def test_the_order_of_boxes_does_not_matter(self):
        results = []
        for order in ([0, 1, 2], [2, 0, 1]):
            tracker = Tracker()
            tracker.update(0.0, persons((10, 10), (30, 20), (50, 30)))
            moved = persons((11, 10), (30, 21), (49, 30)).select(np.array(order))
            results.append(tracker.update(0.2, moved)[np.argsort(order)].tolist())
        self.assertEqual(results, [[1, 2, 3]] * 2)

    def test_nobody(self):
        numbers = Tracker().update(0.0, Detections.none())
        self.assertEqual((numbers.shape, numbers.dtype), ((0,), np.int64))


class Refused(unittest.TestCase):
    def test_times_that_run_backwards(self):
        tracker = Tracker()
        tracker.update(1.0, persons((10, 10)))
        for time in (0.5, np.nan, np.inf):
            with self.subTest(time), self.assertRaisesRegex(UserError, "times that increase"):
                tracker.update(time, persons((10, 10)))
        self.assertEqual(tracker.update(1.0, persons((10, 10))).tolist(), [1])

    def test_settings(self):
        for settings in ({"high": 0.1, "low": 0.5}, {"absence": -1}, {"high": 1.5}):
            with self.subTest(settings), self.assertRaisesRegex(UserError, "The tracker has"):
                Tracker(**settings)

    def test_detections(self):
        with self.assertRaisesRegex(UserError, r"shape \[2, 4\] and scores of shape \[1\]"):
            Detections(np.zeros((2, 4)), [1.0])
        with self.assertRaisesRegex(UserError, "NaN"):
            Detections([[0, 0, np.nan, 1]], [1.0])


if __name__ == "__main__":
    unittest.main()
