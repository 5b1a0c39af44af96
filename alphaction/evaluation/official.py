"""Scores by AVA's own files: ground truth CSV, label map, exclusion list. Of predictions, and of a result CSV file."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..annotations.ava_csv import KeyframeCodes, Rows, read_ava_csv, read_exclusions, read_label_map
from ..annotations.boxes import check_evaluated
from ..annotations.seconds import format_second
from ..errors import UserError
from .dataset import EvaluationDataset
from .frame_ap import frame_ap, mean_ap, rankings_of_scores
from .results import Fold, counts_of
from .scores import Results, percent, percent_by_name

logger = logging.getLogger(__name__)

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
        UserError: a file that cannot be used; names file and line; ground truth without a class of the label map.
    """
    codes = KeyframeCodes()
    names = read_label_map(files["labelmap_file"])
    truth = read_ava_csv(files["csv_gt_file"], codes, scored=False)
    excluded = np.zeros(0, np.int64)
    if "exclusion_file" in files:
        excluded = read_exclusions(files["exclusion_file"], codes)
        if not np.isin(excluded, truth.keys).any():
            logger.warning(
                "%s: none of its %d keyframes is in the ground truth, nothing is left out",
                files["exclusion_file"],
                len(excluded),
            )
    _check_truth(files["csv_gt_file"], truth, files["labelmap_file"], names, excluded)
    return OfficialFiles(names, codes, truth, excluded)


def official_scores(dataset: EvaluationDataset, fold: Fold, action_thresh: float = 0.0) -> Results:
    """Frame mAP at IoU 0.5 over the classes of the label map, equal to ``evaluate_ava`` of the written result.csv.

    Column n of the scores is class n + 1 of the files; of chosen classes (DATASETS.CLASSES) only these are scored,
    each by its id. Keyframes of the ground truth that the data set lacks count as
    missed.

    Args:
        dataset: with ``eval_file_paths``.
        fold: what ``gather`` returned for it.
        action_thresh: class scores below it are not detections.

    Returns:
        ``mAP`` and per-class ``ap`` in percent (None without ground truth), ``mAP_equal_scores`` with equal scores as
        one step instead of in the order of the file, ``evaluation`` (which files), and counts, of which
        ``persons_per_class`` are those of the CSV file.

    Raises:
        UserError: see ``read_official_files``; no keyframe of the data set is in the ground truth.
    """
    files = dataset.eval_file_paths
    names, codes, truth, excluded = read_official_files(files)
    code_of = np.array(
        [
            codes.code(dataset.recordings[movie], format_second(second))
            for movie, second in zip(dataset.recording_of.tolist(), dataset.timestamps.tolist(), strict=True)
        ],
        np.int64,
    )
    if not np.isin(code_of, truth.keys).any():
        raise UserError(
            f"None of the {len(code_of)} keyframes of the test set is in the ground truth {files['csv_gt_file']}, "
            "expected one file for both; name the ground truth of this set."
        )
    predicted = fold.predicted
    boxes, scores = np.round(predicted.boxes, DIGITS), predicted.scores
    if dataset.choice:
        ids = dataset.class_ids
        names = {number: name for number, name in names.items() if number in ids}
        chosen, scores = scores, np.zeros((len(scores), int(ids.max())))
        scores[:, ids - 1] = chosen
    ranked = rankings_of_scores(
        truth, code_of[predicted.keys], boxes, scores, list(names), action_thresh, excluded=excluded, digits=DIGITS
    )
    both_rules = np.array([(ranking.ap(group_ties=False), ranking.ap(group_ties=True)) for ranking in ranked])
    ap, grouped = both_rules.reshape(-1, 2).T
    counted = truth.classes[~np.isin(truth.keys, excluded)]
    persons = {name: int(np.count_nonzero(counted == number)) for number, name in names.items()}
    return {
        "evaluation": _describe(files, len(names), len(np.unique(excluded))),
        **counts_of(fold, persons),
        "mAP": percent(mean_ap(ap)),
        "mAP_equal_scores": percent(mean_ap(grouped)),
        "ap": percent_by_name(list(names.values()), ap),
    }


def _describe(files: Mapping[str, str], classes: int, excluded: int) -> str:
    name = {key: os.path.basename(path) for key, path in files.items()}
    without = f", without the {excluded} keyframes of {name['exclusion_file']}" if "exclusion_file" in name else ""
    return f"AVA's files: {name['csv_gt_file']}, {classes} classes of {name['labelmap_file']}{without}"


