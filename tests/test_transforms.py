"""Which frames, which size, which boxes; what bilinear means."""

from __future__ import annotations

import glob
import json
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from clip_files import annotations, image, person, write_json
from thermal_files import write_annotations

from alphaction.annotations.clip_annotations import read_clip_annotations
from alphaction.annotations.labels import NUM_THERMAL_CLASSES, pack, unpack
from alphaction.annotations.thermal_annotations import read_annotations
from alphaction.config import get_cfg
from alphaction.dataset.collate_batch import BatchCollator
from alphaction.dataset.transforms import ThermalTransform
from alphaction.dataset.transforms.clip import flip_corners, slow_fast_indices, temporal_crop
from alphaction.dataset.transforms.clip_input import ClipInput, model_size
from alphaction.errors import UserError

MEAN, STD = (122.7717, 115.9465, 102.9801), (57.375, 57.375, 57.375)


def fixtures(pattern: str) -> list[dict]:
    """The content of every parity file of a kind."""
    folder = os.environ.get("ALPHACTION_PARITY_DIR")
    found = []
    for path in sorted(glob.glob(os.path.join(folder, pattern))) if folder else []:
        with open(path, encoding="utf-8") as stream:
            found.append(json.load(stream))
    if not found:
        raise unittest.SkipTest(f"ALPHACTION_PARITY_DIR is not set or has no {pattern}")
    return found


class ParityTest(unittest.TestCase):
    def test_temporal_crop(self) -> None:
        for fixture in fixtures("transforms*.json"):
            for key, picked in fixture["temporal_crop"]["picked"].items():
                self.assertEqual(temporal_crop(*map(int, key.split(","))).tolist(), picked, key)

    def test_slow_fast(self) -> None:
        for fixture in fixtures("transforms*.json"):
            for case in fixture["slow_fast_indices"]:
                slow, fast = slow_fast_indices(case["frames"], case["tau"], case["alpha"])
                self.assertEqual((slow.tolist(), fast.tolist()), (case["slow"], case["fast"]))

    def test_model_size(self) -> None:
        for fixture in fixtures("transforms*.json"):
            for case in fixture["resize_get_size"]:
                wanted = (
                    case["upstream_returns_w_h"][::-1] if case["upstream_swapped"] else case["upstream_returns_w_h"]
                )
                size = model_size(case["height"], case["width"], case["min_size"], case["max_size"])
                self.assertEqual(list(size), wanted, case)

    def test_collate(self) -> None:
        for fixture in fixtures("transforms*.json"):
            for case in fixture["collate"]:
                collate = BatchCollator(case["size_divisible"])
                batch = collate.stack(tuple(torch.ones(shape) for shape in case["shapes"]))
                self.assertEqual(list(batch.shape), case["batch"])
                self.assertEqual(float(batch.sum()), sum(np.prod(shape) for shape in case["shapes"]))

    def test_ava_labels(self) -> None:
        for fixture in fixtures("labels*.json"):
            cases = fixture["ava"]["examples"]
            images = [image("m", second) for second in range(len(cases))]
            persons = [
                person(one["id"], [1, 1, 5, 5], *case["action_ids"]) for one, case in zip(images, cases, strict=True)
            ]
            with tempfile.TemporaryDirectory() as folder:
                read = read_clip_annotations(write_json(Path(folder, "a.json"), annotations(images, persons)))
            for case, packed in zip(cases, read.packed, strict=True):
                self.assertEqual(packed.tolist(), case["packed"])
                columns = unpack(packed, case["width_after_unpack"])
                self.assertEqual(np.flatnonzero(columns).tolist(), case["columns_set"])
                np.testing.assert_array_equal(pack(columns), packed)

    def test_thermal_labels(self) -> None:
        for fixture in fixtures("labels*.json"):
            width = fixture["thermal"]["one_hot_width"]
            cases = fixture["thermal"]["examples"]
            for case in cases:
                packed = pack(np.eye(width)[case["category_id"]])
                self.assertEqual(packed.tolist(), case["packed"])
                self.assertEqual(np.flatnonzero(unpack(packed, width)).tolist(), case["columns_set"])
            cases = [case for case in cases if case["category_id"] < NUM_THERMAL_CLASSES]  # others are refused
            images = [{"id": str(n), "sensor_id": "A", "frame_idx": n} for n in range(len(cases))]
            persons = [
                {"image_id": str(n), "bbox": [0.5, 0.5, 0.2, 0.2], "category_id": case["category_id"]}
                for n, case in enumerate(cases)
            ]
            with tempfile.TemporaryDirectory() as folder:
                write_annotations(Path(folder, "a.json"), images, persons)
                read = read_annotations(Path(folder, "a.json"))
            self.assertEqual(read.packed.tolist(), [case["packed"] for case in cases])


