"""Training keyframes between annotated ones."""

from __future__ import annotations

import unittest

import numpy as np

from alphaction.config.validate import load_cfg
from alphaction.dataset.build import _repeats
from alphaction.dataset.datasets.interpolate import frames_between

SIT, STAND = 128, 64


class Keyframes:
    """What ``frames_between`` reads of a data set: (recording, frame, object, x1, label) of one person each."""

    name, recordings = "rooms", ["A", "B"]

    def __init__(self, *rows: tuple[int, int, int, float, int]) -> None:
        table = np.array(rows)
        self.recording_of, self.frame_idx = (table[:, column].astype(np.int64) for column in (0, 1))
        self.object_ids = table[:, 2].astype(np.int64)
        self.gt_boxes = np.stack([[x1, 0.5, x1 + 0.2, 0.75] for x1 in table[:, 3]]).astype(np.float32)
        self.gt_packed = table[:, 4:].astype(np.uint8)
        self.box_offsets = np.arange(len(rows) + 1)

    def __len__(self) -> int:
        return len(self.frame_idx)

    def gt_labels(self) -> np.ndarray:
        return np.unpackbits(self.gt_packed, axis=1)[:, :2]


class FramesBetweenTest(unittest.TestCase):
    def test_boxes_move_evenly(self):
        found = frames_between(Keyframes((0, 10, 3, 0.1, SIT), (0, 14, 3, 0.2, SIT)), 0.5)
        self.assertEqual(found.frame_idx.tolist(), [11, 12, 13])
        np.testing.assert_allclose(found.gt_boxes[:, 0], [0.125, 0.15, 0.175], rtol=1e-6)
        self.assertEqual((found.gt_packed.tolist(), found.person_weight), ([[SIT]] * 3, 0.5))
        self.assertEqual(found.box_offsets.tolist(), [0, 1, 2, 3])

    def test_only_one_person_with_one_action_in_one_place(self):
        first = (0, 10, 3, 0.1, SIT)
        for other in (
            (0, 14, 4, 0.1, SIT),
            (0, 14, 3, 0.1, STAND),
            (0, 14, 3, 0.5, SIT),
            (1, 14, 3, 0.1, SIT),
            (0, 11, 3, 0.1, SIT),
        ):
            self.assertIsNone(frames_between(Keyframes(first, other), 0.5), other)
        self.assertIsNone(frames_between(Keyframes((0, 10, -1, 0.1, SIT), (0, 14, -1, 0.1, SIT)), 0.5))

    def test_keyframes_are_left_out_and_persons_meet(self):
        rows = ((0, 10, 1, 0.1, SIT), (0, 11, 2, 0.6, STAND), (0, 13, 1, 0.1, SIT), (0, 14, 2, 0.6, STAND))
        found = frames_between(Keyframes(*rows), 1.0)
        self.assertEqual(found.frame_idx.tolist(), [12])
        self.assertEqual((found.box_offsets.tolist(), sorted(found.gt_packed[:, 0])), ([0, 2], [STAND, SIT]))

    def test_share_of_the_clips(self):
        data = Keyframes(*((0, frame, 1, 0.1, STAND if frame == 3 else SIT) for frame in range(10)))
        cfg = load_cfg("", ["DATALOADER.BALANCE", 1.0, "DATASETS.INTERPOLATE_SHARE", 0.25])
        repeats = _repeats(cfg, data, 4)
        self.assertAlmostEqual(repeats[4:].sum() / repeats.sum(), 0.25)
        self.assertAlmostEqual(repeats[3] / repeats[0], 3.0)
        self.assertIsNone(_repeats(load_cfg(), data, 10))


if __name__ == "__main__":
    unittest.main()
