"""Tracks over time, colored by action: as a picture and as a table."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ..predictions import Prediction
from ..utils.figures import PLAIN, class_labels, new_figure, save_figure
from .drawing import class_color

# Tracks that a picture shows, and stretches that are kept of an endless stream.
_MOST_TRACKS, _MOST_STRETCHES = 40, 20_000


@dataclass
class _Stretch:
    """Time through which a person does the same."""

    track: int
    column: int
    start: float
    end: float


class Timeline:
    """Collects who does what when; equal neighbors become one stretch, so that it stays small.

    Args:
        interval: seconds that a result stands for.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.stretches: list[_Stretch] = []
        self.results = self.persons = self.left_out = 0
        self.first = self.last = 0.0
        self.names: tuple[str, ...] = ()
        self._open: dict[int, _Stretch] = {}

    def add(self, prediction: Prediction) -> None:
        """Take the next result."""
        self.first = prediction.time if not self.results else self.first
        self.last, self.names = prediction.time, prediction.class_names
        self.results += 1
        self.persons += len(prediction.persons)
        now: dict[int, _Stretch] = {}
        for number, person in enumerate(prediction.persons):
            track = -1 - number if person.track is None else person.track
            column, end = prediction.best_column(person), prediction.time + self.interval
            known = self._open.get(track)
            if known is not None and known.column == column and prediction.time <= known.end + 0.5 * self.interval:
                known.end = end
            else:
                known = _Stretch(track, column, prediction.time, end)
                self.stretches.append(known)
            now[track] = known
        # A person who is missed for two results goes on after that.
        self._open = {**{k: s for k, s in self._open.items() if s.end >= prediction.time - self.interval}, **now}
        if len(self.stretches) > _MOST_STRETCHES:
            self.left_out += len(self.stretches) - _MOST_STRETCHES
            del self.stretches[: len(self.stretches) - _MOST_STRETCHES]

    def summary(self) -> str:
        """Table: each class with its seconds, and each of the longest tracks with what it mostly does."""
        if not self.results:
            return "no results"
        tracks = self._seconds_of_tracks()
        counts = [(self.results, "result"), (self.persons, "person"), (len(tracks), "track")]
        results, persons, followed = (f"{count} {noun}{'s' * (count != 1)}" for count, noun in counts)
        lines = [f"{results} from {self.first:.1f} to {self.last:.1f} s, {persons} in them, {followed}"]
        per_class: dict[int, float] = defaultdict(float)
        for seconds in tracks.values():
            for column, length in seconds.items():
                per_class[column] += length
        for column, length in sorted(per_class.items(), key=lambda item: -item[1]):
            lines.append(f"  {length:8.0f} s  {self.names[column]}")
        longest = sorted(tracks.items(), key=lambda item: -sum(item[1].values()))[:10]
        for track, seconds in longest:
            total = sum(seconds.values())
            parts = [
                f"{self.names[column]} {length / total:.0%}"
                for column, length in sorted(seconds.items(), key=lambda item: -item[1])[:3]
            ]
            who = f"track {track}" if track >= 0 else f"person {-track}"
            lines.append(f"  {who}: {total:.0f} s, {', '.join(parts)}")
        if len(tracks) > len(longest):
            lines.append(f"  and {len(tracks) - len(longest)} shorter tracks")
        return "\n".join(lines)

    def picture(self, path: Path, title: str) -> None:
        """Write the timeline as PNG: a row for each track, those who are seen longest."""
        from matplotlib.patches import Patch

        tracks = self._seconds_of_tracks()
        chosen = sorted(tracks, key=lambda track: -sum(tracks[track].values()))[:_MOST_TRACKS]
        rows = {track: row for row, track in enumerate(sorted(chosen))}
        labels = class_labels(self.names)
        used = sorted({stretch.column for stretch in self.stretches if stretch.track in rows})
        figure = new_figure(11.0, 1.9 + 0.26 * max(len(rows), 1) + 0.2 * ((len(used) + 2) // 3))
        axes = figure.add_subplot()
        for stretch in self.stretches:
            if stretch.track in rows:
                span = [(stretch.start, stretch.end - stretch.start)]
                axes.broken_barh(span, (rows[stretch.track] - 0.4, 0.8), facecolors=[_plot_color(stretch.column)])
        axes.set_yticks(range(len(rows)), [str(track) if track >= 0 else f"({-track})" for track in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(self.first, max(self.last + self.interval, self.first + 1))
        axes.set_xlabel("seconds")
        axes.set_ylabel("track")
        axes.grid(axis="x", alpha=0.3)
        left_out = len(tracks) - len(rows)
        axes.set_title(f"{title}{f' ({left_out} short tracks not shown)' if left_out else ''}", fontsize=10, **PLAIN)
        handles = [Patch(color=_plot_color(column), label=labels[column]) for column in used]
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
        save_figure(figure, path)

    def _seconds_of_tracks(self) -> dict[int, dict[int, float]]:
        """Track -> class -> seconds."""
        tracks: dict[int, dict[int, float]] = {}
        for stretch in self.stretches:
            seconds = tracks.setdefault(stretch.track, defaultdict(float))
            seconds[stretch.column] += stretch.end - stretch.start
        return tracks


def _plot_color(column: int) -> tuple[float, float, float]:
    red, green, blue = class_color(column)
    return red / 255, green / 255, blue / 255
