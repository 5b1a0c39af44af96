"""All scores of one set of predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..annotations.classes import ClassList
from .bootstrap import resample
from .coco_ap import coco_ap
from .frame_ap import ap_of, mean_ap, rankings_of_scores
from .persons import NO_GROUPS, Groups, Persons, Predictions, f1_scores, match_scores, person_scores
from .pooled_scores import group_scores, score_intervals
from .scores import Confusion, Scores, percent, percent_by_name

NO_BOX = "no box"
# Keyframes x classes beyond which COCO AP, which pycocotools computes cell by cell, takes more than about a minute.
COCO_CELLS = 1_000_000


def evaluate_rows(
    truth: Persons,
    predicted: Predictions,
    classes: ClassList,
    groups: Groups = NO_GROUPS,
    recordings: Sequence[str] | np.ndarray | None = None,
) -> Scores:
    """All scores of one set of predictions, of a model or a baseline alike.

    Args:
        truth: annotated persons.
        predicted: scored boxes with the same keyframe codes.
        classes: C classes.
        groups: columns of groups of exclusive classes.
        recordings: [K], recording of each keyframe, for ``intervals``; None leaves these out.

    Returns:
        all entries but ``missing``, without ``confusion`` where no class is exclusive, without ``groups`` where there
        are none, without ``mean_f1`` and ``f1`` where no class is independent, without ``intervals`` where nothing can
        be resampled; AP in ``coco`` is None beyond COCO_CELLS.
    """
    names, wanted = classes.names, truth.rows()
    # Columns are numbered from 1 there, as AVA's ids.
    ranked = list(rankings_of_scores(wanted._replace(classes=wanted.classes + 1), *predicted, range(1, len(names) + 1)))
    ap = ap_of(ranked, group_ties=True)
    persons = match_scores(truth, predicted)
    labels, scores, found, _ = persons
    result: Scores = {
        "mAP": percent(mean_ap(ap)),
        "ap": percent_by_name(names, ap),
        **_exclusive_scores(labels, scores, found, classes),
        **_independent_scores(labels, scores, found, classes),
        "coco": _coco(truth, predicted, len(names)),
    }
    if groups:
        result["groups"] = group_scores(labels, scores, found, groups)
    resamples = None if recordings is None else resample(recordings, predicted.scores.size)
    if resamples is not None:
        result["intervals"] = score_intervals(ranked, persons, classes.exclusive_columns, groups, resamples)
    return result


def _coco(truth: Persons, predicted: Predictions, classes: int) -> dict[str, float | None]:
    keyframes = int(max(truth.keys.max(initial=-1), predicted.keys.max(initial=-1))) + 1
    coco = {"AP": math.nan, "AP50": math.nan}
    if keyframes * classes <= COCO_CELLS:
        coco = coco_ap(truth.rows(), predicted.rows(), keyframes, classes)
    return {name: percent(value) for name, value in coco.items()}


def _exclusive_scores(labels: np.ndarray, scores: np.ndarray, found: np.ndarray, classes: ClassList) -> Scores:
    columns = classes.exclusive_columns
    names = [classes.names[column] for column in columns]
    persons = person_scores(labels[:, columns], scores[:, columns], found)
    results: Scores = {
        "top1": percent(persons.top1),
        "mean_class_accuracy": percent(persons.mean_class_accuracy),
        "class_accuracy": percent_by_name(names, persons.class_accuracy),
    }
    confusion: Confusion = {"rows": names, "columns": [*names, NO_BOX], "counts": persons.confusion.tolist()}
    if names:
        results["confusion"] = confusion
    return results


def _independent_scores(labels: np.ndarray, scores: np.ndarray, found: np.ndarray, classes: ClassList) -> Scores:
    columns = classes.independent_columns
    if not columns:
        return {}
    f1 = f1_scores(labels[:, columns], scores[:, columns], found)
    return {
        "mean_f1": percent(mean_ap(f1)),
        "f1": percent_by_name([classes.names[column] for column in columns], f1),
    }
