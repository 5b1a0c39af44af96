"""The room without persons, and persons as what is warmer."""

from __future__ import annotations

import unittest

import numpy as np

from alphaction.errors import UserError
from alphaction.persons import BackgroundDetector, RunningRoom, room_picture
from alphaction.recordings.repair import repair_frames
from alphaction.synthetic.room import draw_room
from alphaction.synthetic.sensor import expose, lose_packets

FLOOR = 18.0


def frames_with(
    boxes: list[tuple[int, int, int, int]], shape: tuple[int, int] = (40, 60), warmth: float = 5.0, seed: int = 0
) -> np.ndarray:
    """A frame [h, w] °C for each box ``x1, y1, x2, y2``, which holds a person."""
    frames = np.random.default_rng(seed).normal(FLOOR, 0.24, (len(boxes), *shape))
    for frame, (x1, y1, x2, y2) in zip(frames, boxes, strict=True):
        frame[y1:y2, x1:x2] += warmth
    return frames.astype(np.float32)


class Room(unittest.TestCase):
    def test_a_person_who_lies_for_most_of_the_recording_is_not_in_the_picture(self):
        frames = frames_with([(10, 10, 24, 18)] * 80 + [(40, 20, 50, 30)] * 20)
        self.assertLess(np.abs(room_picture(frames) - FLOOR).max(), 1.5)
        self.assertGreater(np.median(frames, axis=0)[10:18, 10:24].mean(), FLOOR + 4)

    def test_one_frame_and_many(self):
        frame = frames_with([(0, 0, 0, 0)])
        np.testing.assert_array_equal(room_picture(frame), frame[0])
        many = np.repeat(frame, 1000, axis=0)
        np.testing.assert_array_equal(room_picture(many), frame[0])

    def test_large_frames_are_sorted_in_parts(self):
        frames = np.random.default_rng(0).normal(20, 1, (200, 110, 200)).astype(np.float32)
        np.testing.assert_array_equal(room_picture(frames), np.sort(frames, axis=0)[30])


class Stream(unittest.TestCase):
    def watch(self, room: RunningRoom, seconds: range, box: tuple[int, int, int, int]) -> None:
        for time, frame in zip(seconds, frames_with([box] * len(seconds), seed=seconds.start), strict=True):
            room.update(float(time), frame)

    def test_somebody_who_lies_still_is_not_swallowed_soon(self):
        room = RunningRoom()
        self.watch(room, range(120), (0, 0, 0, 0))
        self.watch(room, range(120, 600), (10, 10, 24, 18))
        self.assertLess(room.picture[10:18, 10:24].mean(), FLOOR + 0.5)

    def test_somebody_who_was_there_from_the_start_leaves_the_picture(self):
        room = RunningRoom()
        self.watch(room, range(40), (10, 10, 24, 18))
        self.assertGreater(room.picture[10:18, 10:24].mean(), FLOOR + 3)
        self.watch(room, range(40, 60), (0, 0, 0, 0))
        self.assertLess(room.picture[10:18, 10:24].mean(), FLOOR + 0.5)

    def test_the_room_may_change(self):
        room = RunningRoom(seconds=60)
        self.watch(room, range(100), (0, 0, 0, 0))
        self.watch(room, range(100, 200), (40, 20, 50, 30))
        self.assertGreater(room.picture[20:30, 40:50].mean(), FLOOR + 4)

    def test_memory_is_bounded(self):
        room = RunningRoom(samples=16)
        for time in range(3000):
            room.update(float(time), np.zeros((8, 8)))
        self.assertLessEqual(len(room._samples), 16)

    def test_refused(self):
        room = RunningRoom()
        with self.assertRaisesRegex(UserError, "at least one frame"):
            _ = room.picture
        room.update(0.0, np.zeros((24, 32)))
        with self.assertRaisesRegex(UserError, r"shape \[24, 32\] to \[40, 60\]"):
            room.update(1.0, np.zeros((40, 60)))


class Detector(unittest.TestCase):
    def test_the_box_of_a_person(self):
        for shape, box in (
            ((40, 60), (10, 12, 22, 20)),
            ((24, 32), (6, 7, 12, 11)),
            ((8, 8), (2, 3, 4, 5)),
            ((120, 160), (30, 36, 60, 60)),
        ):
            with self.subTest(shape):
                window = frames_with([box] * 3, shape)
                room = frames_with([(0, 0, 0, 0)], shape, seed=1)[0]
                found = BackgroundDetector().detect(window, 1, room)
                self.assertEqual(found.boxes.dtype, np.float32)
                self.assertEqual(len(found), 1)
                np.testing.assert_allclose(found.boxes[0], box, atol=0.5 if shape != (120, 160) else 1.5)
                self.assertGreater(found.scores[0], 0.5)

    def test_two_persons_and_the_warmer_first_in_score(self):
        window = frames_with([(5, 5, 15, 15)] * 3)
        window[:, 20:30, 40:50] += 8
        found = BackgroundDetector().detect(window, 1, np.full((40, 60), FLOOR, np.float32))
        self.assertEqual(len(found), 2)
        self.assertEqual(int(found.scores.argmax()), int(found.boxes[:, 0].argmax()))

    def test_without_a_room_who_walks_is_found(self):
        window = frames_with([(x, 15, x + 8, 25) for x in range(0, 48, 4)])
        found = BackgroundDetector().detect(window, 6)
        self.assertEqual(len(found), 1)
        self.assertLess(np.abs(found.boxes[0] - [20, 15, 32, 25]).max(), 6)

    def test_a_sensor_that_warms_up_finds_nobody(self):
        room = frames_with([(0, 0, 0, 0)])[0]
        self.assertEqual(len(BackgroundDetector().detect(room[None] + 3, 0, room)), 0)

    def test_small_hot_objects_are_nobody(self):
        room = np.full((40, 60), FLOOR, np.float32)
        frame = room.copy()
        frame[10:12, 50:53] += 25
        self.assertEqual(len(BackgroundDetector().detect(frame[None], 0, room)), 0)

    def test_empty_rooms(self):
        for seed in range(4):
            rng = np.random.default_rng(seed)
            room = draw_room(rng, warm_rim=bool(seed % 2))
            frames = expose(room.surfaces(120), room.noise, room.dead, rng)
            if seed % 2:
                lose_packets(frames, 0.1, rng)
            frames = repair_frames(frames)[0]
            picture = room_picture(frames)
            found = sum(len(BackgroundDetector().detect(frames[k - 2 : k + 3], 2, picture)) for k in range(2, 118, 4))
            self.assertEqual(found, 0)

    def test_refused(self):
        detector, frame = BackgroundDetector(), np.zeros((1, 40, 60), np.float32)
        for celsius, key, room, message in (
            (frame[0], 0, None, r"shape \[40, 60\]"),
            (frame, 1, None, "key frame is 1, expected 0 to 0"),
            (frame * np.nan, 0, None, "NaN"),
            (frame, 0, np.zeros((24, 32)), r"room has the shape \[24, 32\]"),
        ):
            with self.subTest(message), self.assertRaisesRegex(UserError, message):
                detector.detect(celsius, key, room)


if __name__ == "__main__":
    unittest.main()
