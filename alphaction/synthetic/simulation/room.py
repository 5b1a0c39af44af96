"""Rooms in metres: walls, furniture, and the temperature and distance that every part of a pixel sees of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .view import View


@dataclass
class Spot:
    """A place for an action: metres, the direction (radians) one faces there, and the height of the seat if any."""

    x: float
    y: float
    heading: float
    level: float = 0.0

    def moved(self, forward: float, left: float = 0.0) -> Spot:
        """The spot that many metres away, seen from this one."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        return Spot(self.x + c * forward - s * left, self.y + s * forward + c * left, self.heading, self.level)

    def distance(self, other: Spot) -> float:
        """Metres along the floor."""
        return float(np.hypot(self.x - other.x, self.y - other.y))


@dataclass
class Block:
    """A box of ``length`` (along the heading) x ``width`` metres from ``low`` to ``high`` above the floor.

    ``warmth`` is °C above the ambient.
    """

    spot: Spot
    length: float
    width: float
    low: float
    high: float
    warmth: float


@dataclass
class Room:
    """A furnished room of width x depth x height metres around the origin.

    ``beds`` are where one lies, head toward the heading's back; ``seats`` and ``supports`` where one sits and leans;
    ``taken`` are circles (x, y, radius) that nobody walks through.
    """

    size: tuple[float, float, float]
    ambient: float
    blocks: list[Block] = field(default_factory=list)
    beds: list[Spot] = field(default_factory=list)
    seats: list[Spot] = field(default_factory=list)
    supports: list[Spot] = field(default_factory=list)
    door: Spot = field(default_factory=lambda: Spot(0, 0, 0))
    taken: list[tuple[float, float, float]] = field(default_factory=list)

    def is_free(self, x: float, y: float, margin: float = 0.25) -> bool:
        """Whether somebody can stand at that place."""
        inside = abs(x) < self.size[0] / 2 - margin and abs(y) < self.size[1] / 2 - margin
        return inside and all(np.hypot(x - cx, y - cy) > radius + margin for cx, cy, radius in self.taken)


def draw_room(rng: np.random.Generator, ambient: float) -> Room:
    """A room with a door, a window, a radiator and what fits of a bed, chairs, a table, a sofa and a wardrobe."""
    room = Room((rng.uniform(3.0, 6.0), rng.uniform(3.0, 5.5), float(rng.triangular(2.2, 2.7, 4.0))), ambient)
    _add_walls(room, rng)
    kinds = ["bed"] + ["chair"] * int(rng.integers(1, 4)) + ["table"] * int(rng.random() < 0.7)
    kinds += ["sofa"] * int(rng.random() < 0.4) + ["wardrobe"] * int(rng.random() < 0.5)
    kinds += ["bed"] * int(rng.random() < 0.2) + ["clutter"] * int(rng.integers(0, 5))
    for kind in kinds:
        _FURNITURE[kind](room, rng)
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.uniform(-0.4, 0.4, 2) * room.size[:2]
        spot = Spot(float(x), float(y), rng.uniform(0, np.pi))
        room.blocks.append(Block(spot, rng.uniform(0.8, 3), rng.uniform(0.6, 2.5), 0, 0.01, rng.normal(-0.4, 1.0)))
    return room


def _wall_spot(room: Room, rng: np.random.Generator, depth: float, span: float) -> Spot:
    """A place along a wall, ``depth`` metres from it, facing the room; ``span`` metres stay clear of the corners."""
    side = int(rng.integers(4))
    across, along = (room.size[0], room.size[1]) if side % 2 == 0 else (room.size[1], room.size[0])
    reach = max(along / 2 - span / 2, 0.0)
    offset, distance = rng.uniform(-reach, reach), across / 2 - depth
    x, y = ((distance, offset), (offset, distance), (-distance, offset), (offset, -distance))[side]
    return Spot(x, y, (np.pi, -np.pi / 2, 0.0, np.pi / 2)[side])


def _add_walls(room: Room, rng: np.random.Generator) -> None:
    room.door = _wall_spot(room, rng, 0.03, 1.0)
    room.blocks.append(Block(room.door, 0.05, 0.9, 0, 2.0, rng.normal(0, 0.8)))
    window = _wall_spot(room, rng, 0.03, 1.6)
    outside = rng.normal(-0.8, 1.0)
    room.blocks.append(Block(window, 0.06, rng.uniform(0.8, 2.0), 0.9, 2.1, outside))
    if rng.random() < 0.7:
        warm = rng.uniform(2, 16) if rng.random() < 0.4 and room.ambient < 23 else 0.3
        room.blocks.append(Block(window.moved(0.08), 0.1, rng.uniform(0.5, 1.4), 0.12, 0.75, warm))