def _check_truth(
    truth_file: str | Path, truth: Rows, label_map: str | Path, names: Mapping[int, str], excluded: np.ndarray
) -> None:
    """Refuse a ground truth without a row to find; log how many rows have a class that is not scored."""
    known, kept = np.isin(truth.classes, list(names)), ~np.isin(truth.keys, excluded)
    if not (known & kept).any():
        raise UserError(
            f"The ground truth {truth_file} has {len(known)} rows, of the classes {_shown(truth.classes)}; "
            f"{int(known.sum())} of them are of a class of the label map {label_map} ({_shown(names)}), and none of "
            "these is outside the excluded keyframes, expected at least one; name the files that belong together."
        )
    if not known.all():
        logger.warning(
            "%s: %d of %d rows are of the classes %s, which the label map lacks, and do not count",
            truth_file,
            int(np.count_nonzero(~known)),
            len(known),
            _shown(truth.classes[~known]),
        )


def _check_detections(
    file: str | Path,
    detections: Rows,
    truth_file: str | Path,
    truth: Rows,
    names: Mapping[int, str],
    codes: KeyframeCodes,
) -> None:
    """Refuse detections of which none can be a hit."""
    known, shared = np.isin(detections.classes, list(names)), np.isin(detections.keys, truth.keys)
    for count, what in (
        (len(known), "with a box and a class"),
        (int(known.sum()), f"of a class of the label map ({_shown(names)})"),
        (int(shared.sum()), f"of a keyframe of the ground truth {truth_file}"),
    ):
        if not count:
            example = ""
            if len(known):
                example = f" (the first is of {codes.spell(detections.keys[0])}, that of the ground truth of "
                example += f"{codes.spell(truth.keys[0])})"
            raise UserError(
                f"The detections {file} have {len(known)} rows, none {what}{example}, expected at least one; name the "
                "files that belong together."
            )
    if 2 * int(shared.sum()) < len(shared):
        logger.warning(
            "%s: %d of %d rows are of keyframes without ground truth, where every one is a mistake",
            file,
            int(np.count_nonzero(~shared)),
            len(shared),
        )


def _shown(numbers: Iterable[int] | np.ndarray) -> str:
    """At most ten class ids, ascending."""
    found = np.unique(numbers if isinstance(numbers, np.ndarray) else list(numbers)).tolist()
    return ", ".join(map(str, found[:10])) + (", ..." if len(found) > 10 else "") if found else "none"


def _exchanged(truth: Rows, detections: Rows) -> str:
    """What to say where boxes of the detections are those of the truth with x and y exchanged."""
    wanted = {(key, *box) for key, box in zip(truth.keys.tolist(), np.round(truth.boxes, 2).tolist(), strict=True)}
    turned = np.round(detections.boxes[:, [1, 0, 3, 2]], 2).tolist()
    found = sum((key, *box) in wanted for key, box in zip(detections.keys.tolist(), turned, strict=True))
    return f"; {found} of {len(turned)} would be boxes of the truth with x and y exchanged" if found else ""


def evaluate_ava(
    truth_file: str | Path,
    detection_file: str | Path,
    label_map: str | Path,
    exclusion_file: str | Path | None = None,
) -> dict[str, float]:
    """The official AVA evaluation: metric name -> value, NaN for a class without ground truth.

    Raises:
        UserError: see ``read_official_files``; detections without a class or keyframe of the ground truth, in another
            unit or convention.
    """
    files = {"csv_gt_file": os.fspath(truth_file), "labelmap_file": os.fspath(label_map)}
    if exclusion_file:
        files["exclusion_file"] = os.fspath(exclusion_file)
    names, codes, truth, excluded = read_official_files(files)
    detections = read_ava_csv(detection_file, codes, scored=True)
    _check_detections(detection_file, detections, truth_file, truth, names, codes)
    check_evaluated(f"the ground truth {truth_file}", truth.boxes, f"the detections {detection_file}", detections.boxes)
    ap = frame_ap(truth, detections, list(names), excluded=excluded)
    if not mean_ap(ap) > 0:
        logger.warning(
            "%s: no box of a class overlaps one of the truth by half%s", detection_file, _exchanged(truth, detections)
        )
    result = {METRIC: mean_ap(ap)}
    result.update({CLASS_METRIC + name: float(value) for name, value in zip(names.values(), ap, strict=True)})
    return result
