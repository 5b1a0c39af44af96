"""What an importer makes of a file: pictures with boxes, whose sides and actions are checked here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ...errors import UserError
from .. import entries
from ..boxes import LARGEST
from ..entries import EntryError

# A box may exceed its picture by this share before that is counted.
_MARGIN = 0.01

Corners = tuple[float, float, float, float]
Size = tuple[float, float]


@dataclass(frozen=True)
class LabelOptions:
    """What a file of labels does not say itself.

    Attributes:
        format: one of ``read.FORMATS``; None: recognized by the content.
        pictures: folder of the labeled pictures, for sizes that the file lacks; None: the file's own folder.
        classes: names of the actions; None: every name is one.
        action_attributes: attributes that give actions; empty: all that can.
        skip_empty: leave out pictures without a box, instead of taking them for frames without a person.
        need_size: every picture has a size, taken from the picture itself where the file lacks it.
    """

    format: str | None = None
    pictures: Path | None = None
    classes: tuple[str, ...] | None = None
    action_attributes: tuple[str, ...] = ()
    skip_empty: bool = False
    need_size: bool = False


@dataclass
class LabelReport:
    """What was read and is not used.

    Attributes:
        unused: reason -> how often.
        examples: reason -> where the first of them is.
        independent: classes that a person may have beside others, as the labels tell.
    """

    unused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    independent: set[str] = field(default_factory=set)

    def skip(self, reason: str, where: str) -> None:
        """Count something that is not used."""
        self.unused[reason] += 1
        self.examples.setdefault(reason, where)

    def __str__(self) -> str:
        counted = self.unused.most_common()
        return "\n".join(f"not used: {count} x {reason}, first in {self.examples[reason]}" for reason, count in counted)


class Attribute(NamedTuple):
    """An attribute of a box; ``kind`` is the tool's input ("select", "radio", "checkbox", "text", "number"), "multiple"
    for one of several values of a person, or "".
    """

    name: str
    value: str | bool
    kind: str = ""


@dataclass
class Box:
    """A person: corners ``x1, y1, x2, y2`` as fractions of the picture, with the person's actions."""

    corners: Corners
    actions: tuple[str, ...]
    object_id: int = 0


@dataclass
class Picture:
    """A picture of a file.

    Attributes:
        name: its file name; of a video, the video's.
        where: its place, for messages.
        size: width and height in pixels, None where the file does not tell.
        frame: number of the frame in the video, None for a picture.
        boxes: persons with actions.
        unusable: how many other boxes it has.
    """

    name: str
    where: str
    size: Size | None = None
    frame: int | None = None
    boxes: list[Box] = field(default_factory=list)
    unusable: int = 0


@dataclass
class Reading:
    """What the importers share: options, the report, and the checks of a box.

    ``corners`` and ``beyond`` are those of the boxes that are kept, as the file has them, and how many of them reach
    beyond their picture; ``given`` counts the actions of each attribute, ``beside`` those that stand beside a label
    that is an action; ``multiple`` are the attributes of which a person may have several actions.
    """

    options: LabelOptions
    report: LabelReport
    corners: list[Corners] = field(default_factory=list)
    beyond: int = 0
    given: dict[str, Counter[str]] = field(default_factory=dict)
    beside: Counter[str] = field(default_factory=Counter)
    multiple: set[str] = field(default_factory=set)

    def report_independent(self) -> None:
        """Report the independent classes of the file: attributes of several actions, or mostly beside other actions."""
        for name, actions in self.given.items():
            if name in self.multiple or 2 * self.beside[name] >= actions.total():
                self.report.independent |= set(actions)

    def add_box(
        self,
        picture: Picture,
        corners: Corners,
        actions: tuple[str, ...],
        where: str,
        object_id: int = 0,
    ) -> None:
        """Add a box with ``corners`` as fractions to ``picture`` unless it cannot be used.

        Raises:
            UserError: a box larger than the picture.
        """
        x1, y1, x2, y2 = corners
        if max(x2 - x1, y2 - y1) > LARGEST:
            shown = ", ".join(f"{value:.4g}" for value in corners)
            raise UserError(
                f"{where}: the box is larger than its picture (corners {shown} of its width and height), expected a "
                "box inside it, in the unit of the format; correct the box or the size of the picture."
            )
        inside = (min(max(x1, 0.0), 1.0), min(max(y1, 0.0), 1.0), min(max(x2, 0.0), 1.0), min(max(y2, 0.0), 1.0))
        if not actions:
            picture.unusable += 1
        elif not (x1 < x2 and y1 < y2):
            self.unusable(picture, "box without an area", where)
        elif not (inside[0] < inside[2] and inside[1] < inside[3]):
            self.unusable(picture, "box outside its picture", where)
        else:
            self.corners.append(corners)
            if max(abs(a - b) for a, b in zip(inside, corners, strict=True)) > _MARGIN:
                self.beyond += 1
                self.report.skip("part of a box beyond its picture", where)
            picture.boxes.append(Box(inside, actions, object_id))

    def unusable(self, picture: Picture, reason: str, where: str) -> None:
        """Count a box of ``picture`` that is no person of the set."""
        self.report.skip(reason, where)
        picture.unusable += 1


def to_size(width: object, height: object) -> Size:
    """Width and height of a picture in pixels, at least 1.

    Raises:
        EntryError: anything else.
    """
    size = entries.to_number(width, "width"), entries.to_number(height, "height")
    if min(size) < 1:
        raise EntryError(f"has the size {size[0]:g} x {size[1]:g}, expected pixels from 1")
    return size


def scaled(corners: Sequence[float], size: Size) -> Corners:
    """Corners in pixels of a picture of ``size`` -> fractions."""
    x1, y1, x2, y2 = corners
    return x1 / size[0], y1 / size[1], x2 / size[0], y2 / size[1]
