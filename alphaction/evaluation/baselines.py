"""Baselines: simple scores that a network has to exceed to be worth its cost. All but ``numbers`` need no image.

Each baseline gives class scores to the same boxes as the model and is evaluated in the same way.

constant   class frequencies of the training persons, the same for every box
recording  class frequencies of the training persons of the same recording
nearest    labels of the training persons close in time and place in the same recording
forest     random forest on the five box numbers (center, width, height, area)
numbers    random forest on the numbers of ``person_numbers``; thermal sets only

All but ``numbers`` are computed by ``baseline_scores``. ``results.baselines_of`` collects the training persons,
``results.with_baselines`` chooses the boxes to score. A box whose recording has no training person gets the constant
scores in ``recording`` and ``nearest``.
"""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

import numpy as np

from .frame_ap import box_iou

BASELINES = ("constant", "recording", "nearest", "forest", "numbers")
NEAREST_SECONDS = 2.0  # after which a training keyframe counts 1/e
NO_OVERLAP = 1e-6  # weight of a training box that does not touch: decides only where none does
TREES = 300
FOREST_PERSONS = 50_000  # training persons that a forest is grown on in about a minute
NUMBERS_PERSONS = 20_000  # training or test persons that are described in about a minute
PAIRS = 1 << 20  # of test and training boxes compared at a time


class Located(NamedTuple):
    """Boxes with their place in the recordings.

    Attributes:
        recordings: str [N].
        seconds: float [N], times within the recording.
        boxes: float [N, 4], ``x1, y1, x2, y2`` as fractions of the frame.
    """

    recordings: np.ndarray
    seconds: np.ndarray
    boxes: np.ndarray


def baseline_scores(train: Located, labels: np.ndarray, test: Located) -> dict[str, np.ndarray | None]:
    """Scores of each baseline but ``numbers`` for the test boxes.

    Args:
        train: M training persons, at least one.
        labels: bool [M, C] of these.
        test: N boxes.

    Returns:
        name -> scores float64 [N, C]. The forest is None without scikit-learn, and absent for more than FOREST_PERSONS
        training persons.
    """
    labels = np.asarray(labels, np.float64)
    constant = np.tile(labels.mean(axis=0), (len(test.seconds), 1))
    recording, nearest = constant.copy(), constant.copy()
    for name in np.unique(test.recordings):
        here, known = test.recordings == name, train.recordings == name
        if known.any():
            recording[here] = labels[known].mean(axis=0)
            near, rows = _part(train, known), np.flatnonzero(here)
            for some in np.array_split(rows, -(-len(rows) * len(near.seconds) // PAIRS)):
                nearest[some] = _nearness(near, _part(test, some)) @ labels[known]
    baselines = {"constant": constant, "recording": recording, "nearest": nearest}
    if len(labels) <= FOREST_PERSONS:
        baselines["forest"] = forest_scores(box_numbers(train.boxes), labels, box_numbers(test.boxes))
    return baselines


def box_numbers(boxes: np.ndarray) -> np.ndarray:
    """Corners [N, 4] -> center x, center y, width, height, area [N, 5]."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    center, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return np.column_stack([center, size, size.prod(axis=1)])


def _part(located: Located, mask: np.ndarray) -> Located:
    return Located(*(field[mask] for field in located))


def _nearness(train: Located, test: Located) -> np.ndarray:
    """Weights float64 [test, train] within one recording, rows sum to 1: squared overlap x exp(-seconds apart / 2).

    Copying the label of the single nearest keyframe would be a weaker baseline: where a person changes pose in
    between, it has no graded scores to rank by.
    """
    rows, columns = len(test.seconds), len(train.seconds)
    overlap = box_iou(np.repeat(test.boxes, columns, axis=0), np.tile(train.boxes, (rows, 1))).reshape(rows, columns)
    apart = np.abs(test.seconds[:, None] - train.seconds[None, :])
    logarithm = np.log(overlap**2 + NO_OVERLAP) - apart / NEAREST_SECONDS
    weights = np.exp(logarithm - logarithm.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def has_trees() -> bool:
    """Whether scikit-learn is installed."""
    return importlib.util.find_spec("sklearn") is not None


def forest_scores(train: np.ndarray, labels: np.ndarray, test: np.ndarray, balanced: bool = False) -> np.ndarray | None:
    """Class probabilities of a random forest.

    Args:
        train: numbers [M, K] of the training persons.
        labels: [M, C] of these.
        test: numbers [N, K].
        balanced: weight each class by the inverse of its frequency.

    Returns:
        float64 [N, C], None where scikit-learn is not installed.
    """
    if not has_trees():
        return None
    from sklearn.ensemble import RandomForestClassifier

    scores = np.zeros((len(test), labels.shape[1]))
    if len(test) == 0:
        return scores
    weight = "balanced_subsample" if balanced else None
    forest = RandomForestClassifier(TREES, class_weight=weight, random_state=0, n_jobs=1)
    if np.all(labels.sum(axis=1) == 1):
        forest.fit(train, labels.argmax(axis=1))
        scores[:, forest.classes_] = forest.predict_proba(test)
        return scores
    used = np.flatnonzero(labels.any(axis=0))
    target = labels[:, used].astype(int)
    forest.fit(train, target if len(used) > 1 else target[:, 0])
    probabilities, classes = forest.predict_proba(test), forest.classes_
    if len(used) == 1:
        probabilities, classes = [probabilities], [classes]
    for column, probability, known in zip(used, probabilities, classes, strict=True):
        scores[:, column] = probability @ known  # the forest has seen only 1, or 0 and 1
    return scores
