"""Scores of persons with known boxes, with intervals: arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

import numpy as np

from .bootstrap import REPLICATES, Resamples, ap_samples, interval, mean_samples, resample, share_samples
from .frame_ap import Ranking, ap_of, mean_ap
from .persons import NO_GROUPS, Groups, MatchedPersons, group_columns, person_scores, right_persons
from .scores import GroupScores, Intervals, percent


class PooledScores(TypedDict, total=False):
    """Scores in percent, None where there is nothing to divide by."""

    mAP: float | None  # mean over the classes with persons
    ap: list[float | None]  # [C]
    top1: float | None
    mean_class_accuracy: float | None
    class_accuracy: list[float | None]  # [C]
    persons: list[int]  # [C]
    groups: GroupScores  # missing without groups
    intervals: Intervals  # missing where there is too little, or too much, to resample


def pooled_scores(
    scores: np.ndarray,
    labels: np.ndarray,
    recordings: Sequence[str] | np.ndarray,
    groups: Groups = NO_GROUPS,
    replicates: int = REPLICATES,
) -> PooledScores:
    """Score persons whose boxes are known, of one test set or of several folds pooled.

    Equal scores are one step of the ranking, as in every evaluation of this package. The numbers are those of
    ``score_fold`` on annotated boxes that do not overlap.

    Args:
        scores: float [N, C], of each person and exclusive class.
        labels: bool [N, C].
        recordings: [N], recording of each person; a single one is resampled by persons.
        groups: name -> columns of a group of classes.
        replicates: bootstrap samples; 0 leaves the intervals out.
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels, bool)
    keys, found = np.arange(len(scores)), np.ones(len(scores), bool)
    ranked = [_ranking(column, truth) for column, truth in zip(scores.T, labels.T, strict=True)]
    ap, persons = ap_of(ranked, group_ties=True), person_scores(labels, scores, found)
    result: PooledScores = {
        "mAP": percent(mean_ap(ap)),
        "ap": [percent(value) for value in ap],
        "top1": percent(persons.top1),
        "mean_class_accuracy": percent(persons.mean_class_accuracy),
        "class_accuracy": [percent(value) for value in persons.class_accuracy],
        "persons": labels.sum(axis=0).tolist(),
    }
    if groups:
        result["groups"] = group_scores(labels, scores, found, groups)
    resamples = resample(recordings, scores.size, replicates) if replicates else None
    if resamples is not None:
        matched = MatchedPersons(labels, scores, found, keys)
        result["intervals"] = score_intervals(ranked, matched, range(labels.shape[1]), groups, resamples)
    return result


def group_scores(labels: np.ndarray, scores: np.ndarray, found: np.ndarray, groups: Groups) -> GroupScores:
    """Scores of groups of classes; see ``person_scores`` for the arguments."""
    persons = person_scores(*group_columns(labels, scores, groups), found)
    accuracy = {name: percent(value) for name, value in zip(groups, persons.class_accuracy, strict=True)}
    return {"top1": percent(persons.top1), "balanced": percent(persons.mean_class_accuracy), "accuracy": accuracy}


def score_intervals(
    ranked: Iterable[Ranking], persons: MatchedPersons, columns: Sequence[int], groups: Groups, resamples: Resamples
) -> Intervals:
    """The intervals of all scores.

    Args:
        ranked: of each class.
        persons: annotated persons.
        columns: of the exclusive classes; without any, there are only intervals of AP.
        groups: columns of groups of these.
        resamples: bootstrap samples.
    """
    replicates, units = resamples.counts.shape
    ap = mean_samples(np.column_stack([ap_samples(ranking, resamples) for ranking in ranked]))
    result: Intervals = {"unit": resamples.unit, "units": units, "replicates": replicates, "mAP": interval(ap)}
    labels, scores, found, keys = persons
    if columns:
        exclusive = MatchedPersons(labels[:, columns], scores[:, columns], found, keys)
        result["top1"], result["mean_class_accuracy"] = _person_intervals(exclusive, resamples)
    if groups:
        grouped = MatchedPersons(*group_columns(labels, scores, groups), found, keys)
        result["group_top1"], result["group_balanced"] = _person_intervals(grouped, resamples)
    return result


def _person_intervals(persons: MatchedPersons, resamples: Resamples) -> tuple[list[float] | None, list[float] | None]:
    """Of top-1 and mean class accuracy."""
    labels, scores, found, keys = persons
    best_is_right, right = right_persons(labels, scores, found)
    top1 = share_samples(best_is_right[:, None], np.any(labels, axis=1, keepdims=True), keys, resamples)
    return interval(top1[:, 0]), interval(mean_samples(share_samples(right, labels, keys, resamples)))


def _ranking(scores: np.ndarray, truth: np.ndarray) -> Ranking:
    """Persons of one class, each with its own box."""
    order = np.argsort(-scores, kind="stable")
    return Ranking(order, scores[order], truth[order], np.flatnonzero(truth))
