"""The RGB pipeline against the recorded one."""

from __future__ import annotations

import json
import unittest
from pathlib import Path

import numpy as np
import torch
from parity import PARITY_DIR, needs_parity, rules

from alphaction.config import get_cfg
from alphaction.dataset.transforms.video import VideoTransform, color_bounds, resize, shift_colors
from alphaction.errors import UserError
from alphaction.structures.bounding_box import BoxList


@needs_parity
class ParityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.cases = []
        for path in sorted(Path(PARITY_DIR).glob("transforms*.json")):
            table = json.loads(path.read_text())
            clip = table["clip"]
            video = rules().video_uint8(clip["name"], clip["frames"], clip["height"], clip["width"], table["seed"])
            with np.load(path.with_suffix(".npz")) as arrays:
                cls.cases.append((table, video, dict(arrays)))

    def close(self, ours: np.ndarray, wanted: np.ndarray, level: float, what: str) -> None:
        """One gray level, and that in a few pixels only."""
        difference = np.abs(ours.astype(np.float64) - wanted)
        self.assertLessEqual(difference.max(), level * 1.01 + 1e-5, what)
        self.assertLess((difference > 1e-4).mean(), 0.01, what)

    def test_pipelines(self) -> None:
        for table, video, arrays in self.cases:
            for name, case in table["pipelines"].items():
                transform = VideoTransform(
                    case["frame_num"],
                    case["sample_rate"],
                    case["tau"],
                    case["alpha"],
                    case["min_size"],
                    case["max_size"],
                    tuple(case["mean"]),
                    tuple(case["std"]),
                    case["to_bgr"],
                )
                persons = BoxList(table["boxes"], table["boxes_size"])
                slow, fast, boxes, objects = transform.apply(
                    video[: case["raw_frames"]],
                    persons,
                    persons,
                    case["flipped"],
                    case["slow_start"],
                    case["color_shifts"],
                )
                rows, columns = case["spatial_stride"]
                for pathway, clip in (("slow", slow), ("fast", fast)):
                    self.assertEqual(list(clip.shape), case[f"{pathway}_shape"], name)
                    step = case[f"{pathway}_time_stride"]
                    self.close(
                        clip[:, ::step, ::rows, ::columns].numpy(),
                        arrays[f"{name}_{pathway}"],
                        1 / min(case["std"]),
                        f"{name} {pathway}",
                    )
                    np.testing.assert_allclose(clip.mean(dim=(1, 2, 3)), case["stats"][f"{pathway}_mean"], atol=2e-3)
                    np.testing.assert_allclose(clip.mean(dim=(0, 2, 3)), case[f"frame_means_{pathway}"], atol=2e-3)
                self.assertEqual(list(boxes.size), case["boxes_size"], name)
                np.testing.assert_allclose(boxes.bbox, case["boxes"], atol=1e-4, err_msg=name)
                torch.testing.assert_close(objects.bbox, boxes.bbox)  # mirrored like the frames

    def test_single_steps(self) -> None:
        for table, video, arrays in self.cases:
            frames = np.stack([resize(frame, (96, 64)) for frame in video[:2]])
            self.close(frames, arrays["resize_only_uint8"], 1, "resize")
            shifts = next(case["color_shifts"] for case in table["pipelines"].values() if case["color_shifts"])
            frames = np.stack([shift_colors(frame, shifts) for frame in video[:2]])
            self.close(frames, arrays["color_jitter_only_uint8"], 1, "colors")

    def test_color_bounds(self) -> None:
        for table, _, _ in self.cases:
            row = table["color_jitter_bounds"]
            keys = row["config"]
            self.assertEqual(
                color_bounds(keys["HUE_JITTER"], keys["SAT_JITTER"], keys["VAL_JITTER"]),
                {"hue": row["hue_bound"], "sat": row["sat_bound"], "val": row["val_bound"]},
            )


