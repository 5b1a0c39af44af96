"""The network that finds persons: inputs, targets, boxes, augmentation."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from small_model import SMALL
from torch_settings import one_thread

from alphaction.checkpoints.checkpoint_file import write_checkpoint
from alphaction.config import get_cfg
from alphaction.errors import UserError
from alphaction.modeling.detector import build_detection_model
from alphaction.persons.augment import Batch, augment
from alphaction.persons.center_loss import center_loss
from alphaction.persons.detector import PersonDetector, prepare, recent_frames

FLOOR = 18.0


def scenes(count: int, shape: tuple[int, int] = (40, 60), seed: int = 0) -> Batch:
    """Frames in which one person stands, in an even room."""
    rng = np.random.default_rng(seed)
    height, width = shape
    size = np.array([0.2 * width, 0.25 * height])
    corners = rng.uniform(0, 1, (count, 2)) * (np.array([width, height]) - size)
    boxes = np.concatenate([corners, corners + size], axis=1).round().astype(np.float32)
    frames = rng.normal(FLOOR, 0.2, (count, PersonDetector.reach + 1, height, width)).astype(np.float32)
    for frame, (x1, y1, x2, y2) in zip(frames, boxes.astype(int), strict=True):
        frame[:, y1:y2, x1:x2] += 5
    rooms = torch.full((count, 2, height, width), FLOOR)
    return Batch(torch.from_numpy(frames), rooms, [torch.from_numpy(box[None]) for box in boxes])


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        torch.manual_seed(0)
        cls.detector = PersonDetector().eval()

    def test_it_is_small(self):
        parameters = sum(parameter.numel() for parameter in self.detector.parameters())
        self.assertTrue(200_000 < parameters < 600_000, parameters)

    def test_any_size_of_frames(self):
        for shape in ((8, 8), (12, 16), (24, 32), (40, 60), (41, 61), (62, 80)):
            with self.subTest(shape):
                batch = scenes(2, shape)
                centers, distances = self.detector(batch.frames, batch.rooms[:, 0])
                cells = (-(-shape[0] // 2), -(-shape[1] // 2))
                self.assertEqual((centers.shape, distances.shape), ((2, 1, *cells), (2, 4, *cells)))
                self.assertGreater(float(distances.detach().min()), 0)
                for found in self.detector.find(batch.frames, batch.rooms[:, 0], threshold=0.0):
                    self.assertLessEqual(found.boxes[:, [0, 2]].max(), shape[1])
                    self.assertLessEqual(found.boxes[:, [1, 3]].max(), shape[0])

    def test_a_sensor_that_is_warmer_all_over_changes_nothing(self):
        batch = scenes(1)
        plain = prepare(batch.frames, batch.rooms[:, 0])
        torch.testing.assert_close(prepare(batch.frames + 3, batch.rooms[:, 0] + 3), plain, rtol=0, atol=1e-5)
        torch.testing.assert_close(prepare(batch.frames + 3, batch.rooms[:, 0])[:, 1], plain[:, 1], rtol=0, atol=1e-5)

    def test_one_sample_or_a_batch(self):
        one_thread(self.addCleanup)
        batch = scenes(3)
        together = self.detector.find(batch.frames, batch.rooms[:, 0], 0.01)
        for number, found in enumerate(together):
            alone = self.detector.detect(
                batch.frames[number].numpy(), PersonDetector.reach, batch.rooms[number, 0].numpy()
            )
            kept = found.select(found.scores >= 0.05)
            np.testing.assert_allclose(alone.boxes, kept.boxes, atol=1e-3)

    def test_short_windows_repeat_the_first_frame(self):
        frames = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
        self.assertEqual(recent_frames(frames, 1, 4)[:, 0, 0].tolist(), [0, 0, 0, 0, 1])
        self.assertEqual(recent_frames(frames, 2, 1)[:, 0, 0].tolist(), [1, 2])

    def test_refused(self):
        with self.assertRaisesRegex(UserError, "key frame is 7"):
            self.detector.detect(scenes(1).frames[0].numpy(), 7)


class Learning(unittest.TestCase):
    def test_a_few_steps_find_persons_elsewhere(self):
        one_thread(self.addCleanup)
        torch.manual_seed(0)
        detector, batch, test = PersonDetector(16), scenes(12, (24, 32)), scenes(8, (24, 32), seed=1)
        optimizer = torch.optim.AdamW(detector.parameters(), 5e-3)
        for number in range(40):
            losses = detector.loss(*augment(batch, torch.Generator().manual_seed(number)))
            optimizer.zero_grad()
            sum(losses.values()).backward()
            optimizer.step()
        for found, box in zip(detector.eval().find(test.frames, test.rooms[:, 0], 0.3), test.boxes, strict=True):
            self.assertGreaterEqual(len(found), 1)
            self.assertLess(np.abs(found.boxes[0] - box[0].numpy()).max(), 2.5)

    def test_without_persons_the_loss_is_finite(self):
        batch = scenes(2)
        empty = [torch.zeros(0, 4)] * 2
        losses = PersonDetector(16).loss(batch.frames, batch.rooms[:, 0], empty)
        self.assertEqual(float(losses["loss_box"].detach()), 0)
        sum(losses.values()).backward()

    def test_the_loss_vanishes_at_the_right_answer(self):
        centers = torch.full((1, 1, 20, 30), -12.0)
        distances = torch.ones(1, 4, 20, 30)
        box = torch.tensor([[20.0, 10.0, 32.0, 20.0]])  # its center is a corner of cells; cell (7, 13) holds it
        centers[0, 0, 7, 13] = 12.0
        rows, columns = torch.arange(20) * 2 + 1.0, torch.arange(30) * 2 + 1.0
        distances[0] = torch.stack(
            [
                (columns - 20).expand(20, 30),
                (rows - 10)[:, None].expand(20, 30),
                (32 - columns).expand(20, 30),
                (20 - rows)[:, None].expand(20, 30),
            ]
        )
        losses = center_loss(centers, distances, [box], stride=2)
        self.assertLess(float(sum(losses.values())), 1e-3)
        self.assertGreater(float(center_loss(-centers, distances, [box], 2)["loss_center"]), 10)
        self.assertGreater(float(center_loss(centers, distances + 3, [box], 2)["loss_box"]), 0.3)


class Augmentation(unittest.TestCase):
    def varied(self, seed: int, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        return augment(batch, torch.Generator().manual_seed(seed))

    def test_boxes_follow_the_persons(self):
        shapes = set()
        for seed in range(20):
            frames, room, boxes = self.varied(seed, scenes(4, seed=seed))
            shapes.add(tuple(frames.shape[-2:]))
            for sample, found in enumerate(boxes):
                warm = (frames[sample] - room[sample]).mean(dim=0) > 2
                # With the room of the last second nobody is warmer than it, so there is nothing to compare.
                for x1, y1, x2, y2 in found.round().int().tolist() if warm.any() else []:
                    inside = torch.zeros_like(warm)
                    inside[y1:y2, x1:x2] = True
                    self.assertGreater(int((warm & inside).sum()) / int((warm | inside).sum()), 0.9)
        self.assertEqual(shapes, {(40, 60), (60, 40)})

    def test_one_seed_one_result_and_the_batch_is_unchanged(self):
        batch = scenes(4)
        before = batch.frames.clone()
        first, second = self.varied(3, batch), self.varied(3, batch)
        torch.testing.assert_close(first, second, rtol=0, atol=0)
        self.assertFalse(torch.equal(first[0], self.varied(4, batch)[0]))
        torch.testing.assert_close(batch.frames, before, rtol=0, atol=0)


class Files(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name) / "persons.pth"

    def test_half_precision(self):
        torch.manual_seed(0)
        detector = PersonDetector()
        write_checkpoint(
            {
                "model": {
                    name: value.half() if value.is_floating_point() else value
                    for name, value in detector.state_dict().items()
                }
            },
            self.path,
        )
        self.assertLess(self.path.stat().st_size, 2e6)
        loaded = PersonDetector.from_checkpoint(self.path)
        self.assertFalse(loaded.training)
        self.assertEqual({value.dtype for value in loaded.parameters()}, {torch.float32})
        torch.testing.assert_close(loaded.center.weight, detector.center.weight, rtol=1e-3, atol=1e-3)

    def test_other_weights_are_refused(self):
        cfg = get_cfg()
        cfg.merge_from_list(SMALL)
        write_checkpoint({"model": build_detection_model(cfg).state_dict()}, self.path)
        with self.assertRaisesRegex(UserError, "persons.pth is no person detector: .*MODEL.TASK persons"):
            PersonDetector.from_checkpoint(self.path)
        detector = PersonDetector()
        detector.center.bias.data.fill_(torch.nan)
        write_checkpoint({"model": detector.state_dict()}, self.path)
        with self.assertRaisesRegex(UserError, "NaN"):
            PersonDetector.from_checkpoint(self.path)


if __name__ == "__main__":
    unittest.main()
