"""A sensor's view of a room: position, direction and lens.

World coordinates are metres, z above the floor. Pixel coordinates are those of the sensor, x to the right and y
downward, pixel (row r, column c) covers c..c+1 and r..r+1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Nearest distance along the optical axis at which a straight-line lens still projects, in metres.
_NEAR = 0.05


@dataclass(frozen=True)
class View:
    """Where the sensor hangs, where it looks and how its lens projects.

    Attributes:
        shape: rows and columns of the sensor.
        position: [3] metres.
        axes: [3, 3], the picture's right, down and forward directions in the world, one a row.
        focal: pixels per radian at the optical axis.
        fisheye: equidistant lens (angle times ``focal``); otherwise straight lines stay straight.
    """

    shape: tuple[int, int]
    position: np.ndarray
    axes: np.ndarray
    focal: float
    fisheye: bool

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """World points [..., 3] -> pixels [..., 2], distance [...] in metres and pixels per metre [...].

        A point that the lens cannot see has the scale 0.
        """
        local = (points - self.position) @ self.axes.T
        across, ahead = np.hypot(local[..., 0], local[..., 1]), local[..., 2]
        distance = np.maximum(np.hypot(across, ahead), _NEAR)
        if self.fisheye:
            radius = self.focal * np.arctan2(across, ahead)
            scale = self.focal / distance
        else:
            radius = self.focal * across / np.maximum(ahead, _NEAR)
            scale = np.where(ahead > _NEAR, self.focal / np.maximum(ahead, _NEAR), 0.0)
        center = np.array([self.shape[1] / 2, self.shape[0] / 2])
        pixels = center + local[..., :2] * (radius / np.maximum(across, 1e-6))[..., None]
        return pixels, distance, scale

    def rays(self, oversample: int) -> np.ndarray:
        """Unit direction in the world [rows * oversample, columns * oversample, 3] of every part of a pixel."""
        rows, columns = self.shape
        y, x = np.mgrid[0 : rows * oversample, 0 : columns * oversample]
        u, v = (x + 0.5) / oversample - columns / 2, (y + 0.5) / oversample - rows / 2
        radius = np.hypot(u, v)
        theta = np.minimum(radius / self.focal, 3.0) if self.fisheye else np.arctan(radius / self.focal)
        stretch = np.sin(theta) / np.maximum(radius, 1e-6)
        return np.stack([u * stretch, v * stretch, np.cos(theta)], axis=-1) @ self.axes


def look(forward: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Axes [3, 3] of a sensor that looks along ``forward`` with ``right`` roughly to the right of the picture."""
    forward = forward / np.linalg.norm(forward)
    right = right - forward * (forward @ right)
    right = right / np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def draw_view(
    rng: np.random.Generator, shape: tuple[int, int], field_of_view: float, room: tuple[float, float, float], wall: bool
) -> View:
    """A sensor on the ceiling, or high on a wall, of a room of (width, depth, height) metres around the origin.

    Args:
        field_of_view: degrees across the longer side of the picture.
        wall: on a wall or in a corner instead of the ceiling.
    """
    width, depth, height = room
    longer = max(shape)
    half = np.radians(field_of_view) / 2
    fisheye = field_of_view > 75
    focal = longer / 2 / (half if fisheye else np.tan(half))
    turn = rng.uniform(0, 2 * np.pi)
    if wall:
        side = np.array([np.cos(turn), np.sin(turn)])
        reach = min(width / 2 / max(abs(side[0]), 1e-6), depth / 2 / max(abs(side[1]), 1e-6)) - 0.05
        position = np.array([*(side * reach), min(height - 0.1, rng.uniform(2.1, 2.8))])
        inward = -side + rng.normal(0, 0.15, 2)
        tilt = np.radians(rng.uniform(30, 62))
        forward = np.array([*(inward / np.linalg.norm(inward) * np.sin(tilt)), -np.cos(tilt)])
        right = np.cross(forward, [0.0, 0.0, 1.0])
    else:
        offset = rng.normal(0, 0.16, 2)
        position = np.array([width * offset[0], depth * offset[1], height - 0.03])
        tilt = np.radians(abs(rng.normal(0, 6)) if rng.random() < 0.8 else rng.uniform(5, 25))
        away = rng.uniform(0, 2 * np.pi)
        forward = np.array([np.cos(away) * np.sin(tilt), np.sin(away) * np.sin(tilt), -np.cos(tilt)])
        if rng.random() < 0.7:
            turn = rng.integers(4) * np.pi / 2 + rng.normal(0, 0.05)
        right = np.array([np.cos(turn), np.sin(turn), 0.0])
    return View(shape, position, look(forward, right), float(focal), fisheye)
