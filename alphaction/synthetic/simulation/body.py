"""Bodies as tapered capsules with a temperature: clothed persons and animals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .skeleton import INDEX

# First joint, second joint, where on the way between them the piece begins and ends, radius in metres at both ends,
# what it is made of.
_Piece = tuple[str, str, float, float, float, float, str]


def _limbs(side: str) -> list[_Piece]:
    s = f"{side}_"
    return [
        (f"{s}shoulder", f"{s}elbow", 0.0, 0.55, 0.060, 0.055, "sleeve"),
        (f"{s}shoulder", f"{s}elbow", 0.55, 1.0, 0.055, 0.048, "sleeve"),
        (f"{s}elbow", f"{s}hand", 0.0, 0.55, 0.047, 0.042, "forearm"),
        (f"{s}elbow", f"{s}hand", 0.55, 0.85, 0.042, 0.036, "forearm"),
        (f"{s}elbow", f"{s}hand", 0.88, 1.12, 0.045, 0.040, "skin"),
        (f"{s}hip", f"{s}knee", 0.0, 0.5, 0.090, 0.078, "thigh"),
        (f"{s}hip", f"{s}knee", 0.5, 1.0, 0.078, 0.064, "thigh"),
        (f"{s}knee", f"{s}ankle", 0.0, 0.5, 0.064, 0.055, "shin"),
        (f"{s}knee", f"{s}ankle", 0.5, 1.0, 0.055, 0.045, "shin"),
        (f"{s}ankle", f"{s}toe", 0.0, 1.0, 0.045, 0.040, "shoe"),
        (f"{s}shoulder", f"{s}hip", 0.08, 0.5, 0.090, 0.082, "trunk"),
        (f"{s}shoulder", f"{s}hip", 0.5, 0.95, 0.082, 0.085, "belly"),
    ]


_PIECES: list[_Piece] = [
    *_limbs("l"),
    *_limbs("r"),
    ("l_shoulder", "r_shoulder", 0.1, 0.9, 0.085, 0.085, "trunk"),
    ("chest", "pelvis", 0.0, 0.55, 0.115, 0.110, "trunk"),
    ("chest", "pelvis", 0.55, 1.0, 0.110, 0.120, "belly"),
    ("l_hip", "r_hip", 0.0, 1.0, 0.098, 0.098, "belly"),
    ("chest", "head", 0.35, 0.7, 0.055, 0.055, "skin"),
    ("head", "head", 0.0, 0.0, 0.100, 0.100, "hair"),
    ("head", "face", 0.7, 1.15, 0.072, 0.060, "skin"),
]
# What a blanket covers before the trunk: all of it, then the arms.
_BLANKETED = {"thigh": 1.0, "shin": 1.0, "shoe": 1.0, "belly": 1.0, "trunk": 0.75, "forearm": 0.6, "sleeve": 0.6}
_SKIN_TEMPERATURE = 33.5


@dataclass(frozen=True)
class Figure:
    """The capsules of one warm being; S of them.

    Attributes:
        first, second: joint of either end, int [S]; along: [S, 2] where between them the ends are.
        radius: [S, 2] metres.
        warmth: [S] share of the way from the ambient to skin temperature.
        blanket: [S] how far a blanket over the body covers the capsule, 0..1.
        size: stature over 1.72 m.
    """

    first: np.ndarray
    second: np.ndarray
    along: np.ndarray
    radius: np.ndarray
    warmth: np.ndarray
    blanket: np.ndarray
    size: float

    def excess(self, ambient: float) -> np.ndarray:
        """°C above the ambient [S]; the contrast shrinks as it gets warm, less so as people then wear less."""
        clothing = np.clip(0.7 + 0.04 * (ambient - 10), 0.7, 1.5)
        return self.warmth * clothing * max(_SKIN_TEMPERATURE - ambient, 1.0)


def draw_person(rng: np.random.Generator, child: bool) -> Figure:
    """Somebody of random stature, girth and clothing."""
    size = rng.uniform(0.5, 0.82) if child else rng.normal(1.0, 0.05)
    girth = float(np.clip(rng.normal(1.05, 0.13), 0.85, 1.5)) * (1.12 if child else 1.0)
    insulation = rng.uniform(0.24, 0.48)
    share = {
        "hair": rng.uniform(0.26, 0.5),
        "skin": rng.uniform(0.5, 0.68),
        "trunk": insulation,
        "belly": insulation * rng.uniform(0.85, 1.1),
        "sleeve": insulation * rng.uniform(0.85, 1.15),
        "thigh": insulation * rng.uniform(0.75, 1.15),
        "shoe": insulation * rng.uniform(0.4, 0.8),
    }
    share["forearm"] = share["skin"] * 0.85 if rng.random() < 0.35 else share["sleeve"]
    share["shin"] = share["skin"] * 0.8 if rng.random() < 0.12 else share["thigh"] * rng.uniform(0.8, 1.0)
    kinds = [piece[6] for piece in _PIECES]
    warmth = np.array([share[kind] for kind in kinds]) * rng.normal(1.0, 0.18, len(kinds))
    radius = np.array([piece[4:6] for piece in _PIECES]) * size
    wide = np.array([kind not in ("hair", "skin", "shoe") for kind in kinds])
    radius[wide] *= girth + (0.15 * rng.random() if rng.random() < 0.4 else 0.0)
    return Figure(
        np.array([INDEX[piece[0]] for piece in _PIECES]),
        np.array([INDEX[piece[1]] for piece in _PIECES]),
        np.array([piece[2:4] for piece in _PIECES]),
        radius,
        warmth,
        np.array([_BLANKETED.get(kind, 0.0) for kind in kinds]),
        float(size),
    )


def draw_pet(rng: np.random.Generator) -> Figure:
    """A cat or a dog; its joints are nose, neck, hips, tail and four paws."""
    length = rng.uniform(0.25, 0.7)
    thick = length * rng.uniform(0.16, 0.22)
    pieces = [(0, 1, 0.75, 0.8), (1, 2, 1.0, 0.95), (2, 3, 0.25, 0.15), (1, 4, 0.35, 0.25), (1, 5, 0.35, 0.25)]
    pieces += [(2, 6, 0.4, 0.25), (2, 7, 0.4, 0.25)]
    count = len(pieces)
    return Figure(
        np.array([piece[0] for piece in pieces]),
        np.array([piece[1] for piece in pieces]),
        np.tile([0.0, 1.0], (count, 1)),
        np.array([piece[2:4] for piece in pieces]) * thick,
        rng.uniform(0.12, 0.3) * rng.normal(1, 0.15, count),
        np.zeros(count),
        length,
    )


@dataclass
class Capsules:
    """Capsules in the world over T frames: ends [T, S, 2, 3], radius [T, S, 2] in metres, temperature [T, S] in °C."""

    ends: np.ndarray
    radius: np.ndarray
    temperature: np.ndarray


def dress(figure: Figure, joints: np.ndarray, blanket: np.ndarray, ambient: float) -> Capsules:
    """Joints [T, J, 3] -> capsules; ``blanket`` [T] in 0..1 says how far one covers the body."""
    along = figure.along[None, :, :, None]
    first, second = joints[:, figure.first, None, :], joints[:, figure.second, None, :]
    ends = first + (second - first) * along
    covered = blanket[:, None] * figure.blanket
    radius = figure.radius * (1 + 0.6 * covered[..., None])
    return Capsules(ends, radius, ambient + figure.excess(ambient) * (1 - 0.8 * covered))
