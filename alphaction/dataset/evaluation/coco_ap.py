"""COCO-style AP of boxes with the action class as category (pycocotools)."""

from __future__ import annotations

import contextlib
import io

import numpy as np

from alphaction.dataset.evaluation.frame_map import Rows


def coco_ap(truth: Rows, detections: Rows, num_keyframes: int, num_classes: int) -> dict[str, float]:
    """{"AP": mean over IoU .50 to .95, "AP50": at IoU .50}, over the classes with ground truth; NaN without any.

    Keys are 0 .. num_keyframes - 1, classes columns. COCO's 101-point interpolation, at most 100 boxes per keyframe
    and class, boxes of any size.
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
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 0]  # [IoU threshold, recall, class]
    precision = precision[:, :, precision[0, 0] > -1]
    return {"AP": float(precision.mean()), "AP50": float(precision[0].mean())}


def _entries(rows: Rows) -> list[dict]:
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
