"""All scores of one set of predictions."""

from __future__ import annotations

import math

import numpy as np

from ..annotations.classes import ClassList
from .coco_ap import coco_ap
from .frame_ap import frame_ap, mean_ap
from .persons import Persons, Predictions, f1_scores, match_boxes, person_scores
from .scores import Confusion, Scores, percent, percent_by_name

NO_BOX = "no box"
# Keyframes x classes beyond which COCO AP, which pycocotools computes cell by cell, takes more than about a minute.
COCO_CELLS = 1_000_000


def evaluate_rows(
    truth: Persons,
    predicted: Predictions,
    classes: ClassList,
    action_thresh: float = 0.0,
    group_ties: bool = False,
) -> Scores:
    """All scores of one set of predictions.

    Args:
        truth: annotated persons.
        predicted: scored boxes with the same keyframe codes.
        classes: C classes.
        action_thresh: class scores below it are not detections.
        group_ties: see ``average_precision``.

    Returns:
        all entries but ``missing``, without ``confusion`` where no class is exclusive, without ``mean_f1`` and ``f1``
        where none is independent; AP in ``coco`` is None beyond COCO_CELLS.
    """
    class_names = classes.names
    columns = range(len(class_names))
    wanted, rows = truth.rows(), predicted.rows(action_thresh)
    ap = frame_ap(wanted, rows, columns, group_ties=group_ties)
    partner = match_boxes(truth, predicted)
    found = partner >= 0
    scores = np.zeros(truth.labels.shape)
    scores[found] = predicted.scores[partner[found]]
    keyframes = int(max(truth.keys.max(initial=-1), predicted.keys.max(initial=-1))) + 1
    coco = {"AP": math.nan, "AP50": math.nan}
    if keyframes * len(class_names) <= COCO_CELLS:
        coco = coco_ap(wanted, rows, keyframes, len(class_names), group_ties)
    return {
        "mAP": percent(mean_ap(ap)),
        "ap": percent_by_name(class_names, ap),
        **_exclusive_scores(truth.labels, scores, found, classes),
        **_independent_scores(truth.labels, scores, found, classes),
        "coco": {name: percent(value) for name, value in coco.items()},
    }


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
