"""How many persons of each class a synthetic set has, and which recording shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUM_CLASSES = 14
STANDING, FLOOR = 1, 3
# Persons of each class in the real set.
REAL_COUNTS = {
    "train": (8, 123, 10, 220, 3, 0, 11, 8, 1, 0, 12, 6, 3, 0),
    "val": (0, 25, 4, 52, 2, 0, 4, 2, 0, 0, 3, 3, 0, 0),
}
KEYFRAMES = {"train": 314, "val": 73}
LEAST = {"train": 8, "val": 4}
VAL_RECORDINGS = ("SY14_R4", "SY18_R4")
RECORDINGS = tuple(f"SY{day}_R{index}" for day in (14, 18) for index in (1, 2, 3, 4))
# Keyframes of each recording: split by recording, and as in the real set (where 20 % of each are validation).
_KEYFRAMES_BY_RECORDING = (52, 52, 52, 37, 53, 53, 52, 36)
_KEYFRAMES_RANDOM = (46, 46, 42, 37, 54, 54, 54, 54)


@dataclass
class RecordingPlan:
    """What one recording shows: class per keyframe of the first person, and of the second while present."""

    name: str
    split: str | None
    first: list[int]
    second: list[int]

    @property
    def stormy(self) -> bool:
        """True where packets are lost and the lens rim is warm (the first four recordings)."""
        return "14" in self.name.split("_")[0]


def class_counts(split: str, real: bool) -> np.ndarray:
    """Persons per class int [14]: the real ones, or at least 8 (train) or 4 (val) and the rest in real proportion."""
    counts = np.array(REAL_COUNTS[split])
    if real:
        return counts
    total = counts.sum()
    proportion = np.add(REAL_COUNTS["train"], REAL_COUNTS["val"]) / 500
    rest = total - NUM_CLASSES * LEAST[split]
    share = np.floor(rest * proportion).astype(int)
    missing = rest - share.sum()
    share[np.argsort(share - rest * proportion, kind="stable")[:missing]] += 1
    return LEAST[split] + share


def plan_recordings(rng: np.random.Generator, real_counts: bool, random_split: bool) -> list[RecordingPlan]:
    """Distribute the persons of all classes over the recordings and their keyframes."""
    if random_split:
        counts = class_counts("train", real_counts) + class_counts("val", real_counts)
        return _share(rng, RECORDINGS, _KEYFRAMES_RANDOM, counts, None)
    plans = []
    sizes = dict(zip(RECORDINGS, _KEYFRAMES_BY_RECORDING, strict=True))
    for split in ("train", "val"):
        names = [name for name in RECORDINGS if (name in VAL_RECORDINGS) == (split == "val")]
        plans += _share(rng, names, [sizes[n] for n in names], class_counts(split, real_counts), split)
    return sorted(plans, key=lambda plan: RECORDINGS.index(plan.name))


def _share(
    rng: np.random.Generator, names: Sequence[str], sizes: Sequence[int], counts: np.ndarray, split: str | None
) -> list[RecordingPlan]:
    counts = counts.copy()
    plans = [RecordingPlan(name, split, [], []) for name in names]
    for plan, second in zip(plans, _second_persons(counts.sum() - sum(sizes), plans), strict=True):
        lying = int(round(second * rng.uniform(0.2, 0.45)))
        lying = int(np.clip(lying, second - counts[STANDING], counts[FLOOR]))  # as many as there are of each
        plan.second = [STANDING] * (second - lying) + [FLOOR] * lying
        counts[STANDING] -= second - lying
        counts[FLOOR] -= lying
    for label in np.argsort(counts, kind="stable"):
        for _ in range(counts[label]):
            open_plans = [i for i, plan in enumerate(plans) if len(plan.first) < sizes[i]]
            best = min(open_plans, key=lambda i: (plans[i].first.count(label) / sizes[i], rng.random()))
            plans[best].first.append(int(label))
    return plans


def _second_persons(total: int, plans: list[RecordingPlan]) -> list[int]:
    """Keyframes with a second person per recording: more of them on the first day, as in the real set."""
    weights = np.array([3.0 if plan.stormy else 1.0 for plan in plans])
    share = np.floor(total * weights / weights.sum()).astype(int)
    for index in range(total - share.sum()):
        share[index % len(share)] += 1
    return share.tolist()
