"""Simulated recordings: a room, persons and a sensor of one seed, with a box and a class for every person and frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...recordings.sensor import Sensor
from .actor import Crowd
from .array import ArraySpec, draw_array, expose, lose_frames
from .body import Capsules, draw_person, draw_pet, dress
from .heat import Prints, draw_heat
from .motion import Motion, play
from .pet import pet_joints
from .render import Outlines, outline, oversampling, render
from .room import Room, draw_room, see
from .script import EVEN, Script
from .skeleton import INDEX
from .view import View, draw_view

# Sensor pixels by which annotated boxes of the real 40x60 set exceed the warm shape, and how much annotators differ.
_HABIT, _HABIT_SPREAD = 0.35, 0.5
# Least share of a person within the picture and not hidden, and least area in pixels, for a box.
_LEAST_SEEN, _LEAST_AREA = 0.22, 4.0
# Least contrast in °C of what an annotator sees.
_VISIBLE = 0.7


@dataclass
class SimulatedPerson:
    """One person in one frame: ``box`` x1, y1, x2, y2 as shares of the picture, class id and track id."""

    box: tuple[float, float, float, float]
    label: int
    track: int
    seen: float


@dataclass
class SimulatedRecording:
    """A recording of T frames with P persons.

    Attributes:
        frames: float32 [T, h, w] °C, as the sensor reports them.
        times: int64 [T] arrival times in ms.
        boxes: float32 [T, P, 4] x1, y1, x2, y2 as shares of the picture; NaN where the person is not seen.
        labels: int64 [T, P] class ids; -1 where the person is not seen or does nothing that has a class.
        seen: float32 [T, P] share of the person that is in the picture and not hidden.
        sensor: the array; values are °C.
        fps: frames per second.
        ambient: °C of the room.
    """

    frames: np.ndarray
    times: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    seen: np.ndarray
    sensor: Sensor
    fps: float
    ambient: float

    def persons(self, frame: int) -> list[SimulatedPerson]:
        """The persons that an annotator would mark in a frame."""
        return [
            SimulatedPerson(
                _corners(self.boxes[frame, track]),
                int(self.labels[frame, track]),
                int(track),
                float(self.seen[frame, track]),
            )
            for track in np.flatnonzero(self.labels[frame] >= 0)
        ]


def _corners(box: np.ndarray) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return x1, y1, x2, y2


class Simulation:
    """A room with a sensor and persons, all of one seed; ``record`` plays it.

    Args:
        seed: or a sequence of integers; the same seed gives the same recording.
        sensor: preset of :data:`alphaction.recordings.sensor.SENSORS`, (rows, columns), or an ``ArraySpec``.
        fps: frames per second; by default about the sensor's own.
        classes: class id -> share of the time that a person spends on it, in proportion; by default all 14 about alike.
        persons: how many; by default 0 to 5, mostly one or two.
        wall: sensor on a wall (True) or on the ceiling (False); by default one in five is on a wall.
        ambient: °C of the room; by default 10 to 32.
    """

    def __init__(
        self,
        seed: int | tuple[int, ...],
        sensor: str | tuple[int, int] | ArraySpec = "htpa60x40",
        fps: float | None = None,
        classes: Mapping[int, float] | None = None,
        persons: int | None = None,
        wall: bool | None = None,
        ambient: float | None = None,
    ) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.array = sensor if isinstance(sensor, ArraySpec) else draw_array(rng, sensor, fps)
        self.classes = dict(classes) if classes else dict(EVEN)
        self.persons = int(rng.choice(6, p=[0.03, 0.5, 0.27, 0.1, 0.06, 0.04])) if persons is None else persons
        celsius = float(np.clip(rng.normal(20, 4), 10, 32)) if ambient is None else ambient
        self.room: Room = draw_room(rng, celsius)
        on_wall = bool(rng.random() < 0.2) if wall is None else wall
        self.view: View = draw_view(rng, self.array.sensor.shape, self.array.field_of_view, self.room.size, on_wall)

    def record(self, seconds: float) -> SimulatedRecording:
        """Play that many seconds."""
        rng, array, room, view = self.rng, self.array, self.room, self.view
        count = max(1, round(seconds * array.fps))
        times = np.arange(count) / array.fps
        factor = oversampling(view.shape)
        tone, depth = see(room, view, factor, rng)
        layers = draw_heat(room, view, factor, times, rng)
        acted: list[tuple[Motion, Capsules]] = []
        for _ in range(self.persons):
            acted.append(self._person(times, seconds, [motion for motion, _ in acted]))
        beings = [outline(capsules, view, factor, depth, m.resting, m.present) for m, capsules in acted]
        extra = [self._pet(times, factor, depth)] if rng.random() < 0.12 else []
        prints = Prints(tone.shape, rng)
        scene = render(view, factor, tone, layers, beings + extra, room.ambient, count, array.fps, array.blur, prints)
        frames = expose(scene, array, rng)
        lose_frames(frames, array, rng)
        marks = [_mark(m, shape, room.ambient, view.shape, rng) for (m, _), shape in zip(acted, beings, strict=True)]
        boxes, labels, seen = _stack(marks, count)
        return SimulatedRecording(
            frames, _arrivals(times, rng), boxes, labels, seen, array.sensor, array.fps, room.ambient
        )

    def _person(self, times: np.ndarray, seconds: float, others: list[Motion]) -> tuple[Motion, Capsules]:
        rng = self.rng
        figure = draw_person(rng, child=rng.random() < 0.1)
        places = [np.where(m.present[:, None], m.joints[:, INDEX["pelvis"], :2], np.inf) for m in others]
        crowd = Crowd(times, np.stack(places, axis=1) if places else np.zeros((len(times), 0, 2)))
        script = Script(self.room, self.view, rng, self.classes, crowd, wheelchair=rng.random() < 0.05)
        motion = play(script.run(seconds, present=rng.random() < 0.75), times, figure.size, rng)
        return motion, dress(figure, motion.joints, motion.blanket, self.room.ambient)

    def _pet(self, times: np.ndarray, factor: int, depth: np.ndarray) -> Outlines:
        figure = draw_pet(self.rng)
        joints = pet_joints(figure.size, self.room, times, self.rng)
        capsules = dress(figure, joints, np.zeros(len(times)), self.room.ambient)
        return outline(capsules, self.view, factor, depth, np.zeros(len(times)), np.ones(len(times), dtype=bool))


def _mark(
    motion: Motion, shape: Outlines, ambient: float, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes [T, 4], labels [T] and seen share [T] of one person, as an annotator would draw them."""
    rows, columns = size
    visible = shape.shown & (shape.temperature > ambient + min(_VISIBLE, 0.5 * (shape.temperature.max() - ambient)))
    picture = np.array([columns, rows])
    low = np.where(visible[..., None], np.clip(shape.low, 0, picture), np.inf).min(axis=1)
    high = np.where(visible[..., None], np.clip(shape.high, 0, picture), -np.inf).max(axis=1)
    within = np.prod(np.clip(shape.high, 0, picture) - np.clip(shape.low, 0, picture), axis=-1)
    share = within / np.maximum(np.prod(shape.high - shape.low, axis=-1), 1e-6)
    seen = (shape.area * share * shape.shown).sum(axis=1) / np.maximum(shape.area.sum(axis=1), 1e-6)
    scale = columns / 60
    habit = _HABIT + rng.normal(0, _HABIT_SPREAD, (motion.interval.max() + 1, 4)) * min(max(scale, 0.5), 1.5)
    habit = habit[motion.interval]
    low, high = np.clip(low - habit[:, :2], 0, picture), np.clip(high + habit[:, 2:], 0, picture)
    big = np.prod(np.maximum(high - low, 0), axis=1) >= _LEAST_AREA * scale**2
    marked = (seen >= _LEAST_SEEN) & big & np.isfinite(low).all(axis=1) & motion.present
    boxes = np.where(marked[:, None], np.concatenate([low / picture, high / picture], axis=1), np.nan)
    return boxes.astype(np.float32), np.where(marked, motion.label, -1), seen.astype(np.float32)


def _stack(
    marks: list[tuple[np.ndarray, np.ndarray, np.ndarray]], count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not marks:
        return np.zeros((count, 0, 4), np.float32), np.zeros((count, 0), np.int64), np.zeros((count, 0), np.float32)
    boxes, labels, seen = (np.stack(part, axis=1) for part in zip(*marks, strict=True))
    return boxes, labels.astype(np.int64), seen


def _arrivals(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Arrival times in ms: frames are sampled at a steady rate and now and then held back."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.1
    late = np.abs(rng.normal(0, 0.05, len(times))) * step + (rng.random(len(times)) < 0.05) * rng.uniform(0, 3 * step)
    arrived = np.maximum.accumulate(times + late) + np.arange(len(times)) * 1e-6
    return 1_760_000_000_000 + np.round(arrived * 1000).astype(np.int64)
