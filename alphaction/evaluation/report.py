"""The results as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable

from ..annotations.decisions import DECISION
from .baselines import BASELINES
from .scores import Results, Scores

NAME_WIDTH = 39
# Label, the key without which the line is left out, and the value.
SCORES: tuple[tuple[str, str, Callable[[Scores], float | None]], ...] = (
    ("top-1", "confusion", lambda scores: scores["top1"]),
    ("mean class accuracy", "confusion", lambda scores: scores["mean_class_accuracy"]),
    ("mean F1 of independent classes", "f1", lambda scores: scores["mean_f1"]),
    ("COCO AP at IoU .50:.95", "coco", lambda scores: scores["coco"]["AP"]),
    ("COCO AP at IoU .50", "coco", lambda scores: scores["coco"]["AP50"]),
)


def format_report(results: Results, title: str = "") -> str:
    """Per-class AP in percent with the baselines beside it, 94 columns wide with all of them.

    Args:
        results: what ``evaluate`` or ``score_fold`` returned.
        title: start of the first line, such as the name of the data set.
    """
    baselines = [name for name in BASELINES if name in results.get("baselines", ())]
    columns: list[Scores] = [results] + [results["baselines"][name] for name in baselines]
    header = _line("AP at IoU 0.5 in %", "persons", ["model", *baselines])
    rule = "-" * len(header)
    lines = [_summary(results, title)]
    if "evaluation" in results:
        lines.append(f"evaluated against {results['evaluation']}")
    lines += ["", header, rule]
    for name, persons in results["persons_per_class"].items():
        if persons:
            lines.append(_line(name, str(persons), [_percent(_class_ap(scores, name)) for scores in columns]))
    mean = f"mAP over {results['classes_with_ground_truth']} classes"
    lines += [rule, _line(mean, str(results["persons"]), [_percent(scores.get("mAP")) for scores in columns])]
    for label, key, value in SCORES:
        if key in results:
            cells = [_percent(None if "missing" in scores else value(scores)) for scores in columns]
            lines.append(_line(label, "", cells))
    if "f1" in results:
        lines += ["", *_f1_table(results, columns)]
    return "\n".join(lines + _notes(results, baselines))


def _f1_table(results: Results, columns: list[Scores]) -> list[str]:
    """F1 of each independent class with persons."""
    lines = [
        f"F1 at a score of {DECISION} in %, independent classes",
        "of annotated persons: boxes without a person do not count in it, they lower the AP",
    ]
    for name in results["f1"]:
        persons = results["persons_per_class"][name]
        if persons:
            cells = [_percent(scores["f1"][name] if "f1" in scores else None) for scores in columns]
            lines.append(_line(name, str(persons), cells))
    return lines


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


def _notes(results: Results, baselines: list[str]) -> list[str]:
    notes = []
    absent = [name for name, persons in results["persons_per_class"].items() if not persons]
    if absent:
        notes += _wrapped("Classes without persons, left out of the mean: ", absent)
    if "baselines" not in results:  # AVA's evaluation has none
        return ["", *notes] if notes else []
    if not baselines:
        notes.append("No baselines: no training persons given.")
    else:
        notes.append("Baselines need no image: class frequencies of all training persons (constant), of the same")
        notes.append("recording, labels near in time and place (nearest), random forest on the box (forest).")
    for name in baselines:
        if "missing" in results["baselines"][name]:
            notes.append(f"{name}: {results['baselines'][name]['missing']}")
    return ["", *notes] if notes else []


def _wrapped(start: str, names: list[str], width: int = 90) -> list[str]:
    lines = [start]
    for i, name in enumerate(names):
        word = name + (", " if i + 1 < len(names) else ".")
        if len(lines[-1]) + len(word) > width:
            lines.append("  ")
        lines[-1] += word
    return [line.rstrip() for line in lines]


def _line(name: str, count: str, cells: list[str]) -> str:
    name = " ".join(name.split())
    if len(name) >= NAME_WIDTH:
        name = name[: NAME_WIDTH - 4] + "..."
    text = f"{name:<{NAME_WIDTH}}{count:>7}{cells[0]:>8}"
    return text + "".join(f"{cell:>10}" for cell in cells[1:])


def _class_ap(scores: Scores, name: str) -> float | None:
    return scores["ap"][name] if "ap" in scores else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _plural(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
