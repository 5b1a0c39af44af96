"""A sheet of keyframes with their predicted and annotated persons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..annotations.classes import ClassList
from ..annotations.decisions import best_columns, decided_classes
from ..utils.figures import PLAIN, class_labels, drawable, new_figure, save_figure, shorten
from .dataset import EvaluationDataset
from .persons import match_boxes
from .results import Fold

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 4
MAX_LINES = 6  # of text below a keyframe
LINE_WIDTH = 52  # characters that fit below a keyframe
SAME_BOX = 0.01  # of the frame; an annotated box closer than that to the predicted one is not drawn

HIT, MISTAKE, NOBODY, MISSED = "hit", "mistake", "nobody", "missed"
COLORS = {HIT: "#35d07f", MISTAKE: "#ff5a5a", NOBODY: "#ffc83d", MISSED: "white"}
TEXT_COLORS = {HIT: "#0b7a3e", MISTAKE: "#c02020", NOBODY: "#8a6100", MISSED: "#404040"}
LEGEND = {
    HIT: "right class",
    MISTAKE: "wrong class",
    NOBODY: "box without an annotated person",
    MISSED: "annotated box",
}


class DrawnPerson(NamedTuple):
    """A predicted box, the annotated person it was matched to, or both.

    Attributes:
        outcome: HIT, MISTAKE, NOBODY (no annotated person, or one without a class) or MISSED (no predicted box).
        box: float [4], predicted, as fractions of the frame.
        truth_box: float [4], annotated.
        predicted: best exclusive class and the independent ones decided for.
        truth: annotated classes.
        score: of the best exclusive class, without any of the best class.
    """

    outcome: str
    box: np.ndarray | None
    truth_box: np.ndarray | None
    predicted: str
    truth: str
    score: float


class Panel(NamedTuple):
    """A keyframe of the sheet and all its persons, of which the first is the one that it was chosen for."""

    key: int
    persons: list[DrawnPerson]


def choose_panels(fold: Fold, number: int) -> list[Panel]:
    """The keyframes of the most confident hits, then those of the most confident mistakes.

    Hits and mistakes are persons with a predicted box. A keyframe with several hits is there once among the hits, for
    the most confident one; likewise among the mistakes.

    Args:
        fold: truth and predictions.
        number: keyframes with hits, and keyframes with mistakes, at most.
    """
    partner = match_boxes(fold.truth, fold.predicted)
    person = np.flatnonzero((partner >= 0) & fold.truth.labels.any(axis=1))
    scores = fold.predicted.scores[partner[person]]
    best = best_columns(scores, fold.classes)
    score = scores[np.arange(len(person)), best]
    hit = _is_right(fold.truth.labels[person], scores, fold.classes)
    keys = fold.truth.keys[person]
    order = np.argsort(-score, kind="stable")
    chosen = []
    for wanted in (True, False):
        ranked = order[hit[order] == wanted]
        _, first = np.unique(keys[ranked], return_index=True)
        chosen += person[ranked[np.sort(first)[:number]]].tolist()
    labels = class_labels(fold.class_names)
    return [_panel(fold, partner, labels, one) for one in chosen]


def _is_right(labels: np.ndarray, scores: np.ndarray, classes: ClassList) -> np.ndarray:
    """Whether persons [N] are given one of their exclusive classes, if they have any, and exactly their independent
    ones."""
    decided = decided_classes(scores, classes)
    exclusive, independent = classes.exclusive_columns, classes.independent_columns
    right = (labels & decided)[:, exclusive].any(axis=1)
    if independent:
        right |= ~labels[:, exclusive].any(axis=1)
    return right & (labels == decided)[:, independent].all(axis=1)


def _panel(fold: Fold, partner: np.ndarray, labels: Sequence[str], chosen: int) -> Panel:
    """The panel of the annotated person ``chosen``."""
    truth, predicted = fold.truth, fold.predicted
    key = int(truth.keys[chosen])
    here = np.flatnonzero(truth.keys == key).tolist()
    classes = {
        person: " + ".join(labels[column] for column in np.flatnonzero(truth.labels[person]).tolist())
        for person in here
    }
    owner = {int(partner[person]): person for person in here}
    first: list[DrawnPerson] = []
    others: list[DrawnPerson] = []
    for box in np.flatnonzero(predicted.keys == key).tolist():
        person, scores = owner.get(box), predicted.scores[box : box + 1]
        score, drawn_box = float(scores[0, best_columns(scores, fold.classes)[0]]), predicted.boxes[box]
        decided = np.flatnonzero(decided_classes(scores, fold.classes)[0]).tolist()
        said = " + ".join(labels[column] for column in decided) or "no class"
        if person is None:
            others.append(DrawnPerson(NOBODY, drawn_box, None, said, "", score))
            continue
        is_right = _is_right(truth.labels[person][None], scores, fold.classes)[0]
        is_wrong = classes[person] or fold.classes.independent_columns
        outcome = HIT if is_right else MISTAKE if is_wrong else NOBODY
        drawn = DrawnPerson(outcome, drawn_box, truth.boxes[person], said, classes[person], score)
        (first if person == chosen else others).append(drawn)
    others.sort(key=lambda person: -person.score)
    missed = [DrawnPerson(MISSED, None, truth.boxes[one], "", classes[one], 0.0) for one in here if partner[one] < 0]
    return Panel(key, first + others + missed)


def overlay_picture(dataset: EvaluationDataset, panels: Sequence[Panel], path: str | Path) -> None:
    """Write one sheet of keyframes as PNG; temperatures from coldest to warmest in the inferno colors.

    Predicted boxes are green for hits, red for mistakes and yellow where nobody is annotated; annotated boxes are white
    and dashed where they differ or no box was predicted. The person that a keyframe was chosen for has the thicker box
    and the bold text.

    Args:
        dataset: gives the pictures.
        panels: what ``choose_panels`` returned for it.
        path: PNG file.
    """
    if not panels:
        figure = new_figure(7.2, 3.0)
        figure.text(0.5, 0.5, "no person with a predicted box", ha="center", va="center")
        return save_figure(figure, path)
    from matplotlib.lines import Line2D

    columns = min(COLUMNS, max(len(panels), 2))
    rows = -(-len(panels) // columns)
    texts = [_lines(panel) for panel in panels]
    figure = new_figure(3.6 * columns, (2.75 + 0.17 * max(map(len, texts))) * rows + 0.4)
    for place, (panel, lines) in enumerate(zip(panels, texts, strict=True), start=1):
        axes = figure.add_subplot(rows, columns, place)
        _draw_panel(axes, dataset, panel)
        for number, (text, outcome, weight) in enumerate(lines):
            axes.annotate(
                text,
                xy=(0, 0),
                xycoords="axes fraction",
                xytext=(0, -4 - 12 * number),
                textcoords="offset points",
                va="top",
                fontsize=8.5,
                color=TEXT_COLORS[outcome],
                weight=weight,
                annotation_clip=False,
                **PLAIN,
            )
    legend = [
        Line2D([], [], color=COLORS[outcome], linestyle="--" if outcome == MISSED else "-", label=meaning)
        for outcome, meaning in LEGEND.items()
    ]
    figure.legend(
        handles=legend,
        loc="outside upper center",
        ncols=len(legend) if columns > 2 else 2,
        fontsize=8.5,
        facecolor="0.25",
        labelcolor="white",
    )
    save_figure(figure, path)


def _lines(panel: Panel) -> list[tuple[str, str, str]]:
    """Lines of text below a keyframe: text, outcome and font weight."""
    lines: list[tuple[str, str, str]] = []
    for number, person in enumerate(panel.persons, start=1):
        start = f"{number}  " if len(panel.persons) > 1 else ""
        weight = "bold" if number == 1 else "normal"
        if person.outcome == MISSED:
            words = [f"missed: {person.truth or 'no class'}"]
        else:
            words = [f"{person.predicted} {person.score:.2f}"]
        if person.outcome == MISTAKE:
            words.append(f"truth: {person.truth or 'no class'}")
        if len(lines) + len(words) > MAX_LINES - (number < len(panel.persons)):
            lines.append((f"and {len(panel.persons) - number + 1} more", MISSED, "normal"))
            break
        lines.append((shorten(start + words[0], LINE_WIDTH), person.outcome, weight))
        lines += [(shorten(" " * 2 * len(start) + more, LINE_WIDTH), person.outcome, weight) for more in words[1:]]
    return lines


def _draw_panel(axes: Axes, dataset: EvaluationDataset, panel: Panel) -> None:
    info = dataset.get_video_info(panel.key)
    width, height = info["width"], info["height"]
    picture = dataset.picture(panel.key)
    extent = (0, width, height, 0)
    if picture.ndim == 2:
        low, high = np.percentile(picture, (2, 99.7))
        axes.imshow(picture, cmap="inferno", vmin=low, vmax=max(high, low + 1), extent=extent)
    else:
        axes.imshow(picture, extent=extent)
    scale = np.array([width, height, width, height])
    # The chosen person comes last, on top of the others.
    for number, person in reversed(list(enumerate(panel.persons, start=1))):
        _draw_person(axes, person, scale, number == 1, str(number) if len(panel.persons) > 1 else "")
    axes.set_xticks([])
    axes.set_yticks([])
    title = f"{info['movie']} {dataset.time_unit.removesuffix('s')} {info['timestamp']}"
    axes.set_title(shorten(drawable(title), LINE_WIDTH), fontsize=9, color="0.35", **PLAIN)


def _draw_person(axes: Axes, person: DrawnPerson, scale: np.ndarray, chosen: bool, number: str) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    width = 2.6 if chosen else 1.4
    boxes = []
    if person.truth_box is not None and (person.box is None or np.abs(person.box - person.truth_box).max() > SAME_BOX):
        boxes.append((person.truth_box, COLORS[MISSED], "--", 1.2))
    if person.box is not None:
        boxes.append((person.box, COLORS[person.outcome], "-", width))
    for box, color, style, line_width in boxes:
        x1, y1, x2, y2 = box * scale
        edge = withStroke(linewidth=line_width + 1.2, foreground="black", alpha=0.55)
        axes.add_patch(
            Rectangle(
                (x1, y1),
                x2 - x1,
                y2 - y1,
                fill=False,
                edgecolor=color,
                linestyle=style,
                linewidth=line_width,
                path_effects=[edge],
            )
        )
    # Beside the box drawn last, above it where there is room.
    box, color, *_ = boxes[-1]
    x1, y1, _, y2 = box * scale
    above = y1 > 0.12 * scale[1]
    axes.text(
        x1,
        y1 if above else y2,
        number,
        color=color,
        fontsize=9,
        weight="bold",
        va="bottom" if above else "top",
        clip_on=True,
        path_effects=[withStroke(linewidth=2, foreground="black")],
    )
