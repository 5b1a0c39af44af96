"""A person as 15 joints and 12 warm capsules, seen by the ceiling sensor.

Poses are joint positions in metres in the body's own frame: x forward, y to the left, z up, origin on the floor below
the pelvis. A posture differs from another by where head, trunk and limbs are, not by a label-dependent decoration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .camera import Camera
from .sensor import FRAME_SHAPE

JOINTS = (
    "head",
    "chest",
    "pelvis",
    "l_shoulder",
    "r_shoulder",
    "l_elbow",
    "r_elbow",
    "l_hand",
    "r_hand",
    "l_hip",
    "r_hip",
    "l_knee",
    "r_knee",
    "l_foot",
    "r_foot",
)
HEAD, CHEST, PELVIS, LSH, RSH, LEL, REL, LHA, RHA, LHI, RHI, LKN, RKN, LFO, RFO = range(15)

# First joint, second joint, radius at each in metres, °C above the surroundings at each end.
_CAPSULES = (
    (HEAD, HEAD, 0.125, 0.125, 6.6, 6.6),
    (LSH, RSH, 0.12, 0.12, 5.6, 5.6),
    (CHEST, PELVIS, 0.18, 0.16, 5.8, 5.2),
    (LHI, RHI, 0.13, 0.13, 4.8, 4.8),
    (LSH, LEL, 0.09, 0.075, 5.0, 4.8),
    (RSH, REL, 0.09, 0.075, 5.0, 4.8),
    (LEL, LHA, 0.075, 0.075, 4.8, 5.6),
    (REL, RHA, 0.075, 0.075, 4.8, 5.6),
    (LHI, LKN, 0.12, 0.095, 4.9, 4.6),
    (RHI, RKN, 0.12, 0.095, 4.9, 4.6),
    (LKN, LFO, 0.09, 0.08, 4.4, 3.6),
    (RKN, RFO, 0.09, 0.08, 4.4, 3.6),
)
_LEG_CAPSULES = slice(8, 12)
_WINDOW = 34
# Width in pixels of a soft edge.
_EDGE = 1.5
_Trunk = tuple[float, float]
_Limb = tuple[float, float, float]


@dataclass(frozen=True)
class Build:
    """A person's build: size factor, girth factor, °C factor and per-capsule clothing."""

    size: float
    girth: float
    warmth: float
    clothing: np.ndarray

    @staticmethod
    def draw(rng: np.random.Generator) -> Build:
        return Build(
            rng.uniform(0.92, 1.08), rng.uniform(0.92, 1.15), rng.uniform(0.9, 1.1), rng.normal(0, 0.45, len(_CAPSULES))
        )


def render_person(
    joints: np.ndarray, build: Build, camera: Camera, covered: np.ndarray, ambient: float
) -> tuple[np.ndarray, np.ndarray]:
    """World joints [T, 15, 3] -> temperature [T, 40, 60] (times coverage) and coverage [T, 40, 60] in 0..1.

    ``covered`` [T] in 0..1 says how far a blanket hides the warmth of the legs. Limbs nearer to the sensor hide those
    below; edges are soft over a pixel and a half, so positions below a pixel matter.
    """
    frames = len(joints)
    pixels, scale = camera.project(joints)
    table = np.array(_CAPSULES)
    first, second = table[:, 0].astype(int), table[:, 1].astype(int)
    starts, ends = pixels[:, first], pixels[:, second]
    radius0 = scale[:, first] * (table[:, 2] * build.girth)
    radius1 = scale[:, second] * (table[:, 3] * build.girth)
    warm = np.repeat((table[:, 4:6] + build.clothing[:, None])[None] * build.warmth, frames, axis=0)
    warm[:, _LEG_CAPSULES] *= 1 - 0.62 * covered[:, None, None]
    warm[:, 3] *= 1 - 0.4 * covered[:, None]
    order = np.argsort(joints[:, first, 2] + joints[:, second, 2], axis=1)
    corner = np.round(pixels.mean(axis=1)).astype(int) - _WINDOW // 2
    grid = np.arange(_WINDOW, dtype=np.float32) + 0.5
    grid_x = corner[:, 0, None, None].astype(np.float32) + grid[None, None, :]
    grid_y = corner[:, 1, None, None].astype(np.float32) + grid[None, :, None]
    heat = np.zeros((frames, _WINDOW, _WINDOW), np.float32)
    cover = np.zeros_like(heat)
    rows = np.arange(frames)
    for rank in range(len(_CAPSULES)):
        part = order[:, rank]
        along, distance = _segment(grid_x, grid_y, starts[rows, part], ends[rows, part])
        r0, r1 = (r[rows, part].astype(np.float32)[:, None, None] for r in (radius0, radius1))
        w0, w1 = (warm[rows, part, end].astype(np.float32)[:, None, None] for end in (0, 1))
        alpha = np.clip((r0 + (r1 - r0) * along - distance) / _EDGE + 0.5, 0, 1)
        heat += alpha * ((w0 + (w1 - w0) * along + ambient) - heat)
        cover += alpha * (1 - cover)
    return _paste(heat, corner), _paste(cover, corner)


