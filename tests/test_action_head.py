"""Action head: pooling, proposals, scores."""

from __future__ import annotations

import unittest

import numpy as np
import parity
import torch
from small_model import small_cfg
from torch_settings import one_thread

from alphaction.errors import UserError
from alphaction.modeling.roi_heads.action_head import build_action_head
from alphaction.modeling.roi_heads.action_head.action_head import RoIPooler, clip_boxes
from alphaction.structures.bounding_box import BoxList

HEAD = "MODEL.ROI_ACTION_HEAD"


def head(*overrides):
    torch.manual_seed(0)
    return build_action_head(small_cfg(*overrides), 2304)


@parity.needs_parity
class RecordedPoolingTest(unittest.TestCase):
    def setUp(self):
        one_thread(self.addCleanup)

    def test_values_and_gradients(self):
        data = np.load(parity.path("roi_ops.npz"))
        seed = int(data["seed"])
        features = parity.rules().symmetric("roi/features", (2, 3, 2, 8, 10), seed).astype(np.float32)
        weight = parity.rules().symmetric("roi/grad", data["align_sr0"].shape, seed).astype(np.float32)
        for name, kind, ratio in (("align_sr0", "align3d", 0), ("align_sr2", "align3d", 2), ("pool", "pooling3d", 0)):
            with self.subTest(name):
                x = torch.from_numpy(features).requires_grad_()
                pooler = RoIPooler(kind, 7, 1 / 16, ratio, False)
                found = pooler.pool_frames(x, torch.from_numpy(data["rois"]))
                self.compare(found.detach(), data[name])
                (found * torch.from_numpy(weight)).sum().backward()
                self.compare(x.grad, data[f"{name}_grad_input"])

    def compare(self, found, expected):
        limit = parity.TOLERANCE * np.abs(expected).max()
        self.assertLessEqual(parity.max_difference(found.numpy(), expected), limit)


class PoolingTest(unittest.TestCase):
    def test_mean_before_and_after_agree_for_align(self):
        """RoIAlign is linear, so the order does not matter."""
        torch.manual_seed(0)
        features = [torch.randn(2, 5, 3, 6, 8), torch.randn(2, 2, 12, 6, 8)]
        boxes = [BoxList([[3, 5, 70, 60]], (128, 96)), BoxList([[0, 0, 127, 95], [9, 9, 30, 40]], (128, 96))]
        before, after = (RoIPooler("align3d", 7, 1 / 16, 0, flag)(features, boxes) for flag in (True, False))
        self.assertEqual(before.shape, (3, 7, 7, 7))
        torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-5)

    def test_no_boxes(self):
        features = [torch.randn(2, 5, 3, 6, 8, requires_grad=True)]
        for kind in ("align3d", "pooling3d"):
            pooled = RoIPooler(kind, 7, 1 / 16, 0, True)(features, [BoxList([], (128, 96))] * 2)
            self.assertEqual(pooled.shape, (0, 5, 7, 7))
            pooled.sum().backward()
        self.assertEqual(features[0].grad.abs().max(), 0)

    def test_clip_boxes(self):
        rois = clip_boxes(
            [BoxList([[1, 2, 3, 4]], (9, 9)), BoxList([], (9, 9)), BoxList([[1, 1, 2, 2]], (9, 9), mode="xywh")]
        )
        self.assertEqual(rois.tolist(), [[0, 1, 2, 3, 4], [2, 1, 1, 2, 2]])


class ProposalTest(unittest.TestCase):
    def boxes(self, count):
        boxes = BoxList([[10.0 * i, 20, 10.0 * i + 30, 80] for i in range(count)], (384, 256))
        boxes.add_field("labels", torch.arange(count))
        return boxes

    def test_at_most_proposals_per_clip(self):
        model = head()
        seen = set()
        for _ in range(30):
            many, few, none = model.make_proposals([self.boxes(12), self.boxes(2), self.boxes(0)])
            self.assertEqual((len(many), len(few), len(none)), (10, 2, 0))
            self.assertEqual(len(set(many.get_field("labels").tolist())), 10)
            seen.update(many.get_field("labels").tolist())
        self.assertEqual(seen, set(range(12)))

    def test_jitter_can_be_switched_off(self):
        model = head()
        boxes = self.boxes(3)
        self.assertFalse(torch.equal(model.make_proposals([boxes])[0].bbox, boxes.bbox))
        model.augment_proposals = False
        self.assertEqual(model.make_proposals([boxes])[0].bbox.tolist(), boxes.bbox.tolist())


class HeadTest(unittest.TestCase):
    def test_probabilities(self):
        scores = head().probabilities(torch.tensor([[1.0, 1.0, 1.0, 0.0, 0.0, 2.0]]))
        torch.testing.assert_close(scores[0, :5], torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.5, 0.5]))
        self.assertAlmostEqual(scores[0, 5].item(), 0.880797, places=5)

    def test_default_extractor_name(self):
        head(f"{HEAD}.FEATURE_EXTRACTOR", "MaxpoolFeatureExtractor")

    def test_features_of_another_width_are_refused(self):
        with self.assertRaisesRegex(UserError, "DIM_IN is 2048, but the backbone gives 2304"):
            head("MODEL.IA_STRUCTURE.DIM_IN", 2048)


if __name__ == "__main__":
    unittest.main()
