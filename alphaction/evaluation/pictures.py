"""The picture of the confusion matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..utils.figures import PLAIN, class_labels, new_figure, save_figure
from .scores import Confusion


def confusion_picture(confusion: Confusion, path: str | Path) -> None:
    """Write a confusion matrix as PNG: rows truth, columns prediction, cells persons.

    Color is the share of the row. Classes that occur neither as truth nor as prediction are left out.

    Args:
        confusion: the entry of that name in the results of ``evaluate_rows``.
        path: PNG file.
    """
    counts = np.asarray(confusion["counts"])
    names = class_labels(confusion["rows"])
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
    below = [*names, confusion["columns"][-1]]
    beside = [f"{names[i]} ({persons})" for i, persons in zip(used, counts.sum(axis=1), strict=True)]
    axes.set_xticks(range(len(columns)), [below[i] for i in columns], rotation=40, ha="right", **PLAIN)
    axes.set_yticks(range(len(used)), beside, **PLAIN)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth (persons)")
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, counts[row, column], ha="center", va="center", color=color)
    save_figure(figure, path)
