"""What the results of an evaluation hold: counts, and scores in percent, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np


class Confusion(TypedDict):
    """How the annotated persons were classified."""

    rows: list[str]  # class names, the truth
    columns: list[str]  # class names and "no box", the prediction
    counts: list[list[int]]  # persons by row and column


class GroupScores(TypedDict):
    """Scores of groups of exclusive classes (DATASETS.CLASS_GROUPS) in percent."""

    top1: float | None  # share of persons whose best group is right
    balanced: float | None  # mean accuracy of the groups with persons
    accuracy: dict[str, float | None]  # group -> share of its persons


class Intervals(TypedDict, total=False):
    """95 % intervals [low, high] in percent, by bootstrap; None for a score that no sample has."""

    unit: str  # what is resampled: "recordings", or "keyframes" of a single one
    units: int  # how many there are
    replicates: int  # bootstrap samples
    mAP: list[float] | None
    top1: list[float] | None  # missing without exclusive classes, as the following
    mean_class_accuracy: list[float] | None
    group_top1: list[float] | None  # missing without groups, as the following
    group_balanced: list[float] | None


class Scores(TypedDict, total=False):
    """Scores of the model or of a baseline in percent, None where there is nothing to divide by."""

    mAP: float | None  # mean of the classes with ground truth
    ap: dict[str, float | None]  # class name -> AP at IoU 0.5
    # The rest is missing in an evaluation by AVA's own files.
    top1: float | None  # of the exclusive classes, as the following three
    mean_class_accuracy: float | None
    class_accuracy: dict[str, float | None]  # class name -> share of its persons
    confusion: Confusion  # of the model only; missing without exclusive classes
    groups: GroupScores  # missing without groups of classes
    intervals: Intervals  # of the model only; missing where there is too little, or too much, to resample
    mean_f1: float | None  # of the independent classes, as the following; missing without any
    f1: dict[str, float | None]  # class name -> F1 over persons
    coco: dict[str, float | None]  # AP (mean over IoU .50 to .95) and AP50
    missing: str  # why a baseline could not be computed; it has no other entry then


class Counts(TypedDict):
    """What was evaluated."""

    box_source: str  # "ground truth" or the box file
    keyframes: int
    persons: int  # annotated
    predictions: int  # scored boxes
    keyframes_without_prediction: int  # of those with persons
    classes_with_ground_truth: int  # over which mAP is the mean
    persons_per_class: dict[str, int]  # class name -> annotated persons
    persons_per_group: dict[str, int]  # group -> annotated persons; empty without groups


class Results(Counts, Scores, total=False):
    """The content of result.json: counts, and the scores of the model."""

    mAP_equal_scores: float | None  # by AVA's files only: mAP with equal scores as one step, as everywhere else
    evaluation: str  # source of the truth, of RGB sets
    baselines: dict[str, Scores]  # name -> scores; missing in an evaluation by AVA's own files
    files: dict[str, str]  # file name -> path, where files were written; not in result.json itself


def percent(value: float) -> float | None:
    """Fraction -> percent, None for NaN."""
    return None if math.isnan(value) else 100.0 * float(value)


def percent_by_name(names: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    """Fractions [C] -> {name: percent}."""
    return {name: percent(value) for name, value in zip(names, values, strict=True)}
