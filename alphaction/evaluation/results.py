"""From a data set and its predictions to the numbers of the report.

`evaluate` (in the package) does all of it for one data set. For several folds that are judged together (leaving one
recording out): `pool([gather(...), gather(...), ...])`, then `score_fold`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..annotations.ava_csv import to_fractions
from ..dataset.datasets import AVAVideoDataset
from ..errors import UserError
from .baselines import FLOORS, SENSOR_RATE, Located, floor_scores
from .coco_ap import coco_ap
from .frame_map import frame_ap, mean_ap
from .persons import Persons, Predictions, match_boxes, person_scores

NO_BOX = "no box"
# Keyframes x classes that pycocotools goes through one by one, about a minute of it.
COCO_CELLS = 1_000_000


class Fold(NamedTuple):
    """Truth, predictions and floors of one test set, or of several pooled.

    keyframes: number of keyframes, whose codes are 0 .. keyframes - 1. floors: name -> predictions, None for one that
    could not be computed; empty without training persons.
    """

    class_names: list[str]
    box_source: str
    keyframes: int
    truth: Persons
    predicted: Predictions
    floors: dict[str, Predictions | None]


def truth_of(dataset) -> Persons:
    """Persons of a data set; keyframe codes are its indices."""
    offsets = np.asarray(dataset.box_offsets)
    keys = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    boxes = np.asarray(dataset.gt_boxes, np.float64).reshape(-1, 4)
    labels = np.asarray(dataset.gt_labels(), bool)
    return Persons(keys, boxes, labels[:, : len(dataset.class_names)])


def predictions_of(dataset, predictions: dict) -> Predictions:
    """Predictions {index: BoxList with `scores` [n, NUM_CLASSES]} as arrays, boxes as fractions of the frame.

    Boxes of thermal sets are continuous in the pixels of their BoxList, those of RGB sets have inclusive corners there.
    Columns beyond the class names (a padded head) are dropped. Raises UserError for fewer columns than classes, for a
    box list without scores and for scores that are not finite.
    """
    classes = len(dataset.class_names)
    keys, boxes, scores = [], [torch.zeros(0, 4)], [torch.zeros(0, classes)]
    for index in sorted(predictions):
        found = predictions[index]
        values = found.get_field("scores")
        if len(values) == 0:
            continue
        if values.shape[1] < classes:
            raise UserError(
                f"Predictions of keyframe {dataset.image_ids[index]} have {values.shape[1]} classes, expected at least "
                f"the {classes} of the data set; set MODEL.ROI_ACTION_HEAD.NUM_CLASSES to {classes}."
            )
        keys.append(index)
        boxes.append((found if found.mode == "xyxy" else found.convert("xyxy")).bbox.detach().cpu())
        scores.append(values[:, :classes].detach().cpu())
    counts = [len(rows) for rows in scores[1:]]
    sizes = np.repeat(np.array([predictions[index].size for index in keys], np.float64).reshape(-1, 2), counts, axis=0)
    keyframes = np.repeat(np.array(keys, np.int64), counts)
    pixels = torch.cat(boxes).double().numpy()
    if isinstance(dataset, AVAVideoDataset):
        fractions = to_fractions(pixels, sizes, dataset.sizes[keyframes])
    else:
        fractions = pixels / np.tile(sizes, 2)
    result = Predictions(keyframes, fractions, torch.cat(scores).double().numpy())
    if not (np.isfinite(result.scores).all() and np.isfinite(result.boxes).all()):
        raise UserError(
            "Predictions hold numbers that are not finite, expected scores between 0 and 1; "
            "the weights or the input are broken, test with another checkpoint."
        )
    return result


def located(dataset, keys: np.ndarray, boxes: np.ndarray) -> Located:
    """Boxes of a data set with the recording and time of their keyframes."""
    names = np.asarray(dataset.recordings, dtype=str).reshape(-1)
    recording = names[np.asarray(dataset.recording_of, np.int64)[keys]] if len(names) else np.zeros(0, str)
    times = np.asarray(dataset.timestamps, np.int64)[keys]
    return Located(recording, times * SENSOR_RATE if dataset.time_unit == "seconds" else times, boxes)


def floors_of(train_dataset, dataset, keys: np.ndarray, boxes: np.ndarray) -> dict[str, Predictions | None]:
    """Floor name -> predictions on the given boxes of `dataset`; empty when there are no training persons."""
    if train_dataset is None:
        return {}
    if list(train_dataset.class_names) != list(dataset.class_names):
        raise UserError(
            f"DATASETS.TRAIN has the classes {', '.join(train_dataset.class_names)}, expected those of the test set "
            f"({', '.join(dataset.class_names)}); use annotations with the same class list."
        )
    train = truth_of(train_dataset)
    if len(train.keys) == 0:
        return {}
    scores = floor_scores(located(train_dataset, train.keys, train.boxes), train.labels, located(dataset, keys, boxes))
    return {name: None if values is None else Predictions(keys, boxes, values) for name, values in scores.items()}


def gather(dataset, predictions: dict, train_dataset=None) -> Fold:
    """Arrays of one test set, see `with_floors` for its floors."""
    truth, predicted = truth_of(dataset), predictions_of(dataset, predictions)
    keyframes = len(dataset.box_offsets) - 1
    fold = Fold(list(dataset.class_names), dataset.box_source, keyframes, truth, predicted, {})
    return with_floors(fold, dataset, train_dataset)


def with_floors(fold: Fold, dataset, train_dataset) -> Fold:
    """The fold of `dataset` with floors on the boxes of the truth, or on the predicted ones when a box file gave
    them; without training set as it is."""
    on = fold.truth if dataset.box_source == "ground truth" else fold.predicted
    return fold._replace(floors=floors_of(train_dataset, dataset, on.keys, on.boxes))


def pool(folds: Sequence[Fold]) -> Fold:
    """Several folds as one: persons and predictions side by side, each fold's keyframes with codes of their own."""
    if any(fold.class_names != folds[0].class_names for fold in folds):
        raise UserError("Folds with different class names cannot be pooled; use annotations with the same class list.")
    starts = np.cumsum([0] + [fold.keyframes for fold in folds])

    def joined(parts):
        moved = [part._replace(keys=part.keys + start) for part, start in zip(parts, starts, strict=False)]
        return type(moved[0])(*(np.concatenate(field) for field in zip(*moved, strict=True)))

    floors: dict[str, Predictions | None] = {}
    for name in FLOORS:
        if all(name in fold.floors for fold in folds):
            parts = [fold.floors[name] for fold in folds]
            floors[name] = None if any(part is None for part in parts) else joined(parts)
    return Fold(
        folds[0].class_names,
        ", ".join(dict.fromkeys(fold.box_source for fold in folds)),
        int(starts[-1]),
        joined([fold.truth for fold in folds]),
        joined([fold.predicted for fold in folds]),
        floors,
    )


