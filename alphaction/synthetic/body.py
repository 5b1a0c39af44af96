"""A person as 15 joints and 12 warm capsules, seen by the ceiling sensor.

Poses are joint positions in metres in the body's own frame: x forward, y to the left, z up, origin on the floor below
the pelvis. A posture differs from another by where head, trunk and limbs are, not by a label-dependent decoration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..recordings.thermal_set import FRAME_SHAPE
from .camera import Camera

JOINTS = ("head", "chest", "pelvis", "l_shoulder", "r_shoulder", "l_elbow", "r_elbow", "l_hand", "r_hand",
          "l_hip", "r_hip", "l_knee", "r_knee", "l_foot", "r_foot")
HEAD, CHEST, PELVIS, LSH, RSH, LEL, REL, LHA, RHA, LHI, RHI, LKN, RKN, LFO, RFO = range(15)

# First joint, second joint, radius at each in metres, °C above the surroundings at each end.
_CAPSULES = (
    (HEAD, HEAD, 0.125, 0.125, 6.6, 6.6),
    (LSH, RSH, 0.12, 0.12, 5.6, 5.6),
    (CHEST, PELVIS, 0.18, 0.16, 5.8, 5.2),
    (LHI, RHI, 0.13, 0.13, 4.8, 4.8),
    (LSH, LEL, 0.09, 0.075, 5.0, 4.8), (RSH, REL, 0.09, 0.075, 5.0, 4.8),
    (LEL, LHA, 0.075, 0.075, 4.8, 5.6), (REL, RHA, 0.075, 0.075, 4.8, 5.6),
    (LHI, LKN, 0.12, 0.095, 4.9, 4.6), (RHI, RKN, 0.12, 0.095, 4.9, 4.6),
    (LKN, LFO, 0.09, 0.08, 4.4, 3.6), (RKN, RFO, 0.09, 0.08, 4.4, 3.6),
)
_LEG_CAPSULES = slice(8, 12)
_WINDOW = 34
# Pixels over which an edge goes from cover to none.
_EDGE = 1.5


@dataclass(frozen=True)
class Build:
    """What makes one person differ from another: size factor, girth factor, °C factor and per-capsule clothing."""

    size: float
    girth: float
    warmth: float
    clothing: np.ndarray

    @staticmethod
    def draw(rng: np.random.Generator) -> Build:
        return Build(rng.uniform(0.92, 1.08), rng.uniform(0.92, 1.15), rng.uniform(0.9, 1.1),
                     rng.normal(0, 0.45, len(_CAPSULES)))


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
            picture[y0:y1, x0:x1] = window[y0 - y:y1 - y, x0 - x:x1 - x]
    return pictures


def mirror(pose: np.ndarray) -> np.ndarray:
    """The same posture with left and right exchanged."""
    swapped = pose[[HEAD, CHEST, PELVIS, RSH, LSH, REL, LEL, RHA, LHA, RHI, LHI, RKN, LKN, RFO, LFO]].copy()
    swapped[:, 1] *= -1
    return swapped


def _symmetric(head, chest, pelvis, shoulder, elbow, hand, hip, knee, foot) -> np.ndarray:
    """Trunk joints (x, z) and left limbs (x, y, z) -> all 15 joints."""
    trunk = [(x, 0.0, z) for x, z in (head, chest, pelvis)]
    limbs = [side for x, y, z in (shoulder, elbow, hand, hip, knee, foot) for side in ((x, y, z), (x, -y, z))]
    return np.array(trunk + limbs, dtype=np.float64)


STANDING = _symmetric((.03, 1.62), (0, 1.40), (0, .95), (0, .18, 1.40), (-.02, .22, 1.14), (.10, .18, .95),
                      (0, .08, .93), (.02, .08, .50), (.04, .09, .05))
SITTING = _symmetric((.06, 1.22), (-.02, 1.0), (-.05, .50), (-.02, .19, 1.0), (.10, .26, .76), (.36, .17, .66),
                     (.02, .11, .52), (.48, .19, .54), (.62, .20, .05))
LEANING = _symmetric((.34, 1.36), (.20, 1.20), (-.04, .90), (.20, .19, 1.20), (.44, .30, 1.08), (.70, .28, 1.00),
                     (-.04, .09, .88), (-.16, .10, .48), (-.30, .11, .05))
KNEELING = _symmetric((.12, 1.08), (.05, .86), (-.08, .40), (.05, .19, .86), (.20, .25, .62), (.42, .17, .50),
                      (-.05, .11, .40), (.14, .17, .06), (-.32, .15, .05))
BENDING = _symmetric((.56, .86), (.36, .98), (-.14, .95), (.36, .19, .97), (.40, .22, .68), (.50, .15, .42),
                     (-.14, .11, .93), (-.05, .13, .48), (.0, .14, .05))
CROUCHING = _symmetric((.16, .86), (.06, .68), (-.14, .28), (.06, .18, .68), (.20, .30, .46), (.40, .20, .20),
                       (-.12, .13, .30), (.24, .26, .46), (.04, .22, .05))
ALL_FOURS = _symmetric((.58, .52), (.34, .55), (-.22, .52), (.34, .19, .55), (.38, .24, .28), (.42, .24, .04),
                       (-.22, .12, .50), (-.24, .17, .05), (-.66, .17, .05))
ARMS_OUT = _symmetric((.03, 1.62), (0, 1.40), (0, .95), (0, .19, 1.42), (.06, .34, 1.40), (.14, .44, 1.58),
                      (0, .09, .93), (.02, .13, .50), (.04, .18, .05))
ON_BACK = _symmetric((.74, .12), (.48, .12), (0, .10), (.48, .20, .12), (.22, .29, .08), (-.02, .28, .06),
                     (-.04, .10, .10), (-.46, .12, .10), (-.88, .12, .06))
# Lying on the floor after a fall: limbs thrown out, or curled up on one side. (x, y, z) in the order of JOINTS.
SPRAWLED = np.array([(.72, .06, .12), (.47, 0, .12), (0, 0, .10), (.47, .16, .12), (.45, -.16, .12), (.62, .35, .07),
                     (.22, -.32, .07), (.86, .46, .05), (.02, -.50, .05), (-.04, .08, .10), (-.04, -.08, .10),
                     (-.32, .32, .12), (-.48, -.13, .08), (-.72, .21, .05), (-.90, -.24, .05)])
TWISTED = np.array([(.66, -.13, .12), (.46, 0, .13), (0, 0, .10), (.48, .14, .14), (.40, -.14, .10), (.20, .29, .10),
                    (.58, -.34, .07), (-.06, .35, .07), (.80, -.27, .05), (-.04, .08, .12), (-.04, -.08, .10),
                    (-.22, .37, .12), (-.36, -.27, .08), (-.62, .29, .05), (-.74, -.08, .05)])
CURLED = np.array([(.62, .24, .12), (.44, .08, .14), (0, -.06, .12), (.46, .12, .26), (.42, .06, .08), (.30, .36, .18),
                   (.36, .34, .06), (.52, .46, .10), (.56, .40, .05), (-.04, -.04, .22), (-.04, -.04, .08),
                   (.10, .40, .18), (.02, .38, .06), (-.30, .38, .12), (-.36, .32, .05)])
FLOOR_POSES = (SPRAWLED, TWISTED, CURLED)
