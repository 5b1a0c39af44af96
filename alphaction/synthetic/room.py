"""The room: floor, lens rim, furniture, kettle, lamp, and the prints that warm bodies leave on floor and bed."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from .camera import Camera
from .sensor import FRAME_SHAPE

BED_LEVEL = 0.5


@dataclass
class Spot:
    """A place for an action: floor position in metres and the direction (radians) one faces there."""

    x: float
    y: float
    heading: float


@dataclass
class Room:
    """One recording's surroundings.

    ``background`` and ``noise`` are [40, 60] in °C; ``kettle`` and ``lamp`` are pictures [40, 60] that cool and
    switch; spots are where furniture invites an action.
    """

    camera: Camera
    ambient: float
    background: np.ndarray
    noise: np.ndarray
    chairs: list[Spot]
    supports: list[Spot]
    bed: Spot
    edge: Spot
    dead: list[tuple[int, int]]
    kettle: np.ndarray | None = None
    lamp: np.ndarray | None = None
    lamp_switch: list[int] = field(default_factory=list)

    def surfaces(self, frames: int) -> np.ndarray:
        """Background with kettle and lamp over time, float32 [frames, 40, 60]."""
        scene = np.repeat(self.background[None].astype(np.float32), frames, axis=0)
        time = np.arange(frames, dtype=np.float32)[:, None, None]
        if self.kettle is not None:
            scene += self.kettle * np.exp(-time / 2500)
        if self.lamp is not None:
            on = np.zeros(frames, np.float32)
            for index, switch in enumerate(self.lamp_switch):
                on[switch:] = (index + 1) % 2
            glow = np.empty(frames, np.float32)
            level = on[0]
            for index, state in enumerate(on):
                level += (state - level) / (8 if state > level else 25)
                glow[index] = level
            scene += self.lamp * glow[:, None, None]
        return scene


def draw_room(rng: np.random.Generator, warm_rim: bool) -> Room:
    """A room of its own: another camera height, floor, furniture and rim each time."""
    height = rng.uniform(3.3, 3.8)
    camera = Camera(height, height * rng.uniform(8.3, 9.9), (30 + rng.uniform(-1, 1), 20 + rng.uniform(-1, 1)))
    ambient = 18.05 if warm_rim else 17.35
    ambient += rng.uniform(-0.25, 0.25)
    reach_x, reach_y = camera.reach(26, 17)
    corners = [(sx, sy) for sx in (-1, 1) for sy in (-1, 1)]
    rng.shuffle(corners)
    picture = _floor(camera, ambient, rng)
    bed = _place_bed(corners[0], reach_x, reach_y, rng)
    _add_bed(picture, camera, bed, rng)
    chairs = [_add_chair(picture, camera, corner, reach_x, reach_y, rng) for corner in corners[1:3]]
    supports = [_add_table(picture, camera, corners[3], reach_x, reach_y, rng), _wall_spot(reach_x, reach_y, rng)]
    _add_clutter(picture, camera, corners[3], reach_x, reach_y, rng)
    noise = _add_rim(picture, camera, ambient, warm_rim, rng)
    picture += rng.normal(0, 0.13, FRAME_SHAPE)
    taken = [bed, *chairs, *supports]
    edge = max(
        (_edge_spot(reach_x, reach_y, rng) for _ in range(8)),
        key=lambda spot: min(np.hypot(spot.x - other.x, spot.y - other.y) for other in taken),
    )
    room = Room(
        camera,
        ambient,
        picture,
        noise,
        chairs,
        supports,
        bed,
        edge,
        [(int(rng.integers(5, 35)), int(rng.integers(5, 55))) for _ in range(rng.integers(1, 3))],
    )
    if warm_rim:
        room.kettle = _blob(corners[3], 0.72, 0.62, 12.0, rng)
    if warm_rim or rng.random() < 0.3:
        room.lamp = _blob(corners[1], 0.88, 0.82, rng.uniform(18, 27) if warm_rim else 8.0, rng)
        room.lamp_switch = sorted(rng.integers(40, 420, size=3).tolist())
    return room


def _smooth_field(rng: np.random.Generator, sigma: float, amplitude: float) -> np.ndarray:
    field_ = cv2.GaussianBlur(rng.standard_normal((80, 100)), (0, 0), sigma)[20:60, 20:80]
    return (field_ - field_.mean()) / field_.std() * amplitude


def _floor(camera: Camera, ambient: float, rng: np.random.Generator) -> np.ndarray:
    picture = ambient + _smooth_field(rng, 7, 0.28) + _smooth_field(rng, 2, 0.12)
    x, y = camera.ground()
    # A cool rug with a wavy edge over part of the floor, as in the real room.
    angle = rng.uniform(0, 2 * np.pi)
    across = x * np.cos(angle) + y * np.sin(angle) + 0.10 * _smooth_field(rng, 5, 1.0)
    along = -x * np.sin(angle) + y * np.cos(angle)
    start = rng.uniform(0.1, 0.5)
    rug = _step(across - start, 0.25) * _step(start + rng.uniform(1.4, 2.0) - across, 0.5)
    rug *= _step(rng.uniform(1.3, 2.4) - np.abs(along + rng.uniform(-0.4, 0.4)), 0.35)
    picture -= rug * rng.uniform(1.6, 2.3)
    shade = angle + rng.uniform(2.2, 4.1)
    return picture - 0.7 * np.clip((x * np.cos(shade) + y * np.sin(shade)) / 3 - 0.25, 0, 1)


def _step(signed: np.ndarray, softness: float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(signed / softness * 2.5, -30, 30)))


def _box(camera: Camera, spot: Spot, length: float, width: float, level: float) -> np.ndarray:
    """Coverage [40, 60] of a rectangle (metres) that lies ``level`` above the floor along the spot's heading."""
    x, y = camera.ground(level)
    dx, dy = x - spot.x, y - spot.y
    along = dx * np.cos(spot.heading) + dy * np.sin(spot.heading)
    across = -dx * np.sin(spot.heading) + dy * np.cos(spot.heading)
    return _step(length / 2 - np.abs(along), 0.07) * _step(width / 2 - np.abs(across), 0.07)