def evaluate_rows(
    truth: Persons,
    predicted: Predictions,
    class_names: Sequence[str],
    action_thresh: float = 0.0,
    group_ties: bool = False,
) -> dict:
    """All scores of one set of predictions, in percent; None where there is nothing to divide by.

    mAP and per-class `ap` (AVA, IoU 0.5), `top1`, `mean_class_accuracy`, per-class `class_accuracy`, `confusion`
    {rows, columns, counts}, `coco` {AP, AP50} (None beyond COCO_CELLS). `group_ties`: see `average_precision`.
    """
    columns = range(len(class_names))
    wanted, rows = truth.rows(), predicted.rows(action_thresh)
    ap = frame_ap(wanted, rows, columns, group_ties=group_ties)
    partner = match_boxes(truth, predicted)
    found = partner >= 0
    scores = np.zeros(truth.labels.shape)
    scores[found] = predicted.scores[partner[found]]
    persons = person_scores(truth.labels, scores, found)
    keyframes = int(max(truth.keys.max(initial=-1), predicted.keys.max(initial=-1))) + 1
    coco = {"AP": math.nan, "AP50": math.nan}
    if keyframes * len(class_names) <= COCO_CELLS:
        coco = coco_ap(wanted, rows, keyframes, len(class_names), group_ties)
    return {
        "mAP": percent(mean_ap(ap)),
        "ap": percent_by_name(class_names, ap),
        "top1": percent(persons["top1"]),
        "mean_class_accuracy": percent(persons["mean_class_accuracy"]),
        "class_accuracy": percent_by_name(class_names, persons["class_accuracy"]),
        "confusion": {
            "rows": list(class_names),
            "columns": [*class_names, NO_BOX],
            "counts": persons["confusion"].tolist(),
        },
        "coco": {name: percent(value) for name, value in coco.items()},
    }


def score_fold(fold: Fold, action_thresh: float = 0.0) -> dict:
    """Results of a fold: counts, the scores of `evaluate_rows`, and under `floors` the same for each floor.

    Floors give many boxes equal scores; there equal scores count as one step, so that no floor profits from the order
    of the file.
    """
    persons = fold.truth.labels.sum(axis=0)
    results = {
        **counts_of(fold),
        "classes_with_ground_truth": int(np.count_nonzero(persons)),
        "persons_per_class": dict(zip(fold.class_names, persons.tolist(), strict=True)),
        **evaluate_rows(fold.truth, fold.predicted, fold.class_names, action_thresh),
        "floors": {},
    }
    for name, predicted in fold.floors.items():
        if predicted is None:
            results["floors"][name] = {"missing": "scikit-learn not installed"}
            continue
        scores = evaluate_rows(fold.truth, predicted, fold.class_names, group_ties=True)
        results["floors"][name] = {key: value for key, value in scores.items() if key != "confusion"}
    return results


def counts_of(fold: Fold) -> dict:
    """Where the boxes come from, and how many keyframes, persons and predictions a report is about."""
    with_persons, with_boxes = np.unique(fold.truth.keys), np.unique(fold.predicted.keys)
    return {
        "box_source": fold.box_source,
        "keyframes": fold.keyframes,
        "persons": len(fold.truth.keys),
        "predictions": len(fold.predicted.keys),
        "keyframes_without_prediction": int(np.setdiff1d(with_persons, with_boxes).size),
    }


def percent(value: float) -> float | None:
    """Fraction -> percent, None for NaN."""
    return None if math.isnan(value) else 100.0 * float(value)


def percent_by_name(names: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    """Fractions -> {name: percent}."""
    return {name: percent(value) for name, value in zip(names, values, strict=True)}
