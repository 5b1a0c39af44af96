"""Scripts in seconds: what one person does in a room, class after class, with the ways and transitions between."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .actor import (
    BED,
    BEDCHANGE,
    BEND,
    CHANGE,
    CROUCH,
    FALL,
    KNEEL,
    LASTS,
    LEAN,
    LOW,
    OTHER,
    RISK,
    SIT,
    STAND,
    WALK,
    Actor,
)
from .motion import Interval
from .poses import draw_pose
from .room import Spot

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
_POSE_OF = {STAND: "stand", LEAN: "lean", KNEEL: "kneel", BEND: "bend", CROUCH: "crouch", OTHER: "arms_up"}


class Script(Actor):
    """The intervals of one person, activity after activity; arguments as of ``Actor``."""

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
                self.go(self.free_spot())
                self.hold(SIT, draw_pose(self.rng, "sit"), seated=1.0)
            else:
                self.act(self._draw_class())
        return self.intervals

    def _come_in(self, seconds: float, present: bool) -> None:
        """Begin outside of the door, or in the room, on foot or in a wheelchair."""
        start = self.free_spot() if present else self.room.door.moved(-0.8)
        rest = self.wheelchair
        pose = draw_pose(self.rng, "sit" if rest else "stand")
        start.level = 0.48 if rest else 0.0
        self.add(0.01, pose, start, None, seated=float(rest), present=present)
        if not present:
            self.add(self.rng.uniform(0, 0.2 * seconds), pose, start, None, seated=float(rest), present=False)
            self.go(self.free_spot())

    def _begin(self, label: int) -> None:
        """Begin in the room amid something of that class."""
        start = self.free_spot()
        self.add(0.01, draw_pose(self.rng, "stand"), start, None)
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
        share = np.array([self.weights[label] / (np.mean(LASTS[label]) if timed else 1.0) for label in labels])
        return int(self.rng.choice(labels, p=share / share.sum()))

    def _possible(self, label: int) -> bool:
        needs = {SIT: self.room.seats, BED: self.room.beds, BEDCHANGE: self.room.beds, LEAN: self.room.supports}
        return label not in needs or self.vacant(needs[label]) is not None

    # ---- steps

    def _approach(self, spot: Spot, front: float) -> None:
        """Stand up where needed, walk in front of a seat or a bed and turn round."""
        self._rise()
        target = spot.moved(front)
        if self.here().distance(target) > 0.3:
            self.go(Spot(target.x, target.y, spot.heading))
        turned = Spot(target.x, target.y, spot.heading)
        self.add(self.rng.uniform(0.5, 1.2), draw_pose(self.rng, "stand"), turned, STAND, "change")
        self.posture = STAND

    def _rise(self) -> None:
        """Get up to a standing pose from whatever the posture is."""
        if self.posture in (RISK, FALL):
            self._get_up()
        if self.posture in (BED, BEDCHANGE):
            self._leave_bed()
        if self.posture in (SIT, CHANGE) and self.intervals[-1].seated:
            front = self.here().moved(0.38)
            front.level = self.here().level
            self.add(self.rng.uniform(1.0, 2.8), draw_pose(self.rng, "stand"), front, CHANGE, "change")
        elif self.posture in (KNEEL, CROUCH, LOW):
            seconds = self.rng.uniform(0.8, 2.6)
            self.add(seconds, draw_pose(self.rng, "stand"), self.here(), CHANGE, "change")
        elif self.posture in (BEND, LEAN, OTHER):
            self.add(self.rng.uniform(0.5, 1.2), draw_pose(self.rng, "stand"), self.here(), STAND, "change")
        self.posture = STAND

    def _posture(self, label: int) -> None:
        """Stand, lean, kneel, bend, crouch, exercise or stay low somewhere."""
        if label == LEAN:
            goal = self.vacant(self.room.supports) or self.free_spot()
            self._rise()
            self.go(goal)
            goal = Spot(goal.x, goal.y, goal.heading)
        else:
            if self.posture != label:
                self._rise()
            if self.rng.random() < 0.6:
                self._rise()
                self.go(self.free_spot(self.here(), 2.0))
            goal = self.here()
            goal.heading += self.rng.normal(0, 1.0)
        name = _POSE_OF.get(label) or ("all_fours" if self.rng.random() < 0.5 else "sit_floor")
        pose = draw_pose(self.rng, name)
        down = label in (KNEEL, CROUCH, LOW)
        self.add(self.rng.uniform(0.8, 2.2), pose, goal, CHANGE if down else label, "change")
        self.hold(label)

    def _stroll(self) -> None:
        self._rise()
        begun, wanted = self.seconds, self.duration(WALK)
        while self.seconds - begun < wanted:
            self.go(self.free_spot(self.here(), 4.0))

    def _leave(self) -> None:
        """Go out through the door and come back after a while."""
        if not self.wheelchair:
            self._rise()
        self.go(self.room.door.moved(0.3))
        self.go(self.room.door.moved(-0.8))
        last = self.intervals[-1]
        outside = self.here()
        self.add(self.rng.uniform(3, 20), last.pose, outside, None, seated=last.seated, present=False)
        self.go(self.free_spot())

    def _sit(self) -> None:
        seat = self.vacant(self.room.seats)
        if seat is None:
            return self._posture(STAND)
        self._sit_down(seat)
        self.hold(SIT)

    def _sit_down(self, seat: Spot) -> None:
        self._approach(seat, 0.38)
        turned = Spot(seat.x, seat.y, seat.heading + self.rng.normal(0, 0.2), seat.level)
        self.add(self.rng.uniform(1.0, 2.8), draw_pose(self.rng, "sit"), turned, CHANGE, "change", seated=1.0)
        self.posture = SIT

    def _change(self) -> None:
        """Sit down and get up, or go down and up again."""
        if self.posture in (SIT, KNEEL, CROUCH, LOW):
            self._rise()
        elif self.rng.random() < 0.6 and (seat := self.vacant(self.room.seats)) is not None:
            self._sit_down(seat)
        else:
            self._rise()
            label = int(self.rng.choice([KNEEL, CROUCH]))
            self.add(self.rng.uniform(0.8, 2.5), draw_pose(self.rng, _POSE_OF[label]), self.here(), CHANGE, "change")
            self.posture = label

    # ---- lying

    def _risk(self) -> None:
        if self.posture not in (RISK, FALL):
            self._fall()
        self.hold(RISK)

    def _fall(self) -> None:
        """Fall or lie down on the floor; somebody who lies there gets up instead."""
        if self.posture in (RISK, FALL):
            self._get_up()
            return
        slow = self.rng.random() < 0.5
        if self.posture in (SIT, BED) and self.rng.random() < 0.5:
            spot = self.here().moved(0.7)
        else:
            self._rise()
            spot = self.here()
            if not self.lies_clear(spot):
                self.go(self.floor_spot())
                spot = self.here()
        spot = self.lying_spot(spot)
        if slow:
            name = str(self.rng.choice(["kneel", "all_fours", "sit_floor", "crouch"]))
            self.add(self.rng.uniform(1.0, 2.5), draw_pose(self.rng, name), spot, FALL, "change")
        pose = draw_pose(self.rng, "lie")
        seconds = self.rng.uniform(1.0, 3.5) if slow else self.rng.uniform(0.6, 1.3)
        self.add(seconds, pose, self._head_first(pose, spot), FALL, "change" if slow else "still")
        self.posture = RISK

    def _head_first(self, pose: np.ndarray, spot: Spot) -> Spot:
        """The spot, turned for somebody who lies on the front, so that head and feet stay where they would be."""
        return Spot(spot.x, spot.y, spot.heading + (np.pi if pose[0] > 0 else 0.0), spot.level)

    def _get_up(self) -> None:
        """From the floor over all fours, sitting or kneeling to standing."""
        here = self.here()
        self.add(self.rng.uniform(1.2, 3.5), draw_pose(self.rng, "sit_floor"), here, FALL, "change")
        if self.rng.random() < 0.7:
            name = str(self.rng.choice(["all_fours", "kneel", "crouch"]))
            self.add(self.rng.uniform(1.0, 2.5), draw_pose(self.rng, name), here, FALL, "change")
        self.add(self.rng.uniform(0.8, 2.5), draw_pose(self.rng, "stand"), here, FALL, "change")
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
            self.add(seconds, last.pose, self.here(), BED, "restless", last.base, blanket=covered)
        self.hold(BED)

    def _lie_in_bed(self) -> bool:
        """Walk to a bed and lie down; False where none is free."""
        bed = self.vacant(self.room.beds)
        if bed is None:
            return False
        edge = self._edge(bed)
        self._sit_down(edge)
        if self.rng.random() < 0.6:
            self.add(self.rng.uniform(0.5, 3.0), self.intervals[-1].pose, self.here(), SIT, "restless", seated=1.0)
        pose = draw_pose(self.rng, "lie_side" if self.rng.random() < 0.35 else "lie")
        spot = self._head_first(pose, bed.moved(self.rng.normal(0.05, 0.08), self.rng.normal(0, 0.06)))
        self.add(self.rng.uniform(1.5, 5.0), pose, spot, BEDCHANGE, "change", base=bed.level)
        self.posture = BED
        return True

    def _leave_bed(self) -> None:
        here = self.here()
        edge = self._edge(here)
        self.add(self.rng.uniform(1.5, 5.0), draw_pose(self.rng, "sit"), edge, BEDCHANGE, "change", seated=1.0)
        self.add(self.rng.uniform(0.4, 4.0), self.intervals[-1].pose, edge, SIT, "restless", seated=1.0)
        self.posture = SIT

    def _bed_change(self) -> None:
        if self.posture == BED:
            self._leave_bed()
        else:
            self._lie_in_bed()
