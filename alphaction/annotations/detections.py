"""Files of detected boxes, for thermal recordings and clips alike."""

from __future__ import annotations

import logging
import os
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from . import entries
from .box_formats import BoxFormat, format_of
from .entries import EntryError
from .labels import PERSON_NAMES
from .text import short

logger = logging.getLogger(__name__)

# COCO's id of persons; files that count categories from 0 have no such fixed id.
COCO_PERSON = 1


@dataclass
class Detections:
    """Detected boxes with a score of at least the threshold, of keyframes that the annotations have.

    Attributes:
        path: the file.
        format: its format.
        owners: int64 [D], image of each box.
        boxes: float64 [D, 4] as in the file.
        scores: float32 [D].
        numbers: int64 [D], entry or line of the file, from 1.
        total: entries of the file.
        unknown: how many of them belong to other keyframes.
    """

    path: str
    format: BoxFormat
    owners: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    numbers: np.ndarray
    total: int
    unknown: int

    def name(self, row: int) -> str:
        """What an error calls a box."""
        return f"In {self.path}, {self.format.unit} {self.numbers[row]}"

    def select(self, rows: np.ndarray) -> None:
        """Keep the rows of an index array or mask."""
        self.owners, self.boxes = self.owners[rows], self.boxes[rows]
        self.scores, self.numbers = self.scores[rows], self.numbers[rows]


def read_detections(
    path: str | os.PathLike,
    find: Callable[[object], int],
    threshold: float,
    persons_only: bool = False,
    person: int | None = COCO_PERSON,
) -> Detections:
    """Read detected boxes: COCO results (JSON), PySlowFast's CSV or MMAction2's PKL, by the suffix of the file.

    Args:
        path: the file.
        find: entry -> image, -1 for a keyframe that the annotations do not have; raises EntryError.
        threshold: boxes with a lower score are left out.
        persons_only: of several categories, take the persons.
        person: the ``category_id`` of persons in such a file; None: only a name tells them.

    Raises:
        UserError: no such file, another format, wrong entries, boxes of other keyframes only, several categories none
            of which are known to be persons.
    """
    path = os.fspath(path)
    kind, columns = format_of(path), _Columns()
    first_unknown = ""
    for number, entry in kind.entries(path):
        columns.total += 1
        try:
            score, box, owner = entries.number(entry, "score"), entries.box(entry), find(entry)
        except EntryError as error:
            raise entries.in_file(path, f"{kind.unit} {number}", error) from None
        assert isinstance(entry, dict)  # it has a score
        if owner < 0:
            columns.unknown += 1
            first_unknown = first_unknown or _image_of(entry)
        elif score >= threshold:
            columns.add(owner, box, score, number, _category_of(entry))
    found = columns.detections(path, kind)
    _check_keyframes(found, first_unknown)
    if persons_only and len(columns.categories) > 1:
        _take_persons(found, np.array(columns.labels), columns.categories, person)
    if kind.repeats:
        _merge_repeats(found)
    return found


class _Columns:
    """The boxes read so far."""

    def __init__(self) -> None:
        self.owners, self.boxes, self.scores = array("q"), array("d"), array("d")
        self.numbers, self.labels = array("q"), array("q")
        self.categories: dict[object, int] = {}
        self.total = self.unknown = 0

    def add(self, owner: int, box: list[float], score: float, number: int, category: object) -> None:
        self.owners.append(owner)
        self.boxes.extend(box)
        self.scores.append(score)
        self.numbers.append(number)
        self.labels.append(self.categories.setdefault(category, len(self.categories)))

    def detections(self, path: str, kind: BoxFormat) -> Detections:
        return Detections(
            path,
            kind,
            np.array(self.owners, np.int64),
            np.array(self.boxes).reshape(-1, 4),
            np.array(self.scores, np.float32),
            np.array(self.numbers, np.int64),
            self.total,
            self.unknown,
        )


def _image_of(entry: dict) -> str:
    if "image_id" in entry:
        return f"image {short(entry['image_id'])}"
    return f"keyframe {short(entry.get('movie'))} {short(entry.get('timestamp'))}"


def _category_of(entry: dict) -> object:
    """The category of an entry: a name, an id, or None."""
    for key in ("category_name", "category", "label", "category_id"):
        if isinstance(entry.get(key), (str, int)):
            return entry[key]
    return None


def _check_keyframes(found: Detections, first_unknown: str) -> None:
    """Boxes of other keyframes are counted; a file with no others belongs to another set."""
    if found.total and found.unknown == found.total:
        raise UserError(
            f"The box file {found.path} has {found.total} boxes, none of a keyframe of the annotations (the first one "
            f"is of the unknown {first_unknown}), expected image ids such as theirs; it belongs to another split or "
            "set."
        )
    if found.unknown:
        logger.log(
            logging.WARNING if 2 * found.unknown > found.total else logging.INFO,
            "%s: %d of its %d boxes are of keyframes that the annotations do not have and are not used%s",
            found.path,
            found.unknown,
            found.total,
            "; does it belong to another set?" if 2 * found.unknown > found.total else "",
        )


def _take_persons(found: Detections, labels: np.ndarray, categories: dict[object, int], person: int | None) -> None:
    known: list[object] = [key for key in categories if isinstance(key, str) and key.lower() in PERSON_NAMES]
    if not known and person is not None and person in categories and 0 not in categories:
        known = [person]
    counts = Counter({key: int(np.count_nonzero(labels == number)) for key, number in categories.items()})
    text = ", ".join(f"{short(key)} ({count} boxes)" for key, count in counts.most_common(5))
    text += f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    if len(known) != 1:
        raise UserError(
            f"The box file {found.path} has several categories: {text}, expected persons only; nothing tells which "
            "these are: remove the other boxes, or 'category_id'."
        )
    logger.warning("%s has several categories: %s; only %s is used, as persons", found.path, text, short(known[0]))
    found.select(labels == categories[known[0]])


def _merge_repeats(found: Detections) -> None:
    """Of equal boxes of a keyframe, keep the one with the best score."""
    order = np.lexsort((found.numbers, -found.scores, *found.boxes.T, found.owners))
    same = np.diff(found.owners[order], prepend=-1) == 0
    same[1:] &= (np.diff(found.boxes[order], axis=0) == 0).all(axis=1)
    if same.any():
        logger.info("%s: %d boxes are repeated, once for each label, and count once", found.path, int(same.sum()))
        found.select(np.sort(order[~same]))
