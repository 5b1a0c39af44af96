"""How far a validation set is from the training set: what a score on it can mean."""

from __future__ import annotations

import numpy as np

from .ava import AVAVideoDataset
from .concat import ConcatDataset
from .thermal_ava import ThermalAVADataset

Dataset = ThermalAVADataset | AVAVideoDataset | ConcatDataset


def split_distance(train: Dataset, val: Dataset) -> str:
    """One line: recordings that both use, time to the nearest training keyframe, recordings that overlap in time.

    Recordings of one thermal sensor may be slices of one stream; frames with the same arrival time are then the same
    frames.
    """
    shared = sorted(set(train.recordings) & set(val.recordings))
    parts = [f"{val.name}: {len(shared)} of its {len(val.recordings)} recordings are in {train.name} too"]
    gaps = nearest_gaps(train, val)
    if len(gaps):
        parts.append(
            f"its keyframes there are a median of {np.median(gaps):g} {val.time_unit} from the nearest "
            f"training keyframe (at least {gaps.min()}, at most {gaps.max()})"
        )
    overlaps = overlapping(train, val) if train.time_unit == val.time_unit == "frames" else {}
    if overlaps:
        pair, frames = max(overlaps.items(), key=lambda item: item[1])
        parts.append(
            f"{len(overlaps)} pairs of different recordings hold the same moments, at most {frames} frames "
            f"({pair[0]} and {pair[1]})"
        )
    if not shared and not overlaps:
        parts.append("nothing of it was trained on")
    return "; ".join(parts) + "."


def nearest_gaps(train: Dataset, val: Dataset) -> np.ndarray:
    """Distance int [n] in ``time_unit`` from each validation keyframe to the nearest training keyframe of its
    recording, for the keyframes whose recording is trained on."""
    gaps = []
    for number, name in enumerate(val.recordings):
        if name not in train.recordings:
            continue
        trained = train.timestamps[train.recording_of == train.recordings.index(name)]
        asked = val.timestamps[val.recording_of == number]
        gaps.append(np.abs(asked[:, None] - trained[None]).min(axis=1))
    return np.concatenate(gaps) if gaps else np.zeros(0, dtype=np.int64)


def overlapping(train: Dataset, val: Dataset) -> dict[tuple[str, str], int]:
    """(training recording, validation recording) of different names -> frames with the same arrival times, where
    at least two frames in a row have them (a single one may be chance)."""
    found = {}
    for trained in train.opened_recordings:
        for asked in val.opened_recordings:
            if trained.name == asked.name or (asked.name, trained.name) in found:
                continue
            _, rows, _ = np.intersect1d(trained.timestamps, asked.timestamps, return_indices=True)
            if (np.diff(np.sort(rows)) == 1).any():
                found[trained.name, asked.name] = len(rows)
    return found
