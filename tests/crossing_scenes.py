"""Two persons who pass each other in a made-up room, seen by the sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alphaction.synthetic.body import PELVIS, STANDING, Build, render_person
from alphaction.synthetic.motion import Step, play
from alphaction.synthetic.room import draw_room
from alphaction.synthetic.sensor import FPS, expose

FRAMES = 48


@dataclass
class Crossing:
    """Frames float32 [T, 40, 60] °C, the room [40, 60], and the persons' centers in pixels [T, 2 persons, 2]."""

    frames: np.ndarray
    room: np.ndarray
    centers: np.ndarray


def crossing(seed: int) -> Crossing:
    """Two persons cross the room; in every fourth scene the second one stands where the first one passes."""
    rng = np.random.default_rng([seed, 40])
    room = draw_room(rng, warm_rim=bool(seed % 2))
    reach = np.array(room.camera.reach(25, 16))
    heading = rng.uniform(0, 2 * np.pi)
    turn = rng.choice([np.pi, rng.uniform(0.35, 0.65) * np.pi, 1.5 * np.pi])  # against each other, or across
    aside = rng.uniform(0.3, 0.6) * np.array([-np.sin(heading), np.cos(heading)])
    steps = [_way(heading, reach, -aside / 2), _way(heading + turn, reach, aside / 2)]
    if seed % 4 == 3:
        steps[1] = [Step(STANDING, *aside / 2, heading, 0, "stand")] * 2
    scene = np.repeat(room.background[None].astype(np.float32), FRAMES, axis=0)
    centers = []
    for way in steps:
        wait = int(rng.integers(2, 8))
        track = play(way, np.array([wait, FRAMES - wait]), 1.0, rng)
        heat, cover = render_person(track.joints, Build.draw(rng), room.camera, track.covered, room.ambient)
        scene = scene * (1 - cover) + heat
        centers.append(room.camera.project(track.joints[:, PELVIS])[0])
    bare = room.background.astype(np.float32)
    return Crossing(expose(scene, room.noise, room.dead, rng), bare, np.stack(centers, axis=1))


def _way(heading: float, reach: np.ndarray, aside: np.ndarray) -> list[Step]:
    """From one border to the opposite one, past the middle at ``aside``."""
    ahead = np.array([np.cos(heading), np.sin(heading)])
    length = (reach / np.maximum(np.abs(ahead), 1e-6)).min()
    start, end = aside - length * ahead, aside + length * ahead
    return [Step(STANDING, *start, heading, 0, "away"), Step(STANDING, *end, heading, 0, "walk")]


def seconds() -> np.ndarray:
    """Times of the frames."""
    return np.arange(FRAMES) / FPS
