"""Scripts in seconds: what one person does in a room, class after class, with the ways and transitions between."""

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
_LASTS = {
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
# Share of the choices of each class where all shall be about as frequent: walking and transitions happen on the way.
EVEN: Mapping[int, float] = {
    SIT: 1.3,
    STAND: 1.3,
    WALK: 0.15,
    RISK: 3.0,
    BED: 2.8,
    LEAN: 1.6,
    CHANGE: 0.25,
    FALL: 0.5,
    BEDCHANGE: 0.6,
    LOW: 1.2,
    KNEEL: 1.0,
    BEND: 1.0,
    CROUCH: 1.2,
    OTHER: 1.2,
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
_POSE_OF = {STAND: "stand", LEAN: "lean", KNEEL: "kneel", BEND: "bend", CROUCH: "crouch", OTHER: "arms_up"}


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


class Script:
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

    def run(self, seconds: float, present: bool) -> list[Interval]:
        """A script of at least that many seconds; it begins outside of the door unless ``present``."""
        if present and not self.wheelchair:
            self._begin(self._draw_class(timed=False))
        else:
            self._come_in(seconds, present)
        while self.seconds < seconds:
            if self.rng.random() < 0.05:
                self._leave()
            elif self.wheelchair:
                self._go(self._free_spot())
                self._hold(SIT, draw_pose(self.rng, "sit"), seated=1.0)
            else:
                self.act(self._draw_class())
        return self.intervals

    def _come_in(self, seconds: float, present: bool) -> None:
        """Begin outside of the door, or in the room, on foot or in a wheelchair."""
        start = self._free_spot() if present else self.room.door.moved(-0.8)
        rest = self.wheelchair
        pose = draw_pose(self.rng, "sit" if rest else "stand")
        start.level = 0.48 if rest else 0.0
        self._append(0.01, pose, start, None, seated=float(rest), present=present)
        if not present:
            self._append(self.rng.uniform(0.5, 0.2 * seconds), pose, start, None, seated=float(rest), present=False)
            self._go(self._free_spot())

    def _begin(self, label: int) -> None:
        """Begin in the room amid something of that class."""
        start = self._free_spot()
        self._append(0.01, draw_pose(self.rng, "stand"), start, None)
        if label in (SIT, BED, RISK):
            {SIT: self._sit, BED: self._bed, RISK: self._risk}[label]()
            hold = next(
                i for i, interval in enumerate(self.intervals) if interval.label == label and interval.style != "change"
            )
            # What led there is over: it takes no time.
            for interval in self.intervals[:hold]:
                interval.seconds = 0.001
        else:
            self.act(label)

    def act(self, label: int) -> None:
        """Append one activity of that class."""
        special = {WALK: self._stroll, SIT: self._sit, RISK: self._risk, BED: self._bed}
        special |= {CHANGE: self._change, FALL: self._fall, BEDCHANGE: self._bed_change}
        special.get(label, lambda: self._posture(label))()

    def _draw_class(self, timed: bool = True) -> int:
        """A class that is possible here; ``timed`` makes lasting ones rarer, so that each takes its share of time."""
        labels = [label for label, weight in self.weights.items() if weight > 0 and self._possible(label)]
        if not labels:
            return STAND
        share = np.array([self.weights[label] / (np.mean(_LASTS[label]) if timed else 1.0) for label in labels])
        return int(self.rng.choice(labels, p=share / share.sum()))

    def _possible(self, label: int) -> bool:
        needs = {SIT: self.room.seats, BED: self.room.beds, BEDCHANGE: self.room.beds, LEAN: self.room.supports}
        return label not in needs or self._vacant(needs[label]) is not None

    # ---- intervals

    def _append(
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

    def _here(self) -> Spot:
        spot = self.intervals[-1].spot
        return Spot(spot.x, spot.y, spot.heading, spot.level)

    def _lasts(self, label: int) -> float:
        low, high = np.log(_LASTS[label])
        return float(np.exp(self.rng.uniform(low, high)))

    def _hold(self, label: int, pose: np.ndarray | None = None, seated: float = 0.0) -> None:
        """Stay in the posture; a long stay is made of several poses that differ a little."""
        left, last = self._lasts(label), self.intervals[-1]
        pose = last.pose if pose is None else pose
        while left > 0:
            style = str(self.rng.choice(_STYLES[label]))
            part = min(left, self.rng.uniform(4, 20))
            self._append(part, pose, self._here(), label, style, last.base, seated or last.seated, last.blanket)
            pose = pose + self.rng.normal(0, 0.05, len(pose)) * (np.arange(len(pose)) > 2)
            left -= part
        self.posture = label

    # ---- places

    def _room_left(self, spot: Spot) -> float:
        """Metres to the nearest other person there, from soon on for a while."""
        return self.crowd.distance(spot, self.seconds + 1, self.seconds + 15)

    def _vacant(self, spots: list[Spot]) -> Spot | None:
        """One of the seats, beds or supports that nobody is near of, if there is any."""
        free = [spot for spot in spots if self._room_left(spot) > 0.9]
        return free[self.rng.integers(len(free))] if free else None

    def _free_spot(self, near: Spot | None = None, reach: float = 9.0) -> Spot:
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
            score -= 2 * max(0.9 - self._room_left(spot), 0.0)
            if near is not None:
                score -= max(spot.distance(near) - reach, 0) + max(0.4 - spot.distance(near), 0)
            if score > best_score:
                best, best_score = spot, score
            if score == 0:
                break
        return best

    def _path(self, goal: Spot) -> list[Spot]:
        """Way points to a goal that avoid furniture where a detour of one point does."""
        here = self._here()
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

    # ---- steps

    def _go(self, goal: Spot, pace: float | None = None) -> None:
        """Walk, or roll, to a goal."""
        pace = pace or self.rng.uniform(0.5, 1.25)
        seated, style = (1.0, "roll") if self.wheelchair else (0.0, "walk")
        label = SIT if self.wheelchair else WALK
        pose = self.intervals[-1].pose if self.wheelchair else draw_pose(self.rng, "walk")
        for point in self._path(goal):
            here = self._here()
            distance = here.distance(point)
            if distance > 0.25:
                way = float(np.arctan2(point.y - here.y, point.x - here.x))
                level = 0.48 if self.wheelchair else 0.0
                self._append(
                    max(distance / pace, 0.4), pose, Spot(point.x, point.y, way, level), label, style, seated=seated
                )
        self.posture = label

    def _approach(self, spot: Spot, front: float) -> None:
        """Stand up where needed, walk in front of a seat or a bed and turn round."""
        self._rise()
        target = spot.moved(front)
        if self._here().distance(target) > 0.3:
            self._go(Spot(target.x, target.y, spot.heading))
        turned = Spot(target.x, target.y, spot.heading)
        self._append(self.rng.uniform(0.5, 1.2), draw_pose(self.rng, "stand"), turned, STAND, "change")
        self.posture = STAND

    def _rise(self) -> None:
        """Get up to a standing pose from whatever the posture is."""
        if self.posture in (RISK, FALL):
            self._get_up()
        if self.posture in (BED, BEDCHANGE):
            self._leave_bed()
        if self.posture in (SIT, CHANGE) and self.intervals[-1].seated:
            front = self._here().moved(0.38)
            front.level = self._here().level
            self._append(self.rng.uniform(1.0, 2.8), draw_pose(self.rng, "stand"), front, CHANGE, "change")
        elif self.posture in (KNEEL, CROUCH, LOW):
            seconds = self.rng.uniform(0.8, 2.6)
            self._append(seconds, draw_pose(self.rng, "stand"), self._here(), CHANGE, "change")
        elif self.posture in (BEND, LEAN, OTHER):
            self._append(self.rng.uniform(0.5, 1.2), draw_pose(self.rng, "stand"), self._here(), STAND, "change")
        self.posture = STAND

    def _posture(self, label: int) -> None:
        """Stand, lean, kneel, bend, crouch, exercise or stay low somewhere."""
        if label == LEAN:
            goal = self._vacant(self.room.supports) or self._free_spot()
            self._rise()
            self._go(goal)
            goal = Spot(goal.x, goal.y, goal.heading)
        else:
            if self.posture != label:
                self._rise()
            if self.rng.random() < 0.6:
                self._rise()
                self._go(self._free_spot(self._here(), 2.0))
            goal = self._here()
            goal.heading += self.rng.normal(0, 1.0)
        name = _POSE_OF.get(label) or ("all_fours" if self.rng.random() < 0.5 else "sit_floor")
        pose = draw_pose(self.rng, name)
        down = label in (KNEEL, CROUCH, LOW)
        self._append(self.rng.uniform(0.8, 2.2), pose, goal, CHANGE if down else label, "change")
        self._hold(label)

    def _stroll(self) -> None:
        self._rise()
        begun, wanted = self.seconds, self._lasts(WALK)
        while self.seconds - begun < wanted:
            self._go(self._free_spot(self._here(), 4.0))

    def _leave(self) -> None:
        """Go out through the door and come back after a while."""
        if not self.wheelchair:
            self._rise()
        self._go(self.room.door.moved(0.3))
        self._go(self.room.door.moved(-0.8))
        last = self.intervals[-1]
        outside = self._here()
        self._append(self.rng.uniform(3, 20), last.pose, outside, None, seated=last.seated, present=False)
        self._go(self._free_spot())

    def _sit(self) -> None:
        seat = self._vacant(self.room.seats)
        if seat is None:
            return self._posture(STAND)
        self._sit_down(seat)
        self._hold(SIT)

    def _sit_down(self, seat: Spot) -> None:
        self._approach(seat, 0.38)
        turned = Spot(seat.x, seat.y, seat.heading + self.rng.normal(0, 0.2), seat.level)
        self._append(self.rng.uniform(1.0, 2.8), draw_pose(self.rng, "sit"), turned, CHANGE, "change", seated=1.0)
        self.posture = SIT

    def _change(self) -> None:
        """Sit down and get up, or go down and up again."""
        if self.posture in (SIT, KNEEL, CROUCH, LOW):
            self._rise()
        elif self.rng.random() < 0.6 and (seat := self._vacant(self.room.seats)) is not None:
            self._sit_down(seat)
        else:
            self._rise()
            label = int(self.rng.choice([KNEEL, CROUCH]))
            self._append(
                self.rng.uniform(0.8, 2.5), draw_pose(self.rng, _POSE_OF[label]), self._here(), CHANGE, "change"
            )
            self.posture = label

    # ---- lying

    def _risk(self) -> None:
        if self.posture not in (RISK, FALL):
            self._fall()
        self._hold(RISK)

    def _fall(self) -> None:
        """Fall or lie down on the floor; somebody who lies there gets up instead."""
        if self.posture in (RISK, FALL):
            self._get_up()
            return
        slow = self.rng.random() < 0.5
        if self.posture in (SIT, BED) and self.rng.random() < 0.5:
            spot = self._here().moved(0.7)
        else:
            self._rise()
            spot = self._here()
            if not self._lies_clear(spot):
                self._go(self._floor_spot())
                spot = self._here()
        spot = self._lying_spot(spot)
        if slow:
            name = str(self.rng.choice(["kneel", "all_fours", "sit_floor", "crouch"]))
            self._append(self.rng.uniform(1.0, 2.5), draw_pose(self.rng, name), spot, FALL, "change")
        pose = draw_pose(self.rng, "lie")
        seconds = self.rng.uniform(1.0, 3.5) if slow else self.rng.uniform(0.6, 1.3)
        self._append(seconds, pose, self._head_first(pose, spot), FALL, "change" if slow else "still")
        self.posture = RISK

    def _head_first(self, pose: np.ndarray, spot: Spot) -> Spot:
        """The spot, turned for somebody who lies on the front, so that head and feet stay where they would be."""
        return Spot(spot.x, spot.y, spot.heading + (np.pi if pose[0] > 0 else 0.0), spot.level)

    def _floor_spot(self) -> Spot:
        spots = [self._free_spot(self._here(), 3.0) for _ in range(4)]
        return max(spots, key=self._lies_clear)

    def _lies_clear(self, spot: Spot) -> bool:
        return any(self._fits(Spot(spot.x, spot.y, turn)) for turn in np.arange(8) * np.pi / 4)

    def _fits(self, spot: Spot) -> bool:
        return all(self.room.is_free(*(lambda p: (p.x, p.y))(spot.moved(d)), 0.12) for d in (-0.75, 0.0, 0.8))

    def _lying_spot(self, spot: Spot) -> Spot:
        """The heading in which a lying body fits best."""
        turns = self.rng.permutation(16) * np.pi / 8 + self.rng.uniform(0, 0.3)
        options = [Spot(spot.x, spot.y, float(turn)) for turn in turns]
        return max(options, key=self._fits)

    def _get_up(self) -> None:
        """From the floor over all fours, sitting or kneeling to standing."""
        here = self._here()
        self._append(self.rng.uniform(1.2, 3.5), draw_pose(self.rng, "sit_floor"), here, FALL, "change")
        if self.rng.random() < 0.7:
            name = str(self.rng.choice(["all_fours", "kneel", "crouch"]))
            self._append(self.rng.uniform(1.0, 2.5), draw_pose(self.rng, name), here, FALL, "change")
        self._append(self.rng.uniform(0.8, 2.5), draw_pose(self.rng, "stand"), here, FALL, "change")
        self.posture = STAND

    def _edge(self, bed: Spot) -> Spot:
        """Where one sits on the edge of a bed."""
        edges = [seat for seat in self.room.seats if abs(seat.level - bed.level) < 1e-6 and seat.distance(bed) < 1.3]
        return edges[self.rng.integers(len(edges))] if edges else Spot(bed.x, bed.y, bed.heading + np.pi / 2, bed.level)

    def _bed(self) -> None:
        if self.posture != BED and not self._lie_in_bed():
            return self._posture(STAND)
        covered = self.intervals[-1].blanket
        if not covered and self.rng.random() < 0.45:
            covered = float(self.rng.uniform(0.6, 1.0))
            last = self.intervals[-1]
            seconds = self.rng.uniform(1.5, 4)
            self._append(seconds, last.pose, self._here(), BED, "restless", last.base, blanket=covered)
        self._hold(BED)

    def _lie_in_bed(self) -> bool:
        """Walk to a bed and lie down; False where none is free."""
        bed = self._vacant(self.room.beds)
        if bed is None:
            return False
        edge = self._edge(bed)
        self._sit_down(edge)
        if self.rng.random() < 0.6:
            self._append(self.rng.uniform(0.5, 3.0), self.intervals[-1].pose, self._here(), SIT, "restless", seated=1.0)
        pose = draw_pose(self.rng, "lie_side" if self.rng.random() < 0.35 else "lie")
        spot = self._head_first(pose, bed.moved(self.rng.normal(0.05, 0.08), self.rng.normal(0, 0.06)))
        self._append(self.rng.uniform(1.5, 5.0), pose, spot, BEDCHANGE, "change", base=bed.level)
        self.posture = BED
        return True

    def _leave_bed(self) -> None:
        here = self._here()
        edge = self._edge(here)
        self._append(self.rng.uniform(1.5, 5.0), draw_pose(self.rng, "sit"), edge, BEDCHANGE, "change", seated=1.0)
        self._append(self.rng.uniform(0.4, 4.0), self.intervals[-1].pose, edge, SIT, "restless", seated=1.0)
        self.posture = SIT

    def _bed_change(self) -> None:
        if self.posture == BED:
            self._leave_bed()
        else:
            self._lie_in_bed()