def _place_bed(corner: tuple[int, int], reach_x: float, reach_y: float, rng: np.random.Generator) -> Spot:
    x, y = corner[0] * reach_x * rng.uniform(0.15, 0.65), corner[1] * reach_y * rng.uniform(0.1, 0.55)
    heading = rng.choice([0.0, np.pi]) + rng.normal(0, 0.12)
    if rng.random() < 0.4:
        heading, y = heading + np.pi / 2, y * 0.4
    return Spot(x, y, heading)


def _add_bed(picture: np.ndarray, camera: Camera, bed: Spot, rng: np.random.Generator) -> None:
    mattress = _box(camera, bed, 2.0, 0.95, BED_LEVEL)
    picture += mattress * (rng.uniform(0.7, 1.2) + _smooth_field(rng, 1.5, 0.25))
    head = Spot(bed.x + 0.78 * np.cos(bed.heading), bed.y + 0.78 * np.sin(bed.heading), bed.heading)
    picture += _box(camera, head, 0.36, 0.62, BED_LEVEL + 0.1) * rng.uniform(0.5, 0.9)


def _add_chair(
    picture: np.ndarray,
    camera: Camera,
    corner: tuple[int, int],
    reach_x: float,
    reach_y: float,
    rng: np.random.Generator,
) -> Spot:
    spot = Spot(
        corner[0] * reach_x * rng.uniform(0.05, 0.6),
        corner[1] * reach_y * rng.uniform(0.05, 0.65),
        rng.uniform(0, 2 * np.pi),
    )
    picture += _box(camera, spot, 0.5, 0.48, 0.45) * rng.uniform(1.0, 2.4)
    back = Spot(spot.x - 0.26 * np.cos(spot.heading), spot.y - 0.26 * np.sin(spot.heading), spot.heading)
    picture += _box(camera, back, 0.12, 0.46, 0.8) * rng.uniform(0.8, 1.6)
    return spot


def _add_table(
    picture: np.ndarray,
    camera: Camera,
    corner: tuple[int, int],
    reach_x: float,
    reach_y: float,
    rng: np.random.Generator,
) -> Spot:
    """A table; the spot is in front of its long side, facing it."""
    table = Spot(
        corner[0] * reach_x * rng.uniform(0.2, 0.65),
        corner[1] * reach_y * rng.uniform(0.4, 0.7),
        rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.15),
    )
    picture += _box(camera, table, 1.1, 0.6, 0.72) * rng.uniform(0.5, 1.1)
    side = table.heading + np.pi / 2
    if np.cos(side) * table.x + np.sin(side) * table.y < 0:
        side += np.pi
    return Spot(table.x - 0.75 * np.cos(side), table.y - 0.75 * np.sin(side), side)


