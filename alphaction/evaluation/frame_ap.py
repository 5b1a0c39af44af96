"""Average precision per class over keyframes, as AVA and PASCAL VOC 2010 define it.

Keyframes are integer codes; the caller decides what a code stands for (recording and frame index, movie and second).

Protocol, after the AVA evaluation of the ActivityNet challenge:

* detections of a class are matched within their keyframe in descending score order;
* a detection belongs to the ground truth of its class that it overlaps most; it is a hit when that overlap reaches the
  threshold and no earlier detection has taken that ground truth, else a false positive (as duplicates are);
* all detections of a class are then ranked by score; AP is the area under the precision envelope;
* boxes without area are not detections;
* equal scores rank by keyframe, in the order of first appearance, then by row. Only ``official`` scores so: where
  annotations judge, equal scores are one step of the ranking (``group_ties``), so that neither a model nor a baseline
  profits from the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..annotations.ava_csv import Rows


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union, row by row, of boxes [N, 4] and boxes [N, 4] with continuous corners -> float64 [N]."""
    first = np.asarray(first, np.float64)
    second = np.asarray(second, np.float64)
    width = np.minimum(first[:, 2], second[:, 2]) - np.maximum(first[:, 0], second[:, 0])
    height = np.minimum(first[:, 3], second[:, 3]) - np.maximum(first[:, 1], second[:, 1])
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    areas = [(box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (first, second)]
    union = areas[0] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


class Ranking(NamedTuple):
    """Detections of one class in descending order of score.

    Attributes:
        keys: int64 [D], keyframe codes.
        scores: float64 [D].
        hits: bool [D].
        truth_keys: int64 [T], keyframe codes of the ground truth of the class.
    """

    keys: np.ndarray
    scores: np.ndarray
    hits: np.ndarray
    truth_keys: np.ndarray

    def ap(self, group_ties: bool) -> float:
        """See ``average_precision``."""
        return average_precision(self.hits, self.scores, len(self.truth_keys), group_ties)


def average_precision(hits: np.ndarray, scores: np.ndarray, num_truth: int, group_ties: bool = False) -> float:
    """Area under the precision envelope (PASCAL VOC 2010).

    Args:
        hits: bool [D], which detections are hits, in descending order of score.
        scores: [D], in the same order.
        num_truth: number of ground truth persons.
        group_ties: count equal scores as one step, so that their order carries no information.

    Returns:
        a fraction, NaN without ground truth.
    """
    if num_truth == 0:
        return float("nan")
    found = np.cumsum(hits, dtype=np.float64)
    precision = found / np.arange(1, len(found) + 1)
    recall = found / num_truth
    if group_ties and len(found):
        last_of_tie = np.append(scores[1:] != scores[:-1], True)
        precision, recall = precision[last_of_tie], recall[last_of_tie]
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))


def frame_ap(
    truth: Rows,
    detections: Rows,
    classes: Sequence[int],
    iou_threshold: float = 0.5,
    excluded: np.ndarray | None = None,
    group_ties: bool = False,
) -> np.ndarray:
    """AP of each class, float64 [len(classes)], NaN for a class without ground truth; see ``rankings``."""
    return ap_of(rankings(truth, detections, classes, iou_threshold, excluded), group_ties)


def ap_of(ranked: Iterable[Ranking], group_ties: bool) -> np.ndarray:
    """AP of each class, float64 [classes], NaN for a class without ground truth."""
    return np.array([ranking.ap(group_ties) for ranking in ranked], np.float64)


def rankings(
    truth: Rows,
    detections: Rows,
    classes: Sequence[int],
    iou_threshold: float = 0.5,
    excluded: np.ndarray | None = None,
) -> list[Ranking]:
    """Detections matched with the ground truth, and ranked.

    Args:
        truth: annotated rows.
        detections: rows with scores.
        classes: the classes to score; rows of others are ignored.
        iou_threshold: smallest overlap of a hit.
        excluded: int [E], codes of keyframes to ignore.

    Returns:
        for each class.
    """
    truth, detections = _countable(truth, classes, excluded), _countable(detections, classes, excluded)
    box = detections.boxes
    detections = detections.select((box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1]))
    rank = _first_appearance(detections.keys)
    truth_of, detections_of = _by_class(truth.classes, classes), _by_class(detections.classes, classes)
    return [
        _ranking(truth.select(mine), detections.select(found), rank[found], iou_threshold)
        for mine, found in zip(truth_of, detections_of, strict=True)
    ]


