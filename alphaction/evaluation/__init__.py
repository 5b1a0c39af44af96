"""Evaluation: AVA frame-mAP, baselines that need no image, result files, tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..structures.bounding_box import BoxList
from .dataset import EvaluationDataset
from .official import official_scores
from .persons import Persons, Predictions
from .report import format_report
from .result_files import write_predictions, write_results
from .results import Fold, gather, pool, score_fold, with_baselines
from .scores import Results, evaluate_rows

__all__ = [
    "EvaluationDataset",
    "Fold",
    "Persons",
    "Predictions",
    "Results",
    "evaluate",
    "evaluate_rows",
    "format_report",
    "gather",
    "pool",
    "score_fold",
]


def evaluate(
    dataset: EvaluationDataset,
    predictions: Mapping[int, BoxList],
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
            missing, columns beyond the classes are ignored.
        output_folder: where files are written; None writes none.
        train_dataset: source of the baselines; None leaves them out.
        action_thresh: class scores below it are not detections.
        overlays: keyframes with hits, and keyframes with mistakes, that overlays.png shows at most.

    Returns:
        scores in percent, None where undefined. RGB sets name the source of the truth under ``evaluation``. With
        ``output_folder`` also ``files``, name -> path of result.csv, result.json, predictions.pth and, when scored by
        annotations, confusion.png and overlays.png.

    Raises:
        UserError: predictions that do not fit the data set, faulty AVA files, or a folder that cannot be written.
    """
    fold = gather(dataset, predictions)
    files = {} if output_folder is None else write_predictions(output_folder, dataset, fold, action_thresh)
    if dataset.eval_file_paths:
        results = official_scores(dataset, fold, action_thresh)
    else:
        fold = with_baselines(fold, dataset, train_dataset)
        results = score_fold(fold, action_thresh)
        if dataset.truth_source:
            results = {"evaluation": dataset.truth_source, **results}
    if output_folder is not None:
        results["files"] = {**files, **write_results(output_folder, dataset, fold, results, overlays)}
    return results
