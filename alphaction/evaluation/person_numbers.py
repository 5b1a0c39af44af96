"""About a hundred numbers that describe a person in a window of temperatures: place, size, warmth, shape and motion.

Temperatures are relative to the level of the scene, lengths to the frame or the box, so that they mean the same for
sensors of any size. They are the input of the baseline ``numbers``.
"""

from __future__ import annotations

import numpy as np

# Parts of the window whose warmth, shape and motion are described one by one.
PARTS = 8
# Pixels per side of a region beyond which only every second, third, ... one is used; pixels that give the level.
_SIDE, _LEVEL_PIXELS = 48, 4096
# Least difference in °C between what is warm and its surroundings, a few times the noise of a sensor.
_LEAST_CONTRAST = 0.5


def person_numbers(window: np.ndarray, corners: np.ndarray, key_index: int) -> np.ndarray:
    """Describe the persons of a keyframe.

    Args:
        window: float [T, h, w] °C, the frames around the keyframe.
        corners: float [N, 4], ``x1, y1, x2, y2`` of the persons in continuous pixels of the frame.
        key_index: which frame of the window is the keyframe.

    Returns:
        float32 [N, K], finite, with a column for each of ``NUMBERS``.
    """
    level = scene_level(window)
    rows = [list(_describe(window, box, key_index, level).values()) for box in np.asarray(corners, np.float64)]
    return np.array(rows, np.float32).reshape(-1, len(NUMBERS))


