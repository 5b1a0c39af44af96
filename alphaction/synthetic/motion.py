"""From steps (adopt a posture, stay, walk) to the joints of a person in every frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from . import body
from .sensor import FPS

# (poses, place, seconds, ramp, phase, rng), of which poses and place are changed in place.
_Action = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float, np.random.Generator], None]


@dataclass
class Step:
    """From where the previous step ended to ``pose`` at (x, y, heading), doing ``action`` meanwhile.

    Lasts ``frames`` plus ``slots * stretch`` times the spacing of keyframes; ``slots`` keyframes of class ``label``
    lie in it.
    ``covered`` and ``contact`` (0..1) hold at its end: blanket over the legs, body on floor or bed.
    """

    pose: np.ndarray
    x: float
    y: float
    heading: float
    frames: float
    action: str = "change"
    label: int | None = None
    slots: int = 0
    stretch: float = 1.0
    covered: float = 0.0
    contact: float = 0.0


@dataclass
class Track:
    """A person over time: world joints [T, 15, 3], blanket [T], contact [T] and the keyframes (frame, class, step)."""

    joints: np.ndarray
    covered: np.ndarray
    contact: np.ndarray
    keyframes: list[tuple[int, int, int]]


def play(steps: list[Step], lengths: np.ndarray, size: float, rng: np.random.Generator) -> Track:
    """Joints for steps of ``lengths`` frames each (int [S], the first is where the recording begins)."""
    total = int(lengths.sum())
    ends = np.cumsum(lengths)
    poses = np.empty((total, 15, 3))
    place = np.empty((total, 3))
    covered, contact = np.empty(total), np.empty(total)
    keyframes: list[tuple[int, int, int]] = []
    previous = steps[0]
    for index, (step, end) in enumerate(zip(steps, ends, strict=True)):
        count = int(lengths[index])
        span = slice(end - count, end)
        linear = np.arange(1, count + 1) / max(count, 1)
        smooth = linear * linear * (3 - 2 * linear)
        blend = np.clip(linear * 3, 0, 1) if step.action == "walk" else smooth
        poses[span] = previous.pose + blend[:, None, None] * (step.pose - previous.pose)
        turn = (step.heading - previous.heading + np.pi) % (2 * np.pi) - np.pi
        steer = np.clip(linear * 2.5, 0, 1) if step.action == "walk" else smooth
        travel = linear if step.action == "walk" else smooth
        place[span, 0] = previous.x + travel * (step.x - previous.x)
        place[span, 1] = previous.y + travel * (step.y - previous.y)
        place[span, 2] = previous.heading + steer * turn
        covered[span] = previous.covered + smooth * (step.covered - previous.covered)
        contact[span] = previous.contact + smooth * (step.contact - previous.contact)
        _act(poses[span], place[span], step.action, rng)
        for slot in range(step.slots):
            assert step.label is not None, "a step with keyframes has a class"
            at = end - count + (slot + 0.5) / step.slots * count + rng.uniform(-0.6, 0.6)
            keyframes.append((int(np.clip(at, end - count, end - 1)), step.label, index))
        step.heading = previous.heading + turn
        previous = step
    return Track(_to_world(poses, place, size), covered, contact, keyframes)


def _to_world(poses: np.ndarray, place: np.ndarray, size: float) -> np.ndarray:
    cos, sin = np.cos(place[:, 2, None]), np.sin(place[:, 2, None])
    joints = poses * size
    x, y = joints[..., 0].copy(), joints[..., 1].copy()
    joints[..., 0] = place[:, 0, None] + cos * x - sin * y
    joints[..., 1] = place[:, 1, None] + sin * x + cos * y
    return joints


def _wander(rng: np.random.Generator, count: int, shape: tuple[int, ...], slow: float, size: float) -> np.ndarray:
    """Smooth random offsets [count, *shape] with standard deviation ``size``."""
    raw = rng.standard_normal((count + 12, int(np.prod(shape))))
    smooth = cv2.GaussianBlur(raw, (1, 0), sigmaX=0, sigmaY=slow, borderType=cv2.BORDER_REFLECT)
    return smooth[6 : 6 + count].reshape(count, *shape) * size * np.sqrt(2 * slow * np.sqrt(np.pi))


def _act(poses: np.ndarray, place: np.ndarray, action: str, rng: np.random.Generator) -> None:
    """Add what a person does during a step to poses [n, 15, 3] and place [n, 3], in place."""
    count = len(poses)
    if not count:
        return
    seconds = np.arange(count) / FPS
    ramp = np.minimum(1, np.minimum(np.arange(count) + 1, count - np.arange(count)) / 3)
    phase = rng.uniform(0, 2 * np.pi)
    _ACTIONS[action](poses, place, seconds, ramp, phase, rng)


def _walk(
    poses: np.ndarray,
    place: np.ndarray,
    seconds: np.ndarray,
    ramp: np.ndarray,
    phase: float,
    rng: np.random.Generator,
) -> None:
    swing = np.sin(2 * np.pi * 1.05 * seconds + phase) * np.minimum(1, ramp + 0.4)
    for joints, reach in (
        ((body.LFO, body.RFO), 0.30),
        ((body.LKN, body.RKN), 0.17),
        ((body.RHA, body.LHA), 0.27),
        ((body.REL, body.LEL), 0.12),
    ):
        poses[:, joints[0], 0] += reach * swing
        poses[:, joints[1], 0] -= reach * swing
    place[:, :2] += _wander(rng, len(poses), (2,), 2, 0.02)


def _wave(
    poses: np.ndarray,
    place: np.ndarray,
    seconds: np.ndarray,
    ramp: np.ndarray,
    phase: float,
    rng: np.random.Generator,
) -> None:
    """Exercise: arms go from half stretched out to overhead and back while the trunk turns."""
    place[:, 2] += 0.8 * np.sin(2 * np.pi * 0.4 * seconds + phase) * np.minimum(1, ramp + 0.3)
    lift = 0.5 * (1 - np.cos(2 * np.pi * 0.55 * seconds + phase)) * np.minimum(1, ramp + 0.3)
    for hand, elbow, side in ((body.LHA, body.LEL, 1), (body.RHA, body.REL, -1)):
        poses[:, hand, 1] -= side * 0.34 * lift
        poses[:, hand, 2] += 0.35 * lift
        poses[:, elbow, 1] -= side * 0.15 * lift
        poses[:, elbow, 2] += 0.22 * lift
    place[:, :2] += _wander(rng, len(poses), (2,), 2, 0.02)


def _scrub(
    poses: np.ndarray,
    place: np.ndarray,
    seconds: np.ndarray,
    ramp: np.ndarray,
    phase: float,
    rng: np.random.Generator,
) -> None:
    """Hands work on the floor in front, the trunk rocks along."""
    stroke = np.sin(2 * np.pi * 0.8 * seconds + phase) * ramp
    poses[:, [body.LHA, body.RHA], 0] += 0.20 * stroke[:, None]
    poses[:, [body.LEL, body.REL], 0] += 0.11 * stroke[:, None]
    poses[:, [body.HEAD, body.CHEST, body.LSH, body.RSH], 0] += 0.08 * stroke[:, None]
    poses += _wander(rng, len(poses), (15, 3), 3, 0.01)


def _dip(
    poses: np.ndarray,
    place: np.ndarray,
    seconds: np.ndarray,
    ramp: np.ndarray,
    phase: float,
    rng: np.random.Generator,
) -> None:
    """Bending down to the floor and half up again."""
    rise = 0.30 * (1 - np.cos(2 * np.pi * seconds / 2.6 + phase)) * ramp
    upper = [body.HEAD, body.CHEST, body.LSH, body.RSH, body.LEL, body.REL, body.LHA, body.RHA]
    poses[:, upper] += rise[:, None, None] * (body.STANDING[upper] - poses[:, upper])
    poses[:, [body.LHA, body.RHA], 2] -= 0.25 * ramp[:, None] * (0.60 - rise[:, None])
    poses += _wander(rng, len(poses), (15, 3), 2, 0.012)


def _crawl(
    poses: np.ndarray,
    place: np.ndarray,
    seconds: np.ndarray,
    ramp: np.ndarray,
    phase: float,
    rng: np.random.Generator,
) -> None:
    """Forward and back on hands and knees."""
    forward = 0.28 * np.sin(2 * np.pi * seconds / 4.5 + phase) * ramp
    place[:, 0] += forward * np.cos(place[:, 2])
    place[:, 1] += forward * np.sin(place[:, 2])
    swing = 0.12 * np.sin(2 * np.pi * seconds + phase) * ramp
    for joint, sign in ((body.LHA, 1), (body.RKN, 1), (body.RHA, -1), (body.LKN, -1)):
        poses[:, joint, 0] += sign * swing


def _stay(limbs: float, whole: float) -> _Action:
    """Staying in place: limbs wander by ``limbs`` metres, the whole body by ``whole``."""

    def act(
        poses: np.ndarray,
        place: np.ndarray,
        seconds: np.ndarray,
        ramp: np.ndarray,
        phase: float,
        rng: np.random.Generator,
    ) -> None:
        poses += ramp[:, None, None] * _wander(rng, len(poses), (15, 3), 4, 0.15 * limbs)
        moving = [body.LHA, body.RHA, body.LEL, body.REL, body.HEAD]
        poses[:, moving] += ramp[:, None, None] * _wander(rng, len(poses), (5, 3), 3, limbs)
        place[:, :2] += ramp[:, None] * _wander(rng, len(poses), (2,), 5, whole)

    return act


_ACTIONS = {
    "change": _stay(0.01, 0.0),
    "walk": _walk,
    "wave": _wave,
    "scrub": _scrub,
    "dip": _dip,
    "crawl": _crawl,
    "stand": _stay(0.03, 0.025),
    "sit": _stay(0.05, 0.008),
    "lean": _stay(0.015, 0.006),
    "squat": _stay(0.035, 0.02),
    "lie": _stay(0.03, 0.004),
    "away": _stay(0.0, 0.0),
}