def _place(
    room: Room, rng: np.random.Generator, radius: float, against_wall: float, depth: float, span: float
) -> Spot | None:
    """A free place for furniture of that radius, at a wall with probability ``against_wall``."""
    door = room.door.moved(0.5)
    for _ in range(25):
        if rng.random() < against_wall:
            spot = _wall_spot(room, rng, depth, span)
        else:
            reach = np.maximum(np.array(room.size[:2]) / 2 - radius - 0.3, 0.1)
            x, y = rng.uniform(-reach, reach)
            spot = Spot(float(x), float(y), rng.uniform(0, 2 * np.pi))
        clear = all(np.hypot(spot.x - x, spot.y - y) > radius + other + 0.1 for x, y, other in room.taken)
        if clear and spot.distance(door) > radius + 0.4:
            return spot
    return None


def _add_bed(room: Room, rng: np.random.Generator) -> None:
    width, level = rng.choice([0.9, 1.0, 1.4, 1.6], p=[0.45, 0.3, 0.15, 0.1]), rng.uniform(0.4, 0.65)
    if rng.random() < 0.6:
        spot = _place(room, rng, 0.75, 1.0, 1.05, width)
    else:
        spot = _place(room, rng, 0.75, 1.0, width / 2 + 0.08, 2.1)
        spot = spot and Spot(spot.x, spot.y, spot.heading + rng.choice([-1, 1]) * np.pi / 2)
    if spot is None:
        return
    warm = rng.uniform(0.1, 1.3)
    room.blocks.append(Block(spot, 2.0, width, 0.1, level, warm))
    pillow = spot.moved(-0.78, rng.normal(0, 0.05))
    room.blocks.append(Block(pillow, 0.4, min(0.7, width - 0.2), level, level + 0.08, warm + rng.uniform(-0.2, 0.7)))
    if rng.random() < 0.5:
        room.blocks.append(Block(spot.moved(-1.02), 0.05, width, 0, level + 0.4, rng.normal(0, 0.4)))
    room.beds.append(Spot(spot.x, spot.y, spot.heading, level))
    for side in (-1.0, 1.0):
        edge = spot.moved(rng.uniform(-0.3, 0.3), side * (width / 2 - 0.2))
        if room.is_free(*_xy(Spot(edge.x, edge.y, spot.heading + side * np.pi / 2).moved(0.6)), 0.1):
            room.seats.append(Spot(edge.x, edge.y, spot.heading + side * np.pi / 2, level))
    room.taken += [(*_xy(spot.moved(step)), width / 2) for step in (-0.65, 0.0, 0.65)]


def _xy(spot: Spot) -> tuple[float, float]:
    return spot.x, spot.y


def _add_chair(room: Room, rng: np.random.Generator, spot: Spot | None = None) -> None:
    spot = spot or _place(room, rng, 0.32, 0.3, 0.4, 0.8)
    if spot is None:
        return
    size, level = rng.uniform(0.42, 0.62), rng.uniform(0.42, 0.5)
    warm = rng.uniform(0.2, 2.0)
    # Now and then a cushion that is heated, or that somebody has just left.
    if rng.random() < 0.12:
        warm += rng.uniform(2, 7) * min(max((30 - room.ambient) / 13, 0.2), 1)
    room.blocks.append(Block(spot, size, size, level - rng.uniform(0.05, 0.4), level, warm))
    back = spot.moved(-size / 2)
    room.blocks.append(Block(back, 0.06, size, level, level + rng.uniform(0.3, 0.5), rng.uniform(0.1, 1.5)))
    room.seats.append(Spot(spot.x, spot.y, spot.heading, level))
    room.taken.append((spot.x, spot.y, size / 2))


def _add_sofa(room: Room, rng: np.random.Generator) -> None:
    length, level = rng.uniform(1.5, 2.2), rng.uniform(0.38, 0.48)
    spot = _place(room, rng, 0.7, 1.0, 0.5, length)
    if spot is None:
        return
    warm = rng.uniform(0.1, 1.3)
    room.blocks.append(Block(spot, 0.85, length, 0.05, level, warm))
    room.blocks.append(Block(spot.moved(-0.38), 0.2, length, level, level + 0.4, warm + rng.normal(0, 0.3)))
    room.beds.append(Spot(*_xy(spot.moved(0.1)), spot.heading + rng.choice([-1, 1]) * np.pi / 2, level))
    room.seats += [Spot(*_xy(spot.moved(0.05, side * length / 4)), spot.heading, level) for side in (-1, 1)]
    room.taken += [(*_xy(spot.moved(0.0, side * length / 3)), 0.45) for side in (-1, 0, 1)]


def _add_table(room: Room, rng: np.random.Generator) -> None:
    length, width = rng.uniform(0.8, 1.6), rng.uniform(0.55, 0.9)
    spot = _place(room, rng, length / 2, 0.6, width / 2 + 0.05, length)
    if spot is None:
        return
    level = rng.uniform(0.7, 0.78)
    room.blocks.append(Block(spot, width, length, level - 0.04, level, rng.uniform(-0.2, 0.9)))
    room.taken += [(*_xy(spot.moved(0, side * length / 4)), width / 2) for side in (-1, 1)]
    facing = Spot(spot.x, spot.y, spot.heading + np.pi).moved(-width / 2 - 0.3, rng.uniform(-0.3, 0.3))
    room.supports.append(facing)
    if rng.random() < 0.6:
        _add_chair(room, rng, facing.moved(-0.05))