def scene_level(window: np.ndarray) -> float:
    """Median temperature in °C of some of the frames and pixels of a window [T, h, w]."""
    frames, height, width = window.shape
    step = max(int(np.sqrt(height * width / _LEVEL_PIXELS)), 1)
    return float(np.median(window[:: max(frames // PARTS, 1), ::step, ::step]))


def _describe(window: np.ndarray, box: np.ndarray, key_index: int, level: float) -> dict[str, float]:
    """Name -> value of all numbers of one person."""
    height, width = window.shape[1:]
    rows, columns = _pixels(box[1], box[3], height), _pixels(box[0], box[2], width)
    heat = window[:, rows[:, None], columns].astype(np.float32) - np.float32(level)
    within = _inside(rows, box[1], box[3])[:, None] & _inside(columns, box[0], box[2])
    # Coordinates of the pixels in the box, -0.5 .. 0.5.
    y = (rows + 0.5 - (box[1] + box[3]) / 2) / max(box[3] - box[1], 1)
    x = (columns + 0.5 - (box[0] + box[2]) / 2) / max(box[2] - box[0], 1)
    around = heat[:, ~within] if not within.all() else heat.reshape(len(heat), -1)
    person, scene = heat[:, within], np.median(heat, axis=0)
    cool = float(np.median(around))
    warm = max((float(np.percentile(person[key_index], 95)) + cool) / 2, cool + _LEAST_CONTRAST)
    return {
        **_place(box, width, height),
        "scene level": level,
        **_warmth(person[key_index], around[key_index], warm),
        **_background(person[key_index], scene[within], scene[~within] if not within.all() else scene, person),
        **_course(heat, person, around, warm, x, y, key_index),
    }


def _pixels(low: float, high: float, size: int) -> np.ndarray:
    """Rows or columns of a box and of half its length on either side, at most about _SIDE of them."""
    margin = max((high - low) / 2, 2.0)
    start, stop = max(int(low - margin), 0), min(int(np.ceil(high + margin)), size)
    start = min(start, size - 1)
    stop = max(stop, start + 1)
    return np.arange(start, stop, -(-(stop - start) // _SIDE))


def _inside(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Which pixels are between two lines; the nearest one where none is."""
    inside = (pixels + 1 > low) & (pixels < high)
    if not inside.any():
        inside[np.abs(pixels + 0.5 - (low + high) / 2).argmin()] = True
    return inside


def _place(box: np.ndarray, width: int, height: int) -> dict[str, float]:
    """Where the box is, and how large."""
    left, top, right, bottom = box / [width, height, width, height]
    sides = np.array([box[2] - box[0], box[3] - box[1]]).clip(1e-3) / np.sqrt(width * height)
    middle = (box[:2] + box[2:]) / 2
    return {
        "box left": left,
        "box top": top,
        "box right": right,
        "box bottom": bottom,
        "box center x": (left + right) / 2,
        "box center y": (top + bottom) / 2,
        "box width": right - left,
        "box height": bottom - top,
        "box area": sides.prod(),
        "box aspect": np.log(sides[0] / sides[1]),
        "box long side": sides.max(),
        "box short side": sides.min(),
        "box from middle": np.hypot(*(middle - [width / 2, height / 2])) / np.sqrt(width * height),
        "box from edge": min(left, top, 1 - right, 1 - bottom),
    }


def _warmth(person: np.ndarray, around: np.ndarray, warm: float) -> dict[str, float]:
    """Temperatures of the pixels in the box and around it in the keyframe."""
    low, quarter, middle, high, top = np.percentile(person, [5, 25, 50, 75, 95])
    return {
        "heat 5 %": low,
        "heat 25 %": quarter,
        "heat 50 %": middle,
        "heat 75 %": high,
        "heat 95 %": top,
        "heat maximum": person.max(),
        "heat mean": person.mean(),
        "heat deviation": person.std(),
        "heat threshold": warm,
        "heat around": np.median(around),
        "heat around 95 %": np.percentile(around, 95),
        "heat contrast": person.mean() - np.median(around),
    }


def _background(person: np.ndarray, scene: np.ndarray, around: np.ndarray, course: np.ndarray) -> dict[str, float]:
    """The median picture of the window at the place of the box, and how far the keyframe is from it."""
    change = person - scene
    return {
        "scene mean": scene.mean(),
        "scene maximum": scene.max(),
        "scene deviation": scene.std(),
        "scene around": np.median(around),
        "scene coldest": course.mean(axis=1).min(),
        "scene warmest": course.mean(axis=1).max(),
        "change mean": change.mean(),
        "change maximum": change.max(),
        "change size": np.abs(change).mean(),
    }


def _course(
    heat: np.ndarray,
    person: np.ndarray,
    around: np.ndarray,
    warm: float,
    x: np.ndarray,
    y: np.ndarray,
    key_index: int,
) -> dict[str, float]:
    """Warmth, shape and motion in the keyframe and in the parts of the window."""
    shapes = _shapes(np.maximum(heat - warm, 0), x, y)
    numbers = {f"shape {name}": values[key_index] for name, values in shapes.items()}
    motion, motion_around = (_motion(pixels) for pixels in (person, around))
    near = slice(max(key_index - len(heat) // 16, 0), key_index + len(heat) // 16 + 1)
    numbers |= {
        "motion mean": motion.mean(),
        "motion maximum": motion.max(),
        "motion now": motion[near].mean(),
        "motion around mean": motion_around.mean(),
        "motion around maximum": motion_around.max(),
        "motion drift": np.abs(person[-1] - person[0]).mean(),
    }
    courses = {
        "motion": motion,
        "motion around": motion_around,
        "heat": person.mean(axis=1),
        "warm share": (person > warm).mean(axis=1),
        "center x": shapes["center x"],
        "center y": shapes["center y"],
        "long axis": shapes["long axis"],
        "elongation": shapes["elongation"],
    }
    edges = np.linspace(0, len(heat), PARTS + 1)
    for name, values in courses.items():
        for part in range(PARTS):
            start, stop = int(edges[part]), max(int(edges[part + 1]), int(edges[part]) + 1)
            numbers[f"{name} {part + 1}/{PARTS}"] = values[start:stop].mean()
    return numbers


def _motion(pixels: np.ndarray) -> np.ndarray:
    """Mean absolute change of pixels [T, P] since the frame before, [T]."""
    return np.abs(np.diff(pixels, axis=0, prepend=pixels[:1])).mean(axis=1)


def _shapes(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Center and axes of the warm region in each frame, of weights [T, h, w] at x [w] and y [h]; 0 without warmth."""
    total = weights.sum(axis=(1, 2))
    share = weights / np.maximum(total, 1e-6)[:, None, None]
    columns, rows = share.sum(axis=1), share.sum(axis=2)
    center_x, center_y = columns @ x, rows @ y
    xx = columns @ x**2 - center_x**2
    yy = rows @ y**2 - center_y**2
    xy = np.einsum("thw,h,w->t", share, y, x) - center_x * center_y
    root = np.sqrt((xx - yy) ** 2 / 4 + xy**2)
    long, short = ((xx + yy) / 2 + sign * root for sign in (1, -1))
    long, short = np.sqrt(np.maximum(long, 0)), np.sqrt(np.maximum(short, 0))
    return {
        "size": total / weights[0].size,
        "center x": center_x,
        "center y": center_y,
        "long axis": long,
        "short axis": short,
        "elongation": long / (short + 0.05),
        "slope": (xx - yy) / (xx + yy + 1e-3),
        "skew": xy / (xx + yy + 1e-3),
    }


NUMBERS = tuple(_describe(np.zeros((1, 1, 1), np.float32), np.array([0.0, 0.0, 1.0, 1.0]), 0, 0.0))
