"""From a data set and its predictions to the numbers of the report.

`evaluate` (in the package) does all of it for one data set. For several folds evaluated together (leaving one
recording out): `pool([gather(...), gather(...), ...])`, then `score_fold`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from ..annotations.classes import ClassList
from ..errors import UserError
from ..structures.bounding_box import BoxList
from .baselines import BASELINES, NUMBERS_PERSONS, Located, baseline_scores, forest_scores, has_trees
from .dataset import GROUND_TRUTH, EvaluationDataset
from .person_numbers import NUMBERS, person_numbers
from .persons import Persons, Predictions
from .row_scores import evaluate_rows
from .scores import Counts, Results, Scores


class Fold(NamedTuple):
    """Truth, predictions and baselines of one test set, or of several pooled.

    Attributes:
        classes: C classes.
        groups: name -> columns of a group of exclusive classes, for a coarse score.
        box_source: "ground truth" or the box file.
        recordings: K names, recording of each keyframe; keyframe codes are 0 .. K - 1.
        truth: annotated persons.
        predicted: scored boxes.
        baselines: name -> predictions, None for one that could not be computed; empty without training persons.
    """

    classes: ClassList
    groups: dict[str, list[int]]
    box_source: str
    recordings: np.ndarray
    truth: Persons
    predicted: Predictions
    baselines: dict[str, Predictions | None]

    @property
    def class_names(self) -> list[str]:
        """C names."""
        return list(self.classes.names)

    @property
    def keyframes(self) -> int:
        """Number of keyframes."""
        return len(self.recordings)


def truth_of(dataset: EvaluationDataset) -> Persons:
    """Annotated persons of a data set; keyframe codes are its indices."""
    offsets = np.asarray(dataset.box_offsets)
    keys = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    boxes = np.asarray(dataset.gt_boxes, np.float64).reshape(-1, 4)
    labels = np.asarray(dataset.gt_labels(), bool)
    return Persons(keys, boxes, labels[:, : len(dataset.class_names)])


def predictions_of(dataset: EvaluationDataset, predictions: Mapping[int, BoxList]) -> Predictions:
    """Predictions of a data set as arrays, with boxes as fractions of the frame.

    Args:
        dataset: the test set.
        predictions: keyframe -> boxes in model pixels with the field ``scores`` [n, NUM_CLASSES]. Columns beyond the
            class names (a padded head) are dropped.

    Returns:
        boxes in the order of their keyframes.

    Raises:
        UserError: fewer columns than classes, or numbers that are not finite.
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
    result = Predictions(keyframes, dataset.to_fractions(pixels, sizes, keyframes), torch.cat(scores).double().numpy())
    if not (np.isfinite(result.scores).all() and np.isfinite(result.boxes).all()):
        raise UserError(
            "Predictions hold numbers that are not finite, expected scores between 0 and 1; "
            "the weights or the input are broken, test with another checkpoint."
        )
    return result


def located(dataset: EvaluationDataset, keys: np.ndarray, boxes: np.ndarray) -> Located:
    """Boxes [N, 4] of the keyframes ``keys`` [N], with the recording and the time of these."""
    return Located(_recordings(dataset)[keys], np.asarray(dataset.keyframe_seconds, np.float64)[keys], boxes)


def _recordings(dataset: EvaluationDataset) -> np.ndarray:
    """str [K], recording of each keyframe."""
    names = np.asarray(dataset.recordings, dtype=str).reshape(-1)
    return names[np.asarray(dataset.recording_of, np.int64)] if len(names) else np.zeros(0, str)


def baselines_of(
    train_dataset: EvaluationDataset | None, dataset: EvaluationDataset, keys: np.ndarray, boxes: np.ndarray
) -> dict[str, Predictions | None]:
    """Predictions of the baselines on given boxes.

    Args:
        train_dataset: may have more classes than ``dataset``; those beyond are ignored, as columns of a model's scores.
        dataset: the test set.
        keys: int64 [N], keyframes of the boxes in ``dataset``.
        boxes: float [N, 4].

    Returns:
        name -> predictions, None for a baseline that could not be computed; empty without training persons.

    Raises:
        UserError: the training set has other classes.
    """
    if train_dataset is None:
        return {}
    classes = len(dataset.class_names)
    if list(train_dataset.class_names)[:classes] != list(dataset.class_names):
        raise UserError(
            f"DATASETS.TRAIN has the classes {', '.join(train_dataset.class_names)}, expected those of the test set "
            f"({', '.join(dataset.class_names)}); use annotations with the same class list."
        )
    train = truth_of(train_dataset)
    if len(train.keys) == 0:
        return {}
    places, labels = located(train_dataset, train.keys, train.boxes), train.labels[:, :classes]
    scores = baseline_scores(places, labels, located(dataset, keys, boxes))
    if max(len(train.keys), len(keys)) <= NUMBERS_PERSONS and _has_windows(train_dataset) and _has_windows(dataset):
        scores["numbers"] = None
        if has_trees():
            known, asked = numbers_of(train_dataset, train.keys, train.boxes), numbers_of(dataset, keys, boxes)
            scores["numbers"] = forest_scores(known, labels, asked, balanced=True)
    return {name: None if values is None else Predictions(keys, boxes, values) for name, values in scores.items()}


def _has_windows(dataset: EvaluationDataset) -> bool:
    return len(dataset.image_ids) == 0 or dataset.window(0) is not None


