"""Figures, text that their font can draw, and the picture of the confusion matrix."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from .scores import Confusion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME_WIDTH = 40  # characters of a class name in a picture


class TextOptions(TypedDict):
    """Keywords of matplotlib's text."""

    parse_math: bool


# Class names are not mathematical text: "$" and "\" mean themselves.
PLAIN: TextOptions = {"parse_math": False}


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


def class_labels(names: Sequence[str]) -> list[str]:
    """Class names as a picture shows them: in one line, shortened, without characters that the font lacks.

    A name that is not shown whole starts with its number, counted from 1, so that each label is another; a name in a
    script that the font lacks is its number alone.
    """
    labels = []
    for number, name in enumerate(names, start=1):
        shown = drawable(name)
        if shown != _one_line(name) or not 0 < len(shown) <= NAME_WIDTH:
            has_letters = any(mark.isalnum() for mark in shown)
            shown = f"class {number}: {shown}" if has_letters else f"class {number}"
        labels.append(shorten(shown))
    return labels


def drawable(text: str) -> str:
    """The text in one line, with "?" for each run of characters that the figures' font lacks."""
    known = _characters_of_font()
    return re.sub("\0+", "?", "".join(mark if ord(mark) in known else "\0" for mark in _one_line(text)))


def shorten(text: str, width: int = NAME_WIDTH) -> str:
    """At most ``width`` characters, of which the last three are dots where something is left out."""
    return text if len(text) <= width else text[: width - 3] + "..."


def _one_line(text: str) -> str:
    return " ".join(text.split())


@functools.cache
def _characters_of_font() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def new_figure(width: float, height: float) -> Figure:
    """An independent figure of a size in inches, drawn by Agg: no window system, no pyplot state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG."""
    figure.savefig(path, format="png", dpi=100)
