"""Evaluation: AVA frame-mAP, what needs no picture beside it, result files, tables and pictures."""

from __future__ import annotations

from pathlib import Path

from ..dataset.datasets import AVAVideoDataset
from .files import write_predictions, write_results
from .official import official_scores
from .persons import Persons, Predictions
from .report import format_report
from .results import Fold, evaluate_rows, gather, pool, score_fold, with_baselines

__all__ = [
    "Fold", "Persons", "Predictions", "evaluate", "evaluate_rows", "format_report", "gather", "pool", "score_fold",
]  # fmt: skip


def evaluate(
    dataset,
    predictions: dict,
    output_folder: str | Path | None = None,
    train_dataset=None,
    action_thresh: float = 0.0,
    overlays: int = 0,
) -> dict:
    """Judge the predictions of one test set.

    A data set with `eval_file_paths` is judged by AVA's own files (`official`), any other by its annotations
    (`score_fold`); the results of RGB sets say so under `evaluation`.

    dataset: a ThermalAVADataset or AVAVideoDataset. predictions: index -> BoxList in model pixels with `scores`
    [n, NUM_CLASSES]; indices may be missing, columns beyond the classes are ignored. train_dataset: where the baselines
    come from; None leaves them out. action_thresh: class scores below it are no detections. overlays: how many hits and
    mistakes to draw. AVA's files know neither baselines nor pictures.

    Returns the results: percent, None where undefined. With output_folder also `files`, the paths of result.csv,
    result.json, predictions.pth, and, by annotations, confusion.png and overlays.png. Predictions are written before
    they are judged, since they may have taken hours. Raises UserError for predictions that do not fit the data set, for
    faulty files of AVA's and for a folder that cannot be written.
    """
    fold = gather(dataset, predictions)
    files = {} if output_folder is None else write_predictions(output_folder, dataset, fold, action_thresh)
    if dataset.eval_file_paths:
        results = official_scores(dataset, fold, action_thresh)
    else:
        fold = with_baselines(fold, dataset, train_dataset)
        results = score_fold(fold, action_thresh)
        if isinstance(dataset, AVAVideoDataset):
            results = {"evaluation": f"the annotations {dataset.ann_file}", **results}
    if output_folder is not None:
        results["files"] = {**files, **write_results(output_folder, dataset, fold, results, overlays)}
    return results
