"""Persons and predictions of a data set as arrays, and the scores that ask which class a person has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..annotations.decisions import DECISION
from .frame_ap import Rows, box_iou

# Name of a group of exclusive classes -> their columns; see ``ClassChoice.group_columns``.
Groups = Mapping[str, Sequence[int]]
NO_GROUPS: Groups = {}


class Persons(NamedTuple):
    """Annotated persons.

    Attributes:
        keys: int64 [M], keyframe codes.
        boxes: float64 [M, 4], ``x1, y1, x2, y2`` as fractions of the frame.
        labels: bool [M, C].
    """

    keys: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray

    def rows(self) -> Rows:
        """One row per person and label; classes are columns."""
        person, column = np.nonzero(self.labels)
        return Rows(self.keys[person], self.boxes[person], column, np.ones(len(person)))


class Predictions(NamedTuple):
    """Scored boxes.

    Attributes:
        keys: int64 [P], keyframe codes.
        boxes: float64 [P, 4], ``x1, y1, x2, y2`` as fractions of the frame.
        scores: float64 [P, C].
    """

    keys: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    def rows(self, action_thresh: float = 0.0) -> Rows:
        """One row per box and class whose score is at least ``action_thresh``; classes are columns."""
        box, column = np.nonzero(self.scores >= action_thresh)
        return Rows(self.keys[box], self.boxes[box], column, self.scores[box, column])


class MatchedPersons(NamedTuple):
    """Annotated persons with the scores of the boxes matched to them.

    Attributes:
        labels: bool [M, C].
        scores: float64 [M, C], 0 for a person without a box.
        found: bool [M], whether a person has a box.
        keys: int64 [M], keyframe codes.
    """

    labels: np.ndarray
    scores: np.ndarray
    found: np.ndarray
    keys: np.ndarray


class PersonScores(NamedTuple):
    """Scores of persons as fractions.

    Attributes:
        top1: share of persons whose best class is right, NaN without persons.
        mean_class_accuracy: over the classes with persons, NaN without any.
        class_accuracy: float [C], NaN for a class without persons.
        confusion: int64 [C, C + 1]; rows truth, columns best class, last column no box.
    """

    top1: float
    mean_class_accuracy: float
    class_accuracy: np.ndarray
    confusion: np.ndarray


def match_boxes(truth: Persons, predicted: Predictions, iou_threshold: float = 0.5) -> np.ndarray:
    """Match persons and predicted boxes one to one within each keyframe.

    The best overlap comes first; equal overlaps pair in order.

    Returns:
        the predicted box of each person int64 [M], -1 where no box is left that overlaps by ``iou_threshold``.
    """
    order = np.argsort(predicted.keys, kind="stable")
    keys = predicted.keys[order]
    start, stop = (np.searchsorted(keys, truth.keys, side) for side in ("left", "right"))
    count = stop - start
    person = np.repeat(np.arange(len(truth.keys)), count)
    within = np.arange(len(person)) - np.repeat(np.cumsum(count) - count, count)
    box = order[start[person] + within]
    overlap = box_iou(truth.boxes[person], predicted.boxes[box])
    ranked = np.argsort(-overlap, kind="stable")
    ranked = ranked[overlap[ranked] >= iou_threshold]
    person, box = person[ranked], box[ranked]
    partner = np.full(len(truth.keys), -1)
    # Each round settles all pairs that are the best left for both sides; a few rounds empty the list.
    while len(person):
        best = np.zeros((2, len(person)), bool)
        for side, ids in enumerate((person, box)):
            best[side, np.unique(ids, return_index=True)[1]] = True
        settled = best.all(axis=0)
        partner[person[settled]] = box[settled]
        left = ~np.isin(person, person[settled]) & ~np.isin(box, box[settled])
        person, box = person[left], box[left]
    return partner


def match_scores(truth: Persons, predicted: Predictions) -> MatchedPersons:
    """The persons with the scores of their boxes, see :func:`match_boxes`."""
    partner = match_boxes(truth, predicted)
    found = partner >= 0
    scores = np.zeros(truth.labels.shape)
    scores[found] = predicted.scores[partner[found]]
    return MatchedPersons(truth.labels, scores, found, truth.keys)


def f1_scores(labels: np.ndarray, scores: np.ndarray, found: np.ndarray) -> np.ndarray:
    """F1 of independent classes over persons, as fractions [C]; NaN for a class without persons.

    A person is said to have each class with a score of at least DECISION. Boxes without a person do not count.

    Args:
        labels, scores, found: see :func:`person_scores`.
    """
    said = (scores >= DECISION) & found[:, None]
    right, total = (labels & said).sum(axis=0), labels.sum(axis=0)
    return np.divide(2 * right, total + said.sum(axis=0), out=np.full(len(total), np.nan), where=total > 0)


def right_persons(labels: np.ndarray, scores: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which persons are right.

    Args:
        labels, scores, found: see :func:`person_scores`.

    Returns:
        bool [M], the best class is one of the person's; bool [M, C], a class of a person with k labels is among its k
        best classes. Both are False for a person without a label or without a box.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    place = np.argsort(order, axis=1, kind="stable")
    right = labels & (place < labels.sum(axis=1, keepdims=True)) & found[:, None]
    if labels.shape[1] == 0:
        return np.zeros(len(labels), bool), right
    return labels[np.arange(len(labels)), order[:, 0]] & found, right


def person_scores(labels: np.ndarray, scores: np.ndarray, found: np.ndarray) -> PersonScores:
    """Top-1, accuracy per class and confusion of persons, for exclusive classes.

    Persons without a label are left out. With one label per person these are the usual scores. A person with k labels
    is right in top-1 when the best class is one of them, right for a class when it is among the k best classes, and
    counts once per label in the confusion. Of equal scores the first column is the best.

    Args:
        labels: bool [M, C].
        scores: float [M, C], of the box matched to each person.
        found: bool [M], False for a person without a box, who counts as wrong.
    """
    persons, classes = int(labels.any(axis=1).sum()), labels.shape[1]
    confusion = np.zeros((classes, classes + 1), np.int64)
    if persons == 0:
        return PersonScores(np.nan, np.nan, np.full(classes, np.nan), confusion)
    best_is_right, right = right_persons(labels, scores, found)
    total = labels.sum(axis=0)
    accuracy = np.divide(right.sum(axis=0), total, out=np.full(classes, np.nan), where=total > 0)
    person, truth = np.nonzero(labels)
    best = np.where(found, scores.argmax(axis=1), classes)
    np.add.at(confusion, (truth, best[person]), 1)
    return PersonScores(float(best_is_right.sum() / persons), float(np.nanmean(accuracy)), accuracy, confusion)


def group_columns(labels: np.ndarray, scores: np.ndarray, groups: Groups) -> tuple[np.ndarray, np.ndarray]:
    """Labels bool [M, G] and scores [M, G] of groups of classes: a person has the group of each of its classes, and the
    score of a group is the sum of those of its classes."""
    member = np.zeros((labels.shape[1], len(groups)))
    for number, columns in enumerate(groups.values()):
        member[list(columns), number] = 1
    return labels @ member > 0, scores @ member
