"""How a cat or a dog moves about a room."""

from __future__ import annotations

import numpy as np

from .motion import drift
from .room import Room


def pet_joints(length: float, room: Room, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Joints [T, 8, 3] in metres of an animal of that length: nose, neck, hips, tail and four paws."""
    center = drift(rng, times, 2, rng.uniform(8, 40)) * np.array(room.size[:2]) * 0.2 + rng.uniform(-0.5, 0.5, 2)
    velocity = np.gradient(center, axis=0) if len(times) > 1 else np.ones_like(center)
    heading = np.unwrap(np.arctan2(velocity[:, 1], velocity[:, 0]))
    tall = 0.55 * length
    gait = 0.18 * length * np.sin(2 * np.pi * 1.5 * times) * np.clip(np.hypot(*velocity.T) * 200, 0, 1)
    forward = np.array([0.72, 0.42, -0.42, -0.8, 0.38, 0.38, -0.4, -0.4]) * length
    left = np.array([0, 0, 0, 0, 0.1, -0.1, 0.1, -0.1]) * length
    up = np.array([1.15, 1.0, 0.95, 1.0, 0.08, 0.08, 0.08, 0.08]) * tall
    along = np.repeat(forward[None], len(times), axis=0)
    along[:, 4:] += gait[:, None] * np.array([1, -1, -1, 1])
    c, s = np.cos(heading)[:, None], np.sin(heading)[:, None]
    x = center[:, :1] + c * along - s * left
    y = center[:, 1:] + s * along + c * left
    return np.stack([x, y, np.broadcast_to(up, x.shape)], axis=-1)