class SlowSamplingTest(unittest.TestCase):
    def slow(self, *args, **kwargs):
        return slow_fast_indices(*args, **kwargs)[0].tolist()

    def test_of_the_other_zoos(self) -> None:
        for sampling, wanted in (("center", [3, 11, 19, 27]), ("first", [0, 8, 16, 24]), ("linspace", [0, 10, 20, 31])):
            self.assertEqual(self.slow(32, 8, 8, sampling=sampling), wanted)

    def test_counted_among_the_fast_frames(self) -> None:
        # 64 frames, TAU 16, ALPHA 4: the fast pathway reads frames 1, 5, 9, ..., 61.
        self.assertEqual(self.slow(64, 16, 4, sampling="first"), [1, 17, 33, 49])
        self.assertEqual(self.slow(64, 16, 4, sampling="linspace"), [1, 21, 41, 61])
        self.assertEqual(self.slow(16, 16, 4, sampling="linspace"), [1])

    def test_a_drawn_start_wins(self) -> None:
        self.assertEqual(self.slow(32, 8, 4, slow_start=5, sampling="first"), [5, 13, 21, 29])

    def test_transform(self) -> None:
        window = np.linspace(10, 40, 64 * 4, dtype=np.float32).reshape(64, 2, 2)
        for sampling, wanted in (
            ("center", [7, 23, 39, 55]),
            ("first", [0, 16, 32, 48]),
            ("linspace", [0, 20, 40, 62]),
        ):
            cfg = get_cfg()
            cfg.merge_from_list(
                ["INPUT.TAU", 16, "INPUT.FRAME_NUM", 64, "INPUT.FRAME_SAMPLE_RATE", 1, "INPUT.SLOW_SAMPLING", sampling]
            )
            slow, _, _, _ = ThermalTransform.from_cfg(cfg, False)(window, np.zeros((0, 4), dtype=np.float32))
            np.testing.assert_allclose(slow[0].numpy() * 40 + 5, window[wanted], atol=1e-5)


class LabelsTest(unittest.TestCase):
    def test_thermal_bits(self) -> None:
        self.assertEqual(pack(np.isin(np.arange(14), [0, 7, 8, 13])).tolist(), [0b10000001, 0b10000100])
        for num_classes in (14, 16, 80):
            columns = unpack(np.array([[64, 4], [0, 0]]), num_classes)
            self.assertEqual(columns.shape, (2, num_classes))
            self.assertEqual(columns.dtype, np.uint8)
            self.assertEqual(np.flatnonzero(columns[0]).tolist(), [1, 13])
        self.assertEqual(unpack(np.zeros((0, 2), dtype=np.uint8), 14).shape, (0, 14))


class ThermalTransformTest(unittest.TestCase):
    def setUp(self) -> None:
        self.window = np.linspace(10, 40, 64 * 40 * 60, dtype=np.float32).reshape(64, 40, 60)
        self.corners = np.array([[0.1, 0.2, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0]], dtype=np.float32)

    def test_flip(self) -> None:
        plain = ThermalTransform(64, 1, 8, 4)(self.window, self.corners)
        flipped = ThermalTransform(64, 1, 8, 4, flip_prob=1.0)(self.window, self.corners)
        torch.testing.assert_close(flipped[0], plain[0].flip(-1))
        torch.testing.assert_close(flipped[1], plain[1].flip(-1))
        np.testing.assert_allclose(flipped[2].numpy(), [[192, 51.2, 345.6, 230.4], [0, 0, 384, 256]], rtol=1e-6)
        self.assertEqual(plain[3], (384, 256))
        np.testing.assert_allclose(flip_corners(flip_corners(self.corners)), self.corners, atol=1e-7)

    def test_vertical_flip(self) -> None:
        window = np.random.default_rng(0).uniform(10, 30, (64, 40, 60)).astype(np.float32)
        corners = np.array([[0.1, 0.2, 0.3, 0.6]], dtype=np.float32)
        plain = ThermalTransform(64, 1, 8, 4, min_size=40, max_size=60)
        turned = ThermalTransform(64, 1, 8, 4, min_size=40, max_size=60, vertical_flip_prob=1.0)
        (slow, fast, _, _), (slow_turned, fast_turned, boxes, _) = plain(window, corners), turned(window, corners)
        torch.testing.assert_close(slow_turned, slow.flip(2))
        torch.testing.assert_close(fast_turned, fast.flip(2))
        np.testing.assert_allclose(boxes.numpy(), [[6, 16, 18, 32]], atol=1e-4)

    def test_slow_jitter(self) -> None:
        transform = ThermalTransform(64, 1, 16, 8, slow_jitter=True)
        starts = set()
        for seed in range(60):
            slow, fast, _, _ = transform(self.window, self.corners, torch.Generator().manual_seed(seed))
            self.assertEqual((slow.shape[1], fast.shape[1]), (4, 32))
            first = float(slow[0, 0, 0, 0]) * 40 + 5
            starts.add(int(np.abs(self.window[:, 0, 0] - first).argmin()))
        self.assertTrue(starts <= set(range(16)))
        self.assertGreater(len(starts), 10)

    def test_sampled_frames(self) -> None:
        slow, fast, _, _ = ThermalTransform(32, 2, 8, 8)(self.window, self.corners)
        np.testing.assert_allclose(slow[0].numpy() * 40 + 5, self.window[::2][3::8], atol=1e-5)
        np.testing.assert_allclose(fast[0].numpy() * 40 + 5, self.window[::2], atol=1e-5)

    def test_seed(self) -> None:
        transform = ThermalTransform(64, 1, 8, 4, flip_prob=0.5, slow_jitter=True)
        draws = [transform(self.window, self.corners, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2, 3, 4)]
        torch.testing.assert_close(draws[0][0], draws[1][0], rtol=0, atol=0)
        self.assertFalse(all(torch.allclose(draws[0][0], draw[0], atol=1e-4) for draw in draws[2:]))

    def test_no_boxes_and_input_unchanged(self) -> None:
        before = self.window.copy()
        boxes = ThermalTransform(64, 1, 8, 4, flip_prob=1.0)(self.window, self.corners[:0])[2]
        self.assertEqual(boxes.shape, (0, 4))
        np.testing.assert_array_equal(self.window, before)

    def test_training_and_testing_keys(self) -> None:
        cfg = get_cfg()
        cfg.merge_from_list(["INPUT.SLOW_JITTER", True, "INPUT.MIN_SIZE_TRAIN", 64, "INPUT.MIN_SIZE_TEST", 96])
        train, test = (ThermalTransform.from_cfg(cfg, is_train) for is_train in (True, False))
        self.assertEqual((train.flip_prob, train.slow_jitter, train.min_size), (0.5, True, 64))
        self.assertEqual((test.flip_prob, test.slow_jitter, test.min_size), (0.0, False, 96))