def _add_wardrobe(room: Room, rng: np.random.Generator) -> None:
    spot = _place(room, rng, 0.5, 1.0, 0.32, 1.2)
    if spot is not None:
        high = rng.uniform(0.8, 2.1)
        room.blocks.append(Block(spot, 0.6, rng.uniform(0.6, 1.5), 0, high, rng.normal(0.2, 0.5)))
        room.taken.append((spot.x, spot.y, 0.5))
        room.supports.append(Spot(*_xy(spot.moved(0.65)), spot.heading + np.pi))


def _add_clutter(room: Room, rng: np.random.Generator) -> None:
    """Boxes, bags, stools, small shelves."""
    spot = _place(room, rng, 0.25, 0.7, 0.3, 0.6)
    if spot is not None:
        size = rng.uniform(0.2, 0.5)
        turned = Spot(spot.x, spot.y, spot.heading + rng.normal(0, 0.4))
        room.blocks.append(
            Block(turned, size, size * rng.uniform(0.6, 1.6), 0, rng.uniform(0.1, 0.8), rng.normal(0.6, 1.0))
        )
        room.taken.append((spot.x, spot.y, size / 2))


_FURNITURE = {
    "bed": _add_bed,
    "chair": _add_chair,
    "sofa": _add_sofa,
    "table": _add_table,
    "wardrobe": _add_wardrobe,
    "clutter": _add_clutter,
}


def see(room: Room, view: View, oversample: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Temperature in °C and distance in metres, float32 [rows * oversample, columns * oversample] each."""
    rays, eye = view.rays(oversample).astype(np.float32), view.position.astype(np.float32)
    distance, normal_axis = _hit_shell(room, eye, rays)
    points = eye + rays * distance[..., None]
    tone = room.ambient + _texture(points, rng) + _shell_tone(room, points, normal_axis, rng)
    for block in room.blocks:
        hit = _hit_block(block, eye, rays)
        nearer = hit < distance
        if nearer.any():
            points = eye + rays[nearer] * hit[nearer][:, None]
            tone[nearer] = room.ambient + block.warmth + _texture(points, rng, 0.12, 0.3)
            distance[nearer] = hit[nearer]
    return tone.astype(np.float32), distance.astype(np.float32)


def _hit_shell(room: Room, eye: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance to floor, ceiling or wall along each ray, and which: 0, 1 for a wall across x or y, 2 otherwise."""
    far = np.array([room.size[0] / 2, room.size[1] / 2, room.size[2]], np.float32)
    near = np.array([-room.size[0] / 2, -room.size[1] / 2, 0.0], np.float32)
    safe = np.where(np.abs(rays) < 1e-9, np.float32(1e-9), rays)
    reach = (np.where(safe > 0, far, near) - eye) / safe
    axis = reach.argmin(axis=-1)
    return np.maximum(reach.min(axis=-1), 0.02), axis


def _shell_tone(room: Room, points: np.ndarray, axis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Walls differ from the floor, their upper parts are warmer, and the floor is colder toward one side."""
    tone = np.zeros(axis.shape)
    for wall in (0, 1):
        for sign in (-1, 1):
            at = (axis == wall) & (np.sign(points[..., wall]) == sign)
            tone[at] = rng.normal(0.3, 0.8)
    turn, slope = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.25)
    gradient = (points[..., 0] * np.cos(turn) + points[..., 1] * np.sin(turn)) * slope
    return tone + np.where(axis < 2, (points[..., 2] - 1) * rng.uniform(0, 0.5), gradient)


def _texture(points: np.ndarray, rng: np.random.Generator, strength: float = 0.25, period: float = 1.5) -> np.ndarray:
    """Slowly varying °C over the surfaces, a sum of plane waves of about ``period`` metres."""
    waves = rng.normal(0, 1, (6, 3))
    waves *= 2 * np.pi / period / np.linalg.norm(waves, axis=1, keepdims=True) * rng.uniform(0.3, 1.6, (6, 1))
    phases = points @ waves.T.astype(np.float32) + rng.uniform(0, 2 * np.pi, 6).astype(np.float32)
    return np.sin(phases).sum(axis=-1) * np.float32(strength / np.sqrt(3))


def _hit_block(block: Block, eye: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Distance to the block along each ray, infinite where it misses."""
    c, s = np.cos(block.spot.heading), np.sin(block.spot.heading)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
    origin = turn @ (eye - np.array([block.spot.x, block.spot.y, 0], np.float32))
    ways = rays @ turn.T
    safe = np.where(np.abs(ways) < 1e-9, np.float32(1e-9), ways)
    low = np.array([-block.length / 2, -block.width / 2, block.low], np.float32)
    high = np.array([block.length / 2, block.width / 2, block.high], np.float32)
    one, two = (low - origin) / safe, (high - origin) / safe
    enter, leave = np.minimum(one, two).max(axis=-1), np.maximum(one, two).min(axis=-1)
    return np.where((enter < leave) & (enter > 0.02), enter, np.float32(np.inf))
