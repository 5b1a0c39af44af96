"""Keyframes -> training and validation, and how near the two are."""

from __future__ import annotations

import random

import numpy as np

from .thermal_set import SPLITS, Keyframe


def _by_recording(keyframes: list[Keyframe]) -> dict[str, list[Keyframe]]:
    groups: dict[str, list[Keyframe]] = {}
    for keyframe in sorted(keyframes, key=lambda k: (k.recording, k.timestamp)):
        groups.setdefault(keyframe.recording, []).append(keyframe)
    return groups


def split_random(keyframes: list[Keyframe], val_share: float, seed: int) -> dict[str, list[Keyframe]]:
    """Shuffle the keyframes of each recording in turn; the first share of each is validation."""
    splits: dict[str, list[Keyframe]] = {"train": [], "val": []}
    order = random.Random(seed)
    for group in _by_recording(keyframes).values():
        order.shuffle(group)
        count = int(len(group) * val_share)
        splits["val"] += group[:count]
        splits["train"] += group[count:]
    return splits


def split_recordings(keyframes: list[Keyframe], val_share: float, seed: int) -> dict[str, list[Keyframe]]:
    """Whole recordings, in random order, go to validation while that brings its share nearer to ``val_share``."""
    groups = _by_recording(keyframes)
    names = list(groups)
    random.Random(seed).shuffle(names)
    wanted, count = val_share * len(keyframes), 0
    chosen: set[str] = set()
    for name in names:
        size = len(groups[name])
        if len(chosen) < len(names) - 1 and (not chosen or abs(count + size - wanted) < abs(count - wanted)):
            chosen.add(name)
            count += size
    splits: dict[str, list[Keyframe]] = {"train": [], "val": []}
    for name, group in groups.items():
        splits["val" if name in chosen and len(names) > 1 else "train"] += group
    return splits


def describe_leakage(splits: dict[str, list[Keyframe]], times: dict[str, np.ndarray]) -> list[str]:
    """How close validation is to training: recordings shared, overlapping times, nearest training keyframe."""
    groups = {name: _by_recording(splits[name]) for name in SPLITS}
    shared = sorted(set(groups["train"]) & set(groups["val"]))
    lines = [f"leakage: {len(shared)} of {len(groups['val'])} validation recordings are also training recordings"]
    overlaps = sorted(
        {
            " and ".join(sorted((val, train)))
            for val in groups["val"]
            for train in groups["train"]
            if val != train and times[val][0] <= times[train][-1] and times[train][0] <= times[val][-1]
        }
    )
    if overlaps:
        lines.append(
            f"leakage: recordings overlap in time: {', '.join(overlaps[:4])}"
            + (f" and {len(overlaps) - 4} more" if len(overlaps) > 4 else "")
        )
    distances = [
        min(abs(k.frame_idx - other.frame_idx) for other in groups["train"][name])
        for name in shared
        for k in groups["val"][name]
    ]
    if distances:
        lines.append(
            f"leakage: nearest training keyframe of the same recording a median of {np.median(distances):g} "
            f"frames away (least {min(distances)})"
        )
    else:
        train = np.array([k.timestamp for k in splits["train"]])
        gap = min(np.abs(train - k.timestamp).min() for k in splits["val"])
        lines.append(f"no recording is shared; nearest training keyframe {gap / 1000:.1f} s away")
    return lines
