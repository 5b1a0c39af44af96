"""Boxes in another unit or convention than declared are refused or warned of; nothing is clipped without a count."""

from __future__ import annotations

import unittest

import numpy as np

from alphaction.annotations.boxes import (
    check_convention,
    check_evaluated,
    check_fractions,
    check_pixels,
    check_resolution,
    fraction_corners,
    log_clipped,
    near_equal_boxes,
    to_corners,
    warn_near_equal,
)
from alphaction.errors import UserError

LOGGER = "alphaction.annotations.boxes"
rng = np.random.default_rng(0)
LOW = rng.uniform(0.3, 0.6, (20, 2))
# Boxes in the lower right of the frame, where every wrong reading reaches beyond it.
CORNERS = np.hstack([LOW, LOW + rng.uniform(0.3, 0.39, (20, 2))])
FORMS = {
    "xyxy": CORNERS,
    "xywh": np.hstack([LOW, CORNERS[:, 2:] - LOW]),
    "cxcywh": np.hstack([(LOW + CORNERS[:, 2:]) / 2, CORNERS[:, 2:] - LOW]),
}


class Units(unittest.TestCase):
    def test_a_side_above_one_is_no_fraction(self) -> None:
        for convention, boxes in FORMS.items():
            check_fractions(lambda row: f"entry {row}", boxes, convention)
            large = boxes.copy()
            large[3] = boxes[3] * 60
            with self.subTest(convention), self.assertRaisesRegex(UserError, "entry 3: .* side above 1.* not pixels"):
                check_fractions(lambda row: f"entry {row}", large, convention)

    def test_fractions_are_no_pixels(self) -> None:
        for size in ((640, 360), (60, 40), (32, 24), (8, 8)):
            for convention, boxes in FORMS.items():
                with self.subTest((size, convention)):
                    check_pixels("The file x", boxes * np.tile(size, 2), convention, size)
                    with self.assertRaisesRegex(UserError, "The file x has 20 of 20 boxes .* pixels, not fractions"):
                        check_pixels("The file x", boxes, convention, size)
        check_pixels("The file x", np.zeros((0, 4)), "xywh", np.zeros((0, 2)))

    def test_a_few_tiny_boxes_are_named(self) -> None:
        boxes = FORMS["xywh"] * 100
        boxes[0] = [50, 50, 0.4, 0.4]
        with self.assertLogs(LOGGER, "WARNING") as log:
            check_pixels("The file x", boxes, "xywh", (100, 100))
        self.assertIn("1 of 20 boxes such as 0.4 x 0.4", log.output[0])

    def test_persons_have_pixels(self) -> None:
        sizes = np.tile([60.0, 40.0], (3, 1))
        corners = np.array([[0.5, 0.5, 0.5 + width / 60, 0.5 + 0.4 / 40] for width in (0.4, 0.4, 0.6)])
        with self.assertRaisesRegex(UserError, "x has 2 of 3 boxes such as 0.4 x 0.4 pixels .* unit of the labels"):
            check_resolution("x", corners, sizes)
        with self.assertLogs(LOGGER, "WARNING") as log:
            check_resolution("x", corners[1:], sizes[1:])
        self.assertIn("x has 1 of 2 boxes", log.output[0])
        with self.assertNoLogs(LOGGER):
            check_resolution("x", corners[2:], sizes[2:])
            check_resolution("x", corners[:0], sizes[:0])

    def test_boxes_that_were_drawn_again(self) -> None:
        box, moved, beside = [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.9], [0.0, 0.0, 1.0, 0.89]
        owners, corners = np.array([0, 0, 0, 1, 2, 2]), np.array([box, beside, moved, moved, box, beside], np.float32)
        self.assertEqual(near_equal_boxes(owners, corners).tolist(), [False, False, True, False, False, False])
        self.assertEqual(near_equal_boxes(owners[:0], corners[:0]).tolist(), [])
        with self.assertLogs(LOGGER, "WARNING") as log:
            warn_near_equal("x", np.array([0, 3, 4, 6]), corners)
        self.assertIn("x: 1 of 6 persons have nearly the box of another one", log.output[0])
        with self.assertNoLogs(LOGGER):
            warn_near_equal("x", np.array([0, 0, 1, 3]), corners[3:])

    def test_both_files_of_an_evaluation_have_one_unit(self) -> None:
        check_evaluated("truth", CORNERS, "found", CORNERS)
        check_evaluated("truth", CORNERS * 500, "found", CORNERS * 500)
        check_evaluated("truth", CORNERS, "found", np.zeros((0, 4)))
        for pair in ((CORNERS, CORNERS * 500), (CORNERS * 500, CORNERS)):
            with self.assertRaisesRegex(UserError, "expected the same unit"):
                check_evaluated("truth", pair[0], "found", pair[1])
        for scale in (1, 500):
            with self.assertRaisesRegex(UserError, "found: .* when read as corners .*xywh. they fit"):
                check_evaluated("truth", CORNERS * scale, "found", FORMS["xywh"] * scale)


