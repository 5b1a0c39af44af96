"""COCO-style AP of boxes with the action class as category (pycocotools)."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import numpy as np

from .frame_ap import Rows

if TYPE_CHECKING:
    from pycocotools.cocoeval import COCOeval


def coco_ap(truth: Rows, detections: Rows, num_keyframes: int, num_classes: int) -> dict[str, float]:
    """COCO's AP: 101-point interpolation, at most 100 boxes per keyframe and class, boxes of any size.

    Equal scores count as one step, as in ``frame_ap``.

    Args:
        truth: annotated rows; keys are 0 .. num_keyframes - 1, classes are columns.
        detections: likewise, with scores.
        num_keyframes: number of keyframes.
        num_classes: number of columns.

    Returns:
        ``AP`` (mean over IoU .50 to .95) and ``AP50`` (at IoU .50) over the classes with ground truth; NaN without any.
    """
    if len(truth.keys) == 0:
        return {"AP": float("nan"), "AP50": float("nan")}
    if len(detections.keys) == 0:
        return {"AP": 0.0, "AP50": 0.0}
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = {
            "info": {},
            "images": [{"id": key} for key in range(num_keyframes)],
            "categories": [{"id": column} for column in range(num_classes)],
            "annotations": _entries(truth),
        }
        ground.createIndex()
        evaluation = COCOeval(ground, ground.loadRes(_entries(detections)), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
    precision = _precision(evaluation, num_keyframes, num_classes)
    precision = precision[:, :, precision[0, 0] > -1]
    return {"AP": float(precision.mean()), "AP50": float(precision[0].mean())}


def _precision(evaluation: COCOeval, num_keyframes: int, num_classes: int) -> np.ndarray:
    """COCOeval.accumulate() with equal scores as one step -> [IoU threshold, recall, class], -1 without truth."""
    thresholds, recalls = len(evaluation.params.iouThrs), evaluation.params.recThrs
    result = np.full((thresholds, len(recalls), num_classes), -1.0)
    for column in range(num_classes):
        cells = evaluation.evalImgs[column * num_keyframes : (column + 1) * num_keyframes]
        cells = [cell for cell in cells if cell is not None]
        num_truth = sum(len(cell["gtIds"]) for cell in cells)
        if num_truth == 0:
            continue
        scores = np.concatenate([cell["dtScores"] for cell in cells])
        order = np.argsort(-scores, kind="mergesort")
        hits = np.concatenate([cell["dtMatches"] for cell in cells], axis=1)[:, order] > 0
        last_of_tie = np.append(np.diff(scores[order]) != 0, True)[: len(order)]
        found = hits.cumsum(axis=1)[:, last_of_tie]
        precision = found / (np.flatnonzero(last_of_tie) + 1)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        for number in range(thresholds):
            place = np.searchsorted(found[number] / num_truth, recalls, side="left")
            result[number, :, column] = np.append(envelope[number], 0.0)[place]
    return result


def _entries(rows: Rows) -> list[dict[str, object]]:
    size = rows.boxes[:, 2:] - rows.boxes[:, :2]
    boxes = np.concatenate([rows.boxes[:, :2], size], axis=1).tolist()
    columns = zip(rows.keys.tolist(), boxes, rows.classes.tolist(), rows.scores.tolist(), strict=True)
    return [
        {
            "id": number,
            "image_id": key,
            "category_id": column,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
            "score": score,
        }
        for number, (key, box, column, score) in enumerate(columns, start=1)
    ]
