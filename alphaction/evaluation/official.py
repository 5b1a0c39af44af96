"""Scores by AVA's own files: ground truth CSV, label map, exclusion list. Of predictions, and of a result CSV file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..annotations.ava_csv import KeyframeCodes, Rows, read_ava_csv, read_exclusions, read_label_map
from .dataset import EvaluationDataset
from .frame_ap import frame_ap, frame_ap_of_scores, mean_ap
from .results import Fold, counts_of
from .scores import Results, percent, percent_by_name

METRIC = "PascalBoxes_Precision/mAP@0.5IOU"
CLASS_METRIC = "PascalBoxes_PerformanceByCategory/AP@0.5IOU/"
# Decimals of AVA's files; scores are computed from the values as the files state them.
DIGITS = 5


class OfficialFiles(NamedTuple):
    """Content of AVA's files.

    Attributes:
        names: class id -> name.
        codes: integer codes of the keyframes.
        truth: annotated rows.
        excluded: int64 [E], codes of the keyframes to leave out.
    """

    names: dict[int, str]
    codes: KeyframeCodes
    truth: Rows
    excluded: np.ndarray


def read_official_files(files: Mapping[str, str]) -> OfficialFiles:
    """Read AVA's files.

    Args:
        files: paths of ``csv_gt_file``, ``labelmap_file`` and possibly ``exclusion_file``.

    Raises:
        UserError: a file that cannot be used; names file and line.
    """
    codes = KeyframeCodes()
    names = read_label_map(files["labelmap_file"])
    truth = read_ava_csv(files["csv_gt_file"], codes, scored=False)
    excluded = np.zeros(0, np.int64)
    if "exclusion_file" in files:
        excluded = read_exclusions(files["exclusion_file"], codes)
    return OfficialFiles(names, codes, truth, excluded)


def official_scores(dataset: EvaluationDataset, fold: Fold, action_thresh: float = 0.0) -> Results:
    """Frame mAP at IoU 0.5 over the classes of the label map, equal to ``evaluate_ava`` of the written result.csv.

    Column n of the scores is class n + 1 of the files. Keyframes of the ground truth that the data set lacks count as
    missed.

    Args:
        dataset: with ``eval_file_paths``.
        fold: what ``gather`` returned for it.
        action_thresh: class scores below it are not detections.

    Returns:
        ``mAP`` and per-class ``ap`` in percent (None without ground truth), ``evaluation`` (which files), and counts,
        of which ``persons_per_class`` are those of the CSV file.

    Raises:
        UserError: see ``read_official_files``.
    """
    files = dataset.eval_file_paths
    names, codes, truth, excluded = read_official_files(files)
    code_of = np.array(
        [
            codes.code(dataset.recordings[movie], str(second))
            for movie, second in zip(dataset.recording_of.tolist(), dataset.timestamps.tolist(), strict=True)
        ],
        np.int64,
    )
    predicted = fold.predicted
    boxes, scores = np.round(predicted.boxes, DIGITS), predicted.scores
    ap = frame_ap_of_scores(
        truth, code_of[predicted.keys], boxes, scores, list(names), action_thresh, excluded=excluded, digits=DIGITS
    )
    counted = truth.classes[~np.isin(truth.keys, excluded)]
    persons = {name: int(np.count_nonzero(counted == number)) for number, name in names.items()}
    return {
        "evaluation": _describe(files, len(names), len(np.unique(excluded))),
        **counts_of(fold, persons),
        "mAP": percent(mean_ap(ap)),
        "ap": percent_by_name(list(names.values()), ap),
    }


def _describe(files: Mapping[str, str], classes: int, excluded: int) -> str:
    name = {key: os.path.basename(path) for key, path in files.items()}
    without = f", without the {excluded} keyframes of {name['exclusion_file']}" if "exclusion_file" in name else ""
    return f"AVA's files: {name['csv_gt_file']}, {classes} classes of {name['labelmap_file']}{without}"


def evaluate_ava(
    truth_file: str | Path,
    detection_file: str | Path,
    label_map: str | Path,
    exclusion_file: str | Path | None = None,
) -> dict[str, float]:
    """The official AVA evaluation: metric name -> value, NaN for a class without ground truth."""
    names = read_label_map(label_map)
    codes = KeyframeCodes()
    truth = read_ava_csv(truth_file, codes, scored=False)
    detections = read_ava_csv(detection_file, codes, scored=True)
    excluded = read_exclusions(exclusion_file, codes) if exclusion_file else None
    ap = frame_ap(truth, detections, list(names), excluded=excluded)
    result = {METRIC: mean_ap(ap)}
    result.update({CLASS_METRIC + name: float(value) for name, value in zip(names.values(), ap, strict=True)})
    return result
