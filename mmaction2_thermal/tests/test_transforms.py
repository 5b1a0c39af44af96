"""Boxes stay where the persons are, images stay what they are."""

from __future__ import annotations

import random
import unittest

import numpy as np
from mmaction.datasets.transforms import ColorJitter
from mmaction.registry import TRANSFORMS

from mmaction2_thermal import (
    ScaleTemperature,
    ThermalBrightnessContrast,
    ThermalFlip,
    ThermalRandomErasing,
    ThermalRandomResizedCrop,
    ThermalResize,
)
from mmaction2_thermal.transforms import covered

BOXES = np.array([[10, 6, 22, 14], [40, 25, 46, 37]], dtype=np.float32)


def sample(value: float = 200.0) -> dict:
    """A dark clip in which exactly the two boxes are bright."""
    imgs = np.full((4, 40, 60, 1), 20.0, dtype=np.float32)
    for left, top, right, bottom in BOXES.astype(int):
        imgs[:, top:bottom, left:right] = value
    return {
        "imgs": imgs,
        "img_shape": (40, 60),
        "gt_bboxes": BOXES.copy(),
        "proposals": BOXES[1:].copy(),
        "gt_labels": np.eye(14, dtype=np.float32)[:2],
        "modality": "RGB",
    }


def bright(imgs: np.ndarray) -> np.ndarray:
    """Bright pixels [H, W], the same in all frames."""
    imgs = np.asarray(imgs)[..., 0]
    assert (imgs == imgs[:1]).all()
    return imgs[0] > 110


def inside(boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels [H, W] whose centers are in one of the boxes."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.any([(x > x1) & (x < x2) & (y > y1) & (y < y2) for x1, y1, x2, y2 in boxes], axis=0)


class Boxes(unittest.TestCase):
    def setUp(self):
        np.random.seed(0)
        random.seed(0)

    def check(self, results: dict, count: int = 2):
        shape = np.asarray(results["imgs"]).shape[1:3]
        self.assertEqual(tuple(results["img_shape"]), shape)
        self.assertEqual((len(results["gt_bboxes"]), len(results["gt_labels"])), (count, 2))
        np.testing.assert_array_equal(bright(results["imgs"]), inside(results["gt_bboxes"], shape))
        self.assertTrue((results["gt_bboxes"] >= 0).all())
        self.assertTrue((results["gt_bboxes"] <= np.array([shape[1], shape[0]] * 2)).all())
        np.testing.assert_array_equal(results["proposals"], results["gt_bboxes"][1:])

    def test_flips(self):
        for horizontal, vertical in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
            results = ThermalFlip(horizontal, vertical)(sample())
            self.check(results)
            self.assertFalse(np.array_equal(results["gt_bboxes"], BOXES))
            np.testing.assert_array_equal(ThermalFlip(horizontal, vertical)(results)["gt_bboxes"], BOXES)
        np.testing.assert_array_equal(ThermalFlip(0.0, 0.0)(sample())["gt_bboxes"], BOXES)

    def test_crops_keep_everybody(self):
        cut = 0
        for _ in range(50):
            before = sample()
            results = ThermalRandomResizedCrop()(before)
            self.check(results)
            cut += results["img_shape"] != (40, 60)
            areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (results["gt_bboxes"], BOXES)]
            self.assertTrue((areas[0] >= 0.8 * areas[1]).all())
            np.testing.assert_array_equal(before["imgs"], sample()["imgs"])
        self.assertGreater(cut, 15)

    def test_a_crop_that_cannot_keep_everybody_does_nothing(self):
        before = sample()
        before["gt_bboxes"] = np.array([[0, 0, 60, 40]], dtype=np.float32)
        results = ThermalRandomResizedCrop((0.1, 0.3))(before)
        self.assertEqual(results["img_shape"], (40, 60))
        self.assertEqual(
            len(ThermalRandomResizedCrop()({**sample(), "gt_bboxes": np.zeros((0, 4), np.float32)})["gt_bboxes"]), 0
        )

    def test_proposals_that_are_cut_away_are_left_out(self):
        before = {
            **sample(),
            "proposals": np.array([[0, 0, 1, 1], [10, 6, 22, 14]], np.float32),
            "scores": np.array([0.9, 0.8], np.float32),
        }
        results = [ThermalRandomResizedCrop()(dict(before)) for _ in range(20)]
        self.assertTrue(any(len(found["proposals"]) == 1 for found in results))
        for found in results:
            self.assertEqual(len(found["scores"]), len(found["proposals"]))
            self.assertTrue((found["proposals"][:, 2:] > found["proposals"][:, :2]).all())

    def test_resize(self):
        results = ThermalResize((384, 256))(sample())
        self.assertEqual(np.asarray(results["imgs"]).shape, (4, 256, 384, 1))
        np.testing.assert_allclose(results["gt_bboxes"], BOXES * 6.4, rtol=1e-6)
        found, expected = bright(results["imgs"]), inside(results["gt_bboxes"], (256, 384))
        self.assertLess((found != expected).sum(), 0.05 * expected.sum())
        self.assertEqual(
            ThermalResize((96, 64))({**sample(), "imgs": np.zeros((2, 40, 60, 3), np.float32)})["imgs"][0].shape,
            (64, 96, 3),
        )

    def test_the_whole_chain(self):
        chain = (
            ThermalRandomResizedCrop(),
            ThermalFlip(0.5, 0.5),
            ThermalBrightnessContrast(),
            ThermalRandomErasing(1.0),
            ThermalResize((384, 256)),
        )
        for _ in range(20):
            results = sample()
            for transform in chain:
                results = transform(results)
            found, expected = bright(results["imgs"]), inside(results["gt_bboxes"], (256, 384))
            self.assertGreater((found & expected).sum() / (found | expected).sum(), 0.75)

    def test_covered(self):
        np.testing.assert_allclose(covered(BOXES, (0, 0, 60, 40)), [1, 1])
        np.testing.assert_allclose(covered(BOXES, (16, 10, 43, 40)), [0.25, 0.5])
        np.testing.assert_allclose(covered(BOXES, (30, 0, 35, 40)), [0, 0])


