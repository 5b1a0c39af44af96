"""Figures, and text that their font can draw. It imports without matplotlib."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME_WIDTH = 40  # characters of a class name in a picture


class TextOptions(TypedDict):
    """Keywords of matplotlib's text."""

    parse_math: bool


# Class names are not mathematical text: "$" and "\" mean themselves.
PLAIN: TextOptions = {"parse_math": False}


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
