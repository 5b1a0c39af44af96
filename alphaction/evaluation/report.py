"""The results as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..annotations.decisions import DECISION
from .baselines import BASELINES
from .dataset import GROUND_TRUTH
from .scores import Results, Scores

NAME_WIDTH = 38
# Persons of a class below which its scores are marked: they depend on single persons.
FEW_PERSONS = 10
# Label, place of the value in Scores, key of its interval. Without the first key of the place there is no line.
Row = tuple[str, tuple[str, ...], str]
SCORES: tuple[Row, ...] = (
    ("top-1", ("top1",), "top1"),
    ("mean class accuracy", ("mean_class_accuracy",), "mean_class_accuracy"),
)
F1: tuple[Row, ...] = (("mean F1 of independent classes", ("mean_f1",), ""),)
COCO: tuple[Row, ...] = (
    ("COCO AP at IoU .50:.95", ("coco", "AP"), ""),
    ("COCO AP at IoU .50", ("coco", "AP50"), ""),
)
GROUPS: tuple[Row, ...] = (
    ("top-1 of groups", ("groups", "top1"), "group_top1"),
    ("balanced accuracy of groups", ("groups", "balanced"), "group_balanced"),
)
BASELINE_NOTES = {
    "constant": "constant (class frequencies in training)",
    "recording": "recording (the same of this recording)",
    "nearest": "nearest (labels near in time and place)",
    "forest": "forest (random forest on the box)",
    "numbers": "numbers (random forest on box, warmth and motion)",
}


class _Table:
    """Lines with a cell for the model and for each baseline that is shown."""

    def __init__(self, results: Results) -> None:
        self.results = results
        found = results.get("baselines", {})
        self.names = [name for name in BASELINES if name in found]
        # What repeats the constant says nothing more.
        self.repeated = [name for name in self.names[1:] if found[name] == found["constant"]]
        self.shown = [name for name in self.names if name not in self.repeated]
        self.columns: list[Scores] = [results, *(found[name] for name in self.shown)]

    def line(self, name: str, count: str, cells: list[str]) -> str:
        name = " ".join(name.split())
        if len(name) > NAME_WIDTH:
            name = name[: NAME_WIDTH - 3] + "..."
        text = f"{name:<{NAME_WIDTH}}{count:>7}{cells[0]:>8}"
        baselines = zip(cells[1:], self.shown, strict=True)
        return text + "".join(f"{cell:>{max(len(baseline) + 2, 8)}}" for cell, baseline in baselines)

    def header(self, name: str) -> str:
        return self.line(name, "persons", ["model", *self.shown])

    def values(self, name: str, count: str, place: Sequence[str]) -> str:
        return self.line(name, count, [_percent(_value(scores, place)) for scores in self.columns])

    def scores(self, rows: Iterable[Row]) -> list[str]:
        """Lines of the scores that there are, with their intervals."""
        lines = []
        for label, place, interval in rows:
            if place[0] in self.results:
                lines += [self.values(label, "", place), *self.interval(interval)]
        return lines

    def interval(self, key: str) -> list[str]:
        """The line below a score, none where it has no interval."""
        ends = dict(self.results.get("intervals", {})).get(key)
        if not isinstance(ends, list):
            return []
        return [f"{'  95 % interval':<{NAME_WIDTH}}{f'{ends[0]:.1f}-{ends[1]:.1f}':>15}"]


def format_report(results: Results, title: str = "") -> str:
    """Per-class AP in percent with the baselines beside it, 100 columns wide with all of them.

    Args:
        results: what ``evaluate`` or ``score_fold`` returned.
        title: start of the first line, such as the name of the data set.
    """
    table = _Table(results)
    header = table.header("AP at IoU 0.5 in %")
    rule = "-" * len(header)
    lines = [_summary(results, title)]
    if "evaluation" in results:
        lines.append(f"evaluated against {results['evaluation']}")
    lines += ["", header, rule]
    for name, persons in results["persons_per_class"].items():
        if persons:
            lines.append(table.values(name, _count(persons), ("ap", name)))
    mean = f"mAP over {results['classes_with_ground_truth']} classes"
    lines += [rule, table.values(mean, f"{results['persons']} ", ("mAP",)), *table.interval("mAP")]
    if "mAP_equal_scores" in results:
        lines.append(table.line("mAP, equal scores as one step", "", [_percent(results["mAP_equal_scores"])]))
    if "confusion" in results:
        lines += table.scores(SCORES)
    lines += table.scores(F1)
    if results["box_source"] != GROUND_TRUTH:  # on annotated boxes, AP at IoU .50 is the mAP once more
        lines += table.scores(COCO)
    if "groups" in results:
        lines += ["", *_group_table(results, table)]
    if "f1" in results:
        lines += ["", *_f1_table(results, table)]
    return "\n".join(lines + _notes(results, table))


def _group_table(results: Results, table: _Table) -> list[str]:
    """Accuracy of each group of classes with persons."""
    lines = [table.header("accuracy of groups of classes in %")]
    for name, persons in results["persons_per_group"].items():
        if persons:
            lines.append(table.values(name, _count(persons), ("groups", "accuracy", name)))
    return lines + table.scores(GROUPS)


def _f1_table(results: Results, table: _Table) -> list[str]:
    """F1 of each independent class with persons."""
    lines = [
        f"F1 at a score of {DECISION} in %, independent classes",
        "of annotated persons: boxes without a person do not count in it, they lower the AP",
    ]
    for name in results["f1"]:
        persons = results["persons_per_class"][name]
        if persons:
            lines.append(table.values(name, _count(persons), ("f1", name)))
    return lines


def _count(persons: int) -> str:
    return f"{persons}*" if persons < FEW_PERSONS else f"{persons} "


def _summary(results: Results, title: str) -> str:
    parts = [
        _plural(results["keyframes"], "keyframe"),
        _plural(results["persons"], "person"),
        _plural(results["predictions"], "prediction"),
        f"boxes: {results['box_source']}",
    ]
    if results["keyframes_without_prediction"]:
        parts.insert(3, f"{_plural(results['keyframes_without_prediction'], 'keyframe')} without predictions")
    return (f"{title}: " if title else "") + ", ".join(parts)


def _notes(results: Results, table: _Table) -> list[str]:
    notes = []
    counts = [*results["persons_per_class"].values(), *results["persons_per_group"].values()]
    if any(0 < count < FEW_PERSONS for count in counts):
        notes.append(f"* fewer than {FEW_PERSONS} persons, each of whom decides much of the score")
    absent = [name for name, persons in results["persons_per_class"].items() if not persons]
    if absent:
        notes += _wrapped("Classes without persons, left out of the mean: ", absent)
    if "baselines" in results:  # AVA's evaluation has none
        notes += [*_interval_note(results), *_baseline_notes(results, table)]
    return ["", *notes] if notes else []


def _interval_note(results: Results) -> list[str]:
    found = results.get("intervals")
    if found is None:
        return ["No intervals: fewer than two keyframes, or too many predictions to resample."]
    units = found["unit"] + (", of one recording," if found["unit"] == "keyframes" else "")
    drawn = f"{found['units']} {units} drawn {found['replicates']} times with replacement"
    return [f"95 % intervals of the model: {drawn}."]


def _baseline_notes(results: Results, table: _Table) -> list[str]:
    if not table.names:
        return ["No baselines: no training persons given."]
    notes = _wrapped("Baselines: ", [BASELINE_NOTES[name] for name in table.shown])
    if table.repeated:
        notes += _wrapped("The same as constant, not shown: ", table.repeated)
    return notes + [
        f"{name}: {results['baselines'][name]['missing']}"
        for name in table.names
        if "missing" in results["baselines"][name]
    ]


def _wrapped(start: str, names: list[str], width: int = 90) -> list[str]:
    lines = [start]
    for i, name in enumerate(names):
        word = name + (", " if i + 1 < len(names) else ".")
        if len(lines[-1]) + len(word) > width:
            lines.append("  ")
        lines[-1] += word
    return [line.rstrip() for line in lines]


def _value(scores: Mapping[str, object], place: Sequence[str]) -> float | None:
    """The number at a place in nested dicts; None where there is none, as in a baseline that is missing."""
    value: object = scores
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, float) else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _plural(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
