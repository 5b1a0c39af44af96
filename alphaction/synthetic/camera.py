"""The ceiling sensor's view: an equidistant wide-angle lens that looks straight down.

World coordinates are metres, x to the right and y downward in the picture, z above the floor, the origin below the
sensor. A point at angle theta from the optical axis lies ``focal * theta`` pixels from the picture's center, so what
stands high is larger and is pushed outward, as in the real recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .sensor import FRAME_SHAPE


@dataclass(frozen=True)
class Camera:
    """``height`` above the floor in metres, ``focal`` in pixels per radian, ``center`` (x, y) in pixels."""

    height: float = 3.2
    focal: float = 32.0
    center: tuple[float, float] = (30.0, 20.0)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points [..., 3] -> pixel coordinates [..., 2] and pixels per meter at the point [...]."""
        drop = np.maximum(self.height - points[..., 2], 0.3)
        radius = np.hypot(points[..., 0], points[..., 1])
        theta = np.arctan2(radius, drop)
        stretch = self.focal * np.where(radius > 1e-6, theta / np.maximum(radius, 1e-6), 1 / drop)
        pixels = points[..., :2] * stretch[..., None] + np.asarray(self.center)
        return pixels.astype(np.float32), (self.focal / np.hypot(radius, drop)).astype(np.float32)

    def ground(self, level: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """World x and y [40, 60] of every pixel center on the plane ``level`` metres above the floor."""
        height, width = FRAME_SHAPE
        y, x = np.mgrid[0:height, 0:width] + 0.5
        dx, dy = x - self.center[0], y - self.center[1]
        radius = np.hypot(dx, dy)
        distance = (self.height - level) * np.tan(np.minimum(radius / self.focal, 1.4))
        scale = distance / np.maximum(radius, 1e-6)
        return dx * scale, dy * scale

    def reach(self, half_width: float, half_height: float) -> tuple[float, float]:
        """World half-extents (x, y) of the floor inside the given pixel half-extents."""
        return self.height * np.tan(half_width / self.focal), self.height * np.tan(half_height / self.focal)
