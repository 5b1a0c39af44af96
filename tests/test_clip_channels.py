"""Channels of temperatures, and augmentation in degrees Celsius and native pixels."""

from __future__ import annotations

import unittest

import numpy as np
import torch

from alphaction.config import get_cfg
from alphaction.config.validate import load_cfg
from alphaction.dataset.transforms import ThermalTransform, VideoTransform
from alphaction.dataset.transforms.augment import ThermalAugmentation, shift_picture
from alphaction.dataset.transforms.clip_channels import clip_channels
from alphaction.dataset.transforms.clip_input import ClipInput, NativeClips
from alphaction.errors import UserError

ALL = ("relative", "foreground", "motion")
CORNERS = np.array([[0.25, 0.25, 0.5, 0.75]], dtype=np.float32)


def scene(height: int = 8, width: int = 12, frames: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """A room of 18 °C with a radiator, and a window in which a pixel of it is warm in frame 6 alone."""
    room = np.full((height, width), 18.0, np.float32)
    room[0, :3] = 30.0
    window = np.repeat(room[None], frames, axis=0)
    window[6, 4, 5] += 6.0
    return window, room


def transform(**settings: object) -> ThermalTransform:
    keys = {"min_size": 0, "channels": ALL, **settings}
    return ThermalTransform(16, 1, 16, 4, **keys)  # fast frames 1, 5, 9, 13; slow frame 7


class ClipChannelsTest(unittest.TestCase):
    def test_values(self):
        window, room = scene()
        clip = clip_channels(ALL, window, room, np.array([1, 5, 9]), stride=4)
        self.assertEqual((clip.shape, clip.dtype), ((3, 3, 8, 12), torch.float32))
        relative, foreground, motion = clip
        self.assertEqual(relative[1, 0, 0], 3.0)  # the radiator is 12 °C above the level
        self.assertEqual(relative[1, 4, 5], 0.0)  # frame 5 itself shows the empty room
        self.assertEqual(foreground[:, 0, 0].abs().max(), 0)
        self.assertEqual(foreground[1, 4, 5], 0.5)  # 6 °C in one of the frames 4 to 7, over 3 °C
        still = motion[0, 0, 0]
        self.assertTrue((motion[0] == still).all())
        torch.testing.assert_close(
            motion[1, 4, 5] - still, torch.tensor(3.0 / 0.67)
        )  # there and gone within frames 4..7

    def test_no_movement_is_missed(self):
        for frame in range(1, 15):
            window, room = scene()
            window[6, 4, 5] -= 6.0
            window[frame, 2, 2] += 6.0
            motion = clip_channels(("motion",), window, room, np.array([1, 5, 9, 13]), stride=4)[0]
            self.assertGreater((motion[:, 2, 2] - motion[:, 5, 5]).max(), 1.0, frame)

    def test_one_window_gives_the_order_that_is_asked_for(self):
        window, room = scene()
        both = clip_channels(("motion", "relative"), window, room, np.array([3]))
        torch.testing.assert_close(both[1], clip_channels(("relative",), window, room, np.array([3]))[0])
        self.assertEqual(clip_channels(("relative",), window, room, np.array([3]), level=20.0)[0, 0, 5, 5], -0.5)
        with self.assertRaisesRegex(ValueError, "heat"):
            clip_channels(("heat",), window, room, np.array([3]))

    def test_transform_needs_a_room(self):
        window, room = scene()
        slow, fast, boxes, size = transform()(window, CORNERS, room=room)
        self.assertEqual((slow.shape, fast.shape, size), ((3, 1, 8, 12), (3, 4, 8, 12), (12, 8)))
        self.assertEqual(boxes.tolist(), [[3.0, 2.0, 6.0, 6.0]])
        torch.testing.assert_close(fast, clip_channels(ALL, window, room, np.array([1, 5, 9, 13]), stride=4))
        with self.assertRaisesRegex(ValueError, "room"):
            transform()(window, CORNERS)

    def test_clip_input(self):
        cfg = get_cfg()
        cfg.merge_from_list(["INPUT.CLIP_CHANNELS", ("motion", "relative"), "INPUT.MIN_SIZE_TEST", 0])
        clip = 3 * torch.randn(1, 2, 3, 8, 12)
        clip_input = ClipInput.from_cfg(cfg, is_train=False)
        torch.testing.assert_close(clip_input(clip)[..., :8, :12], clip)
        self.assertEqual(clip_input(clip).shape, (1, 2, 3, 16, 16))
        several = clip_input(NativeClips([clip[0], torch.ones(2, 3, 30, 4)]))
        self.assertEqual(several.shape, (2, 2, 3, 32, 16))
        for wrong in (clip[:, :1], torch.full((1, 2, 3, 8, 12), float("nan"))):
            with self.assertRaisesRegex(UserError, "2, T, h, w"):
                ClipInput.from_cfg(cfg, is_train=False)(wrong)
        cfg.INPUT.MIN_SIZE_TEST = 16
        self.assertEqual(ClipInput.from_cfg(cfg, is_train=False)(clip).shape, (1, 2, 3, 16, 32))

    def test_settings(self):
        for value in (("relative", "relative"), ("heat",)):
            with self.assertRaisesRegex(UserError, "INPUT.CLIP_CHANNELS"):
                load_cfg("", ["INPUT.CLIP_CHANNELS", value])
        for settings in (["INPUT.CLIP_CHANNELS", ("motion",)], ["INPUT.MIN_SIZE_TRAIN", 0]):
            with self.assertRaisesRegex(UserError, f"{settings[0]} .*RGB"):
                VideoTransform.from_cfg(load_cfg("", settings), is_train=True)


class AugmentationTest(unittest.TestCase):
    def augmented(self, seed: int = 0, **settings: float) -> tuple:
        window, room = scene()
        before = window.copy()
        keys = ThermalAugmentation(**settings)
        generator = torch.Generator().manual_seed(seed)
        result = transform(augmentation=keys)(window, CORNERS, generator, room)
        np.testing.assert_array_equal(window, before)
        return result

    def test_nothing_draws_nothing(self):
        generator = torch.Generator().manual_seed(3)
        state = generator.get_state()
        window, room = scene()
        transform(augmentation=ThermalAugmentation())(window, CORNERS, generator, room)
        self.assertEqual(ThermalAugmentation().draw_time(generator), (0.0, 1.0))
        self.assertTrue(torch.equal(generator.get_state(), state))

    def test_seeded(self):
        settings = {"gain": 0.3, "offset": 0.5, "noise": 0.1, "pixel_shift": 2, "cut_out": 1, "transpose_prob": 0.5}
        one, same, other = (self.augmented(seed, **settings) for seed in (1, 1, 2))
        torch.testing.assert_close(one[1], same[1])
        self.assertFalse(one[1].shape == other[1].shape and torch.equal(one[1], other[1]))

    def test_temperatures(self):
        plain = self.augmented()[1]
        gained = self.augmented(gain=0.5)[1]
        factor = gained[0, 1, 0, 0] / plain[0, 1, 0, 0]
        self.assertTrue(2**-0.5 <= factor <= 2**0.5 and factor != 1)
        torch.testing.assert_close(gained[:2], plain[:2] * factor, atol=1e-5, rtol=1e-5)
        moved = self.augmented(offset=0.5)[1]
        torch.testing.assert_close(moved[1:], plain[1:], atol=1e-5, rtol=0)  # foreground and motion stay
        self.assertAlmostEqual(float((moved[0] - plain[0]).std()), 0.0, places=5)
        self.assertGreater(float((moved[0] - plain[0]).abs().min()), 0.01)
        self.assertGreater(float(self.augmented(noise=0.5)[1][1, :, 5:].std()), 0)

    def test_offset_and_gain_of_plain_temperatures(self):
        window, _ = scene()
        plain = ThermalTransform(16, 1, 16, 4)(window, CORNERS)[1]
        moved = ThermalTransform(16, 1, 16, 4, augmentation=ThermalAugmentation(offset=1.0))(
            window, CORNERS, torch.Generator().manual_seed(0)
        )[1]
        self.assertGreater(float((moved - plain).abs().min()), 0.0)

    def test_pixels_and_boxes_move_together(self):
        for seed in range(8):
            _, fast, boxes, (width, height) = self.augmented(seed, pixel_shift=30, transpose_prob=0.5)
            spot = (fast[1, 1] == 0.5).nonzero().tolist()
            x1, y1, x2, y2 = boxes[0].tolist()
            self.assertEqual((height, width), fast.shape[2:])
            self.assertTrue(0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height)
            self.assertTrue(any(x1 <= column < x2 and y1 <= row < y2 for row, column in spot), (seed, spot, boxes))

    def test_shift_repeats_the_edge(self):
        picture = torch.arange(6.0).view(1, 2, 3)
        self.assertEqual(shift_picture(picture, 1, 0).tolist(), [[[0, 0, 1], [3, 3, 4]]])
        self.assertEqual(shift_picture(picture, 0, -1).tolist(), [[[3, 4, 5], [3, 4, 5]]])

    def test_cut_out_shows_the_room(self):
        plain, cut = self.augmented()[1], self.augmented(cut_out=40)[1]
        self.assertEqual(cut[1].abs().max(), 0)
        self.assertGreater(plain[1].abs().max(), 0)

    def test_time(self):
        keys = ThermalAugmentation(time_shift=0.5, speed=0.4)
        drawn = [keys.draw_time(torch.Generator().manual_seed(seed)) for seed in range(20)]
        self.assertTrue(all(abs(shift) <= 0.5 and 2**-0.4 <= speed <= 2**0.4 for shift, speed in drawn))
        self.assertEqual(len(set(drawn)), 20)

    def test_testing_has_none(self):
        cfg = load_cfg("", ["INPUT.AUGMENT.GAIN", 0.5, "INPUT.AUGMENT.CUT_OUT", 2])
        self.assertEqual(ThermalTransform.from_cfg(cfg, is_train=False).augmentation, ThermalAugmentation())
        self.assertEqual(
            ThermalTransform.from_cfg(cfg, is_train=True).augmentation, ThermalAugmentation(0.5, cut_out=2)
        )


if __name__ == "__main__":
    unittest.main()