class ClipInputTest(unittest.TestCase):
    def test_bilinear_by_hand(self) -> None:
        # Twice as large: output centers lie at -0.25, 0.25, 0.75, 1.25 of the input's pixels, ends are repeated.
        clip = torch.tensor([[0.0, 1.0], [0.4, 0.6]]).view(1, 1, 1, 2, 2)
        video = ClipInput(4, 4, (0, 0, 0), (255, 255, 255))(clip)
        self.assertEqual(tuple(video.shape), (1, 3, 1, 4, 4))
        wanted = torch.tensor(
            [[0.0, 0.25, 0.75, 1.0], [0.1, 0.3, 0.7, 0.9], [0.3, 0.4, 0.6, 0.7], [0.4, 0.45, 0.55, 0.6]]
        )
        for channel in range(3):
            torch.testing.assert_close(video[0, channel, 0], wanted)

    def test_normalization(self) -> None:
        video = ClipInput(256, 464, MEAN, STD)(torch.full((2, 1, 3, 40, 60), 0.5))
        self.assertEqual(tuple(video.shape), (2, 3, 3, 256, 384))
        for channel, mean in enumerate(MEAN):
            torch.testing.assert_close(
                video[:, channel], torch.full((2, 3, 256, 384), (127.5 - mean) / 57.375), rtol=0, atol=1e-6
            )

    def test_each_frame_alone(self) -> None:
        clip = torch.rand(2, 1, 3, 40, 60, generator=torch.Generator().manual_seed(0))
        clip_input = ClipInput(64, 96, MEAN, STD)
        video = clip_input(clip)
        torch.testing.assert_close(video[1:, :, 2:], clip_input(clip[1:, :, 2:]))

    def test_padding_is_zero_and_divisible(self) -> None:
        video = ClipInput(50, 464, MEAN, STD, size_divisibility=16)(torch.rand(1, 1, 2, 40, 60))
        self.assertEqual(tuple(video.shape), (1, 3, 2, 64, 80))
        self.assertEqual(float(video[..., 50:, :].abs().sum() + video[..., 75:].abs().sum()), 0)
        self.assertNotEqual(float(video[..., 49, 74].abs().sum()), 0)

    def test_one_channel(self) -> None:
        cfg = get_cfg()
        cfg.merge_from_list(["INPUT.CHANNELS", 1, "INPUT.MIN_SIZE_TEST", 64])
        clip = torch.rand(2, 1, 3, 40, 60)
        video = ClipInput.from_cfg(cfg, False)(clip)
        self.assertEqual(tuple(video.shape), (2, 1, 3, 64, 96))
        cfg.INPUT.CHANNELS = 3
        torch.testing.assert_close(video, ClipInput.from_cfg(cfg, False)(clip)[:, 1:2])

    def test_what_the_loader_has_done_is_not_done_again(self) -> None:
        cfg = get_cfg()
        for channels in (1, 3):
            cfg.merge_from_list(["INPUT.CHANNELS", channels, "INPUT.MIN_SIZE_TEST", 64, "INPUT.RESIZE_IN_LOADER", True])
            window = np.linspace(10, 40, 64 * 40 * 60, dtype=np.float32).reshape(64, 40, 60)
            slow, _, _, _ = ThermalTransform.from_cfg(cfg, False)(window, np.zeros((0, 4), dtype=np.float32))
            self.assertEqual(tuple(slow.shape), (channels, 4, 64, 96))
            transform = ThermalTransform.from_cfg(cfg, False)
            self.assertTrue(transform.normalized)
            self.assertIs(ClipInput.from_cfg(cfg, False, transform.normalized)(slow), slow)
            with self.assertRaisesRegex(UserError, "expected native thermal clips"):
                ClipInput.from_cfg(cfg, False)(slow[None])
        cfg.INPUT.RESIZE_IN_LOADER = False
        self.assertFalse(ThermalTransform.from_cfg(cfg, False).normalized)

    def test_clips_that_are_not_native_are_refused(self) -> None:
        clip_input = ClipInput(64, 96, MEAN, STD)
        for clip, found in (
            (torch.rand(1, 3, 2, 16, 16), r"\[1, 3, 2, 16, 16\]"),  # RGB in 0..1: not normalized
            (torch.randn(1, 3, 2, 16, 16), r"\[1, 3, 2, 16, 16\]"),
            (255 * torch.rand(1, 1, 2, 16, 16), "to 25"),
            (torch.rand(1, 1, 2, 16, 16) - 0.5, "from -0"),
            (torch.full((1, 1, 2, 16, 16), torch.nan), "nan"),
            (torch.rand(1, 2, 16, 16), r"\[1, 2, 16, 16\]"),
        ):
            with self.subTest(found), self.assertRaisesRegex(UserError, f"{found}.*expected native thermal clips"):
                clip_input(clip)

    def test_normalized_clips_of_other_channels_are_refused(self) -> None:
        clip_input = ClipInput(64, 96, MEAN, STD, normalized=True)
        clip = torch.randn(1, 3, 2, 16, 16)
        self.assertIs(clip_input(clip), clip)
        with self.assertRaisesRegex(UserError, r"\[1, 1, 2, 16, 16\], expected normalized clips \[B, 3, T"):
            clip_input(clip[:, :1])

    def test_values_are_read_once(self) -> None:
        clip_input = ClipInput(64, 96, MEAN, STD)
        clip_input(torch.rand(1, 1, 2, 16, 16))
        with mock.patch.object(torch.Tensor, "aminmax") as read:
            clip_input(torch.rand(1, 1, 2, 16, 16))
            read.assert_not_called()

    def test_nothing_in_the_state_dict(self) -> None:
        self.assertEqual(ClipInput.from_cfg(get_cfg(), True).state_dict(), {})

    def test_box_frames_the_same_thing(self) -> None:
        # A warm rectangle between native pixel borders stays between the scaled borders.
        clip = torch.zeros(1, 1, 1, 40, 60)
        clip[..., 10:20, 30:45] = 1.0
        video = ClipInput(256, 464, (0, 0, 0), (255, 255, 255))(clip)[0, 0, 0]
        ratio = 6.4
        rows, columns = (video[:, 240] > 0.5).nonzero(), (video[100] > 0.5).nonzero()
        self.assertEqual((int(rows[0]), int(rows[-1]) + 1), (10 * ratio, 20 * ratio))
        self.assertEqual((int(columns[0]), int(columns[-1]) + 1), (30 * ratio, 45 * ratio))


class CollateTest(unittest.TestCase):
    def test_native_clips_are_not_padded(self) -> None:
        samples = [
            (torch.rand(1, 2, 40, 60), torch.rand(1, 8, 40, 60), f"boxes {n}", None, {"n": n}, n) for n in range(3)
        ]
        slow, fast, boxes, objects, extras, ids = BatchCollator()(samples)
        self.assertEqual((tuple(slow.shape), tuple(fast.shape)), ((3, 1, 2, 40, 60), (3, 1, 8, 40, 60)))
        self.assertEqual((boxes[1], objects, extras[2], ids), ("boxes 1", None, {"n": 2}, [0, 1, 2]))

    def test_objects(self) -> None:
        samples = [(torch.rand(1, 1, 2, 2), torch.rand(1, 1, 2, 2), None, n or None, {}, n) for n in range(2)]
        self.assertEqual(BatchCollator()(samples)[3], [None, 1])


if __name__ == "__main__":
    unittest.main()
