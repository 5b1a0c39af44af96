"""Bootstrap over whole recordings: how far the scores would move on another test set like this one.

Persons of one recording resemble each other, so whole recordings are drawn with replacement; a single recording is
resampled by its keyframes. Percentile intervals after Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .frame_ap import Ranking

REPLICATES = 1000
# Fewer say little about the ends of an interval.
LEAST_REPLICATES = 100
# Detections x replicates that are counted in about three seconds.
BUDGET = 400_000_000
# Detections x replicates at a time.
_AT_ONCE = 1 << 20
_SEED = 0


class Resamples(NamedTuple):
    """Bootstrap samples of a test set.

    Attributes:
        unit: "recordings" or "keyframes".
        unit_of: int64 [K], unit of each keyframe.
        counts: float32 [B, U], how often each sample has each unit.
    """

    unit: str
    unit_of: np.ndarray
    counts: np.ndarray


def resample(recordings: Sequence[str] | np.ndarray, detections: int, replicates: int = REPLICATES) -> Resamples | None:
    """Draw bootstrap samples, the same for equal arguments.

    Args:
        recordings: [K], recording of each keyframe.
        detections: rows that each sample counts; beyond BUDGET / REPLICATES of them there are fewer samples.
        replicates: samples to draw at most.

    Returns:
        None for fewer than two keyframes, or where fewer than LEAST_REPLICATES samples are within the budget.
    """
    replicates = min(replicates, BUDGET // max(detections, len(recordings), 1))
    if len(recordings) < 2 or replicates < LEAST_REPLICATES:
        return None
    names, unit_of = np.unique(recordings, return_inverse=True)
    unit, units, unit_of = "recordings", len(names), unit_of.reshape(-1)
    if units == 1:
        unit, units, unit_of = "keyframes", len(recordings), np.arange(len(recordings))
    rng = np.random.default_rng(_SEED)
    counts = [np.bincount(rng.integers(units, size=units), minlength=units) for _ in range(replicates)]
    return Resamples(unit, unit_of, np.array(counts, np.float32))


def ap_samples(ranking: Ranking, resamples: Resamples) -> np.ndarray:
    """AP of one class in each bootstrap sample, float64 [B], NaN in samples without ground truth.

    A person, and a detection, counts as often as its unit was drawn. Equal scores are one step.
    """
    counts = resamples.counts
    truth = counts @ np.bincount(resamples.unit_of[ranking.truth_keys], minlength=counts.shape[1]).astype(np.float32)
    starts, last = _steps(ranking)
    result = np.where(truth > 0, 0.0, np.nan)
    if not last:
        return result
    units, hits = resamples.unit_of[ranking.keys[:last]], ranking.hits[:last]
    hit_units, hit_starts = units[hits], np.searchsorted(np.flatnonzero(hits), starts)
    size = max(_AT_ONCE // last, 1)
    for begin in range(0, len(counts), size):
        part = slice(begin, begin + size)
        seen = np.add.reduceat(counts[part][:, units], starts, axis=1).cumsum(axis=1)
        found = np.add.reduceat(counts[part][:, hit_units], hit_starts, axis=1).cumsum(axis=1)
        precision = np.divide(found, seen, out=np.zeros(found.shape), where=seen > 0, dtype=np.float64)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        area = (np.diff(found, axis=1, prepend=0.0) * envelope).sum(axis=1)
        np.divide(area, truth[part], out=result[part], where=truth[part] > 0)
    return result


def _steps(ranking: Ranking) -> tuple[np.ndarray, int]:
    """Starts [S] of the parts of a ranking that end with a step of equal scores that has a hit, and the end of the last
    part: the precision elsewhere is not on the envelope."""
    ends = np.flatnonzero(np.append(ranking.scores[1:] != ranking.scores[:-1], True)[: len(ranking.scores)]) + 1
    ends = np.unique(ends[np.searchsorted(ends, np.flatnonzero(ranking.hits), side="right")])
    return np.append(0, ends[:-1]), int(ends[-1]) if len(ends) else 0


def share_samples(right: np.ndarray, total: np.ndarray, keys: np.ndarray, resamples: Resamples) -> np.ndarray:
    """Shares in each bootstrap sample, float64 [B, C], NaN in samples without a person.

    Args:
        right: bool [N, C], where a person is right.
        total: bool [N, C], where it counts.
        keys: int [N], keyframe of each person.
        resamples: bootstrap samples.
    """
    unit_of, units = resamples.unit_of[keys], resamples.counts.shape[1]
    sums = np.zeros((2, units, right.shape[1]), np.float32)
    for sum_of, values in zip(sums, (right, total), strict=True):
        np.add.at(sum_of, unit_of, values)
    hits, persons = resamples.counts @ sums[0], resamples.counts @ sums[1]
    return np.divide(hits, persons, out=np.full(hits.shape, np.nan), where=persons > 0, dtype=np.float64)


def mean_samples(samples: np.ndarray) -> np.ndarray:
    """Mean [B] of samples [B, C] over the classes that each has, NaN where it has none."""
    present = ~np.isnan(samples)
    count = present.sum(axis=1)
    sums = np.where(present, samples, 0.0).sum(axis=1)
    return np.divide(sums, count, out=np.full(len(samples), np.nan), where=count > 0)


def interval(samples: np.ndarray) -> list[float] | None:
    """Ends of the 95 % interval of samples [B] in percent; None where no sample has a value."""
    known = samples[~np.isnan(samples)]
    return (100 * np.percentile(known, [2.5, 97.5])).tolist() if len(known) else None