def numbers_of(dataset: EvaluationDataset, keys: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """``person_numbers`` of boxes [N, 4] (fractions of the frame) in the keyframes ``keys`` [N], float32 [N, K].

    Raises:
        UserError: a set without temperatures, or a recording that cannot be read.
    """
    result = np.zeros((len(keys), len(NUMBERS)), np.float32)
    for key in np.unique(keys):
        window, rows = dataset.window(int(key)), np.flatnonzero(keys == key)
        if window is None:
            raise UserError(
                f"The keyframe {dataset.image_ids[key]} has no temperatures, expected a thermal set; leave its persons "
                "undescribed."
            )
        frames, height, width = window.shape
        result[rows] = person_numbers(window, boxes[rows] * [width, height, width, height], frames // 2)
    return result


def gather(
    dataset: EvaluationDataset,
    predictions: Mapping[int, BoxList],
    train_dataset: EvaluationDataset | None = None,
) -> Fold:
    """Arrays of one test set; see `predictions_of` for the predictions and `with_baselines` for the training set."""
    truth, predicted = truth_of(dataset), predictions_of(dataset, predictions)
    groups = dataset.choice.group_columns("the test set", dataset.classes)
    fold = Fold(dataset.classes, groups, dataset.box_source, _recordings(dataset), truth, predicted, {})
    return with_baselines(fold, dataset, train_dataset)


def with_baselines(fold: Fold, dataset: EvaluationDataset, train_dataset: EvaluationDataset | None) -> Fold:
    """The fold of ``dataset`` with baselines on the annotated boxes, or on the predicted ones when a box file gave
    them; unchanged without a training set."""
    on = fold.truth if dataset.box_source == GROUND_TRUTH else fold.predicted
    return fold._replace(baselines=baselines_of(train_dataset, dataset, on.keys, on.boxes))


def pool(folds: Sequence[Fold]) -> Fold:
    """Several folds as one, with consecutive keyframe codes.

    Raises:
        UserError: the folds have different classes.
    """
    if any((fold.classes, fold.groups) != (folds[0].classes, folds[0].groups) for fold in folds):
        raise UserError(
            "Folds with different classes or groups cannot be pooled; use annotations with the same class list."
        )
    starts = np.cumsum([0] + [fold.keyframes for fold in folds]).tolist()
    baselines: dict[str, Predictions | None] = {}
    for name in BASELINES:
        if all(name in fold.baselines for fold in folds):
            parts = [part for fold in folds if (part := fold.baselines[name]) is not None]
            baselines[name] = _joined(parts, starts) if len(parts) == len(folds) else None
    return Fold(
        folds[0].classes,
        folds[0].groups,
        ", ".join(dict.fromkeys(fold.box_source for fold in folds)),
        np.concatenate([fold.recordings for fold in folds]),
        _joined([fold.truth for fold in folds], starts),
        _joined([fold.predicted for fold in folds], starts),
        baselines,
    )


_Boxes = TypeVar("_Boxes", Persons, Predictions)


def _joined(parts: Sequence[_Boxes], starts: Sequence[int]) -> _Boxes:
    """Persons or predictions of several folds, whose keyframe codes begin at ``starts``."""
    moved = [part._replace(keys=part.keys + start) for part, start in zip(parts, starts, strict=False)]
    return type(moved[0])(*(np.concatenate(field) for field in zip(*moved, strict=True)))


def score_fold(fold: Fold) -> Results:
    """Score a fold and its baselines, all by the same rule: every score counts, and equal scores are one step.

    Args:
        fold: what ``gather`` or ``pool`` returned.

    Returns:
        counts, the scores of ``evaluate_rows``, and under ``baselines`` the same scores, without intervals, for each
        baseline.
    """
    persons = fold.truth.labels.sum(axis=0).tolist()
    return {
        **counts_of(fold, dict(zip(fold.class_names, persons, strict=True))),
        **evaluate_rows(fold.truth, fold.predicted, fold.classes, fold.groups, fold.recordings),
        "baselines": score_baselines(fold),
    }


def score_baselines(fold: Fold) -> dict[str, Scores]:
    """What :func:`score_fold` has under ``baselines``."""
    baselines: dict[str, Scores] = {}
    for name, predicted in fold.baselines.items():
        if predicted is None:
            baselines[name] = {"missing": "scikit-learn not installed"}
            continue
        baselines[name] = evaluate_rows(fold.truth, predicted, fold.classes, fold.groups)
        baselines[name].pop("confusion", None)
    return baselines


def counts_of(fold: Fold, persons_per_class: dict[str, int]) -> Counts:
    """The counts of a report."""
    with_persons, with_boxes = np.unique(fold.truth.keys), np.unique(fold.predicted.keys)
    return {
        "box_source": fold.box_source,
        "keyframes": fold.keyframes,
        "persons": len(fold.truth.keys),
        "predictions": len(fold.predicted.keys),
        "keyframes_without_prediction": int(np.setdiff1d(with_persons, with_boxes).size),
        "classes_with_ground_truth": sum(map(bool, persons_per_class.values())),
        "persons_per_class": persons_per_class,
        "persons_per_group": {
            name: int(fold.truth.labels[:, columns].any(axis=1).sum()) for name, columns in fold.groups.items()
        },
    }
