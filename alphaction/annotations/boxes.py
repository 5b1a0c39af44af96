"""Box conventions of annotation and detection files.

Thermal files give fractions of the frame, which become continuous corners. Files of RGB clips give ``x, y, w, h`` in
pixels, which become AlphAction's inclusive corners ``x, y, x + w - 1, y + h - 1``.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from ..config.validate import BOX_CONVENTIONS
from ..errors import UserError

# A box may exceed the frame by this much (pixels) through rounding.
_TOLERANCE = 0.01
# No detector gives only boxes with shorter sides (pixels); a file of fractions has no others.
_SHORTEST = 2.0


def fraction_corners(boxes: np.ndarray, convention: str, name: Callable[[int], str]) -> tuple[np.ndarray, int]:
    """Boxes in fractions of the frame -> continuous corners, clipped to 0..1.

    Args:
        boxes: float64 [N, 4], finite.
        convention: "cxcywh", "xywh" or "xyxy".
        name: row -> what an error calls the box.

    Returns:
        corners float32 [N, 4]; how many boxes exceeded the frame.

    Raises:
        UserError: a box that has no area or lies wholly outside.
    """
    if convention not in {known.removesuffix("_pixel") for known in BOX_CONVENTIONS}:
        raise UserError(f"TEST.BOX_CONVENTION is {convention!r}, expected one of {', '.join(BOX_CONVENTIONS)}.")
    corners = boxes.reshape(-1, 4)
    if convention != "xyxy":
        size = corners[:, 2:]
        low = corners[:, :2] - size / 2 if convention == "cxcywh" else corners[:, :2]
        corners = np.concatenate([low, low + size], axis=1)
    inside = np.clip(corners, 0.0, 1.0)
    result = inside.astype(np.float32)
    problems = (
        ((corners[:, 2:] <= corners[:, :2]).any(axis=1), "has no area"),
        ((inside[:, 2:] <= inside[:, :2]).any(axis=1), "lies wholly outside the frame"),
        ((result[:, 2:] <= result[:, :2]).any(axis=1), "has no area"),
    )
    for wrong, what in problems:
        if wrong.any():
            row = int(np.argmax(wrong))
            raise UserError(
                f"{name(row)}: the box {boxes[row].tolist()} {what}, expected one inside 0..1 of the frame's width and "
                "height; correct or remove it."
            )
    return result, int((np.abs(inside - corners) > 1e-6).any(axis=1).sum())


def inclusive_corners(boxes: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Boxes [N, 4] ``x, y, w, h`` in pixels -> inclusive corners inside frames of ``sizes`` [N, 2] (width, height).

    Returns:
        corners float64 [N, 4]; bool [N], False for boxes without an area inside the frame; how many of the others
        exceeded the frame.
    """
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    inside_low, inside_high = np.clip(low, 0, sizes), np.clip(high, 0, sizes)
    keep = (boxes[:, 2:] > 0).all(axis=1) & (inside_high > inside_low).all(axis=1)
    exceeding = (np.abs(inside_low - low) > _TOLERANCE) | (np.abs(inside_high - high) > _TOLERANCE)
    first = np.minimum(inside_low, sizes - 1)
    corners = np.concatenate([first, np.maximum(inside_high - 1, first)], axis=1)
    return corners, keep, int(np.count_nonzero(exceeding.any(axis=1) & keep))


def refuse_fractions(box_file: str | os.PathLike, sides: np.ndarray) -> None:
    """Raise UserError where all boxes of a file in pixels have sides [N, 2] of less than 2 pixels."""
    if len(sides) and (sides < _SHORTEST).all():
        raise UserError(
            f"The box file {box_file} has only boxes such as {sides[0, 0]:g} x {sides[0, 1]:g}, less than "
            f"{_SHORTEST:g} pixels wide and high, expected pixels, not fractions; write it again."
        )
