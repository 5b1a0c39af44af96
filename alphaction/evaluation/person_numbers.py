"""About ninety numbers that describe a person in a window of temperatures: place, size, warmth and motion.

Temperatures are relative to the level of the scene, lengths to the frame, so that they mean the same for sensors of any
size and rooms of any temperature. They are the input of the baseline ``numbers``.
"""

from __future__ import annotations

import numpy as np

# Parts of the window whose warmth and motion are described one by one.
PARTS = 8
# Pixels per side of a region beyond which only every second, third, ... one is used; pixels that give the level.
_SIDE, _LEVEL_PIXELS = 48, 4096
# °C above the level of the scene from which a pixel is hot: a person is about 5.
HOT = 2.0


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
    beside = within if within.all() else ~within
    person, around, scene = heat[:, within], heat[:, beside], np.median(heat, axis=0)
    covered = (box[2] - box[0]) * (box[3] - box[1]) / (width * height)
    return {
        **_place(box, width, height),
        **_warmth(person[key_index], around[key_index], covered),
        **_background(person[key_index], scene[within], scene[beside], person),
        **_course(person, around, key_index),
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


def _warmth(person: np.ndarray, around: np.ndarray, covered: float) -> dict[str, float]:
    """Temperatures of the pixels in the box, which is a share ``covered`` of the frame, and around it."""
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
        "heat around": np.median(around),
        "heat around 95 %": np.percentile(around, 95),
        "heat contrast": person.mean() - np.median(around),
        "hot share": (person > HOT).mean(),
        "hot area": (person > HOT).mean() * covered,
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


def _course(person: np.ndarray, around: np.ndarray, key_index: int) -> dict[str, float]:
    """Motion and warmth of pixels [T, P] in the box and around it, in the window and in its parts."""
    motion, motion_around = (_motion(pixels) for pixels in (person, around))
    near = slice(max(key_index - len(person) // 16, 0), key_index + len(person) // 16 + 1)
    numbers = {
        "motion mean": motion.mean(),
        "motion maximum": motion.max(),
        "motion now": motion[near].mean(),
        "motion around mean": motion_around.mean(),
        "motion around maximum": motion_around.max(),
        "motion drift": np.abs(person[-1] - person[0]).mean(),
    }
    edges = np.linspace(0, len(person), PARTS + 1).astype(int)
    for part, start in enumerate(edges[:-1]):
        frames = slice(start, max(edges[part + 1], start + 1))
        courses = {
            "motion": motion[frames].mean(),
            "motion around": motion_around[frames].mean(),
            "heat": person[frames].mean(),
            "peak": person[frames].max(axis=1).mean(),
            "hot share": (person[frames] > HOT).mean(),
            "reach": (person[frames].max(axis=0) > HOT).mean(),  # hot in one of the frames
        }
        numbers |= {f"{name} {part + 1}/{PARTS}": value for name, value in courses.items()}
    return numbers


def _motion(pixels: np.ndarray) -> np.ndarray:
    """Mean absolute change of pixels [T, P] since the frame before, [T]."""
    return np.abs(np.diff(pixels, axis=0, prepend=pixels[:1])).mean(axis=1)


NUMBERS = tuple(_describe(np.zeros((1, 1, 1), np.float32), np.array([0.0, 0.0, 1.0, 1.0]), 0, 0.0))