class Conventions(unittest.TestCase):
    def test_corners_of_each(self) -> None:
        for convention, boxes in FORMS.items():
            np.testing.assert_allclose(to_corners(boxes, convention), CORNERS)

    def test_another_convention_is_named(self) -> None:
        size = np.array([640, 360])
        for declared in FORMS:
            for actual, boxes in FORMS.items():
                with self.subTest((declared, actual)):
                    if declared == actual:
                        check_convention("x", boxes, declared)
                        check_convention("x", boxes * np.tile(size, 2), declared, np.tile(size, (20, 1)))
                    elif (declared, actual) == ("cxcywh", "xyxy"):  # inside the frame, but far too large
                        with self.assertLogs(LOGGER, "WARNING") as log:
                            check_convention("x", boxes, declared)
                        self.assertIn("are they corners?", log.output[0])
                    elif (declared, actual) != ("cxcywh", "xywh"):  # fits as well, only at another place
                        with self.assertRaisesRegex(UserError, rf"read as .*\({declared}\).*\({actual}\).* fit"):
                            check_convention("x", boxes, declared)

    def test_one_or_two_boxes_are_warned_of(self) -> None:
        with self.assertLogs(LOGGER, "WARNING") as log:
            check_convention("x", np.array([[300.0, 150, 480, 340]]), "xywh", (640, 360))
        self.assertIn("as corners x1, y1, x2, y2 (xyxy) they would fit", log.output[0])

    def test_boxes_at_the_edge_pass(self) -> None:
        with self.assertNoLogs(LOGGER, "WARNING"):
            check_convention("x", np.array([[-0.01, 0, 0.5, 1.02]] * 5), "xywh")
            check_convention("x", np.array([[0.5, 0.5, 0.6, 0.6]] * 2 + [[0.1, 0.1, 0.2, 0.2]] * 3), "xywh")
            check_convention("x", np.array([[-0.5, 0.5, 0.7, 0.7]] * 5), "xywh")  # fits none
            check_convention("x", np.zeros((0, 4)), "xywh")

    def test_fraction_corners_counts_and_names(self) -> None:
        name = "entry {}".format
        corners, clipped = fraction_corners(
            np.array([[0.05, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2]]), "cxcywh", name, "x"
        )
        self.assertEqual(clipped, 1)
        np.testing.assert_allclose(corners[0], [0, 0.4, 0.15, 0.6], atol=1e-6)
        with self.assertRaisesRegex(UserError, "entry 0: the box .* has no area"):
            fraction_corners(np.array([[0.5, 0.5, 0.0, 0.2]]), "cxcywh", name, "x")
        with self.assertRaisesRegex(UserError, r"x: 20 of 20 boxes .*\(xyxy\)"):
            fraction_corners(CORNERS - [0.28, 0.28, 0, 0], "cxcywh", name, "x")

    def test_clipped_boxes_are_counted(self) -> None:
        for clipped, dropped, level in ((1, 0, "INFO"), (9, 0, "WARNING"), (0, 1, "WARNING")):
            with self.assertLogs(LOGGER, "INFO") as log:
                log_clipped("x.json", clipped, dropped, 10)
            self.assertIn(f"{level}:{LOGGER}:x.json: {clipped} of 10 boxes", log.output[0])
        with self.assertNoLogs(LOGGER):
            log_clipped("x.json", 0, 0, 10)


if __name__ == "__main__":
    unittest.main()
