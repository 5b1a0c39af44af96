"""Box conventions of annotation and detection files, and one check for each question about them.

Thermal files give fractions of the frame, which become continuous corners. Files of RGB clips give ``x, y, w, h`` in
pixels, which become AlphAction's inclusive corners ``x, y, x + w - 1, y + h - 1``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ..config.validate import BOX_CONVENTIONS
from ..errors import UserError

logger = logging.getLogger(__name__)

# What the four numbers of a box may be.
CONVENTIONS = {
    "cxcywh": "center x, center y, width, height",
    "xywh": "x, y, width, height",
    "xyxy": "corners x1, y1, x2, y2",
}
# A box may exceed the frame by this much (pixels) through rounding.
_TOLERANCE = 0.01
# No detector gives mostly boxes with shorter sides (pixels); a file of fractions has no others.
_SHORTEST = 2.0
# Nor are persons smaller than this (pixels of the sensor).
_SHORTEST_NATIVE = 0.5
# Largest part of the frame that a box covers, and farthest place of a corner, through a margin.
LARGEST = 1.1
# A box that exceeds the frame by less than this part of it still fits.
_MARGIN = 0.02
# With fewer boxes another convention is only a guess.
_FEW = 3
_MANY = 10
_NEARLY_ALL, _ALL = 0.9, 0.99
# Boxes of one picture that overlap so much (IoU) are hardly two persons.
_NEAR_EQUAL = 0.9


def to_corners(boxes: np.ndarray, convention: str) -> np.ndarray:
    """Boxes [N, 4] of a convention of :data:`CONVENTIONS` -> continuous corners [N, 4] in the same unit."""
    boxes = boxes.reshape(-1, 4)
    if convention == "xyxy":
        return boxes
    size = boxes[:, 2:]
    low = boxes[:, :2] - size / 2 if convention == "cxcywh" else boxes[:, :2]
    return np.concatenate([low, low + size], axis=1)


def fraction_corners(
    boxes: np.ndarray, convention: str, name: Callable[[int], str], source: str | None = None
) -> tuple[np.ndarray, int]:
    """Boxes in fractions of the frame -> continuous corners, clipped to 0..1.

    Args:
        boxes: float64 [N, 4], finite.
        convention: "cxcywh", "xywh" or "xyxy".
        name: row -> what an error calls the box.
        source: what an error calls all of them; None leaves out :func:`check_convention`.

    Returns:
        corners float32 [N, 4]; how many boxes exceeded the frame.

    Raises:
        UserError: a side above 1, most boxes beyond the frame, a box that has no area or lies wholly outside.
    """
    if convention not in {known.removesuffix("_pixel") for known in BOX_CONVENTIONS}:
        raise UserError(f"TEST.BOX_CONVENTION is {convention!r}, expected one of {', '.join(BOX_CONVENTIONS)}.")
    check_fractions(name, boxes, convention)
    if source is not None:
        check_convention(source, boxes, convention)
    corners = to_corners(boxes, convention)
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


def check_fractions(name: Callable[[int], str], boxes: np.ndarray, convention: str) -> None:
    """Raise UserError for a box of fractions with a side above 1, as a box in pixels or percent has.

    ``name`` tells a row.
    """
    corners = to_corners(boxes, convention)
    wrong = (corners[:, 2:] - corners[:, :2] > LARGEST).any(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UserError(
            f"{name(row)}: the box {boxes[row].tolist()} has a side above 1, expected fractions of the frame's width "
            f"and height, not pixels or percent ({int(wrong.sum())} of {len(wrong)} boxes are so large); divide them "
            "by the frame's size, or by 100, or name the convention that they have."
        )


def check_pixels(source: str, boxes: np.ndarray, convention: str, sizes: ArrayLike, unit: str = "pixels") -> None:
    """Raise UserError where most boxes [N, 4] of a file in pixels are as small as fractions, warn where some are.

    Args:
        source: what an error calls the file.
        sizes: (width, height) of the frames, one for all boxes or [N, 2].
        unit: "percent" where that is meant instead; the sizes are 100 then.
    """
    if not len(boxes):
        return
    corners = to_corners(boxes, convention)
    sides = corners[:, 2:] - corners[:, :2]
    # In frames of a few pixels, persons are as small as that.
    shortest = np.minimum(_SHORTEST, np.asarray(sizes, np.float64).min(axis=-1) / 16)
    tiny = (sides < np.reshape(shortest, (-1, 1))).all(axis=1) | (np.abs(corners) <= LARGEST).all(axis=1)
    count, row = int(tiny.sum()), int(np.argmax(tiny))
    text = f"{count} of {len(tiny)} boxes such as {sides[row, 0]:g} x {sides[row, 1]:g}, less than {_SHORTEST:g} {unit}"
    if 2 * count > len(tiny):
        raise UserError(f"{source} has {text} wide and high, expected {unit}, not fractions; write it again.")
    if count:
        logger.warning("%s has %s wide and high; are these fractions?", source, text)


def check_resolution(source: str, corners: np.ndarray, sizes: np.ndarray) -> None:
    """Raise UserError where most persons of a thermal set are far smaller than a pixel of the sensor, warn where some
    are.

    Args:
        source: what an error calls the file.
        corners: [N, 4], fractions of the frame.
        sizes: [N, 2], width and height of the frames in pixels of the sensor.
    """
    sides = (corners[:, 2:] - corners[:, :2]) * sizes
    tiny = (sides < _SHORTEST_NATIVE).all(axis=1)
    if not tiny.any():
        return
    width, height = sides[int(np.argmax(tiny))]
    text = (
        f"{source} has {int(tiny.sum())} of {len(tiny)} boxes such as {width:.2g} x {height:.2g} pixels of the sensor, "
        f"less than {_SHORTEST_NATIVE:g} wide and high"
    )
    if 2 * int(tiny.sum()) > len(tiny):
        raise UserError(f"{text}, expected boxes around persons; check the unit of the labels and write them again.")
    logger.warning("%s; do they show persons?", text)


def check_convention(source: str, boxes: np.ndarray, declared: str, sizes: ArrayLike = (1, 1)) -> None:
    """Raise UserError where most boxes [N, 4] lie beyond the frame as declared and nearly all fit another convention;
    warn where all others could be corners as well.

    Args:
        source: what an error calls the file.
        declared: a key of :data:`CONVENTIONS`.
        sizes: (width, height) of the frames in the unit of the boxes, one for all boxes or [N, 2].
    """
    beyond = ~_fits(boxes, declared, sizes)
    if not 2 * int(beyond.sum()) > len(beyond):
        # Persons who are all wider than their distance from the left, and higher than that from the top, are rare.
        if declared != "xyxy" and len(beyond) >= _MANY and _fits(boxes, "xyxy", sizes).mean() >= _ALL:
            logger.warning(
                "%s: nearly all %d boxes, read as %s (%s), would be %s (xyxy) as well; are they corners?",
                source,
                len(beyond),
                CONVENTIONS[declared],
                declared,
                CONVENTIONS["xyxy"],
            )
        return
    others = [other for other in CONVENTIONS if other != declared and _fits(boxes, other, sizes).mean() >= _NEARLY_ALL]
    if not others:
        return
    text = (
        f"{source}: {int(beyond.sum())} of {len(beyond)} boxes such as {boxes[int(np.argmax(beyond))].tolist()} reach "
        f"beyond the frame or have no area when read as {CONVENTIONS[declared]} ({declared})"
    )
    fitting = " or ".join(f"{CONVENTIONS[other]} ({other})" for other in others)
    if len(beyond) < _FEW:
        logger.warning("%s; as %s they would fit", text, fitting)
        return
    raise UserError(
        f"{text}, expected boxes inside it; as {fitting} they fit: convert them, or set TEST.BOX_CONVENTION where it "
        "says how they are read."
    )


def _fits(boxes: np.ndarray, convention: str, sizes: ArrayLike) -> np.ndarray:
    corners, size = to_corners(boxes, convention), np.asarray(sizes, np.float64)
    low, high = corners[:, :2], corners[:, 2:]
    inside = (high > low) & (low >= -_MARGIN * size) & (high <= (1 + _MARGIN) * size)
    return np.all(inside, axis=1)


def near_equal_boxes(owners: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """bool [N]: the boxes that overlap a former one of their picture by an IoU of 0.9 or more, as one that was drawn
    again does.

    Args:
        owners: [N], picture of each box, ascending.
        corners: [N, 4].
    """
    corners = corners.astype(np.float64)
    near, areas = np.zeros(len(owners), dtype=bool), (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    for distance in range(1, len(owners)):
        first = np.flatnonzero(owners[distance:] == owners[:-distance])
        if not len(first):
            break
        second = first + distance
        sides = np.minimum(corners[first, 2:], corners[second, 2:]) - np.maximum(
            corners[first, :2], corners[second, :2]
        )
        common = sides.clip(0).prod(axis=1)
        near[second] |= common >= _NEAR_EQUAL * (areas[first] + areas[second] - common)
    return near


def warn_near_equal(source: str, offsets: np.ndarray, corners: np.ndarray) -> None:
    """Log how many persons of a file have nearly the box of another one; image k has the rows offsets[k] ..
    offsets[k + 1] - 1."""
    near = near_equal_boxes(np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), corners)
    if near.any():
        logger.warning("%s: %s, such as %s", source, near_equal_text(near), corners[int(np.argmax(near))].tolist())


def near_equal_text(near: np.ndarray) -> str:
    """What to say of :func:`near_equal_boxes`."""
    return (
        f"{int(near.sum())} of {len(near)} persons have nearly the box of another one in the picture (IoU from "
        f"{_NEAR_EQUAL:g}) and are two persons; labels of one person need the same box"
    )


def check_evaluated(truth_source: str, truth: np.ndarray, source: str, boxes: np.ndarray) -> None:
    """Raise UserError where corners [N, 4] of detections are in another unit or convention than those of the truth.

    Either unit will do, fractions or pixels. Files without rows pass.
    """
    if not (len(truth) and len(boxes)):
        return
    units = ["fractions" if np.median(rows.max(axis=1)) <= LARGEST else "pixels" for rows in (truth, boxes)]
    if units[0] != units[1]:
        raise UserError(
            f"The boxes of {truth_source} are {units[0]} such as {truth[0].tolist()}, those of {source} are {units[1]} "
            f"such as {boxes[0].tolist()}, expected the same unit; convert one of them."
        )
    size = np.ones(2) if units[0] == "fractions" else truth[:, 2:].max(axis=0)
    check_convention(truth_source, truth, "xyxy", size)
    check_convention(source, boxes, "xyxy", size)


def log_clipped(source: str | os.PathLike, clipped: int, dropped: int, total: int) -> None:
    """Log how many boxes exceeded the frame and how many are left out without an area inside it; a warning where most
    exceed it or any is left out."""
    if clipped or dropped:
        logger.log(
            logging.WARNING if 2 * clipped > total or dropped else logging.INFO,
            "%s: %d of %d boxes extend beyond the frame and are clipped, %d without an area inside the frame are left "
            "out",
            os.fspath(source),
            clipped,
            total,
            dropped,
        )
