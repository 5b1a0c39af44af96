"""A jointed skeleton: angles -> joints, with limbs of constant length.

A pose is a vector of angles. In the body's own frame x points forward, y to the left and z up; the origin is the
pelvis. The trunk's angles come first, then those of the left and of the right arm and leg.
"""

from __future__ import annotations

import numpy as np

JOINTS = (
    *("head", "face", "chest", "pelvis"),
    *("l_shoulder", "r_shoulder", "l_elbow", "r_elbow", "l_hand", "r_hand"),
    *("l_hip", "r_hip", "l_knee", "r_knee", "l_ankle", "r_ankle", "l_toe", "r_toe"),
)
INDEX = {name: index for index, name in enumerate(JOINTS)}

# Angles of a pose, radians. pitch: the whole body leans forward. roll: to the left. twist: turns about its own length.
# bend, side: chest against pelvis. nod, gaze: head against chest. Of each side: shoulder forward and outward, elbow,
# hip forward and outward, knee.
_TRUNK = ("pitch", "roll", "twist", "bend", "side", "nod", "gaze")
_SIDE = ("shoulder", "outward", "elbow", "hip", "spread", "knee")
ANGLES = _TRUNK + tuple(f"{side}_{name}" for side in "lr" for name in _SIDE)
ANGLE = {name: index for index, name in enumerate(ANGLES)}

# Metres, of a person of 1.72 m.
_SPINE, _NECK, _UPPER_ARM, _LOWER_ARM, _THIGH, _SHIN, _FOOT = 0.46, 0.24, 0.29, 0.31, 0.43, 0.42, 0.15
_SHOULDER, _HIP = 0.18, 0.09
# How far a joint is above what it rests on, metres.
_CLEARANCE = dict(head=0.10, face=0.03, chest=0.10, pelvis=0.10, shoulder=0.08, elbow=0.045, hand=0.035, hip=0.09)
_CLEARANCE |= dict(knee=0.055, ankle=0.05, toe=0.03)
CLEARANCE = np.array([_CLEARANCE[name.split("_")[-1]] for name in JOINTS])


def pose(
    pitch: float = 0.0,
    bend: float = 0.0,
    arms: tuple[float, float, float] = (5, 8, 15),
    legs: tuple[float, float, float] = (0, 3, 2),
    right_arm: tuple[float, float, float] | None = None,
    right_leg: tuple[float, float, float] | None = None,
    roll: float = 0.0,
    twist: float = 0.0,
    nod: float = 0.0,
) -> np.ndarray:
    """A pose [19] in radians from degrees; the right side is as the left one unless given."""
    angles = [pitch, roll, twist, bend, 0.0, nod, 0.0, *arms, *legs, *(right_arm or arms), *(right_leg or legs)]
    return np.radians(angles)


def mirror(angles: np.ndarray) -> np.ndarray:
    """The same pose with left and right exchanged."""
    swapped = np.concatenate([angles[..., :7], angles[..., 13:], angles[..., 7:13]], axis=-1)
    swapped[..., [ANGLE["roll"], ANGLE["twist"], ANGLE["side"], ANGLE["gaze"]]] *= -1
    return swapped


def joints(angles: np.ndarray, size: float) -> np.ndarray:
    """Poses [T, 19] -> joints [T, J, 3] in metres about the pelvis; ``size`` is the stature over 1.72 m."""
    column = {name: angles[:, index] for name, index in ANGLE.items()}
    root = _about_y(column["pitch"]) @ _about_x(-column["roll"]) @ _about_z(column["twist"])
    chest_axes = root @ _about_y(column["bend"]) @ _about_x(-column["side"])
    head_axes = chest_axes @ _about_y(column["nod"]) @ _about_z(column["gaze"])
    found = np.zeros((len(angles), len(JOINTS), 3))
    half = (root @ _about_y(column["bend"] / 2)) @ np.array([0, 0, _SPINE])
    found[:, INDEX["chest"]] = half
    found[:, INDEX["head"]] = half + head_axes @ np.array([0.02, 0, _NECK])
    found[:, INDEX["face"]] = half + head_axes @ np.array([0.085, 0, _NECK - 0.01])
    for side, sign in (("l", 1.0), ("r", -1.0)):
        get = {name: column[f"{side}_{name}"] for name in _SIDE}
        shoulder = half + chest_axes @ np.array([0, sign * _SHOULDER, -0.02])
        upper = _direction(get["shoulder"], sign * get["outward"])
        lower = _direction(get["shoulder"] + get["elbow"], sign * (get["outward"] * 0.8 - 0.25 * get["elbow"]))
        elbow = shoulder + _turn(chest_axes, upper) * _UPPER_ARM
        hand = elbow + _turn(chest_axes, lower) * _LOWER_ARM
        hip = root @ np.array([0, sign * _HIP, -0.02])
        shin_angle = get["hip"] - get["knee"]
        knee = hip + _turn(root, _direction(get["hip"], sign * get["spread"])) * _THIGH
        ankle = knee + _turn(root, _direction(shin_angle, sign * get["spread"])) * _SHIN
        # The foot is flat under a vertical shin, and stretched where the shin points backward.
        flat = shin_angle - np.maximum(-shin_angle, 0) + np.pi / 2
        toe = ankle + _turn(root, _direction(flat, sign * get["spread"])) * _FOOT
        for name, point in (
            *(("shoulder", shoulder), ("elbow", elbow), ("hand", hand)),
            *(("hip", hip), ("knee", knee), ("ankle", ankle), ("toe", toe)),
        ):
            found[:, INDEX[f"{side}_{name}"]] = point
    return found * size


def _direction(forward: np.ndarray, outward: np.ndarray) -> np.ndarray:
    """Unit vectors [T, 3] of a limb that hangs down at zero angles."""
    return np.stack([np.sin(forward), np.sin(outward) * np.cos(forward), -np.cos(forward) * np.cos(outward)], axis=-1)


def _turn(axes: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.einsum("tij,tj->ti", axes, vectors)


def _about_x(angle: np.ndarray) -> np.ndarray:
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([one, zero, zero, zero, c, -s, zero, s, c], axis=-1).reshape(-1, 3, 3)


def _about_y(angle: np.ndarray) -> np.ndarray:
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([c, zero, s, zero, one, zero, -s, zero, c], axis=-1).reshape(-1, 3, 3)


def _about_z(angle: np.ndarray) -> np.ndarray:
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([c, -s, zero, s, c, zero, zero, zero, one], axis=-1).reshape(-1, 3, 3)
