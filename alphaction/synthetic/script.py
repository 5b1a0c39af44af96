"""Scripts: a person's classes per keyframe become an order of episodes and the steps that play them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import body
from .motion import Step
from .room import BED_LEVEL, Room, Spot

(SIT, STAND, WALK, FLOOR, BED, LEAN, CHANGE, FALL, BEDCHANGE, FOURS, KNEEL, BEND, CROUCH, OTHER) = range(14)

_POSES = {
    SIT: body.SITTING,
    STAND: body.STANDING,
    LEAN: body.LEANING,
    FOURS: body.ALL_FOURS,
    KNEEL: body.KNEELING,
    BEND: body.BENDING,
    CROUCH: body.CROUCHING,
    OTHER: body.ARMS_OUT,
}
_ACTION = {
    SIT: "sit",
    STAND: "stand",
    FLOOR: "lie",
    BED: "lie",
    LEAN: "lean",
    FOURS: "crawl",
    KNEEL: "scrub",
    BEND: "dip",
    CROUCH: "squat",
    OTHER: "wave",
}
_CONTACT = {SIT: 0.5, FLOOR: 1.0, BED: 1.0, KNEEL: 0.3}
# Keyframes per episode, least and most.
_CHUNK = {STAND: (3, 5), FLOOR: (5, 9), BED: (2, 3), CHANGE: (1, 1), FALL: (1, 1), BEDCHANGE: (1, 1), WALK: (1, 2)}
# What tends to come next.
_NEXT = {
    FALL: (FLOOR,),
    FLOOR: (FALL,),
    BEDCHANGE: (BED,),
    BED: (BEDCHANGE,),
    CHANGE: (SIT, KNEEL, CROUCH),
    SIT: (CHANGE, BEDCHANGE),
    KNEEL: (CHANGE, FALL),
    CROUCH: (CHANGE,),
}


@dataclass
class Episode:
    label: int
    slots: int


def order_episodes(labels: list[int], rng: np.random.Generator) -> list[Episode]:
    """Cut the keyframes of each class into episodes and put them into an order in which one leads to the next."""
    waiting: dict[int, list[Episode]] = {}
    for label in sorted(set(labels)):
        left = labels.count(label)
        least, most = _CHUNK.get(label, (2, 2))
        while left:
            slots = min(left, int(rng.integers(least, most + 1)))
            waiting.setdefault(label, []).append(Episode(label, slots))
            left -= slots
    ordered: list[Episode] = []
    while waiting:
        last = ordered[-1].label if ordered else STAND
        wanted = [label for label in _NEXT.get(last, ()) if label in waiting]
        if wanted and rng.random() < 0.8:
            label = int(rng.choice(wanted))
        else:
            others = [label for label in waiting if label != last] or list(waiting)
            label = int(rng.choice(others, p=_by_number(waiting, others)))
        ordered.append(waiting[label].pop())
        if not waiting[label]:
            del waiting[label]
    return ordered


def _by_number(waiting: dict[int, list[Episode]], labels: list[int]) -> np.ndarray:
    numbers = np.array([len(waiting[label]) for label in labels], dtype=float)
    return numbers / numbers.sum()


def hold(rng: np.random.Generator, label: int, spot: Spot, frames: float, pose: np.ndarray | None = None) -> Step:
    """Being in the posture of class ``label`` at a spot; without ``pose`` one of its variants is drawn."""
    return Step(
        _pose(rng, label) if pose is None else pose,
        spot.x,
        spot.y,
        spot.heading,
        frames,
        _ACTION[label],
        covered=float(label == BED),
        contact=_CONTACT.get(label, 0.0),
    )


def _pose(rng: np.random.Generator, label: int) -> np.ndarray:
    if label == FLOOR:
        pose = body.FLOOR_POSES[rng.integers(len(body.FLOOR_POSES))]
        pose = pose + rng.normal(0, 0.03, pose.shape)
    elif label == BED:
        pose = body.ON_BACK if rng.random() < 0.7 else body.CURLED
        pose = pose + np.array([0, 0, BED_LEVEL])
    else:
        pose = _POSES[label]
    return body.mirror(pose) if rng.random() < 0.5 else pose


class Script:
    """Collects the steps of one person in one room."""

    def __init__(self, room: Room, rng: np.random.Generator, keep_away: Spot | None = None) -> None:
        self.room, self.rng, self.keep_away = room, rng, keep_away
        self.posture = STAND
        spot = self._free_spot(None)
        self.steps = [hold(rng, STAND, spot, 8)]

    def add(self, episode: Episode) -> None:
        """Append the steps of one episode, with the way to it."""
        label = episode.label
        if label == WALK:
            self._walk(episode)
        elif label == CHANGE:
            self._change(episode)
        elif label == FALL:
            self._fall(episode)
        elif label == BEDCHANGE:
            self._bed_change(episode)
        else:
            self._go(label, self._spot_for(label))
            stay = hold(self.rng, label, self._here(), 5, self.steps[-1].pose)
            stay.label, stay.slots = label, episode.slots
            self.steps.append(stay)

    # ---- places

    def _here(self) -> Spot:
        last = self.steps[-1]
        return Spot(last.x, last.y, last.heading)

    def _free_spot(self, near: Spot | None, least: float = 0.0, most: float = 1.7) -> Spot:
        reach_x, reach_y = self.room.camera.reach(17, 9.5)
        best, best_score = Spot(0.0, 0.0, 0.0), -np.inf
        for _ in range(40):
            spot = Spot(
                self.rng.uniform(-1, 1) * reach_x, self.rng.uniform(-1, 1) * reach_y, self.rng.uniform(0, 2 * np.pi)
            )
            score = 0.0
            if near is not None:
                distance = _distance(spot, near)
                score -= max(least - distance, 0) + max(distance - most, 0)
            if self.keep_away is not None:
                score -= 2 * max(1.5 - _distance(spot, self.keep_away), 0)
            score -= max(0.9 - _distance(spot, self.room.bed), 0)
            if score > best_score:
                best, best_score = spot, score
            if score == 0:
                break
        return best

    def _spot_for(self, label: int) -> Spot:
        if label in (SIT, LEAN):
            options = self.room.chairs if label == SIT else self.room.supports
            options = sorted(options, key=lambda spot: _distance(spot, self._here()) + self.rng.uniform(0, 1.5))
            return Spot(options[0].x, options[0].y, options[0].heading + self.rng.normal(0, 0.15))
        if label == BED:
            return self.room.bed
        if label == self.posture:
            return self._here()
        if label == FLOOR or self.rng.random() < 0.5:
            here = self._here()
            if self.posture not in (SIT, BED, LEAN) and self._is_free(here):
                turned = Spot(here.x, here.y, here.heading + self.rng.normal(0, 1.0))
                return self._lengthwise(turned) if label == FLOOR else turned
        spot = self._free_spot(self._here(), 0.5, 1.5)
        return self._lengthwise(spot) if label == FLOOR else spot

    def _lengthwise(self, spot: Spot) -> Spot:
        """Where somebody lies down: mostly along the longer side of the room, as in the real recordings."""
        if self.rng.random() > 0.85:
            return spot
        return Spot(spot.x, spot.y, self.rng.choice([0.0, np.pi]) + self.rng.normal(0, 0.45))

    def _is_free(self, spot: Spot) -> bool:
        reach_x, reach_y = self.room.camera.reach(17, 9.5)
        return abs(spot.x) < reach_x and abs(spot.y) < reach_y and _distance(spot, self.room.bed) > 0.9

    # ---- steps

    def _go(self, label: int, spot: Spot) -> None:
        """Without a label: get up where needed, walk, adopt the posture."""
        here = self._here()
        distance = _distance(here, spot)
        if self.posture == label and distance < 0.3:
            return
        if distance > 0.45:
            if self.posture not in (STAND, WALK, OTHER):
                self._adopt(STAND, here, 5)
            way = np.arctan2(spot.y - here.y, spot.x - here.x)
            self.steps.append(Step(body.STANDING, spot.x, spot.y, way, max(4, distance / 1.35 * 6), "walk"))
        self._adopt(label, spot, 5)

    def _adopt(self, label: int, spot: Spot, frames: float) -> Step:
        step = hold(self.rng, label, spot, frames)
        step.action = "change"
        self.steps.append(step)
        self.posture = label
        return step

    def _walk(self, episode: Episode) -> None:
        if self.posture not in (STAND, WALK):
            self._adopt(STAND, self._here(), 5)
        for _ in range(episode.slots):
            here = self._here()
            target = self._free_spot(here, 1.3, 2.2)
            way = np.arctan2(target.y - here.y, target.x - here.x)
            frames = max(7.0, _distance(here, target) / 1.15 * 6)
            self.steps.append(Step(body.STANDING, target.x, target.y, way, frames, "walk", WALK, 1, 0.0))
        self.posture = STAND

    def _label_change(self, label: int, target: int, spot: Spot, frames: tuple[int, int]) -> None:
        step = self._adopt(target, spot, int(self.rng.integers(*frames)))
        step.label, step.slots, step.stretch = label, 1, 0.0

    def _change(self, episode: Episode) -> None:
        for _ in range(episode.slots):
            if self.posture in (SIT, KNEEL, CROUCH, FOURS):
                target, spot = STAND, self._here()
            else:
                target = int(self.rng.choice([SIT, KNEEL, CROUCH], p=[0.5, 0.35, 0.15]))
                spot = self._spot_for(target)
                self._go(STAND, spot)
            self._label_change(CHANGE, target, spot, (9, 12))

    def _fall(self, episode: Episode) -> None:
        for _ in range(episode.slots):
            if self.posture == FLOOR:
                self._label_change(FALL, STAND if self.rng.random() < 0.6 else KNEEL, self._here(), (11, 15))
                continue
            spot = self._here()
            if self.posture in (SIT, BED, LEAN) or not self._is_free(spot):
                spot = self._free_spot(spot, 0.5, 1.5)
                self._go(STAND, spot)
            spot = self._lengthwise(spot)
            self._label_change(FALL, FLOOR, spot, (8, 12))

    def _bed_change(self, episode: Episode) -> None:
        bed = self.room.bed
        for _ in range(episode.slots):
            edge = Spot(bed.x + 0.3 * np.sin(bed.heading), bed.y - 0.3 * np.cos(bed.heading), bed.heading - np.pi / 2)
            if self.posture == BED:
                self._label_change(BEDCHANGE, SIT, edge, (10, 14))
            else:
                self._go(SIT, edge)
                self._label_change(BEDCHANGE, BED, bed, (10, 14))


def _distance(a: Spot, b: Spot) -> float:
    return float(np.hypot(a.x - b.x, a.y - b.y))
