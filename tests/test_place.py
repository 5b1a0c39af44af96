"""Where in the frame a person is: as a feature, and as a prior of the classes."""

from __future__ import annotations

import unittest

import torch

from alphaction.modeling.roi_heads.action_head.place import BoxGeometry, PlacePrior, box_fractions
from alphaction.structures.bounding_box import BoxList

SIZE = (24, 16)


def box_at(x: float, y: float, place: tuple[float, ...] = ()) -> BoxList:
    """A box of 2x2 pixels around a centre in fractions of the frame, with the field ``place`` if that is given."""
    x, y = x * SIZE[0], y * SIZE[1]
    boxes = BoxList([[x - 1, y - 1, x + 1, y + 1]], SIZE)
    if place:
        boxes.add_field("place", torch.tensor([place]))
    return boxes


class Fractions(unittest.TestCase):
    def test_the_field_is_taken_where_boxes_have_it(self):
        moved, plain = box_at(0.5, 0.5, (0.0, 0.0, 0.25, 0.25)), box_at(0.5, 0.5)
        as_seen = torch.tensor([11 / 24, 7 / 16, 13 / 24, 9 / 16])
        given = torch.tensor([0.0, 0.0, 0.25, 0.25])
        torch.testing.assert_close(box_fractions([moved, plain], True), torch.stack([given, as_seen]))
        torch.testing.assert_close(box_fractions([moved, plain], False), torch.stack([as_seen, as_seen]))


class Geometry(unittest.TestCase):
    def test_the_annotated_place_is_of_training_only(self):
        torch.manual_seed(0)
        boxes = BoxList([[6.0, 4.0, 18.0, 8.0]], SIZE)
        boxes.add_field("place", torch.tensor([[0.0, 0.0, 0.5, 0.25]]))
        seen, given = BoxGeometry(False), BoxGeometry(True)
        given.load_state_dict(seen.state_dict())
        self.assertFalse(torch.equal(seen([boxes]), given([boxes])))
        as_annotated = BoxList([[0.0, 0.0, 12.0, 4.0]], SIZE)
        torch.testing.assert_close(given([boxes]), seen([as_annotated]))
        given.eval()
        torch.testing.assert_close(given([boxes]), seen([boxes]))
        self.assertEqual(seen([BoxList([], SIZE)]).shape, (0, 64))


class Prior(unittest.TestCase):
    def setUp(self):
        self.prior = PlacePrior(3)

    def set_bump(self, kind, x, y, value=1.0):
        """Log-odds of a class at the bump nearest to a place."""
        distance = (self.prior.centres - torch.tensor([x, y])).square().sum(dim=1)
        with torch.no_grad():
            self.prior.weight[kind, distance.argmin()] = value / self.prior.GAIN

    def test_it_is_zero_at_the_start(self):
        self.assertEqual(self.prior([box_at(0.2, 0.3), BoxList([], SIZE), box_at(0.9, 0.9)]).tolist(), [[0.0] * 3] * 2)
        self.assertEqual(self.prior([BoxList([], SIZE)]).shape, (0, 3))
        self.assertEqual(self.prior.penalty().item(), 0.0)

    def test_only_near_what_it_learned(self):
        self.set_bump(1, 0.2, 0.3, value=4.0)
        near, beside, far = self.prior([box_at(0.2, 0.3), box_at(0.3, 0.3), box_at(0.9, 0.9)]).tolist()
        self.assertGreater(near[1], beside[1])
        self.assertGreater(beside[1], 0.1)
        self.assertEqual((near[0], near[2]), (0.0, 0.0))
        self.assertAlmostEqual(far[1], 0.0, places=6)

    def test_the_same_log_odds_everywhere_are_the_sum(self):
        with torch.no_grad():
            self.prior.weight[0] = 2 / self.prior.GAIN
        self.assertAlmostEqual(self.prior([box_at(0.5, 0.5)])[0, 0].item(), 2.0, places=2)

    def test_training_sees_the_annotated_place(self):
        self.set_bump(0, 0.2, 0.2)
        mirrored = box_at(0.8, 0.2, (0.15, 0.15, 0.25, 0.25))
        expected = self.prior([box_at(0.2, 0.2)])
        torch.testing.assert_close(self.prior([mirrored]), expected)
        self.prior.eval()
        torch.testing.assert_close(self.prior([mirrored]), self.prior([box_at(0.8, 0.2)]))
        self.assertFalse(torch.allclose(self.prior([mirrored]), expected))

    def test_penalty_is_the_sum_of_squares(self):
        self.set_bump(0, 0.2, 0.2, value=3.0)
        self.set_bump(2, 0.7, 0.7, value=-4.0)
        self.assertAlmostEqual(self.prior.penalty().item(), 25.0, places=4)

    def test_gradients(self):
        self.prior([box_at(0.1, 0.1)])[0, 2].backward()
        gradient = self.prior.weight.grad
        self.assertEqual(gradient[:2].abs().sum().item(), 0.0)
        at_largest = self.prior.centres[gradient[2].argmax()]
        self.assertLess((at_largest - 0.1).abs().max().item(), 0.1)
        (self.prior.penalty() + self.prior.weight.sum()).backward()
        self.assertTrue((self.prior.weight.grad > 0).all())


if __name__ == "__main__":
    unittest.main()