class VideoTransformTest(unittest.TestCase):
    def setUp(self) -> None:
        self.frames = np.random.default_rng(0).integers(0, 256, (64, 40, 60, 3), dtype=np.uint8)
        self.cfg = get_cfg()
        self.cfg.merge_from_list(
            [
                "INPUT.MIN_SIZE_TRAIN",
                40,
                "INPUT.MAX_SIZE_TRAIN",
                60,
                "INPUT.COLOR_JITTER",
                True,
                "INPUT.SLOW_JITTER",
                True,
                "INPUT.MIN_SIZE_TEST",
                40,
            ]
        )
        self.boxes = BoxList([[0, 0, 59, 39]], (60, 40))

    def test_seed(self) -> None:
        transform = VideoTransform.from_cfg(self.cfg, is_train=True)
        draws = [transform(self.frames, self.boxes, None, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
        torch.testing.assert_close(draws[0][1], draws[1][1], rtol=0, atol=0)
        self.assertFalse(torch.equal(draws[0][1], draws[2][1]))
        self.assertIsNone(draws[0][3])

    def test_testing_changes_nothing(self) -> None:
        fast = VideoTransform.from_cfg(self.cfg, is_train=False)(self.frames, self.boxes)[1]
        gray = fast * 57.375 + torch.tensor([122.7717, 115.9465, 102.9801]).view(3, 1, 1, 1)
        np.testing.assert_allclose(gray.numpy(), self.frames[::2].transpose(3, 0, 1, 2), atol=1e-3)

    def test_colors_that_do_not_shift(self) -> None:
        gray = np.full((4, 4, 3), 90, dtype=np.uint8)
        np.testing.assert_array_equal(shift_colors(gray, {}), gray)
        np.testing.assert_array_equal(shift_colors(gray, {"val": 200}), np.full((4, 4, 3), 255))

    def test_slow_sampling(self) -> None:
        self.cfg.merge_from_list(["INPUT.SLOW_SAMPLING", "first"])
        slow, fast, _, _ = VideoTransform.from_cfg(self.cfg, is_train=False)(self.frames, self.boxes)
        torch.testing.assert_close(slow, fast[:, ::8])

    def test_one_channel_is_refused(self) -> None:
        self.cfg.merge_from_list(["INPUT.CHANNELS", 1])
        with self.assertRaisesRegex(UserError, "INPUT.CHANNELS is 1, but the clips are RGB"):
            VideoTransform.from_cfg(self.cfg, is_train=True)

    def test_a_clip_whose_short_side_has_its_size_already_keeps_its_orientation(self) -> None:
        for frames in (self.frames, np.ascontiguousarray(self.frames.transpose(0, 2, 1, 3))):
            height, width = frames.shape[1:3]
            for size in (40, 80):  # as it is, and scaled
                self.cfg.merge_from_list(["INPUT.MIN_SIZE_TEST", size])
                boxes = BoxList([[0, 0, width - 1, height - 1]], (width, height))
                slow, fast, boxes, _ = VideoTransform.from_cfg(self.cfg, is_train=False)(frames, boxes)
                wanted = (height * size // 40, width * size // 40)
                self.assertEqual((tuple(slow.shape[2:]), tuple(fast.shape[2:]), boxes.size[::-1]), (wanted,) * 3)

    def test_objects_are_mirrored_with_the_frames(self) -> None:
        self.frames[:] = 0
        self.frames[:, 5:15, 10:20] = 255
        box = BoxList([[10, 5, 19, 14]], (60, 40))
        transform = VideoTransform.from_cfg(self.cfg, is_train=False)
        for flip, left in ((False, 10), (True, 40)):
            _, fast, persons, objects = transform.apply(self.frames, box, box, flip, None, None)
            bright = (fast[0, 0] > 0).nonzero()
            self.assertEqual(bright.amin(0).tolist(), [5, left])
            for boxes in (persons, objects):
                self.assertEqual(boxes.bbox.tolist(), [[left, 5, left + 9, 14]])

    def test_float_frames_are_refused(self) -> None:
        with self.assertRaises(TypeError):
            VideoTransform.from_cfg(self.cfg, is_train=False)(self.frames.astype(np.float32), self.boxes)


if __name__ == "__main__":
    unittest.main()
