"""Some of the classes of a data set, or several as one: DATASETS.CLASSES, CLASS_MAP and CLASS_GROUPS
(docs/thermal_data.md)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from .classes import ClassList, check_known, exclusive_classes
from .labels import THERMAL_CLASSES, THERMAL_GROUPS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassChoice:
    """Which classes of a data set are used.

    Attributes:
        keep: DATASETS.CLASSES: names, in the order of the columns; empty keeps all.
        merge: DATASETS.CLASS_MAP: new class -> classes that become it, before ``keep`` chooses.
        groups: DATASETS.CLASS_GROUPS: group -> exclusive classes that are left, for a coarse score; empty takes the
            five groups of the thermal classes where all exclusive classes are of these.
    """

    keep: tuple[str, ...] = ()
    merge: tuple[tuple[str, tuple[str, ...]], ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is chosen or merged; groups change no class."""
        return bool(self.keep or self.merge)

    def choose(self, source: str, classes: ClassList, columns: Mapping[int, int]) -> tuple[ClassList, dict[int, int]]:
        """The classes that are left, and class id -> new column, -1 for a class that is not used.

        A merged class takes the place of the first of its classes, unless ``keep`` gives the order.

        Args:
            source: annotation file, for messages.
            classes: all classes of the set.
            columns: class id -> their column.

        Raises:
            UserError: an unknown class, one that is merged twice, exclusive and independent classes in one, a name
                that another class has; groups that :meth:`group_columns` refuses.
        """
        left, new_columns = self._choose(source, classes, columns) if self else (classes, dict(columns))
        self.group_columns(source, left)
        return left, new_columns

    def _choose(self, source: str, classes: ClassList, columns: Mapping[int, int]) -> tuple[ClassList, dict[int, int]]:
        target = self._merged(source, classes)
        flags = dict(zip(target, classes.exclusive, strict=True))
        left = ClassList(tuple(flags), tuple(flags.values()))
        for name in self.keep:
            check_known(name, left, f"DATASETS.CLASSES has for {source}")
        if self.keep:
            left = ClassList(self.keep, tuple(flags[name] for name in self.keep))
        place = {name: column for column, name in enumerate(left.names)}
        return left, {number: place.get(target[column], -1) for number, column in columns.items()}

    def _merged(self, source: str, classes: ClassList) -> list[str]:
        """For each class its name after merging."""
        target = dict(zip(classes.names, classes.names, strict=True))
        merged: set[str] = set()
        for new, parts in self.merge:
            for name in parts:
                check_known(name, classes, f"DATASETS.CLASS_MAP.{new} has for {source}")
            kinds = {classes.exclusive[classes.names.index(name)] for name in parts}
            if len(kinds) > 1:
                raise UserError(
                    f"DATASETS.CLASS_MAP.{new} merges exclusive and independent classes of {source}, expected classes "
                    "of one kind; merge them apart."
                )
            twice = merged.intersection(parts)
            if twice:
                raise UserError(f"DATASETS.CLASS_MAP has the class {min(twice)!r} twice, expected it once; remove one.")
            merged.update(parts)
            target.update(dict.fromkeys(parts, new))
        for new, _ in self.merge:
            if new in classes.names and new not in merged:
                raise UserError(
                    f"DATASETS.CLASS_MAP.{new} has the name of another class of {source}; give it another one, or add "
                    f"{new!r} to its classes."
                )
        return [target[name] for name in classes.names]

    def group_columns(self, source: str, classes: ClassList) -> dict[str, list[int]]:
        """Name of each group -> columns of its classes; empty where there are no groups.

        Args:
            source: what has the classes, for messages.
            classes: those that are left.

        Raises:
            UserError: an unknown or independent class, a class in two groups.
        """
        exclusive = exclusive_classes(classes.names[column] for column in classes.exclusive_columns)
        if not self.groups:
            return _thermal_groups(classes, exclusive)
        if not len(exclusive):
            raise UserError(
                f"DATASETS.CLASS_GROUPS groups exclusive classes, but {source} has no two of them; remove the key."
            )
        owner: dict[str, str] = {}
        for group, members in self.groups:
            for name in members:
                check_known(name, exclusive, f"DATASETS.CLASS_GROUPS.{group} has for {source}")
                if name in owner:
                    raise UserError(
                        f"DATASETS.CLASS_GROUPS has the class {name!r} in {owner[name]!r} and in {group!r}, expected "
                        "each class in one group, once; remove one."
                    )
                owner[name] = group
        return {group: [classes.names.index(name) for name in members] for group, members in self.groups}

    def kept_rows(self, source: str, classes: ClassList, packed: np.ndarray) -> np.ndarray:
        """Which annotations are used, bool [N].

        Where every person should have one of the classes that are left, annotations of other classes are left out, and
        logged. Beside an independent class these persons are examples of not having it.

        Args:
            classes: those that are left.
            packed: packed labels [N, B].
        """
        kept: np.ndarray = np.ones(len(packed), bool)
        if self.keep and not classes.independent_columns:
            kept = np.asarray(packed.any(axis=1))
            logger.info(
                "%s: %d of %d labels are of classes that DATASETS.CLASSES leaves out; persons with no other label are "
                "not used",
                source,
                int(np.count_nonzero(~kept)),
                len(kept),
            )
        return kept


def _thermal_groups(classes: ClassList, exclusive: ClassList) -> dict[str, list[int]]:
    """The groups of the thermal classes; none where they would be the classes themselves, or one group only."""
    if not set(exclusive.names) <= set(THERMAL_CLASSES):
        return {}
    members = {group: [name for name in names if name in exclusive.names] for group, names in THERMAL_GROUPS.items()}
    columns = {group: [classes.names.index(name) for name in names] for group, names in members.items() if names}
    return columns if 1 < len(columns) < len(exclusive) else {}


ALL_CLASSES = ClassChoice()
