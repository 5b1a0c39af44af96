"""What each posture looks like, in degrees, with the variety that people have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .skeleton import mirror, pose

# A function that draws evenly between two numbers.
_Uniform = Callable[[float, float], float]
_Limb = tuple[float, float, float]


def draw_pose(rng: np.random.Generator, name: str) -> np.ndarray:
    """A pose [19] of a posture: one of the functions below, varied, and mirrored half of the time."""
    drawn = _POSES[name](rng.uniform)
    spread = 0.10 if name.startswith("lie") else 0.05
    drawn = drawn + rng.normal(0, spread, drawn.shape) * _VARIED
    return mirror(drawn) if rng.random() < 0.5 else drawn


# Which angles vary freely; those of the whole body decide what it rests on.
_VARIED = np.array([0.3, 0.3, 1, 1, 1, 2, 4] + [2, 1.5, 3, 0.7, 1, 0.7] * 2)


def _stand(u: _Uniform) -> np.ndarray:
    arms: _Limb = (u(-5, 20), u(4, 15), u(5, 40))
    other: _Limb = arms if u(0, 1) < 0.5 else (u(0, 60), u(0, 15), u(20, 110))
    return pose(u(-2, 5), u(0, 8), arms, (u(0, 4), u(2, 8), u(0, 5)), other, nod=u(0, 30))


def _sit(u: _Uniform) -> np.ndarray:
    lean = u(-18, 25)
    legs: _Limb = (82 + lean, u(3, 16), u(65, 100))
    other: _Limb = (82 + lean, u(3, 16), u(60, 100))
    return pose(
        lean, u(-5, 22), (u(10, 60), u(4, 22), u(20, 95)), legs, (u(10, 60), u(4, 22), u(20, 95)), other, nod=u(0, 30)
    )


def _lean(u: _Uniform) -> np.ndarray:
    if u(0, 1) < 0.4:
        return pose(u(-16, -8), u(0, 10), (u(5, 40), 5, u(20, 100)), (u(8, 18), 4, u(0, 8)), roll=u(-4, 4))
    forward = u(22, 42)
    return pose(
        forward, u(10, 25), (forward + u(20, 45), u(8, 25), u(0, 40)), (forward + u(-8, 6), u(3, 10), u(2, 12)), nod=-10
    )


def _walk(u: _Uniform) -> np.ndarray:
    return pose(u(2, 8), u(0, 5), (u(-2, 6), u(5, 10), u(10, 35)), (u(2, 5), 2, 6), nod=u(0, 15))


def _kneel(u: _Uniform) -> np.ndarray:
    kind = u(0, 1)
    lean = u(0, 30) if kind < 0.6 else u(30, 65)
    arms: _Limb = (lean + u(0, 50), u(5, 25), u(10, 70))
    if kind < 0.25:
        return pose(
            lean, u(5, 20), arms, (lean + u(80, 92), u(4, 14), u(82, 98)), None, (lean - 4, 5, u(90, 100)), nod=u(0, 25)
        )
    if kind < 0.45:
        return pose(lean, u(5, 25), arms, (lean + u(65, 85), u(4, 14), u(140, 152)), nod=u(0, 25))
    return pose(
        lean,
        u(0, 25),
        arms,
        (lean + u(-4, 12), u(4, 12), u(92, 104)),
        (lean + u(0, 60), u(5, 20), u(5, 70)),
        nod=u(0, 25),
    )


def _bend(u: _Uniform) -> np.ndarray:
    forward = u(40, 80)
    arms: _Limb = (forward + u(0, 40), u(2, 16), u(0, 40))
    return pose(
        forward,
        u(15, 40),
        arms,
        (forward + u(-8, 10), u(3, 12), u(0, 30)),
        (forward + u(0, 40), u(2, 16), u(0, 40)),
        nod=u(-20, 20),
    )


def _crouch(u: _Uniform) -> np.ndarray:
    lean = u(10, 40)
    knee = u(110, 140)
    return pose(
        lean,
        u(10, 30),
        (lean + u(20, 70), u(10, 30), u(10, 70)),
        (lean + knee - u(25, 45), u(8, 25), knee),
        nod=u(-10, 20),
    )


def _all_fours(u: _Uniform) -> np.ndarray:
    lean = u(76, 90)
    return pose(
        lean, u(-8, 10), (u(80, 100), u(2, 12), u(0, 15)), (lean + u(-5, 15), u(3, 12), u(92, 104)), nod=u(-40, 0)
    )


def _sit_floor(u: _Uniform) -> np.ndarray:
    lean = u(-28, 20)
    arms: _Limb = (u(-30, 50), u(5, 25), u(5, 70))
    if u(0, 1) < 0.3:
        return pose(lean, u(5, 25), arms, (lean + u(85, 100), u(35, 55), u(110, 130)))
    return pose(
        lean,
        u(0, 25),
        arms,
        (88 + lean, u(3, 20), u(0, 20)),
        (u(-30, 50), u(5, 25), u(5, 70)),
        (88 + lean + u(0, 40), u(3, 15), u(0, 95)),
    )


def _arms_up(u: _Uniform) -> np.ndarray:
    return pose(u(-3, 6), 0, (u(20, 150), u(30, 100), u(0, 60)), (0, u(2, 14), 3), (u(20, 150), u(30, 100), u(0, 60)))


def _supine_arm(u: _Uniform) -> _Limb:
    kind = u(0, 1)
    if kind < 0.45:
        return (u(0, 12), u(5, 40), u(0, 40))
    if kind < 0.75:
        return (u(0, 15), u(60, 110), u(0, 60))
    return (u(10, 30), u(10, 25), u(80, 110)) if kind < 0.9 else (u(0, 20), u(130, 160), u(0, 30))


def _supine_leg(u: _Uniform) -> _Limb:
    return (u(0, 8), u(2, 20), u(0, 10)) if u(0, 1) < 0.7 else (u(30, 55), u(2, 25), u(70, 110))


def _lie_back(u: _Uniform) -> np.ndarray:
    return pose(-90, u(-3, 10), _supine_arm(u), _supine_leg(u), _supine_arm(u), _supine_leg(u), twist=u(-12, 12))


def _lie_front(u: _Uniform) -> np.ndarray:
    leg: _Limb = (u(0, 5), u(2, 18), u(0, 15))
    other: _Limb = leg if u(0, 1) < 0.6 else (u(20, 50), u(15, 45), u(30, 80))
    arm: _Limb = (u(-5, 8), u(10, 150), u(0, 20))
    return pose(90, u(-5, 3), arm, leg, (u(-5, 8), u(10, 150), u(0, 20)), other, nod=u(-20, 0))


def _lie_side(u: _Uniform) -> np.ndarray:
    curl = u(0, 1)
    leg: _Limb = (10 + 85 * curl + u(-10, 10), u(0, 6), 15 + 90 * curl + u(-10, 15))
    other: _Limb = (leg[0] + u(-25, 25), u(0, 6), leg[2] + u(-20, 20))
    arm: _Limb = (u(20, 110), u(0, 10), u(0, 100))
    return pose(-90, 10 + 35 * curl, arm, leg, (u(20, 110), u(0, 10), u(0, 100)), other, twist=u(70, 95), nod=u(0, 25))


def _lie_propped(u: _Uniform) -> np.ndarray:
    """Half upright on the elbows or against something, legs stretched."""
    raised = u(25, 60)
    arm: _Limb = (u(-40, 20), u(5, 30), u(20, 90))
    return pose(
        -90 + raised,
        u(0, 15),
        arm,
        (raised, u(2, 15), u(0, 15)),
        arm,
        (raised + u(0, 40), u(2, 15), u(0, 80)),
        twist=u(-25, 25),
    )


def _lie(u: _Uniform) -> np.ndarray:
    kind = u(0, 1)
    return (
        _lie_back(u)
        if kind < 0.42
        else _lie_side(u)
        if kind < 0.78
        else _lie_front(u)
        if kind < 0.92
        else _lie_propped(u)
    )


_POSES = {
    "stand": _stand,
    "sit": _sit,
    "lean": _lean,
    "walk": _walk,
    "kneel": _kneel,
    "bend": _bend,
    "crouch": _crouch,
    "all_fours": _all_fours,
    "sit_floor": _sit_floor,
    "arms_up": _arms_up,
    "lie": _lie,
    "lie_side": _lie_side,
}