def _wall_spot(reach_x: float, reach_y: float, rng: np.random.Generator) -> Spot:
    angle = rng.uniform(0, 2 * np.pi)
    return Spot(0.5 * reach_x * np.cos(angle), 0.35 * reach_y * np.sin(angle), angle + rng.normal(0, 0.3))


def _edge_spot(reach_x: float, reach_y: float, rng: np.random.Generator) -> Spot:
    """Where a second person waits: near the border, facing the middle."""
    if rng.random() < 0.7:
        x, y = rng.uniform(-0.55, 0.55) * reach_x, rng.choice([-1, 1]) * reach_y * rng.uniform(0.35, 0.75)
    else:
        x, y = rng.choice([-1, 1]) * reach_x * rng.uniform(0.5, 0.75), rng.uniform(-0.5, 0.5) * reach_y
    return Spot(x, y, np.arctan2(-y, -x) + rng.normal(0, 0.4))


def _add_clutter(
    picture: np.ndarray,
    camera: Camera,
    corner: tuple[int, int],
    reach_x: float,
    reach_y: float,
    rng: np.random.Generator,
) -> None:
    for _ in range(rng.integers(3, 6)):
        spot = Spot(rng.uniform(-1, 1) * reach_x, corner[1] * reach_y * rng.uniform(0.75, 1.1), rng.uniform(0, 3.1))
        size = rng.uniform(0.35, 0.9)
        picture += _box(camera, spot, size, size * rng.uniform(0.6, 1.0), 0.3) * rng.uniform(-0.8, 1.5)


def _blob(corner: tuple[int, int], right: float, down: float, warmth: float, rng: np.random.Generator) -> np.ndarray:
    """A hot object of two by three pixels, a little uneven."""
    height, width = FRAME_SHAPE
    x = width / 2 + corner[0] * width / 2 * right * rng.uniform(0.75, 1.0)
    y = height / 2 + corner[1] * height / 2 * down * rng.uniform(0.6, 1.0)
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    turn = rng.uniform(0, np.pi)
    dx, dy = columns - x, rows - y
    u, v = dx * np.cos(turn) + dy * np.sin(turn), -dx * np.sin(turn) + dy * np.cos(turn)
    return (warmth * np.clip(1.5 - np.sqrt((u / 1.5) ** 2 + (v / 1.0) ** 2), 0, 1)).astype(np.float32)


def _add_rim(picture: np.ndarray, camera: Camera, ambient: float, warm: bool, rng: np.random.Generator) -> np.ndarray:
    """The lens barrel: a warm ring, cold and noisy corners outside it; returns the noise map [40, 60]."""
    height, width = FRAME_SHAPE
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    x0, y0 = camera.center[0] + rng.uniform(-0.3, 1.2), camera.center[1] + rng.uniform(-1.0, 1.0)
    radius = np.hypot((columns - x0) / 31.6, (rows - y0) / 33.0) + 0.012 * _smooth_field(rng, 3, 1.0)
    width_in = 0.15 if warm else 0.045
    strength = 2.5 if warm else 2.4
    ring = _step(radius - (1.0 - width_in), 0.07 if warm else 0.03)
    side = 1.0 if warm else np.where(columns < x0, 1.0, 0.15 + 0.4 * (rows > y0))
    outside = _step(radius - 1.04, 0.03)
    picture += ring * strength * side
    picture += outside * (-(3.0 if warm else 2.6) * side + rng.normal(0, 1.3, FRAME_SHAPE))
    noise = 0.208 + 0.13 * np.clip((radius - 0.8) / 0.2, 0, 1) + 0.9 * outside
    return noise.astype(np.float32)


def heat_prints(contact: np.ndarray, gain: float = 0.028, fade: float = 260.0, most: float = 3.0) -> np.ndarray:
    """Warmth [T, 40, 60] °C that lingers where a body touches floor or bed.

    ``contact`` [T, 40, 60] in 0..1; a print grows towards ``most`` by ``gain`` of the rest per frame of contact and
    fades with a time constant of ``fade`` frames.
    """
    prints = np.zeros_like(contact)
    level = np.zeros(contact.shape[1:], np.float32)
    keep = np.float32(np.exp(-1 / fade))
    for index, touched in enumerate(contact):
        prints[index] = level
        level = level * keep + touched * (gain * (most - level))
    return prints
