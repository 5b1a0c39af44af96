"""The official AVA evaluation of a result CSV file."""

from __future__ import annotations

from pathlib import Path

from ..annotations.ava_csv import KeyframeCodes, read_ava_csv, read_exclusions, read_label_map
from .frame_map import frame_ap, mean_ap

METRIC = "PascalBoxes_Precision/mAP@0.5IOU"
CLASS_METRIC = "PascalBoxes_PerformanceByCategory/AP@0.5IOU/"


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