def rankings_of_scores(
    truth: Rows,
    keys: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[int],
    score_threshold: float = 0.0,
    iou_threshold: float = 0.5,
    excluded: np.ndarray | None = None,
    digits: int | None = None,
) -> Iterator[Ranking]:
    """``rankings`` of boxes with a score for each class, without the memory that a row per box and class would take.

    Args:
        truth: annotated rows.
        keys: int [P], keyframe codes of the boxes.
        boxes: float [P, 4].
        scores: float [P, C]; column n is class n + 1, as in AVA's files. Classes beyond have no detections.
        classes: see ``rankings``.
        score_threshold: scores below it are not detections.
        iou_threshold: see ``rankings``.
        excluded: see ``rankings``.
        digits: decimals that scores are rounded to, None for no rounding.

    Yields:
        the ranking of each class, one at a time.
    """
    truth = _countable(truth, classes, excluded)
    keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if excluded is not None and len(excluded):
        keep &= ~np.isin(keys, excluded)
    keys, boxes, scores = keys[keep], boxes[keep], scores[keep]
    rank = _first_appearance(keys)
    for number, mine in zip(classes, _by_class(truth.classes, classes), strict=True):
        column = scores[:, number - 1] if 0 < number <= scores.shape[1] else np.full(len(keys), -np.inf)
        found = np.flatnonzero(column >= score_threshold)
        values = column[found] if digits is None else np.round(column[found], digits)
        rows = Rows(keys[found], boxes[found], np.full(len(found), number), values)
        yield _ranking(truth.select(mine), rows, rank[found], iou_threshold)


def _ranking(truth: Rows, detections: Rows, rank: np.ndarray, iou_threshold: float) -> Ranking:
    """Detections of one class; equal scores in the order of `rank`, then of the rows."""
    ranked = detections.select(np.lexsort((rank, -detections.scores)))
    return Ranking(ranked.keys, ranked.scores, _hits(truth, ranked, iou_threshold), truth.keys)


def mean_ap(ap: np.ndarray) -> float:
    """Mean over the classes with ground truth; NaN when there is none."""
    return float(np.mean(ap[~np.isnan(ap)])) if np.any(~np.isnan(ap)) else float("nan")


def _countable(rows: Rows, classes: Sequence[int], excluded: np.ndarray | None) -> Rows:
    rows = Rows(
        np.asarray(rows.keys, np.int64),
        np.asarray(rows.boxes, np.float64).reshape(-1, 4),
        np.asarray(rows.classes, np.int64),
        np.asarray(rows.scores, np.float64),
    )
    keep = np.isin(rows.classes, np.asarray(classes, np.int64))
    if excluded is not None and len(excluded):
        keep &= ~np.isin(rows.keys, excluded)
    return rows if keep.all() else rows.select(keep)


def _first_appearance(keys: np.ndarray) -> np.ndarray:
    """For each row the rank of its keyframe by first appearance."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)]


def _by_class(labels: np.ndarray, classes: Sequence[int]) -> list[np.ndarray]:
    """Row indices of each class, ascending."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    low, high = (np.searchsorted(ordered, np.asarray(classes), side) for side in ("left", "right"))
    return [order[a:b] for a, b in zip(low, high, strict=True)]


def _hits(truth: Rows, ranked: Rows, iou_threshold: float) -> np.ndarray:
    """Which detections of one class, in rank order, are hits -> bool [D]."""
    order = np.argsort(truth.keys, kind="stable")
    keys, boxes = truth.keys[order], truth.boxes[order]
    start, stop = (np.searchsorted(keys, ranked.keys, side) for side in ("left", "right"))
    count = stop - start
    best = np.zeros(len(ranked.keys))
    partner = np.full(len(ranked.keys), -1)
    # One pass per position within a keyframe: the n-th person of the class in each keyframe at once.
    for n in range(int(count.max(initial=0))):
        rows = np.flatnonzero(count > n)
        overlap = box_iou(ranked.boxes[rows], boxes[start[rows] + n])
        better = overlap > best[rows]
        best[rows[better]] = overlap[better]
        partner[rows[better]] = start[rows[better]] + n
    touching = np.flatnonzero((best >= iou_threshold) & (partner >= 0))
    _, earliest = np.unique(partner[touching], return_index=True)
    hits = np.zeros(len(ranked.keys), bool)
    hits[touching[earliest]] = True
    return hits
