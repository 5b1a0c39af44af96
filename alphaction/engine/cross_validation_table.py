"""Results of a cross-validation: of each seed, their mean and spread, and the baselines; as JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TypedDict

from ..evaluation.report import FEW_PERSONS
from ..evaluation.results import Fold, counts_of, score_baselines
from ..evaluation.row_scores import evaluate_rows
from ..evaluation.scores import Counts, Scores
from ..utils.files import write_text
from .fold_plan import FoldPlan, KeyframePool


class FoldCounts(TypedDict):
    """What a fold tests and trains on."""

    name: str
    recordings: list[str]
    keyframes: int
    persons: int
    train_keyframes: int
    train_persons: int
    dropped_keyframes: int  # of other recordings, too near in time


class CrossValidation(Counts):
    """The content of cross_validation.json; scores in percent."""

    left_out: str  # "recording" or "session"
    margin_seconds: float
    folds: list[FoldCounts]
    seeds: dict[str, Scores]  # seed -> scores of all folds pooled; empty where nothing was trained
    mean: dict[str, float | None]  # over the seeds, by the names of HEADLINES
    spread: dict[str, float | None]  # standard deviation over the seeds (n - 1); None for a single one
    baselines: dict[str, Scores]


# Name in the JSON file, title in the table, value.
HEADLINES: tuple[tuple[str, str, Callable[[Scores], float | None]], ...] = (
    ("mAP", "mAP", lambda scores: scores.get("mAP")),
    ("top1", "top-1", lambda scores: scores.get("top1")),
    ("mean_class_accuracy", "mean class accuracy", lambda scores: scores.get("mean_class_accuracy")),
    ("group_top1", "groups top-1", lambda scores: scores["groups"]["top1"] if "groups" in scores else None),
    ("group_balanced", "groups balanced", lambda scores: scores["groups"]["balanced"] if "groups" in scores else None),
)


def summarize(
    tests: Fold,
    predicted: Mapping[int, Fold],
    keyframes: KeyframePool,
    folds: Sequence[FoldPlan],
    left_out: str,
    margin: float,
) -> CrossValidation:
    """Score what all folds predicted together.

    Args:
        tests: truth and baselines of all folds pooled.
        predicted: seed -> the same with the predictions of the model.
        keyframes: what the masks of ``folds`` belong to.
        left_out: "recording" or "session".
        margin: seconds around a left-out recording that are not trained on.
    """
    persons = dict(zip(tests.class_names, tests.truth.labels.sum(axis=0).tolist(), strict=True))
    seeds = {
        str(seed): evaluate_rows(fold.truth, fold.predicted, fold.classes, fold.groups, fold.recordings)
        for seed, fold in predicted.items()
    }
    values = {name: [value(scores) for scores in seeds.values()] for name, _, value in HEADLINES}
    return {
        **counts_of(next(iter(predicted.values()), tests), persons),
        "left_out": left_out,
        "margin_seconds": margin,
        "folds": [_count(keyframes, fold) for fold in folds],
        "seeds": seeds,
        "mean": {name: _mean(found) for name, found in values.items()},
        "spread": {name: _spread(found) for name, found in values.items()},
        "baselines": score_baselines(tests),
    }


def _count(keyframes: KeyframePool, fold: FoldPlan) -> FoldCounts:
    with_persons = fold.trained & (keyframes.persons > 0)
    return {
        "name": fold.name,
        "recordings": list(fold.recordings),
        "keyframes": int(fold.tested.sum()),
        "persons": int(keyframes.persons[fold.tested].sum()),
        "train_keyframes": int(with_persons.sum()),
        "train_persons": int(keyframes.persons[fold.trained].sum()),
        "dropped_keyframes": fold.dropped,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _spread(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return stdev(known) if len(known) > 1 else None


def format_tables(results: CrossValidation) -> str:
    """Markdown: the scores, those of each class, and the folds."""
    title = f"# Cross-validation: one {results['left_out']} left out at a time"
    return "\n\n".join([title, _notes(results), score_table(results), _class_table(results), _fold_table(results)])


def _notes(results: CrossValidation) -> str:
    folds = results["folds"]
    trained, dropped = [fold["train_persons"] for fold in folds], sum(fold["dropped_keyframes"] for fold in folds)
    parts = [
        f"{results['keyframes']} keyframes with {results['persons']} persons of {results['classes_with_ground_truth']} "
        f"classes, number of folds: {len(folds)}, training persons per fold: {min(trained)} to {max(trained)}."
    ]
    if dropped:
        parts.append(
            f"Keyframes of other recordings within {results['margin_seconds']:g} s of a left-out recording do not "
            f"train, {dropped} over all folds."
        )
    parts.append("Scores in percent, of the predictions of all folds together, on annotated boxes.")
    if len(results["seeds"]) > 1:
        parts.append("±: standard deviation over the seeds.")
    for scores in list(results["seeds"].values())[:1]:
        if "intervals" in scores:
            found = scores["intervals"]
            parts.append(f"[ ]: 95 % interval by bootstrap over {found['units']} {found['unit']}.")
    if any(0 < persons < FEW_PERSONS for persons in results["persons_per_class"].values()):
        parts.append(f"*: fewer than {FEW_PERSONS} persons, each of whom decides much of the score.")
    return "\n".join(parts)


def score_table(results: CrossValidation) -> str:
    """Markdown: the baselines, each seed, and their mean."""
    rows = []
    for name, scores in shown_baselines(results).items():
        cells = [str(scores["missing"])] if "missing" in scores else [_cell(value(scores)) for _, _, value in HEADLINES]
        rows.append([name, *cells, *[""] * (len(HEADLINES) - len(cells))])
    for seed, scores in results["seeds"].items():
        rows.append([f"model, seed {seed}", *[_with_interval(scores, name, value) for name, _, value in HEADLINES]])
    if len(results["seeds"]) > 1:
        cells = [_cell(results["mean"][name], results["spread"][name]) for name, _, _ in HEADLINES]
        rows.append([f"model, mean of {len(results['seeds'])} seeds", *cells])
    return _table(["", *[title for _, title, _ in HEADLINES]], rows)


def _class_table(results: CrossValidation) -> str:
    baselines = {name: scores for name, scores in shown_baselines(results).items() if "ap" in scores}
    model = ["model"] if results["seeds"] else []
    rows = []
    for name, persons in results["persons_per_class"].items():
        if persons:
            found = [scores["ap"][name] for scores in results["seeds"].values()]
            cells = [_cell(_mean(found), _spread(found))] if model else []
            cells += [_cell(scores["ap"][name]) for scores in baselines.values()]
            rows.append([name, f"{persons}{'*' if persons < FEW_PERSONS else ''}", *cells])
    return _table(["AP at IoU 0.5", "persons", *model, *baselines], rows)


def _fold_table(results: CrossValidation) -> str:
    header = ["left out", "recordings", "keyframes", "persons", "training keyframes", "training persons", "dropped"]
    rows = [
        [fold["name"], ", ".join(fold["recordings"]), *map(str, list(fold.values())[2:])] for fold in results["folds"]
    ]
    return _table(header, rows)


def shown_baselines(results: CrossValidation) -> dict[str, Scores]:
    """Baselines without those that only repeat the constant one: nothing of a left-out recording is known."""
    constant = results["baselines"].get("constant")
    return {name: scores for name, scores in results["baselines"].items() if name == "constant" or scores != constant}


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _with_interval(scores: Scores, name: str, value: Callable[[Scores], float | None]) -> str:
    found: Mapping[str, object] = scores.get("intervals", {})
    bounds = found.get(name)
    return _cell(value(scores)) + (f" [{bounds[0]:.0f}, {bounds[1]:.0f}]" if isinstance(bounds, list) else "")


def _cell(value: float | None, spread: float | None = None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if spread is None else f"{value:.1f} ± {spread:.1f}"


def write_tables(folder: Path, name: str, results: CrossValidation) -> list[Path]:
    """Write ``name``.json and ``name``.md.

    Raises:
        UserError: a file cannot be written.
    """
    paths = [folder / f"{name}.json", folder / f"{name}.md"]
    write_text(paths[0], json.dumps(results, indent=1) + "\n")
    write_text(paths[1], format_tables(results) + "\n")
    return paths
