"""Capsules in a room -> pictures, drawn at several times the sensor's size and blurred by its lens.

Capsules are drawn from the farthest to the nearest. One behind a piece of furniture is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .body import Capsules
from .heat import Layer, Prints
from .view import View

# Rows that a canvas has at least, and how many times larger than the sensor it is at least and at most.
_CANVAS_ROWS = 128
_LEAST, _MOST = 2, 8
_FRACTION_BITS = 4
# Points of each round end of a capsule.
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 6).astype(np.float32)
# Metres that a capsule may be behind a surface before the surface hides it, and above what carries it to touch it.
_TOLERANCE = 0.12
_TOUCH = 0.07


def oversampling(shape: tuple[int, int]) -> int:
    """How many times larger than the sensor the canvas is."""
    return int(np.clip(-(-_CANVAS_ROWS // min(shape)), _LEAST, _MOST))


@dataclass
class Outlines:
    """Projected capsules of one being.

    Attributes:
        polygons: int32 [T, S, P, 2], canvas pixels in fixed point.
        low, high: [T, S, 2] corners of each capsule in sensor pixels.
        distance: [T, S] metres from the sensor.
        area: [T, S] sensor pixels.
        shown: bool [T, S], in front of the lens and not behind furniture.
        temperature: [T, S] °C.
        touching: bool [T, S], on what carries the body.
    """

    polygons: np.ndarray
    low: np.ndarray
    high: np.ndarray
    distance: np.ndarray
    area: np.ndarray
    shown: np.ndarray
    temperature: np.ndarray
    touching: np.ndarray


def outline(
    capsules: Capsules, view: View, oversample: int, depth: np.ndarray, resting: np.ndarray, present: np.ndarray
) -> Outlines:
    """Project capsules; ``depth`` [H, W] is the distance of the room, ``resting`` and ``present`` are [T]."""
    pixels, distance, scale = view.project(capsules.ends)
    radius = capsules.radius * scale
    apart = np.hypot(*np.moveaxis(pixels[..., 1, :] - pixels[..., 0, :], -1, 0))
    inside = np.abs(radius[..., 0] - radius[..., 1]) >= apart
    larger = radius.argmax(axis=-1)[..., None]
    pixels = np.where(inside[..., None, None], np.take_along_axis(pixels, larger[..., None], axis=2), pixels)
    radius = np.where(inside[..., None], radius.max(axis=-1, keepdims=True), radius)
    low, high = (pixels - radius[..., None]).min(axis=2), (pixels + radius[..., None]).max(axis=2)
    middle = distance.mean(axis=-1)
    rows, columns = view.shape
    seen = (scale.min(axis=-1) > 0) & (high > 0).all(axis=-1) & (low < (columns, rows)).all(axis=-1)
    x, y = np.moveaxis((pixels.mean(axis=2) * oversample).astype(int), -1, 0)
    inside_x, inside_y = np.clip(x, 0, depth.shape[1] - 1), np.clip(y, 0, depth.shape[0] - 1)
    shown = seen & (depth[inside_y, inside_x] > middle - _TOLERANCE) & present[:, None]
    bottom = (capsules.ends[..., 2] - capsules.radius).min(axis=-1)
    return Outlines(
        _polygons(pixels, radius, oversample),
        low,
        high,
        middle,
        radius.sum(axis=-1) * apart + np.pi * radius.mean(axis=-1) ** 2,
        shown,
        capsules.temperature,
        bottom < resting[:, None] + _TOUCH,
    )


def _polygons(pixels: np.ndarray, radius: np.ndarray, oversample: int) -> np.ndarray:
    """Outline of tapered capsules between pixels [T, S, 2, 2], int32 [T, S, P, 2] in fixed point."""
    pixels, radius = pixels.astype(np.float32), radius.astype(np.float32)
    along = pixels[..., 1, :] - pixels[..., 0, :]
    turn = np.arctan2(along[..., 1], along[..., 0])[..., None]
    angle = np.concatenate([turn + np.float32(np.pi) + _ARC, turn + _ARC], axis=-1)
    end = np.repeat([0, 1], len(_ARC))
    points = pixels[..., end, :] + radius[..., end, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    fixed = np.float32(1 << _FRACTION_BITS)
    return np.round(np.clip((points * oversample - 0.5) * fixed, -1e6, 1e6)).astype(np.int32)


def render(
    view: View,
    oversample: int,
    room: np.ndarray,
    layers: list[Layer],
    beings: list[Outlines],
    ambient: float,
    count: int,
    fps: float,
    blur: float,
    prints: Prints,
) -> np.ndarray:
    """Pictures float32 [count, h, w] in °C of a room [H, W] with beings, before the sensor adds its faults."""
    pictures = np.empty((count, *view.shape), np.float32)
    polygons, distance, shown, temperature, touching = (
        np.concatenate([getattr(being, name) for being in beings], axis=1)
        if beings
        else np.zeros((count, 0), dtype=np.int32)
        for name in ("polygons", "distance", "shown", "temperature", "touching")
    )
    order = np.argsort(-distance, axis=1)
    temperature, touching = temperature.astype(float), (touching != 0) & (shown != 0)
    tick = max(1, round(fps / 2))
    for index in range(count):
        if index % tick == 0:
            base = room + prints.level
            for layer in layers:
                base += layer.picture * layer.course[index]
            target = np.zeros_like(room)
            for part in np.flatnonzero(touching[index]):
                excess = max(temperature[index, part] - ambient, 0.0)
                cv2.fillConvexPoly(target, polygons[index, part], excess, shift=_FRACTION_BITS)
            prints.touch(target, tick / fps)
        canvas = base.copy()
        drawn = order[index][shown[index][order[index]] != 0]
        outlines, values = polygons[index], temperature[index].tolist()
        for part in drawn.tolist():
            cv2.fillConvexPoly(canvas, outlines[part], values[part], shift=_FRACTION_BITS)
        sharp = cv2.resize(canvas, view.shape[::-1], interpolation=cv2.INTER_AREA)
        pictures[index] = cv2.GaussianBlur(sharp, (0, 0), blur) if blur > 0.2 else sharp
    return pictures
