"""How far a validation set is from the training set, which decides what a score on it means."""

from __future__ import annotations

import numpy as np

from ...recordings.clock import describe_rates
from . import Dataset


def split_distance(train: Dataset, val: Dataset) -> str:
    """One line: recordings that both use, time to the nearest training keyframe, recordings that overlap in time.

    Recordings of one thermal sensor may be slices of one stream; frames with the same arrival time are then the same
    frames.
    """
    shared = sorted(set(train.recordings) & set(val.recordings))
    parts = [f"{val.name}: {len(shared)} of {len(val.recordings)} recordings are also in {train.name}"]
    # Frames of different rates are no common measure.
    rates_differ = bool(describe_rates([found for found in val.opened_recordings if found.name in shared], 1))
    gaps = nearest_gaps(train, val, rates_differ)
    if len(gaps):
        middle, least, most = (
            f"{gap:.1f}" if rates_differ else f"{gap:.15g}" for gap in (np.median(gaps), gaps.min(), gaps.max())
        )
        parts.append(
            f"its keyframes there are a median of {middle} {'seconds' if rates_differ else val.time_unit} from the "
            f"nearest training keyframe (at least {least}, at most {most})"
        )
    overlaps = overlapping(train, val)
    if overlaps:
        pair, frames = max(overlaps.items(), key=lambda item: item[1])
        parts.append(
            f"{len(overlaps)} pairs of different recordings overlap in time, by at most {frames} frames "
            f"({pair[0]} and {pair[1]})"
        )
    if not shared and not overlaps:
        parts.append("no overlap with the training set")
    return "; ".join(parts) + "."


def nearest_gaps(train: Dataset, val: Dataset, seconds: bool = False) -> np.ndarray:
    """Distance from each validation keyframe to the nearest training keyframe of its recording.

    Returns:
        [n] in ``time_unit`` or in seconds, for the keyframes whose recording is trained on.
    """
    train_times, val_times = (data.keyframe_seconds if seconds else data.timestamps for data in (train, val))
    gaps = []
    for number, name in enumerate(val.recordings):
        if name not in train.recordings:
            continue
        trained = train_times[train.recording_of == train.recordings.index(name)]
        tested = val_times[val.recording_of == number]
        gaps.append(np.abs(tested[:, None] - trained[None]).min(axis=1))
    return np.concatenate(gaps) if gaps else np.zeros(0, dtype=np.int64)


def overlapping(train: Dataset, val: Dataset) -> dict[tuple[str, str], int]:
    """Thermal recordings of different names that share frames.

    Returns:
        (training recording, validation recording) -> frames with the same arrival times, where at least two frames in a
        row have them (a single one may be chance).
    """
    found: dict[tuple[str, str], int] = {}
    for trained in train.opened_recordings:
        for tested in val.opened_recordings:
            if trained.name == tested.name or (tested.name, trained.name) in found:
                continue
            _, rows, _ = np.intersect1d(trained.timestamps, tested.timestamps, return_indices=True)
            if (np.diff(np.sort(rows)) == 1).any():
                found[trained.name, tested.name] = len(rows)
    return found