class Values(unittest.TestCase):
    def setUp(self):
        np.random.seed(0)
        random.seed(0)

    def test_temperatures(self):
        celsius = [np.array([[[-10.0], [5.0], [15.0], [45.0], [300.0]]], np.float32)]
        results = ScaleTemperature(5.0, 45.0)({"imgs": celsius})
        np.testing.assert_allclose(results["imgs"][0, 0, :, 0], [0, 0, 63.75, 255, 255], rtol=1e-6)
        self.assertEqual(results["imgs"].dtype, np.float32)
        self.assertEqual(ScaleTemperature(channels=3)({"imgs": celsius})["imgs"].shape, (1, 1, 5, 3))
        # A person 5 °C above the floor is 32 gray levels.
        gray = ScaleTemperature()({"imgs": np.array([[[[17.0], [22.0]]]], np.float32)})["imgs"]
        self.assertAlmostEqual(float(np.diff(gray.ravel())[0]), 31.875, places=3)

    def test_brightness_and_contrast(self):
        means, differences = [], []
        for _ in range(40):
            imgs = ThermalBrightnessContrast(0.1, 0.2)(sample(100.0))["imgs"]
            self.assertEqual(imgs.dtype, np.float32)
            self.assertTrue((imgs >= 0).all() and (imgs <= 255).all())
            self.assertTrue((imgs == imgs[:1]).all(), "one shift for the whole clip")
            means.append(float(imgs.mean()))
            differences.append(float(imgs.max() - imgs.min()))
        mean = sample(100.0)["imgs"].mean()
        self.assertTrue(all(mean - 26 < value < mean + 26 for value in means))
        self.assertTrue(all(80 * 0.7 < value < 80 * 1.21 for value in differences))
        self.assertGreater(np.std(means), 5)
        self.assertGreater(np.std(differences), 3)
        unchanged = ThermalBrightnessContrast(0.0, 0.0)(sample())["imgs"]
        np.testing.assert_allclose(unchanged, sample()["imgs"], atol=1e-4)

    def test_erasing_leaves_persons_visible(self):
        erased = 0
        for _ in range(50):
            before = sample()
            imgs = ThermalRandomErasing(1.0)(
                {**before, "imgs": before["imgs"] + np.random.rand(4, 40, 60, 1).astype(np.float32)}
            )["imgs"]
            same = (imgs[0] == imgs[1]).all(axis=-1)
            erased += same.any()
            self.assertLessEqual(same.mean(), 0.21)
            for left, top, right, bottom in BOXES.astype(int):
                self.assertLessEqual(same[top:bottom, left:right].mean(), 0.2)
        self.assertGreater(erased, 30)
        np.testing.assert_array_equal(ThermalRandomErasing(0.0)(sample())["imgs"], sample()["imgs"])

    def test_mmaction2s_own_transforms_work_with_three_channels(self):
        imgs = np.random.uniform(17, 25, (2, 40, 60, 1)).astype(np.float32)
        results = ScaleTemperature(channels=3)({"imgs": imgs, "img_shape": (40, 60)})
        for transform in (ColorJitter(saturation=0, hue=0), TRANSFORMS.get("RandomErasing")(1.0)):
            results = transform(results)
        self.assertEqual(np.asarray(results["imgs"]).shape, (2, 40, 60, 3))


if __name__ == "__main__":
    unittest.main()
