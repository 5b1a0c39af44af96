"""From intervals (get there, adopt a pose, do something meanwhile) to joints over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .room import Spot
from .skeleton import ANGLE, CLEARANCE, INDEX, joints


@dataclass
class Interval:
    """``seconds`` in which somebody gets from the end of the previous interval to the state below.

    Attributes:
        seconds: duration.
        pose: [19] angles at the end.
        spot: place and heading at the end.
        label: class id meanwhile; None where nobody would annotate the person, such as outside of the room.
        style: what the body does on top, a key of ``STYLES``.
        base: height in metres of what the body's lowest part rests on.
        seated: 1 where the pelvis rests at ``spot.level`` instead.
        blanket: how far a blanket covers the body.
        present: whether the person is in the room.
    """

    seconds: float
    pose: np.ndarray
    spot: Spot
    label: int | None
    style: str = "still"
    base: float = 0.0
    seated: float = 0.0
    blanket: float = 0.0
    present: bool = True


@dataclass
class Motion:
    """A person over T frames.

    Attributes:
        joints: [T, J, 3] world metres.
        label: int [T], -1 without.
        interval: int [T], which interval each frame belongs to.
        blanket, resting: [T]; ``resting`` is the height of what carries the body, for its heat prints.
        present: bool [T].
    """

    joints: np.ndarray
    label: np.ndarray
    interval: np.ndarray
    blanket: np.ndarray
    resting: np.ndarray
    present: np.ndarray


def play(intervals: list[Interval], times: np.ndarray, size: float, rng: np.random.Generator) -> Motion:
    """Follow the intervals at the ``times`` [T] in seconds; the last one lasts until the end."""
    ends = np.cumsum([interval.seconds for interval in intervals])
    which = np.minimum(np.searchsorted(ends, times, side="right"), len(intervals) - 1)
    angles, place = np.empty((len(times), len(ANGLE))), np.empty((len(times), 3))
    levels = np.empty((len(times), 4))
    headings = _unwrapped([interval.spot.heading for interval in intervals])
    for index, interval in enumerate(intervals):
        at = np.flatnonzero(which == index)
        if not len(at):
            continue
        before = intervals[max(index - 1, 0)]
        done = np.clip((times[at] - (ends[index] - interval.seconds)) / max(interval.seconds, 1e-6), 0, 1)
        walking = interval.style in ("walk", "roll")
        eased = done * done * (3 - 2 * done)
        soon = np.clip(done * interval.seconds / 0.5, 0, 1) if walking else eased
        travel = done if walking else eased
        angles[at] = before.pose + soon[:, None] * (interval.pose - before.pose)
        place[at, 0] = before.spot.x + travel * (interval.spot.x - before.spot.x)
        place[at, 1] = before.spot.y + travel * (interval.spot.y - before.spot.y)
        place[at, 2] = headings[max(index - 1, 0)] + soon * (headings[index] - headings[max(index - 1, 0)])
        one, two = _levels(before), _levels(interval)
        levels[at] = one + eased[:, None] * (two - one)
        strength = np.minimum(1, np.minimum(done, 1 - done) * interval.seconds / 0.4 + 0.15)
        STYLES[interval.style](angles[_span(at)], place[_span(at)], times[at], strength, rng)
    label = np.array([-1 if interval.label is None else interval.label for interval in intervals])[which]
    present = np.array([interval.present for interval in intervals])[which]
    body = _stand_on(joints(angles, size), levels, size)
    c, s = np.cos(place[:, 2, None]), np.sin(place[:, 2, None])
    x, y = body[..., 0].copy(), body[..., 1].copy()
    body[..., 0] = place[:, 0, None] + c * x - s * y
    body[..., 1] = place[:, 1, None] + s * x + c * y
    resting = levels[:, 0] + levels[:, 1] * (levels[:, 2] - levels[:, 0])
    return Motion(body, label, which, levels[:, 3], resting, present)


def _span(indices: np.ndarray) -> slice:
    """Consecutive indices as a slice, through which arrays are changed in place."""
    return slice(int(indices[0]), int(indices[-1]) + 1)


def _levels(interval: Interval) -> np.ndarray:
    return np.array([interval.base, interval.seated, interval.spot.level, interval.blanket])


def _unwrapped(headings: list[float]) -> np.ndarray:
    return np.unwrap(np.asarray(headings, dtype=float))


def _stand_on(body: np.ndarray, levels: np.ndarray, size: float) -> np.ndarray:
    """Shift bodies [T, J, 3] up or down until they rest on the floor, the bed or the seat."""
    lowest = (body[..., 2] - CLEARANCE * size).min(axis=1)
    seat = levels[:, 2] + CLEARANCE[INDEX["pelvis"]] * size
    lying = levels[:, 0] - lowest
    body[..., 2] += (lying + levels[:, 1] * (seat - lying))[:, None]
    return body


def drift(rng: np.random.Generator, times: np.ndarray, columns: int, period: float) -> np.ndarray:
    """Smooth random curves [T, columns] of unit size that change within about ``period`` seconds."""
    total = np.zeros((len(times), columns))
    for _ in range(3):
        frequency = rng.uniform(0.3, 1.3, columns) / period
        total += np.sin(2 * np.pi * frequency * times[:, None] + rng.uniform(0, 2 * np.pi, columns))
    return total / 1.5


# (angles [n, 19], place [n, 3], times [n], strength [n], rng): the first two are changed in place.
_Style = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.random.Generator], None]


def _columns(*names: str) -> list[int]:
    return [ANGLE[name] for name in names]


_UPPER = _columns("bend", "side", "nod", "gaze")
_ARMS = _columns("l_shoulder", "l_outward", "l_elbow", "r_shoulder", "r_outward", "r_elbow")
_LEGS = _columns("l_hip", "l_spread", "l_knee", "r_hip", "r_spread", "r_knee")


def _walk(
    angles: np.ndarray, place: np.ndarray, times: np.ndarray, strength: np.ndarray, rng: np.random.Generator
) -> None:
    pace = np.hypot(*np.ptp(place[:, :2], axis=0)) / max(np.ptp(times), 0.3)
    phase = 2 * np.pi * (0.45 + 0.4 * pace) * (times - times[0]) + rng.uniform(0, 2 * np.pi)
    reach = np.radians(12 + 16 * min(pace, 1.4)) * strength
    swing = np.sin(phase)
    for side, sign in (("l", 1.0), ("r", -1.0)):
        angles[:, ANGLE[f"{side}_hip"]] += sign * reach * swing
        lift = np.maximum(0, sign * np.cos(phase))
        angles[:, ANGLE[f"{side}_knee"]] += np.radians(48) * strength * lift
        angles[:, ANGLE[f"{side}_shoulder"]] -= sign * reach * swing * rng.uniform(0.5, 1.1)
    place[:, 2] += 0.08 * np.sin(phase) * strength
    place[:, :2] += drift(rng, times, 2, 4.0) * 0.04 * strength[:, None]


def _moves(upper: float, arms: float, legs: float, period: float, turn: float = 0.0, shift: float = 0.0) -> _Style:
    """A style that lets angles wander by so many degrees within ``period`` seconds."""

    def style(
        angles: np.ndarray, place: np.ndarray, times: np.ndarray, strength: np.ndarray, rng: np.random.Generator
    ) -> None:
        for columns, degrees in ((_UPPER, upper), (_ARMS, arms), (_LEGS, legs)):
            angles[:, columns] += drift(rng, times, len(columns), period) * np.radians(degrees) * strength[:, None]
        place[:, 2] += drift(rng, times, 1, period * 2)[:, 0] * np.radians(turn) * strength
        place[:, :2] += drift(rng, times, 2, period * 2) * shift * strength[:, None]

    return style


def _wave(
    angles: np.ndarray, place: np.ndarray, times: np.ndarray, strength: np.ndarray, rng: np.random.Generator
) -> None:
    """Exercise: arms swing up and down, the trunk turns or bends."""
    phase = 2 * np.pi * rng.uniform(0.25, 0.8) * times + rng.uniform(0, 2 * np.pi)
    together = rng.choice([0.0, np.pi])
    kind = rng.integers(3)
    for side, shift in (("l", 0.0), ("r", together)):
        swing = np.sin(phase + shift) * strength
        angles[:, ANGLE[f"{side}_{'outward' if kind else 'shoulder'}"]] += np.radians(45) * swing
    if kind == 2:
        knees = _columns("l_knee", "r_knee")
        squat = (0.5 + 0.5 * np.sin(phase)) * strength * np.radians(rng.uniform(10, 60))
        angles[:, knees] += squat[:, None]
        angles[:, _columns("l_hip", "r_hip")] += squat[:, None] / 2
    place[:, 2] += np.radians(rng.uniform(0, 40)) * np.sin(phase / 2) * strength


def _crawl(
    angles: np.ndarray, place: np.ndarray, times: np.ndarray, strength: np.ndarray, rng: np.random.Generator
) -> None:
    phase = 2 * np.pi * 0.6 * times
    for side, sign in (("l", 1.0), ("r", -1.0)):
        angles[:, ANGLE[f"{side}_hip"]] += np.radians(14) * sign * np.sin(phase) * strength
        angles[:, ANGLE[f"{side}_shoulder"]] -= np.radians(14) * sign * np.sin(phase) * strength


STYLES: dict[str, _Style] = {
    "walk": _walk,
    "roll": _moves(3, 12, 1, 1.5),
    "change": _moves(4, 10, 6, 1.0),
    "struggle": _moves(8, 28, 18, 1.2, 8.0, 0.03),
    "still": _moves(0.6, 0.8, 0.5, 4.0),
    "restless": _moves(4, 12, 7, 3.5, 3.0, 0.01),
    "sway": _moves(4, 6, 1.5, 3.0, 9.0, 0.03),
    "work": _moves(6, 22, 2, 1.6, 12.0, 0.03),
    "wave": _wave,
    "crawl": _crawl,
}
