"""Simulated recordings: geometry, persons, sensors, labels and files."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np
from tool_scripts import load_tool

from alphaction.errors import UserError
from alphaction.recordings.sensor import SENSORS
from alphaction.synthetic.simulation import Simulation, draw_array, write_simulated_set
from alphaction.synthetic.simulation.actor import BED, RISK, SIT, STAND, WALK, Crowd
from alphaction.synthetic.simulation.array import expose, lose_frames
from alphaction.synthetic.simulation.body import draw_person
from alphaction.synthetic.simulation.heat import Prints
from alphaction.synthetic.simulation.motion import Interval, Motion, play
from alphaction.synthetic.simulation.poses import draw_pose
from alphaction.synthetic.simulation.room import Block, Room, Spot, draw_room, see
from alphaction.synthetic.simulation.script import Script
from alphaction.synthetic.simulation.skeleton import CLEARANCE, INDEX, joints, mirror, pose
from alphaction.synthetic.simulation.view import View, draw_view, look

DOWN = look(np.array([0.0, 0.0, -1.0]), np.array([1.0, 0.0, 0.0]))


def ceiling(fisheye: bool = True) -> View:
    return View((40, 60), np.array([0.0, 0.0, 3.0]), DOWN, 30.0, fisheye)


class Geometry(unittest.TestCase):
    def test_rays_and_projection_agree(self) -> None:
        rng = np.random.default_rng(0)
        for fisheye in (True, False):
            for wall in (True, False):
                view = draw_view(rng, (24, 32), 100 if fisheye else 60, (4.0, 5.0, 2.6), wall)
                self.assertEqual(view.fisheye, fisheye)
                points = view.position + view.rays(1) * 2.0
                pixels, distance, _ = view.project(points)
                y, x = np.mgrid[0:24, 0:32] + 0.5
                np.testing.assert_allclose(pixels, np.stack([x, y], axis=-1), atol=1e-6)
                np.testing.assert_allclose(distance, 2.0, atol=1e-6)

    def test_axes_are_a_right_handed_system(self) -> None:
        np.testing.assert_allclose(np.linalg.det(DOWN), 1.0)

    def test_higher_is_larger_and_pushed_outward(self) -> None:
        pixels, _, scale = ceiling().project(np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 1.7]]))
        self.assertGreater(pixels[1, 0], pixels[0, 0])
        self.assertGreater(scale[1], scale[0])

    def test_behind_a_straight_lens_nothing_is_seen(self) -> None:
        _, _, scale = ceiling(fisheye=False).project(np.array([0.0, 0.0, 4.0]))
        self.assertEqual(scale, 0)

    def test_the_room_is_seen_at_its_distance(self) -> None:
        room = Room((6.0, 6.0, 3.0), 20.0, [Block(Spot(0, 0, 0), 1.0, 1.0, 0, 0.5, 5.0)])
        tone, depth = see(room, ceiling(), 2, np.random.default_rng(0))
        self.assertAlmostEqual(depth[40, 60], 2.5, places=2)
        self.assertAlmostEqual(tone[40, 60], 25.0, delta=1.0)
        floor = depth[40, 60 + int(2 * 30 * np.arctan2(1.5, 3.0))]
        self.assertAlmostEqual(floor, np.hypot(1.5, 3.0), delta=0.05)

    def test_rooms_have_a_bed_and_free_space(self) -> None:
        for seed in range(10):
            room = draw_room(np.random.default_rng(seed), 20.0)
            self.assertTrue(2.2 <= room.size[2] <= 4.0)
            places = np.random.default_rng(seed).uniform(-0.5, 0.5, (200, 2)) * room.size[:2]
            self.assertTrue(any(room.is_free(x, y) for x, y in places))
            self.assertFalse(room.is_free(room.size[0], 0.0))
            for bed in room.beds:
                self.assertFalse(room.is_free(bed.x, bed.y))


class Bodies(unittest.TestCase):
    def test_limbs_keep_their_length(self) -> None:
        rng = np.random.default_rng(0)
        bodies = joints(
            np.stack([draw_pose(rng, name) for name in ("stand", "sit", "kneel", "lie") for _ in range(9)]), 1.0
        )
        for one, two, length in (
            ("l_hip", "l_knee", 0.43),
            ("r_knee", "r_ankle", 0.42),
            ("l_shoulder", "l_elbow", 0.29),
        ):
            found = np.linalg.norm(bodies[:, INDEX[one]] - bodies[:, INDEX[two]], axis=-1)
            np.testing.assert_allclose(found, length, atol=1e-9)

    def test_postures_have_their_height(self) -> None:
        rng = np.random.default_rng(1)
        for name, low, high in (
            ("stand", 1.45, 1.8),
            ("kneel", 0.5, 1.4),
            ("crouch", 0.4, 1.2),
            ("lie_side", 0.1, 0.45),
        ):
            for _ in range(20):
                body = joints(draw_pose(rng, name)[None], 1.0)[0]
                head = body[INDEX["head"], 2] - (body[:, 2] - CLEARANCE).min()
                self.assertTrue(low <= head <= high, (name, head))

    def test_forward_is_forward(self) -> None:
        bent = joints(pose(pitch=60, legs=(60, 3, 5))[None], 1.0)[0]
        self.assertGreater(bent[INDEX["head"], 0], 0.3)
        self.assertLess(abs(bent[INDEX["l_ankle"], 0]), 0.15)

    def test_mirror_exchanges_left_and_right(self) -> None:
        angles = draw_pose(np.random.default_rng(2), "lie")
        one, two = joints(angles[None], 1.0)[0], joints(mirror(angles)[None], 1.0)[0]
        np.testing.assert_allclose(one[INDEX["l_hand"]] * (1, -1, 1), two[INDEX["r_hand"]], atol=1e-9)

    def test_contrast_shrinks_as_it_gets_warm(self) -> None:
        figure = draw_person(np.random.default_rng(0), child=False)
        means = [figure.excess(ambient).mean() for ambient in (17, 22, 27, 32)]
        self.assertEqual(means, sorted(means, reverse=True))
        self.assertTrue(3 < means[0] < 9, means)

    def test_bodies_rest_on_what_carries_them(self) -> None:
        rng = np.random.default_rng(3)
        times = np.arange(0, 10, 0.25)
        lying, sitting = draw_pose(rng, "lie"), draw_pose(rng, "sit")
        for base, seated, expected in ((0.0, 0.0, 0.0), (0.5, 0.0, 0.5)):
            motion = play([Interval(20, lying, Spot(0, 0, 1), RISK, base=base, seated=seated)], times, 1.0, rng)
            np.testing.assert_allclose((motion.joints[..., 2] - CLEARANCE).min(axis=1), expected, atol=1e-9)
        motion = play([Interval(20, sitting, Spot(0, 0, 1, 0.45), SIT, seated=1.0)], times, 1.0, rng)
        np.testing.assert_allclose(motion.joints[:, INDEX["pelvis"], 2], 0.55, atol=1e-9)

    def test_prints_grow_and_fade(self) -> None:
        prints = Prints((2, 2), np.random.default_rng(0))
        target = np.array([[5, 0], [0, 0]], np.float32)
        for _ in range(60):
            prints.touch(target, 1.0)
        warm = float(prints.level[0, 0])
        self.assertTrue(1.0 < warm < 4.0, warm)
        for _ in range(60):
            prints.touch(np.zeros((2, 2), np.float32), 1.0)
        self.assertTrue(0.1 * warm < prints.level[0, 0] < 0.9 * warm)
        self.assertEqual(prints.level[1, 1], 0)


class Recordings(unittest.TestCase):
    def test_same_seed_same_recording(self) -> None:
        one, two, other = (Simulation(seed, (12, 16)).record(2) for seed in (7, 7, 8))
        np.testing.assert_array_equal(one.frames, two.frames)
        np.testing.assert_array_equal(one.boxes, two.boxes)
        self.assertFalse(one.frames.shape == other.frames.shape and np.array_equal(one.frames, other.frames))

    def test_boxes_and_labels_belong_together(self) -> None:
        for seed in range(2):
            found = Simulation(seed, persons=2).record(8)
            marked = found.labels >= 0
            boxes = found.boxes[marked]
            self.assertGreater(len(boxes), 0)
            self.assertTrue(np.isfinite(boxes).all() and (boxes >= 0).all() and (boxes <= 1).all())
            self.assertTrue((boxes[:, 2:] > boxes[:, :2]).all())
            self.assertLess(found.labels.max(), 14)
            self.assertTrue((found.seen[marked] > 0.2).all())
            self.assertTrue((np.diff(found.times) >= 0).all())
            frame = int(np.argmax(marked.sum(axis=1)))
            self.assertEqual([p.track for p in found.persons(frame)], np.flatnonzero(marked[frame]).tolist())

    def test_persons_are_warm_within_their_boxes(self) -> None:
        excess = []
        for seed in range(6):
            found = Simulation(seed, persons=1, wall=False, ambient=17.0, classes={STAND: 1.0}).record(2)
            for frame in range(0, len(found.frames), 4):
                picture = found.frames[frame]
                for person in found.persons(frame):
                    x1, y1, x2, y2 = (np.array(person.box) * (60, 40, 60, 40)).round().astype(int)
                    if person.seen > 0.7 and picture.min() > -100:
                        excess.append(np.percentile(picture[y1:y2, x1:x2], 90) - np.median(picture))
        self.assertGreater(len(excess), 2)
        self.assertGreater(np.median(excess), 1.5)

    def test_without_persons_nothing_is_marked(self) -> None:
        found = Simulation(1, (12, 16), persons=0).record(1)
        self.assertEqual(found.labels.shape[1], 0)
        self.assertEqual(found.persons(0), [])

    def test_classes_asked_for_are_played(self) -> None:
        labels = np.concatenate([self.script(seed, BED)[0].label for seed in range(12)])
        self.assertGreater(np.mean(labels[labels >= 0] == BED), 0.4)

    def test_walking_moves_and_lying_does_not(self) -> None:
        pace: dict[int, list[float]] = {WALK: [], RISK: []}
        for label, speeds in pace.items():
            for seed in range(6):
                motion, times = self.script(seed, label)
                speed = np.hypot(*np.diff(motion.joints[:, INDEX["pelvis"], :2], axis=0).T) / np.diff(times)
                speeds += speed[(motion.label[1:] == label) & (motion.label[:-1] == label)].tolist()
        self.assertGreater(np.median(pace[WALK]), 0.3)
        self.assertLess(np.median(pace[RISK]), 0.05)

    def test_lying_is_low(self) -> None:
        for seed in range(4):
            motion, _ = self.script(seed, RISK)
            lying = motion.joints[motion.label == RISK]
            self.assertLess(np.median(lying[:, INDEX["head"], 2]), 0.8)

    def test_people_keep_away_from_each_other(self) -> None:
        crowd = Crowd(np.arange(10.0), np.tile([[[1.0, 1.0], [np.inf, np.inf]]], (10, 1, 1)))
        self.assertAlmostEqual(crowd.distance(Spot(1, 2, 0), 0, 5), 1.0)
        self.assertEqual(Crowd(np.arange(3.0), np.zeros((3, 0, 2))).distance(Spot(0, 0, 0), 0, 5), 9.0)

    @staticmethod
    def script(seed: int, label: int) -> tuple[Motion, np.ndarray]:
        """Motion and times of somebody who does one class for 40 seconds."""
        rng = np.random.default_rng(seed)
        room = draw_room(rng, 20.0)
        times = np.arange(0, 40, 0.5)
        nobody = Crowd(times, np.zeros((len(times), 0, 2)))
        script = Script(room, draw_view(rng, (40, 60), 110, room.size, False), rng, {label: 1.0}, nobody)
        return play(script.run(40, present=True), times, 1.0, rng), times

    def test_every_preset_and_any_shape(self) -> None:
        for sensor in [name for name, preset in SENSORS.items() if preset.pixels] + [(12, 20)]:
            found = Simulation(3, sensor, persons=1).record(0.5)
            shape = sensor if isinstance(sensor, tuple) else SENSORS[sensor].shape
            self.assertEqual(found.frames.shape[1:], shape)
            self.assertEqual(found.sensor.shape, shape)
            self.assertEqual(found.frames.dtype, np.float32)

    def test_unknown_sensors_are_refused(self) -> None:
        for sensor in ("generic", "unheard of", (2, 2), (1000, 1000)):
            with self.assertRaises(UserError):
                Simulation(0, sensor)


class Arrays(unittest.TestCase):
    def test_noise_is_as_stated(self) -> None:
        rng = np.random.default_rng(0)
        spec = draw_array(rng, "mlx90641")
        frames = expose(np.full((400, *spec.sensor.shape), 20, np.float32), spec, rng)
        noise = np.median(np.diff(frames, axis=0).std(axis=0)) / np.sqrt(2)
        self.assertTrue(0.8 * spec.noise < noise < 1.6 * spec.noise + 0.1)

    def test_chessboard_pixels_wait_for_their_turn(self) -> None:
        rng = np.random.default_rng(0)
        spec = draw_array(rng, "mlx90640")
        frames = expose(np.full((10, *spec.sensor.shape), 20, np.float32), spec, rng)
        changed = frames[1:] != frames[:-1]
        self.assertLess(changed.mean(), 0.51)
        self.assertFalse((changed[1:] & changed[:-1]).any())

    def test_lost_packets_leave_their_pixels_at_the_end(self) -> None:
        rng = np.random.default_rng(1)
        spec = next(s for s in (draw_array(rng, "htpa60x40") for _ in range(100)) if s.packet_loss)
        frames = np.full((300, 40, 60), 20, np.float32)
        lose_frames(frames, spec, rng)
        lost = (frames < -100).reshape(300, -1)
        self.assertTrue(0 < lost.any(axis=1).mean() < 0.3)
        for row in lost[lost.any(axis=1)]:
            self.assertTrue((np.diff(row.astype(int)) >= 0).all())
            self.assertIn(row.sum() % 576, (0, 96))


class Files(unittest.TestCase):
    def test_a_set_of_two_sensors(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = write_simulated_set(
                Path(folder) / "set", 5, 2.0, 3, sensors=("htpa60x40", (24, 32)), classes=[SIT, STAND]
            )
            documents = [json.loads((root / "annotations" / f"{split}.json").read_text()) for split in ("train", "val")]
            train, val = ({image["sensor_id"] for image in document["images"]} for document in documents)
            self.assertFalse(train & val)
            self.assertLessEqual(val, {"SIM0005"})
            with h5py.File(root / "frames" / "SIM0002.h5") as file:
                self.assertEqual(file["frames"].shape[1:], (24, 32))
            for document in documents:
                for annotation in document["annotations"]:
                    x, y, width, height = annotation["bbox"]
                    self.assertTrue(0 <= x - width / 2 < x + width / 2 <= 1 + 1e-6)
                    self.assertTrue(0 <= y - height / 2 < y + height / 2 <= 1 + 1e-6)
            with self.assertRaises(UserError):
                write_simulated_set(root)

    def test_bad_numbers_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for wrong in ({"recordings": 0}, {"seconds": 0.0}, {"every": 0}, {"classes": [14]}, {"classes": []}):
                with self.assertRaises(UserError):
                    write_simulated_set(Path(folder) / "set", **wrong)
            self.assertFalse((Path(folder) / "set").exists())

    def test_the_command(self) -> None:
        command = load_tool("make_thermal_dataset").main
        with tempfile.TemporaryDirectory() as folder:
            out = ["--out", str(Path(folder) / "set")]
            command([*out, "--scenes", "simulation", "--recordings", "1", "--seconds", "2", "--sensor", "8x8"])
            with h5py.File(Path(folder) / "set" / "frames" / "SIM0001.h5") as file:
                self.assertEqual(file["frames"].shape[1:], (8, 8))
            for wrong in (["--recordings", "2"], ["--scenes", "simulation", "--real-counts"]):
                with self.assertRaises(SystemExit):
                    command([*out, "--overwrite", *wrong])


if __name__ == "__main__":
    unittest.main()
