"""Somebody in a room: where there is space, the way there, and the intervals so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .motion import Interval
from .poses import draw_pose
from .room import Room, Spot
from .view import View

(SIT, STAND, WALK, RISK, BED, LEAN, CHANGE, FALL, BEDCHANGE, LOW, KNEEL, BEND, CROUCH, OTHER) = range(14)

# Seconds that each activity lasts, least and most, drawn evenly in their logarithm.
LASTS = {
    SIT: (4, 40),
    STAND: (3, 25),
    WALK: (4, 12),
    RISK: (6, 60),
    BED: (6, 60),
    LEAN: (3, 15),
    LOW: (3, 15),
    KNEEL: (3, 15),
    BEND: (2, 8),
    CROUCH: (2, 10),
    OTHER: (4, 15),
    CHANGE: (2, 5),
    FALL: (3, 8),
    BEDCHANGE: (3, 8),
}
_STYLES = {
    SIT: ("still", "restless", "work"),
    STAND: ("sway", "sway", "work"),
    RISK: ("still", "still", "restless", "struggle"),
    BED: ("still", "still", "restless"),
    LEAN: ("still", "work", "sway"),
    LOW: ("restless", "crawl", "sway"),
    KNEEL: ("restless", "work", "work"),
    BEND: ("work", "restless"),
    CROUCH: ("restless", "work"),
    OTHER: ("wave", "wave", "work"),
}


@dataclass
class Crowd:
    """Where other people are: ``places`` [T, P, 2] metres at ``times`` [T] in seconds, infinite while they are away."""

    times: np.ndarray
    places: np.ndarray

    def distance(self, spot: Spot, begin: float, end: float) -> float:
        """Metres to the nearest of them between two times, at most 9."""
        first, last = np.searchsorted(self.times, (begin, end))
        near = self.places[first : max(last, first + 1)] - (spot.x, spot.y)
        return float(min(np.hypot(near[..., 0], near[..., 1]).min(initial=9.0), 9.0))


class Actor:
    """Collects the intervals of one person.

    Args:
        weights: class id -> how much of the time the class should take.
        crowd: the other people, from whom this one keeps away.
        wheelchair: the person sits in one and rolls about.
    """

    def __init__(
        self,
        room: Room,
        view: View,
        rng: np.random.Generator,
        weights: Mapping[int, float],
        crowd: Crowd,
        wheelchair: bool = False,
    ) -> None:
        self.room, self.view, self.rng, self.crowd = room, view, rng, crowd
        self.weights, self.wheelchair = dict(weights), wheelchair
        self.intervals: list[Interval] = []
        self.posture = STAND

    @property
    def seconds(self) -> float:
        """Length of the script so far."""
        return sum(interval.seconds for interval in self.intervals)

    def add(
        self,
        seconds: float,
        pose: np.ndarray,
        spot: Spot,
        label: int | None,
        style: str = "still",
        base: float = 0.0,
        seated: float = 0.0,
        blanket: float = 0.0,
        present: bool = True,
    ) -> None:
        self.intervals.append(Interval(seconds, pose, spot, label, style, base, seated, blanket, present))

    def here(self) -> Spot:
        spot = self.intervals[-1].spot
        return Spot(spot.x, spot.y, spot.heading, spot.level)

    def duration(self, label: int) -> float:
        low, high = np.log(LASTS[label])
        return float(np.exp(self.rng.uniform(low, high)))

    def hold(self, label: int, pose: np.ndarray | None = None, seated: float = 0.0) -> None:
        """Stay in the posture; a long stay is made of several poses that differ a little."""
        left, last = self.duration(label), self.intervals[-1]
        pose = last.pose if pose is None else pose
        while left > 0:
            style = str(self.rng.choice(_STYLES[label]))
            part = min(left, self.rng.uniform(4, 20))
            self.add(part, pose, self.here(), label, style, last.base, seated or last.seated, last.blanket)
            pose = pose + self.rng.normal(0, 0.05, len(pose)) * (np.arange(len(pose)) > 2)
            left -= part
        self.posture = label

    def room_left(self, spot: Spot) -> float:
        """Metres to the nearest other person there, from soon on for a while."""
        return self.crowd.distance(spot, self.seconds + 1, self.seconds + 15)

    def vacant(self, spots: list[Spot]) -> Spot | None:
        """One of the seats, beds or supports that nobody is near of, if there is any."""
        free = [spot for spot in spots if self.room_left(spot) > 0.9]
        return free[self.rng.integers(len(free))] if free else None

    def free_spot(self, near: Spot | None = None, reach: float = 9.0) -> Spot:
        """Somewhere to stand, mostly within the picture."""
        best, best_score = Spot(0.0, 0.0, 0.0), -np.inf
        border = 0.12 if self.rng.random() < 0.75 else -0.04
        shape = np.array(self.view.shape[::-1])
        for _ in range(40):
            x, y = self.rng.uniform(-0.48, 0.48, 2) * self.room.size[:2]
            pixel = self.view.project(np.array([x, y, 0.6]))[0] / shape
            spot = Spot(float(x), float(y), self.rng.uniform(0, 2 * np.pi))
            score = -3.0 * (not self.room.is_free(x, y)) - 4 * float(
                np.maximum(np.abs(pixel - 0.5) - 0.5 + border, 0).max()
            )
            score -= 2 * max(0.9 - self.room_left(spot), 0.0)
            if near is not None:
                score -= max(spot.distance(near) - reach, 0) + max(0.4 - spot.distance(near), 0)
            if score > best_score:
                best, best_score = spot, score
            if score == 0:
                break
        return best

    def _path(self, goal: Spot) -> list[Spot]:
        """Way points to a goal that avoid furniture where a detour of one point does."""
        here = self.here()
        if self._clear(here, goal):
            return [goal]
        for _ in range(12):
            x, y = self.rng.uniform(-0.45, 0.45, 2) * self.room.size[:2]
            via = Spot(float(x), float(y), 0.0)
            if self.room.is_free(x, y) and self._clear(here, via) and self._clear(via, goal):
                return [via, goal]
        return [goal]

    def _clear(self, one: Spot, two: Spot) -> bool:
        distance = one.distance(two)
        return all(
            self.room.is_free(one.x + f * (two.x - one.x), one.y + f * (two.y - one.y), 0.05)
            for f in np.linspace(0, 1, 8)
            if 0.35 < f * distance < distance - 0.35
        )

    def go(self, goal: Spot, pace: float | None = None) -> None:
        """Walk, or roll, to a goal."""
        pace = pace or self.rng.uniform(0.5, 1.25)
        seated, style = (1.0, "roll") if self.wheelchair else (0.0, "walk")
        label = SIT if self.wheelchair else WALK
        pose = self.intervals[-1].pose if self.wheelchair else draw_pose(self.rng, "walk")
        for point in self._path(goal):
            here = self.here()
            distance = here.distance(point)
            if distance > 0.25:
                way = float(np.arctan2(point.y - here.y, point.x - here.x))
                level = 0.48 if self.wheelchair else 0.0
                self.add(
                    max(distance / pace, 0.4), pose, Spot(point.x, point.y, way, level), label, style, seated=seated
                )
        self.posture = label

    def floor_spot(self) -> Spot:
        spots = [self.free_spot(self.here(), 3.0) for _ in range(4)]
        return max(spots, key=self.lies_clear)

    def lies_clear(self, spot: Spot) -> bool:
        return any(self.fits(Spot(spot.x, spot.y, turn)) for turn in np.arange(8) * np.pi / 4)

    def fits(self, spot: Spot) -> bool:
        return all(self.room.is_free(*(lambda p: (p.x, p.y))(spot.moved(d)), 0.12) for d in (-0.75, 0.0, 0.8))

    def lying_spot(self, spot: Spot) -> Spot:
        """The heading in which a lying body fits best."""
        turns = self.rng.permutation(16) * np.pi / 8 + self.rng.uniform(0, 0.3)
        options = [Spot(spot.x, spot.y, float(turn)) for turn in turns]
        return max(options, key=self.fits)