def _segment(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position along the segment a-b (0..1) and distance to it, [T, h, w] each."""
    delta = b - a
    length2 = np.maximum((delta**2).sum(axis=1), 1e-6)
    px, py = x - a[:, 0, None, None], y - a[:, 1, None, None]
    dx, dy = delta[:, 0, None, None], delta[:, 1, None, None]
    along = np.clip((px * dx + py * dy) / length2[:, None, None], 0, 1)
    return along, np.sqrt((px - along * dx) ** 2 + (py - along * dy) ** 2)


def _paste(windows: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Windows [T, h, w] at corners [T, 2] (x, y) -> pictures [T, 40, 60]; what lies outside is dropped."""
    height, width = FRAME_SHAPE
    pictures = np.zeros((len(windows), height, width), np.float32)
    for picture, window, (x, y) in zip(pictures, windows, corner, strict=True):
        x0, x1, y0, y1 = max(x, 0), min(x + _WINDOW, width), max(y, 0), min(y + _WINDOW, height)
        if x0 < x1 and y0 < y1:
            picture[y0:y1, x0:x1] = window[y0 - y : y1 - y, x0 - x : x1 - x]
    return pictures


def mirror(pose: np.ndarray) -> np.ndarray:
    """The same posture with left and right exchanged."""
    swapped = pose[[HEAD, CHEST, PELVIS, RSH, LSH, REL, LEL, RHA, LHA, RHI, LHI, RKN, LKN, RFO, LFO]].copy()
    swapped[:, 1] *= -1
    return swapped


def _symmetric(
    head: _Trunk,
    chest: _Trunk,
    pelvis: _Trunk,
    shoulder: _Limb,
    elbow: _Limb,
    hand: _Limb,
    hip: _Limb,
    knee: _Limb,
    foot: _Limb,
) -> np.ndarray:
    """Trunk joints (x, z) and left limbs (x, y, z) -> all 15 joints."""
    trunk = [(x, 0.0, z) for x, z in (head, chest, pelvis)]
    limbs = [side for x, y, z in (shoulder, elbow, hand, hip, knee, foot) for side in ((x, y, z), (x, -y, z))]
    return np.array(trunk + limbs, dtype=np.float64)


STANDING = _symmetric(
    (0.03, 1.62),
    (0, 1.40),
    (0, 0.95),
    (0, 0.18, 1.40),
    (-0.02, 0.22, 1.14),
    (0.10, 0.18, 0.95),
    (0, 0.08, 0.93),
    (0.02, 0.08, 0.50),
    (0.04, 0.09, 0.05),
)
SITTING = _symmetric(
    (0.06, 1.22),
    (-0.02, 1.0),
    (-0.05, 0.50),
    (-0.02, 0.19, 1.0),
    (0.10, 0.26, 0.76),
    (0.36, 0.17, 0.66),
    (0.02, 0.11, 0.52),
    (0.48, 0.19, 0.54),
    (0.62, 0.20, 0.05),
)
LEANING = _symmetric(
    (0.34, 1.36),
    (0.20, 1.20),
    (-0.04, 0.90),
    (0.20, 0.19, 1.20),
    (0.44, 0.30, 1.08),
    (0.70, 0.28, 1.00),
    (-0.04, 0.09, 0.88),
    (-0.16, 0.10, 0.48),
    (-0.30, 0.11, 0.05),
)
KNEELING = _symmetric(
    (0.12, 1.08),
    (0.05, 0.86),
    (-0.08, 0.40),
    (0.05, 0.19, 0.86),
    (0.20, 0.25, 0.62),
    (0.42, 0.17, 0.50),
    (-0.05, 0.11, 0.40),
    (0.14, 0.17, 0.06),
    (-0.32, 0.15, 0.05),
)
BENDING = _symmetric(
    (0.56, 0.86),
    (0.36, 0.98),
    (-0.14, 0.95),
    (0.36, 0.19, 0.97),
    (0.40, 0.22, 0.68),
    (0.50, 0.15, 0.42),
    (-0.14, 0.11, 0.93),
    (-0.05, 0.13, 0.48),
    (0.0, 0.14, 0.05),
)
CROUCHING = _symmetric(
    (0.16, 0.86),
    (0.06, 0.68),
    (-0.14, 0.28),
    (0.06, 0.18, 0.68),
    (0.20, 0.30, 0.46),
    (0.40, 0.20, 0.20),
    (-0.12, 0.13, 0.30),
    (0.24, 0.26, 0.46),
    (0.04, 0.22, 0.05),
)
ALL_FOURS = _symmetric(
    (0.58, 0.52),
    (0.34, 0.55),
    (-0.22, 0.52),
    (0.34, 0.19, 0.55),
    (0.38, 0.24, 0.28),
    (0.42, 0.24, 0.04),
    (-0.22, 0.12, 0.50),
    (-0.24, 0.17, 0.05),
    (-0.66, 0.17, 0.05),
)
ARMS_OUT = _symmetric(
    (0.03, 1.62),
    (0, 1.40),
    (0, 0.95),
    (0, 0.19, 1.42),
    (0.06, 0.34, 1.40),
    (0.14, 0.44, 1.58),
    (0, 0.09, 0.93),
    (0.02, 0.13, 0.50),
    (0.04, 0.18, 0.05),
)
ON_BACK = _symmetric(
    (0.74, 0.12),
    (0.48, 0.12),
    (0, 0.10),
    (0.48, 0.20, 0.12),
    (0.22, 0.29, 0.08),
    (-0.02, 0.28, 0.06),
    (-0.04, 0.10, 0.10),
    (-0.46, 0.12, 0.10),
    (-0.88, 0.12, 0.06),
)
# Lying on the floor after a fall: limbs thrown out, or curled up on one side. (x, y, z) in the order of JOINTS.
SPRAWLED = np.array(
    [
        (0.72, 0.06, 0.12),
        (0.47, 0, 0.12),
        (0, 0, 0.10),
        (0.47, 0.16, 0.12),
        (0.45, -0.16, 0.12),
        (0.62, 0.35, 0.07),
        (0.22, -0.32, 0.07),
        (0.86, 0.46, 0.05),
        (0.02, -0.50, 0.05),
        (-0.04, 0.08, 0.10),
        (-0.04, -0.08, 0.10),
        (-0.32, 0.32, 0.12),
        (-0.48, -0.13, 0.08),
        (-0.72, 0.21, 0.05),
        (-0.90, -0.24, 0.05),
    ]
)
TWISTED = np.array(
    [
        (0.66, -0.13, 0.12),
        (0.46, 0, 0.13),
        (0, 0, 0.10),
        (0.48, 0.14, 0.14),
        (0.40, -0.14, 0.10),
        (0.20, 0.29, 0.10),
        (0.58, -0.34, 0.07),
        (-0.06, 0.35, 0.07),
        (0.80, -0.27, 0.05),
        (-0.04, 0.08, 0.12),
        (-0.04, -0.08, 0.10),
        (-0.22, 0.37, 0.12),
        (-0.36, -0.27, 0.08),
        (-0.62, 0.29, 0.05),
        (-0.74, -0.08, 0.05),
    ]
)
CURLED = np.array(
    [
        (0.62, 0.24, 0.12),
        (0.44, 0.08, 0.14),
        (0, -0.06, 0.12),
        (0.46, 0.12, 0.26),
        (0.42, 0.06, 0.08),
        (0.30, 0.36, 0.18),
        (0.36, 0.34, 0.06),
        (0.52, 0.46, 0.10),
        (0.56, 0.40, 0.05),
        (-0.04, -0.04, 0.22),
        (-0.04, -0.04, 0.08),
        (0.10, 0.40, 0.18),
        (0.02, 0.38, 0.06),
        (-0.30, 0.38, 0.12),
        (-0.36, 0.32, 0.05),
    ]
)
FLOOR_POSES = (SPRAWLED, TWISTED, CURLED)
