"""Clips of different sizes in one batch."""

from __future__ import annotations

import unittest

import numpy as np
import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from alphaction.config import get_cfg
from alphaction.config.node import ConfigNode
from alphaction.dataset.collate_batch import Batch, BatchCollator
from alphaction.dataset.transforms import ThermalTransform
from alphaction.dataset.transforms.clip_input import ClipInput, NativeClips
from alphaction.structures.bounding_box import BoxList

# Rows, columns of a frame -> first row, first column, row and column after the last of a warm person.
PERSONS = {(24, 32): (5, 20, 13, 27), (40, 60): (10, 30, 20, 45), (8, 8): (3, 2, 7, 4), (120, 160): (30, 99, 55, 131)}


class Sensor(Dataset):
    """Four keyframes of one sensor."""

    def __init__(self, cfg: ConfigNode, shape: tuple[int, int], is_train: bool) -> None:
        self.shape, self.transform = shape, ThermalTransform.from_cfg(cfg, is_train)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> tuple:
        top, left, bottom, right = PERSONS[self.shape]
        window = np.full((8, *self.shape), 5.0, np.float32)
        window[:, top:bottom, left:right] = 45
        corners = np.array([[left, top, right, bottom]], np.float32) / np.tile(self.shape[::-1], 2).astype(np.float32)
        generator = torch.Generator().manual_seed(number)
        slow, fast, boxes, size = self.transform(window, corners, generator)
        extras = {"movie_id": "m", "timestamp": number, "second": float(number)}
        return slow, fast, BoxList(boxes, size), None, extras, number


class MixedSizesTest(unittest.TestCase):
    def configured(self, *settings: object) -> ConfigNode:
        cfg = get_cfg()
        keys = {"FRAME_NUM": 8, "FRAME_SAMPLE_RATE": 1, "TAU": 4, "ALPHA": 2, "FLIP_PROB": 0.5}
        cfg.merge_from_list([word for key, value in keys.items() for word in (f"INPUT.{key}", value)])
        cfg.merge_from_list(["INPUT.PIXEL_MEAN", [0.0] * 3, "INPUT.PIXEL_STD", [255.0] * 3, *settings])
        return cfg

    def batch(self, cfg: ConfigNode, is_train: bool, *shapes: tuple[int, int], workers: int = 0) -> Batch:
        parts = ConcatDataset([Sensor(cfg, shape, is_train) for shape in shapes])
        normalized = cfg.INPUT.RESIZE_IN_LOADER
        collate = BatchCollator(cfg.DATALOADER.SIZE_DIVISIBILITY if normalized else 0, native=not normalized)
        return next(iter(DataLoader(parts, batch_size=len(parts), collate_fn=collate, num_workers=workers)))

    def assert_boxes_frame_the_persons(self, videos: torch.Tensor, batch: Batch, cfg: ConfigNode, *shapes) -> None:
        for video, boxes, shape in zip(videos, batch[2], np.repeat(shapes, 4, axis=0), strict=True):
            ratio = boxes.size[1] / shape[0]
            warm = video[0, 0] > 0.5
            found = [edges for axis in (0, 1) for edges in warm.any(axis).nonzero().flatten()[[0, -1]].tolist()]
            edges = np.array([found[0], found[2], found[1] + 1, found[3] + 1])
            np.testing.assert_allclose(edges, boxes.bbox[0].numpy(), atol=max(ratio / 2, 0.5))
            self.assertEqual(min(video.shape[-1] - boxes.size[0], video.shape[-2] - boxes.size[1], 0), 0)
            self.assertEqual(float(video[:, :, boxes.size[1] :].abs().sum()), 0)
            self.assertEqual(float(video[..., boxes.size[0] :].abs().sum()), 0)

    def test_boxes_frame_the_same_region(self) -> None:
        for shapes in (((24, 32), (40, 60)), ((40, 60), (8, 8), (120, 160))):
            for in_loader in (False, True):
                for is_train in (False, True):
                    settings = ("INPUT.RESIZE_IN_LOADER", in_loader, "INPUT.MIN_SIZE_TEST", 96)
                    cfg = self.configured(*settings, "INPUT.MIN_SIZE_TRAIN", 96)
                    with self.subTest(shapes=shapes, in_loader=in_loader, is_train=is_train):
                        batch = self.batch(cfg, is_train, *shapes)
                        clip_input = ClipInput.from_cfg(cfg, is_train, in_loader)
                        for clips in batch[:2]:
                            videos = clip_input(clips)
                            self.assertEqual(tuple(videos.shape[-2:]), (96, 144))
                            self.assert_boxes_frame_the_persons(videos, batch, cfg, *shapes)

    def test_each_clip_is_what_it_is_alone(self) -> None:
        cfg = self.configured()
        (slow, *_), alone = self.batch(cfg, False, (24, 32), (40, 60)), self.batch(cfg, False, (24, 32))[0]
        self.assertIsInstance(slow, NativeClips)
        self.assertIsInstance(alone, torch.Tensor)
        clip_input = ClipInput.from_cfg(cfg, False)
        videos, wanted = clip_input(slow), clip_input(alone)
        self.assertEqual((tuple(videos.shape), tuple(wanted.shape)), ((8, 3, 2, 256, 384), (4, 3, 2, 256, 352)))
        torch.testing.assert_close(videos[:4, ..., :352], wanted, rtol=0, atol=1e-6)

    def test_workers_hand_them_over(self) -> None:
        cfg = self.configured()
        here, there = (self.batch(cfg, False, (24, 32), (40, 60), workers=workers)[0] for workers in (0, 1))
        self.assertEqual(len(there), 8)
        for one, other in zip(here.clips, there.to("cpu", non_blocking=True).clips, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)

    def test_normalized_clips_are_padded_here(self) -> None:
        clips = (torch.ones(3, 1, 32, 40), torch.ones(3, 1, 30, 50))
        batch = BatchCollator(16).stack(clips)
        self.assertEqual(tuple(batch.shape), (2, 3, 1, 32, 64))
        self.assertEqual(float(batch[1].sum()), 3 * 30 * 50)


class ShrinkingTest(unittest.TestCase):
    def scaled(self, picture: torch.Tensor, size: int) -> torch.Tensor:
        return ClipInput(size, 1000, (0, 0, 0), (255, 255, 255))(picture[None, None, None])[0, 0, 0]

    def test_every_pixel_counts(self) -> None:
        """Without antialiasing a hot pixel between the samples would vanish, and one below a sample count wholly."""
        for row in range(40, 48):
            picture = torch.zeros(120, 160)
            picture[row, 80] = 1.0
            scaled = self.scaled(picture, 24)
            self.assertEqual(tuple(scaled.shape), (24, 32))
            self.assertAlmostEqual(float(scaled.sum()) * 25, 1.0, delta=0.15)

    def test_enlarging_is_plain_bilinear(self) -> None:
        picture = torch.rand(40, 60, generator=torch.Generator().manual_seed(0))
        plain = torch.nn.functional.interpolate(picture[None, None], size=(256, 384), mode="bilinear")[0, 0]
        torch.testing.assert_close(self.scaled(picture, 256), plain, rtol=0, atol=1e-7)
        torch.testing.assert_close(self.scaled(picture, 40), picture, rtol=0, atol=0)


if __name__ == "__main__":
    unittest.main()
