"""Evaluation: AVA frame-mAP, baselines, intervals, result files, tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..structures.bounding_box import BoxList
from .dataset import EvaluationDataset
from .official import official_scores
from .persons import Persons, Predictions
from .report import format_report
from .result_files import write_predictions, write_results
from .results import Fold, gather, pool, score_baselines, score_fold, with_baselines
from .row_scores import evaluate_rows
from .scores import Results

__all__ = [
    "EvaluationDataset",
    "Fold",
    "Persons",
    "Predictions",
    "Results",
    "Scored",
    "evaluate",
    "evaluate_rows",
    "format_report",
    "gather",
    "pool",
    "score",
    "score_fold",
]


class Scored(NamedTuple):
    """What :func:`score` returns: a test set with its predictions, and their scores without baselines."""

    fold: Fold
    results: Results


def score(dataset: EvaluationDataset, predictions: Mapping[int, BoxList], action_thresh: float = 0.0) -> Scored:
    """Score the predictions of one test set as :func:`evaluate` does, without baselines and files."""
    fold = gather(dataset, predictions)
    return Scored(fold, _scores(dataset, fold, action_thresh))


def _scores(dataset: EvaluationDataset, fold: Fold, action_thresh: float) -> Results:
    if dataset.eval_file_paths:
        return official_scores(dataset, fold, action_thresh)
    results = score_fold(fold)
    return {"evaluation": dataset.truth_source, **results} if dataset.truth_source else results


def evaluate(
    dataset: EvaluationDataset,
    predictions: Mapping[int, BoxList] | Scored,
    output_folder: str | Path | None = None,
    train_dataset: EvaluationDataset | None = None,
    action_thresh: float = 0.0,
    overlays: int = 0,
) -> Results:
    """Score the predictions of one test set.

    A data set with ``eval_file_paths`` is scored by AVA's own files (see ``official``), without baselines and pictures;
    any other by its annotations (see ``score_fold``). Predictions are written before they are scored, since they may
    have taken hours.

    Args:
        dataset: the test set, such as a ThermalAVADataset or AVAVideoDataset.
        predictions: keyframe -> boxes in model pixels with the field ``scores`` [n, NUM_CLASSES]. Keyframes may be
            missing, columns beyond the classes are ignored. Or what ``score`` returned for them with the same
            ``action_thresh``, which is not computed again.
        output_folder: where files are written; None writes none.
        train_dataset: source of the baselines; None leaves them out.
        action_thresh: class scores below it are left out of result.csv, and are no detections for AVA's files.
        overlays: keyframes with hits, and keyframes with mistakes, that overlays.png shows at most.

    Returns:
        scores in percent, None where undefined. RGB sets name the source of the truth under ``evaluation``. With
        ``output_folder`` also ``files``, name -> path of result.csv, result.json, predictions.pth and, when scored by
        annotations, confusion.png and overlays.png.

    Raises:
        UserError: predictions that do not fit the data set, faulty AVA files, or a folder that cannot be written.
    """
    results: Results | None = None
    if isinstance(predictions, Scored):
        fold, results = predictions
    else:
        fold = gather(dataset, predictions)
    files = {} if output_folder is None else write_predictions(output_folder, dataset, fold, action_thresh)
    if results is None:
        results = _scores(dataset, fold, action_thresh)
    if not dataset.eval_file_paths:
        results = {**results, "baselines": score_baselines(with_baselines(fold, dataset, train_dataset))}
    if output_folder is not None:
        written = write_results(output_folder, dataset, fold, results, overlays)
        results = {**results, "files": {**files, **written}}
    return results
