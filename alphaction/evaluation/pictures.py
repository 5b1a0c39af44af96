"""Pictures of the results: the confusion matrix, and persons on their frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..dataset.datasets import AVAVideoDataset

COLUMNS = 4
HIT, MISTAKE, TRUTH = "#35d07f", "#ff5a5a", "white"


def confusion_picture(confusion: dict, path: str | Path) -> None:
    """Write the confusion matrix of `evaluate_rows` as PNG: rows truth, columns prediction, cells persons.

    Colour is the share of the row. Classes that occur neither as truth nor as prediction are left out.
    """
    counts = np.asarray(confusion["counts"])
    names = confusion["rows"]
    used = np.flatnonzero(counts.any(axis=1) | counts[:, : len(names)].any(axis=0))
    columns = np.append(used, len(names)) if counts[:, -1].any() else used
    counts = counts[np.ix_(used, columns)]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = new_figure(4.6 + 0.5 * len(columns), 3.6 + 0.42 * len(used))
    if not len(used):
        figure.text(0.5, 0.5, "no persons", ha="center", va="center")
        return save_figure(figure, path)
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), [confusion["columns"][i] for i in columns], rotation=40, ha="right")
    axes.set_yticks(range(len(used)), [f"{names[i]} ({n})" for i, n in zip(used, counts.sum(axis=1), strict=True)])
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth (persons)")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, counts[row, column], ha="center", va="center", color=colour)
    save_figure(figure, path)


def overlay_picture(dataset, persons: Sequence[dict], path: str | Path) -> None:
    """Write one sheet of persons on their keyframes; thermal ones from coldest to warmest in the inferno colours.

    persons: dicts with `key` (index into the data set), `box` and `truth_box` (normalised corners), `truth` and
    `predicted` (names), `score`, `hit` (bool). Predicted boxes are green for hits and red for mistakes; the annotated
    box is drawn dashed where it is another.
    """
    rows = max(1, -(-len(persons) // COLUMNS))
    figure = new_figure(3.6 * COLUMNS, 3.1 * rows)
    for place, person in enumerate(persons, start=1):
        axes = figure.add_subplot(rows, COLUMNS, place)
        _draw_person(axes, dataset, person)
    if not persons:
        figure.text(0.5, 0.5, "no person with a predicted box", ha="center", va="center")
    save_figure(figure, path)


def _draw_person(axes, dataset, person: dict) -> None:
    from matplotlib.patches import Rectangle

    key = person["key"]
    info = dataset.get_video_info(key)
    if isinstance(dataset, AVAVideoDataset):
        width, height = info["width"], info["height"]
        axes.imshow(dataset.keyframe(key), extent=(0, width, height, 0))
    else:
        width, height = dataset.frame_size
        picture = dataset.recording(key).window(info["timestamp"], 1)[0]
        low, high = np.percentile(picture, (2, 99.7))
        axes.imshow(picture, cmap="inferno", vmin=low, vmax=max(high, low + 1), extent=(0, width, height, 0))
    colour = HIT if person["hit"] else MISTAKE
    boxes = [(person["box"], colour, "-")]
    if np.abs(person["box"] - person["truth_box"]).max() > 0.01:
        boxes.append((person["truth_box"], TRUTH, "--"))
    for box, edge, style in boxes:
        x1, y1, x2, y2 = box * [width, height, width, height]
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=edge, linestyle=style, linewidth=2))
    axes.set_xticks([])
    axes.set_yticks([])
    unit = dataset.time_unit.removesuffix("s")
    axes.set_title(f"{info['movie']} {unit} {info['timestamp']}", fontsize=9, color="0.35")
    words = f"{person['predicted']} {person['score']:.2f}"
    if not person["hit"]:
        words = f"{words}\ntruth: {person['truth']}"
    axes.set_xlabel(words, fontsize=9, color="black" if person["hit"] else "#c02020")


def new_figure(width: float, height: float):
    """A figure of its own (inches), drawn by Agg: no window system, no pyplot state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure, path: str | Path) -> None:
    figure.savefig(path, format="png", dpi=100)
