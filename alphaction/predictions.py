"""What a predictor returns: the persons of one frame and their actions. It imports without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .annotations.classes import ClassList
from .annotations.decisions import best_columns, decided_classes
from .utils.figures import PLAIN, class_labels, new_figure, save_figure


@dataclass(frozen=True, eq=False)
class PredictedPerson:
    """A person in one frame.

    Attributes:
        box: float [4] ``x1, y1, x2, y2``, continuous pixels of the frame: the first pixel reaches from 0 to 1.
        scores: float32 [C], 0 to 1, one for each class.
        track: number of the person through the recording, None where persons are not followed.
        detection: score of the box, 0 to 1; 1 for a given box.
    """

    box: np.ndarray
    scores: np.ndarray
    track: int | None = None
    detection: float = 1.0


@dataclass(frozen=True, eq=False)
class Prediction:
    """The persons of one frame.

    Attributes:
        time: seconds, of the same clock as the frames.
        persons: any number of them.
        classes: of the columns of the scores.
        source: name of the recording or movie.
        frame: number of the frame in it.
        picture: the frame, float32 [h, w] °C or uint8 [h, w, 3] RGB; None where it was not kept.
        size: width and height of the frame in pixels.
    """

    time: float
    persons: tuple[PredictedPerson, ...]
    classes: ClassList
    source: str = ""
    frame: int = 0
    picture: np.ndarray | None = field(default=None, repr=False)
    size: tuple[int, int] = (0, 0)

    @property
    def class_names(self) -> tuple[str, ...]:
        """C names."""
        return self.classes.names

    @property
    def boxes(self) -> np.ndarray:
        """float32 [N, 4], the persons' boxes."""
        return np.array([person.box for person in self.persons], np.float32).reshape(-1, 4)

    @property
    def scores(self) -> np.ndarray:
        """float32 [N, C], the persons' scores."""
        return np.array([person.scores for person in self.persons], np.float32).reshape(-1, len(self.classes))

    def actions(self, person: PredictedPerson) -> list[tuple[str, float]]:
        """Names and scores of what the person is said to do, the best first: the best of the classes that exclude each
        other, and each other class with a score of at least 0.5."""
        columns = np.flatnonzero(decided_classes(person.scores[None], self.classes)[0])
        order = columns[np.argsort(-person.scores[columns], kind="stable")].tolist()
        return [(self.classes.names[column], float(person.scores[column])) for column in order]

    def best_column(self, person: PredictedPerson) -> int:
        """The class that a picture colors the person by: the best exclusive one, without any the best of all."""
        return int(best_columns(person.scores[None], self.classes)[0])

    def to_dict(self) -> dict[str, object]:
        """Plain numbers, strings and lists, as JSON has them; boxes in pixels of the frame."""
        persons: list[dict[str, object]] = []
        for person in self.persons:
            persons.append(
                {
                    "box": [round(float(value), 3) for value in person.box],
                    "track": person.track,
                    "detection": round(float(person.detection), 4),
                    "actions": [name for name, _ in self.actions(person)],
                    "scores": {
                        name: round(float(score), 6)
                        for name, score in zip(self.classes.names, person.scores, strict=True)
                    },
                }
            )
        return {
            "source": self.source,
            "time": round(float(self.time), 3),
            "frame": self.frame,
            "size": list(self.size),
            "persons": persons,
        }

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Write the frame with the persons' boxes, tracks and actions as PNG; temperatures in the inferno colors."""
        from matplotlib.patches import Rectangle
        from matplotlib.patheffects import withStroke

        width, height = self.size
        figure = new_figure(6.0, 6.0 * height / max(width, 1) + 0.8)
        axes = figure.add_subplot()
        extent = (0.0, float(width), float(height), 0.0)
        if self.picture is not None and self.picture.ndim == 2:
            low, high = np.percentile(self.picture, (2, 99.7))
            shown = axes.imshow(self.picture, cmap="inferno", vmin=low, vmax=max(high, low + 1), extent=extent)
            figure.colorbar(shown, ax=axes, label="°C", extend="both")
        elif self.picture is not None:
            axes.imshow(self.picture, extent=extent)
        edge = [withStroke(linewidth=3, foreground="black")]
        labels = class_labels(self.classes.names)
        for person in self.persons:
            x1, y1, x2, y2 = (float(value) for value in person.box)
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="#35d07f", linewidth=2))
            column = self.best_column(person)
            track = "" if person.track is None else f"{person.track}: "
            text = f"{track}{labels[column]} {person.scores[column]:.2f}"
            axes.text(x1, y1, text, color="white", fontsize=9, va="bottom", clip_on=True, path_effects=edge, **PLAIN)
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.set_title(f"{self.source} {self.time:.1f} s".strip(), fontsize=9, **PLAIN)
        save_figure(figure, Path(path))
