"""Warm and cold things that are no person, and how they change: lamps, sun, hot drinks, screens, what was lain upon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from .room import Room
from .view import View


@dataclass
class Layer:
    """°C [H, W] on the canvas that are added to the room in proportion to ``course`` [T]."""

    picture: np.ndarray
    course: np.ndarray


_Source = Callable[["_Stage"], None]


@dataclass
class _Stage:
    room: Room
    view: View
    oversample: int
    times: np.ndarray
    rng: np.random.Generator
    layers: list[Layer]

    def spot(self) -> tuple[float, float]:
        x, y = self.rng.uniform(-0.48, 0.48, 2) * self.room.size[:2]
        return float(x), float(y)

    def paint(self, outline: np.ndarray, warmth: float, course: np.ndarray, soft: float = 0.0) -> None:
        """Add a layer: the polygon [n, 3] in metres, ``soft`` metres of blur."""
        rows, columns = self.view.shape
        picture: np.ndarray = np.zeros((rows * self.oversample, columns * self.oversample), np.float32)
        pixels, _, scale = self.view.project(outline)
        if scale.min() <= 0 or np.abs(pixels).max() > 20 * max(rows, columns):
            return
        points = np.round((pixels * self.oversample - 0.5) * 16).astype(np.int32)
        cv2.fillConvexPoly(picture, points, float(warmth), shift=4)
        sigma = soft * float(scale.mean()) * self.oversample
        if sigma > 0.3:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
        if picture.any():
            self.layers.append(Layer(picture, course.astype(np.float32)))


def draw_heat(room: Room, view: View, oversample: int, times: np.ndarray, rng: np.random.Generator) -> list[Layer]:
    """Zero to five sources of heat or cold, and one that drifts over the whole picture."""
    stage = _Stage(room, view, oversample, times, rng, [])
    names = list(_SOURCES)
    for _ in range(int(rng.choice([0, 1, 2, 3, 5], p=[0.35, 0.3, 0.2, 0.1, 0.05]))):
        _SOURCES[names[rng.integers(len(names))]](stage)
    return stage.layers


def _disc(x: float, y: float, z: float, radius: float, stretch: float = 1.0, turn: float = 0.0) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    u, v = radius * np.cos(angle) * stretch, radius * np.sin(angle)
    return np.stack(
        [x + u * np.cos(turn) - v * np.sin(turn), y + u * np.sin(turn) + v * np.cos(turn), np.full(12, z)], axis=-1
    )


def _hot_drink(stage: _Stage) -> None:
    rng = stage.rng
    big = rng.random() < 0.5
    outline = _disc(*stage.spot(), rng.uniform(0.4, 0.9), rng.uniform(0.08, 0.15) if big else rng.uniform(0.03, 0.05))
    course = np.exp(-stage.times / rng.uniform(300, 3000))
    stage.paint(outline, rng.uniform(8, 40) if big else rng.uniform(10, 30), course)


def _lamp(stage: _Stage) -> None:
    rng = stage.rng
    outline = _disc(*stage.spot(), rng.uniform(0.8, 1.9), rng.uniform(0.06, 0.2))
    on, course, level = rng.random() < 0.6, np.empty(len(stage.times)), 0.0
    level = float(on)
    switches = np.sort(rng.uniform(0, max(stage.times[-1], 1) * 1.5, int(rng.integers(0, 4))))
    step = float(np.median(np.diff(stage.times))) if len(stage.times) > 1 else 1.0
    for index, time in enumerate(stage.times):
        state = float(on) if np.searchsorted(switches, time) % 2 == 0 else 1 - float(on)
        level += (state - level) * min(step / (2.0 if state > level else 8.0), 1.0)
        course[index] = level
    stage.paint(outline, rng.uniform(4, 28), course, 0.03)


def _screen(stage: _Stage) -> None:
    rng = stage.rng
    outline = _disc(
        *stage.spot(), rng.uniform(0.7, 1.3), rng.uniform(0.08, 0.22), rng.uniform(1, 2), rng.uniform(0, np.pi)
    )
    stage.paint(outline[::3], rng.uniform(1.0, 5), np.ones(len(stage.times)))


def _sun(stage: _Stage) -> None:
    """A sunlit part of the floor; clouds pass."""
    rng = stage.rng
    outline = _disc(*stage.spot(), 0.0, rng.uniform(0.2, 0.8), rng.uniform(1, 3), rng.uniform(0, np.pi))
    clouds = 0.75 + 0.25 * np.sin(2 * np.pi * stage.times / rng.uniform(20, 200) + rng.uniform(0, 6.3))
    stage.paint(outline[1::3], rng.uniform(1.0, 5.5), clouds, rng.uniform(0.02, 0.1))


def _draught(stage: _Stage) -> None:
    """A large soft part of the floor that is colder or warmer."""
    rng = stage.rng
    outline = _disc(*stage.spot(), 0.0, rng.uniform(0.5, 1.5), rng.uniform(1, 2), rng.uniform(0, np.pi))
    stage.paint(outline, rng.uniform(-2.5, 1.2), np.ones(len(stage.times)), rng.uniform(0.03, 0.4))


def _hose(stage: _Stage) -> None:
    """A warm cable or hose of a few centimetres, and the device at its end."""
    rng = stage.rng
    x, y = stage.spot()
    z = rng.uniform(0.2, 0.9)
    warmth, course = rng.uniform(2, 7), np.ones(len(stage.times))
    stage.paint(_disc(x, y, z, 0.08), warmth * 1.4, course)
    way = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(1, 4))):
        way += rng.normal(0, 0.7)
        length = rng.uniform(0.3, 0.8)
        u, v = np.cos(way) * length, np.sin(way) * length
        stage.paint(_disc(x + u / 2, y + v / 2, z, 0.02, length / 0.04, way), warmth, course)
        x, y = x + u, y + v


def _left_warm(stage: _Stage) -> None:
    """A pillow, a blanket or clothes that somebody has just put down."""
    rng = stage.rng
    level = 0.55 if rng.random() < 0.3 else 0.1
    outline = _disc(*stage.spot(), level, rng.uniform(0.15, 0.32), rng.uniform(1, 1.8), rng.uniform(0, np.pi))
    contrast = float(np.clip((33 - stage.room.ambient) / 15, 0.15, 1.2))
    shape = outline if rng.random() < 0.4 else outline[1::3]
    stage.paint(shape, rng.uniform(1, 5) * contrast, np.exp(-stage.times / rng.uniform(60, 900)), 0.02)


_SOURCES: dict[str, _Source] = {
    "hot_drink": _hot_drink,
    "lamp": _lamp,
    "screen": _screen,
    "sun": _sun,
    "draught": _draught,
    "hose": _hose,
    "left_warm": _left_warm,
}


class Prints:
    """The warmth that bodies leave where they lie, sit or kneel; it grows in half a minute and fades over minutes."""

    def __init__(self, shape: tuple[int, int], rng: np.random.Generator) -> None:
        self.level = np.zeros(shape, np.float32)
        self._grow, self._fade = rng.uniform(12, 45), rng.uniform(50, 260)
        self._share = rng.uniform(0.3, 0.65)

    def touch(self, target: np.ndarray, seconds: float) -> None:
        """Go on by some seconds; ``target`` [H, W] is the excess in °C of what touches, 0 elsewhere."""
        wanted = target * self._share
        self.level *= np.float32(np.exp(-seconds / self._fade))
        self.level += np.maximum(wanted - self.level, 0) * np.float32(1 - np.exp(-seconds / self._grow))
